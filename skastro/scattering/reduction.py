"""Fewer scattering coefficients: averages and harmonics over orientations and over scales."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.scattering.reduction_matrices import (
    NAME,
    ORIENTATIONS,
    SCALES,
    angular,
    apply,
    isotropic,
    scales,
)

__all__ = [
    "ScatteringReduction",
    "angular_harmonics",
    "isotropic_average",
    "parse_names",
    "scale_harmonics",
]


def parse_names(names):
    """Labels of coefficients from their names.

    Parameters
    ----------
    names : sequence of str
        As "C01[j2=0,j3=2,l2=1,l3=3].re": a family, integers by key, and the part of a complex number.

    Returns
    -------
    labels : dict of ndarray of shape (n_coefficients,), int
        "j1", "j2", "j3", "l1", "l2", "l3" and any other key of the names, -1 where absent; "part", 0 for
        the real and 1 for the imaginary part; "family", the place of a name's family in the order of
        appearance.

    Raises
    ------
    ValueError
        If a name is not of that form.

    Examples
    --------
    >>> from skastro.scattering.reduction import parse_names
    >>> labels = parse_names(["S0", "S1[j1=2,l1=0]", "C01[j2=0,j3=2,l2=1,l3=3].im"])
    >>> {key: values.tolist() for key, values in labels.items() if key in ("family", "j3", "part")}
    {'j3': [-1, -1, 2], 'part': [0, 0, 1], 'family': [0, 1, 2]}
    """
    rows, families = [], {}
    for name in names:
        match = NAME.fullmatch(name)
        try:
            pairs = [item.split("=") for item in (match[2] or "").split(",") if item]
            row = {key: int(value) for key, value in pairs}
        except (TypeError, ValueError):
            raise ValueError(
                f"{name!r} is not the name of a coefficient; expected as 'S1[j1=0,l1=2]'."
            ) from None
        row["part"] = 1 if match[3] == ".im" else 0
        row["family"] = families.setdefault(match[1], len(families))
        rows.append(row)
    keys = dict.fromkeys((*SCALES, *ORIENTATIONS, "part", "family"))
    keys |= dict.fromkeys(key for row in rows for key in row)
    return {key: np.array([row.get(key, -1) for row in rows], int) for key in keys}


def isotropic_average(coefficients, labels, names=None):
    r"""Averages over rotations: only differences of orientations are left.

    The first orientation of a coefficient becomes the origin: :math:`S_2[j_1, j_2, l_2 - l_1]`,
    :math:`C_{11}[.., l_2 - l_1, l_3 - l_1]`, modulo L. Imaginary parts are dropped: a turn by pi changes
    their sign, so that their average over all rotations is 0.

    Parameters
    ----------
    coefficients : ndarray or Tensor of shape (n, n_coefficients)
    labels : dict of ndarray of shape (n_coefficients,), int
        "j1", "j2", "j3", "l1", "l2", "l3", "part" (-1 where absent) and any other integer key, as the
        families give them. Coefficients that agree in everything else are averaged.
    names : list of str, default=None
        Of the coefficients, whose families (what is before the bracket) are kept apart.

    Returns
    -------
    reduced : ndarray or Tensor of shape (n, n_reduced)
        Differentiable.
    labels : dict of ndarray of shape (n_reduced,), int
        "l2" and "l3" are differences, from 0 to L - 1; the origin is -1.
    names : list of str, or None
        "S2[j1=0,j2=1,dl2=3]", ...

    Raises
    ------
    ValueError
        If `labels` or `names` don't have the length of the coefficients.

    Notes
    -----
    Each coefficient is averaged as it is: of log P00 and log S1 the mean of the logarithm. The public code
    of the scattering spectra takes the logarithm of the mean.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.reduction import isotropic_average
    >>> from skastro.scattering.wst import WST
    >>> wst = WST((32, 32), n_scales=3, n_orientations=4)
    >>> S = wst(torch.randn(2, 32, 32, generator=torch.Generator().manual_seed(0)))
    >>> reduced, labels, names = isotropic_average(S, wst.labels, wst.names)
    >>> S.shape, reduced.shape, names[-1]
    (torch.Size([2, 61]), torch.Size([2, 16]), 'S2[j1=1,j2=2,dl2=3]')
    """
    return _reduce(isotropic, coefficients, labels, names)


def angular_harmonics(coefficients, labels, names=None):
    r"""Orthonormal Fourier transform over each orientation.

    Of period L over pi; the imaginary part of a covariance changes its sign when the orientation of its
    last wavelet turns by pi, and is expanded in harmonics of half-integer order along it.

    Parameters
    ----------
    coefficients, labels, names
        As for :func:`isotropic_average`; each coefficient with all of its L orientations.

    Returns
    -------
    reduced : ndarray or Tensor of shape (n, n_coefficients)
    labels : dict of ndarray of shape (n_coefficients,), int
        "l1", "l2", "l3" number the harmonics: 0 the mean, 1 and 2 cos and sin of order 1, 3 and 4 of
        order 2, ...; from 0 the cos and sin of order 1/2, 3/2, ... where half-integer.
    names : list of str, or None
        "S1[j1=0,m1=0]", ...

    Raises
    ------
    ValueError
        If orientations are missing.

    Notes
    -----
    The public code of [1]_ expands a covariance z and its conjugate over 2 L angles of the last wavelet, in
    complex exponentials F[k1, .., kn]: with (cos - i sin) / sqrt 2 of each pair of harmonics, and
    (cos + i sin) / sqrt 2 for its negative order, along each axis, F at kn = 2 m is that of our real
    parts at order m, and F at kn = 2 m + 1 is i times that of our imaginary parts at order m + 1/2. Of
    F and its conjugate at opposite orders it keeps one: half of the sum of squares, ours keep all of it. It
    leaves P00 and S1 as they are.

    References
    ----------
    .. [1] S. Cheng, R. Morel, E. Allys et al. (2024), "Scattering spectra models for physics",
       PNAS Nexus 3, pgae103.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.scattering.reduction import angular_harmonics, parse_names
    >>> names = [f"S1[j1=0,l1={l}]" for l in range(4)]
    >>> reduced, _, new = angular_harmonics(np.array([[1.0, 3.0, 1.0, 3.0]]), parse_names(names), names)
    >>> reduced.round(12) + 0.0, new[-1]
    (array([[ 4.,  0.,  0., -2.]]), 'S1[j1=0,m1=3]')
    """
    return _reduce(angular, coefficients, labels, names)


def scale_harmonics(coefficients, labels, names=None):
    r"""Orthonormal cosine transform (type II) over scales, at fixed ratios of scales [1]_.

    .. math::
        F[k] = c_k \sum_{n=0}^{N-1} F_n \cos\frac{k \pi (n + 1/2)}{N}, \quad
        c_0 = \sqrt{1/N}, \; c_k = \sqrt{2/N}

    over the N scales of the first wavelet. A self-similar field has k = 0 alone, once its coefficients
    are normalised.

    Parameters
    ----------
    coefficients, labels, names
        As for :func:`isotropic_average`.

    Returns
    -------
    reduced : ndarray or Tensor of shape (n, n_coefficients)
    labels : dict of ndarray of shape (n_coefficients,), int
        The first of "j1", "j2", "j3" is k, the others are differences from it.
    names : list of str, or None
        "S2[k1=0,dj2=1,l1=0,l2=3]", ...

    Notes
    -----
    C01 and C11 as in the public code of [1]_, after :func:`angular_harmonics`; that leaves P00 and S1
    as they are.

    References
    ----------
    .. [1] S. Cheng, R. Morel, E. Allys et al. (2024), "Scattering spectra models for physics",
       PNAS Nexus 3, pgae103.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.scattering.reduction import parse_names, scale_harmonics
    >>> names = [f"S1[j1={j},l1=0]" for j in range(4)]
    >>> reduced, _, new = scale_harmonics(np.ones((1, 4)), parse_names(names), names)
    >>> reduced.round(12) + 0.0, new[1]
    (array([[2., 0., 0., 0.]]), 'S1[k1=1,l1=0]')
    """
    return _reduce(scales, coefficients, labels, names)


class ScatteringReduction(TransformerMixin, BaseEstimator):
    """Reduce the columns of a table of scattering coefficients: fewer, and each with a meaning.

    Parameters
    ----------
    orientations : {"isotropic", "harmonics", None}, default="isotropic"
        "isotropic": :func:`isotropic_average`; "harmonics": :func:`angular_harmonics`.
    scales : {"harmonics", None}, default=None
        "harmonics": :func:`scale_harmonics`, after the orientations.
    labels : dict of ndarray of shape (n_features,), int, default=None
        Of the columns, as the families give them. None: read from the columns' names.
    names : list of str, default=None
        Of the columns. None: the names of the table's columns where it has any.

    Attributes
    ----------
    labels_ : dict of ndarray of shape (n_features_out,), int
        Of the columns that come out.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If the table had names.

    Raises
    ------
    ValueError
        If the columns have neither labels nor names that say them.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.reduction import ScatteringReduction
    >>> from skastro.scattering.wst import WST
    >>> wst = WST((32, 32), n_scales=3, n_orientations=4)
    >>> S = wst(torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))).numpy()
    >>> reduction = ScatteringReduction(names=wst.names).fit(S)
    >>> reduction.transform(S).shape
    (5, 16)
    >>> list(reduction.get_feature_names_out()[[0, 1, -1]])
    ['S0', 'S1[j1=0]', 'S2[j1=1,j2=2,dl2=3]']
    """

    _parameter_constraints = {
        "orientations": [StrOptions({"isotropic", "harmonics"}), None],
        "scales": [StrOptions({"harmonics"}), None],
        "labels": [dict, None],
        "names": ["array-like", None],
    }

    def __init__(self, orientations="isotropic", scales=None, labels=None, names=None):
        self.orientations = orientations
        self.scales = scales
        self.labels = labels
        self.names = names

    def fit(self, X, y=None):
        """Plan the reduction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None

        Returns
        -------
        self : object
        """
        self._validate_params()
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        names = self.names if self.names is not None else getattr(self, "feature_names_in_", None)
        if names is None and self.labels is None:
            raise ValueError(
                "the columns have no names: expected `labels`, `names` or a DataFrame."
            )
        names = None if names is None else [str(name) for name in names]
        labels = self.labels if self.labels is not None else parse_names(names)
        _check(X.shape[1], labels, names)
        plans = {"isotropic": isotropic, "harmonics": angular, None: None}
        matrix = None
        for plan in (plans[self.orientations], scales if self.scales else None):
            if plan is not None:
                one, labels, names = plan(labels, names)
                matrix = one if matrix is None else one @ matrix
        self._matrix, self._names, self.labels_ = matrix, names, labels
        self._n_features_out = X.shape[1] if matrix is None else matrix.shape[0]
        return self

    def transform(self, X):
        """Reduce the columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        reduced : ndarray of shape (n_samples, n_features_out)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X.copy() if self._matrix is None else apply(self._matrix, X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that come out.

        Parameters
        ----------
        input_features : None
            The names are those of the coefficients.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = self._names or [f"reduced{i}" for i in range(self._n_features_out)]
        return np.array(names, dtype=object)


def _check(n_coefficients, labels, names):
    if names is not None and len(names) != n_coefficients:
        raise ValueError(f"names has {len(names)} entries; expected {n_coefficients}.")
    for key in labels:
        if len(labels[key]) != n_coefficients:
            raise ValueError(
                f"labels[{key!r}] has {len(labels[key])} entries; expected {n_coefficients}, one a "
                "coefficient."
            )


def _reduce(plan, coefficients, labels, names):
    if coefficients.ndim != 2:
        raise ValueError(f"coefficients has shape {tuple(coefficients.shape)}; expected (n, p).")
    _check(coefficients.shape[1], labels, names)
    matrix, labels, names = plan(labels, names)
    return apply(matrix, coefficients), labels, names
