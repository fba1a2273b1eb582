"""What a batch of images becomes before a network trains on it: turned, corrupted, blinded."""

import torch

from skastro.symmetries import turn_at_random

__all__ = ["TrainingBatches", "blind_spots"]

# Side of the cells of which one pixel is hidden at a time: 9 passes see every pixel.
BLIND_STEP = 3


def blind_spots(images, phase, step=BLIND_STEP):
    """Mask (n, 1, h, w) of one pixel in each cell of `step` x `step`.

    Parameters
    ----------
    images : Tensor of shape (n, n_channels, h, w)
    phase : Tensor of int of shape (n,), or int
        Which of the ``step**2`` pixels of a cell, for each image.
    step : int
    """
    phase = torch.as_tensor(phase, device=images.device).expand(len(images))
    row = torch.arange(images.shape[-2], device=images.device) % step
    column = torch.arange(images.shape[-1], device=images.device) % step
    hidden_row = row == (phase // step)[:, None]
    hidden_column = column == (phase % step)[:, None]
    return (hidden_row[:, :, None] & hidden_column[:, None, :])[:, None]


class TrainingBatches:
    """Make the inputs and targets of each batch, in standard units, when it is drawn.

    Parameters
    ----------
    mode : {"corrupt", "pairs", "self_supervised"}
        "corrupt": the targets are clean images, the inputs their corrupted copies. "pairs": both are given.
        "self_supervised": the targets are noisy images, the inputs the same with blind spots (NaN), and only
        there does the loss count.
    normalization : Normalization
        Of the inputs, as `transform` will see them; the targets are scaled with them.
    corruption : Corruption or None
    n_symmetries : int
        1, 4 or 8; see `skastro.symmetries.turn`.
    center, scale : Tensor of shape (1, n_channels, 1, 1), optional
        Of the normalised images, for the standard units.
    """

    def __init__(self, mode, normalization, corruption, n_symmetries, center=0.0, scale=1.0):
        self.mode = mode
        self.normalization = normalization
        self.corruption = corruption
        self.n_symmetries = n_symmetries
        self.center = center
        self.scale = scale

    def __call__(self, inputs, targets, generator):
        """Called by the net with a batch; see `skastro.base.Net`."""
        target = targets[0]
        pairs = self.mode == "pairs"
        images = [target, inputs] if pairs else [target]
        (target, *rest) = turn_at_random(images, self.n_symmetries, generator)
        if self.mode == "corrupt":
            noisy = self.corruption(target, generator)
        elif pairs:
            noisy = rest[0]
        else:
            phase = torch.randint(
                BLIND_STEP**2, (len(target),), generator=generator, device=target.device
            )
            spots = blind_spots(target, phase)
            # the scale must not tell what the blind spots hide
            noisy = torch.where(spots, torch.nan, target)
        scale = self.normalization.scale(noisy)
        noisy = self._standard(self.normalization.forward(noisy, scale))
        target = self._standard(self.normalization.forward(target, scale))
        if self.mode == "self_supervised":
            return noisy, (target, spots.to(target.dtype))
        return noisy, (target,)

    def _standard(self, images):
        return (images - self.center) / self.scale
