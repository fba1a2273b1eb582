"""The laid-out predictor against the module itself, the inverse transform and differences."""

import numpy as np
import pytest
import torch
from torch import nn

from skastro.emulation import ModelEmulator, inference, kernels
from skastro.emulation.inference import Plan, PlanModule
from skastro.emulation.kriging import FeatureKriging
from skastro.emulation.networks import (
    DenseNetwork,
    EmulatorNetwork,
    OutputHead,
    PlainNetwork,
    PolynomialExpansion,
    Stacked,
)
from skastro.emulation.targets import TargetTransform

CLUSTERS = [np.array([4, 0, 6]), np.array([5]), np.array([2, 1, 3])]
ONE = [np.arange(7)]
SHUFFLED = [np.array([3, 1, 6, 0, 2, 5, 4])]
KINDS = ["log10", "asinh", None]
OUTPUTS = [None, [5], [6, 0, 3], [1, 1]]


def network(recipe, clusters=ONE, n_members=1, rank=None, degree=1):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expansion = PolynomialExpansion(3, degree)
        head = OutputHead(clusters, n_members, rank)
        body = recipe(expansion.n_terms, head.n_inputs, n_groups=len(clusters) * n_members)
        module = EmulatorNetwork(expansion, body, head).double().eval()
        # every bias matters, also those that start at zero
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return module


def own(n_members=1, seed=0):
    def build():
        return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 7))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return (build() if n_members == 1 else Stacked(build, n_members)).double().eval()


def kriged():
    module = network(PlainNetwork((8, 5), "tanh"), CLUSTERS, n_members=2)
    x, coefficients = torch.randn(2, 20, 3).double(), 0.3 * torch.randn(2, 20, 7).double()
    return FeatureKriging(module, x[0], [[2.0, 1.5, 0.0]] * 2, coefficients, torch.ones(7).double())


DENSE, PLAIN = DenseNetwork((8, 6), activation="tanh"), PlainNetwork((8, 6))
# name: a function that makes the module, and its number of members
MODULES = {
    "dense": (lambda: network(DENSE), 1),
    "plain, cubic": (lambda: network(PLAIN, degree=3), 1),
    "no hidden layer": (lambda: network(PlainNetwork(()), degree=2), 1),
    "shuffled": (lambda: network(DENSE, SHUFFLED), 1),
    "clusters": (lambda: network(PLAIN, CLUSTERS, degree=2), 1),
    "members": (lambda: network(DENSE, n_members=3), 3),
    "clusters, members": (lambda: network(DENSE, CLUSTERS, 2), 2),
    "rank": (lambda: network(PLAIN, rank=2), 1),
    "rank, clusters, members": (lambda: network(DENSE, CLUSTERS, 2, rank=2), 2),
    "own": (own, 1),
    "own, members": (lambda: own(3), 3),
    "kriging": (kriged, 2),
}
CENTER, SCALE = np.linspace(-2, 2, 7), np.linspace(0.3, 0.9, 7)
SOFTENING = np.geomspace(0.1, 10, 7)


def points(n=30, seed=1):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)).double()


def make_plan(name, kind, outputs=None, dtype=torch.float64, **kwargs):
    build, n_members = MODULES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = build().to(dtype)
    chosen = None if outputs is None else torch.tensor(outputs)
    tensors = (torch.as_tensor(values, dtype=dtype) for values in (CENTER, SCALE))
    softening = torch.as_tensor(SOFTENING, dtype=dtype)
    return module, Plan(module, *tensors, kind, softening, chosen, n_members, **kwargs)


def reference(module, n_members, kind, x):
    """Mean (and spread) of the members, scaled and brought back to the user's units."""
    with torch.no_grad():
        z = module(x).numpy() * SCALE + CENTER
    mean, spread = (z, None) if n_members == 1 else (z.mean(axis=0), z.std(axis=0, ddof=1))
    transform = TargetTransform(kind)
    transform.kind_, transform.softening_ = kind, SOFTENING
    return transform.inverse(mean), spread


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outputs", OUTPUTS, ids=str)
def test_prediction(name, kind, outputs):
    module, plan = make_plan(name, kind, outputs)
    expected, spread = reference(module, plan.n_members, kind, points())
    columns = slice(None) if outputs is None else outputs
    found = plan(points(), torch.float64)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected[:, columns], rtol=1e-10, atol=1e-12)
    if spread is not None:
        again, std = plan(points(), torch.float64, return_std=True)
        np.testing.assert_allclose(again, expected[:, columns], rtol=1e-10, atol=1e-12)
        factor = np.log(10.0) if kind == "log10" else 1.0
        np.testing.assert_allclose(std, factor * spread[:, columns], rtol=1e-8, atol=1e-12)


def test_only_what_the_outputs_need_is_computed():
    plan = make_plan("clusters, members", None, [4, 6])[1]
    # one of the clusters, with both of its members, two columns each
    assert len(plan.programs) == 1
    assert [last.weight.shape[0] for _, last in plan.programs[0][1]] == [2, 2]
    # a low rank is multiplied out where that costs less
    assert make_plan("rank", None, [1])[1].programs[0][2] is None
    assert make_plan("rank", None)[1].programs[0][2] is not None


