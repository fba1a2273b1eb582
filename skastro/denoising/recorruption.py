"""How well a method denoises, without the truth: noise of known values is added to the data."""

import numpy as np
from scipy import fft

from skastro.denoising.noise import noise_correlation
from skastro.denoising.signal_mask import find_signal

__all__ = ["correlated_noise", "estimate_gain"]

MAX_LAG = 3
SEED = 20231103  # the same noise for every method: their differences are known better than each
MAX_GAIN = 40.0  # [dB] beyond which the estimate is its own error


def correlated_noise(shape, correlation, rng):
    """Draw noise of unit variance with a given autocorrelation; it wraps around.

    Parameters
    ----------
    shape : tuple of int
        Of a cube, or of a table, whose rows are independent.
    correlation : NoiseCorrelation
    rng : numpy.random.Generator

    Returns
    -------
    noise : ndarray of shape `shape`, float32

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.noise import NoiseCorrelation
    >>> from skastro.denoising.recorruption import correlated_noise
    >>> correlation = NoiseCorrelation(np.array([1.0, 0.4]), np.eye(3))
    >>> noise = correlated_noise((200, 500), correlation, np.random.default_rng(0))
    >>> round(float(np.mean(noise[:, 1:] * noise[:, :-1])), 1)
    0.4
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    line = np.concatenate([correlation.spectral[:0:-1], correlation.spectral])
    sky = correlation.spatial if len(shape) == 3 else np.ones((1, 1))
    axes = range(len(shape)) if len(shape) == 3 else [1]
    pair = np.zeros([shape[axis] for axis in axes], np.float32)
    correlated = np.nan_to_num(np.multiply.outer(sky, line) if len(shape) == 3 else line)
    # lags that go around a short axis would be counted twice
    reach = [min(n, (m - 1) // 2 + 1) for n, m in zip(correlated.shape, pair.shape, strict=True)]
    middle = [n // 2 for n in correlated.shape]
    reach = [min(r - 1, m) for r, m in zip(reach, middle, strict=True)]
    inside = tuple(slice(m - r, m + r + 1) for m, r in zip(middle, reach, strict=True))
    places = np.ix_(*(np.arange(-r, r + 1) for r in reach))
    pair[places] = correlated[inside]
    power = np.maximum(fft.rfftn(pair).real, 0.0)
    # what was cut off at the negative powers is missing from the variance
    variance = fft.irfftn(power, pair.shape).flat[0]
    if not variance > 0:  # a correlation that could not be measured: white
        return noise
    power /= variance
    spectrum = fft.rfftn(noise, axes=axes)
    spectrum *= np.sqrt(power)
    return fft.irfftn(spectrum, pair.shape, axes=axes).astype(np.float32, copy=False)


def estimate_gain(denoise, X, sigma, amplitude=0.5):
    r"""Estimate the gain in signal-to-noise ratio of a method, from noisy data alone.

    Noise z with the level and the correlation of that of the data d is added, :math:`d + a z`, and
    the result compared with :math:`d - z / a`, whose noise is independent of it [1]_. The mean
    squared difference, less the variance of the latter, is the error of the method on slightly
    noisier data, for Gaussian noise of the given level and whatever the method.

    Parameters
    ----------
    denoise : callable
        Takes an array like `X`, returns it denoised.
    X : ndarray of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        NaN: blank.
    sigma : ndarray of the shape of `X`
        Standard deviation of the noise.
    amplitude : float, default=0.5
        a: the noise that the method sees is :math:`\sqrt{1 + a^2}` times stronger than in the data;
        the smaller, the closer to the data, and the less certain the estimate.

    Returns
    -------
    gain : float
        In dB, over the voxels in which `find_signal` finds signal in the noisier data; over all
        where it finds none.

    Notes
    -----
    The voxels are chosen by the noisier data, where its noise happens to be high: the gain comes out
    some tenths of a dB too large, by the same amount of error for all methods. A method that has learnt
    from the same data knows its noise, and scores better than it would on other data.

    References
    ----------
    .. [1] T. Pang, H. Zheng, Y. Quan, H. Ji (2021), "Recorrupted-to-Recorrupted: Unsupervised Deep
       Learning for Image Denoising", CVPR, 2043.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.recorruption import estimate_gain
    >>> line = 6 * np.exp(-0.5 * ((np.arange(100) - 40) / 6.0) ** 2)
    >>> noisy = line + np.random.default_rng(0).normal(size=(500, 100))
    >>> halved = lambda noisy: 0.5 * (noisy + line)
    >>> round(estimate_gain(halved, noisy, np.ones_like(noisy)))
    6
    """
    max_lag = min(MAX_LAG, X.shape[-1] - 1)
    correlation = noise_correlation(X, sigma, max_lag=max_lag) if max_lag else None
    rng = np.random.default_rng(SEED)
    if correlation is None:
        noise = rng.standard_normal(X.shape, dtype=np.float32)
    else:
        noise = correlated_noise(X.shape, correlation, rng)
    noisier = (X + amplitude * sigma * noise).astype(X.dtype, copy=False)
    where = np.isfinite(X) & (sigma > 0)
    signal = find_signal(noisier, np.sqrt(1.0 + amplitude**2) * sigma) & where
    if signal.any():
        where = signal
    error = (denoise(noisier)[where] - X[where]).astype(np.float64) / sigma[where]
    # the mean square of z / a is known to be 1 / a**2: put in as such, it brings no error of its own
    risk = np.mean(error**2) + 2.0 / amplitude * np.mean(error * noise[where]) - 1.0
    before = 1.0 + amplitude**2
    return float(10.0 * np.log10(before / max(risk, before * 10.0 ** (-MAX_GAIN / 10.0))))
