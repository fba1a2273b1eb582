"""Images are read as they are meant, tile by tile; bit planes come back as they were written."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fake_segmenter import FakeSegmenter

from skastro.io import read_bit_planes
from skastro.io.bit_planes import (
    bit_cards,
    from_stored,
    mask_header,
    to_stored,
)
from skastro.io.fits_append import FITSAppender
from skastro.io.fits_images import open_images
from skastro.io.plane_store import PlaneStore
from skastro.mask_files import mask_file
from skastro.mask_settings import configure

IMAGES = Path(os.environ.get("SKASTRO_DATA", ""), "images")
RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 500, (40, 70))


def stored_images():
    """Files with the same numbers in many forms: HDU, what is read, where it is blank."""
    blank = LEVELS % 37 == 5
    floats = LEVELS.astype(np.float32)
    floats[blank] = np.nan
    unsigned = LEVELS.astype(np.uint16)
    signed = np.where(blank, -7, LEVELS).astype(np.int16)
    scaled = fits.PrimaryHDU(np.where(blank, 0, 2 * LEVELS + 2).astype(np.int32))
    for card in (("BSCALE", 0.5), ("BZERO", -1.0), ("BLANK", 0)):
        scaled.header.append(card)
    infinite = floats.astype(np.float64)
    infinite[blank] = np.inf
    with_blank = fits.PrimaryHDU(signed)
    with_blank.header["BLANK"] = -7
    # the number that is stored for 5
    blank_unsigned = fits.PrimaryHDU((unsigned.astype(np.int32) - 32768).astype(np.int16))
    for card in (("BSCALE", 1), ("BZERO", 32768), ("BLANK", 5 - 32768)):
        blank_unsigned.header.append(card)
    none = np.zeros_like(blank)
    return {
        "float": (fits.PrimaryHDU(floats), blank),
        "double with infinity": (fits.PrimaryHDU(infinite), blank),
        "uint16 by BZERO": (fits.PrimaryHDU(unsigned), none),
        "uint32 by BZERO": (fits.PrimaryHDU(LEVELS.astype(np.uint32)), none),
        "int64": (fits.PrimaryHDU(LEVELS.astype(np.int64)), none),
        "int16 with BLANK": (with_blank, blank),
        "BLANK of 0, scaled": (scaled, blank),
        "uint16 with BLANK": (blank_unsigned, LEVELS == 5),
        "compressed uint16": (fits.CompImageHDU(unsigned), none),
        "compressed by tiles": (fits.CompImageHDU(unsigned, tile_shape=(16, 16)), none),
        "compressed floats": (
            fits.CompImageHDU(floats, compression_type="GZIP_2", quantize_level=0),
            blank,
        ),
    }


@pytest.mark.parametrize("name", stored_images())
def test_pieces_are_the_values_of_the_image(name, tmp_path):
    hdu, blank = stored_images()[name]
    path = tmp_path / "a.fits"
    primary = [] if isinstance(hdu, fits.PrimaryHDU) else [fits.PrimaryHDU()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList([*primary, hdu]).writeto(path, output_verify="ignore")
    expected = np.where(blank, np.nan, LEVELS)
    with open_images(path) as extensions:
        plane = extensions[-1].plane(0)
        assert plane.shape == (40, 70) and plane.ndim == 2 and len(plane) == 40
        assert plane.dtype == (np.float64 if name in ("uint32 by BZERO", "int64",
            "double with infinity", "BLANK of 0, scaled") else np.float32)  # fmt: skip
        np.testing.assert_array_equal(np.asarray(plane), expected)
        for key in (
            np.s_[3:20, 11:40], np.s_[10:30, :], np.s_[39:40, 69:70], np.s_[5:5, :], np.s_[30:100],
            np.s_[1::7, 2:60:3], np.s_[::50, ::9], np.s_[-5:, -3:],
        ):  # fmt: skip
            found = plane[key]
            assert found.dtype == plane.dtype and found.dtype.isnative
            assert found.flags.c_contiguous and found.flags.writeable
            np.testing.assert_array_equal(found, expected[key])


def test_quantised_floats_are_read_as_astropy_reads_them(tmp_path):
    path = tmp_path / "a.fits.fz"
    image = np.random.default_rng(1).normal(100, 3, (50, 60)).astype(np.float32)
    image[3, 7] = np.nan
    fits.CompImageHDU(image, quantize_level=16, dither_seed=3).writeto(path)
    with open_images(path) as extensions:
        found = np.concatenate([extensions[1].plane(0)[:20], extensions[1].plane(0)[20:]])
    np.testing.assert_array_equal(found, fits.getdata(path, 1))
    assert np.isnan(found[3, 7]) and 0 < np.nanmax(np.abs(found - image)) < 1


def test_rows_that_are_compressed_are_decoded_once(tmp_path, monkeypatch):
    from astropy.io.fits.hdu.compressed import section

    path, calls = tmp_path / "a.fits.fz", []
    fits.CompImageHDU(np.arange(6400, dtype=np.int16).reshape(64, 100)).writeto(path)
    decode = section.decompress_image_data_section
    monkeypatch.setattr(
        section,
        "decompress_image_data_section",
        lambda *a: calls.append(int(a[6][0] - a[5][0] + 1)) or decode(*a),
    )
    with open_images(path) as extensions:
        plane = extensions[1].plane(0)
        for rows in (slice(0, 32), slice(32, 64)):
            for first in range(0, 100, 20):
                assert plane[rows, first : first + 20].shape == (32, 20)
    assert calls == [32, 32]


def test_what_cannot_be_indexed_is_said(tmp_path):
    fits.PrimaryHDU(np.ones((3, 4))).writeto(tmp_path / "a.fits")
    with open_images(tmp_path / "a.fits") as extensions:
        plane = extensions[0].plane(0)
        for key in (1, (slice(None),) * 3, slice(None, None, -1)):
            with pytest.raises(IndexError, match="expected"):
                plane[key]


def test_planes_of_a_cube(tmp_path):
    cube = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    fits.HDUList([fits.PrimaryHDU(cube), fits.CompImageHDU(cube[0])]).writeto(tmp_path / "a.fits")
    with open_images(tmp_path / "a.fits") as (first, second):
        assert first.n_planes == 6 and second.n_planes == 3
        np.testing.assert_array_equal(first.plane(4)[1:3, 2:], cube[1, 1, 1:3, 2:])
        np.testing.assert_array_equal(second.plane(2)[1:3, 2:], cube[0, 2, 1:3, 2:])


def test_kinds_of_extensions(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=np.arange(3))])
    fits.HDUList(
        [
            fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="SCI", ver=2), table,
            fits.ImageHDU(np.ones(5)), fits.CompImageHDU(np.ones((4, 4), np.int16), name="DQ"),
        ]
    ).writeto(tmp_path / "a.fits")  # fmt: skip
    with open_images(tmp_path / "a.fits") as extensions:
        assert [one.kind for one in extensions] == ["empty", "image", "other", "line", "image"]
        assert [one.label for one in extensions] == ["0", "SCI,2", "2", "3", "DQ"]


def test_files_that_are_broken(tmp_path):
    path = tmp_path / "a.fits"
    with pytest.raises(FileNotFoundError), open_images(path):
        pass
    path.write_text("no FITS")
    with pytest.raises(ValueError, match="not a FITS file"), open_images(path):
        pass
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="not a FITS file"), open_images(path):
        pass
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((100, 100)))]).writeto(
        path, overwrite=True
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-8000])
    with pytest.raises(ValueError, match="is cut short"), open_images(path):
        pass
    path.write_bytes(whole + b"x" * 2880)
    with pytest.raises(ValueError, match="cut short"), open_images(path):
        pass
    path.write_bytes(whole + b"x" * 100)
    with pytest.raises(ValueError, match="damaged after HDU 1"), open_images(path):
        pass


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("compress", [False, True])
def test_bits_come_back(dtype, compress, tmp_path):
    top = 8 * np.dtype(dtype).itemsize - 1
    bits = np.random.default_rng(0).integers(0, 2 << top, (50, 70), dtype=dtype)
    np.testing.assert_array_equal(from_stored(to_stored(bits).astype(f">i{bits.itemsize}")), bits)
    header = fits.Header([("EXTNAME", "SCI"), ("CRVAL1", 3.5), ("BUNIT", "adu"), ("BLANK", 3)])
    priors = {"CR": 1e-4 / 3, "SAT": 1e-9 / 3}
    cards = [("MASKTYPE", "BITS"), *bit_cards({"CR": 1, "SAT": 512}, 1 << top, priors=priors)]
    with PlaneStore((1, 50, 70), f">i{bits.itemsize}", tmp_path) as store:
        for rows in (slice(0, 30), slice(30, 50)):
            for columns in (slice(40, 70), slice(0, 40)):
                store.write(0, rows, columns, to_stored(bits[rows, columns]))
        file = FITSAppender(tmp_path / "a.fits")
        file.copy(fits.PrimaryHDU())
        file.planes(
            store, 0, (50, 70), mask_header(header, cards), unsigned=True, compress=compress
        )
        file.finish()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fits"]
    with warnings.catch_warnings():
        # the checksums are right
        warnings.simplefilter("error")
        with fits.open(tmp_path / "a.fits", checksum=True, disable_image_compression=True) as hdus:
            assert "DATASUM" in hdus[1].header and "CHECKSUM" in hdus[1].header
            hdus.verify("exception")
    # astropy alone reads the same
    data, found = fits.getdata(tmp_path / "a.fits", 1, header=True)
    assert data.dtype.itemsize == bits.itemsize
    np.testing.assert_array_equal(data, bits)
    assert (found["PRIOR00"], found["PRIOR09"]) == (priors["CR"], priors["SAT"])
    assert found["CRVAL1"] == 3.5 and "BUNIT" not in found and "BLANK" not in found
    (mask,) = read_bit_planes(tmp_path / "a.fits")
    assert mask.name == "SCI" and mask.labels == {"CR": 1, "SAT": 512, "NODATA": 1 << top}
    assert mask.bits.dtype == dtype and mask.bits.dtype.isnative
    np.testing.assert_array_equal(mask.bits, bits)


def test_a_file_without_bit_planes(tmp_path):
    fits.PrimaryHDU(np.ones((3, 4))).writeto(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="has no bit planes"):
        read_bit_planes(tmp_path / "a.fits")


def test_cards_hold_numbers_to_their_last_digit():
    cards = bit_cards(
        {"HP": 8, "CR": 1}, 32768, meanings={"CR": "cosmic ray"}, priors={"CR": 1 / 3e4, "HP": 1e-17 / 3},
        thresholds={"CR": 0.1 + 0.2, "HP": np.inf}, dilations={"CR": 2, "HP": 0},
    )  # fmt: skip
    header = mask_header(fits.Header([("BIT00", "OLD"), ("PRIOR07", 1.0)]), cards)
    header = fits.Header.fromstring(header.tostring())
    assert header["BIT00"] == "CR" and header.comments["BIT00"] == "1: cosmic ray"
    assert header["PRIOR00"] == 1 / 3e4 and header["PRIOR03"] == 1e-17 / 3
    assert header["THRES00"] == 0.1 + 0.2 and header["THRES03"] == "inf"
    assert header["DILAT00"] == 2 and "DILAT03" not in header and "PRIOR07" not in header
    assert header["BIT15"] == "NODATA"


def test_memory_does_not_grow_with_the_image(tmp_path):
    """Four times the rows in the same memory; what is mapped from files is not counted."""
    import tracemalloc

    model = FakeSegmenter()
    settings = configure(model)._replace(tile=128)
    peaks = []
    for height in (2048, 8192):
        path = tmp_path / f"{height}.fits"
        image = np.zeros((height, 512), np.float32)
        fits.PrimaryHDU(image).writeto(path)
        tracemalloc.start()
        mask_file(model, path, tmp_path / f"{height}.mask.fits", settings)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # the mask alone has 8 MB
    assert peaks[1] < peaks[0] + 1e6 and peaks[0] < 8e6


@pytest.mark.parametrize("name, n_images", [("sep_image.fits", 1), ("gmos.fits", 3)])
def test_real_frames(name, n_images, tmp_path):
    path = IMAGES / name
    if not path.is_file():
        pytest.skip("SKASTRO_DATA is not the folder of the real data")
    model = FakeSegmenter()
    mask_file(model, path, tmp_path / "a.mask.fits", configure(model)._replace(tile=100))
    masks = read_bit_planes(tmp_path / "a.mask.fits")
    with fits.open(path) as before, fits.open(tmp_path / "a.mask.fits") as after:
        assert [hdu.name for hdu in after] == [hdu.name for hdu in before]
        images = [hdu for hdu in before if hdu.data is not None]
        assert len(images) == len(masks) == n_images
        for hdu, mask in zip(images, masks, strict=True):
            np.testing.assert_array_equal(mask.bits, model.bits(hdu.data))
        for old, new in zip(before, after, strict=True):
            for card in old.header.cards:
                if card.keyword.startswith(("CRVAL", "CRPIX", "CD", "CTYPE", "OBJECT", "DATE")):
                    assert new.header[card.keyword] == card.value
