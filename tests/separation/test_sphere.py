import pickle
import warnings

import numpy as np
import pytest
import torch
from astropy import units as u
from scipy.stats import skew, wasserstein_distance
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV

from skastro.datasets import make_sphere_fields
from skastro.healpix import nested_of_ring, ring_layout, ring_of_nested
from skastro.scattering import ScatteringTransform, SphericalScatteringTransform
from skastro.separation import (
    Constraint,
    ContaminationConstraint,
    CrossConstraint,
    IndependenceConstraint,
    LocalConstraint,
    MixtureConstraint,
    PixelConstraint,
    SpectrumConstraint,
    SphericalSeparator,
    WienerConstraint,
)
from skastro.separation.harmonics import Degrees, SphericalHarmonics

NSIDE = 8
N_PIXELS = 12 * NSIDE**2


def case(seed, nside=NSIDE, n=2):
    """Log-normal signals of variance 1, white noise, and samples of it."""
    signal = make_sphere_fields(
        n, nside, "lognormal", index=2.0, scatter=0.8, random_state=seed
    ).maps
    signal = signal.astype(float)
    signal -= signal.mean(1, keepdims=True)
    signal /= signal.std(1, keepdims=True)
    noise = np.random.default_rng(seed).normal(size=(n + 16, 12 * nside**2))
    return signal, noise[:n], noise[n:]


def separator(**options):
    options = {
        "max_iter": 6,
        "n_eras": 2,
        "n_samples": 6,
        "random_state": 0,
        "device": "cpu",
    } | options
    return SphericalSeparator(**options)


@pytest.fixture(scope="module")
def small():
    return case(0)


def test_beats_the_wiener_filter_of_true_spectra():
    signal, noise, samples = case(3, nside=16)
    D = signal + noise
    degrees = Degrees(SphericalHarmonics(16, 32))
    maps = torch.from_numpy(np.stack([signal, D]))
    power, _ = degrees.power(maps)
    wiener = degrees.filter(maps[1], degrees.spread(power / (power + 1))).numpy()
    found = separator(max_iter=20, n_samples=12).fit(samples).transform(D).astype(float)
    errors = {
        name: np.std(x - signal, axis=1) for name, x in [("d", D), ("w", wiener), ("s", found)]
    }
    # it knows more than the filter that is given the true spectrum: the field is not Gaussian
    assert (errors["s"] < 0.5 * errors["d"]).all() and (errors["s"] < 1.02 * errors["w"]).all()
    for i in range(2):
        far = [wasserstein_distance(x[i], signal[i]) for x in (found, wiener)]
        assert far[0] < 0.8 * far[1]
    missing = np.abs(
        skew(signal, axis=1)[:, None] - np.stack([skew(x, axis=1) for x in (found, wiener)], 1)
    )
    assert (missing[:, 0] < missing[:, 1]).all()
    # octaves, the last one with a third of the noise's power
    for low, high, most in ((2, 4, 0.25), (4, 8, 0.2), (8, 16, 0.2), (16, 33, 0.3)):
        band = (degrees.wavenumbers >= low) & (degrees.wavenumbers < high)
        weights = degrees.counts * band
        ratio = (degrees.power(torch.from_numpy(found)).numpy() @ weights) / (
            power.numpy() @ weights
        )
        assert np.abs(np.log(ratio)).max() < most
        if low == 16:
            kept = (degrees.power(torch.from_numpy(wiener)).numpy() @ weights) / (
                power.numpy() @ weights
            )
            assert (kept < 0.6).all()


def test_parts_sum_up_and_the_signal_has_no_finer_degrees(small):
    signal, noise, samples = small
    model = separator(max_degree=10).fit(samples)
    D = signal + noise
    found = model.transform(D)
    assert found.dtype == np.float32 and model.max_degree_ == 10
    np.testing.assert_allclose(found + model.contamination_, D, atol=1e-5)
    wide = SphericalHarmonics(NSIDE, 16)
    modes = wide.analysis(torch.from_numpy(found.astype(float)))
    assert modes[:, wide.degree > 10].abs().max() < 1e-2 * modes.abs().max()
    assert found.mean(1) == pytest.approx(D.mean(1) - samples.mean(), abs=1e-3)
    assert set(model.history_[-1]) == {"mixture", "spectrum", "wiener"}
    assert model.history_[-1]["wiener"].shape == (2,)


