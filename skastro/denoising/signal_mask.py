"""Where a cube has signal: connected voxels above a low level that hold a peak above a high one."""

from numbers import Integral, Real

import numpy as np
from scipy import ndimage

from skastro.denoising.checks import check_cube, check_sigma, check_signal_mask, read_spectra

__all__ = [
    "check_signal_mask",
    "dilate",
    "false_fraction",
    "find_signal",
    "mask_levels",
    "mask_reach",
    "smoothed_noise",
    "smoothed_snr",
]

TRUNCATE = 3.0  # standard deviations of the kernel: what is cut off is 0.3 %
SAMPLE_VOXELS = 2**20  # from which the noise of the smoothed cube is measured
FEWEST = 64  # negative voxels that this takes
BEAM_CHANNELS = 2  # least width of a line [channels]
LEAST_SUPPORT = 0.05  # of the variance of a full kernel, at voxels between blanks


def mask_reach(smooth):
    """Voxels on either side that the smoothed S/N of a voxel depends on."""
    return int(TRUNCATE * smooth + 0.5)


def _kernel(smooth):
    reach = mask_reach(smooth)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / smooth) ** 2) if reach else np.ones(1)
    return weights / weights.sum()


def _convolve(values, kernel, axes):
    for axis in axes:
        values = ndimage.correlate1d(values, kernel, axis=axis, mode="constant")
    return values


def _smoothed_snr(cube, sigma, smooth):
    """Smoothed S/N of a cube, in units of what white noise of that `sigma` gives everywhere.

    Blanks and the border have fewer voxels to average: the noise there is put to the same.
    """
    shape = cube.shape
    axes = range(len(shape)) if len(shape) == 3 else (1,)
    snr = np.empty(shape, np.float32)
    with np.errstate(invalid="ignore"):
        np.divide(read_spectra(cube).reshape(shape), sigma, out=snr)
        all_finite = np.isfinite(snr.sum())
    blank = None
    if not all_finite:
        blank = ~np.isfinite(snr)
        if blank.all():
            raise ValueError(
                f"cube of shape {tuple(shape)} or its sigma is blank everywhere (NaN); expected "
                "some numbers."
            )
        snr[blank] = 0.0
    kernel = _kernel(smooth)
    if kernel.size == 1:
        return snr, blank
    snr = _convolve(snr, kernel, axes)
    square = kernel**2
    if blank is None:
        # the variance left by a product of kernels is a product
        for axis in axes:
            share = _convolve(np.ones(shape[axis], np.float32), square, (0,))
            along = [1] * len(shape)
            along[axis] = -1
            snr *= (1.0 / np.sqrt(share)).reshape(along)
        return snr, None
    if (blank == blank[..., :1]).all():
        # whole spectra: a map tells it all
        sky = [axis for axis in axes if axis < len(shape) - 1]
        share = _convolve((~blank[..., :1]).astype(np.float32), square, sky)
        share = share * _convolve(np.ones(shape[-1], np.float32), square, (0,))
    else:
        share = _convolve((~blank).astype(np.float32), square, axes)
    share = np.maximum(share, np.float32(LEAST_SUPPORT * square.sum() ** len(axes)))
    snr /= np.sqrt(share)
    snr[blank] = 0.0
    return snr, blank


