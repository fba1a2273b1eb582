"""A regressor that was told the truth, to test what is made of distributions."""

import numpy as np
from sklearn.base import BaseEstimator

from skastro.distributions import GaussianMixtureDistribution


class Known(BaseEstimator):
    """Gaussians of one width around the truth that it was told."""

    def __init__(self, width=1.0, seed=0):
        self.width = width
        self.seed = seed

    def fit(self, X, y):
        self.n_targets_ = y.shape[1]
        return self

    def predict_distribution(self, X):
        # the truth is in the data, the error is drawn
        error = np.random.default_rng(self.seed).normal(size=(len(X), self.n_targets_))
        means = (X[:, : self.n_targets_] + self.width * error)[:, None]
        covariance = self.width**2 * np.eye(self.n_targets_)
        shape = (len(X), 1, self.n_targets_, self.n_targets_)
        return GaussianMixtureDistribution(
            np.ones((len(X), 1)), means, np.broadcast_to(covariance, shape)
        )
