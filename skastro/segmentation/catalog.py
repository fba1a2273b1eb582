"""Probability maps as tables of sources."""

from numbers import Integral, Real

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from skastro.images import check_images
from skastro.probabilities import check_probabilities
from skastro.segmentation.deblending import Members, share_pixels

__all__ = ["make_catalog"]


def make_catalog(
    image, proba, threshold, *, wcs=None, matched_filter=None, min_pixels=1, sigma=None, unit=None,
    label=None,
):  # fmt: skip
    """Connected detections of a probability map, as a table of sources.

    Pixels that are at least as probable as the threshold and touch each other, at a side or a corner, are a
    source. Positions are means over its pixels weighted by what is above the background; where nothing is, by
    the probability. The background is one number, the median of the pixels outside all detections. The flux
    is the sum over the pixels of the detection, with nothing added for what a source has beyond them; its
    error is that of the noise of these pixels.

    Parameters
    ----------
    image : array-like of shape (h, w)
        An array, Quantity or masked array; NaN where blank. Blank pixels belong to no source.
    proba : array-like of shape (h, w)
        Probability of a source at each pixel; NaN is none.
    threshold : float
        Probability from which a pixel is detected.
    wcs : astropy.wcs.WCS, optional
        Of the image, celestial: adds positions on the sky.
    matched_filter : MatchedFilter, optional
        Fitted. Where it finds several peaks in a detection, each is a source: pixels are shared in the ratio
        of what the peaks put into them, their fluxes times the PSF.
    min_pixels : int, default=1
        Sources of fewer pixels are left out.
    sigma : float or array-like of shape (h, w), optional
        Standard deviation of the noise of a pixel, in the unit of the image. None: from the median absolute
        deviation of the pixels outside all detections.
    unit : str or astropy.units.Unit, optional
        Of the image, if it has none itself.
    label : str, optional
        Class of the sources; "source" by default.

    Returns
    -------
    catalog : astropy.table.Table
        The highest signal-to-noise ratio first. `label`, from 1; `x` (column) and `y` (row), pixels from 0 at
        the centre of the first; with a WCS `ra` and `dec` (ICRS, degrees); `flux` and `flux_err`, in the unit
        of the image; `area`, pixels; `peak_proba`; `snr`, flux over error; `class`. Its `meta` has the
        threshold, the background and sigma (the median of a map). Without a source it has no row.

    Raises
    ------
    ValueError
        Shapes that differ, infinite values, probabilities outside 0 to 1, a WCS that is not celestial or of
        another shape, a negative sigma, an image that has a unit and another is given.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation import make_catalog
    >>> image = np.zeros((20, 30))
    >>> image[5:8, 10:13] = 2.0
    >>> table = make_catalog(image, image / 2, 0.5, sigma=0.1, unit="adu")
    >>> table["x", "y", "flux", "area"].as_array().tolist()
    [(11.0, 6.0, 18.0, 9)]
    """
    given = image
    image, unit = _check_image(image, unit)
    proba = _check_map(proba, image.shape, threshold)
    if not (isinstance(min_pixels, Integral) and min_pixels >= 1):
        raise ValueError(f"min_pixels={min_pixels!r}; expected a whole number of 1 or more.")
    _check_wcs(wcs, image.shape)
    name = "source" if label is None else str(label)
    known = np.isfinite(image)
    found = known & (proba >= threshold)
    outside = image[known & ~found]
    if outside.size == 0:
        # nothing to measure a background on
        outside = image[known]
    background = float(np.median(outside)) if outside.size else 0.0
    sigma, noise = _check_sigma(sigma, image.shape, outside - background, unit)
    components, n = ndimage.label(found, structure=np.ones((3, 3), bool))
    # all that follows is of the detected pixels only
    y, x = np.nonzero(components)
    component = components[y, x] - 1
    size = np.bincount(component, minlength=n)
    large = size >= min_pixels
    y, x = y[large[component]], x[large[component]]
    component = (np.cumsum(large) - 1)[component[large[component]]]
    if matched_filter is None or component.size == 0:
        every = np.ones(component.size, bool)
        members = Members(
            np.arange(component.size), component, every.astype(float), every, int(large.sum())
        )
    else:
        peaks = matched_filter.detect(given)
        members = share_pixels(y, x, component, image.shape, peaks, matched_filter.psf_, min_pixels)
    columns = _measure(
        members,
        y,
        x,
        image[y, x] - background,
        proba[y, x],
        np.broadcast_to(sigma, image.shape)[y, x],
    )
    table = _table(columns, wcs, unit, name)
    table.meta |= {"threshold": float(threshold), "background": background, "sigma": noise}
    return table


