"""How often an emulator is wrong by how much."""

import numpy as np

from skastro.displays.style import new_axes
from skastro.metrics import error_factor

__all__ = ["ErrorQuantilesDisplay"]

_N_POINTS = 300


def _percent(error):
    """Label of an error factor on an axis."""
    if error < 0.99:
        return f"{100 * error:g} %"
    factor = 1 + error
    return f"×{factor:g}" if factor < 5e3 else f"×$10^{{{np.log10(factor):.0f}}}$"


class ErrorQuantilesDisplay:
    """Error factor against the fraction of predictions that are worse.

    The axis of fractions is logarithmic: the rare large errors, which a mean hides, take as much
    room as the usual ones. Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    worse : ndarray of shape (n_points,)
        Fractions, decreasing from near 1 to one entry of all.
    quantiles : ndarray of shape (n_points,)
        Error factor minus one, exceeded by these fractions.
    name : str, optional
        For the legend.

    Attributes
    ----------
    line_ : matplotlib.lines.Line2D
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from skastro.displays import ErrorQuantilesDisplay
    >>> display = ErrorQuantilesDisplay.from_predictions([1.0, 2.0], [1.1, 2.0], name="mine")
    >>> display.ax_.get_ylabel()
    'error factor'
    """

    def __init__(self, *, worse, quantiles, name=None):
        self.worse = worse
        self.quantiles = quantiles
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, mask=None, name=None, ax=None, **kwargs):
        """Draw the errors of a fitted emulator.

        Parameters
        ----------
        estimator : fitted regressor
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Positive truth; NaN: masked.
        mask : array-like of bool of the shape of `y`, optional
            True where valid.
        name : str, optional
            For the legend; the class of the estimator by default.
        ax : matplotlib.axes.Axes, optional
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : ErrorQuantilesDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, estimator.predict(X), mask=mask, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, y_true, y_pred, *, mask=None, name=None, ax=None, **kwargs):
        """Draw the errors of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Positive truth (NaN: masked) and predictions, in linear units.
        mask : array-like of bool of the shape of `y_true`, optional
            True where valid.
        name : str, optional
            For the legend.
        ax : matplotlib.axes.Axes, optional
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : ErrorQuantilesDisplay
        """
        errors = np.ravel(error_factor(y_true, y_pred, mask=mask, aggregate=None))
        errors = np.sort(errors[~np.isnan(errors)])
        # ranks evenly spaced in the logarithm of the fraction that is worse
        rank = np.unique(np.geomspace(1, errors.size, _N_POINTS).astype(int))[::-1]
        return cls(worse=rank / errors.size, quantiles=errors[-rank], name=name).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes of another such display, to compare; new ones by default.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : ErrorQuantilesDisplay
        """
        from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullLocator

        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        # on a logarithmic axis exact and infinite predictions stay at the edges
        shown = np.clip(self.quantiles, 1e-6, 1e12)
        (self.line_,) = ax.plot(self.worse, shown, **({"label": self.name} | kwargs))
        ax.set(xscale="log", yscale="log", xlabel="percentile of the predictions")
        ax.set_ylabel("error factor")
        last = min(line.get_xdata().min() for line in ax.lines)
        ax.set_xlim(1.0, last)
        ticks = [x for x in (0.5, *10.0 ** -np.arange(1, 9)) if x > 2.5 * last]
        ax.xaxis.set_major_locator(FixedLocator([*ticks, last]))
        labels = [*(f"{100 * (1 - x):.8g} %" for x in ticks), "max"]
        ax.xaxis.set_major_formatter(FixedFormatter(labels))
        ax.xaxis.set_minor_locator(NullLocator())
        factors = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, *(10.0**k - 1 for k in (1, 2, 3, 4, 6, 8, 10, 12))]
        ax.yaxis.set_major_locator(FixedLocator([*factors, 1.0]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda e, _: _percent(e)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.grid(color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        if self.name is not None:
            ax.legend(frameon=False)
        return self
