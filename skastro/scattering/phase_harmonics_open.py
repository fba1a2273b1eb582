"""Phase-harmonic moments of maps that are not periodic: cropped fields, means over overlaps."""

import torch

from skastro.scattering.phase_harmonics_sums import unit_phase

__all__ = ["open_fields", "open_moments"]

ROWS = 16  # moments of one shift that are worked on together


def open_fields(X, psi, crop, table_phases):
    """Harmonics of all wavelet fields, without the borders.

    Parameters
    ----------
    X : complex Tensor of shape (n, h, w)
        FFT of maps over the number of pixels.
    psi : Tensor of shape (n_scales, n_orientations, h, w)
    crop : int
        Pixels of each border.
    table_phases : set of tuple (j, l, p)
        What is needed.

    Returns
    -------
    fields : dict of Tensor of shape (n, h - 2 crop, w - 2 crop)
        By (j, l, p).
    """
    h, w = X.shape[1:]
    inside = (..., slice(crop, h - crop), slice(crop, w - crop))
    fields = {}
    for j, t in sorted({key[:2] for key in table_phases}):
        z = torch.fft.ifft2(X * psi[j, t], norm="forward")[inside]
        modulus, phase = unit_phase(z)
        fields[j, t, 0], fields[j, t, 1] = modulus, z
        p, power = 1, phase
        largest = max(key[2] for key in table_phases if key[:2] == (j, t))
        while 2 * p <= largest:
            p, z, power = 2 * p, z * power, power * power
            fields[j, t, p] = z
    return fields


def _overlap(n, shift):
    """Where u + shift is, and u, on an axis, for all u with both inside."""
    if shift >= 0:
        return slice(shift, n), slice(0, n - shift)
    return slice(0, n + shift), slice(-shift, n)


def open_moments(first, second, table, shifts):
    """Moments of centred fields over what overlaps after the shift.

    Parameters
    ----------
    first, second : dict of Tensor of shape (n, h, w)
        Fields by (j, l, p).
    table : ndarray of int of shape (n_moments, 8)
    shifts : ndarray of int of shape (n_moments, 2)
        Rows and columns, in pixels.

    Returns
    -------
    moments : complex Tensor of shape (n, n_moments)
    """
    groups = {}
    for i, shift in enumerate(map(tuple, shifts.tolist())):
        groups.setdefault(shift, []).append(i)
    h, w = next(iter(first.values())).shape[-2:]
    values, order = [], []
    for shift, members in groups.items():
        (top, bottom), (left, right) = _overlap(h, shift[0]), _overlap(w, shift[1])
        for start in range(0, len(members), ROWS):
            rows = members[start : start + ROWS]
            a = [first[tuple(table[i, :3].tolist())][..., top, left] for i in rows]
            b = [second[tuple(table[i, 3:6].tolist())][..., bottom, right] for i in rows]
            products = [(f * g.conj()).mean((-2, -1)) for f, g in zip(a, b, strict=True)]
            values += [
                p if p.is_complex() else torch.complex(p, torch.zeros_like(p)) for p in products
            ]
            order += rows
    inverse = torch.empty(len(order), dtype=torch.int64)
    inverse[torch.tensor(order)] = torch.arange(len(order))
    return torch.stack(values, 1)[:, inverse.to(values[0].device)]
