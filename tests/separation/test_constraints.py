from dataclasses import replace

import numpy as np
import pytest
import torch

from skastro.scattering import ScatteringTransform
from skastro.separation import (
    Constraint,
    ContaminationConstraint,
    IndependenceConstraint,
    MixtureConstraint,
    PixelConstraint,
    SpectrumConstraint,
    StatisticalSeparator,
    WienerConstraint,
)
from skastro.separation.description import Description
from skastro.separation.problem import pose

SIDE = 32


def build(exact=False):
    """Two mixtures of red noise and white noise, and the problem that they pose."""
    rng = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    red = np.fft.irfft2(
        np.fft.rfft2(rng.normal(size=(2, 1, SIDE, SIDE))) * 8 / k**1.5, s=(SIDE, SIDE)
    )
    noise = rng.normal(size=(202, 1, SIDE, SIDE))
    signal, noise, samples = (torch.from_numpy(x) for x in (red, noise[:2], noise[2:]))
    mixtures = signal + noise
    recipe = ScatteringTransform(n_scales=3, dtype="float64", device="cpu").fit(mixtures.numpy())
    unit, offset = torch.ones(1, 1, 1), torch.full((2, 1, 1, 1), 3.0)
    problem, _ = pose(mixtures, samples, Description(recipe, mixtures), unit, offset, exact)
    return signal, noise, problem


@pytest.fixture(scope="module")
def made():
    return build()


@pytest.mark.parametrize(
    "constraint",
    [MixtureConstraint(), ContaminationConstraint(), IndependenceConstraint(), WienerConstraint()],
)
def test_the_truth_is_off_by_chance(made, constraint):
    """Squares over their expected ones: 1 at the truth, and far more for what is not a solution."""
    signal, noise, problem = made
    loss = constraint.prepare(signal, problem)
    at_truth = loss(signal, problem)
    assert at_truth.shape == (2,) and ((at_truth > 0.3) & (at_truth < 2.5)).all()
    wrong = torch.zeros_like(signal) if constraint.name == "mixture" else signal + noise
    if constraint.name in ("mixture", "contamination"):
        assert (loss(wrong, problem) > 3 * at_truth).all()


@pytest.mark.parametrize("constraint", [MixtureConstraint(), ContaminationConstraint()])
def test_a_draw_takes_one_sample_for_the_contamination(made, constraint):
    """With one sample in the place of the mean, in eras and at each gradient."""
    signal, _, problem = made
    for exact in (False, True):
        drawn = replace(problem, exact=exact, chosen=torch.tensor([3, 7]))
        found = constraint.statistic(signal, drawn) - constraint.goal(signal, drawn)[0]
        own = problem.samples[[3, 7]]
        if constraint.name == "mixture":
            expected = problem.statistics(signal + own) - problem.statistics(problem.mixtures)
        else:
            rest = problem.statistics(problem.mixtures - signal)
            expected = rest - problem.statistics(own)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_exact_and_eras_agree_where_the_era_begins(made):
    signal, _, problem = made
    _, _, exact = build(exact=True)
    constraint = MixtureConstraint()
    one = constraint.prepare(signal, problem)(signal, problem)
    two = constraint.prepare(signal, exact)(signal, exact)
    np.testing.assert_allclose(one, two, rtol=1e-8)


def test_spectrum(made):
    signal, _, problem = made
    constraint = SpectrumConstraint(tolerance=0.05)
    loss = constraint.prepare(signal, problem)
    have = problem.rings.spread(problem.rings.power(signal))
    gain = problem.rings.spread(problem.power) / have.clamp_min(1e-300)
    shaped = torch.fft.irfft2(torch.fft.rfft2(signal) * gain.sqrt(), s=(SIDE, SIDE))
    assert (loss(shaped, problem) < 1e-8).all()
    _, scale = constraint.goal(signal, problem)
    assert ((scale > 0.05) & (scale <= np.hypot(0.05, 0.1) + 1e-9)).all()
    # twice the power in each ring
    twice = loss(2**0.5 * shaped, problem)
    np.testing.assert_allclose(twice, (np.log(2) / scale).square().mean(1), rtol=1e-6)
    # the estimate is near the true spectrum where the signal is strong
    ratio = (problem.power / problem.rings.power(signal))[..., :5]
    assert ratio.log().abs().max() < 0.9


def test_wiener_is_the_posterior_of_gaussian_fields(made):
    signal, _, problem = made
    loss = WienerConstraint().prepare(signal, problem)
    assert (loss(problem.wiener, problem) == 0).all()
    # closed form for one mode: (s - W d) / sqrt(S N / (S + N))
    modes = torch.fft.rfft2(signal - problem.wiener)
    z = modes.abs().square() / problem.step.square().clamp_min(1e-300) / SIDE**2
    z[..., 1:-1] *= 2
    z[..., 0, 0] = 0
    expected = z.sum((-2, -1))[:, 0] / SIDE**2
    np.testing.assert_allclose(loss(signal, problem), expected, rtol=1e-6)


def test_pixels_in_the_unit_of_the_mixtures(made):
    signal, _, problem = made
    values = np.full((SIDE, SIDE), np.nan)
    values[3:6, 4:9] = signal[0, 0, 3:6, 4:9].numpy() + 3.0  # the offset
    loss = PixelConstraint(values, sigma=0.5).prepare(signal, problem)
    found = loss(signal, problem)
    assert found[0] < 1e-12 and found[1] > 0.1
    difference = (signal[1] - signal[0])[0, 3:6, 4:9] / 0.5
    np.testing.assert_allclose(found[1], difference.square().mean(), rtol=1e-6)
    with pytest.raises(ValueError, match=r"values has shape \(16, 32\); expected"):
        PixelConstraint(values[::2]).prepare(signal, problem)
    with pytest.raises(ValueError, match="values has no known pixel"):
        PixelConstraint(np.full((2, 2), np.nan))


def test_known_pixels_come_out(made):
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(8, SIDE, SIDE))
    truth = np.cumsum(np.cumsum(rng.normal(size=(SIDE, SIDE)), 0), 1)
    truth = 3 * (truth - truth.mean()) / truth.std() + 7
    known = np.full((SIDE, SIDE), np.nan)
    known[8:16] = truth[8:16]
    constraints = [MixtureConstraint(), WienerConstraint(), PixelConstraint(known, sigma=0.02)]
    model = StatisticalSeparator(constraints=constraints, random_state=0, device="cpu", max_iter=25)
    found = model.fit(samples[1:]).transform((truth + samples[0])[None])[0]
    assert np.abs(found - truth)[8:16].mean() < 0.2 < np.abs(samples[0])[8:16].mean()


def test_a_goal_that_is_not_finite(made):
    signal, _, problem = made

    class Broken(Constraint):
        name = "broken"

        def goal(self, signal, problem):
            return signal.new_full((1,), torch.nan), signal.new_ones(1)

    with pytest.raises(ValueError, match="constraint 'broken' has a goal that is not finite"):
        Broken().prepare(signal, problem)
    with pytest.raises(NotImplementedError, match="Constraint has no statistic"):
        Constraint().statistic(signal, problem)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constraint(-1), "weight=-1; expected"),
        (lambda: SpectrumConstraint(tolerance=0), "tolerance=0; expected"),
        (lambda: PixelConstraint(np.zeros((2, 2)), sigma=0), "sigma=0; expected"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
