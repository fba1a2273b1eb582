"""From the pixels or columns of a user to numbers of order one, by what the training rows alone tell."""

import numpy as np

__all__ = ["InputScaler", "robust_sigma", "scale_pixels"]

# Rows of which medians are taken, and rows of which a kind of scaling is chosen.
N_STATISTICS = 1024


def robust_sigma(X):
    """Robust standard deviation of each channel.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, ...)
        NaN is left out.

    Returns
    -------
    sigma : ndarray of shape (n_channels,)
        The plain deviation where more than half of the values are equal, 1 where all are.
    """
    flat = np.moveaxis(X, 1, 0).reshape(X.shape[1], -1).astype(float)
    middle = np.nanmedian(flat, axis=1, keepdims=True)
    sigma = 1.4826 * np.nanmedian(np.abs(flat - middle), axis=1)
    sigma = np.where(sigma > 0, sigma, np.nanstd(flat, axis=1))
    return np.where(sigma > 0, sigma, 1.0)


def scale_pixels(X, kind, sigma=None):
    """Pixels, or columns, made comparable.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, ...)
    kind : {"asinh", "sqrt", "max"} or None
        As in `InputScaler`.
    sigma : ndarray of shape (n_channels,), optional
        For "asinh".

    Returns
    -------
    z : ndarray of the shape and type of `X`
    """
    if kind == "sqrt":
        return np.copysign(np.sqrt(np.abs(X)), X) if X.min(initial=0) < 0 else np.sqrt(X)
    if kind == "asinh":
        return np.arcsinh(X / _along(sigma, X))
    if kind == "max":
        top = np.nan_to_num(np.abs(X)).reshape(len(X), -1).max(axis=1)
        top = np.where(top > 0, top, 1.0).astype(X.dtype)
        return X / top.reshape(-1, *[1] * (X.ndim - 1))
    return X


def _along(values, X):
    """A value a channel, to broadcast."""
    return values.astype(X.dtype).reshape(-1, *[1] * (X.ndim - 2))


class InputScaler:
    """Scaling of images or tables, then mean 0 and variance 1 in each channel.

    Parameters
    ----------
    kind : {"auto", "asinh", "sqrt", "max"} or None
        "asinh": the inverse hyperbolic sine of the value over the robust standard deviation of its channel.
        "sqrt": the square root, with the sign kept: counts get the same noise everywhere. "max": each
        image over its largest absolute value. "auto": "sqrt" for counts, else "asinh"; None for tables.
    missing : {"error", "mask"}
        What becomes of NaN. "mask": the mean of the channel, and a channel of its own says where.

    Attributes
    ----------
    kind_ : str or None
        In force.
    sigma_ : ndarray of shape (n_channels,)
        Robust standard deviation of each channel; 1 but for "asinh".
    center_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation after that.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression.pixels import InputScaler
    >>> counts = np.random.default_rng(0).poisson(9, (50, 1, 8, 8)).astype("float32")
    >>> scaler = InputScaler("auto", "error").fit(counts)
    >>> z = scaler.transform(counts)
    >>> scaler.kind_, bool(abs(z.mean()) < 1e-5), bool(abs(z.std() - 1) < 1e-4)
    ('sqrt', True, True)
    """

    def __init__(self, kind, missing):
        self.kind = kind
        self.missing = missing

    def fit(self, X):
        """Learn the scales.

        Parameters
        ----------
        X : ndarray of shape (n, n_channels, ...)
            The training rows.

        Returns
        -------
        self : InputScaler

        Raises
        ------
        ValueError
            No finite value in a channel.
        """
        some = X[np.linspace(0, len(X) - 1, min(len(X), N_STATISTICS)).astype(int)]
        self.kind_ = self._choose(some) if self.kind == "auto" else self.kind
        axes = (0, *range(2, X.ndim))
        known = np.isfinite(some).any(axis=axes)
        if not known.all():
            raise ValueError(
                f"X has no finite value in channel {int(np.argmin(known))}; expected some in each."
            )
        self.sigma_ = robust_sigma(some) if self.kind_ == "asinh" else np.ones(X.shape[1])
        z = scale_pixels(X, self.kind_, self.sigma_)
        self.center_ = np.nanmean(z, axis=axes, dtype=float)
        scale = np.nanstd(z, axis=axes, dtype=float)
        self.scale_ = np.where(scale > 1e-12 * np.abs(self.center_), scale, 1.0)
        self.blank_ = self.missing == "mask" and bool(np.isnan(X).any())
        return self

    @staticmethod
    def _choose(some):
        if some.ndim == 2:
            return None
        known = some[np.isfinite(some)]
        counts = known.size and known.min() >= 0 and (known == np.round(known)).all()
        return "sqrt" if counts and known.max() > 1 else "asinh"

    def transform(self, X):
        """Scale; NaN becomes the mean where it is allowed.

        Parameters
        ----------
        X : ndarray of shape (n, n_channels, ...)

        Returns
        -------
        z : ndarray of shape (n, n_channels, ...) or (n, 2 * n_channels, ...)
            Of the floating type of `X`. The second half, where `fit` saw NaN: 1 where a value is known.
        """
        z = scale_pixels(X, self.kind_, self.sigma_)
        z = (z - _along(self.center_, z)) / _along(self.scale_, z)
        if self.missing == "mask":
            unknown = np.isnan(z)
            if self.blank_:
                z = np.concatenate([z, ~unknown], axis=1, dtype=z.dtype)
                unknown = np.concatenate([unknown, np.zeros_like(unknown)], axis=1)
            z[unknown] = 0.0
        return z
