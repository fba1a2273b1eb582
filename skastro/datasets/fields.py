"""Random fields on a periodic plane, of known spectra and distributions, to learn from and test on."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.fbm import fbm

__all__ = ["make_fields"]

# index of the spectrum and scatter that look like what the kind is named after
DEFAULTS = {
    "gaussian": (3.0, 1.0),
    "lognormal": (3.0, 1.0),
    "filaments": (1.5, 0.8),
    "turbulence": (3.0, 0.5),
}
PARTICLES = (
    2  # a side of a pixel; even, so that none starts at a centre, where its share has a kink
)

_DESCR = {
    "gaussian": """\
Gaussian random fields
----------------------
Periodic, of mean 0. With an index, the power of a wave number k is proportional to k**-index and the
standard deviation over each map is `scatter`; with a spectrum P(k), the expected power is P(k), as
`skastro.field_metrics.power_spectrum` has it.
""",
    "lognormal": """\
Log-normal random fields
------------------------
exp(s g - s**2 / 2) for a Gaussian random field g of variance 1, a spectrum k**-index and s the `scatter`:
the logarithm is normal, with that scatter; the expected mean is 1. If c(r) is the correlation of g, that of
the map is exp(s**2 c(r)) - 1.
""",
    "filaments": """\
Filaments
---------
A web of sheets and knots around voids: uniform matter displaced along straight lines (the approximation of
Zel'dovich) by the gradient of a potential, such that the density contrast would be, were it small, a Gaussian
random field of spectrum k**-index and standard deviation `scatter`. Four particles a pixel, each shared by
four pixels; the mean is 1.
""",
    "turbulence": """\
Turbulence-like fields
----------------------
Gaussian white noise with a local amplitude exp(s g), for a log-correlated Gaussian field g of variance 1
(spectrum k**-2) and s the `scatter`, filtered to the spectrum k**-index: a multifractal random walk. The
expected spectrum is exactly that, whatever the scatter; the increments are intermittent, the more so the
smaller the scale. Mean 0, standard deviation 1 over each map.
""",
}


def make_fields(
    n,
    kind="gaussian",
    *,
    n_pixels=256,
    index=None,
    scatter=None,
    spectrum=None,
    random_state=None,
):
    r"""Make random fields of known statistics.

    Parameters
    ----------
    n : int
        Number of maps.
    kind : {"gaussian", "lognormal", "filaments", "turbulence"}, default="gaussian"
        "gaussian": nothing beyond the spectrum. "lognormal": the exponential of one. "filaments": a web, as
        of the density of galaxies. "turbulence": symmetric and intermittent, a multifractal random walk.
    n_pixels : int or tuple (h, w), default=256
        Size of the maps, at least 4.
    index : float or array-like of shape (n,), default=None
        Of the power spectrum :math:`k^{-\mathrm{index}}` of a mode; one value for all maps, or one for each,
        to be regressed on. Of the map ("gaussian", "turbulence"), of its logarithm ("lognormal") or of
        the density before it collapses ("filaments"). None: 3 (filaments: 1.5).
    scatter : float or array-like of shape (n,), default=None
        Standard deviation: of the map ("gaussian"), its logarithm ("lognormal"), the linear density contrast
        ("filaments"), or the logarithm of the local amplitude ("turbulence"). None: 1 (filaments:
        0.8, turbulence: 0.5).
    spectrum : callable, pair of array-like (k, power) or None, default=None
        Instead of `index` and `scatter`, of Gaussian fields: the power at wave numbers k above 0 in cycles
        per pixel, as of `skastro.field_metrics.power_spectrum`. A table is interpolated in the logarithms
        of both; beyond its ends there is no power.
    random_state : int, RandomState instance or None, default=None
        The first maps of a larger `n` are the same.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        maps : ndarray of shape (n, h, w), float32
            Periodic.
        parameters : dict of str to ndarray of shape (n,)
            "index" and "scatter" of each map; empty with a spectrum.
        kind : str
            As given.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If an argument is out of the range given above.

    References
    ----------
    .. [1] Zel'dovich, "Gravitational instability: an approximate theory for large density perturbations",
       A&A 5, 84 (1970).
    .. [2] Coles & Jones, "A lognormal model for the cosmological mass distribution", MNRAS 248, 1 (1991).
    .. [3] Bacry, Delour & Muzy, "Multifractal random walk", Phys. Rev. E 64, 026103 (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import make_fields
    >>> fields = make_fields(3, "lognormal", n_pixels=32, scatter=[0.5, 1.0, 2.0], random_state=0)
    >>> fields.maps.shape, fields.parameters["scatter"].tolist()
    ((3, 32, 32), [0.5, 1.0, 2.0])
    >>> np.log(fields.maps).std(axis=(1, 2)).round(3).tolist()
    [0.5, 1.0, 2.0]
    """
    shape = _check_shape(n, kind, n_pixels)
    power = None
    if spectrum is not None:
        if kind != "gaussian" or index is not None or scatter is not None:
            raise ValueError(
                f"spectrum with kind={kind!r}, index={index!r}, scatter={scatter!r}; expected a spectrum "
                "alone, of kind 'gaussian'."
            )
        power = _power(spectrum, shape)
        parameters = {}
    else:
        default = DEFAULTS[kind]
        parameters = {
            "index": check_per_map("index", default[0] if index is None else index, n, -10.0),
            "scatter": check_per_map("scatter", default[1] if scatter is None else scatter, n, 0.0),
        }
    seed = check_random_state(random_state).randint(2**31 - 1)
    maps = np.empty((n, *shape), np.float32)
    make = {"lognormal": _lognormal, "filaments": _filaments, "turbulence": _turbulence}.get(kind)
    for i, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        if power is not None:
            noise = rng.standard_normal(shape)
            maps[i] = irfft2(rfft2(noise) * np.sqrt(power), s=shape)
            continue
        own = float(parameters["index"][i]), float(parameters["scatter"][i])
        maps[i] = own[1] * fbm(shape, own[0], rng) if make is None else make(shape, *own, rng)
    return Bunch(maps=maps, parameters=parameters, kind=kind, DESCR=_DESCR[kind])


def _check_shape(n, kind, n_pixels):
    """Size of the maps."""
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n={n!r}: expected an integer of at least 1")
    if kind not in DEFAULTS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(map(repr, DEFAULTS))}")
    shape = n_pixels if isinstance(n_pixels, tuple | list) else (n_pixels, n_pixels)
    whole = all(isinstance(side, Integral) and not isinstance(side, bool) for side in shape)
    if len(shape) != 2 or not whole or min(shape) < 4:
        raise ValueError(
            f"n_pixels={n_pixels!r}: expected an integer of at least 4 or a pair (h, w)"
        )
    return tuple(int(side) for side in shape)


def check_per_map(name, value, n, lowest):
    """One finite number above or at `lowest` for each map."""
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={value!r}: expected a number, or an array of {n}") from error
    if values.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {values.shape}: expected a number, or an array of {n}")
    if not (np.isfinite(values) & (values >= lowest)).all():
        raise ValueError(f"{name} has a minimum of {values.min():g}: expected at least {lowest:g}")
    return np.broadcast_to(values, (n,)).copy()


def _wave_numbers(shape):
    """Components along the rows and columns, and the square of the modulus with infinity at 0."""
    ky, kx = fftfreq(shape[0])[:, None], rfftfreq(shape[1])
    squared = ky**2 + kx**2
    squared[0, 0] = np.inf
    return ky, kx, squared


def _power(spectrum, shape):
    """Power of each mode of a real FFT, none of the mean."""
    k = np.sqrt(_wave_numbers(shape)[2])
    seen = np.isfinite(k)
    power = np.zeros(k.shape)
    if callable(spectrum):
        power[seen] = spectrum(k[seen])
    else:
        try:
            knots, values = (np.asarray(one, dtype=np.float64) for one in spectrum)
        except (TypeError, ValueError) as error:
            raise ValueError("spectrum: expected a function of k, or a pair (k, power)") from error
        if (
            knots.ndim != 1
            or knots.shape != values.shape
            or not (np.diff(knots, prepend=0) > 0).all()
        ):
            raise ValueError(
                f"spectrum has k of shape {knots.shape} and power of shape {values.shape}: expected two "
                "vectors of the same length, k growing from above 0"
            )
        with np.errstate(divide="ignore"):
            logs = np.interp(np.log(k[seen]), np.log(knots), np.log(values), -np.inf, -np.inf)
        power[seen] = np.exp(logs)
    if not (np.isfinite(power) & (power >= 0)).all():
        raise ValueError(
            f"spectrum is {power.min():g} somewhere: expected finite power of 0 or more"
        )
    return power


def _lognormal(shape, index, scatter, rng):
    scatter = np.float32(scatter)
    return np.exp(scatter * fbm(shape, index, rng) - 0.5 * scatter**2)


def _turbulence(shape, index, scatter, rng):
    noise = rng.standard_normal(shape) * np.exp(scatter * fbm(shape, 2.0, rng).astype(np.float64))
    squared = _wave_numbers(shape)[2]
    field = irfft2(rfft2(noise) * squared ** (-index / 4.0), s=shape)
    return field / field.std()


def _filaments(shape, index, scatter, rng):
    ky, kx, squared = _wave_numbers(shape)
    modes = rfft2(scatter * fbm(shape, index, rng).astype(np.float64))
    # the displacement d with -div d = contrast: at the highest frequency of an even side a derivative is none
    particles = tuple(PARTICLES * side for side in shape)
    # the first particle lies inside the corner of the first pixel, not at its centre
    first = 0.5 / PARTICLES - 0.5
    modes = modes * np.exp(2j * np.pi * first * (ky + kx))
    moved = []
    for k, axis in ((ky, 0), (kx, 1)):
        k = np.where(np.abs(k) == 0.5, 0.0, k)
        potential = 1j * k * modes / (2 * np.pi * squared)
        shift = irfft2(_refined(potential, shape, particles), s=particles) * PARTICLES**2
        start = first + np.arange(particles[axis]) / PARTICLES
        moved.append((shift + (start[:, None] if axis == 0 else start)).ravel())
    return _share(*moved, shape) / PARTICLES**2


def _refined(modes, shape, finer):
    """Modes of a real FFT on a finer grid of the same plane; what is at the Nyquist frequency is left out."""
    h, w = shape
    out = np.zeros((finer[0], finer[1] // 2 + 1), complex)
    rows, columns = (h - 1) // 2, (w - 1) // 2 + 1
    out[: rows + 1, :columns] = modes[: rows + 1, :columns]
    out[-rows:, :columns] = modes[-rows:, :columns]
    return out


def _share(y, x, shape):
    """Number of particles in each pixel, each shared by four by its distance to their centres."""
    h, w = shape
    below, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    up, right = y - below, x - left
    rows, columns = (below % h, (below + 1) % h), (left % w, (left + 1) % w)
    counts = np.zeros(h * w)
    for row, share in zip(rows, (1 - up, up), strict=True):
        for column, part in zip(columns, (1 - right, right), strict=True):
            counts += np.bincount(row * w + column, share * part, h * w)
    return counts.reshape(shape)
