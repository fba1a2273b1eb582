"""Losses of the emulator: functions of each entry's residual, never reduced.

Each behaves as half the squared residual near zero; the robust ones grow slower beyond `scale`, so that
wrong models pull less. Residuals and `scale` are in standardised units of each output.
"""

import torch
from torch import nn

__all__ = [
    "LOSSES",
    "CauchyLoss",
    "GemanMcClureLoss",
    "HuberLoss",
    "LogCoshLoss",
    "SquaredLoss",
    "make_loss",
]


class ResidualLoss(nn.Module):
    """A loss of ``prediction - target``.

    Parameters
    ----------
    scale : float, default=1.0
        Residual at which the loss leaves the parabola.
    reduction : {"none"}
        The mean is taken by the estimator, which knows masks and weights.
    """

    def __init__(self, scale=1.0, reduction="none"):
        super().__init__()
        if not scale > 0:
            raise ValueError(f"loss_scale={scale!r}; expected a positive number.")
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.scale = float(scale)
        self.reduction = reduction


class SquaredLoss(ResidualLoss):
    """``r**2 / 2``."""

    def forward(self, prediction, target):
        return 0.5 * (prediction - target).square()


class HuberLoss(ResidualLoss):
    """Parabola up to `scale`, straight beyond."""

    def forward(self, prediction, target):
        return nn.functional.huber_loss(prediction, target, reduction="none", delta=self.scale)


class LogCoshLoss(ResidualLoss):
    """``scale**2 * log(cosh(r / scale))``: a smooth passage from the square to the absolute value."""

    def forward(self, prediction, target):
        size = (prediction - target).abs() / self.scale
        # log(cosh(x)) in a form that neither overflows nor cancels near zero
        return self.scale**2 * (size + torch.log1p(0.5 * torch.expm1(-2.0 * size)))


class CauchyLoss(ResidualLoss):
    """``scale**2 / 2 * log(1 + (r / scale)**2)``: grows as a logarithm."""

    def forward(self, prediction, target):
        ratio = ((prediction - target) / self.scale).square()
        return 0.5 * self.scale**2 * torch.log1p(ratio)


class GemanMcClureLoss(ResidualLoss):
    """``r**2 / 2 / (1 + (r / scale)**2)``: bounded, an outlier no longer pulls at all."""

    def forward(self, prediction, target):
        square = (prediction - target).square()
        return 0.5 * square / (1.0 + square / self.scale**2)


LOSSES = {
    "squared": SquaredLoss,
    "log_cosh": LogCoshLoss,
    "huber": HuberLoss,
    "cauchy": CauchyLoss,
    "geman_mcclure": GemanMcClureLoss,
}


def make_loss(loss, scale=1.0):
    """Build a loss from its name, or from a callable that takes `scale` and `reduction`.

    Parameters
    ----------
    loss : {"squared", "log_cosh", "huber", "cauchy", "geman_mcclure"} or callable
    scale : float

    Returns
    -------
    criterion : callable
        Maps (prediction, target) to the loss of each entry.

    Examples
    --------
    >>> import torch
    >>> from skastro.emulation.losses import make_loss
    >>> make_loss("cauchy", 0.5)(torch.tensor([0.0, 100.0]), torch.zeros(2))
    tensor([0.0000, 1.3246])
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r}; expected one of {sorted(LOSSES)} or a callable.")
        loss = LOSSES[loss]
    if not callable(loss):
        raise ValueError(f"loss={loss!r}; expected one of {sorted(LOSSES)} or a callable.")
    return loss(scale=scale, reduction="none")
