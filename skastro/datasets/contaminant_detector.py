"""Defects of a detector: hot and dead pixels, columns and lines, persistence, overscan, bad reading."""

from __future__ import annotations

import numpy as np

from skastro.datasets.contaminant_classes import CONTAMINANTS
from skastro.datasets.survey_frames import blurred, log_uniform

__all__ = [
    "bad_reading", "dead_lines", "dead_pixels", "hot_lines", "hot_pixels", "overscan", "persistence",
]  # fmt: skip

FULL_WELL = 1e5  # electrons above the sky: what the hottest pixels reach
PIXELS = (6e-6, 1e-3)  # hot or dead ones, a pixel
FAINTEST_TIMES = CONTAMINANTS["HP"].threshold  # of the noise: fainter ones are no hot pixels
GHOSTS, LARGEST_GHOST = (2e-6, 1.5e-4), 45.0  # a pixel; pixels
DEADEST, HALF_DEAD = 0.0, 0.5
LOW_CONTRAST = 5.0  # of the noise: a dead pixel that takes off less light than this isn't seen


def hot_pixels(frame, rng):
    """Excess of the hot pixels, in electrons."""
    excess = np.zeros(frame.shape, np.float32)
    y, x = _scattered(frame, rng)
    most = max(FULL_WELL / frame.sigma, 60.0)
    highest = log_uniform(30.0, most, rng)
    times = log_uniform(1.001 * FAINTEST_TIMES, highest, rng, len(x))
    excess[y, x] = times * frame.sigma
    return excess


def dead_pixels(frame, rng):
    """Response of each pixel, and what stuck ones read instead, in electrons (else NaN).

    Those are kept for faint skies, where less light shows nothing: below the sky by several times the noise.
    """
    sensitivity = np.ones(frame.shape, np.float32)
    stuck = np.full(frame.shape, np.nan, np.float32)
    y, x = _scattered(frame, rng)
    kind = rng.random()
    if kind < 0.4:
        sensitivity[y, x] = 0.0
    else:
        sensitivity[y, x] = rng.uniform(DEADEST, HALF_DEAD, len(x))
    faint = frame.sky * (1 - HALF_DEAD) < LOW_CONTRAST * frame.sigma
    if rng.random() < (0.85 if faint else 0.15):
        deepest = log_uniform(8.0, 60.0, rng)
        depth = log_uniform(6.0, deepest, rng, len(x)) * frame.sigma
        stuck[y, x] = frame.sky - (depth if rng.random() < 0.5 else depth[0])
        sensitivity[y, x] = 0.0
    return sensitivity, stuck


def hot_lines(frame, light, rng):
    """Excess of hot columns and lines, in electrons, and where it is rough, its scatter."""
    excess, scatter = np.zeros((2, *frame.shape), np.float32)
    faintest = log_uniform(1.0, 10.0, rng)
    most = min(log_uniform(10.0, 2000.0, rng), max(FULL_WELL / frame.sigma, 20.0))
    for rows, columns in _segments(frame, rng):
        size = np.float32(log_uniform(faintest, most, rng) * frame.sigma)
        kind = rng.random()
        if kind < 0.55:
            value = size
        elif kind < 0.75:  # proportional to the light, as a wrong gain, but seen
            value = light[rows, columns] * max(size / np.float32(frame.sky), np.float32(1e-3))
        else:  # each pixel its own
            steps = rng.standard_normal(light[rows, columns].shape, np.float32)
            value = size * np.exp(np.float32(rng.uniform(0.1, 0.7)) * steps)
        if kind < 0.3:  # telegraph noise on top of the level
            scatter[rows, columns] = np.float32(rng.uniform(0.0, 0.5)) * value
        if rng.random() < 0.15:  # it fades away from where it starts
            length = max(light[rows, columns].shape)
            fade = np.exp(-np.arange(length, dtype=np.float32) / (length * rng.uniform(0.3, 2.0)))
            fade = fade[:: rng.choice([-1, 1])].astype(np.float32)
            tall = rows.stop - rows.start >= columns.stop - columns.start
            value = np.maximum(value * (fade[:, None] if tall else fade), np.float32(frame.sigma))
        excess[rows, columns] = np.maximum(excess[rows, columns], value)
    return excess, scatter


