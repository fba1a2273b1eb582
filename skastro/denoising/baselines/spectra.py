"""What every baseline shares: cubes and tables of spectra, blanks, the noise level, a score."""

from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.cube_metrics import snr_gain
from skastro.denoising.checks import check_sigma, check_signal_mask
from skastro.denoising.noise import estimate_noise, estimate_sigma
from skastro.denoising.recorruption import estimate_gain
from skastro.io.cubes import LineCube, check_unit, read_cube
from skastro.validation import native

__all__ = ["SpectraDenoiser", "fill_sigma"]


def fill_sigma(sigma):
    """Give spectra whose noise is unknown (blank, or constant) the median noise of the others.

    Parameters
    ----------
    sigma : ndarray
        As estimated: positive, or NaN.

    Returns
    -------
    sigma : ndarray of the shape of `sigma`

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines.spectra import fill_sigma
    >>> fill_sigma(np.array([0.2, np.nan, 0.4]))
    array([0.2, 0.3, 0.4])
    """
    known = sigma > 0
    return sigma if known.all() else np.where(known, sigma, np.median(sigma[known]))


def _knows_its_axes(X):
    """Whether X is a file, or carries a header, a WCS, a unit or a mask; no bare array or table."""
    if isinstance(X, list):  # an HDUList is one
        return any(hasattr(one, "header") for one in X)
    return isinstance(X, str | Path | LineCube) or (
        not hasattr(X, "columns") and any(hasattr(X, a) for a in ("header", "wcs", "unit", "mask"))
    )


