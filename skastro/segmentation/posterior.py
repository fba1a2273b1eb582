"""What the outputs of a segmenter mean: priors, calibration, thresholds, decisions."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed
from skastro.prior_estimate import PriorEstimate, estimate_prior
from skastro.prior_shift import shift_logits
from skastro.probabilities import check_probabilities
from skastro.probability_maps import make_map
from skastro.segmentation.targets import code_masks, presence
from skastro.thresholds import find_threshold

__all__ = ["HeldOut", "PosteriorDecisions", "hold_out"]

# Pixels of each label, positive and negative, of which thresholds and maps are made.
N_KEPT = 100_000


class HeldOut(NamedTuple):
    """Pixels with known truth, of one label.

    Attributes
    ----------
    logit : ndarray of shape (n,), float32
        Under the prior of training, before any calibration.
    truth : ndarray of shape (n,), bool
    weight : ndarray of shape (n,), float32
        How many pixels of the held-out images each stands for.
    """

    logit: np.ndarray
    truth: np.ndarray
    weight: np.ndarray


def hold_out(logit, truth, rng):
    """Keep of one label's pixels what tells of its tails: at most `N_KEPT` of each kind.

    Half of those kept are the ones that decide, the least likely positives and the most likely negatives; the
    others are drawn, and weigh what they stand for.

    Parameters
    ----------
    logit : ndarray of shape (n,)
    truth : ndarray of shape (n,), bool
    rng : Generator

    Returns
    -------
    held : HeldOut
    """
    parts = []
    for kind, sign in ((True, 1.0), (False, -1.0)):
        z = logit[truth == kind]
        weight = np.ones(len(z), np.float32)
        if len(z) > N_KEPT:
            half = N_KEPT // 2
            order = np.argpartition(sign * z, half)
            some = rng.choice(order[half:], half, replace=False)
            weight = np.ones(N_KEPT, np.float32)
            weight[half:] = (len(z) - half) / half
            z = z[np.concatenate([order[:half], some])]
        parts.append((z, np.full(len(z), kind), weight))
    return HeldOut(*(np.concatenate(one) for one in zip(*parts, strict=True)))


class PosteriorDecisions:
    """The part of `SourceSegmenter` that turns logits into probabilities and decisions.

    It needs `_raw_logits(X)`, and the fitted `mode_`, `labels_`, `bits_`, `training_prior_`, `prevalence_`.
    """

    # ---- logits and probabilities

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
        if self.mode_ == "multiclass":
            return z / np.float32(self.maps_[0].temperature_)
        return np.stack(
            [one.transform(plane) for one, plane in zip(self.maps_, z, strict=True)]
        ).astype(np.float32)

    # ---- priors

    def set_prior(self, prior):
        """Set the share of each label where the segmenter will be used; thresholds follow.

        Parameters
        ----------
        prior : float, array-like of shape (n_labels,), dict of str to float, "training", "em" or None
            A dictionary leaves the other labels as they are. "training": as in the loss, with its weights.
            "em": estimated anew from the images of each call. None: as in the images of `fit`.

        Returns
        -------
        self : SourceSegmenter

        Raises
        ------
        ValueError
            A prior that is 0, 1 or beyond, or of exclusive classes doesn't sum to 1; an unknown label.
        """
        check_is_fitted(self)
        self.prior_ = "em" if isinstance(prior, str) and prior == "em" else self._read_prior(prior)
        self._find_thresholds()
        return self

    def _read_prior(self, prior):
        """One number a label."""
        n = len(self.labels_)
        if prior is None:
            return self.prevalence_
        if isinstance(prior, str):
            if prior != "training":
                raise ValueError(f"prior={prior!r}; expected 'training', 'em', numbers or None.")
            return self.training_prior_
        if isinstance(prior, dict):
            names = {name.lower(): i for i, name in enumerate(self.labels_)}
            now = getattr(self, "prior_", self.prevalence_)
            now = self.prevalence_ if isinstance(now, str) else now
            values = np.array(np.reshape(now, -1), dtype=float)
            for name, value in prior.items():
                if str(name).lower() not in names:
                    raise ValueError(
                        f"prior has {name!r}; expected names among {', '.join(self.labels_)}."
                    )
                values[names[str(name).lower()]] = value
        else:
            values = check_probabilities(prior, "prior").reshape(-1)
        if values.shape != (n,):
            raise ValueError(f"prior has shape {np.shape(prior)}; expected {n} number(s).")
        self._check_prior(values)
        return float(values[0]) if self.mode_ == "binary" else values

    def _check_prior(self, values, axis=0):
        wrong = ~((values > 0) & (values < 1))
        if wrong.any():
            raise ValueError(f"prior has {values[wrong].flat[0]:.4g}; expected between 0 and 1.")
        if self.mode_ == "multiclass":
            total = values.sum(axis)
            if np.abs(total - 1).max() > 1e-6:
                raise ValueError(
                    f"prior sums to {total.flat[np.abs(total - 1).argmax()]:.6g} over the classes; "
                    "expected 1."
                )

    def _priors_of_images(self, prior, X):
        """None where every image has the same prior and it is `prior_`, else one prior an image."""
        if prior is self.prior_:
            return None
        n, n_labels = len(X), len(self.labels_)
        if isinstance(prior, dict | str) or np.size(prior) == n_labels:
            found = self._read_prior(prior)
            return [found] * n
        values = check_probabilities(prior, "prior")
        if self.mode_ == "binary" and values.ndim in (1, 3):
            values = values[:, None]
        if values.ndim not in (2, 4) or len(values) != n or values.shape[1] != n_labels:
            raise ValueError(
                f"prior has shape {np.shape(prior)}; expected ({n_labels},), ({n}, {n_labels}) or that of "
                "the result."
            )
        self._check_prior(values, axis=1)
        return list(values)

    def estimate_prior(self, X, *, n_bootstrap=50, random_state=None):
        """Share of each label in images without masks, by expectation-maximisation.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
        n_bootstrap : int, default=50
            Draws of whole images, for the error.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        estimate : PriorEstimate
            `prior` and `error`, of each label; nothing is set: give it to `set_prior`.
        """
        check_is_fitted(self)
        return self._em(X, None, n_bootstrap, random_state)

    def _em(self, X, name, n_bootstrap=0, random_state=0):
        if name not in (None, "em", "training"):
            raise ValueError(f"prior={name!r}; expected 'training', 'em', numbers or None.")
        if name == "training":
            return PriorEstimate(self.training_prior_, np.nan, np.nan, True)
        seed = draw_seed(random_state)
        rng = np.random.default_rng(seed)
        rows, groups = [], []

        def keep(z, blank, place, prior):
            z = self._calibrated(z)[:, ~blank]
            if z.shape[1] > N_KEPT:
                # the bootstrap draws whole images: some pixels of each are enough
                z = z[:, rng.choice(z.shape[1], N_KEPT, replace=False)]
            groups.append(np.full(z.shape[1], place.image))
            rows.append(z.T)

        self._visit(X, keep)
        rows, groups = np.concatenate(rows), np.concatenate(groups)
        kind, tau = ("binary", self.training_prior_)
        if self.mode_ != "binary":
            kind = self.mode_
        else:
            rows = rows[:, 0]
        return estimate_prior(
            rows, tau, kind=kind, from_logits=True, groups=groups, n_bootstrap=n_bootstrap,
            random_state=seed,
        )  # fmt: skip

    # ---- calibration and thresholds

    def calibrate(self, X, Y):
        """Fit the map of probabilities on images with masks, and find the thresholds anew.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
            Not those of `fit`.
        Y : array-like
            Masks, as in `fit`.

        Returns
        -------
        self : SourceSegmenter
        """
        check_is_fitted(self)
        logits, truth, _ = self._scored_pixels(X, Y)
        self._hold(logits, truth, np.random.default_rng(0))
        self._fit_maps(self.calibration or "platt")
        self._find_thresholds()
        return self

    def _scored_pixels(self, X, Y):
        """Raw logits and truth (n_labels, n_pixels) of the pixels that are scored, and their images."""
        n, pixels = len(self.labels_), []
        if len(Y) != len(X):
            raise ValueError(f"Y has {len(Y)} mask(s); expected {len(X)}, one for each image.")
        shapes = [np.shape(one)[-2:] for one in X]
        codes = {}

        def keep(z, blank, place, prior):
            i = place.image
            if i not in codes:
                codes.clear()
                codes[i] = code_masks(
                    np.asarray(Y[i]), shapes[i], self.mode_, self.bits_, self.ignore_index,
                    self.nodata_bit_, i,
                )  # fmt: skip
            code = codes[i][place.rows, place.columns]
            scored = (code >= 0) & ~blank
            found = presence(code, self.mode_, n)[:, scored]
            pixels.append((z[:, scored], found, np.full(found.shape[1], i)))

        self._visit(X, keep)
        return (np.concatenate(one, axis=-1) for one in zip(*pixels, strict=True))

    def _hold(self, logits, truth, rng):
        self.held_out_ = [hold_out(z, y, rng) for z, y in zip(logits, truth, strict=True)]

    def _fit_maps(self, name):
        self.maps_ = None
        if name is None:
            return
        if self.mode_ == "multiclass":
            raise ValueError(
                "calibration with mode='multiclass'; expected mode='multilabel', or calibration=None."
            )
        maps = []
        for label, held, tau in zip(
            self.labels_, self.held_out_, np.reshape(self.training_prior_, -1), strict=True
        ):
            if held.truth.all() or not held.truth.any():
                raise ValueError(
                    f"the held-out images have one kind of pixel of {label}; expected both, to calibrate on."
                )
            # as in the loss: a class that weighs more in it does so here
            share = np.average(held.truth, weights=held.weight)
            odds = (tau / (1 - tau)) / (share / (1 - share))
            weight = np.where(held.truth, odds, 1.0) * held.weight
            maps.append(make_map(name).fit(held.logit, held.truth, sample_weight=weight))
        self.maps_ = maps

    def set_threshold(self, policy, level=None):
        """Set the rule by which `predict` decides; thresholds are found on the held-out pixels.

        Parameters
        ----------
        policy : str
            As in :func:`~skastro.thresholds.find_threshold`; all but "fixed" and "cost" need held-out pixels,
            of `fit` (`validation_fraction`) or of `calibrate`.
        level : float, sequence or dict of str to float, optional
            A sequence has one a label, a dictionary those of some.

        Returns
        -------
        self : SourceSegmenter
        """
        check_is_fitted(self)
        before = self.threshold_policy_
        self.threshold_policy_ = (policy, level)
        try:
            self._find_thresholds()
        except ValueError:
            self.threshold_policy_ = before
            raise
        return self

    def _find_thresholds(self):
        policy, level = self.threshold_policy_
        n = len(self.labels_)
        if self.mode_ == "multiclass":
            if policy != "fixed":
                raise ValueError(
                    f"threshold={policy!r} with mode='multiclass'; expected 'fixed': the most probable class."
                )
            self.thresholds_ = np.full(n, np.nan)
            return
        prior = self.prevalence_ if isinstance(self.prior_, str) else self.prior_
        levels = self._levels(level)
        found = np.empty(n)
        for i, name in enumerate(self.labels_):
            one = levels.get(name)
            if policy in ("fixed", "cost"):
                # no data is asked for
                truth, p = [0, 1], [0.0, 1.0]
                found[i] = find_threshold(truth, p, policy, level=one).threshold
                continue
            if self.held_out_ is None:
                raise ValueError(
                    f"threshold={policy!r} without held-out pixels; expected a validation_fraction, or a "
                    "call of calibrate."
                )
            held = self.held_out_[i]
            z = (
                held.logit[None]
                if self.maps_ is None
                else self.maps_[i].transform(held.logit)[None]
            )
            tau, pi = (float(np.reshape(a, -1)[i]) for a in (self.training_prior_, prior))
            p = expit(shift_logits(z[0], pi, tau))
            frame = int(np.prod(self.image_shape_))
            found[i] = find_threshold(
                held.truth,
                p,
                policy,
                level=one,
                prior=pi,
                sample_weight=held.weight,
                frame_size=frame,
            ).threshold
        self.thresholds_ = float(found[0]) if self.mode_ == "binary" else found

    def _levels(self, level):
        """Levels by label."""
        if isinstance(level, dict):
            unknown = [name for name in level if name not in self.labels_]
            if unknown:
                raise ValueError(
                    f"level has {unknown[0]!r}; expected names among {', '.join(self.labels_)}."
                )
            return level
        if level is None or np.ndim(level) == 0:
            return dict.fromkeys(self.labels_, level)
        if np.shape(level) != (len(self.labels_),):
            raise ValueError(
                f"level has shape {np.shape(level)}; expected {len(self.labels_)} number(s)."
            )
        return {name: float(one) for name, one in zip(self.labels_, level, strict=True)}

    # ---- decisions

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
        p = self._probabilities(z, blank, place, prior)
        if self.mode_ == "multiclass":
            return np.where(blank, 0, p.argmax(axis=0))
        return (p >= np.reshape(self.thresholds_, (-1, 1, 1))) & ~blank

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
        found = self._decisions(z, blank, place, prior)
        kind = np.uint16 if self.nodata_bit_ < 1 << 16 else np.uint32
        values = np.array(list(self.bits_.values()), kind)
        if self.mode_ == "multiclass":
            bits = values[found]
        else:
            bits = np.zeros(found.shape[1:], kind)
            for plane, value in zip(found, values, strict=True):
                bits |= plane * value
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


def _as_planes(values, ndim):
    """Numbers of labels, to broadcast to planes."""
    values = np.asarray(values, dtype=np.float32)
    values = values.reshape(-1) if values.ndim < 2 else values
    return values.reshape(values.shape + (1,) * (ndim - values.ndim))
