"""The kinds of problem that a comparison knows: their data, methods, metrics and picture."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["TASKS", "Task", "get_task"]

# Where each task is declared; imported when asked for, since this file stands above all of them.
TASKS = {"emulation": "skastro.emulation.comparison:TASK"}


def fit_to_targets(estimator, split):
    """Fit a regressor to the training rows of a `Split`."""
    return estimator.fit(split.X_train, split.Y_train)


def predict_rows(estimator, X):
    """Predict rows by the estimator's `predict`."""
    return estimator.predict(X)


@dataclass(frozen=True)
class Task:
    """What a comparison has to know of a kind of problem.

    Parameters
    ----------
    name : str
        As in ``skastro compare NAME``.
    load : callable
        Returns the default data, a Bunch.
    estimators : callable
        ``estimators(random_state=0, quick=False)`` returns the default methods, a dict of
        name to unfitted estimator.
    summarise : callable
        ``summarise(y_true, y_pred)`` returns a dict of key to float; `y_true` is NaN where masked.
    columns : dict
        Heading and format function of each key of the summary that the printed table shows; empty
        for all of them.
    plot : callable or None
        ``plot(comparison)`` returns a matplotlib figure.
    fit : callable
        ``fit(estimator, split)``; by default ``estimator.fit(X_train, Y_train)``.
    predict : callable
        ``predict(estimator, X)``; by default ``estimator.predict(X)``.
    """

    name: str
    load: Callable
    estimators: Callable
    summarise: Callable
    columns: Mapping
    plot: Callable | None = None
    fit: Callable = fit_to_targets
    predict: Callable = predict_rows


def get_task(name):
    """Find a task of the registry.

    Parameters
    ----------
    name : str or Task

    Returns
    -------
    task : Task

    Raises
    ------
    ValueError
        Unknown name.

    Examples
    --------
    >>> from skastro.tasks import get_task
    >>> list(get_task("emulation").columns)
    ['mean', 'median', 'p99', 'max']
    """
    if isinstance(name, Task):
        return name
    if name not in TASKS:
        raise ValueError(f"task={name!r}; expected one of {sorted(TASKS)}.")
    module, attribute = TASKS[name].split(":")
    return getattr(importlib.import_module(module), attribute)
