"""What is told of an image by hand: quantiles and contrasts of its pixels, region by region."""

from numbers import Integral

import numpy as np
from scipy import ndimage
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.map_features import MapFeatures
from skastro.regression.pixels import robust_sigma, scale_pixels

__all__ = ["FeatureExtractor"]

KINDS = ("rings", "strips", "columns", "grid")
# The inner regions are narrower: edges grow as this power.
GROWTH = 1.5
# Fewer pixels than that make no quantiles: they go to the next region.
LEAST = 8


class FeatureExtractor(MapFeatures):
    """Quantiles and contrasts of images in regions about their centre, as a table.

    Of each region: quantiles and the mean of its pixels; the root mean square, the mean absolute value and
    the cube root of the mean cube of their difference to the smoothed image, at each scale; the root mean
    square and the mean absolute value of the steps between neighbouring rows and columns. A smooth glow and
    as much light in faint sources differ in the latter only.

    Parameters
    ----------
    regions : str or sequence of str, default=("rings", "strips")
        "rings" by distance from the centre, "strips" by distance in rows (for what lies along a row, as
        the Galactic plane), "columns" by distance in columns, "grid" by both. The sides of the centre are
        taken together.
    n_regions : int, default=8
        Of each kind, the inner ones narrower; half as many along each axis of the grid. Those of less than
        eight pixels are joined to the next.
    quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
    scales : sequence of float, default=(1.0, 2.0, 4.0)
        Standard deviations of the kernels that smooth, in pixels.
    scaling : {"sqrt", "asinh", "max"} or None, default="sqrt"
        Of the pixels. "sqrt", with the sign of the pixel: the noise of counts becomes the same everywhere.
        "asinh": ``arcsinh(x / sigma)`` with the robust deviation of each channel in `fit`. "max": divided
        by the largest absolute value of each image, all channels together.
    centre : tuple (row, column) or None, default=None
        In pixels, from 0. None: the middle.

    Attributes
    ----------
    region_names_ : list of str
        "ring=0" is the innermost ring.
    sigma_ : ndarray of shape (n_channels,)
        Robust deviation of the pixels of each channel. Only for `scaling="asinh"`.
    feature_names_ : ndarray of str
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the images seen in `fit`.

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.regression.baselines import FeatureExtractor
    >>> images = make_galactic_center(3, random_state=0).images
    >>> model = FeatureExtractor("rings", n_regions=2, quantiles=[0.5], scales=[])
    >>> model.fit_transform(images).shape, model.get_feature_names_out()[:3].tolist()
    ((3, 12), ['q0.5[ring=0]', 'q0.5[ring=1]', 'mean[ring=0]'])
    """

    _overhead = 16
    _parameter_constraints = {
        "regions": [str, "array-like"],
        "n_regions": [Interval(Integral, 1, None, closed="left")],
        "quantiles": ["array-like"],
        "scales": ["array-like"],
        "scaling": [StrOptions({"sqrt", "asinh", "max"}), None],
        "centre": ["array-like", None],
    }

    def __init__(
        self,
        regions=("rings", "strips"),
        *,
        n_regions=8,
        quantiles=(0.05, 0.25, 0.5, 0.75, 0.95),
        scales=(1.0, 2.0, 4.0),
        scaling="sqrt",
        centre=None,
    ):
        self.regions = regions
        self.n_regions = n_regions
        self.quantiles = quantiles
        self.scales = scales
        self.scaling = scaling
        self.centre = centre

    def _prepare(self):
        self._quantiles = _numbers(self.quantiles, "quantiles", lambda q: (q >= 0) & (q <= 1))
        self._scales = _numbers(self.scales, "scales", lambda s: s > 0)
        kinds = [self.regions] if isinstance(self.regions, str) else list(self.regions)
        if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(KINDS):
            raise ValueError(f"regions={self.regions!r}; expected one or several of {KINDS}.")
        self.region_names_, self._pixels = [], []
        for kind in kinds:
            found = regions(kind, self.map_shape_, self.n_regions, self._centre())
            name = kind.removesuffix("s")
            self.region_names_ += [f"{name}={i}" for i in range(len(found))]
            self._pixels += found
        self._kernels = [
            [
                ndimage.gaussian_filter1d(np.eye(side, dtype=np.float32), sigma, 0, mode="reflect")
                for side in self.map_shape_
            ]
            for sigma in self._scales
        ]

    def _centre(self):
        h, w = self.map_shape_
        if self.centre is None:
            return 0.5 * (h - 1), 0.5 * (w - 1)
        centre = _numbers(self.centre, "centre", np.isfinite)
        inside = centre.shape == (2,) and ((centre >= -0.5) & (centre <= [h - 0.5, w - 0.5])).all()
        if not inside:
            raise ValueError(
                f"centre={self.centre!r}; expected (row, column) inside images of {h} x {w} pixels."
            )
        return tuple(centre)

    def _learn(self, maps):
        if self.scaling == "asinh":
            self.sigma_ = robust_sigma(maps)

    def _needs_variation(self):
        return False

    def _names(self):
        kinds = [f"q{q:g}" for q in self._quantiles] + ["mean"]
        for sigma in self._scales:
            kinds += [f"{kind}(sigma={sigma:g})" for kind in ("rms", "absolute", "skew")]
        kinds += [f"{kind}({axis})" for axis in ("rows", "columns") for kind in ("rms", "absolute")]
        return [
            f"{kind}[{channel}{region}]"
            for channel in self._channels()
            for kind in kinds
            for region in self.region_names_
        ]

    def _features(self, maps):
        n, (h, w) = len(maps), self.map_shape_
        z = (
            scale_pixels(maps, self.scaling, getattr(self, "sigma_", None))
            .astype(np.float32)
            .reshape(-1, h, w)
        )
        average = self._averages(np.ones((h, w), dtype=bool))
        found = [*self._region_quantiles(z.reshape(len(z), -1)), z.reshape(len(z), -1) @ average]
        for rows, columns in self._kernels:
            contrast = z - rows @ z @ columns.T
            found += _moments(contrast, average, cube=True)
        for axis, inside in ((1, np.s_[:-1]), (2, np.s_[:, :-1])):
            # a step belongs to the first of its pixels
            first = np.zeros((h, w), dtype=bool)
            first[inside] = True
            found += _moments(np.diff(z, axis=axis), self._averages(first)[first.ravel()])
        return np.stack(found, axis=1).reshape(n, -1)

    def _region_quantiles(self, flat):
        """A table (n, n_regions) for each quantile, interpolated linearly."""
        found = np.empty((len(self._quantiles), len(flat), len(self._pixels)), np.float32)
        for i, pixels in enumerate(self._pixels):
            values = np.sort(flat[:, pixels], axis=1)
            place = self._quantiles * (len(pixels) - 1)
            low = place.astype(int)
            high = np.minimum(low + 1, len(pixels) - 1)
            part = (place - low).astype(np.float32)
            found[:, :, i] = (values[:, low] * (1 - part) + values[:, high] * part).T
        return list(found)

    def _averages(self, known):
        """Matrix (n_pixels, n_regions) that averages the known pixels of each region."""
        matrix = np.zeros((known.size, len(self._pixels)), dtype=np.float32)
        for column, pixels in zip(matrix.T, self._pixels, strict=True):
            column[pixels] = known.ravel()[pixels]
        return matrix / np.maximum(matrix.sum(0), 1)


