"""The reflections and transpositions of images, to turn them at random while a network trains."""

import torch

__all__ = ["n_symmetries", "turn", "turn_at_random", "turn_back"]


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


def turn_at_random(tensors, n_symmetries, generator):
    """Turn the images of a batch in groups, each in another way; the order of the images stays.

    Parameters
    ----------
    tensors : list of Tensor of shape (n, n_channels, h, w)
        Turned alike. Rows must come shuffled: consecutive groups of them are then random ones.
    n_symmetries : int
        1, 4 or 8; see `turn`.
    generator : torch.Generator

    Returns
    -------
    tensors : list of Tensor
    """
    n, m = len(tensors[0]), n_symmetries
    if m == 1:
        return tensors
    which = torch.randperm(m, generator=generator, device=generator.device).tolist()
    first = int(torch.randint(m, (1,), generator=generator, device=generator.device))
    parts = [tensor.tensor_split(min(m, n)) for tensor in tensors]
    order = [which[(first + i) % m] for i in range(min(m, n))]
    return [
        torch.cat([turn(part, k) for part, k in zip(group, order, strict=True)]) for group in parts
    ]
