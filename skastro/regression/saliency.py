"""Integrated gradients: how much each input contributes to a prediction."""

import torch

from skastro.base import row_blocks

__all__ = ["integrated_gradients"]

# Numbers of a network and its gradient at work for each number of an input.
OVERHEAD = 256


def integrated_gradients(function, inputs, device="cpu", n_steps=32):
    """Gradients along the straight line from zero to each input, times the input.

    Parameters
    ----------
    function : callable
        From a tensor (n, ...) and side columns (n, n_extra) or None to (n,).
    inputs : Tensor of shape (n, ...), or dict of "x" and "extra"
        Standardised: zero is the mean of the training rows.
    device : str or device, default="cpu"
    n_steps : int, default=32
        Of the midpoint rule.

    Returns
    -------
    saliency : ndarray of the shape of the inputs
        Sums, for each row, to ``function(x) - function(0)`` but for the error of the rule.

    Examples
    --------
    >>> import torch
    >>> from skastro.regression.saliency import integrated_gradients
    >>> integrated_gradients(lambda x, extra: x[:, 0] * x[:, 1], torch.tensor([[2.0, 3.0]]))
    array([[3., 3.]], dtype=float32)
    """
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps!r}; expected at least 1.")
    x, extra = (inputs["x"], inputs["extra"]) if isinstance(inputs, dict) else (inputs, None)
    found = torch.empty_like(x)
    for rows in row_blocks(len(x), x[0].numel() * x.element_size() * OVERHEAD):
        block = x[rows].to(device)
        side = None if extra is None else extra[rows].to(device)
        total = torch.zeros_like(block)
        for step in range(n_steps):
            point = (block * ((step + 0.5) / n_steps)).requires_grad_()
            with torch.enable_grad():
                total += torch.autograd.grad(function(point, side).sum(), point)[0]
        found[rows] = (total * block / n_steps).cpu()
    return found.numpy()
