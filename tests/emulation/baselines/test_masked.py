"""What all baselines share, and scikit-learn's checks over each."""

import pickle

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from skastro.emulation.baselines import (
    GaussianProcessEmulator,
    LinearInterpolationRegressor,
    NearestModelRegressor,
    PerOutputRegressor,
    RBFInterpolationRegressor,
    SplineInterpolationRegressor,
)
from skastro.emulation.baselines.masked import standardise
from skastro.metrics import error_factor_scorer

ALL = [
    NearestModelRegressor(),
    LinearInterpolationRegressor(),
    SplineInterpolationRegressor(),
    RBFInterpolationRegressor(kernel="linear"),
    RBFInterpolationRegressor(kernel="cubic"),
    RBFInterpolationRegressor(kernel="quintic"),
    RBFInterpolationRegressor(kernel="cubic", neighbors=20),
    GaussianProcessEmulator(random_state=0),
    PerOutputRegressor(Ridge(alpha=1e-3)),
    PerOutputRegressor(KNeighborsRegressor(n_neighbors=3)),
]


@pytest.mark.filterwarnings("ignore:A triangulation of:UserWarning")
@pytest.mark.filterwarnings("ignore:.*of a regular grid:UserWarning")
# all but k nearest neighbours, whose fit takes no weights: see test_per_output.py
@parametrize_with_checks(ALL[:-1])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ALL[:8], ids=repr)
def test_every_interpolator_passes_through_the_models(smooth_grid, estimator):
    X, Y, _, _ = smooth_grid
    order = np.random.default_rng(1).permutation(len(X))
    fitted = clone(estimator).fit(X[order], Y[order])
    # the process has a noise term
    tolerance = 1e-2 if isinstance(estimator, GaussianProcessEmulator) else 1e-6
    np.testing.assert_allclose(fitted.predict(X), Y, rtol=tolerance)


@pytest.mark.parametrize(
    "estimator, dex",
    [
        (LinearInterpolationRegressor(), 0.03),
        (LinearInterpolationRegressor(grid=False), 0.2),
        (SplineInterpolationRegressor(), 1e-3),
        (RBFInterpolationRegressor(kernel="cubic"), 0.1),
        (RBFInterpolationRegressor(kernel="quintic"), 0.1),
        (GaussianProcessEmulator(random_state=0), 0.1),
    ],
    ids=repr,
)
def test_accuracy_between_models(smooth_grid, estimator, dex):
    X, Y, inside, truth = smooth_grid
    found = clone(estimator).fit(X, Y).predict(inside)
    assert np.abs(np.log10(found / truth)).max() < dex


@pytest.mark.parametrize("estimator", ALL, ids=repr)
def test_masked_entries_are_as_if_their_rows_were_absent(smooth_grid, estimator):
    X, Y, inside, _ = smooth_grid
    mask = np.ones(Y.shape, dtype=bool)
    mask[::5, 1] = False
    fitted = clone(estimator).fit(X, Y, mask=mask)
    assert len(fitted.groups_) == 2
    # garbage behind the mask, and NaN, are the same thing
    junk = clone(estimator).fit(X, np.where(mask, Y, 1e30), mask=mask).predict(inside)
    nan = clone(estimator).fit(X, np.where(mask, Y, np.nan)).predict(inside)
    np.testing.assert_allclose(junk, fitted.predict(inside), rtol=1e-10)
    np.testing.assert_allclose(nan, junk, rtol=1e-10)
    assert np.isfinite(junk).all()
    # the outputs without holes know nothing of it
    if not isinstance(estimator, (GaussianProcessEmulator, PerOutputRegressor)):
        whole = clone(estimator).fit(X, Y).predict(inside)
        np.testing.assert_allclose(junk[:, [0, 2]], whole[:, [0, 2]], rtol=1e-8)


@pytest.mark.parametrize("estimator", ALL, ids=repr)
def test_many_patterns_are_filled(smooth_grid, estimator):
    X, Y, inside, _ = smooth_grid
    mask = np.random.default_rng(0).random(Y.shape) < 0.9
    fitted = clone(estimator).set_params(max_patterns=2).fit(X, Y, mask=mask)
    assert len(fitted.groups_) == 1 and fitted.filled_ == (~mask).sum()
    assert np.isfinite(fitted.predict(inside)).all()


