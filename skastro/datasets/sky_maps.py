"""Bundled maps of the sky: simulated dust in intensity and polarisation, and the infrared background."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch

__all__ = ["load_cib_map", "load_dust_map"]

_DUST_DESCR = """\
Dust emission in intensity and polarisation, simulated
------------------------------------------------------
Stokes parameters I, Q and U of the thermal emission of interstellar dust, 256 x 256 pixels, in arbitrary
units (not the same for I as for Q and U, whose polarised intensity exceeds I in many pixels). They come from
512 x 512 pixels of a simulation that is periodic, made to serve as examples of wavelet phase harmonics; what
they were computed from is not said with them.

Default: rows 128 to 383 and columns 64 to 319. NOT periodic: opposite sides do not fit, which puts power of
the large scales into the small ones of an FFT; use reflection, a window or a mask.

periodic=True: the whole map, its pixels averaged by squares of four. Opposite sides fit.

Stored in steps of 1/16383 (1/8191 if periodic) of the range. The variance of this rounding is below 0.02 %
of the power per mode at every scale, corners of the Fourier plane included.

Source: github.com/bregaldo/pywph, examples/data/I_1.npy, tests/data/Q_1.npy and U_1.npy, BSD-3 licence (its
text is beside the file).
Reference: Regaldo-Saint Blancard, Allys, Boulanger, Levrier & Jeffrey (2021), A&A 649, L18.
"""

_CIB_DESCR = """\
Cosmic infrared background, a patch seen by Planck
--------------------------------------------------
256 x 256 pixels of a map of the cosmic infrared background from the Planck mission, of about mean 0. Unit,
frequency, position and pixel size are not said in the source. Close to Gaussian; smooth over some ten pixels;
at the highest frequencies along the diagonals a weak regular pattern of the resampling. NOT periodic.

Stored in steps of 1/16383 of the range. The variance of this rounding is below 0.001 % of the power per mode
at every scale.

Source: github.com/jmdelouis/FOSCAT, src/tests/cib_map_Planck.npy, BSD-3 licence (its text is beside the
file). Credit: ESA/Planck (www.esa.int/Planck), an ESA science mission with instruments and contributions
directly funded by ESA Member States, NASA and Canada.
"""


def _path(name):
    return str(files("skastro.datasets") / "data" / name)


def _unpack(stored, name):
    """Map that is stored as the two bytes of its differences along both axes, modulo 2**16."""
    high_and_low = np.ascontiguousarray(np.moveaxis(stored[name], 0, -1))
    steps = high_and_low.view("<u2")[..., 0]
    steps = steps.cumsum(axis=0, dtype=np.uint16).cumsum(axis=1, dtype=np.uint16)
    low, step = stored[f"{name}_scale"]
    return (low + step * steps).astype(np.float32), float(step)


def load_dust_map(stokes="I", *, periodic=False):
    """Load a map of simulated interstellar dust, in intensity or polarisation, 256 x 256 pixels.

    Filaments, sheets and voids over all scales: far from Gaussian.

    Parameters
    ----------
    stokes : {"I", "Q", "U", "IQU", ...}, default="I"
        One Stokes parameter, or several in any order.
    periodic : bool, default=False
        Whether opposite sides must fit: then the whole map at half the resolution, else a piece at full
        resolution that is not periodic.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        map : ndarray of shape (256, 256), or (n_stokes, 256, 256) for several, float32
            One map for each Stokes parameter.
        stokes : str
            As given.
        periodic : bool
            As given.
        unit : None
            Arbitrary.
        pixel_size : None
            Unknown.
        rounding : float or list of float
            Step in which the map is stored.
        path : str
            The file.
        DESCR : str
            Description, provenance and licence.

    Raises
    ------
    ValueError
        Another Stokes parameter.

    References
    ----------
    .. [1] B. Regaldo-Saint Blancard, E. Allys, F. Boulanger, F. Levrier & N. Jeffrey (2021), "A new
       approach for the statistical denoising of Planck interstellar dust polarization data", A&A 649, L18.

    Examples
    --------
    >>> from skastro.datasets import load_dust_map
    >>> load_dust_map().map.shape, load_dust_map("QU", periodic=True).map.shape
    ((256, 256), (2, 256, 256))
    """
    known = isinstance(stokes, str) and stokes and set(stokes) <= set("IQU")
    if not known or len(set(stokes)) < len(stokes):
        raise ValueError(
            f"stokes={stokes!r}: expected 'I', 'Q', 'U', or several of them such as 'IQU'"
        )
    path = _path("dust_maps.npz")
    with np.load(path) as stored:
        found = [_unpack(stored, one + "_periodic" * bool(periodic)) for one in stokes]
    maps, rounding = zip(*found, strict=True)
    single = len(stokes) == 1
    return Bunch(
        map=maps[0] if single else np.stack(maps),
        stokes=stokes,
        periodic=bool(periodic),
        unit=None,
        pixel_size=None,
        rounding=rounding[0] if single else list(rounding),
        path=path,
        DESCR=_DUST_DESCR,
    )


def load_cib_map():
    """Load a patch of the cosmic infrared background seen by Planck, 256 x 256 pixels.

    Close to Gaussian: beside the dust, a map on which statistics beyond the power spectrum must be small.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        map : ndarray of shape (256, 256), float32
            The patch.
        periodic : bool
            False.
        unit : None
            Not said in the source.
        pixel_size : None
            Not said in the source.
        rounding : float
            Step in which the map is stored.
        path : str
            The file.
        DESCR : str
            Description, provenance, credit and licence.

    References
    ----------
    .. [1] Planck Collaboration (2014), "Planck 2013 results. XXX. Cosmic infrared background measurements and
       implications for star formation", A&A 571, A30.

    Examples
    --------
    >>> from skastro.datasets import load_cib_map
    >>> background = load_cib_map()
    >>> background.map.shape, background.periodic
    ((256, 256), False)
    """
    path = _path("cib_map.npz")
    with np.load(path) as stored:
        patch, rounding = _unpack(stored, "map")
    return Bunch(
        map=patch,
        periodic=False,
        unit=None,
        pixel_size=None,
        rounding=rounding,
        path=path,
        DESCR=_CIB_DESCR,
    )
