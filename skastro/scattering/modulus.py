"""The modulus of complex fields and its gradient, safe at 0."""

import torch

__all__ = ["direction", "modulus", "norm"]


def modulus(z, overwrite=False):
    """Modulus of a complex tensor, faster than `torch.abs`.

    Parameters
    ----------
    z : Tensor, complex, contiguous
        Of values whose squares neither overflow nor underflow.
    overwrite : bool, default=False
        Whether `z` may be used as memory to work in. Without gradient.

    Returns
    -------
    modulus : Tensor of the shape of `z`, real

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.modulus import modulus
    >>> modulus(torch.tensor([3 + 4j, 0j]))
    tensor([5., 0.])
    """
    # squares of neighbours in memory, then one strided pass
    parts = torch.view_as_real(z)
    squares = parts.square_() if overwrite else parts.square()
    return (squares[..., 0] + squares[..., 1]).sqrt_()


def direction(z, modulus, weight):
    """Gradient of ``(weight * |z|).sum()``, in place of `z`: 0 where z = 0, a subgradient there.

    Parameters
    ----------
    z : Tensor, complex
        Overwritten.
    modulus : Tensor, real
        Of `z`. Overwritten.
    weight : Tensor broadcastable to `z`, real

    Returns
    -------
    gradient : Tensor, complex
        `z` itself.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.modulus import direction, modulus
    >>> z = torch.tensor([3 + 4j, 0j])
    >>> direction(z, modulus(z), torch.tensor(10.0))
    tensor([6.+8.j, 0.+0.j])
    """
    # The square of what is below was rounded to 0: of no direction.
    least = torch.finfo(modulus.dtype).tiny ** 0.5
    torch.div(weight, modulus.clamp_min_(least), out=modulus)
    torch.view_as_real(z).mul_(modulus.unsqueeze(-1))
    return z


def norm(z):
    """Differentiable Euclidean norm over the first axis, of gradient 0 where it is 0.

    Parameters
    ----------
    z : Tensor of shape (n_components, ...), real or complex

    Returns
    -------
    norm : Tensor of shape (...), real

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.modulus import norm
    >>> z = torch.zeros(1, 2, requires_grad=True)
    >>> norm(z).sum().backward()
    >>> z.grad
    tensor([[0., 0.]])
    """
    return _Norm.apply(
        torch.view_as_real(z.resolve_conj()).movedim(-1, 0).flatten(0, 1) if z.is_complex() else z
    )


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        out = z.square().sum(0).sqrt_()
        ctx.save_for_backward(z, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        z, out = ctx.saved_tensors
        least = torch.finfo(out.dtype).tiny ** 0.5
        return z * (gradient / out.clamp_min(least))
