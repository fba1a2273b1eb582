"""Coupling of the phases of scales: products of a wavelet field with harmonics of a coarser one."""

import numpy as np
import torch
from scipy.fft import next_fast_len

from skastro.constants import Constants
from skastro.scattering.covariance_sums import SMALLEST, half_weights, narrow
from skastro.scattering.filters_steerable import CENTRE

__all__ = ["PhaseCoupling", "ShiftedSums", "unit_phase"]


def unit_phase(z):
    """Modulus and phase z / |z| of complex numbers; those of 0 are 0, with zero slope."""
    pairs = torch.view_as_real(z).square()
    square = torch.add(pairs[..., 0], pairs[..., 1])
    some = square > torch.finfo(square.dtype).tiny
    inverse = torch.where(some, torch.where(some, square, 1.0).rsqrt(), 0.0)
    return square * inverse, z * inverse


def _filter(X, pairs, out=None):
    """Complex X times real values that stand twice: torch makes a complex copy of real ones each time."""
    if out is None:
        return torch.view_as_complex(torch.view_as_real(X) * pairs)
    torch.mul(torch.view_as_real(X), pairs, out=torch.view_as_real(out))
    return out


class _Planes:
    """A coarse field, its phase and its modulus in memory used again for the next one."""

    def __init__(self, Y):
        self.spectrum, self.power, self.harmonic = (torch.empty_like(Y) for _ in range(3))
        self.pairs = torch.view_as_real(self.harmonic)
        self.modulus, self.inverse = (torch.empty_like(Y.real) for _ in range(2))

    def load(self, Y, psi):
        """Take in z = Y * psi: `power` is its phase, `modulus` its modulus; z is returned."""
        _filter(Y, psi, self.spectrum)
        z = torch.fft.ifft2(self.spectrum, norm="forward")
        pairs = torch.view_as_real(z)
        torch.mul(pairs, pairs, out=self.pairs)
        torch.add(self.pairs[..., 0], self.pairs[..., 1], out=self.modulus)
        self.modulus.clamp_min_(torch.finfo(pairs.dtype).tiny)
        torch.rsqrt(self.modulus, out=self.inverse)
        self.modulus *= self.inverse
        torch.mul(z, self.inverse, out=self.power)
        return z

    def pairs_with(self, j2, n_first):
        """The finer scales of a scale: at each, `harmonic` is [z]^p and `power` its phase."""
        for j1 in range(j2 - 1, -1, -1):
            torch.mul(self.power, self.power, out=self.power)
            if j1 < n_first:
                torch.mul(self.power, self.modulus, out=self.harmonic)
                yield j1


def _first(X, psi, shifts, l, n_first):  # noqa: E741
    """z_1 of an orientation at each shift, (n, T, pixels) for each scale."""
    z = (_filter(X, psi[j1, l]) for j1 in range(min(n_first, len(psi) - 1)))
    z = (s[:, None] if shifts is None else s[:, None] * shifts[l] for s in z)
    return [torch.fft.ifft2(s, norm="forward").flatten(2) for s in z]


