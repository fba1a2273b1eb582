import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skastro.density import MixtureDensityNetwork
from skastro.scattering import PowerSpectrum, ScatteringTransform
from skastro.separation import StatisticPosterior

SIDE = 32


def filaments(rng, n=1, side=SIDE):
    """Maps with a steep spectrum, sharp where a Gaussian field crosses zero."""
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    k[0, 0] = np.inf
    white = np.fft.rfft2(rng.normal(size=(n, side, side)))
    field = np.fft.irfft2(white * k**-2.0, s=(side, side))
    field = np.abs(field / field.std())
    return (field - field.mean()) / field.std()


def posterior(**options):
    recipe = ScatteringTransform("wst", n_scales=3, reduction="isotropic", logarithm=True)
    options = {
        "n_components": 5, "n_pilots": 40, "n_simulations": 60, "max_iter": 5, "max_epochs": 15,
        "random_state": 0, "device": "cpu",
    } | options  # fmt: skip
    return StatisticPosterior(options.pop("statistics", recipe), **options)


def quick(**options):
    return posterior(
        **{"n_rounds": 1, "n_pilots": 10, "n_simulations": 10, "max_iter": 1, "max_epochs": 1}
        | {"n_components": 2}
        | options
    )


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    signal, noise = filaments(rng)[0], 0.5 * rng.normal(size=(25, SIDE, SIDE))
    return signal, signal + noise[0], noise[1:]


@pytest.fixture(scope="module")
def fitted(case):
    return posterior().fit(case[2]).infer(case[1])


def test_bias_is_taken_off_and_the_truth_within_the_error_bars(case, fitted):
    signal, mixture, _ = case
    truth, drawn = fitted.describe(signal[None])[0], fitted.sample(1000)
    np.testing.assert_allclose(fitted.observed_, fitted.describe(mixture[None])[0], atol=1e-5)
    assert drawn.shape == (1000, len(truth)) == (1000, len(fitted.get_feature_names_out()))
    error = drawn.mean(0) - truth
    assert np.sqrt(np.mean(error**2)) < 0.3 * np.sqrt(np.mean((fitted.observed_ - truth) ** 2))
    assert np.sqrt(np.mean((error / drawn.std(0)) ** 2)) < 2
    # and the bars say something: less than what the contamination changes
    assert np.median(drawn.std(0)) < 0.5 * np.median(np.abs(fitted.observed_ - truth))


def test_power_of_white_fields_has_the_posterior_in_closed_form():
    # of N modes, the power of a sum is that of the signal P, plus one of variance 2 sigma^4 / N, plus
    # twice a product of variance P sigma^2 / N
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(SIDE, SIDE)), rng.normal(size=(200, SIDE, SIDE))
    mixture = signal + noise[0]
    model = posterior(
        statistics=ScatteringTransform("power_spectrum", n_scales=2),
        n_components=40, n_rounds=1, n_pilots=100, n_simulations=400, max_iter=8, n_mixtures=1,
    )  # fmt: skip
    drawn = np.exp(model.fit(noise[1:]).infer(mixture).sample(4000))
    rings = PowerSpectrum((SIDE, SIDE))
    scaled = (mixture - mixture.mean()) / mixture.std()
    whole = rings(torch.from_numpy(scaled)[None])[0].numpy()
    level = 1 / mixture.var()
    expected = whole - level
    std = np.sqrt((2 * level**2 + 4 * expected * level) / rings.counts)
    # rings with many modes, for which it is Gaussian and no power comes near 0
    some = rings.counts > 40
    # powers are given in units of the mixture's
    np.testing.assert_allclose(model.observed_, 0, atol=1e-4)
    error = (drawn.mean(0) * whole - expected)[some] / std[some]
    ratio = (drawn.std(0) * whole / std)[some]
    assert some.sum() > 8
    assert np.sqrt(np.mean(error**2)) < 0.25
    assert abs(ratio.mean() - 1) < 0.15 and np.abs(ratio - 1).max() < 0.4


def test_posterior_is_narrower_than_its_prior_and_rounds_cut_it(fitted):
    positions = fitted.space_.reduce(fitted.sample(1000))
    assert (positions.std(0) < fitted.prior_width).all()
    assert fitted.prior_.holds(positions).mean() > 0.9
    assert np.isfinite(fitted.prior_.low).all()
    first = fitted.simulations_[0][:60].std(0)
    assert (fitted.simulations_[0][60:].std(0) < 1.1 * first).all()
    assert fitted.simulations_[1].shape == (120, 4, len(fitted.observed_))


def test_maps_have_statistics_of_the_posterior(case, fitted):
    maps = fitted.sample_maps(8)
    assert maps.shape == (8, SIDE, SIDE) and maps.dtype == np.float32
    drawn, have = fitted.sample(1000), fitted.describe(maps)
    error = (have.mean(0) - drawn.mean(0)) / drawn.std(0)
    assert np.sqrt(np.mean(error**2)) < 1
    # structures are not those of the signal
    assert np.abs([np.corrcoef(one.ravel(), case[0].ravel())[0, 1] for one in maps]).mean() < 0.6


