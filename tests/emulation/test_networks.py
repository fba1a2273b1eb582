"""Networks as plain modules: against scikit-learn, torch, and the same networks one by one."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.preprocessing import PolynomialFeatures
from torch import nn

from skastro.emulation.networks import (
    DenseNetwork,
    EmulatorNetwork,
    GroupedLinear,
    OutputHead,
    PlainNetwork,
    PolynomialExpansion,
    Stacked,
    n_monomials,
)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("n_features", [1, 2, 4])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_monomials_are_those_of_scikit_learn(n_features, degree):
    x = np.random.default_rng(0).normal(size=(20, n_features))
    expected = PolynomialFeatures(degree, include_bias=False).fit_transform(x)
    module = PolynomialExpansion(n_features, degree).double()
    found = module(torch.from_numpy(x)).numpy()
    assert module.n_terms == n_monomials(n_features, degree) == expected.shape[1]
    # the order of the columns is free: compare them sorted by their first row
    found, expected = (a[:, np.argsort(a[0])] for a in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_inputs_come_first():
    x = torch.randn(5, 3)
    assert torch.equal(PolynomialExpansion(3, 4)(x)[:, :3], x)


def test_shift_and_scale():
    shift, scale = np.arange(5.0), np.arange(1.0, 6.0)
    x = torch.randn(7, 2)
    plain = PolynomialExpansion(2, 2)(x)
    module = PolynomialExpansion(2, 2, shift, scale)
    shift[:] = 9.0  # the module keeps its own copy
    expected = (plain - torch.arange(5.0)) / torch.arange(1.0, 6.0)
    torch.testing.assert_close(module(x), expected)
    other = PolynomialExpansion(2, 2)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))


def group_of(layer, group):
    """A `torch.nn.Linear` with the weights of one group."""
    weight = layer.weight if layer.n_groups == 1 else layer.weight[group].t()
    bias = layer.bias if layer.n_groups == 1 else layer.bias[group, 0]
    single = nn.Linear(weight.shape[1], weight.shape[0])
    single.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return single


@pytest.mark.parametrize("n_groups", [1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_grouped_linear(n_groups, training):
    layer = GroupedLinear(n_groups, 4, 6, bias_std=0.5).train(training)
    x = torch.randn(10, 4)
    separate = [group_of(layer, g)(x) for g in range(n_groups)]
    expected = separate[0] if n_groups == 1 else torch.stack(separate)
    torch.testing.assert_close(layer(x), expected)
    if n_groups > 1:
        own = torch.randn(n_groups, 10, 4)
        expected = torch.stack([group_of(layer, g)(own[g]) for g in range(n_groups)])
        torch.testing.assert_close(layer(own), expected)


@pytest.mark.parametrize("n_groups", [1, 5])
def test_initial_weights(n_groups):
    layer = GroupedLinear(n_groups, 400, 300, gain=2.0, bias_std=0.5)
    # 120,000 draws: 1 % is five standard errors; 300 draws of the bias: 20 % is as many
    assert layer.weight.std().item() == pytest.approx(2.0 / 20.0, rel=0.01)
    assert layer.bias.std().item() == pytest.approx(0.5, rel=0.2)
    assert (GroupedLinear(n_groups, 4, 3).bias == 0).all()


def by_hand(body, x, group, dense, activation):
    """One group of a body, layer after layer."""
    h = x
    for layer in body.layers:
        new = activation(group_of(layer, group)(h))
        h = torch.cat([h, new], dim=1) if dense else new
    new = h if not len(body.layers) else new
    return new, group_of(body.last, group)(h)


RECIPES = [
    (PlainNetwork((8, 5)), False), (PlainNetwork(()), False), (DenseNetwork((8, 5, 3)), True),
    (DenseNetwork(()), True), (DenseNetwork((0,) * 4, growth=0.5), True),
]  # fmt: skip


@pytest.mark.parametrize("recipe, dense", RECIPES, ids=str)
@pytest.mark.parametrize("n_groups", [1, 4])
def test_groups_are_separate_networks(recipe, dense, n_groups):
    body, x = (
        recipe(n_features=3, n_outputs=2, n_groups=n_groups).double(),
        torch.randn(9, 3).double(),
    )
    separate = [
        by_hand(copy.deepcopy(body), x.float(), g, dense, nn.functional.gelu)
        for g in range(n_groups)
    ]
    features, outputs = (torch.stack(parts) for parts in zip(*separate, strict=True))
    found_features, found = body.features(x), body(x)
    if not recipe.hidden and n_groups > 1:
        found_features = found_features.expand(n_groups, -1, -1)
    if n_groups == 1:
        features, outputs = features[0], outputs[0]
    # the reference runs in float32
    torch.testing.assert_close(found.float(), outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found_features.float(), features, rtol=1e-4, atol=1e-5)


def test_growth_gives_the_published_widths():
    body = DenseNetwork((0,) * 10, growth=0.5)(n_features=34, n_outputs=1)
    sizes = [34]
    for layer in body.layers:
        assert layer.weight.shape == (sizes[-1] // 2, sizes[-1])
        sizes.append(sizes[-1] + sizes[-1] // 2)
    assert len(body.layers) == 10 and body.last.weight.shape == (1, sizes[-1])
    assert DenseNetwork((0,), growth=0.1)(2, 1).layers[0].weight.shape == (1, 2)


@pytest.mark.parametrize("name", ["gelu", "silu", "elu", "relu", "tanh"])
def test_activations(name):
    recipe, own = PlainNetwork((6,), name), PlainNetwork((6,), getattr(nn.functional, name))
    module, other = recipe(2, 1), own(2, 1)
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(torch.eye(2)), other(torch.eye(2)))


def test_bad_parameters():
    with pytest.raises(ValueError, match="activation='gulu'; expected one of .*'gelu'"):
        PlainNetwork(activation="gulu")(2, 1)
    with pytest.raises(ValueError, match="growth=-0.5; expected a positive number or None"):
        DenseNetwork(growth=-0.5)(2, 1)


def test_recipes_can_be_cloned_and_searched():
    recipe = clone(DenseNetwork((3,))).set_params(hidden=(7,))
    assert recipe(2, 1).layers[0].weight.shape == (7, 2)
    assert repr(PlainNetwork((4,))) == "PlainNetwork(hidden=(4,))"


class Own(nn.Module):
    """With everything a recipe may hold: batch norm, dropout, a nested module, a frozen part."""

    def __init__(self, p=0.0):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(p))
        self.last = nn.Linear(8, 2)
        self.last.bias.requires_grad_(False)

    def forward(self, x):
        return self.last(self.inner(x))


def stacked(p=0.0, n_groups=3):
    """A stack, and the modules from which it was made."""
    made = []

    def build():
        made.append(copy.deepcopy(module := Own(p)))
        return module

    return Stacked(build, n_groups), made


@pytest.mark.parametrize("training", [True, False])
def test_stacked_equals_separate_modules(training):
    stack, made = stacked()
    stack.train(training)
    x = torch.randn(20, 3)
    expected = torch.stack([module.train(training)(x) for module in made])
    torch.testing.assert_close(stack(x), expected)
    stack(x).square().sum().backward()
    expected.square().sum().backward()
    slopes = dict(zip(stack.keys, stack.stack, strict=True))["inner.0.weight"].grad
    expected = torch.stack([module.inner[0].weight.grad for module in made])
    torch.testing.assert_close(slopes, expected, rtol=1e-4, atol=1e-5)


def test_stacked_groups_start_different():
    stack, _ = stacked()
    weights = dict(zip(stack.keys, stack.stack, strict=True))["last.weight"]
    assert not torch.equal(weights[0], weights[1])


def test_stacked_eval_mode():
    stack, x = stacked(p=0.5)[0], torch.randn(20, 3)
    assert not torch.equal(stack.train()(x), stack(x))
    assert torch.equal(stack.eval()(x), stack(x))


def test_stacked_keeps_what_is_frozen():
    stack, _ = stacked()
    frozen = {key: not p.requires_grad for key, p in zip(stack.keys, stack.stack, strict=True)}
    assert [key for key, value in frozen.items() if value] == ["last.bias"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_stacked_can_be_copied(copied):
    stack, x = stacked()[0].eval(), torch.randn(20, 3)
    torch.testing.assert_close(copied(stack)(x), stack(x))
    assert copied(stack).double()(x.double()).dtype == torch.float64


CLUSTERS = [np.array([4, 0, 6]), np.array([5]), np.array([2, 1, 3])]


@pytest.mark.parametrize("clusters", [CLUSTERS, [np.array([2, 0, 1])], [np.arange(4)]], ids=len)
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("rank", [None, 2])
def test_head_puts_outputs_back_in_the_users_order(clusters, n_members, rank):
    head = OutputHead(clusters, n_members, rank)
    n_groups = len(clusters) * n_members
    assert head.n_inputs == (rank or max(map(len, clusters)))
    h = torch.randn(n_groups, 11, head.n_inputs)
    expected = torch.full((n_members, 11, head.n_outputs), torch.nan)
    for member in range(n_members):
        for c, cluster in enumerate(clusters):
            group = member * len(clusters) + c
            part = h[group] if rank is None else group_of(head.expand, c)(h[group])
            expected[member][:, cluster] = part[:, : len(cluster)].detach()
    found = EmulatorNetwork(nn.Identity(), nn.Identity(), head)(h[0] if n_groups == 1 else h)
    torch.testing.assert_close(found.detach(), expected[0] if n_members == 1 else expected)
