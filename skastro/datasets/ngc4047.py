"""The bundled CO cube of the galaxy NGC 4047."""

from __future__ import annotations

import warnings
from importlib.resources import files

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from sklearn.utils import Bunch

__all__ = ["load_ngc4047"]

_DESCR = """\
CO(1-0) in the galaxy NGC 4047
------------------------------
A cube of the EDGE-CARMA survey: 128 x 128 pixels of 1 arcsec, 44 channels of 20 km/s from 2980 km/s
(radio convention, LSRK), a circular beam of 7 arcsec FWHM, in Jy/beam. The noise of a channel grows
from 0.012 Jy/beam at the centre of the mosaic (0.019 over all) towards its edge, beyond which the
cube is blank (37 % of the voxels, NaN). A beam covers some 55 pixels, so the noise of neighbouring pixels
is almost the same. The file has an axis of Stokes parameters of length one, left out of `cube`.

Source: github.com/tonywong94/maskmoment, example/NGC4047.co.smo7msk.fits.gz, BSD-3 licence (its
text is beside the file).
Reference: Bolatto, Wong, Utomo et al. (2017), ApJ 846, 159.
"""


def load_ngc4047():
    """Load the CO(1-0) cube of NGC 4047 (EDGE-CARMA, 128 x 128 pixels, 44 channels).

    A real interferometer's cube, small, with blanks, a Stokes axis, and noise that varies over the
    map and is correlated over the beam.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        cube : ndarray of shape (128, 128, 44), float32
            (n_y, n_x, n_channels), in Jy/beam; NaN where blank.
        velocity : ndarray of shape (44,), float64
            Centres of the channels, radio convention, LSRK, in km/s.
        header : :class:`astropy.io.fits.Header`
            Of the file: four axes.
        wcs : :class:`astropy.wcs.WCS`
            Of right ascension, declination and velocity, in the order of FITS.
        unit : str
            "Jy / beam".
        beam_fwhm : float
            In pixels.
        path : str
            The file, to read it by other means.
        DESCR : str
            Description and provenance.

    References
    ----------
    .. [1] A. D. Bolatto, T. Wong, D. Utomo et al. (2017), "The EDGE-CALIFA survey:
       interferometric observations of 126 galaxies with CARMA", ApJ 846, 159.

    Examples
    --------
    >>> from skastro.datasets import load_ngc4047
    >>> galaxy = load_ngc4047()
    >>> galaxy.cube.shape, galaxy.unit
    ((128, 128, 44), 'Jy / beam')
    >>> galaxy.velocity[[0, -1]].tolist()
    [2980.0, 3840.0]
    """
    path = str(files("skastro.datasets") / "data" / "NGC4047.co.smo7msk.fits.gz")
    with warnings.catch_warnings():
        # BLANK makes no sense for floats, and the date has no MJD beside it: harmless
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False) as hdus:
            header, values = hdus[0].header, hdus[0].data
        wcs = WCS(header, naxis=3)
        velocity = wcs.spectral.pixel_to_world_values(np.arange(values.shape[1])) / 1e3
    return Bunch(
        cube=np.ascontiguousarray(np.moveaxis(values[0], 0, -1), dtype=np.float32),
        velocity=velocity,
        header=header,
        wcs=wcs,
        unit="Jy / beam",
        beam_fwhm=header["BMAJ"] / header["CDELT2"],
        path=path,
        DESCR=_DESCR,
    )
