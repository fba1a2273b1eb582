"""Line cubes in FITS: files, lists of HDUs, single HDUs."""

import contextlib
import os
import warnings
import weakref
import zlib

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from skastro.io.headers import (
    add_history,
    axis_types,
    clean_header,
    find_axes,
    mend_header,
    parse_unit,
    read_wcs,
)
from skastro.io.sources import Scaling, Source

__all__ = [
    "FileSource",
    "HDUListSource",
    "HDUSource",
    "first_line",
    "is_hdu",
    "open_file",
    "read_scaling",
]

IMAGES = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
DAMAGE = (OSError, EOFError, zlib.error, ValueError, TypeError, VerifyError)


def is_hdu(source):
    """Whether it is an HDU of astropy, of any sort."""
    return hasattr(source, "header") and hasattr(source, "fileinfo")


def _is_image(hdu):
    return isinstance(hdu, IMAGES) and not isinstance(hdu, fits.GroupsHDU) and len(hdu.shape) > 0


def _choose(hdus, hdu, name):
    """Index of the HDU that holds the cube: the one asked for, or the first with 3 axes."""
    if hdu is not None:
        try:
            index = hdus.index_of(hdu)
            chosen = hdus[index]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"hdu={hdu!r}: {name} has no such HDU, but {len(hdus)}: "
                f"{[one.name or i for i, one in enumerate(hdus)]}."
            ) from error
        if not _is_image(chosen):
            raise ValueError(f"hdu={hdu!r} of {name} holds no image; expected a cube.")
        return index
    flat = None
    for index, one in enumerate(hdus):
        if _is_image(one):
            if len(one.shape) > 2:
                return index
            flat = index if flat is None else flat
    if flat is None:
        raise ValueError(f"{name} holds no image; expected a cube.")
    return flat


def read_scaling(header):
    """How stored numbers stand for values; None where they are the values."""
    scale, zero = header.get("BSCALE", 1), header.get("BZERO", 0)
    # for floats, BLANK means nothing
    blank = header.get("BLANK") if header["BITPIX"] > 0 else None
    return None if (scale, zero, blank) == (1, 0, None) else Scaling(scale, zero, blank)


def _beam_table(hdus, header):
    """Copy of the table of beams of CASA, one a channel, or None."""
    if not header.get("CASAMBM"):
        return None
    for one in hdus:
        if isinstance(one, fits.BinTableHDU) and one.name == "BEAMS":
            return fits.BinTableHDU(one.data.copy(), header=one.header.copy())
    return None


