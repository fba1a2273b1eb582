"""Predicted targets against the truth, with their intervals and errors."""

import numpy as np

from skastro.displays.running import draw_density, running_quantiles
from skastro.displays.style import COLORS, draw_perfect, require_matplotlib
from skastro.displays.targets import read_estimator, read_targets
from skastro.distributions.rows import check_levels
from skastro.photoz_metrics import redshift_residuals, redshift_summary

__all__ = ["PredictionDisplay"]

KINDS = ("parameter", "redshift")
DRAWS = ("auto", "intervals", "density")
POINTS = ("mean", "median", "mode")
# Rows up to which each has its own error bar.
FEW = 300
# Targets side by side.
N_COLUMNS = 3
# The axis of residuals ends a little beyond this percentile of their moduli.
END = 99.5
# The other axes go as far as these quantiles of the ends of intervals.
REACH = (0.02, 0.98)


class PredictionDisplay:
    """Predicted targets against the truth with their intervals, above what they are off by.

    A column for each target. With few rows each has its error bars, thick the 68 and thin the 95 %
    interval. With many the colour is their density, and at each truth the line is the median of the
    predictions, the bands go between the medians of the interval ends. Below are the residuals with
    their running median and the band that holds 68 % of them.

    For distributions; `sklearn.metrics.PredictionErrorDisplay` draws points alone.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n, n_drawn)
        Truth, and the point of each distribution.
    intervals : ndarray of shape (n_levels, 2, n, n_drawn)
        Lower and upper ends.
    levels : ndarray of shape (n_levels,)
        Of the intervals, the widest first.
    titles, units : list of str of length n_drawn
        "" where there is none.
    point : {"mean", "median", "mode"}
    kind : {"parameter", "redshift"}
    threshold : float
        Of outliers, for "redshift".

    Attributes
    ----------
    residuals_ : ndarray of shape (n, n_drawn)
        Predicted less true; for "redshift" over 1 + true.
    summary_ : list of dict of str to float
        For each target "mae", or for "redshift" "bias", "sigma_mad" and "outlier_fraction".
    axes_ : dict of str to ndarray of Axes of shape (n_drawn,)
        "prediction" and "residual".
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Pasquet et al., "Photometric redshifts from SDSS images using a convolutional neural network",
       A&A 621, A26 (2019): the statistics of redshifts.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import PredictionDisplay
    >>> from skastro.distributions import GaussianMixtureDistribution
    >>> y = np.linspace(0.0, 1.0, 50)
    >>> distribution = GaussianMixtureDistribution(
    ...     np.ones((50, 1)), y[:, None, None] + 0.1, np.full((50, 1, 1, 1), 0.01))
    >>> display = PredictionDisplay.from_predictions(y, distribution, units="kpc")
    >>> round(display.summary_[0]["mae"], 3)
    0.1
    """

    def __init__(
        self, *, y_true, y_pred, intervals, levels, titles, units, point="median", kind="parameter",
        threshold=0.05,
    ):  # fmt: skip
        self.y_true = y_true
        self.y_pred = y_pred
        self.intervals = intervals
        self.levels = levels
        self.titles = titles
        self.units = units
        self.point = point
        self.kind = kind
        self.threshold = threshold

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, kind="parameter", point="median", levels=(0.68, 0.95),
        draw="auto", threshold=0.05, targets=None, target_names=None, units=None, name=None,
        figure=None, **context,
    ):  # fmt: skip
        """Draw what a fitted estimator predicts.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_distribution`.
        X : array-like
            As the estimator takes it.
        y : array-like of shape (n,) or (n, n_targets)
            Truth.
        kind, point, levels, draw, threshold, targets, target_names, units, figure
            As in `from_predictions`.
        name : str, optional
            For the title; the class of the estimator by default.
        **context : dict
            For `predict_distribution`, such as `extra`.

        Returns
        -------
        display : PredictionDisplay
        """
        distribution, name, target_names = read_estimator(
            estimator, X, y, context, name=name, target_names=target_names
        )
        return cls.from_predictions(
            y, distribution, kind=kind, point=point, levels=levels,
            draw=draw, threshold=threshold, targets=targets, target_names=target_names, units=units,
            name=name, figure=figure,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, distribution, *, kind="parameter", point="median", levels=(0.68, 0.95),
        draw="auto", threshold=0.05, targets=None, target_names=None, units=None, name=None,
        figure=None,
    ):  # fmt: skip
        """Draw predicted distributions.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, n_targets)
        distribution : Distribution
            Of shape (n, n_targets).
        kind : {"parameter", "redshift"}, default="parameter"
            "redshift": residuals over 1 + z, with their bias, scatter and outliers; else the mean absolute
            error.
        point : {"mean", "median", "mode"}, default="median"
            Of each distribution, for the points.
        levels : array-like of shape (n_levels,), default=(0.68, 0.95)
            Of the central intervals.
        draw : {"auto", "intervals", "density"}, default="auto"
            An error bar for each row, or the density of all; "auto": the density from 301 rows on.
        threshold : float, default=0.05
            Modulus of the residual from which on a redshift is an outlier.
        targets : int, str or list of such, optional
            All by default.
        target_names, units : str or sequence of str, optional
            Of all targets; the columns of a DataFrame and the unit of a Quantity by default.
        name : str, optional
            Of the method, for the title.
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        display : PredictionDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, a truth that is not finite, another `kind`, `point` or `draw`, a level
            outside 0 to 1, a target that isn't there, redshifts of -1 or less.
        """
        for option, value, known in (("kind", kind, KINDS), ("point", point, POINTS)):
            if value not in known:
                raise ValueError(f"{option}={value!r}; expected one of {list(known)}.")
        levels = np.sort(np.atleast_1d(check_levels(levels, "levels")))[::-1]
        if len(levels) == 0:
            raise ValueError("levels is empty; expected at least one.")
        seen = read_targets(
            y_true, distribution, targets=targets, target_names=target_names, units=units
        )
        ends = distribution.quantile(np.ravel([(0.5 - p / 2, 0.5 + p / 2) for p in levels]))
        ends = seen.drawn(ends).reshape(len(levels), 2, len(seen.y_true), len(seen))
        titles = [": ".join(part for part in (name, one) if part) for one in seen.names]
        display = cls(
            y_true=seen.drawn(seen.y_true), y_pred=seen.drawn(getattr(distribution, point)()),
            intervals=ends, levels=levels, titles=titles, units=seen.units, point=point, kind=kind,
            threshold=threshold,
        )  # fmt: skip
        return display.plot(figure, draw=draw)

    def plot(self, figure=None, *, draw="auto"):
        """Draw two panels for each target.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            A new one by default.
        draw : {"auto", "intervals", "density"}, default="auto"

        Returns
        -------
        self : PredictionDisplay
        """
        if draw not in DRAWS:
            raise ValueError(f"draw={draw!r}; expected one of {list(DRAWS)}.")
        self._measure()
        pyplot = require_matplotlib()
        n, n_drawn = self.y_true.shape
        dense = draw == "density" or (draw == "auto" and n > FEW)
        columns = 2 if n_drawn == 4 else min(N_COLUMNS, n_drawn)
        rows = -(-n_drawn // columns)
        if figure is None:
            figure = pyplot.figure(figsize=(4.3 * columns, 5.6 * rows), layout="constrained")
        grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[3.2, 1.2] * rows)
        self.figure_ = figure
        self.axes_ = {
            "prediction": grid[::2].ravel()[:n_drawn],
            "residual": grid[1::2].ravel()[:n_drawn],
        }
        for ax in (*grid[::2].ravel()[n_drawn:], *grid[1::2].ravel()[n_drawn:]):
            ax.set_axis_off()
        for i in range(n_drawn):
            above, below = self.axes_["prediction"][i], self.axes_["residual"][i]
            below.sharex(above)
            above.tick_params(labelbottom=False)
            self._draw_prediction(above, i, dense)
            self._draw_residual(below, i, dense)
            for ax in (above, below):
                ax.spines[["top", "right"]].set_visible(False)
        figure.align_ylabels()
        first = [self.axes_[key][0].get_legend_handles_labels()[0] for key in self.axes_]
        self.axes_["prediction"][0].legend(
            handles=sum(first, []), fontsize="small", loc="lower right", facecolor="white",
            framealpha=0.8, edgecolor="none",
        )  # fmt: skip
        return self

    def _measure(self):
        columns = list(zip(self.y_true.T, self.y_pred.T, strict=True))
        if self.kind == "redshift":
            self.residuals_ = np.transpose([redshift_residuals(*pair) for pair in columns])
            found = [redshift_summary(*pair, threshold=self.threshold) for pair in columns]
            keys = "bias", "sigma_mad", "outlier_fraction"
            self.summary_ = [{key: getattr(one, key) for key in keys} for one in found]
        else:
            self.residuals_ = self.y_pred - self.y_true
            self.summary_ = [{"mae": float(one)} for one in np.abs(self.residuals_).mean(0)]

    def _names(self, i):
        """True, predicted, residual."""
        if self.kind == "redshift":
            return "true redshift", f"predicted redshift ({self.point})", "Δz / (1 + z)"
        unit = f" [{self.units[i]}]" if self.units[i] else ""
        return f"true{unit}", f"predicted {self.point}{unit}", f"residual{unit}"

    def _draw_prediction(self, ax, i, dense):
        from matplotlib.colors import to_rgb

        truth, guess, ends = self.y_true[:, i], self.y_pred[:, i], self.intervals[..., i]
        shown = [truth, guess, *np.quantile(ends[0], REACH, axis=1)]
        low, high = np.min(np.hstack(shown)), np.max(np.hstack(shown))
        margin = 0.04 * (high - low) or 0.5
        low, high = low - margin, high + margin
        ax.set(xlim=(low, high), ylim=(low, high), ylabel=self._names(i)[1])
        draw_perfect(ax)
        if dense:
            draw_density(ax, truth, guess, (low, high, low, high))
            for k, (level, (bottom, top)) in enumerate(zip(self.levels, ends, strict=True)):
                centre, (lower,) = running_quantiles(truth, bottom, [0.5])
                _, (upper,) = running_quantiles(truth, top, [0.5])
                ax.fill_between(
                    centre, lower, upper, facecolor=(*to_rgb(COLORS[0]), 0.1 + 0.12 * k),
                    edgecolor=COLORS[0], linewidth=0.6 + 0.4 * k, zorder=2,
                    label=f"{100 * level:g} % interval", gid=f"interval {level:g}",
                )  # fmt: skip
            centre, middle = running_quantiles(truth, guess, [0.5])
            ax.plot(centre, middle[0], color=COLORS[0], zorder=3, label="median", gid="median")
        else:
            for k, (level, (bottom, top)) in enumerate(zip(self.levels, ends, strict=True)):
                ax.vlines(
                    truth, bottom, top, color=COLORS[0], alpha=0.5, linewidth=0.7 * (k + 1), zorder=2,
                    label=f"{100 * level:g} % interval", gid=f"interval {level:g}",
                )  # fmt: skip
            ax.plot(truth, guess, "o", color=COLORS[0], markersize=3, zorder=3, gid="points")
        if self.kind == "redshift":
            for k, sign in enumerate((-1, 1)):
                edge = np.array([low, high])
                ax.plot(
                    edge, edge + sign * self.threshold * (1 + edge), color=COLORS[2], linestyle="--",
                    linewidth=0.9, zorder=3, label=None if k else f"outlier: {self.threshold:g} (1 + z)",
                    gid="threshold", scalex=False, scaley=False,
                )  # fmt: skip
        told = [one for one in (self.titles[i], self._told(i)) if one]
        ax.set_title("\n".join(told), fontsize="small")

    def _told(self, i):
        found = self.summary_[i]
        if self.kind == "redshift":
            bias = f"{found['bias']:+.4f}".replace("-", "−")
            scatter = f"$\\sigma_\\mathrm{{MAD}}$ {found['sigma_mad']:.4f}"
            return f"bias {bias}, {scatter}, outliers {100 * found['outlier_fraction']:.2f} %"
        unit = f" {self.units[i]}" if self.units[i] else ""
        return f"MAE {found['mae']:.3g}{unit}"

    def _draw_residual(self, ax, i, dense):
        from matplotlib.colors import to_rgb

        truth, residual = self.y_true[:, i], self.residuals_[:, i]
        end = 1.15 * np.percentile(np.abs(residual), END) or 1.0
        if self.kind == "redshift":
            end = max(end, 1.6 * self.threshold)
            for sign in (-1, 1):
                ax.axhline(
                    sign * self.threshold, color=COLORS[2], linestyle="--", linewidth=0.9,
                    gid="threshold",
                )  # fmt: skip
        ax.set_ylim(-end, end)
        draw_perfect(ax, 0.0)
        if dense:
            draw_density(ax, truth, residual, (*ax.get_xlim(), -end, end))
        else:
            ax.plot(truth, residual, "o", color=COLORS[0], markersize=2.5, alpha=0.7, gid="points")
        centre, (low, middle, high) = running_quantiles(truth, residual, [0.16, 0.5, 0.84])
        ax.fill_between(
            centre,
            low,
            high,
            facecolor=(*to_rgb(COLORS[1]), 0.2),
            edgecolor=COLORS[1],
            linewidth=0.8,
            zorder=2,
            gid="band",
            label="68 % of the residuals",
        )
        ax.plot(centre, middle, color=COLORS[1], zorder=3, gid="median")
        _, _, label = self._names(i)
        ax.set(xlabel=self._names(i)[0], ylabel=label)
        beyond = int((np.abs(residual) > end).sum())
        if beyond:
            ax.text(
                0.98, 0.04, f"{beyond} beyond", transform=ax.transAxes, ha="right", fontsize="x-small"
            )  # fmt: skip
