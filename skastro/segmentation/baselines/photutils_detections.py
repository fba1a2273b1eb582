"""Detections of DAOFIND, through photutils."""

import warnings
from numbers import Real

import numpy as np
from astropy.stats import sigma_clipped_stats
from sklearn.utils._param_validation import Interval

from skastro.segmentation.baselines.scores import DetectionClassifier

__all__ = ["PhotutilsClassifier"]


def _places(finder, image, hidden):
    """Rows and columns of the pixels of the detections."""
    with warnings.catch_warnings():
        # an image without sources is no mistake
        warnings.filterwarnings("ignore", message="(No s|S)ources were found")
        found = finder(image, mask=hidden)
    if found is None:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    # with and without an underscore, by version
    x, y = (
        next(found[k] for k in (f"{a}_centroid", f"{a}centroid") if k in found.colnames)
        for a in "xy"
    )
    shape = image.shape
    return tuple(
        np.clip(np.round(np.asarray(one, dtype=float)), 0, side - 1).astype(int)
        for one, side in zip((y, x), shape, strict=True)
    )


class PhotutilsClassifier(DetectionClassifier):
    """Pixels at which DAOFIND [1]_ finds a star, by its signal-to-noise ratio.

    The score of the pixel of a detection is its peak above the background, over the noise; it is 0 elsewhere.
    Background and noise are those of each image, sources clipped. Needs the package photutils.

    Parameters
    ----------
    fwhm : float, default=2.5
        Full width at half maximum of a star, in pixels.
    threshold : float, default=3.0
        Of a detection, in standard deviations of the noise.
    calibration, n_pixels, labels, ignore_index, random_state
        As in `RawCounts`.

    Attributes
    ----------
    labels_, models_, training_prior_, prior_, n_channels_in_, image_shape_
        As in `RawCounts`.

    References
    ----------
    .. [1] Stetson, "DAOPHOT: a computer program for crowded-field stellar photometry", PASP 99, 191 (1987).

    Examples
    --------
    >>> from skastro.segmentation.baselines import PhotutilsClassifier
    >>> PhotutilsClassifier(fwhm=1.5)
    PhotutilsClassifier(fwhm=1.5)
    """

    _module, _package = "photutils.detection", "photutils"
    _parameter_constraints = {
        **DetectionClassifier._parameter_constraints,
        "fwhm": [Interval(Real, 0, None, closed="neither")],
        "threshold": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        fwhm=2.5,
        *,
        threshold=3.0,
        calibration="isotonic",
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.fwhm = fwhm
        self.threshold = threshold
        self.calibration = calibration
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    def _detect(self, module, image, blank, scores):
        if blank.all():
            return
        _, middle, sigma = sigma_clipped_stats(image[~blank].astype(np.float64))
        if not sigma > 0:
            return
        above = np.where(blank, 0.0, image - middle)
        finder = module.DAOStarFinder(self.threshold * sigma, self.fwhm)
        rows, columns = _places(finder, above, blank)
        scores[rows, columns] = above[rows, columns] / sigma
