"""True positives against false ones where these are few: ROC curves on a logarithmic axis."""

import numpy as np
from sklearn.metrics import auc as area_under
from sklearn.metrics import roc_curve

from skastro.displays.labels import predicted_maps, read_labels
from skastro.displays.style import COLORS, DASHES, draw_legend, new_axes
from skastro.thresholds import NONE_SEEN

__all__ = ["ROCDisplay"]

# of a curve that is drawn
N_POINTS = 2000
# rows of the legend below, before it gets a second column
N_ROWS = 4


class ROCDisplay:
    """ROC curves with a logarithmic axis of false positive rates.

    At a prevalence of 1e-5 a false positive rate of 1e-3 is a hundred false pixels for a true one: what
    counts is at the left. The legend has the area under each curve and the true positive rate at the false
    positive rate `at`. Where no false positive is seen, a dotted line and a mark at 3 / N: at this true
    positive rate the false positive rate is below that of the mark at 95 % confidence, N negatives. The grey
    curve is chance. A second display on the same axes compares.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    fpr, tpr : list of ndarray
        One array a curve.
    auc : list of float
        NaN where a class has no positive or no negative: its curve isn't drawn.
    n_negatives : list of int
    labels : list of str
        Of the curves, for the legend.
    at : float, default=1e-3
        False positive rate of the true positive rates in the legend.

    Attributes
    ----------
    tpr_at_ : ndarray of shape (n_curves,)
        The true positive rate at `at`.
    curves_ : list of matplotlib.lines.Line2D
    limits_ : list of matplotlib.lines.Line2D
        Where no false positive is seen.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import ROCDisplay
    >>> y = np.array([[0, 0, 1, 1, 0, 1]])
    >>> display = ROCDisplay.from_predictions(y, [[0.1, 0.2, 0.9, 0.4, 0.6, 0.7]], at=0.4)
    >>> float(display.tpr_at_[0])
    1.0
    """

    def __init__(self, *, fpr, tpr, auc, n_negatives, labels, at=1e-3):
        self.fpr = fpr
        self.tpr = tpr
        self.auc = auc
        self.n_negatives = n_negatives
        self.labels = labels
        self.at = at

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, labels=None, show=None, at=1e-3, ignore_index=255, name=None, ax=None
    ):  # fmt: skip
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_proba`.
        X : array-like
            As the estimator takes it.
        y : array-like
            Truth.
        labels, show, at, ignore_index, ax
            As in `from_predictions`; names are the estimator's `labels_` by default.
        name : str, optional
            For the legend; the class of the estimator by default.

        Returns
        -------
        display : ROCDisplay
        """
        proba, name, own = predicted_maps(estimator, X, name)
        return cls.from_predictions(
            y, proba, labels=own if labels is None else labels, show=show, at=at,
            ignore_index=ignore_index, name=name, ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, proba, *, labels=None, show=None, at=1e-3, ignore_index=255, name=None, ax=None
    ):  # fmt: skip
        """Draw the curves of predicted probabilities.

        Parameters
        ----------
        y_true : array-like
            Of the shape of `proba`, bool or 0 and 1; or of exclusive classes (n, h, w), the index of each.
        proba : array-like of shape (n,), (n, h, w) or (n, n_labels, h, w)
            Probabilities, or scores between 0 and 1.
        labels : sequence of str, optional
            Names of all classes.
        show : int, str or list of such, optional
            A curve for each; all by default.
        at : float, default=1e-3
            False positive rate of the true positive rates in the legend.
        ignore_index : int, default=255
            In `y_true`: not scored; and NaN.
        name : str, optional
            Of the method, for the legend.
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.

        Returns
        -------
        display : ROCDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, probabilities outside 0 to 1, other labels than 0 and 1, a class that
            isn't there, a rate outside 0 to 1.
        """
        if not 0 < at < 1:
            raise ValueError(f"at={at!r}; expected a false positive rate between 0 and 1.")
        fpr, tpr, auc, negatives, names = [], [], [], [], []
        for one in read_labels(y_true, proba, labels=labels, show=show, ignore_index=ignore_index):
            names.append(", ".join(part for part in (name, one.name) if part))
            negatives.append(int((~one.y).sum()))
            if one.y.all() or not one.y.any():
                fpr.append(np.array([0.0, 1.0]))
                tpr.append(np.array([np.nan, np.nan]))
                auc.append(np.nan)
                continue
            rates = roc_curve(one.y, one.proba)[:2]
            fpr.append(rates[0])
            tpr.append(rates[1])
            auc.append(float(area_under(*rates)))
        display = cls(fpr=fpr, tpr=tpr, auc=auc, n_negatives=negatives, labels=names, at=at)
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.

        Returns
        -------
        self : ROCDisplay
        """
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        new = not any(line.get_gid() == "roc" for line in ax.lines)
        left = 10.0 ** np.floor(np.log10(0.7 / max(max(self.n_negatives), 10)))
        left = left if new else min(left, ax.get_xlim()[0])
        ax.set(xscale="log", xlim=(left, 1.0), ylim=(-0.02, 1.02))
        ax.set(xlabel="false positive rate", ylabel="true positive rate")
        if new:
            chance = np.geomspace(1e-9, 1.0, 200)
            ax.plot(chance, chance, color="0.3", linewidth=0.8, zorder=1, gid="chance")
            ax.axvline(self.at, color="0.85", linewidth=0.8, zorder=0)
        self.curves_, self.limits_, found = [], [], []
        rows = zip(self.fpr, self.tpr, self.auc, self.n_negatives, self.labels, strict=True)
        for fpr, tpr, auc, n, label in rows:
            i = sum(line.get_gid() == "roc" for line in ax.lines)
            style = {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i % len(DASHES)]}
            known = np.isfinite(auc)
            reached = tpr[np.searchsorted(fpr, self.at, side="right") - 1] if known else np.nan
            found.append(reached)
            told = f"{auc:.4f}, {reached:.3f}" if known else "one class only"
            style |= {
                "label": f"{label}: {told}" if label else told,
                "gid": "roc",
                "linewidth": 1.5,
            }
            # between two rates the higher is not reached yet
            (curve,) = ax.plot(*_thinned(fpr, tpr), drawstyle="steps-post", **style)
            self.curves_.append(curve)
            if known:
                self._draw_limit(ax, fpr, tpr, n, style["color"])
        self.tpr_at_ = np.array(found)
        ax.spines[["top", "right"]].set_visible(False)
        curves = [line for line in ax.lines if line.get_gid() == "roc"]
        ncols = min(3, -(-len(curves) // N_ROWS))
        draw_legend([ax], curves, ncols, f"AUC, true positive rate at {self.at:g}")
        return self

    def _draw_limit(self, ax, fpr, tpr, n, color):
        """The true positive rate before the first false positive, and how much that says."""
        reached = tpr[np.flatnonzero(fpr == 0)[-1]]
        if reached == 0:
            return
        end = min(NONE_SEEN / n, 1.0)
        style = {"color": color, "linewidth": 1.0, "linestyle": ":", "marker": "<", "markersize": 4}
        (line,) = ax.plot([1e-9, end], [reached, reached], markevery=[1], gid="limit", **style)
        self.limits_.append(line)


def _thinned(fpr, tpr):
    """As many points of a curve as can be seen; those without a false positive can't."""
    # steps as long as what there is
    there = np.flatnonzero(fpr > 0)
    fpr, tpr = fpr[there], tpr[there]
    if len(fpr) > N_POINTS:
        across = np.log(fpr / fpr[0]) / np.log(fpr[-1] / fpr[0])
        cell = np.floor(N_POINTS / 2 * across) + np.floor(N_POINTS / 2 * tpr) * 1e6
        kept = np.append(np.flatnonzero(np.diff(cell)), len(fpr) - 1)
        fpr, tpr = fpr[kept], tpr[kept]
    return fpr, tpr
