"""Predictions of an emulator against the truth."""

import numpy as np

from skastro.displays.style import draw_perfect, new_axes
from skastro.displays.targets import resolve_target
from skastro.pairs import check_pair

__all__ = ["TruePredictedDisplay"]


class TruePredictedDisplay:
    """Predictions of one output against the truth, on logarithmic axes.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples,)
        Valid entries of one output, in linear units.
    name : str, optional
        For the legend.
    output_name : str, optional
        For the title.
    unit : str, optional
        For the axes.

    Attributes
    ----------
    points_ : matplotlib.lines.Line2D
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from skastro.displays import TruePredictedDisplay
    >>> display = TruePredictedDisplay.from_predictions([1.0, 20.0], [1.1, 18.0], unit="K km/s")
    >>> display.ax_.get_xlabel()
    'true [K km/s]'
    """

    def __init__(self, *, y_true, y_pred, name=None, output_name=None, unit=None):
        self.y_true = y_true
        self.y_pred = y_pred
        self.name = name
        self.output_name = output_name
        self.unit = unit

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, output=0, mask=None, kind="true_vs_predicted", name=None,
        unit=None, ax=None, **kwargs,
    ):  # fmt: skip
        """Draw one output of a fitted emulator.

        Parameters
        ----------
        estimator : fitted regressor
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Positive truth; NaN: masked.
        output : int or str, default=0
            Index, or name where `y` is a DataFrame.
        mask : array-like of bool of the shape of `y`, optional
            True where valid.
        kind : {"true_vs_predicted", "ratio_vs_true"}, default="true_vs_predicted"
        name : str, optional
            For the legend; the class of the estimator by default.
        unit : str, optional
            For the axes.
        ax : matplotlib.axes.Axes, optional
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : TruePredictedDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(
            y, estimator.predict(X), output=output, mask=mask, kind=kind, name=name, unit=unit,
            ax=ax, **kwargs,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, y_pred, *, output=0, mask=None, kind="true_vs_predicted", name=None,
        output_name=None, unit=None, ax=None, **kwargs,
    ):  # fmt: skip
        """Draw one output of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Positive truth (NaN: masked) and predictions, in linear units.
        output : int or str, default=0
            Index, or name where `y_true` is a DataFrame.
        mask : array-like of bool of the shape of `y_true`, optional
            True where valid.
        kind : {"true_vs_predicted", "ratio_vs_true"}, default="true_vs_predicted"
        name : str, optional
            For the legend.
        output_name : str, optional
            For the title; the column name of a DataFrame by default.
        unit : str, optional
            For the axes; the unit of a Quantity by default.
        ax : matplotlib.axes.Axes, optional
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : TruePredictedDisplay

        Raises
        ------
        ValueError
            Unknown output or kind, or no valid entry.
        """
        names = [str(column) for column in getattr(y_true, "columns", ())]
        unit = str(y_true.unit) if unit is None and hasattr(y_true, "unit") else unit
        truth, guess, mask = check_pair(y_true, y_pred, mask)
        output = resolve_target(output, names, truth.shape[1], "output")
        valid = np.isfinite(truth[:, output])
        if mask is not None:
            valid &= mask[:, output]
        if not valid.any():
            raise ValueError(f"output {output} has no valid entry; expected at least one.")
        if output_name is None and names:
            output_name = names[output]
        display = cls(
            y_true=truth[valid, output], y_pred=guess[valid, output], name=name,
            output_name=output_name, unit=unit,
        )  # fmt: skip
        return display.plot(ax, kind=kind, **kwargs)

    def plot(self, ax=None, *, kind="true_vs_predicted", **kwargs):
        """Draw the points and the line of perfect predictions.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.
        kind : {"true_vs_predicted", "ratio_vs_true"}, default="true_vs_predicted"
            "ratio_vs_true" shows the differences where the values span many decades.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : TruePredictedDisplay
        """
        if kind not in ("true_vs_predicted", "ratio_vs_true"):
            raise ValueError(f"kind={kind!r}; expected 'true_vs_predicted' or 'ratio_vs_true'.")
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        unit = "" if self.unit is None else f" [{self.unit}]"
        ratio = kind == "ratio_vs_true"
        shown = self.y_pred / self.y_true if ratio else self.y_pred
        style = {"marker": "o", "markersize": 3, "linestyle": "none", "alpha": 0.6,
                 "markeredgewidth": 0, "label": self.name}  # fmt: skip
        (self.points_,) = ax.plot(self.y_true, shown, **(style | kwargs))
        ax.set(xscale="log", yscale="log", xlabel=f"true{unit}")
        ax.set_ylabel("predicted / true" if ratio else f"predicted{unit}")
        draw_perfect(ax, 1.0 if ratio else None)
        if not ratio:
            # the line of perfect predictions has no say in the limits
            ends = [v for line in ax.lines if line.get_gid() != "perfect"
                    for v in (line.get_xdata(), line.get_ydata())]  # fmt: skip
            ends = np.concatenate(ends)
            ends = ends[np.isfinite(ends) & (ends > 0)]
            low, high = ends.min(), ends.max()
            margin = (high / low) ** 0.05 * 1.02
            ax.set(xlim=(low / margin, high * margin), ylim=(low / margin, high * margin))
        elif max(ax.get_ylim()[1], 1 / ax.get_ylim()[0]) < 2:
            # within a factor two a logarithmic axis would show one tick
            ax.set_yscale("linear")
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log":
                _decades(axis)
        if self.output_name is not None:
            ax.set_title(self.output_name)
        if self.name is not None:
            ax.legend(frameon=False)
        return self


def _decades(axis):
    """Few labels on a logarithmic axis: powers of ten, with 3 times them on a short one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def label(value, _):
        power = np.floor(np.log10(value) + 1e-9)
        lead = value / 10.0**power
        text = f"$10^{{{power:.0f}}}$" if -3 > power or power > 3 else f"{10.0**power:g}"
        if lead < 1.01:
            return text
        return f"{value:g}" if -3 <= power <= 3 else f"{lead:g}×{text}"

    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 40 * low else (1.0,), numticks=4))
    axis.set_major_formatter(FuncFormatter(label))
    axis.set_minor_formatter(NullFormatter())
