"""Truncation to the principal components of the spectra."""

from numbers import Integral

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils._param_validation import Interval

from skastro.base import row_blocks
from skastro.denoising.baselines.spectra import SpectraDenoiser

__all__ = ["PCADenoiser"]


class PCADenoiser(SpectraDenoiser):
    """Keep the first principal components of the spectra.

    The spectra are taken in units of their noise, so that noisy positions do not decide what the
    components are.

    Parameters
    ----------
    n_components : int, default=10
        At most as many as there are spectra or channels.

    Attributes
    ----------
    components_ : ndarray of shape (n_kept, n_channels)
        Orthonormal spectra, the strongest first.
    mean_ : ndarray of shape (n_channels,)
        Mean spectrum, in units of the noise.
    explained_variance_ratio_ : ndarray of shape (n_kept,)
    n_components_ : int
        Components kept.
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have; None: estimated from each cube.

    Notes
    -----
    A spectrum with blanks does not take part in the fit, unless all have some: then the mean
    spectrum stands in their place. It is denoised by a least-squares fit of the components to the
    channels that there are.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines import PCADenoiser
    >>> line = np.exp(-0.5 * (np.arange(20) - 10.0) ** 2)
    >>> spectra = np.linspace(0, 30, 40)[:, None] * line
    >>> noisy = spectra + np.random.default_rng(0).normal(size=spectra.shape)
    >>> denoised = PCADenoiser(n_components=1).fit(noisy, sigma=1.0).transform(noisy)
    >>> bool(np.std(denoised - spectra) < 0.4)
    True
    """

    _parameter_constraints = {"n_components": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_components=10):
        self.n_components = n_components

    def _learn(self, values, blank):
        rows = values.reshape(-1, values.shape[-1])
        if blank is not None:
            blank = blank.reshape(rows.shape)
            complete = ~blank.any(axis=1)
            if complete.sum() > 1:
                rows = rows[complete]
            else:
                count = np.maximum((~blank).sum(axis=0), 1)
                rows = np.where(blank, rows.sum(axis=0) / count, rows)
        if len(rows) < 2:
            # one spectrum varies in no direction
            self._set(rows.mean(axis=0), np.zeros((0, rows.shape[1]), rows.dtype), np.zeros(0))
            return
        # channels without any variation give components of no meaning, but no harm
        with np.errstate(invalid="ignore", divide="ignore"):
            solver = "covariance_eigh" if len(rows) > 2 * rows.shape[1] else "full"
            pca = PCA(min(self.n_components, *rows.shape), svd_solver=solver).fit(rows)
        self._set(pca.mean_, pca.components_, pca.explained_variance_ratio_)

    def _set(self, mean, components, ratio):
        self.mean_, self.components_, self.explained_variance_ratio_ = mean, components, ratio
        self.n_components_ = len(components)

    def _denoise(self, values, blank):
        mean, components = (a.astype(values.dtype) for a in (self.mean_, self.components_))
        rows = values.reshape(-1, values.shape[-1])
        weights = (rows - mean) @ components.T
        if blank is not None:
            blank = blank.reshape(rows.shape)
            partly = np.flatnonzero(blank.any(axis=1) & ~blank.all(axis=1))
            n = self.n_components_
            for block in row_blocks(len(partly), 8 * n * (n + 3 * rows.shape[1])):
                chosen = partly[block]
                weights[chosen] = _fit_known(rows[chosen] - mean, ~blank[chosen], components)
        return (weights @ components + mean).reshape(values.shape)


def _fit_known(rows, known, components):
    """Least-squares weights of the components over the channels `known` of each row."""
    rows, components = rows.astype(np.float64), components.astype(np.float64)
    n_components, n_channels = components.shape
    squares = (components[:, None] * components).reshape(-1, n_channels)
    normal = (known @ squares.T).reshape(-1, n_components, n_components)
    # a hint of the complete spectrum, for components that a row does not show at all
    normal += 1e-9 * np.eye(n_components)
    seen = np.where(known, rows, 0.0) @ components.T
    return np.linalg.solve(normal, seen[..., None])[..., 0]
