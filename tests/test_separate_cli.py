"""The command that takes a map apart, as it is typed."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skastro.cli import main
from skastro.datasets import make_mixture
from skastro.separation import StatisticalSeparator

MIX = make_mixture("white", n_pixels=32, n_samples=8, random_state=0)


@pytest.fixture
def files(tmp_path):
    header = WCS(naxis=2).to_header()
    header["CRVAL1"], header["BUNIT"] = 83.0, "MJy/sr"
    mixture, samples = tmp_path / "mix.fits", tmp_path / "noise.fits"
    fits.PrimaryHDU(MIX.mixture, header).writeto(mixture)
    fits.PrimaryHDU(MIX.samples).writeto(samples)
    return mixture, samples


def run(files, out, *more):
    mixture, samples = map(str, files)
    arguments = ["separate", mixture, "--contamination", samples, "-o", str(out), "--quiet"]
    return main([*arguments, "--max-iter", "5", *more])


def test_the_signal_with_the_header(files, tmp_path, capsys):
    out = tmp_path / "signal.fits"
    assert run(files, out, "--random-state", "3") == 0
    found, header = fits.getdata(out, header=True)
    separator = StatisticalSeparator(max_iter=5, random_state=3).fit(MIX.samples)
    np.testing.assert_allclose(found, separator.transform(MIX.mixture)[0], rtol=1e-3, atol=1e-3)
    assert np.std(found - MIX.signal[0]) < 0.8
    assert header["BUNIT"] == "MJy/sr" and header["CRVAL1"] == 83.0
    history = "".join(header["HISTORY"])
    assert "signal in mix.fits" in history and "8 samples of noise.fits" in history
    assert run(files, out) == 1
    error = capsys.readouterr().err
    assert "expected a new file, or --overwrite" in error and error.count("\n") == 1
    assert run(files, out, "--random-state", "3", "--overwrite") == 0
    np.testing.assert_array_equal(fits.getdata(out), found)
    assert run(files, out, "--random-state", "4", "--overwrite") == 0
    assert np.abs(fits.getdata(out) - found).max() > 1e-3


def test_several_files_of_samples_and_another_unit(files, tmp_path, capsys):
    whole, parts = tmp_path / "whole.fits", tmp_path / "parts.fits"
    names = []
    for i, part in enumerate(np.split(MIX.samples, [1, 5])):
        names.append(str(tmp_path / f"part{i}.fits"))
        hdu = fits.PrimaryHDU(part[0] * 1e3 if i == 0 else part)
        if i == 0:
            hdu.header["BUNIT"] = "kJy/sr"
        hdu.writeto(names[-1])
    assert run(files, whole) == 0
    arguments = ["separate", str(files[0]), "-o", str(parts), "--max-iter", "5", "-c", *names]
    assert main(arguments) == 0
    assert f"wrote {parts}" in capsys.readouterr().out
    np.testing.assert_allclose(fits.getdata(parts), fits.getdata(whole), rtol=1e-3, atol=1e-3)


def test_blank_pixels_stay_blank(files, tmp_path):
    with fits.open(files[0], mode="update") as hdus:
        hdus[0].data[0, 3:6, 4:8] = np.nan
    out = tmp_path / "signal.fits"
    assert run(files, out) == 0
    found = fits.getdata(out)
    blank = np.zeros((32, 32), dtype=bool)
    blank[3:6, 4:8] = True
    np.testing.assert_array_equal(np.isnan(found), blank)
    assert np.std((found - MIX.signal[0])[~blank]) < 0.8


def test_strong_contamination_is_said_in_one_line(files, tmp_path, capsys):
    with fits.open(files[1], mode="update") as hdus:
        hdus[0].data *= 5
    assert run(files, tmp_path / "signal.fits") == 0
    error = capsys.readouterr().err
    assert "hardly any signal can be told" in error and error.count("\n") == 1
    assert run(files, tmp_path / "draws.fits", "--n-posterior", "2") == 0
    assert capsys.readouterr().err == error


@pytest.mark.parametrize(
    ("which", "change", "extra", "message"),
    [
        (0, lambda x: x * np.nan, [], "is blank everywhere"),
        (0, lambda x: x * 0 + 1, [], "mix.fits has a constant map"),
        (0, lambda x: np.repeat(x, 3, axis=0), [], "expected a map (h, w)"),
        (0, lambda x: x, ["--hdu", "4"], "has 1 HDUs"),
        (1, lambda x: x[:, 1:], [], "has maps of 31 x 32 pixels; expected 32 x 32, those of"),
        (1, lambda x: x[:1], [], "has 1 sample of the contamination; expected at least 2"),
        (1, lambda x: np.where(x > 2.5, np.nan, x), [], "pixels that are not finite"),
        (1, lambda x: x[None] * np.ones((2, 1, 1, 1)), [], "a map (h, w) or a cube (n, h, w)"),
    ],
)
def test_maps_that_cannot_be_taken_apart(files, tmp_path, capsys, which, change, extra, message):
    with fits.open(files[which], mode="update") as hdus:
        hdus[0].data = change(hdus[0].data)
    out = tmp_path / "signal.fits"
    assert run(files, out, *extra) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not out.exists()


def test_units_that_do_not_convert(files, tmp_path, capsys):
    for unit in ("K", "no unit"):
        with fits.open(files[1], mode="update") as hdus:
            hdus[0].header["BUNIT"] = unit
        assert run(files, tmp_path / "signal.fits") == 1
        error = capsys.readouterr().err
        assert f"has the unit {unit!r}; expected one that converts to 'MJy/sr'" in error
        assert error.count("\n") == 1


def test_wrong_arguments(files, tmp_path, capsys):
    assert run(files, tmp_path / "new.txt") == 2
    assert run((files[0], tmp_path / "none.fits"), tmp_path / "a.fits") == 1
    assert run((tmp_path / "none.fits", files[1]), tmp_path / "a.fits") == 1
    assert run(files, tmp_path / "no" / "a.fits") == 1
    assert capsys.readouterr().err.count("\n") == 4


def test_draws_in_extensions(files, tmp_path, capsys):
    out = tmp_path / "draws.fits"
    assert run(files, out, "--n-posterior", "3", "--periodic") == 0
    with fits.open(out) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "STD", "POSTERIOR"]
        assert hdus["POSTERIOR"].shape == (3, 32, 32)
        expected = np.std(hdus["POSTERIOR"].data, axis=0, ddof=1)
        np.testing.assert_allclose(hdus["STD"].data, expected, rtol=1e-5)
        assert "periodic" in "".join(hdus[0].header["HISTORY"])
        assert hdus["STD"].header["BUNIT"] == "MJy/sr" and hdus["STD"].header["CRVAL1"] == 83.0
        separator = StatisticalSeparator(max_iter=5, random_state=0, periodic=True).fit(MIX.samples)
        draws = separator.sample_posterior(MIX.mixture[0], 3)
        np.testing.assert_allclose(hdus["POSTERIOR"].data, draws, rtol=1e-3, atol=1e-3)
    assert run(files, out, "--n-posterior", "1", "--overwrite") == 2
    assert "--n-posterior is 1; expected at least 2" in capsys.readouterr().err
