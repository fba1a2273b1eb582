"""Cosmic rays by their sharp edges, through astroscrappy."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval

from skastro.segmentation.baselines.scores import FAINTEST, DetectionClassifier

__all__ = ["AstroscrappyClassifier"]


class AstroscrappyClassifier(DetectionClassifier):
    """Cosmic rays of L.A.Cosmic [1]_, by what it takes off over the noise.

    The score of a pixel that is flagged is how far it is above the cleaned image, over the noise there, and
    that of the others is 0. Needs the package astroscrappy.

    Parameters
    ----------
    threshold : float, default=4.5
        Of the Laplacian, in standard deviations of the noise (`sigclip`).
    neighbour_fraction : float, default=0.3
        Of the threshold, for the pixels beside a cosmic ray (`sigfrac`).
    contrast : float, default=5.0
        Between the Laplacian and the fine structure of stars (`objlim`).
    gain : float, default=1.0
        Electrons in a unit of the images.
    read_noise : float, default=6.5
        In electrons.
    saturation : float, default=65536.0
        Level of saturated stars, in the unit of the images.
    calibration, n_pixels, labels, ignore_index, random_state
        As in `RawCounts`.

    Attributes
    ----------
    labels_, models_, training_prior_, prior_, n_channels_in_, image_shape_
        As in `RawCounts`.

    References
    ----------
    .. [1] van Dokkum, "Cosmic-ray rejection by Laplacian edge detection", PASP 113, 1420 (2001).

    Examples
    --------
    >>> from skastro.segmentation.baselines import AstroscrappyClassifier
    >>> AstroscrappyClassifier(gain=2.0)
    AstroscrappyClassifier(gain=2.0)
    """

    _module, _package = "astroscrappy", "astroscrappy"
    _parameter_constraints = {
        **DetectionClassifier._parameter_constraints,
        "threshold": [Interval(Real, 0, None, closed="neither")],
        "neighbour_fraction": [Interval(Real, 0, 1, closed="right")],
        "contrast": [Interval(Real, 0, None, closed="left")],
        "gain": [Interval(Real, 0, None, closed="neither")],
        "read_noise": [Interval(Real, 0, None, closed="left")],
        "saturation": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        threshold=4.5,
        *,
        neighbour_fraction=0.3,
        contrast=5.0,
        gain=1.0,
        read_noise=6.5,
        saturation=65536.0,
        calibration="isotonic",
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.threshold = threshold
        self.neighbour_fraction = neighbour_fraction
        self.contrast = contrast
        self.gain = gain
        self.read_noise = read_noise
        self.saturation = saturation
        self.calibration = calibration
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    def _detect(self, module, image, blank, scores):
        known = np.ascontiguousarray(np.nan_to_num(image, nan=0.0))
        flagged, clean = module.detect_cosmics(
            known, inmask=blank, sigclip=self.threshold, sigfrac=self.neighbour_fraction,
            objlim=self.contrast, gain=self.gain, readnoise=self.read_noise,
            satlevel=self.gain * self.saturation,
        )  # fmt: skip
        # in electrons, at least one of noise
        noise = np.sqrt(np.maximum(self.gain * clean, 0.0) + max(self.read_noise, 1.0) ** 2)
        excess = self.gain * (known - clean) / noise
        scores[flagged] = np.maximum(excess[flagged], FAINTEST)