@pytest.mark.parametrize("estimator", ALL, ids=repr)
def test_outputs_by_name_and_index(smooth_grid, estimator):
    X, Y, inside, _ = smooth_grid
    frame = pd.DataFrame(Y, columns=["CO", "C+", "H2"])
    frame.iloc[3, 1] = np.nan
    fitted = clone(estimator).fit(X, frame)
    assert fitted.output_names_.tolist() == ["CO", "C+", "H2"]
    whole = fitted.predict(pd.DataFrame(inside, index=np.arange(50) + 7).to_numpy())
    assert list(whole.columns) == ["CO", "C+", "H2"]
    part = fitted.predict(inside, outputs=["H2", "C+"])
    assert list(part.columns) == ["H2", "C+"]
    # summation order differs with the number of columns
    np.testing.assert_allclose(part, whole[["H2", "C+"]], rtol=1e-10)
    np.testing.assert_allclose(fitted.predict(inside, outputs=[1]), whole[["C+"]], rtol=1e-10)
    with pytest.raises(ValueError, match="unknown name"):
        fitted.predict(inside, outputs=["CN"])
    bare = clone(estimator).fit(X, frame.to_numpy())
    assert not hasattr(bare, "output_names_")
    np.testing.assert_allclose(bare.predict(inside), whole, rtol=1e-10)


def test_frames_keep_their_index_and_quantities_their_unit(smooth_grid):
    X, Y, inside, _ = smooth_grid
    frame = pd.DataFrame(inside, columns=["P", "G0", "Av"], index=np.arange(50) + 7)
    fitted = NearestModelRegressor().fit(pd.DataFrame(X, columns=frame.columns), pd.DataFrame(Y))
    assert fitted.predict(frame).index.equals(frame.index)
    fitted = NearestModelRegressor().fit(X * u.pc, Y * u.erg)
    found = fitted.predict((inside * u.pc).to(u.m))
    assert found.unit == u.erg
    np.testing.assert_array_equal(found.value, NearestModelRegressor().fit(X, Y).predict(inside))


def test_one_output_keeps_its_shape(smooth_grid):
    X, Y, inside, _ = smooth_grid
    fitted = RBFInterpolationRegressor().fit(X, Y[:, 0])
    assert fitted.predict(inside).shape == (50,)
    assert RBFInterpolationRegressor().fit(X, Y[:, :1]).predict(inside).shape == (50, 1)


def test_score_ignores_masked_entries(smooth_grid):
    X, Y, inside, truth = smooth_grid
    fitted = RBFInterpolationRegressor().fit(X, Y)
    mask = np.random.default_rng(0).random(truth.shape) < 0.7
    junk = np.where(mask, truth, 1e30)
    assert fitted.score(inside, junk, mask=mask) == fitted.score(
        inside, np.where(mask, truth, np.nan)
    )
    assert fitted.score(inside, junk, mask=mask) > 0.9 > fitted.score(inside, junk)


def test_duplicates_that_agree_are_merged(smooth_grid):
    X, Y, inside, _ = smooth_grid
    twice = np.r_[X, X[:20]], np.r_[Y, Y[:20]]
    for estimator in ALL[:8]:
        whole = clone(estimator).fit(X, Y).predict(inside)
        np.testing.assert_allclose(clone(estimator).fit(*twice).predict(inside), whole, rtol=1e-6)
    # a masked entry is known from its twin
    Y_nan = twice[1].copy()
    Y_nan[:20, 0] = np.nan
    found = RBFInterpolationRegressor().fit(twice[0], Y_nan)
    assert len(found.groups_) == 1


