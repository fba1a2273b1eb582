"""The solid harmonic scattering transform of a volume."""

import functools
import math
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import factorial, factorial2, sph_harm_y
from torch import nn

from skastro.scattering.map_statistics import check_fields
from skastro.scattering.modulus import norm

__all__ = ["WST3D", "solid_harmonics"]


def solid_harmonics(shape, n_scales, max_degree, sigma=1.0):
    r"""Solid harmonic wavelets [1]_ in Fourier space, up to a phase :math:`(-i)^\ell`.

    .. math::
        \hat\psi_{\ell,m,j}(\omega) = n_\ell (2\pi)^{3/2} (|\omega| s)^\ell e^{-|\omega|^2 s^2 / 2}
        Y_{\ell m}(\omega), \quad s = 2^j \sigma

    with real spherical harmonics, whose sum of squares over m is that of the complex ones.

    Parameters
    ----------
    shape : tuple (d, h, w)
        Size of the volume in voxels.
    n_scales : int
        J: the scales are j = 0 to J.
    max_degree : int
        The largest degree :math:`\ell`.
    sigma : float, default=1.0
        Width of the finest wavelets, in voxels.

    Returns
    -------
    filters : tuple of max_degree + 1 ndarray of shape (J + 1, 2 l + 1, d, h, w), float64, read-only

    References
    ----------
    .. [1] M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat (2017), "Solid Harmonic Wavelet Scattering",
       NIPS 30.

    Examples
    --------
    >>> from skastro.scattering.wst_3d import solid_harmonics
    >>> [one.shape for one in solid_harmonics((8, 8, 8), n_scales=1, max_degree=1)]
    [(2, 1, 8, 8, 8), (2, 3, 8, 8, 8)]
    """
    return _solid_harmonics(tuple(map(int, shape)), int(n_scales), int(max_degree), float(sigma))


