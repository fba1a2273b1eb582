"""The search for wrong models, from the estimator: robust fit, report, fit again."""

import numpy as np
import pytest

from skastro.datasets import make_pdr_like
from skastro.emulation import AnomalyReport, ModelEmulator
from skastro.metrics import error_factor


@pytest.fixture(scope="module")
def grid():
    return make_pdr_like(3200, 24, 0.03, n_test=600, random_state=0)


def emulator(**parameters):
    settings = dict(max_epochs=40, random_state=0, on_extrapolation="ignore", hidden=(96,) * 4)
    return ModelEmulator(**settings | parameters)


@pytest.fixture(scope="module")
def report(grid):
    return emulator().find_anomalies(grid.data, grid.target)


def test_planted_anomalies_are_found_and_sharp_features_left(grid, report):
    large = np.abs(grid.anomaly_dex) > np.log10(2.0)
    large_found = report.mask & (np.abs(report.residual) > np.log10(2.0))
    assert report.mask[large].mean() > 0.9
    assert grid.anomaly_mask[large_found].mean() > 0.9
    # a grid six times coarser than the benchmark's: fronts are harder to tell from errors
    assert report.mask[grid.sharp_mask & ~grid.anomaly_mask].mean() < 0.03


def test_report_is_sorted_editable_and_drawn(grid, report):
    pytest.importorskip("matplotlib").use("Agg")
    table = report.table(20)
    assert len(table) == 20 and (np.diff(table["score"]) <= 0).all()
    row = table[0]
    assert (
        report.score[row["row"], row["output"]] == report.score[report.mask | report.suspects].max()
    )
    assert isinstance(report, AnomalyReport) and "of 76800 entries" in repr(report)
    edited = AnomalyReport(
        report.mask.copy(), report.suspects, report.score, report.residual, report.neighbors
    )
    edited.mask[:] = False
    assert (edited.weights() == 1.0).all() and (report.weights() == 0.0).any()
    axes = report.plot()
    assert len(axes.get_legend().get_texts()) == 3


def test_search_leaves_the_estimator_and_works_with_masks(grid):
    model = emulator(max_epochs=2)
    mask = np.random.default_rng(0).uniform(size=grid.target.shape) > 0.1
    report = model.find_anomalies(grid.data, grid.target, mask=mask)
    assert not hasattr(model, "net_")
    assert np.isnan(report.score[~mask]).all() and not report.mask[~mask].any()


def test_removing_anomalies_beats_keeping_them(grid):
    errors = {}
    for how in (None, "remove", "downweight"):
        model = emulator(anomalies=how).fit(grid.data, grid.target)
        errors[how] = error_factor(grid.target_test, model.predict(grid.data_test))
    assert errors["remove"] < 0.9 * errors[None]
    assert errors["downweight"] < errors[None]
    assert model.anomaly_report_.mask.any()


def test_a_whole_failed_neighbourhood_is_down_weighted_not_dropped(report):
    mask = np.zeros_like(report.mask)
    middle = report.neighbors[100]
    around = np.unique(np.concatenate([report.neighbors[row] for row in middle]))
    mask[np.union1d(middle, around), 3] = True
    mask[5, 7] = True
    crowd = AnomalyReport(mask, report.suspects, report.score, report.residual, report.neighbors)
    weights = crowd.weights("remove")
    assert weights[5, 7] == 0.0 and not crowd.unsupported()[5, 7]
    assert 0.0 < weights[middle[0], 3] < 0.5
    assert crowd.unsupported()[middle[0], 3]


def test_bad_how(report):
    with pytest.raises(
        ValueError, match="anomalies='drop'; expected 'remove', 'downweight' or None"
    ):
        report.weights("drop")
