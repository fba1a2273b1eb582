"""Classical denoisers of images, with the interface of `ImageDenoiser`: what a network must beat."""

from numbers import Integral, Real

import numpy as np
import torch
from scipy import ndimage
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.base import draw_seed
from skastro.denoising.image_base import NOISE_CONSTRAINTS, ImageTransformer
from skastro.images import Normalization, as_tensor

__all__ = [
    "GaussianImageFilter",
    "MedianImageFilter",
    "NormalizedConvolution",
    "TotalVariationFilter",
]


class ImageFilter(ImageTransformer, BaseEstimator):
    """Base of the filters: one strength, chosen by its error on examples, then ``gain * filtered + offset``.

    A child class provides `_candidates`, the strengths that are tried, and `_filter(images, strength)` from
    an array (n, h, w) without NaN to the same; `_corrected` is False where pixels must stay what they are.
    """

    _corrected = True

    _parameter_constraints = {
        "strength": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        **NOISE_CONSTRAINTS,
    }

    def __init__(
        self,
        strength="auto",
        *,
        noise="gaussian",
        noise_strength=None,
        clip="auto",
        normalization="max",
        n_images=256,
        random_state=None,
    ):
        self.strength = strength
        self.noise = noise
        self.noise_strength = noise_strength
        self.clip = clip
        self.normalization = normalization
        self.n_images = n_images
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Choose the strength, the gain and the offset.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Clean images to be corrupted, or noisy ones when `y` is given. With `noise=None`, noisy ones
            alone: the strength must then be given, and nothing is corrected.
        y : array-like of the shape of `X`, optional
            Clean images.

        Returns
        -------
        self : ImageFilter

        Raises
        ------
        ValueError
            Wrong shapes, an unknown noise, `strength="auto"` without anything to choose it on.
        """
        noisy, clean = self._examples(X, y)
        self.strength_, self.gain_, self.offset_ = self.strength, 1.0, 0.0
        if clean is None:
            if self.strength == "auto":
                raise ValueError(
                    "strength='auto' with noisy images alone; expected a number, clean images, or pairs."
                )
            return self
        tried = self._candidates if self.strength == "auto" else [self.strength]
        best = np.inf
        for strength in tried:
            filtered = self._filtered(noisy, strength)
            error, gain, offset = fit_line(filtered, clean)
            if not self._corrected:
                error, gain, offset = np.nanmean((filtered - clean) ** 2), 1.0, 0.0
            if error < best:
                best = error
                self.strength_, self.gain_, self.offset_ = strength, gain, offset
        return self

    def _examples(self, X, y):
        """Normalised noisy images, and clean ones on the same scale or None."""
        seed = draw_seed(self.random_state)
        self.mode_, noisy, clean = self._check_fit(X, y, self._array_dtype)
        first = clean if noisy is None else noisy
        rows = np.sort(np.random.default_rng(seed).permutation(len(first))[: self.n_images])
        noisy, clean = (None if one is None else one[rows] for one in (noisy, clean))
        self.corruption_ = None
        if self.mode_ == "corrupt":
            self.corruption_ = self._make_corruption(clean)
            noisy = self._corrupt(clean, seed)
        norm = Normalization(self.normalization_)
        noisy = as_tensor(noisy)
        scale = norm.scale(noisy)
        if clean is not None:
            clean = norm.forward(as_tensor(clean), scale).numpy()
        return norm.forward(noisy, scale).numpy(), clean

    def _filtered(self, images, strength):
        n, c, h, w = images.shape
        flat = images.reshape(n * c, h, w)
        return self._filter(_filled(flat), strength).reshape(n, c, h, w)

    def _denoise(self, noisy):
        norm = Normalization(self.normalization_)
        scale = norm.scale(noisy)
        z = self._filtered(norm.forward(noisy, scale).numpy(), self.strength_)
        return norm.inverse(self.gain_ * torch.from_numpy(z) + self.offset_, scale)


def fit_line(values, target):
    """Mean squared error, gain and offset of the best ``gain * values + offset``, NaN left out."""
    known = np.isfinite(values) & np.isfinite(target)
    a, b = values[known].astype(np.float64), target[known].astype(np.float64)
    spread = a.var()
    gain = np.mean((a - a.mean()) * (b - b.mean())) / spread if spread > 0 else 0.0
    offset = b.mean() - gain * a.mean()
    return float(np.mean((gain * a + offset - b) ** 2)), float(gain), float(offset)


def _filled(images):
    """Blank pixels replaced by the mean of their image."""
    blank = np.isnan(images)
    if not blank.any():
        return images
    with np.errstate(invalid="ignore"):
        count = np.maximum((~blank).sum(axis=(1, 2), keepdims=True), 1)
        mean = np.nansum(images, axis=(1, 2), keepdims=True) / count
    return np.where(blank, mean, images)


class GaussianImageFilter(ImageFilter):
    """Gaussian kernel.

    Parameters
    ----------
    strength : float or "auto", default="auto"
        Standard deviation of the kernel, in pixels.
    noise, noise_strength, clip, normalization
        With what clean images are corrupted to choose the strength; see `ImageDenoiser`.
    n_images : int, default=256
        Images that the strength is chosen on.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    strength_ : float
    gain_, offset_ : float
        The straight line that corrects what is filtered.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import GaussianImageFilter, corrupt_images
    >>> clean = np.hypot(*np.mgrid[-8:8, -8:8])[None]
    >>> model = GaussianImageFilter(random_state=0).fit(clean)
    >>> noisy = clean.max() * corrupt_images(clean / clean.max(), random_state=1)
    >>> bool(model.score(noisy, clean) > -0.5 * np.mean((noisy - clean) ** 2))
    True
    """

    _candidates = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)

    def _filter(self, images, strength):
        return ndimage.gaussian_filter(images, (0, strength, strength), mode="nearest")


class MedianImageFilter(ImageFilter):
    """Median of the pixels in a square.

    Parameters
    ----------
    strength : int or "auto", default="auto"
        Side of the square, in pixels.
    noise, noise_strength, clip, normalization
        With what clean images are corrupted to choose the strength; see `ImageDenoiser`.
    n_images : int, default=256
        Images that the strength is chosen on.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    strength_ : int
    gain_, offset_ : float
        The straight line that corrects what is filtered.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import MedianImageFilter
    >>> clean = np.hypot(*np.mgrid[-8:8, -8:8])[None]
    >>> MedianImageFilter(noise="salt_and_pepper", random_state=0).fit(clean).strength_
    5
    """

    _parameter_constraints = ImageFilter._parameter_constraints | {
        "strength": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})]
    }
    _candidates = (3, 5, 7, 9, 11)

    def _filter(self, images, strength):
        return ndimage.median_filter(images, (1, strength, strength), mode="nearest")


class TotalVariationFilter(ImageFilter):
    """The image nearest to the noisy one among those of small total variation.

    Minimises the sum of ``(u - x)**2 / 2 + strength * |grad u|`` by projections on the dual [1]_.

    Parameters
    ----------
    strength : float or "auto", default="auto"
        Weight of the total variation, in the unit of normalised images.
    noise, noise_strength, clip, normalization
        With what clean images are corrupted to choose the strength; see `ImageDenoiser`.
    n_images : int, default=256
        Images that the strength is chosen on.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    strength_ : float
    gain_, offset_ : float
        The straight line that corrects what is filtered.

    References
    ----------
    .. [1] Chambolle, "An algorithm for total variation minimization and applications", J. Math. Imaging
       Vision 20, 89 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import TotalVariationFilter
    >>> clean = np.where(np.mgrid[:16, :16][0] < 8, 0.2, 1.0)[None]
    >>> model = TotalVariationFilter(random_state=0).fit(clean)
    >>> bool(model.score(clean) > -0.01)
    True
    """

    _candidates = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)

    def _filter(self, images, strength):
        return total_variation(images, strength)


def total_variation(images, weight, n_iter=100):
    """Total variation denoising of images (n, h, w), as in `TotalVariationFilter`."""
    x = images / np.float32(weight)
    rows, columns = np.zeros_like(x), np.zeros_like(x)
    down, right = np.zeros_like(x), np.zeros_like(x)
    for _ in range(n_iter):
        u = _divergence(rows, columns) - x
        down[:, :-1], right[:, :, :-1] = np.diff(u, axis=1), np.diff(u, axis=2)
        size = 1 + 0.25 * np.hypot(down, right)
        rows, columns = (rows + 0.25 * down) / size, (columns + 0.25 * right) / size
    return images - np.float32(weight) * _divergence(rows, columns)


def _divergence(rows, columns):
    out = rows + columns
    out[:, 1:] -= rows[:, :-1]
    out[:, :, 1:] -= columns[:, :, :-1]
    return out


class NormalizedConvolution(ImageFilter):
    """Spoilt pixels replaced by a Gaussian average of the sound ones; these stay.

    Spoilt are blank pixels, and those that have exactly the lowest or the highest value of their image, as
    after masking or salt and pepper.

    Parameters
    ----------
    strength : float or "auto", default="auto"
        Standard deviation of the kernel, in pixels.
    noise, noise_strength, clip, normalization
        With what clean images are corrupted to choose the strength; see `ImageDenoiser`.
    n_images : int, default=256
        Images that the strength is chosen on.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    strength_ : float

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import NormalizedConvolution
    >>> clean = 1.0 + np.hypot(*np.mgrid[-8:8, -8:8])[None]
    >>> model = NormalizedConvolution(noise="mask", random_state=0).fit(clean)
    >>> bool(model.score(clean) > -0.3)
    True
    """

    _corrected = False
    _candidates = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)

    def _filtered(self, images, strength):
        low = np.nanmin(images, axis=(2, 3), keepdims=True, initial=np.inf)
        high = np.nanmax(images, axis=(2, 3), keepdims=True, initial=-np.inf)
        sound = (images > low) & (images < high)
        values = np.where(sound, images, 0.0)
        sigma = (0, 0, strength, strength)
        total = ndimage.gaussian_filter(values, sigma, mode="constant")
        weight = ndimage.gaussian_filter(sound.astype(images.dtype), sigma, mode="constant")
        middle = values.sum(axis=(2, 3), keepdims=True) / np.maximum(
            sound.sum(axis=(2, 3), keepdims=True), 1
        )
        # where nothing sound is near: the mean of the image
        tiny = 1e-6
        return np.where(sound, images, (total + tiny * middle) / (weight + tiny))
