"""The noise map that cubes are divided by."""

import numpy as np
import pytest

from skastro.denoising.cube_blocks import known_noise
from skastro.denoising.noise import NoiseLevel


def level(values, n_channels):
    return NoiseLevel(values, np.ones(n_channels, np.float32), "sparse", np.ones(1, np.float32))


@pytest.mark.parametrize(("n_channels", "factor"), [(44, 3.0), (240, 2.0), (1000, 0.99)])
def test_short_spectra_ask_their_neighbours(n_channels, factor):
    rng = np.random.default_rng(0)
    values = np.exp(0.1 * rng.normal(size=(60, 60))).astype(np.float32)
    map_, spectrum = known_noise(level(values, n_channels))
    assert map_.shape == (60, 60, 1) and spectrum.shape == (n_channels,)
    assert np.std(values) / np.std(map_) > factor


def test_steps_between_tiles_stay():
    values = np.ones((20, 20), np.float32)
    values[:, 10:] = 1.4
    np.testing.assert_array_equal(known_noise(level(values, 44))[0][..., 0], values)


def test_unknown_noise_is_that_of_the_others():
    values = np.full((9, 9), 0.2, np.float32)
    values[3, 4] = np.nan
    values[0, 0] = 0.0
    np.testing.assert_allclose(known_noise(level(values, 1000))[0], 0.2)


def test_tables_are_left_as_they_are():
    values = np.array([1.0, 2.0, 1.0], np.float32)
    np.testing.assert_array_equal(known_noise(level(values, 44))[0][:, 0], values)
