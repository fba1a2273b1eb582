"""What a picture knows of a cube: numbers, unit, velocities."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from skastro.datasets import load_ngc4047
from skastro.displays.reading import see_cube

VALUES = np.arange(24.0).reshape(2, 3, 4)


def test_an_array_knows_its_channels_alone():
    seen = see_cube(VALUES)
    np.testing.assert_array_equal(seen.values, VALUES)
    assert seen.unit is None and seen.velocity_label == "channel"
    assert seen.velocity.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "velocity, label, first",
    [
        ([5.0, 6.0, 7.0, 8.0], "velocity [km/s]", 5.0),
        ([5.0, 6.0, 7.0, 8.0] * u.m / u.s, "velocity [m/s]", 5.0),
        ([5.0, 6.0, 7.0, 8.0] * u.GHz, "spectral axis [GHz]", 5.0),
    ],
)
def test_velocities_that_are_given(velocity, label, first):
    seen = see_cube(VALUES * u.Jy / u.beam, velocity=velocity)
    assert seen.unit == "Jy/beam" and seen.velocity_label == label
    assert seen.velocity[0] == first


def test_a_file_brings_its_own():
    galaxy = load_ngc4047()
    seen = see_cube(galaxy.path)
    np.testing.assert_array_equal(seen.values, galaxy.cube)
    np.testing.assert_allclose(seen.velocity, galaxy.velocity)
    assert seen.velocity_label == "velocity [km/s]" and seen.unit == "Jy/beam"


def test_an_hdu_in_frequency():
    header = fits.Header({"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRVAL3": 1e11, "CDELT3": 1e6})
    header["CRPIX3"] = 1.0
    seen = see_cube(fits.PrimaryHDU(np.moveaxis(VALUES, -1, 0), header))
    assert seen.velocity_label == "spectral axis [Hz]"
    np.testing.assert_allclose(seen.velocity, 1e11 + 1e6 * np.arange(4))


def test_what_is_no_cube():
    with pytest.raises(ValueError, match=r"estimate has shape \(3, 4\); expected \(n_y, n_x"):
        see_cube(VALUES[0], "estimate")
    with pytest.raises(ValueError, match=r"velocity has shape \(3,\); expected \(4,\)"):
        see_cube(VALUES, velocity=[1.0, 2.0, 3.0])
