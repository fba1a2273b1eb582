"""Separation by power spectra alone: the Wiener filter, and maps of the right spectrum."""

from numbers import Real

import numpy as np
from scipy import fft
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.fourier_shells import FourierShells
from skastro.map_spectra import shell_spectra
from skastro.separation.baselines.separator import Separator

__all__ = ["GaussianSeparator", "WienerFilter"]


class SpectralSeparator(Separator):
    """Base of the separators that multiply Fourier modes by a gain, the same over a ring of wave number.

    A child class provides `_gain(signal, contamination, mixture)`, of power spectra (n, n_channels, n_rings),
    the last None where the spectrum of the signal does not come from the mixture, unless `_needs_mixture`.
    """

    _needs_mixture = False
    _parameter_constraints = {
        "signal_spectrum": "no_validation",
        "contamination_spectrum": "no_validation",
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "window": [StrOptions({"hann"}), None],
    }

    def __init__(
        self, signal_spectrum=None, contamination_spectrum=None, *, smoothing=0.1, window=None
    ):
        self.signal_spectrum = signal_spectrum
        self.contamination_spectrum = contamination_spectrum
        self.smoothing = smoothing
        self.window = window

    def _learn(self, samples):
        self._shells = FourierShells(self.map_shape_, k_max=np.sqrt(0.5))
        self.k_ = self._shells.k
        self._kernel = None
        if self.smoothing > 0:
            step = (self.k_[:, None] - self.k_) / (self.smoothing * self.k_)
            kernel = self._shells.n_modes[:, None] * np.exp(-0.5 * step**2)
            self._kernel = kernel / kernel.sum(axis=0)
        if self.contamination_spectrum is None:
            total = sum(
                shell_spectra(block, None, self._shells, window=self.window)[0].sum(axis=0)
                for block in self._centred(samples)
            )
            self.contamination_power_ = total / len(samples)
        else:
            self.contamination_power_ = self._given("contamination_spectrum")
        self.signal_power_ = None
        if self.signal_spectrum is not None:
            self.signal_power_ = self._given("signal_spectrum")

    def _given(self, name):
        """A spectrum that is a parameter, in the rings, array (n_channels, n_rings)."""
        spectrum = getattr(self, name)
        if callable(spectrum):
            power = np.asarray(spectrum(self.k_), dtype=np.float64)
        else:
            try:
                k, power = (np.asarray(one, dtype=np.float64) for one in spectrum)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{name}={spectrum!r}; expected a function of k, or a pair (k, power)."
                ) from error
            growing = k.ndim == 1 and k.size > 0 and (np.diff(k, prepend=0.0) > 0).all()
            if not growing or power.shape[-1:] != k.shape:
                raise ValueError(
                    f"{name} has k of shape {k.shape} and power of shape {power.shape}; expected k growing "
                    "from above 0, and one power for each."
                )
            if not (np.isfinite(power) & (power >= 0)).all():
                raise ValueError(
                    f"{name} has {power.min():.4g}; expected finite power of 0 or more."
                )
            logs = np.log(np.maximum(power, np.finfo(np.float64).tiny))
            at = np.log(k)
            power = np.exp(
                [np.interp(np.log(self.k_), at, one) for one in logs.reshape(-1, len(k))]
            ).reshape(*power.shape[:-1], -1)
        expected = (self.n_channels_in_, len(self.k_))
        if power.shape not in (expected, expected[1:]):
            raise ValueError(
                f"{name} has power of shape {power.shape} in the rings; expected {expected[1:]}, or "
                f"{expected} for {expected[0]} channel(s)."
            )
        if not (np.isfinite(power) & (power >= 0)).all():
            raise ValueError(f"{name} has {power.min():.4g}; expected finite power of 0 or more.")
        return np.broadcast_to(power, expected).copy()

    def _spectra(self, maps):
        """Power of the signal and of the mixture (n, n_channels, n_rings), the latter where needed."""
        if self.signal_power_ is not None and not self._needs_mixture:
            return self.signal_power_[None], None
        mixture = shell_spectra(maps, None, self._shells, window=self.window)[0]
        if self.signal_power_ is not None:
            return self.signal_power_[None], mixture
        floor = np.finfo(np.float64).tiny
        share = self.contamination_power_ / np.maximum(mixture, floor)
        # a share of the mixture varies slowly even where the spectra are steep
        share = np.maximum(1.0 - self._smoothed(np.minimum(share, 1e3)), 0.0)
        return share * mixture, mixture

    def _smoothed(self, values):
        """Gaussian average over neighbouring rings, weighted by their modes."""
        return values if self._kernel is None else values @ self._kernel

    def _separate(self, maps):
        signal, mixture = self._spectra(maps)
        gain = self._gain(signal, self.contamination_power_, mixture)
        # the last is that of the mean, which has the number -1 as its ring
        gain = np.concatenate([gain, np.ones((*gain.shape[:-1], 1))], axis=-1).astype(maps.dtype)
        modes = fft.rfft2(maps)
        modes *= gain[..., self._shells.labels]
        return fft.irfft2(modes, s=self.map_shape_)


