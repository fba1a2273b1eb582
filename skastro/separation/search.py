"""From arrays of maps to a problem of tensors, and from there to signals: what all separators share."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skastro.base import row_blocks
from skastro.separation.descent import Interrupted, separate
from skastro.separation.hypotheses import suppose
from skastro.separation.problem import draw, pose
from skastro.separation.reports import joined
from skastro.separation.scale_mixture import scale_mixture_filter

__all__ = ["Search"]


@dataclass
class Search:
    """How signals are sought in mixtures of the plane (n, n_channels, h, w) or the sphere (..., n_pixels).

    Attributes
    ----------
    constraints : list of Constraint
    samples : ndarray of shape (n_samples, n_channels, h, w) or (n_samples, n_channels, n_pixels)
        Of the contamination, without their mean.
    mean, scale : ndarray of shape (n_channels,)
        Of the contamination: its mean and standard deviation.
    describe : callable
        Of mixtures, a Tensor: their Description.
    exact : bool
        Whether averages over samples are taken at each gradient.
    n_samples, n_eras, max_iter : int
    tolerance : float
    n_octaves_drawn : int
    dtype : str
    device : torch.device
    verbose : int
    row_bytes, max_memory : int
        Memory for the work on one mixture, and for that on a block of them.
    frame : Frame or None
        Of maps that are not whole.
    bands : tuple of two Degrees or None
        On the sphere, as `pose` takes them.
    """

    constraints: list
    samples: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    describe: object
    exact: bool
    n_samples: int
    n_eras: int
    max_iter: int
    tolerance: float
    n_octaves_drawn: int
    dtype: str
    device: torch.device
    verbose: int
    row_bytes: int
    max_memory: int
    frame: object = None
    bands: tuple = None

    def find(self, maps, start, seed):
        """The signal in each mixture.

        Parameters
        ----------
        maps : ndarray of shape (n, n_channels, h, w) or (n, n_channels, n_pixels)
        start : ndarray of that shape, "data" or "smoothed"
            Where to begin.
        seed : int
            The same for each block: a mixture does not depend on what it is separated with.

        Returns
        -------
        signal : ndarray of the shape of `maps`
            The mixtures where it was not reached.
        history : list of dict
        n_found : int or None
            If it was interrupted: how many signals there are.
        """

        def one(rows):
            first = start if isinstance(start, str) else start[rows]
            generator = torch.Generator().manual_seed(seed)
            return self._find(maps[rows], first, generator, np.arange(len(maps))[rows])

        return self._in_blocks(maps, one)

    def sample(self, maps, which, seed):
        """Signals that might be, each of one of the mixtures.

        Parameters
        ----------
        maps : ndarray of shape (n, n_channels, h, w) or (n, n_channels, n_pixels)
        which : ndarray of int of shape (n_signals,)
            The mixture of each.
        seed : int

        Returns
        -------
        signal, history, n_found
            As `find`.
        """
        generator = torch.Generator().manual_seed(seed)
        return self._in_blocks(
            maps[which], lambda rows: self._sample(maps[which[rows]], generator, which[rows])
        )

    def _in_blocks(self, maps, one):
        signal, history = maps.astype(self.dtype), []
        for rows in row_blocks(len(maps), self.row_bytes, self.max_memory):
            signal[rows], more, stopped = one(rows)
            history = joined(history, more)
            if stopped:
                return signal, history, rows.stop
        return signal, history, None

    def _find(self, maps, start, generator, numbers):
        problem = self._pose(maps, numbers)
        if self.bands is None:
            with torch.no_grad():
                problem = replace(problem, wiener=scale_mixture_filter(problem))
        free = torch.ones_like(problem.step[0, 0])
        if isinstance(start, str):
            first = problem.mixtures if start == "data" else problem.wiener
            contamination, drawn = draw(problem, self.n_octaves_drawn, generator)
            first, free = first - contamination, (~drawn).to(first)
        else:
            first = (problem.extended(self._tensor(start)) - problem.offset) / problem.unit
        return self._run(problem, maps, first, self._eras(generator), free)

    def _sample(self, maps, generator, numbers):
        n_choices = min(self.n_samples, len(self.samples))
        problem = suppose(self._pose(maps, numbers), n_choices, generator)
        samples = self._eras(generator)[0][0]
        free = torch.ones_like(problem.step[0, 0])
        # powers and modes are right already: one era adds the statistics
        return self._run(problem, maps, problem.wiener, [(samples, self.max_iter)], free)

    def _tensor(self, values):
        return torch.from_numpy(np.ascontiguousarray(values, dtype=self.dtype)).to(self.device)

    def _by_channel(self, values):
        """Numbers (n_channels,) that broadcast to maps."""
        return values.reshape(-1, *[1] * (self.samples.ndim - 2))

    def _extended(self, maps):
        return maps if self.frame is None else self.frame.extended(maps)

    def _pose(self, maps, numbers):
        unit, mean = self._by_channel(self.scale), self._mean(maps)
        with torch.no_grad():
            mixtures = self._extended(self._tensor((maps - mean) / unit))
            samples = self._extended(self._tensor(self.samples)) / self._tensor(unit)
            return pose(
                mixtures,
                samples,
                self.describe(mixtures),
                self._tensor(unit),
                self._tensor(mean - self._by_channel(self.mean)),
                self.exact,
                self.frame,
                torch.from_numpy(numbers).to(self.device),
                self.bands,
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
        signal = problem.visible(signal).cpu().numpy() * self._by_channel(self.scale)
        signal = signal + (self._mean(maps) - self._by_channel(self.mean))
        return signal.astype(self.dtype), history, stopped

    def _mean(self, maps):
        """Of the maps as they are continued, one a map and channel."""
        maps = self._extended(np.ascontiguousarray(maps))
        return maps.mean(axis=tuple(range(2, maps.ndim)), keepdims=True, dtype=float)
