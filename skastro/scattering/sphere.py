"""Scattering spectra of HEALPix maps of the sphere."""

from numbers import Integral

import torch

from skastro.healpix import check_nside
from skastro.scattering.covariance_order import Analysis, CovarianceStatistics
from skastro.scattering.modulus import norm
from skastro.scattering.sphere_grid import to_quadrants
from skastro.scattering.sphere_masks import SkyWeights, check_sky_mask
from skastro.scattering.sphere_transport import to_harmonics
from skastro.scattering.sphere_wavelets import Level

__all__ = ["SphericalCovariance", "check_sphere_scales"]

COARSEST = 4  # nside of the coarsest grid


def check_sphere_scales(n_scales, nside):
    """Check that `n_scales` dyadic scales fit on the sphere; None: as many as do.

    Parameters
    ----------
    n_scales : int or None
    nside : int

    Returns
    -------
    n_scales : int

    Raises
    ------
    ValueError
        The message names the largest number that fits: its coarsest grid has nside 4.

    Examples
    --------
    >>> from skastro.scattering.sphere import check_sphere_scales
    >>> check_sphere_scales(None, 64)
    5
    """
    nside = check_nside(nside)
    largest = nside.bit_length() - COARSEST.bit_length() + 1
    if largest < 1:
        raise ValueError(f"nside={nside}; expected at least {COARSEST}.")
    if n_scales is None:
        return largest
    whole = isinstance(n_scales, Integral) and not isinstance(n_scales, bool)
    if not whole or not 1 <= n_scales <= largest:
        raise ValueError(
            f"n_scales={n_scales!r}; expected an integer from 1 to {largest} for nside {nside}."
        )
    return int(n_scales)


