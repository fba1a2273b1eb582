"""Maps from FITS files and back, with their headers."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skastro.fits_maps import read_map, write_map

IMAGE = np.arange(12, dtype=">i2").reshape(1, 3, 4)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "map.fits"
    extension = fits.ImageHDU(IMAGE, name="DUST")
    extension.header["BUNIT"], extension.header["BLANK"] = "K", -1
    table = fits.BinTableHDU.from_columns([fits.Column("a", "I", array=[1])])
    fits.HDUList([fits.PrimaryHDU(), extension, table]).writeto(path, checksum=True)
    return path


def test_the_first_image_without_axes_of_one(source):
    image, header = read_map(source)
    assert image.dtype == np.float64 and header["BUNIT"] == "K"
    np.testing.assert_array_equal(image, IMAGE[0])
    np.testing.assert_array_equal(read_map(source, 1)[0], image)


def test_written_with_the_header_but_not_what_was_of_the_pixels(source, tmp_path):
    image, header = read_map(source)
    path = tmp_path / "new.fits"
    write_map(path, np.stack([image, image]) / 2, header, "halved")
    found, new = fits.getdata(path, header=True)
    np.testing.assert_array_equal(found[1], image / 2)
    assert new["BUNIT"] == "K" and "halved" in "".join(new["HISTORY"])
    assert not {"BLANK", "CHECKSUM", "DATASUM"} & set(new) and "XTENSION" not in new
    with fits.open(path) as hdus:
        hdus.verify("exception")
    assert (
        "CHECKSUM" in header and [p.name for p in Path(tmp_path).iterdir()].count("new.fits") == 1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hdu": 3}, "has 3 HDUs; expected one of them"),
        ({"hdu": 0}, "has no image there; expected one"),
        ({"hdu": 2}, "has no image there; expected one"),
        ({"ndims": (3,)}, r"has an image of shape \(1, 3, 4\); expected a cube \(n, h, w\)"),
    ],
)
def test_files_without_such_an_image(source, arguments, message):
    with pytest.raises(ValueError, match=message):
        read_map(source, **arguments)
