"""Scores of a denoised line cube against its truth: gain, residual noise and flux, by zone."""

from __future__ import annotations

import numpy as np

from skastro.validation import native, split_unit

__all__ = ["cube_summary", "flux_ratio", "moment0_gain", "residual_rms", "snr_gain", "zones"]

HIGH, LOW, FREE = 3.0, 0.5, 0.01  # peak S/N of the truth that bounds the zones


def _unit(array):
    found = getattr(array, "unit", None)
    return None if found is None else found.to_string()


def _values(array, name, unit):
    """Values in the unit of the truth; None: it has none."""
    found = getattr(array, "unit", None)
    if (found is None) != (unit is None):
        raise ValueError(f"{name} has unit {str(found)!r}; expected {str(unit)!r}, as truth has.")
    return split_unit(array, name, unit)[0]


def _read(array, name, unit, shape=None):
    """Floating array of a cube, in the unit of the truth; masked entries become NaN."""
    array = _values(array, name, unit)
    if np.ma.isMaskedArray(array):
        array = array.astype(np.result_type(array, np.float32)).filled(np.nan)
    array = native(array)
    if array.dtype.kind not in "fiu" or array.ndim < 1:
        raise ValueError(
            f"{name} has dtype {array.dtype} and shape {array.shape}; expected an array of numbers."
        )
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}, the shape of truth.")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _read_sigma(sigma, shape, unit):
    """Sigma as a view that broadcasts against the cube."""
    sigma = native(_values(sigma, "sigma", unit))
    wanted = [(), shape[-1:], shape[:-1], shape]
    if sigma.dtype.kind not in "fiu" or sigma.shape not in [*wanted, (*shape[:-1], 1)]:
        raise ValueError(f"sigma has shape {sigma.shape}; expected one of {wanted}.")
    if not np.all((sigma > 0) | np.isnan(sigma)):
        raise ValueError(f"sigma has a minimum of {np.nanmin(sigma):.3g}; expected it above 0.")
    # in a table of as many spectra as channels a vector is a spectrum
    if sigma.ndim and sigma.shape == shape[:-1] and sigma.shape != shape[-1:]:
        return sigma[..., None]
    return sigma


def _read_all(truth, sigma, **others):
    """Truth, sigma, and the other cubes, checked against the truth."""
    unit = _unit(truth)
    truth = _read(truth, "truth", unit)
    others = [_read(array, name, unit, truth.shape) for name, array in others.items()]
    return truth, _read_sigma(sigma, truth.shape, unit), *others


def _zone(truth, sigma, zone):
    """Mask of a zone by name, or the user's own."""
    if isinstance(zone, str):
        snr = np.abs(truth / sigma)
        if zone == "all":
            return np.isfinite(snr)
        if zone == "signal":
            return snr > LOW
        if zone == "high":
            return snr > HIGH
        if zone == "low":
            return (snr > LOW) & (snr <= HIGH)
        if zone == "free":
            return snr < FREE
        raise ValueError(
            f"zone={zone!r}; expected 'signal', 'high', 'low', 'free', 'all' or a mask."
        )
    zone = np.asarray(zone)
    if zone.dtype != bool or zone.shape != truth.shape:
        raise ValueError(
            f"zone has dtype {zone.dtype} and shape {zone.shape}; expected bool and {truth.shape}."
        )
    return zone


def _check_estimate(estimate, where):
    if not (np.isfinite(estimate) | ~where).all():
        raise ValueError(
            "estimate is NaN or infinite where the other cubes are valid; expected a number."
        )


def _sum_of_squares(residual):
    return float(np.einsum("i,i->", residual, residual, dtype=np.float64))


def _gain(truth, sigma, noisy, estimate, where):
    """Gain in dB over the voxels `where`; NaN where there are none."""
    where = where & np.isfinite(truth / sigma) & np.isfinite(noisy)
    _check_estimate(estimate, where)
    sigma = np.broadcast_to(sigma, truth.shape)[where]
    truth = truth[where]
    before = _sum_of_squares((noisy[where] - truth) / sigma)
    after = _sum_of_squares((estimate[where] - truth) / sigma)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10.0 * np.log10(np.divide(before, after)))


def _integrate(truth, sigma, noisy, estimate):
    """The four, summed over the channels that are valid; NaN for a position without any."""
    valid = np.isfinite(truth / sigma) & np.isfinite(noisy)
    _check_estimate(estimate, valid)
    variance = np.broadcast_to(np.square(sigma, dtype=np.float64), truth.shape)
    cubes = (truth, variance, noisy, estimate)
    sums = [np.asarray(np.sum(cube, axis=-1, where=valid, dtype=np.float64)) for cube in cubes]
    sums[1] = np.sqrt(sums[1])
    sums[1][sums[1] == 0] = np.nan
    return sums


