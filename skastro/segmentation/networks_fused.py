"""The network of MaxiMask: maps of all scales, each taken up to full resolution, are put together."""

from itertools import pairwise

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from skastro.segmentation.padding import aligned, check_sizes, reach

__all__ = ["FusedNet", "FusedNetModule"]


class FusedNet(BaseEstimator):
    """Recipe of the network of MaxiMask, layer by layer [1]_, for any number of classes and channels.

    An encoder of 3 x 3 convolutions and rectifiers with five 2 x 2 maximum pools; a decoder that puts values
    back where the maxima were, and adds the maps of the encoder. What its first four stages give is also
    taken straight up to full resolution, by places of maxima and one convolution a level. These sets of maps
    and that of the decoder, one map a class in each, are joined by a last convolution. With the widths by
    default and 14 classes it has the 5.73 million weights of the published one, which takes the asinh of
    its image in units of the noise: scale so before.

    Sides that are not multiples of 32, 2 to the power of the number of levels, are padded with their last
    pixels. Tiles give what the whole image does, but for pixels of a pool that are equal to rounding.

    Parameters
    ----------
    widths : tuple of int, default=(32, 64, 128, 256, 256)
        Channels of each level, from full resolution down.
    n_convolutions : tuple of int, default=(1, 1, 2, 2, 2)
        Convolutions of each level, on the way down and again on the way up.

    References
    ----------
    .. [1] Paillassa, Bertin & Bouy, "MaxiMask and MaxiTrack: two new tools for identifying contaminants in
       astronomical images using convolutional neural networks", A&A 634, A48 (2020).

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import FusedNet
    >>> network = FusedNet(widths=(4, 8), n_convolutions=(1, 2))(1, 14, (20, 30))
    >>> network(torch.zeros(2, 1, 20, 30)).shape
    torch.Size([2, 14, 20, 30])
    >>> network.multiple, network.halo
    (4, 18)
    """

    def __init__(self, widths=(32, 64, 128, 256, 256), n_convolutions=(1, 1, 2, 2, 2)):
        self.widths = widths
        self.n_convolutions = n_convolutions

    def __call__(self, n_channels, n_outputs, image_shape=None):
        """Build the network; `image_shape` is not used, any size will do."""
        return FusedNetModule(n_channels, n_outputs, self.widths, self.n_convolutions)


class FusedNetModule(nn.Module):
    """The module that `FusedNet` builds: images (n, n_channels, h, w) to logits (n, n_outputs, h, w).

    Parameters
    ----------
    n_channels, n_outputs : int
    widths, n_convolutions : sequence of int
        As in `FusedNet`.

    Attributes
    ----------
    multiple : int
        Where a tile may begin, so that it gives what the whole image does.
    halo : int
        Pixels beside a tile that its logits depend on.

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import FusedNetModule
    >>> network = FusedNetModule(1, 3, widths=(4, 8), n_convolutions=(1, 1))
    >>> network(torch.zeros(1, 1, 7, 5)).shape
    torch.Size([1, 3, 7, 5])
    """

    def __init__(
        self,
        n_channels,
        n_outputs,
        widths=(32, 64, 128, 256, 256),
        n_convolutions=(1, 1, 2, 2, 2),
    ):
        super().__init__()
        check_sizes(n_channels=n_channels, n_outputs=n_outputs)
        widths, n_convolutions = tuple(widths), tuple(n_convolutions)
        if not widths or len(widths) != len(n_convolutions):
            raise ValueError(
                f"widths={widths!r}, n_convolutions={n_convolutions!r}; expected one of each a level."
            )
        check_sizes(widths=min(widths), n_convolutions=min(n_convolutions))
        # what the decoder gives at each level: the width of the one above it
        above = (n_outputs, *widths[:-1])
        self.down = nn.ModuleList()
        for before, width, depth in zip(
            (n_channels, *widths), widths, n_convolutions, strict=False
        ):
            self.down.append(_convolutions([before] + depth * [width]))
        self.bridge = _convolutions([widths[-1], widths[-1]])
        self.up = nn.ModuleList(
            _convolutions(depth * [width] + [after])
            for width, depth, after in zip(widths, n_convolutions, above, strict=True)
        )
        # by the level that they start from, one convolution a level
        self.branches = nn.ModuleList(
            nn.ModuleList(_convolutions([widths[i], above[i]]) for i in range(start))
            for start in range(1, len(widths))
        )
        self.fuse = nn.Conv2d(len(widths) * n_outputs, n_outputs, 3, padding=1)
        self.multiple = 2 ** len(widths)
        self.halo = reach(n_convolutions, n_last=1)
        # the layout in which convolutions on a CPU are fastest
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        """Logits of images without NaN."""
        return aligned(self._logits, x, self.multiple)

    def _logits(self, x):
        maps, places = [], []
        for block in self.down:
            x = block(x)
            maps.append(x)
            x, place = functional.max_pool2d(x, 2, return_indices=True)
            places.append(place)
        x = self.bridge(x)
        fused = []
        for i in reversed(range(len(maps))):
            x = self.up[i](functional.max_unpool2d(x, places[i], 2) + maps[i])
            if i:
                fused.append(self._rise(x, self.branches[i - 1], places))
        return self.fuse(torch.cat([x, *fused], 1))

    @staticmethod
    def _rise(x, branch, places):
        for i in reversed(range(len(branch))):
            x = branch[i](functional.max_unpool2d(x, places[i], 2))
        return x


def _convolutions(widths):
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)
