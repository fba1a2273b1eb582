"""Which Gaussian components belong together: clouds apart in velocity, phases apart in width."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

__all__ = ["group_components"]


def group_components(amplitude, velocity, width, *, distance=1.0, n_groups=None):
    r"""Group components of similar velocity and width.

    Each component stands for its mean velocity v and mean width s, weighted by flux. Two of them are

    .. math:: \sqrt{\frac{(v_1 - v_2)^2}{s_1^2 + s_2^2} + \left(\log_2 \frac{s_1}{s_2}\right)^2}

    apart: in units of their widths along velocity, in factors of two along width. Clusters are joined
    by their mean distance.

    Parameters
    ----------
    amplitude, velocity, width : array-like of shape (n_components, ...)
        Maps of the parameters, in any unit of velocity. NaN: blank.
    distance : float, default=1.0
        Clusters farther apart are not joined.
    n_groups : int, optional
        Number of groups instead of `distance`, fewer where there are not so many components.

    Returns
    -------
    labels : ndarray of shape (n_components,), int
        From 0, in order of the mean velocity of the groups; -1 for components without flux.

    Examples
    --------
    >>> from skastro.denoising.gaussian_clouds import group_components
    >>> group_components([3, 1, 2, 0], [8.0, 1.0, 1.2, 5.0], [1.0, 1.0, 1.3, 1.0])
    array([ 1,  0,  0, -1])
    """
    amplitude, velocity, width = (
        np.asarray(one, dtype=np.float64).reshape(len(one), -1)
        for one in (amplitude, velocity, width)
    )
    flux = np.nan_to_num(amplitude * width)
    total = flux.sum(axis=1)
    labels = np.full(len(flux), -1)
    there = np.flatnonzero(total > 0)
    if there.size == 0:
        return labels
    v, s = (
        (np.nan_to_num(one[there]) * flux[there]).sum(axis=1) / total[there]
        for one in (velocity, width)
    )
    groups = np.ones(there.size, int)
    if there.size > 1:
        apart = (v[:, None] - v) ** 2 / (s[:, None] ** 2 + s**2) + np.log2(s[:, None] / s) ** 2
        tree = linkage(squareform(np.sqrt(apart), checks=False), method="average")
        if n_groups is None:
            groups = fcluster(tree, distance, "distance")
        else:
            groups = fcluster(tree, n_groups, "maxclust")
    names, groups = np.unique(groups, return_inverse=True)
    weight = total[there]
    means = np.bincount(groups, weight * v) / np.bincount(groups, weight)
    rank = np.empty(len(names), int)
    rank[np.argsort(means)] = np.arange(len(names))
    labels[there] = rank[groups]
    return labels
