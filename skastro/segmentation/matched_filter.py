"""The optimal linear detector of point sources in stationary noise."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.images import check_images
from skastro.segmentation.border_noise import border_variance
from skastro.segmentation.detections import find_peaks
from skastro.segmentation.fourier_filter import FourierFilter
from skastro.segmentation.image_noise import (
    check_spectrum,
    measured_spectrum,
    robust_sigma,
)
from skastro.segmentation.psf import check_psf, gaussian_psf, stack_psf

__all__ = ["MatchedFilter"]

BRIGHT = 20.0  # signal-to-noise ratio of the sources that a PSF is measured on


class MatchedFilter(TransformerMixin, BaseEstimator):
    r"""Signal-to-noise ratio of a point source at every pixel, by the matched filter.

    In noise of power spectrum :math:`N(\mathbf k)`, no linear filter finds a source of known shape
    :math:`P` at a higher signal-to-noise ratio than :math:`h = P^* / N` [1]_ [2]_. The map that
    `transform` gives is the filtered image over its standard deviation: at a source it is the flux over the
    error of the flux, on average

    .. math:: \frac{F}{\sigma_F} = F\, \Big( \frac{1}{n} \sum_{\mathbf k}
        \frac{|P(\mathbf k)|^2}{N(\mathbf k)} \Big)^{1/2}

    with the sum over the :math:`n` modes of the unnormalised FFT, where white noise has its variance as
    :math:`N`; in pure noise it has mean 0 and variance 1.

    Images may have any size, also another than in `fit`. Pixels beyond the border and blank pixels carry no
    weight: flux and error beside them are those of what is seen of a source. In correlated noise the error
    beside blank pixels is an approximation. At blank pixels the answer is NaN.

    Parameters
    ----------
    psf : {"gaussian", "measured"} or array-like of shape (h, w), default="gaussian"
        Shape of a point source. An array has its centre at pixel (h // 2, w // 2) and is divided by its sum.
        "measured": the median of bright isolated sources of the images, found with the Gaussian.
    fwhm : float, default=2.5
        Full width at half maximum of the Gaussian, in pixels.
    noise : {"white", "measured"}, float or array-like of shape (h, w), default="white"
        "white": white, of a level that is measured on the images, sources clipped. "measured": an
        isotropic power spectrum, averaged over the images; faint sources that crowd the images are in it, and
        so are filtered against (confusion noise). With it, stars of a signal-to-noise ratio of hundreds
        ring: some of the peaks around them are none, and "white" is safer. A number: white,
        of this standard deviation. An array: power at the modes of `numpy.fft.fft2`, where white noise has
        its variance; infinity for modes that are not to be used.
    background : "median", float or None, default="median"
        What is taken off: the median of each image, a number, or nothing.
    threshold : float, default=5.0
        Signal-to-noise ratio above which `predict` and `detect` find a source.
    clip : float or None, default=3.0
        Standard deviations of a pixel at which sources are clipped before a power spectrum is measured.
    psf_size : int, default=15
        Side of a measured PSF, in pixels, odd. Sources nearer to each other than this are not used for it.

    Attributes
    ----------
    psf_ : ndarray
        Of sum 1.
    noise_sigma_ : float
        Standard deviation of the noise in a pixel, in the unit of the images.
    noise_spectrum_ : ndarray of shape (h, w)
        Power at the modes of `numpy.fft.fft2`, in the unit of the images squared.
    flux_error_ : float
        Standard deviation of the flux of a source away from the borders.
    image_shape_ : tuple (h, w)
        Of the images in `fit`.

    References
    ----------
    .. [1] North, "An analysis of the factors which determine signal/noise discrimination in pulsed-carrier
       systems", Proc. IEEE 51, 1016 (1963).
    .. [2] Vio & Andreani, "The correct estimate of the probability of false detection of the matched filter
       in weak-signal detection problems", A&A 589, A20 (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation import MatchedFilter
    >>> image = np.random.default_rng(0).normal(size=(64, 64))
    >>> y, x = np.mgrid[:64, :64]
    >>> image += 10.0 * np.exp(-((x - 20) ** 2 + (y - 40) ** 2) / 2.0)
    >>> model = MatchedFilter(fwhm=2.355).fit(image[None])
    >>> sources = model.detect(image)
    >>> len(sources), sources["x"].round().item(), sources["y"].round().item()
    (1, 20.0, 40.0)
    """

    _parameter_constraints = {
        "psf": [StrOptions({"gaussian", "measured"}), "array-like"],
        "fwhm": [Interval(Real, 0, None, closed="neither")],
        "noise": [
            StrOptions({"white", "measured"}),
            Interval(Real, 0, None, closed="neither"),
            "array-like",
        ],
        "background": [StrOptions({"median"}), Interval(Real, None, None, closed="neither"), None],
        "threshold": [Interval(Real, 0, None, closed="neither")],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "psf_size": [Interval(Integral, 3, None, closed="left")],
    }

    def __init__(
        self,
        psf="gaussian",
        *,
        fwhm=2.5,
        noise="white",
        background="median",
        threshold=5.0,
        clip=3.0,
        psf_size=15,
    ):
        self.psf = psf
        self.fwhm = fwhm
        self.noise = noise
        self.background = background
        self.threshold = threshold
        self.clip = clip
        self.psf_size = psf_size

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Measure the noise, and the PSF where it is not given.

        Parameters
        ----------
        X : array-like of shape (n, h, w)
            Images, NaN where blank; sources may be in them.
        y : None
            Ignored.

        Returns
        -------
        self : MatchedFilter

        Raises
        ------
        ValueError
            Wrong shapes, infinite, blank or constant images, images smaller than the PSF, an array of noise
            or PSF that makes no sense, no bright isolated source to measure the PSF on.
        """
        if self.psf_size % 2 == 0:
            raise ValueError(f"psf_size={self.psf_size}; expected an odd number of pixels.")
        images, info = _check_stack(X, None)
        if not np.isfinite(images).any():
            raise ValueError("X has no finite pixel; expected images that are not all blank.")
        self.input_unit_ = None if info.unit is None else info.unit.to_string()
        self.image_shape_ = images.shape[1:]
        images = self._without_background(images)
        # from the last fit: it must not stay when this one fails
        self._filter = None
        if isinstance(self.psf, str):
            self.psf_ = gaussian_psf(self.fwhm)
        else:
            self.psf_ = check_psf(self.psf)
        self._check_size(self.image_shape_)
        self._set_noise(images)
        if isinstance(self.psf, str) and self.psf == "measured":
            self.psf_ = self._measured_psf(images)
            self._set_noise(images)
        return self

    def _set_noise(self, images):
        shape = self.image_shape_
        if isinstance(self.noise, str):
            self.noise_sigma_ = robust_sigma(images)
        elif isinstance(self.noise, Real):
            self.noise_sigma_ = float(self.noise)
        if isinstance(self.noise, str) and self.noise == "measured":
            spectrum = measured_spectrum(images, self.noise_sigma_, self.clip)
        elif isinstance(self.noise, (str, Real)):
            spectrum = np.full(shape, self.noise_sigma_**2)
        else:
            spectrum = check_spectrum(self.noise)
        self.noise_spectrum_ = spectrum
        self.noise_sigma_ = float(np.sqrt(spectrum[np.isfinite(spectrum)].mean()))
        white = np.ptp(spectrum) == 0.0
        inverse = self.noise_sigma_**2 / spectrum
        self._borders = None if white else border_variance(self.psf_, inverse)
        self._filter = self._make_filter(shape)
        self.flux_error_ = float(self.noise_sigma_ / np.sqrt(self._filter.information))

    def _make_filter(self, shape):
        return FourierFilter(
            self.psf_, self.noise_spectrum_, self.noise_sigma_, shape, self._borders
        )

    def _measured_psf(self, images):
        if self.psf_size > min(self.image_shape_):
            raise ValueError(
                f"psf_size={self.psf_size}, X has images of shape {self.image_shape_}; expected a PSF "
                "that is not larger than the images."
            )
        tables = []
        for image in images:
            snr, flux = self._filter.maps(image)
            tables.append(find_peaks(snr, flux, BRIGHT))
        return stack_psf(images, tables, self.psf_size)

    def _check_size(self, shape):
        if self.psf_.shape[0] > shape[0] or self.psf_.shape[1] > shape[1]:
            raise ValueError(
                f"X has images of shape {tuple(shape)}; expected none smaller than the PSF, "
                f"{self.psf_.shape}."
            )

    def _without_background(self, images):
        level = self.background
        if level is None:
            return images
        if not isinstance(level, str):
            return images - images.dtype.type(level)
        hidden = np.isnan(images).any(axis=(1, 2))
        out = np.empty_like(images)
        for i, image in enumerate(images):
            known = image[np.isfinite(image)] if hidden[i] else image
            out[i] = image - (np.median(known) if known.size else 0.0)
        return out

    def _maps(self, X, *which):
        check_is_fitted(self)
        images, info = _check_stack(X, self.input_unit_)
        shape = images.shape[1:]
        self._check_size(shape)
        kept = shape == self.image_shape_
        found = self._filter if kept else self._make_filter(shape)
        out = [np.empty(images.shape, info.dtype) for _ in which]
        for i in range(len(images)):
            maps = found.maps(self._without_background(images[i : i + 1])[0])
            for one, j in zip(out, which, strict=True):
                one[i] = maps[j]
        return out, info

    def transform(self, X):
        """Signal-to-noise ratio of a point source at each pixel.

        Parameters
        ----------
        X : array-like of shape (n, h, w)
            Images in the unit of those in `fit`, NaN where blank.

        Returns
        -------
        snr : ndarray of shape (n, h, w)
            float64 where `X` was, else float32. NaN at blank pixels, and where too little of a source is
            seen.

        Raises
        ------
        ValueError
            Wrong shapes, infinite values, images smaller than the PSF.
        """
        return self._maps(X, 0)[0][0]

    def flux_map(self, X):
        """Flux of a point source centred on each pixel.

        Parameters
        ----------
        X : array-like of shape (n, h, w)
            Images in the unit of those in `fit`, NaN where blank.

        Returns
        -------
        flux : ndarray of shape (n, h, w)
            In the unit of the images, a Quantity or masked where they are: the sum over the pixels of a
            source. Its error is the flux over `transform(X)`.

        Raises
        ------
        ValueError
            As `transform`.
        """
        (flux,), info = self._maps(X, 1)
        return info.restore(flux)

    def predict(self, X):
        """Pixels at which the signal-to-noise ratio of a source is above the threshold.

        Parameters
        ----------
        X : array-like of shape (n, h, w)
            Images in the unit of those in `fit`, NaN where blank.

        Returns
        -------
        mask : ndarray of bool of shape (n, h, w)
            False at blank pixels.

        Raises
        ------
        ValueError
            As `transform`.
        """
        return self.transform(X) > self.threshold

    def detect(self, image):
        """Sources of an image: local maxima of the signal-to-noise ratio above the threshold.

        Parameters
        ----------
        image : array-like of shape (h, w)
            In the unit of those in `fit`, NaN where blank.

        Returns
        -------
        sources : Table
            `x` (column) and `y` (row) in pixels from 0 at the centre of the first, `flux`, `flux_err`, and
            `snr`, the highest first. Positions are the tops of parabolas through the logarithm of
            the ratio, and so are the fluxes.

        Raises
        ------
        ValueError
            An image of another shape than (h, w), infinite values, an image smaller than the PSF.
        """
        from astropy.table import Table

        if np.ndim(image) != 2:
            raise ValueError(f"image has shape {np.shape(image)}; expected (h, w).")
        (snr, flux), info = self._maps(image[None] if hasattr(image, "ndim") else [image], 0, 1)
        table = Table(find_peaks(snr[0], flux[0], self.threshold))
        table["x"].unit = table["y"].unit = "pix"
        if info.unit is not None:
            table["flux"].unit = table["flux_err"].unit = info.unit
        return table

    def __getstate__(self):
        # the filter is made anew: it is larger than an image
        return {name: one for name, one in super().__getstate__().items() if name != "_filter"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if "noise_spectrum_" in state:
            self._filter = self._make_filter(self.image_shape_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_stack(X, unit):
    if np.ndim(X) == 4:
        raise ValueError(f"X has shape {np.shape(X)}; expected (n, h, w).")
    dtype = np.float64 if getattr(X, "dtype", None) == np.float64 else np.float32
    images, info = check_images(X, dtype=dtype, unit=unit)
    return images[:, 0], info
