"""The Wiener filter against the closed form and the reference's figures, the Gaussian one against descent."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from skastro.datasets import make_mixture
from skastro.field_metrics import power_spectrum
from skastro.separation.baselines import GaussianSeparator, WienerFilter
from skastro.separation_metrics import separation_summary

SOURCE = Path(os.environ.get("SKASTRO_DATA", ""), "maps", "I_1.npy")
CORNER = np.sqrt(0.5)


def wave_numbers(shape):
    return np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"))


def steep(k):
    return 0.02 / (0.01 + k**3)


def flat(k):
    return 1.0 + 0.5 * k


def rings(shape):
    """Numbers of rings one mode wide, by hand; a corner beyond the last whole number is in that."""
    number = np.rint(wave_numbers(shape) * max(shape)).astype(int)
    return np.minimum(number, int(max(shape) * CORNER))


def ring_means(values, shape):
    number = rings(shape).ravel()
    total = np.bincount(number, values.ravel()) / np.maximum(np.bincount(number), 1)
    return total[rings(shape)]


def by_hand(d, signal, contamination):
    """Wiener filter in the full complex plane, for spectra given as functions of k."""
    k = ring_means(wave_numbers(d.shape), d.shape)
    gain = signal(k) / (signal(k) + contamination(k))
    gain[0, 0] = 1.0
    return np.fft.ifft2(np.fft.fft2(d) * gain).real


@pytest.mark.parametrize("shape", [(16, 16), (15, 15), (32, 32), (20, 27)])
def test_wiener_is_the_closed_form(shape):
    rng = np.random.default_rng(0)
    C, D = rng.normal(size=(3, *shape)), 1 + rng.normal(size=(2, *shape))
    model = WienerFilter(steep, flat).fit(C - C.mean())
    expected = [by_hand(d, steep, flat) for d in D]
    np.testing.assert_allclose(model.transform(D), expected, rtol=1e-11, atol=1e-12)
    # the power of what is found, from a table and without a table
    k = np.geomspace(1e-3, 1, 4000)
    table = WienerFilter((k, steep(k)), (k, flat(k))).fit(C - C.mean())
    np.testing.assert_allclose(table.transform(D), expected, atol=1e-5)


def test_one_spectrum_for_each_channel():
    rng = np.random.default_rng(0)
    C, D = rng.normal(size=(3, 2, 16, 16)), rng.normal(size=(2, 2, 16, 16))
    k, _ = power_spectrum(D, k_max=CORNER)
    both = np.stack([steep(k), 3 * flat(k)])
    found = WienerFilter((k, both), flat).fit(C - C.mean((0, 2, 3), keepdims=True)).transform(D)
    for c, own in enumerate((steep, lambda k: 3 * flat(k))):
        expected = [by_hand(d, own, flat) for d in D[:, c]]
        np.testing.assert_allclose(found[:, c], expected, rtol=1e-10, atol=1e-11)


def test_error_of_the_wiener_filter_is_the_expected_one():
    """|1 - G|^2 P_s + G^2 P_c, for the modes of the signal as they are."""
    mix = make_mixture("white", n_mixtures=40, n_pixels=64, n_samples=2, random_state=0)
    signal = mix.signal[0].astype(float)
    power = power_spectrum(signal, k_max=CORNER)
    model = WienerFilter(power, lambda k: np.ones(len(k))).fit(mix.samples)
    found = model.transform(mix.mixture.astype(float) + model.mean_)
    modes = np.abs(np.fft.fft2(signal)) ** 2 / signal.size
    smooth = ring_means(modes, signal.shape)
    gain = smooth / (smooth + 1.0)
    gain[0, 0] = 1.0
    expected = np.mean((1 - gain) ** 2 * modes + gain**2)
    errors = np.mean((found - signal) ** 2, axis=(1, 2))
    assert abs(errors.mean() - expected) < 3 * errors.std() / np.sqrt(40) + 1e-6
    assert errors.std() < 0.1 * expected


def reference_mixtures(kind, n):
    dust = np.load(SOURCE)[:256, :256]
    mix = make_mixture(kind, signal=dust, n_mixtures=n, n_samples=2, random_state=0)
    signal = power_spectrum(mix.signal[0].astype(float), k_max=CORNER)
    return mix, signal


has_source = pytest.mark.skipif(
    not SOURCE.is_file(), reason="SKASTRO_DATA is not the folder of the real data"
)


@has_source
def test_row_of_the_reference_case_a():
    """shared/reference/separation.md: one realisation; ours are ten, and it lies within their scatter."""
    mix, signal = reference_mixtures("white", 10)
    model = WienerFilter(signal, (signal[0], np.ones(len(signal[0])))).fit(mix.samples)
    found = separation_summary(model.transform(mix.mixture), mix.signal)
    for values, expected, rounding in (
        (found.power_error[:, -3:], [-0.23, -0.65, -0.96], 0.005),
        (found.correlation[:, -3:], [0.886, 0.598, 0.201], 0.0005),
        (found.histogram_distance, 0.049, 0.0005),
        (found.rmse, 0.301, 0.0005),
    ):
        deviation = np.abs(values.mean(axis=0) - expected)
        assert (deviation < 3 * values.std(axis=0) + rounding).all()
        assert (values.std(axis=0) < 0.02).all()


@has_source
def test_row_of_the_reference_case_b():
    """The same map and the same patch: the figures themselves, to their rounding."""
    mix, signal = reference_mixtures("cib", 1)
    patch = power_spectrum(mix.contamination[0].astype(float), k_max=CORNER)
    model = WienerFilter(signal, patch).fit(mix.samples)
    found = separation_summary(model.transform(mix.mixture), mix.signal)
    expected = [0.03, -0.17, -0.54, -0.67, -0.70, -0.43, -0.49]
    np.testing.assert_allclose(found.power_error[0], expected, atol=0.0051)
    expected = [0.63, 0.57, 0.56, 0.75, 0.72]
    np.testing.assert_allclose(found.correlation[0, -5:], expected, atol=0.0055)
    assert found.histogram_distance[0] == pytest.approx(0.170, abs=0.0006)
    assert found.rmse[0] == pytest.approx(0.610, abs=0.0006)


def test_estimated_spectra_do_as_well_as_the_true_ones():
    mix = make_mixture("white", n_mixtures=3, n_pixels=128, random_state=0)
    signal = power_spectrum(mix.signal[0].astype(float), k_max=CORNER)
    best = WienerFilter(signal, lambda k: np.ones(len(k))).fit(mix.samples)
    estimated = WienerFilter().fit(mix.samples)
    scatter = np.sqrt(2.0 / (40 * estimated._shells.n_modes))
    assert (np.abs(estimated.contamination_power_[0] - 1.0) < 4 * scatter).all()
    best, found = best.score(mix.mixture, mix.signal), estimated.score(mix.mixture, mix.signal)
    assert 1.02 * best < found <= 0.999 * best


@pytest.mark.parametrize("window", [None, "hann"])
def test_estimate_by_hand(window):
    """Without smoothing, max(P_d - P_c, 0) / P_d in every ring."""
    mix = make_mixture("white", ratio=0.7, n_pixels=32, n_samples=5, random_state=0)
    D = mix.mixture.astype(float)
    k, mixture = power_spectrum(D, k_max=CORNER, window=window)
    mean = mix.samples.mean(dtype=float)
    _, each = power_spectrum(mix.samples - mean, k_max=CORNER, window=window)
    share = np.maximum(mixture[0] - each.mean(axis=0), 0) / mixture[0]
    found = WienerFilter(smoothing=0, window=window).fit(mix.samples).transform(D)
    gain = share[np.maximum(rings((32, 32)), 1) - 1]
    gain[0, 0] = 1.0
    expected = np.fft.ifft2(np.fft.fft2(D[0] - mean) * gain).real
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    assert (share == 0).any() and (share > 0.9).any()


def test_smoothing_is_an_average_over_a_fraction_of_the_wave_number():
    model = WienerFilter(smoothing=0.1).fit(np.random.default_rng(0).normal(size=(2, 64, 64)))
    ones = np.ones((1, 1, len(model.k_)))
    np.testing.assert_allclose(model._smoothed(ones), 1.0)
    impulse = np.zeros_like(ones)
    impulse[..., 20] = 1.0
    spread = model._smoothed(impulse)[0, 0]
    k, modes = model.k_, model._shells.n_modes
    expected = [
        modes[20] * np.exp(-0.5 * ((k[20] - one) / (0.1 * one)) ** 2)
        / np.sum(modes * np.exp(-0.5 * ((k - one) / (0.1 * one)) ** 2))
        for one in k
    ]  # fmt: skip
    np.testing.assert_allclose(spread, expected, rtol=1e-10, atol=1e-300)


def test_gaussian_separator_has_the_power_left_over():
    mix = make_mixture("cib", n_pixels=64, n_mixtures=2, random_state=0)
    D = mix.mixture.astype(float)
    model = GaussianSeparator(smoothing=0).fit(mix.samples)
    _, found = power_spectrum(model.transform(D), k_max=CORNER)
    _, mixture = power_spectrum(D, k_max=CORNER)
    expected = np.maximum(mixture - model.contamination_power_, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    given = GaussianSeparator((model.k_, steep(model.k_))).fit(mix.samples)
    _, found = power_spectrum(given.transform(D), k_max=CORNER)
    np.testing.assert_allclose(found, np.broadcast_to(steep(model.k_), found.shape), rtol=1e-9)


def test_gaussian_separator_is_where_descent_from_the_mixture_ends():
    """Of the statistic alone, P(u + c_i) averaged; pairs c and -c have no correlation with the mixture."""
    mix = make_mixture("white", ratio=0.7, n_pixels=16, n_samples=4, random_state=0)
    samples = np.concatenate([mix.samples, -mix.samples]).astype(float)
    D = mix.mixture.astype(float)
    model = GaussianSeparator(smoothing=0).fit(samples)
    expected = model.transform(D)[0]
    number = torch.from_numpy(rings((16, 16)).ravel())
    counts = torch.bincount(number)

    def power(maps):
        modes = torch.fft.fft2(maps).abs().square().flatten(1) / 256
        sums = torch.zeros(len(maps), len(counts), dtype=modes.dtype)
        return (sums.index_add(1, number, modes) / counts)[:, 1:]

    u = torch.from_numpy(D[0].copy()).requires_grad_()
    c, d = torch.from_numpy(samples), torch.from_numpy(D)
    target = power(d)[0]
    optimizer = torch.optim.LBFGS([u], max_iter=1000, tolerance_grad=1e-14, tolerance_change=1e-18)

    def loss():
        optimizer.zero_grad()
        value = torch.sum((power(u + c).mean(0) / target - 1) ** 2)
        value.backward()
        return value

    optimizer.step(loss)
    found = u.detach().numpy()
    left = model.contamination_power_[0] < power(d)[0].numpy()
    k = rings((16, 16))
    kept = np.append(False, left)[k]
    one, other = np.fft.fft2(found)[kept], np.fft.fft2(expected)[kept]
    assert kept.sum() > 60
    np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max(), rtol=0)


BAD = [
    ({"signal_spectrum": 3}, "signal_spectrum=3; expected a function of k, or a pair"),
    ({"signal_spectrum": ([0.0, 0.1], [1, 1])}, r"k of shape \(2,\) and power of shape \(2,\)"),
    ({"signal_spectrum": ([0.1, 0.2], [1, 1, 1])}, r"power of shape \(3,\); expected k growing"),
    ({"contamination_spectrum": ([0.1], [-1])}, "contamination_spectrum has -1; expected finite"),
    ({"contamination_spectrum": lambda k: -k}, "contamination_spectrum has -.*finite power"),
    ({"signal_spectrum": lambda k: 1.0}, r"signal_spectrum has power of shape \(\) in the rings"),
    ({"signal_spectrum": ([0.1], np.ones((3, 1)))}, r"shape \(3, 11\).*for 1 channel"),
    ({"smoothing": -1}, "smoothing"),
    ({"window": "box"}, "window"),
]


@pytest.mark.parametrize("model", [WienerFilter, GaussianSeparator])
@pytest.mark.parametrize("parameters, message", BAD)
def test_bad_parameters(model, parameters, message):
    C = np.random.default_rng(0).normal(size=(3, 16, 16))
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(C)


def test_no_power_anywhere_is_no_signal():
    C = np.random.default_rng(0).normal(size=(3, 16, 16))
    model = WienerFilter(lambda k: 0 * k, lambda k: 0 * k).fit(C)
    np.testing.assert_allclose(model.transform(C), np.broadcast_to(
        (C - C.mean()).mean(axis=(1, 2), keepdims=True), C.shape), atol=1e-12)  # fmt: skip
