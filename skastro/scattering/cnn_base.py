"""What the networks of maps share: their parameters, how maps are read, trained on and seen through turns."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import NetEstimator, draw_seed, row_blocks
from skastro.maps import check_maps
from skastro.recipes import copy_recipe
from skastro.scattering.cnn_network import MapNetwork, Turned
from skastro.symmetries import n_symmetries, turn

__all__ = ["MapCNN"]

# Numbers of the network at work for each number of a map: the features of the finest level.
OVERHEAD = 64


class MapCNN(NetEstimator):
    """What a regressor and a classifier of maps share; they say what the targets are."""

    _parameter_constraints = {
        "network": [callable, None],
        "widths": [list, tuple],
        "augmentation": [StrOptions({"flip", "dihedral"}), None],
        "average_turns": ["boolean"],
        **NetEstimator._parameter_constraints,
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        network=None,
        *,
        widths=(16, 32, 48, 64),
        augmentation="dihedral",
        average_turns=True,
        lr=3e-3,
        max_epochs=200,
        batch_size=64,
        batch_growth=1.0,
        schedule="one_cycle",
        validation_fraction=0.2,
        patience=None,
        warm_start=False,
        dtype="float32",
        device="auto",
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.network = network
        self.widths = widths
        self.augmentation = augmentation
        self.average_turns = average_turns
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.batch_growth = batch_growth
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def _fit(self, maps, target, anew):
        for width in self.widths:
            if not isinstance(width, Integral) or width < 1:
                raise ValueError(f"widths={self.widths!r}; expected integers of at least 1.")
        seed = draw_seed(self.random_state)
        rows = self._split_rows(len(maps), np.random.default_rng(seed).integers(2**31 - 1))
        if anew:
            self.recipe_ = copy_recipe(self.network)
            seen = maps[rows[0]].astype(np.float64)
            self.center_ = seen.mean(axis=(0, 2, 3)).astype(self.dtype)
            scale = seen.std(axis=(0, 2, 3))
            self.scale_ = np.where(scale > 0, scale, 1.0).astype(self.dtype)
        self.n_turns_ = n_symmetries(self.augmentation, *self.map_shape_)
        self._train(
            self._standard(maps),
            target,
            rows=rows,
            seed=seed,
            reset=anew,
            batch_transform=Turned(self.n_turns_),
        )
        return self

    def _read(self, X, anew, fitting=True):
        known = {}
        if not anew:
            known = {
                "n_channels": self.n_channels_in_,
                "shape": self.map_shape_,
                "unit": self.unit_,
            }
        maps, unit = check_maps(X, ndims=(3, 4), **known)
        maps = maps.reshape(len(maps), -1, *maps.shape[-2:])
        if fitting and len(maps) < 2:
            raise ValueError("X has 1 map (n_samples=1); expected at least 2 to learn from.")
        if fitting and (constant := np.ptp(maps, axis=(0, 2, 3)) == 0).any():
            channel = int(constant.argmax())
            raise ValueError(
                f"X is constant in channel {channel}, at {maps[0, channel, 0, 0]:.4g}; expected maps that "
                "vary."
            )
        if anew:
            self.unit_, self.n_channels_in_, self.map_shape_ = unit, maps.shape[1], maps.shape[2:]
        return maps

    def _standard(self, maps):
        center, scale = self.center_[:, None, None], self.scale_[:, None, None]
        return torch.from_numpy(((maps - center) / scale).astype(self.dtype, copy=False))

    def _make_module(self):
        shape = {"n_channels": self.n_channels_in_, "n_outputs": self._n_outputs()}
        if self.recipe_ is None:
            return MapNetwork(**shape, widths=self.widths)
        return self.recipe_(**shape)

    def _outputs(self, X, average):
        """Outputs of the network for maps, in float64."""
        check_is_fitted(self)
        maps = self._read(X, anew=False, fitting=False)
        module, found = self.net_.module_, []
        turns = range(self.n_turns_ if self.average_turns else 1)
        for rows in row_blocks(len(maps), maps[0].size * 4 * OVERHEAD):
            block = self._standard(maps[rows]).to(self.net_.device)
            with torch.inference_mode():
                one = sum(average(module(turn(block, k)).double()) for k in turns) / len(turns)
            found.append(one.cpu().numpy())
        return np.concatenate(found)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags
