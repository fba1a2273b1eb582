"""Noises that clean images are spoilt with: batched functions of tensors, drawn from a generator.

Images are (n, n_channels, h, w); NaN (blank) stays NaN. Strengths are numbers, or tensors (n, 1, 1, 1)
with one value an image.
"""

from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skastro.base import draw_seed
from skastro.validation import native

__all__ = [
    "Corruption",
    "add_gaussian_noise",
    "add_poisson_noise",
    "add_salt_and_pepper",
    "corrupt_images",
    "mask_pixels",
]


def add_gaussian_noise(images, strength, generator=None):
    """Add normal noise of standard deviation `strength`."""
    noise = torch.randn(images.shape, generator=generator, dtype=images.dtype, device=images.device)
    return images + strength * noise


def add_poisson_noise(images, strength, generator=None):
    """Count photons of brightness `strength`: ``strength * Poisson(images / strength)``.

    The larger the strength, the fewer the photons and the stronger the noise. Negative values count none.
    """
    blank = torch.isnan(images)
    rate = (torch.where(blank, 0.0, images) / strength).clamp_min(0.0)
    return torch.where(blank, images, strength * torch.poisson(rate, generator=generator))


def mask_pixels(images, strength, generator=None):
    """Set each pixel, in all its channels, to 0 with probability `strength`."""
    hit = _uniform(images, generator) < strength
    return torch.where(hit & ~torch.isnan(images), 0.0, images)


def add_salt_and_pepper(images, strength, generator=None):
    """Set each pixel, with probability `strength`, to the lowest or the highest value of the batch.

    Either has probability 1/2; all channels of a pixel go together.
    """
    blank = torch.isnan(images)
    if blank.all():
        return images
    low = torch.where(blank, torch.inf, images).amin()
    high = torch.where(blank, -torch.inf, images).amax()
    draw = _uniform(images, generator)
    extreme = torch.where(draw < 0.5 * strength, low, high)
    return torch.where((draw < strength) & ~blank, extreme, images)


def _uniform(images, generator):
    shape = (len(images), 1, *images.shape[2:])
    return torch.rand(shape, generator=generator, dtype=images.dtype, device=images.device)


# Function, default strength, and the interval of strengths that make sense.
NOISES = {
    "gaussian": (add_gaussian_noise, 0.2, (0.0, np.inf)),
    "mask": (mask_pixels, 0.5, (0.0, 1.0)),
    "poisson": (add_poisson_noise, 1.0, (0.0, np.inf)),
    "salt_and_pepper": (add_salt_and_pepper, 0.5, (0.0, 1.0)),
}


class Corruption(BaseEstimator):
    """A noise model, or several, one of which is drawn for each image.

    Parameters
    ----------
    noise : str, callable, or list of them, default="gaussian"
        "gaussian", "poisson", "mask", "salt_and_pepper", or a function of (images, generator): a tensor of
        shape (n, n_channels, h, w) and a `torch.Generator` on its device. A list: each image gets one of
        them, all equally probable.
    strength : float, tuple (low, high), None, or list of them, default=None
        Standard deviation ("gaussian"), brightness of a photon ("poisson"), or fraction of spoilt pixels
        ("mask", "salt_and_pepper"), in the unit of the images. A tuple: drawn for each image, uniformly
        between the two. None: 0.2, 1, 0.5, 0.5. A list goes with a list of noises.
    clip : tuple (low, high) or None, default=None
        The range that corrupted images of named noises are cut to.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.corruption import Corruption
    >>> noise = Corruption(["gaussian", "mask"], [0.1, (0.2, 0.6)])
    >>> images = torch.ones(8, 1, 16, 16)
    >>> noisy = noise(images, torch.Generator().manual_seed(0))
    >>> noisy.shape
    torch.Size([8, 1, 16, 16])
    """

    def __init__(self, noise="gaussian", strength=None, clip=None):
        self.noise = noise
        self.strength = strength
        self.clip = clip

    def check(self):
        """Pair each noise with its strength.

        Returns
        -------
        pairs : list of tuple (name or callable, strength)

        Raises
        ------
        ValueError
            Unknown noise, strength out of its range, lists of different lengths.
        """
        several = isinstance(self.noise, (list, tuple))
        noises = list(self.noise) if several else [self.noise]
        strengths = self.strength if isinstance(self.strength, list) else [self.strength]
        if not isinstance(self.strength, list):
            strengths = strengths * len(noises)
        if not noises:
            raise ValueError(f"noise is empty; expected some of {sorted(NOISES)}, or callables.")
        if len(strengths) != len(noises):
            raise ValueError(
                f"noise_strength has {len(strengths)} value(s) for {len(noises)} noise(s); expected one "
                "for each."
            )
        if self.clip is not None:
            low, high = self.clip
            if not low < high:
                raise ValueError(f"clip={self.clip!r}; expected (low, high) with low < high.")
        return [self._check_one(*pair) for pair in zip(noises, strengths, strict=True)]

    @staticmethod
    def _check_one(noise, strength):
        if callable(noise):
            if strength is not None:
                raise ValueError(
                    f"noise_strength={strength!r} with a callable noise; expected None: the callable "
                    "knows its own."
                )
            return noise, None
        if noise not in NOISES:
            raise ValueError(f"noise={noise!r}; expected one of {sorted(NOISES)} or a callable.")
        _, default, (least, most) = NOISES[noise]
        if strength is None:
            return noise, default
        ends = strength if isinstance(strength, tuple) else (strength, strength)
        ok = len(ends) == 2 and all(isinstance(one, Real) for one in ends)
        if not (ok and least < ends[1] <= most and least <= ends[0] <= ends[1]):
            raise ValueError(
                f"noise_strength={strength!r} for {noise!r}; expected a number above {least:g}"
                + (f" and at most {most:g}" if np.isfinite(most) else "")
                + ", or (low, high) of such."
            )
        return noise, strength

    def __call__(self, images, generator=None):
        """Corrupted copy of a batch of images (n, n_channels, h, w)."""
        pairs = self.check()
        if len(pairs) == 1:
            return self._corrupt(images, *pairs[0], generator)
        which = torch.randint(len(pairs), (len(images),), generator=generator, device=images.device)
        out = torch.empty_like(images)
        for i, pair in enumerate(pairs):
            rows = torch.nonzero(which == i)[:, 0]
            if len(rows):
                out[rows] = self._corrupt(images[rows], *pair, generator)
        return out

    def _corrupt(self, images, noise, strength, generator):
        if callable(noise):
            # it may write into what it is given
            out = noise(images.clone(), generator)
            if getattr(out, "shape", None) != images.shape:
                raise ValueError(
                    f"noise returned {getattr(out, 'shape', type(out).__name__)}; expected a tensor of "
                    f"shape {tuple(images.shape)}, that of the images."
                )
            return out
        if isinstance(strength, tuple):
            low, high = strength
            draw = torch.rand(
                (len(images), 1, 1, 1),
                generator=generator,
                dtype=images.dtype,
                device=images.device,
            )
            # a photon of no brightness cannot be counted
            strength = (low + (high - low) * draw).clamp_min(1e-6)
        out = NOISES[noise][0](images, strength, generator)
        return out if self.clip is None else out.clamp(*self.clip)


def corrupt_images(images, noise="gaussian", strength=None, *, clip=None, random_state=None):
    """Spoil images, as `ImageDenoiser` does while it trains: for test sets.

    Parameters
    ----------
    images : array-like of shape (n, h, w) or (n, n_channels, h, w)
        NaN stays NaN.
    noise, strength, clip
        As in `Corruption`. Salt and pepper take the lowest and the highest value of all `images`.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    noisy : ndarray of the shape of `images`
        float32, or float64 where the images are.

    Raises
    ------
    ValueError
        Images of another dimension, or what `Corruption` refuses.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import corrupt_images
    >>> noisy = corrupt_images(np.ones((2, 8, 8)), "mask", 0.25, random_state=0)
    >>> sorted({float(value) for value in noisy.ravel()})
    [0.0, 1.0]
    """
    images = native(images)
    if images.ndim not in (3, 4):
        raise ValueError(
            f"images has shape {images.shape}; expected (n, h, w) or (n, n_channels, h, w)."
        )
    dtype = np.float64 if images.dtype == np.float64 else np.float32
    tensor = torch.from_numpy(np.array(images, dtype=dtype))
    generator = torch.Generator().manual_seed(draw_seed(random_state))
    tensor = tensor[:, None] if images.ndim == 3 else tensor
    noisy = Corruption(noise, strength, clip)(tensor, generator)
    return noisy.reshape(images.shape).numpy()
