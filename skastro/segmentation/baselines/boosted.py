"""Gradient boosting on features of pixels."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils._param_validation import HasMethods, Interval

from skastro.segmentation.baselines.features import PixelFeatures
from skastro.segmentation.baselines.sampling import SampledPixelClassifier

__all__ = ["BoostedPixelClassifier"]


class BoostedPixelClassifier(SampledPixelClassifier):
    """Gradient-boosted trees on features of each pixel, fitted to a sample of the pixels.

    Rare classes are enriched in the sample, to half of it at most; what `predict_proba` gives is corrected
    to their share of all pixels.

    Parameters
    ----------
    features : transformer or None, default=None
        From images to planes of numbers (n, n_features, h, w). None: `PixelFeatures`.
    max_iter : int, default=200
        Trees.
    learning_rate : float, default=0.1
    max_leaf_nodes : int, default=31
    min_samples_leaf : int, default=50
        Pixels.
    n_pixels : int, default=200_000
        That each label learns from, at most.
    labels : sequence of str or None, default=None
        Names.
    ignore_index : int, default=255
        Label of the pixels that are left out.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    labels_ : list of str
    models_ : list of HistGradientBoostingClassifier
        One a label.
    features_ : transformer
    training_prior_ : float or ndarray of shape (n_labels,)
        Share of the true pixels in the sample.
    prior_ : float or ndarray of shape (n_labels,)
        Their share of all training pixels, which `predict_proba` is corrected to.
    n_channels_in_ : int
    image_shape_ : tuple (h, w)
        Of the images in `fit`; others may have any size.

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.segmentation.baselines import BoostedPixelClassifier
    >>> sky = make_galactic_center(20, return_maps=True, random_state=0)
    >>> sources = sky.flux_ps_gc + sky.flux_ps_disk > 0
    >>> model = BoostedPixelClassifier(max_iter=20, n_pixels=10_000, random_state=0)
    >>> model.fit(sky.images[:15], sources[:15]).predict_proba(sky.images[15:]).shape
    (5, 64, 64)
    >>> bool(model.score(sky.images[15:], sources[15:]) > 0.75)
    True
    """

    _parameter_constraints = {
        **SampledPixelClassifier._parameter_constraints,
        "features": [HasMethods(["fit", "transform"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        features=None,
        *,
        max_iter=200,
        learning_rate=0.1,
        max_leaf_nodes=31,
        min_samples_leaf=50,
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.features = features
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    def _prepare(self, images):
        features = PixelFeatures() if self.features is None else clone(self.features)
        self.features_ = features.fit(images)

    @property
    def _planes(self):
        return 4 * len(self.features_.get_feature_names_out())

    def _pixels(self, images):
        return self.features_.transform(images)

    def _fit_pixels(self, table, y, seed):
        model = HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            early_stopping=False,
            random_state=seed,
        )
        return model.fit(table, y)

    def _apply(self, model, maps):
        n, features, h, w = maps.shape
        table = np.moveaxis(maps, 1, -1).reshape(-1, features)
        return model.decision_function(table).reshape(n, h, w)
