"""`CrossConstraint`: what a signal has in common with other maps of the same sky."""

from dataclasses import replace

import numpy as np
import torch

from skastro.healpix import check_sphere_maps
from skastro.maps import check_maps, refuse_constant
from skastro.scattering import ScatteringTransform, SphericalScatteringTransform
from skastro.separation.constraints import Constraint, over_samples
from skastro.separation.contamination import LEAST_SAMPLES

__all__ = ["CrossConstraint"]

RECIPES = (ScatteringTransform, SphericalScatteringTransform)  # of the plane, and of the sphere


class CrossConstraint(Constraint):
    r"""The signal has with other maps the cross statistics that the mixture has with them.

    With `ancillary` maps T, which know nothing of the contamination, :math:`\langle \Phi(s + c_i, T)
    \rangle_i = \Phi(d, T)` [1]_. With `halves`, two mixtures of one signal with independent contaminations,
    :math:`\langle \Phi(s + c_i^1, s + c_i^2) \rangle_i = \Phi(d^1, d^2)` [1]_: what the contaminations add to
    a cross spectrum has a mean of 0. :math:`\Phi` are the cross coefficients alone: correlations of wavelet
    fields, and of those with moduli, of two maps. With the schedule "eras" the bias is
    averaged as an era begins, as by `MixtureConstraint`.

    Parameters
    ----------
    ancillary : array-like of shape (h, w) or (n_maps, h, w), default=None
        Other maps of the same sky, in any unit, the same for all mixtures. On the sphere (n_pixels,), in the
        order of the mixtures.
    halves : tuple of two array-like, default=None
        In place of it: of the shape of the mixtures, (n, h, w) or (n, n_channels, h, w), and in their
        unit; on the sphere (n, n_pixels). What is taken apart is as a rule the mean of both.
    samples : tuple of two array-like, default=None
        Of the contaminations of the halves, (n_samples, h, w) or (n_samples, n_channels, h, w), two or more,
        in the unit of the mixtures: those of one number belong together. All are used in each era. On the
        sphere (n_samples, n_pixels).
    statistics : ScatteringTransform, SphericalScatteringTransform or None, default=None
        A recipe, whose `family` is "covariance", "phase_harmonics" or "power_spectrum". None: "covariance",
        averaged over orientations; on the sphere the recipe of the separator.
    weight : float, default=1.0

    Notes
    -----
    Of several channels of one mixture `MixtureConstraint` takes the cross statistics already. Between the
    halves, each channel goes with itself.

    References
    ----------
    .. [1] Delouis, Allys, Gauvrit & Boulanger, "Non-Gaussian modelling and statistical denoising of Planck
       dust polarisation full-sky maps using scattering transforms", A&A 668, A122 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation import CrossConstraint
    >>> template = np.random.default_rng(0).normal(size=(32, 32))
    >>> CrossConstraint(template, weight=0.5)
    CrossConstraint(ancillary of shape (1, 32, 32), weight=0.5)
    """

    name = "cross"

    def __init__(self, ancillary=None, *, halves=None, samples=None, statistics=None, weight=1.0):
        super().__init__(weight)
        if (ancillary is None) == (halves is None):
            both = "neither" if halves is None else "both"
            raise ValueError(
                f"ancillary and halves: {both} given; expected one of them, other maps of the sky or two "
                "mixtures."
            )
        if statistics is not None and not isinstance(statistics, RECIPES):
            raise ValueError(f"statistics={statistics!r}; expected a ScatteringTransform or None.")
        self.statistics = statistics
        self.ancillary, self.halves, self.samples = ancillary, None, None
        if ancillary is not None:
            if samples is not None:
                raise ValueError("samples with ancillary; expected them with halves alone.")
            if np.ndim(ancillary) == 1:
                maps, _ = check_sphere_maps(np.asanyarray(ancillary)[None], "ancillary")
            else:
                maps, _ = check_maps(ancillary, "ancillary", ndims=(2, 3))
                maps = maps.reshape(1, -1, *maps.shape[-2:])
                refuse_constant(maps, "ancillary")
            grid = tuple(range(2, maps.ndim))
            self.ancillary = (_centred(maps) / maps.std(grid, float, keepdims=True))[0]
            return
        self.halves = _two(halves, "halves")
        if samples is None:
            raise ValueError("samples=None with halves; expected those of both contaminations.")
        self.samples = _two(samples, "samples")
        n = len(self.samples[0])
        if n < LEAST_SAMPLES or self.samples[0].shape[1:] != self.halves[0].shape[1:]:
            raise ValueError(
                f"samples have shape {self.samples[0].shape}; expected ({LEAST_SAMPLES} or more, "
                f"{', '.join(map(str, self.halves[0].shape[1:]))}), as halves."
            )

    def __repr__(self):
        what = "ancillary" if self.halves is None else "halves"
        shape = (self.ancillary if self.halves is None else self.halves[0]).shape
        recipe = "" if self.statistics is None else f", statistics={self.statistics!r}"
        return f"{type(self).__name__}({what} of shape {shape}{recipe}, weight={self.weight!r})"

    def statistic(self, signal, problem):
        alone = replace(problem, which=torch.arange(len(signal), device=signal.device))
        return self._side(problem).statistic(signal, alone)

    def goal(self, signal, problem):
        return self._side(problem).goal(signal, problem)

    def prepare(self, signal, problem):
        # the statistics of both maps are made once an era
        return self._side(problem).prepare(signal, problem)

    def _side(self, problem):
        """The constraint on mixtures that are all there."""
        maps = problem.mixtures
        if self.halves is None:
            shape = tuple(problem.visible(maps).shape[2:])
            if self.ancillary.shape[1:] != shape:
                raise ValueError(
                    f"ancillary has maps of {self.ancillary.shape[1:]} pixels; expected {shape}, as the "
                    "mixtures."
                )
            other = problem.extended(torch.from_numpy(self.ancillary).to(maps))
            other = other.expand(len(maps), *other.shape)
            return _Beside(self, problem, other)
        first, second = (self._halves(one, problem) for one in self.halves)
        samples = [
            problem.extended(torch.from_numpy(_centred(one)).to(maps)) / problem.unit
            for one in self.samples
        ]
        return _Halves(self, problem, (first, second), samples)

    def _halves(self, half, problem):
        numbers = problem.numbers.cpu().numpy()
        shape = tuple(problem.visible(problem.mixtures).shape[1:])
        if half.shape[1:] != shape or len(half) <= numbers.max():
            raise ValueError(
                f"halves have shape {half.shape}; expected ({numbers.max() + 1}, "
                f"{', '.join(map(str, shape))}), as the mixtures."
            )
        maps = torch.from_numpy(_centred(half[numbers])).to(problem.mixtures) / problem.unit
        return problem.extended(maps)


