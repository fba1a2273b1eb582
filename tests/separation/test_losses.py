"""The evidence of a mixture, beside torch's distributions, Monte Carlo and exact likelihoods in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.distributions import MultivariateNormal, kl_divergence

from skastro.separation.losses import EvidenceLoss, component_divergences, log_responsibilities
from skastro.separation.networks import MixturePrior, Variational

N, N_LATENT, N_COMPONENTS = 5, 3, 4


def prior(rng, n_components=N_COMPONENTS, n_latent=N_LATENT):
    whiteners = np.tril(rng.normal(size=(n_components, n_latent, n_latent)))
    diagonal = np.arange(n_latent)
    whiteners[:, diagonal, diagonal] = rng.uniform(0.5, 2.0, (n_components, n_latent))
    log_weights = np.log(rng.dirichlet(np.full(n_components, 3.0)))
    parts = log_weights, rng.normal(size=(n_components, n_latent)), whiteners
    return MixturePrior(*map(torch.from_numpy, parts))


def posterior(rng, n=N, n_latent=N_LATENT):
    mean = torch.from_numpy(rng.normal(size=(n, n_latent)))
    return mean, torch.from_numpy(rng.uniform(-2, 0.5, (n, n_latent)))


def precisions(mixture):
    return mixture.whiteners.mT @ mixture.whiteners


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return prior(rng), *posterior(rng)


def test_divergences_are_those_of_torch(case):
    mixture, mean, log_variance = case
    ours = component_divergences(mean, log_variance, mixture)
    left = MultivariateNormal(mean[:, None], torch.diag_embed(log_variance.exp())[:, None])
    right = MultivariateNormal(mixture.means, precision_matrix=precisions(mixture))
    torch.testing.assert_close(ours, kl_divergence(left, right), rtol=1e-10, atol=1e-10)


def test_evidence_bounds_the_divergence_from_the_mixture_and_is_it_for_one_component(case):
    mixture, mean, log_variance = case
    rng, n_draws = np.random.default_rng(1), 200_000
    covariances = torch.linalg.inv(precisions(mixture)).numpy()
    one = MixturePrior(torch.zeros(1).double(), mixture.means[:1], mixture.whiteners[:1])
    for i in range(N):
        scale = (0.5 * log_variance[i]).exp().numpy()
        draws = mean[i].numpy() + scale * rng.normal(size=(n_draws, N_LATENT))
        own = multivariate_normal(mean[i], scale**2).logpdf(draws)
        each = [
            w + multivariate_normal(m, c).logpdf(draws)
            for w, m, c in zip(mixture.log_weights.numpy(), mixture.means, covariances, strict=True)
        ]
        by_chance = np.mean(own - np.logaddexp.reduce(each))
        part = mean[i : i + 1], log_variance[i : i + 1]
        bound = -torch.logsumexp(mixture.log_weights - component_divergences(*part, mixture), 1)
        assert by_chance < float(bound) + 0.01
        alone = np.mean(own - (each[0] - mixture.log_weights[0].item()))
        np.testing.assert_allclose(float(component_divergences(*part, one)), alone, atol=0.02)


def test_responsibilities_are_the_probabilities_that_make_the_bound_tightest(case):
    mixture, mean, log_variance = case
    divergences = component_divergences(mean, log_variance, mixture)

    def bound(log_share):
        return (log_share.exp() * (mixture.log_weights - divergences - log_share)).sum(1)

    best = torch.logsumexp(mixture.log_weights - divergences, 1)
    found = log_responsibilities(mean, log_variance, mixture)
    torch.testing.assert_close(bound(found), best, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(N).double())
    others = np.random.default_rng(2).dirichlet(np.ones(N_COMPONENTS), 500)
    for share in torch.from_numpy(others):
        assert (bound(share.log().expand(N, -1)) <= best + 1e-12).all()


def test_evidence_is_the_likelihood_where_the_posterior_is_exact():
    """Factor analysis with one component: decoder W z + b, noise s2, W with orthogonal columns."""
    rng, n_features, noise = np.random.default_rng(0), 6, 0.3
    W = np.linalg.qr(rng.normal(size=(n_features, 2)))[0] * [2.0, 0.7]
    b, x = rng.normal(size=n_features), rng.normal(size=(4, n_features))
    exact = multivariate_normal(b, W @ W.T + noise * np.eye(n_features)).logpdf(x)
    variance = 1 / (1 + (W**2).sum(0) / noise)
    mean = (x - b) @ W / noise * variance
    one = MixturePrior(torch.zeros(1), torch.zeros(1, 2), torch.eye(2)[None])
    one = MixturePrior(*(part.double() for part in one))

    def evidence(shift, stretch):
        draws = rng.normal(size=(4, 10_000, 2))
        draws = np.concatenate([draws, -draws], axis=1)
        centre, spread = mean + shift, variance * stretch
        latent = centre[:, None] + np.sqrt(spread) * draws
        found = Variational(
            torch.from_numpy(latent @ W.T + b),
            torch.full((4, 20_000, n_features), np.log(noise)).double(),
            torch.from_numpy(centre),
            torch.from_numpy(np.log(spread)).expand(4, -1),
            one,
        )
        return -EvidenceLoss()(found, torch.from_numpy(x)).numpy()

    np.testing.assert_allclose(evidence(0.0, 1.0), exact, atol=0.05)
    assert (evidence(0.5, 1.0) < exact - 0.05).all() and (evidence(0.0, 4.0) < exact - 0.05).all()


def test_weight_of_the_divergence(case):
    mixture, mean, log_variance = case
    decoded, target = torch.zeros(N, 2, 6).double(), torch.ones(N, 6).double()
    found = Variational(decoded, torch.zeros(N, 2, 6).double(), mean, log_variance, mixture)
    whole, none = (EvidenceLoss(weight)(found, target) for weight in (1.0, 0.0))
    # six residuals of 1 with a variance of 1
    torch.testing.assert_close(none, torch.full((N,), 3 + 3 * np.log(2 * np.pi)).double())
    bound = torch.logsumexp(
        mixture.log_weights - component_divergences(mean, log_variance, mixture), 1
    )
    torch.testing.assert_close(whole - none, -bound)


def test_gradients(case):
    mixture, mean, log_variance = case
    leaves = [one.clone().requires_grad_() for one in (mean, log_variance, *mixture[1:])]

    def loss(mean, log_variance, means, whiteners):
        own = MixturePrior(mixture.log_weights, means, torch.tril(whiteners))
        return torch.logsumexp(own.log_weights - component_divergences(mean, log_variance, own), 1)

    assert torch.autograd.gradcheck(loss, leaves)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match="kl_weight="):
        EvidenceLoss(weight)


def test_reduction_is_for_the_estimator():
    with pytest.raises(ValueError, match="reduction='mean'; expected 'none'"):
        EvidenceLoss(reduction="mean")
