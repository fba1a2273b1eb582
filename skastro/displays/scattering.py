"""The picture of a comparison of statistics of maps: learning curves."""

from collections.abc import Mapping

import numpy as np

from skastro.displays.style import COLORS, DASHES, require_matplotlib

__all__ = ["plot_comparison"]

OURS = "scattering"
MARKERS = ("s", "^", "D", "v", "P", "X")
# the light blue beside the blue would be hard to tell
LINES = (*COLORS[:5], "black", COLORS[6])


def plot_comparison(comparison):
    """Test error of every method against the number of training maps, a panel for each problem.

    Parameters
    ----------
    comparison : Comparison
        Of `skastro.compare.compare`, for the task "scattering".

    Returns
    -------
    figure : matplotlib.figure.Figure
        Axes are logarithmic; an error of 0 is drawn where half an error among the test maps would be.
    """
    pyplot = require_matplotlib()
    case = comparison.task.case
    several = isinstance(comparison.split, Mapping)
    splits = comparison.split if several else {None: comparison.split}
    titles = list(dict.fromkeys(split.title for split in splits.values()))
    methods = list(dict.fromkeys(row["method"] for row in comparison.rows))
    figure, axes = pyplot.subplots(
        1, len(titles), figsize=(5.0 * len(titles) + 2.4, 4.4), layout="constrained", squeeze=False
    )
    for ax, title in zip(axes[0], titles, strict=True):
        mine = {name: split for name, split in splits.items() if split.title == title}
        errors = {method: {} for method in methods}
        for row in comparison.rows:
            if not row["error"] and row.get(case) in mine:
                n = len(mine[row.get(case)].X_train)
                errors[row["method"]][n] = row["test_error"]
        split = next(iter(mine.values()))
        _draw_curves(ax, errors, 0.5 / len(split.X_test))
        label = "rms error / scatter of the truth"
        ax.set_ylabel("fraction wrong" if split.classes else label)
        ax.set_title(title)
    # one legend: the methods are the same
    lines = {line.get_label(): line for ax in axes[0] for line in ax.lines}
    figure.legend(
        handles=list(lines.values()), loc="outside right center", frameon=False, handlelength=3.2
    )
    return figure


def _draw_curves(ax, errors, floor):
    """A line for each method: `errors` has a dict of number of maps to error."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    others = 0
    for i, (method, found) in enumerate(errors.items()):
        style = {"color": LINES[i % len(LINES)], "linewidth": 1.4, "markersize": 5.5}
        if method.startswith(OURS):
            style |= {"linewidth": 2.4, "markersize": 7, "marker": "o", "zorder": 4}
            style["linestyle"] = "-" if i == 0 else DASHES[1]
        else:
            style["marker"] = MARKERS[others % len(MARKERS)]
            style["linestyle"] = DASHES[(others + 1) % len(DASHES)]
            others += 1
        if not found:
            continue
        sizes = np.array(sorted(found))
        scores = np.maximum([found[n] for n in sizes], floor)
        style |= {"label": method, "markeredgecolor": "white", "markeredgewidth": 0.7}
        ax.plot(sizes, scores, **style)
    ax.set(xscale="log", yscale="log", xlabel="training maps")
    sizes = sorted({n for found in errors.values() for n in found})
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:g}"))
    low, high = ax.get_ylim()
    digits = (1, 2, 5) if high > 10 * low else (1, 2, 3, 4, 5, 7)
    ticks = [m * 10.0**p for p in range(-4, 3) for m in digits]
    ticks = [tick for tick in ticks if max(low, 1.5 * floor) <= tick <= high]
    if low <= floor:
        ticks = [floor, *ticks]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: "0" if v <= floor else f"{v:g}"))
    ax.grid(color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
