"""Line cubes to FITS files, block by block; a failure leaves the old file."""

import contextlib
import os
from pathlib import Path

import numpy as np
from astropy.io import fits

from skastro.blocks import rows_within
from skastro.files import replacing, reserve, write_at
from skastro.io.cubes import PIECE_BYTES, LineCube, read_cube
from skastro.io.headers import CubeAxes, add_history, clean_header, unit_text

__all__ = ["CubeWriter", "write_cube"]

PACKED = (".gz", ".bz2", ".xz", ".zip", ".z", ".fz")


def _output_header(cube, history):
    """Header of the file, and the shape of its data as numpy counts."""
    axes = cube.axes or CubeAxes(1, 2, 0)
    shape = [1] * len(axes.order)
    for axis, n in zip(axes.order, cube.shape, strict=False):
        shape[axis] = n
    header = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", len(shape))])
    for i, n in enumerate(reversed(shape)):
        header[f"NAXIS{i + 1}"] = n
    header["EXTEND"] = True
    rest = clean_header(cube.header)
    # as many NAXISn as there may be are left out
    rest["NAXIS"] = 9
    header.extend(rest, strip=True, end=True)
    for name in ("INHERIT", "EXTVER", "EXTLEVEL"):
        header.remove(name, ignore_missing=True)
    if cube.header is None and cube.unit is not None:
        header["BUNIT"] = unit_text(cube.unit)
    add_history(header, history)
    return header, tuple(shape), axes


def _pieces(start, stop, bytes_per_row):
    """Slices of a range of rows, of some megabytes each."""
    step = rows_within(PIECE_BYTES, bytes_per_row)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


class CubeWriter:
    """Write a cube to a FITS file in blocks of rows, without ever holding it whole.

    A context manager: the blocks go to a temporary file beside `path`, which takes its name when the
    ``with`` block ends well. After a failure (an exception, Ctrl-C, a full disk, rows that were never
    written) the old file stands as it was, and nothing else is left.

    Parameters
    ----------
    path : str or Path
        Without compression.
    like : LineCube
        Whose shape, axes and header the file gets: WCS, beam and HISTORY are kept; BSCALE, BZERO, BLANK,
        DATAMIN, DATAMAX, CHECKSUM and DATASUM are not. Stored as big-endian float32, NaN where blank.
    overwrite : bool, default=False
        Whether an existing file may be replaced.
    history : None, str, sequence of str or estimator
        Added to the HISTORY of the header, as for `LineCube.wrap`.

    Raises
    ------
    FileExistsError
        `path` exists and `overwrite` is False, when the ``with`` block is entered.
    ValueError
        A compressed name, a table of spectra, or rows that were never written.
    OSError
        The disk is full, or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from skastro.blocks import row_tiles
    >>> from skastro.io import CubeWriter, read_cube
    >>> cube = read_cube(np.ones((10, 4, 6), dtype=np.float32))
    >>> path = Path(tempfile.mkdtemp()) / "twice.fits"
    >>> with CubeWriter(path, like=cube, history="doubled") as writer:
    ...     for tile in row_tiles(10, 4):
    ...         writer.write(2 * cube.block(tile.inner), tile.inner)
    >>> float(read_cube(path).block().mean())
    2.0
    """

    def __init__(self, path, like, overwrite=False, history=None):
        self.path = path
        self.like = like
        self.overwrite = overwrite
        self.history = history

    def __enter__(self):
        path = Path(self.path)
        if path.suffix.lower() in PACKED:
            raise ValueError(f"path={str(path)!r} names a compressed file; expected .fits.")
        if len(self.like.shape) != 3:
            raise ValueError(
                f"like has shape {self.like.shape}; expected a cube (n_y, n_x, n_channels)."
            )
        self._check_absent()
        header, self._stored_shape, self._axes = _output_header(self.like, self.history)
        self._written = np.zeros(self.like.shape[0], dtype=bool)
        head = header.tostring().encode("ascii")
        self._start = len(head)
        size = 4 * int(np.prod(self._stored_shape, dtype=np.int64))
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(replacing(path))
            self._file = stack.enter_context(open(temporary, "r+b", buffering=0))
            reserve(self._file, self._start + -(-size // 2880) * 2880)
            self._put(head, 0)
            self._temporary, self._stack = temporary, stack.pop_all()
        return self

    def _check_absent(self):
        if not self.overwrite and os.path.lexists(self.path):
            raise FileExistsError(f"{self.path} exists; expected a new file, or overwrite=True.")

    def _put(self, content, offset):
        write_at(self._file, content, offset)

    def write(self, values, rows=None):
        """Write some rows.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_x, n_channels)
        rows : slice, optional
            Where they belong, step 1; None: after the rows written so far.

        Raises
        ------
        ValueError
            Another shape than the rows have.
        """
        n_rows = len(self._written)
        if rows is None:
            first = int(self._written.nonzero()[0].max(initial=-1)) + 1
            rows = slice(first, first + len(values))
        start, stop, step = rows.indices(n_rows)
        expected = (max(0, stop - start), *self.like.shape[1:])
        if step != 1 or tuple(values.shape) != expected:
            raise ValueError(
                f"values has shape {tuple(values.shape)}; expected {expected}, rows {start} to {stop}."
            )
        # entries of a row that are neighbours in the file
        row = int(np.prod(self._stored_shape[self._axes.y + 1 :], dtype=np.int64))
        for piece in _pieces(start, stop, 4 * int(np.prod(expected[1:]))):
            stored = self._axes.to_stored(
                np.asarray(values[piece.start - start : piece.stop - start])
            )
            stored = np.ascontiguousarray(stored, dtype=">f4")
            for i, run in enumerate(stored.reshape(-1, row * (piece.stop - piece.start))):
                self._put(run, self._start + 4 * row * (i * n_rows + piece.start))
        self._written[start:stop] = True

    def __setitem__(self, rows, values):
        self.write(values, rows)

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if not self._written.all():
                raise ValueError(
                    f"{int(self._written.sum())} of {len(self._written)} rows were written; expected all."
                )
            # a disk may say only now that it is full
            os.fsync(self._file.fileno())
            if self.like.beams is not None:
                self._file.close()
                with fits.open(self._temporary, mode="append") as hdus:
                    hdus.append(self.like.beams.copy())
            self._check_absent()


def write_cube(cube, path, overwrite=False, history=None):
    """Write a cube of any kind to a FITS file, block by block.

    Parameters
    ----------
    cube : object
        What `read_cube` reads, or what `LineCube.wrap` gave back. Dask arrays are computed by blocks of
        rows.
    path : str or Path
    overwrite : bool, default=False
        Whether an existing file may be replaced.
    history : None, str, sequence of str or estimator
        Added to the HISTORY of the header.

    Raises
    ------
    FileExistsError
        `path` exists and `overwrite` is False.
    ValueError
        As `read_cube` and `CubeWriter`.
    OSError
        The disk is full, or the folder cannot be written to. An old file stands as it was.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from pathlib import Path
    >>> from skastro.io import read_cube, write_cube
    >>> path = Path(tempfile.mkdtemp()) / "cube.fits"
    >>> write_cube(np.ones((5, 6, 44)) * u.K, path)
    >>> read_cube(path)
    <LineCube: cube of shape (5, 6, 44), unit 'K'>
    """
    cube = cube if isinstance(cube, LineCube) else read_cube(cube)
    with CubeWriter(path, cube, overwrite=overwrite, history=history) as writer:
        for rows in _pieces(0, cube.shape[0], 4 * int(np.prod(cube.shape[1:]))):
            writer.write(cube.block(rows), rows)
