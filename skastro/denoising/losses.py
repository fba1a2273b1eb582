"""The prior loss of denoising: fidelity where a signal is probable, sparsity elsewhere."""

from numbers import Real

import torch
from torch import nn

__all__ = ["PriorLoss"]


class PriorLoss(nn.Module):
    r"""Squared residual where signal is probable, a concave penalty of the estimate elsewhere [1]_.

    .. math::
        \ell(\hat d, d) = \begin{cases}
            ((\hat d - d) / \sigma)^2 & \text{where a signal is probable} \\
            |\hat d / \sigma|^q & \text{elsewhere}
        \end{cases}

    The penalty is smoothed at zero, as :math:`(u^2 + \epsilon^2)^{q/2} - \epsilon^q`: its slope is
    finite there, and zero.

    Parameters
    ----------
    sparsity : float, default=1.0
        The exponent q, 0 < q <= 1. The smaller, the sparser.
    epsilon : float, default=1e-3
        Where the smoothing sets in, in units of the noise.
    reduction : {"none"}
        The mean is taken by the estimator, which knows blanks and weights.

    References
    ----------
    .. [1] L. Einig, J. Pety, A. Roueff, et al. (2023), "Deep learning denoising by dimension
       reduction: Application to the ORION-B line cubes", A&A 677, A158.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.losses import PriorLoss
    >>> estimate, cube = torch.tensor([4.0, 0.5]), torch.tensor([5.0, 1.0])
    >>> PriorLoss()(estimate, cube, signal_mask=torch.tensor([True, False]))
    tensor([1.0000, 0.4990])
    """

    def __init__(self, sparsity=1.0, epsilon=1e-3, reduction="none"):
        super().__init__()
        if not (isinstance(sparsity, Real) and 0 < sparsity <= 1):
            raise ValueError(f"sparsity={sparsity!r}; expected 0 < sparsity <= 1.")
        if not (isinstance(epsilon, Real) and 0 < epsilon < float("inf")):
            raise ValueError(f"epsilon={epsilon!r}; expected a positive number.")
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.sparsity, self.epsilon = float(sparsity), float(epsilon)
        self.reduction = reduction

    def penalty(self, u):
        """The penalty of an estimate in units of its noise, of the shape of `u`."""
        q, epsilon = self.sparsity, self.epsilon
        return (u.square() + epsilon**2).pow(0.5 * q) - epsilon**q

    def forward(self, prediction, target, signal_mask, sigma=1.0):
        """Loss of each voxel.

        Parameters
        ----------
        prediction, target : Tensor
            Estimate and noisy data, in one unit.
        signal_mask : Tensor of bool of the shape of `target`
            True where a signal is probable.
        sigma : float or Tensor broadcastable to `target`, default=1.0
            Standard deviation of the noise, in the unit of `target`.

        Returns
        -------
        loss : Tensor of the shape of `target`
        """
        if signal_mask.dtype != torch.bool or signal_mask.shape != target.shape:
            raise ValueError(
                f"signal_mask is {signal_mask.dtype} of shape {tuple(signal_mask.shape)}; expected "
                f"torch.bool of shape {tuple(target.shape)}."
            )
        fidelity = ((prediction - target) / sigma).square()
        return torch.where(signal_mask, fidelity, self.penalty(prediction / sigma))
