"""What a network is told of each pixel, and averages over the pixels that are sound."""

import math

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "Filled",
    "KernelAverage",
    "PixelFeatures",
    "fill_blanks",
    "gaussian_kernel",
    "local_average",
]

# Standard deviations of the local averages that the network sees, in pixels.
SIGMAS = (0.7, 1.5)
# Those of `KernelAverage`, cut at a radius.
WIDE, RADIUS = (1.0, 1.5, 2.5), 5


def gaussian_kernel(sigma, radius=None):
    """Two-dimensional kernel of sum 1, cut at `radius`: 2.5 `sigma`, but never within 2 pixels."""
    radius = max(2, math.ceil(2.5 * sigma)) if radius is None else radius
    steps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    row = torch.exp(-0.5 * (steps / sigma).square())
    kernel = row[:, None] * row
    return (kernel / kernel.sum()).to(torch.get_default_dtype())[None, None]


def local_average(images, weight, kernel):
    """Average of the pixels around each, with weights: a normalised convolution.

    Parameters
    ----------
    images : Tensor of shape (n, n_channels, h, w)
        Finite, also where `weight` is 0.
    weight : Tensor of the shape of `images`
    kernel : Tensor of shape (1, 1, k, k)

    Returns
    -------
    average : Tensor of the shape of `images`
        0 where no weight is near.
    """
    n, c, h, w = images.shape
    both = torch.stack([images * weight, weight]).view(2 * n * c, 1, h, w)
    total, norm = functional.conv2d(both, kernel, padding="same").view(2, n, c, h, w)
    return total / (norm + 1e-3)


def fill_blanks(images):
    """Images with blank pixels (NaN) replaced by the average of their neighbours, or by 0 far from any."""
    seen = torch.isfinite(images)
    if seen.all():
        return images
    kernel = gaussian_kernel(1.5).to(images)
    images = torch.where(seen, images, 0.0)
    return torch.where(seen, images, local_average(images, seen.to(images.dtype), kernel))


class Filled(nn.Module):
    """A network that knows nothing of blank pixels, behind `fill_blanks`."""

    takes_blanks = True

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(fill_blanks(x))


class PixelFeatures(nn.Module):
    """What a network should know of each pixel to tell spoilt ones from others.

    Of each channel: the value, and whether it is the lowest or the highest of its image (as masked,
    saturated and hot pixels are), or neither; averages of the neighbours that are neither. The same for
    all its pixels, so that one network can treat many kinds of noise: the fractions of lowest and highest
    pixels, and the rms difference of the others from the average around them. Then the position in the
    field: coordinates from -1 to 1 and their squared distance from the centre.

    Parameters
    ----------
    n_channels : int
    """

    def __init__(self, n_channels):
        super().__init__()
        self.n_features = (7 + len(SIGMAS)) * n_channels + 3
        for i, sigma in enumerate(SIGMAS):
            self.register_buffer(f"kernel_{i}", gaussian_kernel(sigma), persistent=False)

    def forward(self, x):
        """Read images with NaN where blank.

        Returns
        -------
        features : Tensor of shape (n, n_features, h, w)
        sound : Tensor of the shape of `x`
            1 where a pixel is neither blank nor the lowest or highest.
        averages : list of Tensor of the shape of `x`
        """
        seen = torch.isfinite(x)
        low = torch.where(seen, x, torch.inf).amin(dim=(2, 3), keepdim=True)
        high = torch.where(seen, x, -torch.inf).amax(dim=(2, 3), keepdim=True)
        is_low, is_high = x == low, x == high
        sound = (seen & ~is_low & ~is_high).to(x.dtype)
        value = torch.where(sound > 0, x, 0.0)
        averages = [
            local_average(value, sound, getattr(self, f"kernel_{i}")) for i in range(len(SIGMAS))
        ]
        n, _, h, w = x.shape
        row = torch.linspace(-1, 1, h, dtype=x.dtype, device=x.device)[:, None].expand(h, w)
        column = torch.linspace(-1, 1, w, dtype=x.dtype, device=x.device).expand(h, w)
        place = torch.stack([row, column, row.square() + column.square() - 2 / 3])
        marks = [is_low.to(x.dtype), is_high.to(x.dtype), sound]
        n_seen = seen.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        spoilt = [mark.sum(dim=(2, 3), keepdim=True) / n_seen for mark in marks[:2]]
        rough = (sound * (value - averages[-1]).square()).sum(dim=(2, 3), keepdim=True)
        rough = (rough / sound.sum(dim=(2, 3), keepdim=True).clamp_min(1.0)).sqrt()
        overall = [one.expand_as(x) for one in (*spoilt, rough)]
        position = place.expand(n, 3, h, w)
        features = torch.cat([value, *marks, *averages, *overall, position], dim=1)
        return features, sound, averages


class KernelAverage(nn.Module):
    """Average of the sound pixels around each, with a kernel of its own for every pixel.

    The kernel is a sum of fixed ones with positive weights: the 3 x 3 pixels around, and Gaussians of
    standard deviations 1, 1.5 and 2.5 pixels. The sum is divided by what pixels at 1 would give.
    """

    def __init__(self):
        super().__init__()
        size = gaussian_kernel(WIDE[-1], RADIUS).shape[-1]
        single = torch.eye(size**2).view(size, size, size, size)
        near = slice(RADIUS - 1, RADIUS + 2)
        kernels = [single[near, near].reshape(-1, 1, size, size)]
        kernels += [gaussian_kernel(sigma, RADIUS) for sigma in WIDE]
        self.register_buffer("kernels", torch.cat(kernels), persistent=False)
        self.n_kernels = len(self.kernels)

    def forward(self, images, sound, logits):
        """Average the pixels where `sound` is 1.

        Parameters
        ----------
        images, sound : Tensor of shape (n, n_channels, h, w)
        logits : Tensor of shape (n, n_channels, n_kernels, h, w)
            Logarithms of the weights.

        Returns
        -------
        average : Tensor of the shape of `images`
        """
        n, c, h, w = images.shape
        both = torch.cat([images * sound, sound]).view(2 * n * c, 1, h, w)
        both = functional.conv2d(both, self.kernels, padding=RADIUS).view(2, n, c, -1, h, w)
        weights = torch.exp(logits.clamp(-10.0, 10.0))
        total, norm = ((weights * part).sum(dim=2) for part in both)
        return total / (norm + 1e-4)
