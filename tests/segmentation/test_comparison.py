"""The comparison of segmenters: its data, its methods, its figures."""

import numpy as np
import pytest

from skastro.compare import compare
from skastro.datasets import make_galactic_center
from skastro.segmentation.baselines import MeanMask, RawCounts
from skastro.segmentation.comparison import TASK, default_estimators, load_default
from skastro.segmentation_metrics import pixel_scores


def test_the_default_data():
    bunch = load_default(n_images=4, random_state=3)
    sky = make_galactic_center(4, return_maps=True, random_state=3)
    np.testing.assert_array_equal(bunch.data, sky.images)
    np.testing.assert_array_equal(bunch.target, sky.flux_ps_gc + sky.flux_ps_disk)


def test_position_only_is_beside_the_others():
    methods = default_estimators(random_state=4, quick=True)
    assert isinstance(methods["position only"], MeanMask)
    assert {"raw counts", "matched filter", "gradient boosting"} <= set(methods)
    assert len(methods) > 4


def test_figures_are_those_of_the_metrics():
    bunch = load_default(n_images=40, random_state=1)
    methods = {"position only": MeanMask(), "raw counts": RawCounts(random_state=0)}
    found = compare(methods, bunch, task=TASK, progress=False)
    flux, split = np.asarray(found.split.Y_test), found.split
    for row in found.rows:
        assert row["error"] == ""
        method = methods[row["method"]].fit(split.X_train, split.Y_train > 0)
        score = method.decision_function(split.X_test)
        every = pixel_scores(flux > 0, score)
        bright = pixel_scores(flux > 0, score, selection="brightest", flux=flux)
        assert (row["auc"], row["average_precision"]) == (every.auc, every.average_precision)
        assert row["precision_brightest"] == bright.precision
        assert row["auc_brightest"] == bright.auc
        assert 0 < row["predict_s_per_mpx"] < 10
    position, counts = found.rows
    assert counts["precision_brightest"] > position["precision_brightest"] + 0.1
    assert "AUC  average precision" in str(found)


def test_the_picture():
    pytest.importorskip("matplotlib").use("agg")
    found = compare(
        {"position only": MeanMask(), "raw counts": RawCounts(random_state=0)},
        load_default(n_images=10),
        task=TASK,
        progress=False,
    )
    figure = found.plot()
    left = figure.axes[0]
    best = max(found.rows, key=lambda row: row["average_precision"])["method"]
    assert [text.get_text() for text in left.get_yticklabels()][-1] == best
    points = left.lines[0].get_xdata()
    assert sorted(points) == sorted(row["auc"] for row in found.rows)
    shown = figure.axes[-1].images[0].get_array()
    np.testing.assert_array_equal(shown, found.predictions[best][0])
