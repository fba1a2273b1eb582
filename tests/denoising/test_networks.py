"""Autoencoders of spectra: against masked dense matrices, torch layers and what they must not mix."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from skastro.denoising.networks import BandedLinear, DenseAutoencoder, LocalAutoencoder


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def as_dense(layer):
    """The matrix and the bias of a banded layer on inputs laid out (position, value)."""
    n_out = len(layer.first)
    matrix = torch.zeros(n_out, layer.n_out, layer.n_positions_in, layer.n_in, dtype=torch.float64)
    for o, first in enumerate(layer.first.tolist()):
        for s in range(layer.span):
            for i in range(layer.n_in):
                matrix[o, :, first + s, i] = layer.weight[o, s * layer.n_in + i].double()
    bias = layer.bias.double().reshape(-1)
    return matrix.reshape(n_out * layer.n_out, -1).detach(), bias.detach()


def apply_dense(layer, x):
    """A banded layer as one masked dense matrix, on (n_spectra, n_positions * n_in)."""
    matrix, bias = as_dense(layer)
    return x @ matrix.T + bias


@pytest.mark.parametrize(
    "first, span, n_in, n_out",
    [
        (range(8), 5, 1, 3),  # windows at every channel
        (range(12), 1, 3, 2),  # each position for itself
        ([0, 4, 8], 4, 2, 3),  # a constant step
        ([2, 3, 4], 2, 2, 1),  # not from the first position on
        ([0, 0, 1, 5, 5, 7], 3, 2, 2),  # any positions
        ([3, 1], 2, 1, 1),  # backwards
        ([4, 4], 1, 2, 2),
        ([7], 5, 2, 2),
    ],
)
def test_banded_layer_is_a_masked_dense_matrix(first, span, n_in, n_out):
    layer = BandedLinear(first, 12, span, n_in, n_out).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(12, 7, n_in, dtype=torch.float64)
    flat = x.transpose(0, 1).reshape(7, -1)
    expected = apply_dense(layer, flat).reshape(7, len(list(first)), n_out).transpose(0, 1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    # a view in another layout, as the transposed spectra are
    strided = flat.reshape(7, 12, n_in).transpose(0, 1)
    torch.testing.assert_close(layer(strided), expected, rtol=1e-12, atol=1e-12)


def dense_network(network, x):
    """A local autoencoder by its masked dense matrices, with explicit windows and overlap-add."""
    n_windows, window = network.n_windows, network.window
    z = apply_dense(network.windows, x)
    for layer in network.encoder:
        z = apply_dense(layer, nn.functional.elu(z))
    z = nn.functional.elu(z)
    if network.bottleneck == "dense":
        z = nn.functional.elu(network.project(z))
        code, z = z, nn.functional.elu(network.expand(z))
    else:
        z = nn.functional.elu(apply_dense(network.project, z))
        code, z = z, nn.functional.elu(apply_dense(network.expand, z))
    for layer in network.decoder[:-1]:
        z = nn.functional.elu(apply_dense(layer, z))
    z = apply_dense(network.decoder[-1], z).reshape(len(x), n_windows, window)
    y = torch.zeros_like(x)
    for w in range(n_windows):
        y[:, w : w + window] += z[:, w]
    return code, y


@pytest.mark.parametrize("bottleneck", ["local", "dense"])
@pytest.mark.parametrize(
    "n_channels, n_components, window, width, n_layers",
    [(30, 6, 5, 4, 3), (30, 40, 3, 3, 1), (9, 1, 9, 2, 2), (12, 12, 1, 2, 2), (30, 70, 5, 2, 2)],
)
def test_local_autoencoder_is_a_masked_dense_network(
    bottleneck, n_channels, n_components, window, width, n_layers
):
    network = LocalAutoencoder(n_channels, n_components, window, width, n_layers, bottleneck)
    network.double()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    x = torch.randn(11, n_channels, dtype=torch.float64)
    code, y = dense_network(network, x)
    torch.testing.assert_close(network.encode(x), code, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(network(x), y, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(network.decode(code), y, rtol=1e-10, atol=1e-12)


def response(network, n_channels):
    """Which outputs change with which inputs, and by how much, at some random spectrum."""
    x = torch.randn(n_channels, dtype=torch.float64)
    return jacobian(lambda x: network(x[None])[0], x).abs()


def test_distant_channels_cannot_be_combined():
    network = LocalAutoencoder(240, 24).double()
    mixed = response(network, 240)
    distance = (torch.arange(240)[:, None] - torch.arange(240)).abs()
    assert network.reach < 40
    assert (mixed[distance > network.reach] == 0).all()
    # the reach is not just a bound, and every output sees its own channel
    assert mixed[distance == network.reach].max() > 0
    assert mixed.diagonal().min() > 0
    published = LocalAutoencoder(240, 180, bottleneck="dense").double()
    assert (response(published, 240)[distance == 40] > 0).all() and published.reach == 239


@pytest.mark.parametrize("n_channels, n_components", [(50, 5), (50, 37), (50, 90), (7, 2)])
def test_every_component_is_used_and_reach_is_exact(n_channels, n_components):
    network = LocalAutoencoder(n_channels, n_components, width=4).double()
    x = torch.randn(1, n_channels, dtype=torch.float64)
    seen = jacobian(lambda x: network.encode(x[None])[0], x[0])
    used = jacobian(lambda z: network.decode(z[None])[0], network.encode(x)[0])
    assert seen.shape == (n_components, n_channels) and used.shape == (n_channels, n_components)
    assert (seen != 0).any(dim=1).all() and (seen != 0).any(dim=0).all()
    assert (used != 0).any(dim=0).all() and (used != 0).any(dim=1).all()
    # components follow each other along velocity
    centre = [float(row.nonzero().double().mean()) for row in seen]
    assert all(a <= b for a, b in zip(centre, centre[1:], strict=False))
    distance = (torch.arange(n_channels)[:, None] - torch.arange(n_channels)).abs()
    assert int(distance[response(network, n_channels) != 0].max()) == network.reach


def test_parameters_are_the_useful_ones_of_the_publication():
    network = LocalAutoencoder(240, 180, bottleneck="dense")
    count = {name: parameter.numel() for name, parameter in network.named_parameters()}
    blocks = sum(
        n for name, n in count.items()
        if name.endswith("weight") and name.split(".")[0] in ("windows", "encoder", "decoder")
    )  # fmt: skip
    assert blocks == 236 * 2 * (5 * 25 + 25 * 25 + 25 * 25) == 649_000
    assert count["project.weight"] == count["expand.weight"] == 236 * 25 * 180
    local = LocalAutoencoder(240, 24)
    banded = sum(parameter.numel() for parameter in local.parameters())
    # 20 windows of 25 units a component; two components a window
    assert local.project.weight.numel() == 24 * 20 * 25
    assert local.expand.weight.numel() == 236 * 2 * 25
    biases = 236 * (3 * 25 + 2 * 25 + 5) + 24 + 236 * 25
    assert banded == 649_000 + 24 * 20 * 25 + 236 * 2 * 25 + biases
    dense = DenseAutoencoder(80, 60)
    sizes = [80, 400, 400, 400, 60, 400, 400, 400, 80]
    expected = sum(a * b + b for a, b in zip(sizes, sizes[1:], strict=False))
    assert sum(parameter.numel() for parameter in dense.parameters()) == expected


def test_dense_autoencoder_is_a_perceptron():
    network = DenseAutoencoder(20, 6, expansion=2, n_layers=2).double()
    layers = [*network.encoder, *network.decoder]
    plain = nn.Sequential(*[step for layer in layers for step in (layer, nn.ELU())][:-1])
    x = torch.randn(5, 20, dtype=torch.float64)
    torch.testing.assert_close(network(x), plain(x), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(network.encode(x), plain[:6](x), rtol=1e-12, atol=1e-14)
    assert [layer.out_features for layer in layers] == [40, 40, 6, 40, 40, 20]


@pytest.mark.parametrize(
    "make",
    [
        lambda: LocalAutoencoder(240, 24),
        lambda: LocalAutoencoder(240, 180, bottleneck="dense"),
        lambda: DenseAutoencoder(120, 90),
    ],
    ids=["local", "local, dense bottleneck", "dense"],
)
def test_signals_of_order_one_stay_so_at_the_start(make):
    network = make()
    x = torch.randn(400, network.n_channels)
    with torch.no_grad():
        code, y = network.encode(x), network(x)
    assert 0.3 < code.std() < 2.0 and 0.3 < y.std() < 2.0
    assert all((p == 0).all() for name, p in network.named_parameters() if name.endswith("bias"))
    y = network(x)
    y.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() and (p.grad != 0).any() for p in network.parameters())


def test_initial_weights():
    layer = BandedLinear(range(200), 200, 1, 40, 30, gain=2.0)
    # 240,000 draws: 1 % is seven standard errors
    assert layer.weight.std().item() == pytest.approx(2.0 / math.sqrt(40), rel=0.01)


@pytest.mark.parametrize("bottleneck", ["local", "dense"])
def test_gradients_are_right(bottleneck):
    network = LocalAutoencoder(12, 3, 3, 2, 2, bottleneck).double()
    x = torch.randn(3, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (x,))


def test_a_local_autoencoder_learns():
    # lines of one shape at any place: a few components a place suffice
    rng = np.random.default_rng(0)
    channels = np.arange(40)
    centre, peak = rng.uniform(5, 35, (512, 1)), rng.uniform(1, 5, (512, 1))
    spectra = torch.from_numpy(peak * np.exp(-0.5 * ((channels - centre) / 2.0) ** 2)).float()
    network = LocalAutoencoder(40, 12, width=8)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(150):
        loss = (network(spectra) - spectra).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * spectra.square().mean()


def test_one_spectrum_and_none():
    network = LocalAutoencoder(20, 4)
    x = torch.randn(6, 20)
    torch.testing.assert_close(network(x[2:3]), network(x)[2:3])
    assert network(x[:0]).shape == (0, 20)


def test_copies_and_pickles_are_the_same_network():
    network, x = LocalAutoencoder(20, 4), torch.randn(5, 20)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(x), network(x))
    fresh = LocalAutoencoder(20, 4)
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh(x), network(x))


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: LocalAutoencoder(4, 2), "window=5; expected at most the 4 channels"),
        (lambda: LocalAutoencoder(20, 0), "n_components=0; expected a positive integer"),
        (lambda: LocalAutoencoder(20, 2, width=2.5), "width=2.5; expected a positive integer"),
        (lambda: LocalAutoencoder(20, 2, bottleneck="wide"), "bottleneck='wide'; expected 'local'"),
        (lambda: DenseAutoencoder(20, 2, expansion=0), "expansion=0; expected a positive integer"),
        (lambda: BandedLinear([0, 9], 10, 2, 1, 1), "first goes from 0 to 9 with span=2"),
        (lambda: BandedLinear([], 10, 2, 1, 1), r"first has shape \(0,\)"),
        (lambda: BandedLinear([[0]], 10, 2, 1, 1), r"first has shape \(1, 1\)"),
    ],
)
def test_bad_parameters(make, match):
    with pytest.raises(ValueError, match=match):
        make()