class _Coupled(torch.autograd.Function):
    """<z_1(u + tau) conj([z_2]^p)>, p = 2^(j2 - j1), of spectra X and Y on one grid.

    psi (k, L, h, w, 2) are the wavelets from the finest scale of the grid on, each value twice; the
    first `n_first` are those of factor 1; shifts (L, T, h, w) their phases or None. Returns
    (pairs, L, n, T), pairs in the order of (j2, falling j1). Everything is computed again in the
    backward pass: it is cheaper to compute than to keep.
    """

    @staticmethod
    def forward(ctx, X, Y, psi, shifts, n_first):
        ctx.save_for_backward(X, Y, psi, shifts)
        ctx.n_first = n_first
        k, L, h, w, _ = psi.shape
        out, planes = [], _Planes(Y)
        for l in range(L):  # noqa: E741
            first = _first(X, psi, shifts, l, n_first)
            for j2 in range(1, k):
                planes.load(Y, psi[j2, l])
                # once here: a product with a lazy conjugate copies it each time
                planes.power.conj_physical_()
                for j1 in planes.pairs_with(j2, n_first):
                    harmonic = planes.harmonic.flatten(1)[..., None]
                    out.append(torch.bmm(first[j1], harmonic)[..., 0])
        return torch.stack(out).div_(h * w).unflatten(0, (L, -1)).transpose(0, 1)

    @staticmethod
    def backward(ctx, g):
        X, Y, psi, shifts = ctx.saved_tensors
        k, L, h, w, _ = psi.shape
        g = g / (h * w)
        gX, gY = torch.zeros_like(X), torch.zeros_like(Y)
        planes, total, product = _Planes(Y), torch.empty_like(Y), torch.empty_like(Y)
        for l in range(L):  # noqa: E741
            first = _first(X, psi, shifts, l, ctx.n_first)
            g_first = [torch.zeros_like(z) for z in first]
            pair = 0
            for j2 in range(1, k):
                planes.load(Y, psi[j2, l])
                phase = planes.power.clone()
                total.zero_()
                for j1 in planes.pairs_with(j2, ctx.n_first):
                    weight = g[pair, l]
                    pair += 1
                    harmonic = planes.harmonic.flatten(1)[:, None]
                    a = product.flatten(1)[:, None]
                    if weight.shape[1] == 1:
                        g_first[j1].addcmul_(weight[..., None], harmonic)
                        torch.mul(first[j1], weight.conj()[..., None], out=a)
                    else:
                        g_first[j1].baddbmm_(weight[..., None], harmonic)
                        torch.bmm(weight.conj()[:, None], first[j1], out=a)
                    torch.mul(product, planes.power.conj(), out=product)
                    # what changes the modulus of z_2, and what turns its phase
                    torch.view_as_real(product)[..., 1] *= 2 ** (j2 - j1)
                    total += product
                total *= phase
                gz = torch.fft.fft2(total)
                gY += _filter(gz, psi[j2, l], gz)
            for j1, gz in enumerate(g_first):
                gz = torch.fft.fft2(gz.unflatten(-1, (h, w)))
                gz = gz[:, 0] if shifts is None else (gz * shifts[l].conj()).sum(1)
                gX += _filter(gz, psi[j1, l], gz)
        return gX, gY, None, None, None


