"""``skastro mask`` with many files and with wrong ones: codes, reasons, and what is left alone."""

import io
import json
import os

import numpy as np
import pytest
from astropy.io import fits
from fake_segmenter import FakeSegmenter
from mask_command import make_image, mask, one, one_line, replace_model, write

from skastro import mask_cli, mask_settings


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    replace_model(monkeypatch)


@pytest.fixture
def image():
    return make_image()


@pytest.fixture
def path(image, tmp_path):
    return write(tmp_path / "a.fits", image)


def no_work(monkeypatch):
    def worked(*args):
        raise AssertionError("the work began")

    monkeypatch.setattr(mask_cli, "_run", worked)


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
        for name in found:
            (data / name).unlink()
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
    assert mask(data, "--suffix", ".fz") == 0
    (data / "a.fz").unlink(), (data / "b.fz").unlink()
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


@pytest.mark.parametrize("options", [[], ["--list-classes"]])
def test_models_without_numbers_or_bits(options, path, tmp_path, monkeypatch, capsys):
    no_work(monkeypatch)
    file = tmp_path / "m.skops"
    file.write_text("as if saved")
    model = FakeSegmenter()
    monkeypatch.setattr("skastro.io.load", lambda path: model)
    model.prior_ = "em"
    assert mask(path, "--model", file, *options) == 2
    assert f"--model {file} has prior 'em'; expected numbers" in one_line(capsys)
    model = FakeSegmenter()
    model.bits_ = {"SKY": 0, "CR": 1, "HP": 2}
    model.thresholds_ = np.full(3, np.nan)
    assert mask(path, "--model", file, *options) == 2
    assert "has exclusive classes (bits [0, 1, 2]); expected a bit for each" in one_line(capsys)


def test_classes_are_listed(capsys):
    assert mask("--list-classes", "--prior", "cr=0.02") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "bit", "prior", "threshold", "meaning"]
    assert lines[1].split() == ["CR", "1", "0.02", "0.43", "cosmic", "ray"]
    assert lines[-1].split()[:2] == ["NODATA", "32768"] and len(lines) == 5


@pytest.mark.parametrize("options", [[], ["--jobs", "4"]])
def test_progress_is_on_the_error_stream(options, path, capsys):
    assert mask(path, *options, quiet=False) == 0
    out, err = capsys.readouterr()
    assert out.startswith("wrote") and "pixel" in err
    assert mask(path, "--overwrite") == 0
    assert capsys.readouterr() == ("", "")
