"""``skastro denoise`` as it is typed: a real FITS cube goes through, mistakes cost nothing."""

import os
import sys

import numpy as np
import pytest
from astropy.io import fits

from skastro import cli, denoise_cli
from skastro.datasets import load_ngc4047, make_line_cube
from skastro.denoising import CubeDenoiser
from skastro.denoising.baselines import MaskDenoiser, PCADenoiser
from skastro.io import read_cube

FAST = ["--quiet", "--method", "gaussian"]


def denoise(*arguments):
    return cli.main(["denoise", *map(str, arguments)])


@pytest.fixture
def line():
    return make_line_cube(n_pixels=(16, 18), n_channels=40, random_state=0)


@pytest.fixture
def path(line, tmp_path):
    cube = np.moveaxis(line.cube, -1, 0).copy()
    cube[:, :2] = np.nan
    hdu = fits.PrimaryHDU(cube)
    hdu.header["BUNIT"] = "K"
    hdu.writeto(tmp_path / "cube.fits")
    return tmp_path / "cube.fits"


def no_work(monkeypatch):
    def worked(*args):
        raise AssertionError("the work began")

    monkeypatch.setattr(denoise_cli, "_make", worked)


def one_line(capsys):
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("skastro"), err
    return err


def test_a_real_cube_goes_through(tmp_path, capsys):
    galaxy = load_ngc4047()
    out, std = tmp_path / "out.fits", tmp_path / "std.fits"
    assert denoise(galaxy.path, "-o", out, "--epochs", 1, "--save-std", std) == 0
    printed, progress = capsys.readouterr()
    assert printed == f"wrote {out}\nwrote {std}\n" and "fit" in progress
    before, after = fits.getheader(galaxy.path), fits.getheader(out)
    for key in ("BUNIT", "CTYPE3", "CRVAL3", "CDELT3", "RESTFREQ", "CRVAL1", "BMAJ", "OBJECT"):
        assert after[key] == before[key]
    assert fits.getdata(out).shape == (1, 44, 128, 128)
    history = "".join(after["HISTORY"])
    assert "CubeDenoiser(" in history and "max_epochs=1" in history
    values, errors = read_cube(out).block(), read_cube(std).block()
    blank = np.isnan(galaxy.cube)
    np.testing.assert_array_equal(np.isnan(values), blank)
    np.testing.assert_array_equal(np.isnan(errors), blank)
    # line-free channels at zero, the galaxy kept, and errors below the noise of 0.02 Jy/beam
    assert np.nanstd(values[..., :8]) < 0.1 * np.nanstd(galaxy.cube[..., :8])
    assert np.corrcoef(values[~blank], galaxy.cube[~blank])[0, 1] > 0.5
    assert 0 < np.nanmedian(errors) < 0.02
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.fits", "std.fits"]


def test_spectral_cube_opens_what_was_written(tmp_path, capsys):
    spectral_cube = pytest.importorskip("spectral_cube")
    galaxy = load_ngc4047()
    assert denoise(galaxy.path, "-o", tmp_path / "out.fits", *FAST) == 0
    assert capsys.readouterr() == ("", "")
    before = spectral_cube.SpectralCube.read(galaxy.path)
    after = spectral_cube.SpectralCube.read(tmp_path / "out.fits")
    assert after.unit == before.unit == "Jy / beam"
    np.testing.assert_allclose(after.spectral_axis.value, before.spectral_axis.value)
    assert after.wcs.wcs.compare(before.wcs.wcs, tolerance=1e-9)
    assert after.beam == before.beam
    np.testing.assert_array_equal(
        np.isnan(after.unmasked_data[:].value), np.isnan(before.unmasked_data[:].value)
    )


@pytest.mark.parametrize(
    "method, options, expected",
    [
        ("gaussian", [], MaskDenoiser(fwhm=1.5)),
        ("pca", [], PCADenoiser()),
        ("patch", ["--epochs", "1"], CubeDenoiser(max_epochs=1, random_state=0)),
        (
            "autoencoder",
            ["--epochs", "1", "--random-state", "3"],
            CubeDenoiser("autoencoder", max_epochs=1, random_state=3),
        ),
    ],
)
def test_the_command_is_the_estimator(method, options, expected, path, tmp_path):
    out = tmp_path / "out.fits"
    assert denoise(path, "-o", out, "--quiet", "--method", method, *options) == 0
    cube = read_cube(path).block()
    np.testing.assert_allclose(read_cube(out).block(), expected.fit_transform(cube), atol=1e-4)


