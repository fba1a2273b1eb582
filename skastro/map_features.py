"""What every transformer of maps to features does: check, compute in blocks, name."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.maps import check_maps, refuse_constant

__all__ = ["MapFeatures"]


class MapFeatures(TransformerMixin, BaseEstimator):
    """Base of the transformers of maps, (n, h, w) or (n, n_channels, h, w), to a table of features.

    A child class provides `_prepare()`, which sets up what depends on the size of the maps, `_names()`, and
    `_features(maps)`, from an array (n, n_channels, h, w) of float64 to (n, n_features). `_overhead` is the
    working memory of the latter, in numbers for each pixel of a map. What it learns from the values of maps
    (n, n_channels, h, w), if anything, it learns in `_learn(maps)`.
    """

    _overhead = 8
    _parameter_constraints = {}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Fix the size of the maps and the features.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            Maps that are not finite, real, and of at least 2 x 2 pixels; a parameter that they don't allow.
        """
        maps, self.unit_ = check_maps(X, ndims=(3, 4))
        self.n_channels_in_ = maps.shape[1] if maps.ndim == 4 else 1
        self.map_shape_ = maps.shape[-2:]
        self._prepare()
        self._learn(maps.reshape(-1, self.n_channels_in_, *self.map_shape_))
        self.feature_names_ = np.array(self._names(), dtype=object)
        return self

    def transform(self, X):
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels seen in `fit`, and in a unit that converts to its.

        Returns
        -------
        features : ndarray of shape (n, n_features), float64

        Raises
        ------
        ValueError
            Maps of another size, number of channels or unit than in `fit`, that are not finite, or constant
            where a feature is a ratio or a logarithm.
        """
        check_is_fitted(self)
        maps, _ = check_maps(
            X,
            ndims=(3, 4),
            n_channels=self.n_channels_in_,
            shape=self.map_shape_,
            unit=self.unit_,
        )
        maps = maps.reshape(-1, self.n_channels_in_, *self.map_shape_)
        if self._needs_variation():
            refuse_constant(maps)
        features = np.empty((len(maps), len(self.feature_names_)))
        for rows in row_blocks(len(maps), maps[0].size * 8 * self._overhead):
            features[rows] = self._features(maps[rows].astype(np.float64))
        return features

    def _learn(self, maps):
        pass

    def _needs_variation(self):
        return True

    def get_feature_names_out(self, input_features=None):
        """Names of the features.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, dtype object
        """
        check_is_fitted(self, "feature_names_")
        return self.feature_names_.copy()

    def _channels(self):
        """What is said of each channel in the names: nothing of the only one."""
        n = self.n_channels_in_
        return [""] if n == 1 else [f"c={c}," for c in range(n)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.requires_fit = True
        return tags
