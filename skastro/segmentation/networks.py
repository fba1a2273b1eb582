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

from skastro.mixed_precision import mixed_products
from skastro.segmentation.padding import aligned, check_sizes

__all__ = ["UNet", "UNetModule"]

# Rows of a strip along which columns are averaged, in steps of BLOCK; and columns for rows.
BLOCK, N_BLOCKS = 8, 9
# beyond it, in units of the noise after scaling, a pixel no longer tells of its column
CLIP = 2.0
# Pixels of the first blocks of coarse features: the level of the third halving; what stars are clipped at.
FIRST = 8
COARSE_CLIP = 4.0


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


class CoarseFeatures(nn.Module):
    """What the sky does at scales of `FIRST` pixels and more: means and extremes of clipped pixels in blocks.

    A minimum of means tells of the background between stars, a maximum of what is wide and bright.
    """

    n_each = 3

    def forward(self, x):
        """Features of each level from `FIRST` pixels on, without end."""
        mean = functional.avg_pool2d(x.clamp(-COARSE_CLIP, COARSE_CLIP), FIRST)
        low, high = mean, mean
        while True:
            yield torch.cat([mean, low, high], 1)
            mean = functional.avg_pool2d(mean, 2)
            low, high = -functional.max_pool2d(-low, 2), functional.max_pool2d(high, 2)


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
            inner = convolution(x)
            if norm.training and inner[:, 0].numel() == 1:
                # of a single value there is no variance: the running one
                inner = functional.batch_norm(
                    inner, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
                )
            else:
                inner = norm(inner)
            inner = torch.relu_(inner)
            # where no gradient is asked for, memory need not be moved again
            x = x + inner if inner.requires_grad else inner.add_(x)
        return x

    def fuse(self):
        """Put the normalisations into the convolutions before them."""
        pairs = zip(self.convolutions, self.norms, strict=True)
        self.convolutions = nn.ModuleList(fuse_conv_bn_eval(*pair) for pair in pairs)
        self.norms = nn.ModuleList(nn.Identity() for _ in self.convolutions)


