"""The prior loss against numpy, its slope at zero and far away."""

import math

import numpy as np
import pytest
import torch

from skastro.denoising.losses import PriorLoss


def by_hand(prediction, target, mask, sigma, q, epsilon):
    u = prediction / sigma
    penalty = (u**2 + epsilon**2) ** (q / 2) - epsilon**q
    return np.where(mask, ((prediction - target) / sigma) ** 2, penalty)


@pytest.mark.parametrize("q", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("sigma_shape", [(), (9,), (20, 9)])
def test_values(q, epsilon, sigma_shape):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(0, 3, (2, 20, 9))
    mask = rng.random((20, 9)) < 0.3
    sigma = rng.uniform(0.2, 2.0, sigma_shape)
    loss = PriorLoss(q, epsilon)(
        *map(torch.from_numpy, (prediction, target, mask)), torch.as_tensor(sigma)
    )
    expected = by_hand(prediction, target, mask, sigma, q, epsilon)
    np.testing.assert_allclose(loss, expected, rtol=1e-12, atol=1e-14)


def test_far_from_zero_it_is_the_published_penalty():
    u = torch.tensor([-30.0, 2.0, 0.5], dtype=torch.float64)
    for q in (0.25, 0.5, 1.0):
        loss = PriorLoss(q, 1e-6)(u, torch.zeros(3), torch.zeros(3, dtype=torch.bool))
        # what the smoothing takes away is epsilon ** q
        np.testing.assert_allclose(loss, u.abs() ** q - 1e-6**q, rtol=1e-9)


@pytest.mark.parametrize("q", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slope_at_zero_is_zero_and_everywhere_finite(q, dtype):
    u = torch.tensor([0.0, -1e-30, 1e-8, -1e-4, 1e-3, 1.0, 1e4], dtype=dtype, requires_grad=True)
    loss = PriorLoss(q)(u, torch.zeros_like(u), torch.zeros(7, dtype=torch.bool))
    (slope,) = torch.autograd.grad(loss.sum(), u)
    assert loss[0] == 0 and slope[0] == 0
    assert torch.isfinite(slope).all() and (loss >= 0).all()
    v = u.detach().double()
    expected = q * v * (v**2 + 1e-6) ** (q / 2 - 1)
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.parametrize("q", [0.3, 1.0])
def test_gradient(q):
    torch.manual_seed(0)
    prediction = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    target, mask = torch.randn(6, 5, dtype=torch.float64), torch.rand(6, 5) < 0.5
    loss = PriorLoss(q, 0.05)
    assert torch.autograd.gradcheck(lambda p: loss(p, target, mask, 0.7), (prediction,))


def test_the_penalty_does_not_see_the_data_nor_the_fidelity_the_prior():
    prediction, target = torch.ones(4), torch.tensor([1.0, 3.0, 1.0, 3.0])
    mask = torch.tensor([True, True, False, False])
    loss = PriorLoss(0.5, 1e-4)(prediction, target, mask, sigma=2.0)
    expected = math.sqrt(0.5) - math.sqrt(1e-4)
    np.testing.assert_allclose(loss, [0.0, 1.0, expected, expected], rtol=1e-6)


def test_members_of_an_ensemble_share_the_data():
    prediction, target = torch.randn(3, 6, 5), torch.randn(6, 5)
    mask = torch.rand(6, 5) < 0.5
    loss = PriorLoss()(prediction, target, mask)
    assert loss.shape == (3, 6, 5)
    torch.testing.assert_close(loss[1], PriorLoss()(prediction[1], target, mask))


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"sparsity": 0.0}, "sparsity=0.0; expected 0 < sparsity <= 1"),
        ({"sparsity": 1.5}, "sparsity=1.5; expected"),
        ({"sparsity": math.nan}, "sparsity=nan; expected"),
        ({"epsilon": 0.0}, "epsilon=0.0; expected a positive number"),
        ({"epsilon": math.inf}, "epsilon=inf; expected a positive number"),
        ({"reduction": "mean"}, "reduction='mean'; expected 'none'"),
    ],
)
def test_bad_parameters(arguments, match):
    with pytest.raises(ValueError, match=match):
        PriorLoss(**arguments)


def test_bad_mask():
    zeros = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"signal_mask is torch.float32 of shape \(4, 3\)"):
        PriorLoss()(zeros, zeros, zeros)
    with pytest.raises(ValueError, match=r"of shape \(3,\); expected torch.bool of shape \(4, 3\)"):
        PriorLoss()(zeros, zeros, torch.zeros(3, dtype=torch.bool))
