"""The kinds of problem that a comparison knows: their data, methods, metrics and picture."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing

from skastro.splits import make_split

__all__ = ["ROW_SPEED", "TASKS", "Speed", "Task", "get_task"]

# Where each task is declared; imported when asked for, since this file stands above all of them.
TASKS = {
    "denoising": "skastro.denoising.comparison:TASK",
    "emulation": "skastro.emulation.comparison:TASK",
    "regression": "skastro.regression.comparison:TASK",
    "scattering": "skastro.scattering.comparison:TASK",
    "segmentation": "skastro.segmentation.comparison:TASK",
    "separation": "skastro.separation.comparison:TASK",
}
_TIMED_ROWS = 1000


class Speed(NamedTuple):
    """How the time that a prediction takes is measured and shown.

    Attributes
    ----------
    key, heading : str
        Of the column, in the rows and in the printed table.
    show : callable
        Formats a figure.
    count : callable
        ``count(X)``: how many units of work X is; the figure is in seconds for one of them.
    sample : callable
        ``sample(X)``: what is timed, when the whole test data takes no time.
    """

    key: str
    heading: str
    show: Callable
    count: Callable
    sample: Callable


def _thousand_rows(X):
    return _safe_indexing(X, np.arange(_TIMED_ROWS) % len(X))


# a million rows in seconds are a thousand in milliseconds
ROW_SPEED = Speed(
    "predict_ms_per_1000",
    "ms / 1,000",
    "{:.1f}".format,
    lambda X: len(X) / 1e6,
    _thousand_rows,
)


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
        Returns the default data, as `split` takes it.
    estimators : callable
        ``estimators(random_state=0, quick=False)`` returns the default methods, a dict of
        name to unfitted estimator.
    summarise : callable
        ``summarise(y_true, y_pred)`` returns a dict of key to float; `y_true` is NaN where masked.
        A task that sets `score` needs none: None.
    columns : dict
        Heading and format function of each key of the summary that the printed table shows; empty
        for all of them.
    plot : callable or None
        ``plot(comparison)`` returns a matplotlib figure.
    fit : callable
        ``fit(estimator, split)``; by default ``estimator.fit(X_train, Y_train)``.
    predict : callable
        ``predict(estimator, X)``; by default ``estimator.predict(X)``.
    split : callable
        ``split(data, test_size, random_state)`` returns a `Split`, by default that of
        `skastro.splits.make_split`; or a dict of name to `Split` where the methods are compared on
        several data sets: each is fitted to each of them.
    score : callable or None
        ``score(split, y_pred)`` in place of `summarise`, for figures that take more than the true
        targets.
    speed : Speed
        How the time of predictions is given; by default, of 1,000 rows.
    case : str
        What one of several data sets is called, as the heading of a column.
    """

    name: str
    load: Callable
    estimators: Callable
    summarise: Callable | None
    columns: Mapping
    plot: Callable | None = None
    fit: Callable = fit_to_targets
    predict: Callable = predict_rows
    split: Callable = make_split
    score: Callable | None = None
    speed: Speed = ROW_SPEED
    case: str = "data"


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
