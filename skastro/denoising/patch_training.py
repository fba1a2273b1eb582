"""Batches for a patch network that learns from one noisy cube."""

import numpy as np
import torch

from skastro.denoising.recorruption import correlated_noise
from skastro.denoising.sampling import free_windows

__all__ = ["PatchTraining"]

# Where tiles are drawn: in the mask of the signal, around it, anywhere.
SHARES = (0.7, 0.15, 0.15)
REGION = 16  # side of what is held out together [pixel]
FEWEST_FREE = 2000  # windows of noise that the cube itself must offer


class PatchTraining:
    """Tiles of a cube, their windows, and windows of noise to perturb them with.

    The noise is that of the cube itself, from windows free of signal, its sign flipped at random;
    where there are too few of them, noise drawn with the measured correlation.

    Parameters
    ----------
    snr : Tensor of shape (n_pieces, n_y, n_x, n_channels)
        Signal to noise, 0 where blank.
    blank, mask, gate : ndarray of bool of that shape
        Blank voxels, signal, and the mask grown to where the estimate may be other than zero.
    patches : Patches
    prior_weight : float
        Weight of the penalty outside the gate.
    correlation : NoiseCorrelation
    conditions : Tensor or None
        Given to the network with every batch.
    rng : numpy.random.Generator
    """

    def __init__(self, snr, blank, mask, gate, patches, prior_weight, correlation, conditions, rng):
        self.patches = patches
        self.conditions = conditions
        self.field = patches.field(snr)
        self.seen = patches.field(torch.from_numpy(~blank).to(snr))[0]
        self.outside = patches.field(torch.from_numpy(prior_weight * ~(gate | blank)).to(snr))[0]
        self._places = [
            np.argwhere(mask & ~blank), np.argwhere(gate & ~mask & ~blank), np.argwhere(~blank)
        ]  # fmt: skip
        free = free_windows(gate | blank, patches)
        self.noise_field = self.field
        if len(free) < FEWEST_FREE:
            drawn = correlated_noise(snr.shape[1:], correlation, rng)
            self.noise_field = patches.field(torch.from_numpy(drawn).to(snr))
            free = np.argwhere(np.ones((1, *drawn.shape), dtype=bool))
        self.noise_origin = torch.from_numpy(free).to(snr.device)

    def draw(self, n_tiles, rng):
        """Origins of tiles, (n_tiles, 4): most in the signal, some around it, some anywhere."""
        counts = [round(share * n_tiles) for share in SHARES[:2]]
        chosen, missing = [], n_tiles
        for places, count in zip(self._places, [*counts, None], strict=True):
            count = missing if count is None else count
            if len(places):
                chosen.append(places[rng.integers(len(places), size=count)])
                missing -= count
        origin = np.concatenate(chosen)
        # the voxel that was drawn may lie anywhere in its tile
        origin[:, 1:] -= rng.integers(0, self.patches.tile, size=(len(origin), 3))
        return torch.from_numpy(origin)

    def split(self, origin, fraction, rng):
        """Rows of tiles to train on and to validate on, in different regions of the sky.

        Neighbours share signal and noise: a validation among them would see nothing.
        """
        rows = np.arange(len(origin))
        if fraction is None:
            return rows, None
        region = origin.numpy()[:, :3] // np.array([1, REGION, REGION])
        _, region = np.unique(region, axis=0, return_inverse=True)
        region = region.reshape(-1)
        n_regions = region.max() + 1
        if n_regions == 1:
            return rows, None
        n_valid = min(n_regions - 1, max(1, round(fraction * n_regions)))
        chosen = np.zeros(n_regions, dtype=bool)
        chosen[rng.permutation(n_regions)[:n_valid]] = True
        return rows[~chosen[region]], rows[chosen[region]]

    def noise(self, n, generator):
        """Windows of noise, (n, n_inputs)."""
        device = self.noise_origin.device
        which = torch.randint(len(self.noise_origin), (n,), generator=generator, device=device)
        rows = self.patches.gather(self.noise_field, self.noise_origin[which])
        sign = torch.randint(2, (n, 1), generator=generator, device=device)
        return rows * (2 * sign - 1)

    def batch(self, inputs, targets, generator):
        """Turn a batch of origins into what the network and its loss take."""
        origin = inputs["origin"]
        windows = self.patches.gather(self.field, origin)
        known = self.patches.tiles(self.seen, origin)
        penalised = self.patches.tiles(self.outside, origin)
        ready = {"windows": windows, "noise": self.noise(len(origin), generator)}
        if self.conditions is not None:
            ready["conditions"] = self.conditions.expand(len(origin), -1)
        weight = torch.stack([known, penalised], dim=1)
        return ready, (self.patches.centre(windows)[:, None], weight)
