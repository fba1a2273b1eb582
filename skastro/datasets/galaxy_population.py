"""Galaxies of a survey limited in flux, and what else lies in their fields: drawn, not yet imaged."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.stats import beta

from skastro.datasets.galaxy_templates import BANDS, MAX_REDSHIFT, band_fluxes, star_fluxes

__all__ = ["distances", "draw_galaxies", "draw_neighbours", "template_weights"]

H0, OMEGA_M = 70.0, 0.3  # flat
SPEED_OF_LIGHT = 299792.458  # [km/s]
ALPHA = -1.05  # slope of the luminosity function at the faint end
M_STAR_RED, M_STAR_BLUE = -21.6, -20.6  # at rest in r, for types 0 and 1
FAINTEST = 4e-3  # of the characteristic luminosity
# Share, and parameters of the beta laws of the types, at one characteristic luminosity
RED, BLUE = (0.28, 1.0, 9.0), (0.72, 3.5, 1.8)
DISK_RADIUS, DISK_SLOPE = 5.0, 0.35  # half-light radius [kpc] at that luminosity, its power
BULGE_RADIUS, BULGE_SLOPE = 4.0, 0.55
RADIUS_SCATTER = 0.25  # of the logarithm
THICKNESS = 0.2  # of a disk seen edge-on
# Neighbours to r = 22, in arcmin^-2, and the growth of their counts per magnitude, in dex
STAR_DENSITY, STAR_GROWTH, STAR_BRIGHT = 1.5, 0.20, 14.0
GALAXY_DENSITY, GALAXY_GROWTH, GALAXY_BRIGHT = 4.5, 0.45, 16.5
NEIGHBOUR_LIMIT = 22.0
CLOSEST = 2.0  # neighbours are this far from the middle of the image [arcsec]
MARGIN = 4.0  # they also lie outside the image, up to there [arcsec]
R_BAND = list(BANDS).index("r")


@cache
def _distance_table():
    redshift = np.linspace(0.0, MAX_REDSHIFT, 4001)
    rate = 1.0 / np.sqrt(OMEGA_M * (1.0 + redshift) ** 3 + 1.0 - OMEGA_M)
    steps = 0.5 * (rate[1:] + rate[:-1]) * np.diff(redshift)
    return redshift, SPEED_OF_LIGHT / H0 * np.concatenate([[0.0], np.cumsum(steps)])


def distances(redshift):
    """Comoving distance [Mpc], distance modulus [mag] and kpc per arcsec."""
    comoving = np.interp(redshift, *_distance_table())
    modulus = 5.0 * np.log10((1.0 + redshift) * comoving) + 25.0
    return comoving, modulus, comoving / (1.0 + redshift) * (1e3 * np.pi / 648000.0)


def template_weights(galaxy_type, dustiness):
    """Shares of the templates at 5500 A at rest, (n, 4): old for type 0, mostly young for 1."""
    young = 0.75 * galaxy_type**2
    intermediate = galaxy_type * (0.55 - 0.35 * galaxy_type)
    shares = 1.0 - young - intermediate, intermediate, (1.0 - dustiness) * young, dustiness * young
    return np.stack(shares, axis=-1)


def _mixed(weights, fluxes):
    return np.einsum("nt,ntb->nb", weights, fluxes)


def _scaled(weights, fluxes, magnitude):
    """Fluxes of the templates [nanomaggy] in a galaxy of that magnitude in r."""
    wanted = 10.0 ** (0.4 * (22.5 - magnitude))
    return fluxes * (wanted / _mixed(weights, fluxes)[:, R_BAND])[:, None, None]


@cache
def _brighter_than():
    """Schechter's law: luminosities, and the number above each."""
    luminosity = np.geomspace(FAINTEST, 100.0, 4000)
    density = luminosity**ALPHA * np.exp(-luminosity)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(luminosity)
    return luminosity, np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])


def _m_star(galaxy_type):
    return M_STAR_RED + (M_STAR_BLUE - M_STAR_RED) * galaxy_type


