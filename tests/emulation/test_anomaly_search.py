"""The search for wrong models, from the estimator: robust fit, report, fit again."""

import numpy as np
import pytest

from skastro.emulation import AnomalyReport, ModelEmulator
from skastro.metrics import error_factor


class Grid:
    """A smooth grid with a sharp but true step, and planted anomalies."""

    def __init__(self):
        rng = np.random.default_rng(0)
        axis = np.linspace(0.0, 2.0, 9)
        self.data = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
        self.data_test = rng.uniform(0.0, 2.0, (600, 3))
        self.slopes = rng.normal(size=(3, 8))
        clean = self.truth(self.data)
        self.anomaly_mask = rng.uniform(size=clean.shape) < 0.03
        sign = rng.choice([-1.0, 1.0], clean.shape)
        self.anomaly_dex = np.where(
            self.anomaly_mask, sign * rng.uniform(0.1, 1.5, clean.shape), 0.0
        )
        self.target = 10.0 ** (clean + self.anomaly_dex)
        self.target_test = 10.0 ** self.truth(self.data_test)
        self.sharp_mask = np.abs(self.data @ [1.0, 0.3, 0.0] - 1.4) < 0.2

    def truth(self, X):
        """log10 of the outputs."""
        step = 0.8 * (X @ [1.0, 0.3, 0.0] > 1.4)
        return X @ self.slopes / 2 + np.sin(X @ self.slopes[::-1]) / 4 + step[:, None]


@pytest.fixture(scope="module")
def grid():
    return Grid()


def emulator(**parameters):
    settings = dict(
        max_epochs=40,
        random_state=0,
        on_extrapolation="ignore",
        hidden=(64,) * 4,
        n_members=1,
        lr=5e-3,
    )
    return ModelEmulator(**settings | parameters)


@pytest.fixture(scope="module")
def report(grid):
    return emulator().find_anomalies(grid.data, grid.target)


@pytest.fixture(scope="module")
def models(grid):
    """One for each way with the anomalies."""
    return {
        how: emulator(anomalies=how).fit(grid.data, grid.target)
        for how in (None, "remove", "downweight")
    }


def test_planted_anomalies_are_found_and_the_sharp_step_is_left(grid, report):
    large = np.abs(grid.anomaly_dex) > np.log10(2.0)
    large_found = report.mask & (np.abs(report.residual) > np.log10(2.0))
    assert report.mask[large].mean() > 0.95
    assert grid.anomaly_mask[large_found].mean() > 0.95
    clean = grid.sharp_mask[:, None] & ~grid.anomaly_mask
    assert report.mask[clean].mean() < 0.01


def test_a_step_that_the_network_misses_is_suspect_rather_than_wrong(grid):
    report = emulator(hidden=(16,), max_epochs=80).find_anomalies(grid.data, grid.target)
    clean = grid.sharp_mask[:, None] & ~grid.anomaly_mask
    assert report.suspects[clean].mean() > 0.1
    assert report.suspects[clean].mean() > 2 * report.mask[clean].mean()


def test_report_is_sorted_editable_and_drawn(grid, report):
    pytest.importorskip("matplotlib").use("Agg")
    table = report.table(20)
    assert len(table) == 20 and (np.diff(table["score"]) <= 0).all()
    row = table[0]
    assert (
        report.score[row["row"], row["output"]] == report.score[report.mask | report.suspects].max()
    )
    assert isinstance(report, AnomalyReport) and "of 5832 entries" in repr(report)
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


def test_removing_anomalies_beats_keeping_them(grid, models):
    # the mean is ruled by the few test rows beside the step
    errors = {
        how: error_factor(grid.target_test, model.predict(grid.data_test), aggregate="median")
        for how, model in models.items()
    }
    assert errors["remove"] < 0.5 * errors[None]
    assert errors["downweight"] < 0.5 * errors[None]
    assert models["downweight"].anomaly_report_.mask.any()


def test_kriging_is_left_out_where_wrong_models_would_pull_it(grid, models):
    raw = models[None]
    assert raw.design_.kriging and raw.kriging_ is None
    cleaned = models["remove"]
    assert cleaned.kriging_ is not None and cleaned.kriging_.ratio_ < 1.0
    forced = emulator(kriging=True).fit(grid.data, grid.target)
    assert forced.kriging_.ratio_ > 2.0


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