class SphericalCovariance(CovarianceStatistics):
    r"""Scattering spectra of HEALPix maps: how the scales of a map of the sphere depend on one another.

    The coefficients of `Covariance`, in the same order, with oriented wavelets on the sphere,

    .. math::
        S_1 = \langle U_a \rangle, \quad P_{00} = \langle U_a^2 \rangle, \quad
        C_{01} = \frac{\langle (x * \psi_3) (U_2 * \psi_3)^* \rangle}{n_{01}}, \quad
        C_{11} = \frac{\langle (U_1 * \psi_3) (U_2 * \psi_3)^* \rangle}{n_{11}}

    for a = (j, l), :math:`U_a = |x * \psi_a|` and means over the pixels that count: mean / std, log P00,
    log S1 and the real and imaginary parts of C01 and of C11.

    Parameters
    ----------
    nside : int
        Of the maps, a power of 2 of at least 4.
    n_scales : int
        J, at most log2(nside) - 1. The band of scale j is centred at the degree
        :math:`l = 1.535\, \mathrm{nside} / 2^j`.
    n_orientations : int, default=4
        L, over pi, from the local north towards the east.
    normalization : {"P00", "P11"}, default="P00"
        As for `Covariance`.
    mask : array-like of bool of shape (12 nside^2,), default=None
        True where a pixel counts; the others may be NaN. Nested.

    Attributes
    ----------
    names : list of str
        Of the coefficients of one map, as "C01[j2=0,j3=2,l2=1,l3=3].re".
    labels : dict of ndarray of int
        As of `Covariance`.
    cross_names, cross_labels
        The same for two maps.
    families : tuple of str

    Notes
    -----
    Each scale has a HEALPix grid, half as fine as the last one; a map comes to it smoothed by a Gaussian of
    one pixel and averaged over the four children of a pixel, as does each modulus from its own scale.
    There a wavelet is a stencil of the pixels within 3.5 pixels: a plane wave in the coordinates
    (distance, bearing) of the great circles from its centre, under a round Gaussian of 1.2 pixels, of sum
    exactly 0. Its parameters make up for the smoothing before, so that all scales see the same band but
    for factors of 2.

    Local stencils, not convolutions by spherical harmonics, for four reasons: the work is proportional to
    the number of pixels (a transform with harmonics costs its power 3/2, once for every wavelet field and
    modulus); they leave alone what is far from a hidden pixel, where harmonics spread every hole over the
    sphere; they are sums that torch differentiates and a GPU does as well; and one stencil suits every
    resolution. What they cost: the band is that of a Gaussian, not one of sharp ends, and the coarsest
    scales, a few pixels across a radian, feel the pixels.

    HEALPix doesn't change in turns by 90 degrees about its axis, nor by 180 degrees about an axis through
    the centre of an equatorial face. The weights of one quadrant serve all four, so that the former change no
    coefficient; the latter change the sign of imaginary parts alone. Under other rotations averages over
    orientations change by what the pixels do to them, most so on the coarsest grids.

    The orientation of a modulus is with respect to the north of its pixel; in sums over neighbours it is
    carried along the great circle to the north of the centre, by interpolation between the orientations, on
    grids up to nside 64. On finer ones the norths of neighbours differ within some degrees of the poles
    alone.

    Under a mask, a coarser pixel is the mean of what is seen of it where that is half at least; a wavelet
    field counts where 95 % of its envelope is seen, and the products of a scale where this holds for all
    of their moduli.

    References
    ----------
    .. [1] J.-M. Delouis, E. Allys, E. Gauvrit, F. Boulanger (2022), "Non-Gaussian modelling and statistical
       denoising of Planck dust polarisation full-sky maps using scattering transforms", A&A 668, A122.
    .. [2] L. Mousset, E. Allys, M. A. Price et al. (2024), "Generative models of astrophysical fields with
       scattering transforms on the sphere", A&A 691, A269.
    .. [3] K. M. Górski, E. Hivon, A. J. Banday et al. (2005), "HEALPix: a framework for high-resolution
       discretization and fast analysis of data distributed on the sphere", ApJ 622, 759.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.sphere import SphericalCovariance
    >>> statistics = SphericalCovariance(16, n_scales=2, n_orientations=2)
    >>> x = torch.randn(3, 12 * 16**2, generator=torch.Generator().manual_seed(0))
    >>> values = statistics(x)
    >>> values.shape == (3, len(statistics.names))
    True
    >>> statistics.names[1], statistics.names[-1]
    ('P00[j1=0,l1=0]', 'C11[j1=1,j2=1,j3=1,l1=1,l2=1,l3=1].im')
    """

    def __init__(self, nside, n_scales, n_orientations=4, normalization="P00", mask=None):
        super().__init__()
        if normalization not in ("P00", "P11"):
            raise ValueError(f"normalization={normalization!r}; expected 'P00' or 'P11'.")
        if not isinstance(n_orientations, Integral) or n_orientations < 1:
            raise ValueError(f"n_orientations={n_orientations!r}; expected an integer above 0.")
        self.nside = check_nside(nside)
        self.n_scales = check_sphere_scales(n_scales, self.nside)
        self.n_orientations, self.normalization = int(n_orientations), normalization
        self.shape = (12 * self.nside**2,)
        self.levels = torch.nn.ModuleList(
            Level(self.nside >> j, self.n_orientations) for j in range(self.n_scales)
        )
        self.mask = self.sky = None
        if mask is not None:
            mask = check_sky_mask(mask, *self.shape)
            if not mask.all():
                self.mask = torch.from_numpy(mask.copy())
                self.sky = SkyWeights(self.levels, mask)
        self._index()

    def _analyse(self, x):
        mean, variance, x = self._centred(x)
        x = to_quadrants(x)
        moduli, S1, P00, waves, products = [], [], [], [], []
        for j, level in enumerate(self.levels):
            if j:
                x, moduli = self._degraded(x, moduli, j)
            W = level.wavelets(x, j)
            U = norm(W.unflatten(1, (-1, 2)).movedim(2, 0))
            # (n, L): over rows and quadrants
            average = self._average(U, j)
            S1.append(average)
            P00.append(self._average(U.square(), j))
            moduli.append(to_harmonics(self._counted(U - average.mT[:, :, None], j)))
            waves.append(W)
            seen = [W[:, :, None]]
            seen += [level.wavelets_of_moduli(U, j - j2) for j2, U in enumerate(moduli)]
            products.append(self._side_by_side(seen, j))
        return Analysis(mean, variance, torch.cat(S1, 1), torch.cat(P00, 1), (waves, products))

    def _centred(self, x):
        """Mean, variance and differences from the mean, 0 where hidden."""
        if self.mask is None:
            variance, mean = torch.var_mean(x, dim=1)
            return mean, variance, x - mean[:, None]
        mask = self.mask.to(x.device)
        variance, mean = torch.var_mean(x[:, mask], dim=1)
        return mean, variance, torch.where(mask, x - mean[:, None], 0.0)

    def _degraded(self, x, moduli, j):
        """The map and the moduli so far on the grid of scale j."""
        level = self.levels[j - 1]
        x = level.degrade(x)
        coarser = level.degrade_moduli(torch.cat(moduli, 2))
        moduli = list(coarser.split([U.shape[2] for U in moduli], 2))
        if self.sky is not None:
            x = self.sky.after_degrading(x, j)
            moduli = [self.sky.after_degrading(U, j, j2) for j2, U in enumerate(moduli)]
        return x, moduli

    def _average(self, U, j):
        """Means (n, L) of fields (n_rows, L, n, 4) of scale j where they count."""
        if self.sky is None:
            return U.mean((0, 3)).mT
        weights = self.sky.fields[j].to(U)
        return ((U * weights[:, None]).sum((0, 3)) / weights.sum()).mT

    def _counted(self, U, j):
        return U if self.sky is None else U * self.sky.fields[j].to(U)[:, None]

    def _side_by_side(self, seen, j):
        """Fields (n_rows, 2 L, F, n, 4) as (n, L, 2, fields, pixels), of sums of products their means."""
        seen = [one.unflatten(1, (-1, 2)) for one in seen]
        fields = torch.cat([one.permute(4, 1, 2, 3, 0, 5).flatten(4) for one in seen], 3)
        if self.sky is None:
            return fields * fields.shape[4] ** -0.5
        weights = self.sky.products[j].to(fields)
        return fields * (weights / weights.sum().sqrt()).flatten()

    def _gather(self, one, other=None):
        others = one if other is None else other
        first, second = [], []
        for A, B in zip(one.fields[1], others.fields[1], strict=True):
            n, L, _, F, _ = A.shape
            re, im = _conjugate_products(A.flatten(2, 3), B.flatten(2, 3), F)
            both = torch.stack([re, im])
            # the map comes before the moduli
            first.append(both[..., 0, 1:].flatten(2))
            second.append(both[..., 1:, 1:].flatten(2))
        return self._ordered(first, second)

    def _correlate(self, one, other):
        found = []
        for j, (V, W) in enumerate(zip(one.fields[0], other.fields[0], strict=True)):
            V, W = V.unflatten(1, (-1, 2)), W.unflatten(1, (-1, 2))
            (a, b), (c, d) = V.unbind(2), W.unbind(2)
            parts = [self._average(a * c + b * d, j), self._average(b * c - a * d, j)]
            found.append(torch.stack(parts, 1))
        return torch.cat(found, 2)


def _conjugate_products(A, B, n_fields):
    """Real and imaginary parts (n, L, F, F) of sums of A conj(B), fields (n, L, 2 F, n_pixels)."""
    G = (A @ B.mT).unflatten(3, (2, n_fields)).unflatten(2, (2, n_fields))
    return G[:, :, 0, :, 0] + G[:, :, 1, :, 1], G[:, :, 1, :, 0] - G[:, :, 0, :, 1]
