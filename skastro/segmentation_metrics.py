"""How well scores of pixels find the true ones: all of them, or the brightest of each image."""

from typing import NamedTuple

import numpy as np

from skastro.detection_metrics import (
    CompletenessPurity,
    ObjectScores,
    completeness_purity,
    object_scores,
)
from skastro.probabilities import check_weights
from skastro.validation import native

__all__ = [
    "CompletenessPurity",
    "ObjectScores",
    "PixelScores",
    "completeness_purity",
    "make_pixel_scorer",
    "object_scores",
    "pixel_scores",
]

FPR_LEVELS = (1e-2, 1e-3, 1e-4, 1e-5)
# of rates that should be equal to a level
ROUNDING = 1e-12


class PixelScores(NamedTuple):
    """What `pixel_scores` returns.

    Attributes
    ----------
    auc, auc_std : float
        Area under the ROC curve: mean and standard deviation over images, or that of all pixels and NaN.
    average_precision, average_precision_std : float
        The same of the average precision.
    precision : float
        Of as many highest scores as there are true pixels; mean over images, or of all pixels.
    tpr : ndarray of shape (n_levels,)
        True positive rate at the false positive rates asked for, of all pixels together. NaN where there are
        too few negatives for a single false one.
    prevalence : float
        Share of the true pixels, of all pixels together.
    n_images : int
        Images that are scored: those with both classes.
    """

    auc: float
    auc_std: float
    average_precision: float
    average_precision_std: float
    precision: float
    tpr: np.ndarray
    prevalence: float
    n_images: int


class _Curves:
    """Weights of true and false pixels above each distinct score, row by row, from one sort."""

    def __init__(self, truth, score, weight):
        order = np.argsort(score, axis=1)[:, ::-1]
        score = np.take_along_axis(score, order, 1)
        # pixels of one score are taken together, whatever their order
        last = np.ones(score.shape, dtype=bool)
        np.not_equal(score[:, 1:], score[:, :-1], out=last[:, :-1])
        del score
        hit = np.take_along_axis(truth, order, 1)
        if weight is None:
            seen = np.broadcast_to(np.arange(1, hit.shape[1] + 1), hit.shape)[last]
        else:
            weight = np.take_along_axis(weight, order, 1)
            seen = np.cumsum(weight, axis=1)[last]
            hit = np.where(hit, weight, 0.0)
        self.true = np.cumsum(hit, axis=1)[last].astype(np.float64)
        self.seen = seen.astype(np.float64)
        counts = last.sum(axis=1)
        self.starts = np.cumsum(counts) - counts
        self.ends = np.cumsum(counts) - 1
        self.n_groups = counts
        self.positives = self.true[self.ends]
        self.negatives = self.seen[self.ends] - self.positives

    def _before(self, values):
        before = np.empty_like(values)
        before[1:] = values[:-1]
        before[self.starts] = 0.0
        return before

    def auc(self):
        false = self.seen - self.true
        area = (false - self._before(false)) * (self.true + self._before(self.true))
        with np.errstate(invalid="ignore", divide="ignore"):
            return 0.5 * np.add.reduceat(area, self.starts) / (self.positives * self.negatives)

    def average_precision(self):
        share = np.divide(self.true, self.seen, out=np.zeros_like(self.true), where=self.seen > 0)
        total = np.add.reduceat((self.true - self._before(self.true)) * share, self.starts)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / self.positives

    def precision(self):
        """At the number of positives; a share of the pixels of the score that is only partly needed."""
        below = self.seen < np.repeat(self.positives, self.n_groups)
        place = np.minimum(self.starts + np.add.reduceat(below, self.starts, dtype=int), self.ends)
        true, seen = self._before(self.true)[place], self._before(self.seen)[place]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = (self.positives - seen) / (self.seen[place] - seen)
            return (true + part * (self.true[place] - true)) / self.positives

    def tpr(self, levels):
        """Of the first row; the highest with at most that false positive rate."""
        end = self.ends[0] + 1
        false, wanted = self.seen[:end] - self.true[:end], levels * self.negatives[0]
        place = np.searchsorted(false, wanted * (1 + ROUNDING), side="right") - 1
        found = np.where(place >= 0, self.true[np.maximum(place, 0)], 0.0) / self.positives[0]
        return np.where(wanted < 1 - ROUNDING, np.nan, found)


def _stack(values, name):
    try:
        values = native(values)
    except ValueError as error:
        raise ValueError(f"{name} has images of different shapes; expected one shape.") from error
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected (h, w) or (n, h, w).")
    if values.dtype.kind not in "buif":
        raise ValueError(f"{name} has dtype {values.dtype}; expected numbers.")
    return values.reshape(1 if values.ndim == 2 else len(values), -1)


