"""Oriented wavelets on HEALPix grids: a small stencil around each pixel, the same at every resolution."""

from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import brentq
from torch.nn import functional

from skastro.constants import Constants
from skastro.scattering.sphere_grid import Neighbours, pixel_vectors
from skastro.scattering.sphere_transport import from_harmonics, over_neighbours, turn

__all__ = ["CENTRE", "Level", "apply_stencil", "low_pass_weights", "wavelet_weights"]

CENTRE = 0.5 * np.pi  # of the band of a wavelet, radians a pixel of its grid
WIDTH = 1.2  # of its envelope, pixels
SMOOTHING = 1.0  # deviation of the Gaussian before a map is degraded, pixels
RADIUS = 3.5  # of the stencils, pixels
TURNED = 64  # nside of the finest grid where moduli are turned; on finer ones the north hardly does
BLOCK = 2**24  # bytes of neighbours gathered together
WEIGHTS_BLOCK = 2**12  # pixels whose weights are made together


def _tapered(distance, width):
    """Gaussian brought to zero at the edge: who is just inside must not matter."""
    edge = np.clip(RADIUS - distance, 0.0, 1.0)
    return np.exp(-0.5 * (distance / width) ** 2) * np.sin(0.5 * np.pi * edge) ** 2


@lru_cache(maxsize=64)
def tapered_width(deviation):
    """Width of the Gaussian that, brought to zero, has a deviation along each axis, in pixels."""
    radius = (np.arange(4000) + 0.5) * RADIUS / 4000

    def excess(width):
        density = _tapered(radius, width) * radius
        return 0.5 * (density @ radius**2) / density.sum() - deviation**2

    return brentq(excess, deviation, 3.0 * deviation, xtol=1e-12)


def _envelope(distance, missing, deviation):
    """Weights of sum 1."""
    weights = _tapered(distance, tapered_width(float(deviation)))
    weights[missing] = 0.0
    return weights / weights.sum(1, keepdims=True)


def low_pass_weights(distance, missing):
    """Weights (n, K) of what smooths a map before it is degraded; of sum 1."""
    return _envelope(distance, missing, SMOOTHING)


def envelope_weights(distance, missing):
    """Weights (n, K) of the widest envelope; of sum 1."""
    return _envelope(distance, missing, WIDTH)


def wavelet_weights(distance, bearing, missing, n_orientations, n_degraded=0):
    r"""Stencils of the wavelets of all orientations, for a map that was degraded some times.

    Parameters
    ----------
    distance, bearing : ndarray of shape (n, K)
        Of the neighbours, in pixels and in radians from the north.
    missing : ndarray of bool of shape (n, K)
    n_orientations : int
        Wave vectors at 0, pi / L, ... from the north towards the east.
    n_degraded : int
        How often the map was smoothed and degraded. Each time narrows the band of a map from above: the
        stencil makes up for it, so that both together are the same function of the frequency in pixels.

    Returns
    -------
    weights : ndarray of shape (n, 2 * n_orientations, K)
        Real and imaginary part of each orientation; of sum 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.scattering.sphere_grid import Neighbours
    >>> from skastro.scattering.sphere_wavelets import RADIUS, wavelet_weights
    >>> near = Neighbours.of(8, RADIUS)
    >>> weights = wavelet_weights(*near.polar(slice(None)), near.missing, 4)
    >>> weights.shape[:2], bool(np.abs(weights.sum(2)).max() < 1e-12)
    ((192, 8), True)
    """
    # variance of all smoothings so far, and of the means of four children, in pixels of this grid
    blurred = (SMOOTHING**2 + 0.25) * (1.0 - 0.25**n_degraded) / 3.0
    width = np.sqrt(WIDTH**2 - blurred)
    centre = CENTRE * WIDTH**2 / width**2
    gain = np.exp(0.5 * ((centre * width) ** 2 - (CENTRE * WIDTH) ** 2))
    envelope = _envelope(distance, missing, width)
    theta = np.pi * np.arange(n_orientations) / n_orientations
    phase = centre * distance[:, None] * np.cos(bearing[:, None] - theta[:, None])
    weights = np.stack([np.cos(phase), np.sin(phase)], 2)
    weights -= (envelope[:, None, None] * weights).sum(3, keepdims=True)
    weights *= gain * envelope[:, None, None]
    return weights.reshape(len(distance), -1, distance.shape[1])


def apply_stencil(fields, weights, index):
    """Weighted sums over neighbours, with the weights of one quadrant for all four.

    Parameters
    ----------
    fields : Tensor of shape (n_rows, n, 4)
        As of `to_quadrants`.
    weights : Tensor of shape (n_rows, R, K)
    index : Tensor of int of shape (n_rows, K)
        As of `Neighbours`.

    Returns
    -------
    sums : Tensor of shape (n_rows, R, n, 4)
        Differentiable with respect to the fields.
    """
    return _Stencil.apply(fields, weights, index)


class _Stencil(torch.autograd.Function):
    @staticmethod
    def forward(ctx, fields, weights, index):
        ctx.save_for_backward(weights, index)
        rows, n, _ = fields.shape
        # row q * rows + m: what the quadrants see in theirs and q further, side by side
        table = torch.cat([fields.roll(-q, 2) for q in range(4)]).flatten(1)
        out = table.new_empty(rows, weights.shape[1], table.shape[1])
        for block in _blocks(index, table):
            out[block] = torch.bmm(weights[block], functional.embedding(index[block], table))
        return out.unflatten(2, (n, 4))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        weights, index = ctx.saved_tensors
        rows, _, n, _ = gradient.shape
        gradient = gradient.flatten(2)
        table = gradient.new_zeros(4 * rows, 4 * n)
        for block in _blocks(index, table):
            shares = torch.bmm(weights[block].mT, gradient[block]).flatten(0, 1)
            to = index[block].flatten().long()[:, None].expand_as(shares)
            table.scatter_add_(0, to, shares)
        table = table.view(4, rows, n, 4)
        return sum(table[q].roll(q, 2) for q in range(4)), None, None


