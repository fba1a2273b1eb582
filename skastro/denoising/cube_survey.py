"""What has to be known of a whole cube before its blocks are denoised: its noise and its mask."""

import numpy as np
from scipy.ndimage import median_filter

from skastro.blocks import row_tiles
from skastro.denoising.mask_blocks import BlockComponents
from skastro.denoising.noise import estimate_noise
from skastro.denoising.sampling import read_sample
from skastro.denoising.signal_mask import mask_levels, mask_reach, smoothed_noise, smoothed_snr

__all__ = ["RowReader", "known_noise", "mask_scale", "survey_mask", "survey_noise"]

STEADY = 500, 100  # channels below which it takes 3 x 3 spectra to tell the noise, and 5 x 5
SCALE_VOXELS = 2**20  # from which the noise of the smoothed cube is measured


class RowReader:
    """A `LineCube` that slices as an array does, reading the rows asked for and nothing else."""

    dtype = np.dtype(np.float32)

    def __init__(self, cube):
        self.cube, self.shape, self.ndim = cube, cube.shape, len(cube.shape)

    def __getitem__(self, where):
        rows, *others = where if isinstance(where, tuple) else (where,)
        start, stop, step = rows.indices(self.shape[0])
        if step == 1:
            return self.cube.block(slice(start, stop))[(slice(None), *others)]
        return np.stack(
            [self.cube.block(slice(row, row + 1))[(0, *others)] for row in range(start, stop, step)]
        )


def known_noise(level):
    """Map of the noise that a cube is divided by: steady between neighbours, known everywhere.

    Short spectra tell their noise badly: a map that jumps from pixel to pixel would make the signal
    jump. They get the median of their neighbours, which keeps the steps between tiles; spectra whose
    noise is unknown (blank, or constant) get the median of all others.

    Parameters
    ----------
    level : NoiseLevel

    Returns
    -------
    factors : list of ndarray
        Map (n_y, n_x, 1) and spectrum (n_channels,), the product of which is the noise.
    """
    values = level.map
    known = values > 0
    if not known.all():
        values = np.where(known, values, np.median(values[known]))
    radius = sum(len(level.spectrum) < least for least in STEADY)
    if values.ndim == 2 and radius:
        values = median_filter(values, size=2 * radius + 1, mode="nearest")
    return [values[..., None], level.spectrum]


def survey_noise(cube):
    """Factors of the noise of a `LineCube`, read in blocks; those of the whole cube in memory."""
    return known_noise(estimate_noise(RowReader(cube)))


def mask_scale(cube, level, smooth=1.0):
    """Noise of the smoothed S/N of a cube, from pieces of a large one.

    Parameters
    ----------
    cube : LineCube
    level : list of ndarray
        Factors of the noise that broadcast to the shape of the cube.
    smooth : float
        As in `find_signal`.

    Returns
    -------
    scale : float
    """
    sample = read_sample(cube, most=SCALE_VOXELS)
    values = sample.values
    for factor in level:
        values /= sample.part(np.broadcast_to(factor, cube.shape))
    flat = values.reshape(-1, *values.shape[2:])
    return smoothed_noise(flat, 1.0, smooth=smooth) if np.isfinite(flat).any() else 1.0


def survey_mask(cube, level, options, scale, rows):
    """Components of probable signal of a cube that is read in blocks.

    Parameters
    ----------
    cube : LineCube
    level : list of ndarray
        As in `mask_scale`.
    options : dict
        Of `find_signal`.
    scale : float
    rows : int
        Of a block.

    Returns
    -------
    components : BlockComponents
        Closed.
    """
    low, high, least, smooth = mask_levels(scale, options)
    found = BlockComponents(cube.shape, low, high, least)
    for tile in row_tiles(cube.shape[0], rows, mask_reach(smooth)):
        snr = cube.block(tile.outer)
        for factor in level:
            snr /= np.broadcast_to(factor, cube.shape)[tile.outer]
        found.add(tile.inner, smoothed_snr(snr, 1.0, smooth)[tile.within])
    found.close()
    return found
