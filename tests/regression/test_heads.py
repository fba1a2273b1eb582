import pickle
import sys

import numpy as np
import pytest
import torch
from head_toys import Toy, crps_on_grid, one_target, two_targets
from scipy import stats
from sklearn.base import clone

from skastro.regression import (
    FlowHead,
    GaussianHead,
    HistogramHead,
    MixtureHead,
    PointHead,
    QuantileHead,
    resolve_head,
)
from skastro.regression.heads import HEADS

try:
    import zuko  # noqa: F401

    missing = False
except ImportError:
    missing = True
needs_zuko = pytest.mark.skipif(missing, reason="needs zuko: pip install 'skastro[flow]'")


def named(heads):
    return [
        pytest.param(head, id=repr(head), marks=needs_zuko if isinstance(head, FlowHead) else [])
        for head in heads
    ]


PARAMETRIC = [
    GaussianHead(),
    GaussianHead(covariance="diagonal"),
    GaussianHead(bounded=False),
    MixtureHead(),
    MixtureHead(n_components=2, bounded=False),
    FlowHead(n_transforms=2, hidden=(16,)),
]
PIECEWISE = [
    QuantileHead(),
    QuantileHead(levels=(0.1, 0.5, 0.6), weighting=None),
    HistogramHead(),
    HistogramHead(n_bins=10, spacing="quantile", smoothing=1.0),
    HistogramHead(loss="crps"),
]
POINT = [PointHead(), PointHead(loss="mae"), PointHead(loss="huber")]
ALL = [*POINT, *PARAMETRIC, *PIECEWISE]
every_head = pytest.mark.parametrize("head", named(ALL))
every_distribution = pytest.mark.parametrize("head", named([*PARAMETRIC, *PIECEWISE]))


