"""Isotropic power and cross spectra of maps, and the correlation of pairs of them."""

from __future__ import annotations

import numpy as np
from scipy import fft

from skastro.base import row_blocks
from skastro.fourier_shells import FourierShells
from skastro.maps import check_maps, check_pair_of_maps

__all__ = [
    "cross_correlation",
    "cross_spectrum",
    "peak_correlation",
    "power_spectrum",
    "shell_spectra",
]


def _window(shape, kind):
    """Weights of the pixels, of mean square 1, and None for all ones."""
    if kind is None:
        return None
    if kind != "hann":
        raise ValueError(f"window={kind!r}; expected 'hann' or None.")
    # symmetric, and not 0 on the outermost pixels
    rows, columns = (np.hanning(n + 2)[1:-1] for n in shape)
    window = rows[:, None] * columns
    return window / np.sqrt(np.mean(window**2))


def _modes(maps, window):
    """Fourier modes of maps without their mean, array (n, h, w // 2 + 1), float64 throughout."""
    maps = maps.astype(np.float64)
    if window is None:
        maps -= maps.mean(axis=(-2, -1), keepdims=True)
    else:
        maps -= np.average(maps.reshape(*maps.shape[:-2], -1), axis=-1, weights=window.ravel())[
            ..., None, None
        ]
        maps *= window
    return fft.rfft2(maps, overwrite_x=True)


def shell_spectra(maps, others, shells, pixel_size=1.0, window=None):
    """Spectra of maps and of pairs of maps in rings that are given.

    Parameters
    ----------
    maps : ndarray of shape (..., h, w)
    others : ndarray of shape (..., h, w) or None
        Of the shape of `maps`; either may be a single map.
    shells : FourierShells
    pixel_size : float
    window : {"hann"} or None

    Returns
    -------
    spectra : ndarray of shape (1 or 3, ..., n_shells)
        Auto spectra of the maps; with others, also theirs, and the cross spectra.
    """
    weights = _window(maps.shape[-2:], window)
    factor = pixel_size**2 / (maps.shape[-2] * maps.shape[-1])
    lead = maps.shape[:-2] if others is None or maps.ndim >= others.ndim else others.shape[:-2]
    n = int(np.prod(lead))
    sets = [maps] if others is None else [maps, others]
    sets = [one.reshape(-1, *one.shape[-2:]) for one in sets]
    found = np.empty((2 * len(sets) - 1, n, len(shells.k)))
    # a single map stands beside all the others: it is transformed once
    single = [_modes(one, weights) if len(one) == 1 else None for one in sets]
    for rows in row_blocks(n, maps.shape[-2] * maps.shape[-1] * 48):
        modes = [
            _modes(one[rows], weights) if kept is None else kept
            for one, kept in zip(sets, single, strict=True)
        ]
        for i, one in enumerate(modes):
            found[i, rows] = shells.mean(np.square(one.real) + np.square(one.imag))
        if others is not None:
            a, b = modes
            found[2, rows] = shells.mean(a.real * b.real + a.imag * b.imag)
    found *= factor
    return found.reshape(len(found), *lead, len(shells.k))


def power_spectrum(maps, n_bins=None, *, pixel_size=1.0, spacing="linear", k_max=None, window=None):
    r"""Isotropic power spectrum, averaged over rings of wave number.

    .. math:: P(k) = \langle |X(\mathbf k)|^2 \rangle\, d^2 / (h w)

    for pixels of side :math:`d` and :math:`X` the unnormalised FFT: white noise of variance
    :math:`\sigma^2` has :math:`P = \sigma^2 d^2`, and the integral of P over the plane of wave numbers (in
    cycles per unit length) is the variance of the map.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    n_bins : int or None, default=None
        Rings. None: as wide as the fundamental frequency (linear), or four an octave (log).
    pixel_size : float, default=1.0
        In any unit of length or angle.
    spacing : {"linear", "log"}, default="linear"
        Of the rings.
    k_max : float or None, default=None
        Largest wave number. None: the Nyquist frequency, 0.5 / `pixel_size`, without the corners of the
        plane; sqrt(2) times as much with them.
    window : {"hann"} or None, default=None
        "hann" for maps that are not periodic, the edges of which would spill large scales over small ones.
        The mean weighted by it is taken off, and the power made up for.

    Returns
    -------
    k : ndarray of shape (n_shells,)
        Mean wave number of each ring, in cycles per unit of `pixel_size`; rings without a mode are left out.
    power : ndarray of shape (..., n_shells), float64
        In the unit of the maps squared times that of `pixel_size` squared.

    Raises
    ------
    ValueError
        Maps that are not finite, or an argument out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import power_spectrum
    >>> noise = 2.0 * np.random.default_rng(0).normal(size=(20, 32, 48))
    >>> k, power = power_spectrum(noise, n_bins=4, pixel_size=0.5)
    >>> k.round(2), power.mean(axis=0).round(1)
    (array([0.18, 0.4 , 0.64, 0.88]), array([1., 1., 1., 1.]))
    """
    maps, _ = check_maps(maps, "maps")
    shells = FourierShells(
        maps.shape[-2:], n_bins, pixel_size=pixel_size, spacing=spacing, k_max=k_max
    )
    return shells.k, shell_spectra(maps, None, shells, pixel_size, window)[0]


