"""`LocalConstraint`: the regions of a map, each with statistics of its own."""

from dataclasses import replace

import numpy as np
import torch

from skastro.partial_maps import check_valid_pixels, fill_from
from skastro.separation.constraints import Constraint, ContaminationConstraint, MixtureConstraint
from skastro.separation.problem import pose

__all__ = ["LocalConstraint"]


class LocalConstraint(Constraint):
    r"""Another constraint in each of several regions, for fields whose statistics change from place to place.

    Statistics over a whole map are those of its regions on average, and say little of any. Here a region is
    all there is [1]_: the others are filled with its mirror images, in the mixtures, the samples and
    the signal alike, and the constraint is that of the problem which these maps pose, with spectra
    of their own. Other texture beyond the border has no part in it.

    Parameters
    ----------
    masks : array-like of bool of shape (n_regions, h, w), or (n_regions, n_pixels) on the sphere
        True in a region. Regions may overlap; what is in none is left to other constraints. On the sphere
        nothing is filled: the statistics are those of wavelets that lie in a region.
    constraint : Constraint or None, default=None
        Any one. None: `MixtureConstraint`. On the sphere this or `ContaminationConstraint`: others do not
        know of regions there.
    weight : float, default=1.0
        Of the mean over regions; that of `constraint` has no part.

    References
    ----------
    .. [1] Delouis, Allys, Gauvrit & Boulanger, "Non-Gaussian modelling and statistical denoising of Planck
       dust polarisation full-sky maps using scattering transforms", A&A 668, A122 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation import LocalConstraint, SpectrumConstraint
    >>> left = np.arange(32) < 16
    >>> masks = np.stack([left, ~left])[:, None].repeat(32, 1)
    >>> LocalConstraint(masks, SpectrumConstraint()).name
    'local_spectrum'
    """

    def __init__(self, masks, constraint=None, weight=1.0):
        super().__init__(weight)
        self.masks = np.asarray(masks)
        if self.masks.ndim not in (2, 3) or 0 in self.masks.shape:
            raise ValueError(
                f"masks has shape {self.masks.shape}; expected (n_regions, h, w), or on the sphere "
                "(n_regions, n_pixels), none of them 0."
            )
        for i, mask in enumerate(self.masks):
            check_valid_pixels(mask, mask.shape, f"masks[{i}]")
        self.constraint = MixtureConstraint() if constraint is None else constraint
        if not isinstance(self.constraint, Constraint):
            raise ValueError(f"constraint={constraint!r}; expected a Constraint or None.")
        self.name = f"local_{self.constraint.name}"

    def __repr__(self):
        n, *sides = self.masks.shape
        size = " x ".join(map(str, sides))
        return (
            f"{type(self).__name__}({n} regions of {size} pixels, {self.constraint!r}, "
            f"weight={self.weight!r})"
        )

    def statistic(self, signal, problem):
        found = [
            self.constraint.statistic(region.filled(signal), region)
            for region in self._regions(problem)
        ]
        return torch.cat(found, 1)

    def goal(self, signal, problem):
        goals = [
            self.constraint.goal(region.filled(signal), region) for region in self._regions(problem)
        ]
        n = len(signal)
        return [
            torch.cat([torch.as_tensor(one).expand(n, -1) for one in parts], 1)
            for parts in zip(*goals, strict=True)
        ]

    def prepare(self, signal, problem):
        with torch.no_grad():
            regions = self._regions(problem)
            parts = [
                (region, self.constraint.prepare(region.filled(signal), region))
                for region in regions
            ]

        def loss(signal, problem):
            return sum(
                one(region.filled(signal), region.rows(problem.which)) for region, one in parts
            ) / len(parts)

        return loss

    def _regions(self, problem):
        """The problem that each region poses."""
        shape = tuple(problem.visible(problem.mixtures).shape[2:])
        if self.masks.shape[1:] != shape:
            raise ValueError(
                f"masks has shape {self.masks.shape}; expected (n_regions, {', '.join(map(str, shape))}), as "
                "the mixtures."
            )
        if len(shape) == 1:
            return self._on_the_sphere(problem)
        seen = np.zeros(problem.mixtures.shape[2:], bool)
        seen[: shape[0], : shape[1]] = True if problem.frame is None else problem.frame.seen
        found = []
        for i, mask in enumerate(self.masks):
            inside = seen.copy()
            inside[: shape[0], : shape[1]] &= mask
            if not inside.any():
                raise ValueError(f"masks[{i}] has no pixel that is not hidden; expected some.")
            frame = _Region(inside, problem)
            mixtures = frame.filled(problem.mixtures)
            region, _ = pose(
                mixtures,
                frame.filled(problem.samples),
                problem.describe.of_others(mixtures),
                problem.unit,
                problem.offset,
                problem.exact,
                frame,
                problem.numbers,
            )
            found.append(replace(region, chosen=problem.chosen))
        return found

    def _on_the_sphere(self, problem):
        if not isinstance(self.constraint, MixtureConstraint | ContaminationConstraint):
            raise ValueError(
                f"constraint={self.constraint!r} in regions of the sphere; expected a MixtureConstraint or "
                "ContaminationConstraint."
            )
        which = torch.arange(len(problem.mixtures), device=problem.mixtures.device)
        return [
            replace(
                problem,
                which=which,
                describe=problem.describe.of_others(problem.mixtures, mask=mask),
            )
            for mask in self.masks
        ]


class _Region:
    """What a `Frame` is to whole maps: continues a part of them by its mirror image."""

    whole = False

    def __init__(self, inside, problem):
        self.seen = inside[tuple(map(slice, problem.visible(problem.mixtures).shape[2:]))]
        self.source = torch.from_numpy(fill_from(inside)).to(problem.mixtures.device)
        self.share = float(self.seen.sum() / inside.size)
        self.extend, self.cut = problem.extended, problem.visible

    def filled(self, maps):
        return maps.flatten(-2)[..., self.source].view(maps.shape)

    def extended(self, maps):
        return self.filled(self.extend(maps))
