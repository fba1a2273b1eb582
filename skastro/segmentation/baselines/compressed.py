"""Compressed neighbourhoods and a small perceptron: the classic of EyE and NExtractor."""

from numbers import Integral

import numpy as np
from scipy.special import logit
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.segmentation.baselines.features import (
    SCALINGS,
    choose_scaling,
    fill_blanks,
    neighbourhood,
    position_maps,
    scale_counts,
)
from skastro.segmentation.baselines.sampling import SampledPixelClassifier

__all__ = ["CompressedPixelClassifier"]

TINY = 1e-7  # from 0 and 1, what probabilities in float32 are kept


class CompressedPixelClassifier(SampledPixelClassifier):
    """Principal components of the square around each pixel, then a small perceptron [1]_ [2]_.

    Parameters
    ----------
    radius : int, default=2
        Of the square, in pixels.
    n_components : int, default=25
        Principal components that are kept of all pixels of the square and channels.
    hidden_layer_sizes : tuple of int, default=(20, 20)
        Of the perceptron.
    coordinates : bool, default=False
        Whether the place in the image comes beside the components.
    scaling : {"auto", "sqrt", "asinh"} or None, default="auto"
        As in `PixelFeatures`.
    max_iter : int, default=40
        Epochs, fewer where the score of held-out pixels stays as it is.
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
    models_ : list of tuple
        Principal components and perceptron, one pair a label.
    scaling_ : str or None
        In force.
    training_prior_, prior_ : float or ndarray of shape (n_labels,)
        As in `BoostedPixelClassifier`.
    n_channels_in_ : int
    image_shape_ : tuple (h, w)
        Of the images in `fit`; others may have any size.

    References
    ----------
    .. [1] Bertin, "Mining pixels: the extraction and classification of astronomical sources", Mining the Sky
       (2001).
    .. [2] Andreon, Gargiulo, Longo, Tagliaferri & Capuano, "Wide field imaging - I. Applications of neural
       networks to object detection and star/galaxy classification", MNRAS 319, 700 (2000).

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.segmentation.baselines import CompressedPixelClassifier
    >>> sky = make_galactic_center(20, return_maps=True, random_state=0)
    >>> sources = sky.flux_ps_gc + sky.flux_ps_disk > 0
    >>> model = CompressedPixelClassifier(n_pixels=20_000, random_state=0)
    >>> bool(model.fit(sky.images[:15], sources[:15]).score(sky.images[15:], sources[15:]) > 0.75)
    True
    """

    _parameter_constraints = {
        **SampledPixelClassifier._parameter_constraints,
        "radius": [Interval(Integral, 0, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "coordinates": ["boolean"],
        "scaling": [StrOptions({"auto", *SCALINGS}), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        radius=2,
        *,
        n_components=25,
        hidden_layer_sizes=(20, 20),
        coordinates=False,
        scaling="auto",
        max_iter=40,
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.radius = radius
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.coordinates = coordinates
        self.scaling = scaling
        self.max_iter = max_iter
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    @property
    def _planes(self):
        return 4 * ((2 * self.radius + 1) ** 2 + 3)

    def _prepare(self, images):
        wide = self.n_channels_in_ * (2 * self.radius + 1) ** 2
        if self.n_components > wide:
            raise ValueError(
                f"n_components={self.n_components}; expected at most {wide}, the pixels of a square."
            )
        self.scaling_ = choose_scaling(self.scaling, images)

    def _pixels(self, images):
        z = fill_blanks(scale_counts(images, self.scaling_))
        maps = neighbourhood(z, self.radius)
        if not self.coordinates:
            return maps
        return np.concatenate([maps, position_maps(len(z), z.shape[2:])], axis=1)

    def _fit_pixels(self, table, y, seed):
        wide = table.shape[1] - (3 if self.coordinates else 0)
        compressed = PCA(self.n_components, whiten=True, random_state=seed).fit(table[:, :wide])
        inputs = self._compressed(compressed, table)
        perceptron = make_pipeline(
            StandardScaler(),
            MLPClassifier(
                tuple(self.hidden_layer_sizes),
                early_stopping=True,
                n_iter_no_change=5,
                max_iter=self.max_iter,
                batch_size=min(512, len(y)),
                random_state=seed,
            ),
        )
        return compressed, perceptron.fit(inputs, y)

    @staticmethod
    def _compressed(compressed, table):
        wide = compressed.n_features_in_
        return np.hstack([compressed.transform(table[:, :wide]), table[:, wide:]])

    def _apply(self, model, maps):
        n, numbers, h, w = maps.shape
        table = np.moveaxis(maps, 1, -1).reshape(-1, numbers)
        compressed, perceptron = model
        proba = perceptron.predict_proba(self._compressed(compressed, table))[:, 1]
        return logit(np.clip(proba.astype(np.float64), TINY, 1 - TINY)).reshape(n, h, w)
