import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skastro.cli import main
from skastro.datasets import make_fields


@pytest.fixture
def source(tmp_path):
    header = WCS(naxis=2).to_header()
    header["CRVAL1"], header["BUNIT"] = 83.0, "MJy/sr"
    path = tmp_path / "map.fits"
    image = make_fields(1, "lognormal", n_pixels=32, scatter=0.5, random_state=0).maps[0]
    fits.PrimaryHDU(np.exp(image)[None], header).writeto(path)
    return path


def test_one_map_with_the_header(source, tmp_path, capsys):
    out = tmp_path / "new.fits"
    arguments = ["synthesize", str(source), "-o", str(out), "--log", "--max-iter", "15"]
    assert main(arguments) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    new, header = fits.getdata(out, header=True)
    old = fits.getdata(source)[0]
    assert new.shape == (32, 32) and (new > 0).all()
    assert header["BUNIT"] == "MJy/sr" and header["CRVAL1"] == 83.0
    assert "max_iter=15" in "".join(header["HISTORY"])
    assert abs(np.log(new).std() / np.log(old).std() - 1) < 0.2
    assert main(arguments) == 1
    assert "expected a new file, or --overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite", "--quiet"]) == 0
    np.testing.assert_array_equal(fits.getdata(out), new)


def test_several_maps(source, tmp_path):
    out = tmp_path / "new.fits"
    assert (
        main(["synthesize", str(source), "-o", str(out), "-n", "2", "--max-iter", "3", "--quiet"])
        == 0
    )
    new = fits.getdata(out)
    assert new.shape == (2, 32, 32) and np.abs(new[0] - new[1]).max() > 0.1


@pytest.mark.parametrize(
    ("change", "extra", "message"),
    [
        (lambda x: x * 0 - 1.0, ["--log"], "goes down to -1; expected values above 0"),
        (lambda x: x * 0 + 1.0, [], "constant map"),
        (lambda x: x * np.nan, [], "nan"),
        (lambda x: np.repeat(x, 3, axis=0), [], "expected a map (h, w)"),
        (lambda x: x, ["--hdu", "4"], "has 1 HDUs"),
    ],
)
def test_maps_that_cannot_be_imitated(source, tmp_path, capsys, change, extra, message):
    with fits.open(source, mode="update") as hdus:
        hdus[0].data = change(hdus[0].data)
    out = tmp_path / "new.fits"
    assert main(["synthesize", str(source), "-o", str(out), "--quiet", *extra]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not out.exists()


def test_wrong_arguments(source, tmp_path, capsys):
    assert main(["synthesize", str(source), "-o", str(tmp_path / "new.txt")]) == 2
    assert main(["synthesize", str(tmp_path / "none.fits"), "-o", str(tmp_path / "a.fits")]) == 1
    assert main(["synthesize", str(source), "-o", str(tmp_path / "no" / "a.fits")]) == 1
    assert capsys.readouterr().err.count("\n") == 3
