"""The picture of a comparison of separators."""

import matplotlib
import numpy as np

from skastro.compare import compare
from skastro.separation.baselines import GaussianSeparator, WienerFilter
from skastro.separation.comparison import load_mixtures
from skastro.separation_metrics import power_error, scale_correlation

matplotlib.use("agg")
DATA = load_mixtures(n_pixels=32)
METHODS = {"Wiener": WienerFilter(), "Gaussian": GaussianSeparator()}


def test_maps_and_curves_of_each_method():
    found = compare(METHODS, DATA, task="separation", progress=False)
    axes = [ax for ax in found.plot().axes if ax.get_label() != "<colorbar>"]
    titles = [
        "mixture", "truth", "Wiener", "Gaussian", "error of the power spectrum",
        "correlation with the truth", "histogram",
    ]  # fmt: skip
    assert [ax.get_title() for ax in axes] == 2 * titles
    for case, mine in zip(DATA, (axes[:7], axes[7:]), strict=True):
        signals, mix = found.predictions[case], DATA[case]
        maps = [mix.mixture[0], mix.signal[0], signals["Wiener"][0], signals["Gaussian"][0]]
        for ax, values in zip(mine, maps, strict=False):
            np.testing.assert_array_equal(ax.images[0].get_array(), values)
        assert len({ax.images[0].get_clim() for ax in mine[:4]}) == 1
        for ax, measure in zip(mine[4:6], (power_error, scale_correlation), strict=True):
            for line, (name, signal) in zip(ax.lines, signals.items(), strict=False):
                k, curves = measure(signal, mix.signal)
                assert line.get_label() == name
                np.testing.assert_allclose(line.get_xdata(), k / 32)
                np.testing.assert_allclose(line.get_ydata(), curves.mean(axis=0))
        assert [line.get_label() for line in mine[6].lines] == ["truth", *METHODS]


def test_one_data_set_and_a_method_that_failed():
    methods = METHODS | {"broken": WienerFilter(smoothing=-1.0)}
    found = compare(methods, DATA["cib"], task="separation", progress=False)
    assert found.rows[2]["error"]
    axes = found.plot().axes
    assert [ax.get_title() for ax in axes][:4] == ["mixture", "truth", "Wiener", "Gaussian"]
    assert "broken" not in [line.get_label() for ax in axes for line in ax.lines]
