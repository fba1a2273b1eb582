"""The region of the training inputs against brute force; contradicting rows."""

import pickle

import numpy as np
import pytest
from scipy.optimize import linprog

from skastro.emulation.support import Support, check_duplicates


def in_hull(points, X):
    """Whether each point is a convex combination of the rows of `X`, by linear programming."""
    A = np.vstack([X.T, np.ones(len(X))])
    return np.array(
        [
            linprog(np.zeros(len(X)), A_eq=A, b_eq=[*point, 1.0], bounds=(0, None)).status == 0
            for point in points
        ]
    )


@pytest.mark.parametrize("n_features", [1, 2, 3, 5])
@pytest.mark.parametrize("units", [1.0, 1e-12, 1e9])
def test_hull_against_linear_programming(n_features, units):
    scale, rng = units * 10.0 ** np.arange(n_features), np.random.default_rng(0)
    unit = rng.normal(size=(30, n_features))
    # both answers occur in any number of dimensions
    points = 2.0 * rng.normal(size=(60, n_features))
    points[:20] = unit[rng.integers(0, 30, (20, 3))].mean(axis=1)
    outside = Support("hull").fit(unit * scale).outside(points * scale)
    expected = ~in_hull(points, unit)
    assert 5 < expected.sum() < 60
    np.testing.assert_array_equal(outside, expected)


@pytest.mark.parametrize("kind", ["box", "hull"])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_training_rows_are_inside(kind, shift):
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(0, 1, 4)] * 3, indexing="ij")
    for X in (np.stack(axes, axis=-1).reshape(-1, 3), rng.normal(size=(100, 3))):
        X = X * [1.0, 1e-3, 1e3] + shift
        assert not Support(kind).fit(X).outside(X).any()
        # nor are those that went through float32
        if shift == 0:
            assert not Support(kind).fit(X).outside(X.astype("f4").astype(float)).any()


def test_box_against_brute_force():
    X, points = np.split(np.random.default_rng(0).normal(size=(220, 3)) * 1.5, [20])
    expected = [not all(X[:, j].min() <= p[j] <= X[:, j].max() for j in range(3)) for p in points]
    assert 0 < sum(expected) < 200
    np.testing.assert_array_equal(Support().fit(X).outside(points), expected)


def test_a_little_outside_is_outside():
    X = np.array([[0.0, 5.0], [10.0, 5.0], [3.0, 5.0]])
    support = Support().fit(X)
    points = np.array([[-1e-3, 5.0], [10.001, 5.0], [3.0, 5.001], [10.0, 5.0]])
    assert support.outside(points).tolist() == [True, True, True, False]


@pytest.mark.parametrize("n_features", [2, 3])
def test_hull_is_inside_the_box(n_features):
    # a simplex: the smallest hull there is, whatever the number of rows within
    corners = np.vstack([np.zeros(n_features), np.eye(n_features)])
    X = np.vstack([corners, np.full((5, n_features), 0.2)])
    for rows in (corners, X):
        hull = Support("hull").fit(rows)
        point = np.full((1, n_features), 0.9)
        assert hull.outside(point).all() and not hull.outside(point, "box").any()
        assert hull.outside(X).tolist() == [False] * len(X)
        assert hull.outside(np.zeros((0, n_features))).shape == (0,)


def test_pickle_leaves_the_triangulation_out():
    X, points = np.split(np.random.default_rng(0).normal(size=(150, 3)), [50])
    hull = Support("hull").fit(X)
    expected = hull.outside(points)
    loaded = pickle.loads(pickle.dumps(hull))
    assert not hasattr(loaded, "_triangulation")
    np.testing.assert_array_equal(loaded.outside(points), expected)


def test_fit_again():
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    cut, point = np.vstack([corners[:3], [0.6, 0.6]]), np.array([[0.9, 0.9]])
    hull = Support("hull").fit(cut)
    assert hull.outside(point).all()
    assert not hull.fit(corners).outside(point).any()


@pytest.mark.parametrize(
    "X, match",
    [
        (np.ones((9, 7)), "extrapolation='hull' with 7 inputs; expected at most 6: use 'box'"),
        (np.outer(np.arange(9.0), [1, 2]), "the 9 training inputs span no volume in 2 dimensions"),
        (np.c_[np.arange(9.0), np.ones(9)], "span no volume in 2 dimensions; expected more models"),
        (np.eye(3), "the 3 training inputs span no volume in 3 dimensions"),
    ],
)
def test_a_hull_that_cannot_be(X, match):
    with pytest.raises(ValueError, match=match) as error:
        Support("hull").fit(X)
    assert "\n" not in str(error.value)


def contradicts(X, Y, rtol):
    """Every pair, one by one."""
    for i in range(len(X)):
        for j in range(i):
            limit = rtol * np.maximum(np.abs(Y[i]), np.abs(Y[j]))
            if (X[i] == X[j]).all() and (np.abs(Y[i] - Y[j]) > limit).any():
                return True
    return False


@pytest.mark.parametrize("seed", range(8))
def test_duplicates_against_every_pair(seed):
    draw = np.random.default_rng(seed)
    X = draw.integers(0, 4, (12, 2)).astype(float)
    # targets that follow X: equal rows agree, until one entry is changed
    Y = np.stack([X @ [1.0, 10.0], X[:, 0] - 5.0], axis=1)
    check_duplicates(X, Y)
    Y[draw.integers(12), draw.integers(2)] *= 1.01
    if contradicts(X, Y, 1e-3):
        with pytest.raises(ValueError, match="of X are equal but output"):
            check_duplicates(X, Y)
    else:
        check_duplicates(X, Y)


def test_the_message_names_the_rows():
    X = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    Y = np.array([[1.0, 5.0], [2.0, 6.0], [1.0, 7.0]])
    match = "rows 0 and 2 of X are equal but output 1 of y is 5 and 7; expected one target"
    with pytest.raises(ValueError, match=match) as error:
        check_duplicates(X, Y)
    assert "\n" not in str(error.value)


def test_what_is_no_contradiction():
    X = np.zeros((2, 1))
    for Y in ([[1.0], [1.0]], [[1.0], [1.0009]], [[1.0], [np.nan]], [[0.0], [0.0]]):
        check_duplicates(X, np.array(Y))
    check_duplicates(np.array([[0.0], [1e-12]]), np.array([[1.0], [2.0]]))
    check_duplicates(X, np.array([[1.0], [1.5]]), rtol=0.5)
    with pytest.raises(ValueError, match="rows 0 and 1"):
        check_duplicates(X, np.array([[1.0], [1.002]]))


@pytest.mark.parametrize("values", [(1.0, np.nan, 2.0), (1.0, 1.0008, 1.0016)])
def test_contradiction_hidden_by_an_unknown_row(values):
    with pytest.raises(ValueError, match="rows 0 and 2 of X are equal"):
        check_duplicates(np.zeros((3, 2)), np.array(values)[:, None])
