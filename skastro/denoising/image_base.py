"""What every denoiser of images does: check, normalise, denoise in blocks, give back what came in."""

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.denoising.corruption import Corruption
from skastro.images import Normalization, as_tensor, check_images

__all__ = ["NOISE_CONSTRAINTS", "ImageTransformer"]

NOISE_CONSTRAINTS = {
    "noise": [str, callable, list, tuple, None],
    "noise_strength": "no_validation",
    "clip": [StrOptions({"auto"}), tuple, list, None],
    "normalization": [StrOptions({"max", "asinh", "sigma"}), None],
}


class ImageTransformer(TransformerMixin):
    """Base of the transformers of images: (n, h, w) or (n, n_channels, h, w), NaN where blank.

    A child class has the parameters `noise`, `noise_strength`, `clip` and `normalization`, calls
    `_check_fit` in `fit`, and provides `_denoise(noisy)`: from a tensor of images in the user's unit to
    their estimate in that unit.
    """

    # working memory of `_denoise`, in numbers for each number of the input
    _overhead = 16
    _array_dtype = np.float32

    def _check_fit(self, X, y, dtype, anew=True):
        """Check the images and find out what kind of training they allow.

        Returns
        -------
        mode : {"corrupt", "pairs", "self_supervised"}
        noisy, clean : ndarray of shape (n, n_channels, h, w) or None
            Of `X` in the user's unit: the clean ones to be corrupted, the noisy ones, or both.
        """
        n_channels = None if anew else self.n_channels_in_
        unit = None if anew else self.input_unit_
        images, info = check_images(X, dtype=dtype, n_channels=n_channels, unit=unit)
        if not np.isfinite(images).any():
            raise ValueError("X has no finite pixel; expected images that are not all blank.")
        if anew:
            self.input_unit_ = None if info.unit is None else info.unit.to_string()
            self.normalization_ = self.normalization
            self.n_channels_in_, self.image_shape_ = images.shape[1], images.shape[2:]
        target = None
        # a table beside images is the target of a later step of a pipeline
        if y is not None and np.ndim(y) > 2:
            target, _ = check_images(y, "y", dtype=dtype, unit=self.input_unit_)
            if target.shape != images.shape:
                raise ValueError(
                    f"y has shape {np.shape(y)}; expected {np.shape(X)}, that of X: clean images for "
                    "noisy ones."
                )
        if target is not None:
            return "pairs", images, target
        if self.noise is None or getattr(self, "self_supervised", False):
            return "self_supervised", images, None
        return "corrupt", None, images

    def _make_corruption(self, images):
        """The noise model, for clean images in the user's unit."""
        clip = self.clip
        if isinstance(clip, str):
            norm = Normalization(self.normalization_)
            clean = as_tensor(images)
            clean = norm.linear(clean, norm.scale(clean)).numpy()
            # to within rounding, which can lift a pixel divided by its own maximum above 1
            inside = np.nanmin(clean) >= 0.0 and np.nanmax(clean) <= 1.0 + 1e-6
            clip = (0.0, 1.0) if inside else None
        corruption = Corruption(self.noise, self.noise_strength, clip)
        corruption.check()
        return corruption

    def _corrupt(self, images, seed=0):
        """Noisy copy of clean images, arrays in the user's unit, with the noise of the fit."""
        norm = Normalization(self.normalization_)
        clean = as_tensor(images)
        center, scale = norm.scale(clean)
        generator = torch.Generator().manual_seed(seed)
        noisy = self.corruption_(norm.linear(clean, (center, scale)), generator)
        return (noisy * scale + center).numpy()

    def transform(self, X):
        """Denoise images.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Noisy images in the user's unit, NaN where blank.

        Returns
        -------
        images : ndarray of the shape of `X`
            In the unit of `X`; float64 where `X` was, else float32. Blank pixels stay blank.

        Raises
        ------
        ValueError
            Another number of channels than in `fit`, another dimension, infinite values.
        """
        check_is_fitted(self)
        unit = self.input_unit_
        images, info = check_images(
            X, dtype=self._array_dtype, n_channels=self.n_channels_in_, unit=unit
        )
        return info.restore(self._denoise_array(images, info.dtype))

    def _denoise_array(self, images, dtype):
        out = np.empty(images.shape, dtype)
        for rows in row_blocks(len(images), images[0].nbytes * self._overhead):
            block = as_tensor(np.ascontiguousarray(images[rows]))
            with torch.inference_mode():
                clean = self._denoise(block).to("cpu")
                out[rows] = torch.where(torch.isnan(block), torch.nan, clean).numpy()
        return out

    def score(self, X, y=None):
        """Minus the mean squared error, in the user's unit.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Noisy images when `y` is given; else what `fit` was given: clean images, which are corrupted
            (always by the same draws) and denoised, or, self-supervised, noisy ones, each pixel of
            which is compared with what the others say of it.
        y : array-like of the shape of `X`, optional
            Clean images.

        Returns
        -------
        score : float
            The higher the better. Blank pixels are left out.

        Raises
        ------
        ValueError
            `y` of another shape; no `y` for an estimator that was fitted on pairs.
        """
        check_is_fitted(self)
        dtype, unit = self._array_dtype, self.input_unit_
        images, _ = check_images(X, dtype=dtype, n_channels=self.n_channels_in_, unit=unit)
        if y is not None and np.ndim(y) > 2:
            clean, _ = check_images(y, "y", dtype=dtype, unit=unit)
            if clean.shape != images.shape:
                raise ValueError(f"y has shape {np.shape(y)}; expected {np.shape(X)}, that of X.")
            noisy = images
        elif self.mode_ == "corrupt":
            clean, noisy = images, self._corrupt(images)
        elif self.mode_ == "self_supervised":
            clean = noisy = images
        else:
            raise ValueError(
                "score needs y, the clean images: the estimator was fitted on pairs of noisy and clean ones."
            )
        found = self._denoise_array(noisy, np.float64)
        return -float(np.nanmean(np.square(found - clean)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
