"""HEALPix pixels as the wavelets of the sphere need them: where they are, and which are near."""

from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from skastro.healpix import check_nside, require_healpix
from skastro.scattering.sphere_transport import turn

__all__ = [
    "Neighbours",
    "from_quadrants",
    "pixel_size",
    "pixel_vectors",
    "to_quadrants",
]

QUADRANTS = 4  # turns about the axis that HEALPix does not notice
KEPT = 16  # lists of neighbours
BLOCK = 2**14  # pixels whose neighbours are looked for together


def pixel_size(nside):
    """Side of a square of the area of a pixel, radians."""
    return float(np.sqrt(np.pi / 3.0) / nside)


def pixel_vectors(nside):
    """Unit vectors to the centres of all pixels, nested: (12 nside^2, 3)."""
    healpix = require_healpix()
    lon, lat = healpix.healpix_to_lonlat(np.arange(12 * nside**2), nside, order="nested")
    lon, lat = lon.to_value("rad"), lat.to_value("rad")
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)


def to_quadrants(maps):
    """Nested maps (n, 12 nside^2) as (3 nside^2, n, 4), the quadrants of longitude last.

    A turn by 90 degrees about the axis is a roll of the last axis; the children of a coarser pixel are
    four rows in a row.
    """
    n, n_pixels = maps.shape
    return maps.reshape(n, 3, QUADRANTS, n_pixels // 12).permute(1, 3, 0, 2).flatten(0, 1)


def from_quadrants(fields):
    """The inverse of `to_quadrants`."""
    rows, n, _ = fields.shape
    return fields.reshape(3, rows // 3, n, QUADRANTS).permute(2, 0, 3, 1).reshape(n, -1)


class Neighbours:
    """Pixels near each of those of the first quadrant, in the order of `to_quadrants`.

    Parameters
    ----------
    nside : int
    radius : float
        How far, in pixel sizes.

    Attributes
    ----------
    index : ndarray of int32 of shape (3 nside^2, K)
        quadrant * 3 nside^2 + row; where there are fewer than K, the pixel itself.
    missing : ndarray of bool of the same shape
        Those that only fill up.

    Examples
    --------
    >>> from skastro.scattering.sphere_grid import Neighbours
    >>> near = Neighbours.of(8, 1.5)
    >>> near.index.shape
    (192, 9)
    """

    def __init__(self, nside, radius):
        self.nside, self.radius = check_nside(nside), radius
        vectors = pixel_vectors(nside)
        face, within = np.divmod(np.arange(len(vectors)), nside**2)
        rows = 3 * nside**2
        place = (face % QUADRANTS) * rows + face // QUADRANTS * nside**2 + within
        # in the order of the rows
        self.vectors = np.empty_like(vectors)
        self.vectors[place] = vectors
        chord = 2.0 * np.sin(0.5 * min(radius * pixel_size(nside), np.pi))
        most = min(len(vectors), int(np.pi * (radius + 1.0) ** 2) + 8)
        tree = cKDTree(self.vectors)
        index = np.empty((rows, most), np.int32)
        for start in range(0, rows, BLOCK):
            part = slice(start, min(start + BLOCK, rows))
            # the last bits of a distance must not decide what belongs to a stencil
            index[part] = tree.query(self.vectors[part], most, distance_upper_bound=chord + 1e-9)[1]
        count = (index < len(vectors)).sum(1).max()
        if count == most < len(vectors):
            raise RuntimeError(f"more than {most} neighbours within {radius} pixels")
        self.missing = index[:, :count] == len(vectors)
        own = np.arange(rows, dtype=np.int32)[:, None]
        self.index = np.where(self.missing, own, index[:, :count])

    @classmethod
    def of(cls, nside, radius):
        """The neighbours, found once."""
        return _kept(nside, float(radius))

    def polar(self, rows):
        """Distances and bearings of the neighbours of some rows.

        Parameters
        ----------
        rows : slice

        Returns
        -------
        distance : ndarray of shape (n_rows, K)
            Along the great circle, in pixel sizes.
        bearing : ndarray of shape (n_rows, K)
            From the north towards the east, radians.
        """
        centre = self.vectors[: len(self.index)][rows]
        x, y, z = centre.T
        ring = np.hypot(x, y)
        east = np.stack([-y / ring, x / ring, np.zeros_like(x)], 1)
        north = np.stack([-z * x / ring, -z * y / ring, ring], 1)
        frame = np.stack([east, north, centre], 2)
        east, north, up = np.moveaxis(self.vectors[self.index[rows]] @ frame, 2, 0)
        distance = np.arctan2(np.hypot(east, north), up) / pixel_size(self.nside)
        return distance, np.arctan2(east, north)

    def turns(self, rows):
        """By how much the north turns on the way to the neighbours of some rows, as of `turn`."""
        return turn(self.vectors[: len(self.index)][rows], self.vectors[self.index[rows]])


@lru_cache(maxsize=KEPT)
def _kept(nside, radius):
    return Neighbours(nside, radius)
