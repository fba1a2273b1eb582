"""The picture of a comparison of segmenters: an image, its mask, the probabilities of every method."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score

from skastro.displays.blending import blend_labels, label_colors, shrink
from skastro.displays.labels import read_labels
from skastro.displays.mask import LARGEST
from skastro.displays.style import require_matplotlib, stretch

__all__ = ["plot_comparison"]

N_COLUMNS = 6


def plot_comparison(comparison):
    """The first test image of each data set, its mask, and the probabilities of every method.

    Parameters
    ----------
    comparison : Comparison
        Of `skastro.compare.compare`, for the task "segmentation": predictions are probability maps.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Titles have the area under the ROC curve over all test images; of several classes, its mean. Colours
        of one class go from 0 to the highest probability of the map.
    """
    pyplot = require_matplotlib()
    several = isinstance(comparison.split, Mapping)
    splits = comparison.split if several else {None: comparison.split}
    found = comparison.predictions if several else {None: comparison.predictions}
    methods = list(dict.fromkeys(row["method"] for row in comparison.rows))
    n_panels = [2 + sum(name in one for name in methods) for one in found.values()]
    columns = min(N_COLUMNS, max(n_panels))
    rows = [-(-n // columns) for n in n_panels]
    heights = [2.75 * n + 0.7 for n in rows]
    figure = pyplot.figure(figsize=(2.4 * columns + 0.4, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, n, (case, maps) in zip(parts, rows, found.items(), strict=True):
        title = getattr(splits[case], "title", None) or case
        if title:
            part.suptitle(title, fontsize="large")
        axes = part.subplots(n, columns, squeeze=False).ravel()
        shown = {name: maps[name] for name in methods if name in maps}
        _draw_case(part, axes, splits[case], shown)
    return figure


def _draw_case(figure, axes, split, maps):
    for ax in axes:
        ax.set_axis_off()
    image = np.asarray(split.X_test[0], dtype=float)
    image = shrink(image if image.ndim == 2 else image[0], LARGEST, np.mean)
    style = {"origin": "lower", "interpolation": "nearest"}
    axes[0].imshow(image, cmap="gray", norm=stretch(image), **style)
    axes[0].set_title("image", fontsize="medium")
    truth = np.asarray(split.Y_test)
    one = next(iter(maps.values()))
    n = one.shape[1] if np.ndim(one) == 4 else 1
    exclusive = n > 1 and truth.ndim == 3
    mask = (
        truth[0] == np.arange(n)[:, None, None]
        if exclusive
        else truth[0].reshape(n, *truth.shape[-2:]) == 1
    )
    white = int(mask.sum((1, 2)).argmax()) if exclusive else None
    shown = [i for i in range(n) if i != white]
    colors = np.zeros((1, 3)) if n == 1 else label_colors(len(shown))
    axes[1].imshow(blend_labels(shrink(mask[shown].astype(float), LARGEST), colors), **style)
    axes[1].set_title("truth", fontsize="medium")
    for ax, (name, proba) in zip(axes[2:], maps.items(), strict=False):
        first = shrink(np.asarray(proba[0], float).reshape(n, *mask.shape[1:])[shown], LARGEST)
        if n == 1:
            ax.imshow(first[0], cmap="viridis", vmin=0.0, vmax=float(first.max()) or 1.0, **style)
        else:
            ax.imshow(blend_labels(first, colors), **style)
        ax.set_title(f"{name}\nAUC {_area(truth, proba):.3f}", fontsize="medium")
    for ax in axes[: 2 + len(maps)]:
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
    if n > 1:
        from matplotlib.patches import Patch

        names = list(getattr(split, "output_names", None) or [])
        names = names if len(names) == n else [f"class {i}" for i in range(n)]
        handles = [Patch(facecolor=c, label=names[i]) for i, c in zip(shown, colors, strict=True)]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(len(handles), 7), frameon=False,
            fontsize="small",
        )  # fmt: skip


def _area(truth, proba):
    """Mean over the classes that have both kinds of pixels."""
    seen = read_labels(truth, proba)
    areas = [roc_auc_score(one.y, one.proba) for one in seen if one.y.any() and not one.y.all()]
    return np.mean(areas) if areas else np.nan
