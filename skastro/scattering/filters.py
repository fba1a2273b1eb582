"""Morlet wavelets in Fourier space, and the compact form in which they are applied."""

import functools
import math
from numbers import Integral

import numpy as np
import torch
from scipy.fft import next_fast_len

__all__ = ["Band", "bands", "check_n_scales", "largest_n_scales", "morlet_2d"]

SIGMA = 0.8  # [pixel] width of the finest envelope; it doubles from one scale to the next
XI = 0.75 * math.pi  # [rad / pixel] frequency of the finest wavelet; it halves
REACH = 8.3  # in standard deviations: beyond, a Gaussian is below 1.2e-15


def largest_n_scales(shape):
    """Number of dyadic scales that fit into a field: floor(log2) of its shortest side.

    Parameters
    ----------
    shape : tuple of int
        Sides of the field, in pixels.

    Returns
    -------
    n_scales : int

    Examples
    --------
    >>> from skastro.scattering.filters import largest_n_scales
    >>> largest_n_scales((256, 100))
    6
    """
    return int(min(shape)).bit_length() - 1


def check_n_scales(n_scales, shape):
    """Check that `n_scales` dyadic scales fit into a field.

    Parameters
    ----------
    n_scales : int
        The number J of scales, 1 to floor(log2(min(shape))).
    shape : tuple of int
        Sides of the field, in pixels.

    Returns
    -------
    n_scales : int

    Raises
    ------
    ValueError
        If the sides are not integers of at least 2, or `n_scales` does not fit; the message names
        the largest that does.
    """
    shape = tuple(shape)
    if not shape or not all(isinstance(n, Integral) and n >= 2 for n in shape):
        raise ValueError(f"shape={shape!r}; expected sides of at least 2 pixels.")
    largest = largest_n_scales(shape)
    if not isinstance(n_scales, Integral) or isinstance(n_scales, bool):
        raise ValueError(f"n_scales={n_scales!r}; expected an integer from 1 to {largest}.")
    if not 1 <= n_scales <= largest:
        raise ValueError(
            f"n_scales={n_scales} for fields of shape {tuple(map(int, shape))}; expected 1 to "
            f"{largest}, the largest that fits."
        )
    return int(n_scales)


def check_n_orientations(n_orientations):
    """`n_orientations` as an int of at least 1."""
    if (
        not isinstance(n_orientations, Integral)
        or isinstance(n_orientations, bool)
        or n_orientations < 1
    ):
        raise ValueError(f"n_orientations={n_orientations!r}; expected an integer of at least 1.")
    return int(n_orientations)


def morlet_2d(shape, n_scales, n_orientations=4):
    r"""Bank of Morlet wavelets of a plane, in Fourier space.

    With :math:`\sigma_j = 0.8 \cdot 2^j`, :math:`\xi_j = (3\pi/4) / 2^j`, slant s = 4 / L and the angle
    :math:`\theta_l = (\lfloor L - L/2 - 1 \rfloor - l) \pi / L` from the rows' axis to the columns',

    .. math::
        g_\xi(\omega) = \exp\left(-\frac{\sigma_j^2}{2} \left((\omega_\parallel - \xi)^2
        + \omega_\perp^2 / s^2\right)\right), \quad
        \hat\psi_{j,l} = g_{\xi_j} - \frac{g_{\xi_j}(0)}{g_0(0)} g_0,

    summed over the aliases of each frequency, so that a wavelet is sampled in pixels and periodic. These
    are the wavelets of kymatio [1]_ and of scattering_transform [2]_, which sum over a few periods in
    space: the same to rounding, unless the widest wavelet is as long as the field.

    Parameters
    ----------
    shape : tuple (h, w)
        Size of the fields in pixels, any of at least 2.
    n_scales : int
        The number J of scales, from fine to coarse.
    n_orientations : int, default=4
        The number L of orientations over pi.

    Returns
    -------
    psi : ndarray of shape (J, L, h, w), float64, read-only
        Real transforms of the wavelets, in the order of the FFT; 0 at frequency 0.
    phi : ndarray of shape (h, w), float64, read-only
        That of the low-pass Gaussian of width :math:`0.8 \cdot 2^{J-1}` pixels, 1 at frequency 0.

    Raises
    ------
    ValueError
        If `n_scales` does not fit or `n_orientations` is not positive.

    References
    ----------
    .. [1] M. Andreux, T. Angles, G. Exarchakis et al. (2020), "Kymatio: Scattering Transforms in
       Python", JMLR 21, 1.
    .. [2] S. Cheng, R. Morel, E. Allys et al. (2024), "Scattering spectra models for physics",
       PNAS Nexus 3, pgae103.

    Examples
    --------
    >>> from skastro.scattering.filters import morlet_2d
    >>> psi, phi = morlet_2d((32, 48), n_scales=3, n_orientations=4)
    >>> psi.shape, phi.shape
    ((3, 4, 32, 48), (32, 48))
    """
    shape = tuple(shape)
    n_scales = check_n_scales(n_scales, shape)
    if len(shape) != 2:
        raise ValueError(f"shape={shape!r}; expected (h, w).")
    n_orientations = check_n_orientations(n_orientations)
    return _morlet_2d(tuple(map(int, shape)), n_scales, n_orientations)


