"""MaxiMask 1.4.1 as it is: its command, by the Python of another environment, on one thread.

python3.11 -m venv VENV
VENV/bin/pip install maximask==1.4.1 tensorflow-cpu==2.21.0
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

__all__ = ["CLASSES", "run_maximask"]

# in the order of its planes
CLASSES = "CR HCL DCL HP DP P TRL FR NEB SAT SP OV BBG BG".split()
BACKGROUND = 0.4  # its prior of the last one, which is not scored
MODULE = "maximask_and_maxitrack.maximask.maximask"
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
    from astropy.io import fits

    if min(images.shape[1:]) < SMALLEST:
        raise ValueError(
            f"images have shape {images.shape}; expected sides of {SMALLEST} and more."
        )
    with tempfile.TemporaryDirectory(prefix="skastro-peer-") as folder:
        folder = Path(folder)
        given = {**prior, "BG": BACKGROUND}
        write = {
            "classes.flags": "".join(f"{name} 1\n" for name in CLASSES),
            "classes.priors": "".join(f"{name} {given[name]:.9g}\n" for name in CLASSES),
        }
        paths = [folder / f"frame{i}.fits" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            fits.writeto(path, image.astype(np.float32))
        write["frames.list"] = "".join(f"{path}\n" for path in paths)
        for name, text in write.items():
            (folder / name).write_text(text)
        command = [
            python, "-m", MODULE, folder / "frames.list", "--config_dir", folder,
            "--proba_thresh", "False", "-v",
        ]  # fmt: skip
        core = sorted(os.sched_getaffinity(0))[:1] if hasattr(os, "sched_setaffinity") else ()
        done = subprocess.run(
            command,
            env=os.environ
            | dict.fromkeys(ONE, "1")
            | {"PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
        )
        if done.returncode:
            raise RuntimeError(f"MaxiMask ended with code {done.returncode}: {done.stdout[-400:]}")
        seconds = re.findall(r"Whole processing time .*?: ([\d.]+)s", done.stdout)
        proba = np.empty((len(prior), *images.shape), np.float32)
        for i, path in enumerate(paths):
            planes = fits.getdata(path.with_suffix(".mask.fits"))
            for k, name in enumerate(prior):
                proba[k, i] = planes[CLASSES.index(name)]
    return proba, images[0].size / 1e6 / min(map(float, seconds))
