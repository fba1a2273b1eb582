"""What `ParamRegressor` does after its network: from outputs to distributions, and what is read from them."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.distributions import RecalibratedDistribution, pool, reweighted
from skastro.regression.heads import PointHead
from skastro.regression.posterior_predictions import DistributionRegressorMixin
from skastro.regression.priors import prior_ratio
from skastro.regression.residuals import residual_distribution
from skastro.regression.saliency import integrated_gradients
from skastro.symmetries import turn
from skastro.validation import split_unit

__all__ = ["RegressionOutputs"]

# Numbers of a network at work for each number of an image.
OVERHEAD = 64


class RegressionOutputs(DistributionRegressorMixin):
    """The part of `ParamRegressor` that runs the network and makes distributions of its outputs."""

    def _outputs(self, inputs):
        """What the heads give, one for each member and turn, all rows together."""
        module, device = self.net_.module_.fused(), self.net_.device
        x, extra = (inputs["x"], inputs["extra"]) if isinstance(inputs, dict) else (inputs, None)
        turns = self.turns_ if self.test_time_augmentation else self.turns_[:1]
        blocks = []
        for rows in row_blocks(len(x), x[0].numel() * x.element_size() * OVERHEAD):
            block = x[rows].to(device)
            side = None if extra is None else extra[rows].to(device)
            with torch.inference_mode():
                blocks.append([one for k in turns for one in module(turn(block, k), side)])
        return [self.head_.concatenate(parts) for parts in zip(*blocks, strict=True)]

    def _points(self, outputs):
        return np.mean([self.head_.point(one).double().cpu().numpy() for one in outputs], axis=0)

    def _distribution(self, outputs):
        """In the unit of the targets, before any map or prior."""
        merged = self.head_.average(outputs)
        found = [self.head_.distribution(one) for one in (outputs if merged is None else [merged])]
        if found[0] is None:
            if self.residuals_ is None:
                raise ValueError(
                    "validation_fraction=None with head='point'; expected a fraction of held-out rows, whose "
                    "errors are the error bars."
                )
            found = [residual_distribution(self._points(outputs), self.residuals_)]
        pooled = found[0] if len(found) == 1 else pool(found)
        low, high = self.bounds_.T
        return pooled.rescaled(low, high - low)

    def predict_distribution(self, X, extra=None, prior=None):
        """The predicted distributions.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
            Images of another size than in `fit` where the network allows it.
        extra : array-like of shape (n, n_extra), optional
            Side columns, where `fit` had some.
        prior : callable or array-like of shape (m,) or (m, n_targets), optional
            Another distribution of the targets than that of the training rows, which is hidden in every
            prediction: a density, called with targets (..., n_targets), or targets drawn from it. The
            predictions are weighted by the ratio of both.

        Returns
        -------
        distribution : Distribution
            In the unit of the targets.

        Raises
        ------
        ValueError
            Another number of channels or columns than in `fit`, another unit, side columns missing, a prior
            that is nowhere positive.
        """
        check_is_fitted(self)
        X = self._read(X, anew=False)
        distribution = self._distribution(
            self._outputs(self._inputs(X, self._read_extra(extra, len(X), anew=False)))
        )
        if self.calibration_ is not None:
            distribution = RecalibratedDistribution(distribution, self.calibration_)
        if prior is not None:
            ratio = prior_ratio(prior, self.training_density_, self.bounds_)
            distribution = reweighted(distribution, ratio, random_state=0)
        return distribution

    def predict(self, X, *, point="mean", extra=None, prior=None):
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        point : {"mean", "median", "mode"}, default="mean"
            Of the distribution of each target alone. With the head "point", "mean" is its number.
        extra, prior
            As in `predict_distribution`.

        Returns
        -------
        y : ndarray or Quantity of shape (n,) or (n, n_targets)

        Raises
        ------
        ValueError
            Another `point`; else as `predict_distribution`.
        """
        check_is_fitted(self)
        plain = point == "mean" and prior is None and self.calibration_ is None
        if plain and isinstance(self.head_, PointHead):
            X = self._read(X, anew=False)
            outputs = self._outputs(self._inputs(X, self._read_extra(extra, len(X), anew=False)))
            low, high = self.bounds_.T
            return self._as_targets(low + (high - low) * self._points(outputs))
        return super().predict(X, point=point, extra=extra, prior=prior)

    def log_prob(self, X, y, *, extra=None, prior=None):
        """Logarithm of the predicted density at given targets, all targets together.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        y : array-like or Quantity of shape (n,) or (n, n_targets)
        extra, prior
            As in `predict_distribution`.

        Returns
        -------
        log_prob : ndarray of shape (n,)
            Of the density in the unit of the targets of `fit`.
        """
        return super().log_prob(X, self._in_unit(y, "y"), extra=extra, prior=prior)

    def _on_grid(self, method, X, grid, context):
        return super()._on_grid(method, X, self._in_unit(grid, "grid"), context)

    def _in_unit(self, values, name):
        check_is_fitted(self)
        return split_unit(values, name, self.target_unit_)[0]

    def _as_targets(self, values):
        values = super()._as_targets(values)
        if self.target_unit_ is None:
            return values
        from astropy.units import Unit

        return values * Unit(self.target_unit_)

    def saliency(self, X, extra=None, target=0, n_steps=32):
        """Which pixels, or columns, a prediction comes from: integrated gradients.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        extra : array-like of shape (n, n_extra), optional
        target : int, default=0
            Whose prediction.
        n_steps : int, default=32
            Steps from the mean of the training rows to each image.

        Returns
        -------
        saliency : ndarray of the shape of `X`
            In the unit of the target. Sums, for each image, to its mean prediction less that for the mean of
            the training rows, to within the error of the steps; without turned images, recalibration or
            another prior.

        Raises
        ------
        ValueError
            A target that isn't there; else as `predict_distribution`.

        References
        ----------
        .. [1] Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML (2017).
        """
        check_is_fitted(self)
        if not 0 <= target < self.n_targets_:
            raise ValueError(f"target={target!r}; expected 0 to {self.n_targets_ - 1}.")
        images = self._read(X, anew=False)
        inputs = self._inputs(images, self._read_extra(extra, len(images), anew=False))

        def point(x, side):
            outputs = self.net_.module_(x, side)
            return sum(self.head_.point(one)[:, target] for one in outputs) / len(outputs)

        found = integrated_gradients(point, inputs, self.net_.device, n_steps)
        found = found[:, : images.shape[1]] * np.diff(self.bounds_[target])
        return found.reshape(np.shape(X)) if images.ndim == 4 else found
