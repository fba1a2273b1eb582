"""`StatisticalSeparator`: mixtures to the signal in them, from samples of what contaminates it."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed, resolve_device, row_blocks
from skastro.maps import check_maps
from skastro.partial_maps import check_valid_pixels, fill_from
from skastro.scattering import ScatteringTransform
from skastro.separation.constraints import (
    Constraint,
    MixtureConstraint,
    SpectrumConstraint,
    WienerConstraint,
)
from skastro.separation.descent import Interrupted, separate
from skastro.separation.description import Description
from skastro.separation.problem import draw, pose
from skastro.separation_metrics import relative_rmse

__all__ = ["StatisticalSeparator"]

LEAST_SAMPLES = 2
# bytes of work for a byte of a mixture: wavelet fields of all scales, their gradients, the search
OVERHEAD = 400


class StatisticalSeparator(TransformerMixin, BaseEstimator):
    r"""Take mixtures d = s + c apart, from the data and samples of the contamination c alone.

    No model of the signal is needed: maps s are sought for which :math:`\langle \Phi(s + c_i) \rangle_i =
    \Phi(d)`, with scattering statistics :math:`\Phi`, beside other constraints [1]_, [2]_, [3]_. The search
    starts from a Wiener filter, the spectra of which are estimated from the mixture and the samples.

    Parameters
    ----------
    statistics : ScatteringTransform or None, default=None
        A recipe, with any `family` that has a slope. None: "covariance", of all scales but the largest.
    constraints : list of Constraint or None, default=None
        None: `MixtureConstraint`, `SpectrumConstraint` and `WienerConstraint` (of weight 8).
    n_samples : int, default=16
        Samples of the contamination in an era, drawn from those of `fit`.
    init : {"smoothed", "data"} or array-like of the shape of the mixtures, default="smoothed"
        Where to begin: the mixtures through the Wiener filter; as they are (a long way); or a first guess.
    n_octaves_drawn : int, default=1
        Octaves of the largest scales of which the contamination is a random draw: it is so much smaller than
        the signal that nothing tells it, and without a draw it would have no power there. 0: none.
    schedule : {"eras", "exact"}, default="eras"
        "eras": the bias by the contamination is averaged over samples at the beginning of an era, and each
        gradient takes one map [2]_. "exact": the average is taken at each gradient, `n_samples` times as
        expensive [1]_.
    n_eras : int, default=3
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
        Of the samples in each era and of the draw at the largest scales.

    Attributes
    ----------
    contamination_ : ndarray of the shape of the mixtures
        What `transform` has taken off the last mixtures; NaN in hidden pixels.
    history_ : list of dict
        Of the last `transform`: for each era and constraint the losses, an ndarray (n,).
    samples_ : ndarray of shape (n_samples, n_channels, h, w)
        Of the contamination, without their mean.
    scale_ : ndarray of shape (n_channels,)
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
        n_octaves_drawn=1,
        schedule="eras",
        n_eras=3,
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
        C : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Two or more maps without any signal, better 20.
        y : ignored

        Returns
        -------
        self : StatisticalSeparator

        Raises
        ------
        ValueError
            Fewer than two samples, or maps that are not finite, real, and of at least 2 x 2 pixels.
        """
        samples, self.unit_ = check_maps(C, "C", ndims=(3, 4))
        if len(samples) < LEAST_SAMPLES:
            raise ValueError(
                f"C has {len(samples)} sample of the contamination; expected at least {LEAST_SAMPLES}, which "
                "the normalisation by their variance needs."
            )
        self.n_dim_ = samples.ndim
        self.n_channels_in_ = samples.shape[1] if samples.ndim == 4 else 1
        self.map_shape_ = tuple(samples.shape[-2:])
        samples = samples.reshape(-1, self.n_channels_in_, *self.map_shape_)
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
        signal : ndarray of the shape of `D`, of `dtype`
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
        valid = None if mask is None else check_valid_pixels(mask, self.map_shape_)
        given, source = D, None
        if valid is not None and not valid.all():
            source = fill_from(valid)
            D = np.where(valid, getattr(D, "value", D), 0.0)
            D = D * given.unit if hasattr(given, "unit") else D
        maps, _ = check_maps(
            D, "D", ndims=(self.n_dim_,), n_channels=self.n_channels_in_, shape=self.map_shape_,
            unit=self.unit_,
        )  # fmt: skip
        shape = maps.shape
        maps = maps.reshape(-1, self.n_channels_in_, *self.map_shape_)
        if source is not None:
            maps = maps.reshape(*maps.shape[:2], -1)[..., source].reshape(maps.shape)
        constraints = self._constraints()
        start = None
        if not isinstance(self.init, str):
            start, _ = check_maps(
                self.init, "init", ndims=(self.n_dim_,), n_channels=self.n_channels_in_,
                shape=self.map_shape_, unit=self.unit_,
            )  # fmt: skip
            if len(start) != len(maps):
                raise ValueError(
                    f"init has {len(start)} maps; expected {len(maps)}, one a mixture."
                )
            start = start.reshape(maps.shape)
        self.history_ = []
        if not self.scale_.all():
            if self.scale_.any():
                raise ValueError(
                    f"C is constant in channel {int(np.argmin(self.scale_))}; expected samples that vary in "
                    "every channel, or in none."
                )
            warnings.warn("the contamination is zero everywhere: D is returned.", stacklevel=2)
            return self._split(maps, maps.astype(self.dtype), shape, valid)
        self._compare(maps)
        seed = draw_seed(self.random_state)
        found, stopped = [], False
        for rows in row_blocks(len(maps), self._row_bytes, self.max_memory):
            first = None if start is None else start[rows]
            signal, history, stopped = self._separate(
                maps[rows], first, constraints, source, seed, rows.start
            )
            found.append(signal)
            self.history_ = _joined(self.history_, history)
            if stopped:
                break
        signal = np.concatenate(found)
        if stopped:
            warnings.warn(
                f"transform was interrupted: {len(signal)} of {len(maps)} signals are the best until then, "
                "the others their mixtures.",
                ConvergenceWarning,
                stacklevel=2,
            )
            signal = np.concatenate([signal, maps[len(signal) :].astype(self.dtype)])
        return self._split(maps, signal, shape, valid)

    def score(self, D, S):
        """Minus the root mean square error of the signals, in standard deviations of the true ones.

        Parameters
        ----------
        D : array-like of shape (n, h, w) or (n, n_channels, h, w)
        S : array-like of the shape of `D`
            The signals.

        Returns
        -------
        score : float
            Mean over maps and channels; 0 is perfect.
        """
        truth, _ = check_maps(S, "S", ndims=(self.n_dim_,), unit=self.unit_)
        if truth.shape != np.shape(D):
            raise ValueError(f"S has shape {truth.shape}; expected {np.shape(D)}, that of D.")
        return -float(np.mean(relative_rmse(self.transform(D), truth)))

    # -- from parameters to a problem

    def _constraints(self):
        if self.constraints is None:
            return [MixtureConstraint(), SpectrumConstraint(), WienerConstraint(8.0)]
        constraints = list(self.constraints)
        if not constraints or not all(isinstance(one, Constraint) for one in constraints):
            raise ValueError(f"constraints={self.constraints!r}; expected at least one Constraint.")
        return constraints

    @property
    def _device(self):
        return resolve_device(self.device, self.dtype)

    @property
    def _row_bytes(self):
        pixels = self.n_channels_in_ * int(np.prod(self.map_shape_))
        return pixels * np.dtype(self.dtype).itemsize * OVERHEAD

    def _compare(self, maps):
        """Refuse constant mixtures; warn of those that vary less than what is to be taken off."""
        variance = maps.var(axis=(2, 3), dtype=np.float64)
        if not variance.all():
            i, c = (int(k) for k in np.argwhere(variance == 0)[0])
            raise ValueError(
                f"D has a constant map, number {i}, channel {c}; expected mixtures that vary."
            )
        ratio = variance / self.scale_**2
        i, c = np.unravel_index(ratio.argmin(), ratio.shape)
        if ratio[i, c] < 1:
            warnings.warn(
                f"the contamination has a variance of {self.scale_[c] ** 2:.4g}, more than the "
                f"{variance[i, c]:.4g} of mixture {i}, channel {c}: hardly any signal can be told.",
                stacklevel=3,
            )

    def _recipe(self, maps):
        recipe = ScatteringTransform() if self.statistics is None else clone(self.statistics)
        recipe.set_params(dtype=self.dtype, device=str(self._device))
        return recipe.fit(maps)

    def _separate(self, maps, start, constraints, source, seed, begin=0):
        """Signals in some mixtures, history, and whether it was interrupted."""
        device = self._device
        unit, mean = self.scale_[:, None, None], maps.mean(axis=(2, 3), keepdims=True, dtype=float)

        def tensor(values):
            return torch.from_numpy(np.ascontiguousarray(values, dtype=self.dtype)).to(device)

        mixtures, samples = tensor((maps - mean) / unit), tensor(self.samples_ / unit)
        offset = mean - self.mean_[:, None, None]
        describe = Description(self._recipe(mixtures.cpu().numpy()), mixtures)
        exact = self.schedule == "exact"
        with torch.no_grad():
            problem, _ = pose(
                mixtures,
                samples,
                describe,
                tensor(unit),
                tensor(offset),
                exact,
                None if source is None else torch.from_numpy(source).to(device),
                begin + torch.arange(len(maps), device=device),
            )
            generator = torch.Generator().manual_seed(seed)
            if start is not None:
                first = tensor((start - offset) / unit)
            else:
                first = mixtures if self.init == "data" else problem.wiener
            radius = problem.fine.get("radius", mixtures)
            drawn = (radius >= 1) & (radius < 2**self.n_octaves_drawn)
            if start is None and self.n_octaves_drawn:
                first = first - draw(problem, drawn, generator)
        free = torch.ones_like(radius)
        if start is None:
            free = (~drawn).to(mixtures)
        n = min(self.n_samples, len(samples))
        n_eras = 1 if exact else self.n_eras
        n_iter = self.max_iter * self.n_eras // n_eras
        eras = [
            (torch.randperm(len(samples), generator=generator)[:n].to(device), n_iter)
            for _ in range(n_eras)
        ]
        history, stopped = [], False
        try:
            signal, history = separate(
                problem, constraints, first, eras, tolerance=self.tolerance, free=free,
                verbose=self.verbose,
            )  # fmt: skip
        except Interrupted as end:
            signal, stopped = end.signal, True
        return (signal.cpu().numpy() * unit + offset).astype(self.dtype), history, stopped

    def _split(self, maps, signal, shape, valid):
        rest = (maps - signal).astype(self.dtype)
        if valid is not None:
            rest[..., ~valid] = np.nan
        self.contamination_ = rest.reshape(shape)
        return signal.reshape(shape)


def _joined(history, more):
    """Losses of one block after those of others."""
    if not history or not more:
        return history or more
    return [
        {name: np.concatenate([own, other[name]]) for name, own in era.items()}
        for era, other in zip(history, more, strict=True)
    ]
