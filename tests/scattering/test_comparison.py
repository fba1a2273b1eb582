"""The learning curves: problems that are what they say, methods that do both, figures that are right."""

import csv
import pickle

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifierCV, RidgeCV

from skastro.compare import compare
from skastro.field_metrics import power_spectrum
from skastro.scattering.comparison import (
    ALPHAS,
    TASK,
    RegressorOrClassifier,
    default_estimators,
    load_maps,
    make_intermittency,
    make_kinds,
    map_error,
    split_maps,
)

DATA = load_maps(sizes=(12, 30), n_test=40)
NAMES = [
    "scattering: wst", "scattering: covariance", "power spectrum", "bispectrum", "moments", "CNN"
]  # fmt: skip


def test_intermittent_maps():
    maps, scatter = make_intermittency(60, n_pixels=32, random_state=3)
    np.testing.assert_allclose(maps.std(axis=(1, 2)), 1.0, rtol=1e-5)
    assert 0.1 <= scatter.min() < 0.2 < 0.9 < scatter.max() <= 1.0
    increments = np.diff(maps.astype(np.float64), axis=2)
    flatness = np.mean(increments**4, axis=(1, 2)) / np.mean(increments**2, axis=(1, 2)) ** 2
    # what is asked for is in the maps
    assert np.corrcoef(np.log(flatness), scatter)[0, 1] > 0.7
    again = make_intermittency(60, n_pixels=32, random_state=3)
    np.testing.assert_array_equal(maps, again[0])
    np.testing.assert_array_equal(scatter, again[1])
    assert not np.array_equal(maps, make_intermittency(60, n_pixels=32, random_state=4)[0])


def test_kinds_have_one_histogram_and_spectra_that_overlap():
    maps, kind = make_kinds(120, n_pixels=32, random_state=3)
    expected = norm.ppf((np.arange(1024) + 0.5) / 1024)
    np.testing.assert_allclose(
        np.sort(maps.reshape(120, -1), axis=1), np.broadcast_to(expected, (120, 1024)), atol=1e-6
    )
    assert dict(zip(*np.unique(kind, return_counts=True), strict=True)).keys() == {
        "filaments", "gaussian", "turbulence"
    }  # fmt: skip
    k, power = power_spectrum(maps, spacing="log")[:2]
    slope = np.polyfit(np.log(k), np.log(power).T, 1)[0]
    low, high = zip(
        *[np.quantile(slope[kind == one], [0.1, 0.9]) for one in set(kind)], strict=True
    )
    assert max(low) < min(high)
    assert len(set(make_kinds(1, n_pixels=8)[1])) == 1


def test_the_same_test_maps_for_all_sizes_and_none_of_them_in_training():
    splits = split_maps(load_maps(sizes=(5, 10), n_test=20))
    assert list(splits) == [
        "intermittency, 5 maps", "intermittency, 10 maps", "kind of field, 5 maps",
        "kind of field, 10 maps",
    ]  # fmt: skip
    for title, classes in (("intermittency", False), ("kind of field", True)):
        small, large = splits[f"{title}, 5 maps"], splits[f"{title}, 10 maps"]
        assert small.X_test is large.X_test and len(small.X_test) == 20
        np.testing.assert_array_equal(small.X_train, large.X_train[:5])
        np.testing.assert_array_equal(small.Y_train, large.Y_train[:5])
        distance = np.abs(large.X_train[:, None] - large.X_test).max(axis=(2, 3))
        assert distance.min() > 0.1
        assert small.classes is classes and small.title == title
        assert small.summary.startswith(f"{title}, 5 maps to fit, 20 others to score: ")


def test_error_by_hand():
    rng = np.random.default_rng(0)
    y, found = rng.normal(size=(2, 50))
    assert map_error(y, found) == pytest.approx(np.sqrt(((y - found) ** 2).sum() / 50) / y.std())
    assert map_error(["a", "b", "c", "a"], ["a", "c", "c", "a"]) == 0.25
    assert map_error(y, np.full(50, y.mean())) == pytest.approx(1.0)


