import pickle
import warnings

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score

from skastro.io import load, save
from skastro.scattering import ScatteringTransform
from skastro.separation import (
    Constraint,
    ContaminationConstraint,
    IndependenceConstraint,
    MixtureConstraint,
    SpectrumConstraint,
    StatisticalSeparator,
)
from skastro.separation.baselines import WienerFilter

SIDE = 64


def filaments(rng, n=1, side=SIDE):
    """Maps with a steep spectrum, sharp where a Gaussian field crosses zero."""
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    k[0, 0] = np.inf
    white = np.fft.rfft2(rng.normal(size=(n, side, side)))
    field = np.fft.irfft2(white * k**-2.0, s=(side, side))
    field = np.abs(field / field.std())
    return (field - field.mean()) / field.std()


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    signal, noise = filaments(rng, 2), rng.normal(size=(22, SIDE, SIDE))
    return signal, noise[:2], noise[2:]


def separator(**options):
    options = {
        "max_iter": 8,
        "n_eras": 2,
        "n_samples": 6,
        "random_state": 0,
        "device": "cpu",
        "periodic": True,
    } | options
    return StatisticalSeparator(**options)


def error(found, truth):
    return np.sqrt(np.mean((found - truth) ** 2))


def octave(maps, low, high):
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)) * SIDE
    inside = (k >= low) & (k < high)
    return (np.abs(np.fft.fft2(maps))[..., inside] ** 2).mean(-1)


def test_recovers_more_than_the_mixture_has_and_the_power_that_a_filter_loses(case):
    signal, noise, samples = case
    # the Wiener filter that knows the isotropic spectra of signal and noise
    k = np.round(np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)) * SIDE).astype(int)
    modes = np.fft.fft2(signal + noise)
    wiener = np.empty_like(signal)
    for i, one in enumerate(signal):
        power = np.abs(np.fft.fft2(one)) ** 2 / SIDE**2
        power = (np.bincount(k.ravel(), power.ravel()) / np.bincount(k.ravel()))[k]
        wiener[i] = np.fft.ifft2(modes[i] * power / (power + 1)).real
    model = separator(max_iter=25, n_eras=3, n_samples=12).fit(samples)
    found = model.transform(signal + noise)
    assert error(found, signal) < 0.5 * error(signal + noise, signal)
    # its power is that of the signal where the filter has lost it
    for low, high in ((4, 8), (8, 16)):
        ratio = octave(found, low, high) / octave(signal, low, high)
        assert np.abs(np.log(ratio)).max() < 0.3
    assert (octave(wiener, 8, 16) < 0.6 * octave(signal, 8, 16)).all()
    np.testing.assert_allclose(model.contamination_ + found, signal + noise, atol=1e-5)


def test_contamination_has_its_power_at_the_largest_scales(case):
    signal, noise, samples = case
    model = separator().fit(samples)
    model.transform(10 * signal + noise)
    expected = octave(samples, 1, 2).mean()
    assert np.abs(octave(model.contamination_, 1, 2) / expected - 1).max() < 0.3
    model.set_params(n_octaves_drawn=0).transform(10 * signal + noise)
    assert octave(model.contamination_, 1, 2).max() < 0.7 * expected


def test_a_batch_is_its_members(case):
    signal, noise, samples = case
    mixtures = signal + noise
    model = separator(dtype="float64", max_iter=4).fit(samples)
    together = model.transform(mixtures)
    alone = np.concatenate([model.transform(one[None]) for one in mixtures])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    in_blocks = model.set_params(max_memory=1).transform(mixtures)
    np.testing.assert_allclose(in_blocks, alone, atol=1e-6)
    assert model.history_[0]["mixture"].shape == (2,)


