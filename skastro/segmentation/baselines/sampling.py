"""Classifiers that learn from some of the pixels, and what that makes of the prior."""

from abc import abstractmethod
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval

from skastro.base import draw_seed, row_blocks
from skastro.prior_shift import subsampling_prior
from skastro.segmentation.baselines.base import PixelClassifier

__all__ = ["SampledPixelClassifier", "sample_pixels"]


def sample_pixels(truth, used, n_pixels, rng):
    """Draw pixels, the true ones first: all of them, unless they are more than half of what is drawn.

    Parameters
    ----------
    truth, used : ndarray of bool, of one shape
    n_pixels : int
        That are drawn at most.
    rng : Generator

    Returns
    -------
    places : ndarray of int
        In the flat arrays, rising.
    """
    classes = [np.flatnonzero(used & ~truth), np.flatnonzero(used & truth)]
    n_true = min(len(classes[1]), max(n_pixels // 2, n_pixels - len(classes[0])))
    wanted = min(len(classes[0]), n_pixels - n_true), n_true
    drawn = [
        places if n >= len(places) else rng.choice(places, n, replace=False, shuffle=False)
        for places, n in zip(classes, wanted, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


class SampledPixelClassifier(PixelClassifier):
    """Base of segmenters that learn from numbers at some of the pixels.

    A child class has the parameters `n_pixels` and `random_state` too. It provides `_prepare(images)`,
    `_pixels(images)`, numbers of shape (n, n_numbers, h, w), `_fit_pixels(table, y, seed)`, a model of one
    label, and `_apply(model, maps)`, logits of shape (n, h, w) from the numbers.
    """

    _parameter_constraints = {
        **PixelClassifier._parameter_constraints,
        "n_pixels": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def _prepare(self, images):
        pass

    @abstractmethod
    def _pixels(self, images):
        """Numbers at each pixel."""

    @abstractmethod
    def _fit_pixels(self, table, y, seed):
        """Model of one label."""

    @abstractmethod
    def _apply(self, model, maps):
        """Logits of one label."""

    def _learn(self, images, truth, used):
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        self._prepare(images)
        n_labels = truth.shape[1]
        places, labels = [], []
        for i in range(n_labels):
            known, which = used[:, i].ravel(), truth[:, i].ravel()
            places.append(sample_pixels(which, known, self.n_pixels, rng))
            labels.append(which[places[-1]])
        self.training_prior_ = np.array([subsampling_prior(y) for y in labels])
        tables = self._tables(images, places)
        self.models_ = [
            self._fit_pixels(table, y, seed) for table, y in zip(tables, labels, strict=True)
        ]

    def _tables(self, images, places):
        """Numbers at the pixels of each label, computed once for all of them."""
        n, _, h, w = images.shape
        tables = [[] for _ in places]
        for rows in row_blocks(n, 4 * self._planes * images[0].size):
            low, high = rows.start * h * w, rows.stop * h * w
            inside = [one[np.searchsorted(one, low) : np.searchsorted(one, high)] for one in places]
            if not any(len(one) for one in inside):
                continue
            maps = self._pixels(images[rows])
            for table, one in zip(tables, inside, strict=True):
                image, pixel = np.divmod(one - low, h * w)
                table.append(maps.reshape(len(maps), -1, h * w)[image, :, pixel])
        return [np.concatenate(table) for table in tables]

    def _logits(self, images):
        maps = self._pixels(images)
        return np.stack([self._apply(model, maps) for model in self.models_], axis=1)
