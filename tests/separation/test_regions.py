import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from skastro.scattering import Covariance, ScatteringTransform
from skastro.separation import (
    CrossConstraint,
    IndependenceConstraint,
    LocalConstraint,
    MixtureConstraint,
    SpectrumConstraint,
    StatisticalSeparator,
    WienerConstraint,
)
from skastro.separation.description import Description
from skastro.separation.frame import Frame
from skastro.separation.problem import pose

SIDE = 32
LEFT = np.broadcast_to(np.arange(SIDE) < SIDE // 2, (SIDE, SIDE))
MASKS = np.stack([LEFT, ~LEFT])


def two_halves(rng):
    """Rough and strong on the left, smooth on the right."""
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    fields = []
    for index in (1.0, 3.0):
        field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * k**-index)
        fields.append(field / field.std())
    rough, smooth = np.abs(fields[0]), fields[1]
    rough = (rough - rough.mean()) / rough.std()
    return np.where(LEFT, 2 * rough, 0.7 * smooth)


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    signal = torch.from_numpy(np.stack([two_halves(rng) for _ in range(2)])[:, None])
    noise = torch.from_numpy(rng.normal(size=(22, 1, SIDE, SIDE)))
    mixtures, samples = signal + noise[:2], noise[2:]
    recipe = ScatteringTransform(n_scales=3, dtype="float64", device="cpu").fit(mixtures.numpy())
    problem, _ = pose(
        mixtures, samples, Description(recipe, mixtures), torch.ones(1, 1, 1),
        torch.zeros(2, 1, 1, 1),
    )  # fmt: skip
    return signal, noise[:2], problem


def test_statistics_of_a_region_are_those_of_its_mirrored_self(made):
    signal, _, problem = made
    found = LocalConstraint(MASKS).statistic(signal, problem)
    # beyond its border half a map goes on in its mirror image, to the middle of the other half
    x = np.arange(SIDE)
    beyond = np.where(x < 24, 30 - x, 32 - x), np.where(x < 8, 30 - x, 32 - x)
    module, expected = Covariance((SIDE, SIDE), 3), []
    logs = [name.startswith(("P00", "S1")) for name in module.names]
    for mask, index in zip(MASKS, beyond, strict=True):
        index = np.where(mask[0], x, index)
        own, mixture = signal[:, 0][..., index], problem.mixtures[:, 0][..., index]
        reference = module.norm(mixture)
        values, base = module(own, reference=reference), module(mixture, reference=reference)
        values[:, logs] = (values - base).exp()[:, logs]
        expected.append(values[:, 1:])
    expected = torch.cat(expected, 1)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_nothing_outside_a_region_counts(made):
    signal, _, problem = made
    constraint = LocalConstraint(MASKS[:1])
    loss = constraint.prepare(signal, problem)
    other = torch.where(torch.from_numpy(LEFT.copy()), signal, 100 * torch.randn(signal.shape))
    np.testing.assert_allclose(loss(other, problem), loss(signal, problem), rtol=1e-9)
    changed = signal.clone().requires_grad_()
    loss(changed, problem).sum().backward()
    assert (changed.grad[..., 16:] == 0).all() and changed.grad[..., :16].abs().max() > 0


@pytest.mark.parametrize(
    "constraint",
    [MixtureConstraint(), IndependenceConstraint(), SpectrumConstraint(), WienerConstraint()],
)
def test_the_truth_is_near_and_rows_are_their_own(made, constraint):
    signal, noise, problem = made
    local = LocalConstraint(MASKS, constraint)
    loss = local.prepare(signal, problem)
    at_truth = loss(signal, problem)
    # a power that is lost in noise is off by more than its tolerance
    assert at_truth.shape == (2,) and ((at_truth < 5).all() or constraint.name == "spectrum")
    some = problem.rows(torch.tensor([1]))
    np.testing.assert_allclose(loss(signal[1:], some), at_truth[1:], rtol=1e-6)
    if constraint.name == "mixture":
        assert (loss(torch.zeros_like(signal), problem) > 3 * at_truth).all()
    # the mean over regions of what each alone says
    parts = [LocalConstraint(MASKS[i : i + 1], constraint) for i in range(2)]
    alone = sum(one.prepare(signal, problem)(signal, problem) for one in parts) / 2
    np.testing.assert_allclose(at_truth, alone, rtol=1e-6)


def test_the_goal_is_that_of_both_regions(made):
    signal, _, problem = made
    local = LocalConstraint(MASKS, SpectrumConstraint())
    target, scale = local.goal(signal, problem)
    assert target.shape == scale.shape == local.statistic(signal, problem).shape
    assert target.shape[1] == 2 * len(problem.rings.counts)


