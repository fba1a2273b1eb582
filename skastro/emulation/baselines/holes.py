"""Missing entries of a grid of models, estimated from their neighbours."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

__all__ = ["RegularGrid", "fill_grid", "fill_holes", "find_grid"]


def fill_holes(X, Z, n_neighbors=None):
    """Fill the NaN of each output by a linear fit to the nearest valid rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Standardised inputs, distinct rows.
    Z : ndarray of shape (n_samples, n_outputs)
        At least one finite entry in each column.
    n_neighbors : int, optional
        Rows among which the valid ones are used, weighted by their inverse square distance;
        ``4 * n_features + 8`` by default. With none valid, the nearest valid row is copied.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_outputs)
        A copy without NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.baselines.holes import fill_holes
    >>> X = np.arange(5.0).reshape(-1, 1)
    >>> fill_holes(X, np.array([[0.0], [1.0], [np.nan], [3.0], [4.0]])).ravel().round(3)
    array([0., 1., 2., 3., 4.])
    """
    n_samples, n_features = X.shape
    k = min(n_samples - 1, n_neighbors or 4 * n_features + 8)
    holes = np.argwhere(np.isnan(Z))
    filled = Z.copy()
    if k == 0 or len(holes) == 0:
        return filled
    rows, at = np.unique(holes[:, 0], return_inverse=True)
    distance, near = KDTree(X).query(X[rows], k=k + 1)
    # the row itself is its own nearest neighbour
    distance, near = distance[:, 1:], near[:, 1:]
    lonely = []
    for start in range(0, len(holes), 20_000):
        block = slice(start, start + 20_000)
        row, column, where = *holes[block].T, at[block]
        value = Z[near[where], column[:, None]]
        known = np.isfinite(value)
        lonely.append(holes[block][~known.any(axis=1)])
        weight = np.where(known, 1.0 / np.maximum(distance[where], 1e-12) ** 2, 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        value = np.where(known, value, 0.0)
        center = (weight * value).sum(axis=1)
        step = X[near[where]] - X[row][:, None]
        offset = np.einsum("hk,hkp->hp", weight, step)
        step -= offset[:, None]
        normal = np.einsum("hk,hkp,hkq->hpq", weight, step, step)
        # directions that the neighbours do not span get no slope
        ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2) + 1e-300
        normal += ridge[:, None, None] * np.eye(n_features)
        right = np.einsum("hk,hkp,hk->hp", weight, step, value - center[:, None])
        slope = np.linalg.solve(normal, right[..., None])[..., 0]
        filled[row, column] = center - (slope * offset).sum(axis=1)
    lonely = np.concatenate(lonely)
    for column in np.unique(lonely[:, 1]):
        here = lonely[lonely[:, 1] == column, 0]
        valid = np.flatnonzero(np.isfinite(Z[:, column]))
        filled[here, column] = Z[valid[KDTree(X[valid]).query(X[here])[1]], column]
    return filled


class RegularGrid(NamedTuple):
    """A grid of models, some of whose nodes may be missing.

    Attributes
    ----------
    axes : list of ndarray
        Increasing node positions along each axis.
    shape : tuple of int
        Nodes along each axis.
    flat : ndarray of int of shape (n_samples,)
        Position of each row in the grid, in C order.
    """

    axes: list
    shape: tuple
    flat: np.ndarray


def find_grid(X, *, min_filled=1.0):
    """Recognise a regular grid (a tensor product of axes, evenly spaced or not).

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Distinct rows.
    min_filled : float, default=1.0
        Least fraction of the nodes of the grid that must be rows of `X`.

    Returns
    -------
    grid : RegularGrid or None

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.baselines.holes import find_grid
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 1.0], [3.0, 2.0]])
    >>> find_grid(X).shape, find_grid(X[:3]), find_grid(X[:3], min_filled=0.7).shape
    ((2, 2), None, (2, 2))
    """
    axes, index, n_nodes = [], [], 1
    for x in X.T:
        values, position = np.unique(x, return_inverse=True)
        # nodes that differ by rounding are one
        new = np.r_[True, np.diff(values) > 1e-9 * max(np.ptp(values), np.abs(values).max())]
        node = np.cumsum(new) - 1
        axes.append(values[new])
        index.append(node[position])
        n_nodes *= len(axes[-1])
        if n_nodes * min_filled > len(X):
            return None
    shape = tuple(len(axis) for axis in axes)
    flat = np.ravel_multi_index(index, shape)
    if len(np.unique(flat)) < len(X):
        return None
    return RegularGrid(axes, shape, flat)


def _bending(axis):
    """Matrix of the bending energy of the natural cubic spline through values on `axis`."""
    n = len(axis)
    if n < 3:
        return np.zeros((n, n))
    h = np.diff(axis)
    second, gram = np.zeros((n, n - 2)), np.zeros((n - 2, n - 2))
    for i, (left, right) in enumerate(pairwise(h)):
        second[i : i + 3, i] = 1 / left, -1 / left - 1 / right, 1 / right
        gram[i, i] = (left + right) / 3
        if i:
            gram[i, i - 1] = gram[i - 1, i] = left / 6
    return second @ np.linalg.solve(gram, second.T)


def _stretching(axis):
    """Matrix of the energy of first differences on `axis`."""
    slope = np.diff(np.eye(len(axis)), axis=0) / np.sqrt(np.diff(axis))[:, None]
    return slope.T @ slope


def _along_axes(energy, grid):
    """For each axis, the energy along all its lines, as a matrix over the flattened grid."""
    found = []
    for j, axis in enumerate(grid.axes):
        before, after = np.prod(grid.shape[:j], dtype=int), np.prod(grid.shape[j + 1 :], dtype=int)
        lines = sparse.kron(sparse.csr_array(energy(axis)), sparse.eye_array(after))
        found.append(sparse.kron(sparse.eye_array(before), lines, format="csr"))
    return found


def fill_grid(grid, Z, n_iter=3):
    r"""Values on every node of a grid, the missing ones such that its splines bend least.

    The natural cubic splines along all lines of the grid have the energy

    .. math:: E = \sum_j \lambda_j \sum_{\mathrm{lines\ along\ } j} \int (\partial_j^2 s)^2 dx_j,

    a quadratic form in the node values; the missing values minimise it. Each :math:`\lambda_j` is
    the inverse of the energy found along its axis, so that an axis along which the models vary
    smoothly counts more, whatever its units.

    Parameters
    ----------
    grid : RegularGrid
    Z : ndarray of shape (n_samples, n_outputs)
        Values at the rows of the grid.
    n_iter : int, default=3
        Updates of the weights of the axes.

    Returns
    -------
    values : ndarray of shape ``grid.shape + (n_outputs,)``

    References
    ----------
    .. [1] P. J. Green & B. W. Silverman (1994), "Nonparametric regression and generalized
       linear models", Chapman & Hall, section 2.1 (the energy of a natural cubic spline).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.baselines.holes import fill_grid, find_grid
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> grid = find_grid(X)._replace(axes=[np.arange(5.0)], shape=(5,), flat=np.array([0, 1, 2, 4]))
    >>> fill_grid(grid, 3 * X).ravel().round(6)
    array([ 0.,  3.,  6.,  9., 12.])
    """
    n_nodes = int(np.prod(grid.shape))
    values = np.full((n_nodes, Z.shape[1]), np.nan)
    center, spread = Z.mean(axis=0), Z.std(axis=0)
    spread[spread == 0] = 1.0
    values[grid.flat] = (Z - center) / spread
    missing = np.flatnonzero(np.isnan(values[:, 0]))
    if missing.size:
        known = np.sort(grid.flat)
        bends = _along_axes(_bending, grid)
        # makes the minimum unique: lines of one or two nodes bend nowhere
        stretch = 1e-9 * sum(_along_axes(_stretching, grid))
        weights = np.ones(len(bends))
        for _ in range(n_iter + 1):
            energy = sum(w * bend for w, bend in zip(weights, bends, strict=True))
            energy = (energy + stretch).tocsr()[missing]
            right = energy[:, known] @ values[known]
            values[missing] = splu(energy[:, missing].tocsc()).solve(-right)
            found = np.array([(values * (bend @ values)).sum() for bend in bends])
            if found.max() > 0:
                weights = found.max() / np.maximum(found, 1e-6 * found.max())
    return (values * spread + center).reshape(grid.shape + Z.shape[1:])
