"""What all classical segmenters share: checks, blank pixels, priors, decisions."""

from numbers import Integral

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.images import check_images
from skastro.prior_shift import shift_logits
from skastro.probabilities import check_probabilities
from skastro.segmentation_metrics import make_pixel_scorer
from skastro.validation import native

__all__ = ["PixelClassifier", "blank_pixels", "check_masks"]


def check_masks(Y, shape, ignore_index=255):
    """True pixels of each label, and those that count.

    Parameters
    ----------
    Y : array-like of shape (n, h, w) or (n, n_labels, h, w)
        0 and 1, or `ignore_index`.
    shape : tuple (n, h, w)
        Of the images.
    ignore_index : int, default=255

    Returns
    -------
    truth, used : ndarray of bool of shape (n, n_labels, h, w)

    Raises
    ------
    ValueError
        Another shape, other values.
    """
    try:
        Y = native(Y)
    except ValueError as error:
        raise ValueError("Y has masks of different shapes; expected one shape.") from error
    n, h, w = shape
    if Y.ndim not in (3, 4) or 0 in Y.shape or (len(Y), *Y.shape[-2:]) != shape:
        raise ValueError(
            f"Y has shape {Y.shape}; expected ({n}, {h}, {w}) or ({n}, n_labels, {h}, {w})."
        )
    Y = Y[:, None] if Y.ndim == 3 else Y
    if Y.dtype == bool:
        return Y, np.ones(Y.shape, dtype=bool)
    if Y.dtype.kind not in "uif":
        raise ValueError(f"Y has dtype {Y.dtype}; expected masks of 0 and 1.")
    used = Y != ignore_index
    wrong = used & (Y != 0) & (Y != 1)
    if wrong.any():
        raise ValueError(f"Y has {Y[wrong][0]:.4g}; expected 0, 1 or ignore_index={ignore_index}.")
    return Y == 1, used


class PixelClassifier(ClassifierMixin, BaseEstimator):
    """Base of segmenters without a network; every label is a problem of its own.

    A child class has the parameters `labels` and `ignore_index`. It provides `_learn(images, truth, used)`,
    which sets `training_prior_` to an array of one number a label, and `_logits(images)`, of shape
    (n, n_labels, h, w), under that prior. `_planes` is how many numbers it keeps for each pixel.
    """

    _planes = 8
    _parameter_constraints = {
        "labels": ["array-like", str, None],
        "ignore_index": [Integral],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, Y):
        """Learn from images and masks.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Images, NaN where blank.
        Y : array-like of shape (n, h, w) or (n, n_labels, h, w)
            0 and 1, `ignore_index` where it is not known.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            Wrong shapes, infinite values, other labels, a label that all or no pixels have.
        """
        images, info = check_images(X)
        n, self.n_channels_in_, *size = images.shape
        self.image_shape_ = tuple(size)
        self.unit_ = None if info.unit is None else info.unit.to_string()
        truth, used = check_masks(Y, (n, *size), self.ignore_index)
        self._several = np.ndim(Y) == 4
        self.labels_ = self._names(truth.shape[1])
        used = used & ~blank_pixels(images)[:, None]
        counts = (used & truth).sum((0, 2, 3)), used.sum((0, 2, 3))
        for name, positives, total in zip(self.labels_, *counts, strict=True):
            if not 0 < positives < total:
                raise ValueError(
                    f"Y has {positives} pixels of {name!r} among {total} that count; expected some, not all."
                )
        prior = counts[0] / counts[1]
        self._learn(images, truth, used)
        self.prior_ = prior if self._several else float(prior[0])
        if not self._several:
            self.training_prior_ = float(self.training_prior_[0])
        return self

    def _names(self, n_labels):
        if self.labels is None:
            return [f"label {i}" for i in range(n_labels)] if self._several else ["positive"]
        names = (
            [self.labels] if isinstance(self.labels, str) else [str(name) for name in self.labels]
        )
        if len(names) != n_labels or len(set(names)) < len(names):
            raise ValueError(f"labels={self.labels!r}; expected {n_labels} different name(s).")
        return names

    def _check(self, X):
        check_is_fitted(self)
        images, _ = check_images(X, n_channels=self.n_channels_in_, unit=self.unit_)
        return images

    def _shaped(self, maps):
        return maps if self._several else maps[:, 0]

    def _filled(self, images, compute, blank_value):
        """Maps of each label, block by block; `blank_value` (one a label) at blank pixels."""
        n, _, h, w = images.shape
        out = np.empty((n, len(self.labels_), h, w), dtype=np.float32)
        for rows in row_blocks(n, 4 * self._planes * images[0].size):
            out[rows] = compute(images[rows])
        blank = blank_pixels(images)
        if blank.any():
            for i, value in enumerate(np.ravel(blank_value)):
                out[:, i][blank] = value
        return out

    def _all_logits(self, images):
        return self._filled(images, self._logits, logit(self.training_prior_))

    def decision_function(self, X):
        """Logits under the prior of training; that prior at blank pixels.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            In the unit of those in `fit`, NaN where blank.

        Returns
        -------
        logits : ndarray of shape (n, h, w) or (n, n_labels, h, w), float32

        Raises
        ------
        ValueError
            Wrong shapes, infinite values.
        """
        return self._shaped(self._all_logits(self._check(X)))

    def predict_proba(self, X, prior=None):
        """Probability of each label at each pixel.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        prior : float, array-like of shape (n_labels,) or dict of label to float, optional
            Share of the pixels that have it. None: that of the training images, `prior_`.

        Returns
        -------
        proba : ndarray of shape (n, h, w) or (n, n_labels, h, w), float32
            The prior at blank pixels.

        Raises
        ------
        ValueError
            As `decision_function`; a prior outside 0 to 1 or of other labels.
        """
        return self._probabilities(self._check(X), prior)

    def _probabilities(self, images, prior=None):
        if isinstance(prior, dict):
            unknown = sorted(set(prior) - set(self.labels_))
            if unknown:
                raise ValueError(f"prior has {unknown[0]!r}; expected labels among {self.labels_}.")
            own = dict(zip(self.labels_, np.ravel(self.prior_), strict=True))
            prior = [prior.get(name, own[name]) for name in self.labels_]
        prior = check_probabilities(self.prior_ if prior is None else prior, "prior")
        if prior.shape not in ((), (len(self.labels_),)):
            raise ValueError(
                f"prior has shape {prior.shape}; expected a number, or one for each of {self.labels_}."
            )
        z = self._all_logits(images)
        shift = shift_logits(np.zeros(len(self.labels_)), prior, self.training_prior_)
        z += shift.astype(np.float32)[:, None, None]
        return self._shaped(expit(z, out=z))

    def predict(self, X):
        """Pixels whose probability is above 0.5.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        masks : ndarray of bool of shape (n, h, w) or (n, n_labels, h, w)
            False at blank pixels.

        Raises
        ------
        ValueError
            As `decision_function`.
        """
        images = self._check(X)
        proba, blank = self._probabilities(images), blank_pixels(images)
        return (proba > 0.5) & ~(blank[:, None] if self._several else blank)

    def score(self, X, Y):
        """Average precision of all pixels together, the mean over labels.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        Y : array-like of shape (n, h, w) or (n, n_labels, h, w)

        Returns
        -------
        score : float
        """
        scorer = make_pixel_scorer(per_image=False, ignore_index=self.ignore_index)
        return scorer(self, X, Y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.target_tags.two_d_labels = True
        return tags


def blank_pixels(images):
    """Where no channel is known."""
    return np.isnan(images).all(axis=1)