def _sample(values):
    """A few thousand values by which a cube is known again."""
    every = tuple(slice(None, None, max(1, n // 16)) for n in values.shape)
    return values[every].copy()


class SpectraDenoiser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the baselines: what goes in and comes out, and in which units the method works.

    A child class writes ``_denoise(values, blank)``, which returns a new array: `values` is a cube or
    a table in units of its noise (as it comes with ``_in_sigma = False``), 0 where blank, and `blank`
    is None where nothing is. ``_needs_sigma = False``: no noise level is kept for tables. One that
    learns something writes ``_learn(values, blank)`` too.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have: as given to `fit`, or estimated
        there from a table. None: estimated from each cube.
    unit_ : str or None
        Unit of what was fitted.
    feature_names_in_ : ndarray of str
        Only when fitted on a DataFrame.
    """

    _in_sigma = True
    _needs_sigma = True
    _parameter_constraints = {}

    def _denoise(self, values, blank):
        raise TypeError(f"{type(self).__name__} must define _denoise.")

    def _learn(self, values, blank):
        """What a method learns from the spectra of fit; most learn nothing."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sigma=None, signal_mask=None):
        """Keep the noise level, and whatever the method learns.

        Parameters
        ----------
        X : path, HDU, SpectralCube, NDData, Quantity or array
            A cube, (n_y, n_x, n_channels) for arrays and Quantities, or a table of spectra that do not
            know of each other, (n_spectra, n_channels). NaN: blank.
        y : None
            Ignored.
        sigma : float, array-like or Quantity, optional
            Standard deviation of the noise, in the unit of `X`: a number or a spectrum
            (n_channels,), kept for other cubes, or one that belongs to `X` alone: a map (n_y, n_x) or
            the shape of `X`. By default it is estimated: here for a table, from each cube for cubes.
        signal_mask : array-like of bool of the shape of `X`, optional
            True where there is signal in `X`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            Another number of axes, infinite values, a `sigma` that is not positive, or a `sigma` or
            `signal_mask` that does not fit `X`.
        """
        values, cube = self._read(X, reset=True)
        unit = None if cube is None else cube.unit
        self.n_channels_in_ = self.n_features_in_
        self.unit_ = None if unit is None else str(unit)
        self.sigma_, self._own = None, None
        if signal_mask is not None:
            signal_mask = check_signal_mask(signal_mask, values.shape)
        if sigma is not None:
            sigma = native(check_unit(sigma, unit))
            full = check_sigma(sigma, values.shape)
            if sigma.shape in ((), values.shape[-1:]):
                self.sigma_ = sigma
            elif values.ndim == 2:
                self.sigma_ = np.nanmedian(full, axis=0)
            sigma = fill_sigma(full)
        elif values.ndim == 2 and self._needs_sigma:
            self.sigma_ = _table_sigma(values, signal_mask)
        if sigma is not None or signal_mask is not None:
            self._own = _sample(values), sigma, signal_mask
        if self._in_sigma:
            sigma = self._noise(values, unit)[0]
        self._learn(*self._scaled(values, sigma))
        return self

    def transform(self, X, sigma=None, signal_mask=None):
        """Denoise.

        Parameters
        ----------
        X : path, HDU, SpectralCube, NDData, Quantity or array
            A cube of as many channels as in `fit`, or a table of spectra. NaN: blank.
        sigma : float, array-like or Quantity, optional
            Noise of `X`, in its unit. By default what was given to `fit`, for the same cube or as a
            number or a spectrum; else it is estimated.
        signal_mask : array-like of bool of the shape of `X`, optional
            True where there is signal; by default that of `fit` for the same cube, else it is unknown.

        Returns
        -------
        denoised : object of the kind of `X`
            HDU for a path. In the unit and floating type of `X`; NaN where `X` is.

        Raises
        ------
        ValueError
            Infinite values, another number of channels than in `fit`, or a `sigma` or mask that does not
            fit.
        """
        check_is_fitted(self, "n_channels_in_")
        values, cube = self._read(X, reset=False)
        if np.isfinite(values).any():
            unit = None if cube is None else cube.unit
            if self._needs_sigma:
                sigma, signal_mask = self._noise(values, unit, sigma, signal_mask)
            denoised = self._apply(values, sigma, signal_mask)
        else:
            denoised = values.copy()
        return denoised if cube is None else cube.wrap(denoised, history=self)

    def score(self, X, y=None, sigma=None):
        """Gain in signal-to-noise ratio over the voxels with signal.

        Parameters
        ----------
        X : path, HDU, SpectralCube, NDData, Quantity or array
            Noisy spectra.
        y : array-like of the shape of `X`, optional
            The truth. Without it (or with one value a spectrum, as pipelines hand on classes) the gain
            is estimated by adding known noise to `X`, see
            `skastro.denoising.recorruption.estimate_gain`.
        sigma : optional
            As in `transform`.

        Returns
        -------
        gain : float
            In dB; the larger, the better.
        """
        check_is_fitted(self, "n_channels_in_")
        values, cube = self._read(X, reset=False)
        unit = None if cube is None else cube.unit
        sigma, signal_mask = self._noise(values, unit, sigma)
        if y is None or np.ndim(y) == 1:
            return estimate_gain(lambda noisy: self._apply(noisy, sigma), values, sigma)
        return snr_gain(
            check_unit(y, unit, "y"), values, self._apply(values, sigma, signal_mask), sigma
        )

    def _apply(self, values, sigma, signal_mask=None):
        """Denoise values that were read, with the noise level that is theirs."""
        scaled, blank = self._scaled(values, sigma)
        denoised = self._denoise(scaled, blank)
        if self._in_sigma:
            denoised *= sigma
        if blank is not None:
            denoised[blank] = np.nan
        return denoised.astype(values.dtype, copy=False)

    def _scaled(self, values, sigma):
        """Values in the units that the method works in, 0 where blank; and the blanks, or None."""
        if self._in_sigma:
            values = values / sigma.astype(values.dtype, copy=False)
        blank = np.isnan(values)
        if not blank.any():
            return values, None
        return np.where(blank, values.dtype.type(0), values), blank

    def _noise(self, values, unit, sigma=None, signal_mask=None):
        """Noise level of the shape of `values`, and the mask that is known of them, or None."""
        if signal_mask is not None:
            signal_mask = check_signal_mask(signal_mask, values.shape)
        if sigma is not None:
            sigma = fill_sigma(check_sigma(check_unit(sigma, unit), values.shape))
        if self._own is not None:
            sample, own_sigma, own_mask = self._own
            if np.array_equal(sample, _sample(values), equal_nan=True):
                sigma = own_sigma if sigma is None else sigma
                signal_mask = own_mask if signal_mask is None else signal_mask
        if sigma is None and self.sigma_ is not None:
            sigma = check_sigma(self.sigma_ * self._factor(unit), values.shape)
        if sigma is None and values.ndim == 2:
            sigma = np.broadcast_to(_table_sigma(values, signal_mask), values.shape)
        if sigma is None:
            sigma = fill_sigma(estimate_sigma(values, signal_mask=signal_mask))
        return sigma, signal_mask

    def _factor(self, unit):
        """From the unit of fit, in which `sigma_` is, to another."""
        found = None if unit is None else str(unit)
        if found == self.unit_:
            return 1.0
        from astropy.units import Unit

        try:
            return Unit(self.unit_).to(unit)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"X has unit {found!r}; expected one convertible to {self.unit_!r}, in which sigma was "
                "given."
            ) from error

    def _read(self, X, reset):
        """Floats of a cube or a table, NaN where blank, and the `LineCube` if X is more than numbers."""
        cube = None
        if _knows_its_axes(X):
            cube = read_cube(X, name="X")
            X = np.asarray(cube.values)
        elif getattr(X, "ndim", None) is None:
            X = np.asarray(X)
        if isinstance(X, np.ndarray):
            X = native(X)
        options = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}
        if X.ndim != 3:
            return validate_data(self, X, reset=reset, **options), cube
        X = check_array(X, allow_nd=True, input_name="X", estimator=self, **options)
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}; expected (n_y, n_x, n_channels).")
        if reset:
            self.n_features_in_ = X.shape[-1]
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        elif X.shape[-1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[-1]} channels, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} channels as input."
            )
        return X, cube


def _table_sigma(values, signal_mask):
    """One spectrum of the noise for all rows of a table: no row must depend on the others."""
    if values.shape[1] < 2:
        raise ValueError(
            "X has 1 feature(s), from which its noise cannot be estimated; expected at least 2 "
            "channels, or sigma."
        )
    level = estimate_noise(values, signal_mask=signal_mask)
    return np.nanmedian(level.map) * level.spectrum
