"""Tiles with a halo over arrays in memory, memory maps and dask arrays."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from skastro.validation import native

__all__ = ["Tile", "map_tiles", "row_tiles", "rows_within", "tiles"]


class Tile(NamedTuple):
    """A tile, and the margin that has to be read around it.

    Attributes
    ----------
    outer : slice or tuple of slices
        What to read: the tile and its halo, cut at the border of the array.
    inner : slice or tuple of slices
        The tile itself, in the array. The inner ones cover it once.
    within : slice or tuple of slices
        The tile itself, in what was read.
    """

    outer: slice | tuple
    inner: slice | tuple
    within: slice | tuple


def _check(name, value, least):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: expected an integer of at least {least}.")
    return int(value)


def row_tiles(n_rows, block_rows, halo=0):
    """Cut rows into blocks with a margin on both sides.

    Parameters
    ----------
    n_rows : int
        Rows of the array.
    block_rows : int
        Rows of a block without its halo; the last may have fewer.
    halo : int, default=0
        Rows of the margin.

    Yields
    ------
    tile : Tile
        Of slices.

    Raises
    ------
    ValueError
        `n_rows` or `block_rows` below 1, `halo` below 0.

    Examples
    --------
    >>> from skastro.blocks import row_tiles
    >>> for outer, inner, within in row_tiles(5, 3, halo=1):
    ...     print(outer, inner, within)
    slice(0, 4, None) slice(0, 3, None) slice(0, 3, None)
    slice(2, 5, None) slice(3, 5, None) slice(1, 3, None)
    """
    _check("n_rows", n_rows, 1), _check("block_rows", block_rows, 1), _check("halo", halo, 0)
    return _row_tiles(n_rows, block_rows, halo)


def _row_tiles(n_rows, block_rows, halo):
    for start in range(0, n_rows, block_rows):
        stop = min(start + block_rows, n_rows)
        first = max(start - halo, 0)
        yield Tile(
            slice(first, min(stop + halo, n_rows)),
            slice(start, stop),
            slice(start - first, stop - first),
        )


def tiles(shape, size, halo=0):
    """Cut the sky into tiles with a margin around.

    Parameters
    ----------
    shape : tuple of two ints
        (n_y, n_x); further axes are left whole.
    size : int or tuple of two ints
        Rows and columns of a tile without its halo.
    halo : int or tuple of two ints, default=0

    Yields
    ------
    tile : Tile
        Of pairs of slices, row by row.

    Raises
    ------
    ValueError
        Numbers below 1 (0 for `halo`), or other than two.

    Examples
    --------
    >>> from skastro.blocks import tiles
    >>> [tile.inner for tile in tiles((4, 6), 4)]
    [(slice(0, 4, None), slice(0, 4, None)), (slice(0, 4, None), slice(4, 6, None))]
    """
    pairs = []
    for name, value in (("size", size), ("halo", halo)):
        pair = (value, value) if np.ndim(value) == 0 else tuple(value)
        if len(pair) != 2:
            raise ValueError(f"{name}={value!r}: expected one integer or two.")
        pairs.append(pair)
    sizes, halos = pairs
    # lists, so that a wrong number is refused before the first tile
    rows, columns = (list(row_tiles(shape[i], sizes[i], halos[i])) for i in (0, 1))
    return (Tile(*zip(row, column, strict=True)) for row in rows for column in columns)


def rows_within(budget_bytes, bytes_per_row):
    """Number of rows that fit into a budget of memory, at least one.

    Parameters
    ----------
    budget_bytes : float
    bytes_per_row : float

    Returns
    -------
    n_rows : int

    Raises
    ------
    ValueError
        Numbers that are not positive.

    Examples
    --------
    >>> from skastro.blocks import rows_within
    >>> rows_within(1e6, 300e3), rows_within(1e6, 2e6)
    (3, 1)
    """
    for name, value in (("budget_bytes", budget_bytes), ("bytes_per_row", bytes_per_row)):
        if not value > 0:
            raise ValueError(f"{name}={value!r}: expected a positive number of bytes.")
    return max(1, int(budget_bytes // bytes_per_row))


def map_tiles(function, array, *others, size=None, halo=0, out=None, dtype=None, n_last=None):
    """Apply a function tile by tile, with the result that it has on the whole array.

    It is the same where an output row and column depends on the input at most `halo` rows and columns
    away, and where the function treats the border of a tile as it does that of the array: tiles end
    where the array ends.

    Parameters
    ----------
    function : callable
        Of tiles of `array` and of `others`, in the byte order of the machine; returns an array with the
        same first axes (the first, or the first two where `size` is a pair).
    array : ndarray, memmap, dask array or LineCube
        Of a `LineCube`, tiles come as float32.
    *others : ndarray, memmap or dask array
        With the same first axes, or 1 there, such as a map of noise; cut alike.
    size : int or tuple of two ints, optional
        Rows of a tile, or rows and columns. None: some 64 MB of rows.
    halo : int or tuple of two ints, default=0
    out : array or CubeWriter, optional
        Where to write, by ``out[rows] = tile``. None: a new array. Not for dask arrays.
    dtype : dtype, optional
        Of the result; None: float32 for dask arrays, else whatever the function returns.
    n_last : int, optional
        Length of the last axis of the result, for dask arrays; None: as in `array`.

    Returns
    -------
    result : ndarray, dask array or `out`
        Lazy when `array` is a dask array: computed tile by tile, when asked for.

    Raises
    ------
    ValueError
        Wrong `size` or `halo`, first axes that differ, `out` for a dask array, a result of another
        shape.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.ndimage import uniform_filter1d
    >>> from skastro.blocks import map_tiles
    >>> cube = np.random.default_rng(0).random((20, 5, 4))
    >>> smooth = lambda tile: uniform_filter1d(tile, 3, axis=0)
    >>> bool(np.allclose(map_tiles(smooth, cube, size=6, halo=1), smooth(cube)))
    True
    """
    shape = tuple(array.shape)
    if size is None:
        # the size of float32
        size = rows_within(2**26, 4 * int(np.prod(shape[1:], dtype=np.int64)) or 1)
    two = np.ndim(size) > 0
    cut = tiles if two else row_tiles
    found = list(cut(shape[:2] if two else shape[0], size, halo))
    for i, other in enumerate(others):
        n = 2 if two else 1
        if any(a not in (1, b) for a, b in zip(other.shape[:n], shape[:n], strict=False)):
            raise ValueError(
                f"others[{i}] has shape {tuple(other.shape)}; expected the first axes of {shape}, or 1."
            )
    if any(hasattr(one, "__dask_graph__") for one in (array, *others)):
        if out is not None:
            raise ValueError("out is given for a dask array; expected None: its result is lazy.")
        return _map_dask(function, (array, *others), found, dtype, n_last)
    for tile in found:
        result = function(*(_read(one, tile.outer, shape) for one in (array, *others)))
        _check_result(result, tile, shape)
        if out is None:
            first = len(tile.inner) if two else 1
            out = np.empty((*shape[:first], *result.shape[first:]), dtype or result.dtype)
        out[tile.inner] = result[tile.within]
    return out


def _read(array, where, shape):
    """A tile of an array, in the byte order of the machine; axes of length 1 are left whole."""
    if hasattr(array, "block"):
        rows = where if isinstance(where, slice) else where[0]
        tile = array.block(rows)
        return tile if isinstance(where, slice) else tile[:, where[1]]
    tile = array[_clip(array, where, shape)]
    return tile if hasattr(tile, "__dask_graph__") else native(tile)


def _clip(array, where, shape):
    where = where if isinstance(where, tuple) else (where,)
    return tuple(
        slice(None) if array.shape[i] == 1 and shape[i] > 1 else one for i, one in enumerate(where)
    )


def _check_result(result, tile, shape):
    outer = tile.outer if isinstance(tile.outer, tuple) else (tile.outer,)
    expected = tuple(one.stop - one.start for one in outer)
    if tuple(result.shape[: len(outer)]) != expected:
        raise ValueError(
            f"function returned shape {tuple(result.shape)} for a tile of first axes {expected} of "
            f"{shape}; expected the same."
        )


def _map_dask(function, arrays, found, dtype, n_last):
    import dask.array as da
    from dask import delayed

    dtype = np.dtype(dtype or np.float32)
    shape = tuple(arrays[0].shape)

    @delayed(pure=False)
    def one_tile(tile, expected, *blocks):
        result = function(*(native(block) for block in blocks))
        _check_result(result, tile, shape)
        result = np.asarray(result[tile.within], dtype=dtype)
        if result.shape != expected:
            raise ValueError(
                f"function returned a last axis of {result.shape[-1]}; expected {expected[-1]}, as n_last "
                "or the array say."
            )
        return result

    rows = {}
    for tile in found:
        inner = tile.inner if isinstance(tile.inner, tuple) else (tile.inner,)
        expected = tuple(one.stop - one.start for one in inner)
        expected += (*shape[len(inner) : -1], n_last or shape[-1])
        blocks = [_read(one, tile.outer, shape) for one in arrays]
        piece = da.from_delayed(one_tile(tile, expected, *blocks), expected, dtype=dtype)
        rows.setdefault(inner[0].start, []).append(piece)
    return da.concatenate([da.concatenate(row, axis=1) for row in rows.values()], axis=0)
