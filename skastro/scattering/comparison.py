"""What few maps teach: scattering statistics, classical ones and a small CNN, as learning curves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skastro.datasets import make_fields
from skastro.scattering.baselines import (
    BispectrumFeatures,
    CNNClassifier,
    CNNRegressor,
    HistogramMoments,
    PowerSpectrumFeatures,
)
from skastro.scattering.estimator import ScatteringTransform
from skastro.splits import Split, make_split
from skastro.tasks import Task

__all__ = [
    "TASK",
    "MapSplit",
    "RegressorOrClassifier",
    "default_estimators",
    "load_maps",
    "make_intermittency",
    "make_kinds",
    "map_error",
    "split_maps",
]

# Steepness of the spectra of each kind: none can be told by it.
KINDS = {"gaussian": (2.0, 3.0), "filaments": (1.0, 2.0), "turbulence": (2.0, 3.0)}
# Strengths of the ridge among which it chooses itself.
ALPHAS = np.logspace(-3, 5, 25)
# Scatter of a feature that counts as none: rounding of float32 maps.
SAME = 1e-6
SIZES = (20, 50, 100, 200)


def make_intermittency(n, n_pixels=64, random_state=0):
    """Turbulent maps, and how intermittent they are; their spectra vary too.

    Parameters
    ----------
    n : int
    n_pixels : int, default=64
    random_state : int, default=0

    Returns
    -------
    maps : ndarray of shape (n, n_pixels, n_pixels), float32
        Periodic, of mean 0 and standard deviation 1 each.
    scatter : ndarray of shape (n,)
        Of the logarithm of the local amplitude, 0.1 to 1; see `skastro.datasets.make_fields`.

    Examples
    --------
    >>> from skastro.scattering.comparison import make_intermittency
    >>> maps, scatter = make_intermittency(5, n_pixels=32)
    >>> maps.shape, scatter.shape
    ((5, 32, 32), (5,))
    """
    rng = np.random.default_rng(random_state)
    scatter, index = rng.uniform(0.1, 1.0, n), rng.uniform(2.0, 3.0, n)
    maps = make_fields(
        n, "turbulence", n_pixels=n_pixels, index=index, scatter=scatter, random_state=random_state
    ).maps
    return (maps / maps.std(axis=(1, 2), keepdims=True)).astype(np.float32), scatter


def make_kinds(n, n_pixels=64, random_state=0):
    """Gaussian fields, filaments and turbulence of the same histogram and of varying spectra.

    Parameters
    ----------
    n : int
    n_pixels : int, default=64
    random_state : int, default=0

    Returns
    -------
    maps : ndarray of shape (n, n_pixels, n_pixels), float32
        Periodic; the values of each are the normal quantiles of their ranks.
    kind : ndarray of str of shape (n,)

    Examples
    --------
    >>> from skastro.scattering.comparison import make_kinds
    >>> maps, kind = make_kinds(6, n_pixels=32)
    >>> sorted(set(kind.tolist()))
    ['filaments', 'gaussian', 'turbulence']
    """
    rng = np.random.default_rng(random_state)
    names = np.array(list(KINDS))
    label = rng.integers(len(names), size=n)
    maps = np.empty((n, n_pixels, n_pixels), np.float32)
    for i, (kind, index) in enumerate(KINDS.items()):
        rows = np.flatnonzero(label == i)
        slopes = rng.uniform(*index, len(rows))
        if rows.size:
            maps[rows] = make_fields(
                len(rows), kind, n_pixels=n_pixels, index=slopes, random_state=random_state + i
            ).maps
    ranks = maps.reshape(n, -1).argsort(axis=1).argsort(axis=1)
    maps = ndtri((ranks + 0.5) / ranks.shape[1]).reshape(maps.shape)
    return maps.astype(np.float32), names[label]


PROBLEMS = {"intermittency": make_intermittency, "kind of field": make_kinds}


def load_maps(sizes=SIZES, n_test=300, n_pixels=32):
    """The maps of ``skastro compare scattering``.

    Parameters
    ----------
    sizes : sequence of int, default=(20, 50, 100, 200)
        Numbers of training maps; those of a smaller number are among those of a larger one.
    n_test : int, default=300
        Test maps, the same for all sizes.
    n_pixels : int, default=32

    Returns
    -------
    maps : dict of str to :class:`~sklearn.utils.Bunch`
        "intermittency, 20 maps", ..., "kind of field, 20 maps", ...: a number or a label for each map.
        Each has `data`, `target`, `data_test`, `target_test`, `title`.

    Examples
    --------
    >>> from skastro.scattering.comparison import load_maps
    >>> list(load_maps(sizes=[20, 50], n_test=10))[1:3]
    ['intermittency, 50 maps', 'kind of field, 20 maps']
    """
    found = {}
    for title, make in PROBLEMS.items():
        X_test, y_test = make(n_test, n_pixels, random_state=9001)
        X, y = make(max(sizes), n_pixels, random_state=9002)
        for n in sizes:
            found[f"{title}, {n} maps"] = Bunch(
                data=X[:n], target=y[:n], data_test=X_test, target_test=y_test, title=title
            )
    return found


@dataclass
class MapSplit(Split):
    """Training and test maps; see `skastro.splits.Split`.

    Attributes
    ----------
    title : str
        The problem: a panel of the picture.
    """

    title: str = "maps"

    @property
    def classes(self):
        """Whether the targets are labels."""
        return has_classes(self.Y_train)

    @property
    def summary(self):
        """What is fitted and scored, in a few words."""
        kind = "fraction wrong" if self.classes else "rms error over the scatter"
        return (
            f"{self.title}, {len(self.X_train):,} maps to fit, {len(self.X_test):,} others to score: "
            f"{kind}"
        )


def split_maps(data, test_size=0.2, random_state=None):
    """Training and test maps, for `skastro.compare.compare`.

    Parameters
    ----------
    data : Bunch or tuple (X, y), or dict of str to such
        As `skastro.splits.make_split` takes it. A Bunch may have a `title`.
    test_size, random_state
        Of the test maps, where the data has none.

    Returns
    -------
    split : MapSplit, or dict of str to MapSplit

    Raises
    ------
    ValueError
        Data of another form.

    Examples
    --------
    >>> from skastro.scattering.comparison import make_kinds, split_maps
    >>> split_maps(make_kinds(10, n_pixels=32), random_state=0).summary
    'maps, 8 maps to fit, 2 others to score: fraction wrong'
    """
    if isinstance(data, Mapping) and data and not {"data", "target"} & set(data):
        return {str(name): split_maps(one, test_size, random_state) for name, one in data.items()}
    split = make_split(data, test_size, random_state)
    title = data.get("title", "maps") if isinstance(data, Mapping) else "maps"
    return MapSplit(**vars(split), title=title)


def has_classes(y):
    """Whether targets are labels and no numbers, as scikit-learn sees it."""
    return not type_of_target(y).startswith("continuous")


class RegressorOrClassifier(BaseEstimator):
    """A regressor where the targets are numbers, a classifier where they are labels.

    Parameters
    ----------
    regressor, classifier : estimator
        One of them is cloned and fitted.

    Attributes
    ----------
    estimator_ : estimator

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifierCV, RidgeCV
    >>> from skastro.scattering.comparison import RegressorOrClassifier
    >>> either = RegressorOrClassifier(RidgeCV(), RidgeClassifierCV())
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> either.fit(X, [0.1, 1.1, 2.1, 3.1]).predict([[4.0]]).round(1).tolist()
    [4.1]
    >>> either.fit(X, ["a", "a", "b", "b"]).predict([[4.0]]).tolist()
    ['b']
    """

    def __init__(self, regressor, classifier):
        self.regressor = regressor
        self.classifier = classifier

    def fit(self, X, y):
        """Fit the one that the targets ask for.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        y : array-like of shape (n,)

        Returns
        -------
        self : RegressorOrClassifier
        """
        chosen = self.classifier if has_classes(y) else self.regressor
        self.estimator_ = clone(chosen).fit(X, y)
        return self

    def predict(self, X):
        """Predict numbers or labels.

        Parameters
        ----------
        X : array-like of shape (n, ...)

        Returns
        -------
        y : ndarray of shape (n,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)


