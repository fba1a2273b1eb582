"""Priors of a segmenter: set, read, checked, estimated."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed
from skastro.prior_estimate import PriorEstimate, estimate_prior
from skastro.probabilities import check_probabilities
from skastro.segmentation.held_out import N_KEPT

__all__ = ["SegmentationPriors", "check_prior"]


def check_prior(values, *, exclusive, axis=0):
    """An error for priors that are 0, 1 or beyond, or, of exclusive classes, don't sum to 1.

    Parameters
    ----------
    values : array-like
    exclusive : bool
    axis : int, default=0
        Of the classes.

    Returns
    -------
    values : ndarray of float64
    """
    values = check_probabilities(values, "prior")
    wrong = ~((values > 0) & (values < 1))
    if wrong.any():
        raise ValueError(f"prior has {values[wrong].flat[0]:.4g}; expected between 0 and 1.")
    if exclusive:
        total = values.sum(axis)
        off = np.abs(total - 1)
        if off.max() > 1e-6:
            raise ValueError(
                f"prior sums to {total.flat[off.argmax()]:.6g} over the classes; expected 1."
            )
    return values


class SegmentationPriors:
    """The part of `SourceSegmenter` that knows the shares of the labels where it is used.

    It needs the fitted `mode_`, `labels_`, `training_prior_` and `prevalence_`.
    """

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
        before = self.prior_
        self.prior_ = "em" if isinstance(prior, str) and prior == "em" else self._read_prior(prior)
        try:
            self._find_thresholds()
        except ValueError:
            self.prior_ = before
            raise
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
        return check_prior(values, exclusive=self.mode_ == "multiclass", axis=axis)

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
        return estimate_prior(
            rows[:, 0] if self.mode_ == "binary" else rows,
            self.training_prior_,
            kind=self.mode_,
            from_logits=True,
            groups=groups,
            n_bootstrap=n_bootstrap,
            random_state=seed,
        )
