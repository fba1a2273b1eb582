import pickle
import warnings

import numpy as np
import pytest
import torch
from astropy import units as u
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skastro import io
from skastro.regression import (
    MLP,
    HistogramHead,
    ParamRegressor,
    PlainCNN,
    PointHead,
    QuantileHead,
    ResNet,
)


def crps(y, distribution):
    return distribution.crps(np.reshape(y, distribution.shape)).mean()


def coverage(y, distribution, level):
    """Fraction of targets within central intervals."""
    pit = distribution.cdf(np.reshape(y, distribution.shape))
    return np.mean(np.abs(pit - 0.5) < 0.5 * level)


HEAD_NAMES = ["point", "gaussian", "quantile", "histogram", "mixture"]
SMALL = ResNet(stem=(4,), widths=(8,), n_cells=2, n_summary=16, n_features=32)


def counts(n, seed=0, side=8):
    """Poisson images of two rates, left and right."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(1, 10, (n, 2))
    mean = np.repeat(rate, side // 2, axis=1)[:, None, :] * np.ones((1, side, 1))
    return rng.poisson(mean).astype(np.float32), rate


def noisy_table(n, seed=0, noise=0.2):
    """A number seen twice with noise: the posterior under a flat prior on (0, 1) is a cut Gaussian."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(0, 1, n)
    return y[:, None] + noise * rng.normal(size=(n, 2)), y


def fitted(**parameters):
    images, rate = counts(300)
    defaults = {"network": SMALL, "max_epochs": 4, "random_state": 0}
    return ParamRegressor(**(defaults | parameters)).fit(images, rate)


@pytest.fixture(scope="module")
def model():
    return fitted(target_bounds=(1, 10), augment=None)


def test_images_give_what_a_sum_of_counts_gives():
    images, rate = counts(1500)
    model = ParamRegressor(SMALL, target_bounds=(1, 10), max_epochs=15, random_state=0).fit(
        images[:1000], rate[:1000]
    )
    found = model.predict(images[1000:])
    # the mean of 32 counts is the best there is
    best = np.stack([images[1000:, :, :4].mean((1, 2)), images[1000:, :, 4:].mean((1, 2))], 1)
    error, least = (np.sqrt(np.mean((one - rate[1000:]) ** 2)) for one in (found, best))
    assert error < 1.15 * least


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_a_head_finds_the_posterior_of_a_closed_form(head):
    X, y = noisy_table(4000)
    model = ParamRegressor(
        MLP(hidden=(32, 32)),
        head=head,
        target_bounds=(0, 1),
        max_epochs=25,
        lr=5e-3,
        random_state=0,
    ).fit(X[:3000], y[:3000])
    distribution = model.predict_distribution(X[3000:])
    from scipy.stats import truncnorm

    mean, sigma = X[3000:].mean(axis=1), 0.2 / np.sqrt(2)
    exact = truncnorm((0 - mean) / sigma, (1 - mean) / sigma, mean, sigma)
    draws = exact.ppf(np.linspace(0.005, 0.995, 100)[:, None])
    best = np.mean(
        np.abs(draws - y[3000:]).mean(0) - 0.5 * np.abs(draws[:, None] - draws[None]).mean((0, 1))
    )
    # a point head knows one spread of errors for all rows
    assert crps(y[3000:], distribution) < (1.12 if head == "point" else 1.05) * best
    for level in (0.5, 0.68, 0.9):
        assert abs(coverage(y[3000:], distribution, level) - level) < 0.06


def test_shapes_of_all_answers(model):
    images, rate = counts(7, seed=1)
    assert model.predict(images).shape == (7, 2)
    assert model.predict_quantiles(images, [0.1, 0.5, 0.9]).shape == (3, 7, 2)
    assert model.sample(images, 5, random_state=0).shape == (5, 7, 2)
    assert model.log_prob(images, rate).shape == (7,)
    assert model.pdf(images, np.linspace(1, 10, 11)).shape == (7, 2, 11)
    cdf = model.cdf(images, np.linspace(1, 10, 11))
    assert (np.diff(cdf) >= 0).all()
    np.testing.assert_allclose(cdf[..., [0, -1]], np.broadcast_to([0.0, 1.0], (7, 2, 2)), atol=1e-9)
    vector = fitted().fit(*[one[:100] for one in (counts(100)[0], counts(100)[1][:, 0])])
    assert vector.predict(images).shape == (7,)
    assert vector.predict_quantiles(images, 0.5).shape == (7,)


