"""Point spread functions of survey images, and what a telescope that doesn't follow the sky makes of them."""

from __future__ import annotations

import numpy as np

__all__ = ["PointSpread", "tracking_kernel"]

KERNEL_SIZE = 65  # pixels a side of what is handed out: four times the widest seeing each way
GAUSSIAN_SHARE, VARYING_SHARE = 0.25, 0.5
BETA = (2.0, 6.0)  # of Moffat's profiles
ELLIPTICITY, LARGEST_ELLIPTICITY = 0.04, 0.3


class PointSpread:
    """A Moffat or Gaussian profile, elliptical, that may change across the field.

    What is given is the profile as pixels see it: it holds the pixel already.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum in the middle of the field (geometric mean of both axes), in pixels.
    shape : tuple (h, w)
        Of the field.
    rng : numpy.random.Generator
    """

    def __init__(self, fwhm, shape, rng):
        self.fwhm, self.shape = float(fwhm), shape
        self.beta = np.inf
        if rng.random() >= GAUSSIAN_SHARE:
            self.beta = float(np.exp(rng.uniform(*np.log(BETA))))
        size, angle = rng.exponential(ELLIPTICITY), rng.uniform(0, 2 * np.pi)
        self._shear = min(size, 0.2) * np.array([np.cos(angle), np.sin(angle)])
        varies = rng.random() < VARYING_SHARE
        # relative change of the width, and change of the shape, from the middle to an edge
        self._slopes = varies * np.clip(rng.normal(0.0, 0.06, 3), -0.12, 0.12)
        self._shears = varies * rng.normal(0.0, 0.04, (2, 2))

    def at(self, x, y):
        """Width and the two components of the ellipticity at positions."""
        h, w = self.shape
        u, v = 2.0 * np.asarray(x) / w - 1.0, 2.0 * np.asarray(y) / h - 1.0
        a, b, c = self._slopes
        fwhm = self.fwhm * (1.0 + a * u + b * v + 0.5 * c * (u * u + v * v))
        e = self._shear[:, None] + self._shears @ np.array([u.ravel(), v.ravel()])
        size = np.hypot(*e)
        e = e * np.minimum(1.0, LARGEST_ELLIPTICITY / np.maximum(size, 1e-9))
        return np.maximum(fwhm, 1.0), e[0].reshape(u.shape), e[1].reshape(u.shape)

    def peak(self, fwhm):
        """Highest value for a unit flux."""
        if np.isinf(self.beta):
            return 4 * np.log(2) / (np.pi * fwhm**2)
        return (self.beta - 1) / (np.pi * self._alpha_squared(fwhm))

    def radius(self, ratio, fwhm):
        """Where the profile has fallen by a ratio, along a mean axis."""
        ratio = np.maximum(ratio, 1.0)
        if np.isinf(self.beta):
            return fwhm * np.sqrt(np.log(ratio) / (4 * np.log(2)))
        return np.sqrt(self._alpha_squared(fwhm) * (ratio ** (1 / self.beta) - 1))

    def profile(self, dx, dy, fwhm, e1, e2):
        """Light of a unit flux at offsets, in float32."""
        norm = np.sqrt(1 - e1**2 - e2**2)
        a, b, c = (np.asarray(m / norm, np.float32) for m in (1 - e1, -e2, 1 + e1))
        squared = np.square(a * dx + b * dy)
        squared += np.square(b * dx + c * dy)
        if np.isinf(self.beta):
            squared *= np.asarray(-4 * np.log(2) / fwhm**2, np.float32)
        else:
            squared *= np.asarray(1 / self._alpha_squared(fwhm), np.float32)
            np.log1p(squared, out=squared)
            squared *= np.float32(-self.beta)
        np.exp(squared, out=squared)
        squared *= np.asarray(self.peak(fwhm), np.float32)
        return squared

    def image(self, x, y, shape, origin=(0, 0)):
        """Light of a unit flux at (x, y) over an array whose first pixel is at `origin`."""
        rows = np.arange(shape[0], dtype=np.float32)[:, None] + np.float32(origin[1] - y)
        columns = np.arange(shape[1], dtype=np.float32) + np.float32(origin[0] - x)
        return self.profile(columns, rows, *(float(p) for p in self.at(x, y)))

    def kernel(self, size=KERNEL_SIZE):
        """The profile in the middle of the field, of sum 1."""
        h, w = self.shape
        half = size // 2
        offset = np.arange(size, dtype=np.float32) - half
        middle = (float(p) for p in self.at(w / 2, h / 2))
        kernel = self.profile(offset, offset[:, None], *middle)
        return kernel / kernel.sum(dtype=np.float64).astype(np.float32)

    def _alpha_squared(self, fwhm):
        return fwhm**2 / (4 * (2 ** (1 / self.beta) - 1))


def tracking_kernel(seeing, rng):
    """Where a star was during an exposure that was not followed, of sum 1, an odd square.

    A line, an arc, a hold and then a drift, jumps between points, or a walk.

    Parameters
    ----------
    seeing : float
        Pixels: what is shorter would not be seen.
    rng : numpy.random.Generator
    """
    kind = rng.choice(["line", "arc", "hold", "jumps", "walk"], p=[0.3, 0.2, 0.2, 0.2, 0.1])
    length = np.exp(rng.uniform(np.log(1.2 * seeing + 2.0), np.log(60.0)))
    t = np.linspace(0.0, 1.0, 400)
    angle = rng.uniform(0, 2 * np.pi)
    weights = np.ones_like(t)
    heading = np.full_like(t, angle)
    if kind == "arc":
        heading += rng.uniform(0.5, 3.0) * rng.choice([-1, 1]) * t
    elif kind == "walk":
        heading += np.cumsum(rng.normal(0, rng.uniform(0.1, 0.5), len(t)))
        length *= 2
    path = np.cumsum([np.cos(heading), np.sin(heading)], axis=1) * length / len(t)
    if kind == "hold":
        weights[0 if rng.random() < 0.5 else -1] = len(t) * rng.uniform(0.3, 4.0)
    elif kind == "jumps":
        n = 2 + rng.binomial(2, 0.3)
        path = length * np.cumsum(rng.normal(0, 0.6, (2, n)), axis=1)
        path[:, 1] = path[:, 0] + length * np.array([np.cos(angle), np.sin(angle)])
        weights = rng.uniform(0.2, 1.0, n)
    path -= (path.max(1, keepdims=True) + path.min(1, keepdims=True)) / 2
    half = min(int(np.ceil(np.abs(path).max())) + 1, 64)
    np.clip(path, -half + 1, half - 1, out=path)
    size = 2 * half + 1
    kernel = np.zeros(size * size)
    x, y = path + half
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            kernel += np.bincount((top + dy) * size + left + dx, share * weights, size * size)
    return (kernel / kernel.sum()).reshape(size, size).astype(np.float32)
