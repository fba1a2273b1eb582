import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy import units as u

from skastro.scattering import Covariance, ScatteringTransform
from skastro.separation import (
    CrossConstraint,
    MixtureConstraint,
    SpectrumConstraint,
    StatisticalSeparator,
    WienerConstraint,
)
from skastro.separation.description import Description
from skastro.separation.frame import Frame
from skastro.separation.problem import pose

SIDE = 32
SPECTRUM = ScatteringTransform("power_spectrum")


def filaments(rng, n=1, side=SIDE):
    """Sharp where a Gaussian field of steep spectrum crosses zero; of variance 1."""
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    k[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(n, side, side))) * k**-2.0, s=(side, side))
    field = np.abs(field)
    field -= field.mean((1, 2), keepdims=True)
    return field / field.std((1, 2), keepdims=True)


def build(exact=False, unit=1.0):
    """Mixtures in an odd unit, with their noise and samples, and the problem they pose."""
    rng = np.random.default_rng(0)
    signal, noise = filaments(rng, 2)[:, None], rng.normal(size=(42, 1, SIDE, SIDE))
    signal, noise, samples = (torch.from_numpy(x) for x in (signal, noise[:2], noise[2:]))
    mixtures = signal + noise
    mixtures = mixtures - mixtures.mean((2, 3), keepdim=True)
    recipe = ScatteringTransform(n_scales=3, dtype="float64", device="cpu").fit(mixtures.numpy())
    problem, _ = pose(
        mixtures, samples, Description(recipe, mixtures), torch.full((1, 1, 1), unit),
        torch.full((2, 1, 1, 1), 3.0), exact,
    )  # fmt: skip
    return signal, noise, problem


@pytest.fixture(scope="module")
def made():
    return build()


def spectra(x, y):
    """Mean product of modes in rings one cycle wide, white noise 1."""
    k = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(SIDE) * SIDE] * 2)))
    product = (np.fft.fft2(x) * np.fft.fft2(y).conj()).real / SIDE**2
    return np.stack([product[..., k == i].mean(-1) for i in range(1, 17)], -1)


def test_statistics_are_those_of_the_two_maps(made):
    signal, _, problem = made
    template = np.random.default_rng(1).normal(7.0, 5.0, size=(SIDE, SIDE))
    recipe = ScatteringTransform(n_scales=3)
    found = CrossConstraint(template, statistics=recipe).statistic(signal, problem)
    # the module alone, normalised by the powers of the mixture and of the template
    module = Covariance((SIDE, SIDE), 3)
    other = torch.from_numpy(template - template.mean()).expand(2, SIDE, SIDE)
    reference = module.norm(problem.mixtures[:, 0], other)
    expected = module(signal[:, 0], other, reference)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_the_truth_is_off_by_chance_and_nothing_is_not(made):
    signal, noise, problem = made
    template = signal[0, 0].numpy() + 0.3 * np.random.default_rng(1).normal(size=(SIDE, SIDE))
    constraint = CrossConstraint(template)
    loss = constraint.prepare(signal, problem)
    at_truth = loss(signal, problem)
    assert ((at_truth > 0.3) & (at_truth < 2.5)).all()
    # of the first mixture alone is there much in common with the template
    assert loss(0.5 * signal, problem)[0] > 10 * at_truth[0]
    some = problem.rows(torch.tensor([1]))
    np.testing.assert_allclose(loss(signal[1:], some), at_truth[1:], rtol=1e-6)


@pytest.mark.parametrize("kind", ["ancillary", "halves"])
def test_a_draw_takes_one_sample_for_the_contamination(made, kind):
    signal, _, problem = made
    rng = np.random.default_rng(2)
    if kind == "ancillary":
        constraint = CrossConstraint(rng.normal(size=(SIDE, SIDE)))
    else:
        halves = [problem.mixtures.numpy() + rng.normal(size=signal.shape) for _ in range(2)]
        samples = [rng.normal(size=(9, 1, SIDE, SIDE)) for _ in range(2)]
        constraint = CrossConstraint(halves=tuple(halves), samples=tuple(samples))
    differences = []
    for exact in (False, True):
        drawn = replace(problem, exact=exact, chosen=torch.tensor([3, 7]))
        found = constraint.statistic(signal, drawn) - constraint.goal(signal, drawn)[0]
        differences.append(found)
    # of eras it is that of the bias with the one sample: the same where the era begins
    torch.testing.assert_close(*differences, rtol=0, atol=1e-10)
    mean = replace(problem, exact=True)
    other = constraint.statistic(signal, mean) - constraint.goal(signal, mean)[0]
    assert (differences[1] - other).abs().max() > 1e-3


