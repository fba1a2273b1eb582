"""Neighbourhoods of a cube, gathered as rows of a table for a network that denoises tile by tile."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

__all__ = ["Patches"]

AXES = "(n_y, n_x, n_channels)"


@dataclass(frozen=True)
class Patches:
    """Tiles of voxels and the window around each from which they are predicted.

    One pass of the network denoises a whole tile: the products are shared by its voxels. A tile
    sees its window, the tile and a halo around it, and with a coarse halo also means of 2 x 2 x 2
    voxels (2 channels only where the sky is one pixel) further out.

    Parameters
    ----------
    tile : tuple (n_y, n_x, n_channels) of int
    halo : tuple of int
        Voxels on either side of the tile.
    coarse_halo : tuple of int or None
        Coarse cells on either side of the tile, which is then even along each axis of more than 1.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.patches import Patches
    >>> patches = Patches(tile=(1, 1, 2), halo=(1, 1, 3))
    >>> patches.window, patches.n_inputs, patches.n_outputs
    ((3, 3, 8), 72, 2)
    >>> cube = torch.arange(2.0 * 2 * 4).reshape(2, 2, 4)
    >>> field = patches.field(cube)
    >>> rows = patches.gather(field, torch.tensor([[0, 0, 0, 2]]))
    >>> patches.centre(rows)
    tensor([[2., 3.]])
    """

    tile: tuple
    halo: tuple
    coarse_halo: tuple | None = None

    @property
    def window(self):
        """Size of the window, (n_y, n_x, n_channels)."""
        return tuple(n + 2 * h for n, h in zip(self.tile, self.halo, strict=True))

    @property
    def step(self):
        """Size of a coarse cell: 2, and 1 along an axis that the window does not reach along."""
        return tuple(2 if n > 1 else 1 for n in self.window)

    @property
    def coarse_window(self):
        if self.coarse_halo is None:
            return None
        sizes = zip(self.tile, self.step, self.coarse_halo, strict=True)
        return tuple(-(-n // step) + 2 * h for n, step, h in sizes)

    @property
    def n_inputs(self):
        coarse = 0 if self.coarse_halo is None else math.prod(self.coarse_window)
        return math.prod(self.window) + coarse

    @property
    def n_outputs(self):
        return math.prod(self.tile)

    @property
    def margin(self):
        """Voxels that a tile beginning inside, or up to a tile before, may ask for outside."""
        margin = [n + h for n, h in zip(self.tile, self.halo, strict=True)]
        if self.coarse_halo is not None:
            reach = zip(margin, self.tile, self.step, self.coarse_halo, strict=True)
            margin = [max(m, n + step * (h + 1)) for m, n, step, h in reach]
        return tuple(margin)

    def field(self, cubes):
        """Pad cubes with zeros, and average them to the coarse scale where there is one.

        Parameters
        ----------
        cubes : Tensor of shape (n_y, n_x, n_channels) or (n_fields, n_y, n_x, n_channels)
            Signal to noise; no NaN.

        Returns
        -------
        field : tuple (padded, coarse)
            For `gather`; coarse is None with one scale.
        """
        cubes = cubes[None] if cubes.ndim == 3 else cubes
        y, x, k = self.margin
        padded = F.pad(cubes, (k, k, x, x, y, y))
        if self.coarse_halo is None:
            return padded, None
        coarse = padded
        for axis, step in enumerate(self.step, start=1):
            if step == 2:
                n = coarse.shape[axis] - 1
                coarse = 0.5 * (coarse.narrow(axis, 0, n) + coarse.narrow(axis, 1, n))
        return padded, coarse.contiguous()

    def gather(self, field, origin):
        """Windows of tiles as rows.

        Parameters
        ----------
        field : tuple
            From `field`.
        origin : Tensor of int of shape (n, 4)
            Number of the field, and first voxel of the tile along y, x and channels; from one tile
            before the cube to its last voxel.

        Returns
        -------
        rows : Tensor of shape (n, n_inputs)
        """
        padded, coarse = field
        fine = self._windows(padded, origin, self.window, (1, 1, 1), self.halo)
        if coarse is None:
            return fine
        reach = [step * h for step, h in zip(self.step, self.coarse_halo, strict=True)]
        wide = self._windows(coarse, origin, self.coarse_window, self.step, reach)
        return torch.cat([fine, wide], dim=1)

    def tiles(self, cubes, origin):
        """Voxels of tiles of cubes that were padded by `field` with one scale, as rows."""
        return self._windows(cubes, origin, self.tile, (1, 1, 1), (0, 0, 0))

    def centre(self, rows):
        """The voxels of the tile itself, out of the rows of `gather`."""
        fine = rows[:, : math.prod(self.window)].view(len(rows), *self.window)
        for axis, (start, n) in enumerate(zip(self.halo, self.tile, strict=True), start=1):
            fine = fine.narrow(axis, start, n)
        return fine.reshape(len(rows), -1)

    def _windows(self, padded, origin, size, step, reach):
        shape, stride = padded.shape, padded.stride()
        span = [step_ * (n - 1) for step_, n in zip(step, size, strict=True)]
        view = padded.as_strided(
            (shape[0], *(n - s for n, s in zip(shape[1:], span, strict=True)), *size),
            (*stride, *(s * step_ for s, step_ in zip(stride[1:], step, strict=True))),
        )
        which = origin[:, 0]
        first = (origin[:, i + 1] + self.margin[i] - reach[i] for i in range(3))
        return view[(which, *first)].flatten(1)
