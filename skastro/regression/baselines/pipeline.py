"""A pipeline whose last step predicts distributions."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skastro.regression.posterior_predictions import DistributionRegressorMixin

__all__ = ["DistributionPipeline"]


class DistributionPipeline(DistributionRegressorMixin, Pipeline):
    """scikit-learn's `Pipeline`, when its last step predicts distributions: so does the pipeline.

    Parameters
    ----------
    steps : list of (str, estimator)
        The last has `predict_distribution`.
    transform_input, memory, verbose
        As in scikit-learn's `Pipeline`.

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.regression.baselines import (
    ...     DistributionPipeline, FeatureExtractor, NeighborsDensityRegressor,
    ... )
    >>> sky = make_galactic_center(200, random_state=0)
    >>> steps = [("features", FeatureExtractor()), ("regressor", NeighborsDensityRegressor())]
    >>> model = DistributionPipeline(steps).fit(sky.images, sky.params)
    >>> model.sample(sky.images[:3], 5, random_state=0).shape
    (5, 3, 6)
    """

    def predict_distribution(self, X, **context):
        """Predict distributions.

        Parameters
        ----------
        X : array-like
            As the first step takes it.

        Returns
        -------
        distribution : Distribution
        """
        check_is_fitted(self)
        for _, step in self.steps[:-1]:
            if step not in (None, "passthrough"):
                X = step.transform(X)
        return self.steps[-1][1].predict_distribution(X, **context)

    @property
    def target_ndim_(self):
        """Of the targets in `fit`."""
        return self.steps[-1][1].target_ndim_
