"""All phase-harmonic moments of periodic maps at once: matrix products, each scale on its own grid."""

import numpy as np
import torch
from torch import nn

from skastro.constants import Constants
from skastro.scattering.covariance_sums import ModulusBank, SpectralSums, half_plane
from skastro.scattering.phase_harmonics_indices import transposed
from skastro.scattering.phase_harmonics_sums import PhaseCoupling, ShiftedSums

__all__ = ["MomentPool"]


class MomentPool(Constants):
    """Moments that are not centred, of which tables of them pick theirs.

    Parameters
    ----------
    psi : ndarray of shape (n_scales, n_orientations, h, w)
        Bump-steerable wavelets.
    shifts : ndarray of int of shape (n_orientations, n_shifts, 2)
        From `shift_table`.
    families : set of str
        Which will be asked for.
    oversampling : float or None
        Of the grids of harmonics; those of moduli have twice as much. None: the full grid.

    Attributes
    ----------
    size : int
        Number of moments in the pool.
    """

    def __init__(self, psi, shifts, families, oversampling=1.5):
        super().__init__()
        J, self.n_orientations, *shape = psi.shape
        self.n_shifts = shifts.shape[1]
        self.bank = ModulusBank(psi, oversampling=oversampling and 2 * oversampling)
        sums = [SpectralSums(one, j, moduli=False) for j, one in enumerate(psi)]
        self.sums = nn.ModuleList(sums)
        # aliased moduli have no use for the last frequency of a grid of their own
        cuts = [
            tuple(n // 2 if m == n else (m - 1) // 2 for m, n in zip(size, shape, strict=True))
            for size in self.bank.sizes
        ]
        own = [ShiftedSums(one**2, s.cut, shifts) for one, s in zip(psi, sums, strict=True)]
        self.power = nn.ModuleList(own)
        ones = np.ones((1, *shape))
        self.moduli = nn.ModuleList(ShiftedSums(ones, cut, shifts) for cut in cuts)
        own = [ShiftedSums(one, s.cut, shifts) for one, s in zip(psi, sums, strict=True)]
        self.shifted = nn.ModuleList(own if self.n_shifts > 1 and "C01" in families else [])
        coupled = J > 1 and not families.isdisjoint({"Cphase", "Cphase_inv"})
        self.coupling = PhaseCoupling(psi, shifts, oversampling) if coupled else None
        self.with_c00 = "C00" in families
        self._lay_out(J)

    def _lay_out(self, J):
        L, T = self.n_orientations, self.n_shifts
        fields = L * np.arange(1, J + 1)
        self._pairs = {p: i for i, p in enumerate(self.coupling.pairs if self.coupling else [])}
        products = int((L * fields).sum())
        sizes = {
            "S11": J * L * T,
            "S00": J * L * T,
            "C01": products,
            "Cphase": len(self._pairs) * L * T,
            "shifted": L * T * J * (J - 1) // 2 if len(self.shifted) else 0,
            "C00": products if self.with_c00 else 0,
        }
        ends = np.cumsum([0, *sizes.values()])
        self._starts = dict(zip(sizes, ends, strict=False))
        self.size = int(ends[-1])
        self._fields = fields
        self._start_of_scale = np.cumsum([0, *(L * fields)])

    def positions(self, table, n_angles):
        """Where moments are in the pool; those transposed are in that of (y, x), which follows."""
        # the modulus before the field, the finer scale before the coarser one
        back = (table[:, 0] > table[:, 3]) | ((table[:, 2] == 1) & (table[:, 5] == 0))
        turned = np.where(back[:, None], transposed(table, n_angles), table)
        places = [self._position(n_angles, *row) for row in turned.tolist()]
        return np.array(places, dtype=int) + back * self.size

    def _position(self, n_angles, j1, l1, p1, j2, l2, p2, n, a):
        L, T, starts = self.n_orientations, self.n_shifts, self._starts
        t = 0 if n == 0 else 1 + 2 * n_angles * (n - 1) + a
        one = j1 * L + l1
        if (j1, l1, p1) == (j2, l2, p2):
            return starts["S11" if p1 else "S00"] + one * T + t
        if (p1, p2) == (0, 0):
            return starts["C00"] + self._start_of_scale[j2] + one * L + l2
        if p1 == 1:
            return starts["Cphase"] + (self._pairs[j1, j2] * L + l1) * T + t
        if t:
            return starts["shifted"] + (L * j2 * (j2 - 1) // 2 + one) * T + t
        return starts["C01"] + self._start_of_scale[j2] + l2 * self._fields[j2] + one

    def forward(self, X, bank_x, Y=None, bank_y=None):
        """Moments (n, size) with the first factor of X and the second of Y.

        Parameters
        ----------
        X, Y : complex Tensor of shape (n, h, w)
            FFT of the maps over the number of pixels; Y = None stands for X.
        bank_x, bank_y : tuple
            What `bank` gives of them.
        """
        same = Y is None
        Y, bank_y = (X, bank_x) if same else (Y, bank_y)
        (_, squares, spectra_x), (_, _, spectra_y) = bank_x, bank_y
        half = X.shape[-1] // 2 + 1
        x, y = (half_plane(Z[:, None, :, :half]) for Z in (X, Y))
        plain = same and self.n_shifts == 1
        s11, s00, c01, shifted, c00 = [], [], [], [], []
        if plain:
            s11, s00 = [squares + 0j], [squares + 0j]
        fields, moduli = None, None
        for j, sums in enumerate(self.sums):
            x, y = sums.narrow(x), sums.narrow(y)
            if not plain or self.with_c00:
                own = self.moduli[j]
                one, two = (own.narrow(half_plane(s[j])) for s in (spectra_x, spectra_y))
            if not plain:
                s11.append(self.power[j](x, y)[:, 0])
                s00.append(own(one, two)[:, 0])
            if len(self.shifted) and j:
                shifted.append(self.shifted[j](sums.narrow(fields), y))
            fields = sums.fields(fields, spectra_x[j])
            re, im = sums.with_map(y, fields)
            c01.append(torch.complex(re, -im))
            if self.with_c00:
                moduli = one if moduli is None else torch.cat([own.narrow(moduli), one], 1)
                c00.append(own.between(moduli, two) + 0j)
        phase = []
        if self.coupling is not None:
            phase = [self.coupling(X, None if same else Y).permute(2, 0, 1, 3)]
        parts = s11 + s00 + c01 + phase + shifted + c00
        return torch.cat([part.flatten(1) for part in parts], 1)
