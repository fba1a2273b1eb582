"""Which phase-harmonic moments there are: their scales, orientations, phases and shifts."""

import numpy as np

__all__ = [
    "COLUMNS",
    "FAMILIES",
    "LOW_PHASES",
    "describe",
    "factor_index",
    "moment_table",
    "shift_table",
    "transposed",
]

COLUMNS = ("j1", "l1", "p1", "j2", "l2", "p2", "n", "a")
FAMILIES = ("S11", "S00", "S01", "C00", "C01", "Cphase", "S10", "C10", "Cphase_inv", "L")
LOW_PHASES = ((0, 0), (0, 1), (1, 1), (1, 0))  # the last with two maps only


def shift_table(n_orientations, dn, n_angles):
    r"""Shifts of a moment: none, then :math:`2^n` pixels at angles :math:`\theta - a \pi / A`.

    Parameters
    ----------
    n_orientations, dn, n_angles : int
        L, the largest n, and A.

    Returns
    -------
    shifts : ndarray of int of shape (n_orientations, 1 + 2 A dn, 2)
        Rows and columns in pixels, for each orientation; (n, a) is entry 1 + 2 A (n - 1) + a.
    """
    theta = np.pi / n_orientations * np.arange(n_orientations)[:, None]
    alpha = np.pi / n_angles * np.arange(2 * n_angles)
    shifts = [np.zeros((n_orientations, 1, 2))]
    for n in range(1, dn + 1):
        angle = theta - alpha
        shifts.append(2**n * np.stack([np.sin(angle), np.cos(angle)], -1))
    return np.round(np.concatenate(shifts, 1)).astype(int)


def transposed(table, n_angles):
    """The moments of the second field with the first: factors swapped, shifts turned round."""
    table = table[:, [3, 4, 5, 0, 1, 2, 6, 7]].copy()
    moved = table[:, 6] > 0
    table[moved, 7] = (table[moved, 7] + n_angles) % (2 * n_angles)
    return table


def moment_table(n_scales, n_orientations, dn, dl, dj, n_angles, families, all_angles=False):
    """Moments (rows of `COLUMNS`) of some families, in their order.

    Parameters
    ----------
    n_scales, n_orientations, dn, dl, dj, n_angles : int
    families : sequence of str
        Of "S11", "S00", "S01", "C00", "C01", "Cphase", "S10", "C10", "Cphase_inv".
    all_angles : bool, default=False
        Also the shifts that only repeat others, for one real map, by symmetry.

    Returns
    -------
    table : ndarray of int of shape (n_moments, 8)
    names : list of str
        The family of each row.
    """
    J, L = n_scales, n_orientations
    full = 2 * n_angles

    def shifts(n_max, angles=full):
        return [(0, 0)] + [(n, a) for n in range(1, n_max + 1) for a in range(angles)]

    half = full if all_angles else n_angles
    one = [(j, t) for j in range(J) for t in range(L)]
    two = [(*a, j2) for a in one for j2 in range(a[0] + 1, min(a[0] + dj, J - 1) + 1)]
    near = [
        (j1, l1, j2, t % L)
        for j1, l1, j2 in two
        for t in ([l1] if dl == 0 else range(l1 - dl, min(l1 + dl, l1 - dl + L)))
    ]
    rows = {
        "S11": [(j, t, 1, j, t, 1, *s) for j, t in one for s in shifts(dn, half)],
        "S00": [(j, t, 0, j, t, 0, *s) for j, t in one for s in shifts(dn, half)],
        "S01": [(j, t, 0, j, t, 1, 0, 0) for j, t in one],
        "C00": [(j1, l1, 0, j2, l2, 0, 0, 0) for j1, l1, j2, l2 in near],
        "C01": [
            (j1, l1, 0, j2, l2, 1, *s)
            for j1, l1, j2, l2 in near
            for s in shifts(dn if l1 == l2 else 0)
        ],
        "Cphase": [
            (j1, t, 1, j2, t, 2 ** (j2 - j1), *s)
            for j1, t, j2 in two
            for s in shifts(min(J - 1 - j2, dn))
        ],
    }
    for family, source in (("S10", "S01"), ("C10", "C01"), ("Cphase_inv", "Cphase")):
        rows[family] = [(*r[3:6], *r[:3], *r[6:]) for r in rows[source]]
    names = [family for family in families for _ in rows[family]]
    table = [row for family in families for row in rows[family]]
    return np.array(table, dtype=int).reshape(-1, len(COLUMNS)), names


def factor_index(j, l, p, n_scales, n_orientations):  # noqa: E741
    """Number of the factor [z_jl]^p among the moduli, the fields, and their harmonics 2, 4, .."""
    power = np.where(p == 0, 0, 1 + np.log2(np.maximum(p, 1)).round().astype(int))
    return (power * n_scales + j) * n_orientations + l


def describe(table, kinds, n_lows, cross):
    """Names and labels of the real coefficients of a table and of `n_lows` low-passes.

    Returns
    -------
    names : list of str
    labels : dict of ndarray of int
    kept : ndarray of int
        Which real parts, then which imaginary parts, are not always zero.
    """
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table.tolist()]
    p = LOW_PHASES if cross else LOW_PHASES[:3]
    lows = [{"j1": j - 1, "p1": p1, "p2": p2} for j in range(n_lows) for p1, p2 in p]
    kinds = kinds + ["L"] * len(lows)
    names, labels, kept = [], [], []
    for part, ending in enumerate((".re", ".im")):
        for i, (kind, row) in enumerate(zip(kinds, rows + lows, strict=True)):
            real = kind in ("S00", "C00", "L")
            real = real or (kind == "S11" and row["n"] == 0 and not cross)
            if part and real:
                continue
            kept.append(i + part * len(kinds))
            inside = ",".join(f"{key}={value}" for key, value in row.items())
            names.append(f"{kind}[{inside}]{ending}")
            labels.append([FAMILIES.index(kind), part, *(row.get(key, -1) for key in COLUMNS)])
    columns = ("family", "part", *COLUMNS)
    return names, dict(zip(columns, np.array(labels).T, strict=True)), np.array(kept)
