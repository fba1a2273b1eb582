"""A Gaussian process for many outputs: one kernel, tuned once on part of the grid."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.utils import check_random_state

from skastro.emulation.baselines.holes import fill_holes
from skastro.emulation.baselines.masked import Interpolator, standardise

__all__ = ["GaussianProcessEmulator"]


class GaussianProcessEmulator(Interpolator):
    """Gaussian process regression of all outputs with one anisotropic kernel.

    scikit-learn's regressor tunes its kernel on all rows and outputs, which takes minutes for a
    thousand models. Outputs of one code share their scales in the inputs: here the kernel is
    tuned once, on a sample of the rows and on random mixtures of the outputs, then fixed.

    Parameters
    ----------
    kernel : kernel of scikit-learn or None, default=None
        In standardised inputs and outputs. None: Matern 5/2 with a length scale an input, an
        amplitude and white noise.
    n_tuning_samples : int, default=400
        Rows on which the kernel is tuned.
    n_mixtures : int, default=16
        Random mixtures of the outputs on which it is tuned: the likelihood of q mixtures
        estimates that of all outputs, without bias.
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the targets before the fit; see `TargetTransform`.
    max_patterns : int, default=32
        With more patterns of valid rows than this, missing entries are filled by local linear
        fits and all outputs share one system.
    random_state : int, RandomState instance or None, default=None
        For the sample of rows and the mixtures.

    Attributes
    ----------
    kernel_ : kernel of scikit-learn
        The tuned kernel.
    models_ : list
        One process a group of outputs.
    groups_ : list of ndarray of int
        The outputs of each model.
    filled_ : int
        Number of target entries that were missing and filled.
    transform_ : TargetTransform
    output_names_ : ndarray of str
        Only when the targets were a DataFrame.

    References
    ----------
    .. [1] C. E. Rasmussen & C. K. I. Williams (2006), "Gaussian Processes for Machine
       Learning", MIT Press, chapters 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.baselines import GaussianProcessEmulator
    >>> X = np.linspace(0.0, 6.0, 25).reshape(-1, 1)
    >>> model = GaussianProcessEmulator(log_targets=None, random_state=0).fit(X, np.sin(X))
    >>> bool(abs(model.predict([[1.1]])[0, 0] - np.sin(1.1)) < 1e-3)
    True
    """

    def __init__(
        self,
        *,
        kernel=None,
        n_tuning_samples=400,
        n_mixtures=16,
        log_targets="auto",
        max_patterns=32,
        random_state=None,
    ):
        super().__init__(log_targets=log_targets, max_patterns=max_patterns)
        self.kernel = kernel
        self.n_tuning_samples = n_tuning_samples
        self.n_mixtures = n_mixtures
        self.random_state = random_state

    def _prepare(self, X, Z, weight):
        for name in ("n_tuning_samples", "n_mixtures"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected 1 or more.")
        kernel = self.kernel
        if kernel is None:
            scales = np.ones(X.shape[1])
            kernel = ConstantKernel(10.0, (1e-2, 1e3)) * Matern(scales, (1e-2, 1e3), nu=2.5)
            kernel = kernel + WhiteKernel(1e-4, (1e-7, 1.0))
        random = check_random_state(self.random_state)
        n_rows = min(len(X), int(self.n_tuning_samples))
        rows = np.sort(random.permutation(len(X))[:n_rows])
        Z = Z[rows]
        complete = np.isfinite(Z).all(axis=0)
        Z = Z[:, complete] if complete.any() else fill_holes(X[rows], Z[:, np.isfinite(Z).any(0)])
        Z, _, _ = standardise(Z)
        if Z.shape[1] > self.n_mixtures:
            mixing = random.standard_normal((Z.shape[1], int(self.n_mixtures)))
            Z = Z @ (mixing / np.sqrt(Z.shape[1]))
        with warnings.catch_warnings():
            # a length scale at its bound is an input without influence, not a failure
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.kernel_ = GaussianProcessRegressor(kernel).fit(X[rows], Z).kernel_

    def _fit_rows(self, X, Z, weight):
        Z, mean, scale = standardise(Z)
        kernel = clone(self.kernel_)
        # on the diagonal, so that rounding cannot win where length scales are long
        jitter = 1e-10 + 1e-12 * kernel.diag(X).sum()
        process = GaussianProcessRegressor(kernel, alpha=jitter, optimizer=None)
        return process.fit(X, Z), mean, scale

    def _predict_rows(self, model, X, columns):
        process, mean, scale = model
        Z = process.predict(X).reshape(len(X), -1)[:, columns]
        return Z * scale[columns] + mean[columns]
