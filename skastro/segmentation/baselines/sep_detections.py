"""Detections of SExtractor, through sep."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from skastro.segmentation.baselines.scores import FAINTEST, DetectionClassifier

__all__ = ["SepClassifier"]

# SExtractor's default convolution mask, about a Gaussian of FWHM 2 pixels
KERNEL = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])


class SepClassifier(DetectionClassifier):
    """Pixels of the detections of SExtractor [1]_ [2]_, by their signal-to-noise ratio.

    The score of a pixel is its height above the background, over the noise, where it belongs to a detection,
    and 0 elsewhere. Background, noise and detections are those of each image. Needs the package sep.

    Parameters
    ----------
    threshold : float, default=1.5
        Of a detection, in standard deviations of the noise.
    min_area : int, default=3
        Pixels of a detection, at least.
    box_size : int, default=64
        Side of the boxes in which the background is measured, in pixels.
    calibration, n_pixels, labels, ignore_index, random_state
        As in `RawCounts`.

    Attributes
    ----------
    labels_, models_, training_prior_, prior_, n_channels_in_, image_shape_
        As in `RawCounts`.

    References
    ----------
    .. [1] Bertin & Arnouts, "SExtractor: software for source extraction", A&AS 117, 393 (1996).
    .. [2] Barbary, "SEP: source extractor as a library", JOSS 1, 58 (2016).

    Examples
    --------
    >>> from skastro.segmentation.baselines import SepClassifier
    >>> SepClassifier(threshold=2.0)
    SepClassifier(threshold=2.0)
    """

    _module, _package = "sep", "sep"
    _parameter_constraints = {
        **DetectionClassifier._parameter_constraints,
        "threshold": [Interval(Real, 0, None, closed="neither")],
        "min_area": [Interval(Integral, 1, None, closed="left")],
        "box_size": [Interval(Integral, 4, None, closed="left")],
    }

    def __init__(
        self,
        threshold=1.5,
        *,
        min_area=3,
        box_size=64,
        calibration="isotonic",
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.threshold = threshold
        self.min_area = min_area
        self.box_size = box_size
        self.calibration = calibration
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    def _detect(self, module, image, blank, scores):
        known = np.ascontiguousarray(np.nan_to_num(image, nan=0.0))
        back = module.Background(known, mask=blank, bw=self.box_size, bh=self.box_size)
        known -= back.back(dtype=np.float32)
        if not back.globalrms > 0:
            return
        room = module.get_extract_pixstack()
        # an image full of sources must have room
        module.set_extract_pixstack(max(room, known.size))
        try:
            _, segments = module.extract(
                known, self.threshold, err=back.globalrms, mask=blank, minarea=self.min_area,
                filter_kernel=KERNEL, segmentation_map=True,
            )  # fmt: skip
        finally:
            module.set_extract_pixstack(room)
        found = segments > 0
        scores[found] = np.maximum(known[found] / back.globalrms, FAINTEST)
