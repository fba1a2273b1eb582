"""`StatisticalSeparator`: mixtures to the signal in them, from samples of what contaminates it."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed, resolve_device
from skastro.maps import check_maps, refuse_constant
from skastro.partial_maps import check_valid_pixels, fill_from
from skastro.scattering import ScatteringTransform
from skastro.separation.baselines import ILC
from skastro.separation.contamination import LEAST_SAMPLES, less_signals, read_samples
from skastro.separation.description import Description
from skastro.separation.frame import Frame
from skastro.separation.reports import (
    check_constraints,
    compare_variances,
    warn_of_stop,
)
from skastro.separation.search import Search
from skastro.separation_metrics import relative_rmse

__all__ = ["StatisticalSeparator"]

N_RINGS = 16  # of the weights that channels are combined with
# bytes of work for a byte of a mixture: wavelet fields of all scales, their gradients, the search
OVERHEAD = 400


class StatisticalSeparator(TransformerMixin, BaseEstimator):
    r"""Take mixtures d = s + c apart, from the data and samples of the contamination c alone.

    No model of the signal is needed: maps s are sought for which :math:`\langle \Phi(s + c_i) \rangle_i =
    \Phi(d)`, with scattering statistics :math:`\Phi`, beside other constraints [1]_, [2]_, [3]_. The search
    starts from a Wiener filter that follows the signal from place to place [5]_, with spectra estimated from
    the mixture and the samples.

    Parameters
    ----------
    statistics : ScatteringTransform or None, default=None
        A recipe, with any `family` that has a slope. None: "covariance", of all scales but the largest.
    constraints : list of Constraint or None, default=None
        None: `MixtureConstraint`, `SpectrumConstraint` and `WienerConstraint` (of weight 16).
    n_samples : int, default=16
        Samples of the contamination in an era, drawn from those of `fit`.
    init : {"smoothed", "data"} or array-like of the shape of the signals, default="smoothed"
        Where to begin: the mixtures through the Wiener filter; as they are (a long way); or a first guess.
    periodic : bool, default=False
        Whether opposite sides of the maps touch. If not, maps are continued beyond their borders by a margin,
        a fourth of each side, which takes more time.
    mixing : array-like of shape (n_channels,) or None, default=None
        Amplitudes of one signal that all channels have in common. The channels are combined with the weights
        of least variance in each ring, which keeps all that channels of Gaussian contamination say of the
        signal. None: each channel has a signal of its own.
    n_octaves_drawn : int, default=1
        Octaves of the largest scales of which the contamination is a random draw: it is so much smaller than
        the signal that nothing tells it, and without a draw it would have no power there. 0: none.
    schedule : {"eras", "exact"}, default="eras"
        "eras": the bias by the contamination is averaged over samples at the beginning of an era, and each
        gradient takes one map [2]_. "exact": the average is taken at each gradient, `n_samples` times as
        expensive [1]_.
    n_eras : int, default=2
        Of "exact" there is one, of as many iterations in all.
    max_iter : int, default=30
        Iterations of an era.
    tolerance : float, default=1e-3
        An era ends when 10 iterations together have lowered the loss by less than this part.
    max_memory : int, default=2**30
        Memory for the work on a block of mixtures, in bytes.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    verbose : int, default=0
        1 shows a progress bar with the loss of each constraint.
    random_state : int, RandomState or None, default=None
        Of samples that `fit` draws, of those in each era, and of the draw at the largest scales.

    Attributes
    ----------
    contamination_ : ndarray of the shape of the mixtures
        What `transform` has taken off the last mixtures; NaN in hidden pixels.
    history_ : list of dict
        Of the last search: for each era and constraint the losses, an ndarray (n,).
    samples_ : ndarray of shape (n_samples, n_signals, h, w)
        Of the contamination, without their mean; of its combined channels with `mixing`.
    scale_ : ndarray of shape (n_signals,)
        Their standard deviation.
    n_channels_in_ : int

    References
    ----------
    .. [1] Regaldo-Saint Blancard, Allys, Boulanger, Levrier & Jeffrey, "A new approach for the statistical
       denoising of Planck interstellar dust polarization data", A&A 649, L18 (2021).
    .. [2] Delouis, Allys, Gauvrit & Boulanger, "Non-Gaussian modelling and statistical denoising of Planck
       dust polarisation full-sky maps using scattering transforms", A&A 668, A122 (2022).
    .. [3] Auclair, Allys, Boulanger et al., "Separation of dust emission from the cosmic infrared background
       in Herschel observations with wavelet phase harmonics", A&A 681, A1 (2024).
    .. [4] Bardsley, Solonen, Haario & Laine, "Randomize-then-optimize: a method for sampling from posterior
       distributions in nonlinear inverse problems", SIAM Journal on Scientific Computing 36, A1895 (2014).
    .. [5] Portilla, Strela, Wainwright & Simoncelli, "Image denoising using scale mixtures of Gaussians in
       the wavelet domain", IEEE Transactions on Image Processing 12, 1338 (2003).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation import StatisticalSeparator
    >>> rng = np.random.default_rng(0)
    >>> signal = np.cos(np.arange(32) / 32 * 2 * np.pi) * np.ones((1, 32, 1))
    >>> noise = rng.normal(size=(20, 32, 32))
    >>> separator = StatisticalSeparator(max_iter=5, random_state=0, device="cpu").fit(noise[1:])
    >>> found = separator.transform(signal + noise[:1])
    >>> bool(np.std(found - signal) < 0.6 * np.std(noise[:1]))
    True
    """

    _parameter_constraints = {
        "statistics": [ScatteringTransform, None],
        "constraints": [list, tuple, None],
        "n_samples": [Interval(Integral, LEAST_SAMPLES, None, closed="left")],
        "init": [StrOptions({"smoothed", "data"}), "array-like"],
        "periodic": ["boolean"],
        "mixing": ["array-like", None],
        "n_octaves_drawn": [Interval(Integral, 0, None, closed="left")],
        "schedule": [StrOptions({"eras", "exact"})],
        "n_eras": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tolerance": [Interval(Real, 0, None, closed="left")],
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
        n_samples=16,
        init="smoothed",
        periodic=False,
        mixing=None,
        n_octaves_drawn=1,
        schedule="eras",
        n_eras=2,
        max_iter=30,
        tolerance=1e-3,
        max_memory=2**30,
        dtype="float32",
        device="auto",
        verbose=0,
        random_state=None,
    ):
        self.statistics = statistics
        self.constraints = constraints
        self.n_samples = n_samples
        self.init = init
        self.periodic = periodic
        self.mixing = mixing
        self.n_octaves_drawn = n_octaves_drawn
        self.schedule = schedule
        self.n_eras = n_eras
        self.max_iter = max_iter
        self.tolerance = tolerance
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
        C : array-like of shape (n, h, w) or (n, n_channels, h, w), callable, or array-like of shape (h, w)
            Two or more maps without any signal, better 20. Or a function of their number and a
            `numpy.random.RandomState` that draws `n_samples` for each era. Or one map, from the statistics of
            which `n_samples` new ones are made by `ScatteringTransform.synthesize`: of its largest scales
            they all have the same power.
        y : array-like of the shape of the signals, optional
            Then `C` are mixtures that have these signals, and the samples are what is left: of simulations,
            for a search over parameters with `score` as its measure.

        Returns
        -------
        self : StatisticalSeparator

        Raises
        ------
        ValueError
            Fewer than two samples, signals of another shape, or maps that are not finite, real, and of at
            least 2 x 2 pixels.
        """
        samples, self.unit_ = read_samples(
            C, self.n_samples * self.n_eras, self.n_samples, draw_seed(self.random_state), self._device
        )  # fmt: skip
        if y is not None:
            samples = less_signals(samples, y, self.unit_, self.mixing)
        self.n_dim_ = samples.ndim
        self.n_channels_in_ = samples.shape[1] if samples.ndim == 4 else 1
        self.map_shape_ = tuple(samples.shape[-2:])
        samples = samples.reshape(-1, self.n_channels_in_, *self.map_shape_)
        self.combination_ = None
        if self.mixing is not None:
            self.combination_ = ILC(self.mixing, covariance="contamination", n_bins=N_RINGS).fit(
                samples
            )
            samples = self.combination_.transform(samples)[:, None]
        mean = samples.mean(axis=(0, 2, 3), dtype=np.float64)
        self.mean_ = mean
        self.scale_ = samples.std(axis=(0, 2, 3), dtype=np.float64)
        self.samples_ = (samples - mean[:, None, None]).astype(self.dtype)
        return self

    def transform(self, D, mask=None):
        """Find the signal in each mixture.

        Parameters
        ----------
        D : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels of the samples in `fit`, and in a unit that converts to theirs.
        mask : array-like of bool of shape (h, w), optional
            True where a pixel counts, in all mixtures; NaN is allowed elsewhere. The signal is continued into
            hidden pixels.

        Returns
        -------
        signal : ndarray of the shape of `D`, or (n, h, w) with `mixing`, of `dtype`
            `contamination_` has the rest.

        Raises
        ------
        ValueError
            Mixtures of another size, number of channels or unit than the samples, that are not finite, or
            constant; constraints that are none; a mask of another shape or without a valid pixel.

        Warns
        -----
        UserWarning
            The contamination is zero, or stronger than a mixture.
        ConvergenceWarning
            The search was interrupted: the signal is the best until then.
        """
        check_is_fitted(self)
        given, valid = self._read(D, mask)
        maps = self._combined(given)
        search = self._search(Frame(self.map_shape_, valid, self.periodic))
        start = self._start(maps)
        self.history_ = []
        if self._nothing_to_do(maps):
            return self._split(given, maps.astype(self.dtype), valid)
        signal, self.history_, n_found = search.find(maps, start, draw_seed(self.random_state))
        if n_found is not None:
            warn_of_stop(f"{n_found} of {len(maps)} signals", "the others their mixtures")
        return self._split(given, signal, valid)

    def sample_posterior(self, D, n_samples=10, mask=None, *, random_state=None):
        """Draw signals that might be in each mixture.

        Each has powers, modes and one sample of the contamination of its own that agree with the mixture, and
        is then changed, in one era, until it has the statistics that follow: randomize-then-optimize, as
        Bardsley et al. (2014) in the references of the class. Their scatter is the uncertainty of
        `transform`, which has the signal that agrees best.

        Parameters
        ----------
        D : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
            As in `transform`, or one mixture.
        n_samples : int, default=10
        mask : array-like of bool of shape (h, w), optional
            As in `transform`. Hidden pixels scatter too little: what they are filled with counts as seen.
        random_state : int, RandomState or None, default=None
            None: that of the estimator.

        Returns
        -------
        signals : ndarray of shape (n, n_samples, h, w) or (n, n_samples, n_channels, h, w)
            Without n for one mixture, and without channels with `mixing`.

        Raises
        ------
        ValueError
            As `transform`, or fewer than one sample.

        Warns
        -----
        UserWarning, ConvergenceWarning
            As `transform`; interrupted, there are as many samples of each mixture as all of them have, at
            least one.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r}; expected an integer of at least 1.")
        single = np.ndim(D) == self.n_dim_ - 1
        given, valid = self._read(np.asanyarray(D)[None] if single else D, mask)
        maps = self._combined(given)
        search = self._search(Frame(self.map_shape_, valid, self.periodic))
        # sample by sample, for an interruption to leave whole ones
        which = np.tile(np.arange(len(maps)), n_samples)
        self.history_ = []
        if self._nothing_to_do(maps):
            found = maps[which].astype(self.dtype)
        else:
            state = self.random_state if random_state is None else random_state
            found, self.history_, n_found = search.sample(maps, which, draw_seed(state))
            if n_found is not None:
                n_done = max(n_found // len(maps), 1)
                warn_of_stop(f"{n_done} of {n_samples} samples", "the last of them not at its end")
                found = found[: n_done * len(maps)]
        found = found.reshape(-1, *self._signal_shape(maps)).swapaxes(0, 1)
        return found[0] if single else found

    def score(self, D, S):
        """Minus the root mean square error of the signals, in standard deviations of the true ones.

        Parameters
        ----------
        D : array-like of shape (n, h, w) or (n, n_channels, h, w)
        S : array-like of the shape of `D`, or (n, h, w) with `mixing`
            The signals.

        Returns
        -------
        score : float
            Mean over maps and channels; 0 is perfect.
        """
        expected = np.shape(D)
        if self.combination_ is not None:
            expected = expected[:1] + expected[2:]
        truth, _ = check_maps(S, "S", ndims=(3, 4), unit=self.unit_)
        if truth.shape != expected:
            raise ValueError(
                f"S has shape {truth.shape}; expected {expected}, that of the signals."
            )
        return -float(np.mean(relative_rmse(self.transform(D), truth)))

    # -- from parameters to a problem

    @property
    def _device(self):
        return resolve_device(self.device, self.dtype)

    def _read(self, D, mask):
        """Mixtures (n, n_channels, h, w) with hidden pixels filled, and the valid pixels or None."""
        valid = None if mask is None else check_valid_pixels(mask, self.map_shape_)
        given, hidden = D, valid is not None and not valid.all()
        if hidden:
            D = np.where(valid, getattr(D, "value", D), 0.0)
            D = D * given.unit if hasattr(given, "unit") else D
        maps, _ = check_maps(
            D, "D", ndims=(self.n_dim_,), n_channels=self.n_channels_in_, shape=self.map_shape_,
            unit=self.unit_,
        )  # fmt: skip
        maps = maps.reshape(-1, self.n_channels_in_, *self.map_shape_)
        if hidden:
            source = fill_from(valid, self.periodic)
            maps = maps.reshape(*maps.shape[:2], -1)[..., source].reshape(maps.shape)
        return maps, valid

    def _combined(self, maps):
        if self.combination_ is None:
            return maps
        refuse_constant(maps, "D")
        return self.combination_.transform(maps)[:, None]

    def _start(self, maps):
        """Where to begin: a word, or an array (n, n_signals, h, w)."""
        if isinstance(self.init, str):
            return self.init
        shape = self._signal_shape(maps)
        start, _ = check_maps(
            self.init, "init", ndims=(len(shape),), n_channels=maps.shape[1], shape=self.map_shape_,
            unit=self.unit_,
        )  # fmt: skip
        if len(start) != len(maps):
            raise ValueError(f"init has {len(start)} maps; expected {len(maps)}, one a mixture.")
        return start.reshape(maps.shape)

    def _signal_shape(self, maps):
        return (
            maps.shape
            if self.n_dim_ == 4 and self.combination_ is None
            else (len(maps), *self.map_shape_)
        )

    def _nothing_to_do(self, maps):
        """Whether there is no contamination; refuses and warns of what is hard."""
        if self.scale_.all():
            compare_variances(maps, self.scale_)
            return False
        if self.scale_.any():
            raise ValueError(
                f"C is constant in channel {int(np.argmin(self.scale_))}; expected samples that vary in "
                "every channel, or in none."
            )
        warnings.warn(
            "the contamination is zero everywhere: the mixtures are returned.", stacklevel=3
        )
        return True

    def _describe(self, mixtures):
        recipe = ScatteringTransform() if self.statistics is None else clone(self.statistics)
        recipe.set_params(dtype=self.dtype, device=str(self._device))
        return Description(recipe.fit(mixtures.cpu().numpy()), mixtures)

    def _search(self, frame):
        pixels = len(self.scale_) * int(np.prod(frame.grid_shape))
        return Search(
            check_constraints(self.constraints, local=True), self.samples_, self.mean_, self.scale_,
            self._describe, self.schedule == "exact", self.n_samples, self.n_eras, self.max_iter,
            self.tolerance, self.n_octaves_drawn, self.dtype, self._device, self.verbose,
            pixels * np.dtype(self.dtype).itemsize * OVERHEAD, self.max_memory,
            None if frame.whole else frame,
        )  # fmt: skip

    def _split(self, given, signal, valid):
        """The signal as it is returned; what is left of the mixtures is kept."""
        whole = signal
        if self.combination_ is not None:
            whole = np.asarray(self.mixing, dtype=self.dtype)[:, None, None] * signal
        rest = (given - whole).astype(self.dtype)
        if valid is not None:
            rest[..., ~valid] = np.nan
        self.contamination_ = rest if self.n_dim_ == 4 else rest[:, 0]
        return signal.reshape(self._signal_shape(signal))
