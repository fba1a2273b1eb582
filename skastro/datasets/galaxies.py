"""Images of galaxies in several bands whose colours tell their redshifts."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.galaxy_population import draw_galaxies, draw_neighbours
from skastro.datasets.galaxy_profiles import Canvas
from skastro.datasets.galaxy_templates import BANDS, MAX_REDSHIFT, TEMPLATES

__all__ = ["make_galaxies"]

CHUNK = 8 * 64**2  # pixels of a band at once: what is worked on stays in the cache
# Sky [mag arcsec^-2], electrons per nanomaggy, variance of the readout [electrons^2]; the width of the
# point spread function over that in r: roughly those of the imaging of SDSS
_CAMERA = {
    "u": (22.1, 165.0, 23.0, 1.16),
    "g": (21.8, 1000.0, 20.0, 1.09),
    "r": (20.8, 950.0, 20.0, 1.00),
    "i": (20.3, 715.0, 25.0, 0.96),
    "z": (19.2, 142.0, 20.0, 0.98),
}
SKY_SCATTER, SEEING_SCATTER, BAND_SCATTER = 0.15, 0.12, 0.03
EBV, EBV_SCATTER, EBV_LARGEST = 0.035, 0.65, 0.4  # median [mag], scatter of the logarithm

_DESCR = """\
Simulated galaxies in five bands, with their redshifts
------------------------------------------------------
Cut-outs centred on galaxies of a survey limited in flux (r, free of extinction), in nanomaggies a pixel:
magnitude 22.5 - 2.5 log10(flux). Sky subtracted.

Spectra are sums of four analytic templates (an old population with the break at 4000 A, an intermediate
one, a young one with emission lines, the same behind dust), integrated through analytic u, g, r, i, z bands
at the redshift of the galaxy. A type from 0 (old) to 1 (young) sets the shares of the templates, the
luminosity, and the bulge, which has only old stars. Luminosities follow Schechter's law in a flat universe
with H0 = 70 km/s/Mpc and Omega_m = 0.3. A galaxy is a bulge (de Vaucouleurs) and an inclined exponential
disk. The point spread function, two Gaussians, has another width in every image and band. The Milky Way
reddens each image by its E(B-V). Stars and other galaxies, to r = 22, lie around and behind. Noise is normal,
with the variance of the electrons of source and sky and of the readout.

