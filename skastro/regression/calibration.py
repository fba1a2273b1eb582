"""Maps of probabilities, fitted to held-out rows: one a target."""

from skastro.distributions import conformal_map, isotonic_map

__all__ = ["fit_maps"]

MAPS = {"isotonic": isotonic_map, "conformal": conformal_map}
# Fewer rows tell nothing about the tails.
LEAST_ROWS = 20


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
