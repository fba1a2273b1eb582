"""Catalogues and masks against matching and counting one by one."""

import numpy as np
import pytest
from astropy.table import Table

from skastro import segmentation_metrics
from skastro.detection_metrics import completeness_purity, object_scores
from skastro.segmentation import MatchedFilter


def catalog(n, seed, side=60):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.uniform(0, side, n),
        "y": rng.uniform(0, side, n),
        "flux": rng.lognormal(size=n),
    }


def closest_first(one, other, radius):
    """Pairs from the closest up, with loops."""
    pairs = [
        (np.hypot(one["x"][i] - other["x"][j], one["y"][i] - other["y"][j]), i, j)
        for i in range(len(one["x"]))
        for j in range(len(other["x"]))
    ]
    left, right, found = set(), set(), []
    for distance, i, j in sorted(pairs):
        if distance <= radius and i not in left and j not in right:
            left.add(i)
            right.add(j)
            found.append((i, j))
    return np.array(sorted(found)).reshape(-1, 2)


@pytest.mark.parametrize("radius", [0.3, 2.0, 10.0])
def test_pairs_by_brute_force(radius):
    found, truth = catalog(90, 0), catalog(120, 1)
    scores = completeness_purity(found, truth, radius, flux_bins=[0.2, 1, 5])
    matches = closest_first(found, truth, radius)
    np.testing.assert_array_equal(scores.matches, matches)
    for k, (low, high) in enumerate(((0.2, 1), (1, 5))):
        real = np.flatnonzero((truth["flux"] >= low) & (truth["flux"] < high))
        mine = np.flatnonzero((found["flux"] >= low) & (found["flux"] < high))
        assert (scores.n_true[k], scores.n_detected[k]) == (len(real), len(mine))
        assert scores.completeness[k] == np.isin(real, matches[:, 1]).mean()
        assert scores.purity[k] == np.isin(mine, matches[:, 0]).mean()
    assert scores.total_completeness == len(matches) / 120
    assert scores.total_purity == len(matches) / 90


def test_bins_of_equal_count_leave_nothing_out():
    found, truth = catalog(50, 2), catalog(80, 3)
    found["flux"][:3] = [-5.0, 1e9, 0.0]
    scores = completeness_purity(found, truth, 2.0, flux_bins=4)
    assert scores.n_true.tolist() == [20] * 4 and scores.n_detected.sum() == 50
    share = np.average(scores.completeness, weights=scores.n_true)
    assert share == pytest.approx(scores.total_completeness)
    same = completeness_purity(found, dict(truth, flux=np.ones(80)), 2.0)
    assert same.n_true.sum() == 80


def test_the_truth_finds_itself():
    truth = catalog(40, 4)
    scores = completeness_purity(Table(truth), truth, 1e-6)
    assert scores.total_completeness == scores.total_purity == 1.0
    assert scores.matches.tolist() == [[i, i] for i in range(40)]
    nothing = completeness_purity({"x": [], "y": [], "flux": []}, truth, 1.0)
    assert nothing.total_completeness == 0.0 and np.isnan(nothing.total_purity)
    assert np.isnan(nothing.purity).all() and len(nothing.matches) == 0


def test_a_catalogue_of_a_matched_filter():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    places = np.stack(np.meshgrid([12, 36, 60, 84], [12, 36, 60, 84]), -1).reshape(-1, 2)
    flux = np.geomspace(2, 400, 16)
    image = rng.normal(size=(96, 96))
    for (a, b), f in zip(places, flux, strict=True):
        image += f * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2) / (2 * np.pi)
    table = MatchedFilter(fwhm=2.355, threshold=5).fit(image[None]).detect(image)
    truth = {"x": places[:, 0], "y": places[:, 1], "flux": flux}
    scores = completeness_purity(table, truth, 1.5, flux_bins=[0, 8, 30, 500])
    assert scores.completeness[0] < 0.5 and scores.completeness[2] == 1.0
    assert scores.total_purity == 1.0


