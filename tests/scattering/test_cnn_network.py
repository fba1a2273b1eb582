"""The convolutional network of maps, against torch's own periodic convolutions."""

import torch
from torch import nn

from skastro.scattering.cnn_network import MapNetwork, Turned
from skastro.symmetries import turn


def test_the_network_is_periodic():
    torch.manual_seed(0)
    network = MapNetwork(2, 3, (4, 6)).eval()
    maps = torch.randn(2, 2, 16, 12)
    # halved twice: blind to shifts by 4 pixels
    torch.testing.assert_close(network(maps.roll((4, 8), (2, 3))), network(maps))
    x = maps
    for level in network.levels:
        layer = nn.Conv2d(*level[0].weight.shape[1::-1], 3, padding=1, padding_mode="circular")
        layer.load_state_dict(level[0].state_dict())
        x = nn.functional.avg_pool2d(level[1](layer(x)).relu(), 2)
    torch.testing.assert_close(network(maps), network.head(x.mean(dim=(2, 3))))


def test_batches_are_turned_and_targets_are_not():
    maps = torch.rand(10, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    target = torch.arange(10.0)
    found, (same,) = Turned(8)(maps, (target,), torch.Generator().manual_seed(1))
    assert torch.equal(same, target) and not torch.equal(found, maps)
    for one, turned in zip(maps, found, strict=True):
        assert any(torch.equal(turn(one, k), turned) for k in range(8))
