"""Scores of pixels against scikit-learn, counts by hand and closed forms."""

import pickle
import time

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.model_selection import GridSearchCV

from skastro.segmentation_metrics import make_pixel_scorer, pixel_scores


def images(n=6, side=20, ties=True, seed=0):
    """Labels and scores that know something of them; with `ties`, few different scores."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, side, side)) < rng.uniform(0.05, 0.6, (n, 1, 1))
    score = rng.normal(size=y.shape) + 1.2 * y
    return y, np.round(2 * score) if ties else score


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("weighted", [None, "bool", "float"])
def test_areas_are_those_of_scikit_learn(ties, weighted):
    y, score = images(ties=ties)
    rng = np.random.default_rng(1)
    weight = {"bool": rng.random(y.shape) < 0.7, "float": rng.exponential(size=y.shape)}.get(
        weighted
    )
    if weighted == "float":
        weight[:, ::3] = 0.0
    found = pixel_scores(y, score, sample_weight=weight)
    rows = [
        (a.ravel(), b.ravel(), None if weight is None else weight[i].ravel().astype(float))
        for i, (a, b) in enumerate(zip(y, score, strict=True))
    ]
    auc = [roc_auc_score(a, b, sample_weight=w) for a, b, w in rows]
    precision = [average_precision_score(a, b, sample_weight=w) for a, b, w in rows]
    np.testing.assert_allclose(found.auc, np.mean(auc), rtol=1e-12)
    np.testing.assert_allclose(found.auc_std, np.std(auc), rtol=1e-9)
    np.testing.assert_allclose(found.average_precision, np.mean(precision), rtol=1e-12)
    np.testing.assert_allclose(found.average_precision_std, np.std(precision), rtol=1e-9)
    assert found.n_images == 6
    pooled = pixel_scores(y, score, sample_weight=weight, per_image=False)
    flat = None if weight is None else weight.ravel().astype(float)
    np.testing.assert_allclose(
        pooled.auc, roc_auc_score(y.ravel(), score.ravel(), sample_weight=flat), rtol=1e-12
    )
    np.testing.assert_allclose(
        pooled.average_precision,
        average_precision_score(y.ravel(), score.ravel(), sample_weight=flat),
        rtol=1e-12,
    )
    assert np.isnan(pooled.auc_std)
    np.testing.assert_array_equal(pooled.tpr, found.tpr)
    np.testing.assert_allclose(found.prevalence, np.average(y, weights=weight))


@pytest.mark.parametrize("ties", [True, False])
def test_area_is_the_probability_to_rank_right(ties):
    y, score = images(1, 12, ties)
    one, other = score[y][:, None], score[~y]
    pairs = (one > other) + 0.5 * (one == other)
    np.testing.assert_allclose(pixel_scores(y[0], score[0]).auc, pairs.mean())


def test_rates_at_few_false_positives():
    y, score = images(40, 32, ties=False)
    levels = [0.0, 0.3, 1e-2, 1e-3, 1e-5]
    fpr, tpr, _ = roc_curve(y.ravel(), score.ravel(), drop_intermediate=False)
    found = pixel_scores(y, score, fpr_levels=levels).tpr
    expected = [tpr[fpr <= level].max() for level in levels]
    np.testing.assert_allclose(found[1:4], expected[1:4])
    # none of 25,000 negatives: no rate of 1e-5 can be seen, nor one of 0
    assert np.isnan(found[4]) and np.isnan(found[0])
    y, score = images(5, 16, ties=True)
    fpr, tpr, _ = roc_curve(y.ravel(), score.ravel(), drop_intermediate=False)
    found = pixel_scores(y, score, fpr_levels=[0.05]).tpr
    np.testing.assert_allclose(found, tpr[fpr <= 0.05].max())


def test_precision_of_as_many_as_are_true():
    y, score = images(5, 20, ties=False)
    shares = []
    for truth, one in zip(y, score, strict=True):
        n = truth.sum()
        shares.append(truth.ravel()[np.argsort(-one.ravel())[:n]].mean())
    np.testing.assert_allclose(pixel_scores(y, score).precision, np.mean(shares))
    # with ties, the mean over all orders of what is equal
    truth, one = images(1, 8, seed=3)
    rng, n, found = np.random.default_rng(0), truth.sum(), []
    for _ in range(4000):
        order = np.lexsort((rng.random(64), -one.ravel()))
        found.append(truth.ravel()[order[:n]].mean())
    error = np.std(found) / np.sqrt(4000)
    assert abs(pixel_scores(truth, one).precision - np.mean(found)) < 5 * error + 1e-12


def test_the_brightest_by_hand():
    y, score = images(4, 16, ties=False)
    flux = np.random.default_rng(5).lognormal(size=y.shape)
    found = pixel_scores(y, score, selection="brightest", n_brightest=10, flux=flux)
    auc, shares = [], []
    for truth, one, bright in zip(y, score, flux, strict=True):
        chosen = truth.ravel() & (bright.ravel() >= np.sort(bright[truth])[-10])
        assert chosen.sum() == 10
        auc.append(roc_auc_score(chosen, one.ravel()))
        shares.append(chosen[np.argsort(-one.ravel())[:10]].mean())
    np.testing.assert_allclose([found.auc, found.precision], [np.mean(auc), np.mean(shares)])
    every = pixel_scores(y, score, selection="brightest", n_brightest=1000, flux=flux)
    np.testing.assert_array_equal(np.hstack(every), np.hstack(pixel_scores(y, score)))
    left_out = flux < np.quantile(flux, 0.9)
    faint = pixel_scores(
        y, score, selection="brightest", n_brightest=10, flux=flux, sample_weight=left_out
    )
    expected = pixel_scores(
        y & left_out,
        np.where(left_out, score, -99),
        selection="brightest",
        n_brightest=10,
        flux=flux,
    )
    assert faint.precision == expected.precision


def test_what_has_no_weight_counts_for_nothing():
    y, score = images(ties=False)
    hidden = np.random.default_rng(2).random(y.shape) < 0.2
    labels, spoilt = y.astype(np.uint8), score.copy()
    labels[hidden], spoilt[hidden] = 255, np.nan
    found = pixel_scores(labels, spoilt, sample_weight=~hidden)
    expected = pixel_scores(y, score, sample_weight=~hidden)
    np.testing.assert_array_equal(np.hstack(found), np.hstack(expected))


def test_images_of_one_class_are_left_out():
    y, score = images(4)
    y[1], y[2] = False, True
    found = pixel_scores(y, score)
    assert found.n_images == 2
    assert found.auc == pytest.approx(pixel_scores(y[[0, 3]], score[[0, 3]]).auc)
    with pytest.raises(ValueError, match="y_true has no image with both classes, 0 true pixels"):
        pixel_scores(y[1], score[1])


def test_scores_of_any_kind_and_infinite_ones():
    y, score = images(3)
    found = pixel_scores(y, score)
    for kind in (np.float32, np.int16, np.int8, ">f4", np.float16):
        np.testing.assert_allclose(pixel_scores(y, score.astype(kind)).auc, found.auc, rtol=1e-12)
    ends = np.where(score < -3, -np.inf, np.where(score > 3, np.inf, score))
    merged = np.where(score < -3, -99, np.where(score > 3, 99, score))
    assert pixel_scores(y, ends).auc == pixel_scores(y, merged).auc
    assert pixel_scores(y, np.zeros(y.shape)).auc == 0.5


def test_fast():
    rng = np.random.default_rng(0)
    y = rng.random((400, 64, 64)) < 0.3
    score = rng.normal(size=y.shape).astype(np.float32) + y
    start = time.perf_counter()
    pixel_scores(y, score)
    # 0.3 s, unless the machine does other work
    assert time.perf_counter() - start < 3.0


@pytest.mark.parametrize(
    "change, match",
    [
        ({"y_true": np.full((2, 3, 3), 2)}, "y_true has 2; expected labels 0 and 1"),
        ({"score": np.full((2, 3, 3), np.nan)}, "score has 18 NaN"),
        ({"score": np.zeros((2, 3, 4))}, r"score has 2 image\(s\) of 12 pixels; expected 2 of 9"),
        ({"y_true": np.zeros(3)}, r"y_true has shape \(3,\); expected \(h, w\) or \(n, h, w\)"),
        ({"y_true": np.zeros((0, 3, 3))}, r"y_true has shape \(0, 3, 3\)"),
        ({"score": np.zeros((2, 3, 3), complex)}, "score has dtype complex128; expected numbers"),
        ({"score": [np.zeros((3, 3)), np.zeros((4, 4))]}, "score has images of different shapes"),
        ({"y_true": np.zeros((2, 3, 3))}, "no image with both classes"),
        ({"selection": "some"}, "selection='some'; expected 'all' or 'brightest'"),
        ({"selection": "brightest"}, "flux is None"),
        ({"selection": "brightest", "flux": np.ones((3, 3))}, "flux has"),
        ({"selection": "brightest", "flux": np.full((2, 3, 3), np.nan)}, "flux has NaN"),
        ({"selection": "brightest", "flux": np.ones((2, 3, 3)), "n_brightest": 0}, "n_brightest=0"),
        ({"fpr_levels": [2.0]}, "fpr_levels=.*expected rates between 0 and 1"),
        ({"sample_weight": -np.ones((2, 3, 3))}, "sample_weight has values from -1"),
        ({"sample_weight": np.ones(2)}, r"sample_weight has shape \(2,\)"),
    ],
)
def test_bad_input(change, match):
    y = np.zeros((2, 3, 3), bool)
    y[:, 0] = True
    good = {"y_true": y, "score": np.arange(18.0).reshape(2, 3, 3)}
    pixel_scores(**good)
    with pytest.raises(ValueError, match=match):
        pixel_scores(**(good | change))


class Shifted(BaseEstimator):
    """Says the image minus another one, some of the way."""

    def __init__(self, way=1.0):
        self.way = way

    def fit(self, X, y):
        self.shape_ = np.shape(y)[1:]
        self.noise_ = np.random.default_rng(0).normal(size=self.shape_[-2:])
        return self

    def predict_proba(self, X):
        maps = self.way * X + (1 - self.way) * self.noise_
        return (
            np.broadcast_to(maps[:, None], (len(X), *self.shape_)) if len(self.shape_) > 2 else maps
        )


def test_a_scorer_for_a_grid_search():
    y, score = images(8, ties=False)
    scorer = make_pixel_scorer("auc")
    search = GridSearchCV(Shifted(), {"way": [0.1, 1.0]}, scoring=scorer, cv=2).fit(score, y)
    assert search.best_params_ == {"way": 1.0}
    parts = [pixel_scores(y[half], score[half]).auc for half in (slice(4), slice(4, 8))]
    assert search.best_score_ == pytest.approx(np.mean(parts))
    assert repr(pickle.loads(pickle.dumps(scorer))) == "make_pixel_scorer('auc')"
    model = Shifted().fit(score, y)
    assert make_pixel_scorer()(model, score, y) == pixel_scores(y, score).average_precision
    level = make_pixel_scorer("tpr", fpr_level=0.1)
    assert level(model, score, y) == pixel_scores(y, score, fpr_levels=[0.1]).tpr[0]


def test_a_scorer_of_several_labels_and_unknown_pixels():
    y, score = images(4, ties=False)
    several = np.stack([y, ~y], axis=1)
    model = Shifted().fit(score, several)
    both = [pixel_scores(one, score).auc for one in (y, ~y)]
    assert make_pixel_scorer("auc")(model, score, several) == pytest.approx(np.mean(both))
    labels = y.astype(np.uint8)
    labels[:, :5] = 255
    found = make_pixel_scorer("auc")(Shifted().fit(score, y), score, labels)
    assert found == pytest.approx(pixel_scores(y[:, 5:], score[:, 5:]).auc)


def test_bad_scorers():
    with pytest.raises(ValueError, match="metric='iou'; expected 'average_precision'"):
        make_pixel_scorer("iou")
    with pytest.raises(ValueError, match="fpr_level=None with metric='tpr'"):
        make_pixel_scorer("tpr")
    with pytest.raises(ValueError, match="fpr_level=0.1 with metric='auc'"):
        make_pixel_scorer("auc", fpr_level=0.1)
    y, score = images(2)
    with pytest.raises(ValueError, match="estimator is a BaseEstimator"):
        make_pixel_scorer()(BaseEstimator(), score, y)
    with pytest.raises(ValueError, match=r"y has shape \(2, 20, 20\) and the scores"):
        make_pixel_scorer()(Shifted().fit(score, y), score[:, :5, :, None], y)
