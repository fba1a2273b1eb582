"""The picture of a comparison of emulators."""

import numpy as np

from skastro.displays.error_quantiles import ErrorQuantilesDisplay
from skastro.displays.style import COLORS, DASHES, require_matplotlib
from skastro.displays.true_predicted import TruePredictedDisplay
from skastro.metrics import error_factor

__all__ = ["plot_comparison"]


def plot_comparison(comparison, n_outputs=3):
    """Error quantiles of every method, and true against predicted for some outputs.

    Parameters
    ----------
    comparison : Comparison
        Of `skastro.compare.compare`.
    n_outputs : int, default=3
        Number of outputs shown: from an easy one to the hardest for the best method.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    pyplot = require_matplotlib()
    y_true = np.asarray(comparison.split.Y_test).reshape(len(comparison.split.Y_test), -1)
    predictions = {k: np.reshape(v, y_true.shape) for k, v in comparison.predictions.items()}
    mean = {row["method"]: row["mean"] for row in comparison.rows if row["method"] in predictions}
    ranked = sorted(mean, key=mean.get)
    # the emulator is what the picture is about; without one, the best two
    first = next((name for name in predictions if name.startswith("ModelEmulator")), ranked[0])
    shown = [first, *[name for name in ranked if name != first][:1]]
    n_outputs = min(n_outputs, y_true.shape[1])
    hardness = error_factor(y_true, predictions[first], multioutput="raw_values")
    order = np.argsort(hardness)
    chosen = order[np.linspace(0.1 * (len(order) - 1), len(order) - 1, n_outputs).astype(int)]
    labels = _hardness_labels(n_outputs)

    figure = pyplot.figure(figsize=(5.6 + 2.9 * n_outputs, 6.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[5.6, 2.9 * n_outputs])
    ax = left.subplots()
    others = [name for name in predictions if name != first]
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(others)} | {first: "black"}
    for i, name in enumerate(others):
        ErrorQuantilesDisplay.from_predictions(
            y_true, predictions[name], name=name, ax=ax, linewidth=1.4, color=colors[name],
            linestyle=DASHES[i // 3 % len(DASHES)],
        )  # fmt: skip
    ErrorQuantilesDisplay.from_predictions(
        y_true, predictions[first], name=first, ax=ax, linewidth=2.6, color="black"
    )
    ax.set_ylim(1e-4, None)
    ax.set_title("Errors on held-out models")
    handles, names = ax.get_legend_handles_labels()
    # in the order of the curves where they are far apart
    at_99 = [np.interp(-0.01, -h.get_xdata(), h.get_ydata()) for h in handles]
    by_error = np.argsort(at_99)[::-1]
    ax.legend([handles[i] for i in by_error], [names[i] for i in by_error], frameon=False,
              loc="upper left", fontsize="small")  # fmt: skip

    axes = right.subplots(2, n_outputs, squeeze=False, sharex="col")
    for column, output in enumerate(chosen):
        given = comparison.split.output_names
        title = given[output] if given else f"output {output}"
        for row, kind in enumerate(("true_vs_predicted", "ratio_vs_true")):
            ax = axes[row, column]
            for name in shown[::-1]:
                display = TruePredictedDisplay.from_predictions(
                    y_true, predictions[name], output=output, kind=kind, ax=ax, name=name,
                    color=colors[name], unit=comparison.split.unit,
                )  # fmt: skip
            display.ax_.legend_.remove()
            ax.grid(color="0.92", linewidth=0.8)
        axes[0, column].set_title(f"{title}\n{labels[column]}", fontsize="medium")
        axes[0, column].set_xlabel("")
        if column:
            axes[0, column].set_ylabel("")
            axes[1, column].set_ylabel("")
    axes[0, 0].legend(frameon=False, fontsize="small", loc="upper left", handletextpad=0.1)
    return figure


def _hardness_labels(n):
    if n == 1:
        return ["hardest output"]
    return ["easy output", *["typical output"] * (n - 2), "hardest output"]
