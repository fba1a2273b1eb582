"""The images of a FITS file, extension by extension, read where they are needed."""

import contextlib
import os
import warnings
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from skastro.io.fits_sources import DAMAGE, first_line, read_scaling
from skastro.io.headers import mend_header
from skastro.io.sources import Scaling

__all__ = ["Extension", "Plane", "open_images"]

# of compressed rows that are decoded at once where not all of them are asked for
CHUNK_ROWS = 256


class Plane:
    """Two axes of an image, read where they are indexed; NaN where blank or not finite.

    Parameters
    ----------
    read : callable
        Of two slices of step 1; returns the stored numbers.
    shape : tuple of two ints
    stored : dtype
    scaling : Scaling
        BSCALE, BZERO and BLANK.

    Attributes
    ----------
    shape : tuple of two ints
    ndim : int
        2.
    dtype : dtype
        float32, or float64 where float32 cannot hold what the file does.
    """

    ndim = 2

    def __init__(self, read, shape, stored, scaling):
        self.read, self.shape, self.scaling = read, tuple(shape), scaling
        exact = stored.itemsize < 4 or (stored.kind == "f" and stored.itemsize == 4)
        self.dtype = np.dtype(np.float32 if exact else np.float64)

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        values = self[:, :]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        if len(key) > 2 or not all(isinstance(one, slice) for one in key):
            raise IndexError(f"{key}: expected one slice or two.")
        key = (*key, slice(None))[:2]
        whole = []
        for one, n in zip(key, self.shape, strict=True):
            start, stop, step = one.indices(n)
            if step < 1:
                raise IndexError(f"{one}: expected a step of at least 1.")
            whole.append((start, max(start, stop), step))
        (row, last_row, row_step), (column, last_column, column_step) = whole
        columns = slice(column, last_column)
        if row_step == 1:
            stored = self.read(slice(row, last_row), columns)
        else:
            # some rows at a time: a sample of a large image must not read it whole into memory
            found = []
            step = row_step * max(1, CHUNK_ROWS // row_step)
            for first in range(row, last_row, step):
                rows = slice(first, min(first + step, last_row))
                found.append(self.read(rows, columns)[::row_step].copy())
            stored = np.concatenate(found) if found else self.read(slice(row, row), columns)
        return self._values(stored[:, ::column_step])

    def _values(self, stored):
        scale, zero, blank = self.scaling
        if stored.dtype.kind == "f" and (scale, zero) == (1, 0):
            values = np.array(stored, dtype=self.dtype, order="C")
        else:
            # float64, for the zero of unsigned integers is as large as they are
            plain = scale == 1 and self.dtype == np.float32
            values = stored.astype(np.float32 if plain else np.float64)
            if scale != 1:
                values *= scale
            if zero != 0:
                values += zero
            values = np.ascontiguousarray(values, dtype=self.dtype)
        if stored.dtype.kind == "f":
            lost = ~np.isfinite(values)
            if lost.any():
                values[lost] = np.nan
        elif blank is not None:
            values[stored == blank] = np.nan
        return values


class Extension(NamedTuple):
    """What is at one place of a FITS file.

    Attributes
    ----------
    index : int
        In the file, from 0.
    hdu : HDU of astropy
    kind : {"image", "line", "empty", "other"}
        An image of two axes or more; one of a single axis; a header without data; tables and the rest.
    shape : tuple of int
        As numpy counts; () for what is no image.
    path : str
    plain : bool
        Whether the numbers can be read from the file as they are.
    """

    index: int
    hdu: object
    kind: str
    shape: tuple
    path: str
    plain: bool

    @property
    def header(self):
        """Copy of the header in which every card can be read."""
        return mend_header(self.hdu.header)

    @property
    def label(self):
        """How messages call it: the name and version in the header, or else the number."""
        name, version = self.name, self.hdu.ver
        return (f"{name},{version}" if version > 1 else name) or str(self.index)

    @property
    def name(self):
        """EXTNAME, "" where there is none."""
        return str(self.hdu.header.get("EXTNAME", "")).strip()

    @property
    def n_planes(self):
        """Number of images of two axes within."""
        return int(np.prod(self.shape[:-2], dtype=np.int64))

    def plane(self, number):
        """One of the images of two axes.

        Parameters
        ----------
        number : int
            From 0, the last of the leading axes moving fastest.

        Returns
        -------
        plane : Plane
        """
        header = self.hdu.header
        stored = np.dtype(fits.BITPIX2DTYPE[header["BITPIX"]])
        compressed = isinstance(self.hdu, fits.CompImageHDU)
        # BSCALE is not of floats that were made integers, whose scales are in the table
        scaling = None if compressed and stored.kind == "f" else read_scaling(header)
        make = _compressed if compressed else _raw
        return Plane(make(self, number), self.shape[-2:], stored, scaling or Scaling(1, 0, None))


def _raw(extension, number):
    """Read the stored numbers of an image that is not compressed."""
    shape = (extension.n_planes, *extension.shape[-2:])
    if not extension.plain:
        whole = extension.hdu.data.reshape(shape)[number]
        return lambda rows, columns: whole[rows, columns]
    dtype = np.dtype(fits.BITPIX2DTYPE[extension.hdu.header["BITPIX"]]).newbyteorder(">")
    start = extension.hdu.fileinfo()["datLoc"]

    def read(rows, columns):
        # a new map each time: the pages of an old one would stay in memory
        stored = np.memmap(extension.path, dtype, "r", start, shape)
        return np.array(stored[number, rows, columns])

    return read


def _compressed(extension, number):
    """Read the stored numbers of an image that is compressed in tiles, often whole rows."""
    section = extension.hdu.section
    leading = np.unravel_index(number, extension.shape[:-2]) if extension.shape[:-2] else ()
    leading = tuple(slice(int(i), int(i) + 1) for i in leading)
    height, width = extension.shape[-2:]
    held = {"rows": (0, 0), "band": None}

    def read(rows, columns):
        # neighbouring tiles of the sky ask for the same rows: they are decoded once
        first, last = held["rows"]
        if not first <= rows.start <= rows.stop <= last or held["band"] is None:
            band = section[(*leading, slice(rows.start, max(rows.stop, rows.start + 1)))]
            held["rows"] = rows.start, rows.stop
            held["band"] = band.reshape(-1, width)
            first = rows.start
        return held["band"][rows.start - first : rows.stop - first, columns]

    return read


def _kind(hdu):
    if not hdu.is_image or isinstance(hdu, fits.GroupsHDU):
        return "other", ()
    shape = tuple(hdu.shape)
    if not shape or 0 in shape:
        return "empty", shape
    return ("image" if len(shape) > 1 else "line"), shape


@contextlib.contextmanager
def open_images(path):
    """Open a FITS file and see what each of its HDUs is.

    Parameters
    ----------
    path : str or Path
        Compressed in tiles (``.fz``) or not; files compressed as a whole (``.gz``) are read into memory.

    Yields
    ------
    extensions : list of Extension
        Good for as long as the file is open.

    Raises
    ------
    OSError
        The file is missing or cannot be opened.
    ValueError
        Not a FITS file, or one that is cut short or damaged.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from pathlib import Path
    >>> from skastro.io.fits_images import open_images
    >>> path = Path(tempfile.mkdtemp()) / "a.fits"
    >>> fits.PrimaryHDU(np.arange(6, dtype=np.uint16).reshape(2, 3)).writeto(path)
    >>> with open_images(path) as extensions:
    ...     print(extensions[0].kind, extensions[0].plane(0)[1:, :2])
    image [[3. 4.]]
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        plain = file.read(6) == b"SIMPLE"
    with contextlib.ExitStack() as stack:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                # the numbers as they are stored: astropy forgets BLANK where it is 0 or integers are unsigned
                hdus = stack.enter_context(
                    fits.open(path, memmap=plain, do_not_scale_image_data=True, checksum=False)
                )
                n_hdus = len(hdus)
                extensions = [
                    Extension(i, hdu, *_kind(hdu), path, plain) for i, hdu in enumerate(hdus)
                ]
            except DAMAGE as error:
                raise ValueError(
                    f"{path} is not a FITS file, or is cut short: {first_line(error)}"
                ) from error
        if any("Error validating header" in str(one.message) for one in caught):
            raise ValueError(
                f"{path} is damaged after HDU {n_hdus - 1}; expected a header or the end of the file."
            )
        if plain:
            _check_length(hdus, path)
        yield extensions


def _check_length(hdus, path):
    size = os.path.getsize(path)
    for i, hdu in enumerate(hdus):
        n_bytes = getattr(hdu, "_bintable", hdu)
        n_bytes = (hdu if n_bytes is None else n_bytes).size
        wanted = hdu.fileinfo()["datLoc"] + n_bytes
        if size < wanted:
            raise ValueError(
                f"HDU {i} of {path} is cut short: the file has {size} bytes; expected {wanted}."
            )
