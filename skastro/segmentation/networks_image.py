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

# Levels, in units of the noise after scaling, above which light is correlated with itself: faint sources and
# bright ones alone. Largest shift, in pixels.
LEVELS = (1.5, 3.0, 5.0)
REACH = 32


def autocorrelation(x):
    """Of what is above each of `LEVELS`: (n, n_levels * n_channels, 2 * REACH, 2 * REACH).

    Shifts from -REACH on. All stars add up in it: it has their common shape, wherever they are.
    """
    # smaller images are among zeros
    size = [max(n, 2 * REACH) for n in x.shape[-2:]]
    found = []
    for level in LEVELS:
        light = (x - level).clamp_min_(0.0)
        light = light - light.mean((2, 3), keepdim=True)
        power = torch.fft.rfft2(light, s=size).abs().square()
        lags = torch.fft.irfft2(power, s=size).roll((REACH, REACH), (2, 3))
        lags = lags[..., : 2 * REACH, : 2 * REACH]
        # of an image without light there, zero
        found.append(lags / lags[..., REACH, REACH, None, None].clamp_min(1e-6))
    return torch.cat(found, 1)


def shape_layers(n_channels, width, dropout):
    """Convolutions of an autocorrelation, down to a few numbers: where in it something is matters."""
    widths, layers = (width, 2 * width, 2 * width), []
    for below, above in zip((n_channels * len(LEVELS), *widths[:-1]), widths, strict=True):
        layers += [
            nn.Conv2d(below, above, 3, 2, 1, bias=False), nn.BatchNorm2d(above), nn.ReLU(inplace=True)
        ]  # fmt: skip
    n_flat = 2 * width * (2 * REACH // 8) ** 2
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(n_flat, 2 * width), nn.ReLU()
    )


class PooledNetModule(nn.Module):
    """Residual convolutions, whose maps are pooled over the whole image, and the shape that its stars share.

    The mean of a map tells what all of the image does; the mean of its highest cells, what a few stars in a
    large and empty frame do. Convolutions of the autocorrelation see what all stars have in common: images
    that blurs, trails or jumps made.

    Parameters
    ----------
    n_channels : int
    widths : sequence of int, default=(12, 24, 32, 48)
        Channels after each halving of the resolution.
    n_convolutions : int, default=2
        Of each level from the second halving on, residual.
    n_top : int, default=8
        How many of the highest cells of a map count.
    n_hidden : int, default=32
        Of the layer that joins what was pooled.
    n_shape : int, default=16
        Channels of the convolutions of the autocorrelation.
    dropout : float, default=0.2
        Of them.

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import PooledNetModule
    >>> module = PooledNetModule(n_channels=1)
    >>> module(torch.zeros(3, 1, 64, 70)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self, n_channels, *, widths=(12, 24, 32, 48), n_convolutions=2, n_top=8,
        n_hidden=32, n_shape=16, dropout=0.2,
    ):  # fmt: skip
        super().__init__()
        self.multiple, self.n_top = 2 ** len(widths), n_top
        self.stem = nn.Conv2d(n_channels, widths[0], 4, 2, 1)
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(below, width, 2, 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                ConvBlock(width, n_convolutions),
            )
            for below, width in zip(widths[:-1], widths[1:], strict=True)
        )
        self.shape = shape_layers(n_channels, n_shape, dropout)
        # of the two coarsest levels: what is wide, and what is wider
        n_pooled = 2 * sum(widths[-2:]) + 2 * n_shape
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
        with torch.no_grad():
            lags = autocorrelation(x)
        shape = self.shape(lags)
        x = torch.relu_(self.stem(x.contiguous(memory_format=torch.channels_last)))
        pooled = [shape]
        for i, level in enumerate(self.levels, start=1):
            x = level(x)
            if i >= len(self.levels) - 1:
                pooled.append(self._pooled(x))
        return self.last(self.joined(torch.cat(pooled, 1)))


class PooledNet(BaseEstimator):
    """Recipe of a `PooledNetModule`: the default network of whole images.

    Parameters
    ----------
    widths : sequence of int, default=(12, 24, 32, 48)
        At least three.
    n_convolutions : int, default=2
    n_top : int, default=8
    n_hidden : int, default=32
    n_shape : int, default=16
    dropout : float, default=0.2
        As in `PooledNetModule`.

    Examples
    --------
    >>> from skastro.segmentation import PooledNet
    >>> PooledNet(widths=(8, 16, 16))(n_channels=1, image_shape=(64, 64)).multiple
    8
    """

    def __init__(
        self, widths=(12, 24, 32, 48), n_convolutions=2, n_top=8, n_hidden=32, n_shape=16, dropout=0.2
    ):  # fmt: skip
        self.widths = widths
        self.n_convolutions = n_convolutions
        self.n_top = n_top
        self.n_hidden = n_hidden
        self.n_shape = n_shape
        self.dropout = dropout

    def __call__(self, n_channels, image_shape=None):
        """Build the network."""
        sizes = {"n_convolutions": self.n_convolutions, "n_top": self.n_top}
        sizes |= {"n_hidden": self.n_hidden, "n_shape": self.n_shape}
        check_sizes(**sizes)
        if len(self.widths) < 3:
            raise ValueError(f"widths={self.widths!r}; expected at least 3 numbers of channels.")
        check_sizes(widths=min(self.widths))
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout!r}; expected from 0 to below 1.")
        return PooledNetModule(n_channels, widths=tuple(self.widths), dropout=self.dropout, **sizes)
