import numpy as np
import pytest
import torch

from skastro.field_metrics import power_spectrum
from skastro.separation.spectra import Rings, signal_spectrum


@pytest.mark.parametrize("shape", [(32, 32), (30, 45)])
@pytest.mark.parametrize("growing", [False, True])
def test_power_is_the_mean_over_modes(shape, growing):
    x = np.random.default_rng(0).normal(size=(2, 3, *shape))
    y = np.random.default_rng(1).normal(size=(2, 3, *shape))
    rings = Rings(shape, growing=growing)
    side = min(shape)
    k = side * np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"))
    product = (np.fft.fft2(x) * np.fft.fft2(y).conj()).real / np.prod(shape)
    edges = np.arange(1, 40) - 0.5
    if growing:
        edges = np.concatenate([np.arange(1, 16), np.arange(16, 36, 2)]) - 0.5
    bins = [(k >= a) & (k < b) for a, b in zip(edges, edges[1:], strict=False)]
    bins = [one for one in bins if one.any()]
    expected = np.stack([product[..., one].mean(-1) for one in bins], -1)
    found = rings.power(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(rings.counts, [one.sum() for one in bins])
    np.testing.assert_allclose(rings.wavenumbers, [k[one].mean() for one in bins])
    plane = rings.spread(torch.from_numpy(found)).numpy()
    half = k[:, : shape[1] // 2 + 1]
    np.testing.assert_allclose(plane[0, 0][(half >= 2.5) & (half < 3.5)], found[0, 0, 2])
    assert (plane[..., 0, 0] == 0).all()


def test_power_agrees_with_the_field_metric():
    x = np.random.default_rng(0).normal(size=(1, 64, 64))
    rings = Rings((64, 64))
    k, power = power_spectrum(x, k_max=0.7)
    found = rings.power(torch.from_numpy(x)).numpy()
    # rings of the metric have other edges: means over many of them
    assert found[0, 5:30].mean() == pytest.approx(power[0, 5:30].mean(), rel=0.03)


def test_signal_spectrum_recovers_a_power_law_under_noise():
    rng = np.random.default_rng(0)
    k = np.arange(1.0, 90.0)
    counts, truth, noise = 2 * np.pi * k, 1e4 * k**-3.0, np.ones_like(k)
    errors, raw = [], []
    for _ in range(20):
        # the mean power of n modes of a Gaussian field
        mixture = (truth + noise) * rng.gamma(counts / 2, 2 / counts)
        found = signal_spectrum(mixture, noise, k, counts)
        assert (found > 0).all()
        errors.append(np.log(found / truth))
        raw.append((mixture - noise) / truth - 1)
    errors, raw = (np.sqrt(np.mean(np.square(one), axis=0)) for one in (errors, raw))
    assert errors[5:20].max() < 0.15
    # signal to noise of 1 at k = 22, 0.03 at 70
    faint = slice(40, 70)
    assert errors[faint].max() < 0.5 and errors[faint].mean() < 0.3 * raw[faint].mean()


@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_signal_spectrum_has_the_unit_of_the_powers(unit):
    k = np.arange(1.0, 40.0)
    mixture = 100 * k**-2 + 1
    found = signal_spectrum(unit * mixture, unit * np.ones(39), k, 2 * np.pi * k)
    plain = signal_spectrum(mixture, np.ones(39), k, 2 * np.pi * k)
    np.testing.assert_allclose(found / unit, plain, rtol=1e-4)


def test_signal_spectrum_of_nothing_is_finite():
    k = np.arange(1.0, 40.0)
    found = signal_spectrum(np.zeros(39), np.zeros(39), k, 2 * np.pi * k)
    assert np.isfinite(found).all() and (found >= 0).all()
    found = signal_spectrum(np.ones(39), 2 * np.ones(39), k, 2 * np.pi * k)
    assert (found < 0.2).all()
