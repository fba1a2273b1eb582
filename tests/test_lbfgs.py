import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from skastro.lbfgs import BatchLBFGS


def rosenbrock(x, which=None):
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)


def test_as_few_iterations_as_scipy():
    start = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 8)))
    search = BatchLBFGS(rosenbrock, max_iter=300, tolerance=1e-14)
    x, loss = search.minimize(start)
    assert (x - 1).abs().max() < 1e-5 and loss.max() < 1e-12
    worst = 0
    for row in start.numpy():
        found = minimize(
            lambda v: float(rosenbrock(torch.from_numpy(v)[None])), row, method="L-BFGS-B",
            options={"maxcor": 20, "ftol": 1e-14, "gtol": 1e-8},
        )  # fmt: skip
        worst = max(worst, found.nit)
    assert search.n_iter < 2 * worst
    assert search.n_evaluations < 2.5 * search.n_iter


def test_each_problem_goes_its_own_way():
    start = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 6)))
    together, _ = BatchLBFGS(rosenbrock, max_iter=25).minimize(start)
    for i in range(4):
        alone, _ = BatchLBFGS(rosenbrock, max_iter=25).minimize(start[i : i + 1])
        torch.testing.assert_close(together[i], alone[0], rtol=1e-9, atol=1e-9)


def test_quadratics_of_very_different_scales_in_single_precision():
    scales = torch.logspace(-4, 4, 5)[:, None]
    curvature = torch.logspace(0, 3, 30)

    def function(x, which):
        return scales[which, 0] * (curvature * (x - 1).square()).sum(1)

    x, loss = BatchLBFGS(function, max_iter=200, relative_tolerance=1e-6).minimize(
        torch.zeros(5, 30)
    )
    assert (x - 1).abs().max() < 1e-2
    assert (loss / scales[:, 0]).max() < 1e-3


def test_those_at_their_goal_are_left_alone():
    seen = []

    def function(x, which):
        seen.append(len(which))
        return (torch.arange(1.0, 4.0)[which, None] * x**2).sum(1) + x.pow(4).sum(1)

    start = torch.tensor([[1e-4], [1.0], [2.0]])
    x, loss = BatchLBFGS(function, max_iter=50, tolerance=1e-6).minimize(start)
    assert torch.equal(x[0], start[0]) and (loss <= 1e-6).all()
    assert seen[0] == 3 and max(seen[1:]) == 2


def test_the_callback_stops_and_no_loss_rises():
    losses = []

    def callback(n_iter, loss):
        losses.append(loss.clone())
        return n_iter == 7

    search = BatchLBFGS(rosenbrock, callback=callback)
    search.minimize(
        torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    )
    assert search.n_iter == len(losses) == 7
    assert (torch.stack(losses).diff(dim=0) <= 0).all()


def test_a_function_that_cannot_fall_ends():
    search = BatchLBFGS(lambda x, which: x.abs().sum(1) * 0 + 1.0 + 0 * x.sum(1), max_iter=9)
    x, loss = search.minimize(torch.ones(2, 3))
    assert search.n_iter == 0 and torch.equal(x, torch.ones(2, 3))


def test_a_start_without_a_loss():
    with pytest.raises(ValueError, match="not finite at the start of problem 1"):
        BatchLBFGS(lambda x, which: x.log().sum(1)).minimize(torch.tensor([[1.0], [-1.0]]))
