"""A variational auto-encoder with a Gaussian mixture as its prior: plain modules, usable without skastro."""

from typing import NamedTuple

import torch
from sklearn.base import BaseEstimator
from torch import nn

__all__ = ["MixtureAutoencoder", "MixtureAutoencoderModule", "MixturePrior", "Variational"]

# Draws of the latent vector that stand for its posterior when the loss is measured, not descended.
N_DRAWS = 16
# Variances where the network starts: of the posterior, and of what the decoder leaves of a unit variance.
FIRST_POSTERIOR, FIRST_NOISE = 0.1, 0.3
# No feature is told better than to that variance, in units of its own.
LEAST_NOISE = 1e-3


class MixturePrior(NamedTuple):
    """A mixture of Gaussians in the latent space.

    Attributes
    ----------
    log_weights : Tensor of shape (n_components,)
        Logarithms of the weights, which sum to 1.
    means : Tensor of shape (n_components, n_latent)
    whiteners : Tensor of shape (n_components, n_latent, n_latent)
        Lower triangular A with a positive diagonal; the precision of a component is A^T A.
    """

    log_weights: torch.Tensor
    means: torch.Tensor
    whiteners: torch.Tensor


class Variational(NamedTuple):
    """What the network gives for a batch: all that its loss needs besides the batch.

    Attributes
    ----------
    decoded : Tensor of shape (n, n_draws, n_features)
        Means of the features at draws of the latent vector.
    log_noise : Tensor of shape (n, n_draws, n_features)
        Logarithm of their variance about these means.
    mean, log_variance : Tensor of shape (n, n_latent)
        Of the latent posterior, a Gaussian with independent components.
    prior : MixturePrior
    """

    decoded: torch.Tensor
    log_noise: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor
    prior: MixturePrior


class MixtureAutoencoder(BaseEstimator):
    """Recipe of a variational auto-encoder with a Gaussian-mixture prior.

    Encoder and decoder are each a linear map plus a small network that starts at zero: before training it is
    a principal component analysis.

    Parameters
    ----------
    hidden : tuple of int, default=(32,)
        Widths of the hidden layers.

    Examples
    --------
    >>> import torch
    >>> from skastro.separation import MixtureAutoencoder
    >>> network = MixtureAutoencoder()(n_features=8, n_latent=3, n_components=2)
    >>> found = network(torch.zeros(5, 8))
    >>> found.mean.shape, found.prior.means.shape
    (torch.Size([5, 3]), torch.Size([2, 3]))
    """

    def __init__(self, hidden=(32,)):
        self.hidden = hidden

    def __call__(self, n_features, n_latent, n_components):
        """Build the network."""
        return MixtureAutoencoderModule(n_features, n_latent, n_components, self.hidden)


class MixtureAutoencoderModule(nn.Module):
    """The module that `MixtureAutoencoder` builds.

    Posterior and features are Gaussians with independent components; the variances of the features depend
    on the latent vector, as some kinds of maps scatter less than others.

    Parameters
    ----------
    n_features : int
        Of unit variance, in the order of their importance.
    n_latent : int
        At most `n_features`.
    n_components : int
    hidden : tuple of int
    """

    def __init__(self, n_features, n_latent, n_components, hidden=(32,)):
        super().__init__()
        self.n_latent = n_latent
        self.encoder = _Skipped(n_features, 2 * n_latent, hidden)
        self.decoder = _Skipped(n_latent, 2 * n_features, hidden)
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.zeros(n_components, n_latent))
        self.log_scales = nn.Parameter(torch.zeros(n_components, n_latent))
        self.shears = nn.Parameter(torch.zeros(n_components, n_latent, n_latent))
        with torch.no_grad():
            identity = torch.eye(n_latent, n_features)
            self.encoder.linear.weight[:n_latent] = identity
            self.encoder.linear.bias[n_latent:] = torch.tensor(FIRST_POSTERIOR).log()
            self.decoder.linear.weight[:n_features] = identity.T
            noise = self.decoder.linear.bias[n_features:]
            noise[:n_latent] = torch.tensor(FIRST_NOISE).log()

    @property
    def prior(self):
        """The `MixturePrior` in force."""
        whiteners = torch.tril(self.shears, -1) + torch.diag_embed(self.log_scales.exp())
        return MixturePrior(self.logits.log_softmax(0), self.means, whiteners)

    @torch.no_grad()
    def set_prior(self, prior):
        """Put a `MixturePrior` in the place of the present one."""
        self.logits.copy_(prior.log_weights)
        self.means.copy_(prior.means)
        self.log_scales.copy_(prior.whiteners.diagonal(dim1=1, dim2=2).log())
        self.shears.copy_(torch.tril(prior.whiteners, -1))

    def encode(self, x):
        """Mean and logarithm of the variance of the posterior, (n, n_latent) each."""
        mean, log_variance = self.encoder(x).split(self.n_latent, dim=1)
        return mean, log_variance.clamp(-12.0, 6.0)

    def forward(self, x):
        mean, log_variance = self.encode(x)
        if self.training:
            noise = torch.randn_like(mean)[:, None]
        else:
            # the same draws in every call: what is measured does not depend on when
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(N_DRAWS // 2, self.n_latent, generator=generator)
            noise = torch.cat([noise, -noise]).to(mean).expand(len(mean), -1, -1)
        latent = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        decoded, log_noise = self.decoder(latent).chunk(2, dim=-1)
        log_noise = (LEAST_NOISE + log_noise.clamp(-12, 6).exp()).log()
        return Variational(decoded, log_noise, mean, log_variance, self.prior)


class _Skipped(nn.Module):
    """A linear map plus a network of the same sizes, which starts at zero."""

    def __init__(self, n_inputs, n_outputs, hidden):
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)
        sizes = [n_inputs, *hidden]
        layers = []
        for a, b in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(a, b), nn.SiLU()]
        last = nn.Linear(sizes[-1], n_outputs)
        for one in (last.weight, last.bias, self.linear.weight, self.linear.bias):
            nn.init.zeros_(one)
        self.bent = nn.Sequential(*layers, last)

    def forward(self, x):
        return self.linear(x) + self.bent(x)
