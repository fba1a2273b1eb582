"""What a batch of images becomes before a network trains on it: turned, corrupted, blinded."""

import torch

__all__ = ["TrainingBatches", "blind_spots", "n_symmetries", "turn", "turn_back"]

# Side of the cells of which one pixel is hidden at a time: 9 passes see every pixel.
BLIND_STEP = 3


def n_symmetries(augmentation, height, width):
    """Number of symmetries: 1, 2 or 4 reflections, or the 8 of a square."""
    if augmentation is None:
        return 1
    return 8 if augmentation == "dihedral" and height == width else 4


def turn(images, k):
    """Symmetry number `k` (0 to 7): reflections of the columns (1) and rows (2), transposition (4)."""
    axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if k & bit]
    images = images.flip(axes) if axes else images
    return images.transpose(-1, -2) if k & 4 else images


def turn_back(images, k):
    """Undo `turn`."""
    images = images.transpose(-1, -2) if k & 4 else images
    axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if k & bit]
    return images.flip(axes) if axes else images


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
        1, 4 or 8; see `turn`.
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
        (target, *rest) = self._turned([target, inputs] if pairs else [target], generator)
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

    def _turned(self, tensors, generator):
        """The images of a batch in groups, each turned in another way; the order stays."""
        n, m = len(tensors[0]), self.n_symmetries
        if m == 1:
            return tensors
        # rows come shuffled: consecutive groups of them are random ones
        which = torch.randperm(m, generator=generator, device=generator.device).tolist()
        first = int(torch.randint(m, (1,), generator=generator, device=generator.device))
        parts = [tensor.tensor_split(min(m, n)) for tensor in tensors]
        order = [which[(first + i) % m] for i in range(min(m, n))]
        return [
            torch.cat([turn(part, k) for part, k in zip(group, order, strict=True)])
            for group in parts
        ]