@pytest.mark.parametrize("name", ["dense", "rank", "clusters, members", "own, members"])
@pytest.mark.parametrize("n", [1, 30, 1000])
def test_float32(name, n, monkeypatch):
    monkeypatch.setattr(kernels, "SMALL", 1)
    module, plan = make_plan(name, "log10", dtype=torch.float32)
    x = points(n).float()
    # a second call sees nothing of the first
    first = plan(x, torch.float32).clone()
    assert torch.equal(plan(x, torch.float32), first)
    wide = plan(x, torch.float64)
    assert first.dtype == torch.float32 and wide.dtype == torch.float64
    expected, _ = reference(module.double(), plan.n_members, "log10", x.double())
    np.testing.assert_allclose(first, expected, rtol=3e-5)
    np.testing.assert_allclose(wide, expected, rtol=3e-5)


@pytest.mark.parametrize("name", ["dense", "clusters, members", "own", "kriging"])
def test_blocks_of_rows_change_nothing(name, monkeypatch):
    plan = make_plan(name, "asinh")[1]
    whole, slopes = plan(points(), torch.float64), plan.jacobian(points())
    blocks = [slice(0, 7), slice(7, 8), slice(8, 30)]
    monkeypatch.setattr(inference, "row_blocks", lambda *args: blocks)
    monkeypatch.setattr(inference, "JACOBIAN_ROWS", 11)
    np.testing.assert_allclose(plan(points(), torch.float64), whole, rtol=1e-10)
    for one, other in zip(plan.jacobian(points()), slopes, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def differences(function, x, step=1e-5):
    """Central differences by each input, first axis the inputs."""
    shifts = step * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.stack([(function(x + s) - function(x - s)) / (2 * step) for s in shifts])


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outputs", [None, [6, 0, 3]], ids=str)
def test_jacobian(name, kind, outputs):
    plan, x = make_plan(name, kind, outputs)[1], points(8)
    y, slopes = plan.jacobian(x)
    torch.testing.assert_close(y, plan(x, torch.float64), rtol=1e-9, atol=1e-11)
    size = float(slopes.abs().max())
    # truncation of the differences: step squared; rounding: 1e-16 / step
    numeric = differences(lambda x: plan(x, torch.float64), x)
    torch.testing.assert_close(slopes / size, numeric / size, rtol=1e-6, atol=1e-8)
    exact = torch.autograd.functional.jacobian(lambda x: plan.differentiable(x).sum(0), x)
    torch.testing.assert_close(slopes, exact.permute(2, 1, 0), rtol=1e-8, atol=1e-11 * size)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "no hidden layer"])
@pytest.mark.parametrize("kind", KINDS)
def test_hessian(name, kind):
    plan, x = make_plan(name, kind, [6, 0, 3])[1], points(4)
    curves = plan.hessian(x)
    assert curves.shape == (3, 3, 4, 3)
    torch.testing.assert_close(curves, curves.transpose(0, 1), rtol=0, atol=0)
    numeric = differences(lambda x: plan.jacobian(x)[1], x)
    size = float(curves.abs().max())
    torch.testing.assert_close(curves / size, numeric / size, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["clusters, members", "kriging"])
def test_module_in_the_users_units(name):
    plan = make_plan(name, "log10", [2, 5])[1]
    mean, scale = torch.tensor([1.0, -2, 3]).double(), torch.tensor([0.5, 2, 10]).double()
    module = PlanModule(plan, mean, scale)
    X = (points(5) * scale + mean).requires_grad_()
    torch.testing.assert_close(
        module(X).detach(), plan(points(5), torch.float64), rtol=1e-9, atol=0
    )
    assert torch.autograd.gradcheck(module, X)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
@pytest.mark.parametrize("log_targets", ["log10", "asinh", None])
def test_outputs_and_derivatives_beyond_float32(factor, log_targets):
    rng = np.random.default_rng(0)
    X = rng.uniform(1.0, 2.0, (60, 2))
    Y = np.column_stack([np.exp(X[:, 0]), X[:, 0] * X[:, 1]])

    def fit(Y):
        return ModelEmulator(
            kriging=False, hidden=(8,), max_epochs=2, random_state=0, log_targets=log_targets
        ).fit(X, Y)

    model, expected = fit(factor * Y), fit(Y)
    # the center of a logarithm is rounded in float32, at 60 decades
    rtol = 1e-4 if log_targets == "log10" else 1e-5
    x = torch.from_numpy(X[:5])
    for found, unit in [
        (model.predict(X), expected.predict(X)),
        (model.jacobian(X[:5]), expected.jacobian(X[:5])),
        (model.hessian(X[:5]), expected.hessian(X[:5])),
        (model.as_torch()(x).detach().numpy(), expected.as_torch()(x).detach().numpy()),
    ]:
        assert np.isfinite(found).all()
        size = np.abs(unit).max()
        np.testing.assert_allclose(found / factor / size, unit / size, rtol=rtol, atol=rtol)
