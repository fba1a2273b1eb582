"""Toys whose posteriors are known in closed form, and a network around a head."""

import numpy as np
import torch
from scipy import stats
from torch import nn

from skastro.base import NetEstimator

NOISE = 0.15


class Toy(NetEstimator):
    """Two small layers and a head."""

    def __init__(self, head, max_epochs=16, lr=3e-3):
        self.head, self.max_epochs, self.lr = head, max_epochs, lr
        self.batch_size, self.batch_growth, self.schedule = 128, 1.0, "one_cycle"
        self.validation_fraction, self.patience, self.verbose = 0.1, None, 0
        self.dtype, self.device, self.callbacks = "float32", "cpu", None

    def _make_module(self):
        n_in, targets = self.data_
        layers = nn.Linear(n_in, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU()
        return nn.Sequential(*layers, self.head.make_module(32, targets.shape[1], targets))

    def _make_criterion(self):
        return self.head.make_loss()

    def fit(self, X, y):
        self.data_ = X.shape[1], y
        X, y = (torch.tensor(a, dtype=torch.float32) for a in (X, y))
        self._train(X, y, rows=self._split_rows(len(X), 0), seed=0)
        return self

    def predict(self, X):
        with torch.inference_mode():
            return self.net_.module_(torch.tensor(X, dtype=torch.float32))


def one_target(n, seed, noise=NOISE):
    """y uniform between 0 and 1, x = y + noise: rows x, y and the posterior, cut off at the bounds."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(size=(n, 1))
    x = y + noise * rng.normal(size=(n, 1))
    return x, y, stats.truncnorm(-x / noise, (1 - x) / noise, x, noise)


def two_targets(n, seed):
    """y uniform in the unit square, x = y_1 + y_2 + noise.

    Rows x, y and the logarithms of two densities at y: the posterior, and the product of its two marginals.
    """
    rng = np.random.default_rng(seed)
    y = rng.uniform(size=(n, 2))
    x = y.sum(1, keepdims=True) + NOISE * rng.normal(size=(n, 1))
    # of the sum of two uniform numbers: a triangle
    sums = (np.arange(400) + 0.5) / 200
    triangle = np.minimum(sums, 2 - sums)
    evidence = np.log((stats.norm.pdf(x, sums, NOISE) * triangle).sum(1) / 200)
    joint = stats.norm.logpdf(x[:, 0], y.sum(1), NOISE) - evidence
    # the other target integrated over
    one = stats.norm.cdf((x - y) / NOISE) - stats.norm.cdf((x - y - 1) / NOISE)
    return x, y, joint, np.log(one).sum(1) - 2 * evidence


def crps_on_grid(cdf, y, grid):
    """Integral of (F(t) - 1[t >= y])^2: cdf (n_grid, n, 1), y (n, 1)."""
    return (((cdf - (grid[:, None, None] >= y)) ** 2).sum(0) * (grid[1] - grid[0])).mean()