@functools.lru_cache(maxsize=4)
def _solid_harmonics(shape, n_scales, max_degree, sigma):
    w0, w1, w2 = np.meshgrid(*(2.0 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij")
    length = np.sqrt(w0**2 + w1**2 + w2**2)
    polar = np.arctan2(w0, np.hypot(w1, w2)) + 0.5 * np.pi
    azimuth = np.arctan2(w1, w2)
    filters = []
    for degree in range(max_degree + 1):
        if degree % 2 == 0:
            gain = 1.0 / (2.0 * np.pi * np.sqrt(degree + 0.5) * factorial2(degree + 1))
        else:
            gain = 2.0 ** (-0.5 * (degree + 3)) / np.sqrt(np.pi * (2 * degree + 1))
            gain /= factorial((degree + 1) // 2)
        harmonics = [sph_harm_y(degree, 0, polar, azimuth).real]
        for m in range(1, degree + 1):
            harmonic = math.sqrt(2.0) * sph_harm_y(degree, m, polar, azimuth)
            harmonics += [harmonic.real, harmonic.imag]
        angular = np.stack(harmonics) * (gain * (2.0 * np.pi) ** 1.5)
        radial = [length * sigma * 2**j for j in range(n_scales + 1)]
        radial = np.stack([r**degree * np.exp(-0.5 * r**2) for r in radial])
        filters.append(radial[:, None] * angular)
        filters[-1].flags.writeable = False
    return tuple(filters)


class WST3D(nn.Module):
    r"""Solid harmonic scattering transform of real volumes [1]_: invariant to shifts and rotations.

    .. math::
        U_1[\ell, j] = \Big(\sum_m |x * \psi_{\ell,m,j}|^2\Big)^{1/2}, \qquad
        U_2[\ell, j_1, j_2] = \Big(\sum_m |U_1[\ell, j_1] * \psi_{\ell,m,j_2}|^2\Big)^{1/2}

    and the coefficients are the sums over the voxels of :math:`x^q`, :math:`U_1^q` and, for
    :math:`j_2 > j_1`, :math:`U_2^q`: those of kymatio [2]_. Volumes are periodic.

    Parameters
    ----------
    shape : tuple (d, h, w)
        Size of the volumes in voxels.
    n_scales : int
        J: the scales are j = 0 to J, of 2^j `sigma` voxels.
    max_degree : int, default=3
        The largest degree :math:`\ell` of the harmonics.
    max_order : {1, 2}, default=2
    sigma : float, default=1.0
        Width of the finest wavelets, in voxels.
    powers : sequence of float, default=(0.5, 1.0, 2.0)
        The exponents q; of the field itself, :math:`|x|^q` unless q is an integer.

    Attributes
    ----------
    names : list of str
        "S0[q=1]", ..., "S1[j1=0,degree=0,q=1]", ..., "S2[j1=0,j2=1,degree=0,q=1]", ...
    labels : dict of ndarray of shape (n_coefficients,), int
        "order", "j1", "j2", "j3", "l1", "l2", "l3", "part", "degree", "power" (its place in `powers`).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    .. [1] M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat (2017), "Solid Harmonic Wavelet Scattering",
       NIPS 30.
    .. [2] M. Andreux, T. Angles, G. Exarchakis et al. (2020), "Kymatio: Scattering Transforms in
       Python", JMLR 21, 1.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.wst_3d import WST3D
    >>> wst = WST3D((16, 16, 16), n_scales=2, max_degree=1, powers=(1.0,))
    >>> wst(torch.ones(1, 16, 16, 16)).shape
    torch.Size([1, 13])
    >>> wst.names[:3]
    ['S0[q=1]', 'S1[j1=0,degree=0,q=1]', 'S1[j1=0,degree=1,q=1]']
    """

    def __init__(
        self, shape, n_scales, max_degree=3, max_order=2, *, sigma=1.0, powers=(0.5, 1.0, 2.0)
    ):
        super().__init__()
        self.shape = tuple(shape)
        if len(self.shape) != 3 or not all(isinstance(n, Integral) and n > 1 for n in self.shape):
            raise ValueError(f"shape={shape!r}; expected (d, h, w), of at least 2 voxels each.")
        largest = int(min(self.shape)).bit_length() - 1
        for name, value, least, most in (
            ("n_scales", n_scales, 0, largest),
            ("max_degree", max_degree, 0, 20),
            ("max_order", max_order, 1, 2),
        ):
            integer = isinstance(value, Integral) and not isinstance(value, bool)
            if not integer or not least <= value <= most:
                raise ValueError(f"{name}={value!r}; expected an integer from {least} to {most}.")
        if not (isinstance(sigma, Real) and 0 < sigma < math.inf):
            raise ValueError(f"sigma={sigma!r}; expected a positive number of voxels.")
        self.powers = tuple(powers)
        if not self.powers or not all(isinstance(q, Real) and q > 0 for q in self.powers):
            raise ValueError(f"powers={powers!r}; expected positive numbers.")
        self.n_scales, self.max_degree, self.max_order = n_scales, max_degree, max_order
        self.sigma = float(sigma)
        for degree, one in enumerate(solid_harmonics(self.shape, n_scales, max_degree, sigma)):
            one = torch.tensor(one, dtype=torch.float64)
            self.register_buffer(f"_filters{degree}", one, persistent=False)
        scales = range(n_scales + 1)
        self.paths = [(j,) for j in scales]
        if max_order == 2:
            self.paths += [(a, b) for a in scales for b in scales if b > a]
        self._name()

    def _name(self):
        rows = [(0, -1, -1, -1, i) for i in range(len(self.powers))]
        rows += [
            (len(path), path[0], path[1] if len(path) == 2 else -1, degree, i)
            for path in self.paths
            for degree in range(self.max_degree + 1)
            for i in range(len(self.powers))
        ]
        keys = ("order", "j1", "j2", "degree", "power")
        self.labels = dict(zip(keys, np.array(rows).T, strict=True))
        self.labels |= {key: np.full(len(rows), -1) for key in ("j3", "l1", "l2", "l3")}
        self.labels["part"] = np.zeros(len(rows), int)
        self.names = []
        for row in rows:
            named = zip(("j1", "j2", "degree"), row[1:4], strict=True)
            inside = [f"{key}={value}" for key, value in named if value >= 0]
            inside.append(f"q={self.powers[row[4]]:g}")
            self.names.append(f"S{row[0]}[{','.join(inside)}]")

    def forward(self, x, y=None, reference=None):
        """Coefficients of volumes.

        Parameters
        ----------
        x : Tensor of shape (n, d, h, w), real
        y, reference : None
            The transform has neither cross-coefficients nor a normalisation.

        Returns
        -------
        coefficients : Tensor of shape (n, n_coefficients)
            In the unit of `x` to the power q.

        Raises
        ------
        ValueError
            If `x` is complex or not of the shape of the transform, or `y` or `reference` is given.
        """
        check_fields(x, y, reference, self.shape)
        moments = {path: [] for path in self.paths}
        X = torch.fft.fftn(x, dim=(1, 2, 3))
        for degree in range(self.max_degree + 1):
            filters = getattr(self, f"_filters{degree}").to(x)
            for j in range(self.n_scales + 1):
                U = self._modulus(X, filters[j])
                moments[j,].append(self._sums(U))
                coarser = [path for path in self.paths if len(path) == 2 and path[0] == j]
                F = torch.fft.fftn(U, dim=(1, 2, 3)) if coarser else None
                for path in coarser:
                    moments[path].append(self._sums(self._modulus(F, filters[path[1]])))
        whole = [x if q == int(q) else x.abs() for q in self.powers]
        tiny = torch.finfo(x.dtype).tiny
        whole = [f.clamp_min(tiny) if q < 1 else f for f, q in zip(whole, self.powers, strict=True)]
        whole = [(f**q).sum((1, 2, 3)) for f, q in zip(whole, self.powers, strict=True)]
        rest = [torch.stack(moments[path], 1).flatten(1) for path in self.paths]
        return torch.cat([torch.stack(whole, 1), *rest], 1)

    def _modulus(self, X, filters):
        """Norm over m of the fields filtered at one scale and degree."""
        return norm(torch.stack([torch.fft.ifftn(X * one, dim=(1, 2, 3)) for one in filters]))

    def _sums(self, U):
        # A root has no finite slope at 0.
        roots = U.clamp_min(torch.finfo(U.dtype).tiny) if min(self.powers) < 1 else U
        return torch.stack([((roots if q < 1 else U) ** q).sum((1, 2, 3)) for q in self.powers], 1)
