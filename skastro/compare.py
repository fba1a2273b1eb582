"""Several methods on the same data: quality, time to fit, time to predict, size.

A task (emulation, denoising, ...) says where its data, methods and metrics are; the comparison and
its table are the same for all of them.
"""

import csv
import io
import pickle
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone
from tqdm.auto import tqdm

from skastro.files import replacing
from skastro.tasks import Task, get_task
from skastro.validation import split_unit

__all__ = ["Comparison", "Task", "compare", "get_task"]

# A prediction shorter than this is repeated, so that a timer's resolution does not show.
_SHORT = 0.3


def _costs(task):
    """What every comparison measures beside its metrics: key, heading, format."""
    return {
        "fit_s": ("fit s", "{:.2f}".format),
        task.speed.key: (task.speed.heading, task.speed.show),
        "size_mb": ("MB", "{:.2f}".format),
    }


@dataclass
class Comparison:
    """Result of `compare`.

    Attributes
    ----------
    rows : list of dict
        One a method (and data set, named in a column of its own, where the task has several):
        "method", the metrics, "fit_s" (seconds), the speed ("predict_ms_per_1000", milliseconds
        for 1,000 rows, or what the task counts), "size_mb" (pickled, 1e6 bytes) and "error"
        (empty, or why it failed; the figures are then NaN).
    predictions : dict of str to ndarray
        Of each method that succeeded, for the test rows. Such a dict for each data set that any
        method could do, where the task has several.
    split : Split, or dict of str to Split
        The latter where the task has several data sets.
    task : Task
    notes : dict of str to list of str
        Warnings issued while a method was fitted or predicted.
    """

    rows: list
    predictions: dict
    split: object
    task: Task
    notes: dict

    @property
    def table(self):
        """The rows as a DataFrame indexed by method, or as they are where pandas is absent."""
        try:
            import pandas as pd
        except ImportError:
            return self.rows
        frame = pd.DataFrame(self.rows)
        return frame.set_index(["method"] if self._several is None else [self.task.case, "method"])

    @property
    def _several(self):
        """Names of the data sets, None where there is one without a name."""
        return list(self.split) if isinstance(self.split, Mapping) else None

    def to_csv(self, path):
        """Write the table; an existing file is replaced only when all is written.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OSError
            The folder does not exist or cannot be written to.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
        with replacing(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")

    def plot(self):
        """Draw the task's picture of this comparison.

        Returns
        -------
        figure : matplotlib.figure.Figure

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            No method succeeded, or the task has no picture.
        """
        if self.task.plot is None:
            raise ValueError(f"the task {self.task.name!r} has no picture.")
        if not self.predictions:
            raise ValueError("no method succeeded: there is nothing to draw.")
        return self.task.plot(self)

    def __str__(self):
        case = self.task.case
        if self._several is None:
            lines = self._lines(self.rows, self.split)
        else:
            lines = []
            for name, split in self.split.items():
                lines += [*self._lines([r for r in self.rows if r[case] == name], split), ""]
        for row in self.rows:
            if row["error"]:
                where = "" if self._several is None else f" on {row[case]}"
                lines.append(f"{row['method']} failed{where}: {row['error']}")
        lines += [f"{name}: {note}" for name, notes in self.notes.items() for note in notes]
        return "\n".join(lines).rstrip()

    def _lines(self, rows, split):
        """The table of one data set."""
        costs = _costs(self.task)
        skipped = ("method", self.task.case, "error", *costs)
        found = [key for key in rows[0] if key not in skipped]
        columns = dict(self.task.columns) or {key: (key, "{:.4g}".format) for key in found}
        columns |= costs
        cells = [["method", *(heading for heading, _ in columns.values())]]
        for row in rows:
            shown = ["-" if row["error"] else show(row[k]) for k, (_, show) in columns.items()]
            cells.append([row["method"], *shown])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for name, *figures in cells:
            aligned = [f.rjust(width) for f, width in zip(figures, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *aligned]))
        lines.insert(1, "-" * len(lines[0]))
        lines.insert(0, f"{self.task.name}: {split.summary}")
        return lines


def compare(
    estimators=None,
    data=None,
    *,
    task="emulation",
    metrics=None,
    test_size=0.2,
    random_state=0,
    progress=True,
):
    """Fit several methods to the same data and score them on the same held-out data.

    Parameters
    ----------
    estimators : dict of str to estimator, list of estimators, or None
        Cloned before they are fitted. None: the methods of the task.
    data : Bunch, tuple (X, Y) or (X, Y, mask), or None
        A Bunch has `data`, `target` and, if some of it is invalid, `mask` (True where valid); with
        `data_test` and `target_test` (and `mask_test`) these are the test rows, else rows are
        held out at random. None: the data of the task. Methods see masked targets as NaN. Other
        tasks take other data: for denoising see `skastro.denoising.comparison.split_cubes`.
    task : str or Task, default="emulation"
        Provides the defaults of the other arguments, and the columns of the table.
    metrics : callable or dict of str to callable, optional
        ``metrics(y_true, y_pred)`` returns a dict of figures; or a figure for each name.
        `y_true` is NaN where masked. The metrics of the task by default.
    test_size : float or int, default=0.2
        Fraction or number of rows held out, where the data has no test rows.
    random_state : int, RandomState instance or None, default=0
        For the split and for the methods of the task.
    progress : bool, default=True
        Show a progress bar.

    Returns
    -------
    comparison : Comparison
        Print it for the table. A method that fails has its error there; the others go on.

    Raises
    ------
    ValueError
        No estimators, two of one name, or data of another form.

    Examples
    --------
    >>> from skastro.compare import compare
    >>> from skastro.datasets import load_nebular_grid
    >>> from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor
    >>> methods = {"nearest": NearestModelRegressor(), "RBF": RBFInterpolationRegressor()}
    >>> comparison = compare(methods, load_nebular_grid(), progress=False)
    >>> medians = [row["median"] for row in comparison.rows]
    >>> medians[1] < medians[0]
    True
    """
    task = get_task(task)
    if estimators is None:
        estimators = task.estimators(random_state=random_state)
    methods = _named(estimators)
    split = task.split(task.load() if data is None else data, test_size, random_state)
    if metrics is not None:
        task = _with_metrics(task, metrics)
    several = isinstance(split, Mapping)
    runs = [(case, name) for case in (split if several else [None]) for name in methods]
    rows, predictions, notes = [], {}, {}
    bar = tqdm(runs, desc="compare", unit="method", disable=not progress, leave=False)
    for case, name in bar:
        bar.set_postfix_str(f"{name}, {case}" if several else name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            row, prediction = _run(methods[name], split[case] if several else split, task)
        rows.append({"method": name} | ({task.case: case} if several else {}) | row)
        if prediction is not None:
            found = predictions.setdefault(case, {}) if several else predictions
            found[name] = prediction
        said = dict.fromkeys(_first_line(w.message) for w in caught)
        if said:
            notes[name] = list(dict.fromkeys([*notes.get(name, []), *said]))
    costs = _costs(task)
    keys = list(dict.fromkeys(key for row in rows for key in row if key not in costs))
    keys = [k for k in keys if k != "error"] + [*costs, "error"]
    rows = [{key: row.get(key, float("nan")) for key in keys} for row in rows]
    return Comparison(rows, predictions, split, task, notes)


def _run(estimator, split, task):
    """Figures and costs of one method, and its predictions (None when it failed)."""
    try:
        fitted = clone(estimator)
        start = time.perf_counter()
        task.fit(fitted, split)
        row = {"fit_s": time.perf_counter() - start}
        start = time.perf_counter()
        prediction = _values(task.predict(fitted, split.X_test))
        elapsed = time.perf_counter() - start
        if task.score is None:
            figures = task.summarise(_values(split.Y_test), prediction)
        else:
            figures = task.score(split, prediction)
        row |= {key: float(value) for key, value in figures.items()}
        row[task.speed.key] = _time(fitted, split, task, elapsed)
        row["size_mb"] = pickled_size(fitted) / 1e6
    except Exception as error:  # whatever a method raises is its row
        return {"error": f"{type(error).__name__}: {_first_line(error)}"}, None
    return row | {"error": ""}, prediction


def _time(fitted, split, task, elapsed):
    """Seconds for a unit of work: measured on a sample, unless one call already takes long."""
    if elapsed > _SHORT:
        return elapsed / task.speed.count(split.X_test)
    X = task.speed.sample(split.X_test)
    best, spent = np.inf, 0.0
    while spent < _SHORT:
        start = time.perf_counter()
        task.predict(fitted, X)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best / task.speed.count(X)


class _Counter(io.RawIOBase):
    """A file that keeps only the number of bytes written to it."""

    n_bytes = 0

    def writable(self):
        return True

    def write(self, data):
        self.n_bytes += memoryview(data).nbytes
        return memoryview(data).nbytes


def pickled_size(estimator):
    """Bytes of a fitted estimator when pickled; nothing is stored.

    Parameters
    ----------
    estimator : object

    Returns
    -------
    n_bytes : int or nan
        NaN when it cannot be pickled.
    """
    counter = _Counter()
    try:
        pickle.Pickler(counter, protocol=5).dump(estimator)
    except (pickle.PicklingError, AttributeError, TypeError):
        return float("nan")
    return counter.n_bytes


def _first_line(message):
    lines = str(message).strip().splitlines()
    return lines[0] if lines else "(no message)"


def _values(Y):
    """Targets or predictions as an array of shape (n_samples, ...), without names or unit."""
    return np.asarray(split_unit(Y, "Y")[0])


def _named(estimators):
    if not isinstance(estimators, Mapping):
        listed = list(estimators) if isinstance(estimators, (list, tuple)) else [estimators]
        names = [type(estimator).__name__ for estimator in listed]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"estimators has more than one {repeated[0]}; expected a dict with a name for each."
            )
        estimators = dict(zip(names, listed, strict=True))
    if not estimators:
        raise ValueError("estimators is empty; expected at least one.")
    for name, estimator in estimators.items():
        if not hasattr(estimator, "fit") or isinstance(estimator, type):
            raise TypeError(f"estimators[{name!r}] is {estimator!r:.60}; expected an estimator.")
    return dict(estimators)


def _with_metrics(task, metrics):
    if not isinstance(metrics, Mapping):
        if not callable(metrics):
            raise TypeError(f"metrics is {metrics!r:.60}; expected a callable or a dict of them.")
        return replace(task, summarise=metrics, score=None, columns={})

    def summarise(y_true, y_pred):
        return {key: metric(y_true, y_pred) for key, metric in metrics.items()}

    return replace(task, summarise=summarise, score=None, columns={})
