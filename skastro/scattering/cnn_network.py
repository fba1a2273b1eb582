"""A small convolutional network of periodic maps, usable without skastro."""

import torch
from torch import nn

from skastro.symmetries import turn_at_random

__all__ = ["MapNetwork", "Turned"]


class MapNetwork(nn.Module):
    """The network of `CNNRegressor` and `CNNClassifier`.

    Convolutions of 3 x 3 pixels that see beyond the border what is on the other side, batch
    normalisation, halved resolution; at the end the mean over the map and a linear layer.

    Parameters
    ----------
    n_channels, n_outputs : int
    widths : sequence of int
        Channels of each level.
    """

    def __init__(self, n_channels, n_outputs, widths=(16, 32, 48, 64)):
        super().__init__()
        self.levels = nn.ModuleList()
        for width in widths:
            layer = nn.Conv2d(n_channels, width, 3)
            self.levels.append(nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)))
            n_channels = width
        self.head = nn.Linear(n_channels, n_outputs)
        # the layout in which convolutions on a CPU are fastest
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        x = x.contiguous(memory_format=torch.channels_last)
        for level in self.levels:
            x = level(_wrapped(x))
            # a side is halved down to 2 pixels: one alone has no variance to normalise by
            x = nn.functional.avg_pool2d(x, [2 if side >= 4 else 1 for side in x.shape[2:]])
        return self.head(x.mean(dim=(2, 3)))


def _wrapped(x):
    """Maps with a pixel of the opposite side beyond each border; torch's own takes twice as long."""
    x = torch.cat([x[..., -1:, :], x, x[..., :1, :]], dim=2)
    return torch.cat([x[..., -1:], x, x[..., :1]], dim=3)


class Turned:
    """Turn the maps of each training batch at random; see `skastro.base.Net`.

    Parameters
    ----------
    n_symmetries : int
        1, 4 or 8; see `skastro.symmetries.turn`.
    """

    def __init__(self, n_symmetries):
        self.n_symmetries = n_symmetries

    def __call__(self, inputs, targets, generator):
        return turn_at_random([inputs], self.n_symmetries, generator)[0], targets