def test_the_dipole_is_drawn_with_its_power(small):
    signal, noise, samples = small
    harmonics = SphericalHarmonics(NSIDE, 16)
    dipole = np.flatnonzero(harmonics.degree == 1)
    D = 10 * signal + noise
    model = separator().fit(samples)
    model.transform(D)
    taken = harmonics.analysis(torch.from_numpy(model.contamination_.astype(float)))[:, dipole]
    # that of the samples, of white noise 1 a mode, less what the filter knows
    power = harmonics.analysis(torch.from_numpy(samples))[:, dipole].square().mean()
    np.testing.assert_allclose(taken.square().mean(1), float(power), rtol=0.1)
    assert power == pytest.approx(1.0, abs=4 * np.sqrt(2 / (3 * len(samples))))
    model = separator(n_octaves_drawn=0).fit(samples)
    model.transform(D)
    taken = harmonics.analysis(torch.from_numpy(model.contamination_.astype(float)))[:, dipole]
    assert (taken.square().mean(1) < 0.3).all()


def test_order_of_the_pixels(small):
    signal, noise, samples = small
    D, nested = signal + noise, ring_of_nested(NSIDE)
    options = {"n_octaves_drawn": 0, "dtype": "float64"}  # a draw depends on the order
    ring = separator(**options).fit(samples).transform(D)
    found = separator(order="nested", **options).fit(samples[:, nested]).transform(D[:, nested])
    np.testing.assert_allclose(found[:, nested_of_ring(NSIDE)], ring, atol=1e-4)


def test_random_state_fixes_all_and_leaves_the_global_state(small):
    signal, noise, samples = small
    state, own = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    found = [separator(random_state=s).fit(samples).transform(signal + noise) for s in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(own, np.random.get_state()[1])  # noqa: NPY002


def test_units_and_channels(small):
    signal, noise, samples = small
    D = signal + noise
    plain = separator().fit(samples).transform(D)
    model = separator().fit(1000 * samples * u.mK)
    np.testing.assert_allclose(model.transform(D * u.K), 1000 * plain, atol=60)
    both = separator().fit(np.stack([samples, 2 * samples[::-1]], 1))
    found = both.transform(np.stack([D, 2 * D[::-1]], 1))
    assert found.shape == (2, 2, N_PIXELS) and both.contamination_.shape == found.shape
    assert np.std(found[:, 0] - signal) < 0.7 and np.std(found[:, 1] - 2 * signal[::-1]) < 1.4


def test_a_batch_is_its_members(small):
    signal, noise, samples = small
    D = signal + noise
    whole = separator().fit(samples).transform(D)
    model = separator(max_memory=1).fit(samples)
    np.testing.assert_allclose(model.transform(D), whole, atol=0.05)
    assert model.history_[0]["mixture"].shape == (2,)


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "exact", "n_samples": 3, "max_iter": 4},
        {"statistics": SphericalScatteringTransform(2, n_orientations=2, reduction=None)},
        {"constraints": [MixtureConstraint(), ContaminationConstraint(0.3), WienerConstraint(8.0)]},
        {"constraints": [MixtureConstraint(), IndependenceConstraint(), WienerConstraint(8.0)]},
        {"constraints": [SpectrumConstraint(), WienerConstraint(8.0)]},
    ],
)
def test_each_option_beats_the_mixture(small, options):
    signal, noise, samples = small
    found = separator(**options).fit(samples).transform(signal + noise)
    assert np.std(found - signal) < 0.6


def test_known_pixels(small):
    signal, noise, samples = small
    # of a signal without finer degrees
    degrees = Degrees(SphericalHarmonics(NSIDE, 16))
    signal = degrees.filter(torch.from_numpy(signal), 1.0).numpy() + 5.0
    known = np.full(N_PIXELS, np.nan)
    known[200:400] = signal[0, 200:400]
    constraints = [WienerConstraint(), PixelConstraint(known, sigma=0.02, weight=30.0)]
    model = separator(constraints=constraints, max_iter=40).fit(samples)
    found = model.transform((signal + noise)[:1])[0]
    assert np.abs(found - signal[0])[200:400].mean() < 0.15 < np.abs(found - signal[0])[500:].mean()


