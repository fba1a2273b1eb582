"""Features of pixels, one by one, by hand."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from scipy import ndimage
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.datasets import make_galactic_center
from skastro.segmentation.baselines import PixelFeatures
from skastro.segmentation.baselines.features import fill_blanks, neighbourhood


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(3, 2, (3, 14, 11)).astype(np.float32)


def named(model, features):
    return dict(zip(model.get_feature_names_out(), np.moveaxis(features, 1, 0), strict=True))


def test_every_feature_by_hand(images):
    model = PixelFeatures(None, radius=1, scales=(3, 5)).fit(images)
    found = named(model, model.transform(images))
    image, i, j = images[1].astype(float), 6, 4
    square = {side: image[i - side // 2 : i + side // 2 + 1, j - side // 2 : j + side // 2 + 1]
              for side in (3, 5)}  # fmt: skip
    row, column = np.median(image, axis=1), np.median(image, axis=0)
    around = np.delete(square[3].ravel(), 4)
    expected = {
        "pixel[0,0]": image[i, j], "pixel[-1,1]": image[i - 1, j + 1], "peak": image[i, j] - around.max(),
        "row": row[i], "column": column[j], "image": np.median(image),
        "over_row": image[i, j] - row[i], "over_column": image[i, j] - column[j],
        "row_step": row[i] - np.median(row[i - 4 : i + 5]),
        "column_step": column[j] - np.median(column[j - 4 : j + 5]),
        "y": -1 + 2 * i / 13, "x": -1 + 2 * j / 10,
        "distance": np.hypot(-1 + 2 * i / 13, -1 + 2 * j / 10),
    }  # fmt: skip
    for side, values in square.items():
        expected |= {
            f"mean{side}": values.mean(), f"max{side}": values.max(), f"std{side}": values.std(),
            f"contrast{side}": image[i, j] - values.mean(),
        }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][1, i, j], value, atol=2e-5, err_msg=name)
    assert len(found) == 9 + 8 + 1 + 7 + 3
    features = model.transform(images)
    assert features.dtype == np.float32 and features.shape == (3, 28, 14, 11)


def test_scaling():
    counts = make_galactic_center(2, n_pixels=16, random_state=0).images
    real = np.random.default_rng(0).normal(500, 3, (2, 15, 15)).astype(np.float32)
    for images, kind in ((counts, "sqrt"), (real, "asinh")):
        model = PixelFeatures("auto", radius=0, scales=[], coordinates=False, lines=False)
        found = model.fit_transform(images)[:, 0]
        assert model.scaling_ == kind
        if kind == "sqrt":
            np.testing.assert_allclose(found, np.sqrt(images), rtol=1e-6)
        else:
            middle = np.median(images, axis=(1, 2), keepdims=True)
            sigma = 1.4826 * np.median(np.abs(images - middle), axis=(1, 2), keepdims=True)
            np.testing.assert_allclose(found, np.arcsinh((images - middle) / sigma), atol=1e-4)
    below = PixelFeatures("sqrt", radius=0, scales=[], coordinates=False, lines=False)
    np.testing.assert_allclose(below.fit_transform(-counts)[:, 0], -np.sqrt(counts), rtol=1e-6)


def test_neighbours_row_by_row(images):
    found = neighbourhood(np.stack([images, -images], axis=1), 2)
    assert found.shape == (3, 50, 14, 11)
    np.testing.assert_array_equal(found[:, 0, 2:, 2:], images[:, :-2, :-2])
    np.testing.assert_array_equal(found[:, 12], images)
    np.testing.assert_array_equal(found[:, 25 + 13, :, :-1], -images[:, :, 1:])
    # beyond the border, its pixels again
    np.testing.assert_array_equal(found[:, 0, 0, 0], images[:, 0, 0])


def test_channels_and_blocks(images):
    both = np.stack([images, 2 * images], axis=1)
    model = PixelFeatures(None).fit(both)
    found = named(model, model.transform(both))
    one = named(PixelFeatures(None).fit(images), PixelFeatures(None).fit_transform(images))
    for name, values in one.items():
        if name in ("y", "x", "distance"):
            np.testing.assert_array_equal(found[name], values)
        else:
            np.testing.assert_array_equal(found[f"{name}[channel=0]"], values)
            np.testing.assert_allclose(found[f"{name}[channel=1]"], 2 * values, atol=1e-4)
    many = np.repeat(images, 400, axis=0)
    features = PixelFeatures(None).fit(images).transform(many)
    np.testing.assert_array_equal(features[::400], PixelFeatures(None).fit_transform(images))


def test_blank_pixels(images):
    hidden = images.copy()
    hidden[0, 3:6, 2:9] = np.nan
    hidden[1] = np.nan
    hidden[2, 0] = np.nan
    features = PixelFeatures(None).fit(images).transform(hidden)
    assert np.isfinite(features).all()
    filled = fill_blanks(hidden[:, None])[:, 0]
    np.testing.assert_array_equal(filled[~np.isnan(hidden)], hidden[~np.isnan(hidden)])
    # the mean of what is known in the square around
    known = np.isfinite(hidden[0])
    padded = np.pad(np.where(known, hidden[0], np.nan), 8, mode="edge")
    np.testing.assert_allclose(filled[0, 4, 5], np.nanmean(padded[4:21, 5:22]), rtol=1e-5)
    assert (filled[1] == 0).all()
    lonely = np.full((1, 1, 60, 60), np.nan, np.float32)
    lonely[0, 0, 0, :3] = [1.0, 2.0, 9.0]
    assert fill_blanks(lonely)[0, 0, 50, 50] == 2.0
    masked = np.ma.MaskedArray(images, ~np.isfinite(hidden))
    np.testing.assert_array_equal(PixelFeatures(None).fit(images).transform(masked), features)


def test_deviations_of_bright_images_are_not_rounded_away():
    images = (1e4 + np.random.default_rng(0).normal(size=(2, 32, 32))).astype(np.float32)
    model = PixelFeatures(None, scales=[5]).fit(images)
    found = named(model, model.transform(images))["std5"][0, 8, 8]
    np.testing.assert_allclose(found, images[0, 6:11, 6:11].astype(float).std(), rtol=1e-3)
    assert ndimage.uniform_filter(images, 5, axes=(1, 2)).dtype == np.float32


class TableOfFeatures(PixelFeatures):
    """Rows of p numbers as an image of 1 x p pixels each, for scikit-learn's checks."""

    def __init__(self, scaling="asinh"):
        super().__init__(scaling, radius=1, scales=(3,))

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan")
        return super().fit(X[:, None, :])

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False, ensure_all_finite="allow-nan")
        return super().transform(X[:, None, :]).reshape(len(X), -1)

    def get_feature_names_out(self, input_features=None):
        names = super().get_feature_names_out()
        return np.array([f"{a}{i}" for a in names for i in range(self.n_features_in_)], object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def test_every_check_of_scikit_learn_passes_through_an_adapter():
    results = check_estimator(TableOfFeatures(), on_skip=None, on_fail=None)
    assert len(results) > 40
    failed = {row["check_name"]: row["exception"] for row in results if row["status"] == "failed"}
    assert failed == {}


def test_any_size_units_and_pickles(images):
    model = PixelFeatures().fit(images * u.Jy)
    one = model.transform(images[:, :5, :1] * u.Jy)
    assert one.shape == (3, len(model.get_feature_names_out()), 5, 1) and np.isfinite(one).all()
    np.testing.assert_allclose(
        model.transform(images * 1e3 * u.mJy), model.transform(images * u.Jy), atol=1e-4
    )
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.transform(images * u.Jy), clone(model).fit_transform(images * u.Jy)
    )


@pytest.mark.parametrize(
    "params, match",
    [
        ({"scales": [4]}, r"scales=\[4\]; expected odd numbers"),
        ({"scales": [1]}, r"scales=\[1\]"),
        ({"scales": 3}, "'scales' parameter"),
        ({"radius": -1}, "'radius' parameter"),
        ({"scaling": "log"}, "'scaling' parameter"),
    ],
)
def test_bad_parameters(images, params, match):
    with pytest.raises(ValueError, match=match):
        PixelFeatures(**params).fit(images)


def test_bad_images(images):
    with pytest.raises(ValueError, match=r"X has shape \(14, 11\)"):
        PixelFeatures().fit(images[0])
    with pytest.raises(ValueError, match="X contains infinity"):
        PixelFeatures().fit(np.where(images == images[0, 0, 0], np.inf, images))
    with pytest.raises(NotFittedError):
        PixelFeatures().transform(images)
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\); expected 1"):
        PixelFeatures().fit(images).transform(np.stack([images, images], axis=1))
