"""Survey images with contaminants, and where each of them is."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.contaminant_classes import CONTAMINANTS, check_classes, check_probability
from skastro.datasets.contaminant_frames import make_frame
from skastro.datasets.survey_frames import check_number, check_ranges, check_shape
from skastro.datasets.survey_images import conditions

__all__ = ["make_contaminants"]

_DESCR = """\
Simulated survey images with contaminants
-----------------------------------------
Images as of make_survey_images, with the contaminants of MaxiMask and their bits. A pixel has the bit of a
class where the class's own noiseless contribution, in electrons (of FR, the envelope), exceeds a multiple of
sigma = sqrt(sky + read_noise^2): {thresholds}. HCL, DCL and DP are
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
    labels = check_classes(classes)
    probabilities = check_probability(probability, labels)
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
    made = Parallel(n_jobs=n_jobs)(delayed(make_frame)(seed, *options) for seed in seeds)
    bunch = Bunch(
        labels=labels,
        bit_values={label: CONTAMINANTS[label].bit for label in labels},
        DESCR=_DESCR.format(
            thresholds=", ".join(
                f"{one.threshold:g} for {label}"
                for label, one in CONTAMINANTS.items()
                if one.threshold is not None
            )
        ),
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
            for label in made[0]["contributions"]
        }
    return bunch
