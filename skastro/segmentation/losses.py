"""Losses of maps of classes by name, and their sums; each says whether its optimum is the posterior."""

from torch import nn

from skastro.segmentation.pixel_losses import FocalLoss, LogLoss, SoftmaxLoss, check_positive
from skastro.segmentation.region_losses import CountPenaltyLoss, DiceLoss

__all__ = [
    "CountPenaltyLoss",
    "DiceLoss",
    "FocalLoss",
    "LogLoss",
    "SoftmaxLoss",
    "SumLoss",
    "resolve_loss",
]

MODES = ("binary", "multiclass", "multilabel")
NAMES = ("log", "dice", "focal", "count")


class SumLoss(nn.Module):
    """A weighted sum of losses.

    It is proper if one of them is and the posterior probability is an optimum of all the others.

    Parameters
    ----------
    parts : list of tuple (weight, loss)
        Positive numbers, and losses of this module.

    Examples
    --------
    >>> from skastro.segmentation import CountPenaltyLoss, DiceLoss, LogLoss, SumLoss
    >>> SumLoss([(1.0, LogLoss()), (0.1, CountPenaltyLoss())]).proper
    True
    >>> SumLoss([(1.0, LogLoss()), (0.1, DiceLoss())]).proper
    False
    """

    def __init__(self, parts):
        super().__init__()
        try:
            weights, losses = zip(*parts, strict=True)
        except (TypeError, ValueError) as error:
            raise ValueError(f"parts={parts!r}; expected a list of (weight, loss).") from error
        if not all(isinstance(loss, nn.Module) for loss in losses):
            raise ValueError(f"parts={parts!r}; expected losses that are torch modules.")
        if len({getattr(loss, "exclusive", False) for loss in losses}) > 1:
            raise ValueError(
                "parts has losses with exclusive=True and False; expected one of them."
            )
        self.weights = [check_positive(weight, "weight") for weight in weights]
        self.losses = nn.ModuleList(losses)

    @property
    def exclusive(self):
        """Whether classes exclude each other."""
        return getattr(self.losses[0], "exclusive", False)

    @property
    def proper(self):
        """Whether the posterior probability is the only optimum."""
        return self.consistent and any(getattr(loss, "proper", False) for loss in self.losses)

    @property
    def consistent(self):
        """Whether the posterior probability is an optimum."""
        return all(getattr(loss, "consistent", False) for loss in self.losses)

    @property
    def pixelwise(self):
        """Whether the loss of a pixel depends on that pixel alone."""
        return all(getattr(loss, "pixelwise", False) for loss in self.losses)

    def forward(self, logits, target):
        """Loss of each pixel; as those of the parts."""
        pairs = zip(self.weights, self.losses, strict=True)
        return sum(weight * loss(logits, target) for weight, loss in pairs)


def resolve_loss(loss, mode="binary"):
    """Loss of a name, or a loss as it is.

    Parameters
    ----------
    loss : str or torch.nn.Module
        "log", "dice", "focal", "count", or a sum of them with equal weights, such as "log+dice". A module is
        called with logits and targets (n, n_labels, h, w) and returns the loss of each pixel; without an
        attribute `proper` its optimum is taken not to be the posterior probability.
    mode : {"binary", "multiclass", "multilabel"}, default="binary"
        Classes exclude each other in "multiclass".

    Returns
    -------
    loss : torch.nn.Module

    Raises
    ------
    ValueError
        Another name or mode, a loss of exclusive classes where they are not, or the other way round.

    Examples
    --------
    >>> from skastro.segmentation import resolve_loss
    >>> resolve_loss("log+count", "multilabel").proper, resolve_loss("focal").proper
    (True, False)
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}; expected one of {', '.join(MODES)}.")
    exclusive = mode == "multiclass"
    if isinstance(loss, nn.Module):
        if getattr(loss, "exclusive", exclusive) != exclusive:
            raise ValueError(
                f"loss={type(loss).__name__} with exclusive={not exclusive}, mode={mode!r}; expected "
                f"exclusive={exclusive}."
            )
        return loss
    names = loss.split("+") if isinstance(loss, str) else [loss]
    if not all(name in NAMES for name in names) or len(set(names)) < len(names):
        raise ValueError(
            f"loss={loss!r}; expected one of {', '.join(NAMES)}, a sum such as 'log+dice', or a module."
        )
    made = [_make(name, exclusive) for name in names]
    return made[0] if len(made) == 1 else SumLoss([(1.0, one) for one in made])


def _make(name, exclusive):
    if name == "log":
        return SoftmaxLoss() if exclusive else LogLoss()
    kinds = {"dice": DiceLoss, "focal": FocalLoss, "count": CountPenaltyLoss}
    return kinds[name](exclusive=exclusive)
