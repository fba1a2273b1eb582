"""Decisions by one cut of the logits are those of the probabilities, to the last bit."""

import numpy as np
import pytest

from skastro.probability_maps import make_map
from skastro.segmentation import posterior
from skastro.segmentation.posterior import SegmentationPosterior

SHAPE = (3, 40, 50)


def segmenter(calibration, thresholds, prior):
    """What is fitted of a segmenter of three labels."""
    rng = np.random.default_rng(0)
    model = SegmentationPosterior()
    model.mode_, model.labels_ = "multilabel", ["a", "b", "c"]
    model.bits_, model.nodata_bit_ = {"a": 1, "b": 4, "c": 2}, 1 << 15
    model.training_prior_, model.prior_ = np.array([0.3, 0.1, 0.01]), np.asarray(prior)
    model.thresholds_, model.maps_ = np.asarray(thresholds), None
    if calibration:
        z = rng.normal(size=(3, 4000))
        y = rng.random(z.shape) < 1 / (1 + np.exp(-1.5 * z + 0.4))
        model.maps_ = [make_map(calibration).fit(a, b) for a, b in zip(z, y, strict=True)]
    return model


@pytest.mark.parametrize("calibration", [None, "temperature", "platt", "beta", "isotonic"])
@pytest.mark.parametrize(
    "thresholds", [[0.5, 0.2, 0.9], [0.0, 1.0, np.nan], [1e-6, 1 - 1e-6, np.inf]]
)
def test_cuts_are_the_probabilities_at_the_thresholds(monkeypatch, calibration, thresholds):
    rng = np.random.default_rng(1)
    z = (4 * rng.normal(size=SHAPE)).astype(np.float32)
    blank = rng.random(SHAPE[1:]) < 0.1
    for prior in ([0.3, 0.1, 0.01], [1e-4, 0.5, 0.9]):
        model = segmenter(calibration, thresholds, prior)
        cuts = model._cuts(model.prior_)
        # at the cuts themselves too, and just below
        z[:, :3] = cuts[:, None, None]
        z[:, 3:6] = np.nextafter(cuts, np.float32(-np.inf))[:, None, None]
        z = np.clip(z, -1e4, 1e4)
        proba = model._probabilities(z, np.zeros_like(blank))
        expected = (proba >= np.reshape(thresholds, (3, 1, 1))) & ~blank
        monkeypatch.setattr(posterior, "WORTH", 1)
        found = model._decisions(z, blank)
        assert found.dtype == bool and (found == expected).all()
        bits = model._bit_plane(z, blank)
        assert (bits[blank] == 1 << 15).all()
        want = expected[0] * 1 + expected[1] * 4 + expected[2] * 2
        assert (bits[~blank] == want[~blank]).all()
        monkeypatch.setattr(posterior, "WORTH", 10**9)
        assert (model._decisions(z, blank) == expected).all()


def test_cuts_by_hand():
    model = segmenter(None, [0.5, 0.8, 0.5], [0.3, 0.1, 0.5])
    expected = np.array([0.0, np.log(4.0), np.log(0.01 / 0.99)])
    np.testing.assert_allclose(model._cuts(model.prior_), expected, atol=1e-6)
