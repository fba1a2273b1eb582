"""What the outputs of a classifier of whole images mean: priors, thresholds, decisions."""

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from skastro.prior_estimate import estimate_prior
from skastro.prior_shift import shift_logits
from skastro.segmentation.priors import check_prior
from skastro.thresholds import find_threshold

__all__ = ["ImagePosterior"]


class ImagePosterior:
    """The part of `ImageClassifier` that turns logits into probabilities and decisions.

    It needs `_logits(X)`, and the fitted `classes_`, `training_prior_`, `prevalence_`, `held_out_`.
    """

    def decision_function(self, X):
        """Logits of the second class under the prior of training.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            NaN where blank. The size may differ from that of the training images.

        Returns
        -------
        logits : ndarray of shape (n,), float32
            Of a blank image: that of the prior of training.
        """
        check_is_fitted(self)
        return self._logits(X)

    def predict_proba(self, X, prior=None):
        """Probability of each class for each image, under a prior.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        prior : float, array-like of shape (2,) or (n, 2), dict, "training" or None, default=None
            Share of the second class where the images come from; or of both, also by image; or by label.
            None: `prior_`.

        Returns
        -------
        proba : ndarray of shape (n, 2), float32
            Columns in the order of `classes_`. The prior for blank images.

        Raises
        ------
        ValueError
            Images as in `fit` they could not be, a prior outside 0 to 1 or of another shape.
        """
        check_is_fitted(self)
        z = self._logits(X)
        if prior is None:
            prior = self.prior_
        elif not isinstance(prior, str | dict) and np.ndim(prior) == 2:
            prior = self._read_rows(prior, len(z))
        else:
            prior = self._read_prior(prior)
        z = shift_logits(z, prior, self.training_prior_)
        return np.stack([expit(-z), expit(z)], axis=1).astype(np.float32)

    def predict(self, X):
        """The second class where its probability is at least `threshold_`, else the first.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        found = self.predict_proba(X)[:, 1] >= self.threshold_
        return self.classes_[found.astype(int)]

    def set_prior(self, prior):
        """Set the share of the second class where the classifier will be used; the threshold follows.

        Parameters
        ----------
        prior : float, array-like of shape (2,), dict, "training" or None
            As of `predict_proba`. None: as in the labels of `fit`.

        Returns
        -------
        self : ImageClassifier
        """
        check_is_fitted(self)
        self.prior_ = self._read_prior(prior)
        self._find_threshold()
        return self

    def _read_prior(self, prior):
        """Share of the second class."""
        if prior is None:
            return self.prevalence_
        if isinstance(prior, str):
            if prior != "training":
                raise ValueError(f"prior={prior!r}; expected 'training', numbers or None.")
            return self.training_prior_
        if isinstance(prior, dict):
            labels = self.classes_.tolist()
            unknown = [label for label in prior if label not in labels]
            if unknown or not prior:
                raise ValueError(f"prior has labels {list(prior)}; expected some of {labels}.")
            given = [prior.get(label) for label in labels]
            # one class tells of the other
            prior = [1 - given[1] if given[0] is None else given[0]]
            prior.append(1 - prior[0] if given[1] is None else given[1])
        if np.ndim(prior) == 0:
            return float(check_prior(prior, exclusive=False))
        if np.shape(prior) != (2,):
            raise ValueError(
                f"prior has shape {np.shape(prior)}; expected a number, or one for each of the 2 classes."
            )
        return float(check_prior(prior, exclusive=True)[1])

    @staticmethod
    def _read_rows(prior, n):
        if np.shape(prior) != (n, 2):
            raise ValueError(f"prior has shape {np.shape(prior)}; expected (2,) or ({n}, 2).")
        return check_prior(prior, exclusive=True, axis=1)[:, 1]

    def estimate_prior(self, X, *, n_bootstrap=50, random_state=None):
        """Share of the second class in images without labels, by expectation-maximisation.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        n_bootstrap : int, default=50
            Draws of the images, for the error.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        estimate : PriorEstimate
            `prior` and `error`; nothing is set: give it to `set_prior`.
        """
        return estimate_prior(
            self.decision_function(X), self.training_prior_, from_logits=True, n_bootstrap=n_bootstrap,
            random_state=random_state,
        )  # fmt: skip

    def set_threshold(self, policy, level=None):
        """Set the rule by which `predict` decides; the threshold is found on the held-out images.

        Parameters
        ----------
        policy : str
            As in :func:`~skastro.thresholds.find_threshold`, by images; all but "fixed" and "cost" need
            images held out in `fit` (`validation_fraction`).
        level : float, optional

        Returns
        -------
        self : ImageClassifier
        """
        check_is_fitted(self)
        before = self.threshold_policy_
        self.threshold_policy_ = (policy, level)
        try:
            self._find_threshold()
        except ValueError:
            self.threshold_policy_ = before
            raise
        return self

    def _find_threshold(self):
        policy, level = self.threshold_policy_
        truth, p, weight, prior = [0, 1], [0.0, 1.0], None, None
        if policy not in ("fixed", "cost"):
            held = self.held_out_
            if held is None or len(np.unique(held.truth)) < 2:
                raise ValueError(
                    f"threshold={policy!r} without held-out images of both classes; expected a "
                    "validation_fraction, or 'fixed'."
                )
            prior, truth, weight = self.prior_, held.truth, held.weight
            p = expit(shift_logits(held.logit, prior, self.training_prior_))
        self.threshold_ = find_threshold(
            truth, p, policy, level=level, prior=prior, sample_weight=weight, frame_size=1
        ).threshold
