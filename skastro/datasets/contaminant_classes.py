"""The classes of contaminants, and their bits."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from skastro.datasets.survey_frames import check_number

__all__ = ["CONTAMINANTS", "check_classes", "check_probability", "unpack_bits"]

Contaminant = namedtuple("Contaminant", "bit name threshold")

#: Bit, name, and from how many times the noise of the empty sky the contribution counts, of each class.
CONTAMINANTS = {
    "CR": Contaminant(1, "cosmic ray", 1.0),
    "HCL": Contaminant(2, "hot column or line", None),
    "DCL": Contaminant(4, "dead column, line or clump", None),
    "HP": Contaminant(8, "hot pixel", 6.0),
    "DP": Contaminant(16, "dead pixel", None),
    "P": Contaminant(32, "persistence", 0.5),
    "TRL": Contaminant(64, "trail", 0.5),
    "FR": Contaminant(128, "fringes", 0.5),
    "NEB": Contaminant(256, "nebulosity", 1.0),
    "SAT": Contaminant(512, "saturated pixel", None),
    "SP": Contaminant(1024, "diffraction spike", 0.5),
    "OV": Contaminant(2048, "overscanned line", None),
    "BBG": Contaminant(4096, "bright background", 1.0),
    "BR": Contaminant(8192, "badly read line", None),
}
USUAL = tuple(CONTAMINANTS)[:-1]


def check_classes(classes):
    if classes is None:
        return USUAL
    known = isinstance(classes, list | tuple) and all(isinstance(c, str) for c in classes)
    if not known or not classes or not set(classes) <= set(CONTAMINANTS):
        raise ValueError(f"classes={classes!r}: expected some of {', '.join(CONTAMINANTS)}")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes={classes!r}: expected each at most once")
    return tuple(label for label in CONTAMINANTS if label in classes)


def check_probability(probability, labels):
    if not isinstance(probability, dict):
        check_number("probability", probability, 0.0, 1.0)
        return dict.fromkeys(labels, float(probability))
    unknown = [label for label in probability if label not in labels]
    if unknown:
        raise ValueError(f"probability has {unknown[0]!r}: expected some of {', '.join(labels)}")
    for label, value in probability.items():
        check_number(f"probability[{label!r}]", value, 0.0, 1.0)
    return {label: float(probability.get(label, 0.5)) for label in labels}


def unpack_bits(bits, labels=None):
    """Masks of classes from the bits of an image.

    Parameters
    ----------
    bits : ndarray of shape (h, w) or (n, h, w), of integers
    labels : sequence of str, dict of str to int or None, default=None
        Classes of `CONTAMINANTS`, or the bit of each. None: all of those but "BR".

    Returns
    -------
    masks : ndarray of shape (n_labels, h, w) or (n, n_labels, h, w), bool

    Raises
    ------
    ValueError
        If `bits` are no integers or have another shape, or a label is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import unpack_bits
    >>> unpack_bits(np.array([[0, 1], [9, 8]]), ["CR", "HP"]).astype(int).tolist()
    [[[0, 1], [1, 0]], [[0, 0], [1, 1]]]
    """
    bits = np.asarray(bits)
    if bits.dtype.kind not in "iu" or bits.ndim not in (2, 3):
        raise ValueError(
            f"bits has shape {bits.shape} and type {bits.dtype}: expected integers, (h, w) or (n, h, w)"
        )
    if labels is None:
        labels = USUAL
    if not isinstance(labels, dict):
        labels = {label: CONTAMINANTS[label].bit for label in check_classes(list(labels))}
    values = np.array(list(labels.values()), bits.dtype)
    return (bits[..., None, :, :] & values[:, None, None]) != 0
