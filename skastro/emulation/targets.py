"""From the user's units to the space in which a model is fitted, and back."""

import numpy as np

from skastro.validation import check_targets

__all__ = ["Scales", "TargetTransform", "check_targets"]

_KINDS = ("auto", "log10", "asinh", None)
# float32 ends near 1e-38; intensities beyond 1e-30 come out in float64
FLOAT32_DECADES = 30.0


class TargetTransform:
    """Compress the dynamic range of targets: logarithm, inverse hyperbolic sine, or nothing.

    Parameters
    ----------
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        "auto" chooses "log10" where all valid targets are positive, else None. "asinh" is
        ``arcsinh(y / softening)``, the softening of an output being the median of its non-zero
        absolute values.

    Attributes
    ----------
    kind_ : str or None
        The transform in use.
    softening_ : ndarray of shape (n_outputs,)
        Scale of "asinh", in the units of the outputs (ones otherwise).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.targets import TargetTransform
    >>> transform = TargetTransform().fit(np.array([[1.0], [100.0]]))
    >>> transform.kind_, transform.forward(np.array([[10.0]]))
    ('log10', array([[1.]]))
    """

    def __init__(self, log_targets="auto"):
        self.log_targets = log_targets

    def fit(self, Y):
        """Choose the transform for `Y` of shape (n_samples, n_outputs), NaN where invalid.

        Parameters
        ----------
        Y : ndarray of shape (n_samples, n_outputs)

        Returns
        -------
        self : TargetTransform

        Raises
        ------
        ValueError
            Unknown `log_targets`, or targets that are not positive with "log10".
        """
        if self.log_targets not in _KINDS:
            raise ValueError(
                f"log_targets={self.log_targets!r}; expected 'auto', 'log10', 'asinh' or None."
            )
        lowest = np.nanmin(Y, axis=0)
        self.kind_ = self.log_targets
        if self.log_targets == "auto":
            self.kind_ = "log10" if (lowest > 0).all() else None
        elif self.log_targets == "log10" and not (lowest > 0).all():
            worst = int(np.argmin(lowest))
            raise ValueError(
                f"log_targets='log10' but y has targets down to {lowest[worst]:.3g} (output {worst}); "
                "expected positive ones only: mask them, or use 'asinh'."
            )
        self.softening_ = np.ones(Y.shape[1])
        if self.kind_ == "asinh":
            size = np.abs(Y)
            size[size == 0] = np.nan
            known = ~np.isnan(size).all(axis=0)
            self.softening_[known] = np.nanmedian(size[:, known], axis=0)
        return self

    def forward(self, Y):
        """Transform targets in the user's units, of shape (..., n_outputs)."""
        if self.kind_ == "log10":
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.log10(Y)
        if self.kind_ == "asinh":
            return np.arcsinh(Y / self.softening_)
        return Y

    def inverse(self, Z, outputs=None):
        """Give back the user's units.

        Parameters
        ----------
        Z : ndarray of shape (..., n_outputs)
        outputs : ndarray of int, optional
            Which outputs the last axis of `Z` holds; all of them by default.

        Returns
        -------
        Y : ndarray of the shape of `Z`
        """
        if self.kind_ == "log10":
            return 10.0**Z
        if self.kind_ == "asinh":
            scale = self.softening_ if outputs is None else self.softening_[outputs]
            return np.sinh(Z) * scale
        return Z


class Scales:
    """Centres and scales of inputs and outputs, after the transform of the outputs.

    Parameters
    ----------
    log_targets : {"auto", "log10", "asinh"} or None
    dtype : {"float32", "float64"}
        Of the scaled arrays.

    Attributes
    ----------
    input_mean_, input_scale_ : ndarray of shape (n_features,)
    transform_ : TargetTransform
    center_, scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of the transformed outputs.
    wide_ : bool
        Whether the outputs reach beyond what float32 can hold.
    output_dtype_ : {"float32", "float64"}
        Of predictions in the user's units: that of the targets.
    """

    def __init__(self, log_targets="auto", dtype="float32"):
        self.log_targets = log_targets
        self.dtype = dtype

    def fit(self, X, Y, weight=None):
        """Measure `X` (n_samples, n_features) and `Y` (n_samples, n_outputs), NaN where unknown.

        Parameters
        ----------
        X, Y : ndarray
        weight : ndarray of shape (n_samples, 1), optional
        """
        flat = None if weight is None else weight[:, 0]
        self.input_mean_ = np.average(X, axis=0, weights=flat)
        spread = np.sqrt(np.average((X - self.input_mean_) ** 2, axis=0, weights=flat))
        self.input_scale_ = np.where(spread > 1e-12 * np.abs(self.input_mean_), spread, 1.0)
        self.transform_ = TargetTransform(self.log_targets).fit(Y)
        Z = self.transform_.forward(Y)
        share = ~np.isnan(Z) if weight is None else ~np.isnan(Z) * weight
        total = share.sum(axis=0)
        self.center_ = np.nansum(Z * share, axis=0, dtype=np.float64) / total
        square = np.nansum(share * (Z - self.center_) ** 2, axis=0) / total
        spread = np.sqrt(square)
        self.scale_ = np.where(spread > 1e-9 * np.nanmax(np.abs(Z), axis=0), spread, 1.0)
        with np.errstate(divide="ignore"):
            decades = (
                Z if self.transform_.kind_ == "log10" else np.log10(np.nanmax(np.abs(Y), axis=0))
            )
        decades = decades[np.isfinite(decades)]
        self.wide_ = bool(decades.size and np.abs(decades).max() > FLOAT32_DECADES)
        self.output_dtype_ = "float32" if Y.dtype == np.float32 and not self.wide_ else "float64"
        return self

    def inputs(self, X):
        """Standardised inputs."""
        return ((X - self.input_mean_) / self.input_scale_).astype(self.dtype)

    def targets(self, Y):
        """Transformed and standardised outputs."""
        return ((self.transform_.forward(Y) - self.center_) / self.scale_).astype(self.dtype)
