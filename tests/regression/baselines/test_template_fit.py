"""Template fits: against a plain loop and exact mixtures."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skastro.datasets import galactic_center_templates, make_galactic_center
from skastro.regression.baselines import TemplateFitRegressor
from skastro.regression.baselines.template_fit import fit_templates

TEMPLATES = np.stack(
    [np.ones((12, 14)), *(1 + np.cos(np.indices((12, 14)) / 3)), np.eye(12, 14) * 20]
)


def mixtures(n=60, seed=0, noise=True):
    rng = np.random.default_rng(seed)
    y = rng.uniform(1, 10, (n, 4))
    images = np.einsum("nk,khw->nhw", y, TEMPLATES)
    return (rng.poisson(images).astype(float) if noise else images), y


def test_exact_mixtures_are_taken_apart():
    images, y = mixtures(noise=False)
    model = TemplateFitRegressor(TEMPLATES, residuals=False).fit(images, y)
    np.testing.assert_allclose(model.transform(images), y, rtol=1e-6)
    np.testing.assert_allclose(model.predict(images), y, rtol=1e-6)
    flux = TemplateFitRegressor(TEMPLATES).fit(images, 3 * y[:, 0] - 2)
    np.testing.assert_allclose(flux.predict(images), 3 * y[:, 0] - 2, rtol=1e-6)


@pytest.mark.parametrize("variance", ["counts", "constant"])
@pytest.mark.parametrize("threshold", [None, 1.2])
def test_one_image_at_a_time_by_lstsq(variance, threshold):
    images, _ = mixtures(4)
    images[:, 3:5, 3:5] += 200
    flat, templates = images.reshape(4, -1), TEMPLATES.reshape(4, -1)
    found, residuals = fit_templates(
        flat, templates, variance=variance, threshold=threshold, n_iter=4
    )
    for image, amplitudes, residual in zip(flat, found, residuals, strict=True):
        floor = 0.02 * image.mean()
        weight = 1 / np.maximum(image, floor) if variance == "counts" else np.ones(image.size)
        for _ in range(4):
            root = np.sqrt(weight)
            a = np.linalg.lstsq((templates * root).T, image * root, rcond=None)[0]
            model = a @ templates
            sigma = np.sqrt(np.maximum(model, floor)) if variance == "counts" else 1.0
            r = (image - model) / sigma
            weight = np.ones(image.size) / sigma**2
            if threshold:
                far = threshold * 1.4826 * np.median(np.abs(r))
                weight = weight * np.where(np.abs(r) > far, far / np.abs(r), 1)
        np.testing.assert_allclose(amplitudes, a, rtol=1e-6)
        np.testing.assert_allclose(residual, r, rtol=1e-5, atol=1e-6)


def test_bright_sources_pull_a_robust_fit_less():
    images, y = mixtures(200)
    images[:, 2:4, 3:6] += 300
    robust, plain = (
        TemplateFitRegressor(TEMPLATES, threshold=threshold, residuals=False)
        .fit(images, y)
        .transform(images)
        for threshold in (1.5, None)
    )
    assert np.abs(robust - y).mean() < 0.25 * np.abs(plain - y).mean()


def test_moments_of_the_residuals_are_those_of_noise():
    images, y = mixtures(400)
    model = TemplateFitRegressor(TEMPLATES, threshold=None).fit(images, y)
    table = model.transform(images)
    assert list(model.get_feature_names_out()[-4:]) == [
        "residual_mad", "residual_rms", "residual_mean", "residual_skew",
    ]  # fmt: skip
    # of Poisson noise in units of its deviation: 1 but for the four numbers fitted
    rms = np.sqrt(1 - 4 / TEMPLATES[0].size)
    np.testing.assert_allclose(table[:, 5].mean(), rms, atol=0.01)
    assert abs(table[:, 6].mean()) < 0.01


def test_channels_are_fitted_together():
    images, y = mixtures()
    both = np.stack([images, 2 * images], axis=1)
    templates = np.stack([TEMPLATES, 2 * TEMPLATES], axis=1)
    found = TemplateFitRegressor(templates, variance="constant").fit(both, y).transform(both)
    expected = TemplateFitRegressor(TEMPLATES, variance="constant").fit(images, y).transform(images)
    np.testing.assert_allclose(found[:, :4], expected[:, :4], rtol=0.3)
    assert np.corrcoef(found[:, 0], y[:, 0])[0, 1] > 0.9


def test_as_an_estimator():
    images, y = mixtures()
    model = TemplateFitRegressor(TEMPLATES.tolist()).fit(images, y[:, 0])
    predicted = model.predict(images)
    assert predicted.shape == (60,) and model.score(images, y[:, 0]) > 0.8
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(images), predicted)
    np.testing.assert_array_equal(clone(model).fit(images, y[:, 0]).predict(images), predicted)
    np.testing.assert_allclose(model.predict(images[3:4]), predicted[3:4], rtol=1e-9)
    # blank images and templates that are alike give numbers
    assert np.isfinite(model.predict(np.zeros((2, 12, 14)))).all()
    twice = TemplateFitRegressor(np.concatenate([TEMPLATES, TEMPLATES[:1]])).fit(images, y)
    assert np.isfinite(twice.predict(images)).all()


def test_the_galactic_centre():
    sky = make_galactic_center(700, random_state=7)
    p = sky.params
    y = np.c_[p[:, 3], p[:, 4] + p[:, 5], p[:, 5], p[:, 4]] / [1.0, 4800.0, 4000.0, 800.0]
    model = TemplateFitRegressor(galactic_center_templates())
    model.fit(sky.images[:400], y[:400])
    error = np.abs(model.predict(sky.images[400:]) - y[400:]).mean(0)
    # the reference has .115, .045, .047, .177
    assert (error < [0.125, 0.045, 0.047, 0.177]).all(), error


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"templates": np.ones((4, 4))}, r"templates has shape \(4, 4\)"),
        ({"templates": np.full((2, 12, 14), np.nan)}, "templates has nan"),
        ({"templates": np.ones((2, 13, 14))}, "X has maps of 12 x 14 pixels; expected 13 x 14"),
        ({"variance": "gamma"}, "'variance' parameter"),
        ({"threshold": 0.0}, "'threshold' parameter"),
        ({"n_iter": 0}, "'n_iter' parameter"),
    ],
)
def test_bad_parameters(parameters, match):
    images, y = mixtures(5)
    with pytest.raises(ValueError, match=match):
        TemplateFitRegressor(**{"templates": TEMPLATES, **parameters}).fit(images, y)


def test_bad_data():
    images, y = mixtures(5)
    model = TemplateFitRegressor(TEMPLATES)
    for X, targets, match in (
        (images, np.full(5, np.nan), "no valid entry"),
        (images, [1, 2, np.nan, 4, 5], "Input y contains NaN"),
        (images, [1, 2, np.inf, 4, 5], "contains infinity"),
        (images, y[:4], "inconsistent numbers of samples"),
        (images * np.nan, y, "X has nan"),
        (images[:0], y[:0], r"X has shape \(0, 12, 14\)"),
    ):
        with pytest.raises(ValueError, match=match):
            model.fit(X, targets)
