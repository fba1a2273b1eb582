"""Maps that are not whole: hidden pixels and borders, continued to the periodic grid of a search."""

import numpy as np
import torch

from skastro.partial_maps import fill_from

__all__ = ["Frame"]

SHARE = 4  # a margin adds a fourth of the side


class Frame:
    """Continues maps into hidden pixels by their mirror image, and beyond their borders.

    Beyond a border lies the mirror image of the map, which goes over into that at the opposite border.

    Parameters
    ----------
    shape : tuple (h, w)
    mask : ndarray of bool of shape (h, w), optional
        True where a pixel counts.
    periodic : bool, default=True
        Whether opposite sides of the maps touch; False adds a margin, of a fourth of each side.

    Attributes
    ----------
    whole : bool
        Whether nothing has to be continued.
    grid_shape : tuple of two int
        Of the continued maps.
    share : float
        Part of the grid that was seen.

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.frame import Frame
    >>> frame = Frame((4, 8), periodic=False)
    >>> x = torch.arange(32.0).view(1, 4, 8)
    >>> frame.extended(x).shape, bool((frame.cut(frame.extended(x)) == x).all())
    (torch.Size([1, 6, 10]), True)
    """

    def __init__(self, shape, mask=None, periodic=True):
        self.shape = tuple(int(n) for n in shape)
        self.periodic = periodic
        self.source = None
        if mask is not None and not mask.all():
            self.source = torch.from_numpy(fill_from(mask, periodic))
        self.margins = () if periodic else tuple(map(_margin, self.shape))
        self.grid_shape = self.shape
        if self.margins:
            self.grid_shape = tuple(len(share) for _, _, share in self.margins)
        self.whole = self.source is None and periodic
        self.share = float(self.seen.sum() / np.prod(self.grid_shape))

    @property
    def seen(self):
        """ndarray of bool of shape (h, w): True where a pixel is not hidden."""
        if self.source is None:
            return np.ones(self.shape, dtype=bool)
        source = self.source.numpy()
        return (source == np.arange(len(source))).reshape(self.shape)

    def extended(self, maps):
        """Maps (..., h, w) on the periodic grid, Tensor or ndarray; differentiable."""
        if isinstance(maps, np.ndarray):
            return self.extended(torch.from_numpy(maps)).numpy()
        if self.source is not None:
            maps = maps.flatten(-2)[..., self.source.to(maps.device)].view(maps.shape)
        if self.margins:
            for axis, (near, far, share) in zip((-2, -1), self.margins, strict=True):
                near, far, share = (one.to(maps.device) for one in (near, far, share))
                share = share.to(maps.dtype)[:, None] if axis == -2 else share.to(maps.dtype)
                one, other = maps.index_select(axis, near), maps.index_select(axis, far)
                maps = other + share * (one - other)
        return maps

    def cut(self, maps):
        """The part of maps (..., h, w) of the periodic grid that was given."""
        return maps[..., : self.shape[0], : self.shape[1]]

    def filled(self, maps):
        """Maps of the periodic grid with all that is hidden or a margin continued from the rest."""
        return maps if self.whole else self.extended(self.cut(maps))


def _margin(side):
    """For each pixel of an axis its mirror images at both borders, and the part that the first one has."""
    width = -(-side // SHARE)
    width += (side + width) % 2
    out = np.arange(width)
    near = np.concatenate([np.arange(side), side - 1 - out])
    far = np.concatenate([np.arange(side), (width - 1 - out)])
    fade = 0.5 + 0.5 * np.cos(np.pi * (out + 0.5) / width)
    share = np.concatenate([np.ones(side), fade])
    return tuple(map(torch.from_numpy, (near.clip(0, side - 1), far.clip(0, side - 1), share)))
