"""The predicted densities of a few rows, one by one."""

import numpy as np

from skastro.displays.style import COLORS, DASHES, draw_legend, require_matplotlib
from skastro.displays.targets import read_estimator, read_targets

__all__ = ["PDFDisplay"]

N_SHOWN = 6
N_COLUMNS = 3
# Points of a curve: evenly in the range that holds all but TAIL at either end, and in the probability.
N_EVEN, N_LEVELS, TAIL = 401, 199, 5e-3


class PDFDisplay:
    """Predicted densities of a target for a few rows, with the truth where it is known.

    The shaded part is the central interval. A second display on the same axes compares.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    rows : ndarray of int of shape (n_rows,)
        That are drawn.
    x, pdf : ndarray of shape (n_rows, n_points)
        Values of the target, in its unit, and the densities there.
    intervals : ndarray of shape (n_rows, 2)
    y_true : ndarray of shape (n_rows,) or None
    titles : list of str
        Of the panels.
    target_name : str, default=""
    unit : str, default=""
        Of the target.
    level : float, default=0.68
        Of the intervals.
    name : str, optional
        Of the method, for the legend.

    Attributes
    ----------
    curves_ : list of matplotlib.lines.Line2D
    axes_ : ndarray of Axes of shape (n_rows,)
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import PDFDisplay
    >>> from skastro.distributions import GaussianMixtureDistribution
    >>> z = np.array([0.1, 0.2])
    >>> distribution = GaussianMixtureDistribution(
    ...     np.ones((2, 1)), z[:, None, None], np.full((2, 1, 1, 1), 0.01**2))
    >>> display = PDFDisplay.from_predictions(z, distribution, target_name="redshift")
    >>> display.intervals.round(2)
    array([[0.09, 0.11],
           [0.19, 0.21]])
    """

    def __init__(
        self, *, rows, x, pdf, intervals, y_true, titles, target_name="", unit="", level=0.68,
        name=None,
    ):  # fmt: skip
        self.rows = rows
        self.x = x
        self.pdf = pdf
        self.intervals = intervals
        self.y_true = y_true
        self.titles = titles
        self.target_name = target_name
        self.unit = unit
        self.level = level
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, rows=None, target=0, grid=None, level=0.68, titles=None,
        target_name=None, unit=None, name=None, axes=None, **context,
    ):  # fmt: skip
        """Draw densities that a fitted estimator predicts.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_distribution`.
        X : array-like
            As the estimator takes it.
        y : array-like of shape (n,) or (n, n_targets), optional
            Truth.
        rows, target, grid, level, titles, target_name, unit, axes
            As in `from_predictions`.
        name : str, optional
            For the legend; the class of the estimator by default.
        **context : dict
            For `predict_distribution`, such as `extra`.

        Returns
        -------
        display : PDFDisplay
        """
        distribution, name, target_name = read_estimator(
            estimator, X, y, context, name=name, target_names=target_name
        )
        return cls.from_predictions(
            y, distribution, rows=rows, target=target, grid=grid,
            level=level, titles=titles, target_name=target_name, unit=unit, name=name, axes=axes,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, y_true, distribution, *, rows=None, target=0, grid=None, level=0.68, titles=None,
        target_name=None, unit=None, name=None, axes=None,
    ):  # fmt: skip
        """Draw predicted densities.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, n_targets), or None
            None: not known.
        distribution : Distribution
            Of shape (n, n_targets).
        rows : sequence of int, optional
            Which; by default six that divide the order of the truth evenly, or the first six.
        target : int or str, default=0
        grid : array-like of shape (n_points,), optional
            Values of the target for all panels; by default each has its own.
        level : float, default=0.68
            Of the central intervals.
        titles : sequence of str, optional
            One for each of the rows that are drawn.
        target_name, unit : str or sequence of str, optional
            Of the target, or of all.
        name : str, optional
            Of the method, for the legend.
        axes : array of Axes, optional
            Those of another such display of the same rows, to compare; new ones by default.

        Returns
        -------
        display : PDFDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, a row or target that isn't there, a level outside 0 to 1, a grid that
            does not increase.
        """
        known = y_true is not None
        if not known:
            # a truth that is not looked at
            y_true = np.zeros(getattr(distribution, "shape", (1, 1)))
        n_targets = getattr(distribution, "shape", (1, 1))[1]
        one_name = [target_name] * n_targets if isinstance(target_name, str) else target_name
        seen = read_targets(y_true, distribution, targets=target, target_names=one_name, units=unit)
        truth = seen.drawn(seen.y_true)[:, 0]
        rows = _check_rows(rows, truth, known)
        if not (np.isscalar(level) and 0 < level < 1):
            raise ValueError(f"level={level!r}; expected a probability between 0 and 1.")
        if titles is None:
            titles = [f"true {truth[i]:.4g}" if known else f"row {i}" for i in rows]
        if len(titles) != len(rows):
            raise ValueError(f"titles has {len(titles)} entries; expected {len(rows)}.")
        part = distribution[rows]
        ends = seen.drawn(np.asarray(part.interval(level)))[..., 0].T
        x = _abscissae(part, seen) if grid is None else _check_grid(grid, len(rows))
        density = seen.drawn(part.pdf(np.broadcast_to(x.T[..., None], x.T.shape + (n_targets,))))
        display = cls(
            rows=rows, x=x, pdf=density[..., 0].T, intervals=ends, titles=[str(t) for t in titles],
            y_true=truth[rows] if known else None, target_name=seen.names[0], unit=seen.units[0],
            level=level, name=name,
        )  # fmt: skip
        return display.plot(axes)

    def plot(self, axes=None):
        """Draw a panel for each row.

        Parameters
        ----------
        axes : array of Axes, optional
            Those of another such display of the same rows, to compare; new ones by default.

        Returns
        -------
        self : PDFDisplay
        """
        pyplot = require_matplotlib()
        n = len(self.rows)
        if axes is None:
            columns = 2 if n == 4 else min(N_COLUMNS, n)
            lines = -(-n // columns)
            figure = pyplot.figure(figsize=(3.2 * columns, 2.4 * lines + 0.4), layout="constrained")
            grid = figure.subplots(lines, columns, squeeze=False).ravel()
            for ax in grid[n:]:
                ax.set_axis_off()
            axes = grid[:n]
        self.axes_ = np.ravel(axes)
        if len(self.axes_) != n:
            raise ValueError(f"axes has {len(self.axes_)} panels; expected {n}, one for each row.")
        self.figure_ = self.axes_[0].figure
        self.curves_ = [self._draw(ax, i) for i, ax in enumerate(self.axes_)]
        handles, _ = self.axes_[0].get_legend_handles_labels()
        draw_legend(self.axes_, handles, ncols=len(handles))
        return self

    def _draw(self, ax, i):
        drawn = sum(line.get_gid() == "pdf" for line in ax.lines)
        color = COLORS[drawn % len(COLORS)]
        # a mass at one value has no density
        density = np.where(np.isfinite(self.pdf[i]), self.pdf[i], np.nan)
        (curve,) = ax.plot(
            self.x[i], density, color=color, linestyle=DASHES[drawn % len(DASHES)], linewidth=1.4,
            gid="pdf", label=self.name or "predicted",
        )  # fmt: skip
        low, high = self.intervals[i]
        ax.fill_between(
            self.x[i], 0, density, where=(self.x[i] >= low) & (self.x[i] <= high), color=color,
            alpha=0.2, linewidth=0, gid="interval",
            label=None if drawn else f"{100 * self.level:g} % interval",
        )  # fmt: skip
        if self.y_true is not None and not any(line.get_gid() == "truth" for line in ax.lines):
            ax.axvline(self.y_true[i], color="black", linewidth=1.1, gid="truth", label="true")
        tops = [np.nanmax(line.get_ydata()) for line in ax.lines if line.get_gid() == "pdf"]
        ax.set_ylim(0, 1.1 * max(tops) or 1.0)
        unit = f" [{self.unit}]" if self.unit else ""
        ax.set_title(self.titles[i], fontsize="medium")
        ax.locator_params(axis="x", nbins=5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize="small")
        if not ax.get_xlabel():
            ax.set_xlabel(f"{self.target_name or 'value'}{unit}")
        if ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel("density")
        return curve


def _check_rows(rows, truth, known):
    n = len(truth)
    if rows is None:
        count = min(N_SHOWN, n)
        if not known:
            return np.arange(count)
        return np.argsort(truth, kind="stable")[((np.arange(count) + 0.5) * n / count).astype(int)]
    found = np.atleast_1d(np.asarray(rows))
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iu":
        raise ValueError(f"rows={rows!r}; expected a sequence of indices.")
    if found.min() < -n or found.max() >= n:
        raise ValueError(f"rows={rows!r}; expected indices below {n}.")
    return found % n


def _check_grid(grid, n):
    grid = np.asarray(grid, dtype=float)
    if grid.ndim != 1 or len(grid) < 2 or not (np.diff(grid) > 0).all():
        raise ValueError(f"grid has shape {grid.shape}; expected increasing numbers, 2 or more.")
    return np.broadcast_to(grid, (n, len(grid)))


def _abscissae(part, seen):
    """Values at which each row's density is drawn, (n_rows, n_points)."""
    levels = np.linspace(TAIL, 1 - TAIL, N_LEVELS)
    dense = seen.drawn(part.quantile(levels))[..., 0]
    even = dense[0] + (dense[-1] - dense[0]) * np.linspace(-0.1, 1.1, N_EVEN)[:, None]
    return np.sort(np.concatenate([dense, even]), axis=0).T
