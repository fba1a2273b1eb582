"""Coarse and fine grids of the sky: pyramids of cubes, and what couples maps over long distances."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch.nn.functional import avg_pool2d, pad

from skastro.denoising.gaussian_model import laplacian

__all__ = ["Level", "MultilevelDiagonal", "prolong", "pyramid", "restrict"]

MAX_LEVELS = 5  # of the preconditioner: halves the sky four times


class Level(NamedTuple):
    """A cube on one grid of a pyramid.

    Attributes
    ----------
    data : Tensor of shape (n_y, n_x, n_channels)
        0 where there is nothing.
    weight : Tensor of shape (n_y, n_x, n_channels)
        Inverse variance, 0 where there is nothing.
    """

    data: torch.Tensor
    weight: torch.Tensor


def _pool(array):
    """Sums over 2 x 2 pixels of (n_y, n_x, n_channels); an odd last row stands alone."""
    n_y, n_x, _ = array.shape
    array = pad(array.permute(2, 0, 1), (0, n_x % 2, 0, n_y % 2))
    return 4.0 * avg_pool2d(array, 2).permute(1, 2, 0).contiguous()


def pyramid(data, weight):
    """Weighted means of a cube over 2 x 2 pixels, again and again down to a single one.

    Parameters
    ----------
    data, weight : Tensor of shape (n_y, n_x, n_channels)
        As in `Level`.

    Returns
    -------
    levels : list of Level
        From the mean spectrum to the cube itself.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_grids import pyramid
    >>> cube = torch.ones(6, 5, 7)
    >>> [tuple(level.data.shape[:2]) for level in pyramid(cube, cube)]
    [(1, 1), (2, 2), (3, 3), (6, 5)]
    """
    levels = [Level(data, weight)]
    while max(data.shape[:2]) > 1:
        sums = _pool(weight)
        data = _pool(data * weight) / torch.where(sums > 0, sums, 1.0)
        weight = sums
        levels.insert(0, Level(data, weight))
    return levels


def _prolong_axis(maps, n, axis):
    m = maps.shape[axis]
    before = torch.cat([maps.narrow(axis, 0, 1), maps.narrow(axis, 0, m - 1)], axis)
    after = torch.cat([maps.narrow(axis, 1, m - 1), maps.narrow(axis, m - 1, 1)], axis)
    near = 0.75 * maps
    pairs = torch.stack([near + 0.25 * before, near + 0.25 * after], axis)
    return pairs.flatten(axis - 1, axis).narrow(axis, 0, n)


def prolong(maps, shape):
    """Maps on a grid of twice as many pixels, by quadratic B-splines.

    Parameters
    ----------
    maps : Tensor of shape (..., m_y, m_x)
    shape : tuple (n_y, n_x)
        Of the finer grid; half of it, rounded up, is (m_y, m_x).

    Returns
    -------
    maps : Tensor of shape (..., n_y, n_x)

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_grids import prolong
    >>> prolong(torch.tensor([[0.0, 4.0]]), (1, 3))
    tensor([[0., 1., 3.]])
    """
    return _prolong_axis(_prolong_axis(maps, shape[0], -2), shape[1], -1)


def _restrict_axis(maps, axis):
    n = maps.shape[axis]
    if n % 2:
        maps = torch.cat([maps, torch.zeros_like(maps.narrow(axis, 0, 1))], axis)
    m = maps.shape[axis] // 2
    even, odd = maps.unflatten(axis, (m, 2)).unbind(axis)
    sums = 0.75 * (even + odd)
    sums.narrow(axis, 1, m - 1).add_(odd.narrow(axis, 0, m - 1), alpha=0.25)
    sums.narrow(axis, m - 1, 1).add_(odd.narrow(axis, m - 1, 1), alpha=0.25)
    sums.narrow(axis, 0, m - 1).add_(even.narrow(axis, 1, m - 1), alpha=0.25)
    sums.narrow(axis, 0, 1).add_(even.narrow(axis, 0, 1), alpha=0.25)
    return sums


def restrict(maps):
    """Transpose of `prolong`: sums with its weights.

    Parameters
    ----------
    maps : Tensor of shape (..., n_y, n_x)

    Returns
    -------
    maps : Tensor of shape (..., ceil(n_y / 2), ceil(n_x / 2))

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_grids import restrict
    >>> restrict(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    tensor([[1., 0.]])
    """
    return _restrict_axis(_restrict_axis(maps, -2), -1)


@lru_cache(maxsize=1)
def _energies():
    """Squared norm of the Laplacian of a spline of each level, 1.25 at the finest."""
    energies = []
    spline = torch.zeros(8, 8, dtype=torch.float64)
    spline[4, 4] = 1.0
    for _ in range(MAX_LEVELS):
        energies.append(float(laplacian(spline).square().sum()))
        spline = prolong(spline, tuple(2 * n for n in spline.shape))
    return energies


class MultilevelDiagonal:
    r"""Approximate inverse of a diagonal plus squared Laplacians, by splines on several grids.

    .. math:: \sum_l P_l D_l^{-1} P_l^T

    where :math:`P_l` brings maps from grid l to the finest and :math:`D_l` estimates the diagonal of
    the matrix there. The diagonal alone moves a smooth map by steps that are a hundred times too
    small; this one moves it as fast as a rough one.

    Parameters
    ----------
    diagonal : Tensor of shape (..., n_y, n_x)
    smooth : Tensor broadcastable to `diagonal`, but for its last two axes of length 1
        Factors of the squared Laplacians.

    References
    ----------
    .. [1] J. H. Bramble, J. E. Pasciak, J. Xu (1990), "Parallel multilevel preconditioners",
       Mathematics of Computation 55, 1.
    """

    def __init__(self, diagonal, smooth):
        self.inverses = []
        for energy in _energies():
            # without data and without smoothness a parameter stays where it is
            self.inverses.append(1.0 / (diagonal + energy * smooth).clamp_min_(1e-2))
            if max(diagonal.shape[-2:]) <= 2:
                break
            diagonal = restrict(diagonal)

    def __call__(self, maps):
        """Multiply maps by the approximate inverse; a new tensor."""
        grids = [maps]
        for _ in self.inverses[1:]:
            grids.append(restrict(grids[-1]))
        result = grids[-1] * self.inverses[-1]
        for grid, inverse in zip(grids[-2::-1], self.inverses[-2::-1], strict=True):
            result = torch.addcmul(prolong(result, tuple(grid.shape[-2:])), grid, inverse)
        return result
