"""ROHSA, the Fortran program, called with a cube: its binary is not ours, and is not built here."""

import os
import resource
import subprocess
import tempfile
from pathlib import Path

import numpy as np

__all__ = ["find_rohsa", "run_rohsa"]


def find_rohsa():
    """Path of the binary that SKASTRO_ROHSA names, or None and why."""
    path = os.environ.get("SKASTRO_ROHSA")
    if not path:
        return (
            None,
            "SKASTRO_ROHSA is not set: compile github.com/antoinemarchal/ROHSA and name its binary",
        )
    if not os.access(path, os.X_OK):
        return None, f"SKASTRO_ROHSA={path} is no program"
    return path, None


def _table(path, array):
    """Text that ROHSA reads: the shape, then a line of indices and the value for each entry."""
    indices = np.indices(array.shape).reshape(array.ndim, -1).T
    np.savetxt(
        path, np.column_stack([indices, array.ravel()]), comments="",
        fmt=["%d"] * array.ndim + ["%.7g"], header=" ".join(map(str, array.shape)),
    )  # fmt: skip


def _fortran(value):
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, float):
        return f"{value:.8e}".replace("e", "d")
    return f"'{value}'" if isinstance(value, str | Path) else str(value)


def run_rohsa(cube, sigma, n_components, smooth, width_variance=0.0, maxiter=800):
    """Decompose a cube.

    Parameters
    ----------
    cube : ndarray of shape (n_y, n_x, n_channels)
        Without blanks.
    sigma : ndarray of shape (n_y, n_x)
    n_components : int
    smooth : tuple of 3 floats
        Its lambda_amp (for amplitudes in the unit of the cube), lambda_mu and lambda_sig.
    width_variance : float
        Its lambda_var_sig.
    maxiter : int
        Its own default is 800.

    Returns
    -------
    model : ndarray of the shape of `cube`
    seconds : float
        Of processor time, reading and writing included.
    """
    n_y, n_x, n_channels = cube.shape
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        _table(folder / "cube.dat", np.moveaxis(cube, -1, 0))
        _table(folder / "noise.dat", sigma)
        parameters = {
            "filename": folder / "cube.dat",
            "fileout": folder / "out.dat",
            "timeout": folder / "time.dat",
            "filename_noise": folder / "noise.dat",
            "n_gauss": n_components,
            "lambda_amp": float(smooth[0]),
            "lambda_mu": float(smooth[1]),
            "lambda_sig": float(smooth[2]),
            "lambda_var_sig": float(width_variance),
            # its default, 5 channels, is wider than the lines here
            "sig_init": 2.0,
            "lb_sig_init": 0.5,
            "ub_sig_init": 0.5 * n_channels,
            "lb_sig": 0.5,
            "ub_sig": 0.5 * n_channels,
            "init_option": "mean",
            "maxiter_init": 15000,
            "maxiter": maxiter,
            "m": 10,
            "noise": True,
            "regul": True,
            "descent": True,
            "save_grid": False,
        }
        lines = [f"   {key} = {_fortran(value)}" for key, value in parameters.items()]
        text = "&user_parameters\n" + "\n   ,".join(lines) + "\n   /\n"
        (folder / "parameters.txt").write_text(text)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(
            [os.environ["SKASTRO_ROHSA"], folder / "parameters.txt"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        found = np.loadtxt(folder / "out.dat").reshape(n_y, n_x, n_components, 5)
    amplitude, velocity, width = np.moveaxis(found[..., 2:], -1, 0)[..., None]
    channels = np.arange(1, n_channels + 1)
    model = (amplitude * np.exp(-0.5 * ((channels - velocity) / width) ** 2)).sum(axis=2)
    return model.astype(np.float32), seconds
