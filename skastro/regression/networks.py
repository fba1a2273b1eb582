"""Networks from images or tables to features: plain modules, usable without skastro, and their recipes.

A recipe is called with `n_channels`, `image_shape` and `n_extra` and gives a module; `n_features` of the
module is the length of the features that it gives.
"""

import copy

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["MLP", "MLPModule", "PlainCNN", "PlainCNNModule", "ResNet", "ResNetModule"]


class ResidualBlock(nn.Module):
    """Two convolutions whose sum with the input is the output; at the start, the input itself.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x):
        """Maps of the shape of `x`, (n, width, h, w)."""
        inner = torch.relu_(self.first_norm(self.first(x)))
        return torch.relu_(x + self.second_norm(self.second(inner)))

    def fuse(self):
        """Put the normalisations into the convolutions before them."""
        self.first = fuse_conv_bn_eval(self.first, self.first_norm)
        self.second = fuse_conv_bn_eval(self.second, self.second_norm)
        self.first_norm, self.second_norm = nn.Identity(), nn.Identity()


class CellPooling(nn.Module):
    """Means of maps over `n_cells` x `n_cells` equal parts of the image, of any size.

    Parameters
    ----------
    n_cells : int
    """

    def __init__(self, n_cells):
        super().__init__()
        self.n_cells = n_cells

    def forward(self, x):
        """Means (n, n_channels * n_cells ** 2) of maps (n, n_channels, h, w)."""
        h, w = x.shape[-2:]
        if h % self.n_cells == 0 and w % self.n_cells == 0:
            # the same, and its gradient is faster
            return nn.functional.avg_pool2d(x, (h // self.n_cells, w // self.n_cells)).flatten(1)
        return nn.functional.adaptive_avg_pool2d(x, self.n_cells).flatten(1)


class ResNetModule(nn.Module):
    """Residual network that sees how structure is spread over the image.

    Features of each resolution are averaged over the cells of a coarse grid: what a pixel means depends on
    where it is, and a global mean would forget it. A linear layer compresses each resolution's averages,
    two more layers put them together with the side columns.

    Parameters
    ----------
    n_channels : int
    image_shape : tuple (h, w)
        Not used: any size will do, also after training.
    n_extra : int, default=0
        Side columns.
    stem : sequence of int, default=(8, 16)
        Channels of convolutions of 3 x 3 pixels at full resolution: single pixels tell of faint sources.
    widths : sequence of int, default=(24, 32, 48)
        Channels after each halving of the resolution, with a residual block each.
    n_cells : int, default=8
        Cells along each side of the image. 1: the mean over the whole image.
    n_summary : int, default=96
        Numbers to which the averages of each resolution are compressed.
    n_features : int, default=256
    dropout : float, default=0.0
        Of the last two layers.

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import ResNetModule
    >>> module = ResNetModule(n_channels=5, n_extra=1)
    >>> module(torch.zeros(2, 5, 64, 64), torch.zeros(2, 1)).shape
    torch.Size([2, 256])
    """

    def __init__(
        self, n_channels, image_shape=None, n_extra=0, *, stem=(8, 16), widths=(24, 32, 48), n_cells=8,
        n_summary=96, n_features=256, dropout=0.0,
    ):  # fmt: skip
        super().__init__()
        self.n_features = n_features
        layers, below = [], n_channels
        for width in stem:
            # without normalisation, which costs as much as a convolution where the maps are largest
            layers += [nn.Conv2d(below, width, 3, padding=1), nn.ReLU(inplace=True)]
            below = width
        self.stem = nn.Sequential(*layers)
        self.levels, channels = nn.ModuleList(), [below]
        for width in widths:
            halving = nn.Conv2d(channels[-1], width, 2, 2, bias=False)
            self.levels.append(
                nn.Sequential(
                    halving, nn.BatchNorm2d(width), nn.ReLU(inplace=True), ResidualBlock(width)
                )
            )
            channels.append(width)
        self.pooling = CellPooling(n_cells)
        self.summaries = nn.ModuleList(nn.Linear(n_cells**2 * n, n_summary) for n in channels)
        n_in = n_summary * len(channels) + channels[-1]
        self.mixing = nn.Sequential(
            nn.BatchNorm1d(n_in), nn.Dropout(dropout), nn.Linear(n_in, n_features), nn.ReLU(),
            nn.Dropout(dropout),
        )  # fmt: skip
        self.to(memory_format=torch.channels_last)
        self.side = nn.Linear(n_extra, n_features) if n_extra else None
        self.last = nn.Sequential(nn.Linear(n_features, n_features), nn.ReLU()) if n_extra else None

    def forward(self, x, extra=None):
        """Features (n, n_features) of images (n, n_channels, h, w) and side columns (n, n_extra)."""
        maps = self.stem(x.contiguous(memory_format=torch.channels_last))
        parts = [self.summaries[0](self.pooling(maps))]
        for level, summary in zip(self.levels, self.summaries[1:], strict=True):
            if min(maps.shape[-2:]) < 2:
                # too small to be halved: a pixel is its own average
                maps = nn.functional.interpolate(maps, scale_factor=2)
            maps = level(maps)
            parts.append(summary(self.pooling(maps)))
        features = self.mixing(torch.cat([*parts, maps.mean((2, 3))], 1))
        if self.side is not None:
            features = self.last(features + self.side(extra))
        return features

    def fused(self):
        """A copy for predictions alone: the same features, faster.

        Returns
        -------
        module : ResNetModule
            With the batch normalisations within the convolutions, in evaluation mode.
        """
        module = copy.deepcopy(self).eval()
        for level in module.levels:
            level[0], level[1] = fuse_conv_bn_eval(level[0], level[1]), nn.Identity()
            level[3].fuse()
        return module.to(memory_format=torch.channels_last)


class ResNet(BaseEstimator):
    """Recipe of a `ResNetModule`: the default network of images.

    Parameters
    ----------
    stem : sequence of int, default=(8, 16)
    widths : sequence of int, default=(24, 32, 48)
    n_cells : int, default=8
    n_summary : int, default=96
    n_features : int, default=256
    dropout : float, default=0.0
        As in `ResNetModule`.

    Examples
    --------
    >>> from skastro.regression import ParamRegressor, ResNet
    >>> model = ParamRegressor(network=ResNet(widths=(16, 32)))
    >>> model.set_params(network__n_cells=4).network
    ResNet(n_cells=4, widths=(16, 32))
    """

    def __init__(
        self,
        stem=(8, 16),
        widths=(24, 32, 48),
        n_cells=8,
        n_summary=96,
        n_features=256,
        dropout=0.0,
    ):
        self.stem = stem
        self.widths = widths
        self.n_cells = n_cells
        self.n_summary = n_summary
        self.n_features = n_features
        self.dropout = dropout

    def __call__(self, n_channels, image_shape, n_extra=0):
        return ResNetModule(n_channels, image_shape, n_extra, **self.get_params(deep=False))


class PlainCNNModule(nn.Module):
    """Convolutions, pooling, dense layers: what was usual before residual networks.

    Each level has two convolutions of 3 x 3 pixels with rectifiers and a maximum over 2 x 2 pixels. The
    last maps are flattened: images of one size.

    Parameters
    ----------
    n_channels : int
    image_shape : tuple (h, w)
    n_extra : int, default=0
        Side columns, joined to the flattened maps.
    widths : sequence of int, default=(32, 64, 128)
    n_features : int, default=128
    dropout : float, default=0.0

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import PlainCNNModule
    >>> PlainCNNModule(1, (64, 64))(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 128])
    """

    def __init__(
        self,
        n_channels,
        image_shape,
        n_extra=0,
        *,
        widths=(32, 64, 128),
        n_features=128,
        dropout=0.0,
    ):
        super().__init__()
        self.n_features = n_features
        layers, below, (h, w) = [], n_channels, image_shape
        for width in widths:
            for n_in in (below, width):
                layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.ReLU()]
            if min(h, w) > 1:
                layers.append(nn.MaxPool2d(2))
                h, w = h // 2, w // 2
            below = width
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(below * h * w + n_extra, n_features), nn.ReLU(), nn.Dropout(dropout)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                # nothing normalises inside: with torch's smaller weights the signal dies on its way
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x, extra=None):
        """Features (n, n_features) of images (n, n_channels, h, w) and side columns (n, n_extra)."""
        flat = self.convolutions(x.contiguous(memory_format=torch.channels_last)).flatten(1)
        return self.dense(flat if extra is None else torch.cat([flat, extra], 1))


class PlainCNN(BaseEstimator):
    """Recipe of a `PlainCNNModule`.

    Parameters
    ----------
    widths : sequence of int, default=(32, 64, 128)
    n_features : int, default=128
    dropout : float, default=0.0
        As in `PlainCNNModule`.

    Examples
    --------
    >>> from skastro.regression import PlainCNN
    >>> PlainCNN(widths=(16,))(n_channels=3, image_shape=(16, 16)).n_features
    128
    """

    def __init__(self, widths=(32, 64, 128), n_features=128, dropout=0.0):
        self.widths = widths
        self.n_features = n_features
        self.dropout = dropout

    def __call__(self, n_channels, image_shape, n_extra=0):
        return PlainCNNModule(n_channels, image_shape, n_extra, **self.get_params(deep=False))


class MLPModule(nn.Module):
    """Dense layers, for tables.

    Parameters
    ----------
    n_channels : int
        Columns.
    image_shape : tuple
        Not used.
    n_extra : int, default=0
        Side columns, joined to the others.
    hidden : sequence of int, default=(128, 128)
    dropout : float, default=0.0

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import MLPModule
    >>> MLPModule(9)(torch.zeros(2, 9)).shape
    torch.Size([2, 128])
    """

    def __init__(self, n_channels, image_shape=(), n_extra=0, *, hidden=(128, 128), dropout=0.0):
        super().__init__()
        layers, width = [], n_channels + n_extra
        for size in hidden:
            layers += [nn.Linear(width, size), nn.SiLU(), nn.Dropout(dropout)]
            width = size
        self.layers = nn.Sequential(*layers)
        self.n_features = width

    def forward(self, x, extra=None):
        """Features (n, n_features) of rows (n, n_channels) and side columns (n, n_extra)."""
        x = x.flatten(1)
        return self.layers(x if extra is None else torch.cat([x, extra], 1))


class MLP(BaseEstimator):
    """Recipe of an `MLPModule`: the default network of tables.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 128)
    dropout : float, default=0.0
        As in `MLPModule`.

    Examples
    --------
    >>> from skastro.regression import MLP
    >>> MLP(hidden=(32,))(n_channels=3, image_shape=()).n_features
    32
    """

    def __init__(self, hidden=(128, 128), dropout=0.0):
        self.hidden = hidden
        self.dropout = dropout

    def __call__(self, n_channels, image_shape=(), n_extra=0):
        return MLPModule(n_channels, image_shape, n_extra, **self.get_params(deep=False))