def test_inputs_that_do_not_vary_are_left_out(smooth_grid):
    X, Y, inside, truth = smooth_grid
    wide = np.c_[X, np.full(len(X), 3.0), X[:, 0] + X[:, 1]]
    points = np.c_[inside, np.full(50, 3.0), inside[:, 0] + inside[:, 1]]
    for estimator in (RBFInterpolationRegressor(), LinearInterpolationRegressor(grid=False)):
        found = clone(estimator).fit(wide, Y).predict(points)
        assert np.abs(np.log10(found / truth)).max() < 0.3
    constant = SplineInterpolationRegressor().fit(wide[:, :4], Y)
    direct = SplineInterpolationRegressor().fit(X, Y)
    np.testing.assert_allclose(constant.predict(points[:, :4]), direct.predict(inside), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:A triangulation of:UserWarning")
@pytest.mark.parametrize("estimator", ALL, ids=repr)
def test_pickle(smooth_grid, estimator):
    X, Y, inside, _ = smooth_grid
    fitted = clone(estimator).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(inside), fitted.predict(inside))


def test_grid_search_over_kernels(smooth_grid):
    X, Y, _, _ = smooth_grid
    search = GridSearchCV(
        RBFInterpolationRegressor(),
        {"kernel": ["linear", "cubic"]},
        scoring=error_factor_scorer,
        cv=4,
    ).fit(X, Y)
    assert search.best_params_["kernel"] == "cubic"


def test_standardise_with_weights_is_standardise_with_repeats():
    rng = np.random.default_rng(0)
    values, weight = rng.normal(3, 2, (30, 4)), rng.integers(0, 4, 30)
    values[:, 3] = 0.1 + 0.2
    found, mean, scale = standardise(values, weight)
    repeated = np.repeat(values, weight, axis=0)
    np.testing.assert_allclose(mean, repeated.mean(axis=0))
    np.testing.assert_allclose(scale[:3], repeated.std(axis=0)[:3])
    np.testing.assert_allclose(found[:, :3] * scale[:3] + mean[:3], values[:, :3])
    assert scale[3] == 1.0 and (found[:, 3] == 0.0).all()


X_BAD = np.random.default_rng(0).random((20, 2))
Y_BAD = X_BAD + 1.0


def fit(*args, **parameters):
    return NearestModelRegressor(**parameters).fit(*args)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: fit(X_BAD, Y_BAD, max_patterns=0), "max_patterns=0; expected 1 or more"),
        (lambda: fit(X_BAD[:1], Y_BAD[:1]), "1 sample"),
        (lambda: fit(np.where(X_BAD == X_BAD[3, 1], np.nan, X_BAD), Y_BAD),
         "X contains NaN at row 3, feature 1"),
        (lambda: fit(X_BAD, Y_BAD * [1, np.nan]), r"y has 1 output\(s\) with no valid entry"),
        (lambda: fit(X_BAD, Y_BAD, None, Y_BAD[:3] > 0), r"mask has shape \(3, 2\)"),
        (lambda: fit(X_BAD, -Y_BAD, log_targets="log10"), "log_targets='log10'"),
        (lambda: fit(X_BAD, Y_BAD, np.eye(20)[0]), "sample_weight is not zero in 1 row"),
        (lambda: fit(X_BAD, np.where(np.eye(20)[:, :2] > 0, 1.0, np.nan), 1 - np.eye(20)[0]),
         "sample_weight is 0 at every valid entry"),
        (lambda: fit(np.ones((5, 2)), np.ones(5)), "1 distinct row among 5"),
        (lambda: fit([[0.0], [0.0], [1.0]], [1.0, 2.0, 3.0]),
         r"duplicate rows with different targets \(\[0.0\], output 0\)"),
        (lambda: fit(X_BAD, np.where(np.arange(20) > 0, np.nan, 1.0)), "1 valid entry in output 0"),
        (lambda: fit(X_BAD, Y_BAD).predict(X_BAD[:, :1]), "X has 1 features"),
        (lambda: fit(X_BAD, Y_BAD).predict(X_BAD * np.nan), "X contains NaN"),
        (lambda: fit(X_BAD, Y_BAD).predict(X_BAD, outputs=[2]), "index 2; expected indices"),
        (lambda: fit(X_BAD, Y_BAD).predict(X_BAD, outputs=["CO"]), "are names, but"),
        (lambda: fit(X_BAD * u.pc, Y_BAD).predict(X_BAD * u.K), "expected one convertible to 'pc'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, match):
    with pytest.raises(ValueError, match=match) as error:
        call()
    assert "\n" not in str(error.value)
