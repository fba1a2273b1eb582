"""Images of a survey, free of contaminants: stars and galaxies on a noisy sky."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from sklearn.utils import Bunch, check_random_state

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
from skastro.datasets.survey_sources import draw_sources, source_light

__all__ = ["make_survey_images"]

MARGIN = 24  # pixels around a frame in which sources shine into it
_DESCR = """\
Simulated images of a survey
----------------------------
Stars and galaxies (Sersic) through a Moffat or Gaussian point spread function, elliptical and, in half of the
images, changing across the field; a power law of fluxes from below the noise up; a sloping sky; residuals of
the flat; the noise of electrons and of the readout; a gain and a bias. Each image has its own conditions.
Free of contaminants: nothing saturates.
"""


def make_survey_images(
    n_images=4,
    *,
    shape=(512, 512),
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
    random_state=None,
):
    """Make images of stars and galaxies as surveys take them, with the truth.

    For whoever learns to find sources. A range (low, high) is drawn from for each image, uniformly in the
    logarithm (in the value where `low` is 0); a number holds for all.

    Parameters
    ----------
    n_images : int, default=4
    shape : tuple (h, w), default=(512, 512)
        Pixels, at least 16 a side.
    sky : float or tuple, default=(5.0, 3e4)
        Electrons a pixel.
    gain : float or tuple, default=(0.3, 8.0)
        Electrons an ADU.
    read_noise : float or tuple, default=(2.0, 20.0)
        Electrons.
    seeing : float or tuple, default=(1.5, 8.0)
        Full width at half maximum of the point spread function in the middle of the image, pixels included,
        in pixels, from 1 to 16.
    density : float or tuple, default=(2e-5, 2e-2)
        Sources a pixel, those below the noise included.
    galaxy_fraction : float or tuple, default=(0.0, 0.6)
        Of the sources.
    gradient : float or tuple, default=(0.0, 0.1)
        Slope of the sky from side to side, over its mean.
    flat_residual : float or tuple, default=(0.0, 0.01)
        Errors of the flat field in patches; from pixel to pixel they are smaller.
    subtracted : float, default=0.3
        Probability that an image has its sky taken off and fractions of ADU, as calibrated ones. Else raw:
        whole ADU above a bias.
    correlated : float, default=0.1
        Probability that the noise of an image is correlated over neighbours, as in resampled ones.
    random_state : int, RandomState instance or None, default=None
        The first images of a larger `n_images` are the same.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of shape (n_images, h, w), float32
            In ADU.
        sources : list of :class:`~astropy.table.Table`
            Of those inside each image: "x", "y" (pixels from 0, of the column and the row), "flux"
            (electrons), "kind" ("star" or "galaxy"), the brightest first.
        source_mask : ndarray of shape (n_images, h, w), bool
            Where the noiseless light of all sources is above the noise of the empty sky.
        noiseless : ndarray of shape (n_images, h, w), float32
            That light, in electrons.
        sky, gain, read_noise, seeing : ndarray of shape (n_images,), float64
            As drawn: electrons, electrons an ADU, electrons, pixels.
        sigma : ndarray of shape (n_images,), float64
            Noise of the empty sky in ADU, ``sqrt(sky + read_noise**2) / gain``.
        bias : ndarray of shape (n_images,), float64
            What no electrons are written as, in ADU: below 0 where the sky is taken off. Half of those images
            have their median taken off instead, and some have a step between amplifiers: neither is in it.
        psf : ndarray of shape (n_images, 65, 65), float32
            Point spread function in the middle of the image, of sum 1.
        subtracted, correlated : ndarray of shape (n_images,), bool
            Which images are so.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If an argument is out of the range given above.

    References
    ----------
    .. [1] E. Bertin (2009), "SkyMaker: astronomical image simulations made easy", Mem. S.A.It. 80, 422.

    Examples
    --------
    >>> from skastro.datasets import make_survey_images
    >>> survey = make_survey_images(2, shape=(64, 96), density=0.01, random_state=0)
    >>> survey.images.shape, survey.source_mask.dtype, survey.sources[0].colnames
    ((2, 64, 96), dtype('bool'), ['x', 'y', 'flux', 'kind'])
    """
    check_number("n_images", n_images, 1, whole=True)
    shape = check_shape(shape)
    ranges = check_ranges(
        {"sky": sky, "gain": gain, "read_noise": read_noise, "seeing": seeing, "density": density,
         "galaxy_fraction": galaxy_fraction, "gradient": gradient, "flat_residual": flat_residual}
    )  # fmt: skip
    for name, value in (("subtracted", subtracted), ("correlated", correlated)):
        check_number(name, value, 0.0, 1.0)
    root = check_random_state(random_state).randint(2**31 - 1)
    bunch = Bunch(DESCR=_DESCR, sources=[])
    for name, dtype in (("images", np.float32), ("noiseless", np.float32), ("source_mask", bool)):
        bunch[name] = np.empty((n_images, *shape), dtype)
    rows = []
    for i, seed in enumerate(np.random.SeedSequence(root).spawn(n_images)):
        streams = [np.random.default_rng(s) for s in seed.spawn(4)]
        of_frame, of_sources, of_noise, of_file = streams
        frame = draw_frame(shape, ranges, subtracted, correlated, of_frame)
        sources = draw_sources(frame, MARGIN, of_sources)
        light = source_light(frame, sources, MARGIN, of_sources)
        light = light[MARGIN:-MARGIN, MARGIN:-MARGIN]
        expected = (background(frame, of_noise) + light) * response(frame, of_noise)
        electrons = add_noise(frame, expected, of_noise)
        bunch.images[i], bias = write(frame, electrons, of_file)
        bunch.noiseless[i], bunch.source_mask[i] = light, light > frame.sigma
        bunch.sources.append(_table(sources, shape))
        rows.append((frame, bias))
    bunch.update(conditions(rows))
    return bunch


def conditions(rows):
    """What was drawn for each frame, as arrays."""
    frames, bias = zip(*rows, strict=True)
    names = ("sky", "gain", "read_noise", "seeing", "subtracted", "correlated")
    arrays = {name: np.array([getattr(frame, name) for frame in frames]) for name in names}
    arrays["sigma"] = np.array([frame.sigma / frame.gain for frame in frames])
    arrays["bias"] = np.array(bias)
    arrays["psf"] = np.stack([frame.psf.kernel() for frame in frames])
    return arrays


def _table(sources, shape):
    x, y = sources["x"], sources["y"]
    inside = (x >= -0.5) & (x < shape[1] - 0.5) & (y >= -0.5) & (y < shape[0] - 0.5)
    order = np.flatnonzero(inside)
    order = order[np.argsort(-sources["flux"][order], kind="stable")]
    kind = np.where(sources["galaxy"][order], "galaxy", "star")
    return Table({"x": x[order], "y": y[order], "flux": sources["flux"][order], "kind": kind})
