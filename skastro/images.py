"""Stacks of images as users give them, and the scale of each image."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse

from skastro.validation import native, split_unit

__all__ = ["ImageInfo", "Normalization", "as_tensor", "check_images"]


class ImageInfo(NamedTuple):
    """What is remembered of images, so that they come back in the same form.

    Attributes
    ----------
    shape : tuple of int
        (n, h, w) or (n, n_channels, h, w).
    dtype : dtype
        float64 when the images were float64, else float32.
    unit : Unit or None
        When they were an `astropy.units.Quantity`.
    mask : ndarray of bool or None
        True where hidden, when they were a `numpy.ma.MaskedArray`.
    """

    shape: tuple
    dtype: np.dtype
    unit: object
    mask: np.ndarray | None

    def restore(self, images):
        """Give an array (n, n_channels, h, w) the form of the images that came in."""
        images = images.reshape(self.shape)
        if self.mask is not None:
            images = np.ma.MaskedArray(images, self.mask)
        return images if self.unit is None else images * self.unit


def check_images(X, name="X", *, dtype=np.float32, n_channels=None, unit=None):
    """Validate a stack of images; NaN marks blank pixels.

    Parameters
    ----------
    X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        An array, Quantity or `numpy.ma.MaskedArray` (hidden pixels are blank).
    name : str
        Name of the argument in the errors.
    dtype : dtype
        Of the returned array.
    n_channels : int, optional
        The expected number of channels.
    unit : str or None
        The unit that is expected; a Quantity is converted to it.

    Returns
    -------
    images : ndarray of shape (n, n_channels, h, w)
        A view of `X` where nothing has to change.
    info : ImageInfo

    Raises
    ------
    ValueError
        Another dimension, no pixel, infinite or complex values, another number of channels, a unit that does
        not convert.
    TypeError
        A sparse matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.images import check_images
    >>> images, info = check_images(np.ones((5, 8, 8), dtype=">f4"))
    >>> images.shape, images.dtype.isnative
    ((5, 1, 8, 8), True)
    """
    if issparse(X):
        raise TypeError(f"Sparse data was passed for {name}; expected a dense array of images.")
    given = getattr(X, "unit", None)
    if unit is not None or given is not None:
        X, _ = split_unit(X, name, unit)
    mask = None
    if isinstance(X, np.ma.MaskedArray):
        mask, X = np.ma.getmaskarray(X), X.data
    try:
        X = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{name} has images of different shapes; expected one shape.") from error
    if np.iscomplexobj(X):
        raise ValueError(f"Complex data not supported: {name} is {X.dtype}; expected floats.")
    if X.ndim not in (3, 4) or 0 in X.shape:
        hint = f"; for a single image give {name}[None]" if X.ndim == 2 else ""
        raise ValueError(
            f"{name} has shape {X.shape}; expected (n, h, w) or (n, n_channels, h, w), none of them 0{hint}."
        )
    X = native(X)
    kept = np.float64 if X.dtype == np.float64 else np.float32
    info = ImageInfo(X.shape, np.dtype(kept), given if unit is None else _unit(unit), mask)
    try:
        images = X.astype(dtype, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has dtype {X.dtype}; expected numbers.") from error
    if mask is not None:
        images = np.where(mask, np.asarray(np.nan, dtype), images)
    images = images[:, None] if images.ndim == 3 else images
    if n_channels is not None and images.shape[1] != n_channels:
        raise ValueError(
            f"{name} has {images.shape[1]} channel(s); expected {n_channels}, as in fit."
        )
    # the largest and the smallest tell of infinity without an array of booleans
    with np.errstate(invalid="ignore"):
        ends = np.fmax.reduce(images, axis=None), np.fmin.reduce(images, axis=None)
    if np.isinf(ends).any():
        place = tuple(int(i) for i in np.argwhere(np.isinf(images))[0])
        raise ValueError(
            f"{name} contains infinity (or a number beyond {np.dtype(dtype)}) at {place}; expected finite "
            "numbers, or NaN where a pixel is blank."
        )
    return images, info


def as_tensor(images):
    """A tensor that shares the memory of an array, unless that is read-only, which torch cannot be told."""
    return torch.from_numpy(images if images.flags.writeable else images.copy())


def _unit(name):
    from astropy.units import Unit

    return Unit(name)


class Normalization:
    """The scale of each image, from its own pixels, all channels together; blank pixels are left out.

    Parameters
    ----------
    kind : {"max", "asinh", "sigma"} or None
        "max": divided by the largest absolute value. "sigma": minus the median, divided by the robust
        standard deviation (1.4826 times the median absolute deviation). "asinh": the inverse hyperbolic sine
        of that, so that bright pixels do not rule. None: as they are.

    Examples
    --------
    >>> import torch
    >>> from skastro.images import Normalization
    >>> image = torch.tensor([[[[0.0, 4.0], [8.0, float("nan")]]]])
    >>> norm = Normalization("max")
    >>> z = norm.forward(image, norm.scale(image))
    >>> z
    tensor([[[[0.0000, 0.5000],
              [1.0000,    nan]]]])
    >>> bool(norm.inverse(z, norm.scale(image))[0, 0, 1, 0] == 8.0)
    True
    """

    def __init__(self, kind):
        self.kind = kind

    def scale(self, images):
        """Centre and scale of each image, tensors of shape (n, 1, 1, 1)."""
        flat = images.flatten(1)
        if self.kind is None:
            center, scale = torch.zeros_like(flat[:, 0]), torch.ones_like(flat[:, 0])
        elif self.kind == "max":
            scale = flat.abs().nan_to_num(nan=0.0).amax(dim=1)
            center = torch.zeros_like(scale)
        else:
            center = flat.nanmedian(dim=1).values
            deviation = flat - center[:, None]
            scale = 1.4826 * deviation.abs().nanmedian(dim=1).values
            # more than half of the pixels are equal
            flatter = deviation.square().nanmean(dim=1).sqrt()
            scale = torch.where(scale > 0, scale, flatter)
        # a blank or constant image
        scale = torch.where(scale > 0, scale, 1.0)
        center = center.nan_to_num(nan=0.0)
        return center[:, None, None, None], scale[:, None, None, None]

    def linear(self, images, scale):
        """Images minus their centre, over their scale: the unit in which noise is added."""
        center, width = scale
        return images if self.kind is None else (images - center) / width

    def forward(self, images, scale):
        """Normalised images, with the centre and scale of `scale`."""
        z = self.linear(images, scale)
        return torch.asinh(z) if self.kind == "asinh" else z

    def inverse(self, images, scale):
        """Images in the user's unit."""
        if self.kind is None:
            return images
        center, width = scale
        # a stray output of a network must not overflow
        z = torch.sinh(images.clamp(-40.0, 40.0)) if self.kind == "asinh" else images
        return center + width * z
