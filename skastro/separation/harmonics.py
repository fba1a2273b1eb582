"""Spherical harmonics of HEALPix maps, in bands of degrees: what `Rings` are to maps of the plane."""

import numpy as np
import torch

from skastro.constants import Constants
from skastro.healpix import nested_of_ring, ring_layout
from skastro.separation.spectra import Bands, ring_edges

__all__ = ["Degrees", "SphericalHarmonics", "legendre"]

REFINED = 2  # times that an analysis is refined by what it has left


def legendre(max_degree, z):
    r"""Normalised associated Legendre functions, by recurrence in the degree.

    :math:`Y_{lm} = \bar P_{lm}(z)\\, e^{i m \phi}` are orthonormal, with the Condon-Shortley phase.

    Parameters
    ----------
    max_degree : int
    z : ndarray of shape (n,)
        Cosine of the polar angle.

    Returns
    -------
    values : ndarray of shape (max_degree + 1, max_degree + 1, n)
        By order m, degree l; 0 where l < m.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation.harmonics import legendre
    >>> bool(np.isclose(legendre(1, np.array([0.5]))[0, 1, 0], np.sqrt(3 / np.pi) / 4))
    True
    """
    m = np.arange(max_degree + 1.0)[:, None]
    values = np.zeros((max_degree + 1, max_degree + 1, len(z)))
    sine = np.sqrt((1.0 - z) * (1.0 + z))
    diagonal = np.full(len(z), np.sqrt(0.25 / np.pi))
    for degree in range(max_degree + 1):
        low = m[:degree]
        a = np.sqrt((4.0 * degree**2 - 1.0) / (degree**2 - low**2))
        if degree:
            values[:degree, degree] = a * z * values[:degree, degree - 1]
        if degree > 1:
            b = np.sqrt(
                np.maximum((degree - 1.0) ** 2 - low**2, 0.0) / (4.0 * (degree - 1.0) ** 2 - 1.0)
            )
            values[:degree, degree] -= a * b * values[:degree, degree - 2]
        values[degree, degree] = diagonal
        diagonal = -diagonal * sine * np.sqrt((2.0 * degree + 3.0) / (2.0 * degree + 2.0))
    return values


class SphericalHarmonics(Constants):
    r"""Real spherical harmonics of HEALPix maps, as sums that torch differentiates.

    The modes of white noise of variance 1 have variance 1: their base is :math:`\sqrt{4\pi / N}` times
    the orthonormal harmonics, and over N pixels orthonormal itself but for the error of the quadrature.

    Parameters
    ----------
    nside : int
    max_degree : int
        At most 3 nside - 1. Up to 2 nside the pixels tell the harmonics apart well.
    order : {"ring", "nested"}, default="ring"
        Of the pixels.

    Attributes
    ----------
    degree : ndarray of int of shape (n_modes,)
        Of each mode, (max_degree + 1)^2 of them.
    order_of_mode : ndarray of int of shape (n_modes,)
        m, negative for those with sin(m phi).

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.harmonics import SphericalHarmonics
    >>> harmonics = SphericalHarmonics(8, 16)
    >>> modes = torch.randn(2, 17**2, generator=torch.Generator().manual_seed(0))
    >>> maps = harmonics.synthesis(modes)
    >>> maps.shape, bool((harmonics.analysis(maps) - modes).abs().max() < 1e-3)
    (torch.Size([2, 768]), True)
    """

    def __init__(self, nside, max_degree, order="ring"):
        super().__init__()
        self.nside, self.max_degree = nside, max_degree
        self.n_pixels, count = 12 * nside**2, max_degree + 1
        z, starts, sizes, first = ring_layout(nside)
        table = legendre(max_degree, z) * np.sqrt(4 * np.pi / self.n_pixels)
        table[1:] *= np.sqrt(2.0)
        self.keep("legendre", table)
        # rings side by side, as long as the longest
        place = np.arange(4 * nside)
        there = place < sizes[:, None]
        phase = (first[:, None] + 2 * np.pi * place / sizes[:, None])[:, None] * np.arange(count)[
            :, None
        ]
        waves = np.concatenate([np.cos(phase), np.sin(phase)], 1) * there[:, None]
        self.keep("waves", waves)
        pixel = np.where(there, starts[:, None] + place, 0)
        position = np.flatnonzero(there.ravel())
        if order == "nested":
            ring = nested_of_ring(nside)
            pixel = ring[pixel]
            nested = np.empty_like(position)
            nested[ring] = position
            position = nested
        self.keep("pixel", pixel.ravel())
        self.keep("position", position)
        # modes in the table of order, degree, and cosine or sine
        m, degree, sine = np.indices((count, count, 2)).reshape(3, -1)
        used = np.flatnonzero((degree >= m) & ((m > 0) | (sine == 0)))
        self.keep("used", used)
        self.degree = degree[used]
        self.order_of_mode = np.where(sine[used], -m[used], m[used])

    def synthesis(self, modes):
        """Maps (..., n_pixels) of modes (..., n_modes)."""
        lead, count = modes.shape[:-1], self.max_degree + 1
        modes = modes.reshape(-1, modes.shape[-1]).mT
        table = modes.new_zeros(2 * count**2, modes.shape[1])
        table = table.index_copy(0, self.get("used", modes), modes)
        rings = torch.bmm(self.get("legendre", modes).mT, table.view(count, count, -1))
        rings = rings.unflatten(2, (2, -1)).permute(1, 2, 0, 3).flatten(1, 2)
        pixels = torch.bmm(self.get("waves", modes).mT, rings).flatten(0, 1)
        return pixels.index_select(0, self.get("position", modes)).mT.reshape(*lead, -1)

    def adjoint(self, maps):
        """Products (..., n_modes) of maps with the base: nearly the modes."""
        lead, count = maps.shape[:-1], self.max_degree + 1
        maps = maps.reshape(-1, self.n_pixels).mT
        rings = maps.index_select(0, self.get("pixel", maps)).unflatten(0, (-1, 4 * self.nside))
        rings = torch.bmm(self.get("waves", maps), rings)
        rings = rings.unflatten(1, (2, count)).permute(2, 0, 1, 3).flatten(2)
        modes = torch.bmm(self.get("legendre", maps), rings).view(2 * count**2, -1)
        return modes.index_select(0, self.get("used", maps)).mT.reshape(*lead, -1)

    def analysis(self, maps):
        """Modes (..., n_modes) of maps, nearly by least squares."""
        modes = self.adjoint(maps)
        for _ in range(REFINED):
            modes = modes + self.adjoint(maps - self.synthesis(modes))
        return modes


