"""The wavelet scattering transform of a plane: averages of moduli of moduli."""

import math
from numbers import Real

import numpy as np
import torch
from torch import nn

from skastro.scattering.filters import check_n_orientations, check_n_scales, morlet_2d
from skastro.scattering.folding import FoldedFilters
from skastro.scattering.map_statistics import check_fields
from skastro.scattering.modulus import direction, modulus
from skastro.scattering.wst_grids import low, mean_grid, windows

__all__ = ["WST"]

KYMATIO_GAIN = math.pi / 3.1415  # its Gaussians are normalised with 3.1415 for pi
TOLERANCE = 1e-13  # of a filter: coefficients to 1e-5
CHUNK = 2**20  # complex numbers of a layer at once: 8 MB beside global means, which are few
PLANES = 2  # fields in place of them where local averages are wanted: as few as the peers hold
FIELDS = 2**17  # pixels whose spectra are kept at once


class WST(nn.Module):
    r"""Wavelet scattering transform [1]_ of real fields, up to order 2.

    .. math::
        S_1[j_1, l_1] = \langle |x * \psi_{j_1, l_1}| \rangle, \qquad
        S_2[j_1, l_1, j_2, l_2] = \langle ||x * \psi_{j_1, l_1}| * \psi_{j_2, l_2}| \rangle

    with the Morlet wavelets of `skastro.scattering.filters.morlet_2d` and :math:`j_2 > j_1`. The
    average is over the whole periodic field (``output="global"``), or over a Gaussian window of
    :math:`0.8 \cdot 2^{J-1}` pixels, at each :math:`2^J`-th pixel (``output="local"``, the convention
    of kymatio [2]_, whose coefficients it gives).

    Parameters
    ----------
    shape : tuple (h, w)
        Size of the fields in pixels.
    n_scales : int
        The number J of scales.
    n_orientations : int, default=8
        The number L of orientations over pi.
    max_order : {1, 2}, default=2
    output : {"global", "local"}, default="global"
    boundary : {"reflect", "periodic"}, default="reflect"
        Of local averages; "periodic" needs sides that are multiples of 2^J. Global ones are of a
        periodic field.
    same_scale : bool, default=False
        Whether global coefficients with :math:`j_2 = j_1` are kept too.
    oversampling : float, default=1.0
        Factor on the sides of the grids on which global averages are taken. 1: coefficients are
        those of the full grid to 1e-4 (relative, root mean square). Infinity: the full grid.

    Attributes
    ----------
    names : list of str
        Of the coefficients: "S0", "S1[j1=0,l1=0]", ..., "S2[j1=0,j2=1,l1=0,l2=0]", ...
    labels : dict of ndarray of shape (n_coefficients,), int
        "order", "j1", "j2", "j3", "l1", "l2", "l3" and "part" (0 real); -1 where absent.
    size : tuple (h_out, w_out)
        Of the maps of local averages; (1, 1) for global ones.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Each scale is applied on the arc of Fourier space where it lives and its modulus is computed on a
    coarse grid. The backward pass computes the moduli again instead of keeping them: memory does not
    grow with the number of coefficients' fields. Nothing can be differentiated twice.
    ``benchmarks/scattering_speed.py`` has its times and memory.

    References
    ----------
    .. [1] J. Bruna and S. Mallat (2013), "Invariant Scattering Convolution Networks", IEEE TPAMI 35,
       1872.
    .. [2] M. Andreux, T. Angles, G. Exarchakis et al. (2020), "Kymatio: Scattering Transforms in
       Python", JMLR 21, 1.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.wst import WST
    >>> wst = WST((64, 64), n_scales=3, n_orientations=4)
    >>> x = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> wst(x).shape
    torch.Size([2, 61])
    >>> wst.names[0], wst.names[1], wst.names[-1]
    ('S0', 'S1[j1=0,l1=0]', 'S2[j1=1,j2=2,l1=3,l2=3]')
    >>> WST((64, 64), n_scales=3, n_orientations=4, output="local")(x).shape
    torch.Size([2, 61, 8, 8])
    """

    def __init__(
        self,
        shape,
        n_scales,
        n_orientations=8,
        max_order=2,
        output="global",
        *,
        boundary="reflect",
        same_scale=False,
        oversampling=1.0,
    ):
        super().__init__()
        self.shape = tuple(shape)
        self.n_scales = check_n_scales(n_scales, self.shape)
        self.n_orientations = check_n_orientations(n_orientations)
        for name, value, allowed in (
            ("max_order", max_order, (1, 2)),
            ("output", output, ("global", "local")),
            ("boundary", boundary, ("reflect", "periodic")),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r}; expected {allowed[0]!r} or {allowed[1]!r}.")
        if not isinstance(oversampling, Real) or not oversampling > 0:
            raise ValueError(f"oversampling={oversampling!r}; expected a number above 0.")
        if same_scale and output == "local":
            raise ValueError("same_scale=True with output='local'; expected output='global'.")
        self.max_order, self.output, self.boundary = max_order, output, boundary
        self.same_scale, self.oversampling = bool(same_scale), float(oversampling)
        self.pairs = [
            (j1, j2)
            for j1 in range(self.n_scales if max_order == 2 else 0)
            for j2 in range(j1 if same_scale else j1 + 1, self.n_scales)
        ]
        self._pad = None
        if output == "local":
            self._build_local()
        else:
            self._build_global()
        self._name()
        self._tensors = {}

    def __getstate__(self):
        return dict(self.__dict__, _tensors={})

    def extra_repr(self):
        return (
            f"{self.shape}, n_scales={self.n_scales}, n_orientations={self.n_orientations}, "
            f"max_order={self.max_order}, output={self.output!r}"
        )

    def _build_global(self):
        """Filters whose outputs lie on grids that are fine enough for the mean of a modulus."""
        J, L, shape = self.n_scales, self.n_orientations, self.shape
        psi, _ = morlet_2d(shape, J, L)
        self.padded, self.size = shape, (1, 1)
        self._first, self._second, self._lowpass = [], {}, None
        for j in range(J):
            # One grid for all orientations of the first layer, that the second takes as a batch.
            sizes = [mean_grid(shape, j, i, L, 2.0 * self.oversampling) for i in range(L)]
            size = tuple(max(one[axis] for one in sizes) for axis in (0, 1))
            self._first.append(FoldedFilters(psi[j], [size] * L))
            for j2 in (b for a, b in self.pairs if a == j):
                kept = [low(one, size) for one in psi[j2]]
                grids = [mean_grid(shape, j2, i, L, 1.5 * self.oversampling) for i in range(L)]
                grids = [tuple(map(min, grid, size)) for grid in grids]
                self._second[j, j2] = FoldedFilters(kept, grids)

    def _build_local(self):
        """Filters, folds and windows of kymatio: scale j on each 2^j-th pixel."""
        J, L, step = self.n_scales, self.n_orientations, 2**self.n_scales
        if self.boundary == "periodic":
            if any(n % step for n in self.shape):
                raise ValueError(
                    f"shape={self.shape} with boundary='periodic', n_scales={J}; expected multiples "
                    f"of {step}."
                )
            self.padded, margin = self.shape, 0
        else:
            self.padded = tuple(((n + step) // step + 1) * step for n in self.shape)
            before = [(p - n) // 2 for p, n in zip(self.padded, self.shape, strict=True)]
            # One output at each side sees the padding more than the field.
            self._pad, margin = (
                [
                    np.pad(np.arange(n), (b, p - n - b), mode="reflect")
                    for n, p, b in zip(self.shape, self.padded, before, strict=True)
                ],
                1,
            )
        psi, _ = morlet_2d(self.padded, J, L)
        psi = psi * KYMATIO_GAIN
        self.size = tuple(n // step - 2 * margin for n in self.padded)
        self._first, self._second = [], {}
        self._lowpass = [
            [windows(n, j, J, margin) * math.sqrt(KYMATIO_GAIN) for n in self.padded]
            for j in range(J)
        ]
        for j in range(J):
            size = tuple(n // 2**j for n in self.padded)
            self._first.append(FoldedFilters(psi[j], [size] * L, tolerance=TOLERANCE))
            for j2 in (b for a, b in self.pairs if a == j):
                kept = [low(one, size) for one in psi[j2]]
                coarse = tuple(n // 2**j2 for n in self.padded)
                self._second[j, j2] = FoldedFilters(kept, [coarse] * L, tolerance=TOLERANCE)

    def _name(self):
        """Names and labels, in the order of the coefficients."""
        L = self.n_orientations
        rows = [(0, -1, -1, -1, -1)]
        rows += [(1, j, -1, i, -1) for j in range(self.n_scales) for i in range(L)]
        of = {j: [b for a, b in self.pairs if a == j] for j in range(self.n_scales)}
        self._at, start = {}, len(rows)
        for j1 in range(self.n_scales):
            self._at[j1] = start
            rows += [(2, j1, j2, l1, l2) for l1 in range(L) for j2 in of[j1] for l2 in range(L)]
            start = len(rows)
        table = np.array(rows)
        self.labels = dict(zip(("order", "j1", "j2", "l1", "l2"), table.T, strict=True))
        self.labels |= {"j3": np.full(len(rows), -1), "l3": np.full(len(rows), -1)}
        self.labels["part"] = np.zeros(len(rows), int)
        self.names = ["S0"]
        for order, j1, j2, l1, l2 in rows[1:]:
            self.names.append(
                f"S1[j1={j1},l1={l1}]" if order == 1 else f"S2[j1={j1},j2={j2},l1={l1},l2={l2}]"
            )

    def forward(self, x, y=None, reference=None):
        """Coefficients of fields.

        Parameters
        ----------
        x : Tensor of shape (n, h, w), real
        y, reference : None
            The transform has neither cross-coefficients nor a normalisation.

        Returns
        -------
        coefficients : Tensor of shape (n, n_coefficients), or (n, n_coefficients, h_out, w_out)
            In the unit of `x`; maps with ``output="local"``.

        Raises
        ------
        ValueError
            If `x` is complex or not of the shape of the transform, or `y` or `reference` is given.
        """
        check_fields(x, y, reference, self.shape)
        step = max(1, FIELDS // math.prod(self.padded))
        parts = [x.new_empty(0, len(self.names), *self.size)]
        for some in x.split(step) if len(x) else ():
            if self._pad is not None:
                rows, columns = (torch.from_numpy(at).to(x.device) for at in self._pad)
                some = some.index_select(1, rows).index_select(2, columns)
            # A transform keeps the strides of its input, and views as reals need plain ones.
            parts.append(_Scattering.apply(some.contiguous(), self))
        S = torch.cat(parts)
        return S[..., 0, 0] if self.output == "global" else S

    @property
    def _chunk(self):
        return CHUNK if self.output == "global" else PLANES * math.prod(self.padded)

    def _windows_like(self, x):
        """Windows of each scale as tensors of the dtype and device of `x`."""
        key = (x.dtype, str(x.device))
        if key not in self._tensors:
            self._tensors[key] = [
                [torch.from_numpy(one).to(x.dtype).to(x.device) for one in pair]
                for pair in self._lowpass
            ]
        return self._tensors[key]

    def _pool(self, U, j):
        """Averages (..., h_out, w_out) of fields (..., h_j, w_j)."""
        if self._lowpass is None:
            return U.mean((-2, -1), keepdim=True)
        rows, columns = self._windows_like(U)[j]
        return rows @ (U @ columns.mT)

    def _spread(self, g, j, grid):
        """The adjoint of `_pool`, broadcastable to (..., h_j, w_j)."""
        if self._lowpass is None:
            return g / math.prod(grid)
        rows, columns = self._windows_like(g)[j]
        return (rows.mT @ g) @ columns

    def compute(self, x, gradient=None):
        """Coefficients of padded fields, or with `gradient`, theirs, the gradient of the fields.

        Parameters
        ----------
        x : Tensor of shape (n, h, w)
        gradient : Tensor of shape (n, n_coefficients, h_out, w_out), default=None

        Returns
        -------
        S : Tensor of the shape of `gradient`; or the gradient, of the shape of `x`
        """
        # Powers of two keep the squares of any unit within the range of the dtype.
        exponent = torch.frexp(x.abs().amax((1, 2)))[1]
        field = torch.ldexp(x, -exponent[:, None, None])
        X = torch.fft.fft2(field)
        if gradient is None:
            S = x.new_empty(len(x), len(self.names), *self.size)
            S[:, :1] = self._pool(field, 0)[:, None]
        dX = None if gradient is None else torch.zeros_like(X)
        del field
        chunk = self._chunk
        for j, first in enumerate(self._first):
            block = max(1, chunk // (self.n_orientations * math.prod(first.sizes[0])))
            for start in range(0, len(X), block):
                inner = slice(start, start + block)
                for some in first.groups(chunk // len(X[inner])):
                    if gradient is None:
                        self._scale(j, some, X[inner], S[inner])
                    else:
                        self._scale(j, some, X[inner], gradient[inner], dX[inner])
        if gradient is None:
            return torch.ldexp(S, exponent[:, None, None, None])
        dx = torch.fft.ifft2(dX, norm="forward").real
        return dx + self._spread(gradient[:, 0], 0, self.padded)

    def _scale(self, j, l1, X, S, dX=None):
        """Coefficients of first scale j and some orientations, into S; or from their gradient S, X's."""
        L, first, n = self.n_orientations, self._first[j], len(X)
        z = torch.fft.ifft2(first.fold(X, l1), norm="forward")
        U = modulus(z, overwrite=dX is None)
        own = slice(1 + j * L + l1[0], 2 + j * L + l1[-1])
        scales = [b for a, b in self.pairs if a == j]
        if dX is None:
            S[:, own] = self._pool(U, j)
            if not scales:
                return
            # the field has done its work: the modulus as complex numbers in its memory
            torch.view_as_real(z)[..., 0], torch.view_as_real(z)[..., 1] = U, 0.0
            F = torch.fft.fft2(z)
            del z, U
        else:
            F = torch.fft.fft2(U) if scales else None
            dF = torch.zeros_like(F) if scales else None
        for i, j2 in enumerate(scales):
            second = self._second[j, j2]
            # S2 in the order (l1, j2, l2).
            places = S[:, self._at[j] : self._at[j] + L * len(scales) * L]
            places = places.view(n, L, len(scales), L, *self.size)[:, l1[0] : l1[-1] + 1, i]
            for some in second.groups(self._chunk // (n * len(l1))):
                z2 = torch.fft.ifft2(second.fold(F, some), norm="forward")
                U2 = modulus(z2, overwrite=dX is None)
                if dX is None:
                    places[:, :, some] = self._pool(U2, j2)
                else:
                    weight = self._spread(places[:, :, some], j2, second.sizes[some[0]])
                    second.add_adjoint(torch.fft.fft2(direction(z2, U2, weight)), some, dF)
        if dX is None:
            return
        weight = self._spread(S[:, own], j, first.sizes[0])
        if scales:
            weight = torch.fft.ifft2(dF, norm="forward").real.add_(weight)
        Z = torch.fft.fft2(direction(z, U, weight))
        first.add_adjoint(Z, l1, dX)


class _Scattering(torch.autograd.Function):
    """The transform with a backward pass that computes the moduli again: twice the forward pass."""

    @staticmethod
    def forward(ctx, x, wst):
        ctx.save_for_backward(x)
        ctx.wst = wst
        return wst.compute(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return ctx.wst.compute(x, gradient.contiguous()), None
