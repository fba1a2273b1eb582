"""The picture of a mask: what each panel shows, in which colours, and that no lone pixel is lost."""

import matplotlib
import numpy as np
import pytest
from astropy import units as u
from matplotlib.colors import LogNorm, to_rgb

from skastro.displays import MaskDisplay
from skastro.displays.blending import NOT_SCORED, blend_labels, label_colors, shrink
from skastro.displays.style import COLORS

matplotlib.use("agg")
rng = np.random.default_rng(0)
IMAGE = rng.normal(size=(12, 16))
TRUTH = IMAGE > 1.0
PROBA = 1 / (1 + np.exp(-3 * (IMAGE - 1.0) - rng.normal(size=IMAGE.shape)))


def shown(display, key):
    (picture,) = display.axes_[key].images
    return np.asarray(picture.get_array())


def legend(display):
    return [one.get_text() for one in display.figure_.legends[0].get_texts()]


def test_panels_of_one_class():
    mask = TRUTH.astype(int)
    mask[0, :3] = 255
    display = MaskDisplay.from_predictions(IMAGE, PROBA, mask, threshold=0.6, labels=["source"])
    np.testing.assert_array_equal(shown(display, "image"), IMAGE.astype(np.float32))
    np.testing.assert_allclose(shown(display, "probability"), PROBA)
    scored = mask != 255
    found, true = PROBA >= 0.6, TRUTH & scored
    decision = shown(display, "decision")
    outcomes = found & true, found & ~true & scored, ~found & true
    for color, where in zip((COLORS[2], COLORS[1], COLORS[0]), outcomes, strict=True):
        assert where.any()
        np.testing.assert_allclose(
            decision[where], np.broadcast_to(to_rgb(color), (where.sum(), 3))
        )
    assert (decision[~found & ~true & scored] == 1).all()
    for key in ("truth", "decision"):
        np.testing.assert_allclose(shown(display, key)[0, :3], np.tile(NOT_SCORED, (3, 1)))
    counts = [int(one.sum()) for one in outcomes]
    assert legend(display) == [
        *(f"{n}: {c}" for n, c in zip(("right", "false", "missed"), counts, strict=True)), "not scored",
    ]  # fmt: skip
    assert list(display.axes_) == ["image", "truth", "probability", "decision"]


def test_without_a_truth():
    display = MaskDisplay.from_predictions(IMAGE * u.Jy, PROBA, threshold=0.6)
    assert list(display.axes_) == ["image", "probability", "decision"]
    np.testing.assert_array_equal(shown(display, "decision")[..., 0] == 0, PROBA >= 0.6)


def test_colours_of_several_classes():
    proba = np.stack([PROBA, PROBA[::-1], np.zeros_like(PROBA)])
    truth = np.stack([TRUTH, TRUTH[::-1], np.zeros_like(TRUTH)])
    display = MaskDisplay.from_predictions(
        IMAGE, proba, truth, labels=["a", "b", "c"], threshold=[0.5, 0.7, 0.1]
    )
    colors = label_colors(3)
    for key, maps in (
        ("truth", truth), ("probability", proba),
        ("decision", proba >= np.array([0.5, 0.7, 0.1])[:, None, None]),
    ):  # fmt: skip
        by_hand = np.ones((*IMAGE.shape, 3))
        for one, color in zip(maps, colors, strict=True):
            by_hand *= 1 - one[..., None] * (1 - color)
        np.testing.assert_allclose(shown(display, key), by_hand)
    assert legend(display) == ["a", "b", "c"]


def test_exclusive_classes_have_the_most_frequent_one_white():
    proba = np.stack([PROBA, 1 - PROBA]) * 0.9
    index = (~TRUTH).astype(int)
    display = MaskDisplay.from_predictions(IMAGE, proba, index, labels=["star", "sky"])
    np.testing.assert_array_equal((shown(display, "truth") == 1).all(-1), ~TRUTH)
    np.testing.assert_array_equal((shown(display, "decision") == 1).all(-1), PROBA <= 0.5)
    assert legend(display) == ["star", "sky"]
    decided = MaskDisplay.from_predictions(IMAGE, proba, decision=index)
    np.testing.assert_array_equal(decided.decision, [TRUTH, ~TRUTH])


