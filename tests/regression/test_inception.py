import numpy as np
import pytest
import torch

from skastro.regression import Inception, InceptionModule
from skastro.regression.inception import InceptionBlock


def published_parameters():
    """Weights, biases and slopes of the published layers, counted by hand."""

    def convolution(n_in, n_out, size):
        return n_in * n_out * size**2 + 2 * n_out

    total, n_in = convolution(5, 64, 5), 64
    for narrow, wide in ((48, 64), (64, 92), (92, 128), (92, 128), (92, 128)):
        last = n_in == 476 and total > 1_500_000
        total += convolution(n_in, wide, 1) + 2 * convolution(n_in, narrow, 1)
        total += convolution(narrow, wide, 3)
        if not last:
            total += convolution(n_in, narrow, 1) + convolution(narrow, wide, 5)
        n_in = (2 if last else 3) * wide + narrow
    flat = 8 * 8 * n_in + 1
    return total + (flat + 1) * 1096 + 1097 * 1096


def test_the_published_number_of_parameters():
    module = InceptionModule(5, (64, 64), n_extra=1)
    found = sum(one.numel() for one in module.parameters())
    assert found == published_parameters()
    # with the last layer over 180 bins, the 27.6 million that the reference counts
    assert abs(found + 1097 * 180 - 27.6e6) < 0.1e6


def test_the_pooling_branch_averages_what_is_there():
    torch.manual_seed(0)
    block = InceptionBlock(3, 2, 4)
    x = torch.randn(1, 3, 5, 6)
    pooled = block.pooled(x)[0].detach().numpy()
    found = block(x)[0, -2:].detach().numpy()
    for i in range(5):
        for j in range(6):
            expected = pooled[:, i : i + 2, j : j + 2].mean(axis=(1, 2))
            np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-5, atol=1e-6)


def test_biases_and_slopes_begin_where_published():
    module = Inception()(n_channels=5, image_shape=(16, 16), n_extra=1)
    for name, values in module.named_parameters():
        if name.endswith("bias"):
            assert (values == 0.1).all()
    slopes = [m.weight for m in module.modules() if isinstance(m, torch.nn.PReLU)]
    assert len(slopes) == 1 + 4 * 6 + 4
    assert all((one == 0).all() for one in slopes)


def test_small_images_are_refused():
    with pytest.raises(ValueError, match=r"image_shape=\(4, 16\); expected at least 8"):
        InceptionModule(5, (4, 16))
