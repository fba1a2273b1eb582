"""Mixtures of real maps with a known truth: dust and noise, dust and the infrared background."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy.fft import irfft2, rfft2
from sklearn.utils import Bunch, check_random_state

from skastro.base import row_blocks
from skastro.datasets.fbm import fbm
from skastro.datasets.sky_maps import load_cib_map, load_dust_map
from skastro.fourier_shells import FourierShells
from skastro.map_spectra import shell_spectra
from skastro.maps import check_maps

__all__ = ["make_mixture"]

KINDS = ("white", "inhomogeneous", "cib", "polarization")
SIDE = 256  # of the bundled maps
DISKS = 25  # of a mask, in an area of SIDE x SIDE
RADII = 3, 8  # [pixel]
LEVEL_INDEX, LEVEL_SCATTER = 3.0, 0.6  # of the logarithm of the level of inhomogeneous noise

_SIGNAL = """\
Signal: the bundled simulation of dust emission (`skastro.datasets.load_dust_map`, which says where it is
from), or the map given, less its mean and over its standard deviation: all maps of this set are in units of
the standard deviation of the signal.
"""

_DESCR = {
    "white": """\
Dust and white noise
--------------------
Contamination: independent normal numbers of standard deviation `ratio`.
""",
    "inhomogeneous": """\
Dust and noise of a level that varies
-------------------------------------
Contamination: independent normal numbers. Their standard deviation, `sigma`, varies smoothly over the map, as
with the depth of a survey: a log-normal field, scatter 0.6 of the logarithm, spectrum k**-3, root mean square
`ratio`. Mixtures and samples have the same.
""",
    "cib": """\
Dust and the cosmic infrared background
---------------------------------------
Contamination: a patch seen by Planck (`skastro.datasets.load_cib_map`), or the one given, less its mean and
with a standard deviation of `ratio`; turned and mirrored in each further mixture, up to eight. There is no
second patch: the samples are Gaussian random fields, periodic, with the isotropic power spectrum of the patch
(Hann window, rings one mode wide). They have its spectrum, but neither its phases nor its borders.
""",
    "polarization": """\
