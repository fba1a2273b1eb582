"""Internal linear combination: channels weighted so that the signal stays and the rest is least."""

from numbers import Integral

import numpy as np
from scipy import fft
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.fourier_shells import FourierShells
from skastro.map_spectra import shell_spectra
from skastro.separation.baselines.separator import Separator

__all__ = ["ILC"]


class ILC(Separator):
    r"""Internal linear combination of channels in which the signal has known amplitudes.

    For mixtures :math:`d_c = a_c s + n_c` the signal is :math:`w^T d` with the weights of least variance
    among those that leave it as it is, :math:`w^T a = 1`,

    .. math:: w = \frac{R^{-1} a}{a^T R^{-1} a},

    R being the covariance of the channels in a ring of wave number. Maps are taken to be periodic.

    Parameters
    ----------
    mixing : array-like of shape (n_channels,)
        Amplitude of the signal in each channel.
    covariance : {"mixture", "contamination"}, default="mixture"
        Of which R is. "mixture": of each mixture itself [1]_; chance correlations in it take away some
        signal, of the order of (n_channels - 1) / (modes of a ring). "contamination": of the samples, without
        that loss, and as good as they are like the contamination in the mixture.
    n_bins : int, default=1
        Logarithmic rings of wave number, up to the corner of the Fourier plane, each with weights of its own.

    Attributes
    ----------
    weights_ : ndarray of shape (n_rings, n_channels) or None
        None where each mixture has its own, `covariance="mixture"`.
    k_ : ndarray of shape (n_rings,)
        Mean wave number of each ring, in cycles per pixel.
    contamination_ : ndarray or Quantity of the shape of `D`
        Mixtures less the signal in each channel, of the last mixtures that were transformed.
    mean_, map_shape_, n_channels_in_, unit_
        As in `WienerFilter`.

    References
    ----------
    .. [1] Bennett, Hill, Hinshaw et al., "First-year Wilkinson Microwave Anisotropy Probe (WMAP)
       observations: foreground emission", ApJS 148, 97 (2003).
    .. [2] Delabrouille, Cardoso, Le Jeune et al., "A full sky, low foreground, high resolution CMB map from
       WMAP", A&A 493, 835 (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.baselines import ILC
    >>> mix = make_mixture("cib", n_pixels=64, n_samples=10, random_state=0)
    >>> colours = np.array([1.0, 0.2, 0.5])[:, None, None]
    >>> channels = np.array([1.0, 2.0, 3.0])[:, None, None] * mix.signal[:, None]
    >>> channels = channels + colours * mix.contamination[:, None]
    >>> model = ILC([1.0, 2.0, 3.0], n_bins=2).fit(colours * mix.samples[:, None])
    >>> model.transform(channels).shape, bool(model.score(channels, mix.signal) > -0.1)
    ((1, 64, 64), True)
    """

    _several_channels = True
    _parameter_constraints = {
        "mixing": ["array-like"],
        "covariance": [StrOptions({"mixture", "contamination"})],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, mixing, *, covariance="mixture", n_bins=1):
        self.mixing = mixing
        self.covariance = covariance
        self.n_bins = n_bins

    def _learn(self, samples):
        n = self.n_channels_in_
        mixing = np.asarray(self.mixing, dtype=np.float64)
        if mixing.shape != (n,):
            raise ValueError(
                f"mixing has shape {mixing.shape}; expected ({n},), one a channel of C."
            )
        if not np.isfinite(mixing).all() or not mixing.any():
            raise ValueError(
                f"mixing={mixing.tolist()}; expected finite numbers, at least one of them not 0."
            )
        self._mixing = mixing
        self._shells = FourierShells(
            self.map_shape_, self.n_bins, spacing="log", k_max=np.sqrt(0.5)
        )
        self.k_ = self._shells.k
        self.weights_ = None
        if self.covariance == "contamination":
            total = sum(
                self._channel_spectra(block).sum(axis=0) for block in self._centred(samples)
            )
            self.weights_ = _weights(total / len(samples), mixing)

    def _channel_spectra(self, maps):
        """Auto and cross spectra of the channels, array (n, n_rings, n_channels, n_channels)."""
        n = self.n_channels_in_
        found = np.empty((len(maps), len(self.k_), n, n))
        for i in range(n):
            for j in range(i + 1):
                spectra = shell_spectra(maps[:, i], maps[:, j], self._shells)[2]
                found[..., i, j] = found[..., j, i] = spectra
        return found

    def _separate(self, maps):
        if self.weights_ is None:
            weights = _weights(self._channel_spectra(maps), self._mixing)
        else:
            weights = self.weights_[None]
        # the mean goes with the largest scales
        by_mode = weights[:, np.maximum(self._shells.labels, 0)].astype(maps.dtype)
        modes = fft.rfft2(maps)
        return fft.irfft2(np.einsum("nchw,nhwc->nhw", modes, by_mode), s=self.map_shape_)

    def _mixed(self, signal):
        return self._mixing[:, None, None].astype(signal.dtype) * signal[:, None]


def _weights(spectra, mixing):
    """Weights of least variance (..., n_channels) for covariances (..., n_channels, n_channels)."""
    n = len(mixing)
    # channels of any unit; and contamination without noise leaves R singular
    scale = np.sqrt(np.maximum(np.einsum("...ii->...i", spectra), np.finfo(np.float64).tiny))
    correlation = spectra / (scale[..., :, None] * scale[..., None, :]) + 1e-10 * np.eye(n)
    scaled = mixing / scale
    solved = np.linalg.solve(correlation, scaled[..., None])[..., 0]
    return solved / scale / np.sum(scaled * solved, axis=-1, keepdims=True)
