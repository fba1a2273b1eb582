"""``skastro mask`` as it is typed, with a segmenter whose answers can be worked out by hand."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fake_segmenter import FakeSegmenter
from scipy.ndimage import binary_dilation
from scipy.special import expit, logit

from skastro import cli, mask_cli, mask_files, mask_settings
from skastro.io import read_bit_planes

IMAGES = Path(os.environ.get("SKASTRO_DATA", ""), "images")


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    """The default model; one that is given as a file is loaded as ever."""
    load = mask_settings.load_model
    monkeypatch.setattr(
        mask_settings, "load_model", lambda path=None: load(path) if path else FakeSegmenter()
    )


@pytest.fixture
def image():
    values = np.random.default_rng(0).uniform(0, 500, (40, 50)).astype(np.float32)
    values[3, 4] = np.nan
    return values


@pytest.fixture
def path(image, tmp_path):
    return write(tmp_path / "a.fits", image)


def write(path, *images, primary=None):
    """A file of an empty primary and an image extension for each array."""
    first = fits.PrimaryHDU()
    first.header["OBJECT"] = "M 31"
    hdus = [fits.ImageHDU(one, name=f"CCD{i}") for i, one in enumerate(images)]
    for hdu in hdus:
        hdu.header["CTYPE1"], hdu.header["CRVAL1"] = "RA---TAN", 10.5
        hdu.header["BUNIT"] = "adu"
    fits.HDUList([first, *hdus]).writeto(path)
    return path


def mask(*arguments, quiet=True):
    return cli.main(["mask", *(["--quiet"] if quiet else []), *map(str, arguments)])


def one_line(capsys):
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("skastro"), err
    return err


def no_work(monkeypatch):
    def worked(*args):
        raise AssertionError("the work began")

    monkeypatch.setattr(mask_cli, "_run", worked)


def one(path):
    """The only mask of a file."""
    (found,) = read_bit_planes(path)
    return found


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


def test_extensions_can_be_chosen(image, tmp_path, capsys):
    source = write(tmp_path / "a.fits", image, image, image)
    assert mask(source, "--hdu", "ccd1", "--hdu", "3") == 0
    masks = read_bit_planes(tmp_path / "a.mask.fits")
    assert [bool((one.bits == 32768).all()) for one in masks] == [True, False, False]
    assert mask(source, "--hdu", "VAR", "--overwrite") == 1
    assert f"{source} has no image 'VAR'; expected one of ['CCD0', 'CCD1'," in one_line(capsys)


def test_many_files_and_what_is_said_of_them(image, tmp_path, capsys):
    good = [write(tmp_path / f"{name}.fits", image + i) for i, name in enumerate("ab")]
    broken = tmp_path / "c.fits"
    broken.write_bytes(good[0].read_bytes()[:6000])
    fits.PrimaryHDU().writeto(tmp_path / "d.fits")
    folder, summary = tmp_path / "masks", tmp_path / "s.json"
    files = [good[0], broken, tmp_path / "none.fits", tmp_path / "d.fits", good[1]]
    code = mask(*files, "--output-dir", folder, "--summary", summary, "--classes", "cr,hp")
    out, err = capsys.readouterr()
    assert code == 1 and out == ""
    lines = err.splitlines()
    assert len(lines) == 3 and all(line.startswith("skastro: ") for line in lines)
    assert f"{broken} is cut short" in lines[0]
    assert "No such file" in lines[1] and "none.fits" in lines[1]
    assert "d.fits has no image of two axes or more; expected one." in lines[2]
    assert sorted(p.name for p in folder.iterdir()) == ["a.mask.fits", "b.mask.fits"]
    found = json.loads(summary.read_text())
    assert (found["n_done"], found["n_failed"], found["n_skipped"]) == (2, 3, 0)
    states = [one["status"] for one in found["files"]]
    assert states == ["done", "failed", "failed", "failed", "done"]
    assert [one["input"] for one in found["files"]] == [str(one) for one in files]
    assert "cut short" in found["files"][1]["reason"]
    expected = FakeSegmenter().bits(image + 1)
    (record,) = found["files"][4]["images"]
    assert record["extension"] == "CCD0" and record["shape"] == [40, 50]
    assert record["pixels"] == {
        "CR": int((expected & 1 != 0).sum()), "HP": int((expected & 8 != 0).sum()), "NODATA": 1,
    }  # fmt: skip
    assert found["classes"] == {"CR": 1, "HP": 8} and found["thresholds"]["CR"] == 0.43
    assert found["weights_sha256"] == mask_settings.weights_digest(FakeSegmenter())


def test_jobs_give_the_same_bytes(image, tmp_path, capsys):
    files = [write(tmp_path / f"{name}.fits", image, image + i) for i, name in enumerate("abc")]
    bad = tmp_path / "bad.fits"
    bad.write_text("no FITS")
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        options = ["--output-dir", folder, "--jobs", jobs, "--prior", "cr=0.1", "--proba"]
        assert mask(*files, bad, *options, quiet=False) == 1
        out, err = capsys.readouterr()
        assert out.splitlines() == [f"wrote {folder / name}.mask.fits" for name in "abc"]
        assert f"skastro: {bad} is not a FITS file" in err and "mask:" in err
    for name in "abc":
        first, second = (tmp_path / n / f"{name}.mask.fits" for n in "12")
        assert first.read_bytes() == second.read_bytes()


def test_lists_folders_and_patterns(image, tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for name in "ab":
        write(data / f"{name}.fits", image)
    (data / "notes.txt").write_text("no image")

    def names():
        found = sorted(p.name for p in data.iterdir() if ".mask." in p.name)
        for one in found:
            (data / one).unlink()
        return found

    assert mask(data) == 0
    # masks are left out by folders and patterns
    assert mask(data, "--overwrite") == 0 and mask(data / "*.fits", "--overwrite") == 0
    assert names() == ["a.mask.fits", "b.mask.fits"]
    listed = tmp_path / "list.txt"
    listed.write_text(f"# a night\n\n{data / 'a.fits'}\n{data / 'a.fits'}\n")
    assert mask("--list", listed) == 0 and names() == ["a.mask.fits"]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{data / 'b.fits'}\n"))
    assert mask("-", "--suffix", ".mask.bits.fits") == 0 and names() == ["b.mask.bits.fits"]
    capsys.readouterr()
    for arguments in ([], ["--list", os.devnull]):
        assert mask(*arguments) == 2
        assert "FILE is missing" in one_line(capsys)
    assert mask(data / "*.fz") == 2
    assert "holds no FITS file" in one_line(capsys)
    assert mask("--list", tmp_path / "none.txt") == 1
    assert "No such file" in one_line(capsys)


def test_masks_are_not_masked(path, tmp_path, capsys):
    assert mask(path) == 0
    assert mask(tmp_path / "a.mask.fits") == 1
    assert "is a mask of skastro already; expected images." in one_line(capsys)


def test_refuses_to_overwrite_before_the_work(image, path, tmp_path, monkeypatch, capsys):
    other = write(tmp_path / "b.fits", image)
    old = tmp_path / "b.mask.fits"
    old.write_text("old")
    with monkeypatch.context() as context:
        no_work(context)
        assert mask(path, other) == 1
        assert one_line(capsys) == (
            f"skastro: {old} exists; expected a new file, or --overwrite or --resume.\n"
        )
    summary = tmp_path / "s.json"
    assert mask(path, other, "--resume", "--summary", summary) == 0
    assert old.read_text() == "old" and one(tmp_path / "a.mask.fits")
    assert [one["status"] for one in json.loads(summary.read_text())["files"]] == [
        "skipped",
        "done",
    ]
    assert mask(path, other, "--resume") == 0
    assert mask(path, other, "--overwrite") == 0
    np.testing.assert_array_equal(one(old).bits, FakeSegmenter().bits(image))


def test_failure_leaves_the_old_file_and_nothing_else(path, tmp_path, monkeypatch, capsys):
    old = tmp_path / "a.mask.fits"
    old.write_text("old")

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr("skastro.io.plane_store.PlaneStore._put", full)
        assert mask(path, "--overwrite") == 1
        assert "No space left" in one_line(capsys)

    def interrupted(self, image, **options):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeSegmenter, "predict_tiles", interrupted)
    assert mask(path, "--overwrite") == 130
    assert one_line(capsys) == "skastro: interrupted\n"

    def strange(self, image, **options):
        raise ZeroDivisionError("a thing\nnobody thought of")

    monkeypatch.setattr(FakeSegmenter, "predict_tiles", strange)
    assert mask(path, "--overwrite") == 1
    assert one_line(capsys) == f"skastro: {path}: ZeroDivisionError: a thing\n"
    assert old.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fits", "a.mask.fits"]


@pytest.mark.parametrize(
    "options, match",
    [
        (
            ["--classes", "cr,moths"],
            "--classes has the class 'moths'; expected one of CR, HP, SAT.",
        ),
        (["--classes", ","], "--classes ',' names none"),
        (["--prior", "cr=0"], "--prior cr '0'; expected a number between 0 and 1."),
        (["--prior", "cr=1"], "--prior cr '1'"),
        (["--prior", "cr=-1e-3"], "--prior cr '-1e-3'"),
        (["--prior", "cr=nan"], "--prior cr 'nan'"),
        (["--prior", "cr=much"], "--prior cr 'much'"),
        (["--prior", "0.1"], "--prior '0.1'; expected CLASS=NUMBER."),
        (["--prior", "xx=0.1"], "--prior has the class 'xx'"),
        (["--prior", "cr=0.1", "--prior", "CR=0.2"], "--prior has the class CR twice"),
        (["--prior", "hp=0.1", "--classes", "cr"], "HP, which --classes leaves out"),
        (["--threshold", "cr=1.1"], "--threshold cr '1.1'; expected a number from 0 to 1."),
        (["--threshold", "best"], "--threshold best: policy='best'"),
        (["--threshold", "fdr:low"], "--threshold fdr 'low'; expected a number."),
        (["--threshold", "fdr:0.1", "--threshold", "cr=0.1"], "expected one policy"),
        (["--threshold", "hp=0.1", "--classes", "cr"], "HP, which --classes leaves out"),
        (["--dilate", "-1"], "--dilate"),
        (["--dilate", "1.5"], "--dilate '1.5'; expected a whole number"),
        (["--dilate", "1", "--dilate", "2"], "--dilate has 1 and 2; expected one for all."),
        (["--suffix", "/x.fits"], "--suffix"),
        (["--suffix", ".txt"], "has no name of a FITS file"),
        (["--suffix", ".fits"], "is a file to read"),
        (["--output-dir", ".", "-o", "x.fits"], "--output and --output-dir are both given"),
        (["-o", "x.fits.gz"], "has no name of a FITS file"),
        (["--summary", "none/s.json"], "none is no folder"),
    ],
)
def test_wrong_arguments_are_one_line(options, match, path, monkeypatch, capsys):
    no_work(monkeypatch)
    assert mask(path, *options) == 2
    assert match in one_line(capsys)


@pytest.mark.parametrize(
    "options", [["--jobs", "0"], ["--tile", "x"], ["--overwrite", "--resume"], ["--nothing"]]
)
def test_what_the_parser_refuses(options, path, capsys):
    with pytest.raises(SystemExit) as stop:
        mask(path, *options)
    assert stop.value.code == 2
    one_line(capsys)


def test_outputs_that_cannot_be(image, path, tmp_path, monkeypatch, capsys):
    no_work(monkeypatch)
    sub = tmp_path / "sub"
    sub.mkdir()
    other = write(sub / "a.fits", image)
    assert mask(path, other, "-o", tmp_path / "x.fits") == 2
    assert "--output with 2 files" in one_line(capsys)
    assert mask(path, other, "--output-dir", tmp_path / "out") == 2
    assert "is the mask of" in one_line(capsys)
    assert mask(path, "-o", path, "--overwrite") == 2
    assert "is a file to read" in one_line(capsys)
    assert mask(path, "-o", tmp_path / "none" / "x.fits") == 1
    assert "no folder that can be written to" in one_line(capsys)
    (tmp_path / "a.mask.fits").mkdir()
    assert mask(path, "--overwrite") == 1
    assert "is a folder" in one_line(capsys)


def test_models_that_are_none(path, tmp_path, monkeypatch, capsys):
    no_work(monkeypatch)
    pytest.importorskip("skops")
    assert mask(path, "--model", tmp_path / "none.skops") == 1
    assert "No such file" in one_line(capsys)
    assert mask(path, "--model", path) == 2
    assert "is not a file written by skastro.io.save" in one_line(capsys)
    from sklearn.linear_model import LinearRegression

    from skastro.io import save

    save(LinearRegression(), tmp_path / "m.skops")
    assert mask(path, "--model", tmp_path / "m.skops") == 2
    assert "is a LinearRegression, without predict_tiles; expected a fitted" in one_line(capsys)


def test_classes_are_listed(capsys):
    assert mask("--list-classes", "--prior", "cr=0.02") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "bit", "prior", "threshold", "meaning"]
    assert lines[1].split() == ["CR", "1", "0.02", "0.43", "cosmic", "ray"]
    assert lines[-1].split()[:2] == ["NODATA", "32768"] and len(lines) == 5


def test_progress_is_on_the_error_stream(path, capsys):
    assert mask(path, quiet=False) == 0
    out, err = capsys.readouterr()
    assert out.startswith("wrote") and "pixel" in err
    assert mask(path, "--overwrite") == 0
    assert capsys.readouterr() == ("", "")


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
