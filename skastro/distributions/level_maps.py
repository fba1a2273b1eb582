"""Maps of probabilities that make predicted distributions hold on held-out rows."""

from typing import NamedTuple

import numpy as np

__all__ = ["LevelMap", "conformal_map", "isotonic_map"]

# Held-out values that a piece of a map has at least, towards its ends.
FEWEST = 10
# Between the lowest of all values and where the others lead to expect it.
FACTOR = 3.0
# Nearest to 0 and 1 that a level is told apart from them.
NEAREST = 1e-9


class LevelMap(NamedTuple):
    """An increasing map of [0, 1] to itself, linear between knots.

    Attributes
    ----------
    x, y : ndarray of shape (n_knots,)
        Both strictly increasing, from 0 to 1.

    Examples
    --------
    >>> from skastro.distributions import LevelMap
    >>> bent = LevelMap([0, 0.5, 1], [0, 0.8, 1])
    >>> float(bent(0.25)), float(bent.inverse(0.9)), float(bent.slope(0.25))
    (0.4, 0.75, 1.6)
    """

    x: np.ndarray
    y: np.ndarray

    def __call__(self, levels):
        """Mapped levels, of any shape."""
        return np.interp(levels, self.x, self.y)

    def inverse(self, levels):
        """Levels that are mapped to these."""
        return np.interp(levels, self.y, self.x)

    def slope(self, levels):
        """Derivative of the map."""
        piece = np.clip(np.searchsorted(self.x, levels, "right") - 1, 0, len(self.x) - 2)
        return (np.diff(self.y) / np.diff(self.x))[piece]


def check_map(one):
    """A map whose knots increase from 0 to 1.

    Parameters
    ----------
    one : LevelMap or pair of array-like
    """
    x, y = (np.asarray(knots, dtype=float) for knots in one)
    for name, knots in (("x", x), ("y", y)):
        right = knots.ndim == 1 and len(knots) >= 2 and knots.shape == x.shape
        if not (right and knots[0] == 0 and knots[-1] == 1 and (np.diff(knots) > 0).all()):
            raise ValueError(
                f"maps has {name}={knots!r}; expected knots that increase from 0 to 1."
            )
    return LevelMap(x, y)


def _check_pit(pit):
    pit = np.asarray(pit, dtype=float)
    if pit.ndim != 1 or len(pit) < 2:
        raise ValueError(f"pit has shape {pit.shape}; expected (n,), n at least 2.")
    if not ((pit >= 0) & (pit <= 1)).all():
        raise ValueError("pit has NaN or numbers outside 0 to 1; expected probabilities.")
    # no map of levels reaches truth beyond the range: piled up at its end, it would only make a spike
    pit = np.sort(pit)
    inside = pit[(pit > NEAREST) & (pit < 1 - NEAREST)]
    low = _spread(inside, (pit <= NEAREST).sum())
    high = 1 - _spread(1 - inside[::-1], (pit >= 1 - NEAREST).sum())
    return np.sort(np.concatenate([low, inside, high]))


def _spread(inside, n):
    """n values between 0 and as many of the lowest inside."""
    reach = inside[min(max(n, FEWEST), len(inside)) - 1] if len(inside) else 0.5
    return (np.arange(n) + 0.5) / max(n, 1) * reach


