"""The inception network of photometric redshifts, layer by layer as published."""

import torch
from sklearn.base import BaseEstimator
from torch import nn

__all__ = ["Inception", "InceptionModule"]

# where biases begin
BIAS = 0.1


def _start(layer):
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, BIAS)
    return layer


def _convolution(n_in, n_out, size):
    convolution = _start(nn.Conv2d(n_in, n_out, size, padding=size // 2))
    return nn.Sequential(convolution, nn.PReLU(n_out, init=0.0))


class InceptionBlock(nn.Module):
    """Four branches side by side: 1 x 1, 3 x 3 and 5 x 5 convolutions, and an average over 2 x 2 pixels.

    Parameters
    ----------
    n_in : int
        Channels.
    n_narrow, n_wide : int
        Channels before and after the larger convolutions.
    with_five : bool, default=True
        Whether the branch of 5 x 5 pixels is there.
    """

    def __init__(self, n_in, n_narrow, n_wide, with_five=True):
        super().__init__()
        branches = [_convolution(n_in, n_wide, 1)]
        for size in (5, 3) if with_five else (3,):
            branches.append(
                nn.Sequential(_convolution(n_in, n_narrow, 1), _convolution(n_narrow, n_wide, size))
            )
        self.branches = nn.ModuleList(branches)
        self.pooled = _convolution(n_in, n_narrow, 1)
        self.n_out = n_wide * len(branches) + n_narrow

    def forward(self, x):
        """Maps (n, n_out, h, w) of maps (n, n_in, h, w)."""
        pooled = self.pooled(x)
        # as the published code pads, after the last row and column, which count only what is there
        pooled = nn.functional.pad(pooled, (0, 1, 0, 1))
        ones = nn.functional.pad(torch.ones_like(x[:1, :1]), (0, 1, 0, 1))
        pooled, ones = (nn.functional.avg_pool2d(one, 2, 1) for one in (pooled, ones))
        return torch.cat([branch(x) for branch in self.branches] + [pooled / ones], 1)


class InceptionModule(nn.Module):
    """The network of Pasquet et al. [1]_: five inception blocks and two dense layers.

    Parameters
    ----------
    n_channels : int
        5 as published: ugriz.
    image_shape : tuple (h, w)
        (64, 64) as published.
    n_extra : int, default=0
        Side columns, joined to the flattened maps: 1 as published, the Galactic reddening.
    n_features : int, default=1096
        Width of the dense layers.

    References
    ----------
    .. [1] Pasquet, Bertin, Treyer, Arnouts & Fouchez, "Photometric redshifts from SDSS images using a
       convolutional neural network", A&A 621, A26 (2019).

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import InceptionModule
    >>> module = InceptionModule(5, (16, 16), n_extra=1)
    >>> module(torch.zeros(2, 5, 16, 16), torch.zeros(2, 1)).shape
    torch.Size([2, 1096])
    """

    def __init__(self, n_channels, image_shape, n_extra=0, *, n_features=1096):
        super().__init__()
        if min(image_shape) < 8:
            raise ValueError(f"image_shape={image_shape}; expected at least 8 pixels a side.")
        self.n_features = n_features
        blocks = [_convolution(n_channels, 64, 5), nn.AvgPool2d(2, ceil_mode=True)]
        n_in = 64
        for narrow, wide, halved in (
            (48, 64, False), (64, 92, True), (92, 128, False), (92, 128, True),
        ):  # fmt: skip
            block = InceptionBlock(n_in, narrow, wide)
            blocks.append(block)
            n_in = block.n_out
            if halved:
                blocks.append(nn.AvgPool2d(2, ceil_mode=True))
        block = InceptionBlock(n_in, 92, 128, with_five=False)
        self.blocks = nn.Sequential(*blocks, block)
        h, w = (-(-size // 8) for size in image_shape)
        self.dense = nn.Sequential(
            _start(nn.Linear(block.n_out * h * w + n_extra, n_features)),
            nn.ReLU(),
            _start(nn.Linear(n_features, n_features)),
            nn.ReLU(),
        )

    def forward(self, x, extra=None):
        """Features (n, n_features) of images (n, n_channels, h, w) and side columns (n, n_extra)."""
        flat = self.blocks(x).flatten(1)
        return self.dense(flat if extra is None else torch.cat([flat, extra], 1))


class Inception(BaseEstimator):
    """Recipe of an `InceptionModule`.

    Parameters
    ----------
    n_features : int, default=1096
        Width of the dense layers.

    Examples
    --------
    >>> from skastro.regression import Inception
    >>> Inception()(n_channels=5, image_shape=(16, 16), n_extra=1).n_features
    1096
    """

    def __init__(self, n_features=1096):
        self.n_features = n_features

    def __call__(self, n_channels, image_shape, n_extra=0):
        return InceptionModule(n_channels, image_shape, n_extra, n_features=self.n_features)