class _Pair(Constraint):
    """Cross statistics of two maps, made for the mixtures of a problem: a child says of which."""

    name = "cross"

    def __init__(self, constraint, problem, first, second, pairs):
        super().__init__(constraint.weight)
        self.data = torch.cat([first, second], 1)
        recipe = constraint.statistics
        if recipe is None and self.data.ndim == 4:
            recipe = ScatteringTransform(reduction="isotropic")
        if recipe is not None and isinstance(recipe, ScatteringTransform) != (self.data.ndim == 4):
            kind = RECIPES[self.data.ndim == 3].__name__
            raise ValueError(f"statistics={recipe!r}; expected a {kind} of these maps.")
        self.describe = problem.describe.of_others(self.data, recipe, pairs)

    def statistic(self, signal, problem):
        if not problem.exact:
            return self._of(signal, problem, None)
        if problem.chosen is not None:
            return self._of(signal, problem, self._chosen(problem))
        samples = self._samples(problem)
        return sum(self._of(signal, problem, c) for c in samples) / len(samples)

    def goal(self, signal, problem):
        samples, chosen = self._samples(problem), problem.chosen
        chosen = None if chosen is None else chosen % len(samples)
        samples = replace(problem, samples=samples, chosen=chosen)
        mean, std = over_samples(lambda c: self._of(signal, problem, c), samples)
        target = self.describe(self.data)
        if not problem.exact:
            target = target - mean + self._of(signal, problem, None)
        return target, std * self.describe.kind_scale


class _Beside(_Pair):
    def __init__(self, constraint, problem, other):
        self.other = other
        n, m = problem.mixtures.shape[1], other.shape[1]
        pairs = [(c, n + t) for c in range(n) for t in range(m)]
        super().__init__(constraint, problem, problem.mixtures, other, pairs)

    def _samples(self, problem):
        return problem.samples

    def _chosen(self, problem):
        return problem.samples[problem.chosen]

    def _of(self, signal, problem, c):
        whole = signal if c is None else problem.filled(signal + c)
        return self.describe(torch.cat([whole, self.other[problem.which]], 1), problem.which)


class _Halves(_Pair):
    def __init__(self, constraint, problem, halves, samples):
        self.samples = list(zip(*samples, strict=True))
        n = problem.mixtures.shape[1]
        super().__init__(constraint, problem, *halves, [(c, n + c) for c in range(n)])

    def _samples(self, problem):
        return self.samples

    def _chosen(self, problem):
        which = problem.chosen % len(self.samples)
        return [torch.stack(one)[which] for one in zip(*self.samples, strict=True)]

    def _of(self, signal, problem, c):
        both = [signal, signal]
        if c is not None:
            both = [problem.filled(signal + one) for one in c]
        return self.describe(torch.cat(both, 1), problem.which)


def _two(maps, name):
    """Two stacks of maps (n, n_channels, h, w) of one shape."""
    if not isinstance(maps, tuple | list) or len(maps) != 2:
        seen = f"{len(maps)} of them" if isinstance(maps, tuple | list) else type(maps).__name__
        raise ValueError(f"{name} is {seen}; expected a tuple of two stacks of maps.")
    found = []
    for i, one in enumerate(maps):
        if np.ndim(one) == 2:
            one, unit = check_sphere_maps(one, f"{name}[{i}]")
        else:
            one, unit = check_maps(one, f"{name}[{i}]", ndims=(3, 4))
            one = one.reshape(len(one), -1, *one.shape[-2:])
        if unit is not None:
            raise ValueError(
                f"{name}[{i}] has unit {unit!r}; expected plain numbers, in the unit of the samples in fit."
            )
        refuse_constant(one, f"{name}[{i}]")
        found.append(one)
    if found[0].shape != found[1].shape:
        raise ValueError(
            f"{name} have shapes {found[0].shape} and {found[1].shape}; expected one shape."
        )
    return found


def _centred(maps):
    return maps - maps.mean(tuple(range(2, maps.ndim)), float, keepdims=True)
