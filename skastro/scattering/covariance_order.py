"""What scattering covariances on the plane and on the sphere share: order, names, normalisation."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import torch

from skastro.scattering.map_statistics import MapStatistics, divide, root

__all__ = ["Analysis", "CovarianceStatistics"]

KEYS = ("j1", "j2", "j3", "l1", "l2", "l3")


class Analysis(NamedTuple):
    """What is known of maps before they are compared.

    Attributes
    ----------
    mean, variance : Tensor of shape (n,)
    S1, P00 : Tensor of shape (n, J L)
        Mean of the modulus of each wavelet field, and of its square.
    fields : Any
        What C01 and C11 are made of.
    """

    mean: torch.Tensor
    variance: torch.Tensor
    S1: torch.Tensor
    P00: torch.Tensor
    fields: Any


class CovarianceStatistics(MapStatistics):
    """Means and covariances of wavelet fields and moduli, whatever the maps lie on.

    A child class has `shape`, `n_scales`, `n_orientations`, `normalization`, calls `_index` and provides

    - ``_analyse(x)``, an `Analysis` of maps;
    - ``_gather(one, other=None)``, C01 and C11 of two analyses (of one with itself) without normalisation,
      (2, n, n_pairs) and (2, n, n_triples), real and imaginary, in the order of the coefficients;
    - ``_correlate(one, other)``, the covariance of the wavelet fields, (n, 2, J L).
    """

    families = ("mean", "P00", "S1", "C01", "C11", "Corr00")

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
        # sums come as (l3, F) and (l3, F, F) for each j3, with F = L (j3 + 1)
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
        x, y : Tensor of shape (n, *shape)
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
                parts.append(self._powers(self._analyse(maps[rows])))
            for key in parts[0]:
                end = "" if name == "x" else "_y"
                reference[key + end] = torch.cat([part[key] for part in parts])
        return reference

    def forward(self, x, y=None, reference=None):
        """Coefficients of maps, or cross-coefficients of two series of maps.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
            Real maps.
        y : Tensor of shape (n, *shape), optional
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
        one = self._analyse(x)
        moments = self._gather(one)
        reference = self._powers(one, moments) if reference is None else reference
        n01, n11 = self._denominators(reference, reference)
        tiny = torch.finfo(x.dtype).tiny
        parts = [divide(one.mean, root(one.variance))[:, None], one.P00.clamp_min(tiny).log()]
        parts += [one.S1.clamp_min(tiny).log()]
        parts += [divide(C, n).transpose(0, 1) for C, n in zip(moments, (n01, n11), strict=True)]
        return torch.cat([part.flatten(1) for part in parts], 1)

    def _cross(self, x, y, reference):
        one, two = self._analyse(x), self._analyse(y)
        if reference is None:
            powers_x, powers_y = self._powers(one), self._powers(two)
        else:
            powers_x = {key: v for key, v in reference.items() if not key.endswith("_y")}
            powers_y = {key[:-2]: v for key, v in reference.items() if key.endswith("_y")}
        corr = self._correlate(one, two)
        parts = [divide(corr, root(powers_x["P00"] * powers_y["P00"])[:, None])]
        for first, other, its, others in (
            (one, two, powers_x, powers_y),
            (two, one, powers_y, powers_x),
        ):
            moments = self._gather(first, other)
            for C, n in zip(moments, self._denominators(its, others), strict=True):
                parts.append(divide(C, n).transpose(0, 1))
        return torch.cat([part.flatten(1) for part in parts], 1)

    def _powers(self, one, moments=None):
        if self.normalization == "P00":
            return {"P00": one.P00}
        C11 = (self._gather(one) if moments is None else moments)[1]
        return {"P00": one.P00, "P11": C11[0].index_select(1, self.get("p11", one.P00))}

    def _ordered(self, first, second):
        """Sums of each j3, lists of (2, n, L F) and (2, n, L F F), in the order of the coefficients."""
        first, second = torch.cat(first, 2), torch.cat(second, 2)
        return (
            first.index_select(2, self.get("at01", first)),
            second.index_select(2, self.get("at11", second)),
        )

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
        return root(n01), root(n11)


def _both(family, code, index):
    return [(family, code, index, ".re"), (family, code, index, ".im")]


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