class HDUSource(Source):
    """A single HDU with a cube."""

    def __init__(self, hdu, name, *, beams=None):
        if not _is_image(hdu):
            raise ValueError(f"{name} holds no image; expected a cube.")
        axes = find_axes(axis_types(mend_header(hdu.header)), hdu.shape, name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stored = hdu.data
        except DAMAGE as error:
            raise ValueError(f"{name} cannot be read: {first_line(error)}") from error
        # reading removes the scaling from the header, unless astropy was told not to apply it
        header = mend_header(hdu.header)
        scaling = read_scaling(header) if stored.dtype.kind == "i" else None
        super().__init__(stored, axes, name, scaling=scaling)
        self.given, self.header, self.beams = hdu, header, beams
        self.unit = parse_unit(self.header.get("BUNIT"))
        self.place(self.header, read_wcs(self.header))

    def wrap(self, values, history):
        return _new_hdu(type(self.given), self.to_stored(values), self.header, history)


class HDUListSource(HDUSource):
    """A list of HDUs, of which one holds the cube."""

    def __init__(self, hdus, hdu, name):
        self.given_list, self.index = hdus, _choose(hdus, hdu, name)
        chosen = hdus[self.index]
        super().__init__(
            chosen, f"HDU {self.index} of {name}", beams=_beam_table(hdus, chosen.header)
        )

    def wrap(self, values, history):
        hdus = list(self.given_list)
        hdus[self.index] = super().wrap(values, history)
        return fits.HDUList(hdus)


class FileSource(Source):
    """The cube of a file, as `open_file` makes it: nothing is opened here.

    Parameters
    ----------
    stored, axes, name, scaling
        As for `Source`.
    path : str
    header : Header
    beams : BinTableHDU, optional
    file : FileIO, optional
        The open file, closed with this object, where rows can be read from it.
    start : int
        Byte where the numbers begin.
    """

    def __init__(
        self, stored, axes, name, *, path, header, beams=None, scaling=None, file=None, start=0
    ):
        super().__init__(stored, axes, name, scaling=scaling)
        self.path, self.header, self.beams = path, header, beams
        self.unit = parse_unit(header.get("BUNIT"))
        self.place(header, read_wcs(header))
        self.name, self.file, self.start = name, file, start
        if file is not None:
            weakref.finalize(self, file.close)
            self.shape, self.dtype = stored.shape, stored.dtype

    def __getstate__(self):
        # an open file stays where it is; the map goes along as an array
        return self.__dict__ | {"file": None}

    def stored_rows(self, rows):
        if self.file is None:
            return super().stored_rows(rows)
        # not through the map: all the pages that it touches would count as memory of the process
        y, n_rows = self.axes.y, rows.stop - rows.start
        found = np.empty((*self.shape[:y], n_rows, *self.shape[y + 1 :]), dtype=self.dtype)
        row = int(np.prod(self.shape[y + 1 :], dtype=np.int64)) * self.dtype.itemsize
        for i, run in enumerate(found.reshape(-1, n_rows * row // self.dtype.itemsize)):
            offset = self.start + row * (i * self.shape[y] + rows.start)
            run = memoryview(run.view(np.uint8))
            while run:
                n_read = os.preadv(self.file.fileno(), [run], offset)
                if n_read == 0:
                    raise ValueError(f"{self.name} is cut short since it was opened.")
                run, offset = run[n_read:], offset + n_read
        return self.axes.to_cube(found)

    def wrap(self, values, history):
        return _new_hdu(fits.PrimaryHDU, self.to_stored(values), self.header, history)


def open_file(path, hdu=None):
    """Open the cube of a file, memory-mapped unless something has to be decompressed first.

    Parameters
    ----------
    path : str or Path
    hdu : int, str or tuple, optional

    Returns
    -------
    source : FileSource

    Raises
    ------
    ValueError
        Not a FITS file, or a truncated one, or one without a cube.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        plain = file.read(6) == b"SIMPLE"
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # scaled piece by piece when rows are read, never as a whole
            hdus = stack.enter_context(fits.open(path, memmap=plain, do_not_scale_image_data=True))
            len(hdus)
        except DAMAGE as error:
            raise ValueError(
                f"{path} is not a FITS file, or is cut short: {first_line(error)}"
            ) from error
        index = _choose(hdus, hdu, path)
        compressed = isinstance(hdus[index], fits.CompImageHDU)
        if compressed:
            hdus = stack.enter_context(fits.open(path, memmap=False))
        chosen, name = hdus[index], f"HDU {index} of {path}"
        header = mend_header(chosen.header)
        axes = find_axes(axis_types(header), chosen.shape, name)
        about = {"path": path, "header": header, "beams": _beam_table(hdus, header)}
        if compressed:
            return FileSource(_load(chosen, name), axes, name, **about)
        about["scaling"] = read_scaling(header)
        if not plain:
            return FileSource(_load(chosen, name), axes, name, **about)
        stored, start = _map(path, chosen, name)
        file = open(path, "rb", buffering=0) if hasattr(os, "preadv") else None
        return FileSource(stored, axes, name, file=file, start=start, **about)


def first_line(error):
    """What an error says, for a message of one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _map(path, hdu, name):
    """Memory map of the numbers of an HDU, once it is sure that all are there, and where they begin."""
    dtype = np.dtype(fits.BITPIX2DTYPE[hdu.header["BITPIX"]]).newbyteorder(">")
    start = hdu.fileinfo()["datLoc"]
    wanted = int(np.prod(hdu.shape, dtype=np.int64)) * dtype.itemsize
    found = os.path.getsize(path) - start
    if found < wanted:
        raise ValueError(
            f"{name} is cut short: {max(found, 0)} bytes of data; expected {wanted}, as its header says."
        )
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=hdu.shape), start


def _load(hdu, name):
    try:
        return hdu.data
    except DAMAGE as error:
        raise ValueError(f"{name} is cut short or damaged: {first_line(error)}") from error


def _new_hdu(kind, stored, header, history):
    """HDU of the same class with other numbers."""
    header = clean_header(header)
    add_history(header, history)
    # the usual compression of floats loses what it takes for noise
    options = (
        {"compression_type": "GZIP_2", "quantize_level": 0} if kind is fits.CompImageHDU else {}
    )
    return kind(data=stored, header=header, **options)
