"""What every classical separator does: check samples and mixtures, work in blocks, restore units."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from skastro.base import row_blocks
from skastro.maps import check_maps
from skastro.separation.contamination import less_signals
from skastro.separation_metrics import relative_rmse

__all__ = ["Separator"]


class Separator(TransformerMixin, BaseEstimator):
    """Base of the classical separators.

    A child class provides `_learn(samples)`, from an array (n, n_channels, h, w) without its mean, and
    `_separate(maps)`, from mixtures of that shape, less the mean of the contamination, to the signal: of the
    same shape, or (n, h, w) where `_several_channels`; then also `_mixed(signal)`, which puts it back into
    the channels. `_overhead` is the working memory of either, in numbers for each pixel.
    """

    _overhead = 8
    _several_channels = False
    _parameter_constraints = {}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, C, y=None):
        """Learn what the contamination is like.

        Parameters
        ----------
        C : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Samples of the contamination, at least two.
        y : array-like of the shape of the signals, optional
            Then `C` are mixtures that have these signals, and the samples are what is left.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            Maps that are not finite and real; fewer than two; contamination that is the same number
            everywhere.
        """
        samples, self.unit_ = check_maps(C, "C", ndims=self._ndims())
        if y is not None:
            mixing = self.mixing if self._several_channels else None
            samples = less_signals(samples, y, self.unit_, mixing)
        if len(samples) < 2:
            raise ValueError(
                f"C has {len(samples)} sample; expected at least 2 of the contamination: one does not tell "
                "how it varies."
            )
        self.n_channels_in_ = samples.shape[1] if samples.ndim == 4 else 1
        self.map_shape_ = samples.shape[-2:]
        samples = samples.reshape(-1, self.n_channels_in_, *self.map_shape_)
        low, high = samples.min(axis=(0, 2, 3)), samples.max(axis=(0, 2, 3))
        if (low == high).any():
            c = int(np.argmax(low == high))
            raise ValueError(
                f"C is constant at {low[c]:.4g} in channel {c} of all samples; expected contamination that "
                "varies."
            )
        self.mean_ = samples.mean(axis=(0, 2, 3), dtype=np.float64)
        self._learn(samples)
        return self

    def _ndims(self):
        return (4,) if self._several_channels else (3, 4)

    def _centred(self, samples):
        """Blocks of the samples, less the mean of the contamination, in float64."""
        for rows in row_blocks(len(samples), samples[0].size * 8 * self._overhead):
            yield samples[rows] - self.mean_[:, None, None]

    def transform(self, D):
        """Separate the signal from mixtures.

        Parameters
        ----------
        D : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels of the samples, and in a unit that converts to theirs. The rest of each
            is left in `contamination_`.

        Returns
        -------
        signal : ndarray or Quantity of the shape of `D`
            Without its channels where the method combines them. float32 or float64 as the mixtures are.

        Raises
        ------
        ValueError
            Maps of another size, number of channels or unit than in `fit`; that are not finite; or constant.
        """
        check_is_fitted(self)
        maps, _ = check_maps(
            D,
            "D",
            ndims=self._ndims(),
            n_channels=self.n_channels_in_,
            shape=self.map_shape_,
            unit=self.unit_,
        )
        if self.unit_ is None and (given := getattr(D, "unit", None)) is not None:
            raise ValueError(f"D has unit {str(given)!r}; C has none: expected both.")
        shape = maps.shape
        maps = maps.reshape(-1, self.n_channels_in_, *self.map_shape_)
        flat = (maps.min(axis=(2, 3)) == maps.max(axis=(2, 3))).any(axis=1)
        if flat.any():
            i = int(np.argmax(flat))
            raise ValueError(f"D has a constant map, number {i}; expected mixtures that vary.")
        combined = self._several_channels
        signal = np.empty(maps[:, 0].shape if combined else maps.shape, maps.dtype)
        mean = self.mean_[:, None, None].astype(maps.dtype)
        for rows in row_blocks(len(maps), maps[0].size * maps.itemsize * self._overhead):
            signal[rows] = self._separate(maps[rows] - mean)
        rest = maps - (self._mixed(signal) if combined else signal)
        self.contamination_ = self._restored(rest.reshape(shape))
        return self._restored(signal if combined else signal.reshape(shape))

    def _restored(self, maps):
        if self.unit_ is None:
            return maps
        from astropy.units import Quantity

        return Quantity(maps, self.unit_, dtype=maps.dtype)

    def score(self, D, S):
        """Minus the root mean square error, in standard deviations of the truth, averaged over maps.

        Parameters
        ----------
        D : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Mixtures.
        S : array-like of the shape of the signal
            The truth.

        Returns
        -------
        score : float
            0 is perfect; -1 is what a map of the mean of the truth has.

        Raises
        ------
        ValueError
            As `transform`; a truth of another shape or unit, or constant.
        """
        return -float(np.mean(relative_rmse(self.transform(D), S)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.requires_fit = True
        return tags
