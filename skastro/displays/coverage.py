"""Whether intervals hold the truth as often as they promise."""

import numpy as np
from scipy.stats import beta

from skastro.displays.style import COLORS, DASHES, draw_legend, draw_perfect, new_axes
from skastro.displays.targets import read_estimator, read_targets
from skastro.distribution_metrics import hpd_values, pit_values
from skastro.distributions.rows import check_levels

__all__ = ["CoverageDisplay"]

KINDS = ("central", "hpd")
# Probability of the error band of a fraction.
BAND = 0.95
LEVELS = tuple(i / 100 for i in range(1, 100))


class CoverageDisplay:
    """Fraction of the truth in the predicted intervals, against the level that these promise.

    Above the diagonal the predictions are too wide, below too narrow. The band is the 95 % error of the
    fraction: the interval of Jeffreys for a binomial one [1]_. A second display on the same axes compares.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
        That the intervals promise to hold.
    fractions : ndarray of shape (n_curves, n_levels)
        What they hold.
    n_rows : int
        Of which the fractions are.
    labels : list of str
        Of the curves, for the legend.

    Attributes
    ----------
    low_, high_ : ndarray of shape (n_curves, n_levels)
        Of the bands.
    curves_ : list of matplotlib.lines.Line2D
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Brown, Cai & DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16, 101
       (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import CoverageDisplay
    >>> from skastro.distributions import PiecewiseDistribution
    >>> uniform = PiecewiseDistribution([0.0, 1.0], np.tile([0.0, 1.0], (40, 1, 1)))
    >>> y = (np.arange(40) + 0.5) / 40
    >>> CoverageDisplay.from_predictions(y, uniform, levels=[0.5, 0.9]).fractions
    array([[0.5, 0.9]])
    """

    def __init__(self, *, levels, fractions, n_rows, labels):
        self.levels = levels
        self.fractions = fractions
        self.n_rows = n_rows
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, kind="central", levels=LEVELS, targets=None, target_names=None,
        name=None, ax=None, **context,
    ):  # fmt: skip
        """Draw the coverage of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_distribution`.
        X : array-like
            As the estimator takes it.
        y : array-like of shape (n,) or (n, n_targets)
            Truth.
        kind, levels, targets, target_names, ax
            As in `from_predictions`.
        name : str, optional
            For the legend; the class of the estimator by default.
        **context : dict
            For `predict_distribution`, such as `extra`.

        Returns
        -------
        display : CoverageDisplay
        """
        distribution, name, target_names = read_estimator(
            estimator, X, y, context, name=name, target_names=target_names
        )
        return cls.from_predictions(
            y, distribution, kind=kind, levels=levels,
            targets=targets, target_names=target_names, name=name, ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, distribution, *, kind="central", levels=LEVELS, targets=None,
        target_names=None, name=None, ax=None,
    ):  # fmt: skip
        """Draw the coverage of predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, n_targets)
        distribution : Distribution
            Of shape (n, n_targets).
        kind : {"central", "hpd"} or sequence of both, default="central"
            "central": intervals with as much probability below as above. "hpd": the most probable values,
            in several pieces where there are several peaks.
        levels : array-like of shape (n_levels,), default=(0.01, 0.02, ..., 0.99)
            Between 0 and 1.
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
        display : CoverageDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, a truth that is not finite, another `kind`, a level outside 0 to 1, a
            target that isn't there.
        """
        kinds = [kind] if isinstance(kind, str) else list(kind)
        if not kinds or any(one not in KINDS for one in kinds):
            raise ValueError(f"kind={kind!r}; expected one of {list(KINDS)} or both.")
        seen = read_targets(y_true, distribution, targets=targets, target_names=target_names)
        levels = np.sort(np.atleast_1d(check_levels(levels, "levels")))
        fractions, labels = [], []
        for one in kinds:
            if one == "central":
                needed = 2 * np.abs(pit_values(seen.y_true, distribution) - 0.5)
            else:
                needed = hpd_values(seen.y_true, distribution)
            # the least level of an interval that holds the truth, to rounding
            needed = np.sort(seen.drawn(needed), axis=0) - 1e-12
            fractions += [np.searchsorted(column, levels, "right") for column in needed.T]
            names = seen.curve_names(name)
            mark = one if len(kinds) > 1 or one != "central" else ""
            labels += [", ".join(part for part in (text, mark) if part) for text in names]
        n = len(seen.y_true)
        return cls(levels=levels, fractions=np.array(fractions) / n, n_rows=n, labels=labels).plot(
            ax
        )

    def plot(self, ax=None):
        """Draw the curves with their bands, and the diagonal.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.

        Returns
        -------
        self : CoverageDisplay
        """
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        inside = np.rint(self.fractions * self.n_rows)
        ends = inside + 0.5, self.n_rows - inside + 0.5
        self.low_ = np.where(inside > 0, beta.ppf(0.5 - BAND / 2, *ends), 0.0)
        self.high_ = np.where(inside < self.n_rows, beta.ppf(0.5 + BAND / 2, *ends), 1.0)
        draw_perfect(ax)
        self.curves_ = []
        for label, fraction, low, high in zip(
            self.labels, self.fractions, self.low_, self.high_, strict=True
        ):
            i = sum(line.get_gid() == "coverage" for line in ax.lines)
            color = COLORS[i % len(COLORS)]
            ax.fill_between(self.levels, low, high, color=color, alpha=0.18, linewidth=0)
            worst = 100 * np.abs(fraction - self.levels).max()
            # a few levels are points, many a line
            style = {"marker": "o", "markersize": 4} if len(self.levels) <= 12 else {}
            (curve,) = ax.plot(
                self.levels, fraction, color=color, linestyle=DASHES[i % len(DASHES)], gid="coverage",
                label=f"{label}{': ' if label else ''}at most {worst:.1f} points off", **style,
            )  # fmt: skip
            self.curves_.append(curve)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set(xlabel="level of the interval", ylabel="fraction of the truth inside")
        ax.spines[["top", "right"]].set_visible(False)
        draw_legend([ax], ax.get_legend_handles_labels()[0])
        return self