def _measure(members, y, x, flux, proba, sigma):
    """Columns of the sources, the highest signal-to-noise ratio first."""
    pixel, source, share, own, n = members

    def total(values):
        return np.bincount(source, weights=share * values[pixel], minlength=n)

    bright, probable = np.maximum(flux, 0.0), proba
    weight = total(bright)
    dark = weight <= 0
    position = {}
    for key, values in (("x", x), ("y", y)):
        by_flux = total(bright * values) / np.where(dark, 1.0, weight)
        if dark.any():
            by_proba = total(probable * values) / np.maximum(total(probable), 1e-300)
            by_flux = np.where(dark, by_proba, by_flux)
        position[key] = by_flux
    peak = np.zeros(n)
    np.maximum.at(peak, source[own], proba[pixel[own]])
    sums = total(flux)
    # of the share of each pixel
    error = np.sqrt(np.bincount(source, weights=np.square(share * sigma[pixel]), minlength=n))
    snr = np.divide(sums, error, out=np.full(n, np.nan), where=error > 0)
    order = np.argsort(-np.nan_to_num(snr, nan=-np.inf), kind="stable")
    columns = position | {
        "flux": sums,
        "flux_err": error,
        "area": np.bincount(source[own], minlength=n),
        "peak_proba": peak,
        "snr": snr,
    }
    return {key: values[order] for key, values in columns.items()}


def _table(columns, wcs, unit, name):
    from astropy import units as u
    from astropy.table import Table

    n = len(columns["x"])
    table = Table({"label": np.arange(1, n + 1), "x": columns["x"], "y": columns["y"]})
    if wcs is not None:
        ra, dec = np.empty(0), np.empty(0)
        if n:
            sky = wcs.pixel_to_world(columns["x"], columns["y"]).icrs
            ra, dec = sky.ra.deg, sky.dec.deg
        table["ra"], table["dec"] = ra * u.deg, dec * u.deg
        table["ra"].description = table["dec"].description = "ICRS"
    for key in ("flux", "flux_err", "area", "peak_proba", "snr"):
        table[key] = columns[key]
    table["class"] = np.full(n, name)
    table["x"].unit = table["y"].unit = u.pix
    table["area"].unit = u.pix**2
    if unit is not None:
        table["flux"].unit = table["flux_err"].unit = unit
    return table


def _check_image(image, unit):
    from astropy import units as u

    if np.ndim(image) != 2:
        raise ValueError(f"image has shape {np.shape(image)}; expected (h, w).")
    stack, info = check_images(
        image[None] if hasattr(image, "ndim") else [image], "image", dtype=np.float64
    )
    own = info.unit
    if unit is not None:
        try:
            unit = u.Unit(unit)
        except (TypeError, ValueError) as error:
            raise ValueError(f"unit={unit!r}; expected a unit of astropy.") from error
        if own is not None and unit != own:
            raise ValueError(f"unit={str(unit)!r}, image is in {own}; expected the same or None.")
    return stack[0, 0], own if unit is None else unit


def _check_map(proba, shape, threshold):
    proba = np.ma.filled(np.ma.asarray(proba, dtype=np.float64), np.nan)
    if proba.shape != shape:
        raise ValueError(f"proba has shape {proba.shape}; expected {shape}, as the image.")
    if not (isinstance(threshold, Real) and threshold > 0):
        raise ValueError(f"threshold={threshold!r}; expected a number above 0.")
    return check_probabilities(np.nan_to_num(proba, nan=0.0, posinf=np.inf, neginf=-np.inf))


def _check_sigma(sigma, shape, residual, unit):
    """Noise of the pixels, and one number for it."""
    if sigma is None:
        scatter = float(np.median(np.abs(residual))) / ndtri(0.75) if residual.size else 0.0
        return scatter, scatter
    if hasattr(sigma, "to_value"):
        if unit is None:
            raise ValueError(
                f"sigma is in {sigma.unit}, image has no unit; expected none, or that unit."
            )
        sigma = sigma.to_value(unit)
    sigma = np.asarray(sigma, dtype=np.float64)
    if sigma.shape not in ((), shape):
        raise ValueError(f"sigma has shape {sigma.shape}; expected a number or {shape}.")
    if not (sigma[np.isfinite(sigma)] >= 0).all() or not np.isfinite(sigma).any():
        raise ValueError("sigma is negative or nowhere finite; expected standard deviations.")
    return sigma, float(np.nanmedian(sigma))


def _check_wcs(wcs, shape):
    if wcs is None:
        return
    if not getattr(wcs, "has_celestial", False) or wcs.pixel_n_dim != 2:
        axes = list(getattr(wcs, "world_axis_physical_types", None) or [])
        raise ValueError(f"wcs has the axes {axes}; expected two celestial ones.")
    seen = wcs.array_shape
    if seen is not None and tuple(seen) != tuple(shape):
        raise ValueError(f"wcs is of an image of shape {tuple(seen)}; expected {tuple(shape)}.")
