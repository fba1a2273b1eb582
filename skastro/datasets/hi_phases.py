"""Synthetic 21-cm cubes of warm and cold atomic hydrogen, with the truth of either."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy.special import erf
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.fbm import fbm
from skastro.datasets.fields import check_per_map

__all__ = ["make_hi_phases"]

# column density of an optically thin line of 1 K km/s [1e20 cm^-2]
COLUMN_PER_FLUX = 0.01823
WARM_SIGMA, WARM_SPREAD = 8.0, 0.1  # line width [km/s], scatter of its logarithm
COLD_SIGMA, COLD_SPREAD = 1.5, 0.2
BULK, COLD_BULK = (
    3.0,
    2.0,
)  # dispersion of the velocity of all gas, and of the cold relative to it [km/s]
FILAMENT = 0.4  # width of the zero of a normal field that is a filament, in its standard deviations
CLASSES = ("noise", "warm", "cold")

_DESCR = """\
Synthetic 21-cm emission of warm and cold gas
---------------------------------------------
Brightness temperature in K over (n, h, w, n_channels), of patches that are periodic. Optically thin, as at
high Galactic latitude: the column density is 1.823e18 cm^-2 for each K km/s, and phases add up. No line is
saturated: where most of the gas is cold, the brightest pixels exceed the temperature of real cold gas.

Warm gas: a smooth column (log-normal, spectrum k**-3.6, scatter 0.3 of its logarithm), Gaussian lines of a
standard deviation of 8 km/s (scatter 10 %).

Cold gas: filaments, of a Gaussian profile, along the zeros of a Gaussian field of spectrum k**-3.2, with
log-normal structure in them (spectrum k**-2.6, scatter 0.5), lines of 1.5 km/s (scatter 20 %).

Velocities: those of the warm gas are a Gaussian field of spectrum k**-3.6, dispersion 3 km/s; those of the
cold gas the same with another, k**-2.8, of 2 km/s. The columns of the two phases are independent.

