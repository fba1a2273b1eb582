"""The brightness of a pixel, and nothing else."""

import numpy as np

from skastro.segmentation.baselines.scores import ScoreClassifier

__all__ = ["RawCounts"]


class RawCounts(ScoreClassifier):
    """The pixel itself as the score of a source: what a method must beat to have found anything.

    Parameters
    ----------
    calibration : {"isotonic", "platt", "beta"}, default="isotonic"
        Map from the score to the probability, fitted to training pixels; see `skastro.probability_maps`.
    n_pixels : int, default=200_000
        That each label is calibrated on, at most.
    labels : sequence of str or None, default=None
        Names.
    ignore_index : int, default=255
        Label of the pixels that are left out.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    labels_ : list of str
    models_ : list of tuple
        One a label: whether bright or dark pixels have it (1 or -1), the mean score, the calibration map.
    training_prior_, prior_ : float or ndarray of shape (n_labels,)
        As in `BoostedPixelClassifier`.
    n_channels_in_ : int
        The score is their sum.
    image_shape_ : tuple (h, w)
        Of the images in `fit`; others may have any size.

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.segmentation.baselines import RawCounts
    >>> sky = make_galactic_center(20, return_maps=True, random_state=0)
    >>> sources = sky.flux_ps_gc + sky.flux_ps_disk > 0
    >>> model = RawCounts(random_state=0).fit(sky.images[:15], sources[:15])
    >>> bool(model.score(sky.images[15:], sources[15:]) > 0.75)
    True
    """

    def __init__(
        self,
        calibration="isotonic",
        *,
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.calibration = calibration
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    def _scores(self, images):
        return np.nan_to_num(images, nan=0.0).sum(axis=1)
