"""Products with a filter on the arc of Fourier space where it lives, folded onto a coarse grid."""

import math

import numpy as np
import torch

__all__ = ["FoldedFilters"]


def _arc(power, width):
    """Start of the arc of `width` frequencies, on a circle, that holds most of `power`; its share."""
    n = len(power)
    if width >= n:
        return 0, 1.0
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([power, power[: width - 1]]))])
    inside = sums[width:] - sums[:-width]
    start = int(np.argmax(inside))
    return start, inside[start] / max(sums[n], np.finfo(float).tiny)


def _narrowest(power, tolerance):
    """Width of the narrowest arc outside of which a share `tolerance` of the power is left."""
    low, high = 1, len(power)
    while low < high:
        middle = (low + high) // 2
        if _arc(power, middle)[1] >= 1.0 - tolerance:
            high = middle
        else:
            low = middle + 1
    return low


def _segments(start, width, n, size):
    """(source, target, length) of the runs that neither circle, of n and of size, interrupts."""
    runs, done = [], 0
    while done < width:
        source, target = (start + done) % n, (start + done) % size
        length = min(width - done, n - source, size - target)
        runs.append((source, target, length))
        done += length
    return runs


class FoldedFilters:
    """Real filters of spectra of (h, w), each with the coarse grid on which its output is wanted.

    The product with a filter is computed on the arc of rows and columns where the filter lives, and
    frequencies that the coarse grid doesn't tell apart are summed: the inverse FFT of the sum, divided by
    h w, is the convolved field at the points of the coarse grid, up to a phase that varies over the
    grid where the arc is not centred.

    Parameters
    ----------
    filters : sequence of ndarray of shape (h, w)
        Transforms of the filters, real.
    sizes : sequence of tuple (h_i, w_i)
        Of the coarse grids.
    tolerance : float or None, default=None
        Share of a filter's power that may be left out at each axis. None: as much as is outside an arc
        that is as wide as the coarse grid, so that nothing is summed.

    Attributes
    ----------
    sizes : list of tuple
    pieces : list of list of (rows, columns, target rows, target columns, offset, shape)
        For each filter.
    values : ndarray of shape (n_values,), float64
        The filters on their pieces, divided by h w.
    """

    def __init__(self, filters, sizes, tolerance=None):
        self.sizes = [tuple(map(int, size)) for size in sizes]
        self.pieces, self.filled, values, offset = [], [], [], 0
        for one, size in zip(filters, self.sizes, strict=True):
            power = np.square(one)
            runs = []
            for axis in (0, 1):
                marginal = power.sum(1 - axis)
                width = size[axis] if tolerance is None else _narrowest(marginal, tolerance)
                start, _ = _arc(marginal, width)
                runs.append(_segments(start, width, one.shape[axis], size[axis]))
            pieces = []
            for row, target_row, m in runs[0]:
                for column, target, n in runs[1]:
                    value = one[row : row + m, column : column + n] / one.size
                    # A complex number is two reals, and each is multiplied.
                    values.append(np.repeat(value, 2, axis=1).ravel())
                    source = (slice(row, row + m), slice(2 * column, 2 * (column + n)))
                    to = (slice(target_row, target_row + m), slice(2 * target, 2 * (target + n)))
                    pieces.append(((..., *source), (..., *to), offset, (m, 2 * n)))
                    offset += 2 * m * n
            self.pieces.append(pieces)
            # Whether each point of the coarse grid is written exactly once.
            widths = [sum(run[2] for run in axis_runs) for axis_runs in runs]
            self.filled.append(widths == list(size))
        self.values = np.concatenate(values)
        self._tensors = {}

    def __getstate__(self):
        return dict(self.__dict__, _tensors={})

    def groups(self, n):
        """Filters of one size, in batches: at most `n` complex numbers a field, or a single filter."""
        out = []
        for size in dict.fromkeys(self.sizes):
            alike = [i for i, other in enumerate(self.sizes) if other == size]
            step = max(1, n // math.prod(size))
            out += [alike[at : at + step] for at in range(0, len(alike), step)]
        return out

    def on(self, like):
        """The pieces of each filter, with their values as tensors of the dtype and device of `like`."""
        key = (like.real.dtype, str(like.device))
        if key not in self._tensors:
            flat = torch.from_numpy(self.values).to(key[0]).to(like.device)
            self._tensors[key] = [
                [
                    (source, to, flat[at : at + shape[0] * shape[1]].view(shape))
                    for source, to, at, shape in pieces
                ]
                for pieces in self.pieces
            ]
        return self._tensors[key]

    def fold(self, X, which):
        """Spectra times filters of one size, folded.

        Parameters
        ----------
        X : Tensor of shape (..., h, w), complex, contiguous
        which : list of int
            The filters.

        Returns
        -------
        folded : Tensor of shape (..., n_filters, h_i, w_i), complex
        """
        out = X.new_empty((*X.shape[:-2], len(which), *self.sizes[which[0]]))
        source, targets = _as_real(X), _as_real(out)
        for i, target in zip(which, targets.unbind(-3), strict=True):
            if not self.filled[i]:
                target.zero_()
            for at, to, values in self.on(X)[i]:
                if self.filled[i]:
                    torch.mul(source[at], values, out=target[to])
                else:
                    target[to].addcmul_(source[at], values)
        return out

    def add_adjoint(self, Z, which, out):
        """Add to `out`, of shape (..., h, w), the adjoint of :meth:`fold` applied to `Z`."""
        sources, target = _as_real(Z), _as_real(out)
        for i, source in zip(which, sources.unbind(-3), strict=True):
            for at, to, values in self.on(Z)[i]:
                target[at].addcmul_(source[to], values)


def _as_real(X):
    """A complex tensor (..., h, w) as a real one (..., h, 2 w) that shares its memory."""
    return torch.view_as_real(X).view(*X.shape[:-1], 2 * X.shape[-1])
