"""Losses of maps against float64 numpy, the posterior as their optimum, and weights of the base class."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax
from torch import nn

from skastro.base import Net
from skastro.segmentation import (
    CountPenaltyLoss,
    DiceLoss,
    FocalLoss,
    LogLoss,
    SoftmaxLoss,
    SumLoss,
    resolve_loss,
)

rng = np.random.default_rng(0)
SHAPE = (2, 3, 4, 5)
Z = rng.normal(scale=2.0, size=SHAPE)
Z[0, 0, 0], Z[0, 1, 1], Z[1, 2, 3] = 80.0, -80.0, 80.0
Y = rng.random(SHAPE)
Y[0, :, :2] = rng.random((3, 2, 5)) < 0.5
ONE_HOT = np.moveaxis(np.eye(3)[rng.integers(3, size=(2, 4, 5))], -1, 1)
HIDDEN = rng.random((2, 1, 4, 5)) < 0.3


def dice(p, y, scored):
    """Brute force, one image and label at a time."""
    out = np.empty(p.shape)
    for i in range(p.shape[0]):
        for k in range(p.shape[1]):
            a, b = p[i, k][scored[i, k]], y[i, k][scored[i, k]]
            out[i, k] = 1 - (2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1)
    return out


def count(p, y, scored, form):
    out = np.empty(p.shape)
    for i in range(p.shape[0]):
        for k in range(p.shape[1]):
            s, n = (one[i, k][scored[i, k]].sum() + 1 for one in (p, y))
            out[i, k] = n / s - np.log(n / s) - 1 if form == "deviance" else ((s - n) / n) ** 2
    return out


def expected(loss, z, y, scored):
    if loss.exclusive:
        p, log_p = softmax(z, 1), log_softmax(z, 1)
        q = np.stack([np.delete(p, k, 1).sum(1) for k in range(p.shape[1])], 1)
    else:
        p, q, log_p, log_q = expit(z), expit(-z), log_expit(z), log_expit(-z)
    gamma = getattr(loss, "gamma", 0.0)
    if isinstance(loss, DiceLoss):
        out = dice(p, y, scored)
    elif isinstance(loss, CountPenaltyLoss):
        out = count(p, y, scored, loss.form)
    elif loss.exclusive:
        return np.where(scored, -y * q**gamma * log_p, 0).sum(1, keepdims=True)
    else:
        out = -y * q**gamma * log_p - (1 - y) * p**gamma * log_q
    if loss.exclusive:
        out, scored = out.mean(1, keepdims=True), scored[:, :1]
    return np.where(scored, out, 0)


INDEPENDENT = [
    LogLoss(), FocalLoss(), FocalLoss(0.0), FocalLoss(0.5), DiceLoss(), CountPenaltyLoss(),
    CountPenaltyLoss("squared"),
]  # fmt: skip
EXCLUSIVE = [
    SoftmaxLoss(), FocalLoss(exclusive=True), FocalLoss(0.0, exclusive=True), FocalLoss(0.5, exclusive=True),
    DiceLoss(exclusive=True), CountPenaltyLoss(exclusive=True),
]  # fmt: skip


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("loss", [*INDEPENDENT, *EXCLUSIVE])
def test_formulas_and_finite_gradients(loss, hidden):
    y = ONE_HOT if loss.exclusive else Y
    scored = np.broadcast_to(~HIDDEN | (not hidden), SHAPE)
    target = np.where(scored, y, -1.0)
    truth = expected(loss, Z, y, scored)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        logits = torch.tensor(Z, dtype=dtype, requires_grad=True)
        found = loss(logits, torch.tensor(target, dtype=dtype))
        assert found.dtype == dtype
        assert found.shape == ((2, 1, 4, 5) if loss.exclusive else SHAPE)
        np.testing.assert_allclose(found.detach(), truth, rtol=tolerance, atol=tolerance)
        found.sum().backward()
        assert torch.isfinite(logits.grad).all()
        if hidden:
            assert (logits.grad.numpy()[~scored] == 0).all()


@pytest.mark.parametrize("loss", [*INDEPENDENT, *EXCLUSIVE])
def test_gradients_are_those_of_differences(loss):
    logits = torch.tensor(np.clip(Z, -5, 5), requires_grad=True)
    y = torch.tensor(ONE_HOT if loss.exclusive else Y)
    assert torch.autograd.gradcheck(lambda z: loss(z, y), (logits,))


@pytest.mark.parametrize("logit", [-80.0, 80.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("loss", INDEPENDENT)
def test_all_wrong_and_all_right_in_float32(loss, label, logit):
    logits = torch.full((1, 1, 64, 64), logit, requires_grad=True)
    found = loss(logits, torch.full((1, 1, 64, 64), label))
    found.mean().backward()
    assert torch.isfinite(found).all() and torch.isfinite(logits.grad).all()
    if (logit > 0) == (label > 0):
        assert found.abs().max() < 1e-30
    elif isinstance(loss, (LogLoss, FocalLoss)):
        np.testing.assert_allclose(found.detach(), 80.0, rtol=1e-6)
        # what is wrong has a gradient, however sure the network is
        assert logits.grad.abs().min() > 0


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_log_loss_and_its_slope_are_right_in_any_order_of_memory(order):
    logits = torch.linspace(-120, 120, 240).reshape(2, 3, 5, 8).contiguous(memory_format=order)
    target = (torch.arange(240).reshape(2, 3, 5, 8) % 3 == 0).float()
    found, expected = logits.clone().requires_grad_(), logits.double().requires_grad_()
    loss = LogLoss()(found, target)
    reference = nn.functional.softplus((1 - 2 * target) * expected, threshold=1000)
    torch.testing.assert_close(loss.double(), reference, rtol=1e-6, atol=1e-30)
    loss.sum().backward()
    reference.sum().backward()
    torch.testing.assert_close(found.grad.double(), expected.grad, rtol=1e-6, atol=1e-7)
    assert loss.is_contiguous(memory_format=order)


def test_mean_is_the_dice_loss_of_a_mask():
    truth = torch.zeros(1, 1, 10, 10)
    truth[..., :4, :5] = 1.0
    guess = torch.full((1, 1, 10, 10), -80.0)
    guess[..., 2:6, :5] = 80.0
    assert DiceLoss()(guess, truth).mean().item() == pytest.approx(1 - 21 / 41, rel=1e-6)


def optimum(loss, posterior):
    """Probability with the smallest expected loss of a pixel."""

    def risk(z):
        logits = torch.full((2, 1, 1, 1), z, dtype=torch.float64)
        label = torch.tensor([1.0, 0.0], dtype=torch.float64).reshape(2, 1, 1, 1)
        found = loss(logits, label).ravel()
        return float(posterior * found[0] + (1 - posterior) * found[1])

    return expit(
        minimize_scalar(risk, bounds=(-12, 12), method="bounded", options={"xatol": 1e-9}).x
    )


@pytest.mark.parametrize("posterior", [0.03, 0.3, 0.8])
def test_which_have_the_posterior_as_optimum(posterior):
    for loss in (*INDEPENDENT, resolve_loss("log+count"), resolve_loss("log+dice"),
                 SumLoss([(1.0, LogLoss()), (1.0, CountPenaltyLoss("squared"))])):  # fmt: skip
        found = optimum(loss, posterior)
        # of a single pixel the count is the pixel
        right = loss.proper or loss.consistent
        assert (abs(found - posterior) < 1e-5) == right, (loss, found)
    # closer to 1/2 than the posterior, as the literature says
    assert abs(optimum(FocalLoss(), posterior) - 0.5) < abs(posterior - 0.5)


def test_posterior_is_the_optimum_of_log_and_count_for_pixels_that_depend_on_each_other():
    # all masks of three pixels, with any joint distribution
    masks = torch.tensor([[i >> k & 1 for k in range(3)] for i in range(8)], dtype=torch.float64)
    chance = torch.tensor(rng.dirichlet(np.full(8, 0.7)))
    posterior = chance @ masks

    def solve(loss):
        logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        descent = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe",
                                    tolerance_grad=1e-12, tolerance_change=1e-14)  # fmt: skip

        def closure():
            descent.zero_grad()
            each = loss(logits.expand(8, 1, 1, 3), masks.reshape(8, 1, 1, 3)).mean((1, 2, 3))
            risk = chance @ each
            risk.backward()
            return risk

        descent.step(closure)
        return logits.detach().sigmoid()

    loss = SumLoss([(1.0, LogLoss()), (3.0, CountPenaltyLoss())])
    assert loss.proper
    np.testing.assert_allclose(solve(loss), posterior, atol=1e-6)
    # alone: the sum only
    alone = solve(CountPenaltyLoss())
    assert alone.sum().item() == pytest.approx(posterior.sum().item(), abs=1e-6)
    assert (alone - posterior).abs().max() > 0.01
    squared = SumLoss([(1.0, LogLoss()), (3.0, CountPenaltyLoss("squared"))])
    assert not squared.proper
    assert solve(squared).sum() < posterior.sum() - 0.01


def test_softmax_has_the_posterior_as_optimum():
    posterior = np.array([0.1, 0.2, 0.7])
    logits = torch.tensor(np.log(posterior)).reshape(1, 3, 1, 1).requires_grad_()
    loss = SoftmaxLoss()(logits, torch.tensor(posterior).reshape(1, 3, 1, 1))
    loss.sum().backward()
    np.testing.assert_allclose(logits.grad, 0, atol=1e-15)
    assert float(loss.detach()) == pytest.approx(-(posterior * np.log(posterior)).sum())


def weighted_loss(loss, logits, *targets):
    """As the base class does it."""
    net = SimpleNamespace(criterion_=loss, masked_=False)
    return Net.get_loss(net, logits, targets)


@pytest.mark.parametrize("loss", [*INDEPENDENT, *EXCLUSIVE, resolve_loss("log+dice", "multiclass")])
def test_weights_of_the_base_class(loss):
    y = torch.tensor(ONE_HOT if loss.exclusive else Y)
    z = torch.tensor(Z)
    each = loss(z, y)
    for shape in ((2, 1, 1, 1), (2, 1, 4, 5), tuple(each.shape), SHAPE):
        weight = torch.tensor(rng.random(shape))
        all_of_them = weight.expand(torch.broadcast_shapes(weight.shape, each.shape))
        found = weighted_loss(loss, z, y, weight)
        assert float(found) == pytest.approx(float((each * all_of_them).sum() / all_of_them.sum()))
    assert float(weighted_loss(loss, z, y)) == pytest.approx(float(each.mean()))


def test_pixels_that_are_not_scored_change_nothing():
    z, y = torch.tensor(Z), torch.tensor(Y)
    for hidden in (-1.0, torch.nan):
        for loss in INDEPENDENT:
            known = torch.tensor(~HIDDEN[:1]).expand(1, 3, 4, 5)
            found = loss(z[:1], torch.where(known, y[:1], hidden))
            for k in range(3):
                rest = [one[0, k][known[0, k]].reshape(1, 1, 1, -1) for one in (z, y)]
                torch.testing.assert_close(
                    found[0, k][known[0, k]], loss(*rest).ravel(), atol=1e-12, rtol=1e-12
                )


def test_half_precision_is_computed_in_single():
    logits = torch.tensor(Z, dtype=torch.bfloat16)
    for loss in INDEPENDENT:
        found = loss(logits, torch.tensor(Y, dtype=torch.float32))
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found, loss(logits.float(), torch.tensor(Y, dtype=torch.float32))
        )


def test_names():
    assert isinstance(resolve_loss("log"), LogLoss)
    assert isinstance(resolve_loss("log", "multiclass"), SoftmaxLoss)
    both = resolve_loss("focal+dice", "multiclass")
    assert [type(one) for one in both.losses] == [FocalLoss, DiceLoss]
    assert both.exclusive and not both.proper and not both.pixelwise
    assert resolve_loss("focal").pixelwise and resolve_loss("log").pixelwise
    own = LogLoss()
    assert resolve_loss(own, "multilabel") is own
    bare = nn.BCEWithLogitsLoss(reduction="none")
    assert resolve_loss(bare) is bare
    assert not SumLoss([(1.0, LogLoss()), (1.0, bare)]).proper
    assert [resolve_loss(n).proper for n in ("log", "dice", "focal", "count", "log+count")] == [
        True, False, False, False, True,
    ]  # fmt: skip
    assert FocalLoss(0).proper


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: resolve_loss("hinge"), "loss='hinge'; expected one of log, dice, focal, count"),
        (lambda: resolve_loss("log+log"), r"loss='log\+log'; expected"),
        (lambda: resolve_loss("log+"), r"loss='log\+'; expected"),
        (lambda: resolve_loss(3), "loss=3; expected"),
        (lambda: resolve_loss("log", "pixels"), "mode='pixels'; expected one of binary"),
        (lambda: resolve_loss(LogLoss(), "multiclass"), "loss=LogLoss with exclusive=False"),
        (lambda: resolve_loss(SoftmaxLoss(), "binary"), "loss=SoftmaxLoss with exclusive=True"),
        (lambda: FocalLoss(-1.0), r"gamma=-1.0; expected"),
        (lambda: FocalLoss(float("nan")), "gamma=nan; expected"),
        (lambda: DiceLoss(smooth=0), "smooth=0; expected a positive finite number"),
        (lambda: DiceLoss(exclusive=1), "exclusive=1; expected True or False"),
        (lambda: CountPenaltyLoss("absolute"), "form='absolute'; expected one of deviance"),
        (lambda: LogLoss(reduction="mean"), "reduction='mean'; expected 'none'"),
        (lambda: SumLoss([]), r"parts=\[\]; expected a list"),
        (lambda: SumLoss([LogLoss()]), "expected a list"),
        (lambda: SumLoss([(0.0, LogLoss())]), "weight=0.0; expected a positive"),
        (lambda: SumLoss([(1.0, "log")]), "expected losses that are torch modules"),
        (lambda: SumLoss([(1.0, LogLoss()), (1.0, SoftmaxLoss())]), "exclusive=True and False"),
        (lambda: LogLoss()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2)), "logits has shape"),
        (lambda: LogLoss()(torch.zeros(2, 2), torch.zeros(2, 2)), "logits has shape"),
        (lambda: SoftmaxLoss()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)), "1 class"),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
