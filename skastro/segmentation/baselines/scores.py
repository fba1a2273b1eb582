"""Scores that are made probabilities: what a detector gives, calibrated on training pixels."""

import importlib
from abc import abstractmethod

import numpy as np
from sklearn.utils._param_validation import StrOptions

from skastro.probability_maps import make_map
from skastro.segmentation.baselines.base import blank_pixels
from skastro.segmentation.baselines.sampling import SampledPixelClassifier
from skastro.segmentation_metrics import pixel_scores

__all__ = ["FAINTEST", "DetectionClassifier", "ScoreClassifier", "one_channel"]

FAINTEST = 1e-3  # score of what is detected, at least: that of the others is 0


class ScoreClassifier(SampledPixelClassifier):
    """Base of segmenters whose score needs no labels: these only turn it into probabilities.

    A child class has the parameter `calibration` too, and provides `_scores(images)`, finite numbers of shape
    (n, h, w).
    """

    _parameter_constraints = {
        **SampledPixelClassifier._parameter_constraints,
        "calibration": [StrOptions({"isotonic", "platt", "beta"})],
    }

    @abstractmethod
    def _scores(self, images):
        """Score of each pixel."""

    def _pixels(self, images):
        return self._scores(images)[:, None]

    def _fit_pixels(self, table, y, seed):
        score = table[:, 0].astype(np.float64)
        # of what is darker than all around it, such as dead pixels, the score is low
        rises = pixel_scores(y[None], score[None], fpr_levels=()).auc >= 0.5
        sign = 1.0 if rises else -1.0
        return sign, score.mean(), make_map(self.calibration).fit(sign * score, y)

    def _apply(self, model, maps):
        sign, _, calibration = model
        return calibration.transform(sign * maps[:, 0])

    def decision_function(self, X):
        """Scores: not logits, and the same for all labels but for the sign.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            In the unit of those in `fit`, NaN where blank.

        Returns
        -------
        scores : ndarray of shape (n, h, w) or (n, n_labels, h, w), float32
            Larger where a label is more probable: with the other sign where it is on the low side. At blank
            pixels, the mean of the training pixels.

        Raises
        ------
        ValueError
            Wrong shapes, infinite values.
        """
        images = self._check(X)
        means = [sign * mean for sign, mean, _ in self.models_]
        signs = np.array([sign for sign, _, _ in self.models_])[:, None, None]
        found = self._filled(images, lambda some: signs * self._scores(some)[:, None], means)
        return self._shaped(found)


class DetectionClassifier(ScoreClassifier):
    """Base of segmenters by another package, image by image.

    A child class names the module that it needs and the package that has it, and provides
    `_detect(module, image, blank, scores)`, which writes the scores of what is detected into zeros.
    """

    _module = _package = None

    def _load(self):
        try:
            return importlib.import_module(self._module)
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs {self._package}: pip install 'skastro[sources]'."
            ) from error

    @abstractmethod
    def _detect(self, module, image, blank, scores):
        """Detect in one image (h, w)."""

    def _prepare(self, images):
        self._load()
        one_channel(images, self._package)

    def _scores(self, images):
        module = self._load()
        stack, blank = one_channel(images, self._package)
        scores = np.zeros(stack.shape, dtype=np.float32)
        for image, hidden, out in zip(stack, blank, scores, strict=True):
            self._detect(module, image, hidden, out)
        return scores


def one_channel(images, what):
    """The only channel of images, its blank pixels and all."""
    if images.shape[1] != 1:
        raise ValueError(f"X has {images.shape[1]} channels; expected 1 for {what}.")
    return images[:, 0], blank_pixels(images)
