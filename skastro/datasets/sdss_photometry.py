"""Magnitudes and spectroscopic redshifts of galaxies of the Sloan Digital Sky Survey."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch

__all__ = ["load_sdss_photometry"]

BANDS = ["u", "g", "r", "i", "z"]
COLOURS = ["u-g", "g-r", "r-i", "i-z"]
FEATURE_NAMES = [*BANDS, *COLOURS, *(f"err_{name}" for name in BANDS + COLOURS)]
SUBSETS = ("train", "test")

_DESCR = """\
Main galaxy sample of the Sloan Digital Sky Survey: magnitudes and redshifts
-----------------------------------------------------------------------------
5,000 galaxies to train on and 5,000 others to test with, of the main galaxy sample, which is limited in
flux near r = 17.8. No row is in both.

Features (18 columns, mag): magnitudes in u, g, r, i, z; the colours u-g, g-r, r-i, i-z; the errors of the
five magnitudes and of the four colours, `err_u` to `err_i-z`. Colours are differences of the magnitudes,
and their errors the roots of sums of squares: nine columns carry no information of their own. Column "z"
is a magnitude.

Target: spectroscopic redshift, below 0.3. Its own error is far below what photometry can reach.

The values are those of the source, to all six decimals, odd ones included: the train rows hold a galaxy whose
magnitude in i is some two magnitudes too faint. What kind of magnitude they are, and whether the extinction
of the Milky Way was taken off, is not said in the source.

Source: github.com/mgckind/MLZ, mlz/test/SDSS_MGS.train and SDSS_MGS.test, University of Illinois/NCSA open
source licence (its text is beside the file). Credit: Sloan Digital Sky Survey (www.sdss.org); the survey
considers what it released to be in the public domain.
References: Carrasco Kind & Brunner (2013), MNRAS 432, 1483 (MLZ); Strauss et al. (2002), AJ 124, 1810 (the
sample); York et al. (2000), AJ 120, 1579 (the survey).
"""


def _features(magnitudes, errors):
    """All columns of the source; its decimals come back by rounding."""
    colours = magnitudes[:, :-1] - magnitudes[:, 1:]
    colour_errors = np.hypot(errors[:, :-1], errors[:, 1:])
    return np.round(np.hstack([magnitudes, colours, errors, colour_errors]), 6)


def load_sdss_photometry(subset="train", *, return_X_y=False, as_frame=False):
    """Load magnitudes and redshifts of galaxies of the Sloan Digital Sky Survey (5,000 + 5,000).

    Real photometry with spectroscopic redshifts, to learn photometric redshifts from a table.

    Parameters
    ----------
    subset : {"train", "test"} or None, default="train"
        Which galaxies. None gives all 10,000, those of "train" first.
    return_X_y : bool, default=False
        Return `(data, target)` instead of a Bunch.
    as_frame : bool, default=False
        Data as a pandas DataFrame and target as a Series, with their names.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray or DataFrame of shape (n_galaxies, 18), float64
            Five magnitudes, four colours, then the errors of the nine, in mag.
        target : ndarray or Series of shape (n_galaxies,), float64
            Spectroscopic redshift.
        feature_names : list of str
            "u", "g", "r", "i", "z", "u-g", ..., "i-z", "err_u", ..., "err_i-z".
        target_names : list of str
            ["redshift"].
        feature_units : list of str
            "mag" for every column.
        target_unit : str
            "": without dimension.
        subset : str or None
            As given.
        DESCR : str
            Description, provenance, licence and credits.

    data, target : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        Another subset.

    References
    ----------
    .. [1] M. Carrasco Kind & R. J. Brunner (2013), "TPZ: photometric redshift PDFs and ancillary
       information by using prediction trees and random forests", MNRAS 432, 1483.
    .. [2] M. A. Strauss et al. (2002), "Spectroscopic target selection in the Sloan Digital Sky
       Survey: the main galaxy sample", AJ 124, 1810.

    Examples
    --------
    >>> from skastro.datasets import load_sdss_photometry
    >>> X, z = load_sdss_photometry("train", return_X_y=True)
    >>> X.shape, z.shape
    ((5000, 18), (5000,))
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> X_test, z_test = load_sdss_photometry("test", return_X_y=True)
    >>> knn = KNeighborsRegressor(25).fit(X[:, 5:9], z)  # colours
    >>> bool(knn.score(X_test[:, 5:9], z_test) > 0.7)
    True
    """
    if subset is not None and not (isinstance(subset, str) and subset in SUBSETS):
        raise ValueError(f"subset={subset!r}: expected 'train', 'test' or None for both")
    path = files("skastro.datasets") / "data" / "sdss_photometry.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        # of each subset the four bytes of integers, one after the other: compresses better
        planes = [stored[name] for name in SUBSETS if subset in (None, name)]
    planes = np.concatenate(planes, axis=2)
    columns = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view("<u4")[..., 0] / 1e6
    target = columns[0].copy()
    data = _features(columns[1:6].T, columns[6:].T)
    if as_frame:
        import pandas as pd  # only needed here: pandas isn't a core dependency

        data = pd.DataFrame(data, columns=FEATURE_NAMES)
        target = pd.Series(target, name="redshift")
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=list(FEATURE_NAMES),
        target_names=["redshift"],
        feature_units=["mag"] * len(FEATURE_NAMES),
        target_unit="",
        subset=subset,
        DESCR=_DESCR,
    )
