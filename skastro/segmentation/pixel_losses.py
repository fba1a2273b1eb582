"""Losses of maps of classes that are a sum over pixels, and what all losses of maps share."""

from numbers import Real

import torch
from torch import nn
from torch.nn import functional

__all__ = ["FocalLoss", "LogLoss", "MapLoss", "SoftmaxLoss", "check_positive"]

# of a number that is raised to a power with a finite slope
LEAST = 1e-30


def check_positive(value, name):
    if not (isinstance(value, Real) and 0 < value < float("inf")):
        raise ValueError(f"{name}={value!r}; expected a positive finite number.")
    return float(value)


class MapLoss(nn.Module):
    """Base: what is read of logits and targets, once for all.

    Where a target is negative or NaN the pixel is not scored: its loss is 0, and sums leave it out.

    Attributes
    ----------
    proper : bool
        The posterior probability is the only optimum of the expected loss.
    consistent : bool
        The posterior probability is an optimum of the expected loss, perhaps not the only one.
    pixelwise : bool
        The loss of a pixel depends on that pixel alone, so that weights of pixels change the prior and
        nothing else.
    exclusive : bool
        Classes exclude each other: their probabilities are a softmax over axis 1.
    """

    proper = consistent = False
    pixelwise = True

    def __init__(self, exclusive=False, reduction="none"):
        super().__init__()
        if not isinstance(exclusive, bool):
            raise ValueError(f"exclusive={exclusive!r}; expected True or False.")
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.exclusive = exclusive
        self.reduction = reduction

    def forward(self, logits, target):
        """Loss of each pixel.

        Parameters
        ----------
        logits : Tensor of shape (n, n_labels, h, w)
        target : Tensor of the same shape
            Probabilities, 0 to 1; negative or NaN where a pixel is not scored.

        Returns
        -------
        loss : Tensor of the shape of `target`
            Of exclusive classes (n, 1, h, w). 0 where a pixel is not scored.

        Raises
        ------
        ValueError
            Shapes that differ, other than four axes, exclusive classes that are fewer than two.
        """
        if logits.shape != target.shape or logits.ndim != 4:
            raise ValueError(
                f"logits has shape {tuple(logits.shape)}, target {tuple(target.shape)}; expected the same "
                "(n, n_labels, h, w)."
            )
        if self.exclusive and logits.shape[1] < 2:
            raise ValueError(
                f"logits has {logits.shape[1]} class; expected 2 or more that exclude each other."
            )
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        scored = target >= 0
        if bool(scored.all()):  # as usual: then nothing need be masked
            return self._loss(logits, target.to(logits.dtype), scored.to(logits.dtype))
        target = torch.where(scored, target, 0.0).to(logits.dtype)
        loss = self._loss(logits, target, scored.to(logits.dtype))
        if self.exclusive:
            scored = scored.all(1, keepdim=True)
        return torch.where(scored, loss, 0.0)

    def _sums(self, logits, target, scored):
        """Sums over pixels of p, y and p (1 - y) + y (1 - p), each of shape (n, n_labels, 1, 1)."""
        p = (logits.softmax(1) if self.exclusive else logits.sigmoid()) * scored
        wrong = p * (1 - target) + target * (1 - p)
        return [one.sum((2, 3), keepdim=True) for one in (p, target, wrong * scored)]

    def _spread(self, loss, logits):
        """A loss of an image and a label (n, n_labels, 1, 1) at each pixel."""
        if self.exclusive:
            loss = loss.mean(1, keepdim=True)
        return loss.expand(-1, -1, *logits.shape[2:])


