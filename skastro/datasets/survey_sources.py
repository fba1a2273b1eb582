"""Stars and galaxies of survey images: how many, how bright, and their light."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

__all__ = ["draw_sources", "source_light"]

RADII = np.array([3, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128])  # half sides of stamps
FAINTEST = 0.1  # of the noise of a pixel: where stamps end
CHUNK = 2**18  # values at once
SHAPES = 24  # of galaxies in a frame; the brightest have their own
BRIGHTEST = 16
COUNTS_SLOPE = (0.5, 1.3)  # of the number brighter than a flux
FAINT_END = (0.3, 3.0)  # peak over noise
BRIGHT_END = 3e4


def draw_sources(frame, margin, rng):
    """Positions, fluxes and kinds of the sources of a frame and of a margin around it.

    Returns
    -------
    sources : dict of arrays
        "x", "y" in pixels, "flux" in electrons, "galaxy" bool.
    """
    h, w = frame.shape
    n = rng.poisson(frame.density * (h + 2 * margin) * (w + 2 * margin))
    x = rng.uniform(-margin - 0.5, w + margin - 0.5, n)
    y = rng.uniform(-margin - 0.5, h + margin - 0.5, n)
    slope = rng.uniform(*COUNTS_SLOPE)
    faint = np.exp(rng.uniform(*np.log(FAINT_END)))
    # from the brightest to the faintest that there may be, by a power law
    least = (BRIGHT_END / faint) ** -slope
    peak = faint * (least + (1 - least) * rng.random(n)) ** (-1 / slope)
    flux = peak * frame.sigma / frame.psf.peak(frame.seeing)
    return {"x": x, "y": y, "flux": flux, "galaxy": rng.random(n) < frame.galaxy_fraction}


def source_light(frame, sources, margin, rng):
    """Noiseless light of the sources over the frame and its margin, in electrons, float32.

    The fluxes of galaxies grow with their size: they are written back.
    """
    h, w = frame.shape
    canvas = np.zeros((h + 2 * margin, w + 2 * margin), np.float32)
    star = ~sources["galaxy"]
    _add_stars(canvas, frame, *(sources[name][star] for name in ("x", "y", "flux")), margin)
    if not star.all():
        galaxies = (sources[name][~star] for name in ("x", "y", "flux"))
        sources["flux"][~star] = _add_galaxies(canvas, frame, *galaxies, margin, rng)
    return canvas


def _add_stars(canvas, frame, x, y, flux, margin):
    psf = frame.psf
    fwhm, e1, e2 = psf.at(x, y)
    peak = flux * psf.peak(fwhm)
    wanted = psf.radius(peak / (FAINTEST * frame.sigma), fwhm)
    size = np.minimum(np.searchsorted(RADII, wanted), len(RADII) - 1)
    # many wide and faint ones: by one convolution, as what shares of pixels blur is small beside their width
    spread = (RADII[size] > 8) & (peak < 10 * frame.sigma)
    if frame.seeing > 4 and spread.sum() > 300:
        _spread(canvas, frame, x[spread], y[spread], flux[spread], margin)
    else:
        spread[:] = False
    for k, radius in enumerate(RADII):
        chosen = np.flatnonzero((size == k) & ~spread)
        step = max(1, CHUNK // (2 * radius + 1) ** 2)
        for start in range(0, len(chosen), step):
            some = chosen[start : start + step]
            _stamp(canvas, psf, x[some], y[some], flux[some],
                   (fwhm[some], e1[some], e2[some]), radius, margin)  # fmt: skip


def _stamp(canvas, psf, x, y, flux, shapes, radius, margin):
    """Add the light of stars on squares of one size."""
    height, width = canvas.shape
    column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    offset = np.arange(-radius, radius + 1)
    dx = (offset - (x - column)[:, None]).astype(np.float32)[:, None, :]
    dy = (offset - (y - row)[:, None]).astype(np.float32)[:, :, None]
    light = psf.profile(dx, dy, *(p[:, None, None] for p in shapes))
    light *= flux.astype(np.float32)[:, None, None]
    columns, rows = column[:, None] + offset + margin, row[:, None] + offset + margin
    # beyond the canvas: none, put anywhere
    light *= ((columns >= 0) & (columns < width))[:, None, :]
    light *= ((rows >= 0) & (rows < height))[:, :, None]
    np.clip(columns, 0, width - 1, out=columns)
    np.clip(rows, 0, height - 1, out=rows)
    index = rows[:, :, None] * width + columns[:, None, :]
    np.add.at(canvas.reshape(-1), index.ravel(), light.ravel())


def _spread(canvas, frame, x, y, flux, margin):
    """Share points among four pixels, then blur."""
    height, width = canvas.shape
    x, y = np.clip(x + margin, 0, width - 1.001), np.clip(y + margin, 0, height - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, below = x - left, y - top
    points = np.zeros(canvas.size)
    for dy, part in ((0, 1 - below), (1, below)):
        for dx, share in ((0, 1 - right), (1, right)):
            points += np.bincount((top + dy) * width + left + dx, part * share * flux, canvas.size)
    points = points.astype(np.float32).reshape(canvas.shape)
    canvas += np.maximum(fftconvolve(points, frame.psf.kernel(), mode="same"), 0.0)


def _add_galaxies(canvas, frame, x, y, flux, margin, rng):
    height, width = canvas.shape
    scale = np.exp(rng.uniform(np.log(1.0), np.log(5.0)))
    order = np.argsort(-flux)
    bank = [_galaxy(frame, scale, rng) for _ in range(min(SHAPES + BRIGHTEST, len(x)))]
    own = min(BRIGHTEST, len(bank))
    which = np.arange(len(x))
    if len(x) > own:
        which[own:] = rng.integers(min(own, len(bank) - 1), len(bank), len(x) - own)
    for i, k in zip(order, which, strict=True):
        stamp, spread = bank[k]
        half = stamp.shape[0] // 2
        top, left = int(np.rint(y[i])) + margin - half, int(np.rint(x[i])) + margin - half
        rows = slice(max(top, 0), min(top + stamp.shape[0], height))
        columns = slice(max(left, 0), min(left + stamp.shape[1], width))
        part = stamp[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        flux[i] *= spread
        canvas[rows, columns] += np.float32(flux[i]) * part
    return flux


def _galaxy(frame, scale, rng):
    """A Sersic profile through the point spread function, of sum 1, on a square of odd side."""
    index = np.exp(rng.uniform(np.log(0.5), np.log(5.0)))
    radius = scale * np.exp(rng.normal(0.0, 0.5))
    radius = min(max(radius, 0.3 * frame.seeing), 20.0)
    axis_ratio, angle = rng.uniform(0.2, 1.0), rng.uniform(0, np.pi)
    half = int(min(5 * radius + 4 * frame.seeing + 3, 96))
    offset = np.arange(-half, half + 1, dtype=np.float32)
    # away from the middle of the pixel, as the stars are
    dx, dy = offset - rng.uniform(-0.5, 0.5), (offset - rng.uniform(-0.5, 0.5))[:, None]
    c, s = np.cos(angle), np.sin(angle)
    r = np.sqrt(
        np.square(c * dx + s * dy) + np.square((c * dy - s * dx) / axis_ratio) + 0.1,
        dtype=np.float32,
    )
    b = 2 * index - 1 / 3 + 0.009876 / index
    light = np.exp(-b * (r / np.float32(radius)) ** np.float32(1 / index))
    light -= np.exp(-b * ((half + 1) / radius) ** (1 / index))  # no edge of the square
    np.maximum(light, 0, out=light)
    light = fftconvolve(light, frame.psf.kernel(min(2 * half + 1, 65)), mode="same")
    light -= max(light[0].max(), light[:, 0].max())  # nor of its blur
    np.maximum(light, 0, out=light)
    light /= light.sum()
    # about as easily seen as a star of the same draw
    return light, float(frame.psf.peak(frame.seeing) / light.max()) ** 0.8