def regions(kind, shape, n, centre):
    """Indices of the pixels of each region, as `FeatureExtractor` has them, from the inside out.

    Parameters
    ----------
    kind : {"rings", "strips", "columns", "grid"}
    shape : tuple (h, w)
    n : int
    centre : tuple (row, column)

    Returns
    -------
    regions : list of ndarray of int
        Into the raveled image.
    """
    y, x = (np.abs(np.arange(side) - c) for side, c in zip(shape, centre, strict=True))
    y, x = np.broadcast_arrays(y[:, None], x)
    if kind == "grid":
        n = max(1, n // 2)
        label = _steps(y, n) * n + _steps(x, n)
    else:
        label = _steps({"rings": np.hypot(y, x), "strips": y, "columns": x}[kind], n)
    label = label.ravel()
    found, waiting = [], np.empty(0, dtype=int)
    for i in range(label.max() + 1):
        waiting = np.concatenate([waiting, np.flatnonzero(label == i)])
        if len(waiting) >= LEAST:
            found.append(waiting)
            waiting = waiting[:0]
    if len(waiting):
        # the outermost is too small, or the image is
        found = [*found[:-1], np.concatenate([*found[-1:], waiting])]
    return found


def _steps(distance, n):
    """Numbers 0 to n - 1 of the steps that distances fall in."""
    place = n * (distance / distance.max()) ** (1 / GROWTH)
    return np.minimum(place.astype(int), n - 1)


def _moments(values, average, cube=False):
    """Root mean square, mean absolute value and root mean cube in each region, (n, n_regions)."""
    flat = values.reshape(len(values), -1)
    square = flat * flat
    found = [np.sqrt(square @ average), np.abs(flat) @ average]
    return found + [np.cbrt((square * flat) @ average)] if cube else found


def _numbers(values, name, sound):
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim != 1 or not np.isfinite(numbers).all() or not sound(numbers).all():
        wanted = {"quantiles": "numbers between 0 and 1", "scales": "positive numbers"}
        raise ValueError(f"{name}={values!r}; expected {wanted.get(name, 'finite numbers')}.")
    return numbers
