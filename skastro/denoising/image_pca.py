"""The linear code: principal components of clean images, and the best linear guess of them."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.extmath import randomized_svd

from skastro.base import draw_seed
from skastro.denoising.image_base import NOISE_CONSTRAINTS, ImageTransformer
from skastro.images import Normalization, as_tensor

__all__ = ["PCAImageDenoiser"]


class PCAImageDenoiser(ImageTransformer, BaseEstimator):
    """Principal components of clean images, of which a linear map guesses the clean ones from the noisy ones.

    The best that a linear encoder and decoder with so many numbers between can do.

    Parameters
    ----------
    n_components : int, default=100
        At most as many as images, and pixels.
    noise, noise_strength, clip, normalization
        With what clean images are corrupted; see `ImageDenoiser`.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_channels * h * w)
    mean_, noisy_mean_ : ndarray of shape (n_channels * h * w,)
        Of the clean and of the noisy images, normalised.
    code_ : ndarray of shape (n_components, n_components)
        From the components of a noisy image to those of the clean one.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import PCAImageDenoiser
    >>> amplitude = np.random.default_rng(0).uniform(0, 1, (50, 1, 1))
    >>> clean = amplitude * np.hypot(*np.mgrid[:16, :16])
    >>> model = PCAImageDenoiser(1, normalization=None, clip=None, random_state=0).fit(clean)
    >>> bool(model.score(clean) > -0.01)
    True
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        **NOISE_CONSTRAINTS,
    }

    def __init__(
        self,
        n_components=100,
        *,
        noise="gaussian",
        noise_strength=None,
        clip="auto",
        normalization="max",
        random_state=None,
    ):
        self.n_components = n_components
        self.noise = noise
        self.noise_strength = noise_strength
        self.clip = clip
        self.normalization = normalization
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the components, and the map between noisy and clean ones.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Clean images to be corrupted, or noisy ones when `y` is given. With `noise=None`: noisy ones
            alone, of which the components are kept as they are.
        y : array-like of the shape of `X`, optional
            Clean images.

        Returns
        -------
        self : PCAImageDenoiser

        Raises
        ------
        ValueError
            Wrong shapes, an unknown noise, more components than images or pixels.
        """
        seed = draw_seed(self.random_state)
        self.mode_, noisy, clean = self._check_fit(X, y, self._array_dtype)
        self.corruption_ = None
        if self.mode_ == "corrupt":
            self.corruption_ = self._make_corruption(clean)
            noisy = self._corrupt(clean, seed)
        elif clean is None:
            clean = noisy
        norm = Normalization(self.normalization_)
        noisy, clean = as_tensor(noisy), as_tensor(clean)
        scale = norm.scale(noisy)
        noisy, clean = (norm.forward(one, scale).flatten(1).numpy() for one in (noisy, clean))
        most = min(clean.shape)
        if self.n_components > most:
            raise ValueError(
                f"n_components={self.n_components} for {clean.shape[0]} images of {clean.shape[1]} pixels; "
                f"expected at most {most}."
            )
        self.mean_, self.noisy_mean_ = _mean(clean), _mean(noisy)
        clean = np.where(np.isnan(clean), self.mean_, clean) - self.mean_
        noisy = np.where(np.isnan(noisy), self.noisy_mean_, noisy) - self.noisy_mean_
        _, _, self.components_ = randomized_svd(
            clean, self.n_components, n_iter=4, random_state=np.random.RandomState(seed)
        )
        codes = noisy @ self.components_.T
        self.code_ = np.linalg.lstsq(codes, clean @ self.components_.T, rcond=None)[0]
        return self

    def _denoise(self, noisy):
        if tuple(noisy.shape[2:]) != tuple(self.image_shape_):
            raise ValueError(
                f"X has images of {tuple(noisy.shape[2:])} pixels; expected {self.image_shape_}, as in fit."
            )
        norm = Normalization(self.normalization_)
        scale = norm.scale(noisy)
        flat = norm.forward(noisy, scale).flatten(1).numpy()
        flat = np.where(np.isnan(flat), self.noisy_mean_, flat) - self.noisy_mean_
        clean = flat @ self.components_.T @ self.code_ @ self.components_ + self.mean_
        return norm.inverse(as_tensor(clean).view(noisy.shape), scale)


def _mean(images):
    """Mean image; a pixel blank in all images has the mean of the others."""
    count = np.isfinite(images).sum(axis=0)
    mean = np.nansum(images, axis=0) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nanmean(images)).astype(images.dtype)
