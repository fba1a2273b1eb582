"""The picture of learning curves."""

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor

from skastro.compare import compare
from skastro.scattering.comparison import (
    RegressorOrClassifier,
    default_estimators,
    load_maps,
    make_kinds,
)


def either(regressor=None, classifier=None):
    return RegressorOrClassifier(regressor or DummyRegressor(), classifier or DummyClassifier())


DATA = load_maps(sizes=(10, 20, 40), n_test=20, n_pixels=16)
METHODS = {
    "scattering: wst": default_estimators()["scattering: wst"],
    "mean": either(),
    "median": either(DummyRegressor(strategy="median"), DummyClassifier(strategy="uniform")),
}


def test_a_panel_for_each_problem_and_a_line_for_each_method():
    found = compare(METHODS, DATA, task="scattering", progress=False)
    figure = found.plot()
    assert [ax.get_title() for ax in figure.axes] == ["intermittency", "kind of field"]
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "rms error / scatter of the truth", "fraction wrong"
    ]  # fmt: skip
    for ax in figure.axes:
        assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_legend() is None
        assert [line.get_label() for line in ax.lines] == list(METHODS)
        for line in ax.lines:
            rows = [
                row for row in found.rows
                if row["method"] == line.get_label() and row["maps"].startswith(ax.get_title())
            ]  # fmt: skip
            np.testing.assert_array_equal(line.get_xdata(), [10, 20, 40])
            # no error among 20 maps is drawn as half of one
            expected = [max(row["test_error"], 0.025) for row in rows]
            np.testing.assert_allclose(line.get_ydata(), expected)
        looks = {(line.get_color(), line.get_marker()) for line in ax.lines}
        assert len(looks) == 3 and len({line.get_marker() for line in ax.lines}) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(METHODS)


def test_no_error_is_labelled_as_zero():
    perfect = dict(DATA["kind of field, 10 maps"], title="easy")
    perfect["data_test"], perfect["target_test"] = perfect["data"], perfect["target"]
    found = compare(
        {"scattering: wst": METHODS["scattering: wst"]}, {"easy": perfect}, task="scattering",
        progress=False,
    )  # fmt: skip
    assert found.rows[0]["test_error"] == 0
    (ax,) = found.plot().axes
    ax.figure.canvas.draw()
    assert ax.get_yticklabels()[0].get_text() == "0" and ax.get_yticks()[0] == 0.05


def test_a_single_data_set_and_a_method_that_failed():
    methods = {"fails": default_estimators()["bispectrum"].set_params(bispectrumfeatures__n_bins=0)}
    found = compare(methods | METHODS, make_kinds(30, 16), task="scattering", progress=False)
    assert found.rows[0]["error"]
    (ax,) = found.plot().axes
    assert [line.get_label() for line in ax.lines] == list(METHODS)
    assert ax.lines[0].get_xdata().tolist() == [24]
