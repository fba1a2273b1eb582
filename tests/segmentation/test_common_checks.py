"""scikit-learn's own checks, all through an adapter; those without data, and conventions, for all."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skastro.segmentation import ImageClassifier, MatchedFilter, SourceSegmenter, UNet
from skastro.segmentation.baselines import (
    AstroscrappyClassifier,
    BoostedPixelClassifier,
    CompressedPixelClassifier,
    MatchedFilterClassifier,
    MeanMask,
    PhotutilsClassifier,
    PixelFeatures,
    RawCounts,
    SepClassifier,
)
from skastro.segmentation.baselines.scores import ScoreClassifier

# A weight of two is not a row seen twice: batches are drawn from rows. Images of one pixel and one channel
# are constant, and are refused by another message than the check looks for.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data", "check_fit2d_1feature"}


def failures(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 50
    return {row["check_name"]: row["exception"] for row in results if row["status"] == "failed"}


class TableOfPixels(SourceSegmenter):
    """Rows of p numbers as images of one pixel and p channels, and their classes as masks."""

    def __init__(self, random_state=0):
        super().__init__(
            UNet(widths=(16,), n_convolutions=1),
            mode="multiclass",
            scaling=None,
            dtype="float64",
            max_epochs=40,
            batch_size=64,
            lr=0.02,
            validation_fraction=None,
            random_state=random_state,
        )

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        classes = unique_labels(y[weight > 0]) if weight.any() else unique_labels(y)
        if len(classes) < 2:
            raise ValueError(f"y has one class, {classes[0]!r}; expected two or more.")
        codes = np.where(np.isin(y, classes), np.searchsorted(classes, y), 255)
        super().fit(X[:, :, None, None], codes[:, None, None], sample_weight)
        self.classes_ = classes
        return self

    def _rows(self, X):
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=np.float64)[:, :, None, None]

    def predict(self, X):
        found = super().predict(self._rows(X))[:, 0, 0]
        return self.classes_[found]

    def predict_proba(self, X):
        return super().predict_proba(self._rows(X))[:, :, 0, 0]

    def decision_function(self, X):
        z = super().decision_function(self._rows(X))[:, :, 0, 0]
        return z[:, 1] - z[:, 0] if len(self.classes_) == 2 else z

    def score(self, X, y, sample_weight=None):
        return float(np.average(self.predict(X) == y, weights=sample_weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.allow_nan = False
        return tags


def test_every_check_passes_on_pixels_through_an_adapter():
    assert set(failures(TableOfPixels())) <= EXPECTED


# The suite's own data are tables, which no segmenter reads: of it, the checks that need none.
WITHOUT_DATA = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]
EVERY = [
    SourceSegmenter,
    ImageClassifier,
    MatchedFilter,
    PixelFeatures,
    AstroscrappyClassifier,
    BoostedPixelClassifier,
    CompressedPixelClassifier,
    MatchedFilterClassifier,
    MeanMask,
    PhotutilsClassifier,
    RawCounts,
    SepClassifier,
]


@pytest.mark.parametrize("check", WITHOUT_DATA)
@pytest.mark.parametrize("kind", EVERY)
def test_checks_without_data(kind, check):
    check = getattr(estimator_checks, check)
    check(kind.__name__, kind())


SEGMENTERS = [
    SourceSegmenter(UNet(widths=(4,)), max_epochs=1, random_state=0),
    BoostedPixelClassifier(max_iter=5, n_pixels=2000, random_state=0),
    CompressedPixelClassifier(radius=1, n_components=4, max_iter=60, random_state=0),
    MatchedFilterClassifier(MatchedFilter(fwhm=1.5), random_state=0),
    MeanMask(),
    RawCounts(random_state=0),
]
METHODS = ["predict", "predict_proba", "decision_function"]


@pytest.fixture(params=SEGMENTERS, ids=lambda model: type(model).__name__)
def model(request):
    return clone(request.param)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.normal(100.0, 5.0, (12, 24, 24)).astype(np.float32)
    hot = rng.random(images.shape) < 0.05
    images[hot] += 30.0
    return images, hot


def test_fit_returns_itself_and_leaves_parameters_and_data_alone(model, data):
    images, hot = (one.copy() for one in data)
    before = {name: repr(value) for name, value in model.get_params().items()}
    assert model.fit(images, hot) is model
    assert {name: repr(value) for name, value in model.get_params().items()} == before
    for method in METHODS:
        getattr(model, method)(images)
    np.testing.assert_array_equal(images, data[0])
    np.testing.assert_array_equal(hot, data[1])
    public = [name for name in vars(model) if not name.startswith("_")]
    assert all(name in before or name.endswith("_") for name in public)
    images.setflags(write=False)
    hot.setflags(write=False)
    clone(model).fit(images, hot).predict(images)


def test_fit_forgets_what_it_knew(model, data):
    images, hot = data
    fresh = clone(model).fit(images[:8, :16], hot[:8, :16]).decision_function(images[8:, :16])
    again = model.fit(images, hot).fit(images[:8, :16], hot[:8, :16])
    np.testing.assert_array_equal(again.decision_function(images[8:, :16]), fresh)


def test_nothing_works_before_fit(model, data):
    for method in METHODS:
        with pytest.raises(NotFittedError):
            getattr(model, method)(data[0])
    with pytest.raises(NotFittedError):
        model.score(*data)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_says_what_it_is(model, data):
    images, hot = data
    assert is_classifier(model)
    tags = model.__sklearn_tags__()
    assert tags.input_tags.three_d_array and not tags.input_tags.two_d_array
    assert tags.input_tags.allow_nan and tags.target_tags.required
    model.fit(images, hot)
    assert model.n_channels_in_ == 1 and model.image_shape_ == (24, 24)
    assert model.labels_ == ["positive"]
    assert 0 < model.training_prior_ < 1 and 0 < model.prior_ < 1
    proba = model.predict_proba(images)
    z = model.decision_function(images).astype(float)
    if isinstance(model, ScoreClassifier):
        # scores of no known meaning, in the order of the probabilities
        assert (np.diff(proba.ravel()[np.argsort(z, axis=None)]) >= -1e-6).all()
    else:
        given = model.predict_proba(images, model.training_prior_)
        np.testing.assert_allclose(given, 1 / (1 + np.exp(-z)), rtol=1e-4, atol=1e-6)
    for found, kind in ((proba, np.float32), (model.predict(images), bool)):
        assert found.shape == images.shape and found.dtype == kind


def test_images_must_have_the_channels_of_fit(model, data):
    images, hot = data
    model.fit(images, hot)
    for method in METHODS:
        with pytest.raises(ValueError, match=r"X has 2 channel\(s\); expected 1"):
            getattr(model, method)(np.stack([images, images], axis=1))
    with pytest.raises(ValueError, match=r"X has shape \(24, 24\)"):
        model.predict(images[0])


def test_pickled_and_fitted_again(model, data):
    images, hot = data
    model.fit(images, hot)
    again = pickle.loads(pickle.dumps(model))
    z = model.decision_function(images)
    np.testing.assert_array_equal(again.decision_function(images), z)
    np.testing.assert_array_equal(again.fit(images, hot).decision_function(images), z)
