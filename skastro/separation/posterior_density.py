"""The density behind `StatisticPosterior`: from statistics of mixtures to positions of their signals."""

import copy

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from skastro.base import NetEstimator
from skastro.density import MixtureDensityLoss, MixtureDensityNetwork
from skastro.separation.prior import ReducedSpace

__all__ = ["PositionDensity", "generator_of"]

FEATURES = 2  # principal components of the mixtures' statistics for each of the signal's


class PositionDensity(NetEstimator):
    """Mixin with training and draws; a child class has `space_`, `network` and `n_mixtures`."""

    def _learn(self, positions, mixed, rng):
        """Train on positions (n, n_components) and statistics (n, n_contaminations, n_coefficients)."""
        own = isinstance(self.network, BaseEstimator)
        self.network_ = clone(self.network) if own else copy.deepcopy(self.network)
        n, repeats = mixed.shape[:2]
        mixed = mixed.reshape(n * repeats, -1)
        self.features_ = ReducedSpace.of(mixed, FEATURES * len(self.space_.axes), least=0.0)
        x = torch.from_numpy(self.features_.reduce(mixed)).to(self._torch_dtype)
        y = torch.from_numpy(positions).to(self._torch_dtype).repeat_interleave(repeats, 0)
        # the mixtures of one map stay together
        rows = [
            None if part is None else (part[:, None] * repeats + np.arange(repeats)).ravel()
            for part in self._split_rows(n, rng.integers(2**31))
        ]

        def start(module):
            if hasattr(module, "start_at_regression"):
                module.start_at_regression(x[rows[0]], y[rows[0]])

        self._train(x, y, rows=rows, seed=int(rng.integers(2**31)), start=start)

    def _make_module(self):
        shape = {"n_features": len(self.features_.axes), "n_outputs": len(self.space_.axes)}
        if self.network_ is None:
            return MixtureDensityNetwork(**shape, n_mixtures=self.n_mixtures)
        return self.network_(**shape)

    def _make_criterion(self):
        return MixtureDensityLoss()

    def _mixtures(self, mixed):
        """Densities of the positions, from statistics (n, n_coefficients) of mixtures."""
        x = torch.from_numpy(self.features_.reduce(mixed)).to(self._torch_dtype)
        with torch.inference_mode():
            found = self.net_.module_(x.to(self.net_.device))
        return type(found)(*(part.double().cpu() for part in found))

    def _draw(self, mixed, n_samples, rng):
        """Positions (n_samples, n, n_components) from the posteriors of n mixtures."""
        return self._mixtures(mixed).sample(n_samples, generator_of(rng)).numpy()


def generator_of(rng):
    """A torch generator seeded by one of numpy."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))
