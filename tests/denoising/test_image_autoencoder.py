"""The published autoencoder as a plain module."""

import pytest
import torch
from sklearn.base import clone

from skastro.denoising import PublishedAutoencoder


def images(n=2, c=1, h=16, w=16, seed=0):
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(seed))


def test_autoencoder_has_a_bottleneck():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = PublishedAutoencoder(latent_size=3)(n_channels=2, image_shape=(30, 21))
    x = images(20, 2, 30, 21)
    with torch.inference_mode():
        assert module.encoder(x).shape == (20, 3)
        assert module(x).shape == x.shape
        # at one position, the derivative of the answer has the rank of the code
    jacobian = torch.autograd.functional.jacobian(lambda z: module(z).flatten(), x[:1]).flatten(1)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-4) == 3
    with pytest.raises(ValueError, match=r"X has images of \(16, 16\) pixels; expected \(30, 21\)"):
        module(images(1, 2))


def test_recipe_is_clonable():
    recipe = PublishedAutoencoder(4, (8, 8))
    assert clone(recipe).get_params() == recipe.get_params()
