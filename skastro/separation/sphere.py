"""`SphericalSeparator`: mixtures on the sphere to the signal in them."""

from math import isqrt
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed, resolve_device
from skastro.healpix import check_nside, check_sphere_maps, ring_of_nested
from skastro.scattering import SphericalScatteringTransform
from skastro.separation.contamination import LEAST_SAMPLES, check_enough
from skastro.separation.description import Description
from skastro.separation.harmonics import Degrees, SphericalHarmonics
from skastro.separation.reports import (
    check_constraints,
    compare_variances,
    warn_of_stop,
)
from skastro.separation.search import Search

__all__ = ["SphericalSeparator"]

SMALLEST, LARGEST = 4, 64  # nside: of the statistics, and of the tables of harmonics
# bytes of work for a byte of a mixture: wavelet fields of all scales, their gradients, the search
OVERHEAD = 2000


class SphericalSeparator(TransformerMixin, BaseEstimator):
    r"""Take mixtures d = s + c on the sphere apart, from the data and samples of the contamination c alone.

    What `StatisticalSeparator` is to maps of the plane, with the statistics of
    `SphericalScatteringTransform` and with spherical harmonics in the place of Fourier modes [1]_: the search
    starts from a Wiener filter with estimated spectra :math:`C_l`, and each harmonic moves in units of what
    the filter does not know of it. Needs astropy-healpix: ``pip install 'skastro[sphere]'``.

    Parameters
    ----------
    statistics : SphericalScatteringTransform or None, default=None
        A recipe; of its `order` there is no use. None: of all scales that fit, averaged over orientations.
    constraints : list of Constraint or None, default=None
        None: `MixtureConstraint`, `SpectrumConstraint` (of weight 0.3) and `WienerConstraint` (of 8).
    max_degree : int or None, default=None
        The largest degree l of the signal, at most 2 nside, beyond which the pixels tell harmonics badly
        apart; what is finer goes with the contamination. None: 2 nside.
    n_samples : int, default=16
        Samples of the contamination in an era, drawn from those of `fit`.
    n_octaves_drawn : int, default=1
        Octaves of the largest scales (1: the dipole) of which the contamination is a random draw: it is so
        much smaller than the signal that nothing tells it. 0: none.
    schedule : {"eras", "exact"}, default="eras"
        Whether averages over samples are taken as an era begins, or at each gradient.
    n_eras : int, default=3
        Of "exact" there is one, of as many iterations in all.
    max_iter : int, default=30
        Iterations of an era.
    tolerance : float, default=1e-3
        An era ends when 10 iterations together have lowered the loss by less than this part.
    order : {"ring", "nested"}, default="ring"
        Of the pixels.
    max_memory : int, default=2**30
        Memory for the work on a block of mixtures, in bytes; of one map at least.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    verbose : int, default=0
        1 shows a progress bar with the loss of each constraint.
    random_state : int, RandomState or None, default=None
        Of the samples in each era and of the draw at the largest scales.

    Attributes
    ----------
    contamination_ : ndarray of the shape of the mixtures
        What `transform` has taken off the last mixtures.
    history_ : list of dict
        Of the last `transform`: for each era and constraint the losses, an ndarray (n,).
    samples_ : ndarray of shape (n_samples, n_channels, n_pixels)
        Of the contamination, without their mean.
    scale_ : ndarray of shape (n_channels,)
        Their standard deviation.
    n_channels_in_ : int
    nside_ : int
    max_degree_ : int

    See Also
    --------
    StatisticalSeparator : Maps of the plane.

    References
    ----------
    .. [1] Delouis, Allys, Gauvrit & Boulanger, "Non-Gaussian modelling and statistical denoising of Planck
       dust polarisation full-sky maps using scattering transforms", A&A 668, A122 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import make_sphere_fields
    >>> from skastro.separation import SphericalSeparator
    >>> signal = make_sphere_fields(1, 8, "lognormal", random_state=0).maps
    >>> noise = np.random.default_rng(0).normal(size=(11, 768))
    >>> separator = SphericalSeparator(max_iter=5, n_eras=1, random_state=0, device="cpu")
    >>> found = separator.fit(noise[1:]).transform(signal + noise[:1])
    >>> bool(np.std(found - signal) < 0.7 * np.std(noise[:1]))
    True
    """

    _parameter_constraints = {
        "statistics": [SphericalScatteringTransform, None],
        "constraints": [list, tuple, None],
        "max_degree": [Interval(Integral, 4, None, closed="left"), None],
        "n_samples": [Interval(Integral, LEAST_SAMPLES, None, closed="left")],
        "n_octaves_drawn": [Interval(Integral, 0, None, closed="left")],
        "schedule": [StrOptions({"eras", "exact"})],
        "n_eras": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "order": [StrOptions({"ring", "nested"})],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        statistics=None,
        *,
        constraints=None,
        max_degree=None,
        n_samples=16,
        n_octaves_drawn=1,
        schedule="eras",
        n_eras=3,
        max_iter=30,
        tolerance=1e-3,
        order="ring",
        max_memory=2**30,
        dtype="float32",
        device="auto",
        verbose=0,
        random_state=None,
    ):
        self.statistics = statistics
        self.constraints = constraints
        self.max_degree = max_degree
        self.n_samples = n_samples
        self.n_octaves_drawn = n_octaves_drawn
        self.schedule = schedule
        self.n_eras = n_eras
        self.max_iter = max_iter
        self.tolerance = tolerance
        self.order = order
        self.max_memory = max_memory
        self.dtype = dtype
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, C, y=None):
        """Keep samples of the contamination.

        Parameters
        ----------
        C : array-like of shape (n, n_pixels) or (n, n_channels, n_pixels)
            Two or more HEALPix maps of 12 nside^2 pixels without any signal, better 20.
        y : ignored

        Returns
        -------
        self : SphericalSeparator

        Raises
        ------
        ValueError
            Fewer than two samples; a number of pixels that is not 12 nside^2 for a power of 2 from 4 to 64;
            maps that are not finite and real, or constant; a `max_degree` beyond 2 nside.
        """
        samples, self.unit_ = check_sphere_maps(C, "C")
        check_enough(samples)
        self.nside_ = check_nside(isqrt(samples.shape[2] // 12))
        if not SMALLEST <= self.nside_ <= LARGEST:
            raise ValueError(f"C has nside {self.nside_}; expected {SMALLEST} to {LARGEST}.")
        finest = 2 * self.nside_
        self.max_degree_ = finest if self.max_degree is None else self.max_degree
        if self.max_degree_ > finest:
            raise ValueError(f"max_degree={self.max_degree!r}; expected at most {finest}, 2 nside.")
        self.n_channels_in_ = samples.shape[1]
        self.n_dim_ = np.ndim(C)
        self.mean_ = samples.mean(axis=(0, 2), dtype=np.float64)
        self.scale_ = samples.std(axis=(0, 2), dtype=np.float64)
        self.samples_ = (samples - self.mean_[:, None]).astype(self.dtype)
        return self

    def transform(self, D):
        """Find the signal in each mixture.

        Parameters
        ----------
        D : array-like of shape (n, n_pixels) or (n, n_channels, n_pixels)
            Of the pixels and channels of the samples in `fit`, and in a unit that converts to theirs.

        Returns
        -------
        signal : ndarray of the shape of `D`, of `dtype`
            Of degrees up to `max_degree_`; `contamination_` has the rest.

        Raises
        ------
        ValueError
            Mixtures of another size, number of channels or unit than the samples, that are not finite, or
            constant; constraints that are none.

        Warns
        -----
        UserWarning
            The contamination is stronger than a mixture.
        ConvergenceWarning
            The search was interrupted: the signal is the best until then.
        """
        check_is_fitted(self)
        maps, _ = check_sphere_maps(
            D, "D", n_channels=self.n_channels_in_, n_pixels=12 * self.nside_**2, unit=self.unit_
        )
        shape = np.shape(D)
        search = self._search()
        compare_variances(maps, self.scale_)
        signal, self.history_, n_found = search.find(maps, "smoothed", draw_seed(self.random_state))
        if n_found is not None:
            warn_of_stop(f"{n_found} of {len(maps)} signals", "the others their mixtures")
        self.contamination_ = (maps - signal).astype(self.dtype).reshape(shape)
        return signal.reshape(shape)

    def score(self, D, S):
        """Minus the root mean square error of the signals, in standard deviations of the true ones.

        Parameters
        ----------
        D : array-like of shape (n, n_pixels) or (n, n_channels, n_pixels)
        S : array-like of the shape of `D`
            The signals.

        Returns
        -------
        score : float
            Mean over maps and channels; 0 is perfect.
        """
        truth, _ = check_sphere_maps(S, "S", unit=self.unit_)
        if np.shape(S) != np.shape(D):
            raise ValueError(f"S has shape {np.shape(S)}; expected {np.shape(D)}, that of D.")
        found = self.transform(D).reshape(truth.shape)
        error = np.square(found - truth, dtype=np.float64).mean(2)
        return -float(np.mean(np.sqrt(error / truth.var(2, dtype=np.float64))))

    @property
    def _device(self):
        return resolve_device(self.device, self.dtype)

    def _search(self):
        harmonics = SphericalHarmonics(self.nside_, self.max_degree_, self.order)
        pixels = self.n_channels_in_ * 12 * self.nside_**2
        return Search(
            check_constraints(self.constraints), self.samples_, self.mean_, self.scale_, self._describe,
            self.schedule == "exact", self.n_samples, self.n_eras, self.max_iter, self.tolerance,
            self.n_octaves_drawn, self.dtype, self._device, self.verbose,
            pixels * np.dtype(self.dtype).itemsize * OVERHEAD, self.max_memory,
            # degrees one by one, and in wide bands
            bands=(Degrees(harmonics), Degrees(harmonics, growing=True)),
        )  # fmt: skip

    def _describe(self, mixtures):
        if self.statistics is None:
            # as many scales as there are
            recipe = SphericalScatteringTransform(self.nside_.bit_length() - 2)
        else:
            recipe = clone(self.statistics)
        recipe.set_params(order="nested", dtype=self.dtype, device=str(self._device))
        pixels = np.arange(mixtures.shape[-1])
        if self.order == "ring":
            pixels = ring_of_nested(self.nside_)
        pixels = torch.from_numpy(pixels).to(mixtures.device)
        return Description(recipe.fit(mixtures[..., pixels].cpu().numpy()), mixtures, pixels=pixels)
