"""`StatisticPosterior`: what is known of the statistics of the signal in one mixture, with error bars."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import _fit_context, clone
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skastro.base import NetEstimator, draw_seed
from skastro.maps import check_maps, refuse_constant
from skastro.ranks import simulation_ranks
from skastro.scattering import ScatteringTransform
from skastro.separation.contamination import check_enough
from skastro.separation.posterior_base import PILOT_STEPS, PosteriorBase, numbers
from skastro.separation.prior import BoxedPrior

__all__ = ["StatisticPosterior"]

DRAWN = 20_000  # of a posterior, to see where it has mass
CHANCE = 0.01  # below: the ranks are not uniform


class StatisticPosterior(PosteriorBase):
    r"""Posterior of the scattering statistics of the signal in a mixture d = s + c.

    From one mixture and samples of the contamination c: :math:`p(\mu\,|\,\Phi(d))`, where
    :math:`\mu = \Phi(s)` are the unknown statistics of the signal. Simulation-based inference [1]_: signals
    are synthesised with statistics from a broad prior, a sample of the contamination is added, and a mixture
    density network learns the statistics of the signal from those of the sum.

    Parameters
    ----------
    statistics : ScatteringTransform or None, default=None
        A recipe of statistics of maps. None: "wst", averaged over rotations, in logarithms.
    n_components : int, default=16
        Principal components of the statistics that are inferred.
    prior_width : float, default=3.5
        Standard deviation of the prior along each, in those of maps that agree with the mixture (Notes).
    n_pilots : int, default=60
        Such maps.
    n_rounds : int, default=2
        Later rounds draw from the prior cut to a box that holds the posterior of the one before [2]_.
    n_simulations : int, default=300
        Maps synthesised in a round.
    n_contaminations : int, default=4
        Samples of the contamination that each of them meets.
    max_iter : int, default=8
        Iterations of a synthesis.
    network : callable or None, default=None
        A recipe: called with `n_features` and `n_outputs` it returns a module from (n, n_features) to
        `skastro.density.GaussianMixtures`. None: a `MixtureDensityNetwork` of `n_mixtures` parts.
    n_mixtures : int, default=2
    lr : float, default=1e-3
        Highest learning rate.
    max_epochs : int, default=30
        Of a round.
    batch_size : int, default=256
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=0.2
        Part of the simulations held out to choose the best epoch.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    max_memory : int, default=2**28
        Memory for the work on a block of maps, in bytes.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        1 shows a progress bar of the training.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    samples_ : ndarray of shape (n_samples, n_channels, h, w)
        Of the contamination, without their mean.
    unit_ : str or None
        Of the maps.
    n_channels_in_ : int
    recipe_ : ScatteringTransform
        Fitted to the mixture.
    observed_ : ndarray of shape (n_coefficients,)
        Statistics of the mixture.
    space_ : ReducedSpace
        The principal components.
    prior_ : BoxedPrior
        Of their positions, in the last round.
    simulations_ : tuple of ndarray (n, n_components), (n, n_contaminations, n_coefficients)
        Positions of the synthesised maps, and the statistics of their mixtures, of all rounds.
    net_ : skastro.base.Net
        The trained net of the last round; ``net_.module_`` is the network.
    history_ : list of dict
    n_iter_ : int

    Notes
    -----
    *Prior.* Pilot maps u are found for which u + c_i has the statistics of the mixture, each with its own
    sample and from its own random field, Gaussian or intermittent. Their statistics have the bias by the
    contamination taken off, and scatter as far as it and the kinds of fields let them: the prior is a
    Gaussian around their mean, along their principal components.

    *Forward model.* Maps have the statistics that are asked for only nearly, after a few iterations. The
    network learns from those that they have, so that nothing of the posterior depends on how near.

    *Limits.* Signals unlike all of the simulated ones, such as cut-outs with borders that don't meet, are
    outside the error bars too often, even where `simulation_ranks` finds nothing wrong.

    The statistics are of this map, not of a process that it would be drawn from: `sample` does not scatter by
    cosmic variance.

    References
    ----------
    .. [1] Cranmer, Brehmer & Louppe, "The frontier of simulation-based inference", PNAS 117, 30055 (2020).
    .. [2] Deistler, Gonçalves & Macke, "Truncated proposals for scalable and hassle-free simulation-based
       inference", NeurIPS 35 (2022).
    .. [3] Talts, Betancourt, Simpson, Vehtari & Gelman, "Validating Bayesian inference algorithms with
       simulation-based calibration", arXiv:1804.06788 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation import StatisticPosterior
    >>> rng = np.random.default_rng(0)
    >>> signal = np.cos(np.arange(32) / 32 * 2 * np.pi) * np.ones((32, 1)) + 0.1 * rng.normal(size=(32, 32))
    >>> noise = 0.5 * rng.normal(size=(21, 32, 32))
    >>> posterior = StatisticPosterior(
    ...     n_components=3, n_pilots=10, n_rounds=1, n_simulations=20, max_iter=3, max_epochs=5
    ... )
    >>> posterior.fit(noise[1:]).infer(signal + noise[0]).sample(100).shape
    (100, 28)
    """

    _parameter_constraints = {
        **NetEstimator._parameter_constraints,
        "statistics": [ScatteringTransform, None],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "prior_width": [Interval(Real, 0, None, closed="neither")],
        "n_pilots": [Interval(Integral, 10, None, closed="left")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "n_simulations": [Interval(Integral, 10, None, closed="left")],
        "n_contaminations": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "network": [callable, None],
        "n_mixtures": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        statistics=None,
        *,
        n_components=16,
        prior_width=3.5,
        n_pilots=60,
        n_rounds=2,
        n_simulations=300,
        n_contaminations=4,
        max_iter=8,
        network=None,
        n_mixtures=2,
        lr=1e-3,
        max_epochs=30,
        batch_size=256,
        batch_growth=1.0,
        schedule="one_cycle",
        validation_fraction=0.2,
        patience=None,
        max_memory=2**28,
        dtype="float32",
        device="auto",
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.statistics = statistics
        self.n_components = n_components
        self.prior_width = prior_width
        self.n_pilots = n_pilots
        self.n_rounds = n_rounds
        self.n_simulations = n_simulations
        self.n_contaminations = n_contaminations
        self.max_iter = max_iter
        self.network = network
        self.n_mixtures = n_mixtures
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.batch_growth = batch_growth
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.max_memory = max_memory
        self.dtype = dtype
        self.device = device
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, C, y=None):
        """Keep samples of the contamination.

        Parameters
        ----------
        C : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Two or more maps without any signal, better 40.
        y : ignored

        Returns
        -------
        self : StatisticPosterior

        Raises
        ------
        ValueError
            Fewer than two samples, maps that are not finite, real, and of at least 2 x 2 pixels, or that are
            all constant.
        """
        samples, self.unit_ = check_maps(C, "C", ndims=(3, 4))
        check_enough(samples)
        self.map_dims_ = samples.ndim - 1
        self.n_channels_in_ = samples.shape[1] if samples.ndim == 4 else 1
        self.map_shape_ = tuple(samples.shape[-2:])
        samples = samples.reshape(-1, self.n_channels_in_, *self.map_shape_)
        refuse_constant(samples, "C")
        self.mean_ = samples.mean(axis=(0, 2, 3), dtype=np.float64)[:, None, None]
        self.samples_ = (samples - self.mean_).astype(self.dtype)
        # what was inferred with other samples
        for name in ("recipe_", "net_"):
            if hasattr(self, name):
                delattr(self, name)
        return self

    def infer(self, d):
        """Infer the statistics of the signal in one mixture: simulate and train, round by round.

        Parameters
        ----------
        d : array-like of shape (h, w) or (n_channels, h, w)
            Of the size and channels of the samples in `fit`, and in a unit that converts to theirs.

        Returns
        -------
        self : StatisticPosterior

        Raises
        ------
        ValueError
            A mixture of another size, number of channels or unit, that is not finite, or constant.
        """
        check_is_fitted(self, "samples_")
        self.mixture_ = self._read(d)
        recipe = self.statistics
        if recipe is None:
            recipe = ScatteringTransform("wst", reduction="isotropic", logarithm=True)
        recipe = clone(recipe).set_params(dtype=self.dtype, device=str(self._device))
        self.recipe_ = recipe.fit(self._standard(self.mixture_))
        rng = np.random.default_rng(draw_seed(self.random_state))
        simulator = self._simulator()
        self.observed_ = numbers(simulator.observed)
        self._find_space(simulator, rng)
        self.prior_ = BoxedPrior.whole(self.prior_width, len(self.space_.axes))
        positions, mixed = [], []
        for i in range(self.n_rounds):
            if i:
                self.prior_ = self.prior_.cut(self._draw(self.observed_[None], DRAWN, rng)[:, 0])
            one, other, self.rest_ = self._simulate(
                simulator, self.n_simulations, self.n_contaminations, rng
            )
            positions.append(one), mixed.append(other)
            self.simulations_ = np.concatenate(positions), np.concatenate(mixed)
            # of earlier rounds, what the cut prior could have drawn as well
            kept = np.arange(len(self.simulations_[0])) >= len(self.simulations_[0]) - len(one)
            kept |= self.prior_.holds(self.simulations_[0])
            self._learn(*(part[kept] for part in self.simulations_), rng)
        return self

    def sample(self, n_samples=1, random_state=None):
        """Draw statistics of the signal from the posterior.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None: the estimator's own.

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_coefficients)
            As of `describe`; their names are those of `get_feature_names_out`. What is not in the principal
            components scatters as it does in the simulations.
        """
        rng = self._rng(n_samples, random_state)
        found = self.space_.expand(self._draw(self.observed_[None], n_samples, rng)[:, 0])
        return found + self.rest_[rng.integers(len(self.rest_), size=n_samples)]

    def sample_maps(self, n_samples=1, random_state=None):
        """Draw maps whose statistics are drawn from the posterior.

        Their structures are random: they are no estimates of the signal itself.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None: the estimator's own.

        Returns
        -------
        maps : ndarray of shape (n_samples, h, w) or (n_samples, n_channels, h, w), of `dtype`
            In the unit of the mixture.
        """
        rng = self._rng(n_samples, random_state)
        positions = self._draw(self.observed_[None], n_samples, rng)[:, 0]
        maps = self._synthesize(self._simulator(), positions, PILOT_STEPS, rng)
        mean = self.mixture_.mean(axis=(-2, -1), keepdims=True) - self.mean_
        maps = maps.cpu().numpy() * self.scale_ + mean
        return maps.reshape(n_samples, *self.samples_.shape[4 - self.map_dims_ :]).astype(
            self.dtype
        )

    def log_prob(self, statistics):
        """Logarithm of the posterior's density, in the space of the principal components.

        Parameters
        ----------
        statistics : array-like of shape (n, n_coefficients)
            As of `describe`.

        Returns
        -------
        log_prob : ndarray of shape (n,), float64
        """
        check_is_fitted(self, "net_")
        values = np.asarray(statistics, dtype=np.float64)
        if (
            values.ndim != 2
            or values.shape[1] != len(self.observed_)
            or not np.isfinite(values).all()
        ):
            raise ValueError(
                f"statistics has shape {values.shape}; expected (n, {len(self.observed_)}), finite numbers."
            )
        positions = torch.from_numpy(self.space_.reduce(values))
        return self._mixtures(self.observed_[None]).log_prob(positions[:, None])[:, 0].numpy()

    def describe(self, S):
        """Statistics of maps, as those of the signal are given.

        Parameters
        ----------
        S : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        statistics : ndarray of shape (n, n_coefficients), float64
        """
        check_is_fitted(self, "recipe_")
        maps, _ = check_maps(
            S, "S", ndims=(self.map_dims_ + 1,), n_channels=self.n_channels_in_,
            shape=self.map_shape_, unit=self.unit_,
        )  # fmt: skip
        maps = maps.reshape(-1, self.n_channels_in_, *self.map_shape_)
        refuse_constant(maps, "S")
        return numbers(self._simulator().statistics(self._tensor(self._standard(maps))))

    def get_feature_names_out(self, input_features=None):
        """Names of the coefficients.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self, "recipe_")
        return np.array(self._simulator().names, dtype=object)

    def simulation_ranks(self, n_simulations=200, n_draws=99, random_state=None):
        """Simulation-based calibration: ranks of known positions among draws from their posteriors.

        As Talts et al. (2018), with fresh simulations from the prior of the last round. If the posteriors are
        right, the ranks are uniform; in the middle too often: they are too wide; at both ends: too narrow.

        Parameters
        ----------
        n_simulations : int, default=200
        n_draws : int, default=99
            One less than a multiple of 10.
        random_state : int, RandomState or None, default=None
            None: the estimator's own, other draws than in `infer`.

        Returns
        -------
        ranks : skastro.ranks.SimulationRanks
            Ranks and, for each component, the p-value of a chi-squared test of uniform ranks in 10 bins.

        Warns
        -----
        UserWarning
            The smallest p-value is too small for so many components: error bars are not to be trusted.
        """
        rng = self._rng(n_simulations, random_state, stream=1)
        positions, mixed, _ = self._simulate(self._simulator(), n_simulations, 1, rng)
        drawn = self._draw(mixed[:, 0], n_draws, rng)
        found = simulation_ranks(positions, drawn)
        if found.p_value < CHANCE:
            warnings.warn(
                f"ranks of component {found.p_values.argmin()} are not uniform (p = {found.p_value:.2g} with "
                f"{len(found.p_values)} tried): take more simulations or rounds before you trust the error "
                "bars.",
                stacklevel=2,
            )
        return found
