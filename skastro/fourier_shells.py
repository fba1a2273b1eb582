"""Shells of isotropic wave number in the plane of a two-dimensional FFT."""

from numbers import Integral, Real

import numpy as np
from scipy.fft import fftfreq, rfftfreq
from scipy.sparse import csr_array

__all__ = ["FourierShells"]


class FourierShells:
    """Rings of wave numbers, over which the Fourier modes of a map are averaged.

    Parameters
    ----------
    shape : tuple (h, w)
        Of the maps, in pixels.
    n_bins : int or None, default=None
        Rings. None: as wide as the fundamental frequency of the longer side, around its multiples (linear),
        or four an octave (log).
    pixel_size : float, default=1.0
        Side of a pixel, in any unit of length or angle.
    spacing : {"linear", "log"}, default="linear"
    k_max : float or None, default=None
        Largest wave number. None: the Nyquist frequency, 0.5 / pixel_size, which leaves out the corners of
        the plane; they end at sqrt(2) times that.
    bounds : array-like of shape (n_bins + 1,) or None, default=None
        Instead of `n_bins`, `spacing` and `k_max`: growing wave numbers, each the end of a ring, which it
        does not belong to, and the start of the next.

    Attributes
    ----------
    k : ndarray of shape (n_shells,)
        Mean wave number of the modes of each ring, in cycles per unit of `pixel_size`. Rings without any mode
        are left out: there may be fewer than `n_bins`.
    n_modes : ndarray of shape (n_shells,)
        Modes in each, k and -k counted both.
    edges : ndarray of shape (n_shells, 2)
        Bounds of each; the upper one belongs to the last ring only (with `bounds`, to none).
    labels : ndarray of int of shape (h, w // 2 + 1)
        Number of the ring of each mode of `scipy.fft.rfft2`; -1 outside.
    weight : ndarray of int of shape (w // 2 + 1,)
        How many of k and -k a mode of each column stands for.

    Raises
    ------
    ValueError
        An argument out of its range.

    Examples
    --------
    >>> from skastro.fourier_shells import FourierShells
    >>> shells = FourierShells((8, 8))
    >>> shells.k.round(3).tolist(), shells.n_modes.tolist()
    ([0.151, 0.27, 0.38, 0.461], [8, 12, 16, 10])
    """

    def __init__(
        self, shape, n_bins=None, *, pixel_size=1.0, spacing="linear", k_max=None, bounds=None
    ):
        if not _positive(pixel_size):
            raise ValueError(f"pixel_size={pixel_size!r}; expected a number above 0.")
        h, w = shape
        k = np.hypot(fftfreq(h, pixel_size)[:, None], rfftfreq(w, pixel_size))
        if bounds is None:
            edges = self._edges(shape, n_bins, pixel_size, spacing, k_max)
        elif (n_bins, spacing, k_max) != (None, "linear", None):
            raise ValueError(
                f"bounds with n_bins={n_bins!r}, spacing={spacing!r}, k_max={k_max!r}; expected either."
            )
        else:
            edges = _check_bounds(bounds, k)
        labels = np.searchsorted(edges, k, side="right") - 1
        labels[labels == len(edges) - 1] = -1
        labels[0, 0] = -1
        self._number(labels, k, edges, w)

    @staticmethod
    def _edges(shape, n_bins, pixel_size, spacing, k_max):
        if spacing not in ("linear", "log"):
            raise ValueError(f"spacing={spacing!r}; expected 'linear' or 'log'.")
        whole = isinstance(n_bins, Integral) and not isinstance(n_bins, bool)
        if n_bins is not None and not (whole and n_bins > 0):
            raise ValueError(f"n_bins={n_bins!r}; expected an integer of at least 1, or None.")
        h, w = shape
        lowest, nyquist = 1.0 / (max(h, w) * pixel_size), 0.5 / pixel_size
        highest = nyquist if k_max is None else k_max
        if not _positive(highest) or not lowest <= highest <= 1.4143 * nyquist:
            raise ValueError(
                f"k_max={k_max!r}; expected a wave number from {lowest:.4g} to {np.sqrt(2) * nyquist:.4g} "
                f"for maps of {h} x {w} pixels of {pixel_size:g}."
            )
        if spacing == "log":
            n_bins = n_bins or max(1, round(4 * np.log2(highest / lowest)))
            edges = np.geomspace(lowest, highest, n_bins + 1)
        elif n_bins is None:
            edges = lowest * (np.arange(int(highest / lowest + 1e-9) + 1) + 0.5)
            edges[-1] = highest
        else:
            edges = np.linspace(0.5 * lowest, highest, n_bins + 1)
        # modes that lie on the outer bounds are inside whatever the rounding
        edges[[0, -1]] *= 1 - 1e-9, 1 + 1e-9
        return edges

    def _number(self, labels, k, edges, w):
        """Number the rings that have modes, and prepare their averages."""
        # a mode stands for k and -k, but in the first column, and the last one of an even width
        self.weight = np.full(labels.shape[1], 2)
        self.weight[0] = 1
        if w % 2 == 0:
            self.weight[-1] = 1
        weight = np.broadcast_to(self.weight, labels.shape)
        inside = labels >= 0
        counts = np.bincount(labels[inside], weight[inside], len(edges) - 1)
        kept = np.flatnonzero(counts)
        renumber = np.full(len(edges), -1)
        renumber[kept] = np.arange(len(kept))
        self.labels = renumber[labels]
        self.n_modes = counts[kept].astype(int)
        self.edges = np.stack([edges[kept], edges[kept + 1]], axis=1)
        self._average = self._matrix()
        self.k = self._average @ k.ravel()

    def shares(self):
        """Part that each mode has in the average of its ring: (h, w // 2 + 1), 0 outside.

        Returns
        -------
        shares : ndarray of shape (h, w // 2 + 1)
        """
        return np.where(self.labels >= 0, self.weight / self.n_modes[self.labels], 0.0)

    def _matrix(self):
        """Averages over the rings, sparse (n_shells, number of modes)."""
        columns = np.flatnonzero(self.labels.ravel() >= 0)
        rows, share = self.labels.ravel()[columns], self.shares().ravel()[columns]
        return csr_array((share, (rows, columns)), shape=(len(self.n_modes), self.labels.size))

    def __getstate__(self):
        # the matrix is made anew: files with types of others are not trusted when they are loaded
        return {name: value for name, value in vars(self).items() if name != "_average"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._average = self._matrix()

    def mean(self, values):
        """Average over the modes of each ring.

        Parameters
        ----------
        values : ndarray of shape (..., h, w // 2 + 1)
            Of the modes of `scipy.fft.rfft2`, the same at k and -k, such as the squared modulus.

        Returns
        -------
        means : ndarray of shape (..., n_shells)
        """
        lead = values.shape[:-2]
        flat = values.reshape(-1, self._average.shape[1])
        return np.ascontiguousarray((self._average @ flat.T).T).reshape(*lead, len(self.k))


def _check_bounds(bounds, k):
    edges = np.asarray(bounds, dtype=np.float64)
    sound = edges.ndim == 1 and len(edges) > 1 and np.isfinite(edges).all()
    if not sound or not (np.diff(edges) > 0).all() or edges[0] < 0:
        raise ValueError(
            f"bounds has shape {edges.shape} and values such as {edges.ravel()[:3].tolist()}; expected two "
            "or more growing wave numbers of at least 0."
        )
    if not ((k > 0) & (k >= edges[0]) & (k < edges[-1])).any():
        raise ValueError(
            f"bounds={edges.tolist()} have no mode between them; those of the map go from "
            f"{k[k > 0].min():.4g} to {k.max():.4g}."
        )
    return edges


def _positive(value):
    return isinstance(value, Real) and np.isfinite(value) and value > 0
