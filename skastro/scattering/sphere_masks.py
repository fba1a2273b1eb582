"""Partial skies: which pixels of each scale are seen well enough to count."""

import numpy as np
import torch

from skastro.scattering.sphere_grid import to_quadrants

__all__ = ["SkyWeights", "check_sky_mask"]

COVERED = 0.5  # share of a coarser pixel, smoothing included, that must be seen
SEEN = 0.95  # share of the envelope of a wavelet


def check_sky_mask(mask, n_pixels, name="mask"):
    """Check a mask of valid pixels of the sphere.

    Parameters
    ----------
    mask : array-like of bool of shape (n_pixels,)
        True where a pixel counts.
    n_pixels : int
    name : str
        Name of the argument in the errors.

    Returns
    -------
    mask : ndarray of bool

    Raises
    ------
    ValueError
        Another shape or dtype, or no valid pixel.
    """
    mask = np.asarray(mask)
    if mask.shape != (n_pixels,):
        raise ValueError(
            f"{name} has shape {mask.shape}; expected ({n_pixels},), the pixels of a map."
        )
    if mask.dtype != bool:
        raise ValueError(
            f"{name} has dtype {mask.dtype}; expected bool, True where a pixel counts."
        )
    if not mask.any():
        raise ValueError(f"{name} has no valid pixel; expected some to be True.")
    return mask


class SkyWeights:
    """What a mask leaves of the maps, wavelet fields and moduli of each scale.

    A pixel of a coarser grid counts where enough of what it is the mean of does, and is the mean of that
    alone. A wavelet coefficient counts where its pixel does and almost all of the envelope is seen; what is
    not is taken to be at the mean of the map, or of the modulus.

    Parameters
    ----------
    levels : list of Level
    mask : ndarray of bool of shape (n_pixels,)
        Nested.

    Attributes
    ----------
    fields : list of Tensor of shape (n_rows, 1, 4), float32
        For each scale, 1 where its wavelet fields count.
    products : list of Tensor of the same shapes
        Where its products do: every modulus seen through its wavelets.

    Raises
    ------
    ValueError
        No pixel is left at some scale.
    """

    def __init__(self, levels, mask):
        seen = to_quadrants(torch.from_numpy(mask)[None].float())
        self._maps = _Chain(seen)
        self._moduli, self.fields, self.products = [], [], []
        for j, level in enumerate(levels):
            if j:
                for chain in (self._maps, *self._moduli):
                    chain.degrade(levels[j - 1])
            self.fields.append(_under_envelope(level, self._maps.valid[-1]))
            self._moduli.append(_Chain(self.fields[-1], j))
            every = [_under_envelope(level, chain.valid[-1]) for chain in self._moduli]
            self.products.append(self.fields[-1] * torch.stack(every).amin(0))
            if not self.products[-1].any():
                fewer = f"n_scales of at most {j}, or " if j else ""
                raise ValueError(
                    f"mask leaves no pixel for wavelets of scale {j}; expected {fewer}a larger part of "
                    "the sky."
                )

    def after_degrading(self, fields, scale, moduli_of=None):
        """Fields degraded to a scale from what counts alone, made what they would be without the mask.

        Parameters
        ----------
        fields : Tensor of shape (n_rows, ..., n, 4)
            Zero where they did not count, before.
        scale : int
        moduli_of : int or None
            The scale whose moduli they are; None: the maps.
        """
        chain = self._maps if moduli_of is None else self._moduli[moduli_of]
        factor = chain.factor(scale).to(fields)
        return fields * (factor if fields.ndim == 3 else factor[:, None])


class _Chain:
    """Where fields count on ever coarser grids."""

    def __init__(self, valid, scale=0):
        self.valid, self.first, self._factors = [valid], scale, []

    def degrade(self, level):
        covered = level.degrade(self.valid[-1])
        # a whole sky is covered by 1 up to rounding
        valid = (covered > COVERED).float()
        self.valid.append(valid)
        self._factors.append(valid / covered.clamp_min(COVERED))

    def factor(self, scale):
        return self._factors[scale - self.first - 1]


def _under_envelope(level, valid):
    return valid * (level.seen(valid) > SEEN).float()
