"""Files, lists of HDUs and HDUs: scaled, compressed, damaged; and back."""

import gzip
import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from fits_cubes import CUBE, beam_table, cards, make_hdu, same
from sklearn.decomposition import PCA

import skastro
from skastro.io import read_cube


@pytest.mark.parametrize(
    "bitpix, scale, zero, blank",
    [
        ("i2", 0.25, -3.0, -32768),
        ("i4", 1e-3, 7.0, None),
        ("i4", 1, 0, 5),
        ("u1", 2.0, 0.0, 255),
        ("i2", 1, 32768, None),  # unsigned
        ("i4", 1, 2**31, None),  # unsigned, whose zero float32 would not hold
        ("f4", 2.0, 1.0, None),
        ("f4", 1.0, 0.0, -1),  # BLANK means nothing for floats
    ],
)
@pytest.mark.parametrize("as_path", [True, False])
def test_scaled_numbers_are_what_astropy_says(tmp_path, bitpix, scale, zero, blank, as_path):
    raw = np.arange(140).reshape(7, 4, 5).astype(f">{bitpix}")
    if zero == 2**31:
        raw = raw - raw.dtype.type(2**31 - 1)
    hdu = fits.PrimaryHDU(raw, cards())
    path = tmp_path / "a.fits"
    hdu.writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update({"BSCALE": scale, "BZERO": zero})
        if blank is not None:
            hdus[0].header["BLANK"] = blank
    with fits.open(path) as hdus:
        expected = np.moveaxis(np.array(hdus[0].data, dtype=np.float64), 0, -1)
    with fits.open(path) as hdus:
        cube = read_cube(path if as_path else hdus[0])
        np.testing.assert_allclose(cube.block(), expected, rtol=1e-6)
        np.testing.assert_allclose(cube.block(slice(1, 3)), expected[1:3], rtol=1e-6)
        np.testing.assert_allclose(cube.values, expected, rtol=1e-6)
        assert cube.values.dtype.kind == "f"
    wrapped = cube.wrap(cube.block())
    assert wrapped.header["BITPIX"] == -32
    assert not {"BSCALE", "BZERO", "BLANK"} & set(wrapped.header)


def test_an_hdu_opened_unscaled_is_scaled(tmp_path):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(np.arange(24, dtype=np.uint16).reshape(2, 3, 4)).writeto(path)
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        same(read_cube(hdus[0]).values, np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0))


def test_a_compressed_file(tmp_path):
    path = tmp_path / "a.fits.gz"
    make_hdu().writeto(path)
    cube = read_cube(str(path))
    same(cube.block())
    assert type(cube.wrap(cube.block())) is fits.PrimaryHDU


def test_which_hdu(tmp_path):
    image = fits.ImageHDU(np.ones((5, 6), dtype=np.float32), name="MAP")
    second = make_hdu(kind=fits.ImageHDU)
    second.name = "SECOND"
    second.data = second.data + 1
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])], name="TABLE")
    hdus = fits.HDUList([fits.PrimaryHDU(), image, make_hdu(kind=fits.ImageHDU), table, second])
    path = tmp_path / "a.fits"
    hdus.writeto(path)
    for source in (path, hdus):
        same(read_cube(source).values)
        same(read_cube(source, "SECOND").values, CUBE + 1)
        same(read_cube(source, hdu=4).values, CUBE + 1)
        with pytest.raises(
            ValueError, match=r"HDU 1 of .* has shape \(5, 6\); expected a cube of 3"
        ):
            read_cube(source, hdu="MAP")
        with pytest.raises(ValueError, match="hdu='TABLE' of .* holds no image"):
            read_cube(source, hdu="TABLE")
        for wrong in ("NONE", 9, 1.5):
            with pytest.raises(
                ValueError, match=f"hdu={wrong!r}: .* has no such HDU, but 5: .*MAP"
            ):
                read_cube(source, hdu=wrong)
    cube = read_cube(hdus, "SECOND")
    wrapped = cube.wrap(cube.block() * 2)
    assert [one.name for one in wrapped] == [one.name for one in hdus]
    same(np.moveaxis(wrapped["SECOND"].data, 0, -1), 2 * (CUBE + 1))
    assert wrapped["MAP"] is hdus["MAP"]
    with pytest.raises(ValueError, match="hdu=1: expected None, for source is neither a file"):
        read_cube(CUBE, hdu=1)


