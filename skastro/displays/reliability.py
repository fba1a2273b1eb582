"""How often what is predicted with a probability is true, for common and for rare classes."""

import numpy as np

from skastro.displays.labels import predicted_maps, read_labels
from skastro.displays.style import COLORS, DASHES, draw_legend, draw_perfect, require_matplotlib
from skastro.reliability import reliability_table

__all__ = ["ReliabilityDisplay"]

SCALES = ("auto", "linear", "log", "logit")
# prevalence below which a linear axis hides everything
RARE = 0.02
# positives expected among all pixels, below which a probability can't be told from a smaller one
LEAST = 0.3
# rows of the legend below, before it gets a second column
N_ROWS = 4


class ReliabilityDisplay:
    """Observed frequency against predicted probability, and below how many pixels there are of each.

    Calibrated: on the diagonal [1]_. Bars are Jeffreys intervals of 95 %, with the pixels taken as
    independent. A triangle that points down: no positive in the bin, the end of the interval. The number in
    the legend is the sum of the probabilities over the number of positives. Logarithmic axes, or those of the
    logit, show rare classes; on them probabilities so small that all pixels together would have 0.3
    positives are drawn as if they were as large as that. A second display on the same axes compares.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    tables : list of ReliabilityTable
        One a curve.
    ratios : list of float
        Sum of the probabilities over the number of positives.
    labels : list of str
        Of the curves, for the legend.

    Attributes
    ----------
    curves_ : list of matplotlib.lines.Line2D
    axes_ : dict of str to matplotlib.axes.Axes
        "reliability" and "counts".
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Niculescu-Mizil & Caruana, "Predicting good probabilities with supervised learning", ICML (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import ReliabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> proba = rng.beta(0.1, 10.0, size=(2, 64, 64))
    >>> display = ReliabilityDisplay.from_predictions(rng.random(proba.shape) < proba, proba)
    >>> display.axes_["reliability"].get_xscale()
    'log'
    """

    def __init__(self, *, tables, ratios, labels):
        self.tables = tables
        self.ratios = ratios
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, scale="auto", bins="auto", n_bins=10, labels=None, show=None,
        ignore_index=255, name=None, axes=None,
    ):  # fmt: skip
        """Draw the reliability of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_proba`.
        X : array-like
            As the estimator takes it.
        y : array-like
            Truth.
        scale, bins, n_bins, labels, show, ignore_index, axes
            As in `from_predictions`; names are the estimator's `labels_` by default.
        name : str, optional
            For the legend; the class of the estimator by default.

        Returns
        -------
        display : ReliabilityDisplay
        """
        proba, name, own = predicted_maps(estimator, X, name)
        return cls.from_predictions(
            y, proba, scale=scale, bins=bins, n_bins=n_bins, show=show, ignore_index=ignore_index,
            labels=own if labels is None else labels, name=name, axes=axes,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, proba, *, scale="auto", bins="auto", n_bins=10, labels=None, show=None,
        ignore_index=255, name=None, axes=None,
    ):  # fmt: skip
        """Draw the reliability of predicted probabilities.

        Parameters
        ----------
        y_true : array-like
            Of the shape of `proba`, bool or 0 and 1; or of exclusive classes (n, h, w), the index of each.
        proba : array-like of shape (n,), (n, h, w) or (n, n_labels, h, w)
        scale : {"auto", "linear", "log", "logit"}, default="auto"
            Of both axes. "auto": that of the axes given, else logarithmic where a class is rarer than 2 %.
        bins : {"auto", "width", "count", "logit"}, default="auto"
            As in `skastro.reliability.reliability_table`. "auto": "width" on linear axes, else "logit".
        n_bins : int, default=10
        labels : sequence of str, optional
            Names of all classes.
        show : int, str or list of such, optional
            A curve for each; all by default.
        ignore_index : int, default=255
            In `y_true`: not scored; and NaN.
        name : str, optional
            Of the method, for the legend.
        axes : dict of str to Axes, optional
            `axes_` of another such display, to compare; new ones by default.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, probabilities outside 0 to 1, other labels than 0 and 1, a class that
            isn't there, another scale, other bins.
        """
        if scale not in SCALES:
            raise ValueError(f"scale={scale!r}; expected one of {', '.join(SCALES)}.")
        seen = read_labels(y_true, proba, labels=labels, show=show, ignore_index=ignore_index)
        if scale == "auto" and axes is not None:
            scale = axes["reliability"].get_xscale()
        elif scale == "auto":
            shares = [one.y.mean() for one in seen if one.y.any()]
            scale = "log" if shares and min(shares) < RARE else "linear"
        if isinstance(bins, str) and bins == "auto":
            bins = "width" if scale == "linear" else "logit"
        tables = []
        for one in seen:
            p = np.asarray(one.proba, dtype=np.float64)
            if scale != "linear":
                end = min(LEAST / p.size, 0.1)
                p = np.clip(p, end, 1 - end if scale == "logit" else 1.0)
            tables.append(reliability_table(one.y, p, bins=bins, n_bins=n_bins))
        ratios = [
            float(one.proba.sum(dtype=np.float64) / one.y.sum()) if one.y.any() else np.nan
            for one in seen
        ]
        names = [", ".join(part for part in (name, one.name) if part) for one in seen]
        return cls(tables=tables, ratios=ratios, labels=names).plot(axes, scale=scale)

    def plot(self, axes=None, *, scale="linear"):
        """Draw the frequencies above, the counts below.

        Parameters
        ----------
        axes : dict of str to Axes, optional
            `axes_` of another such display, to compare; new ones by default.
        scale : {"linear", "log", "logit"}, default="linear"

        Returns
        -------
        self : ReliabilityDisplay
        """
        if axes is None:
            pyplot = require_matplotlib()
            figure = pyplot.figure(figsize=(5.4, 6.6), layout="constrained")
            pair = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1.0])
            axes = dict(zip(("reliability", "counts"), pair, strict=True))
        self.axes_, above, below = axes, axes["reliability"], axes["counts"]
        self.figure_ = above.figure
        above.set(xscale=scale, yscale=scale)
        below.set(yscale="log")
        self.curves_ = []
        ends = self._ends(above, scale)
        for table, ratio, label in zip(self.tables, self.ratios, self.labels, strict=True):
            i = sum(line.get_gid() == "reliability" for line in above.lines)
            style = {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i % len(DASHES)]}
            told = "no positive" if np.isnan(ratio) else _told(ratio)
            style |= {"label": f"{label}: {told}" if label else told}
            self.curves_.append(_draw_curve(above, table, ends, style))
            _draw_counts(below, table, ends, style)
        draw_perfect(above) if scale == "linear" else _draw_diagonal(above, ends)
        above.set(xlim=ends, ylim=ends, ylabel="observed frequency")
        below.set(xlabel="predicted probability", ylabel="pixels")
        _dress(above, below, scale)
        curves = [line for line in above.lines if line.get_gid() == "reliability"]
        ncols = min(3, -(-len(curves) // N_ROWS))
        draw_legend([above, below], curves, ncols, "sum of probabilities / number of positives")
        return self

    def _ends(self, ax, scale):
        """Ends of the axes."""
        if scale == "linear":
            return 0.0, 1.0
        values = np.concatenate(
            [np.concatenate([t.predicted, t.observed[t.observed > 0]]) for t in self.tables]
        )
        low = values[values > 0].min(initial=1e-2)
        # of one class nothing may be seen: its interval begins lower still
        low = max(10.0 ** np.floor(np.log10(0.7 * low)), 1e-12)
        high = 1.0
        if scale == "logit":
            # as far from 1 as what is seen there, not as from 0
            rest = np.concatenate(
                [np.concatenate([1 - t.predicted, 1 - t.observed]) for t in self.tables]
            )
            rest = rest[rest > 0].min(initial=1e-2)
            high = 1.0 - max(10.0 ** np.floor(np.log10(0.7 * rest)), 1e-12)
        if any(line.get_gid() == "reliability" for line in ax.lines):
            low, high = min(low, ax.get_xlim()[0]), max(high, ax.get_xlim()[1])
        return low, high


def _dress(above, below, scale):
    from matplotlib.ticker import LogitLocator, NullFormatter, NullLocator

    if scale == "logit":
        # labels such as 1 - 10^-4 are long
        above.xaxis.set_major_locator(LogitLocator(nbins=6))
        for axis in (above.xaxis, above.yaxis):
            axis.set_minor_locator(NullLocator())
        below.tick_params(axis="x", labelsize="small")
    counts = [one.get_data().values for one in below.patches if one.get_gid() == "counts"]
    counts = np.concatenate(counts)
    counts = counts[np.isfinite(counts)]
    ends = 10.0 ** np.floor(np.log10(counts.min())), 10.0 ** np.ceil(np.log10(1.5 * counts.max()))
    below.set_ylim(0.7 * ends[0], ends[1])
    below.yaxis.set_minor_formatter(NullFormatter())
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)


def _told(ratio):
    return f"{ratio:.2f}" if 0.01 <= ratio < 100 or ratio == 0 else f"{ratio:.1e}"


def _draw_counts(ax, table, ends, style):
    # what is 0 or 1 for certain is at the end of a logarithmic axis; empty bins are gaps
    left, right = table.left, table.right
    if len(left) == 1 and left[0] == right[0]:
        # a single probability: a bin as wide as can be seen
        left, right = 0.8 * left, np.maximum(1.25 * right, 0.0 if ends[0] else 0.01)
    edges = np.unique([left, right])
    counts = np.full(len(edges) - 1, np.nan)
    counts[np.searchsorted(edges, left)] = table.counts
    style = {key: style[key] for key in ("color", "linestyle")}
    ax.stairs(
        counts, np.clip(edges, *ends), baseline=None, linewidth=1.2, gid="counts", **style
    )  # fmt: skip


def _draw_diagonal(ax, ends):
    if not any(line.get_gid() == "perfect" for line in ax.lines):
        line = np.geomspace(1e-12, 0.5, 200)
        line = np.concatenate([line, 1 - line[::-1]])
        ax.plot(line, line, color="0.3", linewidth=0.8, zorder=1, gid="perfect")


def _draw_curve(ax, table, ends, style):
    """Frequencies joined by a line, their intervals, and limits where none or all are positive."""
    low, high = ends
    x = np.clip(table.predicted, low, high)
    y = table.observed
    inside = (y >= low) & (y <= high) & ((y > 0) | (low == 0))
    error = np.stack([y - np.maximum(table.low, low), np.minimum(table.high, high) - y])
    ax.errorbar(
        x[inside], y[inside], np.maximum(error[:, inside], 0.0), fmt="none", ecolor=style["color"],
        elinewidth=1.0, alpha=0.7, zorder=2,
    )  # fmt: skip
    # the line is broken where a frequency is not known
    (curve,) = ax.plot(
        x, np.where(inside, y, np.nan), marker="o", markersize=4, linewidth=1.4, zorder=3,
        gid="reliability", **style,
    )  # fmt: skip
    below, above = ~inside & (y < max(low, 1e-300)), ~inside & (y > high)
    for some, limits, marker in ((below, table.high, "v"), (above, table.low, "^")):
        if some.any():
            ax.plot(
                x[some], np.clip(limits[some], low, high), marker, color=style["color"], markersize=5,
                zorder=3, gid="limit", fillstyle="none",
            )  # fmt: skip
    return curve
