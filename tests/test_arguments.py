import argparse
from argparse import ArgumentTypeError

import pytest

from skastro.arguments import (
    add_map_options,
    check_output,
    fail,
    noise_level,
    positive_integer,
    positive_number,
    seed,
)


@pytest.mark.parametrize(
    "kind, text, error",
    [
        (seed, "-1", "'-1' is not a whole number from 0"),
        (seed, str(2**32), "is not a whole number from 0"),
        (positive_integer, "0", "'0' is not a whole number from 1"),
        (positive_integer, "1.5", "'1.5' is not a whole number from 1"),
        (positive_number, "inf", "'inf' is not a positive number"),
        (positive_number, "nan", "'nan' is not a positive number"),
        (positive_number, "cube.fits", "'cube.fits' is not a positive number"),
        (noise_level, "-0.2", "'-0.2' is not a positive number"),
    ],
)
def test_wrong_numbers(kind, text, error):
    with pytest.raises(ArgumentTypeError, match=error):
        kind(text)


def test_right_ones():
    assert (seed("0"), seed(str(2**32 - 1))) == (0, 2**32 - 1)
    assert (positive_integer("7"), positive_number("2.5e2")) == (7, 250.0)
    assert noise_level("0.2") == 0.2 and noise_level("noise.fits").name == "noise.fits"


def test_outputs_are_checked_before_any_work(tmp_path):
    new = tmp_path / "new.fits"
    check_output(new, overwrite=False)
    with pytest.raises(ValueError, match="new.txt has no name of an uncompressed FITS file"):
        check_output(tmp_path / "new.txt", overwrite=True)
    with pytest.raises(PermissionError, match="is no folder that can be written to"):
        check_output(tmp_path / "nowhere" / "new.fits", overwrite=False)
    folder = tmp_path / "folder.fits"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match="folder.fits is a folder; expected a file"):
        check_output(folder, overwrite=True)
    new.write_text("something")
    with pytest.raises(FileExistsError, match="expected a new file, or --overwrite"):
        check_output(new, overwrite=False)
    check_output(new, overwrite=True)
    # of a command that compresses, and says itself what allows an old file
    check_output(tmp_path / "new.fits.fz", overwrite=False, packed=True)
    check_output(tmp_path / "nowhere" / "new.fits", overwrite=False, folder=False)
    with pytest.raises(ValueError, match="has no name of a FITS file; expected .fits or .fits.fz"):
        check_output(tmp_path / "new.fits.gz", overwrite=False, packed=True)
    with pytest.raises(FileExistsError, match="or --overwrite or --resume"):
        check_output(new, overwrite=False, options="--overwrite or --resume")
    # a link that leads nowhere would be replaced too
    link = tmp_path / "link.fits"
    link.symlink_to(tmp_path / "gone.fits")
    with pytest.raises(FileExistsError):
        check_output(link, overwrite=False)


def test_options_of_maps_and_the_line_of_an_error(capsys):
    parser = argparse.ArgumentParser()
    add_map_options(parser, "the mixture")
    assert vars(parser.parse_args([])) == {
        "hdu": None, "overwrite": False, "quiet": False, "random_state": 0,
    }  # fmt: skip
    given = parser.parse_args(["--hdu", "2", "--overwrite", "--quiet", "--random-state", "5"])
    assert (given.hdu, given.overwrite, given.quiet, given.random_state) == (2, True, True, 5)
    assert "number of the HDU of the mixture" in " ".join(parser.format_help().split())
    assert fail(ValueError("what is wrong\nand more"), 2) == 2
    assert capsys.readouterr().err == "skastro: what is wrong\n"
