"""The Gaussian process of many outputs."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from skastro.emulation.baselines import GaussianProcessEmulator


def test_one_output_on_all_rows_is_scikit_learns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = np.sin(X[:, 0]) + 0.3 * X[:, 1] + 0.05 * rng.normal(size=60)
    kernel = RBF(np.ones(2)) + WhiteKernel(1e-3, (1e-9, 1.0))
    scaled, z = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    direct = GaussianProcessRegressor(kernel, alpha=1e-10).fit(scaled, z)
    fitted = GaussianProcessEmulator(kernel=kernel, log_targets=None, random_state=0).fit(X, y)
    np.testing.assert_allclose(fitted.kernel_.theta, direct.kernel_.theta, atol=1e-3)
    expected = direct.predict(scaled[:5] + 0.1) * y.std() + y.mean()
    found = fitted.predict((scaled[:5] + 0.1) * X.std(axis=0) + X.mean(axis=0))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mixtures_find_the_scales_of_all_outputs():
    rng = np.random.default_rng(0)
    X = rng.random((80, 2))
    # forty outputs that vary five times as fast along the first input
    phase = rng.random((40, 2)) * 2 * np.pi
    Y = np.sin(10 * X[:, :1] + phase[:, 0]) + np.sin(2 * X[:, 1:] + phase[:, 1])
    fitted = GaussianProcessEmulator(log_targets=None, random_state=0).fit(X, Y)
    fast, slow = fitted.kernel_.k1.k2.length_scale
    assert fast < 0.5 * slow


def test_process_leaves_the_global_state_and_repeats(smooth_grid):
    X, Y, inside, _ = smooth_grid
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (
        GaussianProcessEmulator(random_state=3, n_tuning_samples=40).fit(X, Y).predict(inside)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_no_output_is_complete(smooth_grid):
    X, Y, inside, _ = smooth_grid
    mask = np.ones(Y.shape, dtype=bool)
    mask[[1, 5, 9], [0, 1, 2]] = False
    fitted = GaussianProcessEmulator(random_state=0).fit(X, Y, mask=mask)
    assert len(fitted.groups_) == 3 and fitted.filled_ == 0
    whole = GaussianProcessEmulator(random_state=0).fit(X, Y).predict(inside)
    assert np.abs(np.log10(fitted.predict(inside) / whole)).max() < 0.05


@pytest.mark.parametrize("name", ["n_mixtures", "n_tuning_samples"])
def test_bad_parameters(name):
    with pytest.raises(ValueError, match=f"{name}=0; expected 1 or more"):
        GaussianProcessEmulator(**{name: 0}).fit([[0.0], [1.0]], [0.0, 1.0])
