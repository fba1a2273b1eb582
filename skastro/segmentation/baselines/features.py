"""What can be told of a pixel by hand: its neighbours, scales, lines, and where it is."""

from numbers import Integral

import numpy as np
from scipy import ndimage
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.images import Normalization, as_tensor, check_images

__all__ = ["PixelFeatures", "fill_blanks", "neighbourhood", "position_maps", "scale_counts"]

SCALINGS = ("sqrt", "asinh")
# Rows or columns that a line is compared with.
BESIDE = 9
WIDEST = 17  # pixels around a blank one, of which it gets the mean


def scale_counts(images, kind):
    """Images (n, n_channels, h, w) in a unit in which the noise is about the same everywhere."""
    if kind == "sqrt":
        return np.copysign(np.sqrt(np.abs(images)), images)
    if kind == "asinh":
        norm, tensor = Normalization("asinh"), as_tensor(images)
        return norm.forward(tensor, norm.scale(tensor)).numpy()
    return images


def choose_scaling(kind, images):
    """ "sqrt" for counts and "asinh" for all else, where it is to be chosen."""
    if kind != "auto":
        return kind
    known = images[np.isfinite(images)]
    counts = known.size and known.min() >= 0 and (known == np.round(known)).all()
    return "sqrt" if counts and known.max() > 1 else "asinh"