def test_the_targets_choose_the_estimator():
    model = RegressorOrClassifier(DummyRegressor(), DummyClassifier())
    X = np.zeros((4, 2))
    assert isinstance(clone(model).fit(X, [0.5, 1.5, 2.5, 3.5]).estimator_, DummyRegressor)
    for labels in (["a", "b", "a", "a"], [0, 1, 2, 2], [True, False, True, True]):
        assert isinstance(clone(model).fit(X, labels).estimator_, DummyClassifier)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_default_methods_do_both_and_choose_the_ridge_by_training_maps_alone():
    methods = default_estimators(random_state=3)
    assert list(methods) == NAMES
    assert methods["CNN"].regressor.random_state == methods["CNN"].classifier.random_state == 3
    assert default_estimators(quick=True)["CNN"].classifier.max_epochs == 2
    for name in NAMES[:5]:
        linear = methods[name][-1]
        assert isinstance(linear.regressor, RidgeCV)
        assert isinstance(linear.classifier, RidgeClassifierCV)
        # no folds given: leave one out
        assert linear.regressor.cv is None and linear.classifier.cv is None
    model = clone(methods["moments"])
    split = split_maps(DATA)["intermittency, 30 maps"]
    model.fit(split.X_train, split.Y_train)
    table = model[:-1].transform(split.X_train)
    # mean and standard deviation are the same in all maps
    assert table.shape == (30, 8)
    np.testing.assert_allclose(table.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(table.std(axis=0), 1.0)
    # leave-one-out by brute force
    errors = []
    for alpha in ALPHAS:
        hat = table @ np.linalg.solve(table.T @ table + alpha * np.eye(table.shape[1]), table.T)
        hat = hat + 1 / len(table)
        y = split.Y_train
        errors.append(np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2))
    assert model[-1].estimator_.alpha_ == ALPHAS[int(np.argmin(errors))]


def test_figures_are_those_of_a_fit_by_hand(tmp_path):
    methods = default_estimators()
    methods = {name: methods[name] for name in ("scattering: wst", "power spectrum")}
    found = compare(methods, DATA, task=TASK, progress=False)
    assert found.notes == {} and [row["error"] for row in found.rows] == [""] * 8
    splits = split_maps(DATA)
    for row in found.rows:
        split = splits[row["maps"]]
        model = clone(methods[row["method"]]).fit(split.X_train, split.Y_train)
        error = map_error(split.Y_test, model.predict(split.X_test))
        assert row["test_error"] == pytest.approx(error, abs=1e-9)
    errors = found.table["test_error"]
    # the spectrum tells neither by construction; scattering both, and more maps help
    for problem, most in (("intermittency", 0.6), ("kind of field", 0.15)):
        assert errors[f"{problem}, 30 maps", "scattering: wst"] < most
        assert errors[f"{problem}, 30 maps", "power spectrum"] > 0.3
    text = str(found).splitlines()
    assert text[0] == (
        "scattering: intermittency, 12 maps to fit, 40 others to score: rms error over the scatter"
    )
    assert text[1].split() == "method error fit s ms / 1,000 MB".split()
    found.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["maps"] for row in rows[::2]] == list(DATA)


def test_the_network_in_both_problems():
    methods = {"CNN": default_estimators(quick=True)["CNN"]}
    data = load_maps(sizes=(10,), n_test=10, n_pixels=16)
    found = compare(methods, data, task=TASK, progress=False)
    assert [row["error"] for row in found.rows] == [""] * 2
    assert all(np.isfinite(row["size_mb"]) for row in found.rows)
    model = clone(methods["CNN"]).fit(*make_kinds(12, n_pixels=16))
    maps = make_kinds(5, n_pixels=16, random_state=1)[0]
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict(maps), model.predict(maps)
    )


def test_data_of_the_user():
    split = split_maps(make_kinds(10, n_pixels=8), 0.3, 0)
    assert len(split.X_train) == 7 and split.title == "maps" and split.classes
    with pytest.raises(ValueError, match=r"data has 1 parts; expected \(X, Y\)"):
        split_maps([np.zeros((4, 8, 8))])
    with pytest.raises(ValueError, match="data is a ndarray; expected a Bunch"):
        split_maps(np.zeros((4, 8, 8)))