class Degrees(Bands):
    """Bands of degrees of spherical harmonics, with the interface of `Rings`.

    Parameters
    ----------
    harmonics : SphericalHarmonics
    growing : bool, default=False
        False: a band for each degree from 1. True: 1, 2, 4 and 8 degrees wide from 0, 16, 32 and 64 on.

    Attributes
    ----------
    wavenumbers : ndarray of shape (n_bands,)
        Mean degree.
    counts : ndarray of shape (n_bands,)
        Modes in each band.
    labels : ndarray of int of shape (n_modes,)
        Band of each mode; -1 for the mean of a map.
    share : float
        Modes over pixels.

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.harmonics import Degrees, SphericalHarmonics
    >>> degrees = Degrees(SphericalHarmonics(8, 16))
    >>> x = torch.randn(200, 768, generator=torch.Generator().manual_seed(0))
    >>> bool((degrees.power(x).mean(0) - 1).abs().max() < 0.2)
    True
    """

    def __init__(self, harmonics, growing=False):
        super().__init__()
        self.harmonics = harmonics
        degree = harmonics.degree
        edges = ring_edges(harmonics.max_degree + 1, growing)
        self.labels = np.searchsorted(edges, degree, side="right") - 1
        inside = self.labels >= 0
        self.counts = np.bincount(self.labels[inside]).astype(float)
        self.wavenumbers = np.bincount(self.labels[inside], degree[inside]) / self.counts
        self.share = len(degree) / harmonics.n_pixels
        self.keep("index", self.labels.clip(0))
        self.keep("weight", np.where(inside, 1.0 / self.counts[self.labels], 0.0))
        self.keep("inside", inside.astype(float))
        self.keep("radius", degree.astype(float))

    def power(self, maps, others=None):
        """Mean power (..., n_bands) of maps (..., n_pixels), or the cross spectrum of two."""
        one = self.harmonics.analysis(maps)
        two = one if others is None else self.harmonics.analysis(others)
        return self._mean(one * two)

    def spread(self, values):
        """Values (..., n_bands) of each mode, 0 for the mean of a map."""
        return values[..., self.get("index", values)] * self.get("inside", values)

    def filter(self, maps, gain):
        """Maps with their modes multiplied by a gain (..., n_modes)."""
        return self.harmonics.synthesis(self.harmonics.analysis(maps) * gain)

    def phases(self, maps):
        """Modes of maps, with power 1 in each band."""
        modes = self.harmonics.analysis(maps)
        return modes / self.spread(self._mean(modes.square())).sqrt().clamp_min(1e-30)

    def synthesis(self, modes):
        """Maps of modes (..., n_modes)."""
        return self.harmonics.synthesis(modes)

    def _mean(self, power):
        empty = power.new_zeros(*power.shape[:-1], len(self.counts))
        return empty.index_add(-1, self.get("index", power), power * self.get("weight", power))