Noise: independent normal numbers.
"""


def make_hi_phases(
    n,
    kind="mixed",
    *,
    n_pixels=64,
    n_channels=64,
    channel_width=1.0,
    cold_fraction=None,
    column=1.0,
    sigma=0.3,
    random_state=None,
):
    """Make patches of the 21-cm line with warm gas, cold gas and noise.

    Warm gas is smooth over the sky and has broad lines; cold gas is filamentary and has narrow ones: their
    textures differ even in a map of one channel.

    Parameters
    ----------
    n : int
        Number of patches.
    kind : {"mixed", "pure"}, default="mixed"
        "mixed": both phases in every patch. "pure": noise alone, warm gas or cold gas, one third of a
        chance each, and noise.
    n_pixels : int or tuple (h, w), default=64
        Size of a patch, at least 8.
    n_channels : int, default=64
        Channels, centred on 0 km/s. 1: a map of one channel. Lines are up to some 40 km/s wide: what is
        outside a shorter band is not in the cubes.
    channel_width : float, default=1.0
        In km/s. A channel has the mean of the line over its width.
    cold_fraction : float or array-like of shape (n,) or None, default=None
        Mass fraction of the cold gas, from 0 to 1, of mixed patches. None: drawn evenly from 0.05 to 0.95.
    column : float, default=1.0
        Mean column density of a patch with gas, in 1e20 cm^-2.
    sigma : float, default=0.3
        Standard deviation of the noise in a channel, in K.
    random_state : int, RandomState instance or None, default=None
        The first patches of a larger `n` are the same; gas and noise are drawn apart.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        cube : ndarray of shape (n, h, w, n_channels), float32
            Warm gas, cold gas and noise, in K.
        warm, cold : ndarray of shape (n, h, w, n_channels), float32
            The truth of each phase, in K. The rest of the cube is the noise.
        warm_column, cold_column : ndarray of shape (n, h, w), float32
            Column densities, in 1e20 cm^-2.
        cold_fraction : ndarray of shape (n,), float64
            Of the mass in each patch; NaN where there is no gas.
        label : ndarray of shape (n,), int
            "mixed": 1 where more than half of the mass is cold, else 0. "pure": 0 for noise, 1 for warm and
            2 for cold gas.
        velocity : ndarray of shape (n_channels,), float64
            Centres of the channels, in km/s.
        kind : str
            As given.
        sigma : float
            As given.
        unit : str
            "K".
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If an argument is out of the range given above.

    References
    ----------
    .. [1] Kalberla & Kerp, "The HI distribution of the Milky Way", ARA&A 47, 27 (2009).
    .. [2] Lei & Clark, "Probing the cold neutral medium through HI emission morphology with the scattering
       transform", ApJ 947, 74 (2023).

    Examples
    --------
    >>> from skastro.datasets import make_hi_phases
    >>> gas = make_hi_phases(4, n_pixels=32, cold_fraction=[0.1, 0.3, 0.6, 0.9], random_state=0)
    >>> gas.cube.shape, gas.label.tolist()
    ((4, 32, 32, 64), [0, 0, 1, 1])
    >>> noise = gas.cube - gas.warm - gas.cold
    >>> bool(abs(noise.std() - gas.sigma) < 0.01)
    True
    """
    shape = _check(n, kind, n_pixels, n_channels, channel_width, column, sigma)
    seed = check_random_state(random_state).randint(2**31 - 1)
    kinds_rng, gas_rng, noise_rng = np.random.default_rng(seed).spawn(3)
    if kind == "pure":
        if cold_fraction is not None:
            raise ValueError(
                f"cold_fraction={cold_fraction!r} with kind='pure': expected None, or kind='mixed'"
            )
        label = kinds_rng.integers(0, len(CLASSES), n)
        fraction = np.array([np.nan, 0.0, 1.0])[label]
    else:
        if cold_fraction is None:
            fraction = kinds_rng.uniform(0.05, 0.95, n)
        else:
            fraction = check_per_map("cold_fraction", cold_fraction, n, 0.0)
            if fraction.max() > 1:
                raise ValueError(
                    f"cold_fraction has a maximum of {fraction.max():g}: expected at most 1"
                )
        label = (fraction > 0.5).astype(int)

    bounds = channel_width * (np.arange(n_channels + 1) - 0.5 * n_channels)
    size = (n, *shape, n_channels)
    cubes = {phase: np.zeros(size, np.float32) for phase in ("warm", "cold")}
    columns = {phase: np.zeros(size[:3], np.float32) for phase in cubes}
    cube = np.empty(size, np.float32)
    rngs = gas_rng.spawn(n), noise_rng.spawn(n)
    for i, (own, noise) in enumerate(zip(*rngs, strict=True)):
        cube[i] = np.float32(sigma) * noise.standard_normal(size[1:], dtype=np.float32)
        if np.isnan(fraction[i]):
            continue
        # drawn whatever the fraction: another one leaves the structure as it is
        for phase, share, lines in zip(
            cubes, (1 - fraction[i], fraction[i]), _phases(shape, own), strict=True
        ):
            if share > 0:
                density, centre, width = lines
                columns[phase][i] = share * column * density
                cubes[phase][i] = _emission(columns[phase][i], centre, width, bounds)
                cube[i] += cubes[phase][i]
    return Bunch(
        cube=cube,
        warm=cubes["warm"],
        cold=cubes["cold"],
        warm_column=columns["warm"],
        cold_column=columns["cold"],
        cold_fraction=fraction,
        label=label,
        velocity=0.5 * (bounds[1:] + bounds[:-1]),
        kind=kind,
        sigma=sigma,
        unit="K",
        DESCR=_DESCR,
    )


def _check(n, kind, n_pixels, n_channels, channel_width, column, sigma):
    """Size of a patch."""
    for name, value in (("n", n), ("n_channels", n_channels)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r}: expected an integer of at least 1")
    if kind not in ("mixed", "pure"):
        raise ValueError(f"kind={kind!r}: expected 'mixed' or 'pure'")
    shape = n_pixels if isinstance(n_pixels, tuple | list) else (n_pixels, n_pixels)
    whole = all(isinstance(side, Integral) and not isinstance(side, bool) for side in shape)
    if len(shape) != 2 or not whole or min(shape) < 8:
        raise ValueError(
            f"n_pixels={n_pixels!r}: expected an integer of at least 8 or a pair (h, w)"
        )
    for name, value, least in (
        ("channel_width", channel_width, "above 0"),
        ("column", column, "above 0"),
        ("sigma", sigma, "of at least 0"),
    ):
        number = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
        if not number or value < 0 or (value == 0 and least == "above 0"):
            raise ValueError(f"{name}={value!r}: expected a number {least}")
    return tuple(int(side) for side in shape)


def _phases(shape, rng):
    """Column of mean 1, velocity and line width of the warm and of the cold gas, (h, w) each."""
    bulk = BULK * fbm(shape, 3.6, rng)
    warm = np.exp(0.3 * fbm(shape, 3.6, rng))
    warm_width = WARM_SIGMA * np.exp(WARM_SPREAD * fbm(shape, 3.0, rng))
    cold = np.exp(0.5 * fbm(shape, 2.6, rng) - 0.5 * (fbm(shape, 3.2, rng) / FILAMENT) ** 2)
    cold_velocity = bulk + COLD_BULK * fbm(shape, 2.8, rng)
    cold_width = COLD_SIGMA * np.exp(COLD_SPREAD * fbm(shape, 2.6, rng))
    return (
        (warm / warm.mean(), bulk, warm_width),
        (cold / cold.mean(), cold_velocity, cold_width),
    )


def _emission(column, centre, width, bounds):
    """Brightness temperature (h, w, n_channels) of Gaussian lines, averaged over channels."""
    steps = (bounds.astype(np.float32) - centre[..., None]) / (np.sqrt(2.0) * width[..., None])
    shares = 0.5 * np.diff(erf(steps.astype(np.float64)), axis=-1)
    flux = column[..., None] / COLUMN_PER_FLUX
    return (flux * shares / np.diff(bounds)).astype(np.float32)
