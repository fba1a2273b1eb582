"""Arrays of rows and targets: broadcast, search and seeds that all distributions share."""

import numpy as np

__all__ = [
    "as_generator",
    "as_rows",
    "check_levels",
    "check_rescaling",
    "check_values",
    "even_quantiles",
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


def as_rows(rows):
    """Rows that keep their axis: a single one becomes a list of one.

    Parameters
    ----------
    rows : slice, int or array-like of int or bool
    """
    return rows if isinstance(rows, slice) else np.atleast_1d(rows)


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
    """Mass of the cells denser than a value, linear between the densities of the cells.

    Parameters
    ----------
    density, mass : ndarray of shape (n, n_targets, n_cells)
    at : ndarray of shape (..., n, n_targets)
        Densities.

    Returns
    -------
    mass : ndarray of shape (..., n, n_targets)
    """
    order = np.argsort(-density, axis=-1)
    density, mass = (np.take_along_axis(part, order, -1) for part in (density, mass))
    # a cell is denser than its own middle by one half
    above = np.cumsum(mass, axis=-1) - 0.5 * mass
    whole = mass.sum(-1)
    index = row_search(-density, -at)
    behind, ahead = np.maximum(index - 1, 0), np.minimum(index, density.shape[-1] - 1)
    low, high = gather(density, ahead), gather(density, behind)
    part = np.clip((high - at) / np.where(high > low, high - low, 1), 0, 1)
    found = gather(above, behind) + part * (gather(above, ahead) - gather(above, behind))
    # denser than every middle: somewhere within the densest cell
    found = np.where(index == 0, 0.5 * found, found)
    return np.where(index == density.shape[-1], whole, found)


def even_quantiles(edges, cdf, n_parts):
    """Values that divide the probability evenly, by counting instead of a search.

    Parameters
    ----------
    edges, cdf : ndarray of shape (n, n_targets, b)
        Of CDFs that are linear between the edges.
    n_parts : int

    Returns
    -------
    y : ndarray of shape (n, n_targets, n_parts - 1)
    """
    lead, size = edges.shape[:-1], edges.shape[-1]
    edges, cdf = edges.reshape(-1, size), cdf.reshape(-1, size)
    part = np.minimum((cdf * n_parts).astype(np.intp), n_parts - 1)
    # the last edge is above every level, and needs no count
    row = n_parts * np.arange(len(part))[:, None]
    counts = np.bincount((part + row)[:, :-1].ravel(), minlength=part.shape[0] * n_parts)
    upper = np.cumsum(counts.reshape(-1, n_parts)[:, :-1], axis=1)
    upper += size * np.arange(len(part))[:, None]
    low, below = edges.ravel()[upper - 1], cdf.ravel()[upper - 1]
    slope = (edges.ravel()[upper] - low) / (cdf.ravel()[upper] - below)
    y = low + (np.arange(1, n_parts) / n_parts - below) * slope
    return y.reshape(*lead, n_parts - 1)
