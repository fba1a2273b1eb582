"""Wrong models among the training data: badly fitted entries that their neighbours contradict."""

import warnings

import numpy as np
from astropy.table import Table
from sklearn.neighbors import NearestNeighbors

__all__ = ["AnomalyReport", "flag_anomalies"]

# A residual is scored against its output's scatter, but never finer than this (dex, for log10).
SMALLEST_SCATTER = 0.005
# Neighbours fitted at least this many times better than the entry contradict it.
CONTRAST = 0.5
BLOCK_ENTRIES = 2**24


class AnomalyReport:
    """Which entries of a grid of models look wrong; a person may edit `mask` before it is used.

    Parameters
    ----------
    mask : ndarray of bool of shape (n_samples, n_outputs)
        True for an anomaly: badly fitted and isolated. Edit it in place.
    suspects : ndarray of bool of the same shape
        True where badly fitted but not isolated: a sharp feature, or a region where the code fails.
    score : ndarray of float of the same shape
        Absolute residual over the scatter of its output; NaN where there was no target.
    residual : ndarray of float of the same shape
        Transformed target minus robust fit (dex where the targets are logarithmic).
    neighbors : ndarray of int of shape (n_samples, n_neighbors)
        Rows close in the space of the inputs.
    names : list of str or None
        Names of the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation import AnomalyReport
    >>> wrong = np.array([[True, False], [False, False]])
    >>> report = AnomalyReport(wrong, ~wrong & False, 9.0 * wrong, 0.5 * wrong, np.array([[1], [0]]))
    >>> report
    AnomalyReport(1 of 4 entries, 1 of 2 models)
    >>> report.table().colnames
    ['row', 'output', 'score', 'residual', 'anomaly']
    """

    def __init__(self, mask, suspects, score, residual, neighbors, names=None):
        self.mask = mask
        self.suspects = suspects
        self.score = score
        self.residual = residual
        self.neighbors = neighbors
        self.names = names

    def __repr__(self):
        return (
            f"AnomalyReport({int(self.mask.sum())} of {self.mask.size} entries, "
            f"{int(self.mask.any(axis=1).sum())} of {len(self.mask)} models)"
        )

    def table(self, n_rows=None):
        """Anomalies and suspects, the worst score first.

        Parameters
        ----------
        n_rows : int, optional
            Only so many.

        Returns
        -------
        table : astropy.table.Table
            Columns row, output (name or index), score, residual, anomaly (False: a suspect).
        """
        rows, columns = np.nonzero(self.mask | self.suspects)
        order = np.argsort(-self.score[rows, columns], kind="stable")[:n_rows]
        rows, columns = rows[order], columns[order]
        return Table(
            {
                "row": rows,
                "output": columns if self.names is None else np.asarray(self.names)[columns],
                "score": self.score[rows, columns],
                "residual": self.residual[rows, columns],
                "anomaly": self.mask[rows, columns],
            }
        )

    def crowding(self):
        """For each entry, the fraction of its neighbours that are anomalies in the same output."""
        result = np.empty(self.mask.shape, dtype=np.float32)
        for block in _column_blocks(self.mask.shape, self.neighbors.shape[1]):
            result[:, block] = self.mask[:, block][self.neighbors].mean(axis=1, dtype=np.float32)
        return result

    def weights(self, how="remove"):
        """Weights with which to fit again.

        Parameters
        ----------
        how : {"remove", "downweight"}
            "remove" gives an anomaly no weight, except where at least half of its neighbours are
            anomalies too: a network without data there runs wild, so they keep a small weight.
            "downweight" gives all anomalies that small weight, and suspects a larger one.

        Returns
        -------
        weights : ndarray of float32 of shape (n_samples, n_outputs)
        """
        if how not in ("remove", "downweight"):
            raise ValueError(f"anomalies={how!r}; expected 'remove', 'downweight' or None.")
        low, half = np.float32(0.05), np.float32(0.5)
        weights = np.ones(self.mask.shape, dtype=np.float32)
        if how == "remove":
            weights[self.mask] = 0.0
            weights[self.mask & (self.crowding() >= 0.5)] = low
        else:
            weights[self.suspects] = half
            weights[self.mask] = low
        return weights

    def unsupported(self):
        """Entries all of whose neighbours are anomalies: no data says what is true there.

        Returns
        -------
        unsupported : ndarray of bool of shape (n_samples, n_outputs)
        """
        return self.mask & (self.crowding() >= 1.0)

    def plot(self, ax=None):
        """Histogram of the residuals: all entries, suspects, anomalies.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        ax : matplotlib Axes
        """
        import matplotlib.pyplot as plt

        if ax is None:
            ax = plt.subplots(figsize=(6, 4), layout="constrained")[1]
        size = np.abs(self.residual)
        bins = np.geomspace(1e-3, max(1.0, np.nanmax(size)), 60)
        for chosen, label, color in (
            (np.isfinite(size), "all", "0.7"),
            (self.suspects, "suspects (not isolated)", "#e69f00"),
            (self.mask, "anomalies", "#0072b2"),
        ):
            label = f"{label}: {int(chosen.sum()):,}"
            ax.hist(np.clip(size[chosen], bins[0], bins[-1]), bins, color=color, label=label)
        ax.set(xscale="log", yscale="log", xlabel="|target - robust fit|", ylabel="entries")
        ax.legend(frameon=False)
        return ax


