"""Noise of spectra from their line-free channels, found without knowing where the lines are.

Each spectrum is cut into short windows of channels. A window without line has the level of the
baseline and the variance of the noise; the others stand out in one or the other. All decisions are
made on the moments of the windows, a dozen times fewer than the channels, spectrum by spectrum.
"""

from math import comb
from typing import NamedTuple

import numpy as np

__all__ = [
    "SpectrumNoise",
    "WindowMoments",
    "difference_noise",
    "filled_noise",
    "roughness",
    "row_quantile",
    "sparse_noise",
    "spectrum_noise",
    "trend_terms",
    "window_moments",
]

WINDOW = (
    12  # channels: long enough to see a faint line in the mean, short enough to fit between lines
)
LEVEL = 3.5  # standard errors between the level of a window and the baseline
EXCESS = 4.0  # standard errors of the variance of a window
QUIET_SHARE = 0.1  # of the windows: those of the lowest level, where emission may fill the rest
SIGNIFICANT = 2.5  # standard errors by which two noise levels must differ, and at least
LEAST = 0.12  # this fraction
STEP = 2  # channels between the terms of a difference: skips the correlation of neighbours


class WindowMoments(NamedTuple):
    """Level and variance of the windows of some spectra.

    Attributes
    ----------
    length : int
        Channels in a window; those left over at the end of a spectrum belong to none.
    scale : ndarray of shape (n_windows,)
        Mean noise of the channels of a window, relative to the others.
    count, level, variance, rough : ndarray of shape (n_spectra, n_windows), float32
        Valid voxels, their mean, and the mean square of their deviation from it and from a trend
        (`trend_terms`), both in units of the channel's noise and the latter by degree of freedom.
        The count is 0, and the others are NaN, where a window has too few valid voxels or is
        constant (padding, not noise).
    """

    length: int
    scale: np.ndarray
    count: np.ndarray
    level: np.ndarray
    variance: np.ndarray
    rough: np.ndarray


class SpectrumNoise(NamedTuple):
    """Noise of some spectra, in the unit of the data.

    Attributes
    ----------
    keep : ndarray of bool of shape (n_spectra, n_windows)
        Windows taken as free of line.
    base, power, freedom : ndarray of shape (n_spectra,)
        Baseline, variance of the noise (NaN: blank), and its degrees of freedom; for noise without
        correlation where it is not known.
    filled : ndarray of bool of shape (n_spectra,)
        True where the spectrum was taken as filled with emission.
    """

    keep: np.ndarray
    base: np.ndarray
    power: np.ndarray
    freedom: np.ndarray
    filled: np.ndarray


