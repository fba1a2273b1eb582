"""What a separator checks before a search, and says after it."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skastro.separation.constraints import (
    Constraint,
    MixtureConstraint,
    SpectrumConstraint,
    WienerConstraint,
)

__all__ = ["check_constraints", "compare_variances", "joined", "warn_of_stop"]


def check_constraints(constraints, local=False):
    """The constraints of a search: those that are given, or the usual ones.

    Parameters
    ----------
    constraints : list of Constraint or None
    local : bool, default=False
        Whether the Wiener filter changes from place to place: it is nearer to the signal.

    Returns
    -------
    constraints : list of Constraint

    Raises
    ------
    ValueError
        None in the list, or others than constraints.
    """
    if constraints is None:
        weights = (1.0, 16.0) if local else (0.3, 8.0)
        return [MixtureConstraint(), SpectrumConstraint(weights[0]), WienerConstraint(weights[1])]
    found = list(constraints)
    if not found or not all(isinstance(one, Constraint) for one in found):
        raise ValueError(f"constraints={constraints!r}; expected at least one Constraint.")
    return found


def compare_variances(maps, scale):
    """Refuse constant mixtures; warn of those that vary less than what is to be taken off.

    Parameters
    ----------
    maps : ndarray of shape (n, n_channels, h, w) or (n, n_channels, n_pixels)
    scale : ndarray of shape (n_channels,)
        Standard deviation of the contamination.

    Raises
    ------
    ValueError
        A mixture is constant.

    Warns
    -----
    UserWarning
        The contamination is stronger than a mixture.
    """
    variance = maps.var(axis=tuple(range(2, maps.ndim)), dtype=np.float64)
    if not variance.all():
        i, c = (int(k) for k in np.argwhere(variance == 0)[0])
        raise ValueError(
            f"D has a constant map, number {i}, channel {c}; expected mixtures that vary."
        )
    ratio = variance / scale**2
    i, c = np.unravel_index(ratio.argmin(), ratio.shape)
    if ratio[i, c] < 1:
        warnings.warn(
            f"the contamination has a variance of {scale[c] ** 2:.4g}, more than the "
            f"{variance[i, c]:.4g} of mixture {i}, channel {c}: hardly any signal can be told.",
            stacklevel=4,
        )


def warn_of_stop(first, rest):
    """Say what an interrupted search has left."""
    warnings.warn(
        f"the search was interrupted: {first} are the best until then, {rest}.",
        ConvergenceWarning,
        stacklevel=3,
    )


def joined(history, more):
    """Losses of one block of mixtures after those of others."""
    if not history or not more:
        return history or more
    return [
        {name: np.concatenate([own, other[name]]) for name, own in era.items()}
        for era, other in zip(history, more, strict=True)
    ]