def test_learning_sees_training_rows_only(monkeypatch):
    images, rate = counts(200)
    model = fitted(scaling="asinh", validation_fraction=0.3)
    rows, held = model._split_rows(300, int(np.random.default_rng(_seed(0)).integers(2**31 - 1)))
    images, rate = counts(300)
    spoilt, wrong = images.copy(), rate.copy()
    # held-out rows of another scale and another range must leave no trace
    spoilt[held] *= 100
    wrong[held] = wrong[held] * 0 + 1.5
    other = clone(model).fit(spoilt, wrong)
    np.testing.assert_array_equal(model.scaler_.sigma_, other.scaler_.sigma_)
    np.testing.assert_array_equal(model.scaler_.center_, other.scaler_.center_)
    np.testing.assert_array_equal(model.bounds_, other.bounds_)
    np.testing.assert_array_equal(
        model.training_density_.cdf(np.array(3.0)), other.training_density_.cdf(np.array(3.0))
    )


def _seed(random_state):
    from skastro.base import draw_seed

    return draw_seed(random_state)


def test_the_same_seed_gives_the_same_and_leaves_global_state_alone():
    images, _ = counts(5, seed=3)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = fitted(augment="flips"), fitted(augment="flips")
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(one.predict(images), two.predict(images))
    assert not np.array_equal(one.predict(images), fitted(random_state=1).predict(images))


def test_turned_images_are_predicted_alike_with_flips():
    images, rate = counts(300)
    model = fitted(augment="flips", head="gaussian").fit(images, rate.sum(axis=1))
    np.testing.assert_allclose(
        model.predict(images[:5, ::-1]), model.predict(images[:5]), rtol=1e-5
    )
    model.set_params(test_time_augmentation=False)
    assert not np.allclose(model.predict(images[:5, ::-1]), model.predict(images[:5]), rtol=1e-5)


def test_another_size_with_pooling_and_not_with_flattening(model):
    larger, _ = counts(3, seed=2, side=12)
    assert np.isfinite(model.predict(larger)).all()
    plain = fitted(network=PlainCNN(widths=(4,), n_features=8))
    with pytest.raises(ValueError, match=r"X has images of \(12, 12\) pixels; expected \(8, 8\)"):
        plain.predict(larger)


def test_side_columns_tell(tmp_path):
    rng = np.random.default_rng(0)
    images, rate = counts(600)
    side = rng.normal(size=(600, 1))
    y = rate[:, 0] + 3 * side[:, 0]
    model = ParamRegressor(SMALL, max_epochs=12, random_state=0).fit(
        images[:500], y[:500], extra=side[:500]
    )
    without = ParamRegressor(SMALL, max_epochs=12, random_state=0).fit(images[:500], y[:500])
    error = np.std(model.predict(images[500:], extra=side[500:]) - y[500:])
    assert error < 0.4 * np.std(without.predict(images[500:]) - y[500:])
    with pytest.raises(ValueError, match=r"extra=None; expected 1 side column"):
        model.predict(images[500:])
    with pytest.raises(ValueError, match=r"extra has shape \(100, 2\); expected \(100, 1\)"):
        model.predict(images[500:], extra=np.ones((100, 2)))
    with pytest.raises(ValueError, match="extra has nan at row 0, column 0"):
        model.predict(images[:1], extra=[[np.nan]])


