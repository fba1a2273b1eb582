"""Samples of a contamination as users have them: maps, a function that draws them, or one map alone."""

import numpy as np

from skastro.maps import check_maps
from skastro.scattering import ScatteringTransform

__all__ = ["LEAST_SAMPLES", "check_enough", "less_signals", "read_samples"]

LEAST_SAMPLES = 2
FAMILIES = ("covariance", "power_spectrum", "pdf")
ITERATIONS = 60  # of the search for a map that looks like the one


def read_samples(C, n_drawn, n_made, seed, device):
    """Samples of the contamination, drawn or made where there are none.

    Parameters
    ----------
    C : array-like of shape (n, h, w) or (n, n_channels, h, w), callable, or array-like of shape (h, w)
        Samples; a function of their number and a `numpy.random.RandomState` that draws them; or one map of
        the contamination, from the statistics of which new ones are made.
    n_drawn : int
        Samples to draw from a function.
    n_made : int
        Samples to make from one map.
    seed : int
    device : torch.device

    Returns
    -------
    samples : ndarray of shape (n, h, w) or (n, n_channels, h, w)
    unit : str or None

    Raises
    ------
    ValueError
        Fewer than two samples, maps that are not finite, or a function that returns another number of maps.
    """
    if callable(C):
        drawn = C(n_drawn, np.random.RandomState(seed))
        samples, unit = check_maps(drawn, "C", ndims=(3, 4))
        if len(samples) != n_drawn:
            raise ValueError(
                f"C({n_drawn}, random_state) returned {len(samples)} maps; expected {n_drawn}."
            )
        return samples, unit
    if np.ndim(C) == 2:
        one, unit = check_maps(C, "C", ndims=(2,))
        if one.min() == one.max():
            return np.repeat(one[None], LEAST_SAMPLES, axis=0), unit
        model = ScatteringTransform(FAMILIES, device=str(device)).fit(one[None])
        return model.synthesize(n_made, max_iter=ITERATIONS, random_state=seed), unit
    samples, unit = check_maps(C, "C", ndims=(3, 4))
    check_enough(samples, ": or one map as C[0], of which samples are made")
    return samples, unit


def check_enough(samples, hint=""):
    """Refuse too few samples of the contamination."""
    if len(samples) < LEAST_SAMPLES:
        raise ValueError(
            f"C has {len(samples)} sample of the contamination; expected at least {LEAST_SAMPLES}, which "
            f"the normalisation by their variance needs{hint}."
        )


def less_signals(mixtures, signals, unit, mixing=None):
    """What contaminates mixtures whose signals are known.

    Parameters
    ----------
    mixtures : ndarray of shape (n, h, w) or (n, n_channels, h, w)
    signals : array-like of the same shape, or (n, h, w) with `mixing`
    unit : str or None
        Of the mixtures.
    mixing : array-like of shape (n_channels,), optional
        Amplitudes of one signal in the channels.

    Returns
    -------
    samples : ndarray of the shape of the mixtures

    Raises
    ------
    ValueError
        Signals of another shape or unit, or not finite.
    """
    if unit is None and (given := getattr(signals, "unit", None)) is not None:
        raise ValueError(f"y has unit {str(given)!r}; C has none: expected both.")
    signals, _ = check_maps(signals, "y", ndims=(3, 4), unit=unit)
    expected = mixtures.shape
    if mixing is not None:
        expected = expected[:1] + expected[2:]
    if signals.shape != expected:
        raise ValueError(
            f"y has shape {signals.shape}; expected {expected}, that of the signals in C."
        )
    if mixing is not None:
        signals = np.asarray(mixing, dtype=float)[:, None, None] * signals[:, None]
    return mixtures - signals