class _Area:
    """What the way up needs of each level, along an axis, for a part of the image.

    Parameters
    ----------
    skips : list of Tensor
        Maps of each level.
    blocks : sequence of ConvBlock
        Of each level on the way up.
    axis : int
    part : slice
    """

    def __init__(self, skips, blocks, axis, part):
        self.axis, self.part, self.needed = axis, part, []
        low, high = part.start, part.stop
        for skip, block in zip(skips, blocks, strict=True):
            n = len(block.convolutions)
            low, high = max(0, low - n), min(skip.shape[axis], high + n)
            self.needed.append((low, high))
            low, high = low // 2, -(-high // 2)

    def _cut(self, x, start, stop, origin=0):
        return x.narrow(self.axis, start - origin, stop - start)

    def above(self, skip, i):
        """Of the maps of the way down."""
        return self._cut(skip, *self.needed[i])

    def below(self, x, i):
        """Of the maps of the next level, which is whole if it is the last."""
        low, high = self.needed[i]
        origin = self.needed[i + 1][0] if i + 1 < len(self.needed) else 0
        return self._cut(x, low // 2, -(-high // 2), origin)

    def doubled(self, x, i):
        """Of those, after their doubling."""
        low, high = self.needed[i]
        return self._cut(x, low, high, low // 2 * 2)

    def wanted(self, x):
        """Of what leaves the first level."""
        return self._cut(
            x, self.part.start, self.part.stop, self.needed[0][0] if self.needed else 0
        )


class UNetModule(nn.Module):
    """Narrow U-net beside a branch that keeps single pixels, columns and lines in sight.

    Parameters
    ----------
    n_channels, n_outputs : int
    widths : sequence of int, default=(16, 32, 48, 64, 96, 128)
        Channels at full resolution and after each halving.
    n_convolutions : int, default=1
        Of each level on the way down, and again on the way up.
    n_coarse : int, default=2
        Of each level from the third halving on.
    mixed_precision : bool or "auto", default="auto"
        Train with bfloat16 products. "auto": in float32, where the processor has them.

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

    def __init__(
        self,
        n_channels,
        n_outputs,
        *,
        widths=(16, 32, 48, 64, 96, 128),
        n_convolutions=1,
        n_coarse=2,
        mixed_precision="auto",
    ):
        super().__init__()
        self.mixed_precision = mixed_precision
        n_levels = len(widths)
        self.multiple = max(2 ** (n_levels - 1), BLOCK)
        self.features = PixelFeatures(n_channels)
        self.coarse = CoarseFeatures()
        self.stem = nn.Conv2d(self.features.n_features, widths[0], 3, padding=1)
        blocks = [n_coarse if 2**i >= FIRST else n_convolutions for i in range(n_levels)]
        # the stem is a convolution of full resolution already
        down = [n_convolutions - 1, *blocks[1:]]
        self.down = nn.ModuleList(ConvBlock(*pair) for pair in zip(widths, down, strict=True))
        extra = [self.coarse.n_each * n_channels if 2**i >= FIRST else 0 for i in range(n_levels)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.join = nn.ModuleList(
            nn.Conv2d(n, width, 1) if n else nn.Identity()
            for n, width in zip(extra, widths, strict=True)
        )
        self.widen = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.up = nn.ModuleList(
            ConvBlock(*pair) for pair in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], n_outputs, 1)
        # reach: of the features and the stem, of the blocks, and of what is within a halving
        both = [a + b for a, b in zip(down, [*blocks[:-1], 0], strict=True)]
        reach = sum(n * 2**i for i, n in enumerate(both))
        self.halo = PixelFeatures.halo + 2 + reach + 2 ** (n_levels - 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        """Logits (n, n_outputs, h, w) of images (n, n_channels, h, w)."""
        return aligned(self._logits, x, self.multiple)

    def part(self, x, rows, columns):
        """Logits of a part of images, as `forward` gives them there, in less time and memory.

        The way down is that of the whole, which the part depends on; the way up is its own.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, h, w)
        rows, columns : slice
            From a start to a stop within the images.

        Returns
        -------
        logits : Tensor of shape (n, n_outputs, rows.stop - rows.start, columns.stop - columns.start)
        """
        return aligned(lambda image: self._logits(image, rows, columns), x, self.multiple)

    def _logits(self, image, rows=None, columns=None):
        with mixed_products(self, image, self.mixed_precision):
            x = self._maps(image, rows, columns)
        # exact to the last: small probabilities are differences of large logits
        return self.head(x.to(image.dtype))

    def _maps(self, image, rows, columns):
        x = self.features(image).contiguous(memory_format=torch.channels_last)
        x = self.down[0](torch.relu_(self.stem(x)))
        skips, coarse = [], self.coarse(image)
        for i, narrow in enumerate(self.narrow, start=1):
            skips.append(x)
            x = narrow(x)
            if 2**i >= FIRST:
                x = x + self.join[i](next(coarse))
            x = self.down[i](torch.relu_(x))
        areas = [
            _Area(skips, self.up, axis, one) for axis, one in ((-2, rows), (-1, columns)) if one
        ]
        for i in reversed(range(len(skips))):
            skip = skips.pop()
            for area in areas:
                x, skip = area.below(x, i), area.above(skip, i)
            x = functional.interpolate(self.widen[i](x), scale_factor=2, mode="nearest")
            for area in areas:
                x = area.doubled(x, i)
            x = self.up[i](torch.relu_(x.add_(skip)))
        for area in areas:
            x = area.wanted(x)
        return x

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


class UNet(BaseEstimator):
    """Recipe of a `UNetModule`: the default network of pixels.

    A narrow U-net [1]_ whose first level works at full resolution on the pixel, its contrast to its
    neighbours, and means along strips of columns and of lines: what is one pixel or one column wide is lost
    where an image is halved at once.

    Parameters
    ----------
    widths : sequence of int, default=(16, 32, 48, 64, 96, 128)
    n_convolutions : int, default=1
    n_coarse : int, default=2
    mixed_precision : bool or "auto", default="auto"
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

    def __init__(
        self, widths=(16, 32, 48, 64, 96, 128), n_convolutions=1, n_coarse=2, mixed_precision="auto"
    ):
        self.widths = widths
        self.n_convolutions = n_convolutions
        self.n_coarse = n_coarse
        self.mixed_precision = mixed_precision

    def __call__(self, n_channels, n_outputs, image_shape=None):
        """Build the network."""
        if not len(self.widths):
            raise ValueError(f"widths={self.widths!r}; expected at least one number of channels.")
        check_sizes(
            widths=min(self.widths), n_convolutions=self.n_convolutions, n_coarse=self.n_coarse
        )
        return UNetModule(
            n_channels, n_outputs, widths=tuple(self.widths), n_convolutions=self.n_convolutions,
            n_coarse=self.n_coarse, mixed_precision=self.mixed_precision,
        )  # fmt: skip
