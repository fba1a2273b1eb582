"""Where a line cube comes from: how its rows are read, and how values are given back in its form.

One class a kind. Each holds the numbers as they are stored, a view of them as
(n_y, n_x, n_channels), and what turns the one into the other.
"""

import os
import sys
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.utils.masked import Masked
from astropy.wcs import WCS

from skastro.io.headers import (
    CubeAxes,
    add_history,
    axis_types,
    clean_header,
    find_axes,
    history_lines,
    parse_unit,
    quiet_wcs,
    spectral_values,
    unit_text,
)

__all__ = ["ArraySource", "NDDataSource", "Scaling", "Source", "SpectralCubeSource", "find"]


class Scaling(NamedTuple):
    """How stored integers stand for values: ``stored * scale + zero``, NaN where `blank`."""

    scale: float
    zero: float
    blank: int | None


class Source:
    """What every kind has; `wrap` is left to each.

    Parameters
    ----------
    stored : ndarray, memmap or dask array
        The numbers, axes as they are stored.
    axes : CubeAxes or None
        None where they are already those of a cube, or of a table of spectra.
    name : str
        Of the argument or file, for the errors.
    mask : array-like of bool, optional
        True where a stored number is to be NaN.
    scaling : Scaling, optional
    """

    def __init__(self, stored, axes, name, *, mask=None, scaling=None):
        if stored.dtype.kind not in "fiu":
            raise ValueError(f"{name} has dtype {stored.dtype}; expected real numbers.")
        self.axes = axes
        self.cube = stored if axes is None else axes.to_cube(stored)
        self.scaling = scaling
        self.mask = None
        if mask is not None and mask is not np.ma.nomask:
            mask = np.broadcast_to(np.asarray(mask, dtype=bool), stored.shape)
            self.mask = mask if axes is None else axes.to_cube(mask)
        self.unit = self.header = self.wcs = self.spectral_axis = self.path = self.beams = None

    @property
    def as_stored(self):
        """Whether the stored numbers are the values."""
        return self.cube.dtype.kind == "f" and self.scaling is None and self.mask is None

    def stored_rows(self, rows):
        """Some rows of `cube`, as they are stored; `rows` has a start, a stop and no step."""
        return self.cube[rows]

    def read(self, rows):
        """Values of some rows, in any floating type and byte order."""
        stored = self.stored_rows(rows)
        values = stored
        if self.scaling is not None:
            scale, zero, blank = self.scaling
            # float64, for the zero of unsigned integers is as large as they are
            values = stored.astype(np.float64) * scale + zero
            if blank is not None:
                values[stored == blank] = np.nan
        if self.mask is not None:
            kept = values.dtype if values.dtype.kind == "f" else np.float32
            values = np.where(self.mask[rows], np.array(np.nan, dtype=kept), values)
        return values

    def to_stored(self, values):
        return values if self.axes is None else self.axes.to_stored(values)

    def place(self, header, wcs):
        """Take the WCS, and the spectral axis from it."""
        self.wcs = wcs
        fits_axis = len(self.axes.order) - 1 - self.axes.spectral
        unit = None if header is None else header.get(f"CUNIT{fits_axis + 1}")
        self.spectral_axis = spectral_values(wcs, fits_axis, self.cube.shape[-1], unit)


class ArraySource(Source):
    """Array, dask array, masked array or Quantity: (n_y, n_x, n_channels), or a table."""

    def __init__(self, array, name):
        self.form, mask, unit = "array", None, None
        if isinstance(array, Masked):
            self.form, mask, array = "masked", array.mask, array.unmasked
        if isinstance(array, u.Quantity):
            unit, array = array.unit, array.value
        elif isinstance(array, np.ma.MaskedArray):
            self.form, mask, array = "masked array", array.mask, array.data
        if not hasattr(array, "__dask_graph__"):
            try:
                array = np.asarray(array)
            except ValueError as error:
                raise ValueError(
                    f"{name} has rows of different lengths; expected a cube."
                ) from error
        if array.ndim not in (2, 3):
            raise ValueError(
                f"{name} has shape {array.shape}; expected (n_y, n_x, n_channels) or "
                "(n_spectra, n_channels)."
            )
        if 0 in array.shape:
            raise ValueError(
                f"{name} has shape {array.shape}, with an empty axis; expected a cube."
            )
        if array.shape[-1] == 1:
            raise ValueError(f"{name} has 1 channel; expected at least 2.")
        super().__init__(array, None, name, mask=mask)
        self.given_mask, self.unit = mask, unit

    def wrap(self, values, history):
        if self.form == "masked array":
            return np.ma.MaskedArray(values, mask=self.given_mask)
        if self.unit is not None:
            values = u.Quantity(values, self.unit, copy=False)
        return Masked(values, mask=self.given_mask) if self.form == "masked" else values


