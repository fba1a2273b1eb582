"""Orientations carried along great circles: against rotations of space, and what they leave unchanged."""

import numpy as np
import pytest
import torch
from scattering_peers import noise
from sphere_by_hand import coarser, degraded_moduli, healpy_vectors, turns

from skastro.scattering.sphere_grid import Neighbours, from_quadrants, to_quadrants
from skastro.scattering.sphere_transport import from_harmonics, over_neighbours, to_harmonics, turn
from skastro.scattering.sphere_wavelets import Level


def wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def test_turns_are_those_of_rotations_of_space():
    vectors = healpy_vectors()
    centres = vectors[[0, 63, 200, 400, 767]]
    found = turn(centres, np.broadcast_to(vectors, (5, *vectors.shape)))
    # what is opposite has no great circle of its own
    near = centres @ vectors.T > -0.99
    np.testing.assert_allclose(wrapped(found - turns(centres, vectors))[near], 0, atol=1e-9)
    assert (found[np.arange(5), [0, 63, 200, 400, 767]] == 0).all()


def test_there_and_back_turns_by_nothing():
    near = Neighbours.of(8, 3.5)
    there = near.turns(slice(0, 50))
    back = turn(
        near.vectors[near.index[:50]].reshape(-1, 3), np.repeat(near.vectors[:50], 41, 0)[:, None]
    )
    np.testing.assert_allclose(wrapped(there.ravel() + back[:, 0]), 0, atol=1e-9)


@pytest.mark.parametrize("n_orientations", [1, 2, 3, 4, 5])
def test_harmonics_and_back(n_orientations):
    U = noise(6, n_orientations, 2, 4)
    torch.testing.assert_close(from_harmonics(to_harmonics(U)), U)
    moved = to_harmonics(U).movedim(1, 2)
    torch.testing.assert_close(from_harmonics(moved, 2), U.movedim(1, 2))


@pytest.mark.parametrize("n_orientations", [3, 4])
def test_a_turn_by_one_orientation_exchanges_them(n_orientations):
    U = noise(6, n_orientations, 2, 4)
    angle = np.pi / n_orientations

    def sums(fields, part, order):
        return (fields * (np.cos, np.sin)[part](2 * order * angle))[:, None]

    turned = from_harmonics(over_neighbours(to_harmonics(U), sums).squeeze(1))
    torch.testing.assert_close(turned, U.roll(-1, 1))


@pytest.mark.parametrize("n_orientations", [1, 2, 3, 4])
def test_degraded_moduli_by_brute_force(n_orientations):
    fine = healpy_vectors()
    U = noise(n_orientations, 768)
    fields = to_harmonics(to_quadrants(U).unsqueeze(2))
    found = from_harmonics(Level(8, n_orientations).degrade_moduli(fields))
    expected = degraded_moduli(fine, coarser(fine), U.numpy())
    np.testing.assert_allclose(from_quadrants(found.squeeze(2)), expected, atol=1e-6)


def test_fine_grids_do_without(monkeypatch):
    """There the north hardly turns but beside the poles."""
    fields = to_harmonics(to_quadrants(noise(4, 12 * 32**2).abs()).unsqueeze(2))
    turned = Level(32, 4).wavelets_of_moduli(fields)
    monkeypatch.setattr("skastro.scattering.sphere_wavelets.TURNED", 16)
    plain = Level(32, 4).wavelets_of_moduli(fields)
    difference = (turned - plain).square().mean((1, 2, 3)).sqrt()
    height = Neighbours.of(32, 3.5).vectors[:, 2].reshape(4, -1).T
    typical = plain.square().mean().sqrt()
    equator, pole = np.abs(height) < 0.3, np.abs(height) > 0.98
    assert difference[torch.from_numpy(equator)].mean() < 0.05 * typical
    assert difference[torch.from_numpy(pole)].mean() > 0.3 * typical
