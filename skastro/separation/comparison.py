"""Separators side by side on mixtures of dust with a known truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skastro.datasets import make_mixture
from skastro.field_metrics import histogram_distance, power_spectrum
from skastro.maps import check_maps
from skastro.separation.baselines import (
    GaussianSeparator,
    ScaleMixtureFilter,
    WaveletThresholding,
    WienerFilter,
)
from skastro.separation.estimator import StatisticalSeparator
from skastro.separation_metrics import power_error, relative_rmse, scale_correlation
from skastro.tasks import Speed, Task

__all__ = [
    "TASK",
    "MixtureSplit",
    "OracleWienerFilter",
    "default_estimators",
    "load_mixtures",
    "separation_scores",
    "split_mixtures",
]

TITLES = {"white": "dust and white noise", "cib": "dust and infrared background"}
SEED = 0


def load_mixtures(n_pixels=128, n_mixtures=2):
    """The mixtures of ``skastro compare separation``.

    Parameters
    ----------
    n_pixels : int, default=128
    n_mixtures : int, default=2
        Of the same signal, each with a contamination of its own.

    Returns
    -------
    mixtures : dict of str to :class:`~sklearn.utils.Bunch`
        "white" and "cib", as `skastro.datasets.make_mixture` has them, with 40 samples of a contamination as
        strong as the signal; each has a `title`.

    Examples
    --------
    >>> from skastro.separation.comparison import load_mixtures
    >>> mixtures = load_mixtures(n_pixels=32, n_mixtures=1)
    >>> {name: mix.mixture.shape for name, mix in mixtures.items()}
    {'white': (1, 32, 32), 'cib': (1, 32, 32)}
    """
    found = {}
    for kind, title in TITLES.items():
        found[kind] = make_mixture(
            kind, n_pixels=n_pixels, n_mixtures=n_mixtures, random_state=SEED
        )
        found[kind].title = title
    return found


@dataclass
class MixtureSplit:
    """Samples of the contamination to fit, mixtures to separate, and the truth.

    Attributes
    ----------
    X_train : ndarray of shape (n, h, w)
        Samples of the contamination.
    X_test : ndarray of shape (n_mixtures, h, w)
        Mixtures.
    Y_test : ndarray of that shape
        The true signals.
    title : str
    """

    X_train: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray
    title: str = "mixture"

    @property
    def summary(self):
        """What is fitted and scored, in a few words."""
        shape = " x ".join(map(str, self.X_test.shape))
        return (
            f"{self.title}, {shape}, fitted to {len(self.X_train)} samples of the contamination; means over "
            "mixtures"
        )


def split_mixtures(data, test_size=None, random_state=None):
    """Mixtures with their truth, for `skastro.compare.compare`.

    Parameters
    ----------
    data : Bunch, tuple (mixture, signal, samples), or dict of str to such
        A Bunch has `mixture` and `signal` of shape (n, h, w), `samples` of the contamination of shape
        (m, h, w), and perhaps a `title`.
    test_size, random_state
        Not used: nothing is held out, since no method but the oracle sees the truth.

    Returns
    -------
    split : MixtureSplit, or dict of str to MixtureSplit

    Raises
    ------
    ValueError
        Data of another form, maps that are not finite or of different sizes or numbers.

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.comparison import split_mixtures
    >>> split_mixtures(make_mixture(n_pixels=16, n_samples=5, random_state=0)).summary
    'mixture, 1 x 16 x 16, fitted to 5 samples of the contamination; means over mixtures'
    """
    keys = ("mixture", "signal", "samples")
    if isinstance(data, Mapping) and data and not set(keys) & set(data):
        return {str(name): split_mixtures(one) for name, one in data.items()}
    if isinstance(data, tuple | list) and len(data) == 3:
        data = dict(zip(keys, data, strict=True))
    if not isinstance(data, Mapping) or not set(keys) <= set(data):
        raise ValueError(
            f"data is a {type(data).__name__}; expected a Bunch with 'mixture', 'signal' and 'samples', a "
            "tuple of them, or a dict of such."
        )
    mixture, unit = check_maps(data["mixture"], "mixture", ndims=(3,))
    signal, samples = (
        check_maps(data[key], key, ndims=(3,), shape=mixture.shape[-2:], unit=unit)[0]
        for key in ("signal", "samples")
    )
    if len(signal) != len(mixture):
        raise ValueError(f"signal has {len(signal)} maps; expected {len(mixture)}, one a mixture.")
    return MixtureSplit(samples, mixture, signal, data.get("title", "mixture"))


class OracleWienerFilter(TransformerMixin, BaseEstimator):
    """The Wiener filter that knows the spectrum of the true signal: a bound for linear filters.

    Attributes
    ----------
    filter_ : WienerFilter
    contamination_ : ndarray of the shape of the mixtures
        What was taken off the last of them.

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.comparison import OracleWienerFilter
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> OracleWienerFilter().fit(mix.samples, mix.signal).transform(mix.mixture).shape
    (1, 64, 64)
    """

    def fit(self, C, S):
        """Learn the spectra.

        Parameters
        ----------
        C : array-like of shape (n, h, w)
            Samples of the contamination.
        S : array-like of shape (n_signals, h, w)
            True signals; their mean spectrum is taken.

        Returns
        -------
        self : OracleWienerFilter
        """
        k, power = power_spectrum(S, k_max=np.sqrt(0.5))
        self.filter_ = WienerFilter(signal_spectrum=(k, power.mean(axis=0))).fit(C)
        return self

    def transform(self, D):
        """Filter mixtures.

        Parameters
        ----------
        D : array-like of shape (n, h, w)

        Returns
        -------
        signal : ndarray of the shape of `D`
        """
        check_is_fitted(self)
        signal = self.filter_.transform(D)
        self.contamination_ = self.filter_.contamination_
        return signal


def default_estimators(random_state=0, quick=False):
    """The statistical separator and the classical methods.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
    quick : bool, default=False
        A short search: to see that all runs, not to judge by.

    Returns
    -------
    estimators : dict of str to estimator

    Examples
    --------
    >>> from skastro.separation.comparison import default_estimators
    >>> list(default_estimators())[:2]
    ['StatisticalSeparator', 'Wiener']
    """
    short = {"max_iter": 2, "n_eras": 1} if quick else {}
    return {
        "StatisticalSeparator": StatisticalSeparator(random_state=random_state, **short),
        "Wiener": WienerFilter(),
        "Wiener, true spectrum": OracleWienerFilter(),
        "Gaussian": GaussianSeparator(),
        "scale mixtures": ScaleMixtureFilter(),
        "wavelet": WaveletThresholding(),
    }


def separation_scores(signal, truth):
    """What the comparison gives of separated maps, means over them.

    Parameters
    ----------
    signal, truth : array-like of shape (n, h, w)

    Returns
    -------
    scores : dict of str to float
        "spectrum", the largest relative error of the power in an octave of wave number; "correlation" with
        the truth, mean over octaves; "histogram", the Wasserstein-1 distance, and "rmse", in standard
        deviations of the truth.

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.comparison import separation_scores
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> scores = separation_scores(mix.mixture, mix.signal)
    >>> bool(abs(scores["rmse"] - 1.0) < 0.05)
    True
    """
    distance = [histogram_distance(one, true) for one, true in zip(signal, truth, strict=True)]
    return {
        "spectrum": float(np.abs(power_error(signal, truth)[1]).max(axis=1).mean()),
        "correlation": float(scale_correlation(signal, truth)[1].mean()),
        "histogram": float(np.mean(distance)),
        "rmse": float(np.mean(relative_rmse(signal, truth))),
    }


def _score(split, signal):
    return separation_scores(signal, split.Y_test)


def _fit(estimator, split):
    # the truth is for the oracle alone
    truth = (split.Y_test,) if isinstance(estimator, OracleWienerFilter) else ()
    return estimator.fit(split.X_train, *truth)


def _transform(estimator, X):
    return estimator.transform(X)


def _plot(comparison):
    # matplotlib is an extra
    from skastro.displays.separators import plot_comparison

    return plot_comparison(comparison)


def _whole(X):
    return X


TASK = Task(
    name="separation",
    load=load_mixtures,
    estimators=default_estimators,
    summarise=None,
    columns={
        "spectrum": ("spectrum", "{:.3f}".format),
        "correlation": ("correlation", "{:.3f}".format),
        "histogram": ("histogram", "{:.3f}".format),
        "rmse": ("rmse", "{:.3f}".format),
    },
    plot=_plot,
    fit=_fit,
    predict=_transform,
    split=split_mixtures,
    score=_score,
    speed=Speed("s_per_map", "s / map", "{:.2g}".format, len, _whole),
    case="mixture",
)
