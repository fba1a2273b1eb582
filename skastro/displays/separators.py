"""The picture of a comparison of separators: maps, and error of the spectrum, correlation, histogram."""

from collections.abc import Mapping

import numpy as np

from skastro.displays.separation import N_BINS, draw_curve, draw_maps, dress, histograms
from skastro.displays.style import COLORS, DASHES, require_matplotlib
from skastro.separation_metrics import power_error, scale_correlation

__all__ = ["plot_comparison"]

TRUTH = ("black", "-", 6)


def plot_comparison(comparison):
    """A row of maps for each data set, and under it what separates each method from the truth.

    Parameters
    ----------
    comparison : Comparison
        Of `skastro.compare.compare`, for the task "separation".

    Returns
    -------
    figure : matplotlib.figure.Figure
        Maps are the first of each set; lines are means over them, bands go from the lowest to the highest.
    """
    pyplot = require_matplotlib()
    several = isinstance(comparison.split, Mapping)
    splits = comparison.split if several else {None: comparison.split}
    found = comparison.predictions if several else {None: comparison.predictions}
    methods = list(dict.fromkeys(row["method"] for row in comparison.rows))
    styles = {
        name: (COLORS[(i + 1) % len(COLORS)], DASHES[i % len(DASHES)], 5 if i == 0 else 4)
        for i, name in enumerate(methods)
    }
    figure = pyplot.figure(
        figsize=(2.0 * len(methods) + 4.8, 5.6 * len(found)), layout="constrained"
    )
    parts = figure.subfigures(len(found), 1, squeeze=False)[:, 0]
    for part, (case, signals) in zip(parts, found.items(), strict=True):
        _draw_case(part, splits[case], signals, styles)
    return figure


def _draw_case(figure, split, signals, styles):
    figure.suptitle(split.title, fontsize="large")
    above, below = figure.subfigures(2, 1, height_ratios=[2.2, 2.8])
    shown = {"mixture": split.X_test[0], "truth": split.Y_test[0]}
    shown |= {name: signals[name][0] for name in styles if name in signals}
    draw_maps(above, shown, split.Y_test[0])
    axes = below.subplots(1, 3)
    truth = split.Y_test
    same = truth[:1] if (truth == truth[:1]).all() else truth
    edges = np.linspace(float(truth.min()) - 1.0, float(truth.max()), N_BINS + 1)
    middle = 0.5 * (edges[:-1] + edges[1:])
    draw_curve(axes[2], middle, histograms({"": same}, edges)[""], "truth", TRUTH, positive=True)
    for name, style in styles.items():
        if name not in signals:
            continue
        signal = signals[name]
        for ax, measure in zip(axes[:2], (power_error, scale_correlation), strict=True):
            k, curves = measure(signal, truth)
            draw_curve(ax, k / max(truth.shape[-2:]), curves, name, style)
        density = histograms({"": signal}, edges)[""]
        draw_curve(axes[2], middle, density.mean(axis=0)[None], name, style, positive=True)
    titles = "error of the power spectrum", "correlation with the truth", "histogram"
    for ax, key, title in zip(axes, ("error", "correlation", "histogram"), titles, strict=True):
        dress(ax, key)
        ax.set_title(title, fontsize="medium")
    axes[0].axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
    below.legend(
        *axes[2].get_legend_handles_labels(), loc="outside right center", frameon=False,
        fontsize="small", handlelength=3.2,
    )  # fmt: skip
