"""Masks as users give them, and as the network reads them: one whole number a pixel.

Of one class and of exclusive classes it is the class; of several labels, bit i is label i. -1 is not scored.
"""

import numpy as np
import torch
from torch import nn

__all__ = [
    "MODES",
    "CodedLoss",
    "code_masks",
    "find_labels",
    "find_mode",
    "presence",
    "weighted_shares",
]

MODES = ("binary", "multiclass", "multilabel")
UNSCORED = -1
MAX_LABELS = 31


def _is_planes(Y):
    """Whether masks are bit planes: unsigned integers, of which no boolean is one."""
    return Y.dtype.kind == "u"


def find_mode(mode, Y):
    """The mode that masks tell, for "auto"."""
    if mode != "auto":
        return mode
    first = np.asarray(Y[0])
    if first.ndim == 3:
        return "multilabel"
    largest = max(int(np.max(y, initial=0)) for y in map(np.asarray, Y) if y.dtype.kind != "f")
    return "binary" if first.dtype.kind == "b" or largest <= 1 else "multiclass"


def find_labels(labels, mode, Y, ignore_index):
    """Names and bits of the labels.

    Parameters
    ----------
    labels : sequence of str, dict of str to int, or None
        A dictionary gives the bits.
    mode : {"binary", "multiclass", "multilabel"}
    Y : list of ndarray
        Masks, of which the number of labels is learnt where it is not given.
    ignore_index : int

    Returns
    -------
    bits : dict of str to int
        Of exclusive classes the first, the background, has 0.
    """
    if isinstance(labels, dict):
        bits = {str(name): int(bit) for name, bit in labels.items()}
        for name, bit in bits.items():
            if bit < 1 or bit & (bit - 1) or bit >= 1 << MAX_LABELS:
                raise ValueError(
                    f"labels has {bit} for {name!r}; expected a power of 2 below 2**{MAX_LABELS}."
                )
        if len(set(bits.values())) < len(bits):
            raise ValueError(f"labels has a bit twice, {bits}; expected one for each label.")
        if mode != "multilabel":
            raise ValueError(f"labels is a dictionary with mode={mode!r}; expected names.")
        names = list(bits)
    else:
        names = None if labels is None else [str(name) for name in labels]
    n = {"binary": 1}.get(mode)
    if mode == "multilabel":
        n = Y[0].shape[0] if Y[0].ndim == 3 else len(names or ())
        if n == 0:
            raise ValueError("labels=None with Y as bit planes; expected the names of the labels.")
    if mode == "multiclass":
        values = [y[y != ignore_index] for y in Y]
        n = max(int(v.max()) for v in values if v.size) + 1 if names is None else len(names)
        n = max(n, 2)
    if names is None:
        names = ["positive"] if mode == "binary" else [str(i) for i in range(n)]
    if len(names) != n or len(set(names)) != n:
        raise ValueError(f"labels has {names}; expected {n} different name(s) for mode={mode!r}.")
    if n > MAX_LABELS:
        raise ValueError(f"labels has {n} names; expected at most {MAX_LABELS}.")
    if isinstance(labels, dict):
        return bits
    shift = 1 if mode == "multiclass" else 0
    return {name: (1 << i) >> shift for i, name in enumerate(names)}


def code_masks(y, shape, mode, bits, ignore_index, nodata, index=0):
    """One mask as the network reads it.

    Parameters
    ----------
    y : array-like of shape (h, w) or (n_labels, h, w)
    shape : tuple (h, w)
        Of its image.
    mode : {"binary", "multiclass", "multilabel"}
    bits : dict of str to int
    ignore_index : int
        Value of pixels that are not scored.
    nodata : int
        Bit of such pixels in bit planes.
    index : int
        Of the image, for the errors.

    Returns
    -------
    code : ndarray of shape (h, w), int32
    """
    y = np.asarray(y)
    n = len(bits)
    planes = mode == "multilabel" and y.ndim == 2
    wanted = (n, *shape) if mode == "multilabel" and not planes else tuple(shape)
    if y.shape != wanted:
        raise ValueError(f"Y has shape {y.shape} for image {index}; expected {wanted}.")
    if planes:
        if not _is_planes(y):
            raise ValueError(
                f"Y has dtype {y.dtype} for image {index}; expected bit planes of unsigned integers, or "
                f"booleans of shape {(n, *shape)}."
            )
        y = y.astype(np.int64)
        unknown = int(np.bitwise_or.reduce(y, axis=None)) & ~(sum(bits.values()) | nodata)
        if unknown:
            raise ValueError(
                f"Y has the unknown bit(s) {unknown} in image {index}; expected those of {bits}."
            )
        code = np.zeros(y.shape, np.int32)
        for i, bit in enumerate(bits.values()):
            code |= ((y & bit) > 0).astype(np.int32) << i
        code[(y & nodata) > 0] = UNSCORED
        return code
    if y.dtype.kind == "f":
        if not np.isin(y[np.isfinite(y)], np.arange(max(n, 2))).all() or np.isinf(y).any():
            raise ValueError(
                f"Y has values that are no labels in image {index}; expected 0 to {n}."
            )
        y = np.where(np.isnan(y), ignore_index, y).astype(np.int32)
    elif y.dtype.kind not in "bui":
        raise ValueError(f"Y has dtype {y.dtype} in image {index}; expected labels.")
    if y.dtype.kind == "b":
        known = np.ones(y.shape, bool)
    else:
        known = y != ignore_index
        top = max(n, 2) - 1 if mode == "multiclass" else 1
        seen = y[known]
        if seen.size and (seen.min() < 0 or seen.max() > top):
            wrong = seen.min() if seen.min() < 0 else seen.max()
            raise ValueError(f"Y has the label {wrong} in image {index}; expected 0 to {top}.")
    if mode == "multilabel":
        weights = np.int32(1) << np.arange(n, dtype=np.int32)
        code = np.einsum("lhw,l->hw", (y == 1).astype(np.int32), weights).astype(np.int32)
        code[~known.all(axis=0)] = UNSCORED
        return code
    return np.where(known, y.astype(np.int32), np.int32(UNSCORED))


