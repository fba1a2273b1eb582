import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from skastro.denoising.gaussian_fit import MapProblem, Prior, _search, fit_maps, minimize_maps
from skastro.denoising.gaussian_grids import Level, pyramid
from skastro.denoising.gaussian_model import sum_of_gaussians

K = 24
PRIOR = Prior((1.0, 10.0, 10.0), 0.5, (0.0, 0.0, 0.5), (math.inf, K - 1.0, K / 2))


def make(shape=(5, 6), dtype=torch.float64, noise=1.0, seed=0):
    """Two smooth components, one of them in half of the map only."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    parameters = np.array([
        [6 + 3 * y, np.where(x > 0.5, 4.0, 0.0)],
        [8 + 2 * x, 16 - 2 * y],
        [1.5 + 0.5 * x, 2 + 0 * x],
    ])  # fmt: skip
    true = torch.from_numpy(parameters).to(dtype)
    model = sum_of_gaussians(true, K)
    rng = np.random.default_rng(seed)
    data = model + noise * torch.from_numpy(rng.normal(size=model.shape)).to(dtype)
    return data, torch.ones_like(data) / noise**2, true


def start_of(true):
    start = true.mean((-2, -1), keepdim=True).expand(true.shape).clone()
    start[1] += 0.5
    return start


def test_gradient_of_the_objective():
    data, weight, true = make()
    problem = MapProblem(Level(data, weight), PRIOR)
    parameters = start_of(true) + 0.1 * torch.rand(true.shape, dtype=torch.float64)
    value, gradient = problem.evaluate(parameters)
    direction = torch.randn(true.shape, dtype=torch.float64)
    ahead, _ = problem.evaluate(parameters + 1e-5 * direction)
    behind, _ = problem.evaluate(parameters - 1e-5 * direction)
    assert (ahead - behind) / 2e-5 == pytest.approx(float((gradient * direction).sum()), rel=1e-6)


def test_minimum_is_that_of_scipy():
    data, weight, true = make()
    problem = MapProblem(Level(data, weight), PRIOR)
    found = minimize_maps(problem, start_of(true), max_iter=500, tol=1e-12)

    def objective(x):
        value, gradient = problem.evaluate(torch.from_numpy(x).view(true.shape))
        return value, gradient.numpy().ravel()

    bounds = np.repeat(np.array([PRIOR.lower, PRIOR.upper]).T, true[0].numel(), axis=0)
    expected = minimize(
        objective, start_of(true).numpy().ravel(), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    assert found.value == pytest.approx(expected.fun, rel=1e-6)
    assert np.allclose(found.parameters.numpy().ravel(), expected.x, atol=0.02)
    amplitude, velocity, width = found.parameters
    assert (amplitude >= 0).all() and (width >= 0.5).all()
    assert (velocity >= 0).all() and (velocity <= K - 1).all()
    assert (amplitude == 0).any()


def test_no_data_moves_nothing_but_smoothness():
    data, _, true = make()
    problem = MapProblem(Level(data, torch.zeros_like(data)), PRIOR)
    found = minimize_maps(problem, true, max_iter=200, tol=0.0)
    assert found.value < 1e-3 * problem.evaluate(true)[0]


def test_support_holds_amplitudes_at_zero():
    data, weight, true = make()
    support = torch.ones(true.shape[1:], dtype=torch.bool)
    support[0, :2] = False
    problem = MapProblem(Level(data, weight), PRIOR, support)
    found = minimize_maps(problem, true, max_iter=50, tol=1e-8)
    assert (found.parameters[0][~support] == 0).all()
    assert (found.parameters[0, 0, 2:] > 0).all()


def test_single_precision_finds_the_same():
    values = []
    for dtype in (torch.float32, torch.float64):
        data, weight, true = make(dtype=dtype)
        problem = MapProblem(Level(data, weight), PRIOR)
        values.append(minimize_maps(problem, start_of(true), max_iter=300, tol=1e-9).value)
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_start_is_left_alone_and_objective_falls():
    data, weight, true = make()
    start, seen = start_of(true), []
    copy = start.clone()
    problem = MapProblem(Level(data, weight), PRIOR)
    found = minimize_maps(problem, start, max_iter=20, tol=0.0, callback=seen.append)
    assert torch.equal(start, copy)
    assert len(seen) == found.n_iter <= 20
    assert seen[-1] == found.value and (np.diff(seen) < 0).all()


def test_a_step_that_points_uphill_when_cut_is_shortened():
    data, weight, true = make()
    problem = MapProblem(Level(data, weight), PRIOR)
    start = start_of(true)
    value, gradient = problem.evaluate(start)
    step = torch.zeros_like(start)
    step[1] = -1e3 * gradient[1]
    # a little uphill in amplitude, yet more than velocities can make up for when cut to a width
    step[0] = (
        0.5 * float((step[1] * gradient[1]).sum().abs() / gradient[0].square().sum()) * gradient[0]
    )
    cut = problem.limit(step.clone(), start)
    assert (step * gradient).sum() < 0 < (cut * gradient).sum()
    new, new_value, _ = _search(problem, start, value, gradient, step)
    assert new_value < value and new_value == problem.evaluate(new)[0]


def test_an_uphill_step_is_refused():
    data, weight, true = make()
    problem = MapProblem(Level(data, weight), PRIOR)
    value, gradient = problem.evaluate(start_of(true))
    assert _search(problem, start_of(true), value, gradient, gradient) is None


@pytest.mark.parametrize("shape", [(9, 14), (1, 7), (1, 1)])
def test_grids_from_coarse_to_fine(shape):
    data, weight, true = make(shape, noise=0.1)
    start = true.mean((-2, -1)) + 0.3
    seen = []
    parameters, history = fit_maps(
        pyramid(data, weight), start, PRIOR, max_iter=100, tol=1e-7,
        callback=lambda shape, value: seen.append(shape),
    )  # fmt: skip
    assert (history[-1]["n_y"], history[-1]["n_x"]) == shape == seen[-1]
    assert len(history) == max(1, math.ceil(math.log2(max(shape))))
    assert sum(row["n_iter"] for row in history) == len(seen)
    assert parameters.shape == (3, 2, *shape)
    model = sum_of_gaussians(parameters, K)
    assert (model - sum_of_gaussians(true, K)).square().mean().sqrt() < 0.15


def test_mask_empties_components_outside_it():
    data, weight, true = make((8, 8))
    mask = torch.zeros(data.shape, dtype=torch.bool)
    mask[:, 4:, :13] = True
    start = true.mean((-2, -1))
    parameters, _ = fit_maps(pyramid(data, weight), start, PRIOR, max_iter=50, tol=1e-6, mask=mask)
    amplitude = parameters[0]
    assert (amplitude[0, :, :4] == 0).all() and (amplitude[1] == 0).all()
    assert (amplitude[0, :, 4:] > 3).all()