class LogLoss(MapLoss):
    r"""Log loss of labels that are independent of each other, from their logits [1]_.

    .. math:: \ell = -y \ln p - (1 - y) \ln (1 - p), \qquad p = 1 / (1 + e^{-z})

    Strictly proper: its optimum is the posterior probability.

    Parameters
    ----------
    reduction : {"none"}
        The mean is taken by the estimator, which knows weights.

    References
    ----------
    .. [1] Gneiting & Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 359
       (2007).

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import LogLoss
    >>> LogLoss()(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]]))
    tensor([[[[0.6931, 0.6931]]]])
    """

    proper = consistent = True

    def __init__(self, reduction="none"):
        super().__init__(False, reduction)

    def _loss(self, logits, target, scored):
        return _LogLoss.apply(logits, target)


class _LogLoss(torch.autograd.Function):
    """The log loss and its slope, p - y, in fewer passes over memory than automatic gradients need."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(torch.sigmoid(logits).sub_(target))
        # of two terms that don't cancel where the prediction is right
        sure = torch.relu(logits).addcmul_(logits, target, value=-1)
        return functional.softplus(logits.abs().neg_()).add_(sure)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        (slope,) = ctx.saved_tensors
        return slope * upstream, None


class SoftmaxLoss(MapLoss):
    r"""Log loss of classes that exclude each other, from their logits.

    .. math:: \ell = -\sum_k y_k \ln p_k, \qquad p_k = e^{z_k} / \sum_j e^{z_j}

    Strictly proper: its optimum is the posterior probabilities.

    Parameters
    ----------
    reduction : {"none"}
        The mean is taken by the estimator, which knows weights.

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import SoftmaxLoss
    >>> target = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    >>> SoftmaxLoss()(torch.zeros(1, 3, 1, 1), target)
    tensor([[[[1.0986]]]])
    """

    proper = consistent = True

    def __init__(self, reduction="none"):
        super().__init__(True, reduction)

    def _loss(self, logits, target, scored):
        return -(target * logits.log_softmax(1)).sum(1, keepdim=True)


class FocalLoss(MapLoss):
    r"""Log loss with little weight where the prediction is right already [1]_.

    .. math:: \ell = -y (1 - p)^\gamma \ln p - (1 - y) p^\gamma \ln (1 - p)

    Not proper but for :math:`\gamma = 0`: its optimum is nearer to 1/2 than the posterior probability [2]_,
    so that the probabilities need a calibration.

    Parameters
    ----------
    gamma : float, default=2.0
        0: the log loss.
    exclusive : bool, default=False
        Classes exclude each other: the sum over classes of :math:`-y_k (1 - p_k)^\gamma \ln p_k`.
    reduction : {"none"}
        The mean is taken by the estimator, which knows weights.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He & Dollar, "Focal loss for dense object detection", ICCV (2017).
    .. [2] Charoenphakdee, Vongkulbhisal, Chairatanakul & Sugiyama, "On focal loss for class-posterior
       probability estimation", CVPR (2021).

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import FocalLoss
    >>> loss = FocalLoss(gamma=2.0)
    >>> loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]]))
    tensor([[[[0.1733, 0.1733]]]])
    >>> loss.proper
    False
    """

    def __init__(self, gamma=2.0, exclusive=False, reduction="none"):
        super().__init__(exclusive, reduction)
        if not (isinstance(gamma, Real) and 0 <= gamma < float("inf")):
            raise ValueError(f"gamma={gamma!r}; expected a finite number from 0.")
        self.gamma = float(gamma)

    @property
    def proper(self):
        """Whether the posterior probability is the only optimum."""
        return self.gamma == 0

    @property
    def consistent(self):
        """Whether the posterior probability is an optimum."""
        return self.gamma == 0

    def _loss(self, logits, target, scored):
        if self.exclusive:
            log_p = logits.log_softmax(1)
            wrong = (-torch.expm1(log_p)).clamp_min(LEAST) ** self.gamma
            return -(target * wrong * log_p).sum(1, keepdim=True)
        log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        positive = (self.gamma * log_q).exp() * log_p
        negative = (self.gamma * log_p).exp() * log_q
        return -target * positive - (1 - target) * negative
