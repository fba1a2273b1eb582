"""Networks of images as plain modules."""

import pytest
import torch
from sklearn.base import clone

from skastro.denoising import UNet
from skastro.denoising.image_networks import GlobalContext


def images(n=2, c=1, h=16, w=16, seed=0):
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(seed))


def unet(c=1, h=16, w=16, seed=0, **kwargs):
    settings = dict(width=8, n_context=16, mixed_precision=False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNet(**settings | kwargs)(n_channels=c, image_shape=(h, w)).eval()


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (13, 22), (1, 5), (3, 1)])
@pytest.mark.parametrize("c", [1, 3])
def test_any_size_comes_back(shape, c):
    module = unet(c, *shape)
    with torch.inference_mode():
        assert module(images(2, c, *shape)).shape == (2, c, *shape)
        # other sizes than it was built for
        assert torch.isfinite(module(images(1, c, 21, 10))).all()


@pytest.mark.parametrize(
    "kwargs", [{"n_levels": 1}, {"n_levels": 4}, {"n_blocks": 2}, {"n_context": 0}], ids=str
)
def test_shapes_of_the_unet(kwargs):
    assert unet(**kwargs)(images(1)).shape == (1, 1, 16, 16)


def test_images_do_not_know_of_each_other():
    module, x = unet().double(), images(4).double()
    with torch.inference_mode():
        torch.testing.assert_close(module(x)[1:3], module(x[1:3]))


def test_a_blank_pixel_is_not_read_but_is_estimated():
    module, x = unet(), images(1)
    x[0, 0, 5, 5] = torch.nan
    with torch.inference_mode():
        assert torch.isfinite(module(x)).all()


def test_padding_is_seen_as_blank():
    # with the border known to be blank, padding by hand changes nothing but the coordinates
    module = unet(n_context=0).double()
    with torch.no_grad():
        module.stem.weight.view(8, -1, 4, 3, 3)[:, -3:] = 0.0
        module.pixel[0].weight[:, -3:] = 0.0
    x = images(1, 1, 13, 16).double()
    by_hand = torch.nn.functional.pad(x, (0, 0, 0, 3), value=torch.nan)
    with torch.inference_mode():
        torch.testing.assert_close(module(x), module(by_hand)[:, :, :13])


def test_the_whole_field_is_seen_only_with_context():
    for n_context, far in ((0, False), (16, True)):
        module = unet(h=256, w=256, n_context=n_context, n_levels=1).double()
        features = module.features(images(1, 1, 256, 256).double())[0]
        other = features.clone()
        other[0, 0, 0, 0] += 3.0
        with torch.inference_mode():
            change = (module._maps(features) - module._maps(other)).abs()[0].amax(0)
        assert change[:4, :4].max() > 1e-6
        assert (change[200:, 200:].max() > 1e-12) == far


def test_context_has_a_grid_of_any_image():
    context = GlobalContext(8, (4, 4), 16)
    for shape in ((4, 4), (9, 5), (1, 1)):
        assert context(torch.randn(2, 8, *shape)).shape == (2, 8, *shape)


def test_mixed_precision_only_while_training():
    module, x = unet(mixed_precision=True), images()
    same = unet(mixed_precision=False)
    with torch.inference_mode():
        assert torch.equal(module(x), same(x))
        rounded, exact = module.train()(x), same.train()(x)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1


@pytest.mark.parametrize("recipe", [UNet(12, n_blocks=2), UNet(8, mixed_precision=False)], ids=str)
def test_recipes_are_clonable(recipe):
    assert clone(recipe).get_params() == recipe.get_params()


@pytest.mark.parametrize("name", ["width", "n_levels", "n_blocks"])
def test_bad_sizes(name):
    with pytest.raises(ValueError, match=f"{name}=0; expected at least 1"):
        UNet(**{name: 0})(n_channels=1, image_shape=(8, 8))