def _check(y_true, score, sample_weight):
    """Labels as bool, scores, and weights or None, of shape (n, pixels)."""
    shape = np.shape(y_true)
    labels, score = _stack(y_true, "y_true"), _stack(score, "score")
    if labels.shape != score.shape:
        raise ValueError(
            f"score has {score.shape[0]} image(s) of {score.shape[1]} pixels; expected "
            f"{labels.shape[0]} of {labels.shape[1]}, as y_true."
        )
    if score.dtype not in (np.float32, np.float64):
        score = score.astype(np.float32 if score.dtype.itemsize < 3 else np.float64)
    weight, used = None, None
    if sample_weight is not None:
        weight = check_weights(sample_weight, shape).reshape(labels.shape)
        used = weight > 0
        # what is left out comes last, without weight
        score = np.where(used, score, -np.inf)
    if np.isnan(score).any():
        raise ValueError(
            f"score has {np.isnan(score).sum()} NaN; expected numbers, or a weight of 0 there."
        )
    if labels.dtype != bool:
        right = (labels == 0) | (labels == 1)
        right = right if used is None else right | ~used
        if not right.all():
            raise ValueError(
                f"y_true has {labels[~right][0]:.4g}; expected labels 0 and 1, or a weight of 0 there."
            )
        labels = labels == 1
    return labels if used is None else labels & used, score, weight


def _brightest(truth, flux, n):
    """The n brightest true pixels of each row."""
    ranked = np.where(truth, flux, -np.inf)
    if np.isnan(ranked).any():
        raise ValueError("flux has NaN at true pixels; expected numbers there.")
    if n < truth.shape[1]:
        chosen = np.zeros(truth.shape, dtype=bool)
        np.put_along_axis(chosen, np.argpartition(-ranked, n - 1, axis=1)[:, :n], True, 1)
        truth = truth & chosen
    return truth


def pixel_scores(
    y_true,
    score,
    *,
    selection="all",
    n_brightest=200,
    flux=None,
    sample_weight=None,
    fpr_levels=FPR_LEVELS,
    per_image=True,
):
    """Area under the ROC curve, average precision, and rates at few false positives of scored pixels.

    Any score will do that is larger where the class is more probable. Ties count as in scikit-learn. Where
    the class is rare the area is near 1 whatever happens: look at the average precision, which falls with
    the prevalence, and at the true positive rates.

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1, of shape (h, w) or (n, h, w)
        True pixels.
    score : array-like of the shape of `y_true`
        Probabilities, logits, signal-to-noise ratios.
    selection : {"all", "brightest"}, default="all"
        "brightest": only the `n_brightest` true pixels of each image by `flux` count as true, the others as
        false. `precision` is then the share of them among as many highest scores.
    n_brightest : int, default=200
        All true pixels, in an image that has fewer.
    flux : array-like of the shape of `y_true`, optional
        Needed for "brightest".
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional
        Importance weights. 0 or False leaves a pixel out, whatever its label and score.
    fpr_levels : sequence of float, default=(1e-2, 1e-3, 1e-4, 1e-5)
        False positive rates at which the true positive rate is given: the highest with at most that many.
    per_image : bool, default=True
        Areas and precisions image by image, those with both classes; else of all pixels together.

    Returns
    -------
    scores : PixelScores

    Raises
    ------
    ValueError
        NaN, shapes that differ, labels but 0 and 1, no image with both classes, "brightest" without fluxes,
        a level outside 0 to 1.

    Examples
    --------
    >>> from skastro.segmentation_metrics import pixel_scores
    >>> found = pixel_scores([[0, 0, 1, 1]], [[0.1, 0.4, 0.35, 0.8]], fpr_levels=[0.5])
    >>> found.auc, round(found.average_precision, 3), found.precision, found.tpr.tolist()
    (0.75, 0.833, 0.5, [1.0])
    """
    if selection not in ("all", "brightest"):
        raise ValueError(f"selection={selection!r}; expected 'all' or 'brightest'.")
    levels = np.atleast_1d(np.asarray(fpr_levels, dtype=np.float64))
    if levels.ndim != 1 or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"fpr_levels={fpr_levels!r}; expected rates between 0 and 1.")
    truth, score, weight = _check(y_true, score, sample_weight)
    if selection == "brightest":
        if flux is None:
            raise ValueError(
                "flux is None with selection='brightest'; expected that of each pixel."
            )
        if not n_brightest >= 1 or n_brightest != int(n_brightest):
            raise ValueError(f"n_brightest={n_brightest!r}; expected a whole number from 1.")
        flux = _stack(flux, "flux")
        if flux.shape != truth.shape:
            raise ValueError(f"flux has {flux.shape} images and pixels; expected {truth.shape}.")
        truth = _brightest(truth, flux, int(n_brightest))
    together = [None if a is None else a.reshape(1, -1) for a in (truth, score, weight)]
    pooled = None
    if levels.size or not per_image or len(truth) == 1:
        pooled = _Curves(*together)
    rows = pooled if not per_image or len(truth) == 1 else _Curves(truth, score, weight)
    both = (rows.positives > 0) & (rows.negatives > 0)
    if not both.any():
        raise ValueError(
            f"y_true has no image with both classes, {truth.sum()} true pixels; expected one."
        )
    auc, precision = rows.auc()[both], rows.average_precision()[both]
    positives, negatives = rows.positives.sum(), rows.negatives.sum()
    return PixelScores(
        float(auc.mean()),
        float(auc.std()) if per_image else np.nan,
        float(precision.mean()),
        float(precision.std()) if per_image else np.nan,
        float(rows.precision()[both].mean()),
        pooled.tpr(levels) if levels.size else np.empty(0),
        float(positives / (positives + negatives)),
        int(both.sum()) if per_image else len(truth),
    )


