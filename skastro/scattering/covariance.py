"""Scattering spectra: means and covariances of wavelet fields and of their moduli."""

import torch

from skastro.scattering.covariance_order import Analysis, CovarianceStatistics
from skastro.scattering.covariance_sums import ModulusBank, SpectralSums, half_plane
from skastro.scattering.filters import check_n_scales, morlet_2d

__all__ = ["Covariance"]


class Covariance(CovarianceStatistics):
    r"""Scattering spectra of maps [1]_, [2]_: how the scales of a map depend on one another.

    With :math:`W_a = x * \psi_a` for a = (j, l), :math:`U_a = |W_a|`, and means over pixels,

    .. math::
        S_1 = \langle U_a \rangle, \quad P_{00} = \langle U_a^2 \rangle, \quad
        C_{01} = \frac{\langle x\, (U_2 * \psi_3)^* \rangle}{n_{01}}, \quad
        C_{11} = \frac{\langle (U_1 * \psi_3) (U_2 * \psi_3)^* \rangle}{n_{11}}

    for :math:`j_1 \le j_2 \le j_3`. The coefficients are mean / std, log P00, log S1 and the real and
    imaginary parts of C01 and of C11, in the order of the public code.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels; periodic.
    n_scales : int
        J.
    n_orientations : int, default=4
        L, over pi.
    normalization : {"P00", "P11"}, default="P00"
        What C01 and C11 are divided by: the powers of the wavelet fields,
        :math:`n_{01}^2 = P_{00}(3) P_{00}(2)` and :math:`n_{11}^2 = P_{00}(1) P_{00}(2)`; or those of
        the moduli seen through :math:`\psi_3`, which makes C11 a correlation coefficient.
    c01 : {"single", "double"}, default="single"
        C01 with :math:`\psi_3` on the modulus alone, as the public code has it; or also on the map, as
        the papers have it: :math:`\langle (x * \psi_3) (U_2 * \psi_3)^* \rangle`.
    oversampling : float or None, default=1.5
        Size of the grid of each scale over that of the band of its wavelets, twice as much with "P11".
        None: everything on the grid of the map, to rounding. At 1.5 the coefficients differ from
        that by less than 1e-4 on maps of 256 x 256 pixels, 4e-4 with "P11"; a few times that on
        small ones.

    Attributes
    ----------
    names : list of str
        Of the coefficients of one map, as "C01[j2=0,j3=2,l2=1,l3=3].re".
    labels : dict of ndarray of int
        For each coefficient j1, l1, j2, l2, j3, l3 (-1 where absent), "part" (0 real, 1 imaginary)
        and "family" as in `families`.
    cross_names, cross_labels
        The same for two maps.
    families : tuple of str

    Notes
    -----
    Sums over frequencies go up to index h / 2^j3, as in the public code. A coefficient of which the
    normalisation is zero is zero; the logarithm of an empty band is that of the smallest number. For
    maps of which the squares leave the range of float32, change the unit or use float64.

    References
    ----------
    .. [1] S. Cheng, R. Morel, E. Allys, B. Ménard, S. Mallat (2024), "Scattering spectra models for
       physics", PNAS Nexus 3, pgae103.
    .. [2] R. Morel, G. Rochette, R. Leonarduzzi, J.-P. Bouchaud, S. Mallat (2022), "Scale
       dependencies and self-similar models with wavelet scattering spectra", arXiv:2204.10177.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.covariance import Covariance
    >>> statistics = Covariance((32, 32), n_scales=3, n_orientations=2)
    >>> x = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> values = statistics(x)
    >>> values.shape == (5, len(statistics.names))
    True
    >>> statistics.names[:2], statistics.names[-1]
    (['mean/std', 'P00[j1=0,l1=0]'], 'C11[j1=2,j2=2,j3=2,l1=1,l2=1,l3=1].im')
    """

    def __init__(
        self,
        shape,
        n_scales,
        n_orientations=4,
        normalization="P00",
        c01="single",
        oversampling=1.5,
    ):
        super().__init__()
        if normalization not in ("P00", "P11"):
            raise ValueError(f"normalization={normalization!r}; expected 'P00' or 'P11'.")
        if c01 not in ("single", "double"):
            raise ValueError(f"c01={c01!r}; expected 'single' or 'double'.")
        if oversampling is not None and not 1 <= oversampling < float("inf"):
            raise ValueError(f"oversampling={oversampling!r}; expected None or at least 1.")
        self.shape = tuple(int(n) for n in shape)
        self.n_scales = check_n_scales(n_scales, self.shape)
        self.n_orientations = n_orientations
        self.normalization, self.c01 = normalization, c01
        psi, _ = morlet_2d(self.shape, self.n_scales, n_orientations)
        if oversampling is not None and normalization == "P11":
            # what it divides by is small, and aliases count for more
            oversampling = 2 * oversampling
        self.bank = ModulusBank(psi, oversampling=oversampling)
        power = 1 if c01 == "single" else 2
        self.sums = torch.nn.ModuleList(
            SpectralSums(filters, j, power) for j, filters in enumerate(psi)
        )
        self.keep("psi_squared", psi.reshape(-1, psi[0, 0].size) ** 2)
        self._index()

    def _analyse(self, x):
        variance, mean = torch.var_mean(x, dim=(1, 2))
        X = torch.fft.fft2(x, norm="forward")
        S1, P00, spectra = self.bank(X)
        return Analysis(mean, variance, S1.flatten(1), P00.flatten(1), (X, spectra))

    def _correlate(self, one, other):
        X, Y = one.fields[0], other.fields[0]
        product = torch.view_as_real(X * Y.conj()).flatten(1, 2)
        return (self.get("psi_squared", one.mean) @ product).mT

    def _gather(self, one, other=None):
        X, spectra = one.fields
        others = None if other is None else other.fields[1]
        first, second = [], []
        # half of a real map's spectrum; each scale narrows what the last one left
        x = half_plane(X[:, None, :, : X.shape[-1] // 2 + 1])
        A, B = None, None
        for j, sums in enumerate(self.sums):
            x = sums.narrow(x)
            A = sums.fields(A, spectra[j])
            B = None if others is None else sums.fields(B, others[j])
            first.append(sums.with_map(x, A if B is None else B).flatten(2))
            second.append(sums.of_moduli(A, B).flatten(2))
        return self._ordered(first, second)