def default_estimators(random_state=0, quick=False):
    """Statistics of maps with a linear model, and a small CNN.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
    quick : bool, default=False
        Shorter training of the CNN: to see that all runs, not to judge by.

    Returns
    -------
    estimators : dict of str to estimator
        Of numbers and of labels alike. Ridge regression chooses its strength by its leave-one-out error on
        the training maps.

    Examples
    --------
    >>> from skastro.scattering.comparison import default_estimators
    >>> list(default_estimators())[:2]
    ['scattering: wst', 'scattering: covariance']
    """
    features = {
        "scattering: wst": ScatteringTransform("wst", reduction="isotropic", logarithm=True),
        "scattering: covariance": ScatteringTransform("covariance", reduction="isotropic"),
        "power spectrum": PowerSpectrumFeatures(),
        "bispectrum": BispectrumFeatures(),
        "moments": HistogramMoments(n_scales=None),
    }
    linear = RegressorOrClassifier(RidgeCV(ALPHAS), RidgeClassifierCV(ALPHAS))
    # what is the same in all maps, as moments of one histogram, must not be scaled to noise of rounding
    steps = VarianceThreshold(SAME**2), StandardScaler(), linear
    methods = {name: make_pipeline(one, *map(clone, steps)) for name, one in features.items()}
    training = {"random_state": random_state} | ({"max_epochs": 2} if quick else {})
    cnn = RegressorOrClassifier(CNNRegressor(**training), CNNClassifier(**training))
    return methods | {"CNN": cnn}


def map_error(y_true, y_pred):
    """Fraction of wrong labels, or the rms error of numbers over the scatter of the true ones.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    error : float
        1 for numbers of which only the mean is known.

    Examples
    --------
    >>> from skastro.scattering.comparison import map_error
    >>> map_error(["a", "b"], ["a", "a"]), map_error([0.5, 1.5], [1.0, 1.0])
    (0.5, 1.0)
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if has_classes(y_true):
        return float(np.mean(y_pred != y_true))
    return float(np.sqrt(np.mean((y_pred - y_true) ** 2)) / np.std(y_true))


def _summarise(y_true, y_pred):
    return {"test_error": map_error(y_true, y_pred)}


def _plot(comparison):
    # matplotlib is an extra
    from skastro.displays.scattering import plot_comparison

    return plot_comparison(comparison)


TASK = Task(
    name="scattering",
    load=load_maps,
    estimators=default_estimators,
    summarise=_summarise,
    columns={"test_error": ("error", "{:.4f}".format)},
    plot=_plot,
    split=split_maps,
    case="maps",
)
