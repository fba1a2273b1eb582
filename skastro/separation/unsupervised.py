"""`ScatteringMixtureModel`: kinds of maps in many patches that nobody labelled, by scattering statistics."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skastro.base import NetEstimator, draw_seed, resolve_device
from skastro.maps import check_maps, refuse_constant
from skastro.recipes import copy_recipe
from skastro.scattering import ScatteringTransform
from skastro.separation.contamination import LEAST_SAMPLES
from skastro.separation.estimator import StatisticalSeparator
from skastro.separation.mixture import MixtureNet
from skastro.separation.networks import MixtureAutoencoder
from skastro.separation.reduced import ReducedStatistics

__all__ = ["ScatteringMixtureModel"]

# patches without which nothing is learnt of a component
ROWS_PER_COMPONENT = 4
# of a component, for a separator
# probability from which a patch may stand for its component
SURE = 0.9


class ScatteringMixtureModel(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, MixtureNet
):
    r"""Find kinds of maps in many patches that nobody labelled.

    Scattering statistics of each patch, standardised and reduced to their principal components, go through a
    variational auto-encoder whose latent prior is a mixture of Gaussians [1]_, [2]_, [3]_: warm gas, cold gas
    and noise are components of it. First the latent space is found with a single Gaussian, then a mixture is
    put on it and both are trained together; of `n_init` trainings the one with the highest evidence in
    patches that were held out is kept.

    Parameters
    ----------
    n_components : int, default=3
    statistics : ScatteringTransform or None, default=None
        A recipe, of any family. None: the logarithms of "wst", averaged over orientations, which see how
        strong a patch is too; give patches of unit variance if that should not count.
    n_statistics : int, default=12
        Principal components of the statistics that are kept, or as many as there are.
    n_latent : int, default=4
        Size of the latent space.
    network : callable or None, default=None
        A recipe: called with `n_features`, `n_latent` and `n_components` it returns a module with the methods
        `encode` and `set_prior` and the attribute `prior` of the default, which gives a `Variational` for a
        batch. None: `MixtureAutoencoder`, of which ``network=MixtureAutoencoder()`` makes
        ``network__hidden`` searchable.
    n_init : int, default=3
        Trainings from different weights and mixtures.
    separator : StatisticalSeparator or None, default=None
        A recipe for `separate`.
    n_samples : int, default=40
        Patches of each component kept for `separate`, drawn at random from those that are surely of it.
    lr : float, default=5e-3
        Highest learning rate.
    max_epochs : int, default=150
        With the mixture; a third as many before them find the latent space.
    batch_size : int, default=128
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate, in both parts of the training.
    validation_fraction : float or None, default=0.2
        Part of the patches held out to choose the best epoch and the best training.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    warm_start : bool, default=False
        Go on from the network of the previous fit, with its statistics and their scales.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        1 shows a progress bar with the loss.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    labels_ : ndarray of shape (n,), int
        Component of each patch in `fit`; the heaviest component is 0.
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_latent)
        In the latent space.
    covariances_ : ndarray of shape (n_components, n_latent, n_latent)
    evidences_ : list of float
        Of each training: lower bound of the log-likelihood of a patch that was held out, in nats.
    reduced_ : ReducedStatistics
        ``reduced_.statistics_`` is the fitted transform.
    samples_ : list of ndarray of shape (n, n_channels, h, w)
        Patches of each component.
    net_ : skastro.base.Net
        The best training's; ``net_.module_`` is the network.
    history_ : list of dict
        Its epochs: losses, learning rate, batch size and duration.
    n_iter_ : int
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the patches seen in `fit`.

    Notes
    -----
    On synthetic phases it is nearer to the truth than a `GaussianMixture` of as many statistics, but no
    nearer than one of the first four: see ``benchmarks/separation_phases.py``. That one is far
    faster; how many to take has to be chosen, for which there are no labels.

    References
    ----------
    .. [1] Siahkoohi, Morel, Balestriero et al., "Martian time-series unraveled: a multi-scale nested approach
       with factorial variational autoencoders", arXiv:2305.16189 (2023).
    .. [2] Lei, Clark, Morel, Allys et al., "Neutral gas phase distribution from HI morphology: phase
       separation with scattering spectra and variational autoencoders", arXiv:2505.20407 (2025).
    .. [3] Jiang, Zheng, Tan, Tang & Zhou, "Variational deep embedding: an unsupervised and generative
       approach to clustering", IJCAI (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import make_fields
    >>> from skastro.separation import ScatteringMixtureModel
    >>> steep, flat = (make_fields(40, n_pixels=16, index=i, random_state=0).maps for i in (1, 3))
    >>> model = ScatteringMixtureModel(2, n_init=1, max_epochs=30, random_state=0)
    >>> found = model.fit_predict(np.concatenate([steep, flat]))
    >>> bool((found[:40] == found[0]).all() and (found[40:] == 1 - found[0]).all())
    True
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "statistics": [ScatteringTransform, None],
        "n_statistics": [Interval(Integral, 1, None, closed="left")],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "network": [callable, None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "separator": [StatisticalSeparator, None],
        "n_samples": [Interval(Integral, LEAST_SAMPLES, None, closed="left")],
        **NetEstimator._parameter_constraints,
        "max_epochs": [Interval(Integral, 2, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=3,
        statistics=None,
        *,
        n_statistics=12,
        n_latent=4,
        network=None,
        n_init=3,
        separator=None,
        n_samples=40,
        lr=5e-3,
        max_epochs=150,
        batch_size=128,
        batch_growth=1.0,
        schedule="one_cycle",
        validation_fraction=0.2,
        patience=None,
        warm_start=False,
        dtype="float32",
        device="auto",
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.statistics = statistics
        self.n_statistics = n_statistics
        self.n_latent = n_latent
        self.network = network
        self.n_init = n_init
        self.separator = separator
        self.n_samples = n_samples
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.batch_growth = batch_growth
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the components.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Patches, at least four a component; better some hundred.
        y : ignored

        Returns
        -------
        self : ScatteringMixtureModel

        Raises
        ------
        ValueError
            Patches that are not finite, real, and of at least 2 x 2 pixels; a constant one; too few of them,
            or all with the same statistics; more latent numbers than statistics.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        maps = self._read(X, anew)
        least = ROWS_PER_COMPONENT * self.n_components
        if len(maps) < least:
            raise ValueError(
                f"X has {len(maps)} patches (n_samples={len(maps)}); expected at least {least}, "
                f"{ROWS_PER_COMPONENT} for each of {self.n_components} components."
            )
        if anew:
            self._prepare(maps)
        elif self.sizes_["n_components"] != self.n_components:
            raise ValueError(
                f"n_components={self.n_components} with warm_start=True; expected "
                f"{self.sizes_['n_components']}, as in the first fit."
            )
        features = self._reduce(maps)
        rng = np.random.default_rng(draw_seed(self.random_state))
        self._fit_mixture(features, rng, anew)
        log_probabilities = self._log_probabilities(features)
        self.labels_ = log_probabilities.argmax(axis=1)
        self._keep_samples(maps, np.exp(log_probabilities), rng)
        return self

    def predict(self, X):
        """The most likely component of each patch.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels seen in `fit`, and in a unit that converts to its.

        Returns
        -------
        labels : ndarray of shape (n,), int
        """
        return self._log_probabilities(self._features(X)).argmax(axis=1)

    def predict_proba(self, X):
        """The probability of each component for each patch.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        probabilities : ndarray of shape (n, n_components), float64
        """
        return np.exp(self._log_probabilities(self._features(X)))

    def transform(self, X):
        """Where each patch lies in the latent space: the mean of its posterior.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        latent : ndarray of shape (n, n_latent), of `dtype`
        """
        return self._encode(self._features(X))[0].cpu().numpy()

    def score(self, X, y=None):
        """Mean evidence of patches: a lower bound of the logarithm of their likelihood, in nats.

        It is a density of the reduced statistics, whose scales are those of `fit`: it compares numbers of
        components or widths of the network, not families of statistics. With more components than there are
        kinds it hardly grows.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        y : ignored

        Returns
        -------
        score : float
        """
        return float(self._evidence(self._features(X)).mean())

    def separate(self, X, component, *, scale=1.0):
        """Take one component off mixtures, with patches of it as samples of the contamination.

        Nobody has seen the component alone: the samples are patches of `fit` that are surely of it, with
        whatever else is in them, noise above all, and as strong as they are there. What they can't tell from
        the rest, such as structure that is common to both, is shared out by chance.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels seen in `fit`, and in a unit that converts to its.
        component : int
        scale : float, default=1.0
            Factor of the samples, where the component is weaker or stronger in the mixtures.

        Returns
        -------
        part, rest : ndarray of the shape of `X`
            The component, and the mixtures without it, in the unit of `fit`; their sum is `X`.

        Raises
        ------
        ValueError
            No such component, or fewer than two patches that are surely of it; what the separator refuses.
        """
        check_is_fitted(self)
        n_components = self.sizes_["n_components"]
        if isinstance(component, bool) or not isinstance(component, Integral | np.integer):
            raise ValueError(f"component={component!r}; expected an integer.")
        if not 0 <= component < n_components:
            raise ValueError(f"component={component}; expected 0 to {n_components - 1}.")
        if not (isinstance(scale, Real) and np.isfinite(scale) and scale > 0):
            raise ValueError(f"scale={scale!r}; expected a positive number.")
        samples = self.samples_[component]
        if len(samples) < LEAST_SAMPLES:
            raise ValueError(
                f"component {component} has {len(samples)} patches of a probability above {SURE}; "
                f"expected at least {LEAST_SAMPLES} to know it by."
            )
        shape = np.shape(X)
        maps = self._read(X, anew=False)
        if self.separator is None:
            separator = StatisticalSeparator(
                dtype=self.dtype, device=self.device, random_state=draw_seed(self.random_state)
            )
        else:
            separator = clone(self.separator)
        rest = separator.fit(scale * samples).transform(maps)
        return separator.contamination_.reshape(shape), rest.reshape(shape)

    # -- from patches to reduced statistics

    def _read(self, X, anew):
        known = {}
        if not anew:
            known = {
                "n_channels": self.n_channels_in_,
                "shape": self.map_shape_,
                "unit": self.unit_,
            }
        maps, unit = check_maps(X, ndims=(3, 4), **known)
        maps = maps.reshape(len(maps), -1, *maps.shape[-2:])
        refuse_constant(maps)
        if anew:
            self.unit_, self.n_channels_in_, self.map_shape_ = unit, maps.shape[1], maps.shape[2:]
        return maps

    def _prepare(self, maps):
        """Fit the statistics, and fix the sizes of the network."""
        recipe = ReducedStatistics(self.statistics).recipe()
        recipe.set_params(dtype=self.dtype, device=str(resolve_device(self.device, self.dtype)))
        self.reduced_ = ReducedStatistics(recipe, self.n_statistics).fit(maps)
        n_features = self.reduced_.n_features_
        if self.n_latent > n_features:
            raise ValueError(
                f"n_latent={self.n_latent}; expected at most {n_features}, the number of statistics after "
                "their reduction."
            )
        self.sizes_ = {
            "n_features": n_features,
            "n_latent": self.n_latent,
            "n_components": self.n_components,
        }
        self.recipe_ = copy_recipe(MixtureAutoencoder() if self.network is None else self.network)

    def _reduce(self, maps):
        return torch.from_numpy(self.reduced_.transform(maps).astype(self.dtype))

    def _features(self, X):
        check_is_fitted(self)
        return self._reduce(self._read(X, anew=False))

    # -- samples of each component

    def _keep_samples(self, maps, probabilities, rng):
        self.samples_ = []
        for component, share in enumerate(probabilities.T):
            sure = np.flatnonzero((self.labels_ == component) & (share >= SURE))
            if len(sure) > self.n_samples:
                sure = np.sort(rng.choice(sure, self.n_samples, replace=False))
            self.samples_.append(maps[sure].astype(self.dtype))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _n_features_out(self):
        return self.sizes_["n_latent"]