def test_no_gate_keeps_what_lies_outside(path, tmp_path):
    gated, free = tmp_path / "gated.fits", tmp_path / "free.fits"
    assert denoise(path, "-o", gated, *FAST) == 0
    assert denoise(path, "-o", free, *FAST, "--no-gate") == 0
    known = np.isfinite(read_cube(path).block())
    assert np.mean(read_cube(gated).block()[known] == 0) > 0.2
    assert np.mean(read_cube(free).block()[known] == 0) < 0.01


def test_sigma_as_a_number_a_map_and_a_cube_in_another_unit(line, path, tmp_path):
    level = np.full((16, 18), 0.25, np.float32)
    level[:, 9:] = 2.5
    files = {
        "map": (level * 1e3, "mK"),
        "full": (np.broadcast_to(level, (40, 16, 18)) * 1e3, "mK"),
        "bare": (level, None),
    }
    found = {}
    for name, (values, unit) in files.items():
        hdu = fits.PrimaryHDU(values)
        if unit:
            hdu.header["BUNIT"] = unit
        hdu.writeto(tmp_path / f"{name}.fits")
        out = tmp_path / f"{name}-out.fits"
        assert denoise(path, "-o", out, *FAST, "--sigma", tmp_path / f"{name}.fits") == 0
        found[name] = read_cube(out).block()
    cube = read_cube(path).block()
    expected = MaskDenoiser(fwhm=1.5).fit(cube, sigma=level).transform(cube)
    for values in found.values():
        np.testing.assert_allclose(values, expected, atol=1e-6)
    assert denoise(path, "-o", tmp_path / "n.fits", *FAST, "--sigma", "0.25") == 0
    one = MaskDenoiser(fwhm=1.5).fit(cube, sigma=0.25).transform(cube)
    np.testing.assert_allclose(read_cube(tmp_path / "n.fits").block(), one, atol=1e-6)
    # the level was used: less signal where the noise is said to be ten times stronger
    n_found = [np.sum(np.nan_to_num(values) != 0, axis=(0, 2)) for values in (expected, one)]
    assert n_found[0][11:].sum() < 0.8 * n_found[1][11:].sum()


def test_mask(path, tmp_path):
    mask = np.zeros((40, 16, 18), np.uint8)
    mask[10:20, 4:9, 4:9] = 1
    fits.PrimaryHDU(mask).writeto(tmp_path / "mask.fits")
    out = tmp_path / "out.fits"
    assert denoise(path, "-o", out, *FAST, "--mask", tmp_path / "mask.fits") == 0
    values = fits.getdata(out)
    assert np.all(values[mask == 0][~np.isnan(values[mask == 0])] == 0)
    assert np.mean(values[mask == 1] != 0) > 0.99


