"""The level of the noise where lines are few, where emission fills the field, and on awkward cubes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from skastro.denoising.noise import NoiseLevel, estimate_noise, estimate_sigma


def noise_level(n_y, n_x, n_channels, ratio=2.5):
    """A map that varies by `ratio`, times a band 15 % noisier at its ends."""
    y, x = np.mgrid[:n_y, :n_x] / max(n_y, n_x)
    level = ratio ** (0.5 + 0.5 * np.sin(4 * y + 2) * np.cos(5 * x))
    profile = 1 + 0.15 * np.linspace(-1, 1, n_channels) ** 2
    return (0.2 * level[..., None] * profile).astype(np.float32)


def white(sigma, seed=0):
    return sigma * np.random.default_rng(seed).standard_normal(sigma.shape, dtype=np.float32)


def sparse_lines(shape, seed=0):
    """Two narrow lines of S/N up to 50 over half of the map."""
    rng = np.random.default_rng(seed)
    k, truth = np.arange(shape[-1]), np.zeros(shape, np.float32)
    for width, peak in ((1.0, 10.0), (4.0, 1.0)):
        weight = gaussian_filter(rng.standard_normal(shape[:2]), 5)
        weight = np.clip(weight / weight.std(), 0, None)[..., None]
        centre = shape[-1] * rng.uniform(0.3, 0.7) + gaussian_filter(
            40 * rng.standard_normal(shape[:2]), 4
        )
        truth += peak * weight * np.exp(-0.5 * ((k - centre[..., None]) / width) ** 2)
    return truth


def filling_emission(shape, peak, free=0.2, seed=0):
    """Emission everywhere on the map and over all but the fraction `free` of the channels."""
    rng = np.random.default_rng(seed)
    k, truth = np.arange(shape[-1]), np.zeros(shape, np.float32)
    low, high = 0.5 * free * shape[-1], (1 - 0.5 * free) * shape[-1]
    for width in rng.uniform(5, 15, 10):
        centre = rng.uniform(low + 2.5 * width, high - 2.5 * width)
        shift = width * gaussian_filter(5 * rng.standard_normal(shape[:2]), 4)
        height = peak * np.exp(gaussian_filter(5 * rng.standard_normal(shape[:2]), 4))
        offset = k - centre - shift[..., None]
        truth += height[..., None] * np.exp(-0.5 * (offset / width) ** 2)
    return truth


def rms_error(level, sigma):
    return np.sqrt(np.mean((level.sigma / sigma - 1) ** 2))


@pytest.mark.parametrize("lines", [False, True])
def test_sparse_cube_within_three_percent(lines):
    sigma = noise_level(48, 48, 240)
    truth = sparse_lines(sigma.shape) if lines else 0.0
    level = estimate_noise(truth + white(sigma))
    assert level.method == "sparse"
    assert level.map.shape == (48, 48) and level.spectrum.shape == (240,)
    assert level.map.dtype == level.spectrum.dtype == np.float32
    np.testing.assert_allclose(np.median(level.spectrum), 1.0, rtol=1e-6)
    assert rms_error(level, sigma) < 0.03
    # one by one, spectra cannot do better than 1 / sqrt(2 n)
    alone = estimate_noise(truth + white(sigma), smooth=0)
    assert 0.045 < rms_error(alone, sigma) < 0.06


@pytest.mark.parametrize("peak", [1.0, 10.0, 40.0])
@pytest.mark.parametrize("correlated", [False, True])
def test_filling_emission_within_ten_percent(peak, correlated):
    sigma = noise_level(24, 24, 300, ratio=1.6)
    noise = white(np.ones_like(sigma), seed=1)
    if correlated:
        noise = gaussian_filter1d(noise, 0.6, axis=-1)
        noise /= noise.std()
    cube = filling_emission(sigma.shape, peak) + sigma * noise
    level = estimate_noise(cube)
    assert level.method in ("filling", "mixed")
    assert rms_error(level, sigma) < 0.1
    # the usual estimate is off by a large factor
    mad = 1.4826 * np.median(np.abs(cube - np.median(cube, axis=-1, keepdims=True)), axis=-1)
    assert np.median(mad / level.map) > 2.5
    assert rms_error(estimate_noise(cube, emission="filling"), sigma) < 0.1


def test_no_channel_free_of_emission():
    sigma = noise_level(20, 20, 300, ratio=1.6)
    k = np.arange(300)
    pedestal = 3.0 + 2.0 * np.sin(k / 25)
    cube = filling_emission(sigma.shape, 5.0, free=0.0) + pedestal + white(sigma, seed=2)
    assert cube.min() > 0
    assert rms_error(estimate_noise(cube), sigma) < 0.1


def test_emission_by_hand():
    sigma = noise_level(16, 16, 120)
    cube = white(sigma)
    assert estimate_noise(cube, emission="sparse").method == "sparse"
    filling = estimate_noise(cube, emission="filling")
    assert filling.method == "filling"
    # also right where there is no line at all
    assert rms_error(filling, sigma) < 0.1


@pytest.mark.parametrize("offset", [-5.0, 300.0])
def test_continuum_left_in(offset):
    sigma = noise_level(20, 20, 120)
    cube = white(sigma) + offset * np.linspace(1, 2, 20, dtype=np.float32)[:, None]
    expected = estimate_noise(white(sigma))
    found = estimate_noise(cube)
    assert found.method == "sparse"
    np.testing.assert_allclose(found.sigma, expected.sigma, rtol=0.02)


def test_unit_does_not_matter():
    cube = white(noise_level(16, 16, 96)).astype(np.float64)
    expected = estimate_noise(cube)
    # W m-2 Hz-1 of a jansky, and the other end
    for unit in (1e-29, 1e-12, 1e12, 1e25):
        found = estimate_noise(unit * cube)
        np.testing.assert_allclose(found.map / np.float32(unit), expected.map, rtol=1e-3)


def test_blanks_are_carried_and_left_out():
    sigma = noise_level(24, 24, 120)
    cube = white(sigma)
    whole = estimate_noise(cube)
    cube[:4] = np.nan
    cube[10, 10, 30:70] = np.inf
    cube[..., 50] = np.nan
    cube[12, :, 100:] = 0.0
    level = estimate_noise(cube)
    np.testing.assert_array_equal(np.isnan(level.map), np.arange(24)[:, None] + np.zeros(24) < 4)
    assert np.isfinite(level.spectrum).all()
    np.testing.assert_allclose(level.map[4:], whole.map[4:], rtol=0.25)
    assert (
        rms_error(NoiseLevel(*(p[4:] if i == 0 else p for i, p in enumerate(level))), sigma[4:])
        < 0.06
    )


def test_spectra_of_padding_are_blank():
    cube = white(noise_level(10, 10, 60))
    cube[:, :3] = 0.0
    cube[:, 3] = 7.25
    level = estimate_noise(cube)
    assert np.isnan(level.map[:, :4]).all() and np.isfinite(level.map[:, 4:]).all()


def test_signal_mask_is_left_out():
    sigma = noise_level(16, 16, 96)
    cube = white(sigma)
    mask = np.zeros(cube.shape, dtype=bool)
    mask[..., 20:76] = True
    cube[mask] += np.random.default_rng(1).normal(0, 20, mask.sum())
    assert rms_error(estimate_noise(cube, signal_mask=mask), sigma) < 0.1


def test_table_row_by_row():
    sigma = noise_level(12, 12, 240)
    cube, table = white(sigma), white(sigma).reshape(-1, 240)
    level = estimate_noise(table)
    assert level.map.shape == (144,) and level.sigma.shape == (144, 240)
    alone = estimate_noise(cube, smooth=0)
    given = estimate_noise(table, spectrum=alone.spectrum, correlation=alone.correlation)
    np.testing.assert_allclose(given.map, alone.map.ravel(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 240), (1, 1, 240), (3, 1, 7), (2, 2)])
def test_few_spectra_or_channels(shape):
    rng = np.random.default_rng(0)
    level = estimate_noise(rng.normal(scale=3.0, size=shape))
    np.testing.assert_array_equal(level.spectrum, 1.0)
    if shape[-1] > 100:
        np.testing.assert_allclose(level.map, 3.0, rtol=0.15)
    assert level.map.shape == shape[:-1] and (level.map > 0).all()


def test_neighbours_in_a_beam():
    """Pixels much smaller than the beam: nothing to average, and no profile out of nothing."""
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.standard_normal((20, 20, 380)), (5, 5, 0), mode="wrap")
    level = estimate_noise(noise / noise.std())
    np.testing.assert_array_equal(level.spectrum, 1.0)
    np.testing.assert_allclose(np.median(level.map), 1.0, rtol=0.05)


def test_blocks_give_the_map_of_the_whole():
    sigma = noise_level(30, 16, 120)
    cube = filling_emission(sigma.shape, 5.0) * (np.arange(30) < 15)[:, None, None] + white(sigma)
    whole = estimate_noise(cube)
    parts = []
    for start in range(0, 30, 10):
        halo = slice(max(start - 1, 0), start + 11)
        part = estimate_noise(cube[halo], spectrum=whole.spectrum, correlation=whole.correlation)
        parts.append(part.map[start - halo.start :][:10])
    np.testing.assert_array_equal(np.concatenate(parts), whole.map)


def test_a_blank_block_is_no_error():
    level = estimate_noise(np.full((2, 3, 20), np.nan), spectrum=np.ones(20), correlation=[1.0])
    assert np.isnan(level.map).all()


def test_a_step_in_the_map_stays():
    sigma = np.ones((20, 20, 240), np.float32)
    sigma[:, 10:] = 2.0
    level = estimate_noise(white(sigma))
    np.testing.assert_allclose(level.map[:, 9].mean(), 1.0, rtol=0.03)
    np.testing.assert_allclose(level.map[:, 10].mean(), 2.0, rtol=0.03)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "i2"])
def test_forms_of_input(dtype, tmp_path):
    cube = (100 * white(noise_level(12, 12, 60))).astype(dtype)
    expected = estimate_noise(cube.astype("f4"))
    np.testing.assert_allclose(estimate_noise(cube).map, expected.map, rtol=1e-5)
    np.save(tmp_path / "cube.npy", cube)
    mapped = np.load(tmp_path / "cube.npy", mmap_mode="r")
    np.testing.assert_allclose(estimate_noise(mapped).map, expected.map, rtol=1e-5)


def test_sigma_is_map_times_spectrum():
    cube = white(noise_level(20, 20, 120))
    level, sigma = estimate_noise(cube), estimate_sigma(cube)
    assert sigma.dtype == np.float32 and sigma.shape == cube.shape
    np.testing.assert_array_equal(sigma, level.map[..., None] * level.spectrum)
    flat = estimate_sigma(cube, per_channel=False)
    assert flat.shape == cube.shape and flat.strides[-1] == 0


CUBE = np.random.default_rng(0).normal(size=(4, 5, 30))


@pytest.mark.parametrize(
    "cube, options, match",
    [
        (CUBE[..., :1], {}, r"cube has 1 channel\(s\), shape \(4, 5, 1\); expected at least 2"),
        (
            0 * CUBE,
            {},
            r"cube of shape \(4, 5, 30\) is constant along every spectrum: its noise is",
        ),
        (0 * CUBE + 3.3, {}, "is constant along every spectrum"),
        (np.nan * CUBE, {}, r"cube of shape \(4, 5, 30\) is blank everywhere \(NaN\); expected"),
        (CUBE[0, 0], {}, r"cube has shape \(30,\); expected"),
        (CUBE, {"signal_mask": np.ones(CUBE.shape, bool)}, "signal_mask leaves no line-free"),
        (CUBE, {"signal_mask": np.ones((4, 5), bool)}, r"signal_mask has shape \(4, 5\); expected"),
        (CUBE, {"emission": "HI"}, "emission='HI'; expected 'auto', 'sparse' or 'filling'"),
        (CUBE, {"n_iter": 0}, "n_iter=0; expected an integer of at least 1"),
        (CUBE, {"smooth": 0.5}, "smooth=0.5; expected an integer of at least 0"),
        (CUBE, {"spectrum": np.ones(29)}, r"spectrum has shape \(29,\); expected \(30,\)"),
        (CUBE, {"spectrum": np.zeros(30)}, "spectrum goes down to 0; expected more than 0"),
        (CUBE, {"correlation": np.ones((2, 2))}, r"correlation has shape \(2, 2\); expected"),
    ],
)
def test_bad_input(cube, options, match):
    with pytest.raises(ValueError, match=match) as error:
        estimate_noise(cube, **options)
    assert "\n" not in str(error.value)
