"""What is behind `StatisticPosterior`: simulations of a mixture, and the density that learns from them."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skastro.base import NetEstimator, draw_seed, resolve_device
from skastro.density import MixtureDensityLoss, MixtureDensityNetwork
from skastro.maps import check_maps, refuse_constant
from skastro.recipes import copy_recipe
from skastro.separation.prior import ReducedSpace
from skastro.separation.simulator import Simulator

__all__ = ["PosteriorBase", "generator_of", "numbers"]

PILOT_STEPS = 25
FEATURES = 2  # principal components of the mixtures' statistics for each of the signal's


class PosteriorBase(NetEstimator):
    """The steps of an inference; a child class has the parameters and takes them."""

    # -- maps

    @property
    def _device(self):
        return resolve_device(self.device, self.dtype)

    def _read(self, d):
        """The mixture as (1, n_channels, h, w)."""
        values, _ = check_maps(
            d, "d", ndims=(self.map_dims_,), shape=self.map_shape_, unit=self.unit_
        )
        if values.ndim == 3 and len(values) != self.n_channels_in_:
            raise ValueError(
                f"d has {len(values)} channels; expected {self.n_channels_in_}, as in fit."
            )
        values = values.reshape(1, self.n_channels_in_, *self.map_shape_)
        refuse_constant(values, "d")
        self.scale_ = values[0].std(axis=(-2, -1), keepdims=True, dtype=np.float64)
        return values.astype(self.dtype)

    def _standard(self, maps):
        """Maps of mean 0, in standard deviations of the mixture."""
        mean = maps.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
        return ((maps - mean) / self.scale_).astype(self.dtype)

    def _tensor(self, values):
        return torch.from_numpy(np.ascontiguousarray(values, dtype=self.dtype)).to(self._device)

    def _simulator(self):
        mixture, samples = self._standard(self.mixture_), self.samples_ / self.scale_
        recipe = self.recipe_
        return Simulator(recipe, self._tensor(mixture), self._tensor(samples), self.max_memory)

    def _find_space(self, simulator, rng):
        """Principal components of the statistics of pilot maps."""
        which = rng.integers(len(simulator.samples), size=self.n_pilots)
        pilots = simulator.statistics(simulator.pilots(which, PILOT_STEPS, generator_of(rng)))
        self.metric_ = simulator.scale(pilots).cpu().numpy()
        self.space_ = ReducedSpace.of(numbers(pilots), self.n_components)

    def _synthesize(self, simulator, positions, max_iter, rng):
        """Maps with statistics at positions."""
        target, metric = self._tensor(self.space_.expand(positions)), self._tensor(self.metric_)
        return simulator.synthesize(target, metric, max_iter, generator_of(rng))

    def _simulate(self, simulator, n, n_contaminations, rng):
        """Positions of synthesised maps, statistics of their mixtures, and what positions leave of theirs."""
        maps = self._synthesize(simulator, self.prior_.draw(n, rng), self.max_iter, rng)
        own = numbers(simulator.statistics(maps))
        positions = self.space_.reduce(own)
        mixed = [
            simulator.statistics(maps + simulator.samples[which])
            for which in rng.integers(len(simulator.samples), size=(n_contaminations, n))
        ]
        rest = own - self.space_.expand(positions)
        return positions, numbers(torch.stack(mixed, 1)), rest

    # -- density

    def _learn(self, positions, mixed, rng):
        """Train on positions (n, n_components) and statistics (n, n_contaminations, n_coefficients)."""
        self.network_ = copy_recipe(self.network)
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

    def _rng(self, n_samples, random_state, stream=0):
        check_is_fitted(self, "net_")
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r}; expected an integer of at least 1.")
        seed = draw_seed(self.random_state if random_state is None else random_state)
        return np.random.default_rng([seed, 1, stream])


def generator_of(rng):
    """A torch generator seeded by one of numpy."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def numbers(values):
    """A tensor as an array of float64."""
    return values.double().cpu().numpy()
