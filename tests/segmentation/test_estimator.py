"""`SourceSegmenter`: what its probabilities mean, tiles, bad input, and scikit-learn's conventions."""

import pickle

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from skastro import io
from skastro.probability_maps import PlattMap
from skastro.segmentation import SourceSegmenter, UNet

SMALL = UNet(widths=(6, 8))


def hot_pixels(n=24, size=32, share=0.02, seed=0, height=8.0):
    """Noise of 5 around 100, and pixels that are brighter."""
    rng = np.random.default_rng(seed)
    images = rng.normal(100.0, 5.0, (n, size, size)).astype(np.float32)
    hot = rng.random(images.shape) < share
    images[hot] += 5.0 * height
    return images, hot


def two_labels(n=24, size=32, seed=0):
    """Bright pixels, and dark columns."""
    images, hot = hot_pixels(n, size, seed=seed)
    rng = np.random.default_rng(seed + 1)
    dark = np.zeros_like(hot)
    dark[np.arange(n), :, rng.integers(size, size=n)] = True
    images[dark] -= 30.0
    return images, np.stack([hot, dark], axis=1)


def small(**parameters):
    settings = {"network": SMALL, "max_epochs": 4, "lr": 1e-2, "random_state": 0} | parameters
    return SourceSegmenter(**settings)


@pytest.fixture(scope="module")
def fitted():
    images, hot = hot_pixels()
    return small(labels=("hot",), max_epochs=8).fit(images, hot)


@pytest.fixture(scope="module")
def several():
    images, masks = two_labels()
    return small(labels=("hot", "dark"), max_epochs=8).fit(images, masks)


# ---- what it finds


def test_finds_hot_pixels_and_counts_them(fitted):
    images, hot = hot_pixels(seed=10)
    assert fitted.mode_ == "binary" and fitted.labels_ == ["hot"]
    assert fitted.score(images, hot) > 0.95
    assert abs(fitted.predict_proba(images).sum() / hot.sum() - 1) < 0.1
    agreed = fitted.predict(images)
    assert agreed.dtype == bool and agreed.shape == hot.shape
    assert (agreed & hot).sum() / (agreed | hot).sum() > 0.85


def test_several_labels(several):
    images, masks = two_labels(seed=10)
    proba = several.predict_proba(images)
    assert (
        several.mode_ == "multilabel" and proba.shape == masks.shape and proba.dtype == np.float32
    )
    for i in (0, 1):
        assert roc_auc_score(masks[:, i].ravel(), proba[:, i].ravel()) > 0.98
    bits = several.predict_bits(images)
    found = several.predict(images)
    assert bits.dtype == np.uint16 and several.bits_ == {"hot": 1, "dark": 2}
    np.testing.assert_array_equal(bits, found[:, 0] + 2 * found[:, 1])


def test_exclusive_classes():
    images, masks = two_labels()
    y = np.where(masks[:, 0], 2, np.where(masks[:, 1], 1, 0))
    model = small(mode="multiclass", labels=("sky", "dark", "hot"), max_epochs=8).fit(images, y)
    images, masks = two_labels(seed=10)
    proba, found = model.predict_proba(images), model.predict(images)
    assert proba.shape == (len(images), 3, 32, 32)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found, proba.argmax(axis=1))
    truth = np.where(masks[:, 0], 2, np.where(masks[:, 1], 1, 0))
    assert (found == truth).mean() > 0.99
    # another prior by the formula, not by the code
    ratio = np.array([0.9, 0.06, 0.04]) / model.training_prior_
    expected = proba_under_training(model, images) * ratio[:, None, None]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        model.predict_proba(images, prior=[0.9, 0.06, 0.04]), expected, atol=1e-5
    )
    np.testing.assert_array_equal(np.unique(model.predict_bits(images)), [0, 1, 2])


def proba_under_training(model, images):
    z = model.decision_function(images).astype(float)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


# ---- the invariants of probabilities


