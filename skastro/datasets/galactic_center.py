"""A toy gamma-ray sky around the Galactic Centre: photon counts, with what they are made of."""

from __future__ import annotations

from math import pi, sqrt
from numbers import Integral

import numpy as np
from scipy.special import expit, k0
from sklearn.utils import Bunch, check_random_state

__all__ = ["galactic_center_templates", "make_galactic_center"]

HALF_WIDTH = 15.0  # of the field [deg]
PIXEL = 2.0 * HALF_WIDTH / 64  # of the published images, to which all normalisations belong [deg]
GAS_SCALE = 0.25  # [deg]
PSF_SIGMA = 0.8 / 3.0  # [deg]
N_BULGE, N_DISK = (200, 800), (1000, 4000)  # sources, the upper end excluded
LOG_FLUX = 1.0, 1.2  # mean and deviation of ln(flux)
DISK_LENGTH, DISK_HEIGHT = 34.516, 2.071  # 5 and 0.3 kpc at 8.3 kpc [deg]
CHUNK = 512 * 64**2  # pixels at once: some 100 MB of work arrays

PARAM_NAMES = ["A_ic", "A_pi0", "A_bubbles", "A_dm", "n_ps_gc", "n_ps_disk"]

_DESCR = """\
Toy gamma-ray sky around the Galactic Centre
--------------------------------------------
Photon counts over a field of 30 x 30 deg; rows are latitudes y, columns x (like longitude).

Smooth components, each times a factor drawn uniformly in (0, 1) (`A_ic`, `A_pi0`, `A_bubbles`,
`A_dm`): inverse Compton emission; gas (pi0 and bremsstrahlung), with a fresh Gaussian field for
each image; the Fermi bubbles; dark matter. Point sources with log-normal fluxes: 200 to 799 of the
bulge (`n_ps_gc`), with the surface density of the dark matter, and 1000 to 3999 of the disk
(`n_ps_disk`). The sum `mu` is blurred by the point spread function (`blurred`, the noiseless image)
and Poisson counts are drawn (`images`).

After the simulator of "Problem 6: have we discovered dark matter in the centre of the Milky Way?",
Astromatic summer programme, Montreal, 2022 (A. Coogan), written from its formulas. As there, the
point spread function isn't normalised unless asked for: it multiplies all counts by 2.047.
"""


def _geometry(n_pixels):
    """Centres of the pixels along an axis, and their size, in deg."""
    pixel = 2.0 * HALF_WIDTH / n_pixels
    return (np.arange(n_pixels) - 0.5 * (n_pixels - 1)) * pixel, pixel


def _templates(x, y, pixel):
    """Inverse Compton, gas without its scatter, bubbles, dark matter: counts a pixel."""
    area = (pixel / PIXEL) ** 2
    inverse_compton = (25.0 * area) * np.exp(-np.abs(y) / 5.0)
    gas = (50.0 * area) * np.exp(-((x / 20.0) ** 2) - (y / 5.0) ** 2)
    north = 10.5 * (np.cosh((x + 1.0) / 10.5) - 1.0) + 1.0
    south = -8.7 * (np.cosh((x - 1.7) / 8.7) - 1.0) - 1.0
    bubbles = (3.0 * area) * expit(np.where(y > 0, y - north, south - y) / 0.6)
    # With an odd number of pixels one of them holds the centre.
    r = np.maximum(np.hypot(x, y), 0.25 * pixel)
    # density at r of a gamma law of shape 1/2: Gamma(1/2) is sqrt(pi)
    dark_matter = (100.0 * area / sqrt(5.0 * pi)) * np.exp(-r / 5.0) / np.sqrt(r)
    return inverse_compton, gas, bubbles, dark_matter


def _gas_kernel(centres, pixel):
    """Applied to both sides of white noise; the deviation of the field is that of 64 pixels."""
    kernel = np.exp(-0.5 * ((centres[:, None] - centres) / GAS_SCALE) ** 2)
    steps = np.arange(-64, 65)
    wanted, own = (np.exp(-((steps * size / GAS_SCALE) ** 2)).sum() for size in (PIXEL, pixel))
    return (kernel * np.sqrt(wanted / own)).astype(np.float32)


def _psf_matrix(centres, pixel, normalized):
    """One axis of the point spread function, zero outside the image."""
    reach = int(np.ceil(3.5 * PSF_SIGMA / pixel))  # 2 pixels of the published images
    total, own = (
        np.exp(-0.5 * (np.arange(-k, k + 1) * size / PSF_SIGMA) ** 2).sum()
        for k, size in ((2, PIXEL), (reach, pixel))
    )
    steps = np.abs(centres[:, None] - centres) / pixel
    matrix = np.exp(-0.5 * (steps * pixel / PSF_SIGMA) ** 2) * (steps < reach + 0.5)
    return (matrix * ((1.0 if normalized else total) / own)).astype(np.float32)