def test_random_state_fixes_all_and_leaves_the_global_state(case):
    signal, noise, samples = case
    mixture = (signal + noise)[:1]
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, again, other = (
        separator(random_state=seed, max_iter=2).fit(samples).transform(mixture)
        for seed in (0, 0, 1)
    )
    assert (first == again).all() and not (first == other).all()
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_units_and_scales_do_not_matter(case):
    signal, noise, samples = case
    mixture = (signal + noise)[:1]
    model = separator(dtype="float64", max_iter=3)
    plain = model.fit(samples).transform(mixture)
    moved = model.fit(1e-6 * (samples + 2)).transform(1e-6 * (mixture + 5))
    np.testing.assert_allclose(1e6 * moved - 3, plain, atol=1e-3)
    model.fit(samples * u.mJy)
    np.testing.assert_allclose(model.transform(1e-3 * mixture * u.Jy), plain, atol=1e-6)
    with pytest.raises(ValueError, match="unit"):
        model.transform(mixture * u.m)


def test_channels(case):
    signal, noise, samples = case
    maps, both = np.stack([signal, signal[::-1]], 1), np.stack([samples, 2 * samples[::-1]], 1)
    mixtures = maps + np.stack([noise, 2 * noise[::-1]], 1)
    model = separator(max_iter=3).fit(both)
    found = model.transform(mixtures[:1])
    assert found.shape == (1, 2, SIDE, SIDE) and found.dtype == np.float32
    for c in range(2):
        assert error(found[0, c], maps[0, c]) < 0.7 * error(mixtures[0, c], maps[0, c])


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "exact", "n_samples": 3},
        {"init": "data", "max_iter": 40},
        {"constraints": [MixtureConstraint()]},
        {
            "constraints": [
                MixtureConstraint(), ContaminationConstraint(), SpectrumConstraint(),
                IndependenceConstraint(),
            ]
        },
        {"statistics": ScatteringTransform("phase_harmonics", n_scales=4)},
        {"statistics": ScatteringTransform(["wst", "power_spectrum", "pdf"], n_scales=4)},
        {"statistics": ScatteringTransform(n_scales=4, reduction="isotropic")},
    ],
)  # fmt: skip
def test_each_option_beats_the_mixture(case, options):
    signal, noise, samples = case
    mixture = (signal + noise)[:1]
    model = separator(**({"max_iter": 6} | options)).fit(samples)
    found = model.transform(mixture)
    # from the data it is a long way
    share = 0.95 if options.get("init") == "data" else 0.7
    assert error(found, signal[:1]) < share * error(mixture, signal[:1])


def test_init_maps(case):
    signal, noise, samples = case
    mixtures = signal + noise
    found = separator(max_iter=1, n_eras=1, init=signal).fit(samples).transform(mixtures)
    assert error(found, signal) < 0.2
    with pytest.raises(ValueError, match="init has 1 maps; expected 2"):
        separator(init=signal[:1]).fit(samples).transform(mixtures)


def test_clone_pickle_search(case):
    signal, noise, samples = case
    mixtures = signal + noise
    recipe = ScatteringTransform(n_scales=3, n_orientations=2)
    model = separator(statistics=recipe, max_iter=2, n_eras=1)
    fitted = clone(model).fit(samples)
    copied = pickle.loads(pickle.dumps(fitted))
    assert (copied.transform(mixtures) == fitted.transform(mixtures)).all()
    assert not hasattr(model, "samples_") and not hasattr(recipe, "statistics_")


@pytest.mark.parametrize("constraints", [None, [MixtureConstraint(), SpectrumConstraint(0.2)]])
def test_saved_and_loaded(case, tmp_path, constraints):
    signal, noise, samples = case
    recipe = ScatteringTransform(n_scales=3, n_orientations=2)
    model = separator(statistics=recipe, constraints=constraints, max_iter=2, n_eras=1).fit(samples)
    save(model, tmp_path / "model.skops")
    copied = load(tmp_path / "model.skops")
    mixtures = signal + noise
    assert (copied.transform(mixtures) == model.transform(mixtures)).all()
    draws = [one.sample_posterior(mixtures[0], 2) for one in (model, copied)]
    assert (draws[0] == draws[1]).all()


