"""Maps of probabilities, fitted to held-out rows: one a target."""

import numpy as np

from skastro.calibration_metrics import pit_distance
from skastro.distributions import LevelMap, conformal_map, isotonic_map

__all__ = ["fit_maps", "shrunk_map"]

# Fewer rows tell nothing about the tails.
LEAST_ROWS = 20


def shrunk_map(pit):
    r"""The isotonic map, drawn towards none at all by what chance explains of it.

    A map that follows a thousand held-out rows has their scatter, which is worse than no map where there
    was nothing to correct. As with James and Stein's estimator, the part

    .. math:: \lambda = \max(0,\, 1 - 1 / A^2)

    of the correction is kept; :math:`A^2`, the statistic of Anderson and Darling, has a mean of 1 when the
    probabilities are right [1]_.

    Parameters
    ----------
    pit : ndarray of shape (n,)
        Probability integral transforms of held-out rows.

    Returns
    -------
    map : LevelMap

    References
    ----------
    .. [1] Anderson & Darling, "A test of goodness of fit", J. Am. Stat. Assoc. 49, 765 (1954).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression.calibration import shrunk_map
    >>> right, narrow = np.random.default_rng(1).random(500), np.random.default_rng(1).beta(0.5, 0.5, 500)
    >>> shrunk_map(right)([0.1, 0.9]).round(2), shrunk_map(narrow)([0.1, 0.9]).round(1)
    (array([0.1, 0.9]), array([0.2, 0.8]))
    """
    whole = isotonic_map(pit)
    kept = max(0.0, 1.0 - 1.0 / pit_distance(pit))
    x, y = np.asarray(whole[0]), np.asarray(whole[1])
    return LevelMap(x, x + kept * (y - x))


MAPS = {"isotonic": shrunk_map, "conformal": conformal_map}


def fit_maps(pit, kind):
    """Fit a map for each target.

    Parameters
    ----------
    pit : ndarray of shape (n, n_targets)
        Probability integral transforms of held-out rows.
    kind : {"isotonic", "conformal"}

    Returns
    -------
    maps : list
        As `RecalibratedDistribution` takes them.

    Raises
    ------
    ValueError
        Fewer than 20 rows.
    """
    if len(pit) < LEAST_ROWS:
        raise ValueError(
            f"validation_fraction leaves {len(pit)} held-out row(s) to recalibrate on; expected at least "
            f"{LEAST_ROWS}."
        )
    return [MAPS[kind](column) for column in pit.T]
