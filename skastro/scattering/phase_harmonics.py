"""Wavelet phase harmonics: covariances of wavelet fields of which the phases are multiplied."""

import numpy as np
import torch

from skastro.scattering.filters import check_n_scales
from skastro.scattering.filters_steerable import bump_steerable_2d
from skastro.scattering.map_statistics import MapStatistics, divide, root
from skastro.scattering.phase_harmonics_indices import (
    FAMILIES,
    LOW_PHASES,
    describe,
    factor_index,
    moment_table,
    shift_table,
)
from skastro.scattering.phase_harmonics_open import open_fields, open_moments
from skastro.scattering.phase_harmonics_pool import MomentPool

__all__ = ["PhaseHarmonics"]

DEFAULT = ("S11", "S00", "S01", "C01", "Cphase", "L")
TRANSPOSES = {"S01": "S10", "C01": "C10", "Cphase": "Cphase_inv"}


class PhaseHarmonics(MapStatistics):
    r"""Moments of wavelet phase harmonics of maps, and between two maps [1]_, [2]_.

    With :math:`[z]^p = |z| e^{i p \arg z}` and :math:`z_a = x * \psi_a`, a = (j, l), the moments are

    .. math::
        C(a_1, p_1, a_2, p_2, \tau) = \left\langle
        \frac{[z_{a_1}]^{p_1}(u + \tau) - \mu_1}{s_1}
        \left(\frac{[z_{a_2}]^{p_2}(u) - \mu_2}{s_2}\right)^* \right\rangle_u .

    Families: S11, S00, S01 (one wavelet, p = (1, 1), (0, 0), (0, 1)); C01 (a scale with the modulus of
    a finer one); Cphase (p = (1, 2^(j2 - j1)), one orientation); L (the map and its modulus seen
    through Gaussian low-passes); on demand C00, and the transposes S10, C10 and Cphase_inv.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    n_scales : int
        J.
    n_orientations : int, default=4
        L, over pi.
    families : sequence of str, default=("S11", "S00", "S01", "C01", "Cphase", "L")
        What is computed, in that order; L comes last.
    dn : int, default=0
        Shifts of 2, .., 2^dn pixels are taken in beside none.
    dl : int, optional
        Orientations of C01 and C00: l1 - dl to l1 + dl - 1. Default: L / 2, which is all.
    dj : int, optional
        Largest j2 - j1. Default: J - 1.
    n_angles : int, default=4
        A: the shifts are at multiples of pi / A from the orientation of the wavelet.
    norm : {None, "auto"}, default=None
        None: :math:`\mu` is the mean of the factor and s = 1. "auto": the factors are standardised
        by their mean and standard deviation in the reference, each map being its own without one.
    periodic : bool, default=True
        False: convolved as if periodic, then 2^J / 2 pixels are cropped at each border, and the
        moments are means over what overlaps.
    oversampling : float or None, default=1.5
        Size of the grid of each scale over that of the band of its wavelets; of moduli twice as much.
        None: everything on the grid of the map, to rounding; at 1.5, the coefficients over the
        standard deviations of their factors are within 3e-4 of that. Of no effect unless periodic.

    Attributes
    ----------
    names : list of str
        As "C01[j1=0,l1=1,p1=0,j2=2,l2=1,p2=1,n=0,a=0].re"; no ".im" where a moment is real.
    labels : dict of ndarray of int
        "family" as in `families_known`, "part" (0 real, 1 imaginary), j1, l1, p1, j2, l2, p2, n, a;
        -1 where absent.
    cross_names, cross_labels
        The same for two maps: the transposes are among them.
    table, cross_table : ndarray of int of shape (n_moments, 8)
        The moments of `moments`, without L.

    Notes
    -----
    The values are those of pywph for real maps, which with non-periodic borders gives 0 wherever a
    shift has a negative component; here that is a moment like the others. Between two maps it shifts
    Cphase_inv at all scales, which here has the shifts of Cphase, so that moments of (x, y) are those of
    (y, x). Its normalisation by the first map it sees is explicit here: `norm`. For maps of which the
    squares leave the range of float32, change the unit or use float64.

    References
    ----------
    .. [1] E. Allys, T. Marchand, J.-F. Cardoso, et al. (2020), "New interpretable statistics for
       large-scale structure analysis and generation", Phys. Rev. D 102, 103506.
    .. [2] B. Regaldo-Saint Blancard, E. Allys, F. Boulanger, F. Levrier, N. Jeffrey (2021), "A new
       approach for the statistical denoising of Planck interstellar dust polarization data",
       A&A 649, L18.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.phase_harmonics import PhaseHarmonics
    >>> statistics = PhaseHarmonics((32, 32), n_scales=3, n_orientations=2)
    >>> x = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> statistics(x).shape == (5, len(statistics.names))
    True
    >>> statistics = PhaseHarmonics((32, 32), n_scales=3, n_orientations=2, norm="auto")
    >>> reference = statistics.norm(x[:1])
    >>> statistics(x[:1], reference=reference)[0, 0].round(decimals=4)
    tensor(1.)
    """

    families_known = FAMILIES

    def __init__(
        self,
        shape,
        n_scales,
        n_orientations=4,
        families=DEFAULT,
        dn=0,
        dl=None,
        dj=None,
        n_angles=4,
        norm=None,
        periodic=True,
        oversampling=1.5,
    ):
        super().__init__()
        self.shape = tuple(int(n) for n in shape)
        J, L = check_n_scales(n_scales, self.shape), n_orientations
        unknown = [family for family in families if family not in FAMILIES]
        if unknown or not families:
            raise ValueError(f"families={families!r}; expected some of {FAMILIES}.")
        for name, value, low in (
            ("dn", dn, 0),
            ("dl", dl, 0),
            ("dj", dj, 1),
            ("n_angles", n_angles, 1),
        ):
            if value is not None and not (isinstance(value, int) and value >= low):
                raise ValueError(f"{name}={value!r}; expected an integer of at least {low}.")
        if norm not in (None, "auto"):
            raise ValueError(f"norm={norm!r}; expected None or 'auto'.")
        if oversampling is not None and not 1 <= oversampling < float("inf"):
            raise ValueError(f"oversampling={oversampling!r}; expected None or at least 1.")
        self.n_scales, self.n_orientations = J, L
        self.norm_kind, self.periodic, self.n_angles = norm, periodic, n_angles
        self.crop = 0 if periodic else 2**J // 2
        left = min(self.shape) - 2 * self.crop
        if left < 1 or 2**dn >= left:
            raise ValueError(
                f"n_scales={J} and dn={dn} for maps of shape {self.shape} leave {left} pixels a side "
                f"after the crop of {self.crop}; expected more than 2^dn = {2**dn}."
            )
        self.families = tuple(families)
        dl, dj = L // 2 if dl is None else dl, J - 1 if dj is None else dj
        psi, lows = bump_steerable_2d(self.shape, J, L)
        self.n_lows = len(lows) if "L" in families else 0
        lows = lows.copy()
        lows[:, 0, 0] = 0  # without the mean
        self.keep("lows", lows[..., : self.shape[1] // 2 + 1])
        self.keep("psi", psi)
        wanted = [family for family in families if family != "L"]
        both = list(dict.fromkeys(wanted + [TRANSPOSES[f] for f in wanted if f in TRANSPOSES]))
        shifts = shift_table(L, dn, n_angles)
        self.keep("shifts", shifts)
        self.pool = MomentPool(psi, shifts, set(both), oversampling) if periodic else None
        self.table, self.names, self.labels = self._order(wanted, dn, dl, dj, False)
        self.cross_table, self.cross_names, self.cross_labels = self._order(both, dn, dl, dj, True)

    def _order(self, families, dn, dl, dj, cross):
        """Table, names and labels of moments; where they and their factors are is kept."""
        J, L, end = self.n_scales, self.n_orientations, "_cross" if cross else ""
        table, kinds = moment_table(J, L, dn, dl, dj, self.n_angles, families, all_angles=cross)
        names, labels, kept = describe(table, kinds, self.n_lows, cross)
        self.keep(f"kept{end}", kept)
        self.keep(f"first{end}", factor_index(*table[:, :3].T, J, L))
        self.keep(f"second{end}", factor_index(*table[:, 3:6].T, J, L))
        if self.periodic:
            self.keep(f"at{end}", self.pool.positions(table, self.n_angles))
        return table, names, labels

    # -- the values

    def norm(self, x, y=None):
        """Means and standard deviations of all factors of reference maps, to pass as `reference`.

        Parameters
        ----------
        x, y : Tensor of shape (n, h, w)
            One map, or as many as will be transformed.

        Returns
        -------
        reference : dict of Tensor of shape (n, n_factors)
            "mean" (complex) and "std"; with `y` also "mean_y" and "std_y". Empty for norm=None, which
            has no use for any.
        """
        self._check_two(x, y)
        if self.norm_kind is None:
            return {}
        reference = {}
        for maps, end in ((x, ""), (y, "_y")):
            if maps is not None:
                parts = [self._stats(maps[rows]) for rows in self._chunks(maps)]
                mean, std = (torch.cat(part) for part in zip(*parts, strict=True))
                reference.update({f"mean{end}": mean, f"std{end}": std})
        return reference

    def forward(self, x, y=None, reference=None):
        """Coefficients of maps, or of the first factor in maps x and the second in maps y.

        Parameters
        ----------
        x : Tensor of shape (n, h, w)
            Real maps.
        y : Tensor of shape (n, h, w), optional
        reference : dict of Tensor, optional
            From `norm`, for norm="auto".

        Returns
        -------
        coefficients : Tensor of shape (n, n_coefficients)
            As `names`, or as `cross_names` with `y`.
        """
        moments = torch.view_as_real(self.moments(x, y, reference)).transpose(1, 2).flatten(1)
        return moments[:, self.get("kept" if y is None else "kept_cross", x)]

    def moments(self, x, y=None, reference=None):
        """Complex moments (n, n_moments): those of `table` or `cross_table`, then L.

        L has for each low-pass (p1, p2) = (0, 0), (0, 1), (1, 1), and (1, 0) with `y`. Parameters as
        those of `forward`.
        """
        self._check_two(x, y)
        if not reference:
            reference = None
        else:
            if self.norm_kind is None:
                raise ValueError("reference was given with norm=None; expected norm='auto'.")
            keys = ["mean", "std"] + (["mean_y", "std_y"] if y is not None else [])
            self._check_reference(reference, keys, len(x))
        out = []
        for rows in self._chunks(x):
            other = None if y is None else y[rows]
            out.append(self._moments(x[rows], other, self._rows_of(reference, rows)))
        return torch.cat(out)

    def _moments(self, x, y, reference):
        X = torch.fft.fft2(x, norm="forward")
        Y = X if y is None else torch.fft.fft2(y, norm="forward")
        if self.norm_kind == "auto" and reference is None:
            reference = dict(zip(("mean", "std"), self._stats(x), strict=True))
            if y is not None:
                reference.update(zip(("mean_y", "std_y"), self._stats(y), strict=True))
        end = "" if y is None else "_cross"
        one, two = (self.get(f"{name}{end}", x) for name in ("first", "second"))
        other = "" if y is None else "_y"
        names = ("mean", f"mean{other}", "std", f"std{other}")
        M, N, S, T = (None,) * 4 if reference is None else (reference[name] for name in names)
        make = self._periodic if self.periodic else self._open
        values = make(X, Y, y is None, M, N)
        lows = [] if not self.n_lows else [self._lows(X, Y, y is None)]
        if reference is None:
            return torch.cat([values] + [cov for cov, *_ in lows], 1)
        parts, start = [divide(values, S[:, one] * T[:, two])], M.shape[1] - 2 * self.n_lows
        for cov, m, n, f, g in lows:
            cov = cov + (m - M[:, start + f]) * (n - N[:, start + g]).conj()
            parts.append(divide(cov, S[:, start + f] * T[:, start + g]))
        return torch.cat(parts, 1)

    def _periodic(self, X, Y, same, M, N):
        """Moments <(f - M)(g - N)*> of all factors; M = None: about their own means."""
        bank_x = self.pool.bank(X)
        bank_y = bank_x if same else self.pool.bank(Y)
        pool = self.pool(X, bank_x) if same else self.pool(X, bank_x, Y, bank_y)
        end = "" if same else "_cross"
        if (self._arrays[f"at{end}"] >= self.pool.size).any():
            back = pool if same else self.pool(Y, bank_y, X, bank_x)
            pool = torch.cat([pool, back.conj()], 1)
        raw = pool[:, self.get(f"at{end}", X)]
        # the mean of a wavelet field is zero, and only those are multiplied with harmonics
        empty = X.new_zeros(len(X), self.n_scales * self.n_orientations * self.n_scales)
        m, n = (torch.cat([bank[0].flatten(1) + 0j, empty], 1) for bank in (bank_x, bank_y))
        one, two = (self.get(f"{name}{end}", X) for name in ("first", "second"))
        raw = raw - m[:, one] * n[:, two].conj()
        if M is None:
            return raw
        m, n = m - M[:, : m.shape[1]], n - N[:, : n.shape[1]]
        return raw + m[:, one] * n[:, two].conj()

    def _open(self, X, Y, same, M, N):
        """The same without borders: means over what overlaps."""
        table = self.table if same else self.cross_table
        psi, maps = self.get("psi", X), [X] if same else [X, Y]
        keys = {tuple(row) for cut in (slice(3), slice(3, 6)) for row in table[:, cut].tolist()}
        factors = [open_fields(Z, psi, self.crop, keys) for Z in maps]
        for one, mean in zip(factors, (M, N), strict=False):
            for key, f in one.items():
                centre = f.mean((-2, -1), keepdim=True)
                if mean is not None:
                    i = factor_index(*key, self.n_scales, self.n_orientations)
                    centre = mean[:, int(i), None, None]
                one[key] = f - (centre if f.is_complex() else centre.real)
        # a shift turns with the second factor; where there is one, both have one orientation
        t = np.where(table[:, 6] == 0, 0, 1 + 2 * self.n_angles * (table[:, 6] - 1) + table[:, 7])
        shifts = self._arrays["shifts"][table[:, 4], t]
        return open_moments(factors[0], factors[-1], table, shifts)

    def _low_fields(self, X):
        """Modulus and map (n, 2 n_lows, ..) seen through the low-passes, the map without its mean."""
        (h, w), crop = self.shape, self.crop
        spectrum = X[:, None, :, : w // 2 + 1] * self.get("lows", X)
        maps = torch.fft.irfft2(spectrum, s=(h, w), norm="forward")
        maps = maps[..., crop : h - crop, crop : w - crop]
        maps = maps - maps.mean((-2, -1), keepdim=True)
        return torch.cat([maps.abs(), maps], 1).flatten(2)

    def _lows(self, X, Y, same):
        """Covariances through the low-passes, the means of their factors, which factors these are."""
        fields = [self._low_fields(Z) for Z in ((X,) if same else (X, Y))]
        f, g = fields[0], fields[-1]
        means = [one.mean(-1) for one in (f, g)]
        cov = (f - means[0][..., None]) @ (g - means[1][..., None]).mT / f.shape[-1]
        phases = LOW_PHASES[:3] if same else LOW_PHASES
        index = [
            (p * self.n_lows + j, q * self.n_lows + j)
            for j in range(self.n_lows)
            for p, q in phases
        ]
        one, two = torch.tensor(index, device=X.device).T
        return cov[:, one, two] + 0j, means[0][:, one], means[1][:, two], one, two

    def _stats(self, x):
        """Mean and standard deviation of all factors of maps, (n, n_factors)."""
        X, psi = torch.fft.fft2(x, norm="forward"), self.get("psi", x)
        J, L = self.n_scales, self.n_orientations
        size = J * L * (J + 1)
        mean, std = list(X.new_zeros(size, len(x))), list(x.new_zeros(size, len(x)))
        for j in range(J):
            keys = [0, 1] + [2**d for d in range(1, j + 1)]
            for l in range(L):  # noqa: E741
                fields = open_fields(X, psi, self.crop, {(j, l, p) for p in keys})
                square = fields[j, l, 0].square().mean((-2, -1))
                for p in keys:
                    m = fields[j, l, p].mean((-2, -1)) + 0j
                    i = int(factor_index(j, l, p, J, L))
                    mean[i], std[i] = m, root(square - m.real.square() - m.imag.square())
        mean, std = torch.stack(mean, 1), torch.stack(std, 1)
        if not self.n_lows:
            return mean, std
        fields = self._low_fields(X)
        spread = root(fields.var(-1, correction=0))
        return torch.cat([mean, fields.mean(-1) + 0j], 1), torch.cat([std, spread], 1)
