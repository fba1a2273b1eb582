"""What every head shares: from the features of a network to distributions of the targets."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

__all__ = ["Head", "check_sizes", "check_targets", "near_zero_linear", "to_numpy"]

# of the edges of bins of equal counts: many equal targets would make bins without a width
UNIFORM_PART = 0.1


class Head(BaseEstimator, ABC):
    """Recipe of the last layer of a network, of its loss and of the distributions that it means.

    Clonable, so its parameters can be searched. Targets are scaled to [0, 1] between their bounds. A child
    class writes `make_module`, `make_loss`, `distribution` and `point`.
    """

    @abstractmethod
    def make_module(self, n_features, n_targets, targets=None):
        """Build the layer.

        Parameters
        ----------
        n_features, n_targets : int
        targets : array-like of shape (n_rows, n_targets), optional
            Of the training rows, scaled: the layer begins at their distribution, whatever the features.
            Without them its tensors have the same shapes, for weights to be loaded.

        Returns
        -------
        module : Module
            Maps (n, n_features) to parameters of n distributions: a tensor, or a named tuple of tensors.
            The first axis is that of the rows.
        """

    @abstractmethod
    def make_loss(self):
        """Build the loss.

        Returns
        -------
        loss : Module
            Called with what the layer gives and targets (n, n_targets); gives (n,) or (n, n_targets).
        """

    @abstractmethod
    def distribution(self, output):
        """The distributions that the layer's output means, on the scale [0, 1].

        Parameters
        ----------
        output : Tensor or named tuple of Tensor

        Returns
        -------
        distribution : Distribution or None
            None: the head gives a number a target only.
        """

    @abstractmethod
    def point(self, output):
        """Mean of each target, differentiable.

        Parameters
        ----------
        output : Tensor or named tuple of Tensor

        Returns
        -------
        mean : Tensor of shape (n, n_targets)
        """

    def average(self, outputs):
        """One output in place of those of several networks, or of turned images.

        Parameters
        ----------
        outputs : list of Tensor or named tuple of Tensor

        Returns
        -------
        output : Tensor or named tuple of Tensor, or None
            None: there is no such output, and the distributions have to be pooled.
        """
        return outputs[0] if len(outputs) == 1 else None

    def concatenate(self, outputs):
        """Put the outputs of several blocks of rows after each other.

        Parameters
        ----------
        outputs : list of Tensor or named tuple of Tensor
            As the layer gives them.

        Returns
        -------
        output : Tensor or named tuple of Tensor
        """
        if torch.is_tensor(outputs[0]):
            return torch.cat(outputs)
        return type(outputs[0])(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))


def check_targets(targets, n_targets):
    """Targets as a tensor of float64.

    Parameters
    ----------
    targets : array-like of shape (n_rows, n_targets)
    n_targets : int

    Returns
    -------
    targets : Tensor of shape (n_rows, n_targets), float64

    Raises
    ------
    ValueError
        Another shape, no rows, NaN or infinity.
    """
    targets = torch.as_tensor(np.asarray(targets), dtype=torch.float64)
    if targets.ndim != 2 or targets.shape[1] != n_targets or not len(targets):
        raise ValueError(
            f"targets has shape {tuple(targets.shape)}; expected (n_rows, {n_targets}), at least one row."
        )
    if not torch.isfinite(targets).all():
        raise ValueError("targets has NaN or infinity; expected finite numbers, scaled to [0, 1].")
    return targets


def check_sizes(**sizes):
    """Refuse sizes below 1.

    Parameters
    ----------
    **sizes : int
        By name.

    Raises
    ------
    ValueError
    """
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value!r}; expected at least 1.")


def near_zero_linear(n_features, n_outputs):
    """A linear layer that gives hardly more than its bias at first.

    Parameters
    ----------
    n_features, n_outputs : int

    Returns
    -------
    layer : Linear
        Its bias is 0.
    """
    check_sizes(n_features=n_features, n_outputs=n_outputs)
    layer = nn.Linear(n_features, n_outputs)
    with torch.no_grad():
        layer.weight *= 0.01
        layer.bias.zero_()
    return layer


def to_numpy(tensor):
    """Float64 on the CPU."""
    return tensor.detach().cpu().double().numpy()
