"""What networks with pools need of their images: sides that are multiples, and how far they see."""

from numbers import Integral

from torch.nn import functional

__all__ = ["aligned", "check_sizes", "reach"]


def aligned(function, x, multiple):
    """A function of images (n, c, h, w) whose sides it needs as multiples of a number.

    Rows and columns are added after the last ones, which they repeat, and cut off from the result.

    Parameters
    ----------
    function : callable
    x : Tensor of shape (n, c, h, w)
    multiple : int

    Returns
    -------
    y : Tensor of shape (n, k, h, w)
    """
    h, w = x.shape[-2:]
    rows, columns = -h % multiple, -w % multiple
    if rows or columns:
        x = functional.pad(x, (0, columns, 0, rows), mode="replicate")
    return function(x)[..., :h, :w]


def check_sizes(**sizes):
    """Raise a ValueError unless all are whole numbers of 1 or more."""
    for name, value in sizes.items():
        if not (isinstance(value, Integral) and value >= 1):
            raise ValueError(f"{name}={value!r}; expected whole numbers of 1 or more.")


def reach(n_convolutions, n_bridge=1, n_last=0):
    """How many pixels beside it a pixel depends on, in a network that halves its maps and doubles them again.

    Parameters
    ----------
    n_convolutions : sequence of int
        3 x 3 convolutions of each level, on the way down and again on the way up.
    n_bridge : int, default=1
        Of them after the last pool.
    n_last : int, default=0
        Of them after the decoder, at full resolution.

    Returns
    -------
    halo : int
        The most over places of a pixel in the grid of the pools.

    Examples
    --------
    >>> from skastro.segmentation.padding import reach
    >>> reach([], n_last=1), reach([0], n_bridge=0), reach([1], n_bridge=0)
    (2, 1, 3)
    """
    halo = 0
    for place in range(2 ** len(n_convolutions)):
        low = high = place
        low, high = low - n_last, high + n_last
        for n in n_convolutions:
            # a pixel knows of the whole cell of the pool
            low, high = (low - n) // 2, (high + n) // 2
        low, high = low - n_bridge, high + n_bridge
        for n in reversed(n_convolutions):
            low, high = 2 * low - n, 2 * high + 1 + n
        halo = max(halo, place - low, high - place)
    return halo
