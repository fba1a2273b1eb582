import numpy as np
import pytest

from skastro.denoising.gaussian_clouds import group_components


def test_clouds_are_apart_in_velocity():
    velocity = [20.0, 1.0, 20.3, 0.8, 40.0]
    labels = group_components(np.ones(5), velocity, np.full(5, 0.5))
    assert labels.tolist() == [1, 0, 1, 0, 2]


def test_phases_are_apart_in_width():
    labels = group_components([1, 1, 1, 1], [5.0, 5.1, 4.9, 5.2], [1.0, 8.0, 1.1, 9.0])
    assert labels[0] == labels[2] != labels[1] == labels[3]


def test_maps_count_by_their_flux():
    velocity = np.array([[[1.0, 9.0]], [[1.0, np.nan]]])
    amplitude = np.array([[[2.0, 0.0]], [[1.0, np.nan]]])
    assert group_components(amplitude, velocity, np.ones((2, 1, 2))).tolist() == [0, 0]


def test_number_of_groups_and_distance():
    velocity = np.array([0.0, 1.0, 10.0, 12.0])
    arguments = np.ones(4), velocity, np.ones(4)
    assert group_components(*arguments, n_groups=2).tolist() == [0, 0, 1, 1]
    assert group_components(*arguments, n_groups=9).tolist() == [0, 1, 2, 3]
    assert group_components(*arguments, distance=100).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("amplitude, expected", [([0, 0], [-1, -1]), ([0, 2], [-1, 0])])
def test_without_flux(amplitude, expected):
    assert group_components(amplitude, [1.0, 2.0], [1.0, 1.0]).tolist() == expected


def test_unit_of_velocity_does_not_matter():
    rng = np.random.default_rng(0)
    amplitude, velocity, width = rng.uniform(1, 9, (3, 8))
    a = group_components(amplitude, velocity, width)
    assert (a == group_components(amplitude, 1e3 * velocity, 1e3 * width)).all()
