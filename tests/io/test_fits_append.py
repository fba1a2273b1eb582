"""Files that are written HDU by HDU are those that astropy writes."""

import warnings

import numpy as np
import pytest
from astropy.io import fits

from skastro.io.fits_append import FITSAppender, checksum, encode_checksum
from skastro.io.plane_store import PlaneStore


def test_checksums_are_those_of_astropy():
    rng = np.random.default_rng(0)
    hdu = fits.PrimaryHDU()
    for total in [0, 1, 2**32 - 1, *rng.integers(0, 2**32, 300).tolist()]:
        assert encode_checksum(total) == hdu._char_encode(~np.uint32(total))
    content = rng.integers(0, 256, 40000, dtype=np.uint8)
    whole = checksum(content.tobytes())
    assert whole == hdu._compute_checksum(content)
    assert checksum(content[1000:].tobytes(), checksum(content[:1000].tobytes())) == whole


@pytest.mark.parametrize("shape", [(1, 3), (30, 50), (2, 30, 50), (1, 2, 3, 50)])
@pytest.mark.parametrize("first", [True, False])
def test_an_image_is_what_astropy_would_write(shape, first, tmp_path):
    values = np.random.default_rng(0).normal(size=shape).astype(">f4")
    header = fits.Header([("EXTNAME", "SCI"), ("CRVAL1", 3.5)])
    planes = values.reshape(-1, *shape[-2:])
    file = FITSAppender(tmp_path / "a.fits")
    if not first:
        file.copy(fits.PrimaryHDU())
    # a plane before it, that belongs to another image
    with PlaneStore((len(planes) + 1, *shape[-2:]), ">f4", tmp_path) as store:
        for i, plane in enumerate(planes):
            store.write(i + 1, slice(0, shape[-2]), slice(0, shape[-1]), plane)
        file.planes(store, 1, shape, header)
    file.copy(fits.BinTableHDU.from_columns([fits.Column("a", "D", array=np.arange(3.0))]))
    file.finish()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
            hdus.verify("exception")
            assert len(hdus) == 3 - first and hdus[-1].data["a"][2] == 2
            np.testing.assert_array_equal(hdus[-2].data, values)
            assert hdus[-2].name == "SCI" and hdus[-2].header["CRVAL1"] == 3.5
            assert hdus[0].header["EXTEND"] is True
    # as it was left when all was written
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fits"]