class PhaseCoupling(Constants):
    """All <z_1(u + tau) conj([z_2]^p)> of scales j1 < j2, each j1 on the grid its band needs.

    Parameters
    ----------
    psi : ndarray of shape (n_scales, n_orientations, h, w)
        Bump-steerable wavelets.
    shifts : ndarray of int of shape (n_orientations, n_shifts, 2)
    oversampling : float or None
        Room for harmonics on the grid; None: the full grid.

    Attributes
    ----------
    pairs : list of tuple (j1, j2)
        In the order of the values.
    """

    def __init__(self, psi, shifts, oversampling=1.5):
        super().__init__()
        J, _, *shape = psi.shape
        sizes = [_size(shape, j, oversampling) for j in range(J - 1)]
        self.groups, self.pairs = [], []
        for size in dict.fromkeys(sizes):
            start = sizes.index(size)
            n_first = sizes.count(size)
            index = [
                np.fft.ifftshift(np.arange(m) - m // 2) % n
                for m, n in zip(size, shape, strict=True)
            ]
            grid = np.ix_(*index)
            pairs = np.repeat(psi[start:, :, *grid][..., None], 2, axis=-1)
            self.keep(f"psi{start}", pairs)
            flat = (np.arange(shape[0] * shape[1]).reshape(shape)[grid]).ravel()
            self.keep(f"index{start}", None if size == tuple(shape) else flat)
            self.keep(f"shifts{start}", None)
            if shifts.shape[1] > 1:
                k = (np.fft.fftfreq(n)[i] for n, i in zip(shape, index, strict=True))
                k = 2 * np.pi * np.stack(np.meshgrid(*k, indexing="ij"))
                self.keep(f"shifts{start}", np.tensordot(shifts, k, 1))
            self.groups.append((start, n_first, size))
            for j2 in range(start + 1, J):
                self.pairs += [
                    (j1, j2) for j1 in range(j2 - 1, start - 1, -1) if j1 - start < n_first
                ]

    def forward(self, X, Y=None):
        """Moments (n_pairs, n_orientations, n, n_shifts) of spectra X, and Y for factor 2."""
        Y = X if Y is None else Y
        out = []
        for start, n_first, size in self.groups:
            index = self.get(f"index{start}", X)
            spectra = [X, Y]
            if index is not None:
                spectra = [s.flatten(1).index_select(1, index).unflatten(1, size) for s in spectra]
            shifts = self.get(f"shifts{start}", X)
            if shifts is not None:
                shifts = torch.polar(torch.ones_like(shifts), shifts)
            out.append(_Coupled.apply(*spectra, self.get(f"psi{start}", X), shifts, n_first))
        return torch.cat(out)


def _size(shape, scale, oversampling):
    if oversampling is None:
        return tuple(shape)
    needed = (2 * CENTRE / np.pi * n / 2**scale for n in shape)
    needed = (max(int(np.ceil(m * oversampling)), SMALLEST) for m in needed)
    return tuple(
        n if m >= n else min(n, 2 * next_fast_len(-(-m // 2)))
        for m, n in zip(needed, shape, strict=True)
    )


class ShiftedSums(Constants):
    """Sum over all frequencies of A conj(B) w exp(i k.tau), from half spectra up to a cut.

    Parameters
    ----------
    values : ndarray of shape (n_weights, h, w)
        The weights w, one for each orientation or one for all.
    cut : tuple of two int
        Highest index of the frequencies along each axis.
    shifts : ndarray of int of shape (n_orientations, n_shifts, 2)
        The tau of each orientation, rows and columns in pixels.
    """

    def __init__(self, values, cut, shifts):
        super().__init__()
        self.cut = cut
        even, odd = half_weights(values, cut)
        self.keep("plus", (even + odd) / 2)
        self.keep("minus", (even - odd) / 2)
        unique, where = np.unique(shifts.reshape(-1, 2), axis=0, return_inverse=True)
        self.keep("where", where.reshape(shifts.shape[:2]))
        self.keep("angles", None)
        if len(unique) > 1:
            (h, w), (rows, columns) = values.shape[1:], cut
            k = np.meshgrid(np.r_[: rows + 1, -rows:0] / h, np.r_[: columns + 1] / w, indexing="ij")
            self.keep("angles", 2 * np.pi * np.stack(k).reshape(2, -1).T @ unique.T)

    def forward(self, A, B):
        """Sums (n, F / L or 1, L, n_shifts) of fields (n, F, 2, rows, columns), F counting l last.

        With one field in A and in B, the weights are those of the orientations.
        """
        A, B = (torch.complex(*planes.flatten(-2).unbind(2)) for planes in (A, B))
        where = self.get("where", A)
        product = A * B.conj()
        if product.shape[1] == 1:
            product = product[:, :, None]
        else:
            product = product.unflatten(1, (-1, len(where)))
        plus, minus = product * self.get("plus", A), product * self.get("minus", A)
        angles = self.get("angles", A)
        if angles is None:
            total = (plus.sum(-1) + minus.sum(-1).conj())[..., None]
        else:
            waves = torch.polar(torch.ones_like(angles), angles)
            total = plus @ waves + (minus @ waves).conj()
        return total.gather(-1, where.expand(*total.shape[:-1], -1))

    def narrow(self, planes):
        """The frequencies of half spectra that the sums take in."""
        return narrow(planes, self.cut)

    def between(self, A, B):
        """Sums (n, F_a, F_b), without a shift, of all of A with all of B; real parts."""
        weight = (self.get("plus", A) + self.get("minus", A))[0]
        return torch.matmul((A.flatten(-2) * weight).flatten(2), B.flatten(2).mT)