def test_search_over_families_and_schedules(case):
    _, _, samples = case
    signals = filaments(np.random.default_rng(9), 8)
    mixtures = signals + samples[:8]
    # what is left of mixtures with known signals
    model = separator().fit(mixtures, signals)
    plain = separator().fit(samples[:8])
    np.testing.assert_allclose(model.samples_, plain.samples_, atol=1e-6)
    grid = {"statistics__family": ["covariance", "wst"], "schedule": ["eras", "exact"]}
    search = GridSearchCV(
        separator(
            statistics=ScatteringTransform(n_scales=3, n_orientations=2), max_iter=2, n_eras=1, n_samples=3
        ),
        grid, cv=2, error_score="raise",
    ).fit(mixtures, signals)  # fmt: skip
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores.round(6))) == 4 and (scores > -1).all()
    assert search.best_estimator_.transform(mixtures[:1]).shape == (1, SIDE, SIDE)
    assert np.isfinite(cross_val_score(WienerFilter(), mixtures, signals, cv=2)).all()
    with pytest.raises(ValueError, match=r"y has shape \(3, 64, 64\); expected \(8, 64, 64\)"):
        separator().fit(mixtures, signals[:3])
    with pytest.raises(ValueError, match="y has nan at"):
        separator().fit(mixtures, np.where(signals > 1, np.nan, signals))
    with pytest.raises(ValueError, match="y has unit 'Jy'; C has none"):
        separator().fit(mixtures, signals * u.Jy)


def test_score_is_minus_the_error(case):
    signal, noise, samples = case
    model = separator(max_iter=2).fit(samples)
    found = model.transform(signal + noise)
    expected = np.mean([error(a, b) / b.std() for a, b in zip(found, signal, strict=True)])
    assert model.score(signal + noise, signal) == pytest.approx(-expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"S has shape \(1, 64, 64\); expected \(2, 64, 64\)"):
        model.score(signal + noise, signal[:1])


def test_no_contamination_returns_the_mixture(case):
    signal, _, samples = case
    model = separator().fit(np.zeros_like(samples))
    with pytest.warns(UserWarning, match="contamination is zero everywhere"):
        found = model.transform(signal)
    np.testing.assert_allclose(found, signal, atol=1e-6)
    assert (np.abs(model.contamination_) < 1e-6).all()


