"""Random fields on the sphere, of known spectra and distributions, in HEALPix pixels."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.fields import check_per_map
from skastro.healpix import check_nside, ring_layout, ring_of_nested

__all__ = ["make_sphere_fields", "synthesize_harmonics"]

# index of the spectrum and scatter
DEFAULTS = {"gaussian": (3.0, 1.0), "lognormal": (3.0, 1.0)}
BLOCK = 2**27  # bytes of work
LARGEST = 512  # nside; beyond, the first harmonics of an order underflow

_DESCR = {
    "gaussian": """\
Gaussian random fields on the sphere
------------------------------------
Isotropic, of mean 0. With an index, the power C_l of a degree l is proportional to (l (l + 1))**(-index / 2)
for l from 1 to the largest degree and the standard deviation over each map is `scatter`; with a spectrum C_l,
the expected power is C_l.
""",
    "lognormal": """\
Log-normal random fields on the sphere
--------------------------------------
exp(s g - s**2 / 2) for a Gaussian random field g of variance 1 on the sphere, a power C_l proportional to
(l (l + 1))**(-index / 2) and s the `scatter`: the logarithm is normal, with that scatter; the expected mean
is 1.
""",
}


def make_sphere_fields(
    n,
    nside=64,
    kind="gaussian",
    *,
    index=None,
    scatter=None,
    spectrum=None,
    max_degree=None,
    order="ring",
    random_state=None,
):
    r"""Make random fields of known statistics on the sphere, by their spherical harmonics.

    Parameters
    ----------
    n : int
        Number of maps.
    nside : int, default=64
        Pixels along a side of each of the 12 faces, a power of 2 up to 512.
    kind : {"gaussian", "lognormal"}, default="gaussian"
        "gaussian": nothing beyond the spectrum. "lognormal": the exponential of one.
    index : float or array-like of shape (n,), default=None
        Of the power spectrum :math:`C_l \propto (l (l + 1))^{-\mathrm{index} / 2}` of the map ("gaussian")
        or of its logarithm ("lognormal"). None: 3.
    scatter : float or array-like of shape (n,), default=None
        Standard deviation of the map, or of its logarithm. None: 1.
    spectrum : array-like of shape (max_degree + 1,), default=None
        Instead of `index` and `scatter`, of Gaussian fields: the expected power :math:`C_l`.
    max_degree : int, default=None
        The largest degree l, at most 3 nside. None: that of the spectrum, or 2 nside.
    order : {"ring", "nested"}, default="ring"
        Of the pixels. "nested" needs astropy-healpix.
    random_state : int, RandomState instance or None, default=None
        The first maps of a larger `n` are the same.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        maps : ndarray of shape (n, 12 nside^2), float32
            In the order asked for.
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
    .. [1] Górski, Hivon, Banday et al., "HEALPix: a framework for high-resolution discretization and fast
       analysis of data distributed on the sphere", ApJ 622, 759 (2005).

    Examples
    --------
    >>> from skastro.datasets import make_sphere_fields
    >>> fields = make_sphere_fields(2, 16, "lognormal", scatter=0.5, random_state=0)
    >>> fields.maps.shape, fields.parameters["scatter"].tolist()
    ((2, 3072), [0.5, 0.5])
    """
    _check(n, nside, kind, order)
    parameters = {}
    if spectrum is not None:
        if kind != "gaussian" or index is not None or scatter is not None:
            raise ValueError(
                f"spectrum with kind={kind!r}, index={index!r}, scatter={scatter!r}; expected a spectrum "
                "alone, of kind 'gaussian'."
            )
        power = _check_spectrum(spectrum, 3 * nside)
        largest = len(power) - 1
        powers = np.broadcast_to(power, (n, len(power)))
        if max_degree not in (None, largest):
            raise ValueError(
                f"max_degree={max_degree!r}; expected None or {largest}, that of the spectrum."
            )
    else:
        default = DEFAULTS[kind]
        parameters = {
            "index": check_per_map("index", default[0] if index is None else index, n, -10.0),
            "scatter": check_per_map("scatter", default[1] if scatter is None else scatter, n, 0.0),
        }
        largest = 2 * nside if max_degree is None else max_degree
        if not isinstance(largest, Integral) or not 1 <= largest <= 3 * nside:
            raise ValueError(
                f"max_degree={max_degree!r}; expected an integer from 1 to {3 * nside}."
            )
        degree = np.arange(1, largest + 1)
        powers = np.zeros((n, largest + 1))
        powers[:, 1:] = (degree * (degree + 1.0)) ** (-0.5 * parameters["index"][:, None])
    seed = check_random_state(random_state).randint(2**31 - 1)
    maps = np.empty((n, 12 * nside**2))
    draws = np.random.default_rng(seed).spawn(n)
    # the sums over degrees of the maps made together
    step = max(1, BLOCK // (64 * nside * (largest + 1)))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        harmonics = [
            _draw(power, rng) for power, rng in zip(powers[rows], draws[rows], strict=True)
        ]
        maps[rows] = synthesize_harmonics(np.stack(harmonics), nside)
    if parameters:
        scatter = parameters["scatter"][:, None]
        maps -= maps.mean(1, keepdims=True)
        maps *= scatter / maps.std(1, keepdims=True)
        if kind == "lognormal":
            maps = np.exp(maps - 0.5 * scatter**2)
    if order == "nested":
        maps = maps[:, ring_of_nested(nside)]
    return Bunch(maps=maps.astype(np.float32), parameters=parameters, kind=kind, DESCR=_DESCR[kind])


def synthesize_harmonics(harmonics, nside):
    r"""Real maps from their spherical harmonic coefficients.

    .. math::
        x(\theta, \phi) = \sum_l \Big( a_{l0} Y_{l0} + 2\, \mathrm{Re} \sum_{m=1}^{l} a_{lm} Y_{lm} \Big)

    with orthonormal harmonics of the Condon-Shortley phase: recurrences in the degree for all rings and
    orders at once, then an FFT along each ring.

    Parameters
    ----------
    harmonics : ndarray of shape (n, max_degree + 1, max_degree + 1), complex
        :math:`a_{lm}` at [:, l, m], m from 0 to l.
    nside : int

    Returns
    -------
    maps : ndarray of shape (n, 12 nside^2), float64
        In ring order.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets.sphere_fields import synthesize_harmonics
    >>> dipole = np.zeros((1, 2, 2), complex)
    >>> dipole[0, 1, 0] = np.sqrt(4 * np.pi / 3)  # cos(theta)
    >>> synthesize_harmonics(dipole, 1)[0, [0, 4, 8]].round(12) + 0.0
    array([ 0.66666667,  0.        , -0.66666667])
    """
    n, count, _ = harmonics.shape
    largest = count - 1
    z, starts, sizes, first = ring_layout(nside)
    north = 2 * nside  # rings down to the equator
    z = z[:north]
    sine = np.sqrt((1.0 - z) * (1.0 + z))
    # in fields[parity of l - m]: sums over l, for each map, order and ring
    fields = np.zeros((2, n, count, north), complex)
    order = np.arange(count)
    before, last = np.zeros((count, north)), np.zeros((count, north))
    diagonal = np.full(north, np.sqrt(0.25 / np.pi))
    for degree in range(count):
        # two terms back for m < l, and the first of a new order
        m = order[:degree, None]
        a = np.sqrt((4.0 * degree**2 - 1.0) / (degree**2 - m**2))
        b = np.sqrt(((degree - 1.0) ** 2 - m**2) / np.maximum(4.0 * (degree - 1.0) ** 2 - 1.0, 1.0))
        new = np.zeros((count, north))
        new[:degree] = a * (z * last[:degree] - b * before[:degree])
        new[degree] = diagonal
        for parity in (0, 1):
            m = order[(degree - parity) % 2 : degree + 1 : 2]
            fields[parity][:, m] += harmonics[:, degree, m, None] * new[m]
        before, last = last, new
        diagonal = -diagonal * sine * np.sqrt((2.0 * degree + 3.0) / (2.0 * degree + 2.0))
    maps = np.empty((n, 12 * nside**2))
    for ring in range(4 * nside - 1):
        mirrored = ring >= north
        even, odd = fields[..., 4 * nside - 2 - ring if mirrored else ring]
        waves = even - odd if mirrored else even + odd
        waves = waves * np.exp(1j * order * first[ring])
        size = sizes[ring]
        # orders that the pixels of a ring can't tell apart
        folded = np.zeros((n, size * (largest // size + 1)), complex)
        folded[:, :count] = waves
        folded = folded.reshape(n, -1, size).sum(1)
        row = slice(starts[ring], starts[ring] + size)
        # m and -m: twice the real part but for m = 0
        maps[:, row] = 2.0 * size * np.fft.ifft(folded, axis=1).real - waves[:, :1].real
    return maps


def _draw(power, rng):
    """Harmonic coefficients of a Gaussian field; those of the first degrees don't depend on the others."""
    harmonics = np.zeros((len(power), len(power)), complex)
    for degree, one in enumerate(power):
        draws = rng.standard_normal(2 * degree + 1)
        harmonics[degree, 0] = draws[0]
        harmonics[degree, 1 : degree + 1] = (draws[1::2] + 1j * draws[2::2]) * np.sqrt(0.5)
        harmonics[degree] *= np.sqrt(one)
    return harmonics


def _check(n, nside, kind, order):
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n={n!r}; expected an integer of at least 1.")
    check_nside(nside, LARGEST)
    if kind not in DEFAULTS:
        raise ValueError(f"kind={kind!r}; expected one of {', '.join(map(repr, DEFAULTS))}.")
    if order not in ("ring", "nested"):
        raise ValueError(f"order={order!r}; expected 'ring' or 'nested'.")


def _check_spectrum(spectrum, largest):
    try:
        power = np.asarray(spectrum, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("spectrum: expected an array of C_l from l = 0.") from error
    if power.ndim != 1 or len(power) < 2:
        raise ValueError(f"spectrum has shape {power.shape}; expected (max_degree + 1,).")
    if len(power) > largest + 1:
        raise ValueError(
            f"spectrum has degrees up to {len(power) - 1}; expected at most {largest}, 3 nside."
        )
    if not (np.isfinite(power) & (power >= 0)).all():
        raise ValueError(
            f"spectrum is {power.min():g} somewhere; expected finite power of 0 or more."
        )
    return power