def test_clone_pickle_search(small):
    signal, noise, samples = small
    model = separator(constraints=[MixtureConstraint(0.5), WienerConstraint(8.0)])
    assert clone(model).get_params()["n_eras"] == 2
    with pytest.raises(NotFittedError):
        model.transform(signal)
    model.fit(samples)
    found = pickle.loads(pickle.dumps(model)).transform(signal + noise)
    np.testing.assert_array_equal(found, model.transform(signal + noise))
    expected = -np.mean(np.std(found - signal, axis=1) / np.std(signal, axis=1))
    assert model.score(signal + noise, signal) == pytest.approx(expected, rel=0.02)
    search = GridSearchCV(
        separator(max_iter=2, n_eras=1), {"max_degree": [4, 12]}, cv=[(np.arange(8), np.arange(2))],
        scoring=lambda model, X, y=None: model.score(signal + noise, signal),
    )  # fmt: skip
    assert search.fit(samples).best_params_ == {"max_degree": 12}


def test_bad_samples():
    rng = np.random.default_rng(0)
    good = rng.normal(size=(4, N_PIXELS))
    bad = good.copy()
    bad[1, 5] = np.nan
    for samples, message in [
        (good[:1], "C has 1 sample of the contamination; expected at least 2"),
        (good[:, :700], "C has maps of 700 pixels; expected 12 nside"),
        (good[:, : 12 * 2**2], "C has nside 2; expected 4 to 64"),
        (rng.normal(size=(2, 12 * 128**2)).astype(np.float32), "C has nside 128; expected 4 to 64"),
        (good[0], "C has shape"),
        (bad, "C has nan in map 1, channel 0, pixel 5"),
        (np.where(good == good[2, 7], np.inf, good), "C has inf in map 2, channel 0, pixel 7"),
        (np.ones((3, N_PIXELS)), "C has a constant map"),
        (1j * good, "Complex data not supported"),
        (np.zeros((0, N_PIXELS)), "C has shape"),
    ]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=message):
                separator().fit(samples)
    with pytest.raises(ValueError, match="max_degree=17; expected at most 16, 2 nside"):
        separator(max_degree=17).fit(good)
    for options in (
        {"order": "zigzag"},
        {"max_degree": 0},
        {"n_samples": 1},
        {"statistics": "wst"},
    ):
        with pytest.raises(ValueError, match="The '.*' parameter of SphericalSeparator"):
            separator(**options).fit(good)


