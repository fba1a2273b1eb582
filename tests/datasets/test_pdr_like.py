"""The synthetic grid: what it promises on anomalies, truth, seeds and difficulty."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from skastro.datasets import make_pdr_like
from skastro.datasets.slab import fronts


@pytest.fixture(scope="module")
def pdr():
    return make_pdr_like(n_models=5000, n_outputs=100, anomaly_fraction=0.05, n_test=500)


@pytest.fixture(scope="module")
def full():
    return make_pdr_like(n_test=800)


def test_structure(full):
    assert full.data.shape == (19208, 4) and full.grid_shape == (14, 14, 14, 7)
    assert full.target.shape == full.mask.shape == full.sharp_mask.shape == (19208, 200)
    assert full.data_test.shape == (800, 4) and full.target_test.shape == (800, 200)
    assert full.mask.all() and len(set(full.target_names)) == 200
    for y in (full.target, full.target_clean, full.target_test):
        assert np.isfinite(y).all() and y.min() > np.finfo(np.float32).tiny
    nodes = np.meshgrid(
        np.linspace(5, 9, 14),
        np.linspace(0, 5, 14),
        np.linspace(0, 1.6, 14),
        np.linspace(0, 60, 7),
        indexing="ij",
    )
    np.testing.assert_allclose(full.data, np.stack(nodes, -1).reshape(-1, 4))
    assert full.data_test.min(axis=0).min() >= 0
    assert np.all(full.data_test >= full.data.min(axis=0))
    assert np.all(full.data_test <= full.data.max(axis=0))


@pytest.mark.parametrize("fraction", [0.0, 1e-6, 0.009, 0.05, 0.3, 0.95])
def test_anomaly_counts_are_exact(fraction):
    bunch = make_pdr_like(300, 33, fraction, n_test=1)
    assert bunch.anomaly_mask.sum() == round(fraction * 300 * 33)
    # only the planted entries differ from the truth
    np.testing.assert_array_equal(bunch.anomaly_mask, bunch.target != bunch.target_clean)
    np.testing.assert_array_equal(bunch.anomaly_mask, bunch.anomaly_dex != 0)
    np.testing.assert_array_equal(bunch.anomaly_mask, bunch.anomaly_kind != 0)


def test_anomaly_sizes(pdr):
    measured = np.log10(pdr.target.astype(float) / pdr.target_clean)
    np.testing.assert_allclose(measured, pdr.anomaly_dex, atol=2e-6)
    size = np.abs(pdr.anomaly_dex[pdr.anomaly_mask])
    assert size.min() >= 0.1 - 1e-6 and size.max() <= 2.0 + 1e-6
    kinds = np.bincount(pdr.anomaly_kind.ravel(), minlength=4)[1:] / pdr.anomaly_mask.sum()
    assert np.all(np.abs(kinds - 1 / 3) < 0.03)


def test_kinds_of_anomalies(pdr):
    hot, cold = fronts(*pdr.data[:, :3].T)
    branch_rows = (pdr.anomaly_kind == 1).any(axis=1)
    assert np.all((hot > cold)[branch_rows])  # only where two branches exist
    failed = (pdr.anomaly_kind == 2).any(axis=1)
    assert failed.any() and (pdr.anomaly_kind[failed] == 2).all()
    # a failed model is off by the same sign and about the same size in all its outputs
    sign = np.sign(pdr.anomaly_dex[failed])
    assert np.all(sign == sign[:, :1])
    assert pdr.anomaly_dex[failed].std(axis=1).max() < 0.25


def test_neighbouring_branch_is_a_solution_of_the_code(pdr):
    """A model solved from a cold start: the entries kept are that solution, exactly."""
    from skastro.datasets.pdr_like import _lines
    from skastro.datasets.slab import line_table

    entries = (pdr.anomaly_kind == 1) & (np.abs(pdr.anomaly_dex) < 1.999)
    rows = np.flatnonzero(entries.any(axis=1))[:20]
    other, _ = _lines(pdr.data[rows], line_table(100), branch="cold")
    kept = entries[rows]
    np.testing.assert_allclose(pdr.target[rows][kept], other[kept], rtol=1e-4)


def test_bistability_covers_a_good_part_of_the_grid(full):
    hot, cold = fronts(*full.data[:, :3].T)
    assert 0.2 < (hot > cold).mean() < 0.5


def test_sharp_mask_marks_what_interpolation_misses(full):
    """The mean of the neighbours errs most on sharp entries."""
    shape = full.grid_shape
    log_y = np.log10(full.target_clean).reshape(*shape, -1)
    sharp = full.sharp_mask.reshape(*shape, -1)
    assert 0.02 < sharp.mean() < 0.15
    middle = np.abs(log_y[1:-1] - 0.5 * (log_y[2:] + log_y[:-2]))
    assert np.median(middle[sharp[1:-1]]) > 10 * np.median(middle[~sharp[1:-1]])
    # highest pressure, weakest field: cold all around, nothing switches
    assert not sharp[-1, 0].any()


def test_sharp_mask_is_about_the_truth_not_the_anomalies():
    few, many = (make_pdr_like(648, 20, f, n_test=1) for f in (0.0, 0.4))
    np.testing.assert_array_equal(few.sharp_mask, many.sharp_mask)
    np.testing.assert_array_equal(few.target_clean, many.target_clean)


def test_test_models_are_clean_and_the_same_code(pdr):
    """The code run at the nodes gives the nodes: train and test come from one function."""
    from skastro.datasets.pdr_like import _lines
    from skastro.datasets.slab import line_table

    again, _ = _lines(pdr.data[::97], line_table(100))
    np.testing.assert_allclose(again, pdr.target_clean[::97], rtol=1e-5)


def test_seeds():
    a, b = (make_pdr_like(500, 20, 0.05, 50, random_state=3) for _ in range(2))
    c = make_pdr_like(500, 20, 0.05, 50, random_state=4)
    for key in ("data", "target", "target_clean", "anomaly_dex", "data_test", "target_test"):
        assert a[key].tobytes() == b[key].tobytes()
        assert a[key].tobytes() != c[key].tobytes()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    make_pdr_like(10, 16, 0.1, 1, random_state=0)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("n_models", [2, 8, 9, 128, 1000])
def test_any_number_of_models(n_models):
    bunch = make_pdr_like(n_models, 16, 0.01, 5)
    assert len(bunch.data) == len(bunch.target) == n_models
    assert len(np.unique(bunch.data, axis=0)) == n_models
    assert (bunch.grid_shape is not None) == (n_models in (8, 128))


def test_as_hard_as_the_published_measurements(full):
    """Within a factor of about 1.5 of the linear interpolator's table: mean 16.5 %, median
    1.1 %, 99th percentile x3.2."""
    axes = [np.unique(full.data[:, i]) for i in range(4)]
    values = np.log10(full.target_clean).reshape(*full.grid_shape, -1)
    predicted = RegularGridInterpolator(axes, values)(full.data_test)
    error = 10 ** np.abs(predicted - np.log10(full.target_test)) - 1
    assert 0.10 < error.mean() < 0.25
    assert 0.007 < np.median(error) < 0.017
    assert 1.4 < np.percentile(error, 99) < 3.6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_models", 1),
        ("n_models", 100.0),
        ("n_outputs", 15),
        ("n_outputs", True),
        ("n_test", -1),
        ("anomaly_fraction", 1.0),
        ("anomaly_fraction", -0.1),
        ("anomaly_fraction", np.nan),
        ("anomaly_fraction", "few"),
    ],
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=f"{name}=.*expected") as caught:
        make_pdr_like(**{name: value})
    assert "\n" not in str(caught.value)
