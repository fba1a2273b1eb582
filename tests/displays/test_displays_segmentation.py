"""The picture of a comparison of segmenters: panels, areas in the titles, several data sets."""

from types import SimpleNamespace

import matplotlib
import numpy as np
from sklearn.metrics import roc_auc_score

from skastro.displays.segmentation import plot_comparison

matplotlib.use("agg")
rng = np.random.default_rng(0)
X = rng.normal(size=(3, 10, 12))
Y = X > 1
NAMES = ["unet", "counts", "failed"]
ROWS = [{"method": name} for name in NAMES]
MAPS = {name: 1 / (1 + np.exp(-X - rng.normal(size=X.shape))) for name in NAMES[:2]}
ONE = SimpleNamespace(X_test=X, Y_test=Y.astype(int), title="stars")


def titles(figure):
    return [ax.get_title() for ax in figure.axes if ax.axison]


def test_one_class():
    figure = plot_comparison(SimpleNamespace(split=ONE, predictions=MAPS, rows=ROWS))
    areas = [roc_auc_score(Y.ravel(), MAPS[name].ravel()) for name in NAMES[:2]]
    assert titles(figure) == [
        "image", "truth", *(f"{n}\nAUC {a:.3f}" for n, a in zip(NAMES, areas, strict=False)),
    ]  # fmt: skip
    pictures = [ax.images[0].get_array() for ax in figure.axes if ax.axison]
    np.testing.assert_allclose(pictures[0], X[0])
    np.testing.assert_array_equal(pictures[1][..., 0] == 0, Y[0])
    np.testing.assert_allclose(pictures[2], MAPS["unet"][0])


def test_several_data_sets_and_classes():
    truth = np.stack([Y, ~Y, np.zeros_like(Y)], 1)
    maps = {name: np.stack([one, 1 - one, one], 1) for name, one in MAPS.items()}
    labels = SimpleNamespace(X_test=X[:, None], Y_test=truth, output_names=["a", "b", "c"])
    index = SimpleNamespace(X_test=X, Y_test=truth.argmax(1), title="exclusive")
    figure = plot_comparison(
        SimpleNamespace(
            split={"one": ONE, "labels": labels, "index": index},
            predictions={"one": MAPS, "labels": maps, "index": {"unet": maps["unet"]}},
            rows=ROWS,
        )
    )
    areas = [roc_auc_score(one.ravel(), MAPS["unet"].ravel()) for one in (Y, Y)]
    found = titles(figure)
    assert len(found) == 4 + 4 + 3
    # the mean over the classes that are there
    assert found[6] == f"unet\nAUC {np.mean(areas):.3f}"
    texts = [
        [t.get_text() for t in one.get_texts()] for part in figure.subfigs for one in part.legends
    ]
    assert texts == [["a", "b", "c"], ["class 0", "class 2"]]
