"""Any scikit-learn regressor as an emulator of a grid of models."""

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skastro.emulation.baselines.masked import MaskedRegressor, standardise

__all__ = ["PerOutputRegressor"]


class PerOutputRegressor(MetaEstimatorMixin, MaskedRegressor):
    """Let any scikit-learn regressor take masked targets, logarithms and names of outputs.

    Outputs that are valid in the same rows share one fit of a clone of `regressor`; where nothing
    is masked there is one joint fit. Inputs and transformed targets are standardised.

    Parameters
    ----------
    regressor : estimator
        A scikit-learn regressor. One that knows a single output is cloned for each.
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the targets before the fit; see `TargetTransform`.
    max_patterns : int, default=32
        With more patterns of valid rows than this, missing entries are filled by local linear
        fits and all outputs are fitted at once.

    Attributes
    ----------
    models_ : list
        One fitted clone (with its target scaling) a group of outputs.
    groups_ : list of ndarray of int
        The outputs of each model.
    filled_ : int
        Number of target entries that were missing and filled.
    transform_ : TargetTransform
    output_names_ : ndarray of str
        Only when the targets were a DataFrame.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from skastro.emulation.baselines import PerOutputRegressor
    >>> X = np.arange(4.0).reshape(-1, 1)
    >>> Y = np.array([[1.0, 5.0], [10.0, np.nan], [100.0, 5.0], [1000.0, 5.0]])
    >>> model = PerOutputRegressor(KNeighborsRegressor(n_neighbors=1)).fit(X, Y)
    >>> model.predict([[1.2]]).round(6)
    array([[10.,  5.]])
    """

    def __init__(self, regressor, *, log_targets="auto", max_patterns=32):
        super().__init__(log_targets=log_targets, max_patterns=max_patterns)
        self.regressor = regressor

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.regressor)
        tags.non_deterministic = inner.non_deterministic
        tags.regressor_tags.poor_score = bool(
            inner.regressor_tags and inner.regressor_tags.poor_score
        )
        return tags

    def fit(self, X, y, sample_weight=None, mask=None):
        """Fit clones of the regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            In linear units. NaN: masked.
        sample_weight : array-like of shape (n_samples,), optional
            Handed on to the regressor, which must know it.
        mask : array-like of bool of the shape of `y`, optional
            True where `y` is valid.

        Returns
        -------
        self : PerOutputRegressor

        Raises
        ------
        ValueError
            `sample_weight` for a regressor that has none, or any of the input errors of a
            baseline.
        """
        if sample_weight is not None and not has_fit_parameter(self.regressor, "sample_weight"):
            raise ValueError(
                f"sample_weight is not None, but {type(self.regressor).__name__}.fit takes none; "
                "expected None, or a regressor with sample weights."
            )
        return super().fit(X, y, sample_weight, mask)

    def _fit_rows(self, X, Z, weight):
        Z, mean, scale = standardise(Z, weight)
        known = {} if weight is None else {"sample_weight": weight}
        if Z.shape[1] > 1 and not get_tags(self.regressor).target_tags.multi_output:
            fitted = [clone(self.regressor).fit(X, z, **known) for z in Z.T]
        else:
            target = Z[:, 0] if Z.shape[1] == 1 else Z
            fitted = clone(self.regressor).fit(X, target, **known)
        return fitted, mean, scale

    def _predict_rows(self, model, X, columns):
        fitted, mean, scale = model
        if isinstance(fitted, list):
            Z = np.stack([fitted[i].predict(X) for i in columns], axis=1)
        else:
            Z = fitted.predict(X).reshape(len(X), -1)[:, columns]
        return Z * scale[columns] + mean[columns]
