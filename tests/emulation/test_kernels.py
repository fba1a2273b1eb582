"""The faster linear layer against torch's own in float64: values, slopes, awkward inputs."""

import numpy as np
import pytest
import torch
from torch.nn.functional import linear

from skastro.emulation import kernels
from skastro.emulation.kernels import PackedLinear, has_onednn, train_linear


@pytest.fixture(params=["onednn", "stock"])
def path(request, monkeypatch):
    """Every product takes oneDNN's way, or none does."""
    if request.param == "onednn":
        if not has_onednn():
            pytest.skip("this build of torch has no oneDNN")
        # but for no rows at all, which never come near the true limits
        monkeypatch.setattr(kernels, "SMALL", 1)
        monkeypatch.setattr(kernels, "SMALL_STEP", 1)
    else:
        monkeypatch.setattr(kernels, "_AVAILABLE", False)
    return request.param


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs(kind, n_in):
    """(n_samples, n_in) tensors in every layout."""
    return {
        "plain": lambda: random(50, n_in),
        "one row": lambda: random(1, n_in),
        "no rows": lambda: random(0, n_in),
        "every other column": lambda: random(50, 2 * n_in)[:, ::2],
        "every third row": lambda: random(150, n_in)[::3],
        "transposed": lambda: random(n_in, 50).t(),
        "expanded": lambda: random(1, n_in).expand(50, n_in),
        "tiny": lambda: 1e-30 * random(50, n_in),
        "large": lambda: 1e15 * random(50, n_in),
    }[kind]()


KINDS = [
    "plain", "one row", "no rows", "every other column", "every third row", "transposed", "expanded",
    "tiny", "large",
]  # fmt: skip
SIZES = [(1, 1), (3, 1), (1, 5), (33, 17), (128, 300)]


def assert_close(found, expected, scale):
    # rounding of a sum of float32 products, in units of the sum of their absolute values
    error = (found.double() - expected).abs()
    assert found.dtype == torch.float32 and found.shape == expected.shape
    assert (error <= 2e-6 * scale).all()


@pytest.mark.parametrize("n_in, n_out", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_values(path, kind, n_in, n_out):
    x, weight, bias = inputs(kind, n_in), random(n_out, n_in, seed=1), random(n_out, seed=2)
    expected = linear(x.double(), weight.double(), bias.double())
    scale = linear(x.double().abs(), weight.double().abs(), bias.double().abs())
    assert_close(train_linear(x, weight, bias), expected, scale)
    packed = PackedLinear(weight, bias)
    assert (packed.packed is not None) == (path == "onednn")
    assert_close(packed(x), expected, scale)
    assert_close(packed(x, bias=False), expected - bias.double(), scale)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no rows"])
def test_slopes(path, kind):
    x, weight, bias = inputs(kind, 33), random(17, 33, seed=1), random(17, seed=2)
    up = random(17, len(x), seed=3).t()  # a slope that is not contiguous
    found = [leaf.requires_grad_() for leaf in (x.clone(), weight.clone(), bias.clone())]
    y = train_linear(*found)
    assert ("_Linear" in type(y.grad_fn).__name__) == (path == "onednn")
    y.backward(up)
    exact = [leaf.detach().double().requires_grad_() for leaf in found]
    linear(*exact).backward(up.double())
    sizes = [leaf.detach().double().abs().requires_grad_() for leaf in found]
    linear(*sizes).backward(up.double().abs())
    for one, other, size in zip(found, exact, sizes, strict=True):
        assert_close(one.grad, other.grad, size.grad)


def test_weights_of_any_layout(path):
    weight = random(9, 40, seed=1).t()[::2]
    x, bias = random(30, 9), random(40, seed=2)[::2]
    expected = linear(x.double(), weight.double(), bias.double())
    for found in (train_linear(x, weight, bias), PackedLinear(weight, bias)(x)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_frozen_parts_get_no_slope(path):
    x, weight, bias = random(20, 5), random(4, 5, seed=1).requires_grad_(), random(4, seed=2)
    train_linear(x, weight, bias).sum().backward()
    np.testing.assert_allclose(weight.grad, x.sum(0).expand(4, 5), rtol=1e-5)
    assert x.grad is None and bias.grad is None


def test_second_derivatives_are_refused(monkeypatch):
    # torch would go on with a slope of zero through the layer
    if not has_onednn():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(kernels, "SMALL_STEP", 1)
    x, weight, bias = random(6, 5).requires_grad_(), random(4, 5, seed=1), random(4, seed=2)
    with pytest.raises(RuntimeError, match="once_differentiable|appears to not have been used"):
        (slope,) = torch.autograd.grad(
            train_linear(x, weight, bias).pow(3).sum(), x, create_graph=True
        )
        torch.autograd.grad(slope.sum(), x)


def test_float64_keeps_its_precision(path):
    x, weight, bias = (random(*shape).double() for shape in [(30, 9), (4, 9), (4,)])
    expected = x.numpy() @ weight.numpy().T + bias.numpy()
    for found in (train_linear(x, weight, bias), PackedLinear(weight, bias)(x)):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_packed_weights_are_a_copy_of_their_own(path):
    weight, bias = random(4, 9, seed=1), random(4, seed=2)
    layer = PackedLinear(weight.requires_grad_(), bias)
    assert not layer(random(3, 9)).requires_grad


def test_small_products_take_the_stock_way():
    y = train_linear(random(2, 3).requires_grad_(), random(4, 3), random(4))
    assert "_Linear" not in type(y.grad_fn).__name__


def test_a_probe_that_fails_is_no_error(monkeypatch):
    def broken(*args):
        raise NotImplementedError

    monkeypatch.setattr(kernels, "_onednn", broken)
    assert kernels._probe() is False
    monkeypatch.setattr(kernels, "_onednn", lambda x, weight, bias: torch.zeros(16, 17))
    assert kernels._probe() is False