def test_side_columns_are_routed():
    import sklearn

    images, rate = counts(120)
    with sklearn.config_context(enable_metadata_routing=True):
        model = (
            ParamRegressor(SMALL, max_epochs=2, random_state=0)
            .set_fit_request(extra=True)
            .set_predict_request(extra=True)
            .set_score_request(extra=True)
        )
        pipeline = make_pipeline(FunctionTransformer(np.log1p), model)
        side = rate[:, 1:]
        found = pipeline.fit(images, rate[:, 0], extra=side).predict(images, extra=side)
        search = GridSearchCV(model, {"lr": [1e-3, 1e-2]}, cv=2)
        search.fit(images, rate[:, 0], extra=side)
    assert found.shape == (120,)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_new_prior_moves_the_posterior():
    X, y = noisy_table(3000)
    model = ParamRegressor(
        MLP(hidden=(32, 32)), target_bounds=(0, 1), max_epochs=20, lr=5e-3, random_state=0
    ).fit(X, y)
    new, truth = noisy_table(20000, seed=5)
    # targets drawn with a density proportional to y
    kept = np.random.default_rng(1).random(len(truth)) < truth
    new, truth = new[kept], truth[kept]
    old = model.predict_distribution(new)
    right = model.predict_distribution(new, prior=lambda y: 2 * y[..., 0])
    wrong = kstest(old.cdf(truth[:, None])[:, 0], "uniform").statistic
    assert wrong > 0.1
    assert kstest(right.cdf(truth[:, None])[:, 0], "uniform").statistic < 0.4 * wrong
    drawn = model.predict(new[:50], prior=truth)
    np.testing.assert_allclose(drawn, right.mean()[:50, 0], atol=0.02)
    with pytest.raises(ValueError, match="prior has no draw within the bounds"):
        model.predict(new[:5], prior=[7.0])


@pytest.mark.parametrize("kind", ["isotonic", "conformal"])
def test_recalibration_mends_too_narrow_intervals(kind):
    X, y = noisy_table(2000)

    class Narrow(HistogramHead):
        def distribution(self, output):
            return super().distribution(output._replace(logits=2.5 * output.logits))

    parameters = {
        "network": MLP(hidden=(32,)), "head": Narrow(), "max_epochs": 25, "lr": 1e-2, "random_state": 0,
        "validation_fraction": 0.25, "target_bounds": (0, 1),
    }  # fmt: skip
    new, truth = noisy_table(2000, seed=7)
    bad = ParamRegressor(**parameters).fit(X, y).predict_distribution(new)
    good = ParamRegressor(recalibrate=kind, **parameters).fit(X, y).predict_distribution(new)
    assert coverage(truth, bad, 0.68) < 0.62
    assert abs(coverage(truth, good, 0.68) - 0.68) < 0.06


def test_members_are_a_mixture_with_a_better_score():
    X, y = noisy_table(1000)
    new, truth = noisy_table(1000, seed=4)
    single, several = (
        ParamRegressor(
            MLP(hidden=(64, 64)),
            head="gaussian",
            n_members=n,
            max_epochs=40,
            lr=1e-2,
            random_state=0,
        ).fit(X, y)
        for n in (1, 4)
    )
    assert len(several.net_.module_.bodies) == 4
    assert crps(truth, several.predict_distribution(new)) <= 1.01 * crps(
        truth, single.predict_distribution(new)
    )


def test_blank_pixels_with_a_channel_that_says_so():
    images, rate = counts(400)
    holes = np.random.default_rng(0).random(images.shape) < 0.3
    blank = np.where(holes, np.nan, images)
    with pytest.raises(ValueError, match="X contains NaN in image 0, channel 0"):
        ParamRegressor(SMALL).fit(blank, rate)
    model = ParamRegressor(SMALL, missing="mask", max_epochs=10, random_state=0).fit(
        blank[:300], rate[:300]
    )
    assert model.score(blank[300:], rate[300:]) > 0.8
    assert np.isfinite(model.predict(np.full((1, 8, 8), np.nan))).all()


def test_units_of_images_and_targets():
    images, rate = counts(100)
    model = fitted().fit(images * u.mJy, rate[:, 0] * u.km)
    found = model.predict(images * 1e-3 * u.Jy)
    assert found.unit == u.km
    low, high = model.predict_interval(images * u.mJy)
    assert low.unit == u.km and (low < high).all()
    np.testing.assert_allclose(
        model.log_prob(images * u.mJy, rate[:, 0] * 1e3 * u.m),
        model.log_prob(images * u.mJy, rate[:, 0] * u.km),
    )
    with pytest.raises(ValueError, match="X has no unit"):
        model.predict(images)


