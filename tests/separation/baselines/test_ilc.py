"""Weights against a constrained minimum, and recovery in closed form."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skastro.datasets import make_mixture
from skastro.separation.baselines import ILC
from skastro.separation.baselines.ilc import _weights

MIXING = np.array([1.0, 0.5, -2.0])


def channels(n=4, noise=0.3, side=32, seed=0):
    """Three channels with a common contaminant and noise of their own: samples, mixtures, truth."""
    mix = make_mixture("cib", n_pixels=side, n_samples=n + 10, random_state=seed)
    rng = np.random.default_rng(seed)
    colours = np.array([1.0, 2.0, 1.5])[:, None, None]
    C = colours * mix.samples[:, None].astype(float)
    C = C + noise * rng.normal(size=C.shape)
    truth = np.repeat(mix.signal.astype(float), n, axis=0)
    return C[n:], MIXING[:, None, None] * truth[:, None] + C[:n], truth


def test_weights_are_the_minimum():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 5))
    covariance = a @ a.T
    found = _weights(covariance, MIXING)
    best = minimize(
        lambda w: w @ covariance @ w,
        MIXING / (MIXING @ MIXING),
        constraints={"type": "eq", "fun": lambda w: w @ MIXING - 1},
        tol=1e-14,
    )
    np.testing.assert_allclose(found, best.x, atol=1e-6)
    assert found @ MIXING == pytest.approx(1.0, abs=1e-12)
    # of two independent channels: inverse variances
    found = _weights(np.diag([1.0, 4.0]), np.ones(2))
    np.testing.assert_allclose(found, [0.8, 0.2], atol=1e-9)
    # in any unit
    scale = np.array([1e-8, 1.0, 1e6])
    scaled = _weights(covariance * scale * scale[:, None], MIXING * scale)
    np.testing.assert_allclose(scaled * scale, _weights(covariance, MIXING), rtol=1e-6)


@pytest.mark.parametrize("covariance", ["mixture", "contamination"])
@pytest.mark.parametrize("n_bins", [1, 4])
def test_signal_alone_is_left_as_it_is(covariance, n_bins):
    C, _, truth = channels()
    D = MIXING[:, None, None] * truth[:, None] + C.mean(axis=(0, 2, 3))[:, None, None]
    model = ILC(MIXING, covariance=covariance, n_bins=n_bins).fit(C)
    np.testing.assert_allclose(model.transform(D), truth, atol=1e-6)


@pytest.mark.parametrize("covariance", ["mixture", "contamination"])
def test_one_ring_by_hand(covariance):
    C, D, truth = channels()
    model = ILC(MIXING, covariance=covariance).fit(C)
    found = model.transform(D)
    centred = D - C.mean(axis=(0, 2, 3))[:, None, None]

    def channel_covariance(maps):
        flat = maps - maps.mean(axis=(1, 2), keepdims=True)
        flat = flat.reshape(3, -1)
        return flat @ flat.T

    for i, d in enumerate(centred):
        if covariance == "mixture":
            r = channel_covariance(d)
        else:
            r = sum(channel_covariance(c) for c in C)
        w = np.linalg.solve(r, MIXING)
        w /= w @ MIXING
        np.testing.assert_allclose(found[i], np.tensordot(w, d, 1), atol=1e-6)
        if covariance == "contamination":
            np.testing.assert_allclose(model.weights_, [w], rtol=1e-6)
    if covariance == "mixture":
        assert model.weights_ is None
    # better than the best single channel
    best = min(np.mean((centred[:, c] / MIXING[c] - truth) ** 2) for c in range(3))
    assert np.mean((found - truth) ** 2) < 0.8 * best


def test_rings_have_their_own_weights():
    """Noise of one channel at large scales, of the other at small ones: each where it is better."""
    rng = np.random.default_rng(0)
    side = 32
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    noise = np.fft.rfft2(rng.normal(size=(40, 2, side, side)))
    noise[:, 0] *= np.where(k < 0.2, 1.0, 0.1)
    noise[:, 1] *= np.where(k < 0.2, 0.1, 1.0)
    C = np.fft.irfft2(noise, s=(side, side))
    truth = rng.normal(size=(20, side, side))
    D = truth[:, None] + C[:20]
    scores = [
        ILC([1.0, 1.0], covariance="contamination", n_bins=n).fit(C[20:]).score(D, truth)
        for n in (1, 8)
    ]
    assert scores[1] > 0.5 * scores[0]


def test_a_contaminant_without_noise_is_removed():
    C, D, truth = channels(noise=0.0)
    found = ILC(MIXING, covariance="contamination").fit(C).transform(D)
    # the mean of each map is not in the mean over samples
    np.testing.assert_allclose(found, truth, atol=1e-4)


def test_chance_correlations_take_away_signal():
    """Of the order of (n_channels - 1) / modes: twice as many channels as modes would leave nothing."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 8, 8))
    D = truth[:, None] + rng.normal(size=(400, 3, 8, 8))
    found = ILC(np.ones(3)).fit(rng.normal(size=(4, 3, 8, 8)) * 1.0).transform(D)
    kept = np.mean(found * truth) / np.mean(truth**2)
    assert kept == pytest.approx(1 - 2 / 63, abs=0.02) and kept < 0.985


@pytest.mark.parametrize(
    "mixing, message",
    [
        ([1.0, 2.0], r"mixing has shape \(2,\); expected \(3,\), one a channel of C"),
        ([0.0, 0.0, 0.0], r"mixing=\[0.0, 0.0, 0.0\]; expected finite numbers, at least one"),
        ([1.0, np.nan, 1.0], "mixing=.*nan"),
        ([[1.0, 1.0, 1.0]], r"mixing has shape \(1, 3\)"),
    ],
)
def test_bad_mixing(mixing, message):
    with pytest.raises(ValueError, match=message):
        ILC(mixing).fit(channels()[0])


def test_maps_without_channels():
    C = channels()[0]
    with pytest.raises(ValueError, match=r"C has shape \(10, 32, 32\); expected \(n, n_channels"):
        ILC([1.0]).fit(C[:, 0])
    with pytest.raises(ValueError, match="covariance"):
        ILC(MIXING, covariance="data").fit(C)
    with pytest.raises(ValueError, match="n_bins"):
        ILC(MIXING, n_bins=0).fit(C)