def skewed(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.beta(2, 6, size=n)
    return np.stack([first, 0.6 * first + 0.4 * rng.beta(4, 2, size=n)], axis=1)


def build(head, targets=None, n_features=6, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return head.make_module(n_features, 2, targets).float()


def features(n=20, size=1.0, seed=0):
    return size * torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def parts(output):
    return [output] if torch.is_tensor(output) else [x for x in output if torch.is_tensor(x)]


@every_head
def test_weights_load_into_a_layer_built_without_targets(head):
    first, second = build(head, skewed()), build(head, seed=1)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter += 0.1 * torch.rand_like(parameter)
    second.load_state_dict(first.state_dict())
    for ours, theirs in zip(parts(first(features())), parts(second(features())), strict=True):
        assert torch.equal(ours, theirs)


@every_head
def test_gradients_are_finite_at_the_bounds_and_at_extreme_features(head):
    ends = torch.tensor([-0.02, 0.0, 1e-7, 0.5, 1 - 1e-7, 1.0, 1.02])
    target = torch.stack([ends, ends.flip(0)], -1)
    for targets in (None, skewed(), np.full((50, 2), 0.3), np.zeros((50, 2)), skewed(n=1)):
        module = build(head, targets)
        for size in (0.0, 1.0, 1e3, 1e5):
            module.zero_grad()
            loss = head.make_loss()(module(features(7, size)), target)
            loss.mean().backward()
            assert torch.isfinite(loss).all() and loss.shape[0] == 7
            assert all(torch.isfinite(p.grad).all() for p in module.parameters())


@every_distribution
def test_distributions_of_extreme_outputs_are_valid(head):
    module = build(head, skewed())
    with torch.inference_mode():
        one = head.distribution(module(features(5, 300.0)))
    q = one.quantile([0.005, 0.5, 0.995])
    assert one.shape == (5, 2) and (one.std() >= 0).all()
    assert np.isfinite(q).all() and (np.diff(q, axis=0) >= 0).all()


@pytest.mark.parametrize("head", named([*PARAMETRIC, QuantileHead(), HistogramHead()]))
def test_training_begins_at_the_distribution_of_the_targets(head):
    y = skewed()
    with torch.inference_mode():
        one = head.distribution(build(head, y)(features(4, 0.0)))
    # mixtures have the moments, and their shape is their own
    assert np.abs(one.mean() - y.mean(0)).max() < 0.02
    assert np.abs(one.std() / y.std(0) - 1).max() < 0.1
    pit = one[np.zeros(len(y), int)].cdf(y)
    assert max(stats.kstest(u, "uniform").statistic for u in pit.T) < 0.1


@every_distribution
def test_point_is_the_mean_of_the_distribution(head):
    module = build(head, skewed())
    x = features(30).requires_grad_()
    output = module(x)
    found = head.point(output)
    expected = head.distribution(output).mean()
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=2e-4)
    found.sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().max() > 0


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_points_begin_at_the_mean_or_the_median(loss):
    y, head = skewed(), PointHead(loss)
    expected = y.mean(0) if loss == "mse" else np.median(y, axis=0)
    found = build(head, y)(features(1, 0.0)).detach().numpy()[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "head", named([*PARAMETRIC, HistogramHead(), HistogramHead(spacing="quantile", n_bins=7)])
)
def test_loss_is_minus_the_log_density_of_the_distribution(head):
    module = build(head, skewed())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(0)
            )
    with torch.inference_mode():
        output = module(features(30))
        y = torch.rand(30, 2, generator=torch.Generator().manual_seed(1))
        loss = head.make_loss()(output, y).reshape(30, -1).sum(-1)
    found = head.distribution(output).log_prob(y.double().numpy())
    np.testing.assert_allclose(found, -loss.numpy(), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("head", [HistogramHead(loss="crps"), QuantileHead()], ids=repr)
def test_scoring_losses_are_the_crps_of_the_distribution(head):
    module = build(head, skewed())
    y = torch.rand(30, 2, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        output = module(features(30))
        loss = head.make_loss()(output, y).numpy()
    found = head.distribution(output).crps(y.double().numpy())
    # quantiles: a sum over the levels
    exact = isinstance(head, HistogramHead)
    np.testing.assert_allclose(loss, found, rtol=1e-5 if exact else 0.05, atol=1e-3 * (not exact))


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_quantiles_never_cross(size):
    module = build(QuantileHead(), skewed())
    with torch.no_grad():
        module.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
        q = module(features(500, size))
    assert (q.diff(dim=-1) >= 0).all() and q.min() >= 0 and q.max() <= 1


def test_diagonal_covariance_has_no_other_entries():
    module = build(GaussianHead(covariance="diagonal", bounded=False), skewed())
    with torch.no_grad():
        found = GaussianHead(bounded=False).distribution(module(features())).covariance()
    assert np.abs(found[:, 0, 1]).max() == 0
    module = build(GaussianHead(bounded=False), skewed())
    with torch.no_grad():
        found = GaussianHead(bounded=False).distribution(module(features(1, 0.0))).covariance()
    np.testing.assert_allclose(found[0], np.cov(skewed().T), rtol=0.01)


def test_bins_of_equal_counts_and_their_marginal():
    y = skewed(n=20_000)
    module = build(HistogramHead(n_bins=10, spacing="quantile"), y)
    counts = np.stack(
        [np.histogram(a, e)[0] for a, e in zip(y.T, module.edges.numpy(), strict=True)]
    )
    assert counts.min() > 0.02 * len(y) and counts.max() < 0.2 * len(y)
    masses = module(features(1, 0.0)).logits.softmax(-1)[0].detach().numpy()
    np.testing.assert_allclose(masses, counts / len(y), atol=1e-4)
    # many equal targets: every bin keeps a width
    module = build(HistogramHead(n_bins=10, spacing="quantile"), np.zeros((100, 2)))
    assert (module.edges.diff(dim=-1) > 0.005).all()


@every_head
def test_blocks_of_rows_are_put_together(head):
    module = build(head, skewed())
    x = features(20)
    with torch.inference_mode():
        whole, blocks = module(x), head.concatenate([module(x[:7]), module(x[7:])])
    for ours, theirs in zip(parts(whole), parts(blocks), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@every_head
def test_recipes_are_cloned_and_pickled(head):
    assert repr(clone(head)) == repr(head) == repr(pickle.loads(pickle.dumps(head)))
    own = resolve_head(head)
    assert own is not head and own.get_params() == head.get_params()
    assert type(head) in HEADS.values()


@every_distribution
def test_torch_and_numpy_are_left_alone(head):
    module = build(head, skewed())
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with torch.inference_mode():
        one = head.distribution(module(features(3)))
    first, second = one.sample(4, random_state=0), one.sample(4, random_state=0)
    assert np.array_equal(first, second) and first.shape == (4, 3, 2)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002  # noqa: NPY002


@pytest.mark.parametrize("name", sorted(HEADS))
def test_heads_have_names(name):
    assert type(resolve_head(name)) is HEADS[name]


LEVELS = np.array([0.5, 0.68, 0.9, 0.95])
SMALL_FLOW = FlowHead(n_transforms=1, hidden=(32,))


@pytest.mark.parametrize(
    ("head", "noise", "near"),
    [
        (MixtureHead(), 0.15, 0.03),
        (QuantileHead(), 0.15, 0.03),
        (HistogramHead(), 0.15, 0.03),
        pytest.param(SMALL_FLOW, 0.15, 0.03, marks=needs_zuko),
        # no Gaussian is cut off as that posterior is, through the normal CDF either: 4 points there
        (GaussianHead(), 0.15, 0.04),
        (GaussianHead(), 0.05, 0.03),
    ],
)
def test_posterior_cut_off_by_the_bounds(head, noise, near):
    x, y, _ = one_target(8000, 1, noise)
    fresh, truth, posterior = one_target(2000, 2, noise)
    one = head.distribution(Toy(head).fit(x, y).predict(fresh))
    grid = np.linspace(-0.05, 1.05, 331)
    exact = crps_on_grid(posterior.cdf(grid[:, None, None]), truth, grid)
    found = crps_on_grid(one.cdf(grid[:, None, None]), truth, grid)
    assert exact * 0.99 < found < exact * 1.03
    covered = np.array([(np.abs(one.cdf(truth) - 0.5) < level / 2).mean() for level in LEVELS])
    assert np.abs(covered - LEVELS).max() < near


@pytest.mark.parametrize(
    "head", named([GaussianHead(), MixtureHead(), SMALL_FLOW]),
)  # fmt: skip
def test_joint_posterior_of_two_targets(head):
    x, y, _, _ = two_targets(6000, 1)
    fresh, truth, exact, apart = two_targets(2000, 2)
    one = head.distribution(Toy(head).fit(x, y).predict(fresh))
    # in nats
    lost, if_independent = (exact - one.log_prob(truth)).mean(), (exact - apart).mean()
    assert -0.02 < lost < 0.12 < 0.3 * if_independent


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve_head("gauss"), r"head='gauss'; expected one of \['flow', 'gaussian'"),
        (lambda: resolve_head(3), "head=3; expected one of"),
        (lambda: resolve_head(PointHead), "expected one of"),
        (lambda: build(PointHead(), np.zeros((5, 3))), r"targets has shape \(5, 3\); expected \(n_rows, 2\)"),
        (lambda: build(PointHead(), np.zeros((0, 2))), r"targets has shape \(0, 2\)"),
        (lambda: build(GaussianHead(), np.full((5, 2), np.nan)), "targets has NaN"),
        (lambda: build(HistogramHead(), np.full((5, 2), np.inf)), "targets has NaN or infinity"),
        (lambda: PointHead("l2").make_loss(), "'loss' parameter of PointHead"),
        (lambda: PointHead("huber", delta=0.0).make_loss(), "'delta' parameter"),
        (lambda: build(MixtureHead(n_components=0)), "'n_components' parameter"),
        (lambda: build(GaussianHead(covariance="banded")), "'covariance' parameter"),
        (lambda: build(QuantileHead(levels=(0.5, 0.2))), "levels="),
        (lambda: build(QuantileHead(levels=(0.5,))), "levels="),
        (lambda: build(HistogramHead(n_bins=1)), "'n_bins' parameter"),
        (lambda: build(HistogramHead(spacing="log")), "'spacing' parameter"),
        (lambda: build(HistogramHead(), n_features=0), "n_features=0; expected at least 1"),
    ],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@needs_zuko
def test_flows_refuse_widths_below_1():
    with pytest.raises(ValueError, match=r"hidden=\(0,\); expected a tuple of positive integers"):
        build(FlowHead(hidden=(0,)))


def test_what_to_install_for_flows(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(ImportError, match=r"pip install 'skastro\[flow\]'"):
        build(FlowHead())