def dead_lines(frame, rng):
    """Response of each pixel with dead columns, lines and clumps, and what stuck ones read (else NaN)."""
    sensitivity = np.ones(frame.shape, np.float32)
    stuck = np.full(frame.shape, np.nan, np.float32)
    # a level at which the loss is seen, where the sky allows
    faint = 1 - min(2.0 * frame.sigma / frame.sky, 1.0)
    areas = list(_segments(frame, rng)) if rng.random() < 0.8 else []
    clumps = 1 + rng.poisson(2.0) if rng.random() < 0.35 or not areas else 0
    for rows, columns in areas:
        sensitivity[rows, columns] = _dead_level(faint, rng)
        if rng.random() < 0.15:  # each pixel its own
            noise = rng.uniform(0, 0.8, sensitivity[rows, columns].shape)
            sensitivity[rows, columns] = noise.astype(np.float32)
        if faint < 0.5 and rng.random() < 0.8:
            stuck[rows, columns] = frame.sky - frame.sigma * log_uniform(2.0, 40.0, rng)
    for _ in range(clumps):
        (top, left), blob = _clump(frame.shape, rng)
        area = slice(top, top + blob.shape[0]), slice(left, left + blob.shape[1])
        sensitivity[area][blob] = _dead_level(faint, rng)
        if faint < 0.5 and rng.random() < 0.8:
            stuck[area][blob] = frame.sky - frame.sigma * log_uniform(2.0, 40.0, rng)
    return sensitivity, stuck


def _dead_level(faint, rng):
    if rng.random() < 0.4:
        return 0.0
    return rng.uniform(0.0, min(0.8, max(faint, 0.2)))


def persistence(frame, rng):
    """Ghosts of sources that were too bright an exposure or a dither ago, in electrons.

    The core of a star as a saturated detector saw it: a flat or domed top and a soft edge, without wings.
    """
    h, w = frame.shape
    ghosts = np.zeros(frame.shape, np.float32)
    faintest = log_uniform(0.6, 4.0, rng)
    brightest = faintest * log_uniform(2.0, 60.0, rng)
    smallest = log_uniform(0.6, 2.5, rng) * frame.seeing
    kind = rng.choice(["edge", "saturated", "log"])
    softness = log_uniform(0.05, 0.4, rng)
    dither = rng.normal(0.0, 0.1, 2) * min(h, w)
    exposures = 1 + (rng.random() < 0.3) * rng.integers(1, 4)
    decay = rng.uniform(0.2, 0.8)
    bleeds = rng.random() < 0.2
    for _ in range(1 + rng.poisson(log_uniform(*GHOSTS, rng) * h * w)):
        radius = min(
            max(smallest * (0.7 + rng.pareto(2.5)), 1.2), 0.1 * min(h, w) + 3, LARGEST_GHOST
        )
        size = log_uniform(faintest, brightest, rng) * frame.sigma
        y, x = rng.uniform(-0.5, h - 0.5), rng.uniform(-0.5, w - 0.5)
        tall = rng.uniform(1.2, 4.0) if bleeds and rng.random() < 0.5 else 0.0
        squeeze = np.exp(rng.normal(0.0, 0.06))
        for k in range(exposures):
            place = (y + k * dither[0], x + k * dither[1])
            shape = (kind, radius, softness, squeeze, tall)
            _add_ghost(ghosts, place, shape, np.float32(size * decay**k))
    return ghosts


