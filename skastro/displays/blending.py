"""Maps of several classes as one picture in colours, in which no lone pixel is lost."""

import numpy as np

from skastro.displays.style import COLORS, require_matplotlib

__all__ = ["blend_labels", "label_colors", "shrink"]

NOT_SCORED = (0.82, 0.82, 0.82)


def label_colors(n):
    """Colours of n classes: those of all pictures while they suffice.

    Parameters
    ----------
    n : int

    Returns
    -------
    colors : ndarray of shape (n, 3)
    """
    require_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if n < len(COLORS):
        return np.array([to_rgb(one) for one in COLORS[:n]])
    wheel = colormaps["tab20"].colors
    # the dark ones of each pair first; grey is for what is not scored
    order = [i for i in (*range(0, 20, 2), *range(1, 20, 2)) if i not in (14, 15)]
    return np.array([wheel[order[i % len(order)]] for i in range(n)])


def blend_labels(maps, colors, hidden=None):
    """Classes on white, each in its colour; where several are, colours multiply.

    Parameters
    ----------
    maps : ndarray of shape (n_labels, h, w)
        0 to 1.
    colors : ndarray of shape (n_labels, 3)
    hidden : ndarray of bool of shape (h, w), optional
        Grey.

    Returns
    -------
    picture : ndarray of shape (h, w, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays.blending import blend_labels
    >>> maps = np.array([[[0.0, 1.0, 0.5]]])
    >>> blend_labels(maps, np.array([[1.0, 0.0, 0.0]])).tolist()
    [[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.5, 0.5]]]
    """
    picture = np.ones((*maps.shape[1:], 3))
    for one, color in zip(np.nan_to_num(maps), colors, strict=True):
        picture *= 1.0 - one[..., None] * (1.0 - color)
    if hidden is not None:
        picture[hidden] = NOT_SCORED
    return picture


def shrink(maps, largest, reduce=np.max):
    """Maps of at most so many pixels a side: the largest value, or another one, of each block.

    Parameters
    ----------
    maps : ndarray of shape (..., h, w)
    largest : int
        Pixels of a side.
    reduce : callable, default=numpy.max
        Takes an axis.

    Returns
    -------
    maps : ndarray of shape (..., h', w')
    """
    step = max(1, -(-max(maps.shape[-2:]) // largest))
    if step == 1:
        return maps
    for axis in (-2, -1):
        n = maps.shape[axis]
        pad = [(0, 0)] * maps.ndim
        pad[axis] = 0, -n % step
        maps = np.moveaxis(np.pad(maps, pad, mode="edge"), axis, -1)
        maps = reduce(maps.reshape(*maps.shape[:-1], -1, step), axis=-1)
        maps = np.moveaxis(maps, -1, axis)
    return maps
