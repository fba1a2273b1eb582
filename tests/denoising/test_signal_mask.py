"""The signal mask against loops, on synthetic lines, on blanks, and row by row on tables."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import convolve

from skastro.datasets import line_cube
from skastro.denoising.signal_mask import dilate, false_fraction, find_signal, smoothed_noise


def spot(shape, centre, width, peak):
    """A Gaussian blob."""
    axes = np.ogrid[tuple(map(slice, shape))]
    return peak * np.exp(
        -0.5 * sum(((a - c) / w) ** 2 for a, c, w in zip(axes, centre, width, strict=True))
    )


def by_loops(cube, sigma, low, high, smooth, least, scale=None):
    """The same mask in float64, one component at a time."""
    reach = int(3 * smooth + 0.5)
    k = np.exp(-0.5 * (np.arange(-reach, reach + 1) / smooth) ** 2)
    k /= k.sum()
    kernel = k[:, None, None] * k[:, None] * k
    valid = np.isfinite(cube)
    z = np.where(valid, cube, 0.0) / sigma
    noise = np.sqrt(convolve(valid.astype(float), kernel**2, "same", "direct"))
    z = convolve(z, kernel, "same", "direct") / np.maximum(noise, 1e-30)
    z[~valid] = 0.0
    if scale is None:
        scale = 1.4826 * np.median(-z[z < 0])
    labels, n_labels = ndimage.label(z > low * scale)
    mask = np.zeros(cube.shape, dtype=bool)
    for i in range(1, n_labels + 1):
        inside = labels == i
        if inside.sum() >= least and z[inside].max() > high * scale:
            mask |= inside
    return mask


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    cube = rng.normal(scale=0.5, size=(14, 15, 40))
    sigma = np.full(cube.shape, 0.5)
    cube += spot(cube.shape, (4, 5, 12), (2, 1.5, 2), 3.0) + spot(
        cube.shape, (10, 9, 30), (1, 1, 4), 2
    )
    # a single hot voxel
    cube[12, 2, 5] += 12.0
    return cube, sigma


@pytest.mark.parametrize("blank", ["none", "spectra", "voxels"])
def test_against_loops(small, blank):
    cube, sigma = small[0].copy(), small[1]
    if blank == "spectra":
        cube[:3] = np.nan
    elif blank == "voxels":
        cube[:, :4, :9] = np.nan
        cube[np.random.default_rng(0).random(cube.shape) < 0.05] = np.nan
    options = {"low": 2.0, "high": 4.0, "smooth": 1.0}
    expected = by_loops(cube, sigma, least=8, **options)
    found = find_signal(cube, sigma, min_voxels=8, n_dilate=0, **options)
    assert 30 < expected.sum() < 1000
    np.testing.assert_array_equal(found, expected)
    grown = ndimage.binary_dilation(expected) & np.isfinite(cube)
    np.testing.assert_array_equal(find_signal(cube, sigma, min_voxels=8, **options), grown)


def test_minimal_volume(small):
    cube, sigma = small
    # the hot voxel alone, unsmoothed
    loose = find_signal(cube, sigma, smooth=0.0, high=6.0, min_voxels=1, n_dilate=0)
    strict = find_signal(cube, sigma, smooth=0.0, high=6.0, min_voxels=30, n_dilate=0)
    assert loose[12, 2, 5] and not strict[12, 2, 5]
    assert (strict <= loose).all() and strict[4, 5, 12]
    # a beam of 4 pixels: pi / (4 ln 2) 16 x 2 channels = 36.3 voxels
    for beam in (4.0, (8.0, 2.0)):
        expected = find_signal(cube, sigma, smooth=0.0, high=6.0, min_voxels=37, n_dilate=0)
        found = find_signal(cube, sigma, smooth=0.0, high=6.0, n_dilate=0, beam=beam)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["A", "B"])
def test_recall_on_a_line_cube(kind):
    data = line_cube.make_line_cube(kind, n_pixels=48, random_state=5)
    mask = find_signal(data.cube, data.sigma)
    snr = data.truth / data.sigma
    assert mask[snr > 3].mean() > 0.998
    assert mask[(snr > 0.5) & (snr <= 3)].mean() > 0.94
    assert mask[snr < 0.01].mean() < 0.004
    assert false_fraction(data.cube, data.sigma) < 0.001


@pytest.mark.parametrize("fwhm", [0.0, 1.5, 4.0])
def test_no_signal_in_noise_however_correlated(fwhm):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((40, 40, 100))
    noise = ndimage.gaussian_filter(noise, (fwhm / 2.355, fwhm / 2.355, 0.5), mode="wrap")
    noise /= noise.std()
    assert find_signal(noise, 1.0).mean() < 0.001
    assert smoothed_noise(noise, 1.0) > (1.5 if fwhm else 1.0)


def test_noise_is_the_same_beside_blanks_and_borders():
    """S/N of 4.5 sigma in the smoothed cube is as rare in a corner as in the middle."""
    rng = np.random.default_rng(0)
    cubes = rng.standard_normal((400, 5, 6, 7))
    cubes[:, 2:4, 3] = np.nan
    cubes[:, 1, 1, 2:5] = np.nan
    scales = [smoothed_noise(one, 1.0) for one in cubes]
    np.testing.assert_allclose(np.mean(scales), 1.0, atol=0.05)


def test_blanks_are_never_signal(small):
    cube, sigma = small[0].copy(), small[1].copy()
    cube[4, 5] = np.nan
    sigma[10, 9] = np.nan
    mask = find_signal(cube, sigma, high=4.0)
    assert not mask[4, 5].any() and not mask[10, 9].any()
    assert mask[4, 4].any() and mask[10, 8].any()


def test_negated_cube_holds_the_false():
    rng = np.random.default_rng(0)
    cube = rng.standard_normal((20, 20, 60))
    cube += spot(cube.shape, (10, 10, 20), (2, 2, 3), 6.0)
    assert false_fraction(cube, 1.0) == 0.0
    # absorption, of the same size
    negative = cube - 2 * spot(cube.shape, (10, 10, 20), (2, 2, 3), 6.0)
    expected = find_signal(cube, 1.0).mean()
    assert abs(false_fraction(negative, 1.0) - expected) < 0.3 * expected
    # a fraction of what is not blank
    blank = negative.copy()
    blank[:, :5] = np.nan
    np.testing.assert_allclose(
        false_fraction(blank, 1.0), false_fraction(negative, 1.0) * 20 / 15, rtol=0.1
    )


def test_scale_of_the_whole_in_blocks(small):
    cube, sigma = small
    scale = smoothed_noise(cube, sigma)
    whole = find_signal(cube, sigma, high=4.0, scale=scale)
    np.testing.assert_array_equal(whole, find_signal(cube, sigma, high=4.0))
    assert find_signal(cube, sigma, high=4.0, scale=2 * scale).sum() < whole.sum()


def table_of_lines(n_spectra=40):
    rng = np.random.default_rng(0)
    table = rng.standard_normal((n_spectra, 120)).astype(np.float32)
    table[::2] += spot((120,), (60,), (3,), 8.0).astype(np.float32)
    table[4, 20:40] = np.nan
    table[7] = np.nan
    return table


def test_rows_of_a_table_do_not_see_each_other():
    table = table_of_lines()
    mask = find_signal(table, 1.0)
    alone = [find_signal(row[None], 1.0)[0] for row in table if np.isfinite(row).any()]
    np.testing.assert_array_equal(np.delete(mask, 7, axis=0), alone)
    assert mask[::2, 58:63].all() and not mask[7].any()
    assert mask[1::2].mean() < 0.01
    order = np.random.default_rng(1).permutation(len(table))
    np.testing.assert_array_equal(find_signal(table[order], 1.0), mask[order])


def test_a_spike_is_too_short_a_run():
    table = np.random.default_rng(0).standard_normal((10, 100))
    table[3, 50] += 15.0
    options = {"smooth": 0.0, "n_dilate": 0, "low": 4.0, "high": 6.0}
    assert not find_signal(table, 1.0, **options).any()
    np.testing.assert_array_equal(
        np.argwhere(find_signal(table, 1.0, min_voxels=1, **options)), [[3, 50]]
    )


@pytest.mark.parametrize("n", [0, 1, 3])
def test_dilation_against_scipy(n):
    mask = np.random.default_rng(0).random((9, 8, 20)) < 0.01
    expected = ndimage.binary_dilation(mask, iterations=n) if n else mask
    before = mask.copy()
    grown = dilate(mask, n)
    np.testing.assert_array_equal(grown, expected)
    np.testing.assert_array_equal(mask, before)
    assert not np.shares_memory(grown, mask)
    rows = ndimage.binary_dilation(mask[0], np.ones((1, 3)), iterations=n) if n else mask[0]
    np.testing.assert_array_equal(dilate(mask[0], n), rows)


CUBE = np.random.default_rng(0).normal(size=(4, 5, 30))


@pytest.mark.parametrize(
    "cube, sigma, options, match",
    [
        (CUBE, 0.0, {}, "sigma is 0 at 1 of 1 places; expected positive"),
        (CUBE, -(CUBE**2), {}, "sigma is -.* at 600 of 600 places; expected positive"),
        (
            CUBE,
            np.ones((5, 4)),
            {},
            r"sigma has shape \(5, 4\); expected a scalar, \(30,\), \(4, 5\)",
        ),
        (np.nan * CUBE, 1.0, {}, r"cube of shape \(4, 5, 30\) or its sigma is blank everywhere"),
        (CUBE[0, 0], 1.0, {}, r"cube has shape \(30,\); expected"),
        (CUBE, 1.0, {"low": 6.0}, "low=6.0 is above high=5.0; expected low <= high"),
        (CUBE, 1.0, {"high": np.nan}, "high=nan; expected a number of at least 0"),
        (CUBE, 1.0, {"smooth": -1.0}, "smooth=-1.0; expected a number of at least 0"),
        (CUBE, 1.0, {"min_voxels": 0}, "min_voxels=0; expected an integer of at least 1"),
        (CUBE, 1.0, {"n_dilate": 1.5}, "n_dilate=1.5; expected an integer of at least 0"),
        (CUBE, 1.0, {"beam": (1.0, 2.0, 3.0)}, "beam=.*; expected its FWHM in pixels, or a pair"),
        (CUBE, 1.0, {"beam": 0.0}, "beam=0.0; expected its FWHM in pixels"),
        (CUBE, 1.0, {"scale": 0.0}, "scale=0.0; expected None or a positive number"),
    ],
)
def test_bad_input(cube, sigma, options, match):
    for function in (find_signal, false_fraction):
        with pytest.raises(ValueError, match=match) as error:
            function(cube, sigma, **options)
        assert "\n" not in str(error.value)


def test_masks_that_cannot_be_dilated():
    with pytest.raises(ValueError, match="mask has dtype float64 and shape"):
        dilate(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="n_dilate=-1; expected an integer of at least 0"):
        dilate(np.zeros((2, 3), dtype=bool), -1)
