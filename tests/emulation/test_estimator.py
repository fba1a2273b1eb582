"""ModelEmulator as its users drive it: fit, search, clone, bad input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skastro.datasets import load_nebular_grid
from skastro.emulation import DenseNetwork, ModelEmulator, PlainNetwork
from skastro.metrics import error_factor, error_factor_scorer


def smooth(n=160, n_outputs=5, seed=0):
    """Positive outputs over a few decades, smooth functions of three inputs."""
    X = np.random.default_rng(seed).uniform(0.0, 2.0, (n, 3))
    slopes = np.random.default_rng(99).normal(size=(3, n_outputs))
    return X, 10.0 ** (X @ slopes / 2 + np.sin(2.0 * X @ slopes[::-1]) / 4)


def emulator(**parameters):
    settings = dict(
        kriging=False, n_members=1, hidden=(32, 32), max_epochs=40, random_state=0,
        on_extrapolation="ignore",
    )  # fmt: skip
    return ModelEmulator(**settings | parameters)


def held_out_error(model):
    X, Y = smooth(400)
    model.fit(X[:320], Y[:320])
    return error_factor(Y[320:], model.predict(X[320:]))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"architecture": "plain"},
        {"polynomial_degree": 3},
        {"growth": 0.5, "hidden": (0,) * 4, "polynomial_degree": 3},
        {"n_clusters": 2},
        {"n_clusters": 3, "n_members": 2},
        {"output_rank": 4},
        {"output_rank": 2, "n_clusters": 2, "n_members": 2},
        {"log_targets": "asinh"},
        {"loss": "squared"},
        {"loss": "cauchy", "loss_scale": 0.5},
        {"batch_growth": 4.0},
        {"validation_fraction": 0.1},
        {"dtype": "float64"},
        {"network": PlainNetwork((32, 32))},
        {"network": DenseNetwork((32, 32)), "n_members": 2},
    ],
    ids=str,
)
def test_every_idea_learns(parameters):
    # the mean error of the best constant is about a factor 3
    assert held_out_error(emulator(max_epochs=150, lr=1e-2, **parameters)) < 0.12


def test_kriging_sharpens_the_network_on_a_small_grid():
    X, Y = smooth(400)
    kriged = emulator(kriging=True, n_members=2).fit(X[:320], Y[:320])
    alone = emulator(n_members=2).fit(X[:320], Y[:320])
    errors = [error_factor(Y[320:], model.predict(X[320:])) for model in (kriged, alone)]
    assert errors[0] < 0.5 * errors[1]


def test_default_settings_beat_the_gaussian_process_of_the_reference_on_the_real_grid():
    # trained for a tenth of the default: the benchmark has the whole; 9 % was the spline's figure
    data = load_nebular_grid()
    Y = np.where(data.mask, data.target, np.nan)
    X, X_test, Y, Y_test = train_test_split(data.data, Y, test_size=0.2, random_state=0)
    model = ModelEmulator(max_epochs=60, n_members=2, on_extrapolation="ignore", random_state=0)
    assert error_factor(Y_test, model.fit(X, Y).predict(X_test)) < 0.05


def test_clusters_hold_every_output_once():
    X, Y = smooth(n_outputs=9)
    model = emulator(n_clusters=3, max_epochs=2).fit(X, Y)
    assert len(model.clusters_) == 3
    assert sorted(np.concatenate(model.clusters_)) == list(range(9))
    auto = emulator(n_clusters="auto", max_epochs=2).fit(X, Y)
    assert sorted(np.concatenate(auto.clusters_)) == list(range(9))


def test_outputs_come_back_in_the_users_order():
    X, Y = smooth(n_outputs=6)
    order = np.array([4, 0, 5, 2, 1, 3])
    first = emulator(n_clusters=2, max_epochs=150, lr=1e-2).fit(X, Y).predict(X)
    second = emulator(n_clusters=2, max_epochs=150, lr=1e-2).fit(X, Y[:, order]).predict(X)
    assert error_factor(Y, first) < 0.1 and error_factor(Y[:, order], second) < 0.1


def test_mask_and_nan_are_the_same_thing_and_are_ignored():
    X, Y = smooth()
    mask = np.random.default_rng(0).uniform(size=Y.shape) > 0.2
    wrong = np.where(mask, Y, 1e6)
    by_mask = emulator().fit(X, wrong, mask=mask)
    by_nan = emulator().fit(X, np.where(mask, Y, np.nan))
    masked = emulator().fit(X, np.ma.MaskedArray(wrong, ~mask))
    np.testing.assert_array_equal(by_mask.predict(X), by_nan.predict(X))
    np.testing.assert_array_equal(by_mask.predict(X), masked.predict(X))
    assert by_mask.score(X, wrong, mask=mask) > 0.8 > by_mask.score(X, wrong)


def test_log_targets_auto():
    X, Y = smooth()
    assert emulator(max_epochs=1).fit(X, Y).scales_.transform_.kind_ == "log10"
    assert emulator(max_epochs=1).fit(X, Y - 1).scales_.transform_.kind_ is None


def test_float64_where_float32_cannot_hold_the_outputs():
    X, Y = smooth()
    tiny = emulator().fit(X, 1e-60 * Y).predict(X)
    assert tiny.dtype == np.float64 and (tiny > 0).all()
    assert error_factor(1e-60 * Y, tiny) < 1.0
    assert emulator(max_epochs=1).fit(X, Y.astype("f4")).predict(X).dtype == np.float32


def test_frames_and_units_come_back():
    X, Y = smooth(n_outputs=2)
    frame = pd.DataFrame(Y, columns=["CO", "H2"])
    inputs = pd.DataFrame(X, columns=list("abc"), index=np.arange(160) + 7)
    model = emulator(max_epochs=2).fit(inputs, frame)
    seen = model.predict(inputs.iloc[:4], outputs=["H2"])
    assert list(seen.columns) == ["H2"] and list(seen.index) == [7, 8, 9, 10]
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    typed = emulator(max_epochs=2).fit(X * u.pc, Y * u.K)
    assert typed.predict(X[:3] * u.pc).unit == u.K
    np.testing.assert_allclose(
        typed.predict((X[:3] * u.pc).to(u.lyr)).value, typed.predict(X[:3] * u.pc).value, rtol=1e-5
    )
    with pytest.raises(ValueError, match="X has no unit; it was fitted in 'pc'"):
        typed.predict(X)
    with pytest.raises(ValueError, match="unit 's'; expected one convertible to 'pc'"):
        typed.predict(X * u.s)


def test_one_output_as_a_vector():
    X, Y = smooth()
    model = emulator(max_epochs=2).fit(X, Y[:, 0])
    assert model.predict(X).shape == (160,)


def test_big_endian_table():
    X, Y = smooth()
    swapped = emulator(max_epochs=2).fit(X.astype(">f8"), Y.astype(">f4"))
    plain = emulator(max_epochs=2).fit(X, Y.astype("f4"))
    np.testing.assert_array_equal(swapped.predict(X), plain.predict(X))


def test_grid_search_over_network_and_loss_in_a_pipeline_with_routing():
    X, Y = smooth(90)
    mask = np.random.default_rng(0).uniform(size=Y.shape) > 0.1
    weight = np.random.default_rng(1).uniform(0.5, 1.0, len(X))
    grid = {
        "emulate__network__hidden": [(4,), (32, 32)],
        "emulate__loss": ["squared", "cauchy"],
        "emulate__loss_scale": [0.5],
    }
    scores = []
    with sklearn.config_context(enable_metadata_routing=True):
        model = emulator(network=PlainNetwork((16,)), max_epochs=15, lr=1e-2)
        model.set_fit_request(mask=True, sample_weight=True)
        model.set_score_request(mask=True, sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = Pipeline([("scale", scale), ("emulate", model)])
        for n_jobs in (1, 2):
            search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise")
            search.fit(X, Y, mask=mask, sample_weight=weight)
            scores.append(search.cv_results_["mean_test_score"])
    assert len(scores[0]) == 4 and np.isfinite(scores[0]).all()
    assert search.best_params_["emulate__network__hidden"] == (32, 32)
    # the same draws on any number of workers; sums may run in another order
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)


def test_scorer_and_cross_validation():
    X, Y = smooth(90)
    scores = cross_val_score(emulator(), X, Y, cv=3, scoring=error_factor_scorer)
    assert scores.shape == (3,) and (scores < 0).all() and (scores > -3).all()


def test_set_output_of_the_pipeline_before():
    X, Y = smooth()
    frame = pd.DataFrame(X, columns=list("abc"))
    pipeline = Pipeline([("scale", StandardScaler()), ("emulate", emulator(max_epochs=2))])
    pipeline.set_output(transform="pandas").fit(frame, Y)
    assert list(pipeline[-1].feature_names_in_) == ["a", "b", "c"]
    assert FunctionTransformer(np.log10).fit_transform(pipeline.predict(frame)).shape == Y.shape


@pytest.mark.parametrize("parameters", [{}, {"kriging": True, "n_members": 2}, {"n_clusters": 2}])
def test_clone_and_pickle(parameters):
    X, Y = smooth()
    model = emulator(**parameters).fit(X, Y)
    copy = clone(model)
    assert not hasattr(copy, "net_") and copy.get_params() == model.get_params()
    np.testing.assert_array_equal(copy.fit(X, Y).predict(X), model.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_own_network_of_torch():
    class Own(torch.nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(n_features, 32), torch.nn.Tanh(), torch.nn.Linear(32, n_outputs)
            )

        def forward(self, x):
            return self.layers(x)

    for extra in ({}, {"n_members": 2, "n_clusters": 2}):
        assert held_out_error(emulator(network=Own, max_epochs=200, lr=1e-2, **extra)) < 0.3
    with pytest.raises(ValueError, match="kriging=True with network="):
        emulator(network=Own, kriging=True).fit(*smooth())


BAD = {
    "NaN in X": (lambda X, Y: (np.where(X == X[0, 0], np.nan, X), Y), "Input X contains NaN"),
    "inf in X": (lambda X, Y: (np.where(X == X[0, 0], np.inf, X), Y), "Input X contains infinity"),
    "inf in y": (
        lambda X, Y: (X, np.where(Y == Y[0, 0], np.inf, Y)),
        "y contains infinity at row 0",
    ),
    "empty output": (
        lambda X, Y: (X, np.where(np.arange(5) == 2, np.nan, Y)),
        r"y has 1 output\(s\) with no valid entry \(2\)",
    ),
    "lengths": (lambda X, Y: (X[:-1], Y), "y has 160 rows; expected 159"),
    "3-D y": (lambda X, Y: (X, Y[:, :, None]), r"y has shape \(160, 5, 1\); expected"),
    "one row": (lambda X, Y: (X[:1], Y[:1]), "1 sample"),
    "no rows": (lambda X, Y: (X[:0], Y[:0]), "0 sample"),
    "words": (
        lambda X, Y: (X, Y.astype(str).astype(object) + "x"),
        "y has dtype .* expected numbers",
    ),
    "duplicates": (
        lambda X, Y: (np.vstack([X, X[3]]), np.vstack([Y, 2 * Y[3]])),
        "rows 3 and 160 of X are equal but output 0 of y is .* expected one target",
    ),
}


@pytest.mark.parametrize("make, message", BAD.values(), ids=BAD.keys())
def test_bad_data(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        emulator().fit(*make(*smooth()))
    if "sample" not in message and "Input X" not in message:
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"log_targets": "log10"}, "log_targets='log10' but y has targets down to -"),
        ({"n_clusters": 6}, "n_clusters=6 for 5 outputs in y; expected at most"),
        ({"polynomial_degree": 60}, r"polynomial_degree=60 of 30 inputs makes .* expected at most"),
        ({"loss": "squarred"}, "loss='squarred'; expected one of"),
        ({"activation": "gulu"}, "activation='gulu'; expected one of"),
        ({"loss_scale": -1.0}, "'loss_scale' parameter of ModelEmulator must be"),
        ({"validation_fraction": 1.5}, "'validation_fraction' parameter of ModelEmulator must be"),
        ({"dtype": "float16"}, "'dtype' parameter of ModelEmulator must be"),
    ],
    ids=str,
)
def test_bad_parameters(parameters, message):
    X, Y = smooth()
    if "polynomial_degree" in parameters:
        X = np.hstack([X] * 10)
    with pytest.raises(ValueError, match=message):
        emulator(**parameters).fit(X, Y - 10.0)


def test_bad_mask_and_weights():
    X, Y = smooth()
    with pytest.raises(ValueError, match=r"mask has shape \(160, 4\); expected \(160, 5\)"):
        emulator().fit(X, Y, mask=np.ones((160, 4), bool))
    with pytest.raises(ValueError, match="mask has dtype float64; expected bool"):
        emulator().fit(X, Y, mask=np.ones((160, 5)))
    with pytest.raises(
        ValueError, match=r"sample_weight has 1 positive value\(s\); expected at least 2"
    ):
        emulator().fit(X, Y, sample_weight=np.arange(160) == 3)
    with pytest.raises(ValueError, match="[Nn]egative"):
        emulator().fit(X, Y, sample_weight=-np.ones(160))


def test_constant_outputs_and_inputs():
    X, Y = smooth()
    X, Y = X.copy(), Y.copy()
    X[:, 1], Y[:, 2] = 4.0, 7.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = emulator(max_epochs=60, lr=1e-2).fit(X, Y)
    assert error_factor(Y[:, 2], model.predict(X)[:, 2]) < 0.02


def test_duplicates_can_be_kept():
    X, Y = smooth()
    X, Y = np.vstack([X, X[3]]), np.vstack([Y, 2 * Y[3]])
    assert emulator(on_duplicates="keep", max_epochs=1).fit(X, Y).n_iter_ == 1
