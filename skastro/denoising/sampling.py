"""The part of a cube that a denoiser learns from: all of it, or pieces spread over a large one."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

__all__ = ["Sample", "free_windows", "read_sample", "spread"]

MOST_VOXELS = 2**23  # that are learnt from
PIECE = 48  # side of a piece [pixel]


class Sample(NamedTuple):
    """Pieces of a cube, side by side.

    Attributes
    ----------
    values : ndarray of shape (n_pieces, n_y, n_x, n_channels)
        In the unit of the cube; NaN where blank.
    where : list of tuple (rows, columns) of slice
        Where each piece lies.
    """

    values: np.ndarray
    where: list

    def part(self, array):
        """The same pieces of another array of the shape of the cube."""
        return np.stack([array[place] for place in self.where])


def spread(n, size, count):
    """Starts of `count` pieces of `size` spread evenly over `n`, at most as many as fit."""
    count = max(1, min(count, n // size))
    return np.linspace(0, n - size, count).round().astype(int).tolist()


def read_sample(cube, most=MOST_VOXELS):
    """Read a cube, or pieces spread evenly over one that is larger than `most` voxels.

    Parameters
    ----------
    cube : LineCube
        (n_y, n_x, n_channels).
    most : int
        Voxels.

    Returns
    -------
    sample : Sample

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.sampling import read_sample
    >>> from skastro.io import read_cube
    >>> cube = read_cube(np.zeros((200, 120, 30), np.float32))
    >>> read_sample(cube).values.shape
    (1, 200, 120, 30)
    >>> read_sample(cube, most=2**18).values.shape
    (2, 48, 48, 30)
    """
    n_y, n_x, n_channels = cube.shape
    if n_y * n_x * n_channels <= most:
        whole = slice(0, n_y), slice(0, n_x)
        return Sample(cube.block()[None], [whole])
    height, width = min(PIECE, n_y), min(PIECE, n_x)
    count = max(1, most // (height * width * n_channels))
    rows = spread(n_y, height, max(1, round(np.sqrt(count * n_y / n_x))))
    columns = spread(n_x, width, max(1, count // len(rows)))
    values, where = [], []
    for start in rows:
        strip = cube.block(slice(start, start + height))
        for first in columns:
            values.append(strip[:, first : first + width])
            where.append((slice(start, start + height), slice(first, first + width)))
    return Sample(np.stack(values), where)


def free_windows(taken, patches):
    """Tiles whose whole window lies inside its piece and is free of signal and blanks.

    Parameters
    ----------
    taken : ndarray of bool of shape (n_pieces, n_y, n_x, n_channels)
        True where there is signal or a blank.
    patches : Patches

    Returns
    -------
    origin : ndarray of int of shape (n, 4)
        As `Patches.gather` takes it.
    """
    reach = list(patches.halo)
    if patches.coarse_halo is not None:
        coarse = zip(patches.step, patches.coarse_halo, reach, strict=True)
        reach = [max(h, step * (c + 1)) for step, c, h in coarse]
    window = [n + 2 * h for n, h in zip(patches.tile, reach, strict=True)]
    shape = taken.shape[1:]
    if any(n < w for n, w in zip(shape, window, strict=True)):
        return np.empty((0, 4), dtype=np.int64)
    busy = taken.view(np.uint8)
    for axis, size in enumerate(window, start=1):
        if size > 1:
            # the window begins, not is centred, at each place
            busy = maximum_filter1d(busy, size, axis=axis, origin=-(size // 2), mode="nearest")
    inside = tuple(slice(0, n - w + 1) for n, w in zip(shape, window, strict=True))
    origin = np.argwhere(busy[(slice(None), *inside)] == 0)
    return origin + np.array([0, *reach])
