"""Moduli of wavelet fields on the grids that hold them, and their products summed over Fourier space."""

import numpy as np
import torch
from scipy.fft import next_fast_len

from skastro.constants import Constants

__all__ = [
    "ModulusBank",
    "SpectralSums",
    "cut_sizes",
    "half_plane",
    "half_weights",
    "narrow",
]

CACHE = 2**20  # bytes
SMALLEST = 64  # pixels of a side: grids below cost next to nothing
PIXELS = 2**15  # of the planes worked on together


def cut_sizes(shape, scale):
    """Highest index of the frequencies that the sums of a scale take in along each axis."""
    return tuple(min(max(8, -(-n // 2**scale)), n // 2) for n in shape)


def _own_grid(psi, tolerance, oversampling, smallest):
    """Where the wavelets of one scale live: the grid, flat indices into the FFT, the values.

    A modulus does not see a shift in frequency: each wavelet is cut out around its own centre.
    """
    energy = psi**2
    total = energy.sum((1, 2))
    index, size = [], []
    centres = []
    for axis, n in enumerate(psi.shape[1:]):
        profile = energy.sum(2 - axis)
        phase = np.exp(2j * np.pi * np.arange(n) / n)
        centre = np.rint(np.angle(profile @ phase) * n / (2 * np.pi)).astype(int)
        centres.append(centre)
        order = (np.arange(n) - n // 2 + centre[:, None]) % n
        lost = np.take_along_axis(profile, order, 1) / total[:, None]
        # energy beyond +-reach of the centre, the worst of the orientations
        reach = np.abs(np.arange(n) - n // 2)
        outside = np.array([lost[:, reach > r].sum(1).max() for r in range(n // 2 + 1)])
        needed = 2 * int(np.argmax(outside <= tolerance)) + 1
        needed = max(int(np.ceil(needed * oversampling)), smallest[axis], SMALLEST)
        needed += needed % 2
        size.append(n if needed >= n else min(n, 2 * next_fast_len(needed // 2)))
    if tuple(size) == psi.shape[1:]:
        return tuple(size), None, psi
    for centre, n, m in zip(centres, psi.shape[1:], size, strict=True):
        index.append((np.fft.ifftshift(np.arange(m) - m // 2) + centre[:, None]) % n)
    flat = index[0][:, :, None] * psi.shape[2] + index[1][:, None, :]
    values = np.take_along_axis(psi.reshape(len(psi), -1), flat.reshape(len(psi), -1), 1)
    return tuple(size), flat, values.reshape(flat.shape)


def _blocks(n_planes, pixels):
    """Slices of planes that are worked on together: one where it fills the cache alone."""
    step = max(1, PIXELS // pixels)
    return [slice(start, min(start + step, n_planes)) for start in range(0, n_planes, step)]


def _cut(X, psi, index, out):
    """Spectra (n, h, w) times the wavelets of a block (l, h_j, w_j), as (l, n, h_j, w_j)."""
    if index is None:
        return torch.mul(X, psi[:, None], out=out)
    X = X.flatten(1).index_select(1, index.flatten()).view(-1, *psi.shape).transpose(0, 1)
    return torch.mul(X, psi[:, None], out=out)


class _Moduli(torch.autograd.Function):
    """Spectra of maps -> mean, mean square and half spectrum of the moduli of one scale.

    Planes go through one block at a time, in the same buffers: fresh memory costs more than the FFT.
    """

    @staticmethod
    def forward(ctx, X, psi, index):
        n, (L, h, w) = len(X), psi.shape
        tiny = torch.finfo(psi.dtype).tiny
        mean, square = psi.new_empty(2, L, n)
        spectrum = X.new_empty(L, n, h, w // 2 + 1)
        blocks, saved = _blocks(L, n * h * w), []
        buffer = X.new_empty(blocks[0].stop, n, h, w)
        for block in blocks:
            part = None if index is None else index[block]
            cut = _cut(X, psi[block], part, buffer[: block.stop - block.start])
            z = torch.fft.ifft2(cut, norm="forward")
            # |z|^2 and 1 / |z| through real views: a third of the time of `abs`
            pairs = torch.view_as_real(z).square()
            U = torch.add(pairs[..., 0], pairs[..., 1]).clamp_min_(tiny)
            square[block] = U.flatten(-2).mean(-1)
            inverse = U.rsqrt()
            U *= inverse
            mean[block] = U.flatten(-2).mean(-1)
            spectrum[block] = torch.fft.rfft2(U, norm="forward")
            if ctx.needs_input_grad[0]:
                saved += [z, inverse]
        ctx.save_for_backward(psi, index, *saved)
        ctx.shape = X.shape
        return mean.mT, square.mT, spectrum.transpose(0, 1)

    @staticmethod
    def backward(ctx, g_mean, g_square, g_spectrum):
        psi, index, *saved = ctx.saved_tensors
        L, h, w = psi.shape
        n = ctx.shape[0]
        gX = torch.zeros(ctx.shape, dtype=g_spectrum.dtype, device=psi.device)
        g_mean, g_square = (g.mT[..., None, None] / (h * w) for g in (g_mean, g_square))
        g_spectrum = g_spectrum.transpose(0, 1)
        for b, block in enumerate(_blocks(L, n * h * w)):
            z, inverse = saved[2 * b : 2 * b + 2]
            g = g_spectrum[block].clone()
            # a stored frequency stands for itself alone, the inverse FFT counts its mirror too
            g[..., 1 : (w + 1) // 2] *= 0.5
            g = torch.fft.irfft2(g, s=(h, w), norm="backward")
            g += g_mean[block]
            g *= inverse
            g += 2 * g_square[block]
            # where z = 0 so is this: the subgradient of the modulus is zero there
            g = torch.fft.fft2(z * g)
            g *= psi[block, None]
            if index is None:
                gX += g.sum(0) if len(g) > 1 else g[0]
            else:
                gX.view(n, -1).index_add_(1, index[block].flatten(), g.transpose(0, 1).flatten(1))
        return gX, None, None


def _steps(n_rows, length, itemsize):
    """Slices of an axis so that `n_rows` of them fit the cache."""
    step = max(512, CACHE // (n_rows * itemsize) // 64 * 64)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


class _Products(torch.autograd.Function):
    """Sums over all frequencies of A conj(B) w from a half plane: re and im (2, n, L, F_a, F_b).

    A (n, F_a, 2, H) and B (n, F_b, 2, H) hold real and imaginary parts; even and odd (L, H) are the
    sum and the difference of the weights of a frequency and of its mirror. B = None stands for A.
    """

    @staticmethod
    def forward(ctx, A, B, even, odd):
        ctx.save_for_backward(A, B, even, odd)
        n, n_fields, _, length = A.shape
        L, n_rows = len(even), n * len(even) * n_fields
        same = B is None
        B = A if same else B
        out = A.new_zeros(2, n, L * n_fields, B.shape[1])
        steps = _steps(n_rows, length, A.element_size())
        buffer = A.new_empty(n_rows * (steps[0].stop - steps[0].start))
        for k in steps:
            V = buffer[: n_rows * (k.stop - k.start)].view(n, L, n_fields, -1)
            rows = V.view(n, L * n_fields, -1)
            for part in (0, 1):
                torch.mul(A[:, None, :, part, k], even[:, None, k], out=V)
                out[0].baddbmm_(rows, B[:, :, part, k].mT)
            torch.mul(A[:, None, :, 1, k], odd[:, None, k], out=V)
            out[1].baddbmm_(rows, B[:, :, 0, k].mT)
            if not same:
                torch.mul(A[:, None, :, 0, k], odd[:, None, k], out=V)
                out[1].baddbmm_(rows, B[:, :, 1, k].mT, alpha=-1)
        out = out.view(2, n, L, n_fields, -1)
        if same:
            out[1] -= out[1].mT.clone()
        return out

    @staticmethod
    def backward(ctx, g):
        A, B, even, odd = ctx.saved_tensors
        n, n_fields, _, length = A.shape
        L, same = len(even), B is None
        B = A if same else B
        if same:
            g = torch.stack([g[0] + g[0].mT, g[1] - g[1].mT])
        re, im = g.reshape(2, n, L * n_fields, -1)
        gA = torch.empty_like(A)
        gB = None if same else torch.empty_like(B)
        for k in _steps(n * L * n_fields, length, A.element_size()):
            for part, sign, weights in ((0, 1.0, re), (1, 1.0, re), (1, -1.0, im), (0, 1.0, im)):
                first = weights is re
                target = gA[:, :, part if first else 1 - part, k]
                T = torch.bmm(weights, B[:, :, part, k]).view(n, L, n_fields, -1)
                w = even if first else odd
                if first:
                    torch.mul(T[:, 0], w[0, k], out=target)
                for l in range(first, L):  # noqa: E741
                    target.addcmul_(T[:, l], w[l, k], value=sign)
            if gB is not None:
                for part in (0, 1):
                    V = (A[:, None, :, part, k] * even[:, None, k]).flatten(1, 2)
                    W = (A[:, None, :, 1 - part, k] * odd[:, None, k]).flatten(1, 2)
                    total = torch.bmm(re.mT, V)
                    total.baddbmm_(im.mT, W, alpha=1 - 2 * part)
                    gB[:, :, part, k] = total
        return gA, gB, None, None


def half_plane(spectrum):
    """Half spectra (n, F, rows, columns) as real and imaginary parts (n, F, 2, rows, columns)."""
    return torch.stack([spectrum.real, spectrum.imag], 2)


def narrow(planes, cut):
    """The frequencies up to the cut: rows 0 to d and -d to -1, columns 0 to d."""
    rows, columns = cut
    if planes.shape[-2:] == (2 * rows + 1, columns + 1):
        return planes
    planes = planes[..., : columns + 1]
    return torch.cat([planes[..., : rows + 1, :], planes[..., -rows:, :]], dim=-2)


def half_weights(values, cut):
    """Weights (L, h, w) of a full plane -> even and odd (L, 2 H) for `narrow`."""
    n_rows, n_columns = values.shape[1:]
    rows, columns = cut
    # as scattering_transform has it: both ends of the range on odd sides alone
    r = np.r_[: rows + n_rows % 2, -rows:0]
    c = np.r_[: columns + n_columns % 2, -columns:0]
    plus = np.zeros((len(values), 2 * rows + 1, columns + 1))
    minus = np.zeros_like(plus)
    kept = values[:, r[:, None], c]
    plus[:, r[:, None], c[c >= 0]] = kept[:, :, c >= 0]
    minus[:, -r[:, None], -c[c < 0]] = kept[:, :, c < 0]
    return (plus + minus).reshape(len(values), -1), (plus - minus).reshape(len(values), -1)


class ModulusBank(Constants):
    """Moduli |x * psi| of all scales and orientations, each scale on its own grid.

    Parameters
    ----------
    psi : ndarray of shape (n_scales, n_orientations, h, w)
        Real Fourier transforms of the wavelets.
    tolerance : float, default=1e-7
        Share of the energy of a wavelet that its grid may leave out.
    oversampling : float or None, default=1.0
        Room for the modulus, in widths of the band; None: every scale on the full grid.

    Attributes
    ----------
    sizes : list of tuple (h_j, w_j)
        The grid of each scale.
    """

    def __init__(self, psi, tolerance=1e-7, oversampling=1.0):
        super().__init__()
        self.sizes = []
        for j, filters in enumerate(psi):
            size, index, values = filters.shape[1:], None, filters
            if oversampling is not None:
                smallest = [2 * d for d in cut_sizes(size, j)]
                size, index, values = _own_grid(filters, tolerance, oversampling, smallest)
            self.sizes.append(tuple(size))
            self.keep(f"psi{j}", values)
            self.keep(f"index{j}", index)

    def forward(self, X):
        """Mean and mean square (n, n_scales, n_orientations), half spectra of each scale.

        Parameters
        ----------
        X : complex Tensor of shape (n, h, w)
            FFT of the maps over the number of pixels.
        """
        parts = [
            _Moduli.apply(X, self.get(f"psi{j}", X), self.get(f"index{j}", X))
            for j in range(len(self.sizes))
        ]
        means, squares, spectra = zip(*parts, strict=True)
        return torch.stack(means, 1), torch.stack(squares, 1), spectra


class SpectralSums(Constants):
    """Products of fields filtered by the wavelets of one scale, summed over their frequencies.

    Parameters
    ----------
    psi : ndarray of shape (n_orientations, h, w)
    scale : int
    power : {1, 2}, default=1
        How often the products of a map and moduli carry psi.
    moduli : bool, default=True
        Whether products of moduli will be asked for.
    """

    def __init__(self, psi, scale, power=1, moduli=True):
        super().__init__()
        self.cut = cut_sizes(psi.shape[1:], scale)
        kinds = (("map", psi**power), ("moduli", psi**2))
        for name, values in kinds if moduli else kinds[:1]:
            for part, weights in zip(("even", "odd"), half_weights(values, self.cut), strict=True):
                self.keep(f"{name}_{part}", weights)

    def narrow(self, planes):
        """The frequencies of half spectra that the sums take in."""
        return narrow(planes, self.cut)

    def fields(self, planes, new):
        """Fields (n, F, 2, rows, columns) of the last scale and the half spectra of this one."""
        new = narrow(half_plane(new), self.cut)
        return new if planes is None else torch.cat([narrow(planes, self.cut), new], 1)

    def with_map(self, X, A):
        """Sums of X conj(A) psi, or psi^2: re and im (2, n, L, F).

        Parameters
        ----------
        X : Tensor of shape (n, 1, 2, rows, columns)
            Half spectra of the maps.
        A : Tensor of shape (n, F, 2, rows, columns)
        """
        weights = [self.get(f"map_{part}", A) for part in ("even", "odd")]
        return _Products.apply(X.flatten(-2), A.flatten(-2), *weights).squeeze(-2)

    def of_moduli(self, A, B=None):
        """Sums of A conj(B) psi^2: re and im (2, n, L, F, F); B = None stands for A."""
        weights = [self.get(f"moduli_{part}", A) for part in ("even", "odd")]
        B = None if B is None else B.flatten(-2)
        return _Products.apply(A.flatten(-2), B, *weights)
