"""What the outputs of a segmenter mean: logits, probabilities, masks."""

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score
from sklearn.utils.validation import check_is_fitted

from skastro.prior_shift import shift_logits

__all__ = ["SegmentationPosterior"]

FARTHEST = 1e4  # logits beyond are certain
# pixels of an image for which one cut for all is found sooner than their probabilities
WORTH = 2**17


class SegmentationPosterior:
    """The part of `SourceSegmenter` that turns logits into probabilities and masks.

    It needs the fitted `mode_`, `labels_`, `bits_`, `training_prior_`, `prior_`, `maps_` and `thresholds_`.
    """

    def decision_function(self, X):
        """Logits under the prior of training, calibrated where a calibration was asked for.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
            NaN where blank.

        Returns
        -------
        logits : ndarray of shape (n, h, w), or (n, n_labels, h, w), float32
            A list of such for images of several shapes.
            Of exclusive classes: logarithms of probabilities, but for a constant.
        """
        check_is_fitted(self)
        return self._per_image(X, lambda z, *_: self._calibrated(z))

    def predict_proba(self, X, prior=None):
        """Probability of each label at each pixel, under a prior.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
        prior : float, array-like, dict of str to float, "em" or None, default=None
            Share of pixels of each label where the images come from: one number a label; by image, of shape
            (n,) or (n, n_labels); or by pixel, of the shape of the result. "em": estimated from `X`. None:
            `prior_`.

        Returns
        -------
        proba : ndarray of shape (n, h, w), or (n, n_labels, h, w), float32
            A list of such for images of several shapes.
            The prior at blank pixels.

        Raises
        ------
        ValueError
            Images as in `fit` they could not be, a prior outside 0 to 1 or of another shape.
        """
        check_is_fitted(self)
        if isinstance(prior, str) or (prior is None and isinstance(self.prior_, str)):
            prior = self._em(X, prior).prior
        priors = self._priors_of_images(self.prior_ if prior is None else prior, X)
        return self._per_image(X, self._probabilities, priors)

    def _probabilities(self, z, blank, place=None, prior=None):
        """Probabilities (n_labels, h, w) of the raw logits of an image."""
        prior = self.prior_ if prior is None else prior
        p = self._shifted(self._calibrated(z), prior)
        if blank.any():
            each = np.broadcast_to(_as_planes(prior, p.ndim), p.shape)
            p[:, blank] = each[:, blank]
        return p

    def _shifted(self, z, prior):
        """Probabilities of calibrated logits (n_labels, ...) under a prior (n_labels,) or of their shape."""
        tau = np.asarray(self.training_prior_, dtype=float).reshape(-1)
        prior = np.asarray(prior, dtype=float)
        prior = prior.reshape(-1) if prior.ndim < 2 else prior
        kind = "multiclass" if self.mode_ == "multiclass" else "multilabel"
        shape = (-1,) + (1,) * (prior.ndim - 1)
        shift = shift_logits(
            np.zeros(prior.shape), prior, tau.reshape(shape), kind=kind, axis=0
        ).astype(np.float32)
        z = z + _as_planes(shift, z.ndim)
        return softmax(z, axis=0) if self.mode_ == "multiclass" else expit(z)

    def _calibrated(self, z):
        """Calibrated logits of raw ones (n_labels, ...)."""
        if self.maps_ is None:
            return z
        found = np.empty(z.shape, np.float32)
        for one, plane, calibrated in zip(self.maps_, z, found, strict=True):
            calibrated[...] = one.transform(plane)
        return found

    def predict(self, X):
        """Labels of each pixel: where the probability is at least the threshold, or the likeliest class.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images

        Returns
        -------
        masks : ndarray of bool of shape (n, h, w) or (n, n_labels, h, w)
            Of exclusive classes, integers of shape (n, h, w). False or 0 at blank pixels.
        """
        return self._per_image(X, self._decisions, self._decision_priors(X))

    def _decision_priors(self, X):
        check_is_fitted(self)
        if not isinstance(self.prior_, str):
            return None
        return [self._em(X, None).prior] * len(X)

    def _decisions(self, z, blank, place=None, prior=None):
        cuts = self._worthy_cuts(blank, prior)
        if cuts is not None:
            found = z >= cuts[:, None, None]
            found &= ~blank
            return found
        p = self._probabilities(z, blank, place, prior)
        if self.mode_ == "multiclass":
            return np.where(blank, 0, p.argmax(axis=0))
        return (p >= np.reshape(self.thresholds_, (-1, 1, 1))) & ~blank

    def _worthy_cuts(self, blank, prior):
        """`_cuts` of an image; None where they are not worth it, or another for each pixel."""
        prior = self.prior_ if prior is None else prior
        if self.mode_ == "multiclass" or np.ndim(prior) > 1 or blank.size < WORTH:
            return None
        return self._cuts(prior)

    def _cuts(self, prior):
        """The lowest raw logits at which probabilities reach the thresholds, float32 (n_labels,).

        Maps and priors keep the order of logits: one number a label does for all pixels.
        """
        thresholds = np.reshape(self.thresholds_, (-1, 1))

        def reached(key):
            z = _float_of(key)[:, None]
            return (self._shifted(self._calibrated(z), prior) >= thresholds)[:, 0]

        # by bisection of all numbers that float32 has: the decisions are those of the probabilities
        low, high = (np.full(len(thresholds), _key_of(z)) for z in (-FARTHEST, FARTHEST))
        never, always = ~reached(high), reached(low)
        while (high - low > 1).any():
            middle = (low + high) // 2
            there = reached(middle)
            low, high = np.where(there, low, middle), np.where(there, middle, high)
        return np.where(always, -np.inf, np.where(never, np.inf, _float_of(high))).astype(
            np.float32
        )

    def predict_bits(self, X):
        """Bit planes: `bits_` of each label that is there.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images

        Returns
        -------
        bits : ndarray of shape (n, h, w), uint16
            uint32 for more than 15 labels; `nodata_bit_` at blank pixels.
        """
        return self._per_image(X, self._bit_plane, self._decision_priors(X))

    def _bit_plane(self, z, blank, place=None, prior=None):
        kind = np.uint16 if self.nodata_bit_ < 1 << 16 else np.uint32
        values = np.array(list(self.bits_.values()), kind)
        if self.mode_ == "multiclass":
            bits = values[self._decisions(z, blank, place, prior)]
        else:
            # plane by plane where it can be: memory of a tile
            cuts = self._worthy_cuts(blank, prior)
            found = (
                self._decisions(z, blank, place, prior)
                if cuts is None
                else map(np.greater_equal, z, cuts)
            )
            bits = np.zeros(blank.shape, kind)
            for plane, value in zip(found, values, strict=True):
                np.bitwise_or(bits, value, out=bits, where=plane)
        bits[blank] = self.nodata_bit_
        return bits

    def score(self, X, Y, sample_weight=None):
        """Average precision at `prior_`, mean over the labels that the masks have.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
        Y : array-like
            Masks, as in `fit`.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        z, truths, image = self._scored_pixels(X, Y)
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        weights = weight[image]
        prior = np.reshape(self.prevalence_ if isinstance(self.prior_, str) else self.prior_, -1)
        # exclusive classes change places with the prior; of others the order stays
        scores = self._shifted(self._calibrated(z), prior) if self.mode_ == "multiclass" else z
        found = []
        for z, y, pi in zip(scores, truths, prior, strict=True):
            if y.all() or not y.any():
                continue
            share = np.average(y, weights=weights)
            each = weights * np.where(y, pi / share, (1 - pi) / (1 - share))
            found.append(average_precision_score(y, z, sample_weight=each))
        if not found:
            raise ValueError("Y has no label with pixels of both kinds; expected one at least.")
        return float(np.mean(found))


def _key_of(value):
    """Number of a float32 in their order."""
    bits = int(np.float32(abs(value)).view(np.int32))
    return bits if value >= 0 else -bits


def _float_of(keys):
    """The float32 of numbers in their order."""
    size = np.abs(keys).astype(np.int32).view(np.float32)
    return np.where(keys < 0, -size, size)


def _as_planes(values, ndim):
    """Numbers of labels, to broadcast to planes."""
    values = np.asarray(values, dtype=np.float32)
    values = values.reshape(-1) if values.ndim < 2 else values
    return values.reshape(values.shape + (1,) * (ndim - values.ndim))
