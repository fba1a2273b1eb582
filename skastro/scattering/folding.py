"""Products with a filter on the arc of Fourier space where it lives, folded onto a coarse grid."""

import math

import numpy as np
import torch

__all__ = ["FoldedFilters"]

# pixels of grids that all filters are folded onto at once: there a call costs more than the work
SMALL = 2**14


def _arc(power, width):
    """Start of the arc of `width` frequencies, on a circle, that holds most of `power`; its share."""
    n = len(power)
    if width >= n:
        return 0, 1.0
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([power, power[: width - 1]]))])
    inside = sums[width:] - sums[:-width]
    start = int(np.argmax(inside))
    return start, inside[start] / max(sums[n], np.finfo(float).tiny)


def _band(power, size):
    """Source, target and shape of the pieces of a band as large as the grid: nothing is summed."""
    runs = []
    for axis in (0, 1):
        n, width = power.shape[axis], size[axis]
        start, _ = _arc(power.sum(1 - axis), width)
        # a shift of all frequencies changes phases alone: the band begins at the grid's first
        before = min(width, n - start)
        runs.append([(start, 0, before)])
        if before < width:
            runs[-1].append((0, before, width - before))
    return [
        ((row, column), (to_row, to_column), (m, n))
        for row, to_row, m in runs[0]
        for column, to_column, n in runs[1]
    ]


def _aliases(power, size, tolerance):
    """The same of the blocks that a grid doesn't tell apart: the strongest, whole, then what others hold."""
    (h, w), (m, n) = power.shape, size
    blocks = power.reshape(h // m, m, w // n, n)
    strongest = np.unravel_index(blocks.sum((1, 3)).argmax(), (h // m, w // n))
    pieces = [((strongest[0] * m, strongest[1] * n), (0, 0), (m, n))]
    some = [blocks.sum(axis) > tolerance * power.sum() for axis in (3, 1)]
    for i, j in np.ndindex(h // m, w // n):
        rows, columns = np.flatnonzero(some[0][i, :, j]), np.flatnonzero(some[1][i, j])
        if (i, j) != strongest and len(rows) and len(columns):
            top, left = int(rows[0]), int(columns[0])
            shape = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
            pieces.append(((i * m + top, j * n + left), (top, left), shape))
    return pieces


def _window(fields, offset, shape):
    """A piece (..., m, n) of every field (..., h, w), of its last two axes' strides; in one cheap call."""
    size = (*fields.shape[:-2], *shape)
    return fields.as_strided(size, fields.stride(), fields.storage_offset() + offset)


class FoldedFilters:
    """Real filters of spectra of (h, w), each with the coarse grid on which its output is wanted.

    The product with a filter is computed where the filter lives, and frequencies that the coarse grid doesn't
    tell apart are summed: the inverse FFT of the sum, divided by h w, is the convolved field at the points of
    the coarse grid.

    Parameters
    ----------
    filters : sequence of ndarray of shape (h, w)
        Transforms of the filters, real.
    sizes : sequence of tuple (h_i, w_i)
        Of the coarse grids.
    tolerance : float or None, default=None
        Share of a filter's power in a row or column of an alias that may be left out; the sides of the grids
        divide h and w. None: only a band as large as the grid is kept, so that nothing is summed, and the
        fields have a phase that varies over the grid.

    Attributes
    ----------
    sizes : list of tuple
    pieces : list of list of (source, target, offset, shape)
        For each filter: first places in the plane, in the grid and in `values`; complex numbers as two.
        One list for all, of shapes (n_filters, m, n), where the grid is small.
    n_written : list of int
        How many of them are written, before the others are added.
    values : ndarray of shape (n_values,), float64
        The filters on their pieces, divided by h w.
    """

    def __init__(self, filters, sizes, tolerance=None):
        self.sizes = [tuple(map(int, size)) for size in sizes]
        small = tolerance is not None and math.prod(self.sizes[0]) <= SMALL
        self.at_once = small and len(set(self.sizes)) == 1
        if self.at_once:
            sets = [(np.stack(filters), self.sizes[0])]
        else:
            sets = [(one[None], size) for one, size in zip(filters, self.sizes, strict=True)]
        # Pieces that fill the coarse grid, each point once, before any is added.
        self.pieces, self.n_written, values, offset = [], [], [], 0
        for some, size in sets:
            power = np.square(some)
            power = (power / power.sum((1, 2), keepdims=True)).max(0)
            found = _band(power, size) if tolerance is None else _aliases(power, size, tolerance)
            self.n_written.append(len(found) if tolerance is None else 1)
            self.pieces.append([])
            for (row, column), target, (m, n) in found:
                value = some[:, row : row + m, column : column + n] / some[0].size
                # A complex number is two reals, and each is multiplied.
                values.append(np.repeat(value, 2, axis=2).ravel())
                starts = 2 * (row * some.shape[2] + column), 2 * (target[0] * size[1] + target[1])
                self.pieces[-1].append((*starts, offset, (len(some), m, 2 * n)))
                offset += values[-1].size
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
                    (source, target, flat[at : at + math.prod(shape)].view(shape))
                    for source, target, at, shape in pieces
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
        source, target = _as_real(X).unsqueeze(-3), _as_real(out)
        for k, rows, pieces in self._sets(which, self.on(X)):
            sums = target[..., rows, :, :]
            for i, (at, to, values) in enumerate(pieces):
                shape = values.shape[1:]
                piece, sum_ = _window(source, at, shape), _window(sums, to, shape)
                if self.at_once:
                    values = values[which[0] : which[-1] + 1]
                if i < self.n_written[k]:
                    torch.mul(piece, values, out=sum_)
                else:
                    sum_.addcmul_(piece, values)
        return out

    def add_adjoint(self, Z, which, out):
        """Add to `out`, of shape (..., h, w), the adjoint of :meth:`fold` applied to `Z`."""
        source, target, pieces = _as_real(Z), _as_real(out), self.on(Z)
        for k, i in enumerate(which):
            for at, to, values in pieces[0 if self.at_once else i]:
                values = values[i if self.at_once else 0]
                piece = _window(target, at, values.shape)
                piece.addcmul_(_window(source[..., k, :, :], to, values.shape), values)

    def _sets(self, which, pieces):
        """(number, rows of the output, pieces) of the filters that are folded in one call."""
        if self.at_once:
            return [(0, slice(None), pieces[0])]
        return [(i, slice(k, k + 1), pieces[i]) for k, i in enumerate(which)]


def _as_real(X):
    """A complex tensor (..., h, w) as a real one (..., h, 2 w) that shares its memory."""
    return torch.view_as_real(X).view(*X.shape[:-1], 2 * X.shape[-1])
