"""The default baselines of a comparison, and the pipeline that images go through."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skastro.datasets import galactic_center_templates, make_galactic_center
from skastro.regression.baselines import (
    DistributionPipeline,
    FeatureExtractor,
    NeighborsDensityRegressor,
    RegressionSummaries,
    default_baselines,
)


@pytest.fixture(scope="module")
def sky():
    found = make_galactic_center(240, n_pixels=32, random_state=0)
    return found.images, found.params[:, [0, 5]]


def pipeline():
    return DistributionPipeline(
        [
            ("features", FeatureExtractor("strips", n_regions=4)),
            ("summaries", RegressionSummaries()),
            ("regressor", NeighborsDensityRegressor(20)),
        ]
    )


def test_a_pipeline_is_its_steps(sky):
    images, y = sky
    model = pipeline().fit(images[:200], y[:200])
    table = model[0].transform(images)
    summaries = RegressionSummaries().fit(table[:200], y[:200])
    last = NeighborsDensityRegressor(20).fit(summaries.transform(table[:200]), y[:200])
    at = summaries.transform(table[200:])
    np.testing.assert_allclose(model.predict(images[200:]), last.predict(at))
    np.testing.assert_allclose(
        model.predict_quantiles(images[200:]), last.predict_quantiles(at), rtol=1e-9
    )
    grid = np.linspace(0, 1, 9)
    np.testing.assert_allclose(model.cdf(images[200:], grid), last.cdf(at, grid))
    assert model.predict(images[200:], point="median").shape == (40, 2)
    assert clone(model).fit(images, y[:, 0]).predict(images).shape == (240,)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(images), model.predict(images))


def test_a_pipeline_is_searched(sky):
    images, y = sky
    grid = {"regressor__n_neighbors": [10, 110], "features__scaling": ["sqrt", "max"]}
    search = GridSearchCV(pipeline(), grid, cv=2).fit(images, y)
    assert search.best_params_["regressor__n_neighbors"] == 10
    assert search.best_score_ > 0.5


def test_a_step_may_be_left_out(sky):
    images, y = sky
    model = pipeline().set_params(summaries="passthrough").fit(images, y)
    assert model.predict(images).shape == (240, 2)
    with pytest.raises(NotFittedError):
        pipeline().predict(images)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_of_images_beat_the_mean(sky):
    images, y = sky
    templates = galactic_center_templates(32)
    mean = np.abs(y[200:] - y[:200].mean(0)).mean(0)
    found = default_baselines("images", templates=templates, quick=True)
    assert [name for name, _ in found][-3:] == [
        "ridge of features and templates", "k nearest of features and templates", "template fit",
    ]  # fmt: skip
    for name, model in found:
        model.fit(images[:200], y[:200])
        error = np.abs(model.predict(images[200:], point="median") - y[200:]).mean(0)
        assert (error < 0.9 * mean).all(), name
        low, high = model.predict_interval(images[200:], 0.9)
        assert ((y[200:] > low) & (y[200:] < high)).mean() > 0.75, name


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_of_tables_beat_the_mean():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 4))
    y = X[:, 0] + X[:, 1] ** 2 + 0.05 * rng.normal(size=400)
    for name, model in default_baselines("table", quick=True):
        model.fit(X[:300], y[:300])
        crps = model.predict_distribution(X[300:]).crps(y[300:, None]).mean()
        # a normal law as wide as all targets has 0.56 of its deviation
        assert crps < 0.35 * y.std(), name
        assert model.score(X[300:], y[300:]) > 0.7, name


def test_same_seed_same_baselines():
    X = np.random.default_rng(0).uniform(size=(80, 3))
    y = X[:, 0] ** 2
    for (name, one), (_, two) in zip(
        default_baselines("table", quick=True, random_state=3)[:4],
        default_baselines("table", quick=True, random_state=3)[:4],
        strict=True,
    ):
        first, second = (model.fit(X, y).predict_quantiles(X) for model in (one, two))
        np.testing.assert_array_equal(first, second, err_msg=name)


def test_bad_arguments():
    with pytest.raises(ValueError, match="kind='cube'; expected 'images' or 'table'"):
        default_baselines("cube")
    with pytest.raises(ValueError, match="were given for kind='table'; expected images"):
        default_baselines("table", templates=np.ones((1, 4, 4)))