def _ratio(part, whole):
    """part / whole, 0 where there is neither."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)),
                     where=whole > 0)  # fmt: skip


class WienerFilter(SpectralSeparator):
    r"""Wiener filter: of all linear filters, the one with the smallest mean square error.

    .. math:: \tilde S(\mathbf k) = \frac{P_s(k)}{P_s(k) + P_c(k)} D(\mathbf k)

    with isotropic spectra in rings one mode wide, up to the corners of the Fourier plane. The power of what
    it finds is too low by the same factor, P_s / (P_s + P_c). The maps are taken to be periodic; channels are
    filtered apart from each other; the mean of the contamination is taken off, that of the rest kept.

    Parameters
    ----------
    signal_spectrum : callable, pair of array-like (k, power) or None, default=None
        Power spectrum of the signal at wave numbers in cycles per pixel, as
        `skastro.field_metrics.power_spectrum` has it; (k, power) is interpolated in the logarithms, and flat
        beyond its ends. The power may be (n_channels, n_k). None: estimated from each mixture, as
        :math:`\max(P_d - P_c, 0)`, smoothed.
    contamination_spectrum : callable, pair of array-like (k, power) or None, default=None
        That of the contamination. None: the mean over the samples.
    smoothing : float, default=0.1
        Standard deviation, as a fraction of the wave number, of the Gaussian that smooths P_c / P_d in the
        estimate. 0: none.
    window : {"hann"} or None, default=None
        For the spectra that are estimated; "hann" for maps that are not periodic.

    Attributes
    ----------
    k_ : ndarray of shape (n_rings,)
        Mean wave number of each ring, in cycles per pixel.
    contamination_power_ : ndarray of shape (n_channels, n_rings)
    signal_power_ : ndarray of shape (n_channels, n_rings) or None
        None where it is estimated from each mixture.
    mean_ : ndarray of shape (n_channels,)
        Of the contamination.
    contamination_ : ndarray or Quantity of the shape of `D`
        Mixtures less signal, of the last mixtures that were transformed.
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the samples seen in `fit`.

    References
    ----------
    .. [1] Wiener, "Extrapolation, interpolation, and smoothing of stationary time series" (1949).
    .. [2] Bunn, Fisher, Hoffman et al., "Wiener filtering of the COBE differential microwave radiometer
       data", ApJ 432, L75 (1994).

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.baselines import WienerFilter
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> model = WienerFilter().fit(mix.samples)
    >>> model.transform(mix.mixture).shape, bool(model.score(mix.mixture, mix.signal) > -0.5)
    ((1, 64, 64), True)
    """

    def _gain(self, signal, contamination, mixture):
        return _ratio(signal, signal + contamination if mixture is None else mixture)


class GaussianSeparator(SpectralSeparator):
    r"""The map nearest to the mixture that has the power spectrum of the signal.

    Statistical separation with no other statistic than the power spectrum: where the mean over samples of
    :math:`P(\tilde s + c_i)` is :math:`P(d)`. By gradient descent from the mixture every mode is multiplied
    by the gain of its ring, which for samples without correlation with the mixture has the closed form

    .. math:: \tilde S(\mathbf k) = \sqrt{\max(P_d(k) - P_c(k), 0) / P_d(k)}\; D(\mathbf k).

    It has the right spectrum, the phases of the mixture, and nothing of the signal that is not Gaussian where
    the contamination dominates. Periodicity, channels and mean as in `WienerFilter`.

    Parameters
    ----------
    signal_spectrum, contamination_spectrum, smoothing, window
        As in `WienerFilter`. With a `signal_spectrum` that is the spectrum of the result.

    Attributes
    ----------
    k_, contamination_power_, signal_power_, mean_, contamination_, map_shape_, n_channels_in_, unit_
        As in `WienerFilter`.

    References
    ----------
    .. [1] B. Regaldo-Saint Blancard, E. Allys, F. Boulanger, F. Levrier & N. Jeffrey (2021), "A new
       approach for the statistical denoising of Planck interstellar dust polarization data", A&A 649, L18.

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.baselines import GaussianSeparator
    >>> from skastro.separation_metrics import power_error
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> found = GaussianSeparator().fit(mix.samples).transform(mix.mixture)
    >>> bool(abs(power_error(found, mix.signal)[1][0, :4]).max() < 0.1)
    True
    """

    _needs_mixture = True

    def _gain(self, signal, contamination, mixture):
        return np.sqrt(_ratio(signal, mixture))