def cross_spectrum(
    maps, others, n_bins=None, *, pixel_size=1.0, spacing="linear", k_max=None, window=None
):
    """Isotropic cross spectrum of pairs of maps, averaged over rings of wave number.

    Parameters
    ----------
    maps, others : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
        Of one shape, or a single map (h, w) beside many.
    n_bins, pixel_size, spacing, k_max, window
        As in `power_spectrum`.

    Returns
    -------
    k : ndarray of shape (n_shells,)
    cross : ndarray of shape (..., n_shells), float64
        The real part; the imaginary parts of k and -k cancel.

    Raises
    ------
    ValueError
        Shapes or units that do not match, and as `power_spectrum`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import cross_spectrum, power_spectrum
    >>> x = np.random.default_rng(0).normal(size=(3, 16, 16))
    >>> bool(np.allclose(cross_spectrum(x, -2 * x)[1], -2 * power_spectrum(x)[1]))
    True
    """
    maps, others = check_pair_of_maps(maps, others, ("maps", "others"))
    shells = FourierShells(
        maps.shape[-2:], n_bins, pixel_size=pixel_size, spacing=spacing, k_max=k_max
    )
    return shells.k, shell_spectra(maps, others, shells, pixel_size, window)[2]


def cross_correlation(
    maps, others, n_bins=None, *, pixel_size=1.0, spacing="linear", k_max=None, window=None
):
    r"""Correlation coefficient of pairs of maps, scale by scale.

    .. math:: r(k) = P_{ab}(k) / \sqrt{P_a(k) P_b(k)}

    Between independent maps it scatters around 0 by one over the square root of half the modes of the ring.

    Parameters
    ----------
    maps, others : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
        Of one shape, or a single map (h, w) beside many.
    n_bins, pixel_size, spacing, k_max, window
        As in `power_spectrum`.

    Returns
    -------
    k : ndarray of shape (n_shells,)
    correlation : ndarray of shape (..., n_shells), float64
        From -1 to 1; NaN where one of the maps has no power.

    Raises
    ------
    ValueError
        As `cross_spectrum`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import cross_correlation
    >>> x = np.random.default_rng(0).normal(size=(3, 16, 16))
    >>> cross_correlation(x[0], -2 * x[0], n_bins=3)[1].round(6)
    array([-1., -1., -1.])
    """
    maps, others = check_pair_of_maps(maps, others, ("maps", "others"))
    shells = FourierShells(
        maps.shape[-2:], n_bins, pixel_size=pixel_size, spacing=spacing, k_max=k_max
    )
    first, second, cross = shell_spectra(maps, others, shells, pixel_size, window)
    with np.errstate(divide="ignore", invalid="ignore"):
        return shells.k, cross / np.sqrt(first * second)


def peak_correlation(maps, others, *, whiten=True):
    """Largest correlation of two maps over all shifts of one: near 1 if one is a copy of the other.

    Parameters
    ----------
    maps, others : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
        Of one shape, or a single map (h, w) beside many. Periodic.
    whiten : bool, default=True
        Give all wave numbers the same weight: between independent maps of p pixels the largest value is then
        about sqrt(2 ln(p) / p), 0.018 for 256 x 256. Else the largest scales, of which there are few, decide.

    Returns
    -------
    correlation : float or ndarray of shape (...)
        The largest absolute value.

    Raises
    ------
    ValueError
        As `cross_spectrum`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import peak_correlation
    >>> x = np.random.default_rng(0).normal(size=(32, 32))
    >>> round(float(peak_correlation(x, -np.roll(x, (3, 5), axis=(0, 1)))), 6)
    1.0
    """
    maps, others = check_pair_of_maps(maps, others, ("maps", "others"))
    lead = np.broadcast_shapes(maps.shape[:-2], others.shape[:-2])
    sets = [
        np.broadcast_to(one, lead + one.shape[-2:]).reshape(-1, *one.shape[-2:])
        for one in (maps, others)
    ]
    h, w = maps.shape[-2:]
    found = np.empty(len(sets[0]))
    for rows in row_blocks(len(found), h * w * 64):
        modes = [_modes(one[rows], None) for one in sets]
        for one in modes:
            one[:, 0, 0] = 0.0
            if whiten:
                size = np.abs(one)
                one /= np.where(size > 0, size, 1.0)
        shifted = fft.irfft2(modes[0] * modes[1].conj(), s=(h, w))
        norm = [fft.irfft2(np.abs(one) ** 2, s=(h, w))[:, 0, 0] for one in modes]
        norm = np.sqrt(norm[0] * norm[1])
        peak = np.abs(shifted).max(axis=(1, 2))
        found[rows] = peak / np.where(norm > 0, norm, np.inf)
    return found.reshape(lead)[()]
