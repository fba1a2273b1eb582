"""Where an emulator has been trained: its box or its convex hull, and rows that contradict each other."""

import numpy as np
from scipy.spatial import ConvexHull, Delaunay, QhullError

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
    vertices_ : ndarray of shape (n_vertices, n_features) or None
        Corners of the hull.
    """

    def __init__(self, kind="box"):
        self.kind = kind

    def fit(self, X):
        """Take the limits of `X` of shape (n_samples, n_features)."""
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.vertices_ = None
        if self.kind == "hull":
            if X.shape[1] > MAX_HULL_FEATURES:
                raise ValueError(
                    f"extrapolation='hull' with {X.shape[1]} inputs; expected at most "
                    f"{MAX_HULL_FEATURES}: use 'box'."
                )
            if X.shape[1] > 1:
                try:
                    self.vertices_ = X[ConvexHull(self._unit(X)).vertices]
                except (QhullError, ValueError) as error:
                    raise ValueError(
                        f"extrapolation='hull' but the {len(X)} training inputs span no volume in "
                        f"{X.shape[1]} dimensions; expected more models, or 'box'."
                    ) from error
        return self

    def _unit(self, X):
        return (X - self.low_) / np.where(self.high_ > self.low_, self.high_ - self.low_, 1.0)

    def outside(self, X, kind=None):
        """True for each row of `X` outside; `kind` as in the constructor."""
        slack = TOLERANCE * (self.high_ - self.low_)
        out = ((X < self.low_ - slack) | (X > self.high_ + slack)).any(axis=1)
        if (kind or self.kind) == "hull" and self.vertices_ is not None:
            if not hasattr(self, "_triangulation"):
                self._triangulation = Delaunay(
                    self._unit(self.vertices_), qhull_options="QJ Qbb Qc"
                )
            inside = ~out
            found = self._triangulation.find_simplex(self._unit(X[inside]), tol=TOLERANCE)
            out[inside] = found < 0
        return out

    def __getstate__(self):
        # the triangulation is made again when first needed
        return {key: value for key, value in self.__dict__.items() if key != "_triangulation"}


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
    first, second = order[:-1][same], order[1:][same]
    a, b = Y[first], Y[second]
    with np.errstate(invalid="ignore"):
        differs = np.abs(a - b) > rtol * np.maximum(np.abs(a), np.abs(b))
    if differs.any():
        pair, output = np.argwhere(differs)[0]
        raise ValueError(
            f"rows {min(first[pair], second[pair])} and {max(first[pair], second[pair])} of X are equal "
            f"but output {output} of y is {a[pair, output]:.4g} and {b[pair, output]:.4g}; expected one "
            "target for one input: mask one of them, or set on_duplicates='keep'."
        )