def zones(truth, sigma):
    """Where the line is strong, where it is weak, and where there is none.

    Parameters
    ----------
    truth : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        The cube without noise. NaN: blank, in no zone.
    sigma : float or array-like
        Standard deviation of the noise, in the unit of `truth`: a number, a spectrum
        (n_channels,), a map (n_y, n_x), or the shape of `truth`.

    Returns
    -------
    zones : dict of str to ndarray of bool
        "high": a true S/N, in absolute value, above 3. "low": above 0.5 and at most 3.
        "free": below 0.01. What is in between is in none.

    Raises
    ------
    ValueError
        A `sigma` of another shape, or not positive.

    Examples
    --------
    >>> from skastro.cube_metrics import zones
    >>> found = zones([[0.0, 0.1, 1.0, 9.0]], sigma=1.0)
    >>> {name: mask[0].tolist() for name, mask in found.items()}
    {'high': [False, False, False, True], 'low': [False, False, True, False],
     'free': [True, False, False, False]}
    """
    truth, sigma = _read_all(truth, sigma)
    snr = np.abs(truth / sigma)
    high = snr > HIGH
    return {"high": high, "low": (snr > LOW) & ~high, "free": snr < FREE}


def snr_gain(truth, noisy, estimate, sigma, zone="signal"):
    r"""Gain in signal-to-noise ratio of a denoised cube, in dB.

    .. math:: 20 \log_{10} \frac{\mathrm{rms}[(d - s) / \sigma]}{\mathrm{rms}[(\hat s - s) / \sigma]}

    over a zone of the truth s, for the noisy cube d and the estimate: 6 dB is half the error.

    Parameters
    ----------
    truth, noisy, estimate : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        In the same unit (all Quantities, or none). Voxels that are NaN in `truth` or `noisy` are
        left out.
    sigma : float or array-like
        Noise of `noisy`, as in `zones`.
    zone : {"signal", "high", "low", "free", "all"} or mask, default="signal"
        A zone of the truth as in `zones`; "signal" is "high" and "low" together. Or a mask, True
        where to measure, of the shape of `truth`.

    Returns
    -------
    gain : float
        In dB; inf for a perfect estimate, NaN for a zone without voxels.

    Raises
    ------
    ValueError
        Shapes that differ, `sigma` not positive, or a NaN in `estimate` where the truth and the
        noisy cube are valid.

    References
    ----------
    .. [1] L. Einig, J. Pety, A. Roueff et al. (2023), "Deep learning denoising by dimension
       reduction: Application to the ORION-B line cubes", A&A 677, A158.

    Examples
    --------
    >>> from skastro.cube_metrics import snr_gain
    >>> truth, noisy = [[0.0, 5.0, 5.0]], [[1.0, 6.0, 4.0]]
    >>> round(snr_gain(truth, noisy, [[0.0, 5.5, 4.5]], sigma=1.0), 2)
    6.02
    """
    cubes = _read_all(truth, sigma, noisy=noisy, estimate=estimate)
    return _gain(*cubes, _zone(*cubes[:2], zone))


def residual_rms(truth, estimate, sigma, zone="free"):
    """Root mean square of (estimate - truth) / sigma: 1 for the noisy cube itself.

    Parameters
    ----------
    truth, estimate : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        In the same unit (all Quantities, or none). Voxels that are NaN in `truth` are left out.
    sigma : float or array-like
        Noise of the cube before denoising, as in `zones`.
    zone : {"free", "signal", "high", "low", "all"} or mask, default="free"
        As in `snr_gain`.

    Returns
    -------
    rms : float
        In units of the noise; NaN for a zone without voxels.

    Raises
    ------
    ValueError
        As `snr_gain`.

    Examples
    --------
    >>> from skastro.cube_metrics import residual_rms
    >>> residual_rms([[0.0, 0.0, 8.0]], [[0.2, -0.2, 7.0]], sigma=2.0)
    0.1
    """
    truth, sigma, estimate = _read_all(truth, sigma, estimate=estimate)
    where = _zone(truth, sigma, zone) & np.isfinite(truth / sigma)
    _check_estimate(estimate, where)
    if not where.any():
        return float("nan")
    residual = (estimate[where] - truth[where]) / np.broadcast_to(sigma, truth.shape)[where]
    return float(np.sqrt(_sum_of_squares(residual) / residual.size))


