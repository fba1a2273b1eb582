import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from sklearn.metrics import mean_pinball_loss

from skastro.density import GaussianMixtures
from skastro.regression.losses import (
    BoundedDensityLoss,
    HistogramCRPSLoss,
    HistogramLogLoss,
    Histograms,
    PinballLoss,
    from_unit,
    to_unit,
)

EXTREME = [-0.02, 0.0, 1e-7, 0.5, 1.0 - 1e-7, 1.0, 1.03]


def histograms(n=7, t=2, bins=9, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    widths = torch.rand(t, bins, generator=g, dtype=dtype) + 0.2
    edges = torch.nn.functional.pad((widths / widths.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
    logits = 2 * torch.randn(n, t, bins, generator=g, dtype=dtype)
    return Histograms(logits, edges.expand(n, -1, -1))


def targets(n=7, t=2, seed=1):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, t, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("weighting", [None, "crps"])
def test_pinball_is_that_of_scikit_learn(weighting):
    levels = [0.005, 0.1, 0.5, 0.9, 0.995]
    rng = np.random.default_rng(0)
    quantiles, y = np.sort(rng.uniform(size=(50, 2, 5)), axis=-1), rng.uniform(size=(50, 2))
    loss = PinballLoss(levels, weighting).double()
    found = loss(torch.tensor(quantiles), torch.tensor(y)).mean(0)
    each = np.array(
        [
            [mean_pinball_loss(y[:, j], quantiles[:, j, i], alpha=a) for i, a in enumerate(levels)]
            for j in range(2)
        ]
    )
    weights = np.full(5, 0.2) if weighting is None else [0.1, 0.495, 0.8, 0.495, 0.1]
    np.testing.assert_allclose(found, each @ weights, rtol=1e-6)


def test_weighted_pinball_is_the_crps():
    levels = (np.arange(400) + 0.5) / 400
    normal = stats.norm(0.4, 0.1)
    quantiles = torch.tensor(normal.ppf(levels)).expand(1, 1, -1)
    y = 0.47
    exact = quad(lambda u: (normal.cdf(u) - (u >= y)) ** 2, -0.5, 1.5, points=[y], epsabs=1e-10)[0]
    found = PinballLoss(levels, "crps")(quantiles, torch.full((1, 1), y, dtype=torch.float64))
    assert found.item() == pytest.approx(exact, rel=2e-3)


def test_histogram_log_loss_is_the_log_density():
    h, y = histograms(), targets()
    found = HistogramLogLoss()(h, y).numpy()
    mass, edges = h.logits.softmax(-1).numpy(), h.edges.numpy()
    for i, j in np.ndindex(*y.shape):
        theirs = stats.rv_histogram((mass[i, j], edges[i, j]), density=False)
        assert found[i, j] == pytest.approx(-np.log(theirs.pdf(y[i, j].item())), abs=1e-10)


def test_smoothed_log_loss_is_a_mean_of_the_log_density():
    h, y = histograms(n=1, t=1), torch.full((1, 1), 0.43, dtype=torch.float64)
    edges, mass = h.edges[0, 0].numpy(), h.logits.softmax(-1)[0, 0].numpy()
    width = np.diff(edges)[np.searchsorted(edges, 0.43) - 1]
    spread = stats.truncnorm(-0.43 / (0.5 * width), 0.57 / (0.5 * width), 0.43, 0.5 * width)
    exact = -(np.diff(spread.cdf(edges)) * np.log(mass / np.diff(edges))).sum()
    assert HistogramLogLoss(0.5)(h, y).item() == pytest.approx(exact, abs=1e-9)


def test_histogram_crps_by_quadrature():
    h, y = histograms(n=4), targets(n=4)
    y[0, 0], y[1, 1] = -0.07, 1.2
    found = HistogramCRPSLoss()(h, y)
    mass, edges = h.logits.softmax(-1).numpy(), h.edges.numpy()
    for i, j in np.ndindex(*y.shape):
        cdf, one = np.append(0, mass[i, j].cumsum()), y[i, j].item()

        def integrand(u, cdf=cdf, e=edges[i, j], one=one):
            return (np.interp(u, e, cdf) - (u >= one)) ** 2

        ends = np.unique(np.concatenate([edges[i, j], [one]]))
        exact = sum(quad(integrand, a, b)[0] for a, b in zip(ends, ends[1:], strict=False))
        assert found[i, j].item() == pytest.approx(exact, abs=1e-9)


def test_histogram_losses_have_their_least_at_the_truth():
    g = torch.Generator().manual_seed(0)
    n = 200_000
    truth = torch.tensor([0.1, 0.2, 0.4, 0.3])
    which = torch.multinomial(truth, n, replacement=True, generator=g)
    y = ((which + torch.rand(n, generator=g)) / 4)[:, None]
    edges = torch.linspace(0, 1, 5)
    for loss in (HistogramLogLoss(), HistogramCRPSLoss()):
        logits = truth.log().clone().requires_grad_()
        h = Histograms(logits.expand(n, 1, 4), edges.expand(n, 1, 5))
        loss(h, y).mean().backward()
        assert logits.grad.abs().max() < 3e-3


def test_bounded_density_integrates_to_what_is_inside():
    g = torch.Generator().manual_seed(0)
    margin, n = 1e-3, 3
    lower = torch.rand(n, 2, 1, 1, generator=g, dtype=torch.float64) + 0.5
    means = torch.randn(n, 2, 1, generator=g, dtype=torch.float64)
    logits = torch.randn(n, 2, generator=g, dtype=torch.float64)
    mixture = GaussianMixtures(logits, means, lower)
    ends = stats.norm.ppf([margin, 1 - margin])
    for i in range(n):
        one = GaussianMixtures(logits[i : i + 1], means[i : i + 1], lower[i : i + 1])

        def density(u, one=one):
            y = torch.full((1, 1), u, dtype=torch.float64)
            return BoundedDensityLoss(margin)(one, y).neg().exp().item()

        scale = 1 / lower[i, :, 0, 0].numpy()
        cdf = stats.norm.cdf(ends[:, None], means[i, :, 0].numpy(), scale)
        inside = ((cdf[1] - cdf[0]) * mixture.logits[i].softmax(-1).numpy()).sum()
        assert quad(density, 0, 1, epsabs=1e-9, limit=200)[0] == pytest.approx(inside, abs=1e-6)


def test_joint_density_of_a_bounded_gaussian():
    mean, covariance = np.array([0.3, -0.5]), np.array([[0.5, 0.2], [0.2, 0.4]])
    lower = torch.tensor(np.linalg.cholesky(np.linalg.inv(covariance)))[None, None]
    mixture = GaussianMixtures(torch.zeros(1, 1).double(), torch.tensor(mean)[None, None], lower)
    y, margin = np.array([0.2, 0.9]), 0.01
    z = stats.norm.ppf(margin + (1 - 2 * margin) * y)
    exact = stats.multivariate_normal(mean, covariance).logpdf(z)
    exact += (np.log(1 - 2 * margin) - stats.norm.logpdf(z)).sum()
    found = BoundedDensityLoss(margin)(mixture, torch.tensor(y)[None])
    assert found.item() == pytest.approx(-exact, abs=1e-10)


def test_unit_interval_and_line():
    y = torch.linspace(0, 1, 101, dtype=torch.float64)
    assert torch.allclose(to_unit(from_unit(y, 1e-3), 1e-3), y, atol=1e-12)
    ends = from_unit(torch.tensor([-5.0, 0.0, 1.0, 5.0]), 1e-3)
    assert torch.isfinite(ends).all() and ends[0] == ends[1] and ends[2] == ends[3]


@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 1e4])
def test_gradients_at_extreme_logits_and_targets_are_finite(size):
    y = torch.tensor(EXTREME)[:, None].expand(-1, 2)
    h = histograms(dtype=torch.float32)
    for loss in (HistogramLogLoss(), HistogramLogLoss(1.0), HistogramCRPSLoss()):
        logits = (size * h.logits).requires_grad_()
        value = loss(Histograms(logits, h.edges), y)
        value.mean().backward()
        assert torch.isfinite(value).all() and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PinballLoss([0.5], "tails"), "weighting='tails'; expected None or 'crps'"),
        (lambda: PinballLoss([0.5], reduction="mean"), "reduction='mean'; expected 'none'"),
        (lambda: PinballLoss([0.5, 0.4]), "levels="),
        (lambda: PinballLoss([0.0, 0.4]), "levels="),
        (lambda: PinballLoss([np.nan]), "levels="),
        (lambda: PinballLoss([]), "levels="),
        (lambda: HistogramLogLoss(-1.0), "smoothing=-1.0"),
        (lambda: HistogramLogLoss(np.nan), "smoothing=nan"),
        (lambda: HistogramCRPSLoss("sum"), "reduction='sum'"),
        (lambda: BoundedDensityLoss(0.5), "margin=0.5"),
        (lambda: BoundedDensityLoss(0.0), "margin=0.0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
