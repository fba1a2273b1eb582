"""The wavelets of the sphere as dense matrices in float64, pixel by pixel, from healpy's pixel centres."""

from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

REFERENCE = Path(__file__).parents[1] / "data" / "healpy" / "reference.npz"
_WIDTHS = {}  # of Gaussians, by the deviation that they have once brought to zero


def healpy_vectors():
    """Centres of the pixels of nside 8, nested."""
    with np.load(REFERENCE) as file:
        return file["vectors"]


def coarser(vectors):
    """Centres of the next coarser grid: the means of four children point there, but for the poles' faces.

    Near the poles they do not exactly; nside 8 to 4 is looked up in what astropy-healpix says instead.
    """
    from astropy_healpix import healpix_to_xyz

    n = len(vectors) // 4
    return np.stack(healpix_to_xyz(np.arange(n), int(np.sqrt(n / 12)), order="nested"), 1)


def _angles(vectors, i):
    """Great-circle distance in pixels and bearing from the north to the east of all pixels, seen from one."""
    size = np.sqrt(4 * np.pi / len(vectors))
    centre = vectors[i]
    east = np.cross([0.0, 0.0, 1.0], centre)
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    distance = np.arctan2(np.linalg.norm(np.cross(centre, vectors), axis=1), vectors @ centre)
    return distance / size, np.arctan2(vectors @ east, vectors @ north)


def _tapered(distance, width):
    taper = np.where(distance < 2.5, 1.0, np.sin(np.pi / 2 * (3.5 - distance)) ** 2)
    return np.where(distance < 3.5, np.exp(-(distance**2) / (2 * width**2)) * taper, 0.0)


def _envelope(distance, deviation):
    def squared(width):
        parts = [
            quad(lambda r, n=n: r**n * _tapered(r, width), 0, 3.5, points=[2.5])[0] for n in (3, 1)
        ]
        return parts[0] / parts[1] / 2

    width = _WIDTHS.get(deviation)
    if width is None:
        width = brentq(lambda s: squared(s) - deviation**2, deviation, 3 * deviation)
        _WIDTHS[deviation] = width
    envelope = _tapered(distance, width)
    return envelope / envelope.sum()


def dense_wavelets(vectors, n_orientations, n_degraded):
    """Matrices (L, n_pixels, n_pixels), complex."""
    # a Gaussian of deviation 1, then the mean of 2 x 2 pixels, a pixel twice as large each time
    blurred = 0.0
    for _ in range(n_degraded):
        blurred = (blurred + 1.0 + 0.25) / 4.0
    width2 = 1.44 - blurred
    centre = np.pi / 2 * 1.44 / width2
    gain = np.exp((centre**2 * width2 - (np.pi / 2) ** 2 * 1.44) / 2)
    matrices = np.zeros((n_orientations, len(vectors), len(vectors)), complex)
    for i in range(len(vectors)):
        distance, bearing = _angles(vectors, i)
        envelope = _envelope(distance, np.sqrt(width2))
        for k in range(n_orientations):
            turn = np.pi * k / n_orientations
            wave = np.exp(1j * centre * distance * np.cos(bearing - turn))
            matrices[k, i] = gain * envelope * (wave - (envelope * wave).sum())
    return matrices


def dense_smoothing(vectors):
    """Matrix (n_pixels, n_pixels) of the Gaussian before degrading."""
    return np.stack([_envelope(_angles(vectors, i)[0], 1.0) for i in range(len(vectors))])


def dense_degrading(vectors):
    """Matrix (n_pixels / 4, n_pixels) to the next coarser grid."""
    return dense_smoothing(vectors).reshape(-1, 4, len(vectors)).mean(1)


def _compass(vectors):
    east = np.cross([0.0, 0.0, 1.0], vectors)
    east /= np.linalg.norm(east, axis=-1, keepdims=True)
    return np.cross(vectors, east), east


def turns(centres, vectors):
    """Angles (n_centres, n_pixels) at a pixel of the north of a centre, rotated as this is to there."""
    north, _ = _compass(centres)
    there_north, there_east = _compass(vectors)
    p, q, t = centres[:, None], vectors[None], north[:, None]
    axis = np.cross(p, q)
    cosine = (p * q).sum(-1, keepdims=True)
    # Rodrigues, of an axis that is not normalised; what is opposite has none
    along = (axis * t).sum(-1, keepdims=True)
    carried = t * cosine + np.cross(axis, t) + axis * along / np.maximum(1 + cosine, 1e-9)
    return np.arctan2((carried * there_east).sum(-1), (carried * there_north).sum(-1))


def carried(turns, n_orientations):
    """Matrices (L, L, ...): moduli of all orientations, each turned, by trigonometric interpolation."""
    L = n_orientations
    theta = np.pi * np.arange(L) / L
    out = np.ones((L, L, *turns.shape))
    apart = (theta[:, None] - theta).reshape(L, L, *(1,) * turns.ndim)
    for m in range(1, (L + 1) // 2):
        out += 2 * np.cos(2 * m * (apart + turns))
    if L % 2 == 0:
        out += np.cos(L * apart) * np.cos(L * turns)
    return out / L


def carried_sums(matrices, turns, moduli):
    """Sums over pixels of moduli (L, n_pixels) with matrices (..., P, Q): (L, ..., P)."""
    turned = np.einsum("lmpq,mq->lpq", carried(turns, len(moduli)), moduli)
    return np.einsum("...pq,lpq->l...p", matrices, turned)


def degraded_moduli(fine, coarse, moduli):
    """Moduli (L, n_pixels) on the coarser grid."""
    smooth = carried_sums(dense_smoothing(fine), turns(fine, fine), moduli)
    children = np.arange(len(fine)).reshape(-1, 4)
    mean = np.zeros((len(coarse), len(fine)))
    mean[np.arange(len(coarse))[:, None], children] = 0.25
    return carried_sums(mean, turns(coarse, fine), smooth)
