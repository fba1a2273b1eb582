"""`ImageClassifier`: what it tells apart, its probabilities, bad input, scikit-learn's conventions."""

import pickle

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from skastro import io
from skastro.segmentation import ImageClassifier, PooledNet, PooledNetModule
from skastro.segmentation.networks_image import LEVELS, REACH, autocorrelation

SMALL = PooledNet(widths=(6, 8, 12), n_hidden=16)


def blobs(n=160, shape=(32, 32), n_stars=3, share=0.5, seed=0):
    """Stars of one brightness in noise around 100: round ones, or the same light along a short line."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    images = rng.normal(100.0, 3.0, (n, *shape)).astype(np.float32)
    trailed = rng.random(n) < share
    for image, long in zip(images, trailed, strict=True):
        angle = rng.uniform(0, np.pi)
        steps = np.linspace(-4.0, 4.0, 9) if long else np.zeros(9)
        for _ in range(n_stars):
            v, u = (rng.uniform(6, size - 6) for size in shape)
            for step in steps:
                dy, dx = y - v - step * np.sin(angle), x - u - step * np.cos(angle)
                image += 30.0 * np.exp(-(dx**2 + dy**2) / 4.5)
    return images, trailed


def small(**parameters):
    settings = {"network": SMALL, "max_epochs": 6, "lr": 1e-2, "random_state": 0} | parameters
    return ImageClassifier(**settings)


@pytest.fixture(scope="module")
def fitted():
    return small(max_epochs=10).fit(*blobs())


@pytest.fixture(scope="module")
def weighted():
    return small(class_weight="balanced").fit(*blobs(200, share=0.15, seed=5))


# ---- what it tells apart


def test_tells_trailed_stars_from_round_ones(fitted):
    images, trailed = blobs(200, seed=10)
    z, p = fitted.decision_function(images), fitted.predict_proba(images)
    assert z.shape == (200,) and p.shape == (200, 2) and p.dtype == z.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert roc_auc_score(trailed, z) > 0.9
    np.testing.assert_array_equal(fitted.predict(images), p[:, 1] >= 0.5)
    assert fitted.score(images, trailed) > 0.8
    # the total light is the same: brightness alone tells nothing
    assert abs(roc_auc_score(trailed, images.sum(axis=(1, 2))) - 0.5) < 0.12


def test_larger_frames_and_other_shapes(fitted):
    images, trailed = blobs(120, shape=(75, 50), n_stars=3, seed=11)
    assert roc_auc_score(trailed, fitted.decision_function(images)) > 0.85
    strips = np.random.default_rng(0).normal(size=(2, 3, 100))
    assert np.isfinite(fitted.decision_function(strips)).all()
    assert np.isfinite(fitted.decision_function(np.eye(1)[None])).all()


def test_unit_offset_and_scale_of_the_images_do_not_matter(fitted):
    images, _ = blobs(10, seed=12)
    np.testing.assert_allclose(
        fitted.decision_function(1e3 * images - 7e4), fitted.decision_function(images), atol=1e-2
    )


def test_labels_of_any_kind():
    images, trailed = blobs(80)
    names = np.where(trailed, "lost", "tracked")
    model = small(class_weight={"lost": 2.0}).fit(images, names)
    assert model.classes_.tolist() == ["lost", "tracked"] and set(model.predict(images)) <= set(
        names
    )
    assert roc_auc_score(~trailed, model.predict_proba(images)[:, 1]) > 0.9
    p = model.predict_proba(images, prior={"lost": 0.01})
    np.testing.assert_allclose(p, model.predict_proba(images, prior=[0.01, 0.99]), rtol=1e-6)
    np.testing.assert_allclose(p, model.predict_proba(images, prior=0.99), rtol=1e-6)
    numbers = small(max_epochs=1).fit(images, np.where(trailed, 7, 3))
    assert numbers.classes_.tolist() == [3, 7]


def test_channels_and_blank_pixels(fitted):
    images, trailed = blobs(80)
    holes = images.copy()
    holes[:, 3:5] = np.nan
    assert np.isfinite(fitted.decision_function(holes)).all()
    # hidden pixels are blank ones
    masked = np.ma.MaskedArray(np.nan_to_num(holes), np.isnan(holes))
    np.testing.assert_array_equal(fitted.decision_function(masked), fitted.decision_function(holes))
    two = np.stack([images, holes], axis=1)
    model = small(max_epochs=2).fit(two, trailed)
    assert model.n_channels_in_ == 2 and model.predict(two).shape == (80,)
    with pytest.raises(ValueError, match=r"X has 1 channel\(s\); expected 2"):
        model.predict(images)


# ---- the invariants of probabilities


def test_prior_of_training_returns_the_outputs(fitted, weighted):
    images, _ = blobs(30, seed=20)
    for model in (fitted, weighted):
        expected = expit(model.decision_function(images).astype(float))
        for prior in (model.training_prior_, "training"):
            np.testing.assert_allclose(
                model.predict_proba(images, prior=prior)[:, 1], expected, rtol=1e-5
            )


def test_another_prior_by_the_formula(weighted):
    images, _ = blobs(30, seed=20)
    tau, pi = weighted.training_prior_, 1e-5
    q = expit(weighted.decision_function(images).astype(float))
    a = tau / (1 - tau) * (1 - pi) / pi
    expected = q / (q + (1 - q) * a)
    np.testing.assert_allclose(weighted.predict_proba(images, prior=pi)[:, 1], expected, rtol=1e-5)
    rows = np.tile([[0.5, 0.5], [1 - pi, pi]], (15, 1))
    by_image = weighted.predict_proba(images, prior=rows)
    np.testing.assert_allclose(by_image[1::2, 1], expected[1::2], rtol=1e-5)
    z = weighted.decision_function(images)
    assert (np.argsort(z) == np.argsort(weighted.predict_proba(images, prior=0.3)[:, 1])).all()


def test_class_weights_change_the_prior_of_training_and_nothing_else(weighted):
    images, trailed = blobs(400, share=0.15, seed=21)
    _, y = blobs(200, share=0.15, seed=5)
    assert weighted.prevalence_ == pytest.approx(y.mean()) == weighted.prior_
    assert weighted.training_prior_ == pytest.approx(0.5, abs=0.02)
    # 60 positives are expected: four standard deviations
    found = weighted.predict_proba(images)[:, 1].sum()
    assert abs(found - trailed.sum()) < 4 * np.sqrt(60)
    # so easy a problem hardly tells of weights: nearer than without their correction, at least
    uncorrected = weighted.predict_proba(images, prior="training")[:, 1].sum()
    assert found < uncorrected
    given = small(class_weight={True: 3.0, False: 1.0}, max_epochs=1, validation_fraction=None)
    given.fit(images, trailed)
    share = trailed.mean()
    assert given.training_prior_ == pytest.approx(3 * share / (3 * share + 1 - share))
    assert given.held_out_ is None


def test_set_prior_moves_probabilities_and_decisions(weighted):
    model = pickle.loads(pickle.dumps(weighted))
    images, _ = blobs(60, seed=22)
    many = model.set_prior(0.9).predict(images).sum()
    assert model.prior_ == 0.9 and many > model.set_prior(1e-3).predict(images).sum()
    np.testing.assert_allclose(
        model.set_prior(0.2).predict_proba(images), weighted.predict_proba(images, prior=0.2)
    )
    assert model.set_prior(None).prior_ == weighted.prevalence_
    assert clone(model).set_params(prior=0.25, max_epochs=1).fit(*blobs(40)).prior_ == 0.25


def test_prior_is_estimated(fitted):
    images, trailed = blobs(300, share=0.2, seed=23)
    found = fitted.estimate_prior(images, random_state=0)
    assert found.error < 0.05
    assert abs(found.prior - trailed.mean()) < max(4 * found.error, 0.06)


def test_blank_image_has_the_prior(fitted):
    images, _ = blobs(2, seed=24)
    images[1] = np.nan
    np.testing.assert_allclose(fitted.predict_proba(images, prior=0.03)[1], [0.97, 0.03], rtol=1e-5)


def test_rows_without_weight_are_not_there():
    images, trailed = blobs(60)
    noise = np.random.default_rng(0).normal(size=(20, 32, 32)).astype(np.float32)
    X, y = np.concatenate([images, noise]), np.append(trailed, np.ones(20, bool))
    weight = np.append(np.ones(60), np.zeros(20))
    kept = small(max_epochs=2).fit(images, trailed)
    same = small(max_epochs=2).fit(X, y, sample_weight=weight)
    assert same.prevalence_ == pytest.approx(trailed.mean())
    np.testing.assert_allclose(
        same.decision_function(images), kept.decision_function(images), rtol=1e-6
    )


# ---- thresholds


def test_thresholds_by_policy(fitted):
    model = pickle.loads(pickle.dumps(fitted))
    held = model.held_out_
    assert len(held.logit) == 16
    model.set_threshold("completeness", 1.0)
    tau, pi = model.training_prior_, model.prior_
    odds = np.exp(held.logit[held.truth].astype(float)) * pi / (1 - pi) / (tau / (1 - tau))
    assert model.threshold_ == pytest.approx((odds / (1 + odds)).min(), rel=1e-5)
    # a false alarm costs nine times what a miss does
    assert model.set_threshold("cost", 9.0).threshold_ == pytest.approx(0.9)
    with pytest.raises(ValueError, match="policy='best'"):
        model.set_threshold("best")
    assert model.threshold_policy_ == ("cost", 9.0)
    own = small(threshold=("fixed", 0.9), validation_fraction=None, max_epochs=1).fit(*blobs(40))
    assert own.threshold_ == 0.9
    with pytest.raises(ValueError, match="without held-out images"):
        own.set_threshold("mcc")


def test_tuned_threshold_of_scikit_learn(weighted):
    images, trailed = blobs(120, share=0.2, seed=30)
    tuned = TunedThresholdClassifierCV(
        small(max_epochs=8), scoring="balanced_accuracy", cv=2, random_state=0
    )
    tuned.fit(images, trailed)
    X, y = blobs(150, share=0.2, seed=31)
    assert 0 < tuned.best_threshold_ < 1
    np.testing.assert_array_equal(
        tuned.predict(X), tuned.predict_proba(X)[:, 1] >= tuned.best_threshold_
    )
    assert balanced_accuracy_score(y, tuned.predict(X)) > 0.7


# ---- scikit-learn's conventions


def test_reproducible_and_global_states_left_alone():
    images, trailed = blobs(40)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (small(max_epochs=2).fit(images, trailed) for _ in range(2))
    np.testing.assert_array_equal(first.decision_function(images), second.decision_function(images))
    other = small(max_epochs=2, random_state=1).fit(images, trailed)
    assert not np.array_equal(first.decision_function(images), other.decision_function(images))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_one_image_at_a_time_or_all(fitted):
    images, _ = blobs(5, seed=40)
    single = [fitted.decision_function(image[None])[0] for image in images]
    np.testing.assert_allclose(fitted.decision_function(images), single, atol=1e-5)


def test_pickle_and_saved_file(weighted, tmp_path):
    images, _ = blobs(5, seed=41)
    expected = weighted.predict_proba(images)
    again = pickle.loads(pickle.dumps(weighted))
    np.testing.assert_array_equal(again.predict_proba(images), expected)
    io.save(weighted, tmp_path / "tracking.skops")
    loaded = io.load(tmp_path / "tracking.skops")
    np.testing.assert_array_equal(loaded.predict_proba(images), expected)
    loaded.set_threshold("mcc")
    np.testing.assert_array_equal(loaded.classes_, weighted.classes_)


def test_clone_tags_and_unfitted():
    model = small(class_weight="balanced", prior=0.1)
    assert repr(clone(model)) == repr(model)
    tags = get_tags(model)
    assert tags.estimator_type == "classifier" and not tags.classifier_tags.multi_class
    assert tags.input_tags.three_d_array and not tags.input_tags.two_d_array
    for method in ("predict", "predict_proba", "decision_function", "estimate_prior"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(np.zeros((2, 8, 8)))
    with pytest.raises(NotFittedError):
        model.set_prior(0.1)


def test_grid_search_and_cross_validated_probabilities():
    images, trailed = blobs(80)
    search = GridSearchCV(
        small(max_epochs=3), {"network__n_top": [1, 8]}, scoring="neg_log_loss", cv=2
    )
    search.fit(images, trailed)
    assert set(search.best_params_) == {"network__n_top"}
    p = cross_val_predict(small(), images, trailed, cv=2, method="predict_proba")
    assert p.shape == (80, 2) and roc_auc_score(trailed, p[:, 1]) > 0.75
    pipeline = make_pipeline(FunctionTransformer(np.abs), small(max_epochs=1))
    assert pipeline.fit(images, trailed).predict(images).shape == (80,)


def test_warm_start_goes_on():
    images, trailed = blobs(40)
    model = small(max_epochs=2, warm_start=True).fit(images, trailed)
    assert model.fit(images, trailed).n_iter_ == 4
    with pytest.raises(ValueError, match="as in the last fit"):
        model.fit(images, np.where(trailed, "a", "b"))


def test_float64():
    images, trailed = blobs(40)
    model = small(dtype="float64", max_epochs=1).fit(images, trailed)
    assert next(model.net_.module_.parameters()).dtype == torch.float64
    assert model.predict_proba(images).dtype == np.float32


# ---- the network


def test_a_few_stars_count_however_large_the_frame_is():
    torch.manual_seed(0)
    module = PooledNetModule(n_channels=1, widths=(4, 6, 8), n_top=2).eval()
    star = torch.zeros(1, 1, 32, 32)
    star[0, 0, 14:18, 14:18] = 3.0
    wide = torch.zeros(1, 1, 256, 256)
    wide[..., 112:144, 112:144] = star
    with torch.no_grad():
        level = module.levels[0](torch.relu(module.stem(star)))
        n = level.shape[1]
        mean, top = module._pooled(level).split(n, dim=1)
        far_mean, far_top = module._pooled(module.levels[0](torch.relu(module.stem(wide)))).split(
            n, dim=1
        )
        cells = level.flatten(2).sort(dim=2, descending=True).values
    torch.testing.assert_close(mean, level.mean((2, 3)))
    torch.testing.assert_close(top, cells[..., :2].mean(2))
    torch.testing.assert_close(far_top, top)
    assert (far_mean - mean).abs().max() > 1e-4


def test_autocorrelation_by_hand():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(70, 66)) * 4
    found = autocorrelation(torch.from_numpy(image)[None, None]).numpy()[0]
    assert found.shape == (len(LEVELS), 2 * REACH, 2 * REACH)
    for level, lags in zip(LEVELS, found, strict=True):
        light = np.maximum(image - level, 0.0)
        light -= light.mean()
        for dy, dx in ((0, 0), (1, 0), (-3, 5), (REACH - 1, -REACH)):
            shifted = np.roll(light, (dy, dx), axis=(0, 1))
            expected = (light * shifted).sum() / (light**2).sum()
            np.testing.assert_allclose(lags[REACH + dy, REACH + dx], expected, atol=1e-9)
    # smaller images, and those without light
    assert autocorrelation(torch.zeros(2, 1, 5, 9)).abs().max() == 0


def test_autocorrelation_knows_no_position():
    images = torch.zeros(2, 1, 96, 96)
    images[0, 0, 20:23, 30:36] = images[1, 0, 61:64, 52:58] = 9.0
    first, second = autocorrelation(images)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_recipe_is_checked():
    with pytest.raises(ValueError, match="widths=.*at least 3"):
        PooledNet(widths=(8, 8))(n_channels=1)
    with pytest.raises(ValueError, match="n_top=0; expected whole numbers"):
        PooledNet(n_top=0)(n_channels=1)
    with pytest.raises(ValueError, match="dropout=1.0; expected from 0 to below 1"):
        PooledNet(dropout=1.0)(n_channels=1)


# ---- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[0], y), r"X has shape \(32, 32\); expected"),
        (lambda X, y: (X[:0], y[:0]), "X has shape"),
        (lambda X, y: (X[:, :0], y), "X has shape"),
        (lambda X, y: (np.where(X > 120, np.inf, X), y), "X contains infinity"),
        (lambda X, y: (np.where(np.arange(20)[:, None, None] == 3, np.nan, X), y), r"X\[3\] has no"),
        (lambda X, y: (np.ones_like(X), y), "X has constant images"),
        (lambda X, y: (np.full(X.shape, "a"), y), "X has dtype .*; expected numbers"),
        (lambda X, y: (X, None), "y to be passed"),
        (lambda X, y: (X, y[:-1]), r"y has 19 label\(s\); expected 20"),
        (lambda X, y: (X, np.zeros(20)), r"y has 1 class\(es\), \[0.0\]"),
        (lambda X, y: (X, np.arange(20) % 3), r"y has 3 class\(es\), \[0, 1, 2\]"),
        (lambda X, y: (X, np.where(y, np.nan, 0.0)), "y has NaN"),
        (lambda X, y: (X, np.linspace(0, 1, 20)), "Unknown label type"),
        (lambda X, y: (X, np.stack([y, y], axis=1)), "y should be a 1d array"),
    ],
)  # fmt: skip
def test_bad_images_and_labels(change, message):
    X, y = change(blobs(20)[0], np.arange(20) % 2 == 0)
    with pytest.raises(ValueError, match=message):
        small(max_epochs=1).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"network": "unet"}, "network"),
        ({"class_weight": {"lost": 2}}, r"class_weight has labels \['lost'\]"),
        ({"class_weight": {True: 0.0}}, "expected positive numbers"),
        ({"class_weight": {True: np.nan}}, "expected positive numbers"),
        ({"prior": 0.0}, "prior has 0; expected between 0 and 1"),
        ({"prior": 1.5}, "prior has values from"),
        ({"prior": np.nan}, "prior has .* NaN"),
        ({"prior": [0.5, 0.4]}, "prior sums to 0.9"),
        ({"prior": [0.5, 0.3, 0.2]}, r"prior has shape \(3,\)"),
        ({"prior": "em"}, "prior='em'"),
        ({"prior": {"x": 0.1}}, r"prior has labels \['x'\]"),
        ({"threshold": ("fixed", 2.0)}, "level=2.0"),
        ({"lr": 0.0}, "lr"),
    ],
)  # fmt: skip
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(max_epochs=1, **parameters).fit(*blobs(20))


def test_bad_weights_and_bad_input_of_predictions(fitted):
    X, y = blobs(20)
    for weight in (np.full(20, -1.0), np.full(20, np.nan), np.ones(3), np.zeros(20)):
        with pytest.raises(ValueError, match=r"weight"):
            small(max_epochs=1).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match="with some weight"):
        small(max_epochs=1).fit(X, y, sample_weight=y.astype(float))
    with pytest.raises(ValueError, match="X contains infinity"):
        fitted.predict(np.full((1, 8, 8), np.inf))
    with pytest.raises(ValueError, match=r"prior has shape \(3, 2\); expected \(2,\) or \(20, 2\)"):
        fitted.predict_proba(X, prior=np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="prior has 1; expected"):
        fitted.set_prior(1.0)
