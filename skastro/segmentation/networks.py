"""The default network of pixels: a plain module, usable without skastro, and its recipe.

A recipe is called with `n_channels`, `n_outputs` and `image_shape` and gives a module that takes images
(n, n_channels, h, w) of any size to logits (n, n_outputs, h, w). Its `multiple` and `halo` say how tiles must
be cut so that they give what the whole image gives: corners at multiples of `multiple`, and `halo` pixels
around.
"""

import copy

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["UNet", "UNetModule"]

# Rows of a strip along which columns are averaged, in steps of BLOCK; and columns for rows.
BLOCK, N_BLOCKS = 8, 9
# beyond it, in units of the noise after scaling, a pixel no longer tells of its column
CLIP = 2.0


def _beside(x, distance, axis):
    """A pixel minus the mean of those at a distance on either side, clipped."""
    edges = (distance, distance, 0, 0) if axis == -1 else (0, 0, distance, distance)
    padded, n = functional.pad(x, edges, mode="replicate"), x.shape[axis]
    sides = padded.narrow(axis, 0, n) + padded.narrow(axis, 2 * distance, n)
    return torch.sub(x, sides, alpha=0.5).clamp_(-CLIP, CLIP)


def _strip_mean(x, axis):
    """Means over strips along an axis: what a defect of a column is seen by."""
    step, box, reach = (BLOCK, 1), (N_BLOCKS, 1), (N_BLOCKS // 2, 0)
    if axis == -1:
        step, box, reach = step[::-1], box[::-1], reach[::-1]
    mean = functional.avg_pool2d(x, step, ceil_mode=True, count_include_pad=False)
    mean = functional.avg_pool2d(mean, box, 1, reach, count_include_pad=False)
    return mean.repeat_interleave(BLOCK, axis).narrow(axis, 0, x.shape[axis])


class PixelFeatures(nn.Module):
    """What single pixels, columns and lines tell at full resolution.

    The pixel, its contrast to the mean of 3 x 3, and, for columns and for lines, the mean along a strip of
    the clipped contrast to the neighbours beside, near and far.

    Parameters
    ----------
    n_channels : int
    """

    n_each = 6
    halo = BLOCK * (N_BLOCKS // 2 + 1)

    def __init__(self, n_channels):
        super().__init__()
        self.n_features = self.n_each * n_channels

    def forward(self, x):
        """Features (n, n_features, h, w) of images (n, n_channels, h, w)."""
        ring = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        found = [x, x - functional.avg_pool2d(ring, 3, 1)]
        for across, along in ((-1, -2), (-2, -1)):
            found += [_strip_mean(_beside(x, distance, across), along) for distance in (1, 5)]
        return torch.cat(found, 1)


class ConvBlock(nn.Module):
    """Residual convolutions of 3 x 3 pixels, with a rectifier each."""

    def __init__(self, width, n_convolutions):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(n_convolutions)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(n_convolutions))

    def forward(self, x):
        """Maps of the shape of `x`."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            inner = torch.relu_(norm(convolution(x)))
            # where no gradient is asked for, memory need not be moved again
            x = x + inner if inner.requires_grad else inner.add_(x)
        return x

    def fuse(self):
        """Put the normalisations into the convolutions before them."""
        pairs = zip(self.convolutions, self.norms, strict=True)
        self.convolutions = nn.ModuleList(fuse_conv_bn_eval(*pair) for pair in pairs)
        self.norms = nn.ModuleList(nn.Identity() for _ in self.convolutions)


class UNetModule(nn.Module):
    """Narrow U-net beside a branch that keeps single pixels, columns and lines in sight.

    Parameters
    ----------
    n_channels, n_outputs : int
    widths : sequence of int, default=(16, 24, 32, 48, 64, 96)
        Channels at full resolution and after each halving.
    n_convolutions : int, default=1
        Of each level on the way down, and again on the way up.

    Attributes
    ----------
    multiple : int
        Tiles start at multiples of it.
    halo : int
        Reach of the network, in pixels.

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import UNetModule
    >>> module = UNetModule(n_channels=1, n_outputs=2, widths=(8, 8))
    >>> module(torch.zeros(3, 1, 20, 31)).shape
    torch.Size([3, 2, 20, 31])
    """

    def __init__(self, n_channels, n_outputs, *, widths=(16, 24, 32, 48, 64, 96), n_convolutions=1):
        super().__init__()
        n_levels = len(widths)
        self.multiple = max(2 ** (n_levels - 1), BLOCK)
        self.features = PixelFeatures(n_channels)
        self.stem = nn.Conv2d(self.features.n_features, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            ConvBlock(width, n_convolutions if i else n_convolutions - 1)
            for i, width in enumerate(widths)
        )
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.widen = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.up = nn.ModuleList(ConvBlock(width, n_convolutions) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], n_outputs, 1)
        # reach: of the stem, of the blocks, and of what is within a halving
        blocks = sum(2 * n_convolutions * 2**i for i in range(n_levels))
        self.halo = PixelFeatures.halo + 2 + blocks + 2 ** (n_levels - 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        """Logits (n, n_outputs, h, w) of images (n, n_channels, h, w)."""
        h, w = x.shape[-2:]
        rows, columns = -h % self.multiple, -w % self.multiple
        if rows or columns:
            x = _pad(x, rows, columns)
        x = self.features(x).contiguous(memory_format=torch.channels_last)
        x = self.down[0](torch.relu_(self.stem(x)))
        skips = []
        for halve, level in zip(self.narrow, self.down[1:], strict=True):
            skips.append(x)
            x = level(torch.relu_(halve(x)))
        for i in reversed(range(len(skips))):
            x = functional.interpolate(self.widen[i](x), scale_factor=2, mode="nearest")
            x = self.up[i](torch.relu_(x.add_(skips.pop())))
        return self.head(x)[..., :h, :w]

    def fused(self):
        """A copy for predictions alone, with the normalisations within the convolutions.

        Returns
        -------
        module : UNetModule
        """
        module = copy.deepcopy(self).eval()
        for block in [*module.down, *module.up]:
            block.fuse()
        return module.to(memory_format=torch.channels_last)


def _pad(x, rows, columns):
    """More rows and columns at the end, of the last ones."""
    # torch replicates no more than there is only of reflections: of edges, any number
    return functional.pad(x, (0, columns, 0, rows), mode="replicate")


class UNet(BaseEstimator):
    """Recipe of a `UNetModule`: the default network of pixels.

    A narrow U-net [1]_ whose first level works at full resolution on the pixel, its contrast to its
    neighbours, and means along strips of columns and of lines: what is one pixel or one column wide is lost
    where an image is halved at once.

    Parameters
    ----------
    widths : sequence of int, default=(16, 24, 32, 48, 64, 96)
    n_convolutions : int, default=1
        As in `UNetModule`.

    References
    ----------
    .. [1] Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation",
       MICCAI (2015).

    Examples
    --------
    >>> from skastro.segmentation import UNet
    >>> UNet(widths=(8, 16))(n_channels=1, n_outputs=1, image_shape=(64, 64)).multiple
    8
    """

    def __init__(self, widths=(16, 24, 32, 48, 64, 96), n_convolutions=1):
        self.widths = widths
        self.n_convolutions = n_convolutions

    def __call__(self, n_channels, n_outputs, image_shape=None):
        """Build the network."""
        return UNetModule(
            n_channels, n_outputs, widths=tuple(self.widths), n_convolutions=self.n_convolutions
        )