Polarised dust and white noise
------------------------------
Two channels, Stokes Q and U. The signal has a total variance, Q and U together, of 1; the noise, independent
normal numbers, one of `ratio` squared, half of it in either channel.
""",
}


def make_mixture(
    kind="white",
    *,
    ratio=1.0,
    n_samples=40,
    n_mixtures=1,
    n_pixels=None,
    periodic=None,
    mask=False,
    signal=None,
    background=None,
    random_state=None,
):
    """Mix a map of dust with what contaminates it, and draw samples of the contamination.

    What a component separation has: a mixture and samples of the contamination, none of which is the one in
    the mixture. And what it has to find, the truth.

    Parameters
    ----------
    kind : {"white", "inhomogeneous", "cib", "polarization"}, default="white"
        White noise; noise of a level that varies over the map; a patch of the cosmic infrared background;
        Stokes Q and U with white noise, two channels.
    ratio : float, default=1.0
        Standard deviation of the contamination over that of the signal.
    n_samples : int, default=40
        Samples of the contamination.
    n_mixtures : int, default=1
        Mixtures of the same signal, each with a contamination of its own; at most 8 of kind "cib".
    n_pixels : int or None, default=None
        Side of the maps, from 8 to 256. None: 256, or the size of `signal`. A smaller one is the first
        corner, or, if periodic, the whole averaged by squares: it must then divide 256.
    periodic : bool or None, default=None
        Whether opposite sides of the signal fit: the whole simulation at half its resolution, or else a piece
        at full resolution. None: True for "polarization". Ignored where `signal` is given.
    mask : bool, default=False
        Whether disks of 3 to 8 pixels in radius, 25 in 256 x 256 pixels, are blank (NaN) in the mixtures.
    signal : array-like of shape (h, w), or (2, h, w) for "polarization", default=None
        Another map of the signal, in any unit. None: a bundled one.
    background : array-like of the shape of the signal, default=None
        Another patch, of kind "cib". None: the bundled one.
    random_state : int, RandomState instance or None, default=None
        Contamination, samples, level and mask are drawn apart: the mixtures are the same for another
        `n_samples`, and the first samples and mixtures of a larger number are the same.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        mixture : ndarray of shape (n_mixtures, h, w) or (n_mixtures, 2, h, w), float32
            Signal and contamination; NaN under the mask.
        signal : ndarray of the shape of `mixture`, float32
            The truth, the same map in all. Mean 0, standard deviation 1 (of both channels together).
        contamination : ndarray of the shape of `mixture`, float32
            The truth, the realisation in each mixture.
        samples : ndarray of shape (n_samples, h, w) or (n_samples, 2, h, w), float32
            Samples of the contamination, independent of the one in the mixture (of kind "cib", of the same
            spectrum).
        sigma : ndarray of shape (h, w), float32, or None
            Standard deviation of the noise in each channel; None for "cib".
        mask : ndarray of bool of shape (h, w) or None
            True where a pixel is seen.
        periodic : bool or None
            Whether opposite sides of the signal fit; None where it was given.
        kind : str
            As given.
        unit : None
            Of every map: the standard deviation of the signal.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If an argument is out of the range given above, or a map is constant or not finite.

    References
    ----------
    .. [1] B. Regaldo-Saint Blancard, E. Allys, F. Boulanger, F. Levrier & N. Jeffrey (2021), "A new
       approach for the statistical denoising of Planck interstellar dust polarization data", A&A 649, L18.
    .. [2] C. Auclair, E. Allys, F. Boulanger et al. (2024), "Separation of dust emission from the cosmic
       infrared background in Herschel observations with wavelet phase harmonics", A&A 681, A1.

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> mix = make_mixture("cib", n_samples=5, n_pixels=64, random_state=0)
    >>> mix.mixture.shape, mix.samples.shape
    ((1, 64, 64), (5, 64, 64))
    >>> bool(abs(mix.mixture - mix.signal - mix.contamination).max() < 1e-6)
    True
    """
    _check(kind, ratio, n_samples, n_mixtures, n_pixels)
    n_channels = 2 if kind == "polarization" else 1
    if background is not None and kind != "cib":
        raise ValueError(f"background was given with kind={kind!r}: expected None, or kind='cib'")
    truth, periodic = _signal(signal, n_channels, n_pixels, periodic)
    shape = truth.shape[-2:]
    seed = check_random_state(random_state).randint(2**31 - 1)
    mixture_rng, samples_rng, level_rng, mask_rng = np.random.default_rng(seed).spawn(4)

    sigma = None
    if kind == "cib":
        patch = ratio * _patch(background, shape)
        contamination = _turned(patch, n_mixtures)
        power = _ring_power(patch)
        samples = _gaussian(power, shape, n_samples, samples_rng)
    else:
        level = np.full(shape, ratio / np.sqrt(n_channels))
        if kind == "inhomogeneous":
            field = np.exp(LEVEL_SCATTER * fbm(shape, LEVEL_INDEX, level_rng).astype(np.float64))
            level *= field / np.sqrt(np.mean(field**2))
        sigma = level.astype(np.float32)
        lead = (n_channels,) if n_channels > 1 else ()
        contamination, samples = (
            rng.standard_normal((n, *lead, *shape), dtype=np.float32) * sigma
            for n, rng in ((n_mixtures, mixture_rng), (n_samples, samples_rng))
        )
    truth = np.repeat(truth[None], n_mixtures, axis=0)
    mixture = truth + contamination
    seen = None
    if mask:
        seen = _disks(shape, mask_rng)
        mixture[..., ~seen] = np.nan
    return Bunch(
        mixture=mixture,
        signal=truth,
        contamination=contamination,
        samples=samples,
        sigma=sigma,
        mask=seen,
        periodic=periodic,
        kind=kind,
        unit=None,
        DESCR=_DESCR[kind] + "\n" + _SIGNAL,
    )


def _check(kind, ratio, n_samples, n_mixtures, n_pixels):
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(map(repr, KINDS))}")
    number = isinstance(ratio, Real) and not isinstance(ratio, bool)
    if not number or not (np.isfinite(ratio) and ratio > 0):
        raise ValueError(f"ratio={ratio!r}: expected a number above 0")
    most = 8 if kind == "cib" else None
    for name, value, low, high in (
        ("n_samples", n_samples, 1, None),
        ("n_mixtures", n_mixtures, 1, most),
        ("n_pixels", n_pixels, 8, SIDE),
    ):
        if value is None and name == "n_pixels":
            continue
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            span = f"at least {low}" if high is None else f"from {low} to {high}"
            raise ValueError(f"{name}={value!r}: expected an integer, {span}")


def _standardised(maps, name):
    """Maps without their means, over the standard deviation of all channels together."""
    maps = maps.astype(np.float64)
    maps -= maps.mean(axis=(-2, -1), keepdims=True)
    total = np.sqrt(np.mean(maps**2, axis=(-2, -1)).sum())
    if not total > 0:
        raise ValueError(f"{name} is constant: expected a map that varies")
    return (maps / total).astype(np.float32)


def _signal(signal, n_channels, n_pixels, periodic):
    """Standardised signal (h, w) or (2, h, w), and whether it is periodic."""
    if signal is not None:
        if n_pixels is not None:
            raise ValueError(f"n_pixels={n_pixels!r} with a signal: expected None, its own size")
        given, _ = check_maps(signal, "signal", ndims=(2,) if n_channels == 1 else (3,))
        if n_channels > 1 and len(given) != n_channels:
            raise ValueError(f"signal has shape {given.shape}: expected (2, h, w)")
        return _standardised(given, "signal"), None
    periodic = n_channels > 1 if periodic is None else bool(periodic)
    found = load_dust_map("I" if n_channels == 1 else "QU", periodic=periodic).map
    side = SIDE if n_pixels is None else n_pixels
    if periodic and SIDE % side:
        raise ValueError(f"n_pixels={side}: expected a divisor of {SIDE} for a periodic map")
    if periodic:
        step = SIDE // side
        blocks = found.reshape(*found.shape[:-2], side, step, side, step)
        found = blocks.mean(axis=(-3, -1), dtype=np.float64)
    return _standardised(found[..., :side, :side], "signal"), periodic


def _patch(background, shape):
    """Standardised patch of the contamination."""
    if background is None:
        patch = load_cib_map().map
        if max(shape) > SIDE:
            raise ValueError(
                f"signal has {shape[0]} x {shape[1]} pixels: expected at most {SIDE} x {SIDE}, the size of "
                "the bundled patch, or a background of its own size"
            )
        patch = patch[: shape[0], : shape[1]]
    else:
        patch, _ = check_maps(background, "background", ndims=(2,), shape=shape)
    return _standardised(patch, "background")


def _turned(patch, n):
    """The patch, and as many of its turned and mirrored forms as asked for."""
    square = patch.shape[0] == patch.shape[1]
    if n > 4 and not square:
        raise ValueError(
            f"n_mixtures={n} of maps that are not square: expected at most 4 of kind 'cib'"
        )
    steps = (0, 1, 2, 3) if square else (0, 2)
    forms = [np.rot90(one, step) for one in (patch, patch[:, ::-1]) for step in steps]
    return np.stack(forms[:n]).astype(np.float32)


def _ring_power(patch):
    """Isotropic power of each mode of a real FFT, to the corners; none of the mean."""
    shells = FourierShells(patch.shape, k_max=np.sqrt(0.5))
    power = shell_spectra(patch[None], None, shells, window="hann")[0, 0]
    # a number of -1, the mean, takes the last
    return np.append(power, 0.0)[shells.labels]


def _gaussian(power, shape, n, rng):
    """Gaussian random fields (n, h, w) of the power of each mode."""
    fields = np.empty((n, *shape), np.float32)
    amplitude = np.sqrt(power)
    for rows in row_blocks(n, shape[0] * shape[1] * 48):
        noise = rng.standard_normal((rows.stop - rows.start, *shape))
        fields[rows] = irfft2(rfft2(noise) * amplitude, s=shape)
    return fields


def _disks(shape, rng):
    """Pixels outside of random disks, which may reach over the border."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    seen = np.ones(shape, dtype=bool)
    for _ in range(max(1, round(DISKS * shape[0] * shape[1] / SIDE**2))):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        seen &= np.hypot(y - row, x - column) > rng.uniform(*RADII)
    return seen
