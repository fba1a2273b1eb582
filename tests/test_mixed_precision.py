"""Products of bfloat16 are used in training alone, where they are asked for or the processor has them."""

import pytest
import torch

from skastro.mixed_precision import has_bfloat16, mixed_products


def product(mixed_precision, training=True, dtype=torch.float32):
    """A layer in the context, and what it gives."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = torch.nn.Linear(64, 8).to(dtype).train(training)
        x = torch.randn(5, 64, dtype=dtype)
    with mixed_products(layer, x, mixed_precision):
        return layer, layer(x)


def test_only_in_training():
    assert product(True)[1].dtype == torch.bfloat16
    assert product(True, training=False)[1].dtype == torch.float32
    assert product(False)[1].dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_auto_follows_the_processor():
    expected = torch.bfloat16 if has_bfloat16("cpu") else torch.float32
    assert product("auto")[1].dtype == expected
    assert product("auto", dtype=torch.float64)[1].dtype == torch.float64


def test_weights_and_their_gradients_stay_float32():
    layer, y = product(True)
    y.float().square().sum().backward()
    exact, z = product(False)
    z.square().sum().backward()
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
    # eight bits of each factor, 64 of them
    torch.testing.assert_close(y.float(), z, rtol=0.02, atol=0.02)
    worst = (layer.weight.grad - exact.weight.grad).norm() / exact.weight.grad.norm()
    assert 0 < worst < 0.02


@pytest.mark.parametrize("device", ["meta", "xla"])
def test_other_devices_have_none(device):
    assert has_bfloat16(device) is False


def test_bad_input():
    with pytest.raises(ValueError, match="mixed_precision='no'; expected True, False or 'auto'"):
        product("no")
