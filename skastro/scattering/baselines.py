"""What `ScatteringTransform` is compared with: classical statistics of maps, and small networks."""

from numbers import Integral, Real

import numpy as np
from scipy import fft
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.fourier_shells import FourierShells
from skastro.map_features import MapFeatures
from skastro.map_spectra import shell_spectra
from skastro.scattering.bispectrum import Bispectrum
from skastro.scattering.cnn import CNNClassifier, CNNRegressor

__all__ = [
    "BispectrumFeatures",
    "CNNClassifier",
    "CNNRegressor",
    "HistogramMoments",
    "PowerSpectrumFeatures",
]


class PowerSpectrumFeatures(MapFeatures):
    """Isotropic power spectrum in rings of wave number, and the correlation of channels ring by ring.

    Parameters
    ----------
    n_bins : int or None, default=None
        Rings. None: four an octave (log), or as wide as the fundamental frequency (linear).
    spacing : {"log", "linear"}, default="log"
    k_max : float or None, default=None
        Largest wave number, in cycles per pixel. None: 0.5, the Nyquist frequency.
    log : bool, default=True
        Decimal logarithm of the power. Power below the rounding of the transform, 5e-32 of a map's total,
        counts as that.
    cross : bool, default=True
        Of several channels, add the correlation coefficient of each pair.
    window : {"hann"} or None, default=None
        "hann" for maps that are not periodic.

    Attributes
    ----------
    k_ : ndarray of shape (n_shells,)
        Mean wave number of each ring, in cycles per pixel.
    feature_names_ : ndarray of str
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the maps seen in `fit`.

    Examples
    --------
    >>> from skastro.datasets import make_fields
    >>> from skastro.scattering.baselines import PowerSpectrumFeatures
    >>> maps = make_fields(5, n_pixels=32, random_state=0).maps
    >>> model = PowerSpectrumFeatures(n_bins=3)
    >>> model.fit_transform(maps).shape, model.get_feature_names_out().tolist()
    ((5, 3), ['P[k=0.05554]', 'P[k=0.1492]', 'P[k=0.3697]'])
    """

    _overhead = 32
    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left"), None],
        "spacing": [StrOptions({"log", "linear"})],
        "k_max": [Interval(Real, 0, None, closed="neither"), None],
        "log": ["boolean"],
        "cross": ["boolean"],
        "window": [StrOptions({"hann"}), None],
    }

    def __init__(
        self, n_bins=None, *, spacing="log", k_max=None, log=True, cross=True, window=None
    ):
        self.n_bins = n_bins
        self.spacing = spacing
        self.k_max = k_max
        self.log = log
        self.cross = cross
        self.window = window

    def _prepare(self):
        self._shells = FourierShells(
            self.map_shape_, self.n_bins, spacing=self.spacing, k_max=self.k_max
        )
        self.k_ = self._shells.k

    def _pairs(self):
        n = self.n_channels_in_
        return [(a, b) for a in range(n) for b in range(a + 1, n)] if self.cross else []

    def _names(self):
        names = [f"P[{c}k={k:.4g}]" for c in self._channels() for k in self.k_]
        return names + [f"r[c1={a},c2={b},k={k:.4g}]" for a, b in self._pairs() for k in self.k_]

    def _needs_variation(self):
        return self.log or bool(self._pairs())

    def _features(self, maps):
        power = shell_spectra(maps, None, self._shells, window=self.window)[0]
        # zero power, as of a filtered map, must have neither a logarithm nor a ratio
        total = maps.var(axis=(2, 3))[..., None] * (self.map_shape_[0] * self.map_shape_[1])
        floored = np.maximum(power, np.finfo(np.float64).eps ** 2 * total)
        auto = np.log10(floored) if self.log else power
        parts = [auto.reshape(len(maps), -1)]
        for a, b in self._pairs():
            pair = maps[:, a], maps[:, b]
            cross = shell_spectra(*pair, self._shells, window=self.window)[2]
            parts.append(cross / np.sqrt(floored[:, a] * floored[:, b]))
        return np.concatenate(parts, axis=1)


