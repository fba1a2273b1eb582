"""One frame with its contaminants: light, detector, and the bits of each pixel."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from skastro.datasets.contaminant_classes import CONTAMINANTS
from skastro.datasets.contaminant_detector import (
    bad_reading,
    dead_lines,
    dead_pixels,
    hot_lines,
    hot_pixels,
    overscan,
    persistence,
)
from skastro.datasets.contaminant_optics import BrightStars, bleeding, fringes
from skastro.datasets.contaminant_particles import cosmic_rays
from skastro.datasets.contaminant_sky import nebulosity, trails
from skastro.datasets.survey_frames import add_noise, background, draw_frame, response, write
from skastro.datasets.survey_psf import tracking_kernel
from skastro.datasets.survey_sources import draw_sources, source_light

__all__ = ["make_frame"]

MARGIN, TRACKING_MARGIN = 24, 64  # pixels around a frame in which sources shine into it


def make_frame(seed, shape, ranges, chances, probabilities, keep):
    """An image, its bits and what it is made of."""
    streams = [np.random.default_rng(s) for s in seed.spawn(6 + len(CONTAMINANTS))]
    of_frame, of_sources, of_noise, of_file, of_stars, of_tracking = streams[:6]
    rngs = dict(zip(CONTAMINANTS, streams[6:], strict=True))
    frame = draw_frame(shape, ranges, chances["subtracted"], chances["correlated"], of_frame)
    # drawn for each, asked for or not: a class doesn't change the others
    has = {k: bool(rng.random() < probabilities.get(k, 0.0)) for k, rng in rngs.items()}
    tracking = bool(of_tracking.random() < chances["tracking"])
    margin = TRACKING_MARGIN if tracking else MARGIN
    masks, parts = {}, {}

    stars = BrightStars(frame, has["SAT"], has["SP"], has["BBG"], of_stars)
    light = source_light(frame, draw_sources(frame, margin, of_sources), margin, of_sources)
    stars.add_cores(light, margin)
    spikes = stars.spikes(light.shape, margin, rngs["SP"]) if has["SP"] else None
    if tracking:
        kernel = tracking_kernel(frame.seeing, of_tracking)
        light = _blurred(light, kernel)
        spikes = None if spikes is None else _blurred(spikes, kernel)
    inner = slice(margin, -margin), slice(margin, -margin)
    light = light[inner]
    source_mask = light > frame.sigma
    if spikes is not None:
        parts["SP"] = spikes[inner]
    for label, make in (("TRL", trails), ("NEB", nebulosity)):
        if has[label]:
            parts[label] = make(frame, rngs[label])
    if has["BBG"]:
        parts["BBG"] = stars.halos(rngs["BBG"])
    light = background(frame, of_noise) + light
    for part in parts.values():
        light += part
    if has["FR"]:
        waves, parts["FR"] = fringes(frame, rngs["FR"])
        light += waves
    light *= response(frame, of_noise)
    np.maximum(light, 0, out=light)
    if has["P"]:
        parts["P"] = persistence(frame, rngs["P"])
        light += parts["P"]

    stuck = np.full(shape, np.nan, np.float32)
    for label, make in (("DCL", dead_lines), ("DP", dead_pixels)):
        if has[label]:
            parts[label], low = make(frame, rngs[label])
            light *= parts[label]
            np.copyto(stuck, low, where=np.isfinite(low))
            masks[label] = parts[label] < 1
    scatter = None
    if has["HCL"]:
        parts["HCL"], scatter = hot_lines(frame, light, rngs["HCL"])
        light += parts["HCL"]
        masks["HCL"] = parts["HCL"] > 0
    if has["HP"]:
        parts["HP"] = hot_pixels(frame, rngs["HP"])
        light += parts["HP"]
    spilt = bleeding(stars, light, rngs["SAT"]) if has["SAT"] else None
    electrons = add_noise(frame, light, of_noise)
    if scatter is not None:
        electrons += scatter * rngs["HCL"].standard_normal(shape, np.float32)
    if has["CR"]:
        parts["CR"] = cosmic_rays(frame, rngs["CR"])
        electrons += parts["CR"]
    known = np.isfinite(stuck)
    if known.any():
        noise = np.float32(frame.read_noise) * of_noise.standard_normal(shape, np.float32)
        electrons = np.where(known, stuck + noise, electrons)
    if has["SAT"]:
        masks["SAT"] = _saturate(frame, stars, electrons, spilt, rngs["SAT"])
    if has["BR"]:
        masks["BR"], electrons = bad_reading(frame, electrons, rngs["BR"])
    if has["OV"]:
        masks["OV"], level = overscan(frame, rngs["OV"])
        electrons = np.where(masks["OV"], level, electrons)
    image, bias = write(frame, electrons, of_file)

    bits = np.zeros(shape, np.uint16)
    for label, (bit, _, threshold) in CONTAMINANTS.items():
        if label in parts and threshold is not None:
            masks[label] = parts[label] > threshold * frame.sigma
        if label in masks:
            bits |= np.where(masks[label], np.uint16(bit), np.uint16(0))
    if has["OV"]:
        bits[masks["OV"]] = CONTAMINANTS["OV"].bit
    made = {"images": image, "bits": bits, "tracking": tracking, "frame": frame, "bias": bias}
    made["source_mask"] = source_mask
    if keep:
        nothing = {label: 1.0 if label in ("DCL", "DP") else 0.0 for label in CONTAMINANTS}
        made["contributions"] = {
            label: parts.get(label, np.full(shape, nothing[label], np.float32)) for label in nothing
        }
    return made


def _blurred(light, kernel):
    return np.maximum(fftconvolve(light, kernel, mode="same"), 0).astype(np.float32)


def _saturate(frame, stars, electrons, spilt, rng):
    """Cut at what a pixel holds; returns where it did."""
    well = np.float32(stars.full_well)
    mask = (electrons >= well) | spilt
    plateau = np.full(1, well)
    if rng.random() < 0.4:  # where pixels, not the converter, are full
        plateau = well * (
            1 + np.float32(rng.uniform(0, 0.02)) * rng.standard_normal(mask.sum(), np.float32)
        )
    if rng.random() < 0.05:  # subtracted resets: the brightest pixels read nothing
        plateau = plateau * np.float32(rng.uniform(0.0, 0.3))
    electrons[mask] = plateau
    return mask