def _add_ghost(ghosts, place, shape, size):
    (h, w), (y, x) = ghosts.shape, place
    kind, radius, softness, squeeze, tall = shape
    reach = radius * (2.0 + 3 * softness) + 2
    rows = slice(
        max(0, int(y - reach * (1 + tall))), max(0, min(h, int(y + reach * (1 + tall)) + 1))
    )
    columns = slice(max(0, int(x - reach)), max(0, min(w, int(x + reach) + 1)))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    dy = (np.arange(rows.start, rows.stop, dtype=np.float32) - np.float32(y))[:, None] * squeeze
    dx = (np.arange(columns.start, columns.stop, dtype=np.float32) - np.float32(x)) / squeeze
    r = np.hypot(dx, dy) / np.float32(radius)
    if kind == "edge":
        profile = 1 / (1 + np.exp(np.clip((r - 1) / np.float32(0.5 * softness), -40, 40)))
    elif (
        kind == "saturated"
    ):  # traps fill as the light of the star, which falls steeply, exceeds them
        profile = 1 - np.exp(-(np.maximum(r, 0.3) ** np.float32(-2.4 / softness)))
    else:  # as the logarithm of the light above what fills no traps
        profile = np.clip(-np.log(np.maximum(r, 1e-3)), 0, np.log(1 / 0.4)) / np.log(1 / 0.4)
        profile **= np.float32(0.5 + softness)
    if tall:
        bar = (np.abs(dy) < tall * radius) * np.exp(-0.5 * (dx / max(0.25 * radius, 0.6)) ** 4)
        profile = np.maximum(profile, bar)
    ghosts[rows, columns] += size * profile.astype(np.float32)


def overscan(frame, rng):
    """Where no light falls, strips and lines, and what is read there in electrons.

    Returns
    -------
    mask : ndarray of shape (h, w), bool
    level : ndarray of shape (h, w), float32
    """
    h, w = frame.shape
    vertical = rng.random() < 0.65
    # worked on as if the strips were columns
    h, w = frame.shape if vertical else frame.shape[::-1]
    mask, level = np.zeros((h, w), bool), np.zeros((h, w), np.float32)
    noise = np.float32(frame.read_noise)
    for start, stop in (strips := _strips(w, rng)):
        mask[:, start:stop] = True
    if rng.random() < 0.3:
        level += np.float32(rng.normal(0, 3.0)) * noise
    if rng.random() < 0.4:
        drift = np.linspace(-1, 1, h, dtype=np.float32)
        level += np.float32(rng.normal(0, 2.0)) * noise * drift[:, None]
    if rng.random() < 0.4:  # what the last pixels leave behind in the first of a strip
        rest, pixels = rng.uniform(0, 0.15) * frame.sky, rng.uniform(0.5, 4.0)
        for start, stop in strips:
            tail = rest * np.exp(-np.arange(stop - start) / pixels)
            level[:, start:stop] += tail.astype(np.float32)
    lines = rng.exponential(0.3) * rng.standard_normal((h, 1))
    scatter = rng.standard_normal((h, w), np.float32) + lines.astype(np.float32)
    level += np.float32(rng.uniform(0.7, 1.3)) * noise * scatter
    if rng.random() < 0.08:  # also along the other axis
        mask[-int(min(log_uniform(1.0, 40.0, rng), 0.2 * h)) - 1 :] = True
    return (mask, level) if vertical else (mask.T, level.T)