def test_names_and_bounds_by_name():
    pd = pytest.importorskip("pandas")
    images, rate = counts(60)
    frame = pd.DataFrame(rate, columns=["left", "right"])
    model = ParamRegressor(SMALL, target_bounds={"left": (1, 10)}, max_epochs=1).fit(images, frame)
    assert model.target_names_ == ["left", "right"]
    np.testing.assert_array_equal(model.bounds_[0], [1, 10])
    assert model.bounds_[1, 1] > rate[:, 1].max() * 0.99
    with pytest.raises(ValueError, match="target_bounds has the name 'up'"):
        model.set_params(target_bounds={"up": (1, 10)}).fit(images, frame)


@pytest.mark.parametrize(
    ("X", "y", "parameters", "message"),
    [
        (np.ones((4, 8, 8)), np.arange(4.0), {}, "X is constant, at 1"),
        (counts(4)[0], np.arange(3.0), {}, "y has 3 rows; expected 4"),
        (counts(4)[0], [0, 1, np.nan, 2], {}, "y contains NaN at row 2, target 0"),
        (counts(4)[0], [0, 1, np.inf, 2], {}, "y contains infinity at row 2"),
        (counts(1)[0], [1.0], {}, "X has 1 image"),
        (counts(4)[0], [0, 1, 2, 5], {"target_bounds": (0, 2)}, "y is 5 at row 3, target 0"),
        (counts(4)[0], [0, 1, 2, 5], {"target_bounds": (2, 0)}, "low below high"),
        (counts(4)[0], [0, 1, 2, 5], {"target_bounds": [(0, 1)] * 3}, r"target_bounds has shape \(3, 2\)"),
        (counts(4)[0], [0, 1, 2, 5], {"head": "normal"}, "head='normal'; expected one of"),
        (counts(4)[0], [0, 1, 2, 5], {"network": "vgg"}, "network"),
        (counts(40)[0], np.arange(40.0), {"recalibrate": "isotonic", "validation_fraction": None},
         "validation_fraction=None with recalibrate='isotonic'"),
        (counts(40)[0], np.arange(40.0), {"recalibrate": "isotonic"}, "leaves 4 held-out row"),
        (np.where(np.arange(8) == 3, np.inf, counts(4)[0]), np.arange(4.0), {}, "X contains infinity"),
        (np.empty((0, 8, 8)), np.empty(0), {}, r"X has shape \(0, 8, 8\)"),
    ],
)  # fmt: skip
def test_bad_input_is_named(X, y, parameters, message):
    with pytest.raises(ValueError, match=message):
        ParamRegressor(**({"network": SMALL, "max_epochs": 1} | parameters)).fit(X, y)


def test_bad_input_to_predict(model):
    images, _ = counts(3)
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\); expected 1"):
        model.predict(np.stack([images, images], 1))
    with pytest.raises(ValueError, match=r"give X\[None\]"):
        model.predict(images[0])
    assert model.predict(images[:1]).shape == (1, 2)
    assert np.isfinite(model.predict(np.full((1, 8, 8), 3.0))).all()
    with pytest.raises(ValueError, match="point='middle'"):
        model.predict(images, point="middle")


def test_a_constant_target_is_told_of():
    images, _ = counts(40)
    with pytest.warns(ConvergenceWarning, match="y is constant in target 0, at 3"):
        model = ParamRegressor(SMALL, max_epochs=1, random_state=0).fit(images, np.full(40, 3.0))
    np.testing.assert_allclose(model.predict(images), 3.0, rtol=1e-5)


def test_a_point_without_held_out_rows_has_no_error_bars():
    images, rate = counts(60)
    model = fitted(head="point", validation_fraction=None).fit(images, rate)
    assert model.predict(images).shape == (60, 2)
    with pytest.raises(ValueError, match="validation_fraction=None with head='point'"):
        model.predict_interval(images)


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_pickle_clone_and_files(head, tmp_path):
    images, _ = counts(5, seed=1)
    model = fitted(head=head, n_members=2, recalibrate="isotonic", validation_fraction=0.2)
    expected = model.predict_quantiles(images)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict_quantiles(images), expected
    )
    pytest.importorskip("skops")
    io.save(model, tmp_path / "model.skops")
    np.testing.assert_array_equal(
        io.load(tmp_path / "model.skops").predict_quantiles(images), expected
    )
    again = clone(model)
    assert not hasattr(again, "net_")
    np.testing.assert_array_equal(again.fit(*counts(300)).predict_quantiles(images), expected)


