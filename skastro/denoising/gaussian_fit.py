"""Maps of Gaussian components: projected L-BFGS on every grid of the sky, from coarse to fine."""

import math
from collections import deque
from typing import NamedTuple

import torch

from skastro.denoising.gaussian_grids import MultilevelDiagonal, prolong
from skastro.denoising.gaussian_model import misfit, roughness, share_within, total

__all__ = ["MIN_SHARE", "MapProblem", "Minimum", "Prior", "fit_maps", "minimize_maps"]

HISTORY = 5  # pairs of steps and changes of gradient; 10 or 20 gain nothing
WINDOW = 10  # iterations over which the decrease is judged
MAX_BACKTRACKS = 12
ARMIJO = 1e-4
MIN_SHARE = 0.6  # 0.5 to 0.7 make no difference to the signal; less leaves noise, more takes flux


class Prior(NamedTuple):
    """What is asked of the parameters, data aside.

    Attributes
    ----------
    smooth : tuple of 3 floats
        Weights of the squared Laplacians of amplitude, velocity and width; see `roughness`.
    width_variance : float
        Weight of the variance of each component's width over the sky.
    lower, upper : tuple of 3 floats
        Bounds of amplitude, velocity and width.
    """

    smooth: tuple
    width_variance: float
    lower: tuple
    upper: tuple


class Minimum(NamedTuple):
    """Where `minimize_maps` has come to.

    Attributes
    ----------
    parameters : Tensor of shape (3, n_components, n_y, n_x)
    value : float
        Of the objective.
    n_iter : int
    """

    parameters: torch.Tensor
    value: float
    n_iter: int


class MapProblem:
    """Objective of maps of components on one grid, and what a minimiser asks of it.

    Parameters
    ----------
    level : Level
    prior : Prior
    support : Tensor of bool of shape (n_components, n_y, n_x), optional
        Where a component may have an amplitude. By default everywhere.
    """

    def __init__(self, level, prior, support=None):
        self.data, self.weight = (one.flatten(0, 1) for one in level)
        self.prior, self.support = prior, support
        self.smooth, self.lower, self.upper = (
            self.data.new_tensor(one).view(3, 1, 1, 1)
            for one in (prior.smooth, prior.lower, prior.upper)
        )

    def evaluate(self, parameters):
        """Objective and gradient."""
        found = misfit(parameters.flatten(2), self.data, self.weight)
        value, gradient = roughness(parameters, self.prior.smooth, self.prior.width_variance)
        return value + total(found.value), gradient.add_(found.gradient.view_as(gradient))

    def preconditioner(self, parameters):
        """Approximate inverse of the second derivatives: a function of maps."""
        flat = parameters.flatten(2)
        found = misfit(flat, self.data, self.weight, gradient=False, curvature="diagonal")
        diagonal = found.curvature.view_as(parameters)
        diagonal[2] += self.prior.width_variance
        return MultilevelDiagonal(diagonal, self.smooth)

    def project(self, parameters):
        """The nearest parameters within the bounds; in place."""
        torch.minimum(
            torch.maximum(parameters, self.lower, out=parameters), self.upper, out=parameters
        )
        if self.support is not None:
            parameters[0].mul_(self.support)
        return parameters

    def free(self, parameters, gradient):
        """Parameters that their gradient does not hold at a bound."""
        free = ~((parameters <= self.lower) & (gradient > 0))
        free &= ~((parameters >= self.upper) & (gradient < 0))
        if self.support is not None:
            free[0] &= self.support
        return free

    def limit(self, step, parameters):
        """Cut a step to where a quadratic model still means something; in place."""
        width = parameters[2]
        step[1].clamp_(-width, width)
        step[2].clamp_(-0.4 * width, 0.5 * width)
        return step


def _dot(a, b):
    return float(torch.dot(a.view(-1), b.view(-1)))


def _direction(gradient, free, history, precondition):
    """Two-loop recursion over the free parameters."""
    step = gradient.neg().mul_(free)
    factors = []
    for moved, change, curvature in reversed(history):
        factors.append(_dot(moved, step) / curvature)
        step.add_(change, alpha=-factors[-1])
    step = precondition(step)
    if history:
        moved, change, curvature = history[-1]
        step *= curvature / _dot(change, precondition(change))
    for (moved, change, curvature), factor in zip(history, reversed(factors), strict=True):
        step.add_(moved, alpha=factor - _dot(change, step) / curvature)
    return step.mul_(free)


