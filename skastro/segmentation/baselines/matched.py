"""The matched filter as a segmenter."""

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods

from skastro.segmentation.baselines.scores import ScoreClassifier, one_channel
from skastro.segmentation.matched_filter import MatchedFilter

__all__ = ["MatchedFilterClassifier"]


class MatchedFilterClassifier(ScoreClassifier):
    """Signal-to-noise ratio of a point source at each pixel, calibrated to its probability.

    Parameters
    ----------
    matched_filter : MatchedFilter or None, default=None
        Any transformer of images (n, h, w) to maps of that shape will do. None: `MatchedFilter`.
    calibration, n_pixels, labels, ignore_index, random_state
        As in `RawCounts`.

    Attributes
    ----------
    filter_ : MatchedFilter
    labels_, models_, training_prior_, prior_, n_channels_in_, image_shape_
        As in `RawCounts`.

    Examples
    --------
    >>> from skastro.datasets import make_galactic_center
    >>> from skastro.segmentation import MatchedFilter
    >>> from skastro.segmentation.baselines import MatchedFilterClassifier
    >>> sky = make_galactic_center(20, return_maps=True, random_state=0)
    >>> bright = sky.flux_ps_gc + sky.flux_ps_disk > 30
    >>> model = MatchedFilterClassifier(MatchedFilter(fwhm=1.34), random_state=0)
    >>> bool(model.fit(sky.images[:15], bright[:15]).score(sky.images[15:], bright[15:]) > 0.3)
    True
    """

    _parameter_constraints = {
        **ScoreClassifier._parameter_constraints,
        "matched_filter": [HasMethods(["fit", "transform"]), None],
    }
    _planes = 24

    def __init__(
        self,
        matched_filter=None,
        *,
        calibration="isotonic",
        n_pixels=200_000,
        labels=None,
        ignore_index=255,
        random_state=None,
    ):
        self.matched_filter = matched_filter
        self.calibration = calibration
        self.n_pixels = n_pixels
        self.labels = labels
        self.ignore_index = ignore_index
        self.random_state = random_state

    def _prepare(self, images):
        found = MatchedFilter() if self.matched_filter is None else clone(self.matched_filter)
        self.filter_ = found.fit(one_channel(images, "a matched filter")[0])

    def _scores(self, images):
        # too little of a source is seen: nothing is known
        return np.nan_to_num(self.filter_.transform(images[:, 0]), nan=0.0)
