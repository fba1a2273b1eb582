"""MedianDenoiser against SciPy, and a median over the neighbours one by one around blanks."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from skastro.denoising.baselines import MedianDenoiser
from skastro.denoising.baselines import median as module

rng = np.random.default_rng(0)
CUBE = rng.normal(size=(7, 6, 15))


def by_hand(cube, sizes):
    half = [size // 2 for size in sizes]
    padded = np.pad(cube, [(h, h) for h in half], mode="symmetric")
    found = np.full_like(cube, np.nan)
    for place in np.ndindex(cube.shape):
        if not np.isnan(cube[place]):
            near = padded[tuple(slice(p, p + s) for p, s in zip(place, sizes, strict=True))]
            found[place] = np.nanmedian(near)
    return found


@pytest.mark.parametrize("size", [3, 5, (1, 3, 5)])
def test_without_blanks_it_is_scipys_filter(size):
    found = MedianDenoiser(size).fit_transform(CUBE)
    np.testing.assert_array_equal(found, median_filter(CUBE, size=size))


@pytest.mark.parametrize("sizes", [(3, 3, 3), (1, 3, 5), (5, 1, 1)])
@pytest.mark.parametrize("fraction", [0.05, 0.6])
@pytest.mark.parametrize("block", [None, 7])
def test_blanks_do_not_count(sizes, fraction, block, monkeypatch):
    if block:
        monkeypatch.setattr(module, "BLOCK", block)
    cube = np.where(rng.random(CUBE.shape) < fraction, np.nan, CUBE)
    found = MedianDenoiser(sizes).fit_transform(cube)
    np.testing.assert_array_equal(found, by_hand(cube, sizes))


def test_a_table_is_filtered_along_its_spectra_alone():
    table = np.where(rng.random((8, 20)) < 0.1, np.nan, rng.normal(size=(8, 20)))
    found = MedianDenoiser((7, 7, 3)).fit_transform(table)
    np.testing.assert_array_equal(found, by_hand(table, (1, 3)))


def test_a_voxel_alone_stays():
    cube = np.full((3, 3, 3), np.nan)
    cube[1, 1, 1] = 2.0
    np.testing.assert_array_equal(MedianDenoiser().fit_transform(cube), cube)


@pytest.mark.parametrize(
    "size, match",
    [
        (2, "size=2; expected odd numbers"),
        ((3, 3, 4), r"size=\(3, 3, 4\); expected odd numbers"),
        ((3, 3), r"size=\(3, 3\); expected one of the integers from 1, or three"),
        ((3, 3, 1.5), "expected one of the integers from 1"),
        (0, "'size' parameter of MedianDenoiser must be"),
    ],
)
def test_bad_sizes(size, match):
    with pytest.raises(ValueError, match=match):
        MedianDenoiser(size).fit(CUBE)
