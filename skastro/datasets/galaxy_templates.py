"""Analytic spectra of galaxies and stars, and their fluxes through the bands of a survey.

Smooth formulas with the features that tell a redshift: the break at 4000 A, the Balmer break, emission
lines. Their constants are tuned so that colours of red and of blue galaxies against redshift are near
those of the Sloan Digital Sky Survey.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import expit

__all__ = ["BANDS", "TEMPLATES", "band_fluxes", "spectra", "star_fluxes", "throughput"]

TEMPLATES = ("old", "intermediate", "young", "dusty young")
PIVOT = 5500.0  # where spectra are 1 [A]
MAX_REDSHIFT = 1.0  # of the table of fluxes
# Edges at half of the maximum and their widths [A]; A(band) / E(B-V) of Schlafly & Finkbeiner (2011)
BANDS = {
    "u": (3230.0, 3860.0, 70.0, 4.239),
    "g": (3960.0, 5410.0, 60.0, 3.303),
    "r": (5470.0, 6870.0, 45.0, 2.285),
    "i": (6740.0, 8250.0, 60.0, 1.698),
    "z": (8260.0, 9750.0, 130.0, 1.263),
}
# Absorption of the old stars: centre and deviation [A], depth
_ABSORPTION = (
    (3950.0, 35.0, 0.25), (4303.0, 60.0, 0.40), (5180.0, 90.0, 0.25), (5893.0, 30.0, 0.06),
)  # fmt: skip
# Emission of the young ones: wavelength and equivalent width [A]
_EMISSION = (
    (3728.5, 45.0), (4862.7, 14.0), (4960.3, 12.0), (5008.2, 36.0), (6564.6, 90.0), (6725.0, 32.0),
)  # fmt: skip
_LINE_SIGMA = 6.0  # [A]


def _step(wavelength, at, width):
    return expit((wavelength - at) / width)


def _blackbody(wavelength, temperature):
    """Per unit wavelength, up to a factor."""
    return wavelength**-5 / np.expm1(1.43877e8 / (wavelength * temperature))


def _old(wavelength):
    flux = _blackbody(wavelength, 5330.0) * (1.0 + 0.44 * _step(wavelength, 7600.0, 600.0))
    flux *= 0.47 + 0.53 * _step(wavelength, 4004.0, 40.0)
    flux *= 0.70 + 0.30 * _step(wavelength, 3056.0, 60.0)
    for centre, sigma, depth in _ABSORPTION:
        flux *= 1.0 - depth * np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
    return flux


def _intermediate(wavelength):
    flux = _blackbody(wavelength, 5700.0) * (1.0 + 0.20 * _step(wavelength, 7600.0, 600.0))
    return flux * (0.85 + 0.15 * _step(wavelength, 3760.0, 60.0))


def _young(wavelength):
    flux = (wavelength / PIVOT) ** -1.4 * (0.46 + 0.54 * _step(wavelength, 3680.0, 50.0))
    lines = np.zeros_like(flux)
    for centre, width in _EMISSION:
        line = np.exp(-0.5 * ((wavelength - centre) / _LINE_SIGMA) ** 2)
        lines += width * line / (_LINE_SIGMA * np.sqrt(2.0 * np.pi))
    return flux * (1.0 + lines)


def _dust(wavelength):
    """One magnitude of dust at the pivot, optical depth falling as the power -0.7."""
    return 10.0 ** (-0.4 * (wavelength / PIVOT) ** -0.7)


def spectra(wavelength):
    """Flux per unit wavelength of the templates at rest, 1 at 5500 A, shape (4, ...)."""
    wavelength = np.asarray(wavelength, dtype=float)

    def normal(function):
        return function(wavelength) / function(np.array(PIVOT))

    old, intermediate, young = map(normal, (_old, _intermediate, _young))
    return np.stack([old, intermediate, young, young * normal(_dust)])


def throughput(wavelength, band):
    """Share of the photons of a wavelength [A] that a band counts, up to a factor."""
    low, high, width, _ = BANDS[band]
    return _step(wavelength, low, width) * _step(high, wavelength, width)


def _ab_fluxes(wavelength, flux):
    """Photons through each band over those of a source of constant flux per frequency, (..., n_bands).

    That source has, at the pivot, the flux per wavelength 1.
    """
    steps = np.gradient(wavelength)
    found = []
    for band in BANDS:
        weight = throughput(wavelength, band) * steps
        # constant per frequency is falling as the square per wavelength
        reference = PIVOT**2 * (weight / wavelength).sum()
        found.append((flux * (weight * wavelength)).sum(-1) / reference)
    return np.stack(found, axis=-1)


_WAVELENGTH = np.arange(2700.0, 11500.0, 4.0)  # observed [A]


@cache
def _redshift_table():
    redshift = np.linspace(0.0, MAX_REDSHIFT, 401)
    table = np.empty((len(redshift), len(TEMPLATES), len(BANDS)))
    for row, z in zip(table, redshift, strict=True):
        row[:] = _ab_fluxes(_WAVELENGTH, spectra(_WAVELENGTH / (1.0 + z)) / (1.0 + z))
    return redshift, table


@cache
def _temperature_table():
    temperature = np.geomspace(2500.0, 20000.0, 200)
    flux = _blackbody(_WAVELENGTH, temperature[:, None])
    return temperature, _ab_fluxes(_WAVELENGTH, flux / flux[:, :1])


def _between_nodes(x, nodes, table):
    """Linear interpolation of a table along its first axis, at nodes in order."""
    i = np.clip(np.searchsorted(nodes, x) - 1, 0, len(nodes) - 2)
    share = (x - nodes[i]) / (nodes[i + 1] - nodes[i])
    share = share.reshape(share.shape + (1,) * (table.ndim - 1))
    return (1.0 - share) * table[i] + share * table[i + 1]


def band_fluxes(redshift):
    """Flux of each template through each band of BANDS, (n, 4, 5), for the same one at rest.

    Without the dimming by distance, of which only the stretching of the spectrum is in it.
    """
    return _between_nodes(redshift, *_redshift_table())


def star_fluxes(temperature):
    """Flux of blackbodies through each band of BANDS, (n, 5), up to a factor for each."""
    return _between_nodes(temperature, *_temperature_table())
