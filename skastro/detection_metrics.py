"""How many objects are found, and how many of the found are true: catalogues by flux, masks by overlap."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from skastro.validation import native

__all__ = ["CompletenessPurity", "ObjectScores", "completeness_purity", "object_scores"]


class CompletenessPurity(NamedTuple):
    """What `completeness_purity` returns; arrays of shape (n_bins,).

    Attributes
    ----------
    flux_edges : ndarray of shape (n_bins + 1,)
    n_true, n_detected : ndarray of int
        Sources by their true flux, detections by theirs.
    completeness : ndarray
        Share of the sources of a bin of true flux that are found; NaN where there is none.
    purity : ndarray
        Share of the detections of a bin of detected flux that are sources; NaN where there is none.
    total_completeness, total_purity : float
        Of all, whatever their flux.
    matches : ndarray of int of shape (n_matches, 2)
        Rows of the detection and of the source of each pair.
    """

    flux_edges: np.ndarray
    n_true: np.ndarray
    n_detected: np.ndarray
    completeness: np.ndarray
    purity: np.ndarray
    total_completeness: float
    total_purity: float
    matches: np.ndarray


def _columns(catalog, name):
    found = []
    for key in ("x", "y", "flux"):
        try:
            column = np.asarray(catalog[key], dtype=np.float64)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{name} has no numbers {key!r}; expected x, y and flux.") from error
        found.append(np.atleast_1d(column))
    x, y, flux = found
    if not x.shape == y.shape == flux.shape or x.ndim != 1:
        raise ValueError(
            f"{name} has columns of shapes {x.shape}, {y.shape}, {flux.shape}; expected one length."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or np.isnan(flux).any():
        raise ValueError(f"{name} has NaN or infinity; expected finite positions, fluxes not NaN.")
    return np.stack([x, y], axis=1), flux


def _match(one, other, radius):
    """Pairs from the closest up, each row once."""
    if len(one) == 0 or len(other) == 0:
        return np.empty((0, 2), dtype=int)
    near = cKDTree(one).sparse_distance_matrix(cKDTree(other), radius, output_type="ndarray")
    pairs, distance = np.stack([near["i"], near["j"]], axis=1), near["v"]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], distance))]
    matched = []
    while len(pairs):
        # a pair that is the first of both its rows is one of the matching from the closest up
        first = [np.unique(pairs[:, k], return_index=True)[1] for k in (0, 1)]
        both = np.intersect1d(*first)
        matched.append(pairs[both])
        free = ~(np.isin(pairs[:, 0], pairs[both, 0]) | np.isin(pairs[:, 1], pairs[both, 1]))
        pairs = pairs[free]
    found = np.concatenate(matched) if matched else np.empty((0, 2), dtype=int)
    return found[np.argsort(found[:, 0])].astype(int)


def _edges(flux, bins):
    if np.ndim(bins) == 0:
        if not bins >= 1 or bins != int(bins):
            raise ValueError(f"flux_bins={bins!r}; expected a whole number from 1, or edges.")
        inner = np.quantile(flux, np.linspace(0, 1, int(bins) + 1))[1:-1]
        # whatever is fainter or brighter than the sources has a bin too
        return np.concatenate([[-np.inf], np.unique(inner), [np.inf]])
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"flux_bins={bins!r}; expected a whole number from 1, or rising edges.")
    return edges


def _shares(flux, right, edges):
    place = np.searchsorted(edges, flux, side="right") - 1
    # the last bin holds its upper edge
    place[flux == edges[-1]] = len(edges) - 2
    inside = (place >= 0) & (place < len(edges) - 1)
    counts = np.bincount(place[inside], minlength=len(edges) - 1)
    found = np.bincount(place[inside], right[inside], len(edges) - 1)
    return counts, np.divide(found, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def completeness_purity(detections, truth, radius, *, flux_bins=8):
    """Completeness by true flux and purity by detected flux of a catalogue of one image.

    A detection and a source that are within the radius are a pair, from the closest pair up, each in one
    pair at most. In crowded fields pairs come about by chance: random positions tell how many.

    Parameters
    ----------
    detections : Table, structured array or dict of arrays
        With `x`, `y` and `flux`, as `MatchedFilter.detect` gives it.
    truth : Table, structured array or dict of arrays
        The same of the sources, at least one.
    radius : float
        In the unit of the positions (pixels).
    flux_bins : int or array-like of shape (n_bins + 1,), default=8
        Edges, in the unit of the fluxes; or how many bins, of about as many sources each, the outer ones
        open.

    Returns
    -------
    found : CompletenessPurity

    Raises
    ------
    ValueError
        Columns that are missing, of several lengths or not finite, no source, a radius that is not positive,
        edges that don't rise.

    Examples
    --------
    >>> from skastro.segmentation_metrics import completeness_purity
    >>> truth = {"x": [1.0, 5.0, 9.0], "y": [1.0, 5.0, 9.0], "flux": [1.0, 10.0, 20.0]}
    >>> found = {"x": [5.1, 9.0, 3.0], "y": [5.0, 9.2, 7.0], "flux": [11.0, 19.0, 2.0]}
    >>> scores = completeness_purity(found, truth, 0.5, flux_bins=[0, 5, 50])
    >>> scores.completeness, scores.purity
    (array([0., 1.]), array([0., 1.]))
    """
    places, flux = _columns(detections, "detections")
    sources, true_flux = _columns(truth, "truth")
    if len(sources) == 0:
        raise ValueError("truth has no source; expected at least one.")
    if not 0 < radius < np.inf:
        raise ValueError(f"radius={radius!r}; expected a positive finite number.")
    edges = _edges(true_flux, flux_bins)
    matches = _match(places, sources, radius)
    right, known = np.zeros(len(places), dtype=bool), np.zeros(len(sources), dtype=bool)
    right[matches[:, 0]], known[matches[:, 1]] = True, True
    n_true, completeness = _shares(true_flux, known, edges)
    n_detected, purity = _shares(flux, right, edges)
    return CompletenessPurity(
        edges,
        n_true,
        n_detected,
        completeness,
        purity,
        float(known.mean()),
        float(right.mean()) if len(right) else np.nan,
        matches,
    )


class ObjectScores(NamedTuple):
    """What `object_scores` returns.

    Attributes
    ----------
    completeness : float
        Share of the true objects that are found; NaN without any.
    contamination : float
        Share of the predicted objects that touch no true one; NaN without any.
    n_true, n_predicted : int
        Objects.
    n_found, n_false : int
        True objects that are found, predicted ones that touch no true one.
    """

    completeness: float
    contamination: float
    n_true: int
    n_predicted: int
    n_found: int
    n_false: int


def _masks(values, name):
    try:
        values = native(values)
    except ValueError as error:
        raise ValueError(f"{name} has images of different shapes; expected one shape.") from error
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected (h, w) or (n, h, w).")
    if values.dtype != bool:
        if not ((values == 0) | (values == 1)).all():
            wrong = values[(values != 0) & (values != 1)].flat[0]
            raise ValueError(f"{name} has {wrong!r}; expected a mask of 0 and 1.")
        values = values == 1
    return values[None] if values.ndim == 2 else values


def object_scores(y_true, y_pred, *, fraction=0.5, overlap="covered", connectivity=8, mask=None):
    """Completeness and contamination of connected pixels as objects.

    Parameters
    ----------
    y_true, y_pred : array-like of bool of shape (h, w) or (n, h, w)
        True and predicted pixels.
    fraction : float, default=0.5
        A true object is found where its overlap is at least that.
    overlap : {"covered", "iou"}, default="covered"
        Share of its pixels that are predicted, or the intersection over the union with the predicted
        object for which that is largest.
    connectivity : {8, 4}, default=8
        Neighbours of a pixel that are of its object.
    mask : array-like of bool of the shape of `y_true`, optional
        True where pixels count. The others belong to no object.

    Returns
    -------
    scores : ObjectScores

    Raises
    ------
    ValueError
        Masks of other shapes or with other values than 0 and 1, a fraction outside 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation_metrics import object_scores
    >>> truth, found = np.zeros((2, 8, 8), bool)
    >>> truth[1:3, 1:5] = truth[6, 6] = True
    >>> found[1:3, 1:4] = found[5, 1] = True
    >>> object_scores(truth, found)
    ObjectScores(completeness=0.5, contamination=0.5, n_true=2, n_predicted=2, n_found=1, n_false=1)
    """
    if overlap not in ("covered", "iou"):
        raise ValueError(f"overlap={overlap!r}; expected 'covered' or 'iou'.")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity={connectivity!r}; expected 4 or 8.")
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction!r}; expected a number above 0, at most 1.")
    truth, found = _masks(y_true, "y_true"), _masks(y_pred, "y_pred")
    if truth.shape != found.shape:
        raise ValueError(f"y_pred has shape {found.shape}; expected {truth.shape}, that of y_true.")
    if mask is not None:
        mask = _masks(mask, "mask")
        if mask.shape != truth.shape:
            raise ValueError(
                f"mask has shape {mask.shape}; expected {truth.shape}, that of y_true."
            )
        truth, found = truth & mask, found & mask
    # objects don't reach from an image to the next
    near = np.zeros((3, 3, 3), dtype=bool)
    near[1] = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    true_labels, n_true = ndimage.label(truth, near)
    labels, n_predicted = ndimage.label(found, near)
    shared = truth & found
    pairs = true_labels[shared].astype(np.int64) * (n_predicted + 1) + labels[shared]
    pairs, common = np.unique(pairs, return_counts=True)
    row, column = np.divmod(pairs, n_predicted + 1)
    true_area = np.bincount(true_labels[truth], minlength=n_true + 1)
    area = np.bincount(labels[found], minlength=n_predicted + 1)
    reached = np.zeros(n_true + 1)
    if overlap == "covered":
        np.add.at(reached, row, common / true_area[row])
    else:
        np.maximum.at(reached, row, common / (true_area[row] + area[column] - common))
    # of shares that are added up
    n_found = int((reached[1:] >= fraction * (1 - 1e-12)).sum())
    n_false = n_predicted - len(np.unique(column))
    return ObjectScores(
        n_found / n_true if n_true else np.nan,
        n_false / n_predicted if n_predicted else np.nan,
        n_true,
        n_predicted,
        n_found,
        n_false,
    )
