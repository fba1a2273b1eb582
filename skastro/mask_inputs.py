"""The files that ``skastro mask`` reads, and the names of those that it writes."""

import glob
import os
import sys
from pathlib import Path
from typing import NamedTuple

from skastro.arguments import check_output

__all__ = ["Job", "find_inputs", "plan_jobs"]

# endings of FITS files, the longest first
ENDINGS = tuple(
    stem + packed for packed in (".fz", ".gz", ".bz2", "") for stem in (".fits", ".fit", ".fts")
) + (".fz",)


class Job(NamedTuple):
    """A file to read and the one to write.

    Attributes
    ----------
    source, output : Path
    """

    source: Path
    output: Path


def _ending(name):
    """The ending of a FITS file as it is spelt, "" of another."""
    found = next((one for one in ENDINGS if name.lower().endswith(one)), "")
    return name[len(name) - len(found) :]


def _read_list(path):
    """Paths of a list, one a line; empty lines and those that begin with # are left out."""
    text = sys.stdin.read() if str(path) == "-" else Path(path).read_text()
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def find_inputs(given, lists=(), *, suffix=".mask.fits"):
    """Files, folders, patterns and lists to a list of files.

    Parameters
    ----------
    given : list of str
        Files; folders, of which all FITS files are taken, in the order of their names; patterns with ``*``,
        ``?`` or ``[``; ``-`` for a list on standard input.
    lists : list of str, default=()
        Files with a path or pattern a line, or ``-``.
    suffix : str, default=".mask.fits"
        Ending of masks, which folders and patterns leave out.

    Returns
    -------
    paths : list of Path
        Each once, in the order given. A file that is named need not exist.

    Raises
    ------
    ValueError
        A folder or pattern without FITS files, an empty list, none at all.
    OSError
        A list that cannot be read.

    Examples
    --------
    >>> from skastro.mask_inputs import find_inputs
    >>> [path.name for path in find_inputs(["a.fits", "b.fits.fz", "a.fits"])]
    ['a.fits', 'b.fits.fz']
    """
    entries = [
        line for one in given for line in (_read_list("-") if str(one) == "-" else [str(one)])
    ]
    for one in lists:
        entries += _read_list(one)
    # a mask may have been compressed, whatever the suffix of this run
    endings = {suffix, suffix.removesuffix(".fz"), suffix + ".fz"} - {""}
    found = []
    for entry in entries:
        path = Path(entry)
        if path.is_dir():
            paths = sorted(one for one in path.iterdir() if _ending(one.name) and one.is_file())
        elif glob.has_magic(entry) and not path.exists():
            paths = sorted(Path(one) for one in glob.glob(entry, recursive=True))
        else:
            found.append(path)
            continue
        paths = [one for one in paths if not one.name.endswith(tuple(endings))]
        if not paths:
            raise ValueError(f"{entry} holds no FITS file; expected some.")
        found += paths
    if not found:
        raise ValueError("FILE is missing; expected FITS files, folders, patterns, - or --list.")
    return list(dict.fromkeys(found))


def plan_jobs(paths, *, output=None, folder=None, suffix=".mask.fits", replace=False, resume=False):
    """Name the output of each file, and refuse what must not be written before any work is done.

    Parameters
    ----------
    paths : list of Path
    output : Path, optional
        Of the only file.
    folder : Path, optional
        For the outputs; None: each beside its input. Made if absent.
    suffix : str, default=".mask.fits"
        Takes the place of the ending of the input.
    replace : bool, default=False
        Whether existing outputs may be replaced.
    resume : bool, default=False
        Whether inputs whose output exists are left out.

    Returns
    -------
    jobs : list of Job
    skipped : list of Job

    Raises
    ------
    ValueError
        `output` for several files, a name that is not of FITS, an output that is an input or that of two.
    OSError
        An output exists, or its folder cannot be written to.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skastro.mask_inputs import plan_jobs
    >>> jobs, _ = plan_jobs([Path("a.fits.fz")], suffix=".mask.fits.fz")
    >>> jobs[0].output.name
    'a.mask.fits.fz'
    """
    if output is not None and len(paths) > 1:
        raise ValueError(f"--output with {len(paths)} files; expected one, or --output-dir.")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    jobs, skipped, sources = [], [], {_place(path): path for path in paths}
    taken = {}
    for path in paths:
        target = output or (folder or path.parent) / _output_name(path.name, suffix)
        place = _place(target)
        if place in sources:
            raise ValueError(f"{target} is a file to read; expected another to write.")
        if place in taken:
            raise ValueError(f"{target} is the mask of {taken[place]} and of {path}; expected one.")
        taken[place] = path
        skip = resume and os.path.lexists(target)
        check_output(
            target, replace or skip, packed=True, options="--overwrite or --resume",
            # that of an input that does not exist is reported with that input
            folder=not skip and (output is not None or target.parent.exists()),
        )  # fmt: skip
        (skipped if skip else jobs).append(Job(path, target))
    return jobs, skipped


def _output_name(name, suffix):
    ending = _ending(name)
    return name.removesuffix(ending) + suffix


def _place(path):
    return os.path.realpath(path)
