"""HEALPix maps as users give them: orders against healpy's, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from scipy.sparse import csr_array

from skastro.healpix import (
    check_nside,
    check_sphere_maps,
    nested_of_ring,
    require_healpix,
    ring_of_nested,
)


def test_orders_are_those_of_healpy():
    with np.load(Path(__file__).parent / "data" / "healpy" / "reference.npz") as file:
        expected = file["nested_of_ring"]
    np.testing.assert_array_equal(nested_of_ring(8), expected)
    np.testing.assert_array_equal(ring_of_nested(8)[expected], np.arange(768))


@pytest.mark.parametrize("nside", [0, 3, -4, 2.0, True, "8", 2**14])
def test_nside_is_a_power_of_two(nside):
    with pytest.raises(ValueError, match="expected a power of 2 up to 8192"):
        check_nside(nside)


def test_without_the_extra_everything_imports_and_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "astropy_healpix", None)
    with pytest.raises(ImportError, match=r"pip install 'skastro\[sphere\]'"):
        require_healpix()
    code = (
        "import sys; sys.modules['astropy_healpix'] = None\n"
        "import skastro.scattering, skastro.datasets\n"
        "print(skastro.datasets.make_sphere_fields(1, 4, random_state=0).maps.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "(1, 192)\n", done.stderr


def test_maps_come_back_as_they_are():
    maps = np.arange(96.0, dtype=">f4").reshape(2, 48)
    found, unit = check_sphere_maps(maps)
    assert found.shape == (2, 1, 48) and found.dtype == np.dtype("f4") and unit is None
    assert np.shares_memory(check_sphere_maps(found)[0], found)
    found, unit = check_sphere_maps(maps * u.K, unit="mK")
    assert unit == "mK" and found[0, 0, 1] == 1000
    assert check_sphere_maps(np.arange(48)[None])[0].dtype == np.float64
    hidden = np.ma.MaskedArray(maps, maps == 3)
    valid = np.arange(48) != 3
    np.testing.assert_array_equal(check_sphere_maps(hidden, valid=valid)[0][:, 0], maps)
    blank = np.where(valid, maps, np.nan)
    assert np.isnan(check_sphere_maps(blank, valid=valid)[0][0, 0, 3])


@pytest.mark.parametrize(
    "X, message",
    [
        (np.ones(48), r"X has shape \(48,\).*for a single map give X\[None\]"),
        (np.ones((0, 48)), r"X has shape \(0, 48\)"),
        (np.ones((1, 1, 1, 48)), r"X has shape \(1, 1, 1, 48\)"),
        (np.ones((2, 47)), "X has maps of 47 pixels; expected 12 nside"),
        (np.ones((2, 108)), "X has maps of 108 pixels"),
        (np.ones((2, 3)), "X has maps of 3 pixels"),
        (1j * np.ones((2, 48)), "Complex data not supported"),
        ([["a"] * 48], "X has dtype"),
        ([[1.0], [1.0, 2.0]], "X has maps of different shapes"),
        (np.ones((2, 48)), "X has a constant map, number 0, channel 0, at 1"),
        (np.where(np.eye(2, 48) > 0, np.nan, 1.0), "X has nan in map 0, channel 0, pixel 0"),
        (np.where(np.eye(2, 48) > 0, np.inf, 1.0), "X has inf in map 0"),
        (
            np.ma.MaskedArray(np.eye(2, 48), np.eye(2, 48, 5) > 0),
            "X has a masked value in map 0, channel 0, pixel 5; .*a mask of the blank pixels",
        ),
        (np.eye(2, 48) * u.K, "X has unit 'K'; expected one convertible to 'm'"),
        (np.eye(2, 192), "X has maps of 192 pixels; expected 48, as in fit"),
        (np.zeros((2, 3, 48)), r"X has 3 channel\(s\); expected 1, as in fit"),
    ],
)
def test_bad_maps(X, message):
    expected = {"n_pixels": 48, "n_channels": 1} if "as in fit" in message else {}
    expected |= {"unit": "m"} if hasattr(X, "unit") else {}
    with pytest.raises(ValueError, match=message):
        check_sphere_maps(X, **expected)


def test_what_counts_must_be_finite_and_vary():
    valid = np.arange(48) < 24
    maps = np.eye(2, 48)
    with pytest.raises(ValueError, match="channel 0, pixel 7; .*that the mask hides them"):
        check_sphere_maps(np.where(np.arange(48) == 7, np.nan, maps), valid=valid)
    with pytest.raises(ValueError, match="constant map, number 1"):
        check_sphere_maps(np.stack([maps[0], np.arange(48.0) >= 24]), valid=valid)
    with pytest.raises(TypeError, match="Sparse data"):
        check_sphere_maps(csr_array(maps))