def flux_ratio(truth, estimate, where=None):
    """Sum of the estimate over the sum of the truth.

    Parameters
    ----------
    truth, estimate : array-like of the same shape
        In the same unit (all Quantities, or none). Voxels that are NaN in `truth` are left out.
    where : array-like of bool of the shape of `truth`, default=None
        True where to sum, such as a zone of `zones`. None: everywhere.

    Returns
    -------
    ratio : float
        1 where the flux is kept; NaN where the truth sums to zero.

    Raises
    ------
    ValueError
        Shapes that differ, or a NaN in `estimate` where the truth is valid.

    Examples
    --------
    >>> from skastro.cube_metrics import flux_ratio
    >>> flux_ratio([[0.0, 2.0, 2.0]], [[0.0, 2.0, 1.5]])
    0.875
    """
    unit = _unit(truth)
    truth = _read(truth, "truth", unit)
    estimate = _read(estimate, "estimate", unit, truth.shape)
    valid = np.isfinite(truth)
    if where is not None:
        where = np.asarray(where)
        if where.shape != truth.shape or where.dtype != bool:
            raise ValueError(
                f"where has dtype {where.dtype} and shape {where.shape}; expected bool and "
                f"{truth.shape}, the shape of truth."
            )
        valid = valid & where
    _check_estimate(estimate, valid)
    total = float(truth.sum(where=valid, dtype=np.float64))
    found = float(estimate.sum(where=valid, dtype=np.float64))
    return found / total if total else float("nan")


def moment0_gain(truth, noisy, estimate, sigma, zone="signal"):
    """Gain in dB on the map integrated over the channels.

    As `snr_gain`, of sums over the channels that are valid, with the noise of such a sum (that of
    independent channels): the zones are those of the integrated map.

    Parameters
    ----------
    truth, noisy, estimate, sigma
        As in `snr_gain`.
    zone : {"signal", "high", "low", "free", "all"} or mask, default="signal"
        As in `snr_gain`; a mask has the shape of the map.

    Returns
    -------
    gain : float
        In dB.

    Raises
    ------
    ValueError
        As `snr_gain`.

    Examples
    --------
    >>> from skastro.cube_metrics import moment0_gain
    >>> truth, noisy = [[0.0, 5.0, 5.0]], [[1.0, 6.0, 5.0]]
    >>> round(moment0_gain(truth, noisy, [[0.0, 5.5, 5.5]], sigma=1.0), 2)
    6.02
    """
    maps = _integrate(*_read_all(truth, sigma, noisy=noisy, estimate=estimate))
    return _gain(*maps, _zone(*maps[:2], zone))


def cube_summary(truth, noisy, estimate, sigma):
    """All the figures of a denoised cube.

    Parameters
    ----------
    truth, noisy, estimate, sigma
        As in `snr_gain`.

    Returns
    -------
    summary : dict of str to float
        "gain", "gain_low", "gain_high": `snr_gain` in dB over the signal and its zones;
        "free": `residual_rms` in the line-free voxels, 1 before denoising; "flux", "flux_low",
        "flux_high": `flux_ratio` of the whole cube and of the zones; "moment0_gain": in dB.

    Raises
    ------
    ValueError
        As `snr_gain`.

    Examples
    --------
    >>> from skastro.cube_metrics import cube_summary
    >>> from skastro.datasets import make_line_cube
    >>> line = make_line_cube(n_pixels=24, n_channels=64, random_state=0)
    >>> halved = 0.5 * (line.cube + line.truth)
    >>> summary = cube_summary(line.truth, line.cube, halved, line.sigma)
    >>> round(summary["gain"], 2), round(summary["gain_low"], 2), round(summary["free"], 1)
    (6.02, 6.02, 0.5)
    """
    truth, sigma, noisy, estimate = _read_all(truth, sigma, noisy=noisy, estimate=estimate)
    if not np.isfinite(noisy).all():
        # what is blank in the data is blank in every figure
        truth = np.where(np.isfinite(noisy), truth, np.nan)
    found = zones(truth, sigma)
    low, high = found["low"], found["high"]
    cubes = truth, sigma, noisy, estimate
    return {
        "gain": _gain(*cubes, low | high),
        "gain_low": _gain(*cubes, low),
        "gain_high": _gain(*cubes, high),
        "free": residual_rms(truth, estimate, sigma, found["free"]),
        "flux": flux_ratio(truth, estimate),
        "flux_low": flux_ratio(truth, estimate, low),
        "flux_high": flux_ratio(truth, estimate, high),
        "moment0_gain": moment0_gain(truth, noisy, estimate, sigma),
    }
