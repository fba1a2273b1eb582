"""Line cubes of every kind in, and the same kind out."""

import numpy as np
from astropy import units as u

from skastro.blocks import rows_within
from skastro.io import sources
from skastro.validation import split_unit

__all__ = ["LineCube", "check_unit", "read_cube"]

# Rows are read and converted in pieces of this size, so that temporaries are small.
PIECE_BYTES = 2**22


class LineCube:
    """A line cube seen as (n_y, n_x, n_channels), whatever it was, and the way back.

    Made by `read_cube`.

    Attributes
    ----------
    shape : tuple of int
        (n_y, n_x, n_channels), or (n_spectra, n_channels) for a table of spectra.
    values : ndarray, memmap or dask array of that shape
        A view of what was given, in its own floating type and byte order: nothing is copied. Only where
        the stored numbers are not the values (integers, BSCALE, masks) is it a copy, made at the first
        use. `block` reads part of a file without such a copy, and without its pages staying in memory.
    unit : Unit, str or None
        None where the source has none; the text of BUNIT where astropy does not know it.
    header : Header or None
        That of the file, or one made of the WCS and meta data; None for bare arrays and Quantities.
    wcs : WCS or None
        With all the axes of the file, in its order.
    spectral_axis : Quantity of shape (n_channels,) or None
        Velocity, frequency or wavelength of each channel, in the unit of the header.
    path : str or None
        The file, when a path was given.

    See Also
    --------
    read_cube : Makes it.
    CubeWriter : Writes a cube block by block.
    """

    def __init__(self, source):
        self._source = source
        self.unit = source.unit
        self.header = source.header
        self.wcs = source.wcs
        self.spectral_axis = source.spectral_axis
        self.path = source.path
        self._values = None

    @property
    def shape(self):
        return tuple(self._source.cube.shape)

    @property
    def n_channels(self):
        """Number of channels."""
        return self.shape[-1]

    @property
    def is_lazy(self):
        """Whether the values are a dask array."""
        return _is_dask(self._source.cube)

    @property
    def axes(self):
        """`CubeAxes`: where the axes lie in the file; None where nothing says."""
        return self._source.axes

    @property
    def beams(self):
        """`BinTableHDU` of the beams of each channel, for files that have one; else None."""
        return self._source.beams

    def __repr__(self):
        kind = "spectra" if len(self.shape) == 2 else "cube"
        return f"<LineCube: {kind} of shape {self.shape}, unit {str(self.unit)!r}>"

    @property
    def values(self):
        source = self._source
        if source.as_stored:
            return source.cube
        if self._values is None:
            if _is_dask(source.cube):
                values = source.read(slice(0, self.shape[0]))
                self._values = values if values.dtype.kind == "f" else values.astype(np.float32)
            else:
                exact = source.cube.dtype == np.float64 and source.scaling is None
                self._values = self.block(dtype=np.float64 if exact else np.float32)
        return self._values

    def block(self, rows=slice(None), dtype=np.float32):
        """Copy some rows, ready for torch.

        Parameters
        ----------
        rows : slice, default=all
            Of the first axis, step 1.
        dtype : dtype, default=float32
            float32 or float64.

        Returns
        -------
        block : ndarray of shape (n_rows, n_x, n_channels)
            In the byte order of the machine, contiguous, NaN where blank or masked. Its own to change.

        Raises
        ------
        ValueError
            `rows` is no such slice.

        Examples
        --------
        >>> import numpy as np
        >>> from skastro.io import read_cube
        >>> cube = read_cube(np.arange(24, dtype=">f4").reshape(2, 3, 4))
        >>> cube.block(slice(1, 2)).shape, cube.block().dtype.isnative
        ((1, 3, 4), True)
        """
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise ValueError(f"rows={rows!r}: expected a slice of the first axis, of step 1.")
        start, stop, _ = rows.indices(self.shape[0])
        source = self._source
        if _is_dask(source.cube):
            # each compute reads whole chunks: once for all the rows
            return np.array(source.read(slice(start, stop)), dtype=dtype, order="C")
        block = np.empty((max(0, stop - start), *self.shape[1:]), dtype=dtype)
        step = rows_within(PIECE_BYTES, block.itemsize * int(np.prod(self.shape[1:])))
        for first in range(start, stop, step):
            last = min(first + step, stop)
            block[first - start : last - start] = source.read(slice(first, last))
        return block

    def wrap(self, values, history=None):
        """Give values the form of what was read.

        Parameters
        ----------
        values : array-like of the shape of the cube
            In its unit. Dask arrays stay lazy.
        history : None, str, sequence of str or estimator
            What was done, for the HISTORY of the header, after the name and version of skastro. An
            estimator stands for its name and parameters.

        Returns
        -------
        wrapped : object
            ========================  ==================================================================
            read                      given back
            ========================  ==================================================================
            path                      PrimaryHDU, axes in the order of the file
            HDU                       HDU of the same class; compressed ones are compressed without loss
            HDUList                   HDUList where one HDU is another, the rest the same
            SpectralCube (dask too)   SpectralCube of the same class: WCS, unit, meta, beam, mask
            NDData, CCDData           the same class: WCS, unit, meta, mask; no uncertainty
            Quantity                  Quantity
            masked array              masked array, of the same mask
            array, dask array         array
            ========================  ==================================================================

        Raises
        ------
        ValueError
            Another shape than the cube's.
        """
        if not _is_dask(values):
            values = np.asarray(values)
        if tuple(values.shape) != self.shape:
            raise ValueError(
                f"values has shape {tuple(values.shape)}; expected {self.shape}, the shape of the cube."
            )
        return self._source.wrap(values, history)


