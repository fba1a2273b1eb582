"""What `ParamRegressor` does before its network: read, check and scale what the user gives."""

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight, validate_data

from skastro.images import check_images
from skastro.recipes import copy_recipe
from skastro.regression.heads import resolve_head
from skastro.regression.inception import Inception
from skastro.regression.networks import MLP, PlainCNN, ResNet
from skastro.regression.pixels import InputScaler
from skastro.regression.priors import training_density
from skastro.regression.targets import learn_bounds, outside, read_bounds
from skastro.symmetries import symmetries, turn_at_random
from skastro.validation import check_targets, split_unit

__all__ = ["NETWORKS", "RegressionInputs"]

NETWORKS = {"resnet": ResNet, "cnn": PlainCNN, "inception": Inception, "mlp": MLP}


class RegressionInputs:
    """The part of `ParamRegressor` that knows images, tables, side columns and targets."""

    def _read(self, X, anew):
        """Images (n, n_channels, h, w) or a table (n, n_features)."""
        table = self.image_shape_ == () if not anew else self._wants_table(X)
        least = 2 if anew else 1
        if table:
            X, unit = split_unit(X, "X", None if anew else self.input_unit_)
            X = validate_data(
                self, X, reset=anew, dtype=np.dtype(self.dtype), ensure_min_samples=least
            )
            if anew:
                self.input_unit_, self.image_shape_ = unit, ()
            return X
        images, info = check_images(
            X,
            dtype=np.dtype(self.dtype),
            n_channels=None if anew else self.n_channels_in_,
            unit=None if anew else self.input_unit_,
        )
        if self.missing == "error" and np.isnan(images).any():
            row, channel = np.argwhere(np.isnan(images))[0][:2]
            raise ValueError(
                f"X contains NaN in image {row}, channel {channel}; expected finite pixels or "
                "missing='mask'."
            )
        if anew:
            if len(images) < 2:
                raise ValueError("X has 1 image (n_samples=1); expected at least 2 to learn from.")
            if np.nanmin(images) == np.nanmax(images):
                raise ValueError(
                    f"X is constant, at {np.nanmin(images):.6g}; expected images that vary."
                )
            self.input_unit_ = None if info.unit is None else info.unit.to_string()
            self.n_channels_in_, self.image_shape_ = images.shape[1], images.shape[2:]
        elif self.fixed_size_ and images.shape[2:] != self.image_shape_:
            raise ValueError(
                f"X has images of {images.shape[2:]} pixels; expected {self.image_shape_}, as in fit, for "
                f"{self.recipe_}."
            )
        return images

    def _may_take_tables(self):
        """By the network alone: a recipe of the user's may be for either."""
        if isinstance(self.network, str):
            return self.network in ("auto", "mlp")
        return not isinstance(self.network, ResNet | PlainCNN | Inception)

    def _wants_table(self, X):
        if not self._may_take_tables():
            return False
        if self.network == "mlp" or isinstance(self.network, MLP):
            return True
        shape = X.shape if hasattr(X, "shape") else np.shape(X)
        return len(shape) < 3

    def _read_extra(self, extra, n, anew):
        wanted = None if anew else self.n_extra_
        if extra is None:
            if wanted:
                raise ValueError(f"extra=None; expected {wanted} side column(s), as in fit.")
            self.n_extra_ = 0
            return None
        values = np.asarray(getattr(extra, "value", extra), dtype=float)
        if values.ndim == 1:
            values = values[:, None]
        if (
            values.ndim != 2
            or len(values) != n
            or (wanted is not None and values.shape[1] != wanted)
        ):
            columns = "n_extra" if wanted is None else wanted
            raise ValueError(f"extra has shape {values.shape}; expected ({n}, {columns}).")
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise ValueError(
                f"extra has {values[row, column]} at row {row}, column {column}; expected finite numbers."
            )
        self.n_extra_ = values.shape[1]
        return values

    def _read_targets(self, y, X, sample_weight, anew):
        y, info = check_targets(y, n_samples=len(X))
        if np.isnan(y).any():
            row, column = np.argwhere(np.isnan(y))[0]
            raise ValueError(
                f"Input y contains NaN at row {row}, target {column}; expected finite numbers."
            )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X[:, 0], dtype=float, ensure_non_negative=True
            )
            weight = (weight / weight.mean())[:, None]
        if not anew:
            if y.shape[1] != self.n_targets_:
                raise ValueError(
                    f"y has {y.shape[1]} target(s); expected {self.n_targets_}, as in the first fit."
                )
            given = self.bounds_
        else:
            self.target_names_, self.target_ndim_, self.target_unit_ = (
                info.names,
                info.ndim,
                info.unit,
            )
            self.n_targets_ = y.shape[1]
            self.given_bounds_ = given = (
                None
                if self.target_bounds is None
                else read_bounds(self.target_bounds, y.shape[1], info.names)
            )
        if given is not None and (place := outside(y, given)) is not None:
            row, target = place
            low, high = given[target]
            raise ValueError(
                f"y is {y[place]:.6g} at row {row}, target {target}; expected values within its bounds "
                f"({low:.6g}, {high:.6g})."
            )
        return y, weight

    def _learn_scales(self, X, y, extra):
        kind = self.scaling if self.image_shape_ or self.scaling != "auto" else None
        self.scaler_ = InputScaler(kind, self.missing if self.image_shape_ else "error").fit(X)
        self.bounds_ = learn_bounds(y, self.given_bounds_)
        self.training_density_ = training_density(y, self.bounds_)
        self.extra_center_ = self.extra_scale_ = None
        if extra is not None:
            self.extra_center_ = extra.mean(axis=0)
            spread = extra.std(axis=0)
            self.extra_scale_ = np.where(spread > 0, spread, 1.0)
        self.recipe_, self.head_ = self._recipe(), resolve_head(self.head)
        self.fixed_size_ = not isinstance(self.recipe_, ResNet)
        self.turns_ = symmetries(self.augment, *self.image_shape_) if self.image_shape_ else (0,)

    def _recipe(self):
        if not isinstance(self.network, str):
            return copy_recipe(self.network)
        name = self.network
        if name == "auto":
            name = "resnet" if self.image_shape_ else "mlp"
        return NETWORKS[name]()

    @property
    def _n_turns(self):
        return len(self.turns_)

    def _turn_batch(self, inputs, targets, generator):
        if torch.is_tensor(inputs):
            return turn_at_random([inputs], self.turns_, generator)[0], targets
        return inputs | {"x": turn_at_random([inputs["x"]], self.turns_, generator)[0]}, targets

    def _inputs(self, X, extra):
        x = torch.from_numpy(np.ascontiguousarray(self.scaler_.transform(X)))
        if extra is None:
            return x
        side = ((extra - self.extra_center_) / self.extra_scale_).astype(self.dtype)
        return {"x": x, "extra": torch.from_numpy(side)}
