"""The U-net as it was first published, at any width."""

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from skastro.segmentation.padding import aligned, check_sizes, reach

__all__ = ["PublishedUNet", "PublishedUNetModule"]


class PublishedUNet(BaseEstimator):
    """Recipe of the U-net of Ronneberger, Fischer & Brox [1]_, narrower.

    At each level two 3 x 3 convolutions with rectifiers; 2 x 2 maximum pools and twice the channels on the
    way down; on the way up 2 x 2 transposed convolutions, joined to the maps of the way down; a 1 x 1
    convolution to one map a class. Other than published, images keep their size: convolutions are padded with
    zeros. ``PublishedUNet(width=64)`` has the published widths. The U-net of the students' study of the
    Galactic Centre may have had other ones: its layers are not public.

    Sides that are not multiples of 16, 2 to the power of the number of levels, are padded with their last
    pixels.

    Parameters
    ----------
    width : int, default=16
        Channels of the first level; 64 as published. Each next one has twice as many.
    n_levels : int, default=4
        Halvings of the image; 4 as published.

    References
    ----------
    .. [1] Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation",
       MICCAI (2015).

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import PublishedUNet
    >>> network = PublishedUNet(width=4, n_levels=2)(1, 3, (20, 30))
    >>> network(torch.zeros(2, 1, 20, 30)).shape
    torch.Size([2, 3, 20, 30])
    >>> network.multiple, network.halo
    (4, 23)
    """

    def __init__(self, width=16, n_levels=4):
        self.width = width
        self.n_levels = n_levels

    def __call__(self, n_channels, n_outputs, image_shape=None):
        """Build the network; `image_shape` is not used, any size will do."""
        return PublishedUNetModule(n_channels, n_outputs, self.width, self.n_levels)


class PublishedUNetModule(nn.Module):
    """The module that `PublishedUNet` builds: images (n, n_channels, h, w) to logits (n, n_outputs, h, w).

    Parameters
    ----------
    n_channels, n_outputs : int
    width, n_levels : int
        As in `PublishedUNet`.

    Attributes
    ----------
    multiple : int
        Where a tile may begin, so that it gives what the whole image does.
    halo : int
        Pixels beside a tile that its logits depend on.

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import PublishedUNetModule
    >>> PublishedUNetModule(1, 3, width=4, n_levels=1)(torch.zeros(1, 1, 7, 5)).shape
    torch.Size([1, 3, 7, 5])
    """

    def __init__(self, n_channels, n_outputs, width=16, n_levels=4):
        super().__init__()
        check_sizes(n_channels=n_channels, n_outputs=n_outputs, width=width, n_levels=n_levels)
        widths = [width * 2**i for i in range(n_levels + 1)]
        self.down = nn.ModuleList(
            _twice(before, after)
            for before, after in zip([n_channels, *widths[:-1]], widths, strict=True)
        )
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(2 * after, after, 2, stride=2) for after in widths[:-1]
        )
        self.up = nn.ModuleList(_twice(2 * after, after) for after in widths[:-1])
        self.head = nn.Conv2d(width, n_outputs, 1)
        self.multiple = 2**n_levels
        self.halo = reach([2] * n_levels, n_bridge=2)
        # the layout in which convolutions on a CPU are fastest
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        """Logits of images without NaN."""
        return aligned(self._logits, x, self.multiple)

    def _logits(self, x):
        maps = []
        for block in self.down[:-1]:
            maps.append(block(x))
            x = functional.max_pool2d(maps[-1], 2)
        x = self.down[-1](x)
        for i in reversed(range(len(maps))):
            x = self.up[i](torch.cat([maps[i], self.rise[i](x)], 1))
        return self.head(x)


def _twice(before, after):
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )
