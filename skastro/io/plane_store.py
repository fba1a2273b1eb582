"""Planes of an image in a temporary file, filled tile by tile, so that none is ever whole in memory."""

import contextlib
import tempfile

import numpy as np

from skastro.files import reserve, write_at

__all__ = ["PlaneStore"]

CHUNK_BYTES = 2**20


class PlaneStore:
    """Planes in a temporary file without a name, gone when it is closed.

    Parameters
    ----------
    shape : tuple of three ints
        (n_planes, height, width).
    dtype : dtype
        As the numbers are stored; big-endian for FITS.
    folder : str or Path
        Where there is room for them.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.io.plane_store import PlaneStore
    >>> with PlaneStore((1, 2, 4), ">i2", ".") as store:
    ...     store.write(0, slice(0, 2), slice(1, 3), np.ones((2, 2)))
    ...     print(store.array()[0].tolist())
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """

    def __init__(self, shape, dtype, folder):
        self.shape, self.dtype = tuple(int(n) for n in shape), np.dtype(dtype)
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)
        size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        try:
            reserve(self.file, size)
        except BaseException:
            self.file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError):
            self.file.close()

    def _put(self, values, offset):
        content = np.ascontiguousarray(values, self.dtype).reshape(-1)
        write_at(self.file, content.view(np.uint8), offset)

    def write(self, plane, rows, columns, values):
        """Write a tile.

        Parameters
        ----------
        plane : int
        rows, columns : slice
            Step 1.
        values : ndarray of shape (n_rows, n_columns)
        """
        _, height, width = self.shape
        at = self.dtype.itemsize * ((plane * height + rows.start) * width + columns.start)
        if columns.stop - columns.start == width:
            self._put(values, at)
            return
        for i, row in enumerate(values):
            self._put(row, at + i * width * self.dtype.itemsize)

    def chunks(self, first, n_planes):
        """Bytes of some planes, some megabytes at a time."""
        size = self.dtype.itemsize * self.shape[1] * self.shape[2]
        self.file.seek(first * size)
        left = n_planes * size
        while left:
            chunk = self.file.read(min(left, CHUNK_BYTES))
            left -= len(chunk)
            yield chunk

    def array(self):
        """The planes as a read-only memory map of shape `shape`, good while the store is open."""
        return np.memmap(self.file, self.dtype, "r", 0, self.shape)
