"""``skastro mask`` as it is typed, with a segmenter whose answers can be worked out by hand."""

import numpy as np
from astropy.io import fits
from fake_segmenter import FakeSegmenter

from skastro import cli, mask_settings
from skastro.io import read_bit_planes


def make_image():
    """Levels of all classes, and a blank pixel."""
    values = np.random.default_rng(0).uniform(0, 500, (40, 50)).astype(np.float32)
    values[3, 4] = np.nan
    return values


def replace_model(monkeypatch):
    """The default model; one that is given as a file is loaded as ever."""
    load = mask_settings.load_model
    monkeypatch.setattr(
        mask_settings, "load_model", lambda path=None: load(path) if path else FakeSegmenter()
    )


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


def one(path):
    """The only mask of a file."""
    (found,) = read_bit_planes(path)
    return found
