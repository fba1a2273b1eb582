"""The reflections and transpositions of images, to turn them at random while a network trains."""

import torch

__all__ = ["n_symmetries", "symmetries", "turn", "turn_at_random", "turn_back"]


def n_symmetries(augmentation, height, width):
    """Number of symmetries: 1, 2 or 4 reflections, or the 8 of a square."""
    if augmentation is None:
        return 1
    return 8 if augmentation == "dihedral" and height == width else 4


def symmetries(augment, height, width):
    """Numbers of the symmetries of a kind, as `turn` takes them; the first leaves an image as it is.

    Parameters
    ----------
    augment : {"flips", "rotations", "dihedral"} or None
        Rotations and transpositions need a square: without one, "rotations" is the one by half a turn and
        "dihedral" the reflections.
    height, width : int

    Returns
    -------
    numbers : tuple of int
    """
    if augment is None:
        return (0,)
    if height != width:
        return (0, 3) if augment == "rotations" else (0, 1, 2, 3)
    return {"flips": (0, 1, 2, 3), "rotations": (0, 3, 5, 6), "dihedral": tuple(range(8))}[augment]


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
    n_symmetries : int or sequence of int
        1, 4 or 8, or the numbers of the symmetries; see `turn`.
    generator : torch.Generator

    Returns
    -------
    tensors : list of Tensor
    """
    numbers = range(n_symmetries) if isinstance(n_symmetries, int) else n_symmetries
    n, m = len(tensors[0]), len(numbers)
    if m == 1:
        return tensors
    which = torch.randperm(m, generator=generator, device=generator.device).tolist()
    first = int(torch.randint(m, (1,), generator=generator, device=generator.device))
    parts = [tensor.tensor_split(min(m, n)) for tensor in tensors]
    order = [which[(first + i) % m] for i in range(min(m, n))]
    return [
        torch.cat([turn(part, numbers[k]) for part, k in zip(group, order, strict=True)])
        for group in parts
    ]