def test_training_prior_returns_the_outputs(fitted, several):
    for model, images in ((fitted, hot_pixels(seed=3)[0]), (several, two_labels(seed=3)[0])):
        expected = expit(model.decision_function(images))
        given = model.predict_proba(images, prior=model.training_prior_)
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(model.predict_proba(images, prior="training"), given, rtol=1e-6)


def test_order_of_pixels_does_not_depend_on_the_prior(fitted):
    images, hot = hot_pixels(n=6, seed=4, height=4.0)
    areas = [
        roc_auc_score(hot.ravel(), fitted.predict_proba(images, prior=p).ravel())
        for p in (0.5, 1e-2, 1e-4)
    ]
    np.testing.assert_allclose(areas, areas[0], atol=1e-5)


def test_corrections_compose(fitted):
    images, _ = hot_pixels(n=2, seed=5)
    direct = fitted.predict_proba(images, prior=1e-4)
    odds = direct / (1.0 - direct)
    other = fitted.predict_proba(images, prior=0.3)
    back = other / (1 - other) * (1e-4 / (1 - 1e-4)) / (0.3 / 0.7)
    kept = other < 0.999  # beyond, float32 has no odds
    np.testing.assert_allclose(back[kept], odds[kept], rtol=1e-3)


def test_trained_at_even_shares_and_corrected_to_rare_ones():
    """Two Gaussians, of which the posterior is known: 1:1 in training, 1 in 100 in use.

    Much rarer ones need likelihood ratios that so few negatives do not tell of.
    """
    rng = np.random.default_rng(0)

    def draw(n, prior):
        y = rng.random((n, 64, 64)) < prior
        return (rng.normal(size=y.shape) + 3.0 * y).astype(np.float32), y

    x, y = draw(150, 0.5)
    alone = UNet(widths=(8,), n_convolutions=1)
    model = SourceSegmenter(alone, scaling=None, max_epochs=25, lr=1e-2, random_state=0).fit(x, y)
    assert abs(model.training_prior_ - 0.5) < 0.01
    prior = 1e-2
    x, y = draw(100, prior)
    proba = model.predict_proba(x, prior=prior).astype(float)
    exact = expit(3.0 * x - 4.5 + np.log(prior) - np.log1p(-prior))
    # 4,000 positives: 1.6 % of scatter
    assert abs(proba.sum() / y.sum() - 1) < 0.1
    likely = exact > 0.05
    assert np.abs(np.log(proba[likely] / exact[likely])).mean() < 0.25


def test_weights_change_the_prior_of_training_not_the_meaning():
    images, hot = hot_pixels()
    plain = small(max_epochs=8).fit(images, hot)
    heavy = small(max_epochs=8, class_weight={"positive": 20.0}).fit(images, hot)
    share = plain.prevalence_
    assert plain.training_prior_ == share == heavy.prevalence_
    np.testing.assert_allclose(heavy.training_prior_, 20 * share / (20 * share + 1 - share))
    test, truth = hot_pixels(seed=20)
    for model in (plain, heavy):
        assert abs(model.predict_proba(test).sum() / truth.sum() - 1) < 0.15
    balanced = small(max_epochs=1, class_weight="balanced").fit(images, hot)
    np.testing.assert_allclose(balanced.training_prior_, 0.5)


def test_repeated_images_and_weights_have_one_prior():
    images, hot = hot_pixels(n=8)
    hot[:4, :16] = False
    weighted = small(max_epochs=1, validation_fraction=None)
    weighted.fit(images, hot, sample_weight=[1, 1, 1, 1, 3, 3, 3, 3])
    many = small(max_epochs=1, validation_fraction=None)
    times = [0, 1, 2, 3] + 3 * [4, 5, 6, 7]
    many.fit(images[times], hot[times])
    np.testing.assert_allclose(weighted.training_prior_, many.training_prior_)


