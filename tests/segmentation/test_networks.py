"""The networks: their sizes, layers by hand, how far they see, tiles against the whole image, bfloat16."""

import pytest
import torch
from sklearn.base import clone
from torch.nn import functional

from skastro.segmentation import (
    FusedNet,
    FusedNetModule,
    PublishedUNet,
    PublishedUNetModule,
    UNetModule,
)
from skastro.segmentation.padding import reach

SMALL = FusedNet(widths=(4, 6, 8), n_convolutions=(1, 1, 2))
RECIPES = [SMALL, FusedNet((4,), (1,)), PublishedUNet(4, 3), PublishedUNet(4, 1)]


def build(recipe, n_channels=1, n_outputs=3, dtype=torch.float32):
    torch.manual_seed(0)
    return recipe(n_channels, n_outputs, (32, 32)).to(dtype).eval()


def n_weights(module):
    return sum(one.numel() for one in module.parameters())


def multiplications(module, size):
    """Of all convolutions, for a pixel of a square image."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        grid = inputs[0] if isinstance(layer, torch.nn.ConvTranspose2d) else output
        total += layer.weight.numel() * grid.shape[2] * grid.shape[3]

    for layer in module.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(1, 1, size, size))
    return total / size**2


def test_fused_net_has_the_weights_and_the_cost_of_the_published_one():
    network = FusedNet()(1, 14, (64, 64))
    assert n_weights(network) == 5_727_944  # 5.73 million
    # a multiplication and an addition are two operations: 0.26 MFLOP a pixel, biases and pools left out
    assert 2 * multiplications(network, 32) == 262_440
    assert network.multiple == 32


def test_unet_has_the_weights_of_the_published_one():
    # one channel, two classes: Ronneberger et al., figure 1, with transposed convolutions of 2 x 2
    assert n_weights(PublishedUNet(width=64)(1, 2)) == 31_030_658


@torch.no_grad()
def test_fused_net_layer_by_layer():
    network = build(FusedNet((3, 5), (1, 2)), n_outputs=2)
    x = torch.randn(2, 1, 8, 12)

    def convolve(block, x):
        for i in range(0, len(block), 2):
            x = functional.conv2d(x, block[i].weight, block[i].bias, padding=1).relu()
        return x

    def unpool(x, places):
        """Every value to the place of its maximum, by hand."""
        n, c, h, w = x.shape
        out = torch.zeros(n, c, 4 * h * w)
        out.scatter_(2, places.reshape(n, c, -1), x.reshape(n, c, -1))
        return out.reshape(n, c, 2 * h, 2 * w)

    one = convolve(network.down[0], x)
    pooled, first = functional.max_pool2d(one, 2, return_indices=True)
    two = convolve(network.down[1], pooled)
    assert len(network.down[1]) == len(network.up[1]) == 4
    pooled, second = functional.max_pool2d(two, 2, return_indices=True)
    high = convolve(network.up[1], unpool(convolve(network.bridge, pooled), second) + two)
    main = convolve(network.up[0], unpool(high, first) + one)
    branch = convolve(network.branches[0][0], unpool(high, first))
    expected = network.fuse(torch.cat([main, branch], 1))
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_pixel_sees_beyond_the_halo(recipe):
    network = build(recipe, dtype=torch.float64)
    m, halo = network.multiple, network.halo
    size = m * (-(-(2 * halo + 4 * m) // m))
    x = torch.randn(1, 1, size, size, dtype=torch.float64)
    farthest = 0
    with torch.no_grad():
        base = network(x)
        # spots of several strengths at all places of a cell, along the diagonal
        for place in range(size // 2, size // 2 + m):
            for strength in (-30.0, 30.0):
                other = x.clone()
                other[..., place, place] += strength
                change = (network(other) - base).abs().amax((0, 1)) > 1e-12
                rows, columns = torch.nonzero(change, as_tuple=True)
                away = torch.maximum((rows - place).abs(), (columns - place).abs()).max()
                farthest = max(farthest, int(away))
    assert farthest <= halo
    # not far less either: the halo costs time
    assert farthest >= 0.6 * halo


@pytest.mark.parametrize("recipe", RECIPES)
def test_tiles_give_what_the_whole_image_does(recipe):
    network = build(recipe)
    m, halo = network.multiple, network.halo
    step = m * (-(-halo // m))
    h, w = 4 * step + 3 * m + 3, 3 * step + 2 * m + 5
    image = torch.randn(1, 1, h, w).cumsum(2).cumsum(3) * 0.05 + torch.randn(1, 1, h, w)
    tile = m * (-(-20 // m))
    with torch.inference_mode():
        whole = network(image)
        for top in range(0, h, tile):
            for left in range(0, w, 2 * tile):
                low_y, low_x = max(0, top - step), max(0, left - step)
                part = image[..., low_y : top + tile + halo, low_x : left + 2 * tile + halo]
                found = network(part)[..., top - low_y :, left - low_x :]
                found = found[..., :tile, : 2 * tile]
                expected = whole[..., top : top + tile, left : left + 2 * tile]
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("recipe", [SMALL, PublishedUNet(4, 3)])
def test_any_size_any_channels(recipe):
    network = build(recipe, n_channels=2, n_outputs=1)
    for shape in ((1, 1), (1, 40), (7, 9), (16, 24), (33, 8)):
        x = torch.randn(2, 2, *shape)
        out = network(x)
        assert out.shape == (2, 1, *shape) and torch.isfinite(out).all()
        # the rows that are added are the last one, again
        rows, columns = -shape[0] % 8, -shape[1] % 8
        padded = torch.cat([x, x[:, :, -1:].expand(-1, -1, rows, -1)], 2)
        padded = torch.cat([padded, padded[..., -1:].expand(-1, -1, -1, columns)], 3)
        torch.testing.assert_close(out, network(padded)[..., : shape[0], : shape[1]])


@pytest.mark.parametrize("recipe", [SMALL, PublishedUNet(4, 2)])
def test_gradients_reach_all_weights(recipe):
    network = build(recipe).train()
    network(torch.randn(2, 1, 16, 16)).square().mean().backward()
    for name, one in network.named_parameters():
        assert one.grad is not None and torch.isfinite(one.grad).all(), name
    twin = clone(recipe)
    assert twin.get_params() == recipe.get_params()


def test_reach_by_hand():
    # no pool: convolutions alone
    assert reach([], n_bridge=3) == 3
    # a pool: a pixel at the left of its cell sees 2 cells of 2 to the left, and its own
    assert reach([0], n_bridge=2) == 5
    assert reach([1], n_bridge=1) == 5


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FusedNet(widths=(4, 8))(1, 1), "expected one of each a level"),
        (lambda: FusedNet(widths=(), n_convolutions=())(1, 1), "expected one of each a level"),
        (lambda: FusedNet((4, 0), (1, 1))(1, 1), "widths=0; expected whole numbers of 1 or more"),
        (lambda: FusedNet((4, 4), (1, 0))(1, 1), "n_convolutions=0; expected"),
        (lambda: FusedNetModule(0, 1), "n_channels=0; expected"),
        (lambda: PublishedUNet(width=2.5)(1, 1), "width=2.5; expected"),
        (lambda: PublishedUNet(n_levels=0)(1, 1), "n_levels=0; expected"),
        (lambda: PublishedUNetModule(1, 0), "n_outputs=0; expected"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("widths", [(8,), (4, 6), (4, 6, 8, 8, 8, 8)])
def test_a_part_is_what_the_whole_has_there(widths):
    torch.manual_seed(0)
    module = UNetModule(n_channels=1, n_outputs=3, widths=widths).eval()
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    x = torch.randn(2, 1, 133, 117)
    places = [
        (0, 133, 0, 117),
        (64, 128, 32, 96),
        (13, 78, 101, 117),
        (0, 5, 110, 117),
        (132, 133, 7, 8),
    ]
    with torch.inference_mode():
        for network in (module, module.fused()):
            whole = network(x)
            for top, bottom, left, right in places:
                part = network.part(x, slice(top, bottom), slice(left, right))
                expected = whole[..., top:bottom, left:right]
                torch.testing.assert_close(part, expected, rtol=0, atol=1e-5)
                # another place of the same size would not do
                assert (
                    not torch.allclose(part.roll(1, -1), expected, atol=1e-3) or part.shape[-1] == 1
                )


@pytest.mark.parametrize("mixed_precision", [True, "auto"])
def test_bfloat16_while_training_points_the_same_way(mixed_precision):
    torch.manual_seed(0)
    module = UNetModule(n_channels=1, n_outputs=3, widths=(8, 12, 16, 16), mixed_precision=False)
    x, target = torch.randn(2, 1, 64, 64), (torch.rand(2, 3, 64, 64) < 0.1).float()
    target[:, 0] = (x[:, 0] > 1.0).float()

    def slopes():
        module.zero_grad()
        logits = module(x)
        assert logits.dtype == torch.float32
        functional.binary_cross_entropy_with_logits(logits, target).backward()
        assert all(one.grad.dtype == torch.float32 for one in module.parameters())
        return logits.detach(), torch.cat([one.grad.flatten() for one in module.parameters()])

    exact, slope = slopes()
    module.mixed_precision = mixed_precision
    logits, mixed = slopes()
    torch.testing.assert_close(logits, exact, rtol=0.05, atol=0.05)
    assert functional.cosine_similarity(slope, mixed, dim=0) > 0.99
    if mixed_precision is True:
        assert (logits != exact).any()
    # predictions are float32 whatever the training was
    module.eval()
    with torch.inference_mode():
        mixed = module(x)
        module.mixed_precision = False
        assert torch.equal(mixed, module(x))
