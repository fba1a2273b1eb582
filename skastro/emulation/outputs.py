"""The structure of the outputs: clusters of similar ones, and the subspace near which they lie."""

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

__all__ = ["cluster_outputs", "principal_basis", "resolve_rank"]

MAX_ROWS = 5000
MAX_CLUSTERS = 6
AUTO_RANK = 128


def cluster_outputs(targets, n_clusters, rng):
    """Group outputs by the similarity of their correlations with all others.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, n_outputs)
        Standardised, NaN where unknown.
    n_clusters : int or "auto"
        "auto" takes the number, from 1 to 6, with the best silhouette (1 unless some exceeds 0.25).
    rng : numpy.random.Generator

    Returns
    -------
    clusters : list of ndarray of int
    """
    n_outputs = targets.shape[1]
    if n_clusters == 1 or n_outputs == 1:
        return [np.arange(n_outputs)]
    filled = np.nan_to_num(targets[_some_rows(len(targets), rng)])
    norms = np.sqrt(np.square(filled).sum(axis=0))
    filled = filled / np.where(norms > 0, norms, 1.0)
    correlation = filled.T @ filled
    seed = int(rng.integers(2**31 - 1))

    def labels_of(n):
        return KMeans(n, n_init=4, random_state=seed).fit_predict(correlation)

    if n_clusters == "auto":
        best, labels = 0.25, np.zeros(n_outputs, dtype=int)
        for n in range(2, min(MAX_CLUSTERS, n_outputs - 1) + 1):
            found = labels_of(n)
            if len(np.unique(found)) < 2:
                break
            score = silhouette_score(correlation, found, sample_size=2000, random_state=seed)
            if score > best:
                best, labels = score, found
    else:
        labels = labels_of(n_clusters)
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def resolve_rank(output_rank, clusters):
    """Number of components of the outputs, or None where a low rank would save nothing.

    Parameters
    ----------
    output_rank : int, "auto" or None
        "auto": 128 for clusters of at least 384 outputs. A thousand line intensities of a PDR code lie
        within 0.3 % of such a subspace.
    clusters : list of ndarray of int

    Returns
    -------
    rank : int or None
    """
    largest = max(len(cluster) for cluster in clusters)
    if output_rank == "auto":
        return AUTO_RANK if largest >= 3 * AUTO_RANK else None
    return None if output_rank is None or output_rank >= largest else int(output_rank)


def principal_basis(targets, rank):
    """Leading directions of the outputs, scaled so that the components have unit variance.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, n_outputs)
        Standardised, NaN where unknown (taken as the mean).
    rank : int

    Returns
    -------
    basis : Tensor of shape (rank, n_outputs)
    """
    moments = _second_moments(targets)
    if 4 * rank < len(moments):
        # a few directions of many: all of 5,000 take half a minute
        start = np.random.default_rng(0).normal(size=len(moments))
        values, vectors = eigsh(moments, k=rank, v0=start)
    else:
        values, vectors = np.linalg.eigh(moments)
    chosen = np.argsort(values)[::-1][:rank]
    basis = vectors[:, chosen] * np.sqrt(np.maximum(values[chosen], 0.0))
    padded = np.zeros((rank, targets.shape[1]))
    padded[: len(chosen)] = basis.T
    return torch.from_numpy(padded)


def _second_moments(targets):
    filled = np.nan_to_num(targets)
    return (filled.T @ filled).astype(np.float64) / len(filled)


def _some_rows(n_rows, rng):
    if n_rows <= MAX_ROWS:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, MAX_ROWS, replace=False))
