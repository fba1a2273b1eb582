"""Mixtures: the figures of the reference, the spectra and the independence of what is drawn."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest, kurtosis

from skastro.datasets import load_cib_map, load_dust_map, make_mixture
from skastro.field_metrics import cross_correlation, power_spectrum

SOURCES = Path(os.environ.get("SKASTRO_DATA", ""), "maps")
KINDS = ["white", "inhomogeneous", "cib", "polarization"]


def octave_ratio(first, second):
    """Ratio of power per octave, by hand."""
    side = first.shape[-1]
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, 1.0 / side)] * 2))
    one, other = (np.abs(np.fft.fft2(x.astype(np.float64))) ** 2 for x in (first, second))
    octaves = [(k >= low) & (k < 2 * low) for low in 2 ** np.arange(np.log2(side / 2).astype(int))]
    return np.array([one[octave].sum() / other[octave].sum() for octave in octaves])


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_parts(kind):
    mix = make_mixture(kind, n_samples=3, n_mixtures=2, n_pixels=32, random_state=0)
    lead = (2,) if kind == "polarization" else ()
    assert mix.samples.shape == (3, *lead, 32, 32)
    for part in (mix.mixture, mix.signal, mix.contamination):
        assert part.shape == (2, *lead, 32, 32) and part.dtype == np.float32
    assert mix.samples.dtype == np.float32 and mix.mask is None and mix.unit is None
    np.testing.assert_allclose(mix.mixture, mix.signal + mix.contamination, atol=1e-6)
    np.testing.assert_allclose(mix.signal.mean(axis=(-2, -1)), 0, atol=1e-6)
    total = mix.signal.reshape(2, -1, 32, 32).var(axis=(-2, -1)).sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-5)
    assert np.abs(mix.contamination[0] - mix.contamination[1]).max() > 0.1
    assert (mix.signal[0] == mix.signal[1]).all()
    assert mix.periodic is (kind == "polarization") and mix.kind == kind
    assert (mix.sigma is None) == (kind == "cib")


@pytest.mark.skipif(
    not (SOURCES / "I_1.npy").is_file(), reason="SKASTRO_DATA is not the folder of the real data"
)
def test_ratios_of_the_reference():
    """Power of signal over contamination per octave, shared/reference/separation.md, case B."""
    dust = np.load(SOURCES / "I_1.npy")[:256, :256]
    mix = make_mixture("cib", signal=dust, n_samples=2, random_state=0)
    found = octave_ratio(mix.signal[0], mix.contamination[0])
    np.testing.assert_allclose(found, [58, 5, 0.86, 0.49, 0.40, 1.15, 0.55], rtol=0.015)
    # case A: one realisation has 8 modes in the first octave, 36488 in the last
    mix = make_mixture("white", signal=dust, n_samples=1, n_mixtures=40, random_state=0)
    found = 1 / np.mean([1 / octave_ratio(mix.signal[0], c) for c in mix.contamination], axis=0)
    expected = [2759, 316, 65, 16, 3.5, 0.38, 0.024]
    # the reference's is one realisation: scatter of 1 / sqrt(half of the modes)
    modes = 2.36 * 4.0 ** np.arange(1, 8)
    assert (np.abs(found / expected - 1) < 3 / np.sqrt(modes / 2) + 0.03).all()


@pytest.mark.parametrize("ratio", [0.3, 1.0])
def test_white_noise_is_independent_and_normal(ratio):
    mix = make_mixture("white", ratio=ratio, n_samples=20, n_pixels=64, random_state=1)
    values = np.concatenate([mix.contamination, mix.samples]) / ratio
    assert kstest(values.ravel(), "norm").pvalue > 0.01
    flat = values.reshape(21, -1)
    off = np.corrcoef(flat) - np.eye(21)
    assert np.abs(off).max() < 4.5 / 64
    _, power = power_spectrum(values)
    np.testing.assert_allclose(power.mean(axis=0)[3:], 1.0, atol=0.2)


def test_inhomogeneous_noise_has_its_level():
    mix = make_mixture("inhomogeneous", ratio=0.5, n_samples=400, n_pixels=32, random_state=2)
    assert np.sqrt(np.mean(mix.sigma.astype(float) ** 2)) == pytest.approx(0.5, rel=1e-5)
    assert mix.sigma.max() > 3 * mix.sigma.min() > 0
    assert np.log(mix.sigma).std() == pytest.approx(0.6, rel=1e-4)
    scatter = np.sqrt(np.mean(mix.samples.astype(float) ** 2, axis=0)) / mix.sigma
    # chi of 400
    assert np.std(scatter) == pytest.approx(1 / np.sqrt(800), rel=0.15)
    assert kstest((mix.contamination / mix.sigma).ravel(), "norm").pvalue > 0.01


def test_surrogates_of_the_background_have_its_spectrum_and_are_gaussian():
    mix = make_mixture("cib", ratio=2.0, n_samples=60, random_state=0)
    patch = load_cib_map().map.astype(float)
    patch = 2.0 * (patch - patch.mean()) / patch.std()
    np.testing.assert_allclose(mix.contamination[0], patch, atol=1e-4)
    corner = np.sqrt(0.5)
    _, target = power_spectrum(patch, k_max=corner, window="hann")
    _, found = power_spectrum(mix.samples, k_max=corner)
    scatter = found.std(axis=0) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - target) < 4 * scatter).mean() > 0.99
    assert abs(kurtosis(mix.samples[:, ::8, ::8], axis=None)) < 0.1
    # none of them resembles the one in the mixture
    r = cross_correlation(mix.samples, mix.contamination[0], 6)[1]
    assert np.abs(r.mean(axis=0)).max() < 0.1


def test_further_mixtures_turn_the_background():
    mix = make_mixture("cib", n_mixtures=8, n_samples=1, n_pixels=16)
    forms = mix.contamination.reshape(8, -1)
    assert len(np.unique(forms, axis=0)) == 8
    assert np.ptp(np.sort(forms, axis=1), axis=0).max() == 0
    wide = np.random.default_rng(0).normal(size=(2, 12, 20))
    mix = make_mixture("cib", signal=wide[0], background=wide[1], n_mixtures=4, n_samples=1)
    assert len(np.unique(mix.contamination.reshape(4, -1), axis=0)) == 4
    assert mix.periodic is None


def test_polarization_has_a_total_power():
    mix = make_mixture("polarization", ratio=0.7, n_samples=50, random_state=0)
    full = load_dust_map("QU", periodic=True).map.astype(float)
    full -= full.mean(axis=(1, 2), keepdims=True)
    expected = full / np.sqrt(full.var(axis=(1, 2)).sum())
    np.testing.assert_allclose(mix.signal[0], expected, atol=1e-5)
    power = mix.samples.var(axis=(0, 2, 3))
    np.testing.assert_allclose(power, 0.7**2 / 2, rtol=0.01)
    assert abs(np.mean(mix.samples[:, 0] * mix.samples[:, 1])) < 0.002


def test_a_smaller_periodic_map_is_the_whole_averaged():
    mix = make_mixture("white", periodic=True, n_pixels=64, n_samples=1)
    whole = load_dust_map(periodic=True).map.astype(float)
    small = whole.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    small = (small - small.mean()) / small.std()
    np.testing.assert_allclose(mix.signal[0], small, atol=1e-5)
    assert mix.periodic is True


def test_mask_of_disks():
    mix = make_mixture("white", mask=True, n_samples=1, random_state=3)
    assert mix.mask.shape == (256, 256) and mix.mask.dtype == bool
    assert (np.isnan(mix.mixture[0]) == ~mix.mask).all()
    assert np.isfinite(mix.signal).all() and np.isfinite(mix.samples).all()
    # 25 disks of mean squared radius 32.3, some over the border or each other
    assert 0.6 * 25 * np.pi * 32.3 < (~mix.mask).sum() < 1.2 * 25 * np.pi * 32.3
    both = make_mixture("polarization", mask=True, n_samples=1, n_pixels=64)
    assert (np.isnan(both.mixture[0, 0]) == np.isnan(both.mixture[0, 1])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_random_state_fixes_everything_and_draws_are_apart(kind):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    many = make_mixture(kind, n_samples=4, n_mixtures=3, n_pixels=32, random_state=5)
    few = make_mixture(kind, n_samples=2, n_mixtures=1, n_pixels=32, mask=True, random_state=5)
    other = make_mixture(kind, n_samples=4, n_pixels=32, random_state=6)
    np.testing.assert_array_equal(many.samples[:2], few.samples)
    np.testing.assert_array_equal(many.contamination[:1], few.contamination)
    assert np.abs(other.samples - many.samples).max() > 0.1
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_a_unit_or_scale_of_the_signal_changes_nothing():
    from astropy import units

    dust = np.random.default_rng(0).normal(size=(16, 16))
    plain = make_mixture(signal=dust, n_samples=1, random_state=0)
    scaled = make_mixture(signal=(5 + 3 * dust) * units.MJy, n_samples=1, random_state=0)
    np.testing.assert_allclose(plain.mixture, scaled.mixture, atol=1e-6)


BAD = [
    ({"kind": "dust"}, "kind='dust'.*'white', 'inhomogeneous'"),
    ({"ratio": 0}, "ratio=0: expected a number above 0"),
    ({"ratio": np.nan}, "ratio=nan"),
    ({"n_samples": 0}, "n_samples=0: expected an integer, at least 1"),
    ({"n_samples": 2.5}, "n_samples=2.5"),
    ({"n_mixtures": 9, "kind": "cib"}, "n_mixtures=9: expected an integer, from 1 to 8"),
    ({"n_pixels": 512}, "n_pixels=512: expected an integer, from 8 to 256"),
    ({"n_pixels": 48, "periodic": True}, "n_pixels=48: expected a divisor of 256"),
    ({"background": np.ones((8, 8))}, "background was given with kind='white'"),
    ({"signal": np.ones((8, 8))}, "signal is constant"),
    ({"signal": np.ones((8, 8)), "n_pixels": 8}, "n_pixels=8 with a signal"),
    ({"signal": np.full((8, 8), np.nan)}, "signal has nan"),
    ({"signal": np.ones((2, 8, 8))}, r"signal has shape \(2, 8, 8\)"),
    ({"signal": np.ones((3, 8, 8)), "kind": "polarization"}, r"shape \(3, 8, 8\): expected \(2, h"),
    ({"signal": np.eye(300), "kind": "cib"}, "300 x 300 pixels: expected at most 256"),
    ({"kind": "cib", "background": np.eye(8)}, "background has maps of 8 x 8.*256 x 256"),
    ({"kind": "cib", "background": np.ones((256, 256))}, "background is constant"),
    ({"kind": "cib", "signal": np.eye(9, 8), "n_mixtures": 5}, "not square: expected at most 4"),
]


@pytest.mark.parametrize("arguments, message", BAD)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_mixture(**arguments)