def test_a_cross_constraint_by_regions(made):
    signal, _, problem = made
    template = signal[0, 0].numpy() + 0.1
    local = LocalConstraint(MASKS, CrossConstraint(template))
    loss = local.prepare(signal, problem)
    assert loss(signal, problem)[0] < 3 < loss(0 * signal, problem)[0]


def test_hidden_pixels_are_in_no_region(made):
    signal, _, problem = made
    mask = np.ones((SIDE, SIDE), bool)
    mask[:4] = False
    hidden = replace(problem, frame=Frame((SIDE, SIDE), mask))
    loss = LocalConstraint(MASKS).prepare(signal, hidden)
    other = signal.clone()
    other[..., :4, :] = 50.0
    np.testing.assert_allclose(loss(other, hidden), loss(signal, hidden), rtol=1e-9)
    nothing = np.zeros((1, SIDE, SIDE), bool)
    nothing[:, :3] = True
    with pytest.raises(ValueError, match=r"masks\[0\] has no pixel that is not hidden"):
        LocalConstraint(nothing).prepare(signal, hidden)


def test_a_field_of_two_textures_is_recovered_better_by_region():
    rng = np.random.default_rng(3)
    signal, noise = two_halves(rng), rng.normal(size=(16, SIDE, SIDE))
    found = {}
    for name, constraints in {
        "whole": [MixtureConstraint(), SpectrumConstraint(), WienerConstraint(8.0)],
        "local": [
            LocalConstraint(MASKS),
            LocalConstraint(MASKS, SpectrumConstraint(), weight=0.3),
            WienerConstraint(8.0),
        ],
    }.items():
        model = StatisticalSeparator(
            constraints=constraints, n_samples=8, max_iter=20, random_state=0, device="cpu"
        )
        found[name] = model.fit(noise[1:]).transform((signal + noise[0])[None])[0]

    def roughness(x):
        return np.square(np.diff(x, axis=0))[:, 18:30].mean()

    errors = {name: (x - signal)[~LEFT].std() for name, x in found.items()}
    assert errors["local"] < 0.75 * errors["whole"]
    assert roughness(found["local"]) < 0.25 * roughness(found["whole"])
    # and no worse where the signal is strong
    errors = {name: (x - signal)[LEFT].std() for name, x in found.items()}
    assert errors["local"] < 1.1 * errors["whole"]


def test_repr_pickle():
    local = pickle.loads(pickle.dumps(LocalConstraint(MASKS, SpectrumConstraint(), weight=2.0)))
    assert repr(local) == (
        "LocalConstraint(2 regions of 32 x 32 pixels, SpectrumConstraint(weight=1.0, tolerance=0.05), "
        "weight=2.0)"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LEFT[0],), r"masks has shape \(32,\); expected \(n_regions, h, w\)"),
        ((np.zeros((0, 4, 4), bool),), r"masks has shape \(0, 4, 4\)"),
        ((0.5 * MASKS,), r"masks\[0\] has dtype float64; expected bool"),
        ((MASKS & False,), r"masks\[0\] has no valid pixel"),
        ((MASKS, "mixture"), "constraint='mixture'; expected a Constraint"),
        ((MASKS, None, np.nan), "weight=nan; expected"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalConstraint(*arguments)


def test_masks_of_another_size(made):
    signal, _, problem = made
    with pytest.raises(
        ValueError, match=r"masks has shape \(2, 16, 32\); expected \(n_regions, 32, 32\)"
    ):
        LocalConstraint(MASKS[:, ::2]).prepare(signal, problem)


def test_borders():
    rng = np.random.default_rng(3)
    signal, noise = two_halves(rng), rng.normal(size=(9, SIDE, SIDE))
    signal, noise, masks = signal[:28, 2:30], noise[:, :28, 2:30], MASKS[:, :28, 2:30]
    local = [LocalConstraint(masks), LocalConstraint(masks, SpectrumConstraint(), weight=0.3)]
    model = StatisticalSeparator(
        constraints=[*local, WienerConstraint(8.0)], n_samples=6, max_iter=8, n_eras=2, periodic=False,
        random_state=0, device="cpu",
    )  # fmt: skip
    mask = np.ones((28, 28), bool)
    mask[4:8, 10:18] = False
    found = model.fit(noise[1:]).transform((signal + noise[0])[None], mask=mask)[0]
    assert np.std((found - signal)[mask]) < 0.75
    draws = model.sample_posterior((signal + noise[0])[None], 2, random_state=0)
    assert draws.shape == (1, 2, 28, 28) and np.isfinite(draws).all()
