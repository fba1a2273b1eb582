"""Products of bfloat16 numbers while a network is trained, where the processor has them."""

from functools import cache

import torch

__all__ = ["has_bfloat16", "mixed_products"]


@cache
def has_bfloat16(device_type):
    """Whether this machine multiplies bfloat16 numbers faster than float32.

    Parameters
    ----------
    device_type : str
        Of a torch device, as "cpu".

    Returns
    -------
    found : bool
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return False
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def mixed_products(module, x, mixed_precision):
    """Context in which a module that is being trained multiplies bfloat16 numbers.

    Sums, weights and their gradients stay in float32. Does nothing to a module in evaluation.

    Parameters
    ----------
    module : torch.nn.Module
    x : Tensor
        What enters the module: its dtype and device count.
    mixed_precision : bool or "auto"
        "auto": for float32, where the processor has such products.

    Returns
    -------
    context : context manager

    Raises
    ------
    ValueError
        Another value of `mixed_precision`.

    Examples
    --------
    >>> import torch
    >>> from skastro.mixed_precision import mixed_products
    >>> layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    >>> with mixed_products(layer, x, True):
    ...     layer(x).dtype
    torch.bfloat16
    """
    if mixed_precision not in (True, False, "auto"):
        raise ValueError(f"mixed_precision={mixed_precision!r}; expected True, False or 'auto'.")
    if mixed_precision == "auto":
        mixed_precision = x.dtype == torch.float32 and has_bfloat16(x.device.type)
    return torch.autocast(
        x.device.type, torch.bfloat16, enabled=bool(module.training and mixed_precision)
    )