@pytest.mark.parametrize("kind", [fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU])
def test_an_hdu(kind, tmp_path):
    extra = {"DATAMIN": 0.0, "DATAMAX": 9.0, "CHECKSUM": "x", "DATASUM": "5", "OBSERVER": "me"}
    given = make_hdu(kind=kind, **extra)
    before = given.header.copy()
    cube = read_cube(given)
    assert cube.unit == u.K and cube.wcs.wcs.restfrq == 1.15e11
    same(cube.block())
    wrapped = cube.wrap(CUBE / 2, history=PCA(3))
    assert type(wrapped) is kind
    same(np.moveaxis(wrapped.data, 0, -1), CUBE / 2)
    assert not set(extra) - {"OBSERVER"} & set(wrapped.header)
    assert wrapped.header["OBSERVER"] == "me" and wrapped.header["BMAJ"] == 2e-3
    text = "".join(wrapped.header["HISTORY"])
    assert text.startswith(f"observed with careskastro {skastro.__version__}: PCA(copy=True, ")
    assert "n_components=3" in text
    assert given.header == before
    # without loss, compressed or not
    wrapped.writeto(tmp_path / "a.fits")
    same(read_cube(tmp_path / "a.fits").block(), CUBE / 2)


def test_a_path_gives_a_primary_hdu(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), make_hdu(kind=fits.ImageHDU)]).writeto(tmp_path / "a.fits")
    wrapped = read_cube(tmp_path / "a.fits").wrap(CUBE, history=["one", "two\nlines, \u03c3"])
    assert type(wrapped) is fits.PrimaryHDU and "XTENSION" not in wrapped.header
    assert list(wrapped.header["HISTORY"])[-2:] == [
        f"skastro {skastro.__version__}: one",
        f"skastro {skastro.__version__}: two lines, \\u03c3",
    ]


def test_a_cube_of_a_file_goes_to_another_process(tmp_path):
    make_hdu().writeto(tmp_path / "a.fits")
    same(pickle.loads(pickle.dumps(read_cube(tmp_path / "a.fits"))).block())


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"SIMPLE  = T", b"SIMPLE" * 1000, b"\x1f\x8b\x08xx"]
)
def test_files_that_are_not_fits(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.fits is not a FITS file, or is cut short") as caught:
        read_cube(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_bytes", [100, 2879, 2880, 3000, 2880 + 4 * 140 - 1])
def test_truncated_files(tmp_path, n_bytes):
    path = tmp_path / "a.fits"
    make_hdu().writeto(path)
    content = path.read_bytes()
    path.write_bytes(content[:n_bytes])
    with pytest.raises(ValueError, match="a.fits .* cut short") as caught:
        read_cube(path)
    assert "\n" not in str(caught.value)
    # the padding at the end may lack
    path.write_bytes(content[: 2880 + 4 * 140])
    same(read_cube(path).block())


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_compressed_files(tmp_path, kept):
    path = tmp_path / "a.fits.gz"
    hdu = fits.PrimaryHDU(np.random.default_rng(0).normal(size=(20, 30, 30)))
    hdu.writeto(tmp_path / "a.fits")
    content = gzip.compress((tmp_path / "a.fits").read_bytes())
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="a.fits.gz .*cut short") as caught:
        read_cube(path)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_after_it_was_opened(tmp_path):
    path = tmp_path / "a.fits"
    make_hdu().writeto(path)
    cube = read_cube(path)
    with open(path, "r+b") as file:
        file.truncate(3000)
    with pytest.raises(ValueError, match="cut short since it was opened"):
        cube.block()


def test_files_without_a_cube(tmp_path):
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), beam_table()]).writeto(path)
    with pytest.raises(ValueError, match="a.fits holds no image; expected a cube"):
        read_cube(path)
    fits.PrimaryHDU(CUBE[0]).writeto(path, overwrite=True)
    with pytest.raises(ValueError, match=r"HDU 0 of .*a.fits has shape \(5, 7\); expected a cube"):
        read_cube(path)
    with pytest.raises(FileNotFoundError):
        read_cube(tmp_path / "none.fits")
