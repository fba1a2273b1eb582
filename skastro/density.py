"""Conditional densities: a network from features to a mixture of Gaussians over several outputs.

A plain network and its loss. Any estimator with a `NetEstimator` behind it can have the head.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["GaussianMixtures", "MixtureDensityLoss", "MixtureDensityNetwork"]

# of the logarithm of a precision, in standardised units: beyond it is a collapse, not a density
LARGEST_LOG = 8.0
# length of the vectors from the mean of a mixture to its parts at the start, in standard deviations
APART = 0.6
# of the regression that a network starts from, beside features of variance 1
RIDGE = 1e-3


class GaussianMixtures(NamedTuple):
    r"""A mixture of Gaussians with full covariance for each row.

    .. math:: p(y) = \sum_k w_k\, \mathcal N\!\left(y;\, \mu_k,\, (L_k L_k^T)^{-1}\right)

    Attributes
    ----------
    logits : Tensor of shape (n, n_mixtures)
        Logarithms of the weights :math:`w_k`, but for a constant.
    means : Tensor of shape (n, n_mixtures, n_outputs)
    precision_cholesky : Tensor of shape (n, n_mixtures, n_outputs, n_outputs)
        :math:`L_k`: lower triangles with a positive diagonal.

    Examples
    --------
    >>> import torch
    >>> from skastro.density import GaussianMixtures
    >>> mixture = GaussianMixtures(torch.zeros(1, 2), torch.zeros(1, 2, 3), torch.eye(3).expand(1, 2, 3, 3))
    >>> round(float(mixture.log_prob(torch.zeros(1, 3))), 4)
    -2.7568
    >>> mixture.sample(5, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 1, 3])
    """

    logits: torch.Tensor
    means: torch.Tensor
    precision_cholesky: torch.Tensor

    def log_prob(self, y):
        """Logarithm of the density.

        Parameters
        ----------
        y : Tensor of shape (..., n, n_outputs)
            A value for each row; leading axes are more values of the same rows.

        Returns
        -------
        log_prob : Tensor of shape (..., n)
        """
        difference = y.unsqueeze(-2) - self.means
        # L^T (y - mu), without a transposed copy
        scaled = (difference.unsqueeze(-2) @ self.precision_cholesky).squeeze(-2)
        diagonal = self.precision_cholesky.diagonal(dim1=-2, dim2=-1)
        log = diagonal.log().sum(-1) - 0.5 * scaled.square().sum(-1)
        log = log - 0.5 * y.shape[-1] * math.log(2 * math.pi)
        return torch.logsumexp(log + self.logits.log_softmax(-1), -1)

    def sample(self, n_samples, generator=None):
        """Draw from each row's mixture.

        Parameters
        ----------
        n_samples : int
        generator : torch.Generator, optional
            Of the CPU.

        Returns
        -------
        y : Tensor of shape (n_samples, n, n_outputs)
        """
        n, _, n_outputs = self.means.shape
        weights = self.logits.softmax(-1)
        device = "cpu" if generator is None else generator.device
        which = torch.multinomial(
            weights.to(device), n_samples, replacement=True, generator=generator
        )
        which = which.T.to(weights.device)
        rows = torch.arange(n, device=weights.device)
        white = torch.randn(
            n_samples, n, n_outputs, 1, generator=generator, dtype=weights.dtype, device=device
        ).to(weights.device)
        factor = self.precision_cholesky[rows, which].mT
        spread = torch.linalg.solve_triangular(factor, white, upper=True).squeeze(-1)
        return self.means[rows, which] + spread

    def covariances(self):
        """Covariance of each part.

        Returns
        -------
        covariances : Tensor of shape (n, n_mixtures, n_outputs, n_outputs)
        """
        factor = self.precision_cholesky
        eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        inverse = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        return inverse.mT @ inverse

    def moments(self):
        """Mean and covariance of each row.

        Returns
        -------
        mean : Tensor of shape (n, n_outputs)
        covariance : Tensor of shape (n, n_outputs, n_outputs)
        """
        weights = self.logits.softmax(-1)[..., None]
        mean = (weights * self.means).sum(1)
        apart = self.means - mean[:, None]
        covariances = self.covariances() + apart[..., :, None] * apart[..., None, :]
        return mean, (weights[..., None] * covariances).sum(1)


class MixtureDensityNetwork(nn.Module):
    r"""Mixture density network: a conditional mixture of Gaussians with full covariances [1]_.

    .. math:: p(y | x) = \sum_k w_k(x)\, \mathcal N\!\left(y;\, A x + b + \mu_k(x),\, \Sigma_k(x)\right)

    It can begin at the linear regression of the outputs, `start_at_regression`: then it has to learn only
    what is not linear or not Gaussian, and few rows will do.

    Parameters
    ----------
    n_features, n_outputs : int
    n_mixtures : int, default=3
    hidden : tuple of int, default=(64, 64)
        Widths of the layers. Empty: parameters linear in the features.
    covariance : {"full", "diagonal"}, default="full"
        Of each part of the mixture.

    References
    ----------
    .. [1] Bishop, "Mixture density networks", Aston University NCRG/94/004 (1994).

    Examples
    --------
    >>> import torch
    >>> from skastro.density import MixtureDensityNetwork
    >>> network = MixtureDensityNetwork(n_features=4, n_outputs=2)
    >>> mixture = network(torch.zeros(7, 4))
    >>> mixture.log_prob(torch.zeros(7, 2)).shape
    torch.Size([7])
    """

    def __init__(
        self, n_features, n_outputs, n_mixtures=3, hidden=(64, 64), covariance="full"
    ):  # fmt: skip
        super().__init__()
        for name, value in (
            ("n_features", n_features), ("n_outputs", n_outputs), ("n_mixtures", n_mixtures),
        ):  # fmt: skip
            if value < 1:
                raise ValueError(f"{name}={value!r}; expected at least 1.")
        if covariance not in ("full", "diagonal"):
            raise ValueError(f"covariance={covariance!r}; expected 'full' or 'diagonal'.")
        self.n_outputs, self.n_mixtures, self.covariance = n_outputs, n_mixtures, covariance
        layers, width = [], n_features
        for size in hidden:
            layers += [nn.Linear(width, size), nn.SiLU()]
            width = size
        self.body = nn.Sequential(*layers)
        below = n_outputs * (n_outputs - 1) // 2 if covariance == "full" else 0
        self.sizes = [n_mixtures, *(n_mixtures * n for n in (n_outputs, n_outputs, below))]
        self.head = nn.Linear(width, sum(self.sizes))
        # of mean 0 and variance 1 in all; parts that lie on each other would hardly come apart
        with torch.no_grad():
            self.head.weight *= 0.01
            self.head.bias.zero_()
            if n_mixtures > 1:
                _, means, logs, _ = self.head.bias.split(self.sizes)
                apart = torch.randn(n_mixtures, n_outputs)
                apart -= apart.mean(0)
                apart *= APART / apart.square().sum(1).mean().sqrt()
                means.copy_(apart.flatten())
                logs.fill_(-0.5 * math.log(1 - APART**2 / n_outputs))
        self.register_buffer("triangle", torch.tril_indices(n_outputs, n_outputs, -1))
        for name, value in (
            ("center", torch.zeros(n_features)),
            ("scale", torch.ones(n_features)),
            ("slope", torch.zeros(n_outputs, n_features)),
            ("offset", torch.zeros(n_outputs)),
            ("spread", torch.eye(n_outputs)),
            ("whitening", torch.eye(n_outputs)),
        ):
            self.register_buffer(name, value)

    def forward(self, x):
        """Mixtures of rows of features (n, n_features)."""
        x = (x - self.center) / self.scale
        n, k, d = len(x), self.n_mixtures, self.n_outputs
        logits, means, logs, below = self.head(self.body(x)).split(self.sizes, dim=-1)
        logs = LARGEST_LOG * torch.tanh(logs / LARGEST_LOG)
        lower = torch.diag_embed(logs.reshape(n, k, d).exp())
        if self.covariance == "full":
            lower[..., self.triangle[0], self.triangle[1]] = below.reshape(n, k, -1)
        # both are in units of what the regression leaves
        line = x @ self.slope.T + self.offset
        means = line[:, None] + means.reshape(n, k, d) @ self.spread.T
        return GaussianMixtures(logits, means, self.whitening.T @ lower)

    @torch.no_grad()
    def start_at_regression(self, x, y):
        """Begin at the linear regression of the outputs, with the covariance of its residuals.

        Each row's residual is that of a regression without it, so that few rows don't promise too much.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
        y : Tensor of shape (n, n_outputs)
        """
        if len(x) < 2:
            raise ValueError(f"x has {len(x)} row; expected at least 2 to regress on.")
        x, y = x.double(), y.double()
        center, scale = x.mean(0), x.std(0)
        scale = torch.where(scale > 0, scale, 1.0)
        x, middle = (x - center) / scale, y.mean(0)
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        inverse = torch.linalg.inv(x.T @ x + RIDGE * len(x) * eye)
        slope = inverse @ x.T @ (y - middle)
        own = ((x @ inverse) * x).sum(1) + 1 / len(x)
        residual = (y - middle - x @ slope) / (1 - own).clamp_min(0.1)[:, None]
        self._start(
            middle, residual.T @ residual / len(x), center=center, scale=scale, slope=slope.T
        )

    @torch.no_grad()
    def start_at_marginal(self, y):
        """Begin at the mean and the covariance of the outputs, whatever the features.

        Parameters
        ----------
        y : Tensor of shape (n, n_outputs)
        """
        y = y.double()
        middle = y.mean(0)
        self._start(middle, (y - middle).T @ (y - middle) / len(y))

    def _start(self, offset, covariance, **others):
        if self.covariance == "diagonal":
            covariance = torch.diag(covariance.diagonal())
        # constant outputs, or as few rows as outputs
        least = 1e-6 * covariance.diagonal().mean().clamp_min(1e-12)
        eye = torch.eye(self.n_outputs, dtype=covariance.dtype, device=covariance.device)
        lower = torch.linalg.cholesky(torch.linalg.inv(covariance + least * eye))
        spread = torch.linalg.inv(lower.T)
        for name, value in (others | dict(offset=offset, whitening=lower.T, spread=spread)).items():
            buffer = getattr(self, name)
            buffer.copy_(value.to(buffer.dtype))


class MixtureDensityLoss(nn.Module):
    """Minus the logarithm of a mixture's density at the target, one number a row.

    Parameters
    ----------
    reduction : {"none"}
        The mean is taken by the estimator.

    Examples
    --------
    >>> import torch
    >>> from skastro.density import MixtureDensityLoss, MixtureDensityNetwork
    >>> network = MixtureDensityNetwork(n_features=4, n_outputs=2)
    >>> MixtureDensityLoss()(network(torch.zeros(7, 4)), torch.zeros(7, 2)).shape
    torch.Size([7])
    """

    def __init__(self, reduction="none"):
        super().__init__()
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.reduction = reduction

    def forward(self, mixture, target):
        """Loss of each row.

        Parameters
        ----------
        mixture : GaussianMixtures
            What a `MixtureDensityNetwork` gives for n rows.
        target : Tensor of shape (n, n_outputs)

        Returns
        -------
        loss : Tensor of shape (n,)
        """
        return -mixture.log_prob(target)
