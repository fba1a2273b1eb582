"""Windows of a cube against loops, and the network that reads them."""

import numpy as np
import pytest
import torch

from skastro.denoising.patch_inference import denoise_block, tile_shifts
from skastro.denoising.patch_network import PatchNetwork
from skastro.denoising.patches import Patches

SHAPE = (7, 9, 20)
KINDS = [
    Patches((2, 2, 4), (2, 1, 3)),
    Patches((2, 2, 4), (1, 1, 2), coarse_halo=(2, 1, 2)),
    Patches((1, 1, 4), (0, 0, 4), coarse_halo=(0, 0, 2)),
    Patches((1, 1, 1), (1, 1, 2)),
]


@pytest.fixture
def cube():
    return torch.from_numpy(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))


def voxel(cube, place):
    inside = all(0 <= p < n for p, n in zip(place, cube.shape, strict=True))
    return float(cube[tuple(place)]) if inside else 0.0


def by_loops(patches, cube, origin):
    row = []
    for index in np.ndindex(*patches.window):
        row.append(
            voxel(cube, [o + i - h for o, i, h in zip(origin, index, patches.halo, strict=True)])
        )
    if patches.coarse_halo is not None:
        for index in np.ndindex(*patches.coarse_window):
            corner = [
                o + s * (i - h)
                for o, s, i, h in zip(origin, patches.step, index, patches.coarse_halo, strict=True)
            ]
            cell = [
                voxel(cube, [c + d for c, d in zip(corner, delta, strict=True)])
                for delta in np.ndindex(*patches.step)
            ]
            row.append(np.mean(cell))
    return np.array(row)


@pytest.mark.parametrize("patches", KINDS)
def test_windows_are_those_of_loops(patches, cube):
    origins = [(0, 0, 0), (3, 4, 10), (6, 8, 19), tuple(1 - n for n in patches.tile)]
    field = patches.field(cube)
    rows = patches.gather(field, torch.tensor([(0, *origin) for origin in origins]))
    assert rows.shape == (len(origins), patches.n_inputs)
    for row, origin in zip(rows, origins, strict=True):
        np.testing.assert_allclose(row, by_loops(patches, cube, origin), atol=1e-6)


@pytest.mark.parametrize("patches", KINDS)
def test_the_centre_of_a_window_is_its_tile(patches, cube):
    field = patches.field(cube)
    origin = torch.tensor([[0, 2, 3, 5], [0, 1, 1, 9]])
    centre = patches.centre(patches.gather(field, origin))
    assert torch.equal(centre, patches.tiles(field[0], origin))
    y, x, k = patches.tile
    assert torch.equal(centre[0], cube[2 : 2 + y, 3 : 3 + x, 5 : 5 + k].flatten())


def test_pieces_do_not_see_each_other(cube):
    patches = KINDS[0]
    alone = patches.gather(patches.field(cube), torch.tensor([[0, 0, 0, 0]]))
    other = torch.stack([torch.full(SHAPE, 7.0), cube])
    assert torch.equal(patches.gather(patches.field(other), torch.tensor([[1, 0, 0, 0]])), alone)


def network_of(patches, seed=0):
    torch.manual_seed(seed)
    network = PatchNetwork(patches.n_inputs, patches.n_outputs, (16, 16), n_conditions=2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def test_an_untrained_network_sees_no_signal():
    assert not PatchNetwork(12, 4, (8, 8))(torch.randn(5, 12)).any()


def test_the_network_is_its_formula():
    torch.manual_seed(0)
    network = network_of(KINDS[0]).double()
    x, c = torch.randn(3, network.first.in_features).double(), torch.tensor([0.2, 0.3]).double()

    def gelu(u):
        return 0.5 * u * (1 + torch.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3)))

    state = gelu(x @ network.first.weight.T + network.first.bias + network.condition.weight @ c)
    state = state + gelu(state @ network.layers[0].weight.T + network.layers[0].bias)
    want = state @ network.last.weight.T + network.last.bias + x @ network.linear.weight.T
    torch.testing.assert_close(network(x, c), want)


@pytest.mark.parametrize("patches", KINDS)
@pytest.mark.parametrize("shift", [0, 1])
def test_blocks_are_denoised_tile_by_tile(patches, cube, shift):
    network = network_of(patches)
    conditions = torch.tensor([0.1, 0.2])
    shifts = tile_shifts(patches.tile, 8)
    shift = shifts[min(shift, len(shifts) - 1)]
    want = torch.zeros(SHAPE)
    field = patches.field(cube)
    with torch.no_grad():
        starts = [range(-s, n, t) for s, n, t in zip(shift, SHAPE, patches.tile, strict=True)]
        for origin in np.array(np.meshgrid(*starts, indexing="ij")).reshape(3, -1).T.tolist():
            tile = network(patches.gather(field, torch.tensor([[0, *origin]])), conditions)
            tile = tile.view(patches.tile)
            for index in np.ndindex(*patches.tile):
                place = tuple(o + i for o, i in zip(origin, index, strict=True))
                if all(0 <= p < n for p, n in zip(place, SHAPE, strict=True)):
                    want[place] = tile[index]
        got = denoise_block(network, patches, cube, conditions=conditions, n_shifts=1)
        if shift == (0, 0, 0):
            torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
        elif shift == shifts[1]:
            both = denoise_block(network, patches, cube, conditions=conditions, n_shifts=2)
            torch.testing.assert_close(both, 0.5 * (got + want), atol=1e-5, rtol=1e-5)


def test_the_gate_leaves_out_what_is_closed_and_changes_nothing_else(cube):
    patches, network = KINDS[0], network_of(KINDS[0])
    gate = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) < 0.02
    calls = []
    network.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    with torch.no_grad():
        full = denoise_block(network, patches, cube)
        gated = denoise_block(network, patches, cube, gate)
    torch.testing.assert_close(gated, full * gate, atol=1e-6, rtol=1e-5)
    assert calls[1] <= int(gate.sum()) < calls[0]


def test_a_closed_gate_is_zero(cube):
    gate = torch.zeros(SHAPE, dtype=torch.bool)
    assert not denoise_block(network_of(KINDS[0]), KINDS[0], cube, gate).any()


@pytest.mark.parametrize("tile", [(2, 2, 4), (1, 1, 4), (1, 1, 1), (3, 3, 5)])
def test_shifts_are_different_and_smaller_than_a_tile(tile):
    shifts = tile_shifts(tile, 8)
    assert shifts[0] == (0, 0, 0) and len(set(shifts)) == len(shifts)
    assert all(0 <= s < n for shift in shifts for s, n in zip(shift, tile, strict=True))
