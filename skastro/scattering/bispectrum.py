"""The isotropic bispectrum of maps in triples of rings of wave number."""

import numpy as np
from scipy import fft

from skastro.fourier_shells import FourierShells

__all__ = ["Bispectrum"]


class Bispectrum:
    r"""Mean product of three Fourier modes whose wave numbers make a triangle, a side in each of three rings.

    .. math:: B = \langle X(\mathbf k_1) X(\mathbf k_2) X(\mathbf k_3) \rangle / (h w),
        \quad \mathbf k_1 + \mathbf k_2 + \mathbf k_3 = 0

    With x_i the map filtered to ring i, the sum over the triangles is that of x_1 x_2 x_3 over the pixels, on
    a grid fine enough that only sums that are zero, and none that is a whole turn, count.

    Parameters
    ----------
    shape : tuple (h, w)
        Of the maps.
    n_bins : int
        Rings.
    k_max : float, default=0.5
        Largest wave number, in cycles per pixel. Modes at the Nyquist frequency of a side are left out.
    spacing : {"linear", "log"}, default="linear"

    Attributes
    ----------
    triples : ndarray of int of shape (n_triples, 3)
        Numbers of the rings, ascending; triples without a triangle are left out.
    n_triangles : ndarray of float of shape (n_triples,)
        Ordered choices of three modes.
    k : ndarray of shape (n_triples, 3)
        Mean wave numbers of the rings, in cycles per pixel.

    Raises
    ------
    ValueError
        No triangle at all, or `k_max` out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.scattering.bispectrum import Bispectrum
    >>> y, x = 2 * np.pi * np.mgrid[:16, :16] / 16
    >>> waves = np.cos(3 * x) + np.cos(4 * y) + np.cos(3 * x + 4 * y)
    >>> bispectrum = Bispectrum((16, 16), 5)
    >>> found, _ = bispectrum(waves[None])
    >>> [bispectrum.triples[i].tolist() for i in np.flatnonzero(np.abs(found[0]) > 1e-9)]
    [[1, 2, 3]]
    """

    def __init__(self, shape, n_bins, *, k_max=0.5, spacing="linear"):
        self.shape = shape
        shells = FourierShells(shape, n_bins, k_max=k_max, spacing=spacing)
        # the Nyquist frequency stands for two modes of opposite sign, of which a map knows only the sum
        self._reach = tuple(min(int(k_max * n), (n - 1) // 2) for n in shape)
        self._grid = tuple(fft.next_fast_len(3 * r + 1, real=True) for r in self._reach)
        self._labels = self._low(shells.labels)
        self.n_shells = len(shells.k)
        # every mode alike: the number of triangles
        counts = self._sums(np.ones((1, *self._labels.shape), complex))[0]
        i, j, k = np.indices(counts.shape)
        kept = (i <= j) & (j <= k) & (counts > 0.5)
        if not kept.any():
            raise ValueError(
                f"n_bins={n_bins} for maps of {shape[0]} x {shape[1]} pixels leaves no triangle of wave "
                "numbers; expected larger maps or wider rings."
            )
        self.triples = np.argwhere(kept)
        self.n_triangles = counts[kept].round()
        inside = np.where(self._labels >= 0, self._labels, self.n_shells)
        # a mode stands for k and -k, but in the first column
        weight = np.where(np.arange(inside.shape[1]) > 0, 2.0, 1.0) * np.ones(inside.shape)
        self._inside, self._weight = inside.ravel(), weight.ravel()
        modes = np.bincount(self._inside, self._weight, self.n_shells + 1)[:-1]
        self._n_modes = np.maximum(modes, 1.0)
        k = self._low(np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1]))).ravel()
        k = np.bincount(self._inside, self._weight * k, self.n_shells + 1)[:-1] / self._n_modes
        self.k = k[self.triples]

    def _low(self, plane):
        """The modes up to the largest wave number, rows 0, 1, ..., -1 and columns 0, 1, ..."""
        rows, columns = self._reach
        plane = plane[..., : columns + 1]
        return np.concatenate(
            [plane[..., : rows + 1, :], plane[..., plane.shape[-2] - rows :, :]], axis=-2
        )

    def _sums(self, low):
        """Sums over all triangles, array (n, n_shells, n_shells, n_shells)."""
        rows, columns = self._reach
        h, w = self._grid
        n, s = len(low), self.n_shells
        spread = np.zeros((n, s, h, w // 2 + 1), complex)
        for i in range(s):
            ring = np.where(self._labels == i, low, 0.0)
            spread[:, i, : rows + 1, : columns + 1] = ring[:, : rows + 1]
            spread[:, i, h - rows :, : columns + 1] = ring[:, rows + 1 :]
        filtered = fft.irfft2(spread, s=(h, w), overwrite_x=True).reshape(n, s, h * w)
        found = np.empty((n, s, s, s))
        for i in range(s):
            pairs = filtered[:, i, None] * filtered
            found[:, i] = pairs @ filtered.transpose(0, 2, 1)
        # the inverse transforms are divided by the size of the grid, their sum of products is not
        return found * (h * w) ** 2

    def __call__(self, maps):
        """Measure maps.

        Parameters
        ----------
        maps : ndarray of shape (n, h, w), float64

        Returns
        -------
        bispectrum : ndarray of shape (n, n_triples)
        power : ndarray of shape (n, n_shells)
            Of the same modes.
        """
        maps = maps - maps.mean(axis=(1, 2), keepdims=True)
        low = self._low(fft.rfft2(maps))
        sums = self._sums(low)[(slice(None), *self.triples.T)]
        cells = self.shape[0] * self.shape[1]
        squares = (np.square(low.real) + np.square(low.imag)).reshape(len(maps), -1)
        size = self.n_shells + 1
        place = self._inside + size * np.arange(len(maps))[:, None]
        power = np.bincount(place.ravel(), (squares * self._weight).ravel(), size * len(maps))
        power = power.reshape(len(maps), size)[:, :-1] / self._n_modes
        return sums / (self.n_triangles * cells), power / cells