def _bulge(n, rng):
    r = rng.gamma(1.5, 5.0, n)
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    return r * np.cos(angle), r * np.sin(angle)


def _disk(n, rng):
    x = rng.exponential(DISK_LENGTH, n) * np.cos(rng.uniform(0.0, 2.0 * np.pi, n))
    return x, rng.laplace(0.0, DISK_HEIGHT, n)


def _flux_maps(counts, positions, angles, n_pixels, rng):
    """Flux of a population of sources in each pixel, (n_images, n_pixels, n_pixels) float32."""
    image = np.repeat(np.arange(len(counts)), counts)
    column, row = np.empty((2, len(image)), np.int64)
    missing = np.arange(len(image))
    while len(missing):
        x, y = positions(len(missing), rng)
        if angles is not None:
            cos, sin = (f(angles)[image[missing]] for f in (np.cos, np.sin))
            x, y = cos * x - sin * y, sin * x + cos * y
        inside = (np.abs(x) < HALF_WIDTH) & (np.abs(y) < HALF_WIDTH)
        found = missing[inside]
        for pixels, position in ((column, x), (row, y)):
            scaled = (position[inside] + HALF_WIDTH) * (n_pixels / (2.0 * HALF_WIDTH))
            # rounding can put a source at the very edge one pixel outside
            pixels[found] = np.minimum(scaled.astype(np.int64), n_pixels - 1)
        missing = missing[~inside]
    flux = rng.lognormal(*LOG_FLUX, len(image))
    shape = (len(counts), n_pixels, n_pixels)
    where = (image * n_pixels + row) * n_pixels + column
    return np.bincount(where, flux, np.prod(shape)).astype(np.float32).reshape(shape)