def _measure(snr):
    """Standard deviation of the noise from the values below zero, which emission does not reach."""
    step = max(1, snr.size // SAMPLE_VOXELS)
    # an odd step does not fall in line with the axes
    sample = snr.reshape(-1)[:: step + (step % 2 == 0)]
    below = sample[sample < 0]
    if below.size < FEWEST:
        return 1.0
    return float(1.4826 * -np.median(below))


def smoothed_noise(cube, sigma, *, smooth=1.0):
    """Measure the noise of the smoothed S/N, relative to what white noise would leave.

    It is above 1 where neighbours share their noise. `find_signal` measures it by itself; a cube
    that is read in blocks gives the same mask as the whole when each block is given this.

    Parameters
    ----------
    cube : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
    sigma : array-like
        As in `find_signal`.
    smooth : float, default=1.0

    Returns
    -------
    scale : float

    Raises
    ------
    ValueError
        As `find_signal`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.signal_mask import smoothed_noise
    >>> cube = np.random.default_rng(0).normal(size=(20, 20, 50))
    >>> round(smoothed_noise(cube, 1.0), 1)
    1.0
    """
    cube = check_cube(cube)
    _check_options(smooth=smooth)
    return _measure(_smoothed_snr(cube, check_sigma(sigma, cube.shape), smooth)[0])


def smoothed_snr(snr, sigma, smooth):
    """Smoothed S/N in units of what white noise would leave; 0 everywhere in a blank piece."""
    if not np.isfinite(snr).any():
        return np.zeros(snr.shape, np.float32)
    return _smoothed_snr(snr, np.broadcast_to(np.float32(sigma), snr.shape), smooth)[0]


def mask_levels(scale, options):
    """Levels (low, high), fewest voxels and smoothing of `find_signal` with such options."""
    given = {"low": 2.0, "high": 5.0, "smooth": 1.0, "min_voxels": 8, "beam": None} | options
    given = {"n_dilate": 1} | given | {"scale": options.get("scale", scale)}
    _check_options(**given)
    least = _least_voxels(given["min_voxels"], given["beam"], 3)
    scale = given["scale"]
    return given["low"] * scale, given["high"] * scale, least, given["smooth"]


def _check_options(low=2.0, high=5.0, smooth=1.0, min_voxels=8, beam=None, n_dilate=1, scale=None):
    for name, value in (("low", low), ("high", high), ("smooth", smooth)):
        if not isinstance(value, Real) or not np.isfinite(value) or value < 0:
            raise ValueError(f"{name}={value!r}; expected a number of at least 0.")
    if low > high:
        raise ValueError(f"low={low!r} is above high={high!r}; expected low <= high.")
    for name, value, least in (("min_voxels", min_voxels, 1), ("n_dilate", n_dilate, 0)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}={value!r}; expected an integer of at least {least}.")
    if beam is not None:
        sides = np.asarray(beam, dtype=np.float64)
        if sides.shape not in ((), (2,)) or not (np.isfinite(sides) & (sides > 0)).all():
            raise ValueError(
                f"beam={beam!r}; expected its FWHM in pixels, or a pair (major, minor), above 0."
            )
    if scale is not None and not (isinstance(scale, Real) and scale > 0 and np.isfinite(scale)):
        raise ValueError(f"scale={scale!r}; expected None or a positive number.")


def _least_voxels(min_voxels, beam, ndim):
    """Smallest number of voxels of a component."""
    if ndim == 2:
        # a run of channels as long as the side of that volume
        return max(1, round(min_voxels ** (1.0 / 3.0)))
    if beam is None:
        return min_voxels
    area = np.pi / (4.0 * np.log(2.0)) * np.prod(np.broadcast_to(beam, 2))
    return max(min_voxels, int(np.ceil(area * BEAM_CHANNELS)))


def dilate(mask, n=1):
    """Grow a mask by some voxels: `n` times by the neighbours that share a face.

    Parameters
    ----------
    mask : array-like of bool of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        A table grows along channels only.
    n : int, default=1

    Returns
    -------
    mask : ndarray of bool of that shape
        A new array.

    Raises
    ------
    ValueError
        A mask that is not bool or has another number of axes, or a negative `n`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import dilate
    >>> dilate(np.array([[False, False, True, False, False, False]])).astype(int)
    array([[0, 1, 1, 1, 0, 0]])
    """
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.ndim not in (2, 3):
        raise ValueError(
            f"mask has dtype {mask.dtype} and shape {mask.shape}; expected bool, (n_y, n_x, "
            "n_channels) or (n_spectra, n_channels)."
        )
    _check_options(n_dilate=n)
    grown = mask.copy()
    for _ in range(n):
        before = grown.copy()
        for axis in range(mask.ndim) if mask.ndim == 3 else (1,):
            low = tuple(slice(None, -1) if i == axis else slice(None) for i in range(mask.ndim))
            high = tuple(slice(1, None) if i == axis else slice(None) for i in range(mask.ndim))
            grown[low] |= before[high]
            grown[high] |= before[low]
    return grown


def _components(snr, low, high, least):
    """Connected voxels above `low`, of those components with a peak above `high` and enough voxels."""
    above = snr > low
    # voxels that share a face: edges and corners bring in more noise and no more signal
    structure = ndimage.generate_binary_structure(snr.ndim, 1)
    if snr.ndim == 2:
        structure[[0, 2]] = False
    labels, n_labels = ndimage.label(above, structure)
    inside = labels[above]
    keep = np.bincount(inside, minlength=n_labels + 1) >= least
    peaked = np.zeros(n_labels + 1, dtype=bool)
    peaked[labels[snr > high]] = True
    keep &= peaked
    keep[0] = False
    above[above] = keep[inside]
    return above


def find_signal(
    cube,
    sigma,
    *,
    low=2.0,
    high=5.0,
    smooth=1.0,
    min_voxels=8,
    beam=None,
    n_dilate=1,
    scale=None,
):
    """Find the voxels of a cube that hold signal.

    The S/N is smoothed, in units of its own noise (measured, since the noise of neighbours may be
    correlated), and of the connected components above `low` (voxels that share a face) those count
    that hold a peak above `high` and enough voxels. They are then dilated.

    Parameters
    ----------
    cube : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        Its baseline taken out: emission is what lies above zero. NaN: blank, and no signal. In a
        table, rows have nothing to do with each other.
    sigma : array-like
        Noise in the unit of the cube, as `skastro.denoising.noise.check_sigma` takes it.
    low, high : float, default=2.0 and 5.0
        Levels of the smoothed S/N in units of its noise.
    smooth : float, default=1.0
        Standard deviation of the Gaussian kernel, in voxels on every axis (in a table along
        channels). 0: none.
    min_voxels : int, default=8
        Fewest voxels of a component before dilation. In a table a run of channels as long as the
        side of that volume, 2 for 8.
    beam : float or tuple (major, minor), optional
        FWHM in pixels: a component has at least the area of the beam times 2 channels, since
        smaller ones cannot be real. Of no use in a table.
    n_dilate : int, default=1
        Dilations, as `dilate` does them.
    scale : float, optional
        Noise of the smoothed S/N, as `smoothed_noise` measures it. None: measured from the values
        below zero; in a table 1, that of white noise, so that no row depends on another.

    Returns
    -------
    mask : ndarray of bool of the shape of `cube`
        True where there is signal.

    Raises
    ------
    ValueError
        A sigma that does not fit, is zero or negative, a cube that is blank everywhere, or an
        option out of range.

    Notes
    -----
    Holds the smoothed cube and the labels of its components in memory, 8 bytes a voxel.

    References
    ----------
    .. [1] E. Rosolowsky, A. Leroy (2006), "Bias-free measurement of giant molecular cloud
       properties", PASP 118, 590: masks of two levels.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import find_signal
    >>> cube = np.random.default_rng(0).normal(scale=0.2, size=(20, 20, 60))
    >>> cube[5:10, 5:10, 30:36] += 1.0
    >>> mask = find_signal(cube, 0.2)
    >>> bool(mask[5:10, 5:10, 30:36].all()), bool(mask[..., :25].any())
    (True, False)
    """
    cube = check_cube(cube)
    _check_options(low, high, smooth, min_voxels, beam, n_dilate, scale)
    snr, blank = _smoothed_snr(cube, check_sigma(sigma, cube.shape), smooth)
    if scale is None:
        scale = _measure(snr) if snr.ndim == 3 else 1.0
    least = _least_voxels(min_voxels, beam, snr.ndim)
    mask = dilate(_components(snr, low * scale, high * scale, least), n_dilate)
    if blank is not None:
        mask &= ~blank
    return mask


def false_fraction(cube, sigma, *, scale=None, **options):
    """Fraction of the voxels that `find_signal` takes for signal in the negated cube.

    Noise is as often below zero as above, and emission never: what the negated cube shows is what
    the mask holds of noise. Absorption and the bowls of interferometers count, too.

    Parameters
    ----------
    cube, sigma, scale
        As in `find_signal`.
    **options
        The other options of `find_signal`.

    Returns
    -------
    fraction : float
        Of the voxels that are not blank.

    Raises
    ------
    ValueError
        As `find_signal`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import false_fraction
    >>> cube = np.random.default_rng(0).normal(scale=0.2, size=(20, 20, 60))
    >>> cube[5:10, 5:10, 30:36] += 1.0
    >>> false_fraction(cube, 0.2)
    0.0
    """
    cube = check_cube(cube)
    sigma = check_sigma(sigma, cube.shape)
    if scale is None and len(cube.shape) == 3:
        # below zero lies the noise of the cube, but the signal of the negated one
        scale = smoothed_noise(cube, sigma, smooth=options.get("smooth", 1.0))
    values = read_spectra(cube).reshape(cube.shape)
    mask = find_signal(-values, sigma, scale=scale, **options)
    valid = np.count_nonzero(np.isfinite(values) & np.isfinite(sigma))
    return float(np.count_nonzero(mask) / valid)
