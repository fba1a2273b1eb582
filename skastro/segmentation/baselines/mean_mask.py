"""How often each position had the label in training, whatever the image shows."""

import numpy as np
from scipy.special import logit

from skastro.segmentation.baselines.base import PixelClassifier

__all__ = ["MeanMask"]


class MeanMask(PixelClassifier):
    """The mean of the training masks, for any image: what position alone is worth.

    Each pixel starts as one mask with the share of all pixels, so that none is certain.

    Parameters
    ----------
    labels : sequence of str or None, default=None
        Names.
    ignore_index : int, default=255
        Label of the pixels that are left out.

    Attributes
    ----------
    map_ : ndarray of shape (n_labels, h, w)
        Probability of each label at each position.
    labels_ : list of str
    training_prior_, prior_ : float or ndarray of shape (n_labels,)
        Share of the pixels that have the label: both are the same here.
    n_channels_in_ : int
    image_shape_ : tuple (h, w)
        Of the images in `fit`, which all others must have.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation.baselines import MeanMask
    >>> masks = np.zeros((3, 2, 2), bool)
    >>> masks[:2, 0, 0] = True
    >>> model = MeanMask().fit(np.ones((3, 2, 2)), masks)
    >>> model.predict_proba(np.ones((1, 2, 2))).round(3)
    array([[[0.542, 0.042],
            [0.042, 0.042]]], dtype=float32)
    """

    def __init__(self, *, labels=None, ignore_index=255):
        self.labels = labels
        self.ignore_index = ignore_index

    def _learn(self, images, truth, used):
        counts, seen = (truth & used).sum(0), used.sum(0)
        prior = counts.sum((1, 2)) / seen.sum((1, 2))
        self.map_ = (counts + prior[:, None, None]) / (seen + 1)
        self.training_prior_ = prior

    def _logits(self, images):
        if images.shape[2:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[2:]}; expected {self.image_shape_}, as in fit."
            )
        return np.broadcast_to(logit(self.map_), (len(images), *self.map_.shape))
