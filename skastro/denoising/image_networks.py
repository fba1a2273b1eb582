"""The U-net for images: a plain module from (n, n_channels, h, w) to the same, usable without skastro."""

import math

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from skastro.denoising.image_features import SIGMAS, KernelAverage, PixelFeatures
from skastro.mixed_precision import mixed_products

# Logits of the choices for a unit of the network: choices have to become sharp.
GAIN = 3.0
# Hidden units of the perceptron at full resolution.
N_PIXEL = 32

__all__ = ["GlobalContext", "UNet", "UNetModule"]


class Residual(nn.Module):
    """``x + conv(gelu(conv(x)))``, small at the start."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, width, 3, padding=1)
        _shrink(self.last)

    def forward(self, x):
        return x + self.last(functional.gelu(self.first(x)))


class GlobalContext(nn.Module):
    """Let every place of the field know of every other: a perceptron of the coarse map.

    Parameters
    ----------
    width : int
    grid : tuple (h, w)
        Cells of the coarse map, whatever the size of the image.
    n_units : int
    """

    def __init__(self, width, grid, n_units):
        super().__init__()
        self.grid, self.n_coarse = tuple(grid), min(width, 32)
        size = self.n_coarse * math.prod(grid)
        self.reduce = nn.Conv2d(width, self.n_coarse, 1)
        self.first = nn.Linear(size, n_units)
        self.middle = nn.Linear(n_units, n_units)
        self.last = nn.Linear(n_units, size)
        self.expand = nn.Conv2d(self.n_coarse, width, 1)

    def forward(self, x):
        coarse = functional.adaptive_avg_pool2d(self.reduce(x), self.grid).flatten(1)
        h = functional.gelu(self.first(coarse))
        h = h + functional.gelu(self.middle(h))
        h = self.last(h).unflatten(1, (self.n_coarse, *self.grid))
        if h.shape[2:] != x.shape[2:]:
            h = functional.interpolate(h, x.shape[2:], mode="bilinear")
        return x + self.expand(h)


def _shrink(layer, factor=0.3):
    with torch.no_grad():
        layer.weight *= factor
        layer.bias.zero_()


class UNetModule(nn.Module):
    """The module that `UNet` builds.

    Parameters
    ----------
    n_channels : int
    widths : sequence of int
        Channels of each level, from half the resolution down.
    n_blocks : int
        Residual blocks of each level, on the way down and again on the way up.
    grid : tuple (h, w)
        Cells of the coarse map of the whole field.
    n_context : int
        Units of the perceptron on it; 0: none.
    mixed_precision : bool or "auto"
        bfloat16 products while training; see `UNet`.
    """

    takes_blanks = True

    def __init__(
        self, n_channels, widths, n_blocks=1, grid=(8, 8), n_context=256, mixed_precision=False
    ):
        super().__init__()
        self.mixed_precision = mixed_precision
        self.multiple = 2 ** len(widths)
        self.features = PixelFeatures(n_channels)
        self.average = KernelAverage()
        # for each channel: a rest, the weights of the choices, the weights of the kernels
        self.sizes = (1, 3 + len(SIGMAS), self.average.n_kernels)
        self.n_channels, n_features = n_channels, self.features.n_features
        n_maps = n_channels * sum(self.sizes)

        def blocks(width):
            return nn.Sequential(*(Residual(width) for _ in range(n_blocks)))

        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stem = nn.Conv2d(4 * n_features, widths[0], 3, padding=1)
        self.down = nn.ModuleList(blocks(width) for width in widths)
        self.pool = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.context = nn.Identity()
        if n_context:
            self.context = GlobalContext(widths[-1], grid, n_context)
        self.up = nn.ModuleList(blocks(width) for width in widths)
        self.unpool = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.head = nn.Conv2d(widths[0], 4 * n_maps, 1)
        _shrink(self.head)
        self.pixel = nn.Sequential(
            nn.Conv2d(n_features, N_PIXEL, 1), nn.GELU(), nn.Conv2d(N_PIXEL, n_maps, 1)
        )
        with torch.no_grad():
            # the pixel whatever it is: only where the network has learnt to trust it
            self.pixel[-1].bias.view(n_channels, -1)[:, self.sizes[1]] -= 1.0
        # the layout in which convolutions on a CPU are fastest
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        h, w = x.shape[-2:]
        rows, columns = -h % self.multiple, -w % self.multiple
        if rows or columns:
            # outside the image nothing is seen
            x = functional.pad(x, (0, columns, 0, rows), value=torch.nan)
        features, sound, averages = self.features(x)
        with mixed_products(self, x, self.mixed_precision):
            maps = self._maps(features)
        maps = maps.to(x.dtype).unflatten(1, (self.n_channels, -1))
        rest, choice, kernel = maps.split(self.sizes, dim=2)
        x = torch.where(torch.isnan(x), averages[0], x)
        # the pixel if it is sound, averages of its neighbours, the pixel whatever it is
        choices = [
            torch.where(sound > 0, x, averages[0]),
            self.average(x, sound, GAIN * kernel),
            *averages,
            x,
        ]
        # the last weight, that of 0, leaves all to the rest
        weights = torch.softmax(functional.pad(GAIN * choice, (0, 0, 0, 0, 0, 1)), dim=2)
        out = rest[:, :, 0]
        for i, estimate in enumerate(choices):
            out = out + weights[:, :, i] * estimate
        return out[..., :h, :w]

    def _maps(self, features):
        x = functional.pixel_unshuffle(features, 2)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for level, pool in zip(self.down, self.pool, strict=False):
            x = level(x)
            skips.append(x)
            x = pool(x)
        x = self.up[-1](self.context(self.down[-1](x)))
        for i in reversed(range(len(skips))):
            x = self.up[i](self.unpool[i](x) + skips[i])
        return functional.pixel_shuffle(self.head(x), 2) + self.pixel(features)


class UNet(BaseEstimator):
    """Recipe of a U-net that sees which pixels may be spoilt, and the whole field at its coarsest level.

    Pixels enter in groups of 2 x 2; each level has residual blocks of 3 x 3 convolutions on the way
    down and up. The answer is, for each pixel, a weighted mean of the pixel itself and of averages of its
    unspoilt neighbours, with weights and kernels that the network finds, plus a correction. Any image size.

    Parameters
    ----------
    width : int, default=32
        Channels of the first level; each next one has half as many more.
    n_levels : int, default=3
        Halvings of the image.
    n_blocks : int, default=1
        Residual blocks of each level, on either way.
    n_context : int, default=256
        Units of the perceptron that joins the whole field; 0: none.
    mixed_precision : bool or "auto", default="auto"
        Train with bfloat16 products. "auto": in float32, where the processor has them.

    References
    ----------
    .. [1] Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image
       segmentation", MICCAI (2015).

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising import UNet
    >>> UNet(width=8)(n_channels=1, image_shape=(20, 30))(torch.zeros(2, 1, 20, 30)).shape
    torch.Size([2, 1, 20, 30])
    """

    def __init__(self, width=32, n_levels=3, n_blocks=1, n_context=256, mixed_precision="auto"):
        self.width = width
        self.n_levels = n_levels
        self.n_blocks = n_blocks
        self.n_context = n_context
        self.mixed_precision = mixed_precision

    def __call__(self, n_channels, image_shape):
        """Build the network for images of about the shape (h, w)."""
        for name in ("width", "n_levels", "n_blocks"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected at least 1.")
        widths = [round(self.width * (1 + 0.5 * i)) for i in range(self.n_levels)]
        grid = [max(1, min(8, math.ceil(size / 2**self.n_levels))) for size in image_shape]
        return UNetModule(
            n_channels, widths, self.n_blocks, grid, self.n_context, self.mixed_precision
        )
