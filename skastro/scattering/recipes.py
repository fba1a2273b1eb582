"""From a family's name to its statistics, and several of them side by side."""

import numpy as np
import torch
from torch import nn

from skastro.partial_maps import mirrored
from skastro.scattering.covariance import Covariance
from skastro.scattering.phase_harmonics import PhaseHarmonics
from skastro.scattering.reduction_matrices import angular, apply, isotropic, scales
from skastro.scattering.rwst import RWST
from skastro.scattering.spectrum import PixelDistribution, PowerSpectrum
from skastro.scattering.topology import Topology
from skastro.scattering.wst import WST
from skastro.scattering.wst_1d import WST1D
from skastro.scattering.wst_3d import WST3D

__all__ = [
    "CROSS",
    "FAMILIES",
    "Several",
    "make_statistics",
    "mean_reference",
    "reference_tensors",
]

FAMILIES = (
    "wst",
    "rwst",
    "covariance",
    "phase_harmonics",
    "power_spectrum",
    "pdf",
    "topology",
)
# without wavelets
PLAIN = {"power_spectrum": PowerSpectrum, "pdf": PixelDistribution, "topology": Topology}
# with coefficients of two maps
CROSS = ("covariance", "phase_harmonics", "power_spectrum")
# with a normalisation by others
NORMED = (*CROSS, "topology")
# with orientations to average over, in ways that `reduction` names
REDUCIBLE = ("wst", "covariance")
REDUCTIONS = {"isotropic": (isotropic,), "angular": (angular,), "scale": (angular, scales)}
# few numbers, and the weight that they have beside scattering statistics
WEIGHTS = {"power_spectrum": 1e-3, "pdf": 3e-4, "topology": 3e-4}


def make_statistics(family, shape, n_scales, n_orientations, **options):
    """The module of one family.

    Parameters
    ----------
    family : str
        One of `FAMILIES`; of lines and volumes "wst" alone.
    shape : tuple (h, w), (length,) or (d, h, w)
    n_scales, n_orientations : int
        The latter of maps alone.
    **options
        Of the family's class.

    Returns
    -------
    statistics : nn.Module
    """
    if family in PLAIN and len(shape) == 2:
        return PLAIN[family](shape, **options)
    if len(shape) != 2 and family != "wst":
        raise ValueError(f"family={family!r} with n_dims={len(shape)}; expected 'wst'.")
    local = options.get("output") == "local"
    if len(shape) == 3:
        if options.pop("output", "global") != "global":
            raise ValueError("output='local' with n_dims=3; expected 'global'.")
        return WST3D(shape, n_scales, **options)
    if family == "wst" and local:
        given = (n_scales,) if len(shape) == 1 else (n_scales, n_orientations)
        return LocalWST((WST1D if len(shape) == 1 else WST)(shape, *given, **options))
    if len(shape) == 1:
        return WST1D(shape, n_scales, **options)
    kinds = {"wst": WST, "rwst": RWST, "covariance": Covariance, "phase_harmonics": PhaseHarmonics}
    return kinds[family](shape, n_scales, n_orientations, **options)


def mean_reference(norms):
    """The normalisation of blocks of maps on average: arrays, which every way of saving knows.

    Parameters
    ----------
    norms : list of list
        What `Several.norm` gave of each block.

    Returns
    -------
    reference : list of dict of ndarray, or of None
    """
    return [
        None
        if parts[0] is None
        else {
            key: torch.cat([part[key] for part in parts]).mean(0, keepdim=True).cpu().numpy()
            for key in parts[0]
        }
        for parts in zip(*norms, strict=True)
    ]


def reference_tensors(reference, device):
    """A reference of arrays, or None, as `Several` takes it."""
    if reference is None:
        return None
    return [
        None if one is None else {key: torch.from_numpy(v).to(device) for key, v in one.items()}
        for one in reference
    ]


class LocalWST(nn.Module):
    """Local averages of the `WST`, a coefficient for each place, with the places in the names."""

    def __init__(self, wst):
        super().__init__()
        self.wst = wst
        axes = ("t",) if len(wst.size) == 1 else ("y", "x")
        places = [
            ",".join(f"{axis}={i}" for axis, i in zip(axes, place, strict=True))
            for place in np.ndindex(*wst.size)
        ]
        self.names = [
            f"{path[:-1]},{place}]" if path.endswith("]") else f"{path}[{place}]"
            for path in self.wst.names
            for place in places
        ]
        self.labels = {key: np.repeat(v, len(places)) for key, v in self.wst.labels.items()}

    def forward(self, x, y=None, reference=None):
        """Coefficients (n, n_paths * n_places) of maps (n, h, w)."""
        return self.wst(x, y, reference).flatten(1)


