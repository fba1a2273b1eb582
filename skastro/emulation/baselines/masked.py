"""What every baseline shares: masks, logarithms, names of outputs, choice of outputs."""

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skastro.emulation.baselines.holes import fill_holes
from skastro.emulation.targets import TargetTransform, check_targets
from skastro.metrics import masked_r2_score
from skastro.validation import select_outputs, split_unit

__all__ = ["Interpolator", "MaskedRegressor", "restore_outputs", "standardise"]


def restore_outputs(Y, info, columns=None, index=None):
    """Give predictions the form that the targets had in fit.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_outputs)
    info : TargetInfo
        What `check_targets` remembered.
    columns : ndarray of int, optional
        Which outputs the columns of `Y` are; all by default.
    index : pandas.Index, optional
        Index of a DataFrame.

    Returns
    -------
    Y : ndarray, DataFrame or Quantity
        One axis where fit had one.
    """
    if info.is_frame:
        import pandas as pd

        names = info.names if columns is None else [info.names[i] for i in columns]
        return pd.DataFrame(Y, columns=names, index=index)
    if info.ndim == 1:
        Y = Y[:, 0]
    if info.unit is not None:
        from astropy.units import Quantity

        return Quantity(Y, info.unit, copy=False)
    return Y


def standardise(values, weight=None):
    """Give each column mean 0 and standard deviation 1; a constant column becomes 0.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
    weight : ndarray of shape (n_samples,), optional

    Returns
    -------
    standardised : ndarray of the shape of `values`
    mean, scale : ndarray of shape (n_columns,)

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.baselines.masked import standardise
    >>> standardise(np.array([[1.0, 3.0], [3.0, 3.0]]))
    (array([[-1.,  0.],
           [ 1.,  0.]]), array([2., 3.]), array([1., 1.]))
    """
    mean = np.average(values, axis=0, weights=weight)
    scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
    # what rounding leaves of a constant column is no variation
    constant = scale <= 1e-12 * np.abs(mean)
    scale[constant] = 1.0
    values = (values - mean) / scale
    values[:, constant] = 0.0
    return values, mean, scale


class MaskedRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the baselines: one fit for each pattern of valid rows.

    A child class writes ``_fit_rows(X, Z, weight)``, which returns a model of complete targets, and
    ``_predict_rows(model, X, columns)``, which evaluates some of its outputs; both in standardised
    inputs and transformed targets.

    Parameters
    ----------
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the targets before the fit; see `TargetTransform`.
    max_patterns : int, default=32
        Outputs that are valid in the same rows are fitted together. When there are more such
        groups than this, the missing entries are filled by local linear fits
        (`skastro.emulation.baselines.holes.fill_holes`) and all outputs are fitted at once.

    Attributes
    ----------
    models_ : list
        One model a group of outputs.
    groups_ : list of ndarray of int
        The outputs of each model.
    filled_ : int
        Number of target entries that were missing and filled.
    transform_ : TargetTransform
    output_names_ : ndarray of str
        Only when the targets were a DataFrame.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    def __init__(self, *, log_targets="auto", max_patterns=32):
        self.log_targets = log_targets
        self.max_patterns = max_patterns

    def _fit_rows(self, X, Z, weight):
        raise TypeError(f"{type(self).__name__} must define _fit_rows.")

    def _predict_rows(self, model, X, columns):
        raise TypeError(f"{type(self).__name__} must define _predict_rows.")

    def _merge_rows(self, X, Z, weight):
        """Rows as the method needs them (an interpolator merges duplicates)."""
        return X, Z, weight

    def _prepare(self, X, Z, weight):
        """Anything to learn once, before the fits of the groups."""

    def fit(self, X, y, sample_weight=None, mask=None):
        """Fit to a grid of models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Parameters of the models.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their outputs, in linear units. NaN: masked.
        sample_weight : array-like of shape (n_samples,), optional
            A row of weight zero is left out. An interpolator passes through every other row,
            whatever its weight.
        mask : array-like of bool of the shape of `y`, optional
            True where `y` is valid.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            NaN in `X`, fewer than two rows, an output without valid entry, or a mask, weights
            or targets that do not fit `X`.
        """
        if not self.max_patterns >= 1:
            raise ValueError(f"max_patterns={self.max_patterns!r}; expected 1 or more.")
        values, self._unit_in = split_unit(X, "X")
        values = self._check_inputs(values, ensure_min_samples=2)
        Y, self._info = check_targets(y, mask, len(values), name="y")
        if self._info.is_frame:
            self.output_names_ = np.array(self._info.names)
        elif hasattr(self, "output_names_"):
            del self.output_names_
        self._n_outputs = Y.shape[1]
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, values, dtype=np.float64, ensure_non_negative=True
            )
            used = weight > 0
            if used.sum() < 2:
                raise ValueError("sample_weight is not zero in 1 row; expected at least 2.")
            values, Y, weight = values[used], Y[used], weight[used]
            if np.isnan(Y).all(axis=0).any():
                raise ValueError("sample_weight is 0 at every valid entry of an output of y.")
        self.transform_ = TargetTransform(self.log_targets).fit(Y)
        values, Z, weight = self._merge_rows(values, self.transform_.forward(Y), weight)
        values, self._mean, self._scale = standardise(values, weight)
        self._fit_groups(values, Z, weight)
        return self

    def _check_inputs(self, X, **options):
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite=False, **options)
        if not np.isfinite(X).all():
            row, column = np.argwhere(~np.isfinite(X))[0]
            what = "NaN" if np.isnan(X[row, column]) else "infinity"
            raise ValueError(
                f"Input X contains {what} at row {row}, feature {column}; expected finite numbers."
            )
        return X

    def _fit_groups(self, X, Z, weight):
        valid = np.isfinite(Z)
        self.filled_ = 0
        packed = np.packbits(valid, axis=0)
        patterns, group = np.unique(packed, axis=1, return_inverse=True)
        group = np.ravel(group)
        if patterns.shape[1] > self.max_patterns:
            self.filled_ = int(valid.size - valid.sum())
            Z = fill_holes(X, Z)
            valid, group = np.ones_like(valid), np.zeros_like(group)
        self.groups_ = [np.flatnonzero(group == k) for k in range(group.max() + 1)]
        self._prepare(X, Z, weight)
        self.models_ = []
        for columns in self.groups_:
            rows = valid[:, columns[0]]
            if rows.sum() < 2:
                raise ValueError(
                    f"y has {rows.sum()} valid entry in output {columns[0]}; expected at least 2."
                )
            known = None if weight is None else weight[rows]
            self.models_.append(self._fit_rows(X[rows], Z[np.ix_(rows, columns)], known))

    def predict(self, X, outputs=None):
        """Predict the outputs of models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        outputs : sequence of str or int, optional
            Names or indices of the outputs to compute; all by default.

        Returns
        -------
        Y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or DataFrame
            In the units of the targets of `fit`; a DataFrame where these were one.

        Raises
        ------
        ValueError
            Unknown outputs, or an `X` unlike that of `fit`.
        """
        check_is_fitted(self, "models_")
        index = getattr(X, "index", None)
        values, _ = split_unit(X, "X", self._unit_in)
        values = self._check_inputs(values, reset=False)
        values = (values - self._mean) / self._scale
        columns = select_outputs(outputs, self._n_outputs, self._info.names)
        wanted = np.arange(self._n_outputs) if columns is None else columns
        Z = np.empty((len(values), len(wanted)))
        for group, model in zip(self.groups_, self.models_, strict=True):
            here = np.flatnonzero(np.isin(wanted, group))
            if here.size:
                Z[:, here] = self._predict_rows(model, values, np.searchsorted(group, wanted[here]))
        with np.errstate(over="ignore"):
            Y = self.transform_.inverse(Z, columns)
        return restore_outputs(Y, self._info, columns, index)

    def score(self, X, y, sample_weight=None, mask=None):
        """Coefficient of determination over the valid entries, averaged over outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        mask : array-like of bool of the shape of `y`, optional

        Returns
        -------
        score : float
        """
        return masked_r2_score(y, self.predict(X), mask=mask, sample_weight=sample_weight)