def presence(code, mode, n_labels):
    """Planes of 0 and 1, one a label, of codes (..., h, w): a new axis before the last two.

    Parameters
    ----------
    code : Tensor or ndarray of int
    mode : {"binary", "multiclass", "multilabel"}
    n_labels : int

    Returns
    -------
    planes : Tensor or ndarray of bool, of shape (..., n_labels, h, w)
        False where not scored.
    """
    if torch.is_tensor(code):
        numbers = torch.arange(n_labels, device=code.device, dtype=code.dtype)
        code = code.unsqueeze(-3)
    else:
        numbers = np.arange(n_labels, dtype=code.dtype)
        code = code[..., None, :, :]
    numbers = numbers.reshape(-1, 1, 1)
    if mode == "binary":
        return code == 1
    if mode == "multiclass":
        return code == numbers
    return ((code >> numbers) & 1 == 1) & (code >= 0)


def weighted_shares(codes, mode, n_labels, weights=None):
    """Number of positive pixels of each label, and of all that are scored.

    Parameters
    ----------
    codes : sequence of ndarray of shape (h, w), int32
    mode : {"binary", "multiclass", "multilabel"}
    n_labels : int
    weights : sequence of float, optional
        One an image.

    Returns
    -------
    positive : ndarray of shape (n_labels,)
    scored : float
    """
    positive, scored = np.zeros(n_labels), 0.0
    for i, code in enumerate(codes):
        weight = 1.0 if weights is None else weights[i]
        hidden = np.count_nonzero(code < 0)
        for j in range(n_labels):
            if mode == "multilabel":
                # -1 has every bit
                count = np.count_nonzero((code >> j) & 1) - hidden
            else:
                count = np.count_nonzero(code == (1 if mode == "binary" else j))
            positive[j] += weight * count
        scored += weight * (code.size - hidden)
    return positive, scored


class CodedLoss(nn.Module):
    """A loss of planes, on codes: weights of classes and pixels that are not scored.

    The mean of what it returns is the weighted mean of the loss.

    Parameters
    ----------
    loss : Module
        Of logits and planes of 0 and 1.
    mode : {"binary", "multiclass", "multilabel"}
    n_labels : int
    weights : sequence of float
        Of the positive pixels of each label, those of others being 1; of exclusive classes, of each class.
    prior : sequence of float
        Share of each label, as the loss sees it. The loss of a label is divided by the entropy of its prior,
        so that 1 is what knowing the prior alone gives: rare labels are learnt as eagerly as others, and
        what their probabilities mean is left as it is.
    """

    def __init__(self, loss, mode, n_labels, weights, prior):
        super().__init__()
        self.loss = loss
        self.mode = mode
        self.n_labels = n_labels
        self.weights = tuple(float(one) for one in weights)
        tau = np.reshape(prior, -1)
        entropy = -np.log(tau) * tau
        if mode == "multiclass":
            scale = [1.0 / entropy.sum()]
        else:
            scale = 1.0 / (entropy - np.log1p(-tau) * (1.0 - tau))
        self.scale = tuple(float(one) for one in scale)

    def forward(self, logits, code):
        """Losses of shape (n, n_labels, h, w), or (n, 1, h, w) of exclusive classes."""
        planes = presence(code, self.mode, self.n_labels)
        # in the order of memory that the logits have, or every pass over both would be slow
        target = torch.empty_like(logits, requires_grad=False).copy_(planes)
        loss = self.loss(logits, target)
        loss = loss * loss.new_tensor(self.scale).reshape(-1, 1, 1)
        scored = (code >= 0).unsqueeze(-3)
        even = all(one == 1.0 for one in self.weights)
        if even and bool(scored.all()):
            return loss
        weight = scored.to(logits.dtype)
        if not even:
            each = logits.new_tensor(self.weights).reshape(-1, 1, 1)
            if self.mode == "multiclass":
                weight = weight * (target * each).sum(-3, keepdim=True)
            else:
                weight = weight * (1.0 + target * (each - 1.0))
        weight = weight.expand_as(loss)
        return loss * (weight / weight.mean().clamp_min(1e-12))
