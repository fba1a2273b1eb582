"""The comparison of regressors: its data, its methods, its figures."""

import numpy as np
import pytest
from known_regressor import Known

from skastro.compare import compare
from skastro.regression.comparison import (
    LEVELS,
    TASK,
    default_estimators,
    load_default,
    quantile_distribution,
)


def test_the_default_data():
    bunch = load_default(n_images=6, random_state=3)
    assert bunch.target_names == ["A_dm", "n_total", "n_disk", "n_gc"]
    np.testing.assert_array_equal(bunch.target[:, 1], bunch.target[:, 2] + bunch.target[:, 3])
    assert bunch.data.shape == (6, 64, 64) and bunch.target[:, 0].max() < 1


def test_ours_is_the_last_of_the_methods():
    methods = default_estimators(random_state=4, quick=True)
    assert list(methods)[-1] == "ParamRegressor"
    assert len(methods) > 4
    assert methods["ParamRegressor"].random_state == 4


def test_quantiles_keep_a_distribution():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(500, 4))
    exact = Known().fit(y, y).predict_distribution(y)
    kept = quantile_distribution(np.moveaxis(exact.quantile(LEVELS), 0, -1))
    np.testing.assert_allclose(kept.mean(), exact.mean(), atol=0.01)
    np.testing.assert_allclose(kept.crps(y), exact.crps(y), atol=0.01)


def test_figures_of_a_method_that_is_known():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(4000, 4)) * 3
    found = compare({"known": Known(0.6)}, (y, y), task=TASK, test_size=0.5, progress=False)
    (row,) = found.rows
    assert row["error"] == ""
    # in units of the mean absolute deviation of a Gaussian of width 3
    assert row["target 0"] == pytest.approx(0.2, rel=0.05)
    assert row["crps"] == pytest.approx(0.2 / np.sqrt(2), rel=0.05)
    assert row["coverage"] == pytest.approx(0.68, abs=0.02)