def _luminosity_at(limit, redshift, galaxy_type, weights):
    """Luminosity of a galaxy of that magnitude in r, in units of the characteristic one."""
    fluxes = _mixed(weights, band_fluxes(redshift))[:, R_BAND]
    at_rest = _mixed(weights, band_fluxes(np.zeros_like(redshift)))[:, R_BAND]
    absolute = limit - distances(redshift)[1] + 2.5 * np.log10(fluxes / at_rest)
    return 10.0 ** (0.4 * (_m_star(galaxy_type) - absolute))


def _draw_types_and_redshifts(n, redshift_range, limit, rng):
    """From the numbers that a survey limited in flux sees of each type at each redshift."""
    low, high = redshift_range
    n_types, n_redshifts = 40, 400
    types = (np.arange(n_types) + 0.5) / n_types
    step = (high - low) / n_redshifts
    redshift = low + step * (np.arange(n_redshifts) + 0.5)
    t, z = (grid.ravel() for grid in np.meshgrid(types, redshift, indexing="ij"))
    weights = template_weights(t, np.full_like(t, 0.5))
    faintest = np.maximum(_luminosity_at(limit, z, t, weights), FAINTEST)
    visible = np.interp(faintest, *_brighter_than())
    comoving, _, _ = distances(z)
    volume = comoving**2 / np.sqrt(OMEGA_M * (1.0 + z) ** 3 + 1.0 - OMEGA_M)
    share = sum(part * beta.pdf(t, *law) for part, *law in (RED, BLUE))
    numbers = np.cumsum(share * volume * visible)
    if not numbers[-1] > 0:
        raise ValueError(
            f"redshift_range={redshift_range!r}: expected redshifts at which galaxies are brighter "
            f"than magnitude_limit={limit!r}"
        )
    cell = np.searchsorted(numbers, rng.random(n) * numbers[-1], side="right")
    cell = np.minimum(cell, len(numbers) - 1)
    t = (cell // n_redshifts + rng.random(n)) / n_types
    return t, low + step * (cell % n_redshifts + rng.random(n))


def _shapes(n, rng):
    """Axis ratios of bulge and disk, position angle."""
    cos = rng.random(n)
    disk = np.sqrt(cos**2 + THICKNESS**2 * (1.0 - cos**2))
    # a bulge is rounder than the disk, and flattened the same way
    return 1.0 - 0.5 * (1.0 - disk) * rng.random(n), disk, np.pi * rng.random(n)


def _split(weights, galaxy_type, fluxes, rng):
    """Fluxes of the bulge, which is old, and of the disk; share of the bulge at 5500 A at rest."""
    part = 1.0 - galaxy_type * rng.random(len(weights))
    bulge = weights[:, 0] * part
    bulge_fluxes = bulge[:, None] * fluxes[:, 0]
    return bulge_fluxes, _mixed(weights, fluxes) - bulge_fluxes, bulge


def draw_galaxies(n, redshift_range, magnitude_limit, rng):
    """Galaxies brighter than a limit in r: redshift, type, and sources for `render`."""
    galaxy_type, redshift = _draw_types_and_redshifts(n, redshift_range, magnitude_limit, rng)
    weights = template_weights(galaxy_type, rng.beta(1.5, 1.5, n))
    at_limit = _luminosity_at(magnitude_limit, redshift, galaxy_type, weights)
    faintest = np.maximum(at_limit, FAINTEST)
    luminosities, numbers = _brighter_than()
    wanted = (1.0 - rng.random(n)) * np.interp(faintest, luminosities, numbers)
    luminosity = np.maximum(np.interp(wanted, numbers[::-1], luminosities[::-1]), faintest)
    fluxes = _scaled(
        weights, band_fluxes(redshift), magnitude_limit - 2.5 * np.log10(luminosity / at_limit)
    )
    bulge, disk, share = _split(weights, galaxy_type, fluxes, rng)
    scale = np.exp(RADIUS_SCATTER * rng.standard_normal(n)) / distances(redshift)[2]
    q_bulge, q_disk, angle = _shapes(n, rng)
    sources = {
        "bulge": bulge,
        "disk": disk,
        "r_bulge": BULGE_RADIUS * luminosity**BULGE_SLOPE * np.sqrt(share) * scale,
        "r_disk": DISK_RADIUS * luminosity**DISK_SLOPE * scale,
        "q_bulge": q_bulge,
        "q_disk": q_disk,
        "angle": angle,
    }
    return redshift, galaxy_type, weights, sources


def _magnitudes(n, bright, growth, rng):
    """Counts that grow by a factor of ten in 1 / growth magnitudes, between two limits."""
    low, high = 10.0 ** (growth * (np.array([bright, NEIGHBOUR_LIMIT]) - NEIGHBOUR_LIMIT))
    return NEIGHBOUR_LIMIT + np.log10(low + (high - low) * rng.random(n)) / growth


def _positions(n, half_width, rng):
    """Uniform over a square, none near its middle [arcsec]."""
    x, y = np.empty((2, n))
    missing = np.arange(n)
    while len(missing):
        x[missing], y[missing] = rng.uniform(-half_width, half_width, (2, len(missing)))
        missing = missing[np.hypot(x[missing], y[missing]) < CLOSEST]
    return x, y


def draw_neighbours(n_images, width, rng):
    """Stars and galaxies in fields of a width [arcsec]: numbers per image, and sources for `render`.

    Sources are in the order of the images.
    """
    half_width = 0.5 * width + MARGIN
    area = (2.0 * half_width / 60.0) ** 2
    n_stars = rng.poisson(STAR_DENSITY * area, n_images)
    n_galaxies = rng.poisson(GALAXY_DENSITY * area, n_images)
    n = n_galaxies.sum()
    magnitude = _magnitudes(n, GALAXY_BRIGHT, GALAXY_GROWTH, rng)
    galaxy_type = np.where(rng.random(n) < RED[0], rng.beta(*RED[1:], n), rng.beta(*BLUE[1:], n))
    weights = template_weights(galaxy_type, rng.beta(1.5, 1.5, n))
    # deeper fields are further: the median redshift of galaxies near that magnitude
    median = 0.10 * 10.0 ** (0.13 * (magnitude - 17.5))
    redshift = np.clip(median * np.exp(0.4 * rng.standard_normal(n)), 0.005, MAX_REDSHIFT)
    fluxes = _scaled(weights, band_fluxes(redshift), magnitude)
    bulge, disk, _ = _split(weights, galaxy_type, fluxes, rng)
    radius = 2.2 * 10.0 ** (-0.15 * (magnitude - 17.5)) * np.exp(0.3 * rng.standard_normal(n))
    q_bulge, q_disk, angle = _shapes(n, rng)

    m = n_stars.sum()
    star = star_fluxes(np.exp(rng.normal(np.log(4800.0), 0.22, m)).clip(2600.0, 15000.0))
    star_magnitude = _magnitudes(m, STAR_BRIGHT, STAR_GROWTH, rng)
    star *= 10.0 ** (0.4 * (22.5 - star_magnitude[:, None])) / star[:, R_BAND, None]
    point, round_ = np.zeros(m), np.ones(m)  # a disk without an extent

    image = np.concatenate([np.repeat(np.arange(n_images), k) for k in (n_galaxies, n_stars)])
    order = np.argsort(image, kind="stable")
    both = {
        "bulge": (bulge, np.zeros_like(star)),
        "disk": (disk, star),
        "r_bulge": (0.7 * radius, point),
        "r_disk": (radius, point),
        "q_bulge": (q_bulge, round_),
        "q_disk": (q_disk, round_),
        "angle": (angle, point),
    }
    sources = {name: np.concatenate(parts)[order] for name, parts in both.items()}
    x, y = _positions(n + m, half_width, rng)
    sources.update(x=x[order], y=y[order])
    return n_galaxies + n_stars, sources