class NDDataSource(Source):
    """`NDData` or `CCDData`, axes as its WCS says."""

    def __init__(self, data, name):
        stored = data.data if hasattr(data.data, "__dask_graph__") else np.asarray(data.data)
        axes = find_axes(axis_types(wcs=data.wcs), stored.shape, name)
        super().__init__(stored, axes, name, mask=data.mask)
        self.given, self.unit = data, data.unit
        self.header = clean_header(data.meta if isinstance(data.meta, fits.Header) else None)
        fits_wcs = isinstance(data.wcs, WCS)
        if fits_wcs:
            self.header.update(data.wcs.to_header(relax=True))
        if self.unit is not None:
            self.header["BUNIT"] = unit_text(self.unit)
        self.place(self.header if fits_wcs else None, data.wcs)

    def wrap(self, values, history):
        meta = self.given.meta.copy()
        if isinstance(meta, fits.Header):
            meta = clean_header(meta)
            add_history(meta, history)
        elif history is not None:
            earlier = [meta["HISTORY"]] if meta.get("HISTORY") else []
            meta["HISTORY"] = "\n".join([str(one) for one in earlier] + history_lines(history))
        return type(self.given)(
            self.to_stored(values),
            unit=self.unit,
            wcs=self.wcs,
            mask=self.given.mask,
            meta=meta,
        )


class SpectralCubeSource(Source):
    """Cube of spectral-cube: one beam or one a channel, in memory, memory-mapped or dask."""

    def __init__(self, cube, name):
        # voxels that its mask excludes are blank, whatever it would show there
        self.given, self.filled = cube, cube.with_fill_value(np.nan)
        lazy = hasattr(cube, "use_dask_scheduler")
        with quiet_wcs():
            stored = self.filled.hdulist[0].data if lazy else cube.unmasked_data[:].value
            header = clean_header(cube.header)
        axes = CubeAxes(1, 2, 0)
        find_axes(["", "", "VRAD"], stored.shape, name)
        super().__init__(stored, axes, name)
        self.masked = not lazy and cube.mask is not None
        self.header = header
        self.unit = cube.unit
        if self.unit == u.one:
            self.unit = parse_unit(cube.meta.get("BUNIT"))
        self.wcs, self.spectral_axis = cube.wcs, cube.spectral_axis
        if hasattr(cube, "unmasked_beams"):
            from spectral_cube.cube_utils import beams_to_bintable

            self.beams = beams_to_bintable(cube.unmasked_beams)

    @property
    def as_stored(self):
        return super().as_stored and not self.masked

    def read(self, rows):
        if not self.masked:
            return super().read(rows)
        return self.axes.to_cube(self.filled.unitless_filled_data[:, rows, :])

    def wrap(self, values, history):
        cube, header = self.given, self.header.copy()
        add_history(header, history)
        meta = dict(cube.meta)
        if isinstance(self.unit, u.UnitBase):
            meta["BUNIT"] = self.unit.to_string(format="FITS")
        beams = {"beam": meta.get("beam")}
        if self.beams is not None:
            beams = {"beams": cube.unmasked_beams, "beam_threshold": cube.beam_threshold}
        with quiet_wcs():
            wrapped = type(cube)(
                data=self.to_stored(values),
                wcs=cube.wcs,
                mask=cube.mask,
                meta=meta,
                header=header,
                fill_value=cube.fill_value,
                allow_huge_operations=cube.allow_huge_operations,
                **beams,
            )
        if self.beams is not None:
            wrapped.goodbeams_mask = cube.goodbeams_mask
        return wrapped


def find(source, hdu=None, name="source"):
    """Recognize what holds a cube.

    Parameters
    ----------
    source, hdu
        As for `read_cube`.
    name : str
        Of the argument, for the errors.

    Returns
    -------
    source : Source

    Raises
    ------
    ValueError
        As `read_cube`.
    """
    from skastro.io import fits_sources

    if isinstance(source, str | os.PathLike):
        return fits_sources.open_file(source, hdu)
    if isinstance(source, fits.HDUList):
        return fits_sources.HDUListSource(source, hdu, name)
    if hdu is not None:
        raise ValueError(
            f"hdu={hdu!r}: expected None, for {name} is neither a file nor an HDUList."
        )
    if fits_sources.is_hdu(source):
        return fits_sources.HDUSource(source, name)
    # whoever has such a cube has imported the package
    spectral_cube = sys.modules.get("spectral_cube.spectral_cube")
    if spectral_cube is not None and isinstance(source, spectral_cube.BaseSpectralCube):
        return SpectralCubeSource(source, name)
    if isinstance(source, NDData):
        return NDDataSource(source, name)
    return ArraySource(source, name)