def test_eras_and_exact_agree_where_the_era_begins(made):
    signal, _, problem = made
    _, _, exact = build(exact=True)
    rng = np.random.default_rng(1)
    halves = tuple(rng.normal(size=(2, SIDE, SIDE)) for _ in range(2))
    samples = tuple(rng.normal(size=(3, SIDE, SIDE)) for _ in range(2))
    for constraint in (
        CrossConstraint(halves[0][0]),
        CrossConstraint(halves=halves, samples=samples),
    ):
        one = constraint.prepare(signal, problem)(signal, problem)
        two = constraint.prepare(signal, exact)(signal, exact)
        np.testing.assert_allclose(one, two, rtol=1e-8)


def test_what_is_independent_drops_out_of_the_halves(made):
    """Of noise of all signs, the cross spectrum is exactly that of the signal with itself."""
    signal, _, problem = made
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, SIDE, SIDE))
    samples = np.concatenate([a, -a, a, -a]), np.concatenate([b, b, -b, -b])
    n1, n2 = rng.normal(size=(2, 2, SIDE, SIDE))
    halves = tuple(signal[:, 0].numpy() + n for n in (n1, n2))
    constraint = CrossConstraint(halves=halves, samples=samples, statistics=SPECTRUM)
    target, scale = constraint.goal(signal, problem)
    norm = np.sqrt(spectra(halves[0], halves[0]) * spectra(halves[1], halves[1]))
    # beyond, the bins of the statistic drift from those here
    low = slice(0, 7)
    np.testing.assert_allclose(target[:, low], (spectra(*halves) / norm)[:, low], atol=1e-10)
    found = constraint.statistic(signal, problem)
    own = spectra(signal[:, 0].numpy(), signal[:, 0].numpy())
    np.testing.assert_allclose(found[:, low], (own / norm)[:, low], atol=1e-10)
    # and that of one mixture is not
    whole = [signal[:, 0].numpy() + c for c in samples[0]]
    mean = np.mean([spectra(one, one) for one in whole], axis=0)
    assert (mean[:, 5:10] > 1.2 * own[:, 5:10]).all()
    assert (scale > 0).all()
    # so that samples with too little power tell the same
    faint = tuple(0.5 * c for c in samples)
    constraint = CrossConstraint(halves=halves, samples=faint, statistics=SPECTRUM)
    np.testing.assert_allclose(constraint.goal(signal, problem)[0], target, atol=1e-10)


def test_halves_in_the_unit_of_the_mixtures_and_their_rows(made):
    signal, _, problem = made
    rng = np.random.default_rng(1)
    halves = tuple(rng.normal(size=(4, SIDE, SIDE)) for _ in range(2))
    samples = tuple(rng.normal(size=(3, SIDE, SIDE)) for _ in range(2))
    plain = CrossConstraint(halves=halves, samples=samples)
    scaled = CrossConstraint(
        halves=tuple(20 * x + 3 for x in halves), samples=tuple(20 * x - 1 for x in samples)
    )
    _, _, other = build(unit=20.0)
    for one, two in zip(plain.goal(signal, problem), scaled.goal(signal, other), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)
    # the third and fourth of the mixtures that were given
    late = replace(problem, numbers=torch.tensor([2, 3]))
    shifted = CrossConstraint(halves=tuple(x[2:] for x in halves), samples=samples)
    for one, two in zip(plain.goal(signal, late), shifted.goal(signal, problem), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(5)
    signal, noise = filaments(rng, 2), rng.normal(size=(18, SIDE, SIDE))
    return signal, noise[:2], noise[2:], rng.normal(size=(SIDE, SIDE))


def separate(constraints, C, D, **options):
    constraints = [MixtureConstraint(), SpectrumConstraint(), WienerConstraint(8.0), *constraints]
    model = StatisticalSeparator(
        constraints=constraints,
        n_samples=8,
        max_iter=12,
        n_eras=2,
        random_state=0,
        device="cpu",
        **options,
    )
    return model.fit(C).transform(D)


def correlation(one, two):
    """Of octaves from 4 cycles on, where noise is strong."""
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(SIDE) * SIDE] * 2))
    F, G = (np.fft.fft2(x)[..., (k >= 4) & (k < 16)] for x in (one, two))
    power = (np.abs(F) ** 2).sum() * (np.abs(G) ** 2).sum()
    return (F * G.conj()).real.sum() / np.sqrt(power)


