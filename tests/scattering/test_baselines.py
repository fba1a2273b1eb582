"""Classical features of maps: values, names, input that is refused."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from scipy.ndimage import gaussian_filter
from scipy.stats import kurtosis, moment, skew
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skastro import map_features
from skastro.datasets import make_fields
from skastro.field_metrics import cross_correlation, power_spectrum
from skastro.scattering.baselines import (
    BispectrumFeatures,
    HistogramMoments,
    PowerSpectrumFeatures,
)

rng = np.random.default_rng(0)
MODELS = [PowerSpectrumFeatures(), BispectrumFeatures(4), HistogramMoments(5, n_scales=1)]


def test_power_is_that_of_the_metric():
    X = rng.normal(size=(4, 3, 18, 20))
    model = PowerSpectrumFeatures(5, window="hann").fit(X)
    k, power = power_spectrum(X, 5, spacing="log", window="hann")
    found = model.transform(X)
    np.testing.assert_array_equal(model.k_, k)
    n = len(k)
    np.testing.assert_allclose(found[:, : 3 * n], np.log10(power).reshape(4, -1), rtol=1e-12)
    pairs = [(0, 1), (0, 2), (1, 2)]
    for i, (a, b) in enumerate(pairs):
        _, r = cross_correlation(X[:, a], X[:, b], 5, spacing="log", window="hann")
        np.testing.assert_allclose(found[:, (3 + i) * n :][:, :n], r, rtol=1e-12)
    names = model.get_feature_names_out()
    assert names[n].startswith("P[c=1,k=") and names[-1].startswith("r[c1=1,c2=2,k=")
    plain = clone(model).set_params(cross=False, log=False).fit_transform(X)
    np.testing.assert_allclose(plain, power.reshape(4, -1))


def test_power_of_a_filtered_map_is_finite():
    """Rings without power count as rounding."""
    x = np.arange(32)
    wave = np.sin(2 * np.pi * 4 * x / 32) * np.ones((1, 32, 1))
    found = PowerSpectrumFeatures(6).fit_transform(wave)
    assert np.isfinite(found).all() and found.max() > 0 and found.min() < -25
    pair = PowerSpectrumFeatures(6).fit_transform(np.stack([wave, wave], axis=1))
    assert np.isfinite(pair).all() and np.abs(pair[:, 12:]).max() <= 1 + 1e-12


def test_bispectrum_is_scale_free_and_odd():
    X = rng.gamma(1.0, size=(3, 16, 16))
    model = BispectrumFeatures(3).fit(X)
    found = model.transform(X)
    np.testing.assert_allclose(model.transform(7.0 * X + 2.0), found, rtol=1e-9)
    np.testing.assert_allclose(model.transform(-X), -found, rtol=1e-9)
    np.testing.assert_allclose(model.transform(np.roll(X, (3, 5), axis=(1, 2))), found, rtol=1e-9)
    bare = BispectrumFeatures(3, normalization=None).fit(X)
    np.testing.assert_allclose(bare.transform(2.0 * X), 8.0 * bare.transform(X), rtol=1e-9)
    assert model.k_.shape == (len(model.n_triangles_), 3) == (found.shape[1], 3)
    # white noise of skewness 2, where rings have many modes (else their power scatters with the rest)
    many = BispectrumFeatures(3).fit(X)
    wide = many.k_[:, 0] > 0.15
    found = many.transform(rng.gamma(1.0, size=(300, 16, 16)))[:, wide]
    np.testing.assert_allclose(found.mean(axis=0), 2.0, rtol=0.1)


def test_moments_are_those_of_scipy():
    X = rng.gamma(2.0, size=(3, 2, 17, 24))
    model = HistogramMoments(6, n_scales=1).fit(X)
    found = model.transform(X).reshape(3, 2, -1)
    flat = X.reshape(3, 2, -1)
    # the kernel of scipy is sampled, ours is exact in Fourier space
    k2 = np.fft.fftfreq(17)[:, None] ** 2 + np.fft.fftfreq(24) ** 2
    smooth = np.fft.ifft2(np.fft.fft2(X) * np.exp(-2 * np.pi**2 * k2)).real.reshape(3, 2, -1)
    expected = [flat.mean(axis=2)]
    for one in (flat, smooth):
        spread = one.std(axis=2)
        expected += [spread, skew(one, axis=2), kurtosis(one, axis=2)]
        expected += [moment(one, p, axis=2) / spread**p for p in (5, 6)]
    np.testing.assert_allclose(found, np.stack(expected, axis=2), rtol=1e-9, atol=1e-12)
    names = model.get_feature_names_out().tolist()
    assert names[:4] == [
        "mean[c=0]",
        "std[c=0,sigma=0]",
        "skewness[c=0,sigma=0]",
        "kurtosis[c=0,sigma=0]",
    ]
    assert names[-1] == "moment6[c=1,sigma=1]" and len(names) == 22


def test_smoothing_with_reflection():
    X = rng.normal(size=(2, 32, 40)).cumsum(axis=1)
    model = HistogramMoments(4, n_scales=2, boundary="reflect").fit(X)
    found = model.transform(X)[:, -3:]
    smooth = gaussian_filter(X, (0, 2, 2), mode="reflect", truncate=8).reshape(2, -1)
    expected = [smooth.std(axis=1), skew(smooth, axis=1), kurtosis(smooth, axis=1)]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-6, atol=1e-8)


def test_scales_of_the_smoothing():
    assert HistogramMoments(n_scales=None).fit(np.eye(64)[None]).sigmas_ == [0, 1, 2, 4]
    assert HistogramMoments(n_scales=None).fit(np.eye(5)[None]).sigmas_ == [0]
    assert HistogramMoments(1).fit(np.eye(5)[None]).get_feature_names_out().tolist() == ["mean"]
    with pytest.raises(
        ValueError, match="n_scales=3 for maps of 32 x 40 pixels; expected at most 2"
    ):
        HistogramMoments(n_scales=3).fit(np.ones((1, 32, 40)))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shape", [(16, 16), (15, 22), (17, 17)])
def test_every_size_type_and_block(model, shape, monkeypatch):
    X = rng.normal(size=(5, 2, *shape)).astype("f4")
    found = clone(model).fit_transform(X)
    names = clone(model).fit(X).get_feature_names_out()
    assert found.dtype == np.float64 and found.shape == (5, len(names)) and np.isfinite(found).all()
    assert len(set(names)) == len(names)
    np.testing.assert_allclose(clone(model).fit(X).transform(X.astype("f8")), found, rtol=1e-12)
    one = clone(model).fit_transform(X[:, 0])
    np.testing.assert_allclose(one, clone(model).fit_transform(X[:, :1]), rtol=1e-12)
    blocks = map_features.row_blocks
    monkeypatch.setattr(map_features, "row_blocks", lambda n, size: blocks(n, size, 2 * size))
    np.testing.assert_allclose(clone(model).fit_transform(X), found, rtol=1e-10)


@pytest.mark.parametrize("model", MODELS)
def test_in_a_pipeline(model):
    fields = make_fields(
        60, "lognormal", n_pixels=24, scatter=rng.uniform(0.2, 1.5, 60), random_state=0
    )
    y = fields.parameters["scatter"]
    pipeline = make_pipeline(model, StandardScaler(), Ridge())
    score = cross_val_score(pipeline, fields.maps, y, cv=3).mean()
    assert score > (0.1 if isinstance(model, BispectrumFeatures) else 0.6)
    frame = clone(model).set_output(transform="pandas").fit_transform(fields.maps)
    assert list(frame.columns) == clone(model).fit(fields.maps).get_feature_names_out().tolist()
    union = make_union(clone(model), HistogramMoments(2)).fit(fields.maps)
    assert union.transform(fields.maps).shape[1] == frame.shape[1] + 2


def test_grid_search_over_a_parameter():
    fields = make_fields(40, n_pixels=16, index=rng.uniform(1, 3, 40), random_state=0)
    pipeline = make_pipeline(PowerSpectrumFeatures(), StandardScaler(), Ridge())
    search = GridSearchCV(pipeline, {"powerspectrumfeatures__n_bins": [2, 6]}, cv=2)
    search.fit(fields.maps, fields.parameters["index"])
    assert search.best_score_ > 0.6


@pytest.mark.parametrize("model", MODELS)
def test_pickled_and_left_alone(model):
    X = rng.normal(size=(3, 16, 16))
    before = X.copy()
    fitted = clone(model).fit(X)
    found = fitted.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), found)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("model", MODELS)
def test_units(model):
    X = rng.gamma(2.0, size=(2, 16, 16))
    fitted = clone(model).fit(X * u.K)
    assert fitted.unit_ == "K"
    np.testing.assert_allclose(fitted.transform(1e3 * X * u.mK), fitted.transform(X * u.K))
    with pytest.raises(ValueError, match="X has no unit; it was fitted in 'K'"):
        fitted.transform(X)


@pytest.mark.parametrize("model", MODELS)
def test_bad_maps(model):
    X = rng.normal(size=(3, 2, 16, 16))
    fitted = clone(model).fit(X)
    hole = X.copy()
    hole[1, 0, 3, 4] = np.nan
    flat = X.copy()
    flat[2, 1] = 3.0
    masked = np.ma.MaskedArray(X, True)
    cases = [
        (X[:, 0], r"X has 1 channel\(s\); expected 2, as in fit"),
        (X[..., :15], "X has maps of 16 x 15 pixels; expected 16 x 16"),
        (X[0, 0], r"X has shape \(16, 16\); .* for a single map give X\[None\]"),
        (X + 0j, "Complex data not supported: X is complex128; expected real maps"),
        (hole, r"X has nan at \(1, 0, 3, 4\); expected finite numbers"),
        (masked, "X has 1536 masked pixels; expected all of them"),
        (flat, "X has a constant map, number 2, channel 1, at 3; expected maps that vary"),
    ]
    for bad, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            fitted.transform(bad)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="X has maps of 1 x 1 pixels; expected at least 2 x 2"):
        clone(model).fit(np.ones((2, 1, 1)))
    with pytest.raises(NotFittedError):
        clone(model).transform(X)


def test_constant_maps_where_they_do_no_harm():
    flat = np.full((2, 8, 8), 3.0)
    np.testing.assert_array_equal(HistogramMoments(2).fit_transform(flat), [[3.0, 0.0]] * 2)
    assert (PowerSpectrumFeatures(log=False).fit_transform(flat) == 0).all()
    assert (BispectrumFeatures(2, normalization=None).fit_transform(flat) == 0).all()


@pytest.mark.parametrize(
    "model, message",
    [
        (PowerSpectrumFeatures(0), "'n_bins' parameter"),
        (PowerSpectrumFeatures(spacing="sqrt"), "'spacing' parameter"),
        (PowerSpectrumFeatures(k_max=2.0), "k_max=2.0; expected a wave number from"),
        (BispectrumFeatures(k_max=0.6), "'k_max' parameter"),
        (BispectrumFeatures(normalization="max"), "'normalization' parameter"),
        (HistogramMoments(0), "'n_moments' parameter"),
        (HistogramMoments(boundary="wrap"), "'boundary' parameter"),
    ],
)
def test_bad_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(np.ones((2, 8, 8)))
