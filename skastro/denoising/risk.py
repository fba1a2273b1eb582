"""The error of an estimate as a function of its size, and its bias, from the noisy cube alone."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression

from skastro.denoising.recorruption import correlated_noise

__all__ = ["Risk", "fit_risk"]

MOST_VOXELS = 2**20
EPSILON = 0.05  # of the perturbation, in units of the noise
N_BINS = 24
LEAST = 1e-2  # rms error in units of the noise that is told apart from none
FEWEST = 50  # voxels of a bin


@dataclass
class Risk:
    """Root mean square error in units of the noise.

    Attributes
    ----------
    size : ndarray of shape (n_bins,)
        Size of the estimate in units of the noise, increasing.
    error : ndarray of shape (n_bins,)
        The error there, which does not decrease with size.
    outside : float
        The error of the zeros outside the gate.
    offset : float
        What has to be added to weak estimates, in units of the noise, for their flux to be right.
    """

    size: np.ndarray
    error: np.ndarray
    outside: float
    offset: float = 0.0

    def correct(self, estimate, gate=None):
        """Add the offset to weak estimates, in place."""
        shift = self.offset * weak(estimate)
        estimate += shift if gate is None else shift * gate
        return estimate

    def __call__(self, estimate, gate=None):
        """Error of an estimate in units of the noise, ndarray of its shape."""
        error = np.interp(np.abs(estimate), self.size, self.error).astype(estimate.dtype)
        return error if gate is None else np.where(gate, error, error.dtype.type(self.outside))


def weak(estimate):
    """Weight of an estimate in units of the noise: 1 below 1, down to 0 at 2."""
    return np.clip(2.0 - estimate, 0.0, 1.0)


def _offset(estimate, data, divergence):
    r"""The offset of weak estimates that leaves the flux of their voxels as it is in the data.

    Data less truth is noise n, but not on voxels chosen by the estimate, which follows n: there
    :math:`E[n\, g(f)] = E[g'(f)\, \partial f / \partial n]`, by Stein.
    """
    g = weak(estimate)
    slope = -((estimate > 1.0) & (estimate < 2.0)).astype(np.float64)
    weight = np.sum(g**2)
    if weight < FEWEST:
        return 0.0
    return float((np.sum(g * (data - estimate)) - np.sum(slope * divergence)) / weight)


def _root(power):
    return float(np.sqrt(max(power, LEAST**2)))


def fit_risk(estimator, snr, blank, gate, rng):
    r"""Measure the error of a denoiser on the cube that it was fitted on.

    For each voxel :math:`(f - p)^2 - 1 + 2 n (f(p + \epsilon n) - f(p)) / \epsilon` is in the mean
    the squared error; it is averaged over voxels with estimates of similar size.

    Parameters
    ----------
    estimator : CubeDenoiser
    snr : Tensor of shape (n_pieces, n_y, n_x, n_channels)
        0 where blank.
    blank, gate : ndarray of bool of that shape
    rng : numpy.random.Generator

    Returns
    -------
    risk : Risk
    """
    inner, risk, outside = [], [], []
    left = MOST_VOXELS
    for i in rng.permutation(len(snr)):
        rows = slice(0, max(1, left // snr[0, 0].numel()))
        piece, known = snr[i, rows], ~blank[i, rows]
        open_ = gate[i, rows] if estimator.gate else None
        noise = correlated_noise(tuple(piece.shape), estimator.correlation_, rng)
        noise = torch.from_numpy(noise).to(piece)
        estimate = estimator._estimate(piece, open_)
        moved = estimator._estimate(torch.add(piece, noise, alpha=EPSILON), open_)
        divergence = noise * (moved - estimate) / EPSILON
        one = ((estimate - piece).square() - 1.0 + 2.0 * divergence).numpy()
        inside = known if open_ is None else known & open_
        inner.append([part.numpy()[inside] for part in (estimate, piece, divergence)])
        risk.append(one[inside])
        outside.append(one[known & ~inside])
        left -= piece.numel()
        if left <= 0:
            break
    estimate, data, divergence = np.concatenate(inner, axis=1).astype(np.float64)
    risk, outside = (np.concatenate(part).astype(np.float64) for part in (risk, outside))
    far = _root(outside.mean()) if len(outside) >= FEWEST else LEAST
    if len(estimate) < FEWEST:
        return Risk(np.zeros(1), np.ones(1), far)
    size = np.abs(estimate)
    order = np.argsort(size)
    parts = np.array_split(order, min(N_BINS, len(size) // FEWEST))
    centre = np.array([size[part].mean() for part in parts])
    power = np.array([risk[part].mean() for part in parts])
    power = IsotonicRegression().fit_transform(centre, power)
    # an estimate of zero is no surer inside the gate than outside
    error = np.sqrt(np.maximum(power, far**2))
    return Risk(centre, error, far, _offset(estimate, data, divergence))