Tuned by eye so that redshifts and colours look like those of the main galaxy sample of SDSS: a stand-in for
it, not a model of it. No spiral arms, no evolution, no defects of images.
"""


def _check(n_galaxies, bands, n_pixels, pixel_scale, seeing, redshift_range, magnitude_limit):
    for name, value, least in (("n_galaxies", n_galaxies, 1), ("n_pixels", n_pixels, 8)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={value!r}: expected an integer of at least {least}")
    for name, value in (
        ("pixel_scale", pixel_scale),
        ("seeing", seeing),
        ("magnitude_limit", magnitude_limit),
    ):
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not 0 < value < np.inf:
            raise ValueError(f"{name}={value!r}: expected a positive number")
    if magnitude_limit > 22:
        raise ValueError(f"magnitude_limit={magnitude_limit!r}: expected at most 22")
    if not 2.0 * pixel_scale <= seeing:
        raise ValueError(
            f"seeing={seeing!r}: expected at least 2 pixels, {2.0 * pixel_scale:.3g} arcsec"
        )
    known = isinstance(bands, str | list | tuple) and all(band in list(BANDS) for band in bands)
    if not known or not len(bands) or len(set(bands)) < len(bands):
        raise ValueError(f"bands={bands!r}: expected some of 'ugriz', each at most once")
    pair = isinstance(redshift_range, tuple | list) and len(redshift_range) == 2
    if not pair or not all(isinstance(z, Real) and not isinstance(z, bool) for z in redshift_range):
        raise ValueError(f"redshift_range={redshift_range!r}: expected two numbers")
    if not 0 <= redshift_range[0] < redshift_range[1] <= MAX_REDSHIFT:
        raise ValueError(
            f"redshift_range={redshift_range!r}: expected 0 <= low < high <= {MAX_REDSHIFT:g}"
        )


def _conditions(n, pixel_scale, seeing, rng):
    """E(B-V), noise of the sky and width of the point spread function of each image; electrons."""
    reddening = np.exp(EBV_SCATTER * rng.standard_normal(n))
    sky, electrons, readout, widths = np.array(list(_CAMERA.values())).T
    sky = sky + SKY_SCATTER * rng.standard_normal((n, len(sky)))
    sky_electrons = electrons * pixel_scale**2 * 10.0 ** (0.4 * (22.5 - sky))
    scatter = SEEING_SCATTER * rng.standard_normal((n, 1))
    scatter = scatter + BAND_SCATTER * rng.standard_normal((n, len(widths)))
    # narrower ones would not be sampled
    fwhm = np.maximum(seeing * widths * np.exp(scatter), 2.0 * pixel_scale)
    sky_sigma = np.sqrt(sky_electrons + readout) / electrons
    return np.minimum(EBV * reddening, EBV_LARGEST), sky_sigma, fwhm, electrons


def make_galaxies(
    n_galaxies,
    *,
    bands="ugriz",
    n_pixels=64,
    pixel_scale=0.396,
    seeing=1.32,
    redshift_range=(0.0, 0.4),
    magnitude_limit=17.8,
    extinction=True,
    neighbours=True,
    return_truth=False,
    random_state=None,
):
    """Make images of galaxies in several bands, with their redshifts.

    The redshift is in the colours, and the rest of what matters in the images: size, shape, noise,
    extinction, neighbours. To learn photometric redshifts from pixels.

    Parameters
    ----------
    n_galaxies : int
        At least 1.
    bands : str or sequence of str, default="ugriz"
        Of SDSS, in the order wanted.
    n_pixels : int, default=64
        Of a side, at least 8.
    pixel_scale : float, default=0.396
        Side of a pixel, in arcsec.
    seeing : float, default=1.32
        Median of the full width at half maximum of the point spread function in r, in arcsec; at
        least two pixels.
    redshift_range : tuple of two floats, default=(0.0, 0.4)
        From which redshifts come, within 0 and 1. How many there are at each follows from the
        limit of magnitude.
    magnitude_limit : float, default=17.8
        In r, free of extinction: every galaxy is brighter. At most 22.
    extinction : bool, default=True
        Whether the dust of the Milky Way dims and reddens the images.
    neighbours : bool, default=True
        Whether other galaxies and stars are in the images.
    return_truth : bool, default=False
        Also return the images without noise.
    random_state : int, RandomState instance or None, default=None
        The same seed gives the same images.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of shape (n_galaxies, n_bands, n_pixels, n_pixels), float32
            In nanomaggies a pixel. The galaxy is within half a pixel of the middle.
        redshift : ndarray of shape (n_galaxies,), float64
            Of the galaxy in the middle.
        ebv : ndarray of shape (n_galaxies,), float64
            E(B-V) of the Milky Way in mag; 0 without `extinction`.
        extinction_law : ndarray of shape (n_bands,), float64
            Extinction in each band for E(B-V) = 1 mag.
        seeing : ndarray of shape (n_galaxies, n_bands), float64
            Full width at half maximum of the point spread function, in arcsec.
        sky_sigma : ndarray of shape (n_galaxies, n_bands), float64
            Deviation of the noise where there is only sky, in nanomaggies a pixel.
        electrons_per_nanomaggy : ndarray of shape (n_bands,), float64
            A pixel of flux f has the variance `sky_sigma**2 + f / electrons_per_nanomaggy`.
        magnitudes : ndarray of shape (n_galaxies, n_bands), float64
            Total magnitudes of the galaxy, without noise, neighbours and extinction.
        galaxy_type : ndarray of shape (n_galaxies,), float64
            From 0, old, to 1, mostly young.
        template_weights : ndarray of shape (n_galaxies, 4), float64
            Shares of the templates of `template_names` at 5500 A at rest.
        radius : ndarray of shape (n_galaxies,), float64
            Half-light radius of the disk along its major axis, in arcsec.
        n_neighbours : ndarray of shape (n_galaxies,), int64
            Stars and galaxies in the image and up to 4 arcsec outside.
        bands : list of str
            As given.
        template_names : list of str
            "old", "intermediate", "young", "dusty young".
        unit : str
            "nanomaggy".
        noiseless : ndarray of the shape of `images`, float32
            All sources, without noise. If `return_truth`.
        galaxy : ndarray of the shape of `images`, float32
            The galaxy in the middle alone, without noise. If `return_truth`.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        A number that is none or out of its range, an unknown or repeated band, or redshifts at which no
        galaxy is bright enough.

    Notes
    -----
    Images are periodic over about twice their side before they are cut: some light of galaxies larger
    than the image, about one in a hundred at 25 arcsec, comes back from the other side.

    References
    ----------
    .. [1] J. Pasquet et al. (2019), "Photometric redshifts from SDSS images using a convolutional
       neural network", A&A 621, A26.
    .. [2] E. F. Schlafly & D. P. Finkbeiner (2011), "Measuring reddening with Sloan Digital Sky Survey
       stellar spectra and recalibrating SFD", ApJ 737, 103.

    Examples
    --------
    >>> from skastro.datasets import make_galaxies
    >>> sky = make_galaxies(8, random_state=0)
    >>> sky.images.shape, sky.redshift.shape, sky.unit
    ((8, 5, 64, 64), (8,), 'nanomaggy')
    >>> bool((sky.magnitudes[:, 2] < 17.8).all())
    True
    """
    _check(n_galaxies, bands, n_pixels, pixel_scale, seeing, redshift_range, magnitude_limit)
    n, bands, n_pixels = int(n_galaxies), list(bands), int(n_pixels)
    of_band = [list(BANDS).index(band) for band in bands]
    root = check_random_state(random_state).randint(2**31 - 1)
    # a stream for each purpose: what is left out doesn't change the rest
    of_galaxies, of_images, of_neighbours, of_noise = (
        np.random.default_rng(child) for child in np.random.SeedSequence(root).spawn(4)
    )

    redshift, galaxy_type, weights, galaxies = draw_galaxies(
        n, redshift_range, magnitude_limit, of_galaxies
    )
    magnitudes = 22.5 - 2.5 * np.log10(galaxies["bulge"] + galaxies["disk"])
    galaxies["x"], galaxies["y"] = pixel_scale * of_images.uniform(-0.5, 0.5, (2, n))

    law = np.array([BANDS[band][3] for band in BANDS])
    ebv, sky_sigma, fwhm, electrons = _conditions(n, pixel_scale, seeing, of_images)
    ebv *= bool(extinction)
    count, others = np.zeros(n, np.int64), None
    if neighbours:
        count, others = draw_neighbours(n, n_pixels * pixel_scale, of_neighbours)
    first = np.cumsum(count) - count
    dimming = 10.0 ** (-0.4 * law * ebv[:, None])
    for sources, image in ((galaxies, slice(None)), (others, np.repeat(np.arange(n), count))):
        for part in ("bulge", "disk") if sources else ():
            sources[part] = (sources[part] * dimming[image])[:, of_band]

    sky_sigma, fwhm, electrons = sky_sigma[:, of_band], fwhm[:, of_band], electrons[of_band]
    names = ["images"] + (["noiseless", "galaxy"] if return_truth else [])
    stacks = {name: np.empty((n, len(bands), n_pixels, n_pixels), np.float32) for name in names}
    canvas = Canvas(n_pixels, pixel_scale)
    chunk = max(1, CHUNK // n_pixels**2)
    for start in range(0, n, chunk):
        rows = np.arange(start, min(start + chunk, n))
        spectrum = canvas.spectrum(len(rows), len(bands))
        canvas.add(spectrum, np.arange(len(rows)), galaxies, rows)
        if return_truth:
            alone = spectrum.copy()
            canvas.blur(alone, fwhm[rows])
            stacks["galaxy"][rows] = canvas.images(alone)
        for k in range(count[rows].max()):
            images = np.flatnonzero(count[rows] > k)
            canvas.add(spectrum, images, others, first[rows[images]] + k)
        canvas.blur(spectrum, fwhm[rows])
        clean = canvas.images(spectrum)
        if return_truth:
            stacks["noiseless"][rows] = clean
        # rounding can leave a pixel of the sky a little below zero
        variance = np.maximum(clean, 0.0) / electrons.astype(np.float32)[:, None, None]
        variance += (sky_sigma[rows] ** 2).astype(np.float32)[..., None, None]
        noise = of_noise.standard_normal(clean.shape, np.float32)
        stacks["images"][rows] = clean + noise * np.sqrt(variance)
    return Bunch(
        redshift=redshift,
        ebv=ebv,
        extinction_law=law[of_band],
        seeing=fwhm,
        sky_sigma=sky_sigma,
        electrons_per_nanomaggy=electrons,
        magnitudes=magnitudes[:, of_band],
        galaxy_type=galaxy_type,
        template_weights=weights,
        radius=galaxies["r_disk"],
        n_neighbours=count,
        bands=bands,
        template_names=list(TEMPLATES),
        unit="nanomaggy",
        DESCR=_DESCR,
        **stacks,
    )
