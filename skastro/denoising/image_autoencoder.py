"""The autoencoder of the published images: a few numbers for an image, and the image from them."""

import math

from sklearn.base import BaseEstimator
from torch import nn

__all__ = ["AutoencoderModule", "PublishedAutoencoder"]


class PublishedAutoencoder(BaseEstimator):
    """Recipe of the convolutional autoencoder that reduces an image to a few numbers.

    Four convolutions of 3 x 3 with stride 2 and 16, 32, 64, 128 channels, a dense layer to `latent_size`
    numbers, and the mirror image back, with rectifiers between. Images of one size.

    Parameters
    ----------
    latent_size : int, default=6
        One for each parameter of the simulator that the published images came from.
    widths : tuple of int, default=(16, 32, 64, 128)
        Channels of the convolutions.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising import PublishedAutoencoder
    >>> network = PublishedAutoencoder()(n_channels=1, image_shape=(64, 64))
    >>> network.encoder(torch.zeros(5, 1, 64, 64)).shape
    torch.Size([5, 6])
    """

    def __init__(self, latent_size=6, widths=(16, 32, 64, 128)):
        self.latent_size = latent_size
        self.widths = widths

    def __call__(self, n_channels, image_shape):
        """Build the network for images of the shape (h, w)."""
        return AutoencoderModule(n_channels, image_shape, self.latent_size, self.widths)


class AutoencoderModule(nn.Module):
    """The module that `PublishedAutoencoder` builds: `encoder`, then `decoder`."""

    def __init__(self, n_channels, image_shape, latent_size, widths):
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.padded = [math.ceil(size / 2 ** len(widths)) for size in image_shape]
        flat = widths[-1] * math.prod(self.padded)
        sizes = [n_channels, *widths]
        encoder, decoder = [], [nn.Linear(latent_size, flat), nn.ReLU()]
        decoder.append(nn.Unflatten(1, (widths[-1], *self.padded)))
        for a, b in zip(sizes[:-1], sizes[1:], strict=True):
            encoder += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()]
        for a, b in zip(sizes[:0:-1], sizes[-2::-1], strict=True):
            decoder += [nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1)]
            decoder += [nn.ReLU()]
        self.encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Linear(flat, latent_size))
        self.decoder = nn.Sequential(*decoder[:-1])

    def forward(self, x):
        h, w = self.image_shape
        if x.shape[-2:] != self.image_shape:
            raise ValueError(
                f"X has images of {tuple(x.shape[-2:])} pixels; expected {self.image_shape}, as in fit: the "
                "autoencoder takes one size."
            )
        return self.decoder(self.encoder(x))[..., :h, :w]
