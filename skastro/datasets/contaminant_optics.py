"""What optics and a detector make of bright stars, and fringes: cores, bleeding, spikes, halos."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import find_objects, label

from skastro.datasets.fbm import fbm
from skastro.datasets.survey_frames import log_uniform, smooth_field, soft_step

__all__ = ["BrightStars", "bleeding", "fringes"]

FULL_WELL = (2e4, 3e5)  # electrons
SPIKE, SPIKE_LENGTH = (2.0, 3000.0), (10.0, 400.0)  # of the noise, beside the core; pixels
HALO, FRINGE = (3.0, 3000.0), (0.6, 30.0)
PERIOD = (8.0, 100.0)  # pixels, in the mean; where the thickness bends little, more


class BrightStars:
    """Stars with a saturated core, spikes or a halo: where they are, and how bright over one another.

    Parameters
    ----------
    frame : Frame
    saturated, spikes, halos : bool
        Which of them the frame has.
    rng : numpy.random.Generator
    """

    def __init__(self, frame, saturated, spikes, halos, rng):
        h, w = frame.shape
        self.frame = frame
        n = (
            int(rng.geometric(1 / log_uniform(1.0, 5.0, rng)))
            if saturated or spikes or halos
            else 0
        )
        n = min(n, 12)
        self.x, self.y = rng.uniform(-0.5, w - 0.5, n), rng.uniform(-0.5, h - 0.5, n)
        self.over_brightest = np.minimum(1.0, rng.pareto(0.8, n) * 0.03 + 0.03)
        if n:
            self.over_brightest[0] = 1.0
        self.full_well = max(log_uniform(*FULL_WELL, rng), 1.5 * frame.sky + 60 * frame.sigma)
        highest = log_uniform(1.2, 200.0, rng) * self.full_well
        if not saturated:
            self.full_well, highest = np.inf, log_uniform(60.0, 6000.0, rng) * frame.sigma
        self.peak = np.maximum(
            self.over_brightest * highest, 1.2 * self.full_well if saturated else 0
        )
        # not all of them show all
        self.with_spikes = spikes & (rng.random(n) < 0.8)
        self.with_halo = halos & (rng.random(n) < 0.7)
        self.with_spikes[:1], self.with_halo[:1] = spikes, halos
        # some shine into the frame from beside it
        away = rng.random(n) < (0.25 if not saturated else 0.0)
        shift = rng.choice([-1, 1], n) * rng.uniform(0.0, 0.25, n)
        along = rng.random(n) < 0.5
        self.x = np.where(away & along, w / 2 + np.sign(shift) * w * (0.5 + abs(shift)), self.x)
        self.y = np.where(away & ~along, h / 2 + np.sign(shift) * h * (0.5 + abs(shift)), self.y)

    def add_cores(self, canvas, margin):
        """Add the point spread functions to the light of the sources, in electrons."""
        psf = self.frame.psf
        for x, y, peak in zip(self.x, self.y, self.peak, strict=True):
            fwhm = float(psf.at(x, y)[0])
            light = psf.image(x, y, canvas.shape, (-margin, -margin))
            light *= np.float32(peak / psf.peak(fwhm))
            canvas += light

    def spikes(self, shape, margin, rng):
        """Light of the arms alone, in electrons."""
        light = np.zeros(shape, np.float32)
        arms = int(rng.choice([2, 4, 6, 8], p=[0.05, 0.55, 0.32, 0.08]))
        turn = 0.0 if rng.random() < 0.25 else rng.uniform(0, np.pi)
        if arms == 4 and rng.random() < 0.3:
            turn = np.pi / 4
        angles = turn + np.arange(arms // 2) * 2 * np.pi / arms
        if rng.random() < 0.2:  # vanes that are not evenly set
            angles += rng.normal(0, 0.15, len(angles))
        width = max(0.5, self.frame.seeing / 2.355 * log_uniform(0.5, 1.3, rng))
        top = log_uniform(*SPIKE, rng) * self.frame.sigma
        length = log_uniform(*SPIKE_LENGTH, rng)
        law = str(rng.choice(["inverse", "square", "exponential"], p=[0.45, 0.2, 0.35]))
        spread, dashed = min(rng.exponential(0.002), 0.008), 0.5 * (rng.random() < 0.3)
        wave = rng.uniform(5.0, 40.0)
        arm_sizes = np.exp(rng.normal(0, 0.25, (len(angles), 2)))
        for x, y, share, has in zip(
            self.x, self.y, self.over_brightest, self.with_spikes, strict=True
        ):
            for angle, sizes in zip(angles, arm_sizes, strict=True):
                if has:
                    look = (law, length, width, spread, dashed, wave)
                    place = (x + margin, y + margin, angle)
                    _add_line_of_arms(light, place, look, top * share * sizes, self.frame.sigma)
        return light

    def halos(self, rng):
        """Light of wings far wider than the point spread function, and of galaxies that fill the frame."""
        h, w = self.frame.shape
        light = np.zeros((h, w), np.float32)
        rows, columns = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)
        slope, core = rng.uniform(1.5, 3.5), log_uniform(2.0, 30.0, rng)
        top = log_uniform(*HALO, rng) * self.frame.sigma
        ring = rng.random() < 0.15
        ring_radius, ring_share = log_uniform(15.0, 150.0, rng), log_uniform(0.003, 0.3, rng)
        offset = rng.normal(0, 0.1, 2) * ring_radius
        for x, y, share, has in zip(
            self.x, self.y, self.over_brightest, self.with_halo, strict=True
        ):
            if not has:
                continue
            dx, dy = columns - np.float32(x), rows - np.float32(y)
            squared = dx**2 + dy**2
            light += top * share * np.exp(-slope / 2 * np.log1p(squared / np.float32(core**2)))
            if ring:  # a reflection out of focus: a disk with the shadow of the secondary mirror
                r = np.sqrt((dx - offset[0]) ** 2 + (dy - offset[1]) ** 2) / np.float32(ring_radius)
                disk = soft_step(1 - r, 0.02) * soft_step(r - np.float32(0.35), 0.03)
                light += np.float32(top * share * ring_share) * disk
        if rng.random() < 0.25:
            light += self._galaxy(rows, columns, rng)
        return light

    def _galaxy(self, rows, columns, rng):
        h, w = self.frame.shape
        x, y = rng.uniform(-0.1, 1.1) * w, rng.uniform(-0.1, 1.1) * h
        angle, axis_ratio = rng.uniform(0, np.pi), rng.uniform(0.25, 1.0)
        index, radius = np.exp(rng.uniform(0, np.log(5))), log_uniform(15.0, 200.0, rng)
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dx, dy = columns - np.float32(x), rows - np.float32(y)
        r = np.hypot(c * dx + s * dy, (c * dy - s * dx) / np.float32(axis_ratio))
        r = np.hypot(r, np.float32(self.frame.seeing)) / np.float32(radius)
        light = np.exp(-np.float32(2 * index - 1 / 3) * (r ** np.float32(1 / index) - 1))
        # brightness where half the light is within
        return np.minimum(np.float32(log_uniform(1.0, 50.0, rng) * self.frame.sigma) * light,
                          np.float32(3e3 * self.frame.sigma))  # fmt: skip


def _add_line_of_arms(light, place, look, tops, sigma):
    """Two opposite arms of a star, out to where they are lost in the noise."""
    (h, w), (x, y, angle) = light.shape, place
    law, length, width, spread, dashed, wave = look
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx = np.arange(w, dtype=np.float32) - np.float32(x)
    dy = np.arange(h, dtype=np.float32)[:, None] - np.float32(y)
    across = c * dy - s * dx
    near = np.flatnonzero(np.abs(across) < 4 * width * (1 + spread * (h + w) / 4))
    across = across.ravel()[near]
    along = (c * dx + s * dy).ravel()[near]
    r = np.abs(along)
    first = np.float32(3 * width)
    if law == "exponential":
        profile = np.exp(-r / np.float32(length))
    else:
        profile = (1 + r / first) ** np.float32(-1 if law == "inverse" else -2)
        profile *= np.exp(-((r / np.float32(4 * length)) ** 2))  # vanes end
    if dashed:
        profile *= 1 - np.float32(dashed) * np.sin(r / np.float32(wave)) ** 2
    wide = np.float32(width) * (1 + np.float32(spread) * r)
    profile *= np.exp(-0.5 * (across / wide) ** 2) / (1 + np.float32(spread) * r)
    profile *= np.where(along > 0, *(np.float32(top) for top in tops))
    keep = profile > 0.02 * sigma
    light.reshape(-1)[near[keep]] += profile[keep]


def bleeding(stars, light, rng):
    """Pixels that charge which no longer fits in the cores runs into, along columns or lines."""
    well = stars.full_well
    mask = np.zeros(light.shape, bool)
    reach = 0.0 if rng.random() < 0.3 else log_uniform(0.05, 3.0, rng)
    if reach == 0:
        return mask
    # worked on as if it always ran along columns
    turned = rng.random() < 0.25
    light, seen = (light.T, mask.T) if turned else (light, mask)
    upwards = rng.uniform(0.3, 0.7)
    h, w = light.shape
    y = np.arange(h)[:, None]
    cores, _ = label(light > well)
    for area in find_objects(cores):
        part = light[area]
        charge = np.maximum(part - well, 0).sum(0) / well
        # around the middle of what is too bright in each column
        middle = area[0].start + (area[0].stop - area[0].start - 1) / 2
        length = reach * charge * np.exp(rng.normal(0, 0.15, part.shape[1]))
        length = np.where(length > 1, np.minimum(length, 2.0 * h), 0)
        runs = (
            (y - middle < length * upwards) & (middle - y < length * (1 - upwards)) & (length > 0)
        )
        seen[:, area[1]] |= runs
    return mask


def fringes(frame, rng):
    """Interference in the detector: its light, of mean about 0, and its envelope, in electrons."""
    h, w = frame.shape
    period = log_uniform(*PERIOD, rng)
    # the thickness of the detector, smooth over a period
    steep = rng.uniform(4.5, 6.5)
    if rng.random() < 0.35:
        thickness = smooth_field(frame.shape, int(rng.integers(2, 6)), rng)
    else:
        larger = tuple(side + side // 4 for side in frame.shape)
        thickness = fbm(larger, steep, rng)[:h, :w]
    steps = [np.diff(thickness[::4, ::4], axis=axis) / 4 for axis in (0, 1)]
    slope = np.sqrt(sum(np.mean(step**2) for step in steps))
    straight, angle = rng.uniform(0, 0.9) ** 2, rng.uniform(0, np.pi)
    y, x = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)
    phase = thickness * np.float32((1 - straight) / max(slope, 1e-12))
    phase += np.float32(straight * np.cos(angle)) * x + np.float32(straight * np.sin(angle)) * y
    phase *= np.float32(2 * np.pi / period)
    # lines of the night sky share the thickness
    n = 1 if rng.random() < 0.6 else int(rng.integers(2, 4))
    weights, factors = rng.dirichlet(np.ones(n)), np.exp(rng.normal(0, 0.12, n))
    factors[0] = 1.0
    waves = sum(
        np.float32(a) * np.cos(np.float32(f) * phase + np.float32(d))
        for a, f, d in zip(weights, factors, rng.uniform(0, 2 * np.pi, n), strict=True)
    )
    envelope = np.full(frame.shape, log_uniform(*FRINGE, rng) * frame.sigma, np.float32)
    kind = rng.random()
    if kind > 0.45:
        patches = smooth_field(frame.shape, int(rng.integers(1, 5)), rng)
        if kind < 0.75:
            envelope *= np.exp(np.float32(rng.uniform(0.1, 0.8)) * patches)
        else:
            envelope *= soft_step(patches - np.float32(rng.normal(0, 0.5)), rng.uniform(0.1, 0.5))
    return envelope * waves, envelope
