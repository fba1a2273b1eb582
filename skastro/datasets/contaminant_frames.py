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
from skastro.datasets.survey_images import MARGIN
from skastro.datasets.survey_psf import tracking_kernel
from skastro.datasets.survey_sources import draw_sources, source_light

__all__ = ["make_frame"]

NO_PART = ("SAT", "OV", "BR")  # they are where the detector is so: nothing is added

TRACKING_MARGIN = 64  # as MARGIN, where sources are smeared


def make_frame(seed, shape, ranges, chances, probabilities, keep):
    """An image, its bits and what it is made of.

    Parameters
    ----------
    seed : numpy.random.SeedSequence
        Of this image alone.
    shape : tuple (h, w)
    ranges : dict of str to tuple
        As of `check_ranges`.
    chances : dict of str to float
        Of "tracking", "subtracted" and "correlated".
    probabilities : dict of str to float
        Of each class wanted.
    keep : bool
        Whether what each class contributed is returned.

    Returns
    -------
    made : dict
    """
    streams = [np.random.default_rng(s) for s in seed.spawn(6 + len(CONTAMINANTS))]
    of_frame, of_sources, of_noise, of_file, of_stars, of_tracking = streams[:6]
    rngs = dict(zip(CONTAMINANTS, streams[6:], strict=True))
    frame = draw_frame(shape, ranges, chances["subtracted"], chances["correlated"], of_frame)
    # drawn for each, asked for or not: a class doesn't change the others
    has = {k: bool(rng.random() < probabilities.get(k, 0.0)) for k, rng in rngs.items()}
    tracking = bool(of_tracking.random() < chances["tracking"])
    stars = BrightStars(frame, has["SAT"], has["SP"], has["BBG"], of_stars)

    parts = {}
    lost = of_tracking if tracking else None
    light = _light_of_stars(frame, stars, has["SP"], lost, of_sources, rngs["SP"], parts)
    source_mask = light > frame.sigma
    light = background(frame, of_noise) + light
    _add_light(frame, stars, light, has, rngs, parts)
    light *= response(frame, of_noise)
    np.maximum(light, 0, out=light)
    electrons, masks = _detect(frame, stars, light, has, rngs, of_noise, parts)
    image, bias = write(frame, electrons, of_file)

    made = {"images": image, "bits": _bits(frame, parts, masks), "source_mask": source_mask}
    made |= {"tracking": tracking, "frame": frame, "bias": bias}
    if keep:
        made["contributions"] = {
            label: parts[label]
            if label in parts
            else np.full(shape, 1.0 if label in ("DCL", "DP") else 0.0, np.float32)
            for label in probabilities
            if label not in NO_PART
        }
    return made


def _light_of_stars(frame, stars, spikes, lost, of_sources, of_spikes, parts):
    """Sources through the telescope, wherever it pointed; spikes are put aside in `parts`."""
    margin = MARGIN if lost is None else TRACKING_MARGIN
    inner = slice(margin, -margin), slice(margin, -margin)
    light = source_light(frame, draw_sources(frame, margin, of_sources), margin, of_sources)
    stars.add_cores(light, margin)
    kernel = None if lost is None else tracking_kernel(frame.seeing, lost)
    if spikes:
        arms = stars.spikes(light.shape, margin, of_spikes)
        parts["SP"] = (arms if kernel is None else _blurred(arms, kernel))[inner]
    return (light if kernel is None else _blurred(light, kernel))[inner]


def _add_light(frame, stars, light, has, rngs, parts):
    """Add what comes through the telescope."""
    for label, make in (("TRL", trails), ("NEB", nebulosity)):
        if has[label]:
            parts[label] = make(frame, rngs[label])
    if has["BBG"]:
        parts["BBG"] = stars.halos(rngs["BBG"])
    for part in parts.values():
        light += part
    if has["FR"]:
        waves, parts["FR"] = fringes(frame, rngs["FR"])
        light += waves


def _detect(frame, stars, light, has, rngs, of_noise, parts):
    """Electrons that a faulty detector reads, and the masks that are not of a contribution."""
    masks = {}
    if has["P"]:
        parts["P"] = persistence(frame, rngs["P"])
        light += parts["P"]
    stuck = np.full(frame.shape, np.nan, np.float32)
    for label, make in (("DCL", dead_lines), ("DP", dead_pixels)):
        if has[label]:
            parts[label], low = make(frame, rngs[label])
            light *= parts[label]
            np.copyto(stuck, low, where=np.isfinite(low))
            masks[label] = parts[label] < 1
    scatter = np.float32(0.0)
    if has["HCL"]:
        parts["HCL"], scatter = hot_lines(frame, light, rngs["HCL"])
        light += parts["HCL"]
        masks["HCL"] = parts["HCL"] > 0
        scatter *= rngs["HCL"].standard_normal(frame.shape, np.float32)
    if has["HP"]:
        parts["HP"] = hot_pixels(frame, rngs["HP"])
        light += parts["HP"]
    spilt = bleeding(stars, light, rngs["SAT"]) if has["SAT"] else None

    electrons = add_noise(frame, light, of_noise) + scatter
    if has["CR"]:
        parts["CR"] = cosmic_rays(frame, rngs["CR"])
        electrons += parts["CR"]
    known = np.isfinite(stuck)
    if known.any():
        noise = np.float32(frame.read_noise) * of_noise.standard_normal(frame.shape, np.float32)
        electrons = np.where(known, stuck + noise, electrons)
    if has["SAT"]:
        masks["SAT"] = _saturate(stars, electrons, spilt, rngs["SAT"])
    if has["BR"]:
        masks["BR"], electrons = bad_reading(frame, electrons, rngs["BR"])
    if has["OV"]:
        masks["OV"], level = overscan(frame, rngs["OV"])
        electrons = np.where(masks["OV"], level, electrons)
    return electrons, masks


def _bits(frame, parts, masks):
    bits = np.zeros(frame.shape, np.uint16)
    for label, (bit, _, threshold) in CONTAMINANTS.items():
        if label in parts and threshold is not None:
            masks[label] = parts[label] > threshold * frame.sigma
        if label in masks:
            bits |= np.where(masks[label], np.uint16(bit), np.uint16(0))
    if "OV" in masks:  # nothing else reaches what lies beyond the detector
        bits[masks["OV"]] = CONTAMINANTS["OV"].bit
    return bits


def _blurred(light, kernel):
    return np.maximum(fftconvolve(light, kernel, mode="same"), 0).astype(np.float32)


def _saturate(stars, electrons, spilt, rng):
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
