"""L-BFGS for a batch of independent problems: one evaluation of all serves each of them."""

from dataclasses import dataclass, field

import torch

__all__ = ["BatchLBFGS"]

ARMIJO = 1e-4
SHORTEST, LONGEST = 0.1, 0.5  # range of the factor by which a step is cut
MOST_CUTS = 12
CURVATURE = 1e-6  # least cosine between a step and the change of the gradient
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-13}  # of a loss, relative


@dataclass
class BatchLBFGS:
    """Minimise many functions of as many vectors at the same time.

    Each vector has its own directions, step lengths and end; those that have ended are no longer
    evaluated. A step is cut until the loss falls enough (Armijo), by the minimum of a parabola.

    Parameters
    ----------
    function : callable
        Of a Tensor (n, d) and the indices (n,) of the problems that these are; returns the losses
        (n,), differentiable.
    max_iter : int
    tolerance : float
        A problem ends when its loss is at most this.
    relative_tolerance : float
        It ends also when 10 iterations together have lowered its loss by less than this part.
    history_size : int
        Steps that the curvature is taken from.
    callback : callable or None
        Called after each iteration with the number of it and the losses (n,); returns True to stop.

    Attributes
    ----------
    n_evaluations : int
        Of the function, by batches.
    n_iter : int

    References
    ----------
    .. [1] Liu & Nocedal, "On the limited memory BFGS method for large scale optimization",
       Mathematical Programming 45, 503 (1989).

    Examples
    --------
    >>> import torch
    >>> from skastro.lbfgs import BatchLBFGS
    >>> target = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> search = BatchLBFGS(lambda x, which: (x - target[which]).square().sum(1), max_iter=20)
    >>> x, loss = search.minimize(torch.zeros(2, 2))
    >>> bool((x - target).abs().max() < 1e-3)
    True
    """

    function: callable
    max_iter: int = 100
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    history_size: int = 20
    callback: callable = None
    n_evaluations: int = field(default=0, init=False)
    n_iter: int = field(default=0, init=False)

    def minimize(self, start):
        """Minimise from `start`, a Tensor (n, d).

        Returns
        -------
        x : Tensor of shape (n, d)
            The best that was found of each.
        loss : Tensor of shape (n,)
        """
        x = start.detach().clone()
        which = torch.arange(len(x), device=x.device)
        loss, gradient = self._evaluate(x, which)
        finite = torch.isfinite(loss)
        if not finite.all():
            raise ValueError(
                f"the loss is not finite at the start of problem {int((~finite).nonzero()[0])}; "
                "expected numbers."
            )
        memory = _Memory(self.history_size)
        earlier = [loss.clone()]
        self.n_iter = 0
        while self.n_iter < self.max_iter and len(which):
            end = loss[which] <= self.tolerance
            if len(earlier) > 10:
                before = earlier[-11][which]
                end |= before - loss[which] <= self.relative_tolerance * before.abs()
            end |= gradient.square().sum(1) == 0
            if end.any():
                which, gradient, memory = which[~end], gradient[~end], memory.keep(~end)
                continue
            moved, gradient = self._step(x, loss, gradient, which, memory)
            if not moved.all():
                which, gradient, memory = which[moved], gradient[moved], memory.keep(moved)
            self.n_iter += 1
            earlier.append(loss.clone())
            if self.callback is not None and self.callback(self.n_iter, loss):
                break
        return x, loss

    def _evaluate(self, x, which):
        self.n_evaluations += 1
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            loss = self.function(x, which)
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), gradient

    def _step(self, x, loss, gradient, which, memory):
        """One iteration of the problems `which`, in place; whether each moved, and its gradient."""
        direction = memory.direction(gradient)
        slope = (gradient * direction).sum(1)
        # rounding can spoil a direction: downhill then
        wrong = ~(slope < 0)
        if wrong.any():
            direction[wrong] = memory.forget(wrong, gradient)
            slope = (gradient * direction).sum(1)
        old, old_loss = x[which], loss[which]
        length = torch.ones_like(slope)
        new_gradient = gradient.clone()
        todo = torch.arange(len(which), device=x.device)
        slack = ROUNDING.get(x.dtype, 0.0) * old_loss.abs()
        for _ in range(MOST_CUTS):
            trial = old[todo] + length[todo, None] * direction[todo]
            found, slopes = self._evaluate(trial, which[todo])
            goal = old_loss[todo] + ARMIJO * length[todo] * slope[todo] + slack[todo]
            good = found <= goal
            done = todo[good]
            x[which[done]], loss[which[done]] = trial[good], found[good]
            new_gradient[done] = slopes[good]
            excess = found - old_loss[todo] - length[todo] * slope[todo]
            factor = -0.5 * length[todo] * slope[todo] / excess
            factor = factor.nan_to_num(SHORTEST).clamp(SHORTEST, LONGEST)
            todo, factor = todo[~good], factor[~good]
            length[todo] *= factor
            if not len(todo):
                break
        moved = torch.ones(len(which), dtype=torch.bool, device=x.device)
        moved[todo] = False
        memory.add(x[which] - old, new_gradient - gradient)
        if len(todo):
            # once more from the plain gradient, if that is not what has failed
            again = memory.known(todo)
            memory.clear(todo)
            moved[todo[again]] = True
        return moved, new_gradient


class _Memory:
    """The last steps and changes of the gradient of each problem."""

    def __init__(self, size):
        self.size = size
        self.steps, self.changes, self.inverse = [], [], []

    def add(self, step, change):
        product = (step * change).sum(1)
        norm = (step.square().sum(1) * change.square().sum(1)).sqrt()
        # pairs of weight 0 have no part in anything
        inverse = torch.where(product > CURVATURE * norm, 1.0 / product, 0.0)
        self.steps.append(step), self.changes.append(change), self.inverse.append(inverse)
        if len(self.steps) > self.size:
            for part in (self.steps, self.changes, self.inverse):
                del part[0]

    def direction(self, gradient):
        """Minus the inverse Hessian times the gradient, by two loops."""
        q, alphas = -gradient, []
        scale = 1.0 / gradient.square().sum(1).sqrt().clamp_min(torch.finfo(q.dtype).tiny)
        for change, inverse in zip(self.changes, self.inverse, strict=True):
            curvature = 1.0 / (inverse * change.square().sum(1))
            scale = torch.where(inverse > 0, curvature, scale)
        for step, change, inverse in zip(
            *(reversed(part) for part in (self.steps, self.changes, self.inverse)), strict=True
        ):
            alpha = inverse * (step * q).sum(1)
            q = torch.addcmul(q, alpha[:, None], change, value=-1)
            alphas.append(alpha)
        q *= scale[:, None]
        for step, change, inverse in zip(self.steps, self.changes, self.inverse, strict=True):
            beta = inverse * (change * q).sum(1)
            q.addcmul_((alphas.pop() - beta)[:, None], step)
        return q

    def forget(self, where, gradient):
        """Forget the problems `where`; their steepest descents."""
        self.clear(where)
        return self.direction(gradient)[where]

    def clear(self, where):
        for inverse in self.inverse:
            inverse[where] = 0.0

    def known(self, which):
        """Whether there is a pair of each of the problems."""
        known = torch.zeros(len(which), dtype=torch.bool, device=which.device)
        for inverse in self.inverse[:-1]:
            known |= inverse[which] > 0
        return known

    def keep(self, where):
        kept = _Memory(self.size)
        for name in ("steps", "changes", "inverse"):
            setattr(kept, name, [one[where] for one in getattr(self, name)])
        return kept
