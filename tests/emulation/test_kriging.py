"""Kriging on learnt features, against scikit-learn's Gaussian process and plain linear algebra."""

import copy

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from skastro.emulation import kriging
from skastro.emulation.kriging import (
    FeatureKriging,
    Kriging,
    fit_length_scales,
    last_hidden,
    matern,
    solve_coefficients,
    squared_distances,
)
from skastro.emulation.networks import (
    DenseNetwork,
    EmulatorNetwork,
    OutputHead,
    PlainNetwork,
    PolynomialExpansion,
)

CLUSTERS = [np.array([2, 0]), np.array([1])]


def emulator_network(clusters=CLUSTERS, n_members=2, recipe=None):
    recipe = recipe or PlainNetwork((6, 4), activation="tanh")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = OutputHead(clusters, n_members)
        body = recipe(3, head.n_inputs, n_groups=len(clusters) * n_members)
    return EmulatorNetwork(PolynomialExpansion(3, 1), body, head).eval()


def grid(n=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    z = np.column_stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2], np.tanh(x).sum(axis=1) + 3.0])
    return x, z


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 1, 1), (7, 7, 20)])
def test_squared_distances(shape):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, shape[0], shape[2])), rng.normal(size=(2, shape[1], shape[2]))
    expected = np.square(a[:, :, None] - b[:, None]).sum(axis=-1)
    found = squared_distances(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    assert squared_distances(*2 * [torch.from_numpy(a)]).min() >= 0


def test_matern_is_that_of_scikit_learn():
    distance = np.geomspace(1e-3, 30, 50)
    expected = Matern(nu=2.5)(np.zeros((1, 1)), distance[:, None])[0]
    # SOFTENING is part of the definition
    squares = torch.from_numpy(distance**2 - kriging.SOFTENING)
    np.testing.assert_allclose(matern(squares), expected, rtol=1e-12)
    assert 1 - 1e-6 < float(matern(torch.zeros(1, dtype=torch.float64))) < 1


def test_last_hidden_puts_clusters_side_by_side():
    module, x = emulator_network(), torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    layers = module.body.layers
    found = last_hidden(module, x, 2)
    assert found.shape == (2, 5, 8)
    for member in range(2):
        for c in range(2):
            h = x
            for layer in layers:
                group = 2 * member + c
                h = torch.tanh(h @ layer.weight[group] + layer.bias[group])
            torch.testing.assert_close(found[member, :, 4 * c : 4 * c + 4], h)


MODULES = {
    "one": lambda: emulator_network([np.arange(3)], 1),
    "dense": lambda: emulator_network([np.arange(3)], 1, DenseNetwork((5, 4))),
    "clusters": lambda: emulator_network(CLUSTERS, 1),
    "members": lambda: emulator_network([np.arange(3)], 3),
    "both": lambda: emulator_network(CLUSTERS, 2),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_gaussian_process_of_scikit_learn(name, weighted, monkeypatch):
    # without softening, and every step from the network's answer taken whole
    monkeypatch.setattr(kriging, "SOFTENING", 0.0)
    monkeypatch.setattr(kriging, "TRUST", 1e9)
    module = MODULES[name]()
    n_members = module.head.n_members
    x, z = grid()
    new = grid(25, seed=1)[0]
    weight = np.random.default_rng(2).integers(1, 4, (40, 1)) if weighted else None
    scales = np.array([[2.0, 1.5, 1e-3], [3.0, 0.7, 1e-2], [1.0, 4.0, 1e-4]])[:n_members]
    rows = iter(scales)
    monkeypatch.setattr(kriging, "fit_length_scales", lambda *_: tuple(next(rows)))
    fitted = Kriging().fit(module, x, z, weight, np.random.default_rng(0))
    with torch.no_grad():
        found = fitted.network(module)(torch.from_numpy(new)).numpy()
    found = found if n_members > 1 else found[None]
    double = module.double()
    noise_weight = np.ones(40) if weight is None else weight[:, 0]
    mean = np.average(z, axis=0, weights=noise_weight)
    for member, (input_length, feature_length, noise) in enumerate(scales):
        coordinates = []
        for points in (x, new):
            with torch.no_grad():
                features = last_hidden(double, torch.from_numpy(points), n_members)[member].numpy()
            coordinates.append(np.hstack([points / input_length, features / feature_length]))
        process = GaussianProcessRegressor(
            Matern(nu=2.5), alpha=noise / noise_weight, optimizer=None
        ).fit(coordinates[0], z - mean)
        expected = process.predict(coordinates[1]) + mean
        np.testing.assert_allclose(found[member], expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("n_members", [1, 2])
def test_long_steps_from_the_networks_answer_are_shortened(n_members):
    module = emulator_network([np.arange(3)], n_members).double()
    x, z = grid()
    coefficients = torch.from_numpy(np.random.default_rng(0).normal(size=(n_members, 40, 3)))
    krige = FeatureKriging(
        module,
        torch.from_numpy(x),
        [[2.0, 1.5, 0.0]] * n_members,
        coefficients,
        torch.ones(3).double(),
    )
    new = torch.from_numpy(grid(25, seed=1)[0])
    with torch.no_grad():
        found, network = krige(new).reshape(n_members, 25, 3), module(new).reshape(n_members, 25, 3)
        joint = krige.coordinates(new), krige.joint
        whole = 1.0 + matern(torch.cdist(*joint) ** 2) @ coefficients
    step = whole.mean(0) - network.mean(0)
    shortened = step - 0.5 * step**3 / (step**2 + 0.1**2)
    torch.testing.assert_close(found.mean(0), network.mean(0) + shortened, rtol=1e-9, atol=1e-9)
    # the members move together: their spread is that of kriging
    torch.testing.assert_close(found - found.mean(0), whole - whole.mean(0), rtol=1e-9, atol=1e-9)
    assert (step.abs() > 0.3).any()


def brute_force(kernel, targets, weights, noise):
    """Each output alone: remove what is unknown, solve, put back."""
    weights = np.broadcast_to(weights, targets.shape)
    coefficients, means = np.zeros(targets.shape), np.zeros(targets.shape[1])
    for j in range(targets.shape[1]):
        rows = np.flatnonzero(~np.isnan(targets[:, j]) & (weights[:, j] > 0))
        w = weights[rows, j]
        means[j] = (w * targets[rows, j]).sum() / w.sum()
        system = kernel[rows][:, rows] + np.diag(noise / w)
        coefficients[rows, j] = np.linalg.solve(system, targets[rows, j] - means[j])
    return coefficients, means


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weights", ["ones", "rows", "entries", "some zero"])
def test_coefficients(holes, weights):
    rng = np.random.default_rng(0)
    x, z = grid()
    z = np.hstack([z, z**2])
    kernel = Matern(nu=2.5)(x)
    if holes:
        z[rng.random(z.shape) < 0.2] = np.nan
        z[:, 1] = np.where(np.isnan(z[:, 0]), np.nan, z[:, 1])
        z[5] = np.nan
    weights = {
        "ones": np.ones((40, 1)),
        "rows": rng.uniform(0.1, 3, (40, 1)),
        "entries": rng.uniform(0.1, 3, z.shape),
        "some zero": rng.integers(0, 3, z.shape).astype(float),
    }[weights]
    given = kernel.copy(), z.copy()  # must stay as they are
    found, means, _ = solve_coefficients(kernel, z, weights, 1e-3)
    expected, expected_means = brute_force(kernel, z, weights, 1e-3)
    np.testing.assert_allclose(means, expected_means, rtol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    for one, other in zip(given, (kernel, z), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_weight_of_two_is_the_row_twice():
    x, z = grid()
    repeat = np.random.default_rng(0).integers(1, 4, 40)
    kernel, twice = Matern(nu=2.5)(x), Matern(nu=2.5)(np.repeat(x, repeat, axis=0))
    weighted, means, _ = solve_coefficients(kernel, z, repeat[:, None].astype(float), 1e-2)
    ones = np.ones((repeat.sum(), 1))
    repeated, other, _ = solve_coefficients(twice, np.repeat(z, repeat, axis=0), ones, 1e-2)
    np.testing.assert_allclose(means, other, rtol=1e-12)
    first = np.concatenate([[0], np.cumsum(repeat)[:-1]])
    np.testing.assert_allclose(np.add.reduceat(repeated, first), weighted, rtol=1e-7, atol=1e-9)


def likelihood(scales, x, features, z):
    """Profiled log marginal likelihood, summed over outputs, from scikit-learn's kernel."""
    kernel = Matern(nu=2.5)(np.hstack([x / scales[0], features / scales[1]]))
    kernel += scales[2] * np.eye(len(x))
    variance = np.mean(z * np.linalg.solve(kernel, z), axis=0)
    return -0.5 * (len(x) * np.log(variance) + np.linalg.slogdet(kernel)[1]).sum()


def tuning_problem():
    x, z = grid(120)
    features = np.tanh(x @ np.random.default_rng(3).normal(size=(3, 5)))
    return x, features, (z - z.mean(axis=0)) / z.std(axis=0)


def test_length_scales_are_the_most_likely():
    x, features, z = tuning_problem()
    scales = np.array(fit_length_scales(x, features, z, np.random.default_rng(0)))
    best = likelihood(scales, x, features, z)
    for factor in (0.7, 1.4):
        for i in range(2):
            other = scales * np.where(np.arange(3) == i, factor, 1.0)
            # the search stops after 20 steps: 0.02 of each of the 360 values may be left
            assert likelihood(other, x, features, z) < best + 0.02 * z.size
    assert best > likelihood([1.0, 1.0, 1e-6], x, features, z) + 0.1 * z.size


@pytest.mark.parametrize("unknown", ["a row", "part of an output", "here and there"])
def test_unknown_targets_do_not_change_the_length_scales(unknown):
    x, features, z = tuning_problem()
    expected = fit_length_scales(x, features, z, np.random.default_rng(0))
    z[5] = np.nan
    if unknown == "part of an output":
        expected = fit_length_scales(x, features, z[:, :2], np.random.default_rng(0))
        z[:40, 2] = np.nan
    elif unknown == "here and there":
        z[np.random.default_rng(1).random(z.shape) < 0.1] = np.nan
    found = fit_length_scales(x, features, z, np.random.default_rng(0))
    # in e-foldings; zeros in place of the unknown move them by 1 to 15
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=0.3)


def test_the_trained_module_is_left_alone():
    module = emulator_network()
    before = copy.deepcopy(module.state_dict())
    x, z = grid()
    fitted = Kriging().fit(module, x.astype("f4"), z.astype("f4"), None, np.random.default_rng(0))
    krige = fitted.network(module)
    for key, value in module.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, before[key])
    assert krige(torch.from_numpy(x)).dtype == torch.float64 and not krige.training
    assert fitted.coefficients_.shape == (2, 40, 3) and fitted.scales_.shape == (2, 3)


def test_left_out_residuals_are_those_of_refits_without_the_row():
    x, features, z = tuning_problem()
    kernel = Matern(nu=2.5)(np.hstack([x, features]))
    z = z.copy()
    z[5, 1] = np.nan
    _, means, left_out = solve_coefficients(kernel, z, np.ones((len(x), 1)), 1e-3)
    for row, output in ((0, 0), (7, 1), (40, 0)):
        others = np.flatnonzero((np.arange(len(x)) != row) & ~np.isnan(z[:, output]))
        system = kernel[np.ix_(others, others)] + 1e-3 * np.eye(len(others))
        guess = kernel[row, others] @ np.linalg.solve(system, z[others, output] - means[output])
        np.testing.assert_allclose(
            left_out[row, output], z[row, output] - means[output] - guess, rtol=1e-6
        )
    assert np.isnan(left_out[5, 1])