def test_log_prob_is_highest_where_draws_are(case, fitted):
    drawn = fitted.sample(500)
    far = drawn + 3 * (case[1].std() + drawn.std(0))
    assert fitted.log_prob(drawn).min() > fitted.log_prob(far).max()
    positions = fitted.space_.reduce(drawn)
    # a mixture of Gaussians is never above the sum of its peaks; its mean is near minus the entropy
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.cov(positions.T))[1]
    assert fitted.log_prob(drawn).mean() == pytest.approx(-entropy, abs=1.0)
    with pytest.raises(ValueError, match="statistics has shape"):
        fitted.log_prob(drawn[:, 1:])
    with pytest.raises(ValueError, match="finite numbers"):
        fitted.log_prob(drawn * np.nan)


def test_ranks_are_uniform_and_tell_narrow_error_bars(fitted, monkeypatch):
    found = fitted.simulation_ranks(60)
    assert found.ranks.shape == (60, 5) and found.ranks.max() <= found.n_draws == 99
    assert found.p_value > 0.001
    draw = type(fitted)._draw

    def narrow(self, *arguments):
        drawn = draw(self, *arguments)
        return drawn.mean(0) + 0.3 * (drawn - drawn.mean(0))

    monkeypatch.setattr(type(fitted), "_draw", narrow)
    with pytest.warns(UserWarning, match="ranks of component . are not uniform"):
        assert fitted.simulation_ranks(60).p_value < 1e-4
    with pytest.raises(ValueError, match="expected at least 20"):
        fitted.simulation_ranks(10)


def test_random_state_fixes_all_and_leaves_the_global_state(case):
    _, mixture, samples = case
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    one, two, other = (
        quick(random_state=seed).fit(samples).infer(mixture).sample(3) for seed in (0, 0, 1)
    )
    assert (one == two).all() and not (one == other).all()
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_clone_and_pickle(fitted):
    copied = pickle.loads(pickle.dumps(fitted))
    assert (copied.sample(5) == fitted.sample(5)).all()
    assert not (copied.sample(5, random_state=1) == fitted.sample(5)).any()
    fresh = clone(fitted)
    assert not hasattr(fresh, "samples_") and not hasattr(fresh.statistics, "statistics_")
    with pytest.raises(NotFittedError):
        fresh.sample(2)


def test_units(case):
    _, mixture, samples = case
    plain = quick(dtype="float64").fit(samples).infer(mixture)
    other = quick(dtype="float64").fit(1e3 * samples * u.mJy).infer(mixture * u.Jy)
    np.testing.assert_allclose(other.sample(3), plain.sample(3), atol=1e-5)
    np.testing.assert_allclose(other.sample_maps(1), 1e3 * plain.sample_maps(1), rtol=1e-3, atol=1)
    with pytest.raises(ValueError, match="unit"):
        other.infer(mixture * u.m)


def test_channels_and_other_statistics(case):
    _, mixture, samples = case
    both = np.stack([samples, 2 * samples[::-1]], 1)
    model = quick(statistics=ScatteringTransform("covariance", n_scales=2, n_orientations=2))
    model.fit(both).infer(np.stack([mixture, mixture.T]))
    assert model.sample_maps(2).shape == (2, 2, SIDE, SIDE)
    assert np.isfinite(model.sample(3)).all()


def test_noise_alone_and_two_samples(case):
    _, _, samples = case
    model = quick().fit(samples[:2]).infer(samples[3])
    assert np.isfinite(model.sample(5)).all() and np.isfinite(model.sample_maps(1)).all()
    # what was inferred with other samples is forgotten
    with pytest.raises(NotFittedError):
        model.fit(samples).sample(1)


def test_a_network_of_ones_own(case):
    _, mixture, samples = case

    def recipe(n_features, n_outputs):
        return MixtureDensityNetwork(n_features, n_outputs, n_mixtures=1, hidden=())

    model = quick(network=recipe).fit(samples).infer(mixture)
    assert model.net_.module_.n_mixtures == 1


def test_bad_input(case):
    _, mixture, samples = case
    with pytest.raises(
        ValueError, match="C has 1 sample of the contamination; expected at least 2"
    ):
        quick().fit(samples[:1])
    with pytest.raises(ValueError, match="C has a constant map"):
        quick().fit(np.zeros_like(samples))
    with pytest.raises(ValueError, match="C has nan at"):
        quick().fit(np.where(samples > 1, np.nan, samples))
    model = quick().fit(samples)
    with pytest.raises(ValueError, match="d has a constant map"):
        model.infer(np.ones((SIDE, SIDE)))
    with pytest.raises(ValueError, match="d has inf at"):
        model.infer(np.where(mixture > 2, np.inf, mixture))
    with pytest.raises(ValueError, match=r"d has maps of 16 x 32 pixels; expected 32 x 32"):
        model.infer(mixture[:16])
    with pytest.raises(ValueError, match=r"d has shape \(1, 32, 32\); expected \(h, w\)"):
        model.infer(mixture[None])
    with pytest.raises(ValueError, match=r"d has shape \(0, 32\)"):
        model.infer(mixture[:0])
    with pytest.raises(ValueError, match="d has 3 channels; expected 2"):
        quick().fit(np.stack([samples, samples], 1)).infer(np.stack([mixture] * 3))
    with pytest.raises(ValueError, match="output='local'"):
        quick(statistics=ScatteringTransform("wst", output="local")).fit(samples).infer(mixture)
    with pytest.raises(ValueError, match="n_rounds"):
        quick(n_rounds=0).fit(samples)
    with pytest.raises(NotFittedError):
        quick().infer(mixture)
