"""Level of the noise of a cube, at each position and channel."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from skastro.denoising.checks import check_cube, check_sigma, check_signal_mask, read_spectra
from skastro.denoising.correlation import NoiseCorrelation, noise_correlation
from skastro.denoising.line_free import spectrum_noise
from skastro.denoising.noise_spectrum import common_noise

__all__ = [
    "NoiseCorrelation",
    "NoiseLevel",
    "check_sigma",
    "estimate_noise",
    "estimate_sigma",
    "noise_correlation",
]

BLOCK_VOXELS = 2**18  # at once: the work arrays stay in the processor's cache
SAMPLE_VOXELS = 2**19  # from which the spectrum of the noise is taken
SAMPLE_SPECTRA = 4096
ALONE, PAIR = 2.5, 1.5  # standard errors within which a neighbour agrees, or a pair of them
EMISSION = ("auto", "sparse", "filling")


class NoiseLevel(NamedTuple):
    """Noise of a cube as a map times a spectrum.

    ``sigma`` is the product, of the shape of the cube, float32.

    Attributes
    ----------
    map : ndarray of shape (n_y, n_x) or (n_spectra,), float32
        Standard deviation of the noise in the median channel, in the unit of the cube; NaN where a
        spectrum is blank or constant.
    spectrum : ndarray of shape (n_channels,), float32
        Noise of each channel relative to the median channel.
    method : {"sparse", "filling", "mixed"}
        How it was found: most channels free of line, or filled with emission; "mixed" where
        between 10 % and 90 % of the spectra were taken as filled.
    correlation : ndarray of shape (n_lags + 1,), float32
        Autocorrelation of the noise along channels, as far as the estimate needed it.
    """

    map: np.ndarray
    spectrum: np.ndarray
    method: str
    correlation: np.ndarray

    @property
    def sigma(self):
        """Map times spectrum; a read-only view of the map where the spectrum is flat."""
        if (self.spectrum == 1).all():
            return np.broadcast_to(self.map[..., None], self.map.shape + self.spectrum.shape)
        return self.map[..., None] * self.spectrum


def _strided(cube, n_spectra):
    """Evenly spaced spectra of a cube or table, `n_spectra` at most, and their slices."""
    n_all = int(np.prod(cube.shape[:-1]))
    if cube.ndim == 2:
        slices = (slice(None, None, -(-n_all // n_spectra)),)
    else:
        n_y, n_x = cube.shape[:2]
        step_y = min(n_y, int(np.ceil(np.sqrt(n_all / n_spectra))))
        step_x = -(-(-(-n_y // step_y) * n_x) // n_spectra)
        slices = (slice(None, None, step_y), slice(None, None, step_x))
    return slices


def _unit(cube):
    """Power of two by which to divide a cube whose squares single precision would not hold."""
    sample = np.abs(read_spectra(cube[_strided(cube, 256)]))
    sample = sample[np.isfinite(sample) & (sample > 0)]
    if sample.size == 0 or 1e-12 < np.median(sample) < 1e12:
        return np.float32(1.0)
    return np.float32(2.0 ** np.round(np.log2(np.median(sample))))


def _row_blocks(shape, n_voxels=BLOCK_VOXELS):
    step = max(1, n_voxels // int(np.prod(shape[1:])))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _check_vector(values, name, least, n_channels=None):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or (n_channels and values.size != n_channels):
        expected = f"({n_channels},)" if n_channels else "(n_lags + 1,)"
        raise ValueError(f"{name} has shape {values.shape}; expected {expected}.")
    if not (np.isfinite(values).all() and values.min() > least):
        raise ValueError(f"{name} goes down to {values.min():.4g}; expected more than {least:g}.")
    return values


def _pool_neighbours(log_map, error, radius):
    """Mean of each pixel with the neighbours that agree with it.

    A neighbour counts when it does by itself, or when its mean with the one across does: a steep
    gradient then cancels, and a step stays.
    """
    n_y, n_x = log_map.shape
    values = np.pad(log_map, radius, constant_values=np.nan)
    spread = np.pad(error**2, radius, constant_values=np.nan)
    own = error**2
    total, norm = log_map / own, 1.0 / own
    side = range(-radius, radius + 1)
    for dy, dx in ((y, x) for y in side for x in side if (y, x) > (0, 0)):
        across = [
            (slice(radius + y, radius + y + n_y), slice(radius + x, radius + x + n_x))
            for y, x in ((dy, dx), (-dy, -dx))
        ]
        one, two = (values[there] for there in across)
        with np.errstate(invalid="ignore"):
            limit = PAIR**2 * (0.25 * (spread[across[0]] + spread[across[1]]) + own)
            both = (0.5 * (one + two) - log_map) ** 2 < limit
            for there in across:
                alone = (values[there] - log_map) ** 2 < ALONE**2 * (spread[there] + own)
                counts = alone | both
                total += np.where(counts, values[there] / spread[there], 0.0)
                norm += np.where(counts, 1.0 / spread[there], 0.0)
    return total / norm


def estimate_noise(
    cube,
    *,
    signal_mask=None,
    per_channel=True,
    n_iter=5,
    emission="auto",
    smooth=1,
    spectrum=None,
    correlation=None,
):
    r"""Estimate the noise of a cube as a map times a spectrum.

    .. math:: \sigma(y, x, k) = \mathrm{map}(y, x) \; \mathrm{spectrum}(k)

    Each spectrum is cut into windows of at most 12 channels, and the noise is that of the windows
    whose level and variance show no line, about their own baseline: a continuum that was left in
    does no harm. Where emission fills the spectrum, these are the windows of the lowest level, and
    where no window is free of it, sixth differences of every other channel. The median over
    positions, in a running median of 9 channels, gives the spectrum.

    Parameters
    ----------
    cube : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        At least 2 channels; NaN, infinities and constant stretches are blank. Read in blocks:
        memory maps and dask arrays are never held whole.
    signal_mask : array-like of bool of the shape of `cube`, optional
        True where there is signal: these voxels are left out.
    per_channel : bool, default=True
        False: the noise is the same in all channels, `spectrum` is 1. So it is with fewer than 16
        spectra.
    n_iter : int, default=5
        Rounds of selection of the line-free windows.
    emission : {"auto", "sparse", "filling"}, default="auto"
        Whether lines take few channels of a spectrum (molecules) or most of them (H I). "auto"
        decides for each spectrum by itself: it is filled where the lowest windows have clearly
        less noise than the usual ones.
    smooth : int, default=1
        Radius in pixels within which the map takes the mean over the neighbours that agree with a
        pixel within their errors: a single spectrum of 240 channels cannot tell its noise to
        better than 5 %. 0: each spectrum by itself. Not for tables.
    spectrum : array-like of shape (n_channels,), optional
        What was found on the whole cube, so that a part of it gives the same map. A part with
        nothing but blanks is no error then.
    correlation : array-like of shape (n_lags + 1,), optional
        The same for the autocorrelation along channels.

    Returns
    -------
    level : NoiseLevel
        `map`, `spectrum`, `method` and `correlation`; ``level.sigma`` is the product.

    Raises
    ------
    ValueError
        A cube of one channel, constant or blank everywhere; a mask of another shape; an option out
        of range.

    Notes
    -----
    The map of a part of the cube (with `spectrum` and `correlation` given) equals that of the
    whole but for `smooth` pixels along the cuts. Noise with a period or a slope along channels
    counts as noise in "sparse", and only in part in "filling".

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import estimate_noise
    >>> rng = np.random.default_rng(0)
    >>> cube = rng.normal(scale=0.3, size=(20, 20, 120))
    >>> cube[5:15, 5:15, 50:60] += 4.0
    >>> level = estimate_noise(cube)
    >>> level.map.shape, level.spectrum.shape, level.method
    ((20, 20), (120,), 'sparse')
    >>> round(float(np.median(level.map)), 2)
    0.3
    """
    cube = check_cube(cube, min_channels=2)
    if emission not in EMISSION:
        raise ValueError(f"emission={emission!r}; expected 'auto', 'sparse' or 'filling'.")
    for name, value, least in (("n_iter", n_iter, 1), ("smooth", smooth, 0)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}={value!r}; expected an integer of at least {least}.")
    if signal_mask is not None:
        signal_mask = check_signal_mask(signal_mask, cube.shape)
    n_channels = cube.shape[-1]
    given = spectrum is not None
    if given:
        spectrum = _check_vector(spectrum, "spectrum", 0.0, n_channels)
    if correlation is not None:
        correlation = _check_vector(correlation, "correlation", -1.0)
    if not given or correlation is None:
        found = _common(cube, signal_mask, n_iter, emission, per_channel and not given)
        spectrum = spectrum if given else found[0]
        correlation = found[1] if correlation is None else correlation
    spectrum = spectrum.astype(np.float32)

    unit = _unit(cube)
    power = np.empty(cube.shape[:-1], np.float32)
    freedom, filled = np.empty_like(power), np.empty(power.shape, dtype=bool)
    flat = None if (spectrum == 1).all() else spectrum
    for rows in _row_blocks(cube.shape):
        spectra = read_spectra(cube, rows)
        if unit != 1:
            spectra = spectra / unit
        skip = None if signal_mask is None else signal_mask[rows].reshape(spectra.shape)
        noise = spectrum_noise(
            spectra, n_iter, emission, skip=skip, scale=flat, correlation=correlation
        )
        shape = power[rows].shape
        power[rows], freedom[rows] = noise.power.reshape(shape), noise.freedom.reshape(shape)
        filled[rows] = noise.filled.reshape(shape)
    power[~(power > 0)] = np.nan
    valid = ~np.isnan(power)
    if not valid.any() and not given:
        raise ValueError(_no_noise(cube, signal_mask))
    sigma = unit * np.sqrt(power)
    if smooth and sigma.ndim == 2 and sigma.size > 1 and valid.any():
        error = np.sqrt(0.5 / np.maximum(freedom, 1.0))
        sigma = np.exp(_pool_neighbours(np.log(sigma), error, smooth)).astype(np.float32)
    share = filled[valid].mean() if valid.any() else 0.0
    method = "sparse" if share < 0.1 else "filling" if share > 0.9 else "mixed"
    return NoiseLevel(sigma, spectrum, method, correlation.astype(np.float32))


def _common(cube, signal_mask, n_iter, emission, per_channel):
    """Spectrum and spectral correlation of the noise, from a sample of the cube."""
    n_channels = cube.shape[-1]
    n_spectra = int(np.clip(SAMPLE_VOXELS // n_channels, 256, SAMPLE_SPECTRA))
    slices = _strided(cube, n_spectra)
    spectra = read_spectra(cube[slices]) / _unit(cube)
    skip = None if signal_mask is None else signal_mask[slices].reshape(spectra.shape)
    return common_noise(spectra, n_iter, emission, skip=skip, per_channel=per_channel)


def _no_noise(cube, signal_mask):
    """Why nothing was found."""
    finite = any(np.isfinite(read_spectra(cube, rows)).any() for rows in _row_blocks(cube.shape))
    if not finite:
        return (
            f"cube of shape {tuple(cube.shape)} is blank everywhere (NaN); expected some numbers."
        )
    if signal_mask is not None:
        return (
            "signal_mask leaves no line-free channels in any spectrum; expected some to be False."
        )
    return (
        f"cube of shape {tuple(cube.shape)} is constant along every spectrum: its noise is zero; "
        "expected noise in it."
    )


def estimate_sigma(cube, *, signal_mask=None, per_channel=True, n_iter=5, emission="auto"):
    """Estimate the standard deviation of the noise in every voxel of a cube.

    Parameters
    ----------
    cube, signal_mask, per_channel, n_iter, emission
        As in `estimate_noise`, of which this is the product of map and spectrum.

    Returns
    -------
    sigma : ndarray of the shape of `cube`, float32
        In the unit of the cube; NaN along spectra that are blank. With ``per_channel=False`` a
        read-only view of the map.

    Raises
    ------
    ValueError
        As `estimate_noise`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import estimate_sigma
    >>> cube = np.random.default_rng(0).normal(scale=0.3, size=(20, 20, 120))
    >>> sigma = estimate_sigma(cube)
    >>> sigma.shape, round(float(sigma.mean()), 2)
    ((20, 20, 120), 0.3)
    """
    return estimate_noise(
        cube,
        signal_mask=signal_mask,
        per_channel=per_channel,
        n_iter=n_iter,
        emission=emission,
    ).sigma
