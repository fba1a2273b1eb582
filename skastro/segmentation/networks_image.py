"""A network of whole images: one number an image, of any size; a plain module, and its recipe.

A recipe is called with `n_channels` and `image_shape` and gives a module that takes images
(n, n_channels, h, w) to logits (n, 1).
"""

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from skastro.segmentation.networks import ConvBlock
from skastro.segmentation.padding import check_sizes

__all__ = ["PooledNet", "PooledNetModule"]


class PooledNetModule(nn.Module):
    """Residual convolutions, whose maps are pooled over the whole image in two ways.

    The mean of a map tells what all of the image does; the mean of its highest cells, what a few stars in a
    large and empty frame do.

    Parameters
    ----------
    n_channels : int
    image_shape : tuple (h, w)
        Not used: any size will do, also after training.
    widths : sequence of int, default=(8, 12, 24, 32, 48)
        Channels at full resolution and after each halving.
    n_convolutions : int, default=2
        Of each level after a halving.
    n_top : int, default=8
        How many of the highest cells of a map count.
    n_hidden : int, default=32
        Of the layer that joins what was pooled.

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import PooledNetModule
    >>> module = PooledNetModule(n_channels=1)
    >>> module(torch.zeros(3, 1, 64, 70)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self, n_channels, image_shape=None, *, widths=(8, 12, 24, 32, 48), n_convolutions=2, n_top=8,
        n_hidden=32,
    ):  # fmt: skip
        super().__init__()
        self.multiple, self.n_top = 2 ** (len(widths) - 1), n_top
        self.stem = nn.Conv2d(n_channels, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(below, width, 2, 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                ConvBlock(width, n_convolutions),
            )
            for below, width in zip(widths[:-1], widths[1:], strict=True)
        )
        # of the two coarsest levels: what is wide, and what is wider
        n_pooled = 2 * sum(widths[-2:])
        self.joined = nn.Sequential(
            nn.LayerNorm(n_pooled), nn.Linear(n_pooled, n_hidden), nn.ReLU(inplace=True)
        )
        self.last = nn.Linear(n_hidden, 1)
        self.to(memory_format=torch.channels_last)

    def _pooled(self, x):
        cells = x.flatten(2)
        top = cells.topk(min(self.n_top, cells.shape[2]), dim=2, sorted=False).values
        return torch.cat([cells.mean(2), top.mean(2)], 1)

    def forward(self, x):
        """Logits (n, 1) of images (n, n_channels, h, w)."""
        rows, columns = (-size % self.multiple for size in x.shape[-2:])
        if rows or columns:
            # with the level of the sky: a star at the border, repeated, would be a trail
            x = functional.pad(x, (0, columns, 0, rows))
        x = torch.relu_(self.stem(x.contiguous(memory_format=torch.channels_last)))
        pooled = []
        for i, level in enumerate(self.levels, start=1):
            x = level(x)
            if i >= len(self.levels) - 1:
                pooled.append(self._pooled(x))
        return self.last(self.joined(torch.cat(pooled, 1)))


class PooledNet(BaseEstimator):
    """Recipe of a `PooledNetModule`: the default network of whole images.

    Parameters
    ----------
    widths : sequence of int, default=(8, 12, 24, 32, 48)
        At least three.
    n_convolutions : int, default=2
    n_top : int, default=8
    n_hidden : int, default=32
        As in `PooledNetModule`.

    Examples
    --------
    >>> from skastro.segmentation import PooledNet
    >>> PooledNet(widths=(8, 16, 16))(n_channels=1, image_shape=(64, 64)).multiple
    4
    """

    def __init__(self, widths=(8, 12, 24, 32, 48), n_convolutions=2, n_top=8, n_hidden=32):
        self.widths = widths
        self.n_convolutions = n_convolutions
        self.n_top = n_top
        self.n_hidden = n_hidden

    def __call__(self, n_channels, image_shape=None):
        """Build the network."""
        sizes = {"n_convolutions": self.n_convolutions, "n_top": self.n_top}
        check_sizes(**sizes, n_hidden=self.n_hidden)
        if len(self.widths) < 3:
            raise ValueError(f"widths={self.widths!r}; expected at least 3 numbers of channels.")
        return PooledNetModule(
            n_channels, image_shape, widths=tuple(self.widths), n_hidden=self.n_hidden, **sizes
        )
