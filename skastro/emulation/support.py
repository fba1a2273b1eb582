"""Where an emulator has been trained: its box or its convex hull, and rows that contradict each other."""

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from skastro.base import row_blocks

__all__ = ["Support", "check_duplicates"]

MAX_HULL_FEATURES = 6
# Rounding of the inputs must not put a training row outside its own box.
TOLERANCE = 1e-6


class Support:
    """The region covered by the training inputs.

    Parameters
    ----------
    kind : {"box", "hull"}
        Bounding box, or convex hull (at most 6 inputs, at least one more row than inputs).

    Attributes
    ----------
    low_, high_ : ndarray of shape (n_features,)
    facets_ : ndarray of shape (n_facets, n_features + 1) or None
        Outward normals and offsets of the hull, for inputs scaled to the box.
    """

    def __init__(self, kind="box"):
        if kind not in ("box", "hull"):
            raise ValueError(f"extrapolation={kind!r}; expected 'box' or 'hull'.")
        self.kind = kind

    def fit(self, X):
        """Take the limits of `X` of shape (n_samples, n_features)."""
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.facets_ = None
        if self.kind == "hull" and X.shape[1] > MAX_HULL_FEATURES:
            raise ValueError(
                f"extrapolation='hull' with {X.shape[1]} inputs; expected at most "
                f"{MAX_HULL_FEATURES}: use 'box'."
            )
        if self.kind == "hull" and X.shape[1] > 1:
            try:
                facets = ConvexHull(self._unit(X)).equations
            except (QhullError, ValueError) as error:
                raise ValueError(
                    f"extrapolation='hull' but the {len(X)} training inputs span no volume in "
                    f"{X.shape[1]} dimensions; expected more models, or 'box'."
                ) from error
            # a flat side of a grid comes as many triangles
            self.facets_ = np.unique(facets.round(12), axis=0)
        return self

    def _unit(self, X):
        return (X - self.low_) / np.where(self.high_ > self.low_, self.high_ - self.low_, 1.0)

    def outside(self, X, kind=None):
        """True for each row of `X` outside; `kind` as in the constructor."""
        slack = TOLERANCE * (self.high_ - self.low_)
        out = ((X < self.low_ - slack) | (X > self.high_ + slack)).any(axis=1)
        if (kind or self.kind) == "hull" and self.facets_ is not None:
            unit = self._unit(X)
            for rows in row_blocks(len(X), 8 * len(self.facets_)):
                heights = unit[rows] @ self.facets_[:, :-1].T + self.facets_[:, -1]
                out[rows] |= (heights > TOLERANCE).any(axis=1)
        return out


def check_duplicates(X, Y, rtol=1e-3):
    """Raise when two rows have the same inputs and different targets.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    Y : ndarray of shape (n_samples, n_outputs)
        NaN where unknown.
    rtol : float
        Relative difference that is still the same.

    Raises
    ------
    ValueError
        Names the two rows.
    """
    order = np.lexsort(X.T[::-1])
    same = (X[order[1:]] == X[order[:-1]]).all(axis=1)
    if not same.any():
        return
    # the first row of each run of equal inputs, then the extremes of each run
    starts = np.flatnonzero(np.r_[True, ~same])
    sorted_ = Y[order]
    low, high = np.fmin.reduceat(sorted_, starts), np.fmax.reduceat(sorted_, starts)
    with np.errstate(invalid="ignore"):
        differs = high - low > rtol * np.maximum(np.abs(low), np.abs(high))
    if differs.any():
        run, output = np.argwhere(differs)[0]
        rows = order[starts[run] : np.r_[starts, len(X)][run + 1]]
        values = Y[rows, output]
        first, second = sorted((rows[np.nanargmin(values)], rows[np.nanargmax(values)]))
        raise ValueError(
            f"rows {first} and {second} of X are equal but output {output} of y is "
            f"{Y[first, output]:.4g} and {Y[second, output]:.4g}; expected one target for one input: "
            "mask one of them, or set on_duplicates='keep'."
        )
