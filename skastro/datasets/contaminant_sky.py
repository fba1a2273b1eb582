"""What lies between the telescope and the stars, or among them: trails and nebulosity."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from skastro.datasets.fbm import fbm
from skastro.datasets.survey_frames import blurred, log_uniform, smooth_field, soft_step

__all__ = ["nebulosity", "trails"]

TRAIL, NEBULA = (0.7, 300.0), (1.5, 150.0)  # of the noise
WIDEST = 15.0  # pixels, half
STEP = 0.1  # of the tables of profiles, pixels


def trails(frame, rng):
    """Light of satellites, planes and meteors, in electrons."""
    h, w = frame.shape
    light = np.zeros(frame.shape, np.float32)
    for _ in range(1 + rng.poisson(0.35)):
        angle = rng.uniform(0, np.pi)
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        profile = _across(frame.seeing, rng)
        size = log_uniform(*TRAIL, rng) * frame.sigma
        kind = rng.choice(["satellite", "plane", "train", "meteor"], p=[0.66, 0.12, 0.1, 0.12])
        brightness = _along(kind, h + w, rng)
        bend = rng.normal(0, 1e-4) if rng.random() < 0.15 else 0.0
        shifts, sizes = [0.0], [1.0]
        if kind in ("plane", "train"):  # lights of the wings, or satellites launched together
            n = int(rng.integers(2, 5 if kind == "plane" else 7))
            shifts = np.cumsum(log_uniform(2.0, 40.0, rng) * rng.uniform(0.5, 1.5, n))
            sizes = np.exp(rng.normal(0, 0.4, n))
        for shift, part in zip(shifts, sizes, strict=True):
            _add_trail(light, (x, y, angle, shift, bend), profile, brightness, size * part)
    return light


def _add_trail(light, place, profile, brightness, size):
    (h, w), (x, y, angle, shift, bend) = light.shape, place
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx = np.arange(w, dtype=np.float32) - np.float32(x)
    dy = np.arange(h, dtype=np.float32)[:, None] - np.float32(y)
    across = c * dy - s * dx - np.float32(shift)
    if bend:
        across += np.float32(bend) * np.square(c * dx + s * dy)
    near = np.flatnonzero(np.abs(across) < STEP * (len(profile) - 1))
    distance = np.abs(across.ravel()[near])
    row, column = np.divmod(near, w)
    along = c * dx[column] + s * dy[row, 0]
    values = np.interp(distance, STEP * np.arange(len(profile)), profile)
    values *= np.interp(along, np.linspace(-(h + w), h + w, len(brightness)), brightness)
    light.reshape(-1)[near] += (size * values).astype(np.float32)


def _across(seeing, rng):
    """Profile from the middle outwards, of maximum 1."""
    kind = rng.choice(["seeing", "wings", "defocused", "wide"], p=[0.4, 0.2, 0.3, 0.1])
    half = WIDEST + 4 * seeing + 10
    x = np.arange(0, half, STEP)
    both = np.concatenate([x[:0:-1], x])
    sigma = seeing / 2.355
    if kind == "defocused":  # chords of a pupil with its obstruction
        radius = log_uniform(0.6 * seeing, max(WIDEST, 0.7 * seeing), rng)
        hole = rng.uniform(0.0, 0.6) * radius
        profile = np.sqrt(np.maximum(radius**2 - both**2, 0))
        profile -= np.sqrt(np.maximum(hole**2 - both**2, 0))
        profile = gaussian_filter1d(profile, sigma / STEP, mode="constant")
    elif kind == "wings":
        beta = rng.uniform(1.5, 4.0)
        alpha = seeing / (2 * np.sqrt(2 ** (1 / beta) - 1))
        profile = (1 + (both / alpha) ** 2) ** (0.5 - beta)
        profile = np.maximum(profile - profile[0], 0)
    else:
        if kind == "wide":
            sigma *= log_uniform(1.0, max(1.0, 2.5 * WIDEST / seeing), rng)
        profile = np.exp(-0.5 * (both / min(sigma, half / 3.5)) ** 2)
    profile = profile[len(x) - 1 :] / profile.max()
    return profile[: max(2, len(profile) - int(np.argmax(profile[::-1] > 1e-4)) + 1)]


def _along(kind, diagonal, rng):
    """Brightness along the path, over its length on both sides of a point of it."""
    t = np.linspace(-1.0, 1.0, 4000)
    pixels = diagonal * t
    brightness = np.ones_like(t)
    change = rng.random()
    if kind == "meteor":  # it flares up and goes out inside or close to the frame
        middle, length = rng.normal(0, 0.15), log_uniform(0.05, 0.6, rng)
        u = (t - middle) / length * rng.choice([-1, 1])
        rise = rng.uniform(1.0, 4.0)
        inside = (u > -1) & (u < 1)
        v = np.clip((u + 1) / 2, 0, 1)
        brightness = inside * v**rise * (1 - v) ** rng.uniform(0.3, 2.0)
        return brightness / max(brightness.max(), 1e-9)
    if kind == "plane" and rng.random() < 0.7:  # flashes on top of steady lights
        every, wide = log_uniform(30.0, 200.0, rng), rng.uniform(1.0, 6.0)
        beat = (pixels + rng.uniform(0, every)) % every - every / 2
        brightness = brightness * rng.uniform(0.0, 1.0) + 4 * np.exp(-0.5 * (beat / wide) ** 2)
    elif change < 0.15:  # tumbling
        wave = log_uniform(20.0, 600.0, rng)
        brightness = np.abs(np.sin(pixels / wave + rng.uniform(0, np.pi))) ** rng.uniform(0.5, 4.0)
    elif change < 0.3:  # slowly
        wave = log_uniform(100.0, 2000.0, rng)
        brightness = 1 + rng.uniform(0.2, 0.9) * np.sin(pixels / wave + rng.uniform(0, 2 * np.pi))
    elif change < 0.36:  # dashes
        every, duty = log_uniform(20.0, 300.0, rng), rng.uniform(0.2, 0.8)
        brightness = (((pixels + rng.uniform(0, every)) % every) < duty * every).astype(float)
    if rng.random() < 0.2:  # the shutter, or the shadow of the Earth
        start = rng.normal(0, 0.2)
        edge = np.clip((t - start) * diagonal / log_uniform(1.0, 60.0, rng), 0, 1)
        brightness = brightness * (edge if rng.random() < 0.5 else 1 - edge)
        if rng.random() < 0.4:
            stop = start + log_uniform(0.05, 0.5, rng)
            brightness = brightness * (t < stop) if start < stop else brightness
    return brightness / max(brightness.max(), 1e-9)


def nebulosity(frame, rng):
    """Light of clouds of gas and dust, in electrons: fractal, none below 0."""
    h, w = frame.shape
    larger = tuple(side + side // 4 for side in frame.shape)
    field = fbm(larger, rng.uniform(2.5, 4.0), rng)[:h, :w]
    kind = rng.choice(["clouds", "filaments", "patches", "waves"], p=[0.4, 0.25, 0.25, 0.1])
    if kind == "clouds":
        light = np.exp(np.float32(rng.uniform(0.4, 1.6)) * field)
        light -= np.float32(np.quantile(light[::4, ::4], rng.uniform(0.0, 0.5)))
    elif kind == "filaments":
        other = fbm(larger, rng.uniform(2.5, 3.5), rng)[:h, :w]
        light = np.exp(-np.abs(field) / np.float32(rng.uniform(0.05, 0.4)))
        light *= np.exp(np.float32(rng.uniform(0.3, 1.0)) * other)
    elif kind == "patches":
        light = np.maximum(field - np.float32(rng.normal(0.5, 0.5)), 0)
        light **= np.float32(rng.uniform(0.7, 2.0))
    else:
        light = field - field.min()
    np.maximum(light, 0, out=light)
    if rng.random() < 0.5:
        part = smooth_field(frame.shape, int(rng.integers(1, 4)), rng) - np.float32(
            rng.normal(0, 0.7)
        )
        light *= soft_step(part, rng.uniform(0.05, 0.5))
    if rng.random() < 0.7:
        light = blurred(light, frame.seeing / 2.355)
    top = np.quantile(light[::4, ::4], 0.99)
    return light * np.float32(log_uniform(*NEBULA, rng) * frame.sigma / max(top, 1e-9))
