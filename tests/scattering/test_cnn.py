"""The convolutional networks of maps, and scikit-learn's checks through an adapter."""

import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data
from torch import nn

from skastro.base import draw_seed
from skastro.datasets import make_fields
from skastro.scattering.baselines import CNNClassifier, CNNRegressor

SMALL = {"widths": (6, 8), "max_epochs": 15, "random_state": 0}
INDEX = np.random.default_rng(0).uniform(1.0, 4.0, 60)
MAPS = make_fields(60, n_pixels=12, index=INDEX, random_state=0).maps
LABEL = np.where(INDEX > 2.5, "steep", "flat")
BOTH = [(CNNRegressor(**SMALL), INDEX), (CNNClassifier(**SMALL), LABEL)]
both = pytest.mark.parametrize("model, y", BOTH, ids=["regressor", "classifier"])


class _Tables:
    """Tables (n, p) seen as periodic maps of 2 x 2p: so that scikit-learn's checks can be run."""

    def __init__(self, max_epochs=2, lr=3e-3, random_state=None):
        super().__init__(
            widths=(8,), max_epochs=max_epochs, lr=lr, dtype="float64", random_state=random_state
        )

    def fit(self, X, y):
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        return super().fit(np.tile(X[:, None, :], (1, 2, 2)), y)

    def _outputs(self, X, average):
        if not hasattr(self, "n_features_in_"):
            return super()._outputs(X, average)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        return super()._outputs(np.tile(X[:, None, :], (1, 2, 2)), average)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        # which column is which, a map averaged over does not tell: no score is promised
        if tags.regressor_tags is not None:
            tags.regressor_tags.poor_score = True
        if tags.classifier_tags is not None:
            tags.classifier_tags.poor_score = True
        return tags


class TableRegressor(_Tables, CNNRegressor):
    pass


class TableClassifier(_Tables, CNNClassifier):
    pass


@pytest.mark.parametrize("kind", [TableRegressor, TableClassifier])
def test_every_check_of_scikit_learn_passes_on_tables(kind):
    results = check_estimator(kind(), on_skip=None, on_fail=None)
    assert len(results) > 40
    assert [row["check_name"] for row in results if row["status"] == "failed"] == []


def test_the_index_of_a_spectrum_is_learnt():
    fresh = np.random.default_rng(1).uniform(1.0, 4.0, 100)
    maps = make_fields(100, n_pixels=12, index=fresh, random_state=1).maps
    model = CNNRegressor(widths=(6, 8), random_state=0).fit(MAPS, INDEX)
    assert model.score(maps, fresh) > 0.7
    assert model.n_iter_ == len(model.history_) == 200 and model.n_turns_ == 8
    kinds = CNNClassifier(widths=(6, 8), random_state=0).fit(MAPS, LABEL)
    assert kinds.score(maps, np.where(fresh > 2.5, "steep", "flat")) > 0.8
    proba = kinds.predict_proba(maps)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(kinds.classes_[proba.argmax(axis=1)], kinds.predict(maps))


def test_the_kept_epoch_is_the_best_of_the_held_out_maps():
    parameters = SMALL | {"max_epochs": 200, "augmentation": None, "average_turns": False}
    model = CNNRegressor(lr=0.05, schedule="constant", patience=3, **parameters).fit(MAPS, INDEX)
    losses = [row["valid_loss"] for row in model.history_]
    assert len(losses) < 200 and losses.index(min(losses)) == len(losses) - 4
    seed = np.random.default_rng(draw_seed(0)).integers(2**31 - 1)
    train, held = model._split_rows(60, seed)
    assert len(train) == 48 and len(held) == 12
    residual = (model.predict(MAPS[held]) - INDEX[held]) / INDEX.std()
    assert np.mean(residual**2) == pytest.approx(min(losses), rel=1e-4)
    no_validation = clone(model).set_params(validation_fraction=None).fit(MAPS, INDEX)
    assert "valid_loss" not in no_validation.history_[0]


def test_what_is_averaged_are_the_predictions_for_the_turned_maps():
    model = CNNRegressor(**SMALL).fit(MAPS, INDEX)
    one = clone(model).set_params(average_turns=False).fit(MAPS, INDEX)
    turns = [np.ascontiguousarray(t) for m in (MAPS, MAPS.transpose(0, 2, 1))
             for t in (m, m[:, ::-1], m[:, :, ::-1], m[:, ::-1, ::-1])]  # fmt: skip
    mean = np.mean([one.predict(turned) for turned in turns], axis=0)
    np.testing.assert_allclose(model.predict(MAPS), mean, rtol=1e-5)
    np.testing.assert_allclose(model.predict(turns[5]), model.predict(MAPS), rtol=1e-5)
    flips = CNNRegressor(**SMALL | {"max_epochs": 1}).fit(MAPS[:, :8], INDEX)
    assert flips.n_turns_ == 4


