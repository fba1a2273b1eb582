"""What the spectra of a cube share in their noise: its profile over the band, its correlation."""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.special import ndtri

from skastro.denoising.line_free import (
    difference_noise,
    row_quantile,
    spectrum_noise,
    trend_terms,
    window_moments,
)

__all__ = ["band_profile", "common_noise", "spectral_correlation"]

MEDIAN = 9  # channels of the running median
LAGS = 3  # beyond, the noise is taken as uncorrelated
FEWEST = 16  # spectra with noise of their own that a profile needs
UPPER = 0.75  # quantile of the deviations: more efficient than the median, safe enough on one side
DISAGREE = 2.5  # standard errors
CHI2_MEDIAN = 0.455  # of one degree of freedom
SHARE = 0.25  # of the spectra that must be free of line in a channel
ROUNDS = (4, 4, 1)  # steps between the spectra of a large sample in each round
LARGE = 1024


def _running_median(values, length=MEDIAN):
    """Median of the `length` channels around each one, over what is not NaN."""
    padded = np.pad(values, length // 2, constant_values=np.nan)
    return row_quantile(np.lib.stride_tricks.sliding_window_view(padded, length), 0.5)


def _residuals(spectra, noise, moments, scale):
    """Deviations from the trend of each line-free window, in units of the noise; NaN elsewhere.

    Windows of which a voxel is missing are left out.
    """
    length = moments.length
    used = slice(noise.keep.shape[1] * length)
    values = spectra[:, used].reshape(len(spectra), -1, length) - moments.level[..., None]
    values /= scale[used].astype(np.float32).reshape(-1, length)
    values /= np.sqrt(noise.power)[:, None, None].astype(np.float32)
    terms = trend_terms(length).astype(np.float32)
    with np.errstate(invalid="ignore"):
        values -= (values @ terms) @ terms.T
    values[~(noise.keep & (moments.count == length))] = np.nan
    return values


def _covariance_left(length, lag):
    """What taking out the trend leaves of a covariance of 1 at one lag, (length, length)."""
    terms = trend_terms(length)
    project = np.eye(length) - terms @ terms.T
    true = np.eye(length, k=lag) + (np.eye(length, k=-lag) if lag else 0.0)
    return project @ true @ project


def spectral_correlation(residuals, n_lags=LAGS):
    """Autocorrelation along channels in short windows, about their trend.

    Taking out the trend lowers all covariances; what it does to each lag is known, and is undone.

    Parameters
    ----------
    residuals : ndarray of shape (n_windows, length)
        Deviations of pure noise from the trend of the window.
    n_lags : int
        Lags; beyond them the noise is taken as uncorrelated.

    Returns
    -------
    correlation : ndarray of shape (n_lags + 1,)
        1 at lag 0; white where there are fewer than a few dozen windows.
    """
    n_windows, length = residuals.shape
    n_lags = min(n_lags, (length - trend_terms(length).shape[1]) // 3)
    white = np.eye(1, n_lags + 1)[0]
    if n_lags == 0 or n_windows < 32:
        return white
    lags = range(2 * n_lags + 1)
    measured = [
        np.einsum("ij,ij->", residuals[:, lag:], residuals[:, : length - lag])
        / (n_windows * (length - lag))
        for lag in lags
    ]
    left = [_covariance_left(length, lag) for lag in range(n_lags + 1)]
    response = np.array([[one.diagonal(lag).mean() for one in left] for lag in lags])
    covariance = np.linalg.lstsq(response, np.array(measured))[0]
    if not covariance[0] > 0:
        return white
    return np.clip(covariance / covariance[0], -1.0, 1.0)


def band_profile(residuals, spectra, noise, scale, correlation):
    """Noise of each channel relative to the median channel, over the line-free windows.

    Weak lines lie on one side of the baseline only: where the deviations above and below it are
    not alike, the smaller ones count.

    Parameters
    ----------
    residuals : ndarray of shape (n_spectra, n_windows, length), float32
        Deviations from the trend of each window in units of the noise; NaN where not line-free.
    spectra : ndarray of shape (n_spectra, n_channels), float32
        For the channels that are nowhere free of line.
    noise : SpectrumNoise
        Theirs.
    scale : ndarray of shape (n_channels,)
        The profile so far.
    correlation : ndarray of shape (n_lags + 1,)

    Returns
    -------
    profile : ndarray of shape (n_channels,), float64
        With a median of 1.
    """
    n_channels = spectra.shape[1]
    n_spectra, n_windows, length = residuals.shape
    used = n_windows * length
    columns = np.ascontiguousarray(residuals.reshape(n_spectra, used).T)
    least = max(FEWEST, SHARE * np.count_nonzero(noise.power > 0))
    valid = ~np.isnan(columns)
    count = np.count_nonzero(valid, axis=1)
    common = count >= least
    mean = np.where(valid, columns, 0.0).sum(axis=1)[common] / count[common]
    # neighbours in a beam share their noise: the mean over n spectra of their own is below 1 / sqrt(n)
    if common.any() and np.median(mean**2) > CHI2_MEDIAN / FEWEST:
        return np.ones(n_channels)
    columns[~common] = np.nan
    left = sum(rho * _covariance_left(length, lag) for lag, rho in enumerate(correlation))
    gain = scale[:used] * np.tile(1.0 / np.sqrt(np.maximum(left.diagonal(), 0.05)), n_windows)
    halves = np.full((2, n_channels), np.nan)
    with np.errstate(invalid="ignore"):
        for half, side in zip(halves, (1.0, -1.0), strict=True):
            one_sided = np.where(side * columns > 0, side * columns, np.float32(np.nan))
            half[:used] = gain / ndtri(0.5 + 0.5 * UPPER) * row_quantile(one_sided, UPPER)
    above, below = map(_running_median, halves)
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = np.log(halves) - np.log([above, below])
        rest = rest[np.isfinite(rest)]
        # of a running median of MEDIAN channels
        scatter = 0.5 * np.pi / MEDIAN * rest.var() if rest.size else 0.0
        alike = np.log(above / below) ** 2 < DISAGREE**2 * 2.0 * scatter
    smooth = np.where(alike, 0.5 * (above + below), np.fmin(above, below))
    known = smooth > 0
    if known.sum() < 2:
        known = np.zeros(n_channels, dtype=bool)
    log_profile = np.log(np.where(known, smooth, 1.0))
    log_profile = _fill_in(log_profile, known, spectra, noise.power, correlation)
    # a running median is jagged
    log_profile = uniform_filter1d(log_profile, MEDIAN, mode="nearest")
    # as much of the variation as the scatter of the channels does not explain
    variation = np.var(log_profile)
    share = max(0.0, 1.0 - 0.5 * scatter / variation) if variation > 0 else 0.0
    profile = np.exp(share * (log_profile - np.median(log_profile)))
    return profile / np.median(profile)


def _fill_in(log_profile, known, spectra, power, correlation):
    """Channels in which no spectrum is free of line: the course of differences between the others."""
    n_channels = len(log_profile)
    channels = np.arange(n_channels)
    if known.all():
        return log_profile
    if known.any():
        bridge = np.interp(channels, channels[known], log_profile[known])
    else:
        bridge = np.zeros(n_channels)
    _, steps = difference_noise(spectra, correlation)
    if np.isnan(steps).all() or len(spectra) < FEWEST:
        return bridge
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = steps / np.sqrt(power)[:, None].astype(np.float32)
        course = np.log(row_quantile(np.ascontiguousarray(steps.T), 0.5))
    inside = np.isfinite(course)
    if not inside.any():
        return bridge
    margin = (n_channels - len(course)) // 2
    course = np.interp(channels, np.flatnonzero(inside) + margin, course[inside])
    course = _running_median(course, 2 * MEDIAN + 1)
    course -= np.median((course - bridge)[known]) if known.any() else np.median(course)
    # narrow lines raise it: no more than a quarter
    filled = np.clip(course, bridge - 0.25, bridge + 0.25)
    return np.where(known, log_profile, filled)


def common_noise(spectra, n_iter, emission, *, skip=None, per_channel=True):
    """Profile over the band and spectral correlation of the noise of some spectra.

    Parameters
    ----------
    spectra : ndarray of shape (n_spectra, n_channels), float32
        A sample of a cube: a few thousand are plenty.
    n_iter, emission, skip
        As in `skastro.denoising.line_free.spectrum_noise`.
    per_channel : bool
        False: a flat profile.

    Returns
    -------
    profile : ndarray of shape (n_channels,), float64
        With a median of 1.
    correlation : ndarray of shape (n_lags + 1,)
    """
    if skip is not None:
        spectra = np.where(skip, np.float32(np.nan), spectra)
    profile, correlation = np.ones(spectra.shape[1]), np.ones(1)
    for step in ROUNDS:
        part = spectra[:: step if len(spectra) >= LARGE else 1]
        noise = spectrum_noise(part, n_iter, emission, scale=profile, correlation=correlation)
        moments = window_moments(part, None, profile)
        residuals = _residuals(part, noise, moments, profile)
        windows = residuals[noise.keep & (moments.count == moments.length)]
        correlation = spectral_correlation(windows)
        if per_channel and len(part) >= FEWEST:
            profile = band_profile(residuals, part, noise, profile, correlation)
    return profile, correlation
