"""The picture of a comparison of regressors with error bars."""

import numpy as np

from skastro.displays.coverage import CoverageDisplay
from skastro.displays.style import COLORS, require_matplotlib

__all__ = ["plot_comparison"]


def plot_comparison(comparison, as_distribution):
    """Errors of every method and target, and whether the error bars of the best hold.

    Parameters
    ----------
    comparison : Comparison
        Of ``skastro.compare.compare(task="regression")``.
    as_distribution : callable
        From the predictions that it keeps of a method to a `Distribution`.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Left: the mean absolute error of each method's medians, over that of the best constant. Right:
        coverage of central intervals of the method with the lowest CRPS.
    """
    pyplot = require_matplotlib()
    rows = [row for row in comparison.rows if row["method"] in comparison.predictions]
    names = comparison.split.output_names
    rows = sorted(rows, key=lambda row: -row["crps"])
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11.0, 0.5 * len(rows) + 2.4), layout="constrained", width_ratios=[1.5, 1.0]
    )
    place = np.arange(len(rows))
    for k, name in enumerate(names):
        left.plot(
            [row[name] for row in rows], place, "o", color=COLORS[k % len(COLORS)], label=name,
            markersize=6,
        )  # fmt: skip
    left.hlines(
        place, [min(row[name] for name in names) for row in rows],
        [max(row[name] for name in names) for row in rows], color="0.8", zorder=0,
    )  # fmt: skip
    left.set_yticks(place, [row["method"] for row in rows])
    left.set_xlim(0, None)
    left.set_xlabel("mean absolute error, the best constant's is 1")
    left.legend(frameon=False, fontsize="small")
    left.spines[["top", "right"]].set_visible(False)
    best = rows[-1]["method"]
    distribution = as_distribution(comparison.predictions[best])
    CoverageDisplay.from_predictions(
        np.asarray(comparison.split.Y_test), distribution, target_names=names, ax=right
    )
    right.set_title(best, fontsize="medium")
    return figure