def test_search_over_heads_and_networks():
    X, y = noisy_table(200)
    pipeline = make_pipeline(StandardScaler(), ParamRegressor("mlp", max_epochs=3, random_state=0))
    search = GridSearchCV(
        pipeline,
        {
            "paramregressor__head": ["gaussian", QuantileHead()],
            "paramregressor__network": ["mlp", MLP(hidden=(8,))],
        },
        cv=2,
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.best_score_)
    nested = GridSearchCV(
        ParamRegressor(MLP(), head=HistogramHead(), max_epochs=2, random_state=0),
        {"head__n_bins": [8, 16], "network__hidden": [(8,), (16,)]},
        cv=2,
    ).fit(X, y)
    assert set(nested.best_params_) == {"head__n_bins", "network__hidden"}


def test_cross_validated_predictions():
    X, y = noisy_table(90)
    model = ParamRegressor(MLP(hidden=(8,)), max_epochs=2, random_state=0)
    found = cross_val_predict(model, X, y, cv=3)
    expected = np.concatenate(
        [
            clone(model).fit(np.delete(X, rows, 0), np.delete(y, rows)).predict(X[rows])
            for rows in np.arange(90).reshape(3, 30)
        ]
    )
    np.testing.assert_allclose(found, expected)


def test_an_interrupted_fit_is_usable():
    from skorch.callbacks import Callback

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    images, rate = counts(100)
    with pytest.warns(ConvergenceWarning, match="interrupted after 2"):
        model = ParamRegressor(SMALL, callbacks=[Stop()], random_state=0).fit(images, rate)
    assert np.isfinite(model.predict(images)).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fit_on_a_gpu_predicts_the_same_on_a_cpu():
    images, _ = counts(5, seed=1)
    model = fitted(device="cuda", augment="flips")
    found = model.predict(images)
    state = model.__getstate__() | {"device": "cpu"}
    again = ParamRegressor.__new__(ParamRegressor)
    again.__setstate__(state)
    np.testing.assert_allclose(again.predict(images), found, rtol=1e-3)


def test_warm_start_goes_on():
    images, rate = counts(200)
    model = fitted(warm_start=True)
    bounds = model.bounds_.copy()
    model.fit(images, rate)
    assert model.n_iter_ == 8
    np.testing.assert_array_equal(model.bounds_, bounds)


def test_weights_choose_the_rows():
    X, y = noisy_table(600)
    wrong = np.where(np.arange(600) % 2, y, 1 - y)
    weight = (np.arange(600) % 2).astype(float)
    model = ParamRegressor(MLP(hidden=(32,)), max_epochs=20, lr=5e-3, random_state=0)
    weighted = model.fit(X, wrong, sample_weight=weight).predict(X)
    assert np.corrcoef(weighted, y)[0, 1] > 0.85
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.fit(X, y, sample_weight=np.zeros(600))


def test_saliency_sums_to_the_difference_from_the_mean_image():
    model = fitted(head="gaussian", max_epochs=15)
    new, _ = counts(6, seed=9)
    found = model.saliency(new, target=1, n_steps=128)
    assert found.shape == new.shape
    mean = model.scaler_.center_[0] ** 2
    difference = (
        model.predict(new)[:, 1] - model.predict(np.full((1, 8, 8), mean, np.float32))[:, 1]
    )
    np.testing.assert_allclose(found.sum((1, 2)), difference, rtol=0.05, atol=0.1)
    # the right half alone tells the rate of the right half
    share = np.abs(found[:, :, 4:]).sum() / np.abs(found).sum()
    assert share > 0.6
    with pytest.raises(ValueError, match="target=2; expected 0 to 1"):
        model.saliency(new, target=2)


def test_inception_and_huber_train():
    images, rate = counts(24, side=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ParamRegressor(
            "inception", head=PointHead("huber"), max_epochs=1, random_state=0
        ).fit(images, rate)
    assert np.isfinite(model.predict(images)).all()