def test_bad_mixtures(small):
    signal, noise, samples = small
    D = signal + noise
    model = separator().fit(samples)
    bad = D.copy()
    bad[0, 3] = np.inf
    for mixtures, message in [
        (D[:, :192], "D has maps of 192 pixels; expected 768"),
        (np.stack([D, D], 1), r"D has 2 channel\(s\); expected 1"),
        (bad, "D has inf in map 0"),
        (0 * D, "D has a constant map"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.transform(mixtures)
    with pytest.raises(ValueError, match="expected at least one Constraint"):
        separator(constraints=["mixture"]).fit(samples).transform(D)
    with pytest.raises(ValueError, match=r"S has shape \(1, 768\); expected \(2, 768\)"):
        model.score(D, signal[:1])
    with pytest.warns(UserWarning, match="hardly any signal can be told"):
        separator(max_iter=1, n_eras=1).fit(samples).transform(0.1 * D)


def test_interruption_returns_the_best_so_far(small):
    signal, noise, samples = small

    class Stop(Constraint):
        name = "stop"
        calls = 0

        def statistic(self, signal, problem):
            Stop.calls += 1
            if Stop.calls > 3:
                raise KeyboardInterrupt
            return signal.flatten(1)

        def goal(self, signal, problem):
            return signal.flatten(1), signal.new_ones(1)

    D = signal + noise
    model = separator(constraints=[WienerConstraint(), Stop()], max_memory=1).fit(samples)
    with pytest.warns(ConvergenceWarning, match="1 of 2 signals are the best until then"):
        found = model.transform(D)
    assert np.std(found[0] - signal[0]) < 0.8
    np.testing.assert_allclose(found[1], D[1], atol=1e-6)


def northern(nside=NSIDE):
    z, _, sizes, _ = ring_layout(nside)
    return np.repeat(z, sizes) > 0


@pytest.mark.parametrize("order", ["ring", "nested"])
def test_regions_have_the_masked_statistics(small, order):
    """Of the public transform with a mask, normalised by the powers of the mixture there."""
    signal, noise, samples = small
    north, pixels = northern(), slice(None)
    if order == "nested":
        pixels = ring_of_nested(NSIDE)
    seen = {}

    class Spy(Constraint):
        name = "spy"

        def goal(self, signal, problem):
            local = LocalConstraint(np.stack([north, ~north])[:, pixels])
            seen["values"] = local.statistic(problem.mixtures, problem)
            return signal.flatten(1), signal.new_ones(1)

        def statistic(self, signal, problem):
            return signal.flatten(1)

    recipe = SphericalScatteringTransform(1, order=order, dtype="float64", device="cpu")
    D = (signal + noise)[:, pixels]
    model = separator(
        statistics=recipe, constraints=[Spy()], order=order, max_iter=1, n_eras=1, dtype="float64"
    )
    model.fit(samples[:, pixels]).transform(D)
    expected = []
    for mask in (north, ~north):
        values = clone(recipe).fit(D, mask=mask[pixels]).transform(D)
        names = clone(recipe).fit(D).get_feature_names_out()
        # powers over those of the mixture, which is itself: 1
        values[:, [name.startswith(("P00", "S1")) for name in names]] = 1.0
        expected.append(values[:, 1:])
    np.testing.assert_allclose(seen["values"], np.concatenate(expected, 1), atol=1e-8)


def test_a_sky_of_two_textures_is_recovered_better_by_region():
    rough, noise, samples = case(5, n=1)
    smooth = make_sphere_fields(1, NSIDE, index=6.0, scatter=0.5, random_state=5).maps.astype(float)
    north = northern()
    signal = np.where(north, 2 * rough, smooth)
    masks, found = np.stack([north, ~north]), {}
    for name, constraints in {
        "whole": [MixtureConstraint(), WienerConstraint(2.0)],
        "local": [LocalConstraint(masks), WienerConstraint(2.0)],
    }.items():
        model = separator(constraints=constraints, max_iter=12)
        found[name] = model.fit(samples).transform(signal + noise)
    south, northward = (
        {name: np.std((x - signal)[:, where]) for name, x in found.items()}
        for where in (~north, north)
    )
    assert south["local"] < 0.9 * south["whole"] and northward["local"] < 1.1 * northward["whole"]


def test_ancillary_maps_and_halves(small):
    signal, noise, samples = small
    D, rng = (signal + noise)[:1], np.random.default_rng(9)
    usual = [MixtureConstraint(), SpectrumConstraint(), WienerConstraint(8.0)]
    template = signal[0] + 0.3 * rng.normal(size=N_PIXELS)
    errors = []
    for constraints in (usual, [*usual, CrossConstraint(template)]):
        found = separator(constraints=constraints, max_iter=10).fit(samples).transform(D)
        errors.append(np.std(found - signal[:1]))
    assert errors[1] < 0.95 * errors[0]
    n1, n2 = rng.normal(size=(2, 10, N_PIXELS))
    halves = signal[:1] + n1[:1], signal[:1] + n2[:1]
    constraint = CrossConstraint(halves=halves, samples=(n1[1:], n2[1:]))
    model = separator(constraints=[*usual, constraint]).fit((n1 + n2)[1:] / 2)
    assert np.std(model.transform(sum(halves) / 2) - signal[:1]) < 0.5


def test_constraints_that_do_not_fit(small):
    signal, noise, samples = small
    plane = np.random.default_rng(0).normal(size=(4, 8, 8))
    north = northern()
    for constraint, message in [
        (
            LocalConstraint(north[None], SpectrumConstraint()),
            "in regions of the sphere; expected a Mixture",
        ),
        (LocalConstraint(plane > 0), r"masks has shape \(4, 8, 8\); expected \(n_regions, 768\)"),
        (CrossConstraint(plane), r"ancillary has maps of \(8, 8\) pixels; expected \(768,\)"),
        (
            CrossConstraint(halves=(plane, plane), samples=(plane, plane)),
            r"halves have shape \(4, 1, 8, 8\)",
        ),
        (
            CrossConstraint(signal[0], statistics=ScatteringTransform()),
            r"statistics=ScatteringTransform\(\); expected a SphericalScatteringTransform",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            separator(constraints=[constraint]).fit(samples).transform(signal + noise)