def fill_blanks(images):
    """Mean of what is known around blank pixels, or the median of their image."""
    known = np.isfinite(images)
    if known.all():
        return images
    window = {"size": WIDEST, "axes": (-2, -1), "mode": "nearest"}
    share = ndimage.uniform_filter(known.astype(np.float32), **window)
    mean = ndimage.uniform_filter(np.where(known, images, 0), **window)
    # the median of what is known, by sorting: blank ones come last
    flat = np.sort(images.reshape(*images.shape[:2], -1), axis=-1)
    count = known.sum((-2, -1))[..., None]
    middle = 0.5 * (
        np.take_along_axis(flat, np.maximum(count - 1, 0) // 2, -1)
        + np.take_along_axis(flat, np.minimum(count // 2, flat.shape[-1] - 1), -1)
    )
    middle = np.where(count > 0, middle, 0)[..., None]
    near = share > 0.5 / WIDEST**2
    around = np.divide(mean, share, out=np.broadcast_to(middle, mean.shape).copy(), where=near)
    return np.where(known, images, around).astype(images.dtype)


def neighbourhood(images, radius):
    """All pixels of the square around each: (n, n_channels * (2 radius + 1)^2, h, w), row by row."""
    n, c, h, w = images.shape
    side = 2 * radius + 1
    padded = np.pad(images, ((0, 0), (0, 0), (radius, radius), (radius, radius)), mode="edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(2, 3))
    return view.reshape(n, c * side * side, h, w)


def position_maps(n, shape, dtype=np.float32):
    """Row and column from -1 to 1, and the distance from the middle: (n, 3, h, w)."""
    y, x = (
        np.linspace(-1, 1, side, dtype=dtype) if side > 1 else np.zeros(1, dtype) for side in shape
    )
    y, x = np.broadcast_arrays(y[:, None], x)
    return np.broadcast_to(np.stack([y, x, np.hypot(y, x)]), (n, 3, *shape))


class PixelFeatures(TransformerMixin, BaseEstimator):
    """Numbers about each pixel and what is around it, as planes beside each other.

    Of each channel: the pixel and its neighbours; at each scale the mean and the maximum of the square
    around it, the standard deviation in it, and the pixel minus that mean; the pixel minus the brightest
    of its eight neighbours; the medians of its row, column and image, the pixel minus the first two, and
    how far its row and its column are from those beside. Then its place.

    Blank pixels get the mean of what is around them first: no feature is NaN.

    Parameters
    ----------
    scaling : {"auto", "sqrt", "asinh"} or None, default="auto"
        Of the pixels. "sqrt", with the sign of the pixel: the noise of counts becomes the same everywhere.
        "asinh": the inverse hyperbolic sine of the pixel minus the median of its image, over the robust
        deviation of the image. "auto": "sqrt" for counts, else "asinh".
    radius : int, default=1
        Of the square of neighbours.
    scales : sequence of int, default=(3, 5, 9, 17)
        Sides of the squares, in pixels.
    lines : bool, default=True
        Whether medians of rows and columns are among them.
    coordinates : bool, default=True
        Whether the place is among them: row and column from -1 to 1, and the distance from the middle.

    Attributes
    ----------
    scaling_ : str or None
        In force.
    feature_names_ : ndarray of str
    n_channels_in_ : int

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.segmentation.baselines import PixelFeatures
    >>> images = make_galactic_center(3, random_state=0).images
    >>> model = PixelFeatures(radius=1, scales=[5], coordinates=False)
    >>> model.fit_transform(images).shape, model.get_feature_names_out()[9:13].tolist()
    ((3, 21, 64, 64), ['mean5', 'max5', 'std5', 'contrast5'])
    """

    _parameter_constraints = {
        "scaling": [StrOptions({"auto", *SCALINGS}), None],
        "radius": [Interval(Integral, 0, None, closed="left")],
        "scales": ["array-like"],
        "lines": ["boolean"],
        "coordinates": ["boolean"],
    }

    def __init__(
        self, scaling="auto", *, radius=1, scales=(3, 5, 9, 17), lines=True, coordinates=True
    ):
        self.scaling = scaling
        self.radius = radius
        self.scales = scales
        self.lines = lines
        self.coordinates = coordinates

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Choose the scaling and name the features.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            NaN where blank.
        y : ignored

        Returns
        -------
        self : PixelFeatures

        Raises
        ------
        ValueError
            Wrong shapes, infinite values, scales that are no odd numbers from 3.
        """
        images, info = check_images(X)
        scales = np.asarray(self.scales)
        if scales.ndim != 1 or any(s < 3 or s % 2 != 1 for s in scales):
            raise ValueError(f"scales={self.scales!r}; expected odd numbers of pixels from 3.")
        self._scales = [int(s) for s in scales]
        self.unit_ = None if info.unit is None else info.unit.to_string()
        self.n_channels_in_ = images.shape[1]
        self.scaling_ = choose_scaling(self.scaling, images)
        self.feature_names_ = np.array(self._names(), dtype=object)
        return self

    def _names(self):
        reach = range(-self.radius, self.radius + 1)
        names = [f"pixel[{i},{j}]" for i in reach for j in reach]
        for side in self._scales:
            names += [f"{kind}{side}" for kind in ("mean", "max", "std", "contrast")]
        names.append("peak")
        if self.lines:
            names += [
                "row",
                "column",
                "image",
                "over_row",
                "over_column",
                "row_step",
                "column_step",
            ]
        if self.n_channels_in_ > 1:
            names = [f"{name}[channel={k}]" for k in range(self.n_channels_in_) for name in names]
        return names + (["y", "x", "distance"] if self.coordinates else [])

    def transform(self, X):
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Images of any size, in the unit of those in `fit`, NaN where blank.

        Returns
        -------
        features : ndarray of shape (n, n_features, h, w), float32

        Raises
        ------
        ValueError
            Wrong shapes, infinite values, another number of channels or unit.
        """
        check_is_fitted(self)
        images, _ = check_images(X, n_channels=self.n_channels_in_, unit=self.unit_)
        n, _, h, w = images.shape
        out = np.empty((n, len(self.feature_names_), h, w), dtype=np.float32)
        for rows in row_blocks(n, 12 * images[0].size * len(self.feature_names_)):
            self._compute(images[rows], out[rows])
        return out

    def _compute(self, images, out):
        z = fill_blanks(scale_counts(images, self.scaling_))
        n, channels, h, w = z.shape
        last = out.shape[1] - (3 if self.coordinates else 0)
        parts = out[:, :last].reshape(n, channels, -1, h, w)
        for k in range(channels):
            for i, one in enumerate(self._maps(z[:, k])):
                parts[:, k, i] = one
        if self.coordinates:
            out[:, last:] = position_maps(n, (h, w))

    def _maps(self, z):
        """Features of one channel (n, h, w), one after the other."""
        axes = {"axes": (1, 2), "mode": "nearest"}
        near = neighbourhood(z[:, None], self.radius)
        yield from np.moveaxis(near, 1, 0)
        for side in self._scales:
            mean = ndimage.uniform_filter(z, side, **axes)
            yield mean
            yield ndimage.maximum_filter(z, side, **axes)
            # the squares of deviations, not of large numbers
            centre = z.mean(axis=(1, 2), keepdims=True)
            square = ndimage.uniform_filter((z - centre) ** 2, side, **axes) - (mean - centre) ** 2
            yield np.sqrt(np.maximum(square, 0))
            yield z - mean
        ring = np.ones((3, 3), dtype=bool)
        ring[1, 1] = False
        yield z - ndimage.maximum_filter(z, footprint=ring, **axes)
        if not self.lines:
            return
        row, column = np.median(z, axis=2, keepdims=True), np.median(z, axis=1, keepdims=True)
        yield row
        yield column
        yield np.median(z, axis=(1, 2), keepdims=True)
        yield z - row
        yield z - column
        yield row - ndimage.median_filter(row, (1, BESIDE, 1), mode="nearest")
        yield column - ndimage.median_filter(column, (1, 1, BESIDE), mode="nearest")

    def get_feature_names_out(self, input_features=None):
        """Names of the planes of `transform`.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, dtype object
        """
        check_is_fitted(self)
        return self.feature_names_.copy()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
