"""Denoise a block of a cube tile by tile, where its gate is open."""

import numpy as np
import torch
from torch.nn import functional as F

__all__ = ["denoise_block", "tile_shifts"]

BATCH_BYTES = 2**22  # of windows at once: they and the layers stay in the cache


def tile_shifts(tile, n_shifts):
    """Shifts of the grid of tiles to average over, the first none.

    Examples
    --------
    >>> from skastro.denoising.patch_inference import tile_shifts
    >>> tile_shifts((2, 2, 4), 4)
    [(0, 0, 0), (1, 1, 2), (1, 0, 1), (0, 1, 3)]
    """
    halves = [
        (0, 0, 0),
        (1, 1, 2),
        (1, 0, 1),
        (0, 1, 3),
        (1, 1, 0),
        (0, 0, 2),
        (0, 1, 1),
        (1, 0, 3),
    ]
    shifts = [tuple(s * n // m for s, n, m in zip(h, tile, (2, 2, 4), strict=True)) for h in halves]
    return list(dict.fromkeys(shifts))[:n_shifts]


def _grid(n, tile, shift):
    """Number of tiles that cover n voxels, the first beginning `shift` before."""
    return -(-(n + shift) // tile)


def denoise_block(network, patches, snr, gate=None, *, conditions=None, n_shifts=1):
    """Estimate the signal of a block.

    Parameters
    ----------
    network : Module
        A `PatchNetwork`, in evaluation mode.
    patches : Patches
    snr : Tensor of shape (n_y, n_x, n_channels)
        Signal to noise, 0 where blank.
    gate : Tensor of bool of that shape, optional
        Tiles without an open voxel are not computed; the estimate is 0 where it is closed.
    conditions : Tensor, optional
    n_shifts : int, default=1
        Grids of tiles to average over.

    Returns
    -------
    estimate : Tensor of the shape of `snr`
        In units of the noise.
    """
    shape = snr.shape
    field = patches.field(snr)
    shifts = tile_shifts(patches.tile, n_shifts)
    total = None
    for shift in shifts:
        counts = [_grid(n, t, s) for n, t, s in zip(shape, patches.tile, shift, strict=True)]
        n_tiles = int(np.prod(counts))
        full = [c * t for c, t in zip(counts, patches.tile, strict=True)]
        if gate is None:
            index = torch.arange(n_tiles, device=snr.device)
        else:
            # a tile is computed when one of its voxels is open
            pads = [(s, f - s - n) for s, f, n in zip(shift, full, shape, strict=True)][::-1]
            wide = F.pad(gate.view(torch.uint8), [p for pair in pads for p in pair])
            for axis, (c, t) in enumerate(zip(counts, patches.tile, strict=True)):
                wide = wide.unflatten(2 * axis, (c, t))
            open_ = wide.amax(dim=(1, 3, 5)).flatten()
            index = open_.nonzero()[:, 0]
        rows = torch.zeros(n_tiles, patches.n_outputs, dtype=snr.dtype, device=snr.device)
        batch = max(1, BATCH_BYTES // (4 * patches.n_inputs))
        per_y, per_x = counts[1] * counts[2], counts[2]
        for part in index.split(batch):
            place = [part // per_y, part % per_y // per_x, part % per_x]
            origin = [p * t - s for p, t, s in zip(place, patches.tile, shift, strict=True)]
            origin = torch.stack([torch.zeros_like(part), *origin], dim=1)
            rows[part] = network(patches.gather(field, origin), conditions)
        grid = rows.view(*counts, *patches.tile).permute(0, 3, 1, 4, 2, 5).reshape(full)
        for axis, (s, n) in enumerate(zip(shift, shape, strict=True)):
            grid = grid.narrow(axis, s, n)
        total = grid if total is None else total + grid
    if len(shifts) > 1:
        total = total / len(shifts)
    return total if gate is None else total * gate
