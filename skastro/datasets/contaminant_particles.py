"""Charged particles in a detector: spots, straight tracks, worms and muons."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from skastro.datasets.survey_frames import log_uniform

__all__ = ["cosmic_rays"]

STEPS = 3  # points of a track in a pixel
HITS = (3e-5, 4e-3)  # a pixel
KINDS = ("spot", "track", "worm", "muon")
LONGEST_MUON, LONGEST_WORM = 400.0, 80.0  # pixels


def cosmic_rays(frame, rng):
    """Charge of the hits of a frame, in electrons, float32.

    Paths are followed in steps; each leaves charge that varies, spread by diffusion over neighbours.
    """
    h, w = frame.shape
    n = max(1, rng.poisson(log_uniform(*HITS, rng) * h * w))
    kind = rng.choice(4, n, p=rng.dirichlet([3.0, 4.0, 2.0, 0.5]))
    length = np.where(kind == 0, rng.uniform(0.1, 1.0, n), 0.0)
    track, worm, muon = (kind == k for k in (1, 2, 3))
    # the steeper it comes, the shorter: depth over the tangent
    depth = log_uniform(0.7, 8.0, rng)
    tangent = np.tan(np.arccos(np.sqrt(rng.random(n))))
    length[track] = np.minimum(depth * tangent, 150.0)[track] + 1.0
    length[worm] = np.minimum(3.0 + rng.exponential(15.0, n), LONGEST_WORM)[worm]
    length[muon] = np.minimum(log_uniform(15.0, LONGEST_MUON, rng, n), LONGEST_MUON)[muon]
    bend = np.zeros(n)  # radians a pixel: of the heading's walk
    bend[worm] = log_uniform(0.08, 0.6, rng, n)[worm]
    bend[track] = (rng.random(n) < 0.15)[track] * 0.03

    # all points of all paths in a row
    points = np.maximum(1, np.rint(length * STEPS)).astype(np.int64)
    first = np.cumsum(points) - points
    path = np.repeat(np.arange(n), points)
    along = (np.arange(points.sum()) - first[path]) / points[path]
    turns = rng.standard_normal(len(path)) * (bend / np.sqrt(STEPS))[path]
    heading = rng.uniform(0, 2 * np.pi, n)[path] + _within(turns, first, path)
    step = np.minimum(1.0 / STEPS, length / points)[path]
    x = rng.uniform(-0.5, w - 0.5, n)[path] + _within(np.cos(heading) * step, first, path)
    y = rng.uniform(-0.5, h - 0.5, n)[path] + _within(np.sin(heading) * step, first, path)
    inside = (x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)

    # charge of a pixel's length of path
    faintest = frame.sigma * log_uniform(0.7, 8.0, rng)
    brightest = min(faintest * log_uniform(5.0, 2000.0, rng), 3e5 + 20 * frame.sigma)
    charge = log_uniform(faintest, brightest, rng, n)
    # most worms leave more as they stop, muons least
    end = np.where(worm, rng.exponential(1.0, n), rng.exponential(0.1, n))[path]
    roughness = rng.uniform(0.1, 0.8)
    charge = charge[path] * np.exp(roughness * rng.standard_normal(len(path)) + end * (along - 1))
    charge /= np.where(points > 1, STEPS, 1)[path]

    # what enters at the back has diffused, what leaves at the front has not
    widest = rng.uniform(0.05, 0.6) if rng.random() < 0.8 else rng.uniform(0.6, 1.3)
    changing = (rng.random(n) < 0.5) & ~worm
    depth = np.where(changing[path], along, rng.uniform(0.3, 1.0, n)[path])
    width = np.maximum(widest * np.sqrt(depth), 0.03)
    return _deposit(x[inside], y[inside], charge[inside], width[inside], frame.shape)


def _within(values, first, path):
    """Running sums that start anew with each path."""
    total = np.cumsum(values)
    return total - (total[first] - values[first])[path]


def _deposit(x, y, charge, width, shape):
    """Charge on pixels, from points blurred by Gaussians of their own."""
    h, w = shape
    out = np.zeros(h * w)
    reach = 1 if len(width) == 0 or width.max() < 0.4 else 2 if width.max() < 0.8 else 3
    edges = np.arange(-reach, reach + 2) - 0.5
    column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    scale = np.float32(1 / np.sqrt(2)) / width.astype(np.float32)
    shares = []
    for position, middle in ((x, column), (y, row)):
        offset = (edges[:, None] - (position - middle)).astype(np.float32)
        shares.append(np.diff(erf(offset * scale), axis=0) / 2)
    for i in range(2 * reach + 1):
        for j in range(2 * reach + 1):
            rows, columns = row + i - reach, column + j - reach
            inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
            part = charge * shares[1][i] * shares[0][j] * inside
            np.clip(rows, 0, h - 1, out=rows)
            np.clip(columns, 0, w - 1, out=columns)
            out += np.bincount(rows * w + columns, part, h * w)
    return out.reshape(shape).astype(np.float32)