@functools.lru_cache(maxsize=8)
def _morlet_2d(shape, n_scales, n_orientations):
    slant = 4.0 / n_orientations
    psi = np.empty((n_scales, n_orientations, *shape))
    for j in range(n_scales):
        for l in range(n_orientations):  # noqa: E741
            theta = (math.floor(n_orientations - n_orientations / 2 - 1) - l) * math.pi
            theta /= n_orientations
            wave = _gaussian(shape, SIGMA * 2**j, theta, slant, XI / 2**j)
            envelope = _gaussian(shape, SIGMA * 2**j, theta, slant, 0.0)
            envelope *= wave[0, 0] / envelope[0, 0]
            np.subtract(wave, envelope, out=psi[j, l])
    phi = _gaussian(shape, SIGMA * 2 ** (n_scales - 1), 0.0, 1.0, 0.0)
    psi.flags.writeable = phi.flags.writeable = False
    return psi, phi


def _gaussian(shape, sigma, theta, slant, xi):
    """Transform of a Gabor function of unit sum, over the FFT's frequencies of `shape`."""
    # The aliases beyond the first period that still reach it.
    n_aliases = math.ceil((REACH * max(1.0, slant) / sigma + xi - math.pi) / (2.0 * math.pi))
    steps = range(-max(n_aliases, 0), max(n_aliases, 0) + 1)
    rows, columns = (2.0 * np.pi * np.fft.fftfreq(n) for n in shape)
    out = np.zeros(shape)
    cos, sin = math.cos(theta), math.sin(theta)
    for a in steps:
        for b in steps:
            m, n = rows[:, None] + 2.0 * np.pi * a, columns + 2.0 * np.pi * b
            along, across = cos * m + sin * n - xi, (cos * n - sin * m) / slant
            out += np.exp(-0.5 * sigma**2 * (along**2 + across**2))
    return out