@pytest.mark.parametrize(
    "change, match",
    [
        ({"radius": 0}, "radius=0; expected a positive finite number"),
        ({"radius": np.nan}, "radius=nan"),
        ({"truth": {"x": [], "y": [], "flux": []}}, "truth has no source"),
        ({"truth": {"x": [1.0], "y": [1.0]}}, "truth has no numbers 'flux'"),
        ({"detections": {"x": [1.0], "y": [1.0, 2.0], "flux": [1.0]}}, "detections has columns of"),
        (
            {"detections": {"x": [np.nan], "y": [1.0], "flux": [1.0]}},
            "detections has NaN or infinity",
        ),
        (
            {"detections": {"x": [1.0], "y": [1.0], "flux": [np.nan]}},
            "detections has NaN or infinity",
        ),
        ({"detections": np.ones((3, 3))}, "detections has no numbers 'x'"),
        ({"flux_bins": 0}, "flux_bins=0; expected a whole number from 1"),
        ({"flux_bins": [3, 2]}, r"flux_bins=\[3, 2\]; expected .* rising edges"),
    ],
)
def test_bad_catalogues(change, match):
    good = {"detections": catalog(5, 0), "truth": catalog(5, 1), "radius": 1.0}
    with pytest.raises(ValueError, match=match):
        completeness_purity(**(good | change))


def neighbours(mask, connectivity):
    """Connected pixels, by flooding."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    if connectivity == 8:
        steps += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    left, objects = set(map(tuple, np.argwhere(mask))), []
    while left:
        edge, one = [left.pop()], set()
        while edge:
            n, i, j = edge.pop()
            one.add((n, i, j))
            for a, b in steps:
                if (n, i + a, j + b) in left:
                    left.remove((n, i + a, j + b))
                    edge.append((n, i + a, j + b))
        objects.append(one)
    return objects


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("overlap", ["covered", "iou"])
@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
def test_objects_by_brute_force(connectivity, overlap, fraction):
    rng = np.random.default_rng(0)
    truth = rng.random((3, 24, 24)) < 0.25
    found = np.where(rng.random(truth.shape) < 0.25, rng.random(truth.shape) < 0.2, truth)
    found[2] = rng.random((24, 24)) < 0.1
    scores = object_scores(
        truth, found, fraction=fraction, overlap=overlap, connectivity=connectivity
    )
    real, mine = neighbours(truth, connectivity), neighbours(found, connectivity)
    predicted = set().union(*mine)
    if overlap == "covered":
        n_found = sum(len(one & predicted) / len(one) >= fraction for one in real)
    else:
        n_found = sum(max(len(a & b) / len(a | b) for b in mine) >= fraction for a in real)
    n_false = sum(not (one & set().union(*real)) for one in mine)
    assert scores[2:] == (len(real), len(mine), n_found, n_false)
    assert scores.completeness == n_found / len(real)
    assert scores.contamination == n_false / len(mine)


def test_objects_end_at_their_image_and_at_the_mask():
    truth = np.zeros((2, 4, 4), bool)
    truth[:, 1:3, 1:3] = True
    assert object_scores(truth, truth) == (1.0, 0.0, 2, 2, 2, 0)
    mask = np.ones(truth.shape, bool)
    mask[1] = False
    assert object_scores(truth, truth, mask=mask).n_true == 1
    nothing = object_scores(truth, 0 * truth.astype(int))
    assert nothing.completeness == 0.0 and np.isnan(nothing.contamination)
    assert np.isnan(object_scores(np.zeros((3, 3)), np.ones((3, 3))).completeness)


@pytest.mark.parametrize(
    "change, match",
    [
        ({"y_pred": np.zeros((3, 4))}, r"y_pred has shape \(1, 3, 4\); expected \(1, 3, 3\)"),
        ({"y_true": np.full((3, 3), 0.5)}, "y_true has .*0.5.*; expected a mask of 0 and 1"),
        ({"y_true": np.full((3, 3), np.nan)}, "y_true has .*nan"),
        ({"y_true": np.zeros(3)}, r"y_true has shape \(3,\)"),
        ({"mask": np.ones((4, 4))}, "mask has shape"),
        ({"fraction": 0.0}, "fraction=0.0; expected a number above 0"),
        ({"overlap": "dice"}, "overlap='dice'"),
        ({"connectivity": 6}, "connectivity=6; expected 4 or 8"),
    ],
)
def test_bad_masks(change, match):
    good = {"y_true": np.eye(3), "y_pred": np.ones((3, 3))}
    with pytest.raises(ValueError, match=match):
        object_scores(**(good | change))


def test_they_are_found_beside_the_scores_of_pixels():
    assert segmentation_metrics.object_scores is object_scores
    assert segmentation_metrics.completeness_purity is completeness_purity
