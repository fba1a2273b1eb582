"""Amplitudes of known templates in each image, by robust weighted least squares."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, _fit_context
from sklearn.linear_model import LinearRegression
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.maps import check_maps
from skastro.validation import check_targets

__all__ = ["TemplateFitRegressor", "fit_templates"]

# Below that part of the mean of an image a model says nothing of the variance.
FLOOR = 0.02
# Of the diagonal, so that templates that are almost the same can be told apart.
RIDGE = 1e-10


class TemplateFitRegressor(TransformerMixin, RegressorMixin, BaseEstimator):
    """Targets by a straight line from the amplitudes of known templates.

    Each image is fitted by a sum of the templates, with weights that fall with the variance and with the
    residual [1]_: what no template has, such as point sources, counts little.

    Parameters
    ----------
    templates : array-like of shape (n_templates, h, w) or (n_templates, n_channels, h, w)
        In the unit of the images, for an amplitude of 1.
    variance : {"counts", "constant"}, default="counts"
        Of the noise: proportional to the model, or the same in all pixels.
    threshold : float or None, default=1.5
        Residuals beyond that many robust deviations count less (Huber's weights). None: all alike.
    n_iter : int, default=8
        Weighted fits of each image.
    residuals : bool, default=True
        Add the moments of what is left over to the amplitudes: it tells of sources.

    Attributes
    ----------
    calibration_ : LinearRegression
        From amplitudes (and moments) to the targets.
    n_channels_in_ : int
    map_shape_ : tuple (h, w)
    unit_ : str or None
        Of the images seen in `fit`.

    References
    ----------
    .. [1] Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 73 (1964).

    Examples
    --------
    >>> from skastro.datasets import galactic_center_templates, make_galactic_center
    >>> from skastro.regression.baselines import TemplateFitRegressor
    >>> sky = make_galactic_center(300, random_state=0)
    >>> model = TemplateFitRegressor(galactic_center_templates())
    >>> model.fit(sky.images[:200], sky.params[:200, :2])
    TemplateFitRegressor(...)
    >>> bool(model.score(sky.images[200:], sky.params[200:, :2]) > 0.9)
    True
    """

    _parameter_constraints = {
        "templates": ["array-like"],
        "variance": [StrOptions({"counts", "constant"})],
        "threshold": [Interval(Real, 0, None, closed="neither"), None],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "residuals": ["boolean"],
    }

    def __init__(self, templates, *, variance="counts", threshold=1.5, n_iter=8, residuals=True):
        self.templates = templates
        self.variance = variance
        self.threshold = threshold
        self.n_iter = n_iter
        self.residuals = residuals

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Fit the templates to images, and the targets to the amplitudes.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size of the templates.
        y : array-like of shape (n,) or (n, n_targets)

        Returns
        -------
        self : TemplateFitRegressor

        Raises
        ------
        ValueError
            Images or templates that are not finite or of different sizes; targets that are not finite.
        """
        templates, _ = check_maps(self.templates, "templates", ndims=(3, 4))
        self.n_channels_in_ = templates.shape[1] if templates.ndim == 4 else 1
        self.map_shape_ = templates.shape[-2:]
        self._templates = templates.reshape(len(templates), -1).astype(np.float64)
        self.unit_ = None
        maps, self.unit_ = self._check(X, first=True)
        y, info = check_targets(y, n_samples=len(maps))
        if np.isnan(y).any():
            raise ValueError("Input y contains NaN; expected finite targets.")
        self.calibration_ = LinearRegression()
        self.calibration_.fit(self._table(maps), y[:, 0] if info.ndim == 1 else y)
        return self

    def transform(self, X):
        """Fit the templates.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        amplitudes : ndarray of shape (n, n_templates) or (n, n_templates + 4)
            The moments of the residuals, if they are wanted, come last: the robust deviation, the root mean
            square, the mean, and the cube root of the mean cube, in units of the expected noise.
        """
        check_is_fitted(self)
        return self._table(self._check(X)[0])

    def predict(self, X):
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        y : ndarray of shape (n,) or (n, n_targets)
        """
        check_is_fitted(self)
        return self.calibration_.predict(self.transform(X))

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, dtype object
        """
        check_is_fitted(self)
        names = [f"amplitude{i}" for i in range(len(self._templates))]
        if self.residuals:
            names += [f"residual_{kind}" for kind in ("mad", "rms", "mean", "skew")]
        return np.array(names, dtype=object)

    def _check(self, X, first=False):
        maps, unit = check_maps(
            X,
            ndims=(3, 4),
            n_channels=self.n_channels_in_,
            shape=self.map_shape_,
            unit=None if first else self.unit_,
        )
        return maps.reshape(len(maps), -1), unit

    def _table(self, maps):
        columns = len(self._templates) + (4 if self.residuals else 0)
        table = np.empty((len(maps), columns))
        for rows in row_blocks(len(maps), maps[0].size * 8 * 12):
            amplitudes, residuals = fit_templates(
                maps[rows].astype(np.float64),
                self._templates,
                variance=self.variance,
                threshold=self.threshold,
                n_iter=self.n_iter,
            )
            parts = [amplitudes]
            if self.residuals:
                parts += [
                    _deviation(residuals),
                    np.sqrt(np.mean(residuals**2, axis=1)),
                    residuals.mean(1),
                    np.cbrt(np.mean(residuals**3, axis=1)),
                ]
            table[rows] = np.column_stack(parts)
        return table

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags


def fit_templates(images, templates, *, variance="counts", threshold=1.5, n_iter=8):
    """Weighted least squares with Huber's weights, of all images at once.

    Parameters
    ----------
    images : ndarray of shape (n, n_pixels)
    templates : ndarray of shape (n_templates, n_pixels)
    variance : {"counts", "constant"}, default="counts"
    threshold : float or None, default=1.5
    n_iter : int, default=8

    Returns
    -------
    amplitudes : ndarray of shape (n, n_templates)
    residuals : ndarray of shape (n, n_pixels)
        Over the deviation of the noise that the weights assume.
    """
    n_templates = len(templates)
    # one matrix product gives the normal equations of all images
    pairs = (templates[:, None] * templates).reshape(-1, templates.shape[1]).T
    floor = FLOOR * images.mean(1, keepdims=True)
    floor = np.where(floor > 0, floor, 1.0)
    weights = 1 / np.maximum(images, floor) if variance == "counts" else np.ones_like(images)
    for _ in range(n_iter):
        normal = (weights @ pairs).reshape(-1, n_templates, n_templates)
        right = (weights * images) @ templates.T
        diagonal = np.einsum("nii->ni", normal)
        diagonal *= 1 + RIDGE
        amplitudes = np.linalg.solve(normal, right[..., None])[..., 0]
        model = amplitudes @ templates
        inverse = 1.0
        if variance == "counts":
            inverse = 1 / np.maximum(model, floor)
        residuals = (images - model) * np.sqrt(inverse)
        weights = np.broadcast_to(inverse, images.shape)
        if threshold is not None:
            far = np.abs(residuals) / (threshold * _deviation(residuals)[:, None])
            weights = weights / np.maximum(far, 1)
    return amplitudes, residuals


def _deviation(residuals):
    """Robust standard deviation of each row."""
    deviation = 1.4826 * np.median(np.abs(residuals), axis=1)
    if (deviation > 0).all():
        return deviation
    # most pixels are fitted exactly
    plain = np.sqrt(np.mean(residuals**2, axis=1))
    deviation = np.where(deviation > 0, deviation, plain)
    return np.where(deviation > 0, deviation, 1.0)
