"""The comparison: same rows for all, figures that are right, failures that stay in their row."""

import csv
import os
import pickle
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error

from skastro.compare import compare, pickled_size
from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor
from skastro.metrics import error_factor_summary
from skastro.splits import make_split
from skastro.tasks import Speed, Task

rng = np.random.default_rng(0)
X = rng.random((60, 2))
Y = 10.0 ** (X @ rng.normal(size=(2, 3)))
MASK = rng.random(Y.shape) < 0.9
METHODS = {"nearest": NearestModelRegressor(), "cubic": RBFInterpolationRegressor()}


class Fails(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        raise RuntimeError("no convergence\nsecond line")


class Slow(RegressorMixin, BaseEstimator):
    """Takes a known time and warns."""

    def fit(self, X, y):
        time.sleep(0.2)
        warnings.warn("took a while\nindeed", UserWarning, stacklevel=2)
        self.coef_ = np.zeros(100_000)
        return self

    def predict(self, X):
        time.sleep(len(X) * 2e-5)
        return np.ones((len(X), 3))


def test_figures_are_those_of_a_fit_by_hand():
    found = compare(METHODS, (X, Y, MASK), random_state=1, progress=False)
    split = make_split((X, Y, MASK), random_state=1)
    for row in found.rows:
        fitted = METHODS[row["method"]].fit(split.X_train, split.Y_train)
        prediction = fitted.predict(split.X_test)
        np.testing.assert_array_equal(found.predictions[row["method"]], prediction)
        expected = error_factor_summary(split.Y_test, prediction)
        assert {key: row[key] for key in expected} == expected
        assert row["error"] == "" and row["fit_s"] > 0
    assert [row["method"] for row in found.rows] == ["nearest", "cubic"]
    assert found.table.loc["cubic", "mean"] < found.table.loc["nearest", "mean"]


def test_the_estimators_given_are_not_fitted():
    method = NearestModelRegressor()
    compare([method], (X, Y), progress=False)
    assert not hasattr(method, "models_")


def test_costs_are_measured():
    found = compare({"slow": Slow()}, (X, Y), progress=False)
    (row,) = found.rows
    assert 0.2 <= row["fit_s"] < 0.5
    assert row["predict_ms_per_1000"] == pytest.approx(20, rel=0.5)
    assert row["size_mb"] == pytest.approx(0.8, rel=0.05)
    assert found.notes == {"slow": ["took a while"]}
    assert "slow: took a while" in str(found)


def test_size_is_that_of_the_pickle():
    fitted = RBFInterpolationRegressor().fit(X, Y)
    assert pickled_size(fitted) == len(pickle.dumps(fitted, protocol=5))


def test_a_failure_is_a_row():
    found = compare({"fails": Fails()} | METHODS, (X, Y), progress=False)
    assert [row["error"] for row in found.rows] == ["RuntimeError: no convergence", "", ""]
    assert np.isnan(found.rows[0]["mean"]) and np.isfinite(found.rows[1]["mean"])
    assert list(found.predictions) == ["nearest", "cubic"]
    assert "fails failed: RuntimeError: no convergence" in str(found)
    only = compare([Fails()], (X, Y), progress=False)
    assert "Fails failed" in str(only)
    with pytest.raises(ValueError, match="no method succeeded"):
        only.plot()


def test_a_regressor_that_takes_no_nan_says_so_in_its_row():
    found = compare([LinearRegression()], (X, Y, MASK), progress=False)
    assert "contains NaN" in found.rows[0]["error"]


def test_printed_table():
    text = str(compare(METHODS, (X, Y), progress=False)).splitlines()
    assert text[0] == "emulation: 48 rows to fit, scored on 12 others"
    assert text[1].split() == "method mean median 99 % max fit s ms / 1,000 MB".split()
    assert len({len(line) for line in text[1:]}) == 1
    assert text[3].startswith("nearest") and "%" in text[4]


def test_csv_round_trip_and_atomic(tmp_path, monkeypatch):
    found = compare({"fails": Fails()} | METHODS, (X, Y), progress=False)
    path = tmp_path / "table.csv"
    found.to_csv(path)
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["method"] for row in rows] == ["fails", "nearest", "cubic"]
    assert float(rows[2]["mean"]) == pytest.approx(found.rows[2]["mean"], rel=1e-4)
    assert rows[0]["mean"] == "nan" and rows[0]["error"] == "RuntimeError: no convergence"
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        found.to_csv(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["table.csv"]


def test_without_pandas_the_table_is_a_list(monkeypatch):
    found = compare(METHODS, (X, Y), progress=False)
    assert isinstance(found.table, pd.DataFrame)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert found.table is found.rows


@pytest.mark.parametrize(
    "metrics", [{"mae": mean_absolute_error}, lambda t, p: {"mae": mean_absolute_error(t, p)}]
)
def test_metrics_of_the_user(metrics):
    found = compare(METHODS, (X, Y), metrics=metrics, progress=False)
    split = make_split((X, Y), random_state=0)
    expected = mean_absolute_error(split.Y_test, found.predictions["cubic"])
    assert found.rows[1]["mae"] == expected and "mean" not in found.rows[1]
    assert "mae" in str(found) and f"{expected:.4g}" in str(found)


def test_a_task_of_another_kind():
    """Fit without targets, predict by another method: nothing in the comparison changes."""

    class Shrink(BaseEstimator):
        def fit(self, X):
            self.mean_ = X.mean(axis=0)
            return self

        def transform(self, X):
            return 0.5 * X + 0.5 * self.mean_

    task = Task(
        name="denoising",
        load=lambda: (X + 1.0, X),
        estimators=lambda random_state=0, quick=False: {"shrink": Shrink()},
        summarise=lambda t, p: {"rms": np.sqrt(np.mean((t - p) ** 2))},
        columns={"rms": ("rms error", "{:.3f}".format)},
        fit=lambda estimator, split: estimator.fit(split.X_train),
        predict=lambda estimator, values: estimator.transform(values),
    )
    found = compare(task=task, progress=False)
    split = make_split((X + 1.0, X), random_state=0)
    expected = 0.5 * (split.X_test + split.X_train.mean(axis=0)) - split.Y_test
    assert found.rows[0]["rms"] == pytest.approx(np.sqrt(np.mean(expected**2)))
    assert "rms error" in str(found)
    # a class inside a function cannot be pickled: its size is unknown, no more
    assert np.isnan(found.rows[0]["size_mb"]) and found.rows[0]["error"] == ""
    with pytest.raises(ValueError, match="the task 'denoising' has no picture"):
        found.plot()


class Offset(BaseEstimator):
    """Adds the mean of what it was fitted on; refuses negative numbers."""

    def fit(self, X):
        if X.min() < 0:
            raise ValueError("X is negative")
        self.mean_ = X.mean()
        return self

    def transform(self, X):
        time.sleep(0.35)
        return X + self.mean_


def test_several_data_sets(tmp_path):
    """One fit for each method and each data set, a table for each, one CSV."""
    data = {"small": (X, X), "large": (10 * X, 10 * X), "negative": (-X, -X)}
    task = Task(
        name="shifts",
        load=lambda: data,
        estimators=lambda random_state=0, quick=False: {"offset": Offset()},
        summarise=None,
        columns={"shift": ("shift", "{:.3f}".format)},
        fit=lambda estimator, split: estimator.fit(split.X_train),
        predict=lambda estimator, values: estimator.transform(values),
        split=lambda data, size, seed: {k: make_split(v, size, seed) for k, v in data.items()},
        score=lambda split, found: {"shift": np.mean(found - split.X_test)},
        speed=Speed("s_per_row", "s / row", "{:.4f}".format, len, lambda X: X),
        case="scale",
    )
    found = compare(task=task, progress=False)
    assert [(row["scale"], row["method"]) for row in found.rows] == [
        ("small", "offset"), ("large", "offset"), ("negative", "offset")
    ]  # fmt: skip
    assert list(found.split) == list(data) and list(found.predictions) == ["small", "large"]
    mean = found.split["small"].X_train.mean()
    assert found.rows[0]["shift"] == pytest.approx(mean)
    assert found.rows[1]["shift"] == pytest.approx(10 * mean)
    assert found.rows[0]["s_per_row"] == pytest.approx(0.35 / 12, rel=0.2)
    assert found.table.loc[("large", "offset"), "shift"] == pytest.approx(10 * mean)
    text = str(found).splitlines()
    assert text.count("shifts: 48 rows to fit, scored on 12 others") == 3
    assert text[1].split() == "method shift fit s s / row MB".split()
    assert text[-1] == "offset failed on negative: ValueError: X is negative"
    found.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["scale"] for row in rows] == ["small", "large", "negative"]
    # metrics of the user take the place of the score
    mine = compare(task=task, metrics={"bias": lambda t, p: np.mean(p)}, progress=False)
    expected = found.predictions["small"]["offset"].mean()
    assert mine.rows[0]["bias"] == pytest.approx(expected) and "shift" not in mine.rows[0]


def test_the_progress_bar_names_the_method(capsys):
    compare(METHODS, (X, Y), progress=True)
    assert "nearest" in capsys.readouterr().err
    compare(METHODS, (X, Y), progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        (([], (X, Y)), ValueError, "estimators is empty"),
        (([NearestModelRegressor(), NearestModelRegressor()], (X, Y)), ValueError,
         "more than one NearestModelRegressor; expected a dict"),
        (({"a": 3}, (X, Y)), TypeError, r"estimators\['a'\] is 3; expected an estimator"),
        ((NearestModelRegressor, (X, Y)), TypeError, "expected an estimator"),
        ((METHODS, X), ValueError, "data is a ndarray; expected a Bunch"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        compare(*arguments, progress=False)


def test_bad_task_and_metrics():
    with pytest.raises(
        ValueError,
        match=r"task='cooking'; expected one of \['denoising', 'emulation', 'regression', 'scattering', "
        r"'segmentation', 'separation'\]",
    ):
        compare(METHODS, (X, Y), task="cooking")
    with pytest.raises(TypeError, match="metrics is 'mean'; expected a callable"):
        compare(METHODS, (X, Y), metrics="mean", progress=False)