class Band:
    """The filters of one scale, on the part of Fourier space where they live.

    A field of which only the frequencies around 0 are kept is known on a coarser grid, of `size` pixels.

    Parameters
    ----------
    filters : ndarray of shape (..., h, w)
        Transforms of the filters, in the order of the FFT.
    tolerance : float, default=1e-8
        Share of the sum of the squared filters that may lie outside the part that is kept.
    oversampling : float, default=1.0
        Factor on the number of frequencies a side, at most the whole plane: room for what is not linear
        and will be computed on the coarse grid, as a modulus.

    Attributes
    ----------
    shape : tuple (h, w)
        The plane's size.
    size : tuple (h_j, w_j)
        The coarse grid's size: products of 2, 3 and 5, or the plane's.
    values : ndarray of shape (..., h_j, w_j)
        The filters' values there, in the order of the FFT of the coarse grid.
    where : tuple of two ndarray of int, of shapes (h_j,) and (w_j,)
        Rows and columns of the plane that are kept, in that order.
    factor : float
        h_j w_j / (h w): of an inverse FFT on the coarse grid, which divides by h_j w_j.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skastro.scattering.filters import Band, morlet_2d
    >>> psi, _ = morlet_2d((64, 64), n_scales=4)
    >>> band = Band(psi[3])
    >>> band.size
    (20, 20)
    >>> x = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 64)))
    >>> cut = band.cut(torch.fft.fft2(x))
    >>> coarse = torch.fft.ifft2(cut * torch.from_numpy(band.values)) * band.factor
    >>> whole = torch.fft.ifft2(torch.fft.fft2(x) * torch.tensor(psi[3]))
    >>> power = [float(z.abs().square().mean()) for z in (coarse, whole)]
    >>> bool(abs(power[0] / power[1] - 1) < 1e-6)
    True
    """

    def __init__(self, filters, *, tolerance=1e-8, oversampling=1.0):
        filters = np.asarray(filters)
        self.shape = filters.shape[-2:]
        power = np.square(np.abs(filters)).reshape(-1, *self.shape)
        # Half the tolerance to each axis, and the neediest filter decides.
        sides = [_kept(power.sum(axis), 0.5 * tolerance) for axis in (2, 1)]
        self.size = tuple(
            min(n, next_fast_len(math.ceil(side * oversampling), real=True))
            for side, n in zip(sides, self.shape, strict=True)
        )
        self.where = tuple(
            _frequencies(side, n) for side, n in zip(self.size, self.shape, strict=True)
        )
        self.values = np.ascontiguousarray(filters[..., self.where[0][:, None], self.where[1]])
        self.factor = math.prod(self.size) / math.prod(self.shape)

    def cut(self, X, *, real=False):
        """Transform of fields, at the frequencies of the band.

        Parameters
        ----------
        X : Tensor of shape (..., h, w), complex
            FFT of fields; with `real`, their rfft, of shape (..., h, w // 2 + 1).
        real : bool, default=False
            Whether `X` is the half plane of real fields, by `torch.fft.rfft2`.

        Returns
        -------
        cut : Tensor of shape (..., h_j, w_j), complex
            In the order of the FFT of the coarse grid; `X` itself where the band is the whole plane.
        """
        expected = (self.shape[0], self.shape[1] // 2 + 1) if real else self.shape
        if tuple(X.shape[-2:]) != expected:
            raise ValueError(
                f"X has shape {tuple(X.shape)}; expected (..., {expected[0]}, {expected[1]})."
            )
        (h, w), (m, n) = self.shape, self.size
        if not real:
            return _cut_axis(_cut_axis(X, m, h, -2), n, w, -1)
        # X(-k) = conj(X(k)) gives the columns of negative frequency, from the opposite rows.
        mirror = X[..., 1 : n // 2 + 1]
        kept = [mirror[..., :1, :], mirror[..., h - (m + 1) // 2 + 1 :, :].flip(-2)]
        kept.append(mirror[..., 1 : m // 2 + 1, :].flip(-2))
        mirror = torch.cat(kept, -2).flip(-1).conj()
        return torch.cat([_cut_axis(X[..., : (n + 1) // 2], m, h, -2), mirror], -1)


def bands(psi, *, tolerance=1e-8, oversampling=1.0):
    """The compact form of a bank: a :class:`Band` for each scale.

    Parameters
    ----------
    psi : ndarray of shape (J, L, h, w)
        Transforms of the filters, in the order of the FFT.
    tolerance, oversampling : float
        See :class:`Band`.

    Returns
    -------
    bands : tuple of J Band

    Examples
    --------
    >>> from skastro.scattering.filters import bands, morlet_2d
    >>> psi, _ = morlet_2d((128, 96), n_scales=5)
    >>> [band.size for band in bands(psi, tolerance=1e-6)]
    [(128, 96), (128, 96), (72, 54), (36, 27), (18, 15)]
    """
    return tuple(Band(one, tolerance=tolerance, oversampling=oversampling) for one in psi)


def _kept(power, tolerance):
    """Frequencies of an axis, symmetric about 0, outside of which `tolerance` of the power is left.

    `power` of shape (n_filters, n) is in the order of the FFT.
    """
    n = power.shape[1]
    distance = np.abs(np.fft.fftfreq(n, 1.0 / n)).round().astype(int)
    shells = np.stack([np.bincount(distance, one) for one in power])
    outside = shells[:, ::-1].cumsum(1)[:, ::-1]  # at or beyond each distance
    needed = (outside > tolerance * outside[:, :1]).any(0)
    return 2 * int(np.flatnonzero(needed).max(initial=0)) + 1


def _frequencies(side, n):
    """Indices, on an axis of n, of the frequencies of an FFT of `side`, in its order."""
    return np.r_[0 : (side + 1) // 2, n - side // 2 : n]


def _cut_axis(X, side, n, dim):
    """The `side` lowest frequencies of an axis of n, in the order of the FFT."""
    if side == n:
        return X
    low, high = X.narrow(dim, 0, (side + 1) // 2), X.narrow(dim, n - side // 2, side // 2)
    return torch.cat([low, high], dim)
