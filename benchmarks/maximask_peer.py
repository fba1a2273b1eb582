"""MaxiMask and MaxiTrack 1.4.1 as they are: commands, by the Python of another environment, on one thread.

python3.11 -m venv VENV
VENV/bin/pip install maximask==1.4.1 tensorflow-cpu==2.21.0
"""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits

__all__ = ["CLASSES", "run_maximask", "run_maxitrack"]

# in the order of its planes
CLASSES = "CR HCL DCL HP DP P TRL FR NEB SAT SP OV BBG BG".split()
BACKGROUND = 0.4  # its prior of the last one, which is not scored
MODULE = "maximask_and_maxitrack.maximask.maximask"
TRACK_MODULE = "maximask_and_maxitrack.maxitrack.maxitrack"
LIST = "frames.list"
SMALLEST = 401  # pixels of the side of an image that it takes
ONE = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def run_maximask(python, images, prior):
    """Probabilities of MaxiMask on frames, and how fast it was.

    Parameters
    ----------
    python : str or Path
        That of an environment with maximask.
    images : ndarray of shape (n, h, w)
    prior : dict of str to float
        Share of each class, in the order of the result.

    Returns
    -------
    proba : ndarray of shape (len(prior), n, h, w), float32
    speed : float
        Megapixels a second, of the fastest frame, as its log says: without its start and its files.
    """
    given = {**prior, "BG": BACKGROUND}
    with _frames(images) as (folder, paths):
        (folder / "classes.flags").write_text("".join(f"{name} 1\n" for name in CLASSES))
        priors = "".join(f"{name} {given[name]:.9g}\n" for name in CLASSES)
        (folder / "classes.priors").write_text(priors)
        options = ["--config_dir", folder, "--proba_thresh", "False"]
        seconds = _run(python, MODULE, folder, options)
        proba = np.empty((len(prior), *images.shape), np.float32)
        for i, path in enumerate(paths):
            planes = fits.getdata(path.with_suffix(".mask.fits"))
            for k, name in enumerate(prior):
                proba[k, i] = planes[CLASSES.index(name)]
    return proba, images[0].size / 1e6 / seconds


def run_maxitrack(python, images, prior):
    """Probability of MaxiTrack, for each frame, that the telescope lost its track.

    Parameters
    ----------
    python : str or Path
        That of an environment with maximask.
    images : ndarray of shape (n, h, w)
        It sees blocks of 400 x 400 pixels, and takes the mean of what it finds.
    prior : float

    Returns
    -------
    proba : ndarray of shape (n,), float32
        With four decimals; NaN where it gave none.
    speed : float
        Megapixels a second, of the fastest frame, as its log says: without its start and its files.
    """
    with _frames(images) as (folder, paths):
        seconds = _run(python, TRACK_MODULE, folder, ["--prior", f"{prior:.9g}"])
        found = dict(
            line.rsplit(" ", 1) for line in (folder / "maxitrack.out").read_text().splitlines()
        )
        proba = np.array([float(found[str(path)]) for path in paths], np.float32)
    return proba, images[0].size / 1e6 / seconds


@contextmanager
def _frames(images):
    """A folder with FITS files and the list of them that the commands take, and their paths."""
    if min(images.shape[1:]) < SMALLEST:
        raise ValueError(
            f"images have shape {images.shape}; expected sides of {SMALLEST} and more."
        )
    with tempfile.TemporaryDirectory(prefix="skastro-peer-") as folder:
        folder = Path(folder)
        paths = [folder / f"frame{i}.fits" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            fits.writeto(path, image.astype(np.float32))
        (folder / LIST).write_text("".join(f"{path}\n" for path in paths))
        yield folder, paths


def _run(python, module, folder, options):
    """Run a command of theirs on one thread of one core; seconds of the fastest frame, as its log says."""
    core = sorted(os.sched_getaffinity(0))[:1] if hasattr(os, "sched_setaffinity") else ()
    # from another folder a relative path would not do
    python = os.path.abspath(shutil.which(python) or python)
    done = subprocess.run(
        [python, "-m", module, folder / LIST, *options, "-v"],
        cwd=folder,
        env=os.environ | dict.fromkeys(ONE, "1") | {"PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
    )
    if done.returncode:
        raise RuntimeError(f"{module} ended with code {done.returncode}: {done.stdout[-400:]}")
    seconds = re.findall(r"Whole processing time .*?: ([\d.]+)s", done.stdout)
    # with two decimals
    return max(min(map(float, seconds)), 0.01)