def _strips(side, rng):
    """Where strips without light start and stop: at edges, between amplifiers, or thin ones anywhere."""
    if rng.random() < 0.7:
        width, other = (int(min(v, 0.35 * side)) for v in log_uniform(1.0, 101.0, rng, 2))
        width, other = max(width, 1), max(other, 1)
        place = str(rng.choice(["first", "last", "both", "middle"], p=[0.3, 0.35, 0.2, 0.15]))
        if place == "middle":
            return [((side - width) // 2, (side - width) // 2 + width)]
        ends = [(0, width)] if place in ("first", "both") else []
        return ends + ([(side - other, side)] if place in ("last", "both") else [])
    n, width = int(rng.geometric(0.35)), int(min(log_uniform(1.0, 9.0, rng), side // 2))
    starts = rng.integers(0, side - width + 1, n)
    if rng.random() < 0.3:  # at regular distances
        starts = starts[0] + np.arange(n) * int(width + rng.integers(1, 12))
    return [(int(s), int(s) + width) for s in starts if s + width <= side]


def bad_reading(frame, electrons, rng):
    """Blocks of lines that were read badly: mask, and what is read there instead of `electrons`."""
    h, w = frame.shape
    mask, read = np.zeros(frame.shape, bool), electrons.copy()
    for _ in range(1 + rng.poisson(0.5)):
        n = int(min(log_uniform(1.0, 64.0, rng), h // 2))
        rows = slice(start := int(rng.integers(0, h - n + 1)), start + n)
        mask[rows] = True
        kind = rng.choice(["offset", "shift", "noise", "copy"])
        size = log_uniform(3.0, 300.0, rng) * frame.sigma
        if kind == "offset":
            read[rows] += (size * rng.standard_normal((n, 1))).astype(np.float32)
        elif kind == "shift":
            read[rows] = np.roll(electrons[rows], int(rng.integers(3, w - 3)), axis=1)
            read[rows] += np.float32(0.1 * size)
        elif kind == "noise":
            read[rows] += np.float32(size) * rng.standard_normal((n, w), np.float32)
        else:
            read[rows] = electrons[rows.start] + np.float32(size * rng.standard_normal())
    return mask, read


def _scattered(frame, rng):
    """Rows and columns of single pixels; few have a neighbour."""
    h, w = frame.shape
    n = max(1, rng.poisson(log_uniform(*PIXELS, rng) * h * w))
    y, x = rng.integers(0, h, n), rng.integers(0, w, n)
    pairs = np.flatnonzero(rng.random(n) < 0.06)
    down = rng.random(len(pairs)) < 0.5
    y = np.concatenate([y, np.minimum(y[pairs] + down, h - 1)])
    x = np.concatenate([x, np.minimum(x[pairs] + ~down, w - 1)])
    return y, x


def _segments(frame, rng):
    """Slices of whole and partial columns and lines, single and in groups."""
    h, w = frame.shape
    n = min(int(rng.geometric(1 / log_uniform(1.0, 12.0, rng))), 40)
    columns_share = rng.choice([1.0, 0.0, 0.5], p=[0.6, 0.2, 0.2])
    partial_share = rng.uniform(0.0, 1.0)
    for _ in range(n):
        vertical = rng.random() < columns_share
        length, side = (h, w) if vertical else (w, h)
        width = 1 if rng.random() < 0.75 else int(rng.integers(2, 6))
        start = int(rng.integers(0, side - width + 1))
        first, last = 0, length
        if rng.random() < partial_share:
            extent = int(log_uniform(8.0, length, rng))
            first = int(rng.integers(0, length - extent + 1))
            if rng.random() < 0.5:  # from a bad pixel to an edge
                first = 0 if rng.random() < 0.5 else length - extent
            last = first + extent
        along, across = slice(first, last), slice(start, start + width)
        yield (along, across) if vertical else (across, along)


def _clump(shape, rng):
    """Place and shape of a group of pixels that lie together."""
    size = int(log_uniform(4.0, 30.0, rng))
    y, x = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    blob = np.hypot(y / rng.uniform(0.4, 1), x / rng.uniform(0.4, 1)) - 0.9
    rough = blurred(rng.standard_normal((size, size)), rng.uniform(0.6, 2.5))
    blob = blob + rng.uniform(0, 0.6) * rough / max(rough.std(), 1e-6) < 0
    blob[size // 2, size // 2] = True
    return tuple(int(rng.integers(0, side - size + 1)) if side > size else 0 for side in shape), (
        blob[: shape[0], : shape[1]]
    )
