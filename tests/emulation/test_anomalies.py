"""The test of isolation on planted residuals, against brute force; the report's arithmetic."""

import numpy as np
import pytest

from skastro.emulation import anomalies
from skastro.emulation.anomalies import AnomalyReport, flag_anomalies


def planted(n_samples=200, n_outputs=5, seed=0):
    """Noise of 0.01 dex with isolated errors of 1 dex and some unknown entries."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    residual = rng.normal(0, 0.01, (n_samples, n_outputs))
    wrong = rng.random(residual.shape) < 0.02
    residual[wrong] = rng.choice([-1.0, 1.0], wrong.sum())
    residual[(rng.random(residual.shape) < 0.05) & ~wrong] = np.nan
    return X, residual, wrong


def brute_force(X, residual, threshold=8.0, smallest=0.1, n_neighbors=8):
    """Mask and suspects, entry by entry."""
    mask, suspects = np.zeros(residual.shape, bool), np.zeros(residual.shape, bool)
    size = np.abs(residual)
    for j in range(residual.shape[1]):
        scatter = max(1.4826 * np.nanmedian(size[:, j]), 0.005)
        for i in range(len(X)):
            if not (size[i, j] > threshold * scatter and size[i, j] > smallest):
                continue
            distance = np.linalg.norm(X - X[i], axis=1)
            distance[i] = np.inf
            around = size[np.argsort(distance)[:n_neighbors], j]
            around = around[~np.isnan(around)]
            isolated = len(around) > 0 and np.median(around) < 0.5 * size[i, j]
            (mask if isolated else suspects)[i, j] = True
    return mask, suspects


@pytest.mark.parametrize(
    "settings",
    [{}, {"threshold": 60.0}, {"smallest": 1.5}, {"n_neighbors": 3}, {"threshold": 2.0, "smallest": 0.02}],
    ids=str,
)  # fmt: skip
def test_against_brute_force(settings):
    X, residual, wrong = planted()
    report = flag_anomalies(X, residual, **settings)
    mask, suspects = brute_force(X, residual, **settings)
    np.testing.assert_array_equal(report.mask, mask)
    np.testing.assert_array_equal(report.suspects, suspects)
    if not settings:
        np.testing.assert_array_equal(mask, wrong)


def test_blocks_of_columns_change_nothing(monkeypatch):
    X, residual, _ = planted()
    whole = flag_anomalies(X, residual)
    monkeypatch.setattr(anomalies, "BLOCK_ENTRIES", 200 * 8 * 2)
    blocks = anomalies._column_blocks((200, 5), 8)
    assert [(b.start, b.stop) for b in blocks] == [(0, 2), (2, 4), (4, 5)]
    part = flag_anomalies(X, residual)
    np.testing.assert_array_equal(part.mask, whole.mask)
    np.testing.assert_array_equal(part.crowding(), whole.crowding())


def test_score_and_residual():
    X, residual, _ = planted()
    residual[:, 2] /= 1000.0  # finer than a scatter of 0.005 dex is not believed
    report = flag_anomalies(X, residual)
    scatter = 1.4826 * np.nanmedian(np.abs(residual), axis=0)
    scatter[2] = 0.005
    np.testing.assert_allclose(report.score, np.abs(residual) / scatter, rtol=1e-12)
    assert report.residual is residual and not report.mask[:, 2].any()
    unknown = np.isnan(residual)
    assert unknown.any() and not (report.mask | report.suspects)[unknown].any()


def line(n=40):
    return np.arange(float(n))[:, None]


def test_a_sharp_feature_is_suspect_not_wrong():
    residual = np.full((40, 2), 0.01)
    residual[18:23, 0] = 0.8  # five in a row: the median of four neighbours is as bad
    residual[30, 1] = 0.8
    report = flag_anomalies(line(), residual, n_neighbors=4)
    assert np.argwhere(report.mask).tolist() == [[30, 1]]
    assert report.suspects[19:22, 0].all() and not report.suspects[:, 1].any()


def test_unknown_neighbours_contradict_nobody():
    residual = np.full((40, 1), 0.01)
    residual[18:23] = np.nan
    residual[20] = 0.8
    report = flag_anomalies(line(), residual, n_neighbors=4)
    assert report.suspects[20] and not report.mask.any()
    residual[18] = 0.01
    assert flag_anomalies(line(), residual, n_neighbors=4).mask[20]


def test_neighbors_are_the_nearest_without_the_row_itself():
    X = np.random.default_rng(0).normal(size=(30, 2))
    X[10:20] = X[10]  # rows of equal inputs hide each other
    neighbors = flag_anomalies(X, np.zeros((30, 1)), n_neighbors=4).neighbors
    assert neighbors.shape == (30, 4)
    for i, row in enumerate(neighbors):
        distance = np.linalg.norm(X - X[i], axis=1)
        assert i not in row and len(set(row)) == 4
        expected = np.sort(np.delete(distance, i))[:4]
        np.testing.assert_allclose(np.sort(distance[row]), expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("n_samples", [2, 5])
def test_fewer_rows_than_neighbours(n_samples):
    residual = np.full((n_samples, 1), 0.001)
    residual[0] = 1.0
    report = flag_anomalies(line(n_samples), residual)
    assert report.neighbors.shape == (n_samples, n_samples - 1)
    # of two rows, the median residual is half the error itself
    assert report.mask.ravel().tolist() == [n_samples > 2] + [False] * (n_samples - 1)


@pytest.fixture
def report():
    """Ten rows on a line, each with its two neighbours; three wrong in a row and one alone."""
    mask, suspects = np.zeros((10, 2), bool), np.zeros((10, 2), bool)
    mask[3:6, 0] = mask[8, 1] = suspects[1, 1] = True
    score = np.where(mask, 50.0, 1.0) + np.arange(20.0).reshape(10, 2)
    score[0, 0] = np.nan
    neighbors = np.array([[1, 2], *([i - 1, i + 1] for i in range(1, 9)), [7, 8]])
    return AnomalyReport(mask, suspects, score, score / 100, neighbors, ["CO", "H2"])


def test_crowding_against_a_loop(report):
    expected = [
        [np.mean([report.mask[k, j] for k in report.neighbors[i]]) for j in range(2)]
        for i in range(10)
    ]
    np.testing.assert_array_equal(report.crowding(), expected)
    assert np.argwhere(report.unsupported()).tolist() == [[4, 0]]


def test_weights(report):
    removed = report.weights()
    assert removed.dtype == np.float32
    # each of the three in a row has at least half of its neighbours wrong
    np.testing.assert_allclose(removed[3:6, 0], 0.05)
    assert removed[8, 1] == 0.0 and removed[1, 1] == 1.0
    lowered = report.weights("downweight")
    np.testing.assert_allclose(lowered[report.mask], 0.05)
    assert lowered[1, 1] == 0.5
    rest = ~(report.mask | report.suspects)
    assert (removed[rest] == 1).all() and (lowered[rest] == 1).all()


def test_edits_of_the_mask_count(report):
    report.mask[8, 1] = False
    report.mask[0, 0] = True
    assert repr(report) == "AnomalyReport(4 of 20 entries, 4 of 10 models)"
    weights = report.weights()
    assert weights[8, 1] == 1.0 and weights[0, 0] == 0.0
    # an entry without a score comes last
    assert tuple(report.table()[["row", "output"]][-1]) == (0, "CO")


def test_table(report):
    table = report.table()
    assert table.colnames == ["row", "output", "score", "residual", "anomaly"]
    found = list(zip(table["row"], table["output"], table["anomaly"], strict=True))
    assert found == [
        (8, "H2", True), (5, "CO", True), (4, "CO", True), (3, "CO", True), (1, "H2", False)
    ]  # fmt: skip
    np.testing.assert_allclose(table["score"], [67, 60, 58, 56, 4])
    np.testing.assert_allclose(table["residual"], table["score"] / 100)
    assert len(report.table(2)) == 2 and report.table(2)["row"].tolist() == [8, 5]
    report.names = None
    assert report.table()["output"].tolist() == [1, 0, 0, 0, 1]


def test_plot(report):
    pytest.importorskip("matplotlib").use("Agg")
    axes = report.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["all: 19", "suspects (not isolated): 1", "anomalies: 4"]
    heights = sum(patch.get_height() for patch in axes.patches)
    assert heights == 19 + 1 + 4
    assert report.plot(ax=axes) is axes


def test_bad_how(report):
    with pytest.raises(
        ValueError, match="anomalies='keep'; expected 'remove', 'downweight' or None"
    ):
        report.weights("keep")
