"""The loss of a variational auto-encoder with a Gaussian-mixture prior: minus the evidence lower bound."""

import math

import torch
from torch import nn

__all__ = ["EvidenceLoss", "component_divergences", "log_responsibilities"]


def component_divergences(mean, log_variance, prior):
    r"""Kullback-Leibler divergence of Gaussian posteriors from each component of a mixture.

    .. math::
        D_{ic} = \mathrm{KL}(\mathcal N(m_i, \mathrm{diag}\, v_i) \,\|\, \mathcal N(\mu_c, (A_c^T A_c)^{-1}))

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, n_latent)
        Of the posteriors.
    prior : MixturePrior

    Returns
    -------
    divergences : Tensor of shape (n, n_components)
        In nats.

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.losses import component_divergences
    >>> from skastro.separation.networks import MixturePrior
    >>> prior = MixturePrior(torch.zeros(1), torch.zeros(1, 2), torch.eye(2)[None])
    >>> component_divergences(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2), prior)
    tensor([[12.5000]])
    """
    off = torch.einsum("cij,ncj->nci", prior.whiteners, mean[:, None] - prior.means)
    spread = log_variance.exp() @ prior.whiteners.square().sum(1).T
    log_volume = prior.whiteners.diagonal(dim1=1, dim2=2).log().sum(1)
    n_latent = mean.shape[1]
    rest = log_variance.sum(1, keepdim=True) + n_latent
    return 0.5 * (off.square().sum(2) + spread - rest) - log_volume


def log_responsibilities(mean, log_variance, prior):
    r"""Logarithm of the probability of each component, :math:`\propto w_c \exp(-D_{ic})`.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, n_latent)
        Of the posteriors.
    prior : MixturePrior

    Returns
    -------
    log_probabilities : Tensor of shape (n, n_components)

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.losses import log_responsibilities
    >>> from skastro.separation.networks import MixturePrior
    >>> weights, means = torch.tensor([0.5, 0.5]).log(), torch.tensor([[-1.0], [1.0]])
    >>> prior = MixturePrior(weights, means, torch.ones(2, 1, 1))
    >>> log_responsibilities(torch.zeros(1, 1), torch.zeros(1, 1), prior).exp()
    tensor([[0.5000, 0.5000]])
    """
    return (prior.log_weights - component_divergences(mean, log_variance, prior)).log_softmax(1)


class EvidenceLoss(nn.Module):
    r"""Minus the evidence lower bound of each sample, in nats [1]_, [2]_.

    .. math::
        \ell(x) = -\langle \log p(x|z) \rangle_{q(z|x)} - \beta \log \sum_c w_c e^{-D_c(x)}

    with the divergences :math:`D_c` of `component_divergences`. The second term is the smallest, over
    probabilities of the components, of the bound of the divergence from a mixture; they are those of
    `log_responsibilities`.

    Parameters
    ----------
    kl_weight : float, default=1.0
        The weight :math:`\beta`. Below 1 it is no bound; training begins so.
    reduction : {"none"}
        The mean is taken by the estimator.

    References
    ----------
    .. [1] Jiang, Zheng, Tan, Tang & Zhou, "Variational deep embedding: an unsupervised and generative
       approach to clustering", IJCAI (2017).
    .. [2] Hershey & Olsen, "Approximating the Kullback Leibler divergence between Gaussian mixture models",
       ICASSP (2007).

    Examples
    --------
    >>> import torch
    >>> from skastro.separation import MixtureAutoencoder
    >>> from skastro.separation.losses import EvidenceLoss
    >>> network = MixtureAutoencoder()(n_features=4, n_latent=2, n_components=3)
    >>> x = torch.zeros(5, 4)
    >>> EvidenceLoss()(network(x), x).shape
    torch.Size([5])
    """

    def __init__(self, kl_weight=1.0, reduction="none"):
        super().__init__()
        if not 0 <= kl_weight < math.inf:
            raise ValueError(f"kl_weight={kl_weight!r}; expected a number of at least 0.")
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.kl_weight = float(kl_weight)
        self.reduction = reduction

    def forward(self, found, target):
        """Loss of each sample.

        Parameters
        ----------
        found : Variational
            What the network gave for the samples.
        target : Tensor of shape (n, n_features)
            The samples.

        Returns
        -------
        loss : Tensor of shape (n,)
        """
        square = (found.decoded - target[:, None]).square() / found.log_noise.exp()
        likelihood = -0.5 * (square + found.log_noise + math.log(2 * math.pi)).sum(2).mean(1)
        divergences = component_divergences(found.mean, found.log_variance, found.prior)
        evidence = torch.logsumexp(found.prior.log_weights - divergences, dim=1)
        return -likelihood - self.kl_weight * evidence
