"""Losses against closed forms in float64, their slopes and their limits."""

import math

import numpy as np
import pytest
import torch
from scipy import special

from skastro.emulation.losses import LOSSES, HuberLoss, make_loss

# value and slope of each loss of a residual r with scale s
FORMS = {
    "squared": (lambda r, s: r**2 / 2, lambda r, s: r),
    "huber": (lambda r, s: special.huber(s, r), lambda r, s: np.clip(r, -s, s)),
    "log_cosh": (lambda r, s: s**2 * np.log(np.cosh(r / s)), lambda r, s: s * np.tanh(r / s)),
    "cauchy": (
        lambda r, s: s**2 / 2 * np.log1p((r / s) ** 2),
        lambda r, s: r / (1 + (r / s) ** 2),
    ),
    "geman_mcclure": (
        lambda r, s: r**2 / 2 / (1 + (r / s) ** 2),
        lambda r, s: r / (1 + (r / s) ** 2) ** 2,
    ),
}
RESIDUALS = np.concatenate([-np.geomspace(1e-3, 30, 40), [0.0], np.geomspace(1e-3, 30, 40)])


def test_every_loss_has_a_reference():
    assert set(FORMS) == set(LOSSES)


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.5])
@pytest.mark.parametrize("name", FORMS)
def test_values_and_slopes(name, scale):
    target = torch.linspace(-5, 5, len(RESIDUALS), dtype=torch.float64)
    prediction = (target + torch.from_numpy(RESIDUALS)).requires_grad_()
    loss = make_loss(name, scale)(prediction, target)
    value, slope = FORMS[name]
    assert loss.shape == target.shape
    # the sum target + residual is rounded at 1e-15
    np.testing.assert_allclose(loss.detach(), value(RESIDUALS, scale), rtol=1e-9, atol=1e-14)
    (gradient,) = torch.autograd.grad(loss.sum(), prediction)
    np.testing.assert_allclose(gradient, slope(RESIDUALS, scale), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_small_residuals_in_float32(name, scale):
    residual = torch.tensor([-1e-3, 3e-4, 1e-3, 1e-2]) * scale
    loss = make_loss(name, scale)(residual, torch.zeros(4))
    # half the square: terms of the next order are below 2e-4; rounding is 1e-7 of the residual
    np.testing.assert_allclose(loss, residual.double() ** 2 / 2, rtol=1e-3)


@pytest.mark.parametrize("name", FORMS)
def test_no_loss_is_negative(name):
    residual = torch.linspace(-0.01, 0.01, 2001)
    # a unit in the last place of the residual itself is allowed
    assert make_loss(name)(residual, torch.zeros(2001)).min() >= -1e-9


def test_large_residuals_in_float32():
    scale, residual = 0.1, torch.tensor([-1e6, 1e6], requires_grad=True)
    zero = torch.zeros(2)
    expected = {
        "squared": 0.5e12,
        "huber": scale * (1e6 - scale / 2),
        "log_cosh": scale * 1e6 - scale**2 * math.log(2),
        "cauchy": scale**2 * math.log(1e7),
        "geman_mcclure": scale**2 / 2,
    }
    for name, value in expected.items():
        loss = make_loss(name, scale)(residual, zero)
        np.testing.assert_allclose(loss.detach(), [value, value], rtol=1e-5, err_msg=name)
        (gradient,) = torch.autograd.grad(loss.sum(), residual)
        slope = FORMS[name][1](np.array([-1e6, 1e6]), scale)
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", FORMS)
def test_the_slope_at_zero_is_zero(name):
    prediction = torch.zeros(3, requires_grad=True)
    make_loss(name, 0.1)(prediction, torch.zeros(3)).sum().backward()
    assert (prediction.grad == 0).all()


def test_robust_losses_pull_less_far_away():
    far, near = np.array([50.0]), np.array([1.0])
    pulls = {name: slope(far, 1.0) / slope(near, 1.0) for name, (_, slope) in FORMS.items()}
    for name, pull in pulls.items():
        prediction = torch.tensor([1.0, 50.0], dtype=torch.float64, requires_grad=True)
        make_loss(name)(prediction, torch.zeros(2, dtype=torch.float64)).sum().backward()
        assert float(prediction.grad[1] / prediction.grad[0]) == pytest.approx(float(pull[0]))
    assert pulls["geman_mcclure"] < pulls["cauchy"] < pulls["huber"] < pulls["squared"]


def test_a_callable_is_called_with_scale_and_reduction():
    def own(scale, reduction):
        assert reduction == "none"
        return lambda prediction, target: scale * (prediction - target)

    assert make_loss(own, 3.0)(torch.ones(2), torch.zeros(2)).tolist() == [3.0, 3.0]
    assert isinstance(make_loss(HuberLoss, 0.5), HuberLoss)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: make_loss("l1"), "loss='l1'; expected one of .*'cauchy'.* or a callable"),
        (lambda: make_loss(3), "loss=3; expected one of"),
        (lambda: make_loss("huber", 0.0), "loss_scale=0.0; expected a positive number"),
        (lambda: make_loss("huber", math.nan), "loss_scale=nan; expected a positive number"),
        (lambda: HuberLoss(1.0, reduction="mean"), "reduction='mean'; expected 'none'"),
    ],
)
def test_bad_parameters(make, match):
    with pytest.raises(ValueError, match=match):
        make()
