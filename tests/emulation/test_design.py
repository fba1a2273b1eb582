"""What the "auto" settings become, and the network and first weights that follow."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from skastro.emulation import DenseNetwork, ModelEmulator, PlainNetwork, design
from skastro.emulation.design import Design, build_network, start_network
from skastro.emulation.networks import DenseBody, PlainBody, Stacked


class Own(nn.Linear):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)


@pytest.mark.parametrize(
    "n_samples, n_features, expected",
    [
        # kriging, members, degree, layers, batch, epochs
        (2, 3, (False, 1, 1, (128,) * 4, 2, 300)),
        (64, 3, (False, 1, 1, (128,) * 4, 64, 300)),
        (99, 3, (False, 1, 1, (128,) * 4, 32, 300)),
        (100, 3, (True, 4, 1, (128,) * 4, 32, 300)),
        (3000, 3, (True, 4, 1, (128,) * 4, 32, 127)),  # 94 steps an epoch
        (3001, 3, (False, 3, 3, (80,) * 5, 64, 255)),  # 47 steps; 19 cubic terms
        (3001, 6, (False, 3, 3, (80,) * 5, 64, 255)),  # 83 cubic terms
        (3001, 7, (False, 3, 2, (80,) * 5, 64, 255)),  # 119 cubic, 35 quadratic
        (3001, 14, (False, 3, 1, (80,) * 5, 64, 255)),  # 119 quadratic
        (10**6, 4, (False, 3, 3, (80,) * 5, 64, 20)),
    ],
)
def test_auto(n_samples, n_features, expected):
    found = Design(ModelEmulator(), n_samples, n_features)
    names = "kriging", "n_members", "degree", "hidden", "batch_size", "max_epochs"
    assert tuple(getattr(found, name) for name in names) == expected
    assert "hidden=(" in repr(found) and f"batch_size={expected[4]}" in repr(found)


def test_what_the_user_gives_stays():
    emulator = ModelEmulator(
        n_members=3, kriging=False, hidden=[5, 6], polynomial_degree=2, batch_size=7, max_epochs=9,
        output_rank=3,
    )  # fmt: skip
    found = Design(emulator, 200, 3)
    assert vars(found) == dict(
        kriging=False, n_members=3, hidden=(5, 6), degree=2, batch_size=7, max_epochs=9, output_rank=3
    )  # fmt: skip


def test_rank_and_members_with_kriging():
    assert Design(ModelEmulator(), 200, 3).output_rank is None
    assert Design(ModelEmulator(output_rank=5), 200, 3).output_rank == 5
    assert Design(ModelEmulator(kriging=False), 200, 3).output_rank == "auto"
    assert Design(ModelEmulator(kriging=True), 50, 3).n_members == 4


def test_kriging_needs_a_network_of_ours():
    assert Design(ModelEmulator(PlainNetwork()), 200, 3).kriging
    assert not Design(ModelEmulator(Own), 200, 3).kriging
    with pytest.raises(
        ValueError, match="kriging=True with network=.*Own.*; expected a network of"
    ):
        Design(ModelEmulator(Own, kriging=True), 200, 3)


@pytest.mark.parametrize(
    "parameters, sizes, match",
    [
        ({"polynomial_degree": 40}, (1000, 20), "polynomial_degree=40 of 20 inputs makes .* GiB"),
        (
            {"kriging": True},
            (10**6, 3),
            "kriging=True of 1000000 rows takes .* GiB; expected at most",
        ),
        ({"hidden": (8, 0)}, (100, 3), r"hidden=\(8, 0\); expected a tuple of positive integers"),
        ({"hidden": (8.5,)}, (100, 3), r"hidden=\(8.5,\); expected"),
    ],
)
def test_bad_settings(parameters, sizes, match):
    with pytest.raises(ValueError, match=match) as error:
        Design(ModelEmulator(**parameters), *sizes)
    assert "\n" not in str(error.value)


def test_memory_is_that_of_the_machine(monkeypatch):
    monkeypatch.setattr(design, "_memory", lambda: 8 * 34 * 1000)
    Design(ModelEmulator(polynomial_degree=3, kriging=False), 1000, 4)
    with pytest.raises(ValueError, match="34 terms"):
        Design(ModelEmulator(polynomial_degree=3, kriging=False), 1001, 4)


def fitted(parameters, n_outputs=6, clusters=None, rank=None):
    """What `build_network` reads of an emulator in the middle of its fit."""
    emulator = ModelEmulator(kriging=False, **parameters)
    emulator.design_ = Design(emulator, 200, 3)
    emulator.n_features_in_, emulator.rank_ = 3, rank
    emulator.clusters_ = clusters or [np.arange(n_outputs)]
    return emulator


CLUSTERS = [np.array([4, 0]), np.array([1, 5, 2, 3])]


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("clusters", [None, CLUSTERS], ids=["whole", "clusters"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    "parameters, body",
    [
        ({"hidden": (8,), "polynomial_degree": 2}, DenseBody),
        ({"hidden": (8, 4), "architecture": "plain", "activation": "tanh"}, PlainBody),
        ({"hidden": (0, 0), "growth": 0.5}, DenseBody),
        ({"network": PlainNetwork((5,))}, PlainBody),
        ({"network": DenseNetwork((5,)), "polynomial_degree": 3}, DenseBody),
        ({"network": Own}, Stacked),
    ],
    ids=str,
)
def test_network(parameters, body, n_members, clusters, rank):
    emulator = fitted(parameters | {"n_members": n_members}, clusters=clusters, rank=rank)
    with torch.random.fork_rng(devices=[]):
        module = build_network(emulator).eval()
    n_groups = n_members * len(emulator.clusters_)
    assert isinstance(module.body, body if body is not Stacked or n_groups > 1 else Own)
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    assert module(x).shape == ((7, 6) if n_members == 1 else (n_members, 7, 6))
    if body is not Stacked:
        assert module.body.last.n_groups == n_groups
        widths = [layer.bias.shape[-1] for layer in module.body.layers]
        recipe = parameters.get("network")
        expected = list(recipe.hidden if recipe else parameters["hidden"])
        if "growth" in parameters:
            expected = [1, 2]  # half of 3, half of 4
        assert widths == expected


def test_monomials_start_standardised():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype("f4") + np.float32(0.3)
    x[:, 2] = 1.5  # constant: its powers are too
    module = build_network(fitted({"polynomial_degree": 3, "hidden": (4,)}))
    start_network(module, torch.from_numpy(x), np.zeros((200, 6)), None, [np.arange(6)])
    terms = module.expansion(torch.from_numpy(x)).numpy()
    constant = module.expansion.monomials(torch.from_numpy(x)).numpy().std(axis=0) < 1e-5
    np.testing.assert_allclose(terms.mean(axis=0)[~constant], 0, atol=1e-5)
    np.testing.assert_allclose(terms.std(axis=0, ddof=1)[~constant], 1, rtol=1e-4)
    assert constant.sum() == 3 and np.abs(terms[:, constant]).max() < 1.0


@pytest.mark.parametrize("clusters", [[np.arange(6)], CLUSTERS], ids=["whole", "clusters"])
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("doubtful", [False, True])
def test_low_rank_layer_starts_from_the_principal_directions(clusters, n_members, doubtful):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6))
    weight = None
    if doubtful:
        wrong = rng.random(z.shape) < 0.02
        weight = np.where(wrong, 0.05, 1.0)
    emulator = fitted({"n_members": n_members, "hidden": (4,)}, clusters=clusters, rank=2)
    module = build_network(emulator).double()
    seen = z if weight is None else np.where(wrong, 1e3, z)
    start_network(module, torch.zeros(200, 3), seen, weight, clusters)
    head = module.head
    # two components a cluster hold all outputs: with the best ones nothing is lost
    components = np.zeros((n_members * len(clusters), 200, 2))
    layer = SimpleNamespace(weight=head.expand.weight.detach().numpy())
    for group in range(len(components)):
        cluster = clusters[group % len(clusters)]
        weights = layer.weight.T if len(clusters) == 1 else layer.weight[group % len(clusters)]
        components[group] = z[:, cluster] @ np.linalg.pinv(weights[:, : len(cluster)])
    h = torch.from_numpy(components[0] if len(components) == 1 else components)
    with torch.no_grad():
        found = head(h).numpy()
    # unknown entries count as the mean: the directions then tilt a little
    np.testing.assert_allclose(
        found, z if n_members == 1 else [z, z], atol=0.5 if doubtful else 1e-9
    )
    assert (head.expand.bias == 0).all()