def _knots(n):
    """Levels from 0 to 1/2, n ** (1 / 3) pieces in all, halved towards 0 while they have values enough."""
    pieces = max(2, 2 * round(0.5 * n ** (1 / 3)))
    levels = list(np.arange(1, pieces // 2 + 1) / pieces)
    while n * levels[0] / 2 >= FEWEST:
        levels.insert(0, levels[0] / 2)
    return np.array(levels)


def _lowest(values, levels):
    """Quantiles of values at levels, and the lowest value, within a factor of what they lead to expect.

    One value says little of where the lowest part of 1 / (n + 2) lies. The power law through the lowest
    quantile and one four times as high says it too.
    """
    x = np.quantile(values, levels, method="hazen")
    level, behind = 1 / (len(values) + 2), min(2, len(x) - 1)
    power = np.log(x[behind] / x[0]) / np.log(levels[behind] / levels[0]) if behind else 1.0
    expected = x[0] * (level / levels[0]) ** power
    least = np.clip(values.min(), expected / FACTOR, min(FACTOR * expected, x[0]))
    return x, max(least, NEAREST)


def isotonic_map(pit):
    r"""Map of levels to how often held-out truth was below them [1]_.

    The empirical CDF of the PIT values :math:`u_i`, at few of its quantiles and linear between them: at
    levels :math:`k / K` with :math:`K \approx n^{1/3}`, and halved towards 0 and 1 while ten values are in a
    piece. The lowest and highest value have the levels :math:`1 / (n + 2)` and :math:`1 - 1 / (n + 2)`; one
    that is three times nearer to 0 or 1 than the others lead to expect is moved, as it would make a spike.
    Values of 0 and 1, truth beyond the range of its prediction, which no map reaches, are spread over as
    many of the values nearest to them.

    Parameters
    ----------
    pit : array-like of shape (n,)
        PIT values of rows that nothing was fitted on; at least two.

    Returns
    -------
    map : LevelMap
        For `RecalibratedDistribution`.

    Raises
    ------
    ValueError
        Fewer than two values, or values outside 0 to 1.

    References
    ----------
    .. [1] Kuleshov, Fenner & Ermon, "Accurate uncertainties for deep learning using calibrated regression",
       ICML (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.distributions import isotonic_map
    >>> pit = np.random.default_rng(0).beta(2, 2, 4000)  # too wide: a hump
    >>> isotonic_map(pit)([0.25, 0.5]).round(1)  # the CDF of beta(2, 2)
    array([0.2, 0.5])
    """
    pit = _check_pit(pit)
    n, half = len(pit), _knots(len(pit))
    (low, first), (high, last) = (_lowest(side, half) for side in (pit, 1 - pit))
    x = np.concatenate([[first], low, 1 - high[-2::-1], [1 - last]])
    y = np.concatenate([[1 / (n + 2)], half, 1 - half[-2::-1], [1 - 1 / (n + 2)]])
    # of equal values the middle level
    value, first = np.unique(x, return_index=True)
    y = 0.5 * (y[first] + y[np.append(first[1:], len(x)) - 1])
    return LevelMap(np.concatenate([[0], value, [1]]), np.concatenate([[0], y, [1]]))


def conformal_map(pit):
    r"""Map of levels after which central intervals hold at least what they say [1]_.

    Symmetric: the interval at level c is :math:`|F - 1/2| \le r(c)`, with r the
    :math:`\lceil (n + 1) c \rceil`-th smallest of :math:`|u_i - 1/2|`. To be a map with a density, r is
    linear between few levels, and these are lowered until no such rank lies above it. On rows that are
    exchangeable with the held-out ones, intervals at a level from 20 / n to n / (n + 1) then cover at least
    that level, of truth within the range of its prediction: values of 0 and 1 are spread as in
    `isotonic_map`. The price is a last piece that hangs on the largest radius alone and may be steep: where
    the density of predictions with ends matters, take `isotonic_map`.

    Parameters
    ----------
    pit : array-like of shape (n,)
        PIT values of rows that nothing was fitted on; at least two.

    Returns
    -------
    map : LevelMap
        For `RecalibratedDistribution`.

    Raises
    ------
    ValueError
        Fewer than two values, or values outside 0 to 1.

    References
    ----------
    .. [1] Chernozhukov, Wuethrich & Zhu, "Distributional conformal prediction", PNAS 118, e2107794118 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.distributions import conformal_map
    >>> pit = np.random.default_rng(0).beta(0.5, 0.5, 1000)  # too narrow: more at the ends
    >>> wider = conformal_map(pit).inverse([0.05, 0.95])  # 0.006 and 0.994 for many rows
    >>> bool(wider[0] < 0.01), bool(wider[1] > 0.99)
    (True, True)
    """
    radii = np.sort(np.abs(_check_pit(pit) - 0.5))
    n, half = len(radii), _knots(len(radii))
    # the k-th radius is needed for every level above this
    needed = np.arange(n) / (n + 1)
    levels = np.concatenate([half, 1 - half[::-1], [1]])
    picked = np.unique(np.searchsorted(needed, levels, "right") - 1)
    picked = picked[picked > 0]
    r, first = np.unique(np.append(0, radii[picked]), return_index=True)
    c = np.append(0, needed[picked])[first]
    # the first piece has to begin at 0, whatever lies below it
    piece = np.minimum(np.searchsorted(r, radii, "right") - 1, len(r) - 2)
    excess = np.where(piece > 0, np.interp(radii, r, c) - needed, 0)
    most = np.zeros(len(r))
    np.maximum.at(most, piece, excess)
    c[1:] -= np.maximum(most[1:], np.append(0, most[1:-1]))
    c = np.minimum.accumulate(c[::-1])[::-1]
    keep = (c > 0) & (np.diff(c, append=1) > 0)
    upper = np.append(0.5 + r[keep], 1), np.append(0.5 + 0.5 * c[keep], 1)
    x, y = (np.concatenate([1 - side[::-1], [0.5], side]) for side in upper)
    return LevelMap(x, y)
