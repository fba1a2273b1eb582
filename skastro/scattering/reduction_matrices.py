"""The linear maps of the reductions, as sparse matrices, with the labels and names that they leave."""

import re

import numpy as np
import torch
from scipy.sparse import csr_array

__all__ = []

SCALES = ("j1", "j2", "j3")
ORIENTATIONS = ("l1", "l2", "l3")
NAME = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?(\.re|\.im)?")


def apply(matrix, coefficients):
    """coefficients @ matrix.T, of the type and dtype of the coefficients."""
    if not isinstance(coefficients, torch.Tensor):
        return np.ascontiguousarray((matrix.astype(coefficients.dtype) @ coefficients.T).T)
    coo = matrix.tocoo()
    index = torch.from_numpy(np.stack(coo.coords).astype(np.int64))
    values = torch.from_numpy(coo.data).to(coefficients.dtype)
    sparse = torch.sparse_coo_tensor(index, values, matrix.shape, check_invariants=False)
    sparse = sparse.to(coefficients.device)
    return torch.sparse.mm(sparse, coefficients.mT).mT


def _complete(labels):
    """Labels as arrays of int, with all scales, orientations and parts."""
    n = len(next(iter(labels.values())))
    full = {key: np.full(n, -1) for key in (*SCALES, *ORIENTATIONS)} | {"part": np.zeros(n, int)}
    return full | {key: np.array(values, int) for key, values in labels.items()}


def _families(labels, names):
    """Numbers of the families, from the names or else from what is present in the labels."""
    if names is not None:
        heads = [name.partition("[")[0] for name in names]
        return np.unique(heads, return_inverse=True)[1]
    return np.zeros(len(labels["part"]), int)


def _first(labels, keys):
    """The first of `keys` that each coefficient has, and its value (-1, and 0 if it has none)."""
    table = np.stack([labels[key] for key in keys])
    first = np.where((table >= 0).any(0), (table >= 0).argmax(0), -1)
    value = np.where(first >= 0, table[first, np.arange(table.shape[1])], 0)
    return first, value