def _blocks(index, table):
    step = max(1, BLOCK // (index.shape[1] * table.shape[1] * table.element_size()))
    return [slice(start, start + step) for start in range(0, len(index), step)]


class Level(Constants):
    """Stencils of one resolution.

    Parameters
    ----------
    nside : int
    n_orientations : int

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.sphere_grid import to_quadrants
    >>> from skastro.scattering.sphere_wavelets import Level
    >>> level = Level(8, n_orientations=4)
    >>> x = torch.randn(1, 768, generator=torch.Generator().manual_seed(0))
    >>> level.wavelets(to_quadrants(x)).shape
    torch.Size([192, 8, 1, 4])
    """

    def __init__(self, nside, n_orientations):
        super().__init__()
        self.nside, self.n_orientations = nside, n_orientations

    def __getstate__(self):
        # found and made again
        return {**super().__getstate__(), "_arrays": {}}

    @property
    def near(self):
        return Neighbours.of(self.nside, RADIUS)

    def wavelets(self, fields, n_degraded=0):
        """Wavelet fields: real and imaginary parts (n_rows, 2 L, n, 4) of fields (n_rows, n, 4)."""
        return apply_stencil(fields, *self._weights(*self._psi(n_degraded), fields))

    def wavelets_of_moduli(self, fields, n_degraded=0):
        """Wavelet fields (n_rows, 2 L, L, n, 4) of moduli, these (n_rows, L, n, 4) as their harmonics."""
        return from_harmonics(self._over_neighbours(fields, *self._psi(n_degraded)), 2)

    def seen(self, fields):
        """Means of fields (n_rows, n, 4) under the envelope of the wavelets."""
        return apply_stencil(fields, *self._weights("envelope", 1, _wide, fields)).squeeze(1)

    def degrade(self, fields):
        """Fields (n_rows, n, 4) on the next coarser grid, (n_rows / 4, n, 4)."""
        smooth = apply_stencil(fields, *self._weights("smooth", 1, _low, fields)).squeeze(1)
        # the four children of a pixel follow one another
        return smooth.unflatten(0, (-1, 4)).mean(1)

    def degrade_moduli(self, fields):
        """Moduli (n_rows, L, n, 4), as their harmonics, on the next coarser grid."""
        smooth = self._over_neighbours(fields, "smooth", 1, _low).squeeze(1)
        if self._turns:
            smooth = over_neighbours(smooth, self._carried).squeeze(1)
        return smooth.unflatten(0, (-1, 4)).mean(1)

    @property
    def _turns(self):
        return self.nside <= TURNED and self.n_orientations > 1

    def _psi(self, n_degraded):
        """Name, number and maker of the stencils of the wavelets."""
        L = self.n_orientations

        def make(distance, bearing, missing):
            return wavelet_weights(distance, bearing, missing, L, n_degraded)

        return f"wavelets{n_degraded}", 2 * L, make

    def _over_neighbours(self, fields, name, n_stencils, make):
        """Sums (n_rows, R, L, n, 4) of harmonics, turned where the north turns enough."""
        if not self._turns:
            weights = self._weights(name, n_stencils, make, fields)
            return apply_stencil(fields.flatten(1, 2), *weights).unflatten(2, fields.shape[1:3])
        return over_neighbours(
            fields,
            lambda one, part, order: apply_stencil(
                one, *self._weights(name, n_stencils, make, one, part, order)
            ),
        )

    def _carried(self, fields, part, order):
        """Fields (n_rows, n, 4) of children as their parent sees them, (n_rows, 1, n, 4)."""
        key = f"children{part}{order}"
        if key not in self._arrays:
            rows = len(fields)
            children = self.near.vectors[:rows].reshape(-1, 4, 3)
            parents = pixel_vectors(self.nside // 2)[_first_quadrant(self.nside // 2)]
            self.keep(key, _harmonic(turn(parents, children).reshape(rows, 1, 1), part, order))
        return (fields * self.get(key, fields))[:, None]

    def _weights(self, name, n_stencils, make, like, part=0, order=0):
        """Weights and index, made once for each dtype and device."""
        key = f"{name} {part}{order}", like.dtype, like.device
        at = "index", like.device
        near = self.near
        with torch.inference_mode(False):
            if at not in self._tensors:
                self._tensors[at] = torch.from_numpy(near.index).to(like.device)
            if key not in self._tensors:
                rows, n_near = near.index.shape
                weights = torch.empty(rows, n_stencils, n_near, dtype=like.dtype)
                for start in range(0, rows, WEIGHTS_BLOCK):
                    block = slice(start, start + WEIGHTS_BLOCK)
                    made = make(*near.polar(block), near.missing[block])
                    if order:
                        made = made * _harmonic(near.turns(block), part, order)[:, None]
                    weights[block] = torch.from_numpy(made).to(like.dtype)
                self._tensors[key] = weights.to(like.device)
        return self._tensors[key], self._tensors[at]


def _harmonic(angle, part, order):
    return (np.cos, np.sin)[part](2.0 * order * angle)


def _first_quadrant(nside):
    """Pixels of the faces that the first quadrant has, in the order of the rows."""
    face = 4 * np.arange(3)
    return (face[:, None] * nside**2 + np.arange(nside**2)).ravel()


def _low(distance, bearing, missing):
    return low_pass_weights(distance, missing)[:, None]


def _wide(distance, bearing, missing):
    return envelope_weights(distance, missing)[:, None]