def _search(problem, parameters, value, gradient, step):
    """Backtrack along the projected step until the objective has decreased enough."""
    slope = _dot(gradient, step)
    if not slope < 0.0:
        return None
    length = 1.0
    for _ in range(MAX_BACKTRACKS):
        # cut anew for each length: a cut step need not descend, however short
        new = problem.project(problem.limit(length * step, parameters).add_(parameters))
        new_value, new_gradient = problem.evaluate(new)
        if new_value <= value + ARMIJO * _dot(gradient, new - parameters):
            return new, new_value, new_gradient
        # the minimum of the parabola through what is known; NaN and infinity fail every comparison
        excess = new_value - value - slope * length
        best = -0.5 * slope * length / excess if 0.0 < excess < math.inf else 0.0
        length *= min(0.5, max(0.1, best))
    return None


def minimize_maps(problem, parameters, *, max_iter, tol, callback=None):
    """Minimise the objective of maps of components within their bounds.

    Preconditioned L-BFGS; parameters that lie at a bound and would leave it are held, and steps
    are projected.

    Parameters
    ----------
    problem : MapProblem
    parameters : Tensor of shape (3, n_components, n_y, n_x)
    max_iter : int
    tol : float
        Ends when the objective decreases by less than this fraction an iteration, on average over 10.
    callback : callable, optional
        Called with the objective after each iteration.

    Returns
    -------
    minimum : Minimum
    """
    history, values = deque(maxlen=HISTORY), deque(maxlen=WINDOW + 1)
    parameters = problem.project(parameters.clone())
    value, gradient = problem.evaluate(parameters)
    precondition = problem.preconditioner(parameters)
    n_iter = 0
    while n_iter < max_iter:
        values.append(value)
        if len(values) > WINDOW and values[0] - value < WINDOW * tol * abs(value):
            break
        free = problem.free(parameters, gradient)
        step = _direction(gradient, free, history, precondition)
        found = _search(problem, parameters, value, gradient, step)
        if found is None:
            if not history:
                break
            # what was learnt about the curvature misleads: start anew from here
            history.clear()
            values.clear()
            precondition = problem.preconditioner(parameters)
            continue
        new, value, new_gradient = found
        moved, change = new - parameters, new_gradient - gradient
        curvature = _dot(moved, change)
        if curvature > 1e-6 * math.sqrt(_dot(moved, moved) * _dot(change, change)):
            history.append((moved, change, curvature))
        parameters, gradient = new, new_gradient
        n_iter += 1
        if callback is not None:
            callback(value)
    return Minimum(parameters, value, n_iter)


def fit_maps(levels, start, prior, *, max_iter, tol, mask=None, callback=None):
    """Fit maps of components on all grids of a pyramid, each from the solution on the coarser one.

    Parameters
    ----------
    levels : list of Level
        From `pyramid`.
    start : Tensor of shape (3, n_components)
        Components of the mean spectrum.
    prior : Prior
    max_iter, tol
        Of each grid, see `minimize_maps`.
    mask : Tensor of bool of the shape of the finest data, optional
        True where there is signal: on the finest grid a component has no amplitude where less than
        `MIN_SHARE` of its profile lies within.
    callback : callable, optional
        Called with (n_y, n_x) and the objective after each iteration.

    Returns
    -------
    parameters : Tensor of shape (3, n_components, n_y, n_x)
    history : list of dict
        One a grid: n_y, n_x, n_iter, objective.
    """
    parameters = start[..., None, None].to(levels[0].data)
    history = []
    for level in levels[1:] or levels:
        shape = tuple(level.data.shape[:2])
        if shape != tuple(parameters.shape[2:]):
            parameters = prolong(parameters, shape)

        def report(value, shape=shape):
            if callback is not None:
                callback(shape, value)

        support = None
        if mask is not None and level is levels[-1]:
            support = share_within(parameters, mask) >= MIN_SHARE
        problem = MapProblem(level, prior, support)
        parameters, value, n_iter = minimize_maps(
            problem, parameters, max_iter=max_iter, tol=tol, callback=report
        )
        history.append({"n_y": shape[0], "n_x": shape[1], "n_iter": n_iter, "objective": value})
    return parameters, history
