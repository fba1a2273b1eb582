"""matplotlib is an extra: what is said where it is absent."""

import sys

import matplotlib
import pytest

from skastro.displays import ErrorQuantilesDisplay, TruePredictedDisplay
from skastro.displays.style import COLORS, draw_legend, new_axes

matplotlib.use("agg")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'skastro\[plot\]'"):
        ErrorQuantilesDisplay.from_predictions([1.0], [1.0])
    with pytest.raises(ImportError, match=r"pip install 'skastro\[plot\]'"):
        TruePredictedDisplay.from_predictions([1.0], [1.0])


def test_colors_differ_in_lightness_or_hue():
    # relative luminance, so that curves differ in a grey print too where dashes repeat
    rgb = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLORS]
    assert len(set(COLORS)) == len(COLORS)
    assert min(sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for i, p in enumerate(rgb)
               for q in rgb[:i]) > 0.05  # fmt: skip


def test_the_legend_is_below_where_there_is_room_and_is_drawn_once():
    ax = new_axes()
    for label in ("one", "two"):
        ax.plot([0, 1], label=label)
        draw_legend([ax], ax.get_legend_handles_labels()[0])
    (legend,) = ax.figure.legends
    assert [one.get_text() for one in legend.get_texts()] == ["one", "two"]
    ax.figure.canvas.draw()
    assert legend.get_window_extent().y1 <= ax.xaxis.get_tightbbox().y0
    # axes of somebody else beside it
    ax.figure.add_axes((0.5, 0.5, 0.1, 0.1))
    draw_legend([ax], ax.get_legend_handles_labels()[0])
    assert ax.get_legend() is not None