def _basis(X):
    """Directions in which the rows of `X` vary, as columns; None for all axes."""
    moving = np.flatnonzero(np.ptp(X, axis=0))
    _, size, directions = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    rank = int((size > 1e-9 * size[0]).sum())
    if rank == X.shape[1]:
        return None
    # axes where they suffice: a grid stays a grid
    return np.eye(X.shape[1])[:, moving] if rank == len(moving) else directions[:rank].T


class Interpolator(MaskedRegressor):
    """Base of the baselines that pass through every model.

    Duplicate rows are merged, and directions in which the inputs do not vary are left out. A child
    class writes ``_build(X, Z)``, which returns a model, and ``_evaluate(model, X, columns)``.
    """

    def _build(self, X, Z):
        raise TypeError(f"{type(self).__name__} must define _build.")

    def _evaluate(self, model, X, columns):
        raise TypeError(f"{type(self).__name__} must define _evaluate.")

    def _fit_rows(self, X, Z, weight):
        basis = _basis(X)
        return basis, self._build(X if basis is None else X @ basis, Z)

    def _predict_rows(self, model, X, columns):
        basis, model = model
        return self._evaluate(model, X if basis is None else X @ basis, columns)

    def _merge_rows(self, X, Z, weight):
        rows, first, group = np.unique(X, axis=0, return_index=True, return_inverse=True)
        if len(rows) == len(X):
            return X, Z, None
        group = np.ravel(group)
        merged = Z[first]
        for row in np.setdiff1d(np.arange(len(X)), first):
            kept, new = merged[group[row]], Z[row]
            apart = np.abs(kept - new) > 1e-9 * (np.abs(kept) + np.abs(new))
            if apart.any():
                output = int(np.argmax(apart))
                raise ValueError(
                    f"X has duplicate rows with different targets ({X[row].tolist()}, output "
                    f"{output}); expected one target a point: average them, or drop all but one."
                )
            merged[group[row]] = np.where(np.isnan(kept), new, kept)
        if len(rows) < 2:
            raise ValueError(f"X has 1 distinct row among {len(X)}; expected at least 2.")
        # in the order of first appearance, so that distinct rows stay in the user's order
        order = np.argsort(first)
        return rows[order], merged[order], None
