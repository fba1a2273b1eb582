"""Power spectra in rings, and that of a signal from a mixture's and its contamination's."""

import numpy as np
import torch
from scipy.interpolate import BSpline
from scipy.optimize import minimize

from skastro.constants import Constants
from skastro.fourier_shells import FourierShells

__all__ = ["Bands", "Rings", "ring_edges", "signal_spectrum"]

KNOTS = 14
ROUGHNESS = 10.0  # weight of the squared second differences of the spline
LEAST = 1e-9  # of the largest power: the least that is told from none


class Bands(Constants):
    """Sets of modes by wave number: `labels` has that of each mode, `counts` how many are in each."""

    def of(self, narrow):
        """Number of the ring that each of `narrow` rings of the same maps lies in, Tensor (n_narrow,)."""
        labels = np.where(narrow.labels >= 0, narrow.labels, len(narrow.counts))
        starts = [labels[self.labels == i].min() for i in range(len(self.counts))]
        ring = np.searchsorted(starts, np.arange(len(narrow.counts)), side="right") - 1
        return torch.from_numpy(ring)


class Rings(Bands):
    """Rings of the Fourier plane, up to its corners.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    growing : bool, default=False
        False: one cycle wide, of the shorter side. True: 1, 2, 4 and 8 cycles wide from 0, 16, 32 and 64
        cycles on.

    Attributes
    ----------
    wavenumbers : ndarray of shape (n_rings,)
        Mean of each ring, cycles per shorter side.
    counts : ndarray of shape (n_rings,)
        Modes in each ring.
    labels : ndarray of int of shape (h, w // 2 + 1)
        Number of the ring of each mode of `torch.fft.rfft2`; -1 outside.
    share : float
        Modes over pixels, 1.

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.spectra import Rings
    >>> rings = Rings((32, 32))
    >>> x = torch.randn(200, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> bool((rings.power(x).mean(0) - 1).abs().max() < 0.2)
    True
    """

    share = 1.0

    def __init__(self, shape, growing=False):
        super().__init__()
        self.shape = (h, w) = tuple(int(n) for n in shape)
        side = min(h, w)
        k = side * np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w))
        last = int(np.ceil(k.max())) + 1
        edges = ring_edges(last, growing)
        # of long sides, what is larger than the short one is in no ring
        shells = FourierShells(self.shape, pixel_size=1.0 / side, bounds=edges - 0.5)
        self.counts, self.wavenumbers = shells.n_modes.astype(float), shells.k
        self.labels = shells.labels
        self.keep("index", shells.labels.clip(0).ravel())
        self.keep("weight", shells.shares().ravel() * (h * w))
        self.keep("inside", (shells.labels >= 0).astype(float))
        self.keep("radius", k)

    def power(self, maps, others=None):
        """Mean power (..., n_rings) of maps (..., h, w), or the cross spectrum of two; white noise has 1."""
        one = torch.view_as_real(torch.fft.rfft2(maps, norm="forward"))
        two = one
        if others is not None:
            two = torch.view_as_real(torch.fft.rfft2(others, norm="forward"))
        power = (one * two).sum(-1).flatten(-2)
        index, weight = self.get("index", maps), self.get("weight", maps)
        empty = power.new_zeros(*power.shape[:-1], len(self.counts))
        return empty.index_add(-1, index, power * weight)

    def spread(self, values):
        """Values (..., n_rings) on the half plane of `torch.fft.rfft2`, 0 at what no ring has."""
        plane = values[..., self.get("index", values)]
        return plane.unflatten(-1, (self.shape[0], -1)) * self.get("inside", values)

    def filter(self, maps, gain):
        """Maps with their modes multiplied by a gain (..., h, w // 2 + 1)."""
        return self.synthesis(torch.fft.rfft2(maps) * gain)

    def phases(self, maps):
        """Modes of maps, each with the modulus that white noise has on average."""
        modes = torch.fft.rfft2(maps)
        return modes / modes.abs().clamp_min(1e-30) * (self.shape[0] * self.shape[1]) ** 0.5

    def synthesis(self, modes):
        """Maps of modes (..., h, w // 2 + 1)."""
        return torch.fft.irfft2(modes, s=self.shape)


def ring_edges(last, growing):
    """First wave number of each ring from 1 to `last`, whole numbers, and of what is beyond."""
    if not growing:
        return np.arange(1, last + 1)
    parts = [range(1, 16), range(16, 32, 2), range(32, 64, 4), range(64, last + 8, 8)]
    return np.concatenate([np.array(part, dtype=int) for part in parts])


def signal_spectrum(mixture, contamination, wavenumbers, counts):
    r"""Smooth spectrum of a signal from those of a mixture and of what contaminates it.

    The powers of the modes of a Gaussian field are exponential variables, so that the spectrum of the
    signal, the exponential of a spline in log k, is found at the maximum of Whittle's likelihood

    .. math:: -\tfrac12 \sum_r n_r \left( \ln P_r + \hat P_r / P_r \right), \qquad P_r = S_r + C_r

    less a penalty on curvature. It is positive where the difference of the spectra is lost in noise.

    Parameters
    ----------
    mixture : ndarray of shape (n_rings,)
        Of one map.
    contamination : ndarray of shape (n_rings,)
        Mean over its samples.
    wavenumbers, counts : ndarray of shape (n_rings,)
        As of `Rings`.

    Returns
    -------
    smooth : ndarray of shape (n_rings,)

    References
    ----------
    .. [1] Whittle, "Estimation and information in stationary time series", Arkiv för Matematik 2, 423
       (1953).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation.spectra import signal_spectrum
    >>> k = np.arange(1.0, 60.0)
    >>> truth = 100 * k**-3
    >>> found = signal_spectrum(truth + 1, np.ones(59), k, 2 * np.pi * k)
    >>> bool(np.abs(found / truth - 1)[2:20].max() < 0.1)
    True
    """
    largest = max(mixture.max(), np.finfo(float).tiny)
    unit = 1.0 / largest
    mixture = np.maximum(mixture * unit, LEAST)
    contamination = np.maximum(contamination * unit, LEAST)
    x = np.log(wavenumbers)
    knots = np.linspace(x[0], x[-1], min(KNOTS, max(4, len(x) // 2)))
    inner = np.clip(x, x[0], x[-1] - 1e-9)
    padded = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    basis = BSpline.design_matrix(inner, padded, 3).toarray()
    bend = np.diff(np.eye(basis.shape[1]), 2, axis=0)
    half = counts / 2
    # to start with: the difference, where there is one
    guess = np.log(np.maximum(mixture - contamination, 0.02 * mixture))
    weight = half**0.25
    start = np.linalg.lstsq(
        np.concatenate([basis * weight[:, None], 3 * bend]),
        np.concatenate([guess * weight, np.zeros(len(bend))]),
        rcond=None,
    )[0]

    def loss(theta):
        signal = np.exp(np.clip(basis @ theta, -60, 30))
        whole, curvature = signal + contamination, bend @ theta
        value = (half * (np.log(whole) + mixture / whole)).sum()
        slope = basis.T @ (half * (1 / whole - mixture / whole**2) * signal)
        value += 0.5 * ROUGHNESS * (curvature**2).sum()
        return value, slope + ROUGHNESS * bend.T @ curvature

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.exp(np.clip(basis @ found.x, -60, 30)) * largest
