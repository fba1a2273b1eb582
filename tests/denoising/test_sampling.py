"""Pieces of a cube to learn from, and its windows of pure noise, against loops."""

import numpy as np
import pytest

from skastro.denoising.patches import Patches
from skastro.denoising.sampling import free_windows, read_sample, spread
from skastro.io import read_cube


def test_a_small_cube_is_read_whole():
    values = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    sample = read_sample(read_cube(values))
    np.testing.assert_array_equal(sample.values, values[None])
    np.testing.assert_array_equal(sample.part(values), values[None])


def test_pieces_lie_where_they_say_and_stay_within_the_memory():
    values = np.random.default_rng(0).normal(size=(150, 200, 12)).astype(np.float32)
    most = 300_000
    sample = read_sample(read_cube(values), most=most)
    assert len(sample.where) > 1 and sample.values.size <= most
    np.testing.assert_array_equal(sample.part(values), sample.values)
    rows, columns = zip(*sample.where, strict=True)
    assert {s.start for s in rows} >= {0} and max(s.stop for s in columns) == 200


@pytest.mark.parametrize(("n", "size", "count"), [(100, 10, 4), (100, 48, 9), (10, 10, 3)])
def test_starts_are_spread_and_do_not_overlap(n, size, count):
    starts = spread(n, size, count)
    assert starts[0] == 0 and starts[-1] + size <= n
    assert (np.diff(starts) >= size).all() and len(starts) == min(count, n // size)


@pytest.mark.parametrize(
    "patches",
    [
        Patches((2, 2, 4), (1, 2, 3)),
        Patches((2, 1, 3), (0, 0, 2)),
        Patches((2, 2, 2), (0, 0, 1), coarse_halo=(0, 0, 1)),
    ],
)
def test_free_windows_are_all_those_that_hold_nothing(patches):
    taken = np.random.default_rng(0).random((2, 14, 13, 24)) < 0.001
    reach = [*patches.halo]
    if patches.coarse_halo is not None:
        reach = [
            max(h, s * (c + 1))
            for h, s, c in zip(reach, patches.step, patches.coarse_halo, strict=True)
        ]
    want = []
    for piece, y, x, k in np.ndindex(taken.shape):
        low = [a - r for a, r in zip((y, x, k), reach, strict=True)]
        high = [a + t + r for a, t, r in zip((y, x, k), patches.tile, reach, strict=True)]
        inside = min(low) >= 0 and all(h <= n for h, n in zip(high, taken.shape[1:], strict=True))
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        if inside and not taken[(piece, *box)].any():
            want.append((piece, y, x, k))
    assert len(want) > 10
    np.testing.assert_array_equal(free_windows(taken, patches), want)


def test_no_window_fits_a_small_cube():
    assert free_windows(np.zeros((1, 3, 3, 5), bool), Patches((2, 2, 4), (2, 2, 4))).shape == (0, 4)
