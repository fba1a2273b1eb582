"""Pixels with known truth, on which maps of probabilities and thresholds are found: few, with all tails."""

from typing import NamedTuple

import numpy as np

__all__ = ["N_KEPT", "HeldOut", "condensed", "hold_out"]

# Pixels of each label, positive and negative, of which thresholds and maps are made.
N_KEPT = 100_000
# of the held-out pixels of a label, of each kind: those that decide, and groups that stand for the others
N_EDGE, N_GROUPS = 256, 768


class HeldOut(NamedTuple):
    """Pixels with known truth, of one label.

    Attributes
    ----------
    logit : ndarray of shape (n,), float32
        Under the prior of training, before any calibration.
    truth : ndarray of shape (n,), bool
    weight : ndarray of shape (n,), float32
        How many pixels of the held-out images each stands for.
    """

    logit: np.ndarray
    truth: np.ndarray
    weight: np.ndarray


def hold_out(logit, truth, rng):
    """Keep of one label's pixels what tells of its tails: at most `N_KEPT` of each kind.

    Half of those kept are the ones that decide, the least likely positives and the most likely negatives; the
    others are drawn, and weigh what they stand for.

    Parameters
    ----------
    logit : ndarray of shape (n,)
    truth : ndarray of shape (n,), bool
    rng : Generator

    Returns
    -------
    held : HeldOut
    """
    parts = []
    for kind, sign in ((True, 1.0), (False, -1.0)):
        z = logit[truth == kind]
        weight = np.ones(len(z), np.float32)
        if len(z) > N_KEPT:
            half = N_KEPT // 2
            order = np.argpartition(sign * z, half)
            some = rng.choice(order[half:], half, replace=False)
            weight = np.ones(N_KEPT, np.float32)
            weight[half:] = (len(z) - half) / half
            z = z[np.concatenate([order[:half], some])]
        parts.append((z, np.full(len(z), kind), weight))
    return HeldOut(*(np.concatenate(one) for one in zip(*parts, strict=True)))


def condensed(held):
    """Held-out pixels of a label, few enough to ship: groups that grow away from those that decide.

    Parameters
    ----------
    held : HeldOut

    Returns
    -------
    held : HeldOut
    """
    parts = []
    for kind, sign in ((True, 1.0), (False, -1.0)):
        chosen = held.truth == kind
        z, weight = held.logit[chosen], held.weight[chosen]
        order = np.argsort(sign * z, kind="stable")
        z, weight = z[order], weight[order]
        if len(z) > N_EDGE + N_GROUPS:
            # of pixels that are stood for, not of those kept: half of these are few of the many
            total = np.cumsum(weight, dtype=float)
            borders = np.geomspace(total[N_EDGE - 1], total[-1], N_GROUPS + 1)[:-1]
            starts = np.unique(np.searchsorted(total, borders, side="right"))
            sums = np.add.reduceat(weight, starts, dtype=float)
            middle = np.searchsorted(total, total[starts] - weight[starts] + sums / 2)
            z = np.concatenate([z[:N_EDGE], z[middle]])
            weight = np.concatenate([weight[:N_EDGE], sums])
        parts.append((z, np.full(len(z), kind), weight))
    logit, truth, weight = (np.concatenate(one) for one in zip(*parts, strict=True))
    return HeldOut(logit.astype(np.float32), truth, weight.astype(np.float32))