def _grouped(labels, keys, families):
    """Group of each coefficient, those that agree in `keys`, numbered by appearance; the firsts."""
    table = np.stack([labels[key] for key in keys] + [families], 1)
    _, first, group = np.unique(table, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[group.ravel()], first[order]


def _renamed(names, labels, rename):
    """Names of new labels: `rename(key, i)` gives the key to print, or None to leave it out."""
    if names is None:
        return None
    out = []
    for i, name in enumerate(names):
        match = NAME.fullmatch(name)
        items = []
        for item in (match[2] or "").split(","):
            key = item.partition("=")[0]
            if key in labels:
                key = rename(key, i)
                items += [] if key is None else [f"{key[0]}={key[1]}"]
            elif item:
                items.append(item)
        inside = f"[{','.join(items)}]" if items else ""
        out.append(f"{match[1]}{inside}{match[3] or ''}")
    return out


def isotropic(labels, names):
    """Averages over orientations, at fixed differences from the first."""
    labels = _complete(labels)
    families = _families(labels, names)
    first, origin = _first(labels, ORIENTATIONS)
    n_orientations = 1 + max(labels[key].max(initial=-1) for key in ORIENTATIONS)
    kept = np.flatnonzero(labels["part"] <= 0)
    new = dict(labels)
    for i, key in enumerate(ORIENTATIONS):
        difference = (labels[key] - origin) % max(n_orientations, 1)
        new[key] = np.where((labels[key] < 0) | (first == i), -1, difference)
    new = {key: values[kept] for key, values in new.items()}
    group, at = _grouped(new, list(new), families[kept])
    weight = 1.0 / np.bincount(group, minlength=len(at))
    shape = (len(at), len(families))
    matrix = csr_array((weight[group], (group, kept)), shape=shape)
    new = {key: values[at] for key, values in new.items()}
    names = None if names is None else [names[i].removesuffix(".re") for i in kept[at]]

    def rename(key, i):
        value = new[key][i]
        if key in ORIENTATIONS:
            return None if value < 0 else (f"d{key}", value)
        return key, value

    return matrix, new, _renamed(names, new, rename)


def angular(labels, names):
    """Fourier transforms over each orientation."""
    labels = _complete(labels)
    families = _families(labels, names)
    n = len(families)
    matrix = csr_array((np.ones(n), (np.arange(n), np.arange(n))), shape=(n, n))
    last = np.select([labels[key] >= 0 for key in reversed(ORIENTATIONS)], [2, 1, 0], -1)
    several = sum((labels[key] >= 0).astype(int) for key in ORIENTATIONS) > 1
    size = 1 + max(labels[key].max(initial=-1) for key in ORIENTATIONS)
    for axis, key in enumerate(ORIENTATIONS):
        # The harmonic takes the place of the orientation.
        columns = np.flatnonzero(labels[key] >= 0)
        half = (labels["part"] == 1) & (last == axis) & several
        rest = [other for other in labels if other != key]
        for odd in (False, True):
            part = columns[half[columns] == odd]
            if not len(part):
                continue
            group, at = _grouped({k: labels[k][part] for k in rest}, rest, families[part])
            if len(part) != len(at) * size:
                raise ValueError(
                    f"{key} has {len(part) / len(at):g} orientations a coefficient; expected all {size}."
                )
            place = np.empty((len(at), size), int)
            place[group, labels[key][part]] = part
            basis = _half_harmonics(size) if odd else harmonics(size)
            rows = np.repeat(place[:, :, None], size, 2)
            cols = np.repeat(place[:, None, :], size, 1)
            others = np.setdiff1d(np.arange(n), part)
            data = np.broadcast_to(basis, rows.shape)
            step = csr_array(
                (
                    np.concatenate([data.ravel(), np.ones(len(others))]),
                    (
                        np.concatenate([rows.ravel(), others]),
                        np.concatenate([cols.ravel(), others]),
                    ),
                ),
                shape=(n, n),
            )
            matrix = step @ matrix

    def rename(key, i):
        value = labels[key][i]
        return (key.replace("l", "m") if key in ORIENTATIONS else key), value

    return matrix, labels, _renamed(names, labels, rename)


def scales(labels, names):
    """Cosine transforms over the first scale, at fixed differences from it."""
    labels = _complete(labels)
    families = _families(labels, names)
    first, origin = _first(labels, SCALES)
    new = dict(labels)
    for i, key in enumerate(SCALES):
        new[key] = np.where((labels[key] < 0) | (first == i), -1, labels[key] - origin)
    # What has no scale is left alone.
    group, at = _grouped(new, list(new), families)
    counts = np.bincount(group, minlength=len(at))
    order = np.lexsort((origin, group))
    starts = np.concatenate([[0], np.cumsum(counts)])
    rank = np.empty(len(group), int)
    rank[order] = np.arange(len(group)) - np.repeat(starts[:-1], counts)
    # Coefficient (group, k) takes the place of the k-th of its group.
    rows, columns, data = [], [], []
    for size in np.unique(counts):
        members = order[np.isin(group[order], np.flatnonzero(counts == size))].reshape(-1, size)
        k = np.arange(size)
        basis = np.cos(k[:, None] * np.pi * (k + 0.5) / size) * np.sqrt(2.0 / size)
        basis[0] = np.sqrt(1.0 / size)
        rows.append(np.repeat(members[:, :, None], size, 2).ravel())
        columns.append(np.repeat(members[:, None, :], size, 1).ravel())
        data.append(np.broadcast_to(basis, (len(members), size, size)).ravel())
    data, at = np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))
    matrix = csr_array((data, at), shape=(len(group), len(group)))
    for i, key in enumerate(SCALES):
        new[key] = np.where(first == i, rank, new[key])

    def rename(key, i):
        value = new[key][i]
        if key not in SCALES:
            return key, value
        return (f"k{key[1:]}" if SCALES[first[i]] == key else f"d{key}"), value

    return matrix, new, _renamed(names, new, rename)


def harmonics(n):
    """Orthonormal real Fourier basis of n angles: (harmonic, angle)."""
    angle = 2.0 * np.pi * np.arange(n) / n
    rows = [np.full(n, np.sqrt(1.0 / n))]
    for k in range(1, (n + 1) // 2):
        rows += [np.sqrt(2.0 / n) * wave(k * angle) for wave in (np.cos, np.sin)]
    if n % 2 == 0:
        rows.append(np.cos(0.5 * n * angle) * np.sqrt(1.0 / n))
    return np.stack(rows)


def _half_harmonics(n):
    """The same of functions whose sign changes after n angles."""
    angle = 2.0 * np.pi * np.arange(n) / n
    rows = []
    for k in range(n // 2):
        rows += [np.sqrt(2.0 / n) * wave((k + 0.5) * angle) for wave in (np.cos, np.sin)]
    if n % 2:
        rows.append(np.cos(0.5 * n * angle) * np.sqrt(1.0 / n))
    return np.stack(rows)
