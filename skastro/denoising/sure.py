"""Learning to denoise from the noisy data alone: an unbiased estimate of the risk, and a prior."""

import torch
from torch import nn

from skastro.denoising.losses import PriorLoss

__all__ = ["AutoencoderLoss", "PerturbedNetwork", "SpectraNetwork", "SureLoss"]


class PerturbedNetwork(nn.Module):
    r"""A patch network that, while it trains, also answers how it follows noise.

    With `noise` the answer has two rows a tile: the estimate f(p), and the divergence
    :math:`n_c (f(p + \epsilon n) - f(p)) / \epsilon` voxel by voxel, where n is a patch of noise and
    n_c its voxels in the tile. Since n has the correlation of the noise of the cube, so has what is
    taken from the risk.

    Parameters
    ----------
    network : Module
        Called with (windows, conditions).
    patches : Patches
    epsilon : float, default=0.05
        In units of the noise.
    """

    def __init__(self, network, patches, epsilon=0.05):
        super().__init__()
        self.network = network
        self.patches = patches
        self.epsilon = epsilon

    def forward(self, windows, noise=None, conditions=None):
        if noise is None:
            return self.network(windows, conditions)
        both = torch.cat([windows, torch.add(windows, noise, alpha=self.epsilon)])
        if conditions is not None and conditions.ndim == 2:
            conditions = torch.cat([conditions, conditions])
        estimate, moved = self.network(both, conditions).chunk(2)
        divergence = self.patches.centre(noise) * (moved - estimate) / self.epsilon
        return torch.stack([estimate, divergence], dim=1)


class SureLoss(nn.Module):
    r"""Generalised SURE, and a penalty of the estimate for where there is no signal.

    The first row, :math:`(f - p)^2 + 2 n_c \partial_n f`, is in the mean the squared error against
    the truth plus a constant [1]_, for Gaussian noise of unit variance, correlated or not. The
    second is :math:`|f|^q`, smoothed at zero. The weights of the two are given voxel by voxel.

    Parameters
    ----------
    sparsity : float, default=1.0
        The exponent q, 0 < q <= 1.

    References
    ----------
    .. [1] Y. Eldar (2009), "Generalized SURE for exponential families: applications to
       regularization", IEEE Transactions on Signal Processing 57, 471; S. Ramani, T. Blu,
       M. Unser (2008), "Monte-Carlo SURE", IEEE Transactions on Image Processing 17, 1540.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.sure import SureLoss
    >>> prediction = torch.tensor([[[2.0], [0.5]]])
    >>> SureLoss()(prediction, torch.tensor([[[3.0]]])).squeeze()
    tensor([2.0000, 1.9990])
    """

    def __init__(self, sparsity=1.0):
        super().__init__()
        self.penalty = PriorLoss(sparsity).penalty

    def forward(self, prediction, target):
        """Loss (n, 2, n_voxels) of predictions of that shape and targets (n, 1 or 2, n_voxels)."""
        estimate, divergence = prediction.unbind(1)
        risk = (estimate - target[:, 0]).square() + 2.0 * divergence
        return torch.stack([risk, self.penalty(estimate)], dim=1)


class SpectraNetwork(nn.Module):
    """An autoencoder of spectra with an axis for the two terms of its loss."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, spectra):
        return self.network(spectra)[:, None]


class AutoencoderLoss(nn.Module):
    """The two terms of `PriorLoss` side by side, (n, 2, n_channels); weights choose between them."""

    def __init__(self, sparsity=1.0):
        super().__init__()
        self.penalty = PriorLoss(sparsity).penalty

    def forward(self, prediction, target):
        fidelity = (prediction - target).square()
        return torch.cat([fidelity, self.penalty(prediction)], dim=1)
