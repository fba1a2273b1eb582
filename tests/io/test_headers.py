"""The axes of a header are found wherever they are, and its unit is understood."""

import itertools

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from fits_cubes import CUBE, cards, make_hdu, same, stored

from skastro.io import read_cube


@pytest.mark.parametrize(
    "name", ["FREQ", "VELO", "VRAD", "VOPT", "WAVE", "AWAV", "ENER", "ZOPT", "VELO-LSR", "FELO-HEL",
             "VELOCITY", "freq", "CHANNEL", ""]
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_names_of_the_spectral_axis(name, first):
    order = "vyx" if first else "yxv"
    hdu = make_hdu(order)
    axis = 3 if first else 1
    hdu.header[f"CTYPE{axis}"] = name
    del hdu.header[f"CUNIT{axis}"]
    cube = read_cube(hdu)
    same(cube.values)
    if name in ("", "CHANNEL"):
        assert cube.spectral_axis is None
    else:
        np.testing.assert_allclose(cube.spectral_axis.value, -3 + 0.5 * np.arange(7), atol=1e-6)


def test_without_names_the_first_axis_of_numpy_is_spectral():
    cube = read_cube(fits.ImageHDU(stored()))
    same(cube.values)
    assert (cube.unit, cube.spectral_axis) == (None, None)
    same(read_cube(fits.ImageHDU(stored()[None])).values)


def test_rotated_axes_keep_their_spectral_axis():
    hdu = make_hdu()
    hdu.header.update({"PC1_2": 0.3, "PC2_1": -0.3})
    np.testing.assert_allclose(read_cube(hdu).spectral_axis.value, -3 + 0.5 * np.arange(7))


@pytest.mark.parametrize(
    "text, unit",
    [
        ("K", u.K), ("K       ", u.K), ("Jy/beam", u.Jy / u.beam), ("JY/BEAM ", u.Jy / u.beam),
        ("jy/beam", u.Jy / u.beam), ("Jy beam-1", u.Jy / u.beam), ("K (Tmb)", u.K),
        ("erg/s/cm2/Angstrom", u.Unit("erg/s/cm2/Angstrom")), ("", None), ("   ", None),
        ("MJY/BEAM", "MJY/BEAM"), ("counts per dump", "counts per dump"),
        (5, u.Unit(5)),
    ],
)  # fmt: skip
def test_units_of_the_header(text, unit):
    cube = read_cube(make_hdu(BUNIT=text))
    assert cube.unit == unit
    assert str(cube.wrap(CUBE).header["BUNIT"]) == str(text).strip()


def test_a_unit_without_quotes(tmp_path):
    path = tmp_path / "a.fits"
    make_hdu().writeto(path)
    content = path.read_bytes()
    broken = content.replace(b"BUNIT   = 'K       '", b"BUNIT   = K / BRIGHT")
    assert broken != content
    path.write_bytes(broken)
    with fits.open(path) as hdus:
        for source in (path, hdus, hdus[0]):
            assert read_cube(source).unit == u.K


def test_a_header_without_unit():
    hdu = make_hdu()
    del hdu.header["BUNIT"]
    cube = read_cube(hdu)
    assert cube.unit is None and "BUNIT" not in cube.wrap(CUBE).header


def test_several_stokes_planes():
    hdu = fits.PrimaryHDU(np.stack([stored()] * 4), cards("svyx"))
    with pytest.raises(
        ValueError, match="^source has a Stokes axis of length 4; expected one plane"
    ):
        read_cube(hdu)
    image = fits.PrimaryHDU(CUBE[None, 0], cards("syx"))
    with pytest.raises(ValueError, match=r"^source has axes .*STOKES.*; expected a spectral axis"):
        read_cube(image)


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("vyx")])
def test_the_spectral_axis_is_found_wherever_it_is(order, tmp_path):
    if order.index("y") > order.index("x"):
        expected = CUBE.transpose(1, 0, 2)  # what comes first in the file is called y
    else:
        expected = CUBE
    make_hdu(order).writeto(tmp_path / "a.fits")
    for source in (make_hdu(order), tmp_path / "a.fits"):
        cube = read_cube(source)
        same(cube.values, expected)
        same(cube.block(slice(1, 3)), expected[1:3])
        np.testing.assert_allclose(cube.spectral_axis, (-3 + 0.5 * np.arange(7)) * u.km / u.s)
        assert cube.spectral_axis.unit == u.km / u.s
        same(cube.wrap(expected).data, stored(order=order))


@pytest.mark.parametrize("order", ["svyx", "vsyx", "vyxs", "yxvs", "yxsv", "syxv"])
def test_a_stokes_axis_is_squeezed_and_restored(order, tmp_path):
    make_hdu(order).writeto(tmp_path / "a.fits")
    for source in (make_hdu(order), tmp_path / "a.fits"):
        cube = read_cube(source)
        same(cube.values)
        same(cube.block(slice(2, None)), CUBE[2:])
        wrapped = cube.wrap(cube.block())
        same(wrapped.data, stored(order=order))
        assert wrapped.header["CTYPE*"] == cards(order)["CTYPE*"]
