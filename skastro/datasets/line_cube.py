"""Synthetic cubes of a spectral line, with truth: turbulent layers, clumps, beam and noise."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.fbm import fbm
from skastro.datasets.line_cube_noise import noise_level, unit_noise

__all__ = ["make_line_cube"]

CHANNEL = 0.5  # [km/s]
CENTRE = 9.75  # of the band [km/s]: 240 channels begin at -50 km/s
DEPTH = 96  # cells along the line of sight
BEAM_FWHM = 2.5  # [pixel]
PIXELS_PER_CLUMP = 700
N_PIXELS = {"A": 64, "B": 64, "C": 96}
T_EX_SCALE = {"A": 1.0, "B": 3.0 / 8.0, "C": 1.0}
LAYER_KEYS = ("beta_rho", "beta_v", "s", "v0", "sigma_v", "sigma_th", "covered", "tau_max", "t_ex")
LAYERS = [
    (3.0, 3.8, 1.2, 10.0, 1.3, 0.35, 0.55, 3.0, 8.0),
    (3.2, 3.9, 1.0, 3.0, 1.0, 0.30, 0.33, 1.0, 2.0),
    (3.4, 4.0, 0.8, 25.0, 0.8, 0.40, 0.19, 0.6, 0.64),
]

_DESCR = """\
Synthetic cube of a spectral line
---------------------------------
Brightness temperature in K over (n_y, n_x, n_channels), channels of 0.5 km/s, most voxels free of
line, as the molecular lines of a nearby cloud are.

Signal: turbulent layers in a periodic box with 96 cells along the line of sight. A layer has a
log-normal density (3-D power index beta_rho, scatter s of its logarithm) and a velocity field
(index beta_v, mean v0 and dispersion sigma_v, thermal width sigma_th), both fractional Brownian
motion; its opacity is added up channel by channel, scaled to a maximum of tau_max, and seen as
t_ex (1 - exp(-tau)); an envelope leaves the fraction 1 - covered of the map empty. Then compact
clumps, one per 700 pixels (Gaussian radius of 1.2 to 2.5 pixels, a narrow line of 0.8 to 1.6 times
the highest t_ex, and broad faint wings), and a beam of 2.5 pixels FWHM.

Noise: a level over the map (smooth variations of 25 %, a third tile noisier by 1.4, up to 2.5 times
higher at the edges) times a band profile (15 % higher at the ends). Kinds A and C: correlated,
lag-1 0.28 between neighbouring pixels and 0.30 between neighbouring channels. Kind B: white.

