"""Medians and bands of many points along an abscissa."""

import numpy as np

__all__ = ["draw_density", "running_quantiles"]

# Rows of a running quantile, at least, and its bins, at most.
FEWEST = 20
N_BINS = 20
# Cells of a density along an axis.
GRID = 60


def running_quantiles(x, values, q):
    """Quantiles in bins of x that hold as many rows each.

    Parameters
    ----------
    x : ndarray of shape (n,)
    values : ndarray of shape (n,)
    q : array-like of shape (n_q,)

    Returns
    -------
    centre : ndarray of shape (n_bins,)
        Medians of x: up to 20 bins of 20 rows or more; empty for fewer rows than two bins need.
    quantiles : ndarray of shape (n_q, n_bins)

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays.running import running_quantiles
    >>> x = np.arange(40.0)
    >>> centre, quantiles = running_quantiles(x, 2 * x, [0.5])
    >>> centre, quantiles
    (array([ 9.5, 29.5]), array([[19., 59.]]))
    """
    n_bins = min(N_BINS, len(x) // FEWEST)
    if n_bins < 2:
        return np.empty(0), np.empty((len(q), 0))
    parts = np.array_split(np.argsort(x, kind="stable"), n_bins)
    centre = np.array([np.median(x[part]) for part in parts])
    return centre, np.array([np.quantile(values[part], q) for part in parts]).T


def draw_density(ax, x, y, extent):
    """Number of points in cells, in logarithmic greys.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x, y : ndarray of shape (n,)
    extent : tuple (left, right, bottom, top)
        Points outside are left out.

    Returns
    -------
    cells : matplotlib.collections.PolyCollection
    """
    from matplotlib.colors import LinearSegmentedColormap

    # not so dark that lines on it are lost
    greys = LinearSegmentedColormap.from_list("greys", ["0.9", "0.45"])
    inside = (x >= extent[0]) & (x <= extent[1]) & (y >= extent[2]) & (y <= extent[3])
    box = ax.get_window_extent()
    cells = GRID, max(4, round(GRID * box.height / box.width / 3**0.5))
    return ax.hexbin(
        x[inside], y[inside], gridsize=cells, extent=extent, bins="log", mincnt=1, cmap=greys,
        linewidths=0.1, zorder=0.5,
    )  # fmt: skip
