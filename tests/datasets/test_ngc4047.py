"""The bundled cube: axes, blanks and coordinates against the file read in another way."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from skastro.datasets import load_ngc4047


@pytest.fixture(scope="module")
def galaxy():
    return load_ngc4047()


def test_values_are_those_of_the_file(galaxy):
    """Read as bytes: big-endian float32 after the header's blocks, Stokes x velocity x y x x."""
    content = gzip.decompress(Path(galaxy.path).read_bytes())
    count = 44 * 128 * 128
    end = next(i for i in range(0, len(content), 80) if content[i : i + 80].rstrip() == b"END")
    start = 2880 * (end // 2880 + 1)
    stored = np.frombuffer(content, ">f4", count, start).reshape(44, 128, 128)
    np.testing.assert_array_equal(galaxy.cube, stored.transpose(1, 2, 0))
    assert galaxy.cube.dtype == np.dtype("float32") and galaxy.cube.dtype.isnative
    assert galaxy.cube.flags.c_contiguous


def test_blanks_and_noise(galaxy):
    blank = np.isnan(galaxy.cube)
    assert abs(blank.mean() - 0.37) < 0.01
    valid = galaxy.cube[~blank]
    mad = 1.4826 * np.median(np.abs(valid - np.median(valid)))
    assert abs(mad - 0.019) < 0.002


def test_coordinates(galaxy):
    np.testing.assert_allclose(galaxy.velocity, 2980.0 + 20.0 * np.arange(44))
    # the reference pixel of the header, and one step to the north and in velocity
    ra, dec, v = galaxy.wcs.pixel_to_world_values([64, 64], [64, 65], [0, 1])
    np.testing.assert_allclose(ra, 180.71125, atol=1e-4)
    np.testing.assert_allclose(np.diff(dec) * 3600, 1.0, rtol=1e-4)
    np.testing.assert_allclose(v, [2.98e6, 3.0e6])
    assert galaxy.header["OBJECT"] == "NGC4047" and galaxy.header["BUNIT"] == "JY/BEAM"
    assert galaxy.unit == "Jy / beam" and abs(galaxy.beam_fwhm - 7.0) < 1e-3


def test_the_line_of_the_galaxy_is_at_its_systemic_velocity(galaxy):
    """NGC 4047 recedes at about 3,400 km/s."""
    spectrum = np.nansum(galaxy.cube[44:84, 44:84], axis=(0, 1))
    centre = np.average(galaxy.velocity, weights=np.clip(spectrum, 0, None))
    assert abs(centre - 3400) < 60


def test_provenance_is_recorded(galaxy):
    readme = (Path(galaxy.path).parent / "README.md").read_text()
    assert Path(galaxy.path).name in readme and "Copyright (c) 2020, tonywong94" in readme
    assert "BSD-3" in galaxy.DESCR
