"""The picture of coefficients: what is averaged, in what order, on what axes."""

import matplotlib
import numpy as np
import pytest

from skastro.datasets import make_fields
from skastro.displays import StatisticsDisplay
from skastro.displays.statistics import read_name
from skastro.scattering.baselines import HistogramMoments, PowerSpectrumFeatures

matplotlib.use("agg")
rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("S0", ("S0", ())),
        ("S1[j1=3,l1=2]", ("S1", (3.0,))),
        ("C01[j2=0,j3=2,l2=1,l3=3].im", ("C01.im", (0.0, 2.0))),
        ("C01[c1=0,c2=1,j2=0,j3=2].re", ("C01[c1=0,c2=1].re", (0.0, 2.0))),
        ("P[k=0.0125]", ("P", (0.0125,))),
        ("S11[j1=1,t1=0,p1=1,n=2,a=0].re", ("S11[p1=1].re", (1.0,))),
        ("std[sigma=2]", ("std", (2.0,))),
        ("mean[c=1]", ("mean[c=1]", ())),
        ("S1[j1=all]", ("S1[j1=all]", ())),
        ("what (is this)[", ("what (is this)[", ())),
    ],
)
def test_names(name, expected):
    assert read_name(name) == expected


def test_orientations_are_averaged_and_scales_in_order():
    index = [(a, b, i) for b in range(3) for i in range(4) for a in range(b)]
    names = [f"S2[j1={a},j2={b},l1={i}]" for a, b, i in index] + ["mean"]
    values = rng.normal(size=(2, len(names)))
    display = StatisticsDisplay.from_values(values, names, labels=["dust", "model"])
    ax = display.axes_["S2"]
    for row, line in zip(values, ax.lines[:2], strict=True):
        expected = [
            np.mean([v for v, one in zip(row, index, strict=False) if one[:2] == pair])
            for pair in ((0, 1), (0, 2), (1, 2))
        ]
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert ax.get_yscale() == "linear"
    # a band for each vector, ticks where the first scale changes
    assert len(ax.collections) == 2
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    assert ax.get_legend_handles_labels()[1] == ["dust", "model"]
    alone = display.axes_[""]
    np.testing.assert_allclose([line.get_ydata()[0] for line in alone.lines[:2]], values[:, -1])
    assert [t.get_text() for t in alone.get_xticklabels()] == ["mean"]


def test_axes_of_one_scale_and_of_wave_numbers():
    names = [f"S1[j1={j}]" for j in range(3)] + ["P[k=0.1]", "P[k=0.02]"]
    display = StatisticsDisplay.from_values([1.0, 0.1, 0.01, 5.0, 6.0], names)
    assert display.axes_["S1"].get_yscale() == "log"
    assert [t.get_text() for t in display.axes_["S1"].get_xticklabels()] == ["0", "1", "2"]
    power = display.axes_["P"]
    assert power.get_xscale() == "log" and power.get_yscale() == "linear"
    np.testing.assert_array_equal(power.lines[0].get_xdata(), [0.02, 0.1])
    np.testing.assert_array_equal(power.lines[0].get_ydata(), [6.0, 5.0])
    assert power.get_legend() is None


def test_coefficients_of_an_estimator():
    maps = make_fields(5, n_pixels=16, random_state=0).maps
    model = PowerSpectrumFeatures(4).fit(maps)
    display = StatisticsDisplay.from_estimator(model, {"one": maps[:1], "others": maps[1:]})
    line = display.axes_["P"].lines[1]
    np.testing.assert_allclose(line.get_ydata(), model.transform(maps[1:]).mean(axis=0))
    moments = HistogramMoments(3, n_scales=1).fit(maps)
    figure = matplotlib.figure.Figure()
    display = StatisticsDisplay.from_estimator(moments, maps[:2], figure=figure)
    assert display.figure_ is figure and set(display.axes_) == {"std", "skewness", ""}
    assert display.axes_["std"].get_legend_handles_labels()[1] == ["map 0", "map 1"]


@pytest.mark.parametrize(
    "values, options, message",
    [
        ([1.0], {}, r"values '' have shape \(1,\); expected \(2,\), one for each name"),
        ([[1.0, 2.0]], {"labels": ["a", "b"]}, "labels has 2 entries; expected 1"),
        ({"a": [1.0, 2.0, 3.0]}, {}, r"values 'a' have shape \(3,\)"),
        ([1j, 2.0], {}, "values '' are complex128; expected real numbers"),
    ],
)
def test_bad_values(values, options, message):
    with pytest.raises(ValueError, match=message):
        StatisticsDisplay.from_values(values, ["S1[j1=0]", "S1[j1=1]"], **options)