def _sky(params, angles, n_pixels, rng):
    """The images before the point spread function, and what is in them."""
    n_images = len(params)
    centres, pixel = _geometry(n_pixels)
    x, y = centres.astype(np.float32), centres.astype(np.float32)[:, None]
    if angles is not None:
        cos, sin = (f(angles).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
        x, y = cos * x + sin * y, cos * y - sin * x
    inverse_compton, gas, bubbles, dark_matter = _templates(x, y, pixel)

    kernel = _gas_kernel(centres, pixel)
    scatter = kernel @ rng.standard_normal((n_images, n_pixels, n_pixels), np.float32) @ kernel
    gas = gas * np.exp(0.125 * scatter)
    bulge, disk = (
        _flux_maps(params[:, i].astype(np.int64), positions, angles, n_pixels, rng)
        for i, positions in ((4, _bulge), (5, _disk))
    )
    mu = bulge + disk
    for factor, template in zip(
        params.T, (inverse_compton, gas, bubbles, dark_matter), strict=False
    ):
        mu += factor.astype(np.float32)[:, None, None] * template
    return mu, {"flux_ps_gc": bulge, "flux_ps_disk": disk, "template_pi0": gas}


def galactic_center_templates(n_pixels=64, *, psf_normalized=False):
    """What the images of `make_galactic_center` are made of, on average.

    Blurred, in counts a pixel for a factor 1: inverse Compton emission, gas without its scatter, bubbles,
    dark matter, and the sources of the disk, for a thousand of them. The mean of the sources of the bulge
    has the shape of the dark matter.

    Parameters
    ----------
    n_pixels : int, default=64
        Of a side, at least 4.
    psf_normalized : bool, default=False
        As in `make_galactic_center`.

    Returns
    -------
    templates : ndarray of shape (5, n_pixels, n_pixels), float64

    Raises
    ------
    ValueError
        If `n_pixels` isn't an integer of at least 4.

    Examples
    --------
    >>> from skastro.datasets import galactic_center_templates, make_galactic_center
    >>> sky = make_galactic_center(500, psf_normalized=True, random_state=0)
    >>> factors = sky.params.mean(0)[[0, 1, 2, 3, 5]] * [1, 1, 1, 1, 1e-3]
    >>> found = galactic_center_templates(psf_normalized=True)
    >>> mean = (factors[:, None, None] * found).sum(0)  # without bulge, nor the scatter of the gas
    >>> bool(0.9 < mean.mean() / sky.images.mean() < 1)
    True
    """
    _check_integer("n_pixels", n_pixels, 4)
    centres, pixel = _geometry(int(n_pixels))
    x, y = centres, centres[:, None]
    # positions along the disk: an exponential radius seen edge-on
    distance = np.maximum(np.abs(x), 0.25 * pixel)
    disk = k0(distance / DISK_LENGTH) * np.exp(-np.abs(y) / DISK_HEIGHT)
    mean, deviation = LOG_FLUX
    disk *= 1000.0 * np.exp(mean + 0.5 * deviation**2) / disk.sum()
    psf = _psf_matrix(centres, pixel, psf_normalized).astype(np.float64)
    templates = np.stack(np.broadcast_arrays(*_templates(x, y, pixel), disk))
    return psf @ templates @ psf


def _check_integer(name, value, least):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: expected an integer of at least {least}")


def make_galactic_center(
    n_images,
    *,
    rotated=False,
    psf_normalized=False,
    n_pixels=64,
    return_maps=False,
    random_state=None,
):
    """Make images of a toy gamma-ray sky around the Galactic Centre.

    Photon counts with their noiseless images, their parameters and their point sources: to
    denoise, to find sources, or to infer parameters.

    Parameters
    ----------
    n_images : int
        At least 1.
    rotated : bool, default=False
        Turn each sky by an angle drawn uniformly in (0, 2 pi). The components are evaluated at
        rotated coordinates: nothing is interpolated and no corner is empty.
    psf_normalized : bool, default=False
        Whether the point spread function keeps the flux. False is what was published: all counts
        are 2.047 times higher.
    n_pixels : int, default=64
        Of a side, at least 4. The sky and its total counts stay the same.
    return_maps : bool, default=False
        Also return the maps that add up to the image.
    random_state : int, RandomState instance or None, default=None
        The same seed gives the same images.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of shape (n_images, n_pixels, n_pixels), float32
            Counts: integers. Rows are latitudes from -15 to 15 deg.
        blurred : ndarray of shape (n_images, n_pixels, n_pixels), float32
            Their means: the images without noise.
        params : ndarray of shape (n_images, 6), float64
            Factors of the four smooth components, in (0, 1), and the numbers of sources of the
            bulge and of the disk.
        param_names : list of str
            "A_ic", "A_pi0", "A_bubbles", "A_dm", "n_ps_gc", "n_ps_disk".
        angles : ndarray of shape (n_images,), float64
            By which each sky was turned, from columns (x) towards rows (y), in radians; 0 if not
            `rotated`.
        flux_ps_gc, flux_ps_disk : ndarray of the shape of `images`, float32
            Flux of the point sources in each pixel, not blurred. If `return_maps`.
        template_pi0 : ndarray of the shape of `images`, float32
            The gas with its scatter, for a factor 1. If `return_maps`.
        mu : ndarray of the shape of `images`, float32
            The sum of all components, not blurred. If `return_maps`.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If `n_images` or `n_pixels` isn't an integer of at least 1 or 4.

    References
    ----------
    .. [1] A. Coogan (2022), "Problem 6: have we discovered dark matter in the centre of the Milky
       Way?", Astromatic summer programme, Montreal.

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> sky = make_galactic_center(8, rotated=True, random_state=0)
    >>> sky.images.shape, sky.params.shape
    ((8, 64, 64), (8, 6))
    >>> noise = (sky.images - sky.blurred) / sky.blurred**0.5
    >>> bool(abs(noise.std() - 1) < 0.02)
    True
    """
    _check_integer("n_images", n_images, 1)
    _check_integer("n_pixels", n_pixels, 4)
    n_images, n_pixels = int(n_images), int(n_pixels)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    psf = _psf_matrix(*_geometry(n_pixels), psf_normalized)

    params = np.empty((n_images, len(PARAM_NAMES)))
    angles = np.zeros(n_images)
    names = ["images", "blurred"]
    if return_maps:
        names += ["flux_ps_gc", "flux_ps_disk", "template_pi0", "mu"]
    stacks = {name: np.empty((n_images, n_pixels, n_pixels), np.float32) for name in names}
    chunk = max(1, CHUNK // n_pixels**2)
    for start in range(0, n_images, chunk):
        rows = slice(start, start + chunk)
        n = len(params[rows])
        params[rows, :4] = rng.random((n, 4))
        params[rows, 4] = rng.integers(*N_BULGE, n)
        params[rows, 5] = rng.integers(*N_DISK, n)
        if rotated:
            angles[rows] = rng.uniform(0.0, 2.0 * np.pi, n)
        mu, maps = _sky(params[rows], angles[rows] if rotated else None, n_pixels, rng)
        blurred = psf @ mu @ psf
        maps.update(mu=mu, blurred=blurred, images=rng.poisson(blurred))
        for name in names:
            stacks[name][rows] = maps[name]
    return Bunch(
        params=params, param_names=list(PARAM_NAMES), angles=angles, DESCR=_DESCR, **stacks
    )
