"""Pixels of the sphere: places against healpy's, neighbours by brute force, angles against astropy's."""

import numpy as np
import pytest
import torch
from astropy.coordinates import angular_separation, position_angle
from sphere_by_hand import healpy_vectors

from skastro.scattering.sphere_grid import (
    Neighbours,
    from_quadrants,
    pixel_size,
    pixel_vectors,
    to_quadrants,
)


def test_centres_are_those_of_healpy():
    np.testing.assert_allclose(pixel_vectors(8), healpy_vectors(), atol=1e-15)


def test_quadrants_and_back():
    maps = torch.arange(2 * 768.0).reshape(2, 768)
    rows = to_quadrants(maps)
    assert rows.shape == (192, 2, 4)
    assert torch.equal(from_quadrants(rows), maps)


def test_a_roll_of_the_quadrants_is_a_turn_by_90_degrees():
    vectors = torch.from_numpy(pixel_vectors(8).T.copy())
    rolled = from_quadrants(to_quadrants(vectors).roll(1, 2))
    # what was at longitude phi is now at phi + 90 degrees
    x, y, z = vectors
    turned = torch.stack([y, -x, z])
    torch.testing.assert_close(rolled, turned, atol=1e-14, rtol=0)


def test_four_rows_are_the_children_of_a_coarser_pixel():
    rows = to_quadrants(torch.from_numpy(pixel_vectors(8).T.copy()))
    coarse = to_quadrants(torch.from_numpy(pixel_vectors(4).T.copy()))
    middle = rows.unflatten(0, (-1, 4)).mean(1)
    middle = middle / middle.norm(dim=1, keepdim=True)
    assert (middle - coarse).norm(dim=1).max() < 0.3 * pixel_size(4)


@pytest.mark.parametrize("radius", [1.5, 3.5])
def test_neighbours_by_brute_force(radius):
    near = Neighbours.of(8, radius)
    vectors = near.vectors
    for i in (0, 17, 63, 100, 191):
        angle = np.arccos(np.clip(vectors @ vectors[i], -1, 1)) / pixel_size(8)
        expected = np.flatnonzero(angle < radius)
        found = near.index[i][~near.missing[i]]
        assert sorted(found) == expected.tolist()
        assert (near.index[i][near.missing[i]] == i).all()
    assert Neighbours.of(8, radius) is near


def test_distances_and_bearings_are_those_of_astropy():
    near = Neighbours.of(8, 3.5)
    rows = slice(60, 70)
    distance, bearing = near.polar(rows)
    x, y, z = near.vectors.T
    lon, lat = np.arctan2(y, x), np.arcsin(z)
    here = np.arange(60, 70)[:, None]
    there = near.index[rows]
    pairs = lon[here], lat[here], lon[there], lat[there]
    np.testing.assert_allclose(distance * pixel_size(8), angular_separation(*pairs), atol=1e-12)
    away = distance > 1e-9
    expected = position_angle(*pairs).to_value("rad")
    turns = (bearing - expected)[away] / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-12)


def test_the_whole_sphere_may_be_near():
    near = Neighbours(1, 20.0)
    assert sorted(near.index[0]) == list(range(12)) and not near.missing.any()