def test_an_ancillary_map_that_knows_the_signal_helps(case):
    signal, noise, samples, other = case
    D = signal[:1] + noise[:1]
    plain = separate([], samples, D)
    found = separate([CrossConstraint(signal[0] + 0.5 * other)], samples, D)
    useless = separate([CrossConstraint(other)], samples, D)
    assert correlation(found, signal[:1]) > correlation(plain, signal[:1]) + 0.05
    assert np.std(found - signal[:1]) < 0.95 * np.std(plain - signal[:1])
    # one that knows nothing does no harm
    assert correlation(useless, signal[:1]) > correlation(plain, signal[:1]) - 0.03


def test_halves_of_several_blocks_and_channels(case):
    signal, noise, samples, _ = case
    rng = np.random.default_rng(6)
    n1, n2 = rng.normal(size=(2, 12, 1, SIDE, SIDE))
    halves = tuple(signal[:, None] + n[:2] for n in (n1, n2))
    D, C = sum(halves) / 2, (n1 + n2)[2:] / 2
    constraint = CrossConstraint(halves=halves, samples=(n1[2:], n2[2:]), weight=0.5)
    whole = separate([constraint], C, D)
    assert np.std(whole - signal[:, None]) < 0.7 * np.std(D - signal[:, None])
    # a mixture at a time: draws are the same, and halves go with their mixtures
    blocks = separate([constraint], C, D, max_memory=1)
    np.testing.assert_allclose(blocks, whole, atol=0.05)


def test_several_channels_and_ancillary_maps():
    rng = np.random.default_rng(0)
    mixtures, samples = (torch.from_numpy(rng.normal(size=(n, 2, 16, 16))) for n in (1, 6))
    recipe = ScatteringTransform(n_scales=2, dtype="float64", device="cpu").fit(mixtures.numpy())
    describe = Description(recipe, mixtures)
    problem, _ = pose(mixtures, samples, describe, torch.ones(2, 1, 1), torch.zeros(1, 2, 1, 1))
    constraint = CrossConstraint(rng.normal(size=(3, 16, 16)), statistics=SPECTRUM)
    n_bins = (
        len(ScatteringTransform("power_spectrum", pairs="auto").fit(mixtures).feature_names_) // 2
    )
    assert constraint.statistic(mixtures, problem).shape == (1, 2 * 3 * n_bins)


def test_hidden_pixels_of_the_template_are_filled_as_those_of_the_mixture(made):
    signal, _, problem = made
    mask = np.ones((SIDE, SIDE), bool)
    mask[:2] = False
    template = np.random.default_rng(1).normal(size=(SIDE, SIDE))
    changed = template.copy()
    changed[:2] = 0.5 * changed[:2][:, ::-1]
    hidden = replace(problem, frame=Frame((SIDE, SIDE), mask))
    one, two = (
        # the mean and standard deviation differ with what is hidden
        CrossConstraint(x, statistics=SPECTRUM).statistic(signal, hidden)
        for x in (template, changed)
    )
    np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-9)