def window_length(n_channels):
    """Channels in a window: at most 12, such that few are left over."""
    longest = int(np.clip(n_channels // 8, 2, WINDOW))
    lengths = range(max(2, int(np.ceil(0.7 * longest))), longest + 1)
    return max(lengths, key=lambda length: (n_channels - n_channels % length, length))


def trend_terms(length):
    """Orthonormal polynomials over a window, (length, n_terms): the constant first, a parabola at most."""
    n_terms = 3 if length >= 9 else 2 if length >= 6 else 1
    return np.linalg.qr(np.vander(np.linspace(-1, 1, length), n_terms, increasing=True))[0]


def window_moments(spectra, skip=None, scale=None):
    """Moments of all windows of some spectra.

    Parameters
    ----------
    spectra : ndarray of shape (n_spectra, n_channels), float32
        Left as it is.
    skip : ndarray of bool of that shape, optional
        True where a voxel does not count. Voxels that are not finite never do.
    scale : ndarray of shape (n_channels,), optional
        Noise of each channel relative to the others.

    Returns
    -------
    moments : WindowMoments
    """
    n_spectra, n_channels = spectra.shape
    length = window_length(n_channels)
    n_windows = n_channels // length
    used = slice(n_windows * length)
    shape = (n_spectra, n_windows, length)
    values = spectra[:, used].reshape(shape)
    with np.errstate(invalid="ignore"):
        total = values.sum(axis=-1)
    blank = None
    if skip is not None or not np.isfinite(total).all():
        blank = ~np.isfinite(values)
        if skip is not None:
            blank |= skip[:, used].reshape(shape)
        values = np.where(blank, np.float32(0.0), values)
        total = values.sum(axis=-1)
        count = length - blank.sum(axis=-1, dtype=np.float32)
    else:
        count = np.full((n_spectra, n_windows), length, np.float32)
    scales = np.ones((n_windows, length), np.float32)
    if scale is not None:
        scales = scale[used].astype(np.float32).reshape(n_windows, length)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        level = total / count
        deviation = values - level[..., None]
        if scale is not None:
            deviation /= scales
        if blank is not None:
            deviation[blank] = 0.0
        terms = trend_terms(length)[:, 1:].astype(np.float32)
        trend = np.square(deviation @ terms).sum(axis=-1)
        np.square(deviation, out=deviation)
        variance = deviation.sum(axis=-1)
        rough = (variance - trend) / (length - 1 - terms.shape[1])
        variance /= count
        # rounding of a constant leaves a few 1e-8 of its value
        lost = (count < max(2, length / 2)) | ~(variance > 1e-12 * level**2)
        if blank is not None:
            rough = np.where(count == length, rough, variance * (count / (count - 1.0)))
    count[lost] = 0.0
    level[lost] = variance[lost] = rough[lost] = np.nan
    return WindowMoments(length, scales.mean(axis=1), count, level, variance, rough)


def row_quantile(values, fraction):
    """Quantile of each row, the lower neighbour, over what is not NaN; NaN for an empty row."""
    ordered = np.sort(values, axis=-1)
    n_valid = np.count_nonzero(~np.isnan(values), axis=-1)
    index = np.maximum((fraction * (n_valid - 1)).astype(np.intp), 0)
    return np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0]


def _covariance(n, correlation, step=1):
    """Covariance of `n` channels `step` apart, of noise of variance 1."""
    rho = np.zeros(max(step * n, len(correlation)))
    rho[: len(correlation)] = correlation
    return rho[step * np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]


def roughness(length, correlation):
    """Variance about a trend, by degree of freedom, of correlated noise of variance 1."""
    terms = trend_terms(length)
    left = length - np.trace(terms.T @ _covariance(length, correlation) @ terms)
    # an estimate of the correlation may come out such that little is left
    return max(left / (length - terms.shape[1]), 0.2)


def _select(moments, base, power, n_iter, correlation, filled):
    """Windows without line, from a first guess of baseline and variance of each spectrum."""
    length, scale, count, level, variance, rough = moments
    if filled:
        n_terms = trend_terms(length).shape[1]
        inside = rough / np.float32(roughness(length, correlation))
    else:
        n_terms = 1
        inside = count / np.maximum(count - 1.0, 1.0) * variance
    limit = 1.0 + EXCESS * np.sqrt(2.0 / max(length - n_terms, 1))
    reach = np.float32(LEVEL**2 * max(_covariance(length, correlation).mean(), 0.2 / length))
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(n_iter):
            keep = ((level - base[:, None]) / scale) ** 2 < reach * power[:, None]
            keep &= inside < limit * power[:, None]
            weight = count * keep
            total = weight.sum(axis=-1)
            new_base = np.where(keep, weight * level, 0.0).sum(axis=-1) / total
            if filled:
                weight = np.maximum(weight - n_terms, 0.0)
                freedom = weight.sum(axis=-1)
                spread = weight * inside
            else:
                freedom = total - 1.0
                spread = weight * (variance + ((level - new_base[:, None]) / scale) ** 2)
            new_power = np.where(keep, spread, 0.0).sum(axis=-1) / freedom
            # nothing left: the guess stands
            lost = ~(freedom > 0)
            base, power = np.where(lost, base, new_base), np.where(lost, power, new_power)
    return SpectrumNoise(
        keep, base, power, np.where(lost, 0.0, freedom), np.full(len(base), filled)
    )


def sparse_noise(moments, n_iter, correlation=(1.0,)):
    """Noise of spectra most of whose windows are free of line.

    Parameters
    ----------
    moments : WindowMoments
    n_iter : int
        Rounds of selection.
    correlation : array-like of shape (n_lags,)
        Autocorrelation of the noise at lags of 0, 1, ... channels.

    Returns
    -------
    noise : SpectrumNoise
    """
    freedom = max(moments.length - 1, 1)
    base = row_quantile(moments.level, 0.5)
    # the median of a chi-squared variable lies below its mean
    power = row_quantile(moments.variance, 0.5) * moments.length / freedom
    power /= (1.0 - 2.0 / (9.0 * freedom)) ** 3
    return _select(moments, base, power, n_iter, correlation, filled=False)


def filled_noise(moments, n_iter, correlation=(1.0,)):
    """Noise of spectra with emission in most channels: from the windows of the lowest level.

    Only the scatter about the trend of a window counts, since weak emission is smooth over one.

    Parameters
    ----------
    moments, n_iter, correlation
        As in `sparse_noise`.

    Returns
    -------
    noise : SpectrumNoise
    """
    length, count, level = moments.length, moments.count, moments.level
    gain = roughness(length, correlation)
    n_windows = level.shape[-1]
    lowest = max(2, int(np.ceil(QUIET_SHARE * n_windows)))
    bound = row_quantile(level, (lowest - 1) / max(n_windows - 1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(level <= bound[:, None], count, 0.0)
        power = np.where(weight > 0, weight * moments.rough, 0.0).sum(axis=-1) / gain
        power /= weight.sum(axis=-1)
        base = np.where(weight > 0, weight * level, 0.0).sum(axis=-1) / weight.sum(axis=-1)
        # the lowest of many lie below the mean of all
        base = base + 1.5 * np.sqrt(power / length)
    return _select(moments, base, power, n_iter, correlation, filled=True)


def difference_noise(spectra, correlation=(1.0,)):
    """Noise of spectra without any line-free channel: from differences of high order.

    Sixth differences of every other channel: emission that is smooth over five channels cancels,
    the correlation of neighbours does not enter, and the median passes over narrow features.

    Parameters
    ----------
    spectra : ndarray of shape (n_spectra, n_channels), float32
        NaN where a voxel does not count.
    correlation : array-like of shape (n_lags,)
        Autocorrelation of the noise at lags of 0, 1, ... channels.

    Returns
    -------
    sigma : ndarray of shape (n_spectra,), float32
        NaN where there are too few channels.
    steps : ndarray of shape (n_spectra, n_steps), float32
        Absolute differences, in units of what noise of variance 1 gives.
    """
    n_channels = spectra.shape[1]
    order = 6 if n_channels >= 24 else 2
    n_steps = n_channels - order * STEP
    if n_steps < 1:
        nothing = np.full((len(spectra), 1), np.nan, np.float32)
        return nothing[:, 0], nothing
    terms = np.array([(-1.0) ** i * comb(order, i) for i in range(order + 1)])
    # an estimate of the correlation may come out such that nothing is left
    gain = max(terms @ _covariance(order + 1, correlation, STEP) @ terms, 0.05 * (terms @ terms))
    steps = np.zeros((len(spectra), n_steps), np.float32)
    with np.errstate(invalid="ignore"):
        for i, term in enumerate(terms / np.sqrt(gain)):
            steps += np.float32(term) * spectra[:, i * STEP : i * STEP + n_steps]
    np.abs(steps, out=steps)
    return np.float32(1.4826) * row_quantile(steps, 0.5), steps


def _clearly_above(power, other, freedom):
    """Whether a variance is above another by more than that scatters, with `freedom` degrees."""
    slack = np.clip(SIGNIFICANT / np.sqrt(2.0 * np.maximum(freedom, 1.0)), LEAST, 0.5)
    with np.errstate(invalid="ignore"):
        return power > other * (1.0 + slack) ** 2


def spectrum_noise(spectra, n_iter, emission, *, skip=None, scale=None, correlation=(1.0,)):
    """Noise of each spectrum, as sparse or as filled with emission; no spectrum sees another.

    Parameters
    ----------
    spectra : ndarray of shape (n_spectra, n_channels), float32
        NaN where blank. Left as it is.
    n_iter : int
        Rounds of selection of the line-free windows.
    emission : {"auto", "sparse", "filling"}
        "auto": sparse, unless that finds clearly more noise than the lowest windows have.
    skip, scale
        As in `window_moments`.
    correlation : array-like of shape (n_lags,)
        Autocorrelation of the noise along channels.

    Returns
    -------
    noise : SpectrumNoise
    """
    moments = window_moments(spectra, skip, scale)
    # correlated channels are fewer degrees of freedom
    fewer = 1.0 / (1.0 + 2.0 * np.square(correlation[1:]).sum())
    if emission == "filling":
        noise = filled_noise(moments, n_iter, correlation)
    else:
        noise = sparse_noise(moments, n_iter, correlation)
        if emission == "auto":
            other = filled_noise(moments, n_iter, correlation)
            rows = np.flatnonzero(_clearly_above(noise.power, other.power, fewer * other.freedom))
            for old, new in zip(noise, other, strict=True):
                old[rows] = new[rows]
    rows = np.flatnonzero(noise.filled)
    if rows.size:
        chosen = spectra[rows]
        if skip is not None:
            chosen = np.where(skip[rows], np.float32(np.nan), chosen)
        if scale is not None:
            chosen = chosen / scale.astype(np.float32)
        steps, _ = difference_noise(chosen, correlation)
        # the median of overlapping differences has a third of the efficiency
        freedom = 0.3 * spectra.shape[1]
        both = 1.0 / (1.0 / freedom + 1.0 / np.maximum(noise.freedom[rows], 1.0))
        better = (steps > 0) & _clearly_above(noise.power[rows], steps**2, fewer * both)
        rows = rows[better]
        noise.power[rows] = steps[better] ** 2
        noise.freedom[rows] = freedom
        noise.keep[rows] = False
    return noise._replace(freedom=fewer * noise.freedom)
