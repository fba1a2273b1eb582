"""Maps that are not periodic or not whole: mirrored borders, and a mask of the pixels that count."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

__all__ = ["check_valid_pixels", "fill_from", "mirrored"]


def mirrored(maps):
    """Continue maps by their mirror images: (..., 2 h, 2 w), periodic without a step.

    Examples
    --------
    >>> import torch
    >>> from skastro.partial_maps import mirrored
    >>> mirrored(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 2., 2., 1.],
             [1., 2., 2., 1.]]])
    """
    maps = torch.cat([maps, maps.flip(-1)], -1)
    return torch.cat([maps, maps.flip(-2)], -2)


def check_valid_pixels(mask, shape, name="mask"):
    """Check a mask of valid pixels against the size of the maps.

    Parameters
    ----------
    mask : array-like of bool of shape (h, w)
        True where a pixel counts.
    shape : tuple (h, w)

    Returns
    -------
    mask : ndarray of bool

    Raises
    ------
    ValueError
        Another shape or dtype, or no valid pixel.
    """
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise ValueError(f"{name} has shape {mask.shape}; expected {tuple(shape)}, that of a map.")
    if mask.dtype != bool:
        raise ValueError(
            f"{name} has dtype {mask.dtype}; expected bool, True where a pixel counts."
        )
    if not mask.any():
        raise ValueError(f"{name} has no valid pixel; expected some to be True.")
    return mask


def fill_from(mask, periodic=True):
    """For each pixel the valid one that stands in for it: its mirror image at the nearest valid pixel.

    The texture goes on in what is hidden, without a step, and its statistics with it.

    Parameters
    ----------
    mask : ndarray of bool of shape (h, w)
        True where a pixel counts.
    periodic : bool
        Whether the opposite sides touch.

    Returns
    -------
    index : ndarray of int of shape (h * w,)
        Into the flat map.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.partial_maps import fill_from
    >>> row = np.array([[True, True, True, False, False]])
    >>> fill_from(row, periodic=False)
    array([0, 1, 2, 1, 0])
    """
    h, w = mask.shape
    own = np.arange(h * w)
    if mask.all():
        return own
    margin = (h, w) if periodic else (0, 0)
    wide = np.pad(mask, [(n, n) for n in margin], mode="wrap")
    nearest = distance_transform_edt(~wide, return_distances=False, return_indices=True)
    nearest = nearest[:, margin[0] : margin[0] + h, margin[1] : margin[1] + w]
    hidden = np.argwhere(~mask)
    border = nearest[:, ~mask].T - margin
    found = np.empty(len(hidden), dtype=np.int64)
    todo = np.ones(len(hidden), dtype=bool)
    # as far inside as the pixel lies outside, or less far where that is hidden too
    for reach in (1.0, 0.75, 0.5, 0.25, 0.0):
        source = border + np.rint(reach * (border - hidden)).astype(np.int64)
        if periodic:
            source %= (h, w)
        else:
            source = np.clip(source, 0, (h - 1, w - 1))
        flat = source[:, 0] * w + source[:, 1]
        good = todo & mask.ravel()[flat]
        found[good] = flat[good]
        todo &= ~good
    own[~mask.ravel()] = found
    return own
