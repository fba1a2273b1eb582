"""Types of the arguments of the command line, with errors that say what was expected."""

import os
import sys
from argparse import ArgumentTypeError
from math import isfinite
from pathlib import Path

__all__ = ["noise_level", "positive_integer", "positive_number", "seed"]


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None


def seed(text):
    """A seed of NumPy.

    Parameters
    ----------
    text : str

    Returns
    -------
    seed : int

    Raises
    ------
    ArgumentTypeError
        Not a whole number from 0 to 2**32 - 1.

    Examples
    --------
    >>> from skastro.arguments import seed
    >>> seed("42")
    42
    """
    if not text.isdecimal() or int(text) >= 2**32:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**32 - 1")
    return int(text)


def positive_integer(text):
    """A whole number from 1.

    Parameters
    ----------
    text : str

    Returns
    -------
    number : int

    Raises
    ------
    ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> from skastro.arguments import positive_integer
    >>> positive_integer("3")
    3
    """
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def positive_number(text):
    """A finite number above 0.

    Parameters
    ----------
    text : str

    Returns
    -------
    number : float

    Raises
    ------
    ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> from skastro.arguments import positive_number
    >>> positive_number("2.5e2")
    250.0
    """
    number = _number(text)
    if number is None or not (number > 0 and isfinite(number)):
        raise ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def noise_level(text):
    """A positive number, or a file.

    Parameters
    ----------
    text : str

    Returns
    -------
    level : float or Path
        A Path wherever the text is no number.

    Raises
    ------
    ArgumentTypeError
        A number that is not positive.

    Examples
    --------
    >>> from skastro.arguments import noise_level
    >>> noise_level("0.2"), noise_level("noise.fits").name
    (0.2, 'noise.fits')
    """
    return Path(text) if _number(text) is None else positive_number(text)


def add_map_options(parser, hdu_of):
    """Add what every command has that reads a FITS map and writes one after a search.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    hdu_of : str
        What ``--hdu`` is of, in its help.

    Examples
    --------
    >>> import argparse
    >>> from skastro.arguments import add_map_options
    >>> parser = argparse.ArgumentParser()
    >>> add_map_options(parser, "the map")
    >>> parser.parse_args(["--hdu", "1", "--quiet"])
    Namespace(hdu=1, overwrite=False, quiet=True, random_state=0)
    """
    parser.add_argument(
        "--hdu", metavar="N", type=int,
        help=f"number of the HDU of {hdu_of} (default: the first with an image)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--random-state", type=seed, default=0, metavar="N", help="seed (default: 0)"
    )


def check_output(path, overwrite, *, packed=False, options="--overwrite", folder=True):
    """Check, before any work, that a FITS file can be written.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file that is there may be replaced.
    packed : bool, default=False
        Whether ``.fz`` is allowed.
    options : str, default="--overwrite"
        What allows a file that is there, in the error.
    folder : bool, default=True
        Whether the folder must be there.

    Raises
    ------
    ValueError
        The name is not that of a FITS file, uncompressed unless `packed`.
    OSError
        The file exists, or its folder cannot be written to.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skastro.arguments import check_output
    >>> check_output(Path("cube.txt"), overwrite=False)
    Traceback (most recent call last):
        ...
    ValueError: cube.txt has no name of an uncompressed FITS file; expected .fits.
    """
    if path.suffix.lower() not in (".fits", ".fit", ".fts", *([".fz"] if packed else [])):
        kind, names = (
            ("a FITS", ".fits or .fits.fz") if packed else ("an uncompressed FITS", ".fits")
        )
        raise ValueError(f"{path} has no name of {kind} file; expected {names}.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a file.")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(f"{path} exists; expected a new file, or {options}.")
    if folder and not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path.parent} is no folder that can be written to.")


def fail(message, code):
    """Say in one line what is wrong, and hand on the code that the command ends with."""
    print(f"skastro: {str(message).splitlines()[0]}", file=sys.stderr)
    return code
