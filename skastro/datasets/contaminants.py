"""Survey images with contaminants, and where each of them is."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from joblib import Parallel, delayed
from scipy.signal import fftconvolve
from sklearn.utils import Bunch, check_random_state

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
from skastro.datasets.survey_frames import (
    add_noise,
    background,
    check_number,
    check_ranges,
    check_shape,
    draw_frame,
    response,
    write,
)
from skastro.datasets.survey_images import conditions
from skastro.datasets.survey_psf import tracking_kernel
from skastro.datasets.survey_sources import draw_sources, source_light

__all__ = ["CONTAMINANTS", "make_contaminants", "unpack_bits"]

Contaminant = namedtuple("Contaminant", "bit name threshold")

#: Bit, name, and from how many times the noise of the empty sky the contribution counts, of each class.
CONTAMINANTS = {
    "CR": Contaminant(1, "cosmic ray", 1.0),
    "HCL": Contaminant(2, "hot column or line", None),
    "DCL": Contaminant(4, "dead column, line or clump", None),
    "HP": Contaminant(8, "hot pixel", 6.0),
    "DP": Contaminant(16, "dead pixel", None),
    "P": Contaminant(32, "persistence", 0.5),
    "TRL": Contaminant(64, "trail", 0.5),
    "FR": Contaminant(128, "fringes", 0.5),
    "NEB": Contaminant(256, "nebulosity", 1.0),
    "SAT": Contaminant(512, "saturated pixel", None),
    "SP": Contaminant(1024, "diffraction spike", 0.5),
    "OV": Contaminant(2048, "overscanned line", None),
    "BBG": Contaminant(4096, "bright background", 1.0),
    "BR": Contaminant(8192, "badly read line", None),
}
USUAL = tuple(CONTAMINANTS)[:-1]
MARGIN, TRACKING_MARGIN = 24, 64  # pixels around a frame in which sources shine into it

_DESCR = """\
Simulated survey images with contaminants
-----------------------------------------
Images as of make_survey_images, with the contaminants of MaxiMask and their bits. A pixel has the bit of a
class where the class's own noiseless contribution, in electrons, exceeds a multiple of sigma = sqrt(sky +
read_noise^2): 1 for CR, NEB and BBG, 0.5 for TRL, P, SP and the envelope of FR, 6 for HP. HCL, DCL and DP are
where the detector is so; SAT where a pixel is full; OV where it saw no light (no other bit is set there).
"""


def make_contaminants(
    n_images=4,
    *,
    shape=(512, 512),
    classes=None,
    probability=0.5,
    tracking=0.0,
    sky=(5.0, 3e4),
    gain=(0.3, 8.0),
    read_noise=(2.0, 20.0),
    seeing=(1.5, 8.0),
    density=(2e-5, 2e-2),
    galaxy_fraction=(0.0, 0.6),
    gradient=(0.0, 0.1),
    flat_residual=(0.0, 0.01),
    subtracted=0.3,
    correlated=0.1,
    return_contributions=False,
    n_jobs=None,
    random_state=None,
):
    """Make survey images with cosmic rays, defects of detectors, trails, fringes and more, with their masks.

    For networks that find contaminants: all that varies between instruments and nights varies between
    images. A range (low, high) is drawn from for each image, uniformly in the logarithm (in the value where
    `low` is 0); a number holds for all.

    Parameters
    ----------
    n_images : int, default=4
    shape : tuple (h, w), default=(512, 512)
        Pixels, at least 16 a side.
    classes : sequence of str, default=None
        Of `CONTAMINANTS`. None: all but "BR".
    probability : float or dict of str to float, default=0.5
        That an image has a class; of each, those left out being 0.5.
    tracking : float, default=0.0
        Probability that the telescope did not follow the sky: all sources of the image are trails, arcs or
        doubled.
    sky, gain, read_noise, seeing, density, galaxy_fraction, gradient, flat_residual : float or tuple
        As of :func:`make_survey_images`.
    subtracted, correlated : float
        As of :func:`make_survey_images`.
    return_contributions : bool, default=False
        Also return what each class contributed.
    n_jobs : int, default=None
        Processes. The images don't depend on it.
    random_state : int, RandomState instance or None, default=None
        The first images of a larger `n_images` are the same.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of shape (n_images, h, w), float32
            In ADU.
        bits : ndarray of shape (n_images, h, w), uint16
            Sum of the bits of the classes of each pixel.
        labels : tuple of str
            The classes, in the order of their bits.
        bit_values : dict of str to int
            Bit of each class.
        tracking : ndarray of shape (n_images,), bool
            Which images were not tracked.
        source_mask : ndarray of shape (n_images, h, w), bool
            Where the noiseless light of the sources, of the bright stars' cores too, is above the noise of
            the empty sky.
        sky, gain, read_noise, seeing, sigma, bias, psf, subtracted, correlated : ndarray
            As of :func:`make_survey_images`.
        contributions : dict of str to ndarray of shape (n_images, h, w), float32
            Noiseless light or charge of "CR", "HCL", "HP", "P", "TRL", "NEB", "SP" and "BBG", in electrons;
            the envelope of "FR"; the response of pixels for "DCL" and "DP". If `return_contributions`.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If an argument is out of the range given above.

    See Also
    --------
    unpack_bits : A mask for each class.

    References
    ----------
    .. [1] M. Paillassa, E. Bertin & H. Bouy (2020), "MaxiMask and MaxiTrack: two new tools for identifying
       contaminants in astronomical images using convolutional neural networks", A&A 634, A48.

    Examples
    --------
    >>> from skastro.datasets import make_contaminants, unpack_bits
    >>> frames = make_contaminants(2, shape=(64, 64), classes=["CR", "TRL"], probability=1, random_state=0)
    >>> frames.images.shape, frames.bit_values
    ((2, 64, 64), {'CR': 1, 'TRL': 64})
    >>> unpack_bits(frames.bits, frames.labels).shape
    (2, 2, 64, 64)
    """
    check_number("n_images", n_images, 1, whole=True)
    shape = check_shape(shape)
    labels = _check_classes(classes)
    probabilities = _check_probability(probability, labels)
    ranges = check_ranges(
        {"sky": sky, "gain": gain, "read_noise": read_noise, "seeing": seeing, "density": density,
         "galaxy_fraction": galaxy_fraction, "gradient": gradient, "flat_residual": flat_residual}
    )  # fmt: skip
    chances = {"tracking": tracking, "subtracted": subtracted, "correlated": correlated}
    for name, value in chances.items():
        check_number(name, value, 0.0, 1.0)
    root = check_random_state(random_state).randint(2**31 - 1)
    seeds = np.random.SeedSequence(root).spawn(n_images)
    options = (shape, ranges, chances, probabilities, bool(return_contributions))
    made = Parallel(n_jobs=n_jobs)(delayed(_make_one)(seed, *options) for seed in seeds)
    bunch = Bunch(
        labels=labels,
        bit_values={label: CONTAMINANTS[label].bit for label in labels},
        DESCR=_DESCR,
        **{
            name: np.stack([one[name] for one in made])
            for name in ("images", "bits", "source_mask")
        },
        tracking=np.array([one["tracking"] for one in made]),
    )
    bunch.update(conditions([(one["frame"], one["bias"]) for one in made]))
    if return_contributions:
        bunch.contributions = {
            label: np.stack([one["contributions"][label] for one in made])
            for label in labels
            if label not in ("SAT", "OV", "BR")
        }
    return bunch


def _make_one(seed, shape, ranges, chances, probabilities, keep):
    """An image, its bits and what it is made of."""
    streams = [np.random.default_rng(s) for s in seed.spawn(5 + len(CONTAMINANTS))]
    of_frame, of_sources, of_noise, of_stars, of_tracking = streams[:5]
    rngs = dict(zip(CONTAMINANTS, streams[5:], strict=True))
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
    image, bias = write(frame, electrons, of_noise)

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


def _check_classes(classes):
    if classes is None:
        return USUAL
    known = isinstance(classes, list | tuple) and all(isinstance(c, str) for c in classes)
    if not known or not classes or not set(classes) <= set(CONTAMINANTS):
        raise ValueError(f"classes={classes!r}: expected some of {', '.join(CONTAMINANTS)}")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes={classes!r}: expected each at most once")
    return tuple(label for label in CONTAMINANTS if label in classes)


def _check_probability(probability, labels):
    if not isinstance(probability, dict):
        check_number("probability", probability, 0.0, 1.0)
        return dict.fromkeys(labels, float(probability))
    unknown = [label for label in probability if label not in labels]
    if unknown:
        raise ValueError(f"probability has {unknown[0]!r}: expected some of {', '.join(labels)}")
    for label, value in probability.items():
        check_number(f"probability[{label!r}]", value, 0.0, 1.0)
    return {label: float(probability.get(label, 0.5)) for label in labels}


def unpack_bits(bits, labels=None):
    """Masks of classes from the bits of an image.

    Parameters
    ----------
    bits : ndarray of shape (h, w) or (n, h, w), of integers
    labels : sequence of str, dict of str to int or None, default=None
        Classes of `CONTAMINANTS`, or the bit of each. None: all of those but "BR".

    Returns
    -------
    masks : ndarray of shape (n_labels, h, w) or (n, n_labels, h, w), bool

    Raises
    ------
    ValueError
        If `bits` are no integers or have another shape, or a label is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import unpack_bits
    >>> unpack_bits(np.array([[0, 1], [9, 8]]), ["CR", "HP"]).astype(int).tolist()
    [[[0, 1], [1, 0]], [[0, 0], [1, 1]]]
    """
    bits = np.asarray(bits)
    if bits.dtype.kind not in "iu" or bits.ndim not in (2, 3):
        raise ValueError(
            f"bits has shape {bits.shape} and type {bits.dtype}: expected integers, (h, w) or (n, h, w)"
        )
    if labels is None:
        labels = USUAL
    if not isinstance(labels, dict):
        labels = {label: CONTAMINANTS[label].bit for label in _check_classes(list(labels))}
    values = np.array(list(labels.values()), bits.dtype)
    return (bits[..., None, :, :] & values[:, None, None]) != 0
