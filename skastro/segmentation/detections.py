"""Peaks of a signal-to-noise map as a table of sources."""

import numpy as np
from scipy import ndimage

__all__ = ["find_peaks"]

LOWEST = 0.05  # of a pixel beside a peak, over the peak


def find_peaks(snr, flux, threshold):
    """Local maxima above a threshold, at the top of the parabola through three pixels along each axis.

    The parabolas are those of the logarithm: for a Gaussian source in white noise they are exact.

    Parameters
    ----------
    snr : ndarray of shape (h, w)
        Signal-to-noise ratio, NaN where blank.
    flux : ndarray of shape (h, w)
        Flux of a source at each pixel.
    threshold : float

    Returns
    -------
    peaks : dict of ndarray
        `x` (column), `y` (row), `flux`, `flux_err` and `snr`, the highest signal-to-noise ratio first.
    """
    filled = np.where(np.isnan(snr), -np.inf, snr)
    high = filled > threshold
    if not high.any():
        return {name: np.empty(0) for name in ("x", "y", "flux", "flux_err", "snr")}
    peak = high & (filled == ndimage.maximum_filter(filled, 3, mode="constant", cval=-np.inf))
    row, column = np.nonzero(peak)
    around = np.pad(filled, 1, constant_values=-np.inf)
    top = filled[row, column].astype(np.float64)
    error = flux[row, column] / top
    shift, height = {}, np.zeros_like(top)
    for axis, (dy, dx) in {"y": (1, 0), "x": (0, 1)}.items():
        before = around[row + 1 - dy, column + 1 - dx].astype(np.float64) / top
        after = around[row + 1 + dy, column + 1 + dx].astype(np.float64) / top
        # beside a border, a blank pixel or a dip nothing is known: the centre of the pixel
        sound = (before > LOWEST) & (after > LOWEST)
        before, after = (np.log(np.where(sound, one, LOWEST)) for one in (before, after))
        bend = -before - after
        shift[axis] = np.where(
            bend > 0, 0.5 * (after - before) / np.where(bend > 0, bend, 1.0), 0.0
        )
        height += 0.25 * (after - before) * shift[axis]
    height = top * np.exp(height)
    order = np.argsort(-height, kind="stable")
    found = {
        "x": column + shift["x"],
        "y": row + shift["y"],
        "flux": height * error,
        "flux_err": error,
        "snr": height,
    }
    return {name: np.asarray(one, dtype=np.float64)[order] for name, one in found.items()}