def flag_anomalies(X, residual, *, threshold=8.0, smallest=0.1, n_neighbors=8, names=None):
    """Flag residuals that are large for their output and contradicted by their neighbours.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Scaled inputs; distances between rows are meaningful.
    residual : ndarray of shape (n_samples, n_outputs)
        Transformed target minus robust fit, NaN where there is no target.
    threshold : float, default=8.0
        In units of the robust scatter (1.4826 median absolute residual) of the output.
    smallest : float, default=0.1
        Residuals below are never anomalies (dex where the targets are logarithmic).
    n_neighbors : int, default=8
    names : list of str, optional

    Returns
    -------
    report : AnomalyReport

    Notes
    -----
    A sharp but true feature extends along a surface, so that some neighbours of a badly fitted entry are
    badly fitted as well. An entry is isolated when the median neighbour fits at least twice as well.
    """
    size = np.abs(residual)
    scatter = np.maximum(1.4826 * np.nanmedian(size, axis=0), SMALLEST_SCATTER)
    score = size / scatter
    with np.errstate(invalid="ignore"):
        large = (score > threshold) & (size > smallest)
    n_neighbors = min(n_neighbors, len(X) - 1)
    index = (
        NearestNeighbors(n_neighbors=n_neighbors + 1).fit(X).kneighbors(X, return_distance=False)
    )
    neighbors = _drop_self(index)
    isolated = np.zeros_like(large)
    for block in _column_blocks(large.shape, n_neighbors):
        own = large[:, block]
        rows, columns = np.nonzero(own)
        sizes = size[:, block]
        around = sizes[neighbors[rows], columns[:, None]]
        with warnings.catch_warnings():
            # an entry without a known neighbour: nobody contradicts it
            warnings.simplefilter("ignore", RuntimeWarning)
            typical = np.nanmedian(around, axis=1)
        isolated[rows, columns + block.start] = typical < CONTRAST * sizes[rows, columns]
    return AnomalyReport(large & isolated, large & ~isolated, score, residual, neighbors, names)


def _drop_self(index):
    """Remove each row from its own neighbours (duplicates may hide it behind others)."""
    own = index == np.arange(len(index))[:, None]
    own[~own.any(axis=1), -1] = True
    return index[~own].reshape(len(index), -1)


def _column_blocks(shape, n_neighbors):
    step = max(1, BLOCK_ENTRIES // (shape[0] * max(1, n_neighbors)))
    return [slice(start, min(start + step, shape[1])) for start in range(0, shape[1], step)]
