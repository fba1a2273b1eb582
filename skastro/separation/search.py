"""From arrays of maps to a problem of tensors, and from there to signals: what an estimator's calls share."""

from dataclasses import dataclass

import numpy as np
import torch

from skastro.separation.descent import Interrupted, separate
from skastro.separation.description import Description
from skastro.separation.hypotheses import suppose
from skastro.separation.problem import draw, pose

__all__ = ["Search"]


@dataclass
class Search:
    """How signals are sought in blocks of mixtures.

    Attributes
    ----------
    constraints : list of Constraint
    samples : ndarray of shape (n_samples, n_channels, h, w)
        Of the contamination, without their mean.
    mean, scale : ndarray of shape (n_channels,)
        Of the contamination: its mean and standard deviation.
    recipe : callable
        Of maps (n, n_channels, h, w): a fitted ScatteringTransform.
    frame : Frame
    exact : bool
        Whether averages over samples are taken at each gradient.
    n_samples, n_eras, max_iter : int
    tolerance : float
    n_octaves_drawn : int
    dtype : str
    device : torch.device
    verbose : int
    """

    constraints: list
    samples: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    recipe: object
    frame: object
    exact: bool
    n_samples: int
    n_eras: int
    max_iter: int
    tolerance: float
    n_octaves_drawn: int
    dtype: str
    device: torch.device
    verbose: int

    def find(self, maps, start, generator, numbers=None):
        """Signals in mixtures (n, n_channels, h, w).

        Parameters
        ----------
        maps : ndarray of shape (n, n_channels, h, w)
        start : ndarray of that shape, "data" or "smoothed"
            Where to begin.
        generator : torch.Generator
        numbers : ndarray of int of shape (n,), optional
            Of the mixtures among all that were given. None: they are all.

        Returns
        -------
        signal : ndarray of shape (n, n_channels, h, w)
        history : list of dict
        stopped : bool
            Whether it was interrupted.
        """
        problem = self._pose(maps, numbers)
        free = torch.ones_like(problem.step[0, 0])
        if isinstance(start, str):
            first = problem.mixtures if start == "data" else problem.wiener
            if self.n_octaves_drawn:
                radius = problem.fine.get("radius", first)
                drawn = (radius >= 1) & (radius < 2**self.n_octaves_drawn)
                first = first - draw(problem, drawn, generator)
                free = (~drawn).to(first)
        else:
            first = self.frame.extended(self._tensor(start))
            first = (first - problem.offset) / problem.unit
        return self._run(problem, maps, first, self._eras(generator), free)

    def sample(self, maps, generator, numbers=None):
        """Signals that might be, one for each of the mixtures, of which several may be the same.

        Returns
        -------
        signal, history, stopped
            As `find`.
        """
        problem = suppose(
            self._pose(maps, numbers), min(self.n_samples, len(self.samples)), generator
        )
        samples = self._eras(generator)[0][0]
        free = torch.ones_like(problem.step[0, 0])
        # powers and modes are right already: one era adds the statistics
        return self._run(problem, maps, problem.wiener, [(samples, self.max_iter)], free)

    def _tensor(self, values):
        return torch.from_numpy(np.ascontiguousarray(values, dtype=self.dtype)).to(self.device)

    def _pose(self, maps, numbers=None):
        unit, mean = self.scale[:, None, None], self._mean(maps)
        with torch.no_grad():
            mixtures = self.frame.extended(self._tensor((maps - mean) / unit))
            samples = self.frame.extended(self._tensor(self.samples)) / self._tensor(unit)
            describe = Description(self.recipe(mixtures.cpu().numpy()), mixtures)
            offset = self._tensor(mean - self.mean[:, None, None])
            frame = None if self.frame.whole else self.frame
            if numbers is not None:
                numbers = torch.from_numpy(numbers).to(self.device)
            return pose(
                mixtures, samples, describe, self._tensor(unit), offset, self.exact, frame, numbers
            )[0]

    def _eras(self, generator):
        n = min(self.n_samples, len(self.samples))
        n_eras = 1 if self.exact else self.n_eras
        n_iter = self.max_iter * self.n_eras // n_eras
        return [
            (torch.randperm(len(self.samples), generator=generator)[:n].to(self.device), n_iter)
            for _ in range(n_eras)
        ]

    def _run(self, problem, maps, first, eras, free):
        history, stopped = [], False
        try:
            signal, history = separate(
                problem, self.constraints, first, eras, tolerance=self.tolerance, free=free,
                verbose=self.verbose,
            )  # fmt: skip
        except Interrupted as end:
            signal, stopped = end.signal, True
        signal = self.frame.cut(signal).cpu().numpy() * self.scale[:, None, None]
        signal = signal + (self._mean(maps) - self.mean[:, None, None])
        return signal.astype(self.dtype), history, stopped

    def _mean(self, maps):
        """Of the maps as they are continued, (n, n_channels, 1, 1)."""
        if not self.frame.whole:
            maps = self.frame.extended(np.ascontiguousarray(maps))
        return maps.mean(axis=(2, 3), keepdims=True, dtype=float)
