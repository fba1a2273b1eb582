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
    shape = start.shape[1:]
    signal, history = start, []
    n = len(start)
    total = sum(max_iter for _, max_iter in eras)
    bar = tqdm(total=total, desc="separation", unit="iteration", disable=not verbose)

    for samples, max_iter in eras:
        era = replace(problem, samples=problem.samples[samples])
        losses = {}
        for constraint in constraints:
            losses[_key(constraint, losses)] = (constraint, constraint.prepare(signal, era))
        found = {name: torch.full((n,), torch.nan) for name in losses}
        base, best = signal, signal.clone()
        lowest = signal.new_full((n,), torch.inf)

        def complete(z, problem, base=base):
            modes = torch.fft.rfft2(z.view(-1, *shape)) * (problem.step * free)
            return base[problem.which] + torch.fft.irfft2(modes, s=shape[-2:])

        def loss(
            z, which, era=era, losses=losses, found=found, best=best, lowest=lowest,
            complete=complete,
        ):  # fmt: skip
            some = era.rows(which)
            maps = complete(z, some)
            value = 0.0
            for name, (constraint, function) in losses.items():
                own = function(maps, some)
                found[name][which.cpu()] = own.detach().float().cpu()
                value = value + constraint.weight * own
            better = value.detach() < lowest[which]
            rows = which[better]
            lowest[rows], best[rows] = value.detach()[better], maps.detach()[better]
            return value

        def report(n_iter, values, found=found):
            bar.update(1)
            shown = {name: f"{float(own.nanmean()):.3g}" for name, own in found.items()}
            bar.set_postfix(shown, refresh=False)

        search = BatchLBFGS(
            loss,
            max_iter=max_iter,
            relative_tolerance=tolerance,
            history_size=HISTORY,
            callback=report,
        )
        try:
            search.minimize(start.new_zeros(n, start[0].numel()))
        except KeyboardInterrupt:
            bar.close()
            raise Interrupted(best) from None
        signal = best
        history.append({name: own.numpy().copy() for name, own in found.items()})
    bar.close()
    return signal, history


def _key(constraint, taken):
    """Name of a constraint, with a number where another has the same."""
    name, i = constraint.name, 2
    while name in taken:
        name, i = f"{constraint.name}_{i}", i + 1
    return name
