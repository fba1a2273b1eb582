"""The gain without truth against the gain with it, and noise of a given correlation."""

import numpy as np
import pytest

from skastro.datasets import make_line_cube
from skastro.denoising import NoiseCorrelation, find_signal, noise_correlation
from skastro.denoising.baselines import GaussianSmoother, TotalVariationDenoiser, WaveletDenoiser
from skastro.denoising.recorruption import SEED, correlated_noise, estimate_gain

rng = np.random.default_rng(0)


def true_gain(denoise, line, amplitude):
    """The gain that `estimate_gain` is after, with the truth."""
    correlation = noise_correlation(line.cube, line.sigma)
    noise = correlated_noise(line.cube.shape, correlation, np.random.default_rng(SEED))
    noisier = line.cube + amplitude * line.sigma * noise
    where = find_signal(noisier, np.sqrt(1 + amplitude**2) * line.sigma)
    error = ((denoise(noisier) - line.truth) / line.sigma)[where]
    return 10 * np.log10((1 + amplitude**2) / np.mean(error**2))


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("amplitude", [0.5, 1.0])
@pytest.mark.parametrize(
    "denoiser", [GaussianSmoother(1.5), WaveletDenoiser(n_shifts=2), TotalVariationDenoiser(0.3)]
)
def test_gain_without_truth(kind, amplitude, denoiser):
    line = make_line_cube(kind, n_pixels=40, n_channels=80, random_state=1)
    denoiser.fit(line.cube, sigma=line.sigma)

    def denoise(noisy):
        return denoiser.transform(noisy, sigma=line.sigma)

    estimated = estimate_gain(denoise, line.cube, line.sigma, amplitude)
    assert estimated == pytest.approx(true_gain(denoise, line, amplitude), abs=0.8)


def test_methods_of_known_gain():
    line = make_line_cube("B", n_pixels=40, n_channels=60, random_state=0)
    for share, gain in ((1.0, 0.0), (0.7, 3.1), (0.5, 6.02)):
        found = estimate_gain(
            lambda noisy, share=share: share * noisy + (1 - share) * line.truth,
            line.cube, line.sigma,
        )  # fmt: skip
        assert found == pytest.approx(gain, abs=1.0)


def test_correlated_noise_is_not_taken_for_signal():
    line = make_line_cube("A", n_pixels=40, n_channels=60, random_state=0)
    smooth = GaussianSmoother(1.5).fit(line.cube).transform
    given = estimate_gain(smooth, line.cube, line.sigma)
    # the same data with white noise of that level: smoothing does much better there
    white = line.truth + line.sigma * rng.normal(size=line.cube.shape)
    assert estimate_gain(smooth, white.astype(np.float32), line.sigma) > given + 0.5


def test_noise_alone_counts_everywhere():
    noise = rng.normal(size=(60, 60, 60))
    found = estimate_gain(lambda noisy: 0.1 * noisy, noise, np.ones_like(noise))
    assert found == pytest.approx(20.0, abs=4.0)


def test_blanks_and_tables():
    line = make_line_cube("B", n_pixels=32, n_channels=60, random_state=0)
    cube = line.cube.copy()
    cube[:5] = np.nan
    smooth = GaussianSmoother().fit(cube).transform
    assert 5 < estimate_gain(smooth, cube, line.sigma) < 12
    table, sigma = line.cube.reshape(-1, 60), line.sigma.reshape(-1, 60)
    smooth = GaussianSmoother(3.0).fit(table).transform
    assert 1 < estimate_gain(smooth, table, sigma) < 6
    assert np.isfinite(estimate_gain(lambda x: 0.5 * x, table[:, :1], sigma[:, :1]))


def test_a_perfect_method_has_a_bounded_gain():
    line = make_line_cube("B", n_pixels=16, n_channels=60, random_state=0)
    found = estimate_gain(lambda noisy: line.truth, line.cube, line.sigma)
    assert 10 < found <= 40


@pytest.mark.parametrize("shape", [(40, 41, 42), (200, 1000), (64, 3, 2)])
def test_noise_has_the_correlation(shape):
    spectral = np.array([1.0, 0.4, 0.1, 0.0])
    sky = np.exp(-(np.hypot(*np.mgrid[-3:4, -3:4]) ** 2) / 1.2)
    noise = correlated_noise(shape, NoiseCorrelation(spectral, sky), np.random.default_rng(0))
    assert noise.shape == shape and noise.dtype == np.float32
    assert noise.std() == pytest.approx(1.0, abs=0.06)

    def lag(axis, n):
        return np.mean(noise * np.roll(noise, n, axis=axis))

    if shape[-1] > 8:
        np.testing.assert_allclose([lag(-1, k) for k in range(5)], [*spectral, 0.0], atol=0.03)
    if len(shape) == 2:
        assert abs(lag(0, 1)) < 0.01  # rows are apart
    elif shape[1] > 8:
        np.testing.assert_allclose([lag(0, 1), lag(1, 2)], [sky[4, 3], sky[3, 5]], atol=0.03)
