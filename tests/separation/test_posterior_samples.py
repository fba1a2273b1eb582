"""Draws from what a signal might be: `StatisticalSeparator.sample_posterior`."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skastro.separation import MixtureConstraint, SpectrumConstraint, StatisticalSeparator
from skastro.separation.hypotheses import suppose
from skastro.separation.problem import pose
from skastro.separation.spectra import Rings

SIDE = 32


def fields(rng, n, slope=-1.5, side=SIDE):
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    k[0, 0] = np.inf
    return np.fft.irfft2(
        np.fft.rfft2(rng.normal(size=(n, side, side))) * 8 * k**slope, s=(side, side)
    )


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    return fields(rng, 40), rng.normal(size=(40, SIDE, SIDE)), rng.normal(size=(20, SIDE, SIDE))


def separator(**options):
    options = {
        "max_iter": 6,
        "n_eras": 2,
        "random_state": 0,
        "device": "cpu",
        "periodic": True,
    } | options
    return StatisticalSeparator(**options)


def covered(samples, truth, level=0.68):
    """Whether intervals of samples, axis 1, that should hold a share of the truths hold them."""
    edges = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(samples, edges, axis=1, method="weibull")
    return (low < truth) & (truth < high)


def test_intervals_of_the_power_hold_the_truth_as_often_as_they_say(case):
    signal, noise, samples = case
    found = separator().fit(samples).sample_posterior(signal + noise, 15)
    assert found.shape == (40, 15, SIDE, SIDE) and found.dtype == np.float32
    rings = Rings((SIDE, SIDE))
    have, true, of_noise = (
        rings.power(torch.from_numpy(np.asarray(x, dtype=float))).numpy()
        for x in (found, signal, samples)
    )
    strong = true.mean(0) > 0.01 * of_noise.mean(0)
    share = covered(have, true)[:, strong].mean()
    assert 0.6 < share < 0.76


def test_the_scatter_is_the_error(case):
    signal, noise, samples = case
    found = separator().fit(samples).sample_posterior((signal + noise)[:10], 15)
    error = np.sqrt(np.mean((found.mean(1) - signal[:10]) ** 2))
    scatter = np.sqrt(np.mean(found.var(1, ddof=1)))
    assert 0.75 < scatter / error < 1.25
    # and each is a better map than the mixture
    assert np.sqrt(np.mean((found - signal[:10, None]) ** 2)) < 0.8


def test_hypotheses_of_gaussian_fields_are_the_posterior(case):
    signal, noise, samples = (torch.from_numpy(x)[:, None] for x in case)
    unit, offset = torch.ones(1, 1, 1), torch.zeros(400, 1, 1, 1)
    mixture = (signal + noise)[:1].expand(400, -1, -1, -1)
    problem, _ = pose(mixture, samples, None, unit, offset)
    # a spectrum that is known: mean and scatter of the modes in closed form
    known = type(problem)(**vars(problem) | {
        "uncertainty": problem.uncertainty * 1e-3, "shared": problem.shared * 1e-6,
    })  # fmt: skip
    drawn = suppose(known, 7, torch.Generator().manual_seed(0))
    modes = torch.fft.rfft2(drawn.wiener)
    mean, step = torch.fft.rfft2(problem.wiener)[0, 0], problem.step[0, 0] * SIDE
    # rings of few modes share the power that is set
    some = problem.fine.get("radius", step) > 4
    off = ((modes.mean(0)[0] - mean).abs() / step)[some]
    assert off.square().mean().sqrt() < 0.35
    ratio = (modes.std(0)[0] / step)[some]
    assert 0.8 < ratio.mean() < 1.1
    torch.testing.assert_close(problem.rings.power(drawn.wiener), drawn.power, rtol=1e-6, atol=0)
    assert set(drawn.chosen.tolist()) == set(range(7))
    # powers scatter as much as they are unsure, where that is not most of them
    drawn = suppose(problem, 7, torch.Generator().manual_seed(0))
    own = problem.uncertainty.square() - problem.shared
    expected = (own.clamp_min(0).log1p() + problem.shared.log1p()).sqrt()[0, 0]
    logs = (drawn.power / problem.power).log()[:, 0]
    assert (logs.std(0) / expected - 1).abs().max() < 0.15
    # neighbours of what is not seen have their error together
    assert torch.corrcoef(logs.T)[-1, -2] > 0.8 > torch.corrcoef(logs.T)[0, 1].abs()


def test_reproducible_and_never_the_same_twice(case):
    signal, noise, samples = case
    mixture = (signal + noise)[0]
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    model = separator(max_iter=2).fit(samples)
    first, again = model.sample_posterior(mixture, 3), model.sample_posterior(mixture, 3)
    other = model.sample_posterior(mixture, 3, random_state=5)
    assert first.shape == (3, SIDE, SIDE) and (first == again).all()
    assert np.abs(first - other).max() > 0.1 and np.abs(first[0] - first[1]).max() > 0.1
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    in_blocks = model.set_params(max_memory=1).sample_posterior((signal + noise)[:2], 2)
    assert in_blocks.shape == (2, 2, SIDE, SIDE)


def test_channels_masks_and_borders(case):
    signal, noise, samples = case
    both = np.stack([samples, samples[::-1]], 1)
    mixture = np.stack([signal[0] + noise[0], signal[1] + noise[1]])
    model = separator(max_iter=2, periodic=False).fit(both)
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[4:7, 4:7] = False
    found = model.sample_posterior(np.where(mask, mixture, np.nan), 2, mask)
    assert found.shape == (2, 2, SIDE, SIDE) and np.isfinite(found).all()


def test_bad_input(case):
    signal, noise, samples = case
    model = separator(max_iter=2).fit(samples)
    with pytest.raises(ValueError, match="n_samples=0; expected an integer of at least 1"):
        model.sample_posterior(signal[0], 0)
    with pytest.raises(ValueError, match=r"D has maps of 16 x 32 pixels; expected 32 x 32"):
        model.sample_posterior(signal[0, ::2])
    with pytest.raises(ValueError, match="D has nan at"):
        model.sample_posterior(np.where(signal[0] > 1, np.nan, signal[0]))
    with pytest.warns(UserWarning, match="zero everywhere"):
        same = separator().fit(0 * samples).sample_posterior(signal[0], 2)
    np.testing.assert_allclose(same, np.stack([signal[0]] * 2), atol=1e-5)


def test_interruption_leaves_whole_samples(case):
    signal, noise, samples = case

    class Stops(SpectrumConstraint):
        calls = 0

        def statistic(self, signal, problem):
            Stops.calls += 1
            if Stops.calls > 30:
                raise KeyboardInterrupt
            return super().statistic(signal, problem)

    model = separator(constraints=[MixtureConstraint(), Stops()], max_memory=1).fit(samples)
    with pytest.warns(ConvergenceWarning, match="interrupted: [1-9] of 10 samples"):
        found = model.sample_posterior(signal[0] + noise[0], 10)
    assert 1 <= len(found) < 10 and np.isfinite(found).all()


def test_interrupted_before_all_mixtures_had_one(case):
    signal, noise, samples = case

    class Stops(SpectrumConstraint):
        def statistic(self, signal, problem):
            raise KeyboardInterrupt

    mixtures = (signal + noise)[:3].astype(np.float32)
    model = separator(constraints=[Stops()], max_memory=1).fit(samples)
    with pytest.warns(ConvergenceWarning, match="interrupted: 1 of 2 samples"):
        found = model.sample_posterior(mixtures, 2)
    assert found.shape == (3, 1, SIDE, SIDE)
    # the first has what its search began with, the others are not reached: their mixtures
    assert not (found[0, 0] == mixtures[0]).all()
    np.testing.assert_array_equal(found[1:, 0], mixtures[1:])


def test_lists_do_too(case):
    signal, noise, samples = case
    mixture = signal[0] + noise[0]
    model = separator(max_iter=1).fit(samples)
    found = model.sample_posterior(mixture.tolist(), 2)
    np.testing.assert_array_equal(found, model.sample_posterior(mixture, 2))
