"""What ``skastro mask`` writes: the file that it reads, with bits in place of numbers."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fake_segmenter import FakeSegmenter
from mask_command import make_image, mask, one, one_line, replace_model, write
from scipy.ndimage import binary_dilation
from scipy.special import expit, logit

from skastro import mask_files, mask_settings
from skastro.io import read_bit_planes
from skastro.io.fits_images import Plane
from skastro.segmentation import SourceSegmenter, UNet

IMAGES = Path(os.environ.get("SKASTRO_DATA", ""), "images")


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    replace_model(monkeypatch)


@pytest.fixture
def image():
    return make_image()


@pytest.fixture
def path(image, tmp_path):
    return write(tmp_path / "a.fits", image)


def test_a_file_of_several_extensions_is_mirrored(image, tmp_path, capsys):
    source = tmp_path / "a.fits"
    table = fits.BinTableHDU.from_columns(
        [fits.Column("a", "PD()", array=np.array([np.arange(3.0), np.arange(5.0)], object))],
        name="CAT",
    )
    primary = fits.PrimaryHDU(image)
    primary.header["TELESCOP"] = "VST"
    empty = fits.ImageHDU(name="EMPTY")
    empty.header["NOTE"] = "nothing here"
    cube = np.stack([image, image[::-1]])[None]
    hdus = [
        primary, fits.ImageHDU(image.astype(">f8"), name="SCI", ver=2), table, empty,
        fits.CompImageHDU(np.nan_to_num(image).astype(np.uint16), name="COMP"),
        fits.ImageHDU(cube, name="CUBE"), fits.ImageHDU(np.arange(9.0), name="LINE"),
        fits.ImageHDU(np.full((30, 20), 120, np.uint8), name="BYTES"),
        fits.ImageHDU(np.full((1, 1), 450.0), name="PIXEL"),
    ]  # fmt: skip
    fits.HDUList(hdus).writeto(source, checksum=True)
    assert mask(source, quiet=False) == 0
    out = capsys.readouterr().out
    assert out == f"wrote {tmp_path / 'a.mask.fits'}\n"
    model = FakeSegmenter()
    with fits.open(source) as before, fits.open(tmp_path / "a.mask.fits", checksum=True) as after:
        assert [hdu.name for hdu in after] == [hdu.name for hdu in before]
        assert after[1].ver == 2 and after[0].header["TELESCOP"] == "VST"
        assert [hdu.shape for hdu in after if hdu.is_image] == [
            hdu.shape for hdu in before if hdu.is_image
        ]
        for i in (0, 1, 4, 7, 8):
            assert after[i].data.dtype.kind == "u" and after[i].data.dtype.itemsize == 2
            np.testing.assert_array_equal(after[i].data, model.bits(before[i].data))
        expected = [model.bits(plane) for plane in cube[0]]
        np.testing.assert_array_equal(after[5].data[0], expected)
        # of one axis: not examined, and said so
        assert (after[6].data == 32768).all() and after[6].header["MASKDONE"] is False
        assert after[5].header["MASKDONE"] is True
        assert after[3].data is None and after[3].header["NOTE"] == "nothing here"
        np.testing.assert_array_equal(after[2].data["a"][1], np.arange(5.0))
    # the table is the same to the byte
    raw = [raw_hdu(one, 2) for one in (source, tmp_path / "a.mask.fits")]
    assert raw[0] == raw[1] and len(raw[0]) > 5000
    masks = read_bit_planes(tmp_path / "a.mask.fits")
    assert [one.name for one in masks] == ["", "SCI", "COMP", "CUBE", "LINE", "BYTES", "PIXEL"]


def raw_hdu(path, index):
    with fits.open(path) as hdus:
        where = hdus[index].fileinfo()
    return path.read_bytes()[where["hdrLoc"] : where["datLoc"] + where["datSpan"]]


def test_the_header_says_what_was_done(path, tmp_path):
    code = mask(
        path, "--prior", "CR=1.2345678901234567e-4", "--prior", "sat=0.25", "--threshold", "hp=0.3",
        "--dilate", "hp=2", "--tile", 8, "--classes", "hp,CR,sat",
    )  # fmt: skip
    assert code == 0
    header = fits.getheader(tmp_path / "a.mask.fits", 1)
    assert header["BIT00"] == "CR" and header["BIT03"] == "HP" and header["BIT09"] == "SAT"
    assert header["BIT15"] == "NODATA" and header.comments["BIT00"] == "1: cosmic ray"
    priors = {key: header[key] for key in ("PRIOR00", "PRIOR03", "PRIOR09")}
    assert priors == {"PRIOR00": 1.2345678901234567e-4, "PRIOR03": 1e-6, "PRIOR09": 0.25}
    assert [header[f"THRES{i}"] for i in ("00", "03", "09")] == [0.43, 0.3, 0.81]
    assert header["DILAT03"] == 2 and "DILAT00" not in header
    assert header["THRPOL"] == "fixed" and header["MASKTILE"] == 8
    assert header["MASKMODL"] == "contaminants" and header["MASKVERS"].startswith("skastro ")
    assert header["MASKSHA"] == mask_settings.weights_digest(FakeSegmenter())
    assert len(header["MASKSHA"]) == 64 and "DATASUM" in header and "CHECKSUM" in header
    assert header["CTYPE1"] == "RA---TAN" and header["CRVAL1"] == 10.5 and "BUNIT" not in header
    assert fits.getheader(tmp_path / "a.mask.fits")["OBJECT"] == "M 31"


def test_priors_thresholds_and_classes_are_used(image, path, tmp_path):
    out = tmp_path / "out.fits"
    options = ["--prior", "cr=0.01,sat=0.5", "--threshold", "CR=0.9", "--classes", "cr,sat"]
    assert mask(path, "-o", out, *options) == 0
    z = (image - 100) / 5 + logit(0.01) - logit(0.5)
    s = (image - 400) / 5 + logit(0.5) - logit(0.2)
    found = one(out)
    assert found.labels == {"CR": 1, "SAT": 512, "NODATA": 32768}
    expected = (expit(z) >= 0.9) * 1 + (expit(s) >= 0.81) * 512
    np.testing.assert_array_equal(found.bits, np.where(np.isnan(image), 32768, expected))
    assert mask(path, "-o", out, "--overwrite", "--threshold", "fdr:0.01") == 0
    header = fits.getheader(out, 1)
    assert header["THRPOL"] == "fdr" and header["THRLEV"] == header["THRES00"] == 0.01
    assert mask(path, "-o", out, "--overwrite", "--threshold", "0.7") == 0
    assert fits.getheader(out, 1)["THRES03"] == 0.7


@pytest.mark.parametrize("tile", [1, 7, 16, 1000])
def test_tiles_change_nothing(image, path, tmp_path, tile):
    out = tmp_path / "out.fits"
    assert mask(path, "-o", out, "--tile", tile, "--dilate", "cr=3") == 0
    grown = binary_dilation(FakeSegmenter().bits(image) & 1, disc(3)) & ~np.isnan(image)
    np.testing.assert_array_equal(one(out).bits & 1 != 0, grown)


def disc(radius):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= radius**2


def test_dilation_in_bands_is_that_of_the_whole(tmp_path, monkeypatch):
    values = np.zeros((60, 20), np.float32)
    values[[9, 10, 31, 59], [3, 19, 0, 10]] = 300
    values[12, 3] = np.nan
    source = write(tmp_path / "a.fits", values)
    monkeypatch.setattr(mask_files, "BAND_PIXELS", 1)
    assert mask(source, "--dilate", "2", "--dilate", "sat=0") == 0
    model = FakeSegmenter()
    found = one(tmp_path / "a.mask.fits").bits
    for bit in (1, 8):
        grown = binary_dilation(model.bits(values) & bit, disc(2)) & ~np.isnan(values)
        np.testing.assert_array_equal(found & bit != 0, grown)
    assert found[12, 3] == 32768 and not (found & 512).any()


def test_compressed_in_and_out(image, tmp_path):
    source = tmp_path / "a.fits.fz"
    counts = np.nan_to_num(image).astype(np.uint16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts, name="SCI")]).writeto(source)
    assert mask(source) == 0 and mask(source, "--compress") == 0
    assert mask(source, "-o", tmp_path / "b.fits.fz") == 0
    expected = FakeSegmenter().bits(counts)
    for name in ("a.mask.fits", "a.mask.fits.fz", "b.fits.fz"):
        with fits.open(tmp_path / name, checksum=True) as hdus:
            assert isinstance(hdus[1], fits.CompImageHDU) == name.endswith(".fz")
            assert hdus[1].name == "SCI" and hdus[1].header["BIT00"] == "CR"
            np.testing.assert_array_equal(hdus[1].data, expected)
        np.testing.assert_array_equal(one(tmp_path / name).bits, expected)
        raw = fits.getheader(tmp_path / name, 1, disable_image_compression=True)
        assert "DATASUM" in raw and "CHECKSUM" in raw
    # an image in the primary HDU moves to an extension, as fpack has it
    fits.PrimaryHDU(image).writeto(tmp_path / "c.fits")
    assert mask(tmp_path / "c.fits", "--compress", "--proba") == 0
    with fits.open(tmp_path / "c.mask.fits.fz") as hdus:
        assert hdus[0].data is None and len(hdus) == 5
        np.testing.assert_array_equal(hdus[1].data, FakeSegmenter().bits(image))
        assert hdus[4].name == "IMAGE0_SAT" and hdus[4].data.dtype.itemsize == 4


def test_a_file_that_gzip_made(image, tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=np.arange(3.0))])
    fits.HDUList([fits.PrimaryHDU(image), table]).writeto(tmp_path / "a.fits.gz")
    assert mask(tmp_path / "a.fits.gz") == 0
    found = one(tmp_path / "a.mask.fits").bits
    np.testing.assert_array_equal(fits.getdata(tmp_path / "a.mask.fits", 1)["a"], np.arange(3.0))
    np.testing.assert_array_equal(found, FakeSegmenter().bits(image))


def test_probabilities_have_the_digits_of_float16(image, tmp_path):
    cube = np.stack([image, image + 7])
    source = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(cube, name="SCI")]).writeto(source)
    assert mask(source, "--proba", "--classes", "sat,cr", "--tile", 9) == 0
    model = FakeSegmenter()
    expected = np.stack([model.proba(plane) for plane in cube], axis=1)
    with fits.open(tmp_path / "a.mask.fits", checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "SCI_CR", "SCI_SAT"]
        for hdu, i in ((hdus[2], 0), (hdus[3], 2)):
            assert hdu.data.shape == cube.shape
            np.testing.assert_allclose(hdu.data, expected[i], rtol=2.0**-11)
            assert (hdu.data.astype(">f4").view(">u4") & 0x1FFF == 0).all()
        assert hdus[3].header["MASKCLAS"] == "SAT" and hdus[3].header["MASKTYPE"] == "PROBA"
        # what is rare is kept, where float16 has nothing left
        assert 0 < hdus[3].data.min() < 1e-30
    assert len(read_bit_planes(tmp_path / "a.mask.fits")) == 1


def test_bits_of_32(image, path, tmp_path, monkeypatch):
    monkeypatch.setattr(mask_settings, "load_model", lambda path=None: FakeSegmenter(wide=True))
    for options in (["--dilate", "sat=1"], ["--compress"]):
        out = tmp_path / "out.fits"
        assert mask(path, "-o", out, "--overwrite", *options) == 0
        found = one(out)
        assert found.labels["SAT"] == 1 << 20 and found.bits.dtype == np.uint32
        assert found.bits[3, 4] == 1 << 31
    np.testing.assert_array_equal(found.bits, FakeSegmenter(wide=True).bits(image))


def test_prior_estimated_on_each_image(tmp_path):
    rng = np.random.default_rng(0)
    images = []
    for share in (0.3, 0.1):
        positive = rng.random((80, 80)) < share
        # shares of a two-level image follow the logits of the model: 1:1 in training
        images.append(np.where(positive, 140.0, 60.0).astype(np.float32))
    source = write(tmp_path / "a.fits", *images)
    summary = tmp_path / "s.json"
    code = mask(
        source, "--prior", "estimate", "--prior", "sat=0.01", "--summary", summary, "--tile", 32
    )
    assert code == 0
    found = json.loads(summary.read_text())["files"][0]["images"]
    for record, share, values in zip(found, (0.3, 0.1), images, strict=True):
        assert record["prior"]["CR"] == pytest.approx((values > 100).mean(), rel=0.02)
        # nothing as bright as a hot pixel: the prior stays
        assert record["prior"]["HP"] == 1e-6 and record["prior"]["SAT"] == 0.01
        assert abs(record["prior"]["CR"] - share) < 0.03
    headers = [fits.getheader(tmp_path / "a.mask.fits", i) for i in (1, 2)]
    assert [h["PRIOR00"] for h in headers] == [one["prior"]["CR"] for one in found]


def test_thresholds_are_those_of_the_estimated_prior(tmp_path):
    rng = np.random.default_rng(0)
    images = [
        np.where(rng.random((80, 80)) < share, 140.0, 60.0).astype(np.float32)
        for share in (0.3, 0.1)
    ]
    source = write(tmp_path / "a.fits", *images, np.stack(images))
    summary = tmp_path / "s.json"
    options = ["--prior", "estimate", "--threshold", "fdr:0.001", "--summary", summary]
    assert mask(source, *options) == 0
    record = json.loads(summary.read_text())
    first, second, cube = record["files"][0]["images"]
    model = FakeSegmenter().set_threshold("fdr", 0.001)
    # the model is left as it was; each image has its own
    assert record["thresholds"] == {"CR": 0.001, "HP": 0.001, "SAT": 0.001}
    for i, found in enumerate((first, second), start=1):
        model.set_prior(found["prior"])
        header = fits.getheader(tmp_path / "a.mask.fits", i)
        assert header["THRES00"] == found["threshold"]["CR"] == model.thresholds_[0] > 0.1
        assert header["THRES03"] == 0.001 and header["THRLEV"] == 0.001
        bits = read_bit_planes(tmp_path / "a.mask.fits")[i - 1].bits
        np.testing.assert_array_equal(bits, model.bits(images[i - 1]))
    # planes that disagree are in the summary only
    header = fits.getheader(tmp_path / "a.mask.fits", 3)
    assert "THRES00" not in header and "PRIOR00" not in header and header["THRES03"] == 0.001
    assert cube["threshold"]["CR"] == [one["threshold"]["CR"] for one in (first, second)]


def test_an_estimate_reads_each_tile_twice_at_most(image, path, monkeypatch):
    asked, getitem = [], Plane.__getitem__

    def counted(self, key):
        asked.append(key)
        return getitem(self, key)

    monkeypatch.setattr(Plane, "__getitem__", counted)
    assert mask(path, "--tile", 20) == 0
    once = len(asked)
    assert mask(path, "--tile", 20, "--prior", "estimate", "--overwrite") == 0
    assert once >= 6 and len(asked) == 3 * once


@pytest.fixture(scope="module")
def trained():
    """Segmenters of one label and of two, as they come from `fit`, and an image."""
    rng = np.random.default_rng(0)
    images = rng.normal(100.0, 5.0, (20, 32, 32)).astype(np.float32)
    masks = (rng.random(images.shape) < 0.05) * 1 + (rng.random(images.shape) < 0.05) * 4
    images += 60.0 * (masks & 1) - 15.0 * (masks & 4)
    models = [
        SourceSegmenter(
            UNet(widths=(4, 6)), labels=bits, mode=mode, max_epochs=1, lr=0.02, batch_size=2,
            random_state=0,
        ).fit(images, (masks & sum(bits.values())).astype(np.uint16))
        for bits, mode in (({"HP": 1}, "binary"), ({"HP": 1, "DP": 4}, "multilabel"))
    ]  # fmt: skip
    # 128 x 160
    large = np.block([list(images[i : i + 5]) for i in range(0, 20, 5)])
    large[40:43, 20] = np.nan
    return models, large


@pytest.mark.parametrize("n_labels", [1, 2])
def test_a_trained_segmenter_gives_its_own_bits(trained, n_labels, tmp_path):
    model, image = trained[0][n_labels - 1], trained[1]
    source = write(tmp_path / "a.fits", image)
    levels = []
    for proba in model.predict_proba(image[None]).reshape(n_labels, -1):
        # a tenth or so is found, and none so close to the threshold that rounding decides
        some = np.sort(proba)[-3000:-1000]
        gap = np.diff(some).argmax()
        levels.append(float(some[gap : gap + 2].mean()))
    model.set_threshold("fixed", levels)
    halo = model._tile_size(None)[1]
    expected = model.predict_bits(image[None])[0]
    for bit in model.bits_.values():
        assert 700 < np.count_nonzero(expected & bit) < 3300
    assert np.count_nonzero(expected & model.nodata_bit_) == 3
    for tile in (16, 24):
        # no tile sees the whole image, whatever its halo
        assert tile + 2 * halo < min(image.shape)
        settings = mask_settings.configure(model)._replace(tile=tile)
        mask_files.mask_file(model, source, tmp_path / "out.fits", settings)
        np.testing.assert_array_equal(one(tmp_path / "out.fits").bits, expected)
    before = np.copy(model.prior_)
    settings = mask_settings.configure(model, priors=["estimate"])
    (record,) = mask_files.mask_file(model, source, tmp_path / "out.fits", settings)
    assert set(record["prior"]) == set(model.labels_) and np.array_equal(model.prior_, before)
    model.set_prior(record["prior"])
    np.testing.assert_array_equal(
        one(tmp_path / "out.fits").bits, model.predict_bits(image[None])[0]
    )
    model.set_prior(before)


def test_extensions_can_be_chosen(image, tmp_path, capsys):
    source = write(tmp_path / "a.fits", image, image, image)
    assert mask(source, "--hdu", "ccd1", "--hdu", "3") == 0
    masks = read_bit_planes(tmp_path / "a.mask.fits")
    assert [bool((one.bits == 32768).all()) for one in masks] == [True, False, False]
    assert mask(source, "--hdu", "VAR", "--overwrite") == 1
    assert f"{source} has no image 'VAR'; expected one of ['CCD0', 'CCD1'," in one_line(capsys)


def test_real_frames(tmp_path, capsys):
    if not (IMAGES / "gmos.fits").is_file():
        pytest.skip("SKASTRO_DATA is not the folder of the real data")
    assert mask(IMAGES, "--output-dir", tmp_path, "--compress") == 0
    assert capsys.readouterr() == ("", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "gmos.mask.fits.fz", "sep_image.mask.fits.fz",
    ]  # fmt: skip
    for path in tmp_path.iterdir():
        assert path.stat().st_size < 200_000 and read_bit_planes(path)
