"""Classical segmenters: known posteriors, priors, blank pixels, scikit-learn's conventions."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skastro.datasets import make_galactic_center
from skastro.reliability_metrics import calibration_line, count_ratio
from skastro.segmentation import MatchedFilter
from skastro.segmentation.baselines import (
    BoostedPixelClassifier,
    CompressedPixelClassifier,
    MatchedFilterClassifier,
    MeanMask,
    PixelFeatures,
    RawCounts,
    default_baselines,
)
from skastro.segmentation.baselines.sampling import sample_pixels
from skastro.segmentation_metrics import pixel_scores

# few epochs are enough here
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"n_pixels": 20_000, "random_state": 0}
KINDS = [
    MeanMask(),
    RawCounts(**SMALL),
    RawCounts("platt", **SMALL),
    MatchedFilterClassifier(MatchedFilter(fwhm=1.34), **SMALL),
    CompressedPixelClassifier(radius=1, n_components=9, max_iter=15, coordinates=True, **SMALL),
    BoostedPixelClassifier(max_iter=30, learning_rate=0.2, **SMALL),
]
NAMES = [type(one).__name__ for one in KINDS]


@pytest.fixture(scope="module")
def sky():
    found = make_galactic_center(60, n_pixels=32, return_maps=True, random_state=0)
    return found.images, found.flux_ps_gc + found.flux_ps_disk > 0


@pytest.fixture(scope="module")
def labels(sky):
    images, sources = sky
    bright = (
        make_galactic_center(60, n_pixels=32, return_maps=True, random_state=0).flux_ps_disk > 20
    )
    return images, np.stack([sources, bright], axis=1)


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_probabilities_hold_on_fresh_images(sky, model):
    images, sources = sky
    model = clone(model).fit(images[:45], sources[:45])
    proba = model.predict_proba(images[45:])
    assert proba.shape == (15, 32, 32) and proba.dtype == np.float32
    assert 0 < proba.min() and proba.max() <= 1
    assert count_ratio(sources[45:], proba).ratio == pytest.approx(1, abs=0.12)
    if proba.max() < 1:
        assert calibration_line(sources[45:], proba).slope == pytest.approx(1, abs=0.15)
    else:
        # a line of counts is sure of the brightest
        assert model.get_params()["calibration"] == "platt"
    assert pixel_scores(sources[45:], proba).auc > 0.78
    assert model.labels_ == ["positive"] and isinstance(model.training_prior_, float)
    assert model.prior_ == pytest.approx(sources[:45].mean())
    np.testing.assert_array_equal(model.predict(images), model.predict_proba(images) > 0.5)
    score = pixel_scores(sources[45:], model.decision_function(images[45:]), per_image=False)
    assert model.score(images[45:], sources[45:]) == pytest.approx(score.average_precision)


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_several_labels_are_problems_of_their_own(labels, model):
    images, masks = labels
    both = clone(model).set_params(labels=["source", "bright"]).fit(images, masks)
    assert both.labels_ == ["source", "bright"] and both.training_prior_.shape == (2,)
    proba = both.predict_proba(images)
    assert proba.shape == masks.shape and both.predict(images).dtype == bool
    np.testing.assert_allclose(both.prior_, masks.mean((0, 2, 3)))
    for i in range(2):
        assert count_ratio(masks[:, i], proba[:, i]).ratio == pytest.approx(1, abs=0.1)
    assert clone(model).fit(images, masks).labels_ == ["label 0", "label 1"]
    if isinstance(model, MeanMask):
        alone = clone(model).fit(images, masks[:, 1])
        np.testing.assert_allclose(alone.predict_proba(images), proba[:, 1])
    one = clone(model).fit(images, masks[:, :1])
    assert one.predict_proba(images).shape == (60, 1, 32, 32)
    np.testing.assert_array_equal(
        one.decision_function(images)[:, 0],
        clone(model).fit(images, masks[:, 0]).decision_function(images),
    )


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_blank_pixels_get_the_prior(sky, model):
    images, sources = sky
    hidden = images.copy()
    hidden[:, 4:9, 10:20] = np.nan
    hidden[3] = np.nan
    model = clone(model).fit(hidden, sources)
    z, proba = model.decision_function(hidden), model.predict_proba(hidden)
    assert np.isfinite(z).all() and np.isfinite(proba).all()
    blank = np.isnan(hidden)
    np.testing.assert_allclose(proba[blank], model.prior_, rtol=1e-5)
    np.testing.assert_allclose(model.predict_proba(hidden, 0.9)[blank], 0.9, rtol=1e-5)
    assert not model.predict(hidden)[blank].any()
    assert model.prior_ == pytest.approx(sources[~blank].mean())


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_pixels_that_are_not_known_teach_nothing(sky, model):
    images, sources = sky
    Y = sources.astype(np.uint8)
    Y[:, 16:] = 255
    spoilt = clone(model).fit(images, Y)
    assert spoilt.prior_ == pytest.approx(sources[:, :16].mean())
    other = clone(model).set_params(ignore_index=7).fit(images, np.where(Y == 255, 7, Y))
    np.testing.assert_array_equal(other.decision_function(images), spoilt.decision_function(images))


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_conventions(sky, model):
    images, sources = sky
    with pytest.raises(NotFittedError):
        clone(model).predict_proba(images)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = (clone(model).fit(images, sources) for _ in range(2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    z = one.decision_function(images)
    np.testing.assert_array_equal(other.decision_function(images), z)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.predict_proba(images), one.predict_proba(images))
    # an image alone is what it is among others
    np.testing.assert_allclose(one.decision_function(images[7:8])[0], z[7], rtol=1e-5, atol=1e-5)
    typed = clone(model).fit(images * u.ct, sources)
    np.testing.assert_array_equal(typed.decision_function(images * u.ct), z)
    with pytest.raises(ValueError, match="unit"):
        typed.decision_function(images * u.Jy)


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_saved_without_pickle(sky, model, tmp_path):
    io = pytest.importorskip("skastro.io")
    pytest.importorskip("skops")
    images, sources = sky
    model = clone(model).fit(images[:10], sources[:10])
    io.save(model, tmp_path / "model.skops")
    # of scikit-learn's, which skops does not know as safe
    trees = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
    steps = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"
    again = io.load(tmp_path / "model.skops", trusted=[trees, steps])
    np.testing.assert_array_equal(again.predict_proba(images), model.predict_proba(images))


@pytest.mark.parametrize("model", KINDS, ids=NAMES)
def test_bad_data(sky, model):
    images, sources = sky
    images, sources = images[:4], sources[:4]
    for X, Y, match in (
        (images[0], sources, r"X has shape \(32, 32\)"),
        (np.where(images == images[0, 0, 0], np.inf, images), sources, "X contains infinity"),
        (images, sources[:3], r"Y has shape \(3, 32, 32\); expected \(4, 32, 32\)"),
        (images, sources[:, :5], "Y has shape"),
        (images, 2 * sources.astype(int), "Y has 2; expected 0, 1 or ignore_index=255"),
        (images, np.where(sources, np.nan, 0.0), "Y has nan"),
        (images, np.zeros_like(sources), "Y has 0 pixels of 'positive' among 4096"),
        (images, np.ones_like(sources), "Y has 4096 pixels of 'positive' among 4096"),
        (images * np.nan, sources, "Y has 0 pixels of 'positive' among 0"),
        (images, [np.zeros((32, 32)), np.zeros((5, 5))], "Y has masks of different shapes"),
    ):
        with pytest.raises(ValueError, match=match):
            clone(model).fit(X, Y)
    fitted = clone(model).fit(images, sources)
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\); expected 1"):
        fitted.predict(np.stack([images, images], axis=1))
    for prior, match in (
        (2.0, "prior has values from 2"),
        (np.nan, "prior has 1 NaN"),
        ([0.1, 0.2], r"prior has shape \(2,\)"),
        ({"star": 0.1}, "prior has 'star'; expected labels among"),
    ):
        with pytest.raises(ValueError, match=match):
            fitted.predict_proba(images, prior)
    with pytest.raises(ValueError, match=r"labels=\['a', 'b'\]; expected 1 different name"):
        clone(model).set_params(labels=["a", "b"]).fit(images, sources)


def two_gaussians(prior, n=40, seed=0):
    """Pixels of a Gaussian of mean 0, or 2 where the mask is true, and the exact posterior."""
    rng = np.random.default_rng(seed)
    masks = rng.random((n, 64, 64)) < prior
    images = rng.normal(size=masks.shape) + 2.0 * masks
    ratio = norm.logpdf(images, 2) - norm.logpdf(images)
    return images.astype(np.float32), masks, expit(ratio + logit(prior))


@pytest.mark.parametrize(
    "model",
    [
        RawCounts(n_pixels=20_000, random_state=0),
        RawCounts("platt", n_pixels=20_000, random_state=0),
        BoostedPixelClassifier(
            PixelFeatures(None, radius=0, scales=[], lines=False, coordinates=False),
            max_iter=60, n_pixels=20_000, random_state=0,
        ),
        CompressedPixelClassifier(
            radius=0, n_components=1, scaling=None, n_pixels=20_000, random_state=0
        ),
    ],
    ids=["isotonic", "platt", "boosted", "compressed"],
)  # fmt: skip
def test_a_rare_class_that_was_enriched_has_its_posterior(model):
    images, masks, _ = two_gaussians(0.02)
    model = model.fit(images, masks)
    # all of the true ones, then others until there are 20,000
    assert model.training_prior_ == pytest.approx(masks.sum() / 20_000)
    fresh, truth, exact = two_gaussians(0.02, seed=1)
    proba = model.predict_proba(fresh)
    assert np.abs(proba - exact).mean() < 0.006
    assert count_ratio(truth, proba).ratio == pytest.approx(1, abs=0.08)
    # steps of a tree or an isotonic map end where the 17,000 negatives of the sample do
    rare = 5e-3
    rarer, _, exact = two_gaussians(rare, seed=2)
    assert model.predict_proba(rarer, rare).sum() == pytest.approx(exact.sum(), rel=0.12)


def test_another_prior_moves_the_logits():
    images, masks, _ = two_gaussians(0.1, 4)
    both = np.stack([masks, images > 1], axis=1)
    model = BoostedPixelClassifier(max_iter=5, labels=["a", "b"], **SMALL).fit(images, both)
    z = model.decision_function(images).astype(float)
    for prior, expected in (
        ([0.2, 0.3], [0.2, 0.3]),
        (0.4, [0.4, 0.4]),
        ({"b": 0.3}, [model.prior_[0], 0.3]),
        (None, model.prior_),
        (model.training_prior_, model.training_prior_),
    ):
        moved = (logit(expected) - logit(model.training_prior_))[:, None, None]
        np.testing.assert_allclose(model.predict_proba(images, prior), expit(z + moved), rtol=2e-5)


@pytest.mark.parametrize(
    "positives, n_pixels, expected",
    [
        (100, 10_000, (900, 100)),
        (100, 400, (300, 100)),
        (100, 100, (50, 50)),
        (900, 400, (100, 300)),
        (500, 101, (51, 50)),
        (1, 2, (1, 1)),
    ],
)
def test_samples(positives, n_pixels, expected):
    truth = np.zeros(1000, bool)
    truth[np.random.default_rng(0).permutation(1000)[:positives]] = True
    places = sample_pixels(truth, np.ones(1000, bool), n_pixels, np.random.default_rng(0))
    assert (np.diff(places) > 0).all()
    counts = (~truth[places]).sum(), truth[places].sum()
    assert counts == expected
    used = np.arange(1000) % 2 == 0
    assert used[sample_pixels(truth, used, n_pixels, np.random.default_rng(0))].all()


def test_raw_counts_are_the_pixels(sky):
    images, sources = sky
    model = RawCounts(**SMALL).fit(images, np.stack([sources, images < 4], axis=1))
    z = model.decision_function(images)
    np.testing.assert_array_equal(z[:, 0], images)
    # dark pixels have the other label: the score rises where they are darker
    np.testing.assert_array_equal(z[:, 1], -images)
    proba = model.predict_proba(images)[:, 1]
    assert proba[images < 4].min() > 0.9 and proba[images > 5].max() < 0.01
    channels = np.stack([images, 2 * images], axis=1)
    both = RawCounts(**SMALL).fit(channels, sources)
    np.testing.assert_allclose(both.decision_function(channels), 3 * images)


def test_the_mean_mask_is_a_mean(sky):
    images, sources = sky
    model = MeanMask().fit(images, sources)
    expected = (sources.sum(0) + sources.mean()) / 61
    np.testing.assert_allclose(model.map_[0], expected)
    np.testing.assert_allclose(model.predict_proba(images[:2]), [expected, expected], rtol=1e-5)
    with pytest.raises(ValueError, match=r"X has images of shape \(16, 32\); expected \(32, 32\)"):
        model.predict(images[:, :16])


def test_the_matched_filter_is_the_filter(sky):
    images, sources = sky
    inner = MatchedFilter(fwhm=1.5)
    model = MatchedFilterClassifier(inner, **SMALL).fit(images, sources)
    snr = clone(inner).fit(images).transform(images)
    np.testing.assert_allclose(model.decision_function(images), snr, rtol=1e-5)
    with pytest.raises(ValueError, match="X has 2 channels; expected 1 for a matched filter"):
        MatchedFilterClassifier().fit(np.stack([images, images], axis=1), sources)


def test_other_sizes_and_channels(sky):
    images, sources = sky
    both = np.stack([images, np.random.default_rng(0).normal(size=images.shape)], axis=1)
    for model in KINDS[4:]:
        model = clone(model).fit(both, sources)
        assert model.predict_proba(both[:, :, :20, :9]).shape == (60, 20, 9)
        assert model.score(both, sources) > 0.4


def test_a_name_for_the_only_label(sky):
    for labels in ("source", ("source",), np.array(["source"])):
        model = MeanMask(labels=labels, ignore_index=np.uint8(255)).fit(*sky)
        assert model.labels_ == ["source"]
        proba = model.predict_proba(sky[0], {"source": 0.5})
        np.testing.assert_array_equal(proba, model.predict_proba(sky[0], 0.5))


def test_a_grid_search_over_what_it_looks_at(sky):
    images, sources = sky
    model = BoostedPixelClassifier(PixelFeatures(), max_iter=5, **SMALL)
    grid = {"features__coordinates": [False, True], "features__radius": [1]}
    search = GridSearchCV(model, grid, cv=2).fit(images, sources)
    assert search.best_params_["features__coordinates"]
    assert search.best_score_ > 0.5


@pytest.mark.parametrize(
    "model, match",
    [
        (RawCounts("sigmoid"), "'calibration' parameter"),
        (RawCounts(n_pixels=1), "'n_pixels' parameter"),
        (CompressedPixelClassifier(n_components=26), "n_components=26; expected at most 25"),
        (CompressedPixelClassifier(radius=-1), "'radius' parameter"),
        (BoostedPixelClassifier(max_iter=0), "'max_iter' parameter"),
        (BoostedPixelClassifier("all"), "'features' parameter"),
        (MatchedFilterClassifier("all"), "'matched_filter' parameter"),
        (MeanMask(ignore_index="no"), "'ignore_index' parameter"),
    ],
)
def test_bad_parameters(sky, model, match):
    with pytest.raises(ValueError, match=match):
        model.fit(*sky)


def test_all_by_default_run(sky):
    images, sources = sky
    found = default_baselines(fwhm=1.34, quick=True, random_state=3)
    assert [name for name, _ in found][-2:] == ["PCA and perceptron", "gradient boosting"]
    for name, model in found:
        proba = model.fit(images[:20], sources[:20]).predict_proba(images[20:])
        floor = 0.5 if name == "DAOStarFinder" else 0.7
        assert pixel_scores(sources[20:], proba).auc > floor, name
    other = dict(default_baselines("contaminants", quick=True))
    assert "position only" not in other and not other["PCA and perceptron"].coordinates
    with pytest.raises(ValueError, match="kind='stars'; expected 'sources' or 'contaminants'"):
        default_baselines("stars")
