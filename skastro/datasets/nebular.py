"""The Cloudy grid of nebular emission lines that ships with FSPS."""

from __future__ import annotations

from importlib.resources import files
from numbers import Real

import numpy as np
from sklearn.utils import Bunch

__all__ = ["load_nebular_grid"]

_DESCR = """\
Nebular emission lines of FSPS, computed with Cloudy
----------------------------------------------------
1,540 photoionization models of the gas around a young stellar population (MIST tracks), 126 lines.

Inputs, a regular grid (rows in C order over dust, logZ, log_age, logU: `grid_shape`):
    logZ      log10 of the metallicity in solar units, 11 values from -1.98 to 0.2
    log_age   log10 of the age of the population in years, 10 values from 5.70 to 7.30
    logU      log10 of the ionization parameter, 7 values from -4 to -1
    dust      dust grains in the nebula, 0 or 1: two categories, not an axis to interpolate along

Outputs: line luminosity per rate of ionizing photons, in Lsun s (multiply by the photons s-1 of the
population to get Lsun). Values lie between 1e-44 and 1e-62 (and down to 1e-121 where masked):
float32 cannot hold them, so take the logarithm before converting.

Mask: True where the value is finite and above the maximum of its line divided by 10**dynamic_range.
The source writes 1e-70 for a line that Cloudy found to be zero; these entries, and the numerically
meaningless ones far below a line's maximum, are masked. Seven lines have masked entries.

Source: github.com/cconroy20/fsps, nebular/ZAU_ND_mist.lines and ZAU_WD_mist.lines, MIT licence.
References: Byler et al. (2017), ApJ 840, 44; Conroy, Gunn & White (2009), ApJ 699, 486.
"""


def load_nebular_grid(*, dynamic_range=12.0, return_X_y=False, as_frame=False):
    """Load the Cloudy grid of nebular lines of FSPS (1,540 models, 126 lines).

    A real grid of models, small and regular, with outputs that span tens of decades.

    Parameters
    ----------
    dynamic_range : float or None, default=12.0
        Entries fainter than the maximum of their line by more than this many dex are
        masked. None masks only what isn't finite.
    return_X_y : bool, default=False
        Return `(data, target)`, the target NaN where masked, instead of a Bunch.
    as_frame : bool, default=False
        Data and target as pandas DataFrames, with their names as columns.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray or DataFrame of shape (1540, 4)
            log10 metallicity [solar], log10 age [yr], log10 ionization parameter,
            dust (0 or 1).
        target : ndarray or DataFrame of shape (1540, 126), float64
            Linear luminosity per ionizing photon rate, in Lsun s. Masked entries keep
            the value of the source.
        mask : ndarray of shape (1540, 126), bool
            True where the target is valid.
        feature_names, target_names : list of str
            A line is named by its vacuum wavelength, such as "1215.67A".
        target_unit : str
            "Lsun s".
        wavelengths : ndarray of shape (126,)
            In Angstrom.
        grid_shape : tuple
            (2, 11, 10, 7): rows in C order over `grid_axes`.
        grid_axes : list of str
            ["dust", "logZ", "log_age", "logU"].
        DESCR : str
            Description, units and provenance.

    data, target : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `dynamic_range` isn't a positive number or None.

    References
    ----------
    .. [1] N. Byler, J. J. Dalcanton, C. Conroy, B. D. Johnson (2017), "Nebular continuum
       and line emission in stellar population synthesis models", ApJ 840, 44.
    .. [2] C. Conroy, J. E. Gunn, M. White (2009), ApJ 699, 486.

    Examples
    --------
    >>> from skastro.datasets import load_nebular_grid
    >>> grid = load_nebular_grid()
    >>> grid.data.shape, grid.target.shape
    ((1540, 4), (1540, 126))
    >>> lyman_alpha = grid.target_names.index("1215.67A")
    >>> bool((grid.target[:, lyman_alpha] > 0).all())
    True
    >>> int((~grid.mask).sum())
    1026
    """
    if dynamic_range is not None and not (
        isinstance(dynamic_range, Real)
        and not isinstance(dynamic_range, bool)
        and dynamic_range > 0
    ):
        raise ValueError(
            f"dynamic_range={dynamic_range!r}: expected a number of dex above 0, or None"
        )
    source = files("skastro.datasets") / "data" / "fsps_cloudy_mist.npz"
    with source.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        data = stored["X"].astype(np.float64)
        log_target = stored["Y"].astype(np.float64)
        mask = stored["mask"] & np.isfinite(log_target)
        feature_names = stored["x_names"].tolist()
        target_names = stored["y_names"].tolist()
        grid_shape = tuple(int(n) for n in stored["grid_shape"])

    if dynamic_range is not None:
        brightest = np.where(mask, log_target, -np.inf).max(axis=0)
        mask &= log_target >= brightest - dynamic_range
    target = 10.0**log_target
    if return_X_y:
        target[~mask] = np.nan
    if as_frame:
        import pandas as pd  # only needed here: pandas isn't a core dependency

        data = pd.DataFrame(data, columns=feature_names)
        target = pd.DataFrame(target, columns=target_names)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        mask=mask,
        feature_names=feature_names,
        target_names=target_names,
        target_unit="Lsun s",
        wavelengths=np.array([float(name.rstrip("A")) for name in target_names]),
        grid_shape=grid_shape,
        grid_axes=["dust", "logZ", "log_age", "logU"],
        DESCR=_DESCR,
    )
