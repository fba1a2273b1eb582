import pytest
import torch
from sklearn.base import clone
from torch import nn

from skastro.regression import MLP, MLPModule, PlainCNN, PlainCNNModule, ResNet, ResNetModule
from skastro.regression.networks import CellPooling, ResidualBlock


def test_cells_are_block_means():
    x = torch.randn(2, 3, 8, 12)
    expected = x.reshape(2, 3, 4, 2, 4, 3).mean((3, 5)).flatten(1)
    torch.testing.assert_close(CellPooling(4)(x), expected)


def test_a_residual_block_starts_as_a_rectifier():
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ResidualBlock(4)(x), torch.relu(x))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 5), (16, 16), (33, 20)])
def test_any_size_of_image(shape):
    module = ResNetModule(2, n_extra=1, stem=(4,), widths=(4, 8), n_cells=2).eval()
    features = module(torch.randn(3, 2, *shape), torch.randn(3, 1))
    assert features.shape == (3, module.n_features)
    assert torch.isfinite(features).all()


def test_it_knows_where_in_the_image_something_is():
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 16, 16)
    image[..., 2:4, 2:4] = 5.0
    moved = image.roll((8, 8), (2, 3))
    sees = ResNetModule(1, stem=(4,), widths=(8,), n_cells=4).eval()
    blind = ResNetModule(1, stem=(4,), widths=(8,), n_cells=1).eval()
    assert not torch.allclose(sees(image), sees(moved), atol=1e-4)
    torch.testing.assert_close(blind(image), blind(moved), atol=1e-5, rtol=1e-4)


def test_side_columns_change_the_features_and_are_learnt():
    module = ResNetModule(1, n_extra=2, stem=(4,), widths=(4,), n_cells=2).eval()
    x = torch.randn(2, 1, 8, 8)
    assert not torch.allclose(module(x, torch.zeros(2, 2)), module(x, torch.ones(2, 2)))
    module(x, torch.ones(2, 2)).sum().backward()
    assert module.side.weight.grad.abs().sum() > 0


def test_the_fused_network_gives_the_same_and_leaves_the_other_alone():
    torch.manual_seed(0)
    module = ResNetModule(2, stem=(4,), widths=(4, 8), n_cells=2).double()
    x = torch.randn(16, 2, 16, 16, dtype=torch.float64)
    for _ in range(5):
        # statistics and weights that are not those of the start
        module(x + torch.randn_like(x)).sum().backward()
        with torch.no_grad():
            for weight in module.parameters():
                weight += 0.1 * torch.randn_like(weight)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module.eval()
    torch.testing.assert_close(module.fused()(x), module(x), rtol=1e-9, atol=1e-9)
    assert not any(isinstance(one, nn.BatchNorm2d) for one in module.fused().modules())
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("widths", [(4,), (4, 8, 8, 8)])
def test_a_plain_network_of_small_images(widths):
    # more levels than the image can be halved
    module = PlainCNNModule(3, (5, 6), n_extra=1, widths=widths, n_features=7)
    assert module(torch.randn(2, 3, 5, 6), torch.randn(2, 1)).shape == (2, 7)


def test_a_plain_network_begins_with_a_signal():
    torch.manual_seed(0)
    features = PlainCNNModule(1, (32, 32))(torch.randn(64, 1, 32, 32))
    # with the usual weights of torch, 0.0005
    assert 0.1 < features.std(0).mean() < 3


def test_dense_layers_are_what_torch_has():
    module = MLPModule(3, hidden=(5, 4))
    x = torch.randn(6, 3)
    first, second = (layer for layer in module.layers if isinstance(layer, nn.Linear))
    expected = nn.functional.silu(second(nn.functional.silu(first(x))))
    torch.testing.assert_close(module(x), expected)
    assert MLPModule(3, n_extra=2, hidden=())(x, torch.ones(6, 2)).shape == (6, 5)


@pytest.mark.parametrize(
    "recipe", [ResNet(stem=(4,), n_cells=2), PlainCNN((4,), 6), MLP((5,), 0.1)]
)
def test_recipes_are_clonable_and_hand_their_parameters_on(recipe):
    again = clone(recipe)
    assert again.get_params() == recipe.get_params()
    module = again(n_channels=2, image_shape=(8, 8), n_extra=0)
    assert isinstance(module.n_features, int)
    if isinstance(recipe, ResNet):
        assert module.stem[0].out_channels == 4 and module.pooling.n_cells == 2