Kinds: A 64 x 64 pixels, excitation temperatures of 8, 2 and 0.64 K (peak S/N 30 to 70, by seed); B
the same with 3 K for the first and in proportion for the others (12 to 27); C as A, 96 x 96.
"""


def _random_layers(velocity, rng):
    """One to five layers, their parameters drawn widely."""
    layers = []
    for _ in range(rng.integers(1, 6)):
        sigma_v, sigma_th = np.exp(rng.uniform(np.log([0.4, 0.25]), np.log([3.0, 0.8])))
        tau_max, t_ex = np.exp(rng.uniform(np.log([0.1, 0.4]), np.log([5.0, 12.0])))
        layer = (
            rng.uniform(2.6, 3.8),
            rng.uniform(3.4, 4.2),
            rng.uniform(0.5, 1.5),
            rng.uniform(velocity[0], velocity[-1]),
            sigma_v,
            sigma_th,
            rng.uniform(0.1, 0.7),
            tau_max,
            t_ex,
        )
        layers.append(dict(zip(LAYER_KEYS, map(float, layer), strict=True)))
    return layers


def _into_band(layers, velocity):
    """The same with the mean velocities moved inside a band that is too short for them."""
    moved = []
    for layer in layers:
        margin = min(3.0 * layer["sigma_v"], CENTRE - velocity[0])
        v0 = float(np.clip(layer["v0"], velocity[0] + margin, velocity[-1] - margin))
        moved.append(dict(layer, v0=v0))
    return moved


def _check_layers(layers, velocity):
    if not isinstance(layers, list | tuple) or not all(isinstance(one, dict) for one in layers):
        raise ValueError(f"layers={layers!r}: expected None, 'random' or a list of dicts")
    for i, layer in enumerate(layers):
        if set(layer) != set(LAYER_KEYS):
            raise ValueError(f"layers[{i}] has keys {sorted(layer)}; expected {sorted(LAYER_KEYS)}")
        for key, value in layer.items():
            number = isinstance(value, Real) and np.isfinite(value)
            if not number or (value < 0 if key in ("s", "sigma_v") else value <= 0) and key != "v0":
                raise ValueError(f"layers[{i}][{key!r}]={value!r}: expected a positive number")
        if layer["covered"] > 1:
            raise ValueError(
                f"layers[{i}]['covered']={layer['covered']!r}: expected a fraction in (0, 1]"
            )
        if not velocity[0] <= layer["v0"] <= velocity[-1]:
            raise ValueError(
                f"layers[{i}]['v0']={layer['v0']!r}: expected a velocity inside the band, "
                f"{velocity[0]:g} to {velocity[-1]:g} km/s"
            )
    return [dict(layer) for layer in layers]


def _check(kind, n_pixels, n_channels, sigma0):
    """Shape of the map."""
    if kind not in N_PIXELS:
        raise ValueError(f"kind={kind!r}: expected 'A', 'B' or 'C'")
    shape = N_PIXELS[kind] if n_pixels is None else n_pixels
    shape = shape if isinstance(shape, tuple) else (shape, shape)
    for name, seen, values, least in (
        ("n_pixels", n_pixels, shape, 4),
        ("n_channels", n_channels, (n_channels,), 4),
    ):
        for value in values:
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                pair = " or a pair (n_y, n_x)" if name == "n_pixels" else ""
                raise ValueError(f"{name}={seen!r}: expected an integer of at least {least}{pair}")
    if len(shape) != 2:
        raise ValueError(f"n_pixels={n_pixels!r}: expected an integer or a pair (n_y, n_x)")
    if not isinstance(sigma0, Real) or not (np.isfinite(sigma0) and sigma0 > 0):
        raise ValueError(f"sigma0={sigma0!r}: expected a number of K above 0")
    return tuple(int(n) for n in shape)


def _envelope(shape, covered, rng):
    """Smooth weights from 0 to 1; 0 over a fraction 1 - `covered` of the map."""
    field = fbm(shape, 3.5, rng)
    field -= np.quantile(field, 1.0 - covered)
    ramp = np.clip(field, 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def _add_layer(truth, velocity, layer, rng):
    box = (*truth.shape[:2], DEPTH)
    density = np.exp(np.float32(layer["s"]) * fbm(box, layer["beta_rho"], rng))
    shift = np.float32(layer["sigma_v"]) * fbm(box, layer["beta_v"], rng)
    density *= _envelope(box[:2], layer["covered"], rng)[..., None]

    # Five thermal widths beyond the fastest cell the profile is below 4e-6: no opacity there.
    reach = 5.0 * layer["sigma_th"]
    offset = velocity - layer["v0"]
    near = np.flatnonzero((offset > shift.min() - reach) & (offset < shift.max() + reach))
    tau = np.zeros(truth.shape[:2] + (len(near),), np.float32)
    width = np.float32(np.sqrt(0.5) / layer["sigma_th"])
    work = np.empty_like(shift)
    for k, channel in enumerate(near):
        np.subtract(shift, np.float32(offset[channel]), out=work)
        work *= width
        np.square(work, out=work)
        np.negative(work, out=work)
        np.exp(work, out=work)
        tau[..., k] = np.einsum("yxz,yxz->yx", density, work)
    if tau.size and tau.max() > 0:
        tau *= np.float32(layer["tau_max"] / tau.max())
    truth[..., near] -= np.float32(layer["t_ex"]) * np.expm1(-tau)


def _add_clumps(truth, velocity, layers, rng):
    """Compact clumps, each at the velocity of one of the layers."""
    n_y, n_x, _ = truth.shape
    rows, columns = np.ogrid[:n_y, :n_x]
    hottest = max(layer["t_ex"] for layer in layers)
    for _ in range(max(1, round(n_y * n_x / PIXELS_PER_CLUMP))):
        y, x = rng.uniform(0, n_y - 1), rng.uniform(0, n_x - 1)
        radius = rng.uniform(1.2, 2.5)
        layer = layers[rng.integers(len(layers))]
        v = layer["v0"] + layer["sigma_v"] * rng.standard_normal()
        peak = hottest * rng.uniform(0.8, 1.6)
        width, wing_width = rng.uniform(0.35, 0.6), rng.uniform(1.5, 3.0)
        wings = rng.uniform(0.03, 0.1)
        spot = np.exp(-0.5 * ((rows - y) ** 2 + (columns - x) ** 2) / radius**2)
        line = np.exp(-0.5 * ((velocity - v) / width) ** 2)
        line += wings * np.exp(-0.5 * ((velocity - v) / wing_width) ** 2)
        truth += (peak * spot[..., None] * line).astype(np.float32)


def make_line_cube(
    kind="A",
    *,
    n_pixels=None,
    n_channels=240,
    sigma0=0.2,
    layers=None,
    random_state=None,
):
    """Make a cube of a spectral line with its truth and its noise level.

    Turbulent layers, clumps, a beam, and noise that varies over the map and the band and is
    correlated, as that of a mapped molecular cloud: what a denoiser has to cope with.

    Parameters
    ----------
    kind : {"A", "B", "C"}, default="A"
        "A": 64 x 64 pixels, correlated noise, peak S/N of 30 to 70. "B": lines weaker by 3/8,
        noise without correlation, peak S/N of 12 to 27. "C": as "A", 96 x 96 pixels.
    n_pixels : int or tuple (n_y, n_x), default=None
        Another size of the map, at least 4. None: that of the kind.
    n_channels : int, default=240
        Channels of 0.5 km/s, at least 4, centred on 9.75 km/s: 240 of them begin at -50 km/s.
        Layers outside a shorter band are moved into it.
    sigma0 : float, default=0.2
        Level of the noise in K, before it varies over the map and the band.
    layers : None, "random" or list of dict, default=None
        None: the three layers of the kind. "random": one to five, their parameters drawn widely,
        to train on varied cubes. Or each layer's "beta_rho" and "beta_v" (power index in 3-D of
        the logarithm of density, and of velocity), "s" (scatter of ln density), "v0", "sigma_v",
        "sigma_th" [km/s], "covered" (fraction of the map), "tau_max", "t_ex" [K].
    random_state : int, RandomState instance or None, default=None
        Signal, level of the noise and the two realisations are drawn apart: another `sigma0`
        leaves the truth as it is, and kinds A and B of a seed have the same structure.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        cube : ndarray of shape (n_y, n_x, n_channels), float32
            Truth and noise, in K.
        truth : ndarray of shape (n_y, n_x, n_channels), float32
            The line alone, seen through the beam, in K; 0 or positive.
        sigma : ndarray of shape (n_y, n_x, n_channels), float32
            Standard deviation of the noise, in K.
        second : ndarray of shape (n_y, n_x, n_channels), float32
            The same truth with independent noise, for Noise2Noise ceilings.
        velocity : ndarray of shape (n_channels,), float64
            Centres of the channels, in km/s.
        kind : str
            "A", "B" or "C".
        noise : str
            "correlated" or "white".
        layers : list of dict
            As used.
        beam_fwhm : float
            In pixels.
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
    .. [1] L. Einig, J. Pety, A. Roueff et al. (2023), "Deep learning denoising by dimension
       reduction: Application to the ORION-B line cubes", A&A 677, A158.

    Examples
    --------
    >>> from skastro.datasets import make_line_cube
    >>> line = make_line_cube(n_pixels=24, n_channels=64, random_state=0)
    >>> line.cube.shape, line.truth.shape, line.velocity.shape
    ((24, 24, 64), (24, 24, 64), (64,))
    >>> noise = (line.cube - line.truth) / line.sigma
    >>> bool(abs(noise.std() - 1) < 0.02)
    True
    """
    shape = _check(kind, n_pixels, n_channels, sigma0)
    shape = (*shape, int(n_channels))
    velocity = CENTRE + CHANNEL * (np.arange(n_channels) - 0.5 * (n_channels - 1))
    seed = check_random_state(random_state).randint(2**31 - 1)
    layers_rng, signal_rng, clumps_rng, level_rng, *noise_rngs = np.random.default_rng(seed).spawn(
        6
    )
    if layers is None:
        layers = [dict(zip(LAYER_KEYS, values, strict=True)) for values in LAYERS]
        layers = [dict(one, t_ex=one["t_ex"] * T_EX_SCALE[kind]) for one in layers]
        layers = _into_band(layers, velocity)
    elif isinstance(layers, str) and layers == "random":
        layers = _into_band(_random_layers(velocity, layers_rng), velocity)
    else:
        layers = _check_layers(layers, velocity)

    truth = np.zeros(shape, np.float32)
    for layer in layers:
        _add_layer(truth, velocity, layer, signal_rng)
    if layers:
        _add_clumps(truth, velocity, layers, clumps_rng)
    for axis in (0, 1):
        truth = gaussian_filter1d(truth, BEAM_FWHM / np.sqrt(8.0 * np.log(2.0)), axis, mode="wrap")

    sigma = noise_level(shape, sigma0, level_rng)
    correlated = kind != "B"
    cube, second = (
        truth + sigma * unit_noise(shape, rng, correlated=correlated) for rng in noise_rngs
    )
    return Bunch(
        cube=cube,
        truth=truth,
        sigma=sigma,
        second=second,
        velocity=velocity,
        kind=kind,
        noise="correlated" if correlated else "white",
        layers=layers,
        beam_fwhm=BEAM_FWHM,
        unit="K",
        DESCR=_DESCR,
    )
