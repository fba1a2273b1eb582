"""Scattering spectra: means and covariances of wavelet fields and of their moduli."""

import itertools

import numpy as np
import torch

from skastro.scattering.covariance_sums import ModulusBank, SpectralSums, half_plane
from skastro.scattering.filters import check_n_scales, morlet_2d
from skastro.scattering.map_statistics import MapStatistics, divide, root

__all__ = ["Covariance"]


class Covariance(MapStatistics):
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

    families = ("mean", "P00", "S1", "C01", "C11", "Corr00")

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

    # -- the order of the coefficients

    def _index(self):
        J, L = self.n_scales, self.n_orientations
        a = np.array(list(itertools.product(range(J), range(L))))
        c01 = [(j2, j3) for j2, j3 in itertools.product(range(J), repeat=2) if j2 <= j3]
        c11 = [t for t in itertools.product(range(J), repeat=3) if t[0] <= t[1] <= t[2]]
        c01 = np.array(
            [(*j, *angles) for j in c01 for angles in itertools.product(range(L), repeat=2)]
        )
        c11 = np.array(
            [(*j, *angles) for j in c11 for angles in itertools.product(range(L), repeat=3)]
        )
        # SpectralSums give (l3, F) and (l3, F, F) for each j3, with F = L (j3 + 1)
        F = L * np.arange(1, J + 1)
        start01 = np.concatenate([[0], np.cumsum(L * F)])
        start11 = np.concatenate([[0], np.cumsum(L * F**2)])
        j2, j3, l2, l3 = c01.T
        self.keep("at01", start01[j3] + l3 * F[j3] + j2 * L + l2)
        self.keep("fields01", np.stack([j2 * L + l2, j3 * L + l3]))
        lookup = np.full((J * L, J * L), -1)
        lookup[j2 * L + l2, j3 * L + l3] = np.arange(len(c01))
        j1, j2, j3, l1, l2, l3 = c11.T
        first, second, third = j1 * L + l1, j2 * L + l2, j3 * L + l3
        self.keep("at11", start11[j3] + (l3 * F[j3] + first) * F[j3] + second)
        self.keep("fields11", np.stack([first, second]))
        # P11[j2, j3, l2, l3] in C11: the order of C01
        self.keep("p11", np.flatnonzero(first == second))
        self.keep("p11_of_11", np.stack([lookup[first, third], lookup[second, third]]))
        none = np.full(len(a), -1)
        a = np.stack([a[:, 0], none, none, a[:, 1], none, none], 1)
        none = np.full(len(c01), -1)
        c01 = np.stack([none, c01[:, 0], c01[:, 1], none, c01[:, 2], c01[:, 3]], 1)
        mean = np.full((1, 6), -1)
        auto = [("mean/std", 0, mean, ""), ("P00", 1, a, ""), ("S1", 2, a, "")]
        auto += _both("C01", 3, c01) + _both("C11", 4, c11)
        self.names, self.labels = _describe(auto)
        cross = _both("Corr00", 5, a)
        for pair in ("xy", "yx"):
            cross += _both(f"C01_{pair}", 3, c01) + _both(f"C11_{pair}", 4, c11)
        self.cross_names, self.cross_labels = _describe(cross)
        n = len(c01) + len(c11)
        pair = np.concatenate([np.zeros(2 * len(a)), np.ones(2 * n), np.full(2 * n, 2)])
        self.cross_labels["pair"] = pair.astype(int)

    # -- the values

    def norm(self, x, y=None):
        """Normalisation by reference maps, to pass as `reference`.

        Parameters
        ----------
        x, y : Tensor of shape (n, h, w)
            One map, or as many as will be transformed.

        Returns
        -------
        reference : dict of Tensor
            "P00" (n, J L) or, with that normalisation, also "P11" (n, pairs of wavelets); with `y`
            also "P00_y" and "P11_y".
        """
        reference = {}
        for maps, name in ((x, "x"), (y, "y")):
            if maps is None:
                continue
            parts = []
            for rows in self._chunks(self._check(maps, name)):
                X = torch.fft.fft2(maps[rows], norm="forward")
                _, P00, spectra = self.bank(X)
                C11 = self._gather(X, spectra)[1] if self.normalization == "P11" else None
                parts.append(self._powers(P00.flatten(1), C11))
            for key in parts[0]:
                end = "" if name == "x" else "_y"
                reference[key + end] = torch.cat([part[key] for part in parts])
        return reference

    def forward(self, x, y=None, reference=None):
        """Coefficients of maps, or cross-coefficients of two series of maps.

        Parameters
        ----------
        x : Tensor of shape (n, h, w)
            Real maps.
        y : Tensor of shape (n, h, w), optional
            Cross-coefficients of each x with its y: the correlation of the wavelet fields (Corr00), then
            C01 and C11 with the first factor of x and the modulus of y ("xy"), and the other way
            round ("yx").
        reference : dict of Tensor, optional
            From `norm`: powers to normalise by, in place of each map's own.

        Returns
        -------
        coefficients : Tensor of shape (n, n_coefficients)
            As `names`, or as `cross_names` with `y`.
        """
        self._check_two(x, y)
        if reference is not None:
            keys = ["P00", "P11"] if self.normalization == "P11" else ["P00"]
            keys += [f"{key}_y" for key in keys] if y is not None else []
            self._check_reference(reference, keys, len(x))
        out = []
        for rows in self._chunks(x):
            own = self._rows_of(reference, rows)
            out.append(
                self._auto(x[rows], own) if y is None else self._cross(x[rows], y[rows], own)
            )
        return torch.cat(out)

    def _auto(self, x, reference):
        variance, mean = torch.var_mean(x, dim=(1, 2))
        X = torch.fft.fft2(x, norm="forward")
        S1, P00, spectra = self.bank(X)
        C01, C11 = self._gather(X, spectra)
        P00 = P00.flatten(1)
        reference = self._powers(P00, C11) if reference is None else reference
        n01, n11 = self._denominators(reference, reference)
        tiny = torch.finfo(x.dtype).tiny
        parts = [divide(mean, root(variance))[:, None], P00.clamp_min(tiny).log()]
        parts += [S1.flatten(1).clamp_min(tiny).log(), divide(C01, n01), divide(C11, n11)]
        return torch.cat([part.flatten(1) for part in parts], 1)

    def _cross(self, x, y, reference):
        X, Y = (torch.fft.fft2(maps, norm="forward") for maps in (x, y))
        (_, P00_x, spectra_x), (_, P00_y, spectra_y) = self.bank(X), self.bank(Y)
        if reference is None:
            P11 = self.normalization == "P11"
            powers_x = self._powers(P00_x.flatten(1), P11 and self._gather(X, spectra_x)[1])
            powers_y = self._powers(P00_y.flatten(1), P11 and self._gather(Y, spectra_y)[1])
        else:
            powers_x = {key: v for key, v in reference.items() if not key.endswith("_y")}
            powers_y = {key[:-2]: v for key, v in reference.items() if key.endswith("_y")}
        product = torch.view_as_real(X * Y.conj()).flatten(1, 2)
        corr = self.get("psi_squared", x) @ product
        corr = divide(corr.mT, root(powers_x["P00"] * powers_y["P00"])[:, None])
        parts = [corr]
        for first, other, one, two in (
            ((X, spectra_x), spectra_y, powers_x, powers_y),
            ((Y, spectra_y), spectra_x, powers_y, powers_x),
        ):
            C01, C11 = self._gather(*first, other)
            n01, n11 = self._denominators(one, two)
            parts += [divide(C01, n01), divide(C11, n11)]
        return torch.cat([part.flatten(1) for part in parts], 1)

    def _gather(self, X, spectra, others=None):
        """Unnormalised C01 (n, 2, ..) and C11 (n, 2, ..) in the order of the coefficients."""
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
        first, second = torch.cat(first, 2), torch.cat(second, 2)
        first = first.index_select(2, self.get("at01", X)).transpose(0, 1)
        return first, second.index_select(2, self.get("at11", X)).transpose(0, 1)

    def _powers(self, P00, C11):
        if self.normalization == "P00":
            return {"P00": P00}
        return {"P00": P00, "P11": C11[:, 0].index_select(1, self.get("p11", P00))}

    def _denominators(self, one, two):
        """What C01 and C11 with a first factor of one map and a second of two are divided by."""
        modulus, wavelet = self.get("fields01", one["P00"])
        if self.normalization == "P00":
            first, second = self.get("fields11", one["P00"])
            n01 = one["P00"][:, wavelet] * two["P00"][:, modulus]
            n11 = one["P00"][:, first] * two["P00"][:, second]
        else:
            first, second = self.get("p11_of_11", one["P00"])
            n01 = one["P00"][:, wavelet] * two["P11"]
            n11 = one["P11"][:, first] * two["P11"][:, second]
        return root(n01)[:, None], root(n11)[:, None]


def _both(family, code, index):
    return [(family, code, index, ".re"), (family, code, index, ".im")]


KEYS = ("j1", "j2", "j3", "l1", "l2", "l3")


def _describe(blocks):
    """Names and labels of blocks of (family, its number, index of six columns, ending)."""
    names, labels = [], {"family": [], "part": [], **{key: [] for key in KEYS}}
    for family, code, index, ending in blocks:
        for row in index:
            inside = ",".join(f"{k}={v}" for k, v in zip(KEYS, row, strict=True) if v >= 0)
            names.append(f"{family}[{inside}]{ending}" if inside else family)
        labels["family"].append(np.full(len(index), code))
        labels["part"].append(np.full(len(index), int(ending == ".im")))
        for key, column in zip(KEYS, index.T, strict=True):
            labels[key].append(column)
    return names, {key: np.concatenate(values) for key, values in labels.items()}