def test_contamination_stronger_than_the_mixture(case):
    signal, noise, samples = case
    with pytest.warns(UserWarning, match=r"variance of 4\.\d+, more than the 1\.\d+ of mixture 0"):
        separator(max_iter=1, n_eras=1).fit(2 * samples).transform((0.3 * signal + noise)[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        separator(max_iter=1, n_eras=1).fit(samples).transform((signal + noise)[:1])


def test_bad_samples(case):
    _, _, samples = case
    with pytest.raises(
        ValueError, match="C has 1 sample of the contamination; expected at least 2"
    ):
        separator().fit(samples[:1])
    with pytest.raises(ValueError, match="C has nan at"):
        separator().fit(np.where(samples > 3, np.nan, samples))
    with pytest.raises(ValueError, match=r"C has shape \(0, 64, 64\); expected"):
        separator().fit(samples[:0])
    with pytest.raises(ValueError, match=r"C\(12, random_state\) returned 3 maps; expected 12"):
        separator().fit(lambda n, random_state: samples[:3])
    both = np.stack([samples, 0 * samples], 1)
    with pytest.raises(ValueError, match="C is constant in channel 1"):
        separator().fit(both).transform(both[:1])


def test_bad_mixtures(case):
    signal, noise, samples = case
    mixtures, model = signal + noise, separator().fit(samples)
    with pytest.raises(ValueError, match="D has maps of 32 x 64 pixels; expected 64 x 64"):
        model.transform(mixtures[:, ::2])
    with pytest.raises(ValueError, match="D has nan at"):
        model.transform(np.where(mixtures > 2, np.nan, mixtures))
    with pytest.raises(ValueError, match=r"D has shape \(64, 64\)"):
        model.transform(mixtures[0])
    with pytest.raises(ValueError, match="D has a constant map, number 1, channel 0"):
        model.transform(np.stack([mixtures[0], np.ones((SIDE, SIDE))]))
    with pytest.raises(ValueError, match="expected at least one Constraint"):
        separator(constraints=[]).fit(samples).transform(mixtures)
    with pytest.raises(ValueError, match="output='local'; expected 'global'"):
        local = ScatteringTransform("wst", output="local", n_scales=2)
        separator(statistics=local).fit(samples).transform(mixtures)


def test_a_constraint_without_variance(case):
    signal, noise, samples = case

    class Nothing(Constraint):
        name = "nothing"

        def statistic(self, signal, problem):
            return signal.mean(dim=(2, 3))

        def goal(self, signal, problem):
            return signal.new_zeros(1), signal.new_zeros(1)

    with pytest.raises(
        ValueError, match="constraint 'nothing' has zero variance over the 6 samples"
    ):
        separator(constraints=[Nothing()]).fit(samples).transform(signal + noise)
    same = np.repeat(samples[:1], 5, axis=0)
    with pytest.raises(ValueError, match="constraint 'mixture' has zero variance"):
        separator().fit(same).transform(signal + noise)


def test_interruption_returns_the_best_so_far(case):
    signal, noise, samples = case
    mixtures = signal + noise

    class Stops(SpectrumConstraint):
        calls = 0

        def statistic(self, signal, problem):
            Stops.calls += 1
            if Stops.calls > 12:
                raise KeyboardInterrupt
            return super().statistic(signal, problem)

    model = separator(constraints=[MixtureConstraint(), Stops()]).fit(samples)
    with pytest.warns(ConvergenceWarning, match="interrupted: 2 of 2 signals"):
        found = model.transform(mixtures)
    assert error(found, signal) < 0.6 * error(mixtures, signal)


def test_verbose_shows_each_constraint(case, capsys):
    signal, noise, samples = case
    separator(max_iter=2, n_eras=1, verbose=1).fit(samples).transform((signal + noise)[:1])
    shown = capsys.readouterr().err
    assert all(f"{name}=" in shown for name in ("mixture", "spectrum", "wiener"))


def test_hidden_pixels(case):
    signal, noise, samples = case
    y, x = np.indices((SIDE, SIDE))
    mask = np.hypot(y - 20, x - 30) > 5
    mixtures = np.where(mask, signal + noise, np.nan)
    model = separator().fit(samples)
    found = model.transform(mixtures, mask=mask)
    assert error(found[:, mask], signal[:, mask]) < 0.5 * error(mixtures[:, mask], signal[:, mask])
    # better than the mean where nothing is seen
    assert error(found[:, ~mask], signal[:, ~mask]) < 0.8 * error(0.0, signal[:, ~mask])
    assert (np.isnan(model.contamination_) == ~np.broadcast_to(mask, mixtures.shape)).all()
    with pytest.raises(ValueError, match=r"mask has shape \(32, 64\)"):
        model.transform(mixtures, mask=mask[:32])
    model.set_params(max_iter=1)
    all_seen = model.transform(signal + noise, mask=np.ones((SIDE, SIDE), dtype=bool))
    assert (all_seen == model.transform(signal + noise)).all()


def test_borders(case):
    rng = np.random.default_rng(3)
    signal = 3 * filaments(rng, 1, 2 * SIDE)[:, 20 : 20 + SIDE, 20 : 20 + SIDE]
    _, noise, samples = case
    mixture = signal + noise[:1]
    edge = np.ones((SIDE, SIDE), dtype=bool)
    edge[4:-4, 4:-4] = False
    errors = {}
    for periodic in (True, False):
        model = separator(periodic=periodic, max_iter=15).fit(samples)
        found = model.transform(mixture)
        errors[periodic] = error(found[:, edge], signal[:, edge])
        np.testing.assert_allclose(model.contamination_ + found, mixture, atol=1e-5)
    assert errors[False] < 0.95 * errors[True]
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[:5, :5] = False
    found = separator(periodic=False).fit(samples).transform(np.where(mask, mixture, np.nan), mask)
    assert error(found[:, mask], signal[:, mask]) < 0.6
    start = separator(periodic=False, init=signal, max_iter=1, n_eras=1).fit(samples)
    assert error(start.transform(mixture), signal) < 0.2


def test_one_signal_in_channels(case):
    signal, noise, samples = case
    amplitudes, levels = np.array([1.0, 0.5, 2.0]), np.array([1.0, 0.2, 2.0])[:, None, None]
    rng = np.random.default_rng(4)
    both = levels * rng.normal(size=(20, 3, SIDE, SIDE)) + 0.3
    mixtures = amplitudes[:, None, None] * signal[:, None]
    mixtures = mixtures + levels * rng.normal(size=(2, 3, SIDE, SIDE)) + 0.3
    model = separator(mixing=amplitudes, max_iter=15).fit(both)
    found = model.transform(mixtures)
    assert found.shape == (2, SIDE, SIDE) and model.contamination_.shape == mixtures.shape
    rest = mixtures - amplitudes[:, None, None] * found[:, None]
    np.testing.assert_allclose(model.contamination_, rest, atol=1e-5)
    # as well as one map with the noise of the best combination
    level = 1 / np.sqrt(np.sum((amplitudes / levels[:, 0, 0]) ** 2))
    single = separator(max_iter=15).fit(level * samples)
    expected = error(single.transform(signal + level * noise), signal)
    assert error(found, signal) < 1.15 * expected
    assert model.score(mixtures, signal) > -1.15 * expected
    trained = separator(mixing=amplitudes, max_iter=1).fit(mixtures, signal)
    rest = mixtures - amplitudes[:, None, None] * signal[:, None]
    np.testing.assert_allclose(trained.combination_.mean_, rest.mean((0, 2, 3)), atol=1e-6)
    assert model.sample_posterior(mixtures[0], 2).shape == (2, SIDE, SIDE)
    # hidden pixels of all channels
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[10:14, 10:14] = False
    hidden = model.transform(np.where(mask, mixtures, np.nan), mask)
    assert error(hidden[:, mask], signal[:, mask]) < 1.3 * expected
    with pytest.raises(ValueError, match=r"mixing has shape \(2,\); expected \(3,\)"):
        separator(mixing=[1, 2]).fit(both)
    with pytest.raises(ValueError, match="D has a constant map, number 1, channel 0"):
        model.transform(np.stack([mixtures[0], np.ones_like(mixtures[0])]))


def test_samples_from_a_function(case):
    signal, noise, samples = case
    model = separator(max_iter=15)
    drawn = model.fit(lambda n, random_state: random_state.normal(size=(n, SIDE, SIDE)))
    assert drawn.samples_.shape == (12, 1, SIDE, SIDE)
    again = clone(model).fit(lambda n, random_state: random_state.normal(size=(n, SIDE, SIDE)))
    assert (again.samples_ == drawn.samples_).all()
    expected = error(clone(model).fit(samples[:12]).transform(signal + noise), signal)
    assert error(drawn.transform(signal + noise), signal) < 1.1 * expected


def test_samples_from_one_map(case):
    signal, _, _ = case
    rng = np.random.default_rng(5)
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    modes = np.fft.rfft2(rng.normal(size=(12, SIDE, SIDE))) * k**-0.7
    fields = np.fft.irfft2(modes, s=(SIDE, SIDE))
    fields /= fields.std()
    fields += 0.4 * fields**2  # not Gaussian
    fields -= fields.mean()
    mixture = (signal + fields[0])[:1]
    model = separator(max_iter=15).fit(fields[1])
    assert model.samples_.shape == (6, 1, SIDE, SIDE)
    # their power and skewness are those of the map
    for low, high in ((4, 8), (8, 16), (16, 32)):
        ratio = octave(model.samples_[:, 0], low, high) / octave(fields[1], low, high)
        assert np.abs(ratio - 1).max() < 0.15
    skewness = np.mean(model.samples_**3) / np.mean(model.samples_**2) ** 1.5
    assert skewness == pytest.approx(np.mean(fields[1] ** 3) / fields[1].std() ** 3, abs=0.15)
    expected = error(separator(max_iter=15).fit(fields[2:]).transform(mixture), signal[:1])
    assert error(model.transform(mixture), signal[:1]) < 1.1 * expected
    with pytest.raises(ValueError, match="C has nan at"):
        separator().fit(np.where(fields[1] > 2, np.nan, fields[1]))
    with pytest.warns(UserWarning, match="contamination is zero everywhere"):
        separator().fit(np.zeros((SIDE, SIDE))).transform(mixture)