class BispectrumFeatures(MapFeatures):
    """Isotropic bispectrum in triples of rings of wave number, of each channel.

    The mean over the triangles of wave numbers with a side in each ring, by one FFT a ring [1]_. It is zero
    for a Gaussian field, and the lowest order that tells one of another skewness.

    Parameters
    ----------
    n_bins : int, default=8
        Rings of equal width.
    k_max : float, default=0.5
        Largest wave number, in cycles per pixel; the Nyquist frequency itself is left out.
    spacing : {"linear", "log"}, default="linear"
    normalization : {"power"} or None, default="power"
        "power": divided by the square root of the product of the three powers, so that a factor of the map
        cancels. None: in the unit of the map cubed.

    Attributes
    ----------
    k_ : ndarray of shape (n_triples, 3)
        Mean wave numbers of the three rings, in cycles per pixel. Triples without a triangle are left out.
    n_triangles_ : ndarray of shape (n_triples,)
    feature_names_ : ndarray of str
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the maps seen in `fit`.

    References
    ----------
    .. [1] Watkinson, Majumdar, Pritchard & Mondal, "A fast estimator for the bispectrum and beyond - a
       practical method for measuring non-Gaussianity in 21-cm maps", MNRAS 472, 2436 (2017).

    Examples
    --------
    >>> from skastro.datasets import make_fields
    >>> from skastro.scattering.baselines import BispectrumFeatures
    >>> model = BispectrumFeatures(n_bins=2)
    >>> model.fit_transform(make_fields(5, n_pixels=32, random_state=0).maps).shape
    (5, 4)
    >>> model.get_feature_names_out()[1]
    'B[k1=0.1755,k2=0.1755,k3=0.3914]'
    """

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "k_max": [Interval(Real, 0, 0.5, closed="right")],
        "spacing": [StrOptions({"log", "linear"})],
        "normalization": [StrOptions({"power"}), None],
    }

    def __init__(self, n_bins=8, *, k_max=0.5, spacing="linear", normalization="power"):
        self.n_bins = n_bins
        self.k_max = k_max
        self.spacing = spacing
        self.normalization = normalization

    def _prepare(self):
        # the filtered maps, their modes and their products, on a finer grid
        self._overhead = 12 * self.n_bins
        self._bispectrum = Bispectrum(
            self.map_shape_, self.n_bins, k_max=self.k_max, spacing=self.spacing
        )
        self.k_ = self._bispectrum.k
        self.n_triangles_ = self._bispectrum.n_triangles

    def _names(self):
        triples = [f"k1={a:.4g},k2={b:.4g},k3={c:.4g}" for a, b, c in self.k_]
        return [f"B[{c}{triple}]" for c in self._channels() for triple in triples]

    def _needs_variation(self):
        return self.normalization is not None

    def _features(self, maps):
        flat = maps.reshape(-1, *self.map_shape_)
        bispectrum, power = self._bispectrum(flat)
        if self.normalization is not None:
            total = flat.var(axis=(1, 2))[:, None] * flat[0].size
            power = np.maximum(power, np.finfo(np.float64).eps ** 2 * total)
            bispectrum = bispectrum / np.sqrt(power[:, self._bispectrum.triples].prod(axis=2))
        return bispectrum.reshape(len(maps), -1)


