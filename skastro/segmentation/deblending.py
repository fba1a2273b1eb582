"""Blends: the pixels of a detection shared among the peaks that a matched filter finds in it."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

__all__ = ["Members", "share_pixels"]

NEAREST = 8  # peaks of the same detection that may have a part of a pixel


class Members(NamedTuple):
    """Which pixel belongs to which source, and how much of it: arrays of one entry a pair.

    Attributes
    ----------
    pixel : ndarray of int
        Index of the pixel among those that are detected.
    source : ndarray of int
        From 0 to n - 1.
    share : ndarray of float
        The shares of a pixel have the sum 1.
    own : ndarray of bool
        The source has the greatest share of the pixel; one source a pixel.
    n : int
        Number of sources.
    """

    pixel: np.ndarray
    source: np.ndarray
    share: np.ndarray
    own: np.ndarray
    n: int


def share_pixels(y, x, component, shape, peaks, psf, min_pixels=1):
    """Share the pixels of each connected detection among the peaks in it.

    A pixel is shared in the ratio of what the sources at the peaks put into it, which are their fluxes times
    the PSF; beyond the PSF it is the nearest one's. Peaks that would keep fewer than `min_pixels` pixels
    are none.

    Parameters
    ----------
    y, x : ndarray of int of shape (n_pixels,)
        Detected pixels.
    component : ndarray of int of shape (n_pixels,)
        Detection of each, from 0.
    shape : tuple (h, w)
        Of the image.
    peaks : Table
        With `x`, `y` and `flux`.
    psf : ndarray
        Its centre at (h // 2, w // 2).
    min_pixels : int, default=1

    Returns
    -------
    members : Members
        A detection with no peak in it, or one, is a source as it is.
    """
    n = int(component.max()) + 1
    place = np.full(shape, -1)
    place[y, x] = component
    at = np.stack([np.asarray(peaks["y"], float), np.asarray(peaks["x"], float)], axis=1)
    flux = np.asarray(peaks["flux"], float)
    row, column = np.clip(np.rint(at), 0, np.array(shape) - 1).astype(int).T
    home = place[row, column]
    used = (home >= 0) & (flux > 0)
    while True:
        several = np.bincount(home[used], minlength=n) > 1
        used &= several[home]
        blended = np.flatnonzero(several[component])
        if blended.size == 0:
            break
        pixels = y[blended], x[blended]
        found = _shares(pixels, component[blended], at[used], home[used], flux[used], psf)
        kept = np.bincount(found.source[found.own], minlength=found.n) >= min_pixels
        if kept.all():
            break
        # what is left shares the pixels of those that are dropped
        used[np.flatnonzero(used)[~kept]] = False
    alone = np.flatnonzero(~several[component])
    first = np.unique(component[alone], return_inverse=True)
    ones = np.ones(alone.size)
    if blended.size == 0:
        return Members(alone, first[1], ones, ones > 0, len(first[0]))
    return Members(
        np.concatenate([alone, blended[found.pixel]]),
        np.concatenate([first[1], len(first[0]) + found.source]),
        np.concatenate([ones, found.share]),
        np.concatenate([ones > 0, found.own]),
        len(first[0]) + found.n,
    )


def _shares(pixels, component, at, home, flux, psf):
    """Members of the sources at (y, x) `at`, of the detections `home`."""
    pixels = np.stack(pixels, axis=1).astype(float)
    # detections lie in planes so far apart that the nearest peak is always one of the same
    apart = 4.0 * (1.0 + max(np.ptp(pixels, axis=0).max(), np.ptp(at, axis=0).max()))
    tree = KDTree(np.column_stack([at, apart * home]))
    k = min(NEAREST, len(at))
    away, source = tree.query(
        np.column_stack([pixels, apart * component]), k=k, distance_upper_bound=apart
    )
    away, source = away.reshape(len(pixels), k), source.reshape(len(pixels), k)
    there = np.isfinite(away)
    source = np.where(there, source, 0)
    centre = np.array(psf.shape) // 2
    offset = pixels[:, None, :] - at[source] + centre
    part = ndimage.map_coordinates(psf, np.moveaxis(offset, -1, 0), order=1, mode="constant")
    part = np.where(there, np.maximum(part, 0.0) * flux[source], 0.0)
    total = part.sum(axis=1, keepdims=True)
    nearest = np.zeros_like(part)
    nearest[:, 0] = 1.0
    share = np.where(total > 0, part / np.where(total > 0, total, 1.0), nearest)
    own = np.zeros(share.shape, bool)
    own[np.arange(len(share)), share.argmax(axis=1)] = True
    row, column = np.nonzero(share)
    return Members(row, source[row, column], share[row, column], own[row, column], len(at))
