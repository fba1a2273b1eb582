"""The risk without truth: unbiased, for white and for correlated noise."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from skastro.denoising.patches import Patches
from skastro.denoising.sure import AutoencoderLoss, PerturbedNetwork, SpectraNetwork, SureLoss

PATCHES = Patches((1, 1, 2), (0, 0, 2))


class Clip(torch.nn.Module):
    """A denoiser that is not linear: soft thresholding of a running mean."""

    def forward(self, windows, conditions=None):
        mean = (windows[:, 1:-1] + windows[:, :-2] + windows[:, 2:]) / 3
        return torch.nn.functional.softshrink(mean[:, 1:-1], 0.3)


def noise(rng, n, correlated):
    values = rng.normal(size=(n, 6 + 2))
    if correlated:
        kernel = np.array([0.4, 1.0, 0.4])
        values = correlate1d(values, kernel / np.linalg.norm(kernel), axis=1)
    return torch.from_numpy(values[:, 1:-1])


@pytest.mark.parametrize("correlated", [False, True])
def test_the_loss_is_the_squared_error_up_to_a_constant(correlated):
    n, rng = 400_000, np.random.default_rng(0)
    truth = torch.from_numpy(rng.normal(scale=1.5, size=(1, 6)).repeat(n, 0))
    data = truth + noise(rng, n, correlated)
    net = PerturbedNetwork(Clip(), PATCHES, epsilon=0.01)
    prediction = net(data, noise=noise(rng, n, correlated))
    risk = SureLoss()(prediction, PATCHES.centre(data)[:, None])[:, 0].mean()
    error = (prediction[:, 0] - PATCHES.centre(truth)).square().mean()
    # the constant is the variance of the noise
    assert abs(float(risk) - 1.0 - float(error)) < 0.02


def test_white_noise_in_place_of_correlated_noise_is_wrong():
    n, rng = 400_000, np.random.default_rng(0)
    data = noise(rng, n, correlated=True)
    net = PerturbedNetwork(Clip(), PATCHES, epsilon=0.01)
    target = PATCHES.centre(data)[:, None]
    error = net(data).square().mean()
    white = SureLoss()(net(data, noise=noise(rng, n, False)), target)[:, 0].mean() - 1.0
    assert abs(float(white - error)) > 0.1


def test_without_noise_the_network_just_answers():
    windows = torch.randn(4, 6)
    assert torch.equal(PerturbedNetwork(Clip(), PATCHES)(windows), Clip()(windows))


@pytest.mark.parametrize("sparsity", [1.0, 0.5])
def test_the_penalty_stands_beside_the_risk(sparsity):
    prediction = torch.tensor([[[2.0, -3.0], [0.5, 0.25]]])
    loss = SureLoss(sparsity)(prediction, torch.tensor([[[3.0, -1.0]]]))
    np.testing.assert_allclose(loss[0, 0], [1.0 + 1.0, 4.0 + 0.5])
    want = (np.array([4.0, 9.0]) + 1e-6) ** (sparsity / 2) - 1e-3**sparsity
    np.testing.assert_allclose(loss[0, 1], want, rtol=1e-5)


def test_autoencoder_terms():
    network = SpectraNetwork(torch.nn.Identity())
    loss = AutoencoderLoss()(network(torch.tensor([[1.0, 2.0]])), torch.tensor([[[3.0, 2.0]]]))
    assert loss.shape == (1, 2, 2)
    np.testing.assert_allclose(loss[0, 0], [4.0, 0.0])
    np.testing.assert_allclose(loss[0, 1], [0.999, 1.999], atol=1e-3)