class HistogramMoments(MapFeatures):
    """Moments of the pixels, of the map and of copies smoothed at dyadic scales.

    Mean, standard deviation, skewness, kurtosis (less 3), and higher moments of the deviations in units of
    the standard deviation. The mean is the same at all scales and given once.

    Parameters
    ----------
    n_moments : int, default=4
    n_scales : int or None, default=0
        Smoothings, by Gaussians of standard deviation 1, 2, 4, ... pixels. None: as many as keep it below an
        eighth of the shorter side.
    boundary : {"periodic", "reflect"}, default="periodic"
        What lies beyond the border for the smoothing.

    Attributes
    ----------
    sigmas_ : list of float
        Standard deviations of the smoothing, in pixels, 0 first.
    feature_names_ : ndarray of str
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the maps seen in `fit`.

    Examples
    --------
    >>> from skastro.datasets import make_fields
    >>> from skastro.scattering.baselines import HistogramMoments
    >>> model = HistogramMoments(3, n_scales=1)
    >>> model.fit_transform(make_fields(5, n_pixels=32, random_state=0).maps).shape
    (5, 5)
    >>> model.get_feature_names_out().tolist()
    ['mean', 'std[sigma=0]', 'skewness[sigma=0]', 'std[sigma=1]', 'skewness[sigma=1]']
    """

    _overhead = 16
    _parameter_constraints = {
        "n_moments": [Interval(Integral, 1, None, closed="left")],
        "n_scales": [Interval(Integral, 0, None, closed="left"), None],
        "boundary": [StrOptions({"periodic", "reflect"})],
    }

    def __init__(self, n_moments=4, *, n_scales=0, boundary="periodic"):
        self.n_moments = n_moments
        self.n_scales = n_scales
        self.boundary = boundary

    def _prepare(self):
        side = min(self.map_shape_)
        # sigma = 2**(n - 1) pixels
        largest = max(0, int(np.ceil(np.log2(side / 8.0))))
        if self.n_scales is not None and self.n_scales > largest:
            raise ValueError(
                f"n_scales={self.n_scales} for maps of {self.map_shape_[0]} x {self.map_shape_[1]} pixels; "
                f"expected at most {largest}."
            )
        n_scales = largest if self.n_scales is None else self.n_scales
        self.sigmas_ = [0.0] + [2.0**j for j in range(n_scales)]

    def _names(self):
        kinds = ["std", "skewness", "kurtosis"] + [
            f"moment{p}" for p in range(5, self.n_moments + 1)
        ]
        names = []
        for c in self._channels():
            names.append(f"mean[{c[:-1]}]" if c else "mean")
            for sigma in self.sigmas_:
                names += [f"{kind}[{c}sigma={sigma:g}]" for kind in kinds[: self.n_moments - 1]]
        return names

    def _needs_variation(self):
        return self.n_moments > 2

    def _features(self, maps):
        mean = maps.mean(axis=(2, 3))
        found = [mean]
        z = maps - mean[..., None, None]
        for sigma in self.sigmas_ if self.n_moments > 1 else ():
            one = self._smoothed(z, sigma) if sigma else z
            # reflection moves the mean
            one = one - one.mean(axis=(2, 3), keepdims=True)
            variance = np.mean(one**2, axis=(2, 3))
            spread = np.sqrt(variance)
            found.append(spread)
            power = one**2
            for order in range(3, self.n_moments + 1):
                power = power * one
                moment = power.mean(axis=(2, 3)) / np.where(spread > 0, spread, 1.0) ** order
                found.append(moment - 3.0 if order == 4 else moment)
        return np.stack(found, axis=2).reshape(len(maps), -1)

    def _smoothed(self, maps, sigma):
        h, w = self.map_shape_
        if self.boundary == "periodic":
            # exact for the sampled plane, also for a kernel that is wider than the map
            rows = np.exp(-2.0 * (np.pi * sigma * fft.fftfreq(h)) ** 2)
            columns = np.exp(-2.0 * (np.pi * sigma * fft.rfftfreq(w)) ** 2)
            return fft.irfft2(fft.rfft2(maps) * (rows[:, None] * columns), s=(h, w))
        # a cosine transform is that of the map and its mirror images
        rows = np.exp(-0.5 * (np.pi * sigma * np.arange(h) / h) ** 2)
        columns = np.exp(-0.5 * (np.pi * sigma * np.arange(w) / w) ** 2)
        modes = fft.dctn(maps, axes=(2, 3)) * (rows[:, None] * columns)
        return fft.idctn(modes, axes=(2, 3))