def test_refuses_to_overwrite_before_the_work(path, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.fits"
    out.write_text("old")
    with monkeypatch.context() as context:
        no_work(context)
        assert denoise(path, "-o", out) == 1
        expected = f"skastro: {out} exists; expected a new file, or --overwrite.\n"
        assert one_line(capsys) == expected
        assert denoise(path, "-o", tmp_path / "new.fits", "--save-std", out) == 1
        assert one_line(capsys) == expected
    assert out.read_text() == "old" and not (tmp_path / "new.fits").exists()
    assert denoise(path, "-o", out, "--overwrite", *FAST) == 0
    assert read_cube(out).shape == (16, 18, 40)


def test_the_input_can_be_replaced(path):
    before = read_cube(path).block()
    assert denoise(path, "-o", path, "--overwrite", *FAST) == 0
    expected = MaskDenoiser(fwhm=1.5).fit_transform(before)
    np.testing.assert_allclose(read_cube(path).block(), expected, atol=1e-6)


def test_failure_leaves_the_old_file(path, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.fits"
    out.write_text("old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert denoise(path, "-o", out, "--overwrite", *FAST) == 1
    assert "No space left" in one_line(capsys)
    monkeypatch.undo()

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(MaskDenoiser, "transform", interrupted)
    assert denoise(path, "-o", out, "--overwrite", *FAST) == 130
    assert one_line(capsys) == "skastro: interrupted\n"
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cube.fits", "out.fits"]


def test_bad_input_files(path, tmp_path, capsys):
    out = tmp_path / "out.fits"
    cut = tmp_path / "cut.fits"
    cut.write_bytes(path.read_bytes()[:-8000])
    assert denoise(cut, "-o", out) == 1
    assert "is cut short" in one_line(capsys)
    assert denoise(tmp_path / "none.fits", "-o", out) == 1
    assert "No such file" in one_line(capsys)
    cut.write_text("no FITS")
    assert denoise(cut, "-o", out) == 1
    assert "not a FITS file" in one_line(capsys)
    fits.PrimaryHDU(np.full((5, 6, 7), np.nan, np.float32)).writeto(tmp_path / "blank.fits")
    assert denoise(tmp_path / "blank.fits", "-o", out, "--quiet") == 1
    assert "blank" in one_line(capsys)
    assert not out.exists()


@pytest.mark.parametrize(
    "values, unit, match",
    [
        (np.ones((3, 4)), None, r"sigma has shape \(3, 4"),
        (np.zeros((16, 18)), None, "sigma is 0"),
        (np.ones((40, 16, 17)), None, r"sigma has shape \(16, 17, 40\)"),
        (np.ones((16, 18)), "s", "unit 's'"),
        (np.ones((16, 18)), "dumps", "unit 'dumps'; expected 'K'"),
        (np.ones(16), None, "expected a cube"),
    ],
)
def test_bad_sigma_files(values, unit, match, path, tmp_path, monkeypatch, capsys):
    no_work(monkeypatch)
    hdu = fits.PrimaryHDU(values)
    if unit:
        hdu.header["BUNIT"] = unit
    hdu.writeto(tmp_path / "sigma.fits")
    assert denoise(path, "-o", tmp_path / "out.fits", "--sigma", tmp_path / "sigma.fits") == 2
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(one_line(capsys))


def test_bad_masks(path, tmp_path, monkeypatch, capsys):
    no_work(monkeypatch)
    fits.PrimaryHDU(np.ones((40, 16, 17))).writeto(tmp_path / "mask.fits")
    options = ["-o", tmp_path / "out.fits", "--mask"]
    assert denoise(path, *options, tmp_path / "mask.fits") == 2
    assert "has shape (16, 17, 40); expected (16, 18, 40)" in one_line(capsys)
    assert denoise(path, *options, tmp_path / "none.fits") == 1
    assert "No such file" in one_line(capsys)


@pytest.mark.parametrize(
    "options, match",
    [
        (["--method", "cooking"], "invalid choice: 'cooking'"),
        (["--sigma", "0"], "--sigma: '0' is not a positive number"),
        (["--sigma", "-1"], "--sigma"),
        (["--sigma", "nan"], "'nan' is not a positive number"),
        (["--epochs", "0"], "'0' is not a whole number from 1"),
        (["--block-mb", "many"], "'many' is not a positive number"),
        (["--random-state", "-1"], "--random-state"),
    ],
)
def test_wrong_arguments_are_one_line(options, match, path, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        denoise(path, "-o", tmp_path / "out.fits", *options)
    assert stop.value.code == 2
    assert match in one_line(capsys)


def test_outputs_that_cannot_be(path, tmp_path, monkeypatch, capsys):
    no_work(monkeypatch)
    for options, code, match in (
        (["-o", tmp_path / "out.fits.gz"], 2, "uncompressed FITS"),
        (["-o", tmp_path / "none" / "out.fits"], 1, "no folder that can be written to"),
        (["-o", tmp_path / "a.fits", "--save-std", tmp_path / "a.fits"], 2, "expected another"),
        (["-o", tmp_path / "a.fits", "--method", "pca", "--save-std", tmp_path / "b.fits"], 2,
         "--save-std with --method pca"),
    ):  # fmt: skip
        assert denoise(path, *options) == code
        assert match in one_line(capsys)
    with pytest.raises(SystemExit):
        denoise(path)
    assert "--output" in one_line(capsys)


def test_without_pywavelets_it_says_what_to_install(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pywt", None)
    assert denoise(path, "-o", tmp_path / "out.fits", "--quiet", "--method", "wavelet") == 1
    assert "pip install 'skastro[cubes]'" in one_line(capsys)