def read_cube(source, hdu=None, *, name="source"):
    """Take in a line cube of any kind.

    Parameters
    ----------
    source : str, Path, HDU, HDUList, SpectralCube, NDData, Quantity, array or LineCube
        - Path to a FITS file; memory-mapped unless it is compressed.
        - `PrimaryHDU`, `ImageHDU`, `CompImageHDU` or an `HDUList` of astropy.
        - `SpectralCube` or `DaskSpectralCube` of spectral-cube. Masked voxels become NaN.
        - `NDData` or `CCDData`, axes as their WCS says, (v, y, x) without one. Their mask becomes NaN.
        - `Quantity`, ndarray, masked array or dask array of shape (n_y, n_x, n_channels), or
          (n_spectra, n_channels).

        FITS axes may come in any order; axes of length 1, such as Stokes, are put aside.
    hdu : int, str or tuple, optional
        Which HDU of a file or `HDUList`. By default the first with 3 axes or more.
    name : str
        Name of the argument, for the errors.

    Returns
    -------
    cube : LineCube

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not a FITS file, or a truncated one; no image, a 2-D image, one channel, an empty axis, several
        Stokes planes, complex numbers or text.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from skastro.io import read_cube
    >>> hdu = fits.PrimaryHDU(np.ones((44, 5, 6), dtype=">f4"))
    >>> hdu.header["BUNIT"] = "K"
    >>> cube = read_cube(hdu)
    >>> cube.shape, cube.unit
    ((5, 6, 44), Unit("K"))
    >>> cube.wrap(cube.block() / 2, history="halved").header["HISTORY"]
    skastro ...: halved
    """
    if isinstance(source, LineCube):
        return source
    return LineCube(sources.find(source, hdu, name))


def check_unit(values, unit, name="sigma"):
    """Values in the unit of a cube: a Quantity is converted, bare numbers are taken to be in it.

    Parameters
    ----------
    values : array-like or Quantity
    unit : Unit, str or None
        That of the cube, as `LineCube.unit`.
    name : str
        Name of the argument, for the errors.

    Returns
    -------
    values : array-like

    Raises
    ------
    ValueError
        A unit that does not convert, or one where the cube has none.

    Examples
    --------
    >>> from astropy import units as u
    >>> from skastro.io.cubes import check_unit
    >>> float(check_unit(300 * u.mK, u.K)), check_unit(0.3, u.K)
    (0.3, 0.3)
    """
    found = getattr(values, "unit", None)
    if found is None:
        return values
    if unit is None or isinstance(unit, str):
        if unit == found.to_string():
            return values.value
        kind = "none" if unit is None else f"{unit!r}"
        raise ValueError(
            f"{name} has unit {found.to_string()!r}; expected {kind}, as the cube, or bare numbers."
        )
    return split_unit(values, name, u.Unit(unit).to_string())[0]


def _is_dask(array):
    return hasattr(array, "__dask_graph__")
