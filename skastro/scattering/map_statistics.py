"""What the statistics of maps share: the check of their input, and the maps worked on together."""

import torch

from skastro.constants import Constants

__all__ = ["MapStatistics", "divide", "root"]

PIXELS = 2**16  # of the maps worked on together


class MapStatistics(Constants):
    """Statistics of maps of one shape in `shape`: (h, w), or (n_pixels,) on the sphere."""

    def _chunks(self, x):
        """Slices of maps that are worked on together."""
        step = max(1, PIXELS // x[0].numel())
        return [slice(start, start + step) for start in range(0, len(x), step)]

    def _check(self, x, name="x"):
        if not torch.is_tensor(x) or not x.is_floating_point():
            kind = x.dtype if hasattr(x, "dtype") else type(x).__name__
            raise ValueError(f"{name} is {kind}; expected a Tensor of real floats.")
        if tuple(x.shape[1:]) != self.shape or x.ndim == 0 or len(x) == 0:
            sides = ", ".join(map(str, self.shape))
            raise ValueError(f"{name} has shape {tuple(x.shape)}; expected (n, {sides}).")
        return x

    def _check_two(self, x, y):
        self._check(x, "x")
        if y is not None and self._check(y, "y").shape != x.shape:
            raise ValueError(f"y has shape {tuple(y.shape)}; expected that of x, {tuple(x.shape)}.")

    @staticmethod
    def _check_reference(reference, keys, n):
        for key in keys:
            if key not in reference:
                raise ValueError(f"reference has {sorted(reference)}; expected {keys}, of `norm`.")
            if len(reference[key]) not in (1, n):
                raise ValueError(
                    f"reference[{key!r}] has {len(reference[key])} maps; expected 1 or {n}."
                )

    @staticmethod
    def _rows_of(reference, rows):
        """A reference for some of the maps."""
        if reference is None:
            return None
        return {key: v if len(v) == 1 else v[rows] for key, v in reference.items()}


def divide(a, b):
    """a / b, and zero (with zero slope) where b is zero."""
    empty = b == 0
    return torch.where(empty, 0.0, a / torch.where(empty, 1.0, b))


def root(a):
    """Square root, of zero slope where there is nothing."""
    some = a > 0
    return torch.where(some, torch.where(some, a, 1.0).sqrt(), 0.0)


def check_fields(x, y, reference, shape):
    """Check the fields given to a scattering transform, which takes nothing beside them.

    Parameters
    ----------
    x : Tensor of shape (n, *shape), real
    y, reference : None
        In the signature of all statistics.
    shape : tuple of int

    Raises
    ------
    ValueError
        `x` is complex or of another shape, or `y` or `reference` is given.
    """
    if y is not None or reference is not None:
        name = "y" if y is not None else "reference"
        raise ValueError(f"{name} is given; expected None: the WST has no use for it.")
    if x.is_complex() or not x.is_floating_point():
        raise ValueError(f"x is {x.dtype}; expected a real floating point tensor.")
    if x.ndim != 1 + len(shape) or tuple(x.shape[1:]) != tuple(shape):
        sides = ", ".join(map(str, shape))
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (n, {sides}).")
