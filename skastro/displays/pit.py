"""Whether predicted distributions hold on average: their PIT values."""

import numpy as np
from scipy.stats import beta, binom, kstest

from skastro.displays.style import COLORS, DASHES, draw_legend, draw_perfect, new_axes
from skastro.displays.targets import read_estimator, read_targets
from skastro.distribution_metrics import pit_values

__all__ = ["PITDisplay"]

KINDS = ("histogram", "qq")
# Probability of the bands, at each abscissa.
BAND = 0.95
# Points of a line of quantiles.
N_POINTS = 501


class PITDisplay:
    """Histogram or quantiles of the probability integral transform, beside what is expected of uniform ones.

    The CDF of each prediction at the truth is uniform when the predictions hold on average [1]_. A U: too
    narrow; a hump: too wide; a slope: biased. The band holds 95 % of the bins (or of the quantiles) of as
    many uniform values. A second display on the same axes compares.

    A training histogram predicted for every row is flat too: look at a score, such as the CRPS, as well.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    pit : list of ndarray of shape (n,)
        PIT values, one array a curve.
    labels : list of str
        Of the curves, for the legend.

    Attributes
    ----------
    ks_, p_value_ : ndarray of shape (n_curves,)
        Kolmogorov-Smirnov: largest distance from the uniform CDF, and its p-value.
    curves_ : list of matplotlib.patches.StepPatch or matplotlib.lines.Line2D
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Dawid, "Present position and potential developments: some personal views: statistical theory: the
       prequential approach", JRSS A 147, 278 (1984).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import PITDisplay
    >>> from skastro.distributions import PiecewiseDistribution
    >>> uniform = PiecewiseDistribution([0.0, 1.0], np.tile([0.0, 1.0], (40, 1, 1)))
    >>> display = PITDisplay.from_predictions((np.arange(40) + 0.5) / 40, uniform, bins=4)
    >>> display.curves_[0].get_data().values
    array([1., 1., 1., 1.])
    """

    def __init__(self, *, pit, labels):
        self.pit = pit
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, kind="histogram", bins=20, targets=None, target_names=None,
        name=None, ax=None, **context,
    ):  # fmt: skip
        """Draw the PIT values of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_distribution`.
        X : array-like
            As the estimator takes it.
        y : array-like of shape (n,) or (n, n_targets)
            Truth.
        kind, bins, targets, target_names, ax
            As in `from_predictions`.
        name : str, optional
            For the legend; the class of the estimator by default.
        **context : dict
            For `predict_distribution`, such as `extra`.

        Returns
        -------
        display : PITDisplay
        """
        distribution, name, target_names = read_estimator(
            estimator, X, y, context, name=name, target_names=target_names
        )
        return cls.from_predictions(
            y, distribution, kind=kind, bins=bins, targets=targets,
            target_names=target_names, name=name, ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, distribution, *, kind="histogram", bins=20, targets=None, target_names=None,
        name=None, ax=None,
    ):  # fmt: skip
        """Draw the PIT values of predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, n_targets)
        distribution : Distribution
            Of shape (n, n_targets).
        kind : {"histogram", "qq"}, default="histogram"
            "qq": sorted PIT values against the quantiles of uniform ones.
        bins : int, default=20
            Of the histogram.
        targets : int, str or list of such, optional
            A curve for each; all by default.
        target_names : str or sequence of str, optional
            Of all targets; the columns of a DataFrame by default.
        name : str, optional
            Of the method, for the legend.
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.

        Returns
        -------
        display : PITDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, a truth that is not finite, another `kind`, too few bins, a target that
            isn't there.
        """
        seen = read_targets(y_true, distribution, targets=targets, target_names=target_names)
        pit = seen.drawn(pit_values(seen.y_true, distribution))
        return cls(pit=list(pit.T), labels=seen.curve_names(name)).plot(ax, kind=kind, bins=bins)

    def plot(self, ax=None, *, kind="histogram", bins=20):
        """Draw the curves and the band.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.
        kind : {"histogram", "qq"}, default="histogram"
        bins : int, default=20

        Returns
        -------
        self : PITDisplay
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}; expected one of {list(KINDS)}.")
        if not (isinstance(bins, int | np.integer) and bins >= 2):
            raise ValueError(f"bins={bins!r}; expected a whole number of 2 or more.")
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        found = [kstest(one, "uniform") for one in self.pit]
        self.ks_ = np.array([one.statistic for one in found])
        self.p_value_ = np.array([one.pvalue for one in found])
        self.curves_ = []
        draw = self._draw_histogram if kind == "histogram" else self._draw_quantiles
        for pit, label, ks, p in zip(self.pit, self.labels, self.ks_, self.p_value_, strict=True):
            i = sum(one.get_gid() == "pit" for one in (*ax.patches, *ax.lines))
            style = {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i % len(DASHES)]}
            chance = f"p = {p:.2g}" if p >= 1e-3 else "p < 0.001"
            statistics = f"KS {ks:.3f}, {chance}"
            label = f"{label}: {statistics}" if label else statistics
            curve = draw(ax, pit, bins, style | {"label": label, "gid": "pit", "linewidth": 1.5})
            self.curves_.append(curve)
        ax.spines[["top", "right"]].set_visible(False)
        curves = [one for one in (*ax.patches, *ax.lines) if one.get_gid() == "pit"]
        bands = [one for one in ax.collections if _is_band(one)]
        # below the bars, which are near 1
        inside = "lower center" if kind == "histogram" else "best"
        draw_legend([ax], [*curves, bands[0]], loc=inside)
        return self

    @staticmethod
    def _draw_histogram(ax, pit, bins, style):
        counts, edges = np.histogram(pit, bins, range=(0.0, 1.0))
        density = counts * bins / len(pit)
        low, high = (
            binom.ppf([0.5 - BAND / 2, 0.5 + BAND / 2], len(pit), 1 / bins) * bins / len(pit)
        )
        _draw_band(ax, len(pit), [0.0, 1.0], [low] * 2, [high] * 2)
        draw_perfect(ax, 1.0)
        first = not any(one.get_gid() == "pit" for one in ax.patches)
        curve = ax.stairs(density, edges, baseline=None, **style)
        if first:
            ax.stairs(density, edges, fill=True, color=style["color"], alpha=0.15, linewidth=0)
        top = max([1.0, high, *(one.get_data().values.max() for one in ax.patches)])
        ax.set(xlim=(0, 1), ylim=(0, 1.08 * top), xlabel="PIT", ylabel="density")
        return curve

    @staticmethod
    def _draw_quantiles(ax, pit, bins, style):
        n = len(pit)
        rank = np.unique(np.linspace(1, n, N_POINTS).astype(int))
        at = (rank - 0.5) / n
        low, high = (beta.ppf(q, rank, n + 1 - rank) for q in (0.5 - BAND / 2, 0.5 + BAND / 2))
        _draw_band(ax, n, at, low, high)
        draw_perfect(ax)
        (curve,) = ax.plot(at, np.sort(pit)[rank - 1], **style)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set(xlabel="quantile of uniform values", ylabel="quantile of the PIT")
        return curve


def _is_band(artist):
    return (artist.get_gid() or "").startswith("band")


def _draw_band(ax, n, x, low, high):
    """What n uniform values are expected to give, once for each n."""
    gid = f"band {n}"
    if not any(one.get_gid() == gid for one in ax.collections):
        label = f"{100 * BAND:g} % if uniform"
        ax.fill_between(x, low, high, color="0.85", linewidth=0, zorder=0, gid=gid, label=label)