class Several(nn.Module):
    """Families of statistics of the same maps, one after the other, and of pairs of channels.

    Parameters
    ----------
    parts : dict of nn.Module
        By their names.
    pairs : list of tuple (a, b)
        Channels of each set of coefficients: its own (a = b), or of two (a < b).
    mirror : bool, default=False
        Continue the maps by their mirror images first.
    """

    def __init__(self, parts, pairs=((0, 0),), mirror=False):
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.pairs, self.mirror = tuple(map(tuple, pairs)), mirror
        self.names, self.families, self.sets = [], [], []
        self._reductions = {}
        several = len({channel for pair in self.pairs for channel in pair}) > 1
        for family, _, a, b in self._each():
            own = self._of(family, a, b, "names")
            first = len(self.names)
            channels = f"c{a}:" if a == b else f"c{a}xc{b}:"
            self.names += [(channels if several else "") + name for name in own]
            self.families.append(family)
            self.sets.append(slice(first, len(self.names)))

    def _each(self):
        """(family, module, a, b) of each set of coefficients."""
        for a, b in self.pairs:
            for family, part in self.parts.items():
                if a == b or family in CROSS:
                    yield family, part, a, b

    def _of(self, family, a, b, what):
        return getattr(self.parts[family], what if a == b else f"cross_{what}")

    def labels(self):
        """Labels of the coefficients of each set."""
        return [self._of(family, a, b, "labels") for family, _, a, b in self._each()]

    def norm(self, x):
        """Normalisation by reference maps (n, n_channels, h, w): a list, an entry for each set."""
        x = mirrored(x) if self.mirror else x
        found = []
        for family, part, a, b in self._each():
            other = None if a == b else x[:, b]
            found.append(part.norm(x[:, a], other) if family in NORMED else None)
        return found

    def mean_norm(self, x):
        """That of maps on average."""
        return [
            None if one is None else {key: v.mean(0, keepdim=True) for key, v in one.items()}
            for one in self.norm(x)
        ]

    def forward(self, maps, reference=None):
        """Coefficients (n, n_coefficients) of maps (n, n_channels, h, w)."""
        whole = mirrored(maps) if self.mirror else maps
        parts = []
        for i, (_, part, a, b) in enumerate(self._each()):
            # local averages have their own way to mirror
            x = maps if isinstance(part, LocalWST) else whole
            other = None if a == b else x[:, b]
            own = None if reference is None else reference[i]
            parts.append(part(x[:, a], other, own))
        return torch.cat(parts, 1)

    def _plans(self, reduction):
        """Matrix (or None) and names of each set of coefficients."""
        if reduction not in self._reductions:
            plans = []
            for family, part, a, b in self._each():
                labels, names = (self._of(family, a, b, what) for what in ("labels", "names"))
                matrix = None
                if family in REDUCIBLE:
                    if isinstance(part, LocalWST):
                        raise ValueError(
                            f"reduction={reduction!r} with output='local'; expected 'global'."
                        )
                    for plan in REDUCTIONS[reduction]:
                        one, labels, names = plan(labels, names)
                        matrix = one if matrix is None else one @ matrix
                plans.append((matrix, names))
            self._reductions[reduction] = plans
        return self._reductions[reduction]

    def reduce(self, found, reduction):
        """Coefficients with fewer angles and scales; families that have none stay as they are."""
        parts = []
        for (matrix, _), rows in zip(self._plans(reduction), self.sets, strict=True):
            own = found[:, rows]
            parts.append(own if matrix is None else apply(matrix, own))
        return torch.cat(parts, 1)

    def reduced_names(self, reduction):
        """Names of what `reduce` gives."""
        found = []
        for (_, names), rows in zip(self._plans(reduction), self.sets, strict=True):
            channels, colon, _ = self.names[rows.start].partition(":")
            found += [(channels + colon if colon else "") + name for name in names]
        return found

    def stages(self):
        """The families whose statistics a synthesis looks for first, then all of them.

        Beside the few of large weight, which are easily met by noise, the many would come too late to
        shape anything: they go first.
        """
        heavy = [family for family in self.parts if family not in WEIGHTS]
        every = list(self.parts)
        return [heavy, every] if heavy and heavy != every else [every]

    def only(self, families):
        """The statistics of some families; which entries of a reference and which coefficients are theirs."""
        part = Several({name: self.parts[name] for name in families}, self.pairs, self.mirror)
        entries = [i for i, family in enumerate(self.families) if family in families]
        rows = np.concatenate([np.arange(self.sets[i].start, self.sets[i].stop) for i in entries])
        return part, entries, torch.from_numpy(rows)

    def between(self, pairs):
        """The same statistics, of other pairs of channels alone."""
        found = Several(self.parts, pairs, self.mirror)
        if not found.names:
            raise ValueError(
                f"family={'+'.join(self.parts)!r} has no cross coefficients; expected one of {CROSS}."
            )
        return found

    def family_scale(self, found):
        """Scale of each coefficient in the mean of squares that a synthesis makes small.

        Families count alike, but for those of few and large numbers beside scattering statistics: at the
        same weight these would be all that counts.
        """
        heavy = set(self.families) - set(WEIGHTS)
        weights = [WEIGHTS.get(family, 1.0) if heavy else 1.0 for family in self.families]
        scale = torch.ones_like(found[0])
        for rows, weight in zip(self.sets, weights, strict=True):
            share = weight / sum(weights)
            scale[rows] = ((rows.stop - rows.start) / (len(scale) * share)) ** 0.5
        return scale

    def logarithm(self, found):
        """Logarithm of the coefficients that are positive: those of "wst" but the mean."""
        parts = []
        for (family, _, a, b), rows in zip(self._each(), self.sets, strict=True):
            own = found[:, rows]
            if family == "wst":
                positive = torch.from_numpy(self._of(family, a, b, "labels")["order"] > 0)
                tiny = torch.finfo(own.dtype).tiny
                own = torch.where(positive.to(own.device), own.clamp_min(tiny).log(), own)
            parts.append(own)
        return torch.cat(parts, 1)
