import numpy as np
import pytest
import torch
from torch import distributions

from skastro.base import NetEstimator
from skastro.density import GaussianMixtures, MixtureDensityLoss, MixtureDensityNetwork


def mixtures(n=4, k=3, d=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    lower = torch.randn(n, k, d, d, generator=g, dtype=torch.float64).tril(-1)
    lower += torch.diag_embed(torch.rand(n, k, d, generator=g, dtype=torch.float64) + 0.5)
    logits = torch.randn(n, k, generator=g, dtype=torch.float64)
    means = 2 * torch.randn(n, k, d, generator=g, dtype=torch.float64)
    return GaussianMixtures(logits, means, lower)


def theirs(mixture):
    lower = mixture.precision_cholesky
    return distributions.MixtureSameFamily(
        distributions.Categorical(logits=mixture.logits),
        distributions.MultivariateNormal(mixture.means, precision_matrix=lower @ lower.mT),
    )


class Density(NetEstimator):
    """The head alone behind the base class."""

    def __init__(self, n_mixtures=1, hidden=(32,), regression=True, max_epochs=100, lr=3e-3):
        self.n_mixtures, self.hidden, self.regression = n_mixtures, hidden, regression
        self.lr, self.max_epochs = lr, max_epochs
        self.batch_size, self.batch_growth, self.schedule = 256, 1.0, "one_cycle"
        self.validation_fraction, self.patience, self.verbose = 0.2, None, 0
        self.dtype, self.device, self.callbacks = "float32", "cpu", None

    def _make_module(self):
        return MixtureDensityNetwork(*self.shape_, n_mixtures=self.n_mixtures, hidden=self.hidden)

    def _make_criterion(self):
        return MixtureDensityLoss()

    def fit(self, X, y):
        X, y = (torch.tensor(a, dtype=torch.float32) for a in (X, y))
        self.shape_ = X.shape[1], y.shape[1]
        start = (lambda module: module.start_at_regression(X, y)) if self.regression else None
        self._train(X, y, rows=self._split_rows(len(X), 0), seed=0, start=start)
        return self

    def at(self, X):
        with torch.inference_mode():
            return self.net_.module_(torch.tensor(X, dtype=torch.float32))


def test_log_prob_is_that_of_torch():
    mixture = mixtures()
    y = torch.randn(6, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = theirs(mixture).log_prob(y)
    assert torch.allclose(mixture.log_prob(y), expected, rtol=0, atol=1e-10)
    assert torch.allclose(MixtureDensityLoss()(mixture, y[0]), -expected[0], rtol=0, atol=1e-10)


def test_moments_are_those_of_torch():
    mixture = mixtures()
    mean, covariance = mixture.moments()
    assert torch.allclose(mean, theirs(mixture).mean, atol=1e-10)
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(variance, theirs(mixture).variance, atol=1e-9)


def test_samples_have_the_moments():
    mixture = mixtures(n=2, d=3)
    n = 40_000
    drawn = mixture.sample(n, torch.Generator().manual_seed(0))
    assert drawn.shape == (n, 2, 3)
    mean, covariance = mixture.moments()
    for row in range(2):
        std = covariance[row].diagonal().sqrt()
        assert ((drawn[:, row].mean(0) - mean[row]).abs() < 5 * std / n**0.5).all()
        scatter = torch.cov(drawn[:, row].T)
        limit = torch.outer(std, std) * 0.05
        assert ((scatter - covariance[row]).abs() < limit).all()
    again = mixture.sample(n, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def linear_gaussian(n, seed):
    """y ~ N(0, P), x = A y + noise: rows, and the posterior in closed form."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    P, A, N = root @ root.T + np.eye(3), rng.normal(size=(4, 3)), np.diag([0.5, 1.0, 2.0, 0.3])
    gain = P @ A.T @ np.linalg.inv(A @ P @ A.T + N)
    covariance = P - gain @ A @ P
    rng = np.random.default_rng(seed)
    y = rng.multivariate_normal(np.zeros(3), P, size=n)
    x = y @ A.T + rng.normal(size=(n, 4)) * np.sqrt(np.diag(N))
    return x, y, gain, covariance


@pytest.mark.parametrize(
    ("options", "n", "near"),
    [
        # from the regression; and all learnt by the network
        ({"max_epochs": 20}, 2000, 0.15),
        ({"n_mixtures": 2, "max_epochs": 20}, 2000, 0.15),
        ({"regression": False, "max_epochs": 60, "lr": 1e-2}, 4000, 0.25),
    ],
)
def test_posterior_of_a_linear_gaussian_model(options, n, near):
    x, y, gain, covariance = linear_gaussian(n, 1)
    model = Density(**options).fit(x, y)
    fresh, _, _, _ = linear_gaussian(200, 2)
    mean, found = (one.numpy() for one in model.at(fresh).moments())
    std = np.sqrt(np.diag(covariance))
    # in standard deviations of the posterior: the mean; its covariance
    assert np.sqrt(np.mean(((mean - fresh @ gain.T) / std) ** 2)) < near
    error = (found - covariance) / np.outer(std, std)
    assert np.abs(error.mean(0)).max() < near


def test_regression_is_exact_before_training():
    x, y, _, _ = linear_gaussian(500, 1)
    network = MixtureDensityNetwork(4, 3, n_mixtures=1, hidden=()).double()
    network.start_at_regression(torch.tensor(x), torch.tensor(y))
    with torch.no_grad():
        network.head.weight.zero_()
        mean, covariance = (one.numpy() for one in network(torch.tensor(x)).moments())
    design = np.column_stack([np.ones(500), x])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(mean, design @ solution, atol=0.02)
    left = np.stack(
        [
            y[i] - design[i] @ np.linalg.lstsq(np.delete(design, i, 0), np.delete(y, i, 0), None)[0]
            for i in range(500)
        ]
    )
    np.testing.assert_allclose(covariance[0], left.T @ left / 500, rtol=0.02, atol=2e-3)


def test_two_modes():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, size=(4000, 1))
    y = rng.choice([-1.0, 1.0], size=(4000, 1)) * x + 0.1 * rng.normal(size=(4000, 1))
    mixture = Density(n_mixtures=2, lr=1e-2, max_epochs=80).fit(x, y).at([[1.5]])
    drawn = mixture.sample(4000, torch.Generator().manual_seed(0)).flatten().numpy()
    assert np.abs(np.abs(drawn) - 1.5).std() < 0.13
    assert 0.4 < (drawn > 0).mean() < 0.6
    log = mixture.log_prob(torch.tensor([[[1.5]], [[0.0]]]))
    # N(0; 0.1) / 2 at a mode
    assert log[0].item() == pytest.approx(np.log(0.5 / 0.1 / np.sqrt(2 * np.pi)), abs=0.25)
    assert log[1].item() < -8


def test_constant_outputs_and_few_rows_stay_finite():
    x, y, _, _ = linear_gaussian(4, 1)
    y[:, 1] = 2.0
    network = MixtureDensityNetwork(4, 3)
    network.start_at_regression(torch.tensor(x).float(), torch.tensor(y).float())
    mixture = network(torch.tensor(x).float())
    assert all(torch.isfinite(part).all() for part in mixture)
    assert torch.isfinite(mixture.log_prob(torch.tensor(y).float())).all()
    with pytest.raises(ValueError, match="x has 1 row; expected at least 2"):
        network.start_at_regression(torch.zeros(1, 4), torch.zeros(1, 3))


def test_bad_arguments():
    with pytest.raises(ValueError, match="n_mixtures=0; expected at least 1"):
        MixtureDensityNetwork(4, 3, n_mixtures=0)
    with pytest.raises(ValueError, match="reduction='mean'; expected 'none'"):
        MixtureDensityLoss(reduction="mean")


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_start_at_the_marginal(covariance):
    _, y, _, _ = linear_gaussian(500, 1)
    network = MixtureDensityNetwork(4, 3, n_mixtures=2, hidden=(), covariance=covariance)
    network.start_at_marginal(torch.tensor(y))
    with torch.inference_mode():
        network.head.weight.zero_()
        mean, found = (one[0].numpy() for one in network(torch.randn(1, 4)).moments())
    std = y.std(0)
    np.testing.assert_allclose(mean / std, y.mean(0) / std, atol=1e-5)
    np.testing.assert_allclose(np.sqrt(found.diagonal()), std, rtol=0.2)


def test_diagonal_covariances():
    network = MixtureDensityNetwork(4, 3, n_mixtures=2, covariance="diagonal")
    lower = network(torch.randn(5, 4)).precision_cholesky
    assert torch.equal(lower, torch.diag_embed(lower.diagonal(dim1=-2, dim2=-1)))
    with pytest.raises(ValueError, match="covariance='banded'; expected 'full' or 'diagonal'"):
        MixtureDensityNetwork(4, 3, covariance="banded")