def test_lone_pixels_of_large_images_are_drawn():
    truth = np.zeros((700, 900), bool)
    truth[333, 777] = truth[699, 899] = True
    proba = np.where(truth, 1e-3, 1e-6)
    display = MaskDisplay.from_predictions(np.zeros(truth.shape), proba, truth, threshold=5e-4)
    assert max(shown(display, "truth").shape) <= 250
    assert (shown(display, "truth")[..., 0] == 0).sum() == 2
    assert (np.abs(shown(display, "decision") - to_rgb(COLORS[2])).max(-1) < 1e-9).sum() == 2
    (picture,) = display.axes_["probability"].images
    assert isinstance(picture.norm, LogNorm) and (shown(display, "probability") == 1e-3).sum() == 2
    assert picture.get_extent() == [-0.5, 899.5, -0.5, 699.5]


def test_blocks_and_colours():
    values = np.arange(35.0).reshape(5, 7)
    np.testing.assert_array_equal(
        shrink(values, 4), [[8, 10, 12, 13], [22, 24, 26, 27], [29, 31, 33, 34]]
    )
    assert shrink(values, 7) is values
    assert len(np.unique(label_colors(13), axis=0)) == 13
    assert label_colors(40).shape == (40, 3)
    hidden = blend_labels(np.ones((1, 1, 1)), np.zeros((1, 3)), np.ones((1, 1), bool))
    np.testing.assert_allclose(hidden[0, 0], NOT_SCORED)


class Known:
    labels_ = ["a", "b"]

    def predict_proba(self, X):
        return np.stack([np.stack([PROBA, 1 - PROBA])] * len(X))

    def predict(self, X):
        return self.predict_proba(X) > 0.8


@pytest.mark.parametrize("as_list", [False, True])
def test_estimators(as_list):
    images = [IMAGE, 2 * IMAGE] if as_list else np.stack([IMAGE, 2 * IMAGE])
    masks = [np.stack([TRUTH, ~TRUTH])] * 2
    display = MaskDisplay.from_estimator(Known(), images, masks, index=-1)
    np.testing.assert_array_equal(display.decision, [PROBA > 0.8, 1 - PROBA > 0.8])
    np.testing.assert_allclose(display.image, 2 * IMAGE, rtol=1e-6)
    assert legend(display) == ["a", "b"] and display.name == "Known"
    with pytest.raises(ValueError, match="index=2; expected a whole number below 2"):
        MaskDisplay.from_estimator(Known(), images, index=2)


def test_blank_and_constant_images():
    image = np.full((6, 6), np.nan)
    MaskDisplay.from_predictions(image, np.zeros((6, 6))).figure_.canvas.draw()
    image[:3] = 2.0
    display = MaskDisplay.from_predictions(image, np.zeros((6, 6)), np.zeros((6, 6)))
    display.figure_.canvas.draw()
    picture = display.axes_["image"].images[0]
    drawn = np.ma.filled(picture.get_array(), np.nan)
    assert np.isnan(drawn[3:]).all() and (drawn[:3] == 2.0).all()
    assert picture.norm.vmin < 2.0 < picture.norm.vmax


def test_a_blank_pixel_leaves_its_block():
    image = np.ones((600, 600))
    image[10, 10] = np.nan
    display = MaskDisplay.from_predictions(image, np.zeros(image.shape))
    drawn = np.ma.filled(display.axes_["image"].images[0].get_array(), np.nan)
    assert drawn.shape[0] <= 250 and np.isfinite(drawn).all()


def test_made_without_hidden_pixels():
    found = (PROBA > 0.5)[None]
    display = MaskDisplay(image=IMAGE, proba=PROBA[None], decision=found, truth=TRUTH[None]).plot()
    assert not display.hidden.any() and "not scored" not in legend(display)


@pytest.mark.parametrize(
    "image, proba, truth, options, message",
    [
        (IMAGE[0], PROBA, None, {}, r"image has shape \(16,\); expected \(h, w\)"),
        (IMAGE, PROBA.T, None, {}, r"proba has shape \(16, 12\)"),
        (IMAGE, PROBA * 2, None, {}, "proba"),
        (IMAGE, PROBA, TRUTH.T, {}, r"truth has shape \(16, 12\); expected \(12, 16\)"),
        (IMAGE, PROBA, TRUTH + 1, {}, "truth has values from 1 to 2; expected whole numbers"),
        (IMAGE, PROBA, None, {"decision": TRUTH + 1}, "decision has values from 1 to 2; expected"),
        (IMAGE, PROBA, None, {"labels": ["a", "b"]}, "labels has 2 entries; expected 1"),
        (IMAGE, PROBA, None, {"threshold": [0.1, 0.2]}, "threshold has shape"),
    ],
)
def test_bad_input(image, proba, truth, options, message):
    with pytest.raises(ValueError, match=message):
        MaskDisplay.from_predictions(image, proba, truth, **options)
