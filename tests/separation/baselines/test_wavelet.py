"""The undecimated transform against its transfer function, and levels against closed forms."""

import numpy as np
import pytest

from skastro.datasets import make_mixture
from skastro.separation.baselines import WaveletThresholding
from skastro.separation.baselines.wavelet import starlet


def transfer(shape, n_scales):
    """Of each scale: the taps (1, 4, 6, 4, 1) / 16 have cos^4 along each axis."""
    axes = [np.fft.fftfreq(n) for n in shape]
    low = [np.ones(shape)]
    for j in range(n_scales):
        rows, columns = (np.cos(np.pi * 2**j * f) ** 4 for f in axes)
        low.append(low[-1] * rows[:, None] * columns)
    return [a - b for a, b in zip(low, low[1:], strict=False)] + [low[-1]]


@pytest.mark.parametrize("shape", [(32, 32), (17, 24)])
def test_transfer_function(shape):
    x = np.random.default_rng(0).normal(size=(2, *shape))
    for found, gain in zip(starlet(x, 3), transfer(shape, 3), strict=True):
        expected = np.fft.ifft2(np.fft.fft2(x) * gain).real
        np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
def test_scales_add_up(boundary):
    x = np.random.default_rng(0).normal(size=(17, 24))
    np.testing.assert_allclose(sum(starlet(x, 3, boundary)), x, atol=1e-13)


def test_reflection_is_a_period_of_mirror_images():
    x = np.random.default_rng(0).normal(size=(17, 24))
    full = np.concatenate([x, x[-2:0:-1]], axis=0)
    full = np.concatenate([full, full[:, -2:0:-1]], axis=1)
    for found, whole in zip(starlet(x, 3, "reflect"), starlet(full, 3), strict=True):
        np.testing.assert_allclose(found, whole[:17, :24], atol=1e-13)


def test_levels_of_white_noise():
    C = 2.0 * np.random.default_rng(0).normal(size=(50, 32, 32))
    model = WaveletThresholding(n_scales=3).fit(C)
    expected = [2.0 * np.sqrt(np.mean(gain**2)) for gain in transfer((32, 32), 3)[:3]]
    np.testing.assert_allclose(model.sigma_.ravel(), expected, rtol=0.02)
    assert model.sigma_.shape == (3, 1, 1, 1)
    local = WaveletThresholding(n_scales=3, local=True).fit(C)
    assert local.sigma_.shape == (3, 1, 32, 32)
    np.testing.assert_allclose(np.mean(local.sigma_**2, axis=(1, 2, 3)), model.sigma_.ravel() ** 2)


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_thresholds_by_hand(mode):
    rng = np.random.default_rng(0)
    C, D = rng.normal(size=(9, 16, 16)), 2 * rng.normal(size=(2, 16, 16))
    model = WaveletThresholding(1.5, mode=mode, n_scales=2).fit(C)
    found = model.transform(D)
    x = D - C.mean()
    levels = [
        np.sqrt(np.mean([list(starlet(c, 2))[j] ** 2 for c in C - C.mean()])) for j in range(2)
    ]
    expected = list(starlet(x, 2))[-1]
    for one, level in zip(starlet(x, 2), levels, strict=False):
        kept = np.where(np.abs(one) > 1.5 * level, one, 0.0)
        if mode == "soft":
            kept -= np.sign(kept) * 1.5 * level
        expected = expected + kept
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_no_threshold_changes_nothing():
    mix = make_mixture("white", n_pixels=32, random_state=0)
    for mode in ("hard", "soft"):
        model = WaveletThresholding(0.0, mode=mode).fit(mix.samples)
        np.testing.assert_allclose(
            model.transform(mix.mixture), mix.mixture - model.mean_[0], atol=1e-5
        )


def test_better_than_the_mixture_and_local_better_where_noise_varies():
    mix = make_mixture("inhomogeneous", n_pixels=128, random_state=0)
    one = WaveletThresholding(boundary="reflect").fit(mix.samples)
    local = WaveletThresholding(boundary="reflect", local=True).fit(mix.samples)
    scores = [model.score(mix.mixture, mix.signal) for model in (one, local)]
    assert -1.0 < 1.2 * scores[0] < scores[0] < 1.1 * scores[1]


def test_bad_scales():
    C = np.random.default_rng(0).normal(size=(3, 16, 20))
    with pytest.raises(
        ValueError, match="n_scales=4 for maps of 16 x 20 pixels; expected at most 3"
    ):
        WaveletThresholding(n_scales=4).fit(C)
    assert len(WaveletThresholding(n_scales=3).fit(C).sigma_) == 3
    with pytest.raises(ValueError, match="n_scales=1 for maps of 2 x 2 pixels; expected at most 0"):
        WaveletThresholding().fit(C[:, :2, :2])
    for parameters in ({"mode": "garrote"}, {"threshold": -1}, {"n_scales": 0}, {"boundary": "x"}):
        with pytest.raises(ValueError, match=list(parameters)[0]):
            WaveletThresholding(**parameters).fit(C)
