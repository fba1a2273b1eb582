"""The reduced wavelet scattering transform: how the coefficients depend on the angles."""

import math

import numpy as np
import torch
from torch import nn

from skastro.scattering.wst import WST

__all__ = ["RWST"]


class RWST(nn.Module):
    r"""Reduced wavelet scattering transform [1]_: the angular dependence as a few terms for each scale.

    The global coefficients of :class:`~skastro.scattering.wst.WST` are fitted by least squares with

    .. math::
        \log_2 S_1 &= S_1^{iso} + S_1^{aniso} \cos\frac{2\pi}{L}(l - \theta) \\
        \log_2 S_2 &= S_2^{iso,1} + S_2^{iso,2} \cos\frac{2\pi}{L}(l_1 - l_2)
        + S_2^{aniso,1} \cos\frac{2\pi}{L}(l_1 - \theta_1)
        + S_2^{aniso,2} \cos\frac{2\pi}{L}(l_2 - \theta_2)

    for each scale and each pair of scales. The fit is linear: an anisotropy is given by the terms in cos
    and sin, or with ``form="polar"`` by its amplitude, 0 or positive, and reference angle.

    Parameters
    ----------
    shape : tuple (h, w)
        Size of the fields in pixels.
    n_scales : int
        The number J of scales.
    n_orientations : int, default=8
        The number L of orientations over pi, at least 3.
    max_order : {1, 2}, default=2
    form : {"linear", "polar"}, default="linear"
        "polar" has no gradient where a field is isotropic, and angles in units of pi / L, from 0 to L.
    normalize : bool, default=False
        Whether S2 is divided by the S1 of its first wavelet.
    oversampling : float, default=1.0
        See :class:`~skastro.scattering.wst.WST`.

    Attributes
    ----------
    names : list of str
        "S1iso[j1=0]", "S1aniso.cos[j1=0]", ..., "S2iso1[j1=0,j2=1]", ...
    labels : dict of ndarray of shape (n_coefficients,), int
        "order", "j1", "j2", "j3", "l1", "l2", "l3" (no angle is left: -1), "part".

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    .. [1] E. Allys, F. Levrier, S. Zhang et al. (2019), "The RWST, a comprehensive statistical
       description of the non-Gaussian structures in the ISM", A&A 629, A115.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.rwst import RWST
    >>> x = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> rwst = RWST((64, 64), n_scales=3, n_orientations=4)
    >>> rwst(x).shape
    torch.Size([2, 27])
    >>> rwst.names[:4]
    ['S1iso[j1=0]', 'S1aniso.cos[j1=0]', 'S1aniso.sin[j1=0]', 'S1iso[j1=1]']
    """

    def __init__(
        self,
        shape,
        n_scales,
        n_orientations=8,
        max_order=2,
        *,
        form="linear",
        normalize=False,
        oversampling=1.0,
    ):
        super().__init__()
        if form not in ("linear", "polar"):
            raise ValueError(f"form={form!r}; expected 'linear' or 'polar'.")
        self.wst = WST(shape, n_scales, n_orientations, max_order, oversampling=oversampling)
        L = self.wst.n_orientations
        if L < 3:
            raise ValueError(f"n_orientations={L}; expected at least 3, to fit an angle.")
        self.form, self.normalize = form, bool(normalize)
        angle = 2.0 * np.pi * np.arange(L) / L
        first = np.stack([np.ones(L), np.cos(angle), np.sin(angle)], 1)
        a, b = (one.ravel() for one in np.meshgrid(angle, angle, indexing="ij"))
        second = [np.ones(L * L), np.cos(a - b), np.cos(a), np.sin(a), np.cos(b), np.sin(b)]
        for order, design in ((1, first), (2, np.stack(second, 1))):
            self.register_buffer(f"_design{order}", torch.from_numpy(design), persistent=False)
            fit = torch.from_numpy(np.linalg.pinv(design))
            self.register_buffer(f"_fit{order}", fit, persistent=False)
        # The coefficients of each scale and pair, in the order of the designs.
        labels = self.wst.labels
        self._places = {1: _places(labels, 1, L)}
        if self.wst.pairs:
            self._places[2] = _places(labels, 2, L * L)
        self._name()

    def _name(self):
        parts = {"linear": (".cos", ".sin"), "polar": ("", ".angle")}[self.form]
        one = ["S1iso", *("S1aniso" + part for part in parts)]
        two = ["S2iso1", "S2iso2", *(f"S2aniso{i}{part}" for i in (1, 2) for part in parts)]
        rows = [(1, j, -1, term) for j in range(self.wst.n_scales) for term in one]
        rows += [(2, a, b, term) for a, b in self.wst.pairs for term in two]
        self.names = [
            f"{term}[j1={a}]" if order == 1 else f"{term}[j1={a},j2={b}]"
            for order, a, b, term in rows
        ]
        table = np.array([row[:3] for row in rows]).T
        self.labels = dict(zip(("order", "j1", "j2"), table, strict=True))
        self.labels |= {key: np.full(len(rows), -1) for key in ("j3", "l1", "l2", "l3")}
        self.labels["part"] = np.zeros(len(rows), int)

    def forward(self, x, y=None, reference=None):
        """Coefficients of the fits.

        Parameters
        ----------
        x : Tensor of shape (n, h, w), real
        y, reference : None
            As for :class:`~skastro.scattering.wst.WST`.

        Returns
        -------
        coefficients : Tensor of shape (n, n_coefficients)
            log2 of the unit of `x`, or pi / L for angles. An empty band counts as the smallest
            positive number of the dtype.
        """
        return self._fit(x, y, reference)[0]

    def residual(self, x):
        """Root mean square of what the fits leave of log2 S, for each scale and each pair.

        Parameters
        ----------
        x : Tensor of shape (n, h, w), real

        Returns
        -------
        residual : Tensor of shape (n, J + J (J - 1) / 2)
            In the order of `names`; the latter part for order 2 only.
        """
        return self._fit(x)[1]

    def _fit(self, x, y=None, reference=None):
        S = self.wst(x, y, reference)
        log = S.clamp_min(torch.finfo(S.dtype).tiny).log2()
        coefficients, residuals = [], []
        for order, places in self._places.items():
            design, fit = (getattr(self, f"_{key}{order}").to(S) for key in ("design", "fit"))
            values = log[:, torch.from_numpy(places).to(S.device)]
            if order == 2 and self.normalize:
                first = log[:, torch.from_numpy(self._places[1]).to(S.device)]
                pairs = first[:, [a for a, _ in self.wst.pairs]]
                values = values - pairs.repeat_interleave(self.wst.n_orientations, -1)
            linear = values @ fit.mT
            residuals.append((values - linear @ design.mT).square().mean(-1).sqrt())
            coefficients.append(
                (self._polar(linear) if self.form == "polar" else linear).flatten(1)
            )
        return torch.cat(coefficients, 1), torch.cat(residuals, 1)

    def _polar(self, linear):
        """Amplitudes and angles in place of the terms in cos and sin."""
        n_iso = linear.shape[-1] % 2 if linear.shape[-1] == 3 else 2
        cos, sin = linear[..., n_iso::2], linear[..., n_iso + 1 :: 2]
        turn = torch.atan2(sin, cos) / (2.0 * math.pi)
        angle = torch.remainder(turn, 1.0) * self.wst.n_orientations
        pairs = torch.stack([torch.hypot(cos, sin), angle], -1).flatten(-2)
        return torch.cat([linear[..., :n_iso], pairs], -1)


def _places(labels, order, size):
    """Columns of the coefficients of an order, a row for each scale or pair, sorted by the angles."""
    columns = np.flatnonzero(labels["order"] == order)
    keys = [labels[key][columns] for key in ("l2", "l1", "j2", "j1")]
    return columns[np.lexsort(keys)].reshape(-1, size)
