"""Cubes of any kind as the numbers and axes of a picture."""

from typing import NamedTuple

import numpy as np

from skastro.denoising.checks import check_cube
from skastro.io import read_cube

__all__ = ["SeenCube", "see_cube"]


def _plain(unit):
    """A unit as it is written by hand."""
    return str(unit).replace(" / ", "/")


class SeenCube(NamedTuple):
    """The numbers of a cube, and what its axes are.

    Attributes
    ----------
    values : ndarray of shape (n_y, n_x, n_channels)
    unit : str or None
    velocity : ndarray of shape (n_channels,)
        Or frequency, wavelength; the number of the channel where nothing says.
    velocity_label : str
    """

    values: np.ndarray
    unit: str | None
    velocity: np.ndarray
    velocity_label: str


def see_cube(cube, name="cube", velocity=None):
    """Read a cube of any kind for a picture.

    Parameters
    ----------
    cube : path, HDU, SpectralCube, NDData, Quantity or array
    name : str
        Name of the argument, for the errors.
    velocity : array-like of shape (n_channels,) or Quantity, optional
        In km/s, if it has no unit.

    Returns
    -------
    seen : SeenCube

    Raises
    ------
    ValueError
        Another number of axes, or a `velocity` of another length.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from skastro.displays.reading import see_cube
    >>> seen = see_cube(np.zeros((2, 3, 4)) * u.K, velocity=[1.0, 2.0, 3.0, 4.0] * u.m / u.s)
    >>> seen.unit, seen.velocity_label
    ('K', 'velocity [m/s]')
    """
    cube = read_cube(cube, name=name)
    values = check_cube(np.asarray(cube.values), name)
    if values.ndim != 3:
        raise ValueError(f"{name} has shape {values.shape}; expected (n_y, n_x, n_channels).")
    unit = None if cube.unit is None else _plain(cube.unit)
    label = "velocity [km/s]"
    if velocity is None:
        velocity = cube.spectral_axis
        if velocity is not None and velocity.unit.is_equivalent("km/s"):
            velocity = velocity.to("km/s")
    if hasattr(velocity, "unit"):
        kind = "velocity" if velocity.unit.is_equivalent("km/s") else "spectral axis"
        label, velocity = f"{kind} [{_plain(velocity.unit)}]", velocity.value
    if velocity is None:
        label, velocity = "channel", np.arange(values.shape[-1])
    velocity = np.asarray(velocity, dtype=np.float64)
    if velocity.shape != values.shape[-1:]:
        raise ValueError(
            f"velocity has shape {velocity.shape}; expected ({values.shape[-1]},), a value a channel."
        )
    return SeenCube(values, unit, velocity, label)
