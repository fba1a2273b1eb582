"""The picture of a comparison of segmenters."""

import numpy as np

from skastro.displays.style import COLORS, require_matplotlib

__all__ = ["plot_comparison"]

KEYS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "precision_brightest": "precision of the 200 brightest",
}


def plot_comparison(comparison):
    """Scores of every method, and an image with its truth beside what the best method says.

    Parameters
    ----------
    comparison : Comparison
        Of ``skastro.compare.compare(task="segmentation")``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    pyplot = require_matplotlib()
    rows = [row for row in comparison.rows if row["method"] in comparison.predictions]
    rows = sorted(rows, key=lambda row: row["average_precision"])
    figure, axes = pyplot.subplot_mosaic(
        [["scores", "image", "truth", "best"]],
        figsize=(14.0, max(3.6, 0.45 * len(rows) + 1.6)),
        layout="constrained",
        width_ratios=[1.8, 1, 1, 1],
    )
    ax, place = axes["scores"], np.arange(len(rows))
    for k, (key, name) in enumerate(KEYS.items()):
        ax.plot([row[key] for row in rows], place, "o", color=COLORS[k], label=name)
    ax.set_yticks(place, [row["method"] for row in rows])
    ax.set_xlim(None, 1)
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
    best = rows[-1]["method"]
    image = np.asarray(comparison.split.X_test)[0]
    flux = np.asarray(comparison.split.Y_test)[0]
    panels = {
        "image": (np.sqrt(np.abs(image)), "image, square root"),
        "truth": (np.log1p(flux), "true flux of sources, logarithmic"),
        "best": (comparison.predictions[best][0], f"score of {best}"),
    }
    for name, (values, title) in panels.items():
        axes[name].imshow(values, origin="lower", cmap="viridis", interpolation="nearest")
        axes[name].set_title(title, fontsize="medium")
        axes[name].set_xticks([])
        axes[name].set_yticks([])
    return figure