class _PixelScorer:
    """A scorer that pickles and shows what it is."""

    def __init__(self, metric, per_image, fpr_level, ignore_index):
        self.metric = metric
        self.per_image = per_image
        self.fpr_level = fpr_level
        self.ignore_index = ignore_index

    def __call__(self, estimator, X, y):
        method = getattr(estimator, "decision_function", None) or getattr(
            estimator, "predict_proba", None
        )
        if method is None:
            raise ValueError(
                f"estimator is a {type(estimator).__name__}; expected one with decision_function or "
                "predict_proba."
            )
        y, score = native(y), native(method(X))
        if y.ndim not in (3, 4) or score.shape != y.shape:
            raise ValueError(
                f"y has shape {y.shape} and the scores {score.shape}; expected both (n, h, w) or "
                "(n, n_labels, h, w)."
            )
        if y.ndim == 3:
            y, score = y[:, None], score[:, None]
        levels = () if self.fpr_level is None else (self.fpr_level,)
        found = []
        for i in range(y.shape[1]):
            truth, used = y[:, i], None
            if truth.dtype != bool and (truth == self.ignore_index).any():
                used = truth != self.ignore_index
            scores = pixel_scores(
                truth,
                score[:, i],
                sample_weight=used,
                fpr_levels=levels,
                per_image=self.per_image,
            )
            found.append(np.mean(getattr(scores, self.metric)))
        return float(np.mean(found))

    def __repr__(self):
        options = {"per_image": True, "fpr_level": None, "ignore_index": 255}
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in options.items()
            if getattr(self, name) != default
        ]
        return f"make_pixel_scorer({', '.join([repr(self.metric), *changed])})"


def make_pixel_scorer(
    metric="average_precision", *, per_image=True, fpr_level=None, ignore_index=255
):
    """A scorer of segmenters, for `GridSearchCV` and `cross_validate`.

    Parameters
    ----------
    metric : {"average_precision", "auc", "precision", "tpr"}, default="average_precision"
        Of `pixel_scores`; the mean over labels where there are several.
    per_image : bool, default=True
        As in `pixel_scores`.
    fpr_level : float, optional
        False positive rate for "tpr".
    ignore_index : int, default=255
        Label of the pixels that aren't scored.

    Returns
    -------
    scorer : callable
        Of `(estimator, X, y)`, for estimators whose `decision_function` or `predict_proba` has the shape of
        `y`: (n, h, w) or (n, n_labels, h, w).

    Raises
    ------
    ValueError
        Another metric, or "tpr" without a level.

    Examples
    --------
    >>> from skastro.segmentation_metrics import make_pixel_scorer
    >>> make_pixel_scorer("tpr", fpr_level=1e-3)
    make_pixel_scorer('tpr', fpr_level=0.001)
    """
    if metric not in ("average_precision", "auc", "precision", "tpr"):
        raise ValueError(
            f"metric={metric!r}; expected 'average_precision', 'auc', 'precision' or 'tpr'."
        )
    if (metric == "tpr") != (fpr_level is not None):
        raise ValueError(
            f"fpr_level={fpr_level!r} with metric={metric!r}; expected a level for 'tpr' alone."
        )
    return _PixelScorer(metric, per_image, fpr_level, ignore_index)
