"""Arrays of rows and targets: broadcast, search and seeds that all distributions share."""

import numpy as np

__all__ = [
    "as_generator",
    "check_levels",
    "check_rescaling",
    "check_values",
    "gather",
    "mass_above",
    "row_search",
]


def check_values(y, shape, name="y"):
    """Values in float64 that broadcast against rows and targets, (..., n, n_targets).

    Parameters
    ----------
    y : array-like
    shape : tuple (n, n_targets)
    name : str
        For the error.

    Returns
    -------
    y : ndarray of float64
        Of at least two dimensions, not yet broadcast.
    """
    y = np.asarray(y, dtype=float)
    y = y.reshape((1,) * (2 - y.ndim) + y.shape)
    if any(have not in (1, want) for have, want in zip(y.shape[-2:], shape, strict=True)):
        raise ValueError(
            f"{name} has shape {y.shape}; expected (..., n, n_targets) that broadcasts to {shape}."
        )
    return y


def check_levels(q, name="q"):
    """Probabilities in float64.

    Parameters
    ----------
    q : array-like
    name : str
        For the error.
    """
    q = np.asarray(q, dtype=float)
    wrong = ~((q >= 0) & (q <= 1))
    if wrong.any():
        raise ValueError(f"{name} has {q[wrong].flat[0]:.4g}; expected probabilities from 0 to 1.")
    return q


def check_rescaling(offset, scale, n_targets):
    """Offset and positive scale of each target, both (n_targets,).

    Parameters
    ----------
    offset, scale : array-like of shape (n_targets,)
    n_targets : int
    """
    pair = []
    for name, value in (("offset", offset), ("scale", scale)):
        value = np.asarray(value, dtype=float)
        if value.shape not in ((), (1,), (n_targets,)) or not np.isfinite(value).all():
            raise ValueError(f"{name}={value!r}; expected {n_targets} finite numbers.")
        pair.append(np.broadcast_to(value, (n_targets,)))
    if not (pair[1] > 0).all():
        raise ValueError(f"scale={scale!r}; expected positive numbers.")
    return pair


def as_generator(random_state):
    """What draws numbers: anything that scikit-learn or NumPy takes as a seed.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        None: a new seed from the system.

    Returns
    -------
    rng : Generator or RandomState
    """
    if isinstance(random_state, np.random.Generator | np.random.RandomState):
        return random_state
    return np.random.default_rng(random_state)


def _offsets(table):
    lead = table.shape[:-1]
    return np.arange(int(np.prod(lead)), dtype=np.intp).reshape(lead) * table.shape[-1]


def gather(table, index):
    """Entries of each row's own vector.

    Parameters
    ----------
    table : ndarray of shape (b,), (n_targets, b) or (n, n_targets, b)
    index : ndarray of int of shape (..., n, n_targets)

    Returns
    -------
    values : ndarray of the shape of `index`
    """
    return np.ascontiguousarray(table).reshape(-1)[index + _offsets(table)]


def row_search(table, y, side="left"):
    """`numpy.searchsorted` in each row's own sorted vector.

    Parameters
    ----------
    table : ndarray of shape (b,), (n_targets, b) or (n, n_targets, b)
        Sorted along the last axis.
    y : ndarray of shape (..., n, n_targets)
    side : {"left", "right"}

    Returns
    -------
    index : ndarray of int of the shape of `y`, from 0 to b
    """
    if table.ndim == 1:
        return np.searchsorted(table, y, side)
    size, flat, offsets = table.shape[-1], np.ascontiguousarray(table).reshape(-1), _offsets(table)
    shape = np.broadcast_shapes(np.shape(y), table.shape[:-1])
    index = np.zeros(shape, dtype=np.intp)
    # the largest index whose predecessors are all below, one bit at a time
    step = 1 << (size.bit_length() - 1)
    while step:
        trial = index + step
        value = flat[np.minimum(trial, size) - 1 + offsets]
        below = value < y if side == "left" else value <= y
        index = np.where(below & (trial <= size), trial, index)
        step >>= 1
    return index


def mass_above(density, mass, at):
    """Mass of the cells at least as dense as a value.

    Parameters
    ----------
    density, mass : ndarray of shape (n, n_targets, n_cells)
    at : ndarray of shape (..., n, n_targets)
        Densities.

    Returns
    -------
    mass : ndarray of shape (..., n, n_targets)
    """
    order = np.argsort(density, axis=-1)
    ordered = np.take_along_axis(mass, order, -1)
    above = np.zeros(mass.shape[:-1] + (mass.shape[-1] + 1,))
    above[..., :-1] = np.cumsum(ordered[..., ::-1], axis=-1)[..., ::-1]
    return gather(above, row_search(np.take_along_axis(density, order, -1), at))