def test_patches_without_positives_can_be_left_out():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 64, 64)).astype(np.float32)
    hot = np.zeros(images.shape, bool)
    hot[:, :16, :16] = rng.random((6, 16, 16)) < 0.1
    images[hot] += 9.0
    settings = {"patch_size": 16, "max_epochs": 1, "validation_fraction": None}
    whole = small(**settings).fit(images, hot)
    fewer = small(negative_fraction=0.2, **settings).fit(images, hot)
    np.testing.assert_allclose(whole.training_prior_, hot.mean())
    assert fewer.training_prior_ > 2.5 * whole.training_prior_


@pytest.mark.parametrize("mode", ["binary", "multiclass"])
def test_patches_left_out_do_not_change_the_meaning(mode):
    rng = np.random.default_rng(0)
    hot = np.zeros((60, 64, 64), bool)
    hot[:, :16, :16] = rng.random((60, 16, 16)) < 0.1
    images = (rng.normal(size=hot.shape) + 5.0 * hot).astype(np.float32)
    model = small(mode=mode, patch_size=16, negative_fraction=0.2, scaling=None, max_epochs=8)
    model.fit(images[:40], hot[:40].astype(int))
    share, prior = (np.reshape(one, -1)[-1] for one in (model.prevalence_, model.training_prior_))
    # of some 120 patches that are kept of 600: 9 % of scatter
    assert abs(share / hot[:40].mean() - 1) < 0.2 and prior > 2.5 * share
    proba = model.predict_proba(images[40:])
    proba = proba if mode == "binary" else proba[:, 1]
    assert abs(proba.sum() / hot[40:].sum() - 1) < 0.25


def test_fdr_holds_on_new_images(fitted):
    model = pickle.loads(pickle.dumps(fitted))
    images, hot = hot_pixels(n=60, seed=30, height=4.0)
    model.calibrate(images[:20], hot[:20])
    model.set_threshold("fdr", 0.1)
    found = model.predict(images[20:])
    false = (found & ~hot[20:]).sum()
    n = found.sum()
    assert n > 100
    # the level, and three standard deviations of its count
    assert false / n < 0.1 + 3 * np.sqrt(0.1 * 0.9 / n)


@pytest.mark.parametrize("prior", [None, 1e-4])
def test_a_calibration_holds_at_the_prior_it_is_for(fitted, prior):
    model = pickle.loads(pickle.dumps(fitted))
    images, hot = hot_pixels(n=40, seed=30, height=4.0)
    model.calibrate(images, hot, prior=prior)
    ratios = {}
    for pi in (model.training_prior_, 1e-4):
        weight = np.where(hot, pi / hot.mean(), (1 - pi) / (1 - hot.mean()))
        ratios[pi] = (weight * model.predict_proba(images, prior=pi)).sum() / weight[hot].sum()
    own = model.training_prior_ if prior is None else prior
    # a line of largest likelihood has the sum right, and the other prior does not by itself
    assert abs(ratios.pop(own) - 1) < 1e-3
    assert abs(next(iter(ratios.values())) - 1) > 1e-2


