"""Orientations from one pixel to another: the north at a neighbour is not that of a stencil's centre.

A modulus knows its orientations with respect to the north of its own pixel. Along the great circle to a
neighbour the north turns, the more the nearer the pole and the coarser the grid; sums over neighbours take
orientations with respect to the north of the centre. What depends on the orientation is turned by its
harmonics, of which L orientations have L.
"""

import numpy as np
import torch

from skastro.scattering.reduction_matrices import harmonics

__all__ = ["from_harmonics", "over_neighbours", "to_harmonics", "turn"]


def turn(centre, near):
    """By how much a direction carried along great circles turns with respect to the north.

    Parameters
    ----------
    centre : ndarray of shape (n, 3)
        Unit vectors.
    near : ndarray of shape (n, K, 3)
        To where the directions are carried.

    Returns
    -------
    turn : ndarray of shape (n, K)
        Angle from the north at the neighbour less that at the centre, radians; 0 at the centre itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.scattering.sphere_transport import turn
    >>> here, there = np.array([[0.8, 0.0, 0.6]]), np.array([[[0.0, 0.8, 0.6]]])
    >>> np.rad2deg(turn(here, there)).round(1)  # a quarter round the pole, at 37 degrees
    array([[61.9]])
    """
    bearing = _bearing(centre[:, None], near)
    back = _bearing(near, centre[:, None])
    turned = back + np.pi - bearing
    same = np.abs(near - centre[:, None]).max(2) < 1e-9
    return np.where(same, 0.0, (turned + np.pi) % (2.0 * np.pi) - np.pi)


def _bearing(here, there):
    """Of the great circle from here to there, from the north to the east."""
    x, y, z = np.moveaxis(here, -1, 0)
    a, b, c = np.moveaxis(there, -1, 0)
    # both components times the distance from the axis
    return np.arctan2(x * b - y * a, (x**2 + y**2) * c - z * (x * a + y * b))


def to_harmonics(fields):
    """Harmonics of fields (n_rows, L, n, 4) over their orientations: mean, cos and sin of 2 theta, ..."""
    return _changed(fields, harmonics(fields.shape[1]))


def from_harmonics(fields, dim=1):
    """The inverse of `to_harmonics`, of orientations along `dim`."""
    return _changed(fields.movedim(dim, 1), harmonics(fields.shape[dim]).T).movedim(1, dim)


def _changed(fields, matrix):
    matrix = torch.tensor(matrix, dtype=fields.dtype, device=fields.device)
    return (matrix @ fields.flatten(2)).unflatten(2, fields.shape[2:])


def over_neighbours(fields, sums):
    """Sums over neighbours of harmonics, each turned to the north of the centre.

    Parameters
    ----------
    fields : Tensor of shape (n_rows, L, n, 4)
        As of `to_harmonics`.
    sums : callable
        ``sums(fields, part, order)`` of fields (n_rows, n', 4) are (n_rows', R, n', 4): with the neighbours
        weighted further by cos (part 0) or sin (part 1) of ``2 * order * turn``.

    Returns
    -------
    sums : Tensor of shape (n_rows', R, L, n, 4)
        Harmonics still.
    """
    L, n = fields.shape[1:3]
    out = [sums(fields[:, 0], 0, 0)]
    for order in range(1, (L + 1) // 2):
        pair = fields[:, 2 * order - 1 : 2 * order + 1].flatten(1, 2)
        (c, s), (c_too, s_too) = (
            sums(pair, part, order).unflatten(2, (2, n)).unbind(2) for part in (0, 1)
        )
        out += [c + s_too, s - c_too]
    if L % 2 == 0:
        # its sine is 0 at all orientations, and lost
        out.append(sums(fields[:, L - 1], 0, L // 2))
    return torch.stack(out, 2)
