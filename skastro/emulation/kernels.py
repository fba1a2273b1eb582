"""The linear layer on a CPU: oneDNN's float32 product where torch's default is slower.

torch sends `linear` to its BLAS, which on many processors reaches less than half of the float32 speed
that oneDNN does. The same sums, in another order: no lower precision, no global setting touched.
"""

import torch
from torch.nn import functional

__all__ = ["PackedLinear", "has_onednn", "train_linear"]

# Below this many multiplications the call itself costs more than what it saves; a step of training
# passes through Python three times.
SMALL, SMALL_STEP = 2_000_000, 8_000_000


def _probe():
    """Whether oneDNN's linear is in this build of torch and gives the right numbers."""
    try:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(16, 33, generator=generator)
        weight = torch.randn(17, 33, generator=generator)
        bias = torch.randn(17, generator=generator)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 16)
        expected = functional.linear(x.double(), weight.double(), bias.double())
        seen = [_onednn(x, weight, bias), _onednn(x, packed, bias)]
        return all(torch.allclose(one.double(), expected, rtol=1e-5, atol=1e-5) for one in seen)
    except Exception:  # another build, another processor: the stock product is always there
        return False


def _onednn(x, weight, bias):
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


_AVAILABLE = None


def has_onednn():
    """Whether the faster product can be used here (looked up once)."""
    global _AVAILABLE
    if _AVAILABLE is None:
        _AVAILABLE = _probe()
    return _AVAILABLE


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _onednn(gradient, weight.t().contiguous(), None)
        if ctx.needs_input_grad[1]:
            grad_weight = _onednn(gradient.t().contiguous(), x.t().contiguous(), None)
        return grad_x, grad_weight, gradient.sum(0)


def train_linear(x, weight, bias):
    """``x @ weight.T + bias`` for a training step, first derivatives only.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_in)
    weight : Tensor of shape (n_out, n_in)
    bias : Tensor of shape (n_out,)

    Returns
    -------
    y : Tensor of shape (n_samples, n_out)
    """
    if (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.ndim == 2
        and x.shape[0] * weight.numel() >= SMALL_STEP
        and has_onednn()
    ):
        return _Linear.apply(x, weight, bias)
    return functional.linear(x, weight, bias)


class PackedLinear:
    """A linear layer for inference, its weights laid out once for the processor.

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in)
    bias : Tensor of shape (n_out,)

    Examples
    --------
    >>> import torch
    >>> from skastro.emulation.kernels import PackedLinear
    >>> PackedLinear(torch.eye(2), torch.ones(2))(torch.tensor([[1.0, 2.0]]))
    tensor([[2., 3.]])
    """

    def __init__(self, weight, bias):
        self.weight = weight.detach().contiguous()
        self.bias = bias.detach().contiguous()
        self.packed = None
        if weight.dtype == torch.float32 and weight.device.type == "cpu" and has_onednn():
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, 1024)

    def __call__(self, x, bias=True):
        bias = self.bias if bias else None
        # one row is a matrix-vector product: bound by memory, and torch's own starts faster
        if self.packed is None or x.shape[0] * self.weight.numel() < SMALL:
            return functional.linear(x, self.weight, bias)
        return _onednn(x, self.packed, bias)