def test_repr_pickle_unit():
    template = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    constraint = pickle.loads(pickle.dumps(CrossConstraint(template * u.K, weight=2.0)))
    assert repr(constraint) == "CrossConstraint(ancillary of shape (1, 32, 32), weight=2.0)"
    halves = (template[None],) * 2
    text = repr(CrossConstraint(halves=halves, samples=(np.stack([template] * 2),) * 2))
    assert text == "CrossConstraint(halves of shape (1, 1, 32, 32), weight=1.0)"


GOOD = np.random.default_rng(0).normal(size=(2, 8, 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "ancillary and halves: neither given"),
        ({"ancillary": GOOD, "halves": (GOOD, GOOD)}, "ancillary and halves: both given"),
        ({"ancillary": GOOD[0, 0]}, "ancillary has maps of 8 pixels; expected 12 nside"),
        ({"ancillary": GOOD[None]}, r"ancillary has shape \(1, 2, 8, 8\); expected"),
        ({"halves": (GOOD[0], GOOD[0])}, r"halves\[0\] has maps of 8 pixels; expected 12 nside"),
        ({"ancillary": np.where(GOOD > 2, np.nan, GOOD).clip(-1, 1) * np.inf}, "ancillary has .* finite"),
        ({"ancillary": np.ones((8, 8))}, "ancillary has a constant map"),
        ({"ancillary": np.zeros((0, 8, 8))}, r"ancillary has shape \(0, 8, 8\)"),
        ({"ancillary": 1j * GOOD}, "Complex data not supported: ancillary"),
        ({"ancillary": GOOD, "samples": (GOOD, GOOD)}, "samples with ancillary"),
        ({"ancillary": GOOD, "statistics": "wst"}, "statistics='wst'; expected a ScatteringTransform"),
        ({"ancillary": GOOD, "weight": -1}, "weight=-1; expected"),
        ({"halves": GOOD}, "halves is ndarray; expected a tuple of two"),
        ({"halves": (GOOD,)}, "halves is 1 of them; expected"),
        ({"halves": (GOOD, GOOD)}, "samples=None with halves"),
        ({"halves": (GOOD, GOOD[:1]), "samples": (GOOD, GOOD)}, "halves have shapes"),
        ({"halves": (GOOD * u.K, GOOD), "samples": (GOOD, GOOD)}, r"halves\[0\] has unit 'K'"),
        ({"halves": (GOOD, GOOD), "samples": (GOOD[:1], GOOD[:1])}, r"samples have shape \(1, 1, 8, 8\)"),
        ({"halves": (GOOD, GOOD), "samples": (GOOD[..., 1:],) * 2}, "samples have shape"),
    ],
)  # fmt: skip
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        CrossConstraint(**arguments)


def test_what_does_not_fit_the_mixtures(made):
    signal, _, problem = made
    with pytest.raises(
        ValueError, match=r"ancillary has maps of \(8, 8\) pixels; expected \(32, 32\)"
    ):
        CrossConstraint(GOOD[0]).prepare(signal, problem)
    with pytest.raises(
        ValueError, match=r"halves have shape \(2, 1, 8, 8\); expected \(2, 1, 32, 32\)"
    ):
        CrossConstraint(halves=(GOOD, GOOD), samples=(GOOD, GOOD)).prepare(signal, problem)
    template = np.random.default_rng(1).normal(size=(SIDE, SIDE))
    with pytest.raises(ValueError, match="family='wst' has no cross coefficients; expected one of"):
        CrossConstraint(template, statistics=ScatteringTransform("wst")).prepare(signal, problem)


def test_borders(case):
    """Maps that are not periodic: the template and the halves are continued as the mixtures are."""
    signal, noise, samples, other = case
    D = (signal + noise)[:, :28, :24]
    template = (signal[0] + 0.3 * other)[:28, :24]
    halves = tuple(D + 0.5 * n[:28, :24] for n in (other, other.T))
    pairs = samples[:6, :28, :24], samples[6:12, :28, :24]
    for constraint in (CrossConstraint(template), CrossConstraint(halves=halves, samples=pairs)):
        found = separate([constraint], samples[:, :28, :24], D, periodic=False)
        assert np.std(found - signal[:, :28, :24]) < 0.7
