"""Truths and predicted distributions of named targets, as the pictures need them."""

import numpy as np

from skastro.distributions.truth import check_truth

__all__ = ["Targets", "read_estimator", "read_targets", "resolve_target"]


def resolve_target(target, names, n, argument="target"):
    """Index of a target.

    Parameters
    ----------
    target : int or str
    names : sequence of str
        May be empty: then names are not known.
    n : int
        How many there are.
    argument : str
        For the error.

    Returns
    -------
    index : int

    Examples
    --------
    >>> from skastro.displays.targets import resolve_target
    >>> resolve_target("mass", ["age", "mass"], 2)
    1
    """
    if isinstance(target, str):
        if target not in names:
            raise ValueError(
                f"{argument}={target!r}; expected one of {list(names[:5])} or an index."
            )
        return list(names).index(target)
    if not 0 <= target < n:
        raise ValueError(f"{argument}={target}; expected an index below {n}.")
    return int(target)


class Targets:
    """Truth and distributions of some targets, with their names and units.

    Parameters
    ----------
    y_true : ndarray of shape (n, n_all)
    distribution : Distribution
        Of shape (n, n_all).
    columns : list of int
        Those that are drawn.
    names, units : list of str
        Of those; "" where not known.

    Examples
    --------
    >>> from skastro.displays.targets import read_targets
    >>> from skastro.distributions import PiecewiseDistribution
    >>> seen = read_targets([0.5], PiecewiseDistribution([0.0, 1.0], [[[0, 1]]]), units="kpc")
    >>> seen.label(0, "true {}"), seen.drawn(seen.y_true)
    ('true value [kpc]', array([[0.5]]))
    """

    def __init__(self, y_true, distribution, columns, names, units):
        self.y_true = y_true
        self.distribution = distribution
        self.columns = columns
        self.names = names
        self.units = units

    def __len__(self):
        return len(self.columns)

    def drawn(self, values):
        """Columns of those that are drawn, of an array whose last axis are all targets."""
        return values[..., self.columns]

    def label(self, i, text="{}"):
        """Name of a target in a text, with its unit behind.

        Parameters
        ----------
        i : int
            Among those that are drawn.
        text : str
            With braces for the name.
        """
        unit = f" [{self.units[i]}]" if self.units[i] else ""
        return text.format(self.names[i] or "value") + unit

    def curve_names(self, name):
        """What each target's curve is called in a legend.

        Parameters
        ----------
        name : str or None
            Of the method.
        """
        own = [one if len(self) > 1 else "" for one in self.names]
        if len(self) > 1 and not any(own):
            own = [f"target {i}" for i in self.columns]
        return [", ".join(part for part in (name, one) if part) for one in own]


def _texts(values, n, argument):
    """One text for each of n targets."""
    if values is None:
        return [""] * n
    values = [values] * n if isinstance(values, str) else [str(one) for one in values]
    if len(values) != n:
        raise ValueError(
            f"{argument} has {len(values)} entries; expected {n}, one for each target."
        )
    return values


def read_targets(y_true, distribution, *, targets=None, target_names=None, units=None):
    """Check a truth and its distributions, and choose targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        A DataFrame or Series names the targets, a Quantity gives their unit.
    distribution : Distribution
        Of shape (n, n_targets).
    targets : int, str or list of such, optional
        All by default.
    target_names : str or sequence of str, optional
    units : str or sequence of str, optional

    Returns
    -------
    seen : Targets

    Raises
    ------
    ValueError
        Shapes that don't agree, a truth that is not finite, no Distribution, a target that isn't there,
        another number of names or units.
    """
    if target_names is None:
        target_names = getattr(y_true, "columns", None)
    if target_names is None and getattr(y_true, "name", None) is not None:
        target_names = str(y_true.name)
    if units is None and hasattr(y_true, "unit"):
        units = str(y_true.unit)
    values = check_truth(getattr(y_true, "value", y_true), distribution)
    n = values.shape[1]
    names = _texts(target_names, n, "target_names")
    units = _texts(units, n, "units")
    if targets is None:
        targets = range(n)
    elif isinstance(targets, str | int | np.integer):
        targets = [targets]
    columns = [resolve_target(one, names, n, "targets") for one in targets]
    if not columns:
        raise ValueError("targets is empty; expected at least one.")
    return Targets(
        values, distribution, columns, [names[i] for i in columns], [units[i] for i in columns]
    )


def read_estimator(estimator, X, y, context, *, name=None, target_names=None):
    """What an estimator predicts, its name and those of its targets.

    Parameters
    ----------
    estimator : fitted estimator
        With `predict_distribution`.
    X : array-like
    y : array-like or None
        The columns of a DataFrame are the names.
    context : dict
        For `predict_distribution`, such as `extra`.
    name : str, optional
        The class of the estimator by default.
    target_names : str or sequence of str, optional
        Those that the estimator knows by default.

    Returns
    -------
    distribution : Distribution
    name : str
    target_names : str, sequence of str or None
    """
    if not hasattr(estimator, "predict_distribution"):
        raise ValueError(
            f"{type(estimator).__name__} has no predict_distribution; expected an estimator of "
            "distributions."
        )
    if target_names is None and not hasattr(y, "columns"):
        target_names = getattr(estimator, "target_names_", None)
    name = type(estimator).__name__ if name is None else name
    return estimator.predict_distribution(X, **context), name, target_names
