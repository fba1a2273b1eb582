"""A segmenter whose answers can be worked out by hand: each class is a level of the pixel itself."""

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator

from skastro.blocks import tiles

CENTRES = {"CR": 100.0, "HP": 200.0, "SAT": 400.0}
SCALE = 5.0
PRIOR = np.array([5e-4, 1e-6, 1e-3])


class FakeNet:
    """What holds the weights."""

    class module_:  # noqa: N801
        @staticmethod
        def state_dict():
            import torch

            return {"centres": torch.tensor(list(CENTRES.values()))}


class FakeSegmenter(BaseEstimator):
    """As SourceSegmenter after fit, for ``skastro mask``."""

    def __init__(self, wide=False):
        self.wide = wide
        self.labels_ = list(CENTRES)
        self.bits_ = {"CR": 1, "HP": 8, "SAT": 1 << 20 if wide else 512}
        self.nodata_bit_ = 1 << 31 if wide else 32768
        self.training_prior_ = np.array([0.5, 0.1, 0.2])
        self.prior_ = PRIOR.copy()
        self.thresholds_ = np.array([0.43, 0.5, 0.81])
        self.threshold_policy_ = ("fixed", None)
        self.net_ = FakeNet()

    def set_prior(self, prior):
        new = self.prior_.copy()
        for label, number in prior.items():
            if not 0 < number < 1:
                raise ValueError(f"prior of {label} is {number}; expected one between 0 and 1.")
            new[self.labels_.index(label)] = number
        self.prior_ = new
        if self.threshold_policy_[0] == "fdr":
            self.set_threshold(*self.threshold_policy_)
        return self

    def set_threshold(self, policy, level=None):
        if policy not in ("fixed", "fdr"):
            raise ValueError(f"policy={policy!r}; expected fixed or fdr.")
        self.thresholds_ = np.broadcast_to(np.asarray(level, float), (3,)).copy()
        if policy == "fdr":
            # follows the prior, as it does of a real one
            self.thresholds_ = np.minimum(level * self.prior_ / PRIOR, 1)
        self.threshold_policy_ = (policy, level)
        return self

    def proba(self, image):
        """(L, h, w) of an array."""
        image = np.asarray(image, np.float32)
        shift = logit(self.prior_) - logit(self.training_prior_)
        z = (image - np.array(list(CENTRES.values()))[:, None, None]) / SCALE
        p = expit(z + shift[:, None, None])
        blank = np.isnan(image)
        return np.where(blank, self.prior_[:, None, None], p).astype(np.float32)

    def bits(self, image):
        """(h, w) of an array."""
        proba = self.proba(image)
        found = np.zeros(proba.shape[1:], np.uint32 if self.wide else np.uint16)
        for i, label in enumerate(self.labels_):
            found[proba[i] >= self.thresholds_[i]] |= found.dtype.type(self.bits_[label])
        found[np.isnan(np.asarray(image, np.float32))] = self.nodata_bit_
        return found

    def predict_tiles(self, image, tile_size=None, what=("bits",)):
        assert image.ndim == 2 and image.dtype.kind == "f"
        for _, (rows, columns), _ in tiles(image.shape, tile_size or 16):
            tile = image[rows, columns]
            assert tile.dtype.isnative and tile.shape == (
                rows.stop - rows.start,
                columns.stop - columns.start,
            )
            yield rows, columns, *(getattr(self, one)(tile) for one in what)
