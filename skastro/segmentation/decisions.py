"""How a segmenter decides: held-out pixels, the calibration and the thresholds that are found on them."""

import numpy as np
from scipy.special import expit, logit
from sklearn.utils.validation import check_is_fitted

from skastro.prior_shift import shift_logits
from skastro.probability_maps import make_map
from skastro.segmentation.held_out import hold_out
from skastro.segmentation.targets import code_masks, presence
from skastro.thresholds import find_threshold

__all__ = ["SegmentationDecisions"]

# Pixels of held-out patches that go through the network at once.
PIXELS = 2**20


class SegmentationDecisions:
    """The part of `SourceSegmenter` that fits maps of probabilities and finds thresholds.

    It needs the fitted `mode_`, `labels_`, `bits_`, `training_prior_`, `prevalence_` and `prior_`.
    """

    def calibrate(self, X, Y, *, prior=None):
        """Fit the map of probabilities on images with masks, and find the thresholds anew.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
            Not those of `fit`.
        Y : array-like
            Masks, as in `fit`.
        prior : as of `set_prior`, but "em", optional
            Shares of the labels at which the map has to hold best: decisions at a small one are made where
            few negatives are left, which hardly count at a large one. It takes images with many more
            negatives than its inverse. None: that of training.

        Returns
        -------
        self : SourceSegmenter

        Raises
        ------
        ValueError
            As `fit` and `set_prior`; images that have one kind of pixel of a label.
        """
        check_is_fitted(self)
        if isinstance(prior, str) and prior != "training":
            raise ValueError(f"prior={prior!r}; expected 'training', numbers or None.")
        prior = self.training_prior_ if prior is None else self._read_prior(prior)
        logits, truth, _ = self._scored_pixels(X, Y)
        before = self.held_out_, self.maps_
        try:
            self._hold(logits, truth, np.random.default_rng(0))
            self._fit_maps(self.calibration or "platt", prior)
            self._find_thresholds()
        except ValueError:
            self.held_out_, self.maps_ = before
            raise
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

    def _fit_maps(self, name, prior):
        self.maps_ = None
        if name is None:
            return
        if self.mode_ == "multiclass":
            raise ValueError(
                "calibration with mode='multiclass'; expected mode='multilabel', or calibration=None."
            )
        shares = (np.reshape(one, -1) for one in (prior, self.training_prior_))
        maps = []
        for label, held, pi, tau in zip(self.labels_, self.held_out_, *shares, strict=True):
            if held.truth.all() or not held.truth.any():
                raise ValueError(
                    f"the held-out images have one kind of pixel of {label}; expected both, to calibrate on."
                )
            share = np.average(held.truth, weights=held.weight)
            odds = (pi / (1 - pi)) / (share / (1 - share))
            weight = np.where(held.truth, odds, 1.0) * held.weight
            shift = float(logit(pi) - logit(tau))
            maps.append(
                make_map(name).fit(held.logit, held.truth, sample_weight=weight, shift=shift)
            )
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
                raise ValueError(self._no_held_out())
            held = self.held_out_[i]
            z = held.logit if self.maps_ is None else self.maps_[i].transform(held.logit)
            tau, pi = (float(np.reshape(a, -1)[i]) for a in (self.training_prior_, prior))
            p = expit(shift_logits(z, pi, tau))
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

    def _before_training(self):
        """The prior and the policy of the thresholds: what cannot be is told before the minutes of work."""
        # other labels than those that are named have the prior of this fit, not of the last
        self.prior_ = self.prevalence_
        em = isinstance(self.prior, str) and self.prior == "em"
        self.prior_ = "em" if em else self._read_prior(self.prior)
        given = self.threshold
        self.threshold_policy_ = given if isinstance(given, tuple) else (given, None)
        if self.threshold_policy_[0] not in ("fixed", "cost") and self.validation_fraction is None:
            raise ValueError(self._no_held_out())

    def _no_held_out(self):
        return (
            f"threshold={self.threshold_policy_[0]!r} without held-out pixels; expected a "
            "validation_fraction, or a call of calibrate."
        )

    def _after_training(self, z, code, held, rng):
        """Held-out pixels, the calibration and the thresholds."""
        # made of the weights before; made anew here, so that predictions change no attribute
        self._fused = None
        self._network()
        self.held_out_ = self.maps_ = None
        if held is not None:
            parts = self._held_logits(z[held], code[held])
            self._hold(*(np.concatenate(one, axis=1) for one in zip(*parts, strict=True)), rng)
        # as in the loss: a class that weighs more in it does so here
        self._fit_maps(self.calibration, self.training_prior_)
        self._find_thresholds()

    def _held_logits(self, z, code):
        step = max(1, PIXELS // (z.shape[-1] * z.shape[-2]))
        for start in range(0, len(z), step):
            logits = self._run(z[start : start + step].numpy())
            some = code[start : start + step].numpy()
            truth = presence(some, self.mode_, len(self.labels_))
            known = some >= 0
            yield np.moveaxis(logits, 1, 0)[:, known], np.moveaxis(truth, 1, 0)[:, known]
