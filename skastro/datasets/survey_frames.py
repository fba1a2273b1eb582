"""Frames of a survey: conditions drawn for each, light, noise, and what the detector writes."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from skastro.datasets.survey_psf import PointSpread

__all__ = [
    "Frame", "add_noise", "background", "blurred", "check_number", "check_ranges", "check_shape", "draw",
    "draw_frame", "log_uniform", "response", "smooth_field", "write",
]  # fmt: skip

# lowest value of each condition, and whether that one is allowed
LOWEST = {
    "sky": (0.0, False),
    "gain": (0.0, False),
    "read_noise": (0.0, True),
    "seeing": (1.0, True),
    "density": (0.0, True),
    "galaxy_fraction": (0.0, True),
    "gradient": (0.0, True),
    "flat_residual": (0.0, True),
}
HIGHEST = {
    "galaxy_fraction": 1.0,
    "seeing": 16.0,
    "density": 0.1,
    "gradient": 1.0,
    "flat_residual": 0.5,
}
FEW = 50.0  # electrons, below which noise is Poisson's own
AMPLIFIER_SHARE, BIAS = 0.15, (100.0, 3000.0)  # two amplifiers; ADU


@dataclass
class Frame:
    """What holds for a whole frame: electrons and pixels."""

    shape: tuple
    sky: float
    gain: float
    read_noise: float
    seeing: float
    density: float
    galaxy_fraction: float
    gradient: float
    flat_residual: float
    subtracted: bool
    correlated: bool
    psf: PointSpread

    @property
    def sigma(self):
        """Noise of an empty pixel."""
        return float(np.sqrt(self.sky + self.read_noise**2))


def check_number(name, value, low, high=np.inf, *, whole=False):
    kind = Integral if whole else Real
    if (
        isinstance(value, bool | np.bool_)
        or not isinstance(value, kind)
        or not low <= value <= high
    ):
        what = "an integer" if whole else "a number"
        span = f"of at least {low:g}" if np.isinf(high) else f"from {low:g} to {high:g}"
        raise ValueError(f"{name}={value!r}: expected {what} {span}")


def check_shape(shape):
    pair = isinstance(shape, tuple | list) and len(shape) == 2
    if not pair or not all(
        isinstance(side, Integral) and not isinstance(side, bool) and side >= 16 for side in shape
    ):
        raise ValueError(f"shape={shape!r}: expected a pair (h, w) of integers of at least 16")
    return tuple(int(side) for side in shape)


def check_ranges(ranges):
    """Each a pair (low, high) within what is possible; a number is a pair of twice that."""
    checked = {}
    for name, value in ranges.items():
        pair = tuple(value) if isinstance(value, tuple | list | np.ndarray) else (value, value)
        (low, allowed), high = LOWEST[name], HIGHEST.get(name, np.inf)
        numbers = len(pair) == 2 and all(
            isinstance(v, Real) and not isinstance(v, bool) and np.isfinite(v) for v in pair
        )
        inside = numbers and (low <= pair[0] if allowed else low < pair[0])
        if not inside or not pair[0] <= pair[1] <= high:
            span = f"{low:g} {'<=' if allowed else '<'} low <= high"
            span += "" if np.isinf(high) else f" <= {high:g}"
            raise ValueError(f"{name}={value!r}: expected a number or a pair (low, high), {span}")
        checked[name] = (float(pair[0]), float(pair[1]))
    return checked


def log_uniform(low, high, rng, size=None):
    value = np.exp(rng.uniform(np.log(low), np.log(max(high, low)), size))
    return float(value) if size is None else value  # a numpy float would turn images into float64


def draw(low, high, rng):
    """Uniform in the logarithm, or in the value where the range starts at 0."""
    value = rng.uniform(0.0, 1.0)
    if low <= 0:
        return low + (high - low) * value
    return float(low * (high / low) ** value)


def draw_frame(shape, ranges, subtracted, correlated, rng):
    """Conditions of a frame."""
    values = {name: draw(*ranges[name], rng) for name in LOWEST}
    flags = [bool(rng.random() < p) for p in (subtracted, correlated)]
    psf = PointSpread(values["seeing"], shape, rng)
    return Frame(shape, *values.values(), *flags, psf)


def smooth_field(shape, cells, rng):
    """A smooth random surface of mean 0 and deviation of about 1, with about so many cells a side."""
    rows, columns = (_spline(side, cells) for side in shape)
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    # 1.47: what the weights of a cubic spline take off the deviation, along each axis
    return np.float32(1.47**2) * (rows @ coarse @ columns.T)


def _spline(side, cells):
    """Weights of the knots of a cubic spline at each pixel."""
    place = (np.arange(side) + 0.5) / side * cells
    distance = np.abs(place[:, None] - np.arange(-1, cells + 2))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def background(frame, rng):
    """Sky of each pixel in electrons: a slope, a bend, and what an imperfect flat leaves."""
    h, w = frame.shape
    angle = rng.uniform(0, 2 * np.pi)
    y, x = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in (h, w))
    slope = float(np.cos(angle)) * x + float(np.sin(angle)) * y[:, None]
    if rng.random() < 0.4:  # vignetting, or its opposite where it was overdone
        bend = rng.uniform(-1.0, 1.0)
        slope += np.float32(bend) * (x**2 + (y**2)[:, None] - np.float32(1 / 6))
    return np.float32(frame.sky) * (1 + np.float32(frame.gradient) * slope)


def response(frame, rng):
    """Sensitivity of each pixel over what the flat says: fine, in columns, and in patches."""
    fine = rng.uniform(0.1, 0.5) * frame.flat_residual
    # a fine residual drowned by the noise, as in most frames
    fine = min(fine, 0.5 * frame.sigma / frame.sky)
    flat = 1 + np.float32(fine) * rng.standard_normal(frame.shape, np.float32)
    if rng.random() < 0.3:
        axis = int(rng.random() < 0.3)
        lines = rng.standard_normal(frame.shape[1 - axis], np.float32) * np.float32(0.3 * fine)
        flat += lines if axis == 0 else lines[:, None]
    if frame.flat_residual > 0 and rng.random() < 0.5:
        patches = smooth_field(frame.shape, int(rng.integers(2, 7)), rng)
        flat += np.float32(0.5 * frame.flat_residual) * patches
    return flat


def add_noise(frame, light, rng):
    """Electrons that are read where so many are expected."""
    read = np.float32(frame.read_noise)
    if frame.correlated:
        # what a resampling does: the same variance, shared with the neighbours
        noise = rng.standard_normal(light.shape, np.float32)
        a, b = rng.uniform(0.15, 0.5, 2)
        kernel = np.outer([a, 1, a] if rng.random() < 0.5 else [0, 1 - b, b], [b, 1, b])
        kernel = (kernel / np.sqrt((kernel**2).sum())).astype(np.float32)
        noise = fftconvolve(noise, kernel, mode="same")
        return light + noise * np.sqrt(np.maximum(light, 0) + read**2)
    if frame.sky < FEW:
        electrons = rng.poisson(np.maximum(light, 0)).astype(np.float32)
        return electrons + read * rng.standard_normal(light.shape, np.float32)
    return light + np.sqrt(np.maximum(light, 0) + read**2) * rng.standard_normal(
        light.shape, np.float32
    )


def write(frame, electrons, rng):
    """Electrons to what is in the file: whole ADU above a bias, or values with the sky taken off.

    Returns
    -------
    image : ndarray of shape (h, w), float32
    bias : float
        What no electrons are written as; but where the median is taken off instead of the sky, that of the
        sky, and without the step between amplifiers.
    """
    image = electrons / np.float32(frame.gain)
    bias = float(np.rint(log_uniform(*BIAS, rng)))
    split, amplifiers = rng.normal(), rng.random() < AMPLIFIER_SHARE
    if frame.subtracted:
        bias = -frame.sky / frame.gain
        if rng.random() < 0.5:  # the sky is taken off on scales larger than most things
            image -= np.median(image) + np.float32(bias)
        return image + np.float32(bias), bias
    if amplifiers:
        middle = frame.shape[1] // 2
        image[:, middle:] += np.float32(split * frame.sigma / frame.gain)
    image += np.float32(bias)
    np.rint(image, out=image)
    return np.maximum(image, 0, out=image), bias


def soft_step(x, width):
    """From 0 to 1 over a width around 0."""
    return 1 / (1 + np.exp(np.clip(-x / np.float32(width), -40, 40)))


def blurred(field, sigma):
    return gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
