"""The search for the signal in mixtures, by eras: L-BFGS in steps that suit each mode."""

from dataclasses import replace

import torch
from tqdm.auto import tqdm

from skastro.lbfgs import BatchLBFGS

__all__ = ["Interrupted", "separate"]

HISTORY = 10


class Interrupted(Exception):
    """The search was stopped from outside; `signal` is the best until then."""

    def __init__(self, signal):
        super().__init__()
        self.signal = signal


def separate(problem, constraints, start, eras, *, tolerance, free, verbose=0):
    """Find the signals that agree best with constraints.

    Modes move in units of what the Wiener filter does not know of them: small ones where the mixture is
    almost the signal, and where the signal is faint.

    Parameters
    ----------
    problem : Problem
        With all samples.
    constraints : list of Constraint
    start : Tensor of shape (n, n_channels, h, w)
    eras : list of tuple (samples, max_iter)
        Numbers of the samples of the contamination, and steps.
    tolerance : float
        An era ends when 10 steps together lower the loss by less than this part.
    free : Tensor of shape (h, w // 2 + 1)
        0 for modes that stay as they are, 1 for the others.
    verbose : int

    Returns
    -------
    signal : Tensor of shape (n, n_channels, h, w)
    history : list of dict
        For each era, of each constraint the losses (n,) at its end, without their weights.

    Raises
    ------
    Interrupted
        On Ctrl-C, with what there is.

    Examples
    --------
    See `StatisticalSeparator`.
    """
    signal, history = start, []
    total = sum(max_iter for _, max_iter in eras)
    with tqdm(total=total, desc="separation", unit="iteration", disable=not verbose) as bar:
        for samples, max_iter in eras:
            era = _Era(replace(problem, samples=problem.samples[samples]), signal, free, bar)
            try:
                history.append(era.run(constraints, max_iter, tolerance))
            except KeyboardInterrupt:
                raise Interrupted(era.best) from None
            signal = era.best
    return signal, history


class _Era:
    """One search, from signals that it begins with; `best` are the best so far, whenever it ends."""

    def __init__(self, problem, signal, free, bar):
        self.problem, self.base, self.bar = problem, signal, bar
        self.step = problem.step * free
        self.best = signal.clone()
        self.lowest = signal.new_full((len(signal),), torch.inf)

    def run(self, constraints, max_iter, tolerance):
        """Search, and give the losses (n,) of each constraint at the end."""
        self.terms = {}
        for constraint in constraints:
            prepared = constraint.prepare(self.base, self.problem)
            self.terms[_key(constraint, self.terms)] = constraint.weight, prepared
        self.found = {name: torch.full((len(self.base),), torch.nan) for name in self.terms}
        search = BatchLBFGS(
            self.loss,
            max_iter=max_iter,
            relative_tolerance=tolerance,
            history_size=HISTORY,
            callback=self.report,
        )
        search.minimize(self.base.new_zeros(len(self.base), self.base[0].numel()))
        return {name: own.numpy().copy() for name, own in self.found.items()}

    def loss(self, z, which):
        """Of the signals that are changed by z, in units of each mode's step."""
        problem = self.problem.rows(which)
        z = z.view(-1, *self.base.shape[1:])
        maps = self.base[which] + problem.fine.filter(z, self.step[which])
        value = 0.0
        for name, (weight, function) in self.terms.items():
            own = function(maps, problem)
            self.found[name][which.cpu()] = own.detach().float().cpu()
            value = value + weight * own
        better = value.detach() < self.lowest[which]
        rows = which[better]
        self.lowest[rows], self.best[rows] = value.detach()[better], maps.detach()[better]
        return value

    def report(self, n_iter, values):
        self.bar.update(1)
        shown = {name: f"{float(own.nanmean()):.3g}" for name, own in self.found.items()}
        self.bar.set_postfix(shown, refresh=False)


def _key(constraint, taken):
    """Name of a constraint, with a number where another has the same."""
    name, i = constraint.name, 2
    while name in taken:
        name, i = f"{constraint.name}_{i}", i + 1
    return name
