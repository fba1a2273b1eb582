"""The axes of a header are found wherever they are, and its unit is understood."""

import itertools

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from skastro.io import read_cube

CUBE = np.random.default_rng(0).normal(size=(4, 5, 7)).astype(np.float32)
CUBE[1, 2, 3] = np.nan
CUBE[3, :, :] = np.nan
AXES = {
    "v": ("VRAD", "km/s", 0.5, -3.0),
    "y": ("DEC--SIN", "deg", 1e-3, 48.6),
    "x": ("RA---SIN", "deg", -1e-3, 180.7),
    "s": ("STOKES", "", 1.0, 1.0),
}


def cards(order="vyx", **extra):
    """Header of a file whose axes are `order`, as numpy counts."""
    header = fits.Header()
    for i, axis in enumerate(reversed(order), 1):
        values = zip(("CTYPE", "CUNIT", "CDELT", "CRVAL"), AXES[axis], strict=True)
        header.update({f"{key}{i}": value for key, value in values})
        header[f"CRPIX{i}"] = 1.0
    header.update(
        {"BUNIT": "K", "BMAJ": 2e-3, "BMIN": 1e-3, "BPA": 30.0, "RESTFRQ": 1.15e11} | extra
    )
    header.add_history("observed with care")
    return header


def stored(cube=CUBE, order="vyx"):
    """The cube with its axes in another order, with a Stokes axis where there is an s."""
    return (
        np.einsum(f"yxvs->{order}", cube[..., None])
        if "s" in order
        else np.einsum(f"yxv->{order}", cube)
    )


def make_hdu(order="vyx", dtype=">f4", kind=fits.PrimaryHDU, **extra):
    return kind(stored(order=order).astype(dtype), cards(order, **extra))


def same(found, expected=CUBE):
    np.testing.assert_array_equal(found, expected)


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
