"""Tiles with a halo give what the whole array gives."""

import numpy as np
import pytest
from scipy import ndimage

from skastro.blocks import map_tiles, row_tiles, rows_within, tiles
from skastro.io import read_cube

CUBE = np.random.default_rng(0).normal(size=(23, 17, 6)).astype(np.float32)


def spread(cube):
    """Reaches two rows and three columns away, to the last bit the same in every tile."""
    return ndimage.maximum_filter(cube, size=(5, 7, 1), mode="nearest")


def shrink(cube, sigma):
    """Another length of the last axis, with a second array."""
    return (spread(cube) / sigma)[..., :2]


@pytest.mark.parametrize(
    "n_rows, block_rows, halo", [(10, 3, 0), (10, 3, 2), (7, 7, 4), (5, 9, 1), (6, 1, 8)]
)
def test_row_tiles(n_rows, block_rows, halo):
    rows = np.arange(n_rows)
    covered = []
    for outer, inner, within in row_tiles(n_rows, block_rows, halo):
        assert list(rows[outer][within]) == list(rows[inner])
        assert len(rows[inner]) <= block_rows
        covered.extend(rows[inner])
        assert outer.start == max(0, inner.start - halo)
        assert outer.stop == min(n_rows, inner.stop + halo)
    assert covered == list(rows)


@pytest.mark.parametrize("size, halo", [(4, 0), (4, 3), ((5, 17), (1, 2)), (100, 5)])
def test_tiles(size, halo):
    count = np.zeros((23, 17), dtype=int)
    index = np.arange(count.size).reshape(count.shape)
    for outer, inner, within in tiles(CUBE.shape, size, halo):
        np.testing.assert_array_equal(index[outer][within], index[inner])
        count[inner] += 1
    assert (count == 1).all()


def test_rows_within():
    assert rows_within(100, 30) == 3
    assert rows_within(10, 30) == 1
    assert rows_within(2.5e9, 1e3) == 2500000


@pytest.mark.parametrize("size, halo", [(4, 2), (23, 0), ((4, 5), (2, 3)), ((30, 6), 3), (None, 0)])
def test_tiles_give_what_the_whole_array_gives(size, halo, tmp_path):
    expected = spread(CUBE)
    stored = np.memmap(tmp_path / "a", dtype=">f4", mode="w+", shape=CUBE.shape)
    stored[:] = CUBE
    for array in (CUBE, stored, np.asfortranarray(CUBE), read_cube(CUBE), read_cube(stored)):
        found = map_tiles(spread, array, size=size, halo=halo)
        np.testing.assert_array_equal(found, expected)
        assert type(found) is np.ndarray and found.dtype == np.float32 and found.dtype.isnative


def test_a_halo_that_is_too_small_is_seen():
    assert (map_tiles(spread, CUBE, size=4, halo=1) != spread(CUBE)).any()
    assert (map_tiles(spread, CUBE, size=(23, 4), halo=(2, 2)) != spread(CUBE)).any()


@pytest.mark.parametrize("size, halo", [(5, 2), ((6, 4), (2, 3))])
@pytest.mark.parametrize("shape", [CUBE.shape, (23, 17, 1), (1, 1, 6), (23, 1, 1)])
def test_other_arrays_are_cut_alike(size, halo, shape):
    sigma = np.random.default_rng(1).uniform(1, 2, shape).astype(">f4")
    found = map_tiles(shrink, CUBE, sigma, size=size, halo=halo)
    np.testing.assert_array_equal(found, shrink(CUBE, sigma))


def test_the_result_is_written_where_asked():
    out = np.full(CUBE.shape, np.nan)
    assert map_tiles(spread, CUBE, size=5, halo=2, out=out) is out
    np.testing.assert_array_equal(out, spread(CUBE))
    assert map_tiles(spread, CUBE, size=5, halo=2, dtype=np.float64).dtype == np.float64


def test_a_table_of_spectra():
    table = CUBE.reshape(-1, 6)
    np.testing.assert_array_equal(map_tiles(np.negative, table, size=50), -table)


@pytest.mark.parametrize("size, halo", [(4, 2), (23, 0), ((4, 5), (2, 3)), ((30, 6), 3)])
@pytest.mark.parametrize("chunks", [(23, 17, 6), (5, 17, 6), (7, 4, 2)])
def test_dask_arrays(size, halo, chunks):
    da = pytest.importorskip("dask.array")
    calls = []

    def noted(tile):
        calls.append(tile.shape)
        return spread(tile)

    lazy = map_tiles(noted, da.from_array(CUBE.astype(">f4"), chunks=chunks), size=size, halo=halo)
    assert isinstance(lazy, da.Array) and lazy.shape == CUBE.shape and lazy.dtype == np.float32
    assert calls == []
    np.testing.assert_array_equal(lazy.compute(), spread(CUBE))
    calls.clear()
    np.testing.assert_array_equal(lazy[:2].compute(), spread(CUBE)[:2])
    # only the tiles that hold these rows
    assert len(calls) == (1 if isinstance(size, int) else -(-17 // size[1]))


def test_dask_arrays_with_others():
    da = pytest.importorskip("dask.array")
    sigma = np.random.default_rng(1).uniform(1, 2, (23, 17, 1)).astype(np.float32)
    lazy = da.from_array(CUBE, chunks=(6, 17, 6))
    for cube, noise in ((lazy, sigma), (lazy, da.from_array(sigma)), (CUBE, da.from_array(sigma))):
        found = map_tiles(shrink, cube, noise, size=5, halo=2, n_last=2, dtype=np.float64)
        assert found.shape == (23, 17, 2) and found.dtype == np.float64
        np.testing.assert_array_equal(found.compute(), shrink(CUBE, sigma))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: row_tiles(0, 3), "n_rows=0: expected an integer of at least 1"),
        (lambda: row_tiles(5, 0), "block_rows=0: expected an integer of at least 1"),
        (lambda: row_tiles(5, 2.5), "block_rows=2.5: expected an integer of at least 1"),
        (lambda: row_tiles(5, 2, -1), "halo=-1: expected an integer of at least 0"),
        (lambda: tiles((5, 5), (1, 2, 3)), r"size=\(1, 2, 3\): expected one integer or two"),
        (lambda: tiles((5, 5), (1, 0)), "expected an integer of at least 1"),
        (lambda: rows_within(0, 5), "budget_bytes=0: expected a positive number"),
        (lambda: rows_within(5, -1), "bytes_per_row=-1: expected a positive number"),
        (lambda: rows_within(np.nan, 1), "budget_bytes=nan: expected a positive number"),
        (
            lambda: map_tiles(shrink, CUBE, CUBE[1:], size=5),
            r"others\[0\] has shape \(22, 17, 6\); expected the first axes of \(23, 17, 6\), or 1",
        ),
        (
            lambda: map_tiles(lambda tile: tile[1:], CUBE, size=20),
            r"function returned shape \(19, 17, 6\) for a tile of first axes \(20,\) of \(23, 17, 6\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_input_with_dask():
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(CUBE)
    with pytest.raises(ValueError, match="out is given for a dask array; expected None"):
        map_tiles(spread, lazy, size=5, out=np.empty(CUBE.shape))
    wrong = map_tiles(shrink, lazy, CUBE, size=5)
    with pytest.raises(ValueError, match="function returned a last axis of 2; expected 6"):
        wrong.compute()