def test_a_calibration_that_fails_changes_nothing(fitted):
    model = pickle.loads(pickle.dumps(fitted))
    images, hot = hot_pixels(n=4, seed=1)
    before = model.set_threshold("fpr", 1e-3).predict_proba(images), model.predict(images)
    with pytest.raises(ValueError, match="one kind of pixel"):
        model.calibrate(images, np.zeros_like(hot))
    with pytest.raises(ValueError, match="prior='em'; expected 'training', numbers or None"):
        model.calibrate(images, hot, prior="em")
    model.set_threshold("fpr", 1e-3)
    for one, other in zip(
        (model.predict_proba(images), model.predict(images)), before, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("policy", [("fixed", 0.3), ("cost", 3.0), ("mcc", None), ("fpr", 1e-3)])
def test_thresholds(fitted, policy):
    model = pickle.loads(pickle.dumps(fitted)).set_threshold(*policy)
    assert model.threshold_policy_ == policy and 0 < model.thresholds_ < 1
    images, _ = hot_pixels(n=2, seed=1)
    expected = model.predict_proba(images) >= model.thresholds_
    np.testing.assert_array_equal(model.predict(images), expected)


def test_thresholds_follow_the_prior(fitted):
    model = pickle.loads(pickle.dumps(fitted)).set_threshold("fpr", 1e-3)
    images, _ = hot_pixels(n=4, seed=1, height=4.0)
    before = model.predict(images)
    low = model.set_prior(1e-5).thresholds_
    assert low < 0.5
    # a false positive rate does not depend on the prior: nor do the pixels found
    np.testing.assert_array_equal(model.predict(images), before)


def test_priors_by_image_and_pixel(fitted, several):
    images, _ = hot_pixels(n=3, seed=6)
    each = fitted.predict_proba(images, prior=np.array([0.1, 0.01, 0.001]))
    for i, prior in enumerate((0.1, 0.01, 0.001)):
        one = fitted.predict_proba(images[i : i + 1], prior=prior)
        np.testing.assert_allclose(each[i : i + 1], one, rtol=1e-5)
    everywhere = np.full(images.shape, 0.01)
    everywhere[:, :16] = 0.1
    mixed = fitted.predict_proba(images, prior=everywhere)
    np.testing.assert_allclose(mixed[:, :16], fitted.predict_proba(images, 0.1)[:, :16], rtol=1e-5)
    np.testing.assert_allclose(mixed[:, 16:], fitted.predict_proba(images, 0.01)[:, 16:], rtol=1e-5)
    images, _ = two_labels(n=2, seed=6)
    named = several.predict_proba(images, prior={"dark": 0.1})
    listed = several.predict_proba(images, prior=[several.prior_[0], 0.1])
    np.testing.assert_array_equal(named, listed)


def test_estimates_the_prior(fitted):
    images, hot = hot_pixels(n=20, share=0.06, seed=7)
    found = fitted.estimate_prior(images, random_state=0)
    assert abs(found.prior - hot.mean()) < 0.1 * hot.mean()
    model = pickle.loads(pickle.dumps(fitted)).set_prior("em")
    assert abs(model.predict_proba(images).sum() / hot.sum() - 1) < 0.1
    assert model.predict(images).shape == hot.shape


def test_calibration_on_held_out_pixels():
    images, hot = hot_pixels(n=30, height=4.0)
    with pytest.raises(ValueError, match=r"loss='dice' with calibration=None"):
        small(loss="dice").fit(images, hot)
    with pytest.raises(ValueError, match=r"loss='log\+count' with calibration=None"):
        small(loss="log+count", class_weight="balanced").fit(images, hot)
    model = small(loss="log+dice", calibration="platt", max_epochs=8, validation_fraction=0.3)
    model.fit(images, hot)
    assert isinstance(model.maps_[0], PlattMap)
    test, truth = hot_pixels(n=30, seed=40, height=4.0)
    assert abs(model.predict_proba(test).sum() / truth.sum() - 1) < 0.15


# ---- tiles, shapes, blanks


@pytest.mark.parametrize("tile", [1, 32, 100])
def test_tiles_give_what_the_whole_gives(several, tile):
    image = two_labels(n=1, size=250, seed=8)[0][0, :, :233]
    image[100:110, 30:40] = np.nan
    whole = several.predict_proba(image[None])[0]
    tiled = np.full(whole.shape, np.nan, np.float32)
    for rows, columns, part in several.predict_tiles(image, "proba", tile_size=tile):
        tiled[:, rows, columns] = part
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    bits = np.zeros(image.shape, np.uint16)
    for rows, columns, part in several.predict_tiles(image, tile_size=tile):
        bits[rows, columns] = part
    assert (bits != several.predict_bits(image[None])[0]).mean() < 1e-4


def test_large_images_go_by_tiles(several, monkeypatch):
    image = two_labels(n=1, size=200, seed=8)[0]
    whole = several.predict_proba(image)
    monkeypatch.setattr("skastro.segmentation.inference.TILE", 16)
    monkeypatch.setattr("skastro.segmentation.inference.WHOLE_PIXELS", 100)
    np.testing.assert_allclose(several.predict_proba(image), whole, atol=1e-5)


def test_dask_images(several):
    dask = pytest.importorskip("dask.array", reason="dask is an extra")
    image = two_labels(n=1, size=150, seed=8)[0][0]
    parts = several.predict_tiles(dask.from_array(image, chunks=64), "proba", tile_size=64)
    whole = several.predict_proba(image[None])[0]
    for rows, columns, part in parts:
        np.testing.assert_allclose(part, whole[:, rows, columns], atol=1e-5)


def test_coordinates_are_those_of_the_image():
    """A source is where the field says: pixels alone tell nothing."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 24, 24)).astype(np.float32)
    y = np.zeros(images.shape, bool)
    y[:, :6] = rng.random((40, 6, 24)) < 0.5
    model = small(coordinates=True, augment=None, max_epochs=10).fit(images, y)
    proba = model.predict_proba(images)
    assert proba[:, :5].mean() > 0.4 and proba[:, 8:].mean() < 0.05
    for rows, columns, part in model.predict_tiles(images[0], "proba", tile_size=8):
        np.testing.assert_allclose(part, proba[0, rows, columns], atol=1e-5)


def test_images_of_several_shapes(fitted):
    images, hot = hot_pixels(n=2, size=60, seed=9)
    X, Y = [images[0], images[1, :40]], [hot[0], hot[1, :40]]
    proba = fitted.predict_proba(X)
    assert [one.shape for one in proba] == [(60, 60), (40, 60)]
    np.testing.assert_allclose(proba[0], fitted.predict_proba(images[:1])[0], atol=1e-5)
    assert fitted.score(X, Y) > 0.9
    model = small(patch_size=20, max_epochs=1).fit(X, Y)
    assert model.predict(X)[1].shape == (40, 60)


def test_blank_pixels(several):
    images, _ = two_labels(n=2, seed=9)
    images[0, 3, 4] = np.nan
    images[1] = np.nan
    proba = several.predict_proba(images)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba[0, :, 3, 4], several.prior_, rtol=1e-5)
    found, bits = several.predict(images), several.predict_bits(images)
    assert not found[0, :, 3, 4].any() and not found[1].any()
    assert bits[0, 3, 4] == 1 << 15 and (bits[1] == 1 << 15).all()


def test_blanks_and_ignored_pixels_are_not_learnt_from():
    images, hot = hot_pixels(n=12)
    marked = hot.astype(np.uint8)
    marked[:, 16:] = 255
    model = small(mode="binary", max_epochs=1, validation_fraction=None).fit(images, marked)
    np.testing.assert_allclose(model.prevalence_, hot[:, :16].mean())
    images[:, :8] = np.nan
    model = small(max_epochs=1, validation_fraction=None).fit(images, hot)
    np.testing.assert_allclose(model.prevalence_, hot[:, 8:].mean())


def test_bit_planes_are_masks_too():
    images, masks = two_labels(n=12)
    planes = (4 * masks[:, 0] + 64 * masks[:, 1]).astype(np.uint16)
    planes[:, -1] |= 32768
    one = small(labels={"hot": 4, "dark": 64}, max_epochs=1).fit(images, planes)
    assert one.bits_ == {"hot": 4, "dark": 64} and one.mode_ == "multilabel"
    assert set(np.unique(one.predict_bits(images))) <= {0, 4, 64, 68}
    with pytest.raises(ValueError, match=r"unknown bit\(s\) 8"):
        small(labels={"hot": 4, "dark": 64}).fit(images, planes | np.uint16(8))


def test_integer_and_big_endian_images(fitted):
    images, _ = hot_pixels(n=2, seed=9)
    whole = np.round(images)
    expected = fitted.predict_proba(whole)
    for kind in (">f4", ">i2", "u2", "f8"):
        np.testing.assert_allclose(fitted.predict_proba(whole.astype(kind)), expected, atol=1e-6)


# ---- conventions


def test_clone_pickle_save_and_load(several, tmp_path):
    images, _ = two_labels(n=3, seed=11)
    model = pickle.loads(pickle.dumps(several)).set_prior({"hot": 1e-3}).set_threshold("mcc")
    path = tmp_path / "model.skops"
    io.save(model, path)
    for other in (pickle.loads(pickle.dumps(model)), io.load(path)):
        np.testing.assert_array_equal(other.predict_proba(images), model.predict_proba(images))
        np.testing.assert_array_equal(other.thresholds_, model.thresholds_)
        np.testing.assert_array_equal(other.prior_, model.prior_)
    fresh = clone(model)
    assert fresh.get_params()["labels"] == ("hot", "dark")
    with pytest.raises(NotFittedError):
        fresh.predict(images)


def test_searches_and_pipelines():
    images, hot = hot_pixels(n=12)
    search = GridSearchCV(
        small(max_epochs=2), {"network__widths": [(4,), (4, 6)], "class_weight": [None]}, cv=2
    )
    assert search.fit(images, hot).best_score_ > 0
    assert len(cross_val_score(small(max_epochs=1), images, hot, cv=3)) == 3
    pipe = Pipeline([("segment", small(max_epochs=1))]).fit(images, hot)
    assert pipe.predict(images).shape == hot.shape


def test_random_state_fixes_everything():
    images, hot = hot_pixels(n=12)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = small(max_epochs=2).fit(images, hot).predict_proba(images)
    assert torch.equal(state[0], torch.get_rng_state())
    np.testing.assert_array_equal(state[1], np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(first, small(max_epochs=2).fit(images, hot).predict_proba(images))
    other = small(max_epochs=2, random_state=1).fit(images, hot).predict_proba(images)
    assert not np.array_equal(first, other)


def test_batches_change_nothing(several, monkeypatch):
    images, _ = two_labels(n=6, seed=12)
    together = several.predict_proba(images)
    monkeypatch.setattr("skastro.segmentation.inference.BATCH_PIXELS", 1)
    np.testing.assert_allclose(several.predict_proba(images), together, atol=1e-5)


def test_warm_start_goes_on():
    images, hot = hot_pixels(n=12)
    model = small(max_epochs=2, warm_start=True).fit(images, hot)
    before = model.decision_function(images)
    assert len(model.fit(images, hot).history_) == 4
    # the weights of now, not those of the first fit
    after = model.decision_function(images)
    assert not np.allclose(after, before)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.decision_function(images), after)


@pytest.mark.parametrize("n, size", [(12, 24), (20, 16)])
def test_the_default_network_takes_few_small_images(n, size):
    images, hot = hot_pixels(n=n, size=size)
    model = SourceSegmenter(max_epochs=1, random_state=0).fit(images, hot)
    assert np.isfinite(model.decision_function(images)).all()


def test_trains_in_float64():
    images, hot = hot_pixels(n=12)
    model = small(max_epochs=1, dtype="float64").fit(images, hot)
    assert {one.dtype for one in model.net_.module_.parameters()} == {torch.float64}
    assert model.predict_proba(images).dtype == np.float32


def test_an_interrupted_fit_is_usable(monkeypatch):
    images, hot = hot_pixels(n=12)
    calls = []
    turn = SourceSegmenter._turn_batch

    def interrupt(self, *args):
        calls.append(1)
        if len(calls) > 30:
            raise KeyboardInterrupt
        return turn(self, *args)

    monkeypatch.setattr(SourceSegmenter, "_turn_batch", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model = small(max_epochs=50).fit(images, hot)
    assert model.predict(images).shape == hot.shape and np.isfinite(model.thresholds_)


# ---- bad input


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, y[:-1]), r"Y has 11 mask\(s\); expected 12"),
        (lambda x, y: (x, y[:, :-1]), r"Y has shape \(31, 32\) for image 0; expected \(32, 32\)"),
        (lambda x, y: (x, y.astype(int) * 3), r"Y has the label 3 in image 0; expected 0 to 1"),
        (lambda x, y: (x, -y.astype(int)), r"Y has the label -1 in image 0"),
        (lambda x, y: (x, np.zeros_like(y)), r"Y has no pixel of positive in the training rows"),
        (lambda x, y: (x, np.ones_like(y)), r"Y is positive in every pixel"),
        (lambda x, y: (x, np.full(y.shape, 255)), r"Y has no scored pixel"),
        (lambda x, y: (x * np.inf, y), r"X contains infinity"),
        (lambda x, y: (np.ones_like(x), y), r"X has constant images"),
        (lambda x, y: (x * np.nan, y), r"scored|constant"),
        (lambda x, y: (x[0], y[0]), r"X has shape \(32, 32\); expected \(n, h, w\)"),
        (lambda x, y: (x[:0], y[:0]), r"X has shape \(0, 32, 32\)"),
        (lambda x, y: (x[:1], y[:1]), r"X gives 1 patch\(es\)"),
        (lambda x, y: ([x[0], x[1, :9, :9, None]], list(y[:2])), r"X\[1\]"),
        (lambda x, y: (x, y.astype(str)), r"Y has dtype"),
    ],
)
def test_bad_images_and_masks(change, message):
    images, hot = hot_pixels(n=12)
    X, Y = change(images, hot)
    with pytest.raises(ValueError, match=message) as caught:
        small(mode="binary").fit(X, Y)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"prior": 0.0}, r"prior has 0; expected between 0 and 1"),
        ({"prior": 1.0}, r"prior has 1; expected"),
        ({"prior": [0.1, 0.2]}, r"prior has shape \(2,\); expected 1"),
        ({"prior": {"cold": 0.1}}, r"prior has 'cold'; expected names among hot"),
        ({"labels": ("a", "b")}, r"labels has \['a', 'b'\]; expected 1"),
        ({"class_weight": {"cold": 2}}, r"class_weight has cold"),
        ({"class_weight": {"hot": -2}}, r"expected positive numbers"),
        ({"threshold": ("fdr", 2.0)}, r"level"),
        ({"threshold": "mcc", "validation_fraction": None}, r"without held-out pixels"),
        ({"calibration": "platt", "validation_fraction": None}, r"validation_fraction=None"),
        ({"loss": "hinge"}, r"loss='hinge'"),
        ({"network": "resnet"}, r"network"),
        ({"patch_size": 0}, r"patch_size"),
        ({"negative_fraction": 0.0}, r"negative_fraction"),
    ],
)
def test_bad_parameters(parameters, message):
    images, hot = hot_pixels(n=6)
    settings = {"labels": ("hot",), "max_epochs": 1} | parameters
    with pytest.raises(ValueError, match=message) as caught:
        small(**settings).fit(images, hot)
    assert "\n" not in str(caught.value)


def test_priors_of_exclusive_classes_sum_to_one():
    images, hot = hot_pixels(n=6)
    model = small(mode="multiclass", max_epochs=1).fit(images, hot.astype(int))
    with pytest.raises(ValueError, match=r"prior sums to 0.7 over the classes; expected 1"):
        model.set_prior([0.5, 0.2])
    with pytest.raises(ValueError, match=r"prior sums to"):
        model.predict_proba(images, prior=[0.5, 0.2])


def test_bad_input_to_predictions(fitted):
    images, hot = hot_pixels(n=2)
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\); expected 1"):
        fitted.predict(images[None])
    with pytest.raises(ValueError, match=r"image has shape \(32,\); expected \(h, w\)"):
        fitted.predict_tiles(images[0, 0])
    with pytest.raises(ValueError, match=r"what='mask'; expected some of"):
        fitted.predict_tiles(images[0], "mask")
    with pytest.raises(ValueError, match=r"prior has 1.2; |prior has values from"):
        fitted.predict_proba(images, prior=1.2)
    with pytest.raises(ValueError, match=r"prior has shape \(3,\)"):
        fitted.predict_proba(images, prior=[0.1, 0.2, 0.3])
    before = fitted.threshold_policy_
    with pytest.raises(ValueError, match=r"policy='best'"):
        fitted.set_threshold("best")
    assert fitted.threshold_policy_ == before
    with pytest.raises(ValueError, match=r"Y has 1 mask\(s\); expected 2"):
        fitted.calibrate(images, hot[:1])
