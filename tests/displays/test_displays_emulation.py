"""The picture of a comparison of emulators."""

import matplotlib
import numpy as np

from skastro.compare import compare
from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor
from skastro.metrics import error_factor

matplotlib.use("agg")
rng = np.random.default_rng(0)
X = rng.random((80, 2))
Y = 10.0 ** (20 * X @ rng.normal(size=(2, 4)) - 40)
MASK = rng.random(Y.shape) < 0.9


def test_picture_of_a_comparison():
    methods = {"nearest": NearestModelRegressor(), "cubic": RBFInterpolationRegressor()}
    names = {"target_names": ["CO", "C+", "H2", "O"], "target_unit": "K"}
    comparison = compare(methods, {"data": X, "target": Y, "mask": MASK} | names, progress=False)
    figure = comparison.plot()
    axes = [ax for part in figure.subfigs for ax in part.axes]
    assert len(axes) == 1 + 2 * 3
    assert {line.get_label() for line in axes[0].lines} == {"nearest", "cubic"}
    hardest = np.nanargmax(
        error_factor(comparison.split.Y_test, comparison.predictions["cubic"],
                     multioutput="raw_values")
    )  # fmt: skip
    assert axes[3].get_title() == f"{names['target_names'][hardest]}\nhardest output"
    assert axes[4].get_xlabel() == "true [K]"
    # one output, no names: a smaller picture
    one = compare(methods, (X, Y[:, 0]), progress=False).plot()
    assert len([ax for part in one.subfigs for ax in part.axes]) == 3


def test_no_text_of_the_picture_overlaps():
    methods = {"nearest": NearestModelRegressor(), "cubic": RBFInterpolationRegressor()}
    figure = compare(methods, (X, Y), progress=False).plot()
    figure.canvas.draw()
    for part in figure.subfigs:
        for ax in part.axes:
            for axis in (ax.xaxis, ax.yaxis):
                boxes = [t.label1.get_window_extent() for t in axis.get_major_ticks()
                         if t.label1.get_visible() and t.label1.get_text()]  # fmt: skip
                low, high = (
                    (ax.bbox.x0, ax.bbox.x1) if axis is ax.xaxis else (ax.bbox.y0, ax.bbox.y1)
                )
                span = "x" if axis is ax.xaxis else "y"
                boxes = [(getattr(b, span + "0"), getattr(b, span + "1")) for b in boxes]
                boxes = sorted(b for b in boxes if low - 1 <= np.mean(b) <= high + 1)
                assert all(a[1] <= b[0] + 1 for a, b in zip(boxes, boxes[1:], strict=False))