@both
def test_one_seed_one_result_and_global_state_is_left_alone(model, y):
    before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    one = clone(model).fit(MAPS, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_equal(np.random.get_state(), before[1])  # noqa: NPY002
    two = clone(model).fit(MAPS, y)
    np.testing.assert_array_equal(one.predict(MAPS), two.predict(MAPS))
    name = "predict_proba" if hasattr(one, "classes_") else "predict"
    other = clone(model).set_params(random_state=1).fit(MAPS, y)
    assert not np.array_equal(getattr(one, name)(MAPS), getattr(other, name)(MAPS))


@both
def test_pickle_and_warm_start(model, y):
    fitted = clone(model).fit(MAPS, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(MAPS), fitted.predict(MAPS))
    first = fitted.history_[0]["train_loss"]
    again.set_params(warm_start=True, max_epochs=3).fit(MAPS, y)
    assert again.n_iter_ == 18 and again.history_[15]["train_loss"] < first


@both
def test_parameters_can_be_searched(model, y):
    search = GridSearchCV(model.set_params(max_epochs=2), {"widths": [(4,), (4, 4)]}, cv=2)
    search.fit(MAPS, y)
    assert len(search.best_estimator_.net_.module_.levels) == len(search.best_params_["widths"])
    model.set_params(max_epochs=SMALL["max_epochs"])


def test_several_channels_several_targets_and_units():
    maps = np.stack([MAPS, 2.0 * MAPS[::-1]], axis=1)
    targets = np.stack([INDEX, 1e6 * INDEX], axis=1)
    model = CNNRegressor(**SMALL).fit(maps * u.K, targets)
    assert model.n_channels_in_ == 2 and model.unit_ == "K"
    found = model.predict(maps * u.K)
    assert found.shape == (60, 2) and found.dtype == np.float64
    np.testing.assert_allclose(model.predict(1e3 * maps * u.mK), found, rtol=1e-4)
    column = CNNRegressor(**SMALL).fit(MAPS, INDEX[:, None])
    assert column.predict(MAPS).shape == (60, 1)
    np.testing.assert_array_equal(
        column.predict(MAPS)[:, 0], BOTH[0][0].fit(MAPS, INDEX).predict(MAPS)
    )
    # neither the unit of the maps nor that of the targets matters
    scaled = CNNRegressor(**SMALL).fit(1e4 * MAPS + 7.0, 10.0 * INDEX).predict(1e4 * MAPS + 7.0)
    np.testing.assert_allclose(scaled, 10.0 * column.predict(MAPS)[:, 0], rtol=1e-2)


def linear(n_channels, n_outputs):
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * n_channels, n_outputs)
    )


def test_a_network_of_the_user():
    model = CNNRegressor(linear, max_epochs=2, random_state=0).fit(MAPS, INDEX)
    assert pickle.loads(pickle.dumps(model)).predict(MAPS).shape == (60,)


def blank(maps):
    maps = maps.copy()
    maps[1, 2, 3] = np.nan
    return maps


@both
@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X, y: (X[0], y), r"X has shape \(12, 12\); expected \(n, h, w\)"),
        (lambda X, y: (X[:0], y), r"X has shape \(0, 12, 12\)"),
        (lambda X, y: (blank(X), y), r"X has nan at \(1, 2, 3\)"),
        (lambda X, y: (X[:, :1], y), "X has maps of 1 x 12 pixels; expected at least 2 x 2"),
        (lambda X, y: (X, y[:-1]), "y has 59 rows; expected 60, as X has"),
        (lambda X, y: (X, None), "y to be passed, but the target y is None"),
        (lambda X, y: (X[:1], y[:1]), r"X has 1 map \(n_samples=1\); expected at least 2"),
        (lambda X, y: (0 * X, y), "X is constant in channel 0, at 0; expected maps"),
    ],
)
def test_bad_input_to_fit(model, y, change, match):
    with pytest.raises(ValueError, match=match):
        clone(model).fit(*change(MAPS, y))


def test_bad_targets():
    y = INDEX.copy()
    y[3] = np.nan
    with pytest.raises(ValueError, match="y contains NaN at row 3, output 0; expected finite"):
        CNNRegressor().fit(MAPS, y)
    with pytest.raises(ValueError, match="y has 1 class, 'a'; expected at least 2"):
        CNNClassifier().fit(MAPS, ["a"] * 60)
    model = CNNClassifier(warm_start=True, **SMALL).fit(MAPS, LABEL)
    with pytest.raises(ValueError, match="y has the class 'other'; expected those of the first"):
        model.fit(MAPS[:4], ["flat", "other", "flat", "flat"])
    model = CNNRegressor(warm_start=True, **SMALL).fit(MAPS, INDEX)
    with pytest.raises(ValueError, match=r"y has shape \(60, 2\); expected 1 output"):
        model.fit(MAPS, np.stack([INDEX, INDEX], axis=1))


@both
def test_bad_parameters_and_other_maps(model, y):
    with pytest.raises(ValueError, match="'augmentation' parameter"):
        clone(model).set_params(augmentation="spin").fit(MAPS, y)
    with pytest.raises(ValueError, match=r"widths=\(4, 0\); expected integers of at least 1"):
        clone(model).set_params(widths=(4, 0)).fit(MAPS, y)
    with pytest.raises(NotFittedError):
        clone(model).predict(MAPS)
    fitted = clone(model).set_params(max_epochs=1).fit(MAPS, y)
    with pytest.raises(ValueError, match="X has maps of 12 x 8 pixels"):
        fitted.predict(MAPS[:, :, :8])
    with pytest.raises(ValueError, match="X has 2 channel"):
        fitted.predict(np.stack([MAPS, MAPS], axis=1))
    with pytest.raises(ValueError, match=r"X has shape \(12, 12\)"):
        fitted.predict(MAPS[0])
    assert fitted.predict(MAPS[:1]).shape == (1,)


def test_small_and_odd_maps():
    for shape in ((2, 2), (3, 7), (4, 5)):
        maps = np.random.default_rng(0).normal(size=(12, *shape))
        model = CNNRegressor(max_epochs=2, random_state=0).fit(maps, maps.std(axis=(1, 2)))
        assert np.isfinite(model.predict(maps)).all()
