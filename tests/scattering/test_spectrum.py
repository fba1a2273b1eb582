"""Power spectra against numpy, Parseval and known fields; distributions of the pixels."""

import numpy as np
import pytest
import torch

from skastro.scattering.spectrum import PixelDistribution, PowerSpectrum


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("shape", [(32, 32), (31, 32), (24, 37), (17, 17)])
@pytest.mark.parametrize("spacing", ["linear", "log"])
def test_against_the_whole_plane(shape, spacing):
    """Bins found again from the wavenumbers of the full FFT, and all of the power is in them."""
    statistics = PowerSpectrum(shape, n_bins=6, spacing=spacing)
    x = noise(2, *shape)
    power = np.abs(np.fft.fft2(x.numpy())) ** 2 / np.prod(shape)
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))
    make = np.linspace if spacing == "linear" else np.geomspace
    edges = make(0.75 / max(shape), k.max() * (1 + 1e-9), 7)
    values = statistics(x)
    assert statistics.counts.sum() == np.prod(shape) - 1
    filled = [(low <= k) & (k < high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    filled = [inside for inside in filled if inside.any()]
    assert len(filled) == values.shape[1] == len(statistics.names)
    for i, inside in enumerate(filled):
        np.testing.assert_allclose(values[:, i], power[:, inside].mean(1), rtol=1e-10)
        np.testing.assert_allclose(statistics.wavenumbers[i], k[inside].mean(), rtol=1e-10)
    variance = (values.numpy() * statistics.counts).sum(1) / np.prod(shape)
    np.testing.assert_allclose(variance, x.numpy().var((1, 2)), rtol=1e-10)


def test_a_wave_is_in_one_bin():
    m, n = np.mgrid[:64, :64] / 64
    x = torch.from_numpy(np.cos(2 * np.pi * (6 * m + 8 * n)))[None]
    statistics = PowerSpectrum((64, 64))
    values = statistics(x)[0].numpy()
    i = values.argmax()
    assert abs(statistics.wavenumbers[i] - 10 / 64) < 0.5 / 64
    assert values[i] * statistics.counts[i] == pytest.approx(64 * 64 / 2)
    assert np.delete(values, i).max() < 1e-20


def test_corners_have_bins():
    statistics = PowerSpectrum((64, 64))
    assert statistics.wavenumbers.max() > 0.69
    assert len(statistics.names) == len(set(statistics.names))


def test_cross_spectrum():
    x, y = noise(2, 32, 40), noise(2, 32, 40, seed=1)
    statistics = PowerSpectrum((32, 40), n_bins=5)
    torch.testing.assert_close(statistics(x, x), torch.ones_like(statistics(x)))
    torch.testing.assert_close(statistics(x, -2 * x), -torch.ones_like(statistics(x)))
    # polarisation: the cross-spectrum is a quarter of the difference of two spectra
    reference = {"P": torch.ones(1, 5).double(), "P_y": torch.ones(1, 5).double()}
    found = statistics(x, y, reference)
    torch.testing.assert_close(found, (statistics(x + y) - statistics(x - y)) / 4)
    torch.testing.assert_close(statistics(x, y), found / (statistics(x) * statistics(y)).sqrt())


def test_reference_and_logarithm():
    x = noise(3, 16, 16)
    statistics, log = PowerSpectrum((16, 16)), PowerSpectrum((16, 16), log=True)
    torch.testing.assert_close(log(x), statistics(x).log())
    reference = statistics.norm(x[:1])
    torch.testing.assert_close(
        statistics(2 * x[:1], reference=reference), torch.full_like(reference["P"], 4)
    )
    assert torch.isfinite(log(torch.ones(1, 16, 16))).all()


@pytest.mark.parametrize("log", [False, True])
def test_gradient_of_the_spectrum(log):
    x, y = noise(2, 9, 12).requires_grad_(), noise(2, 9, 12, seed=1).requires_grad_()
    statistics = PowerSpectrum((9, 12), n_bins=4, log=log)
    assert torch.autograd.gradcheck(statistics, (x,))
    if not log:
        assert torch.autograd.gradcheck(statistics, (x, y))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(shape=(1, 8)), r"shape=\(1, 8\); expected two sides of at least 2"),
        (dict(shape=(8, 8), n_bins=0), "n_bins=0; expected a positive integer"),
        (dict(shape=(8, 8), spacing="square"), "spacing='square'; expected 'linear' or 'log'"),
    ],
)
def test_bad_options_of_the_spectrum(options, message):
    with pytest.raises(ValueError, match=message):
        PowerSpectrum(**options)


def test_bad_input_of_the_spectrum():
    x = noise(1, 8, 8)
    with pytest.raises(ValueError, match=r"x has shape \(1, 8, 7\); expected \(n, 8, 8\)"):
        PowerSpectrum((8, 8))(x[..., :7])
    with pytest.raises(ValueError, match="y was given with log=True"):
        PowerSpectrum((8, 8), log=True)(x, x)
    with pytest.raises(ValueError, match="reference has .'P'.; expected"):
        PowerSpectrum((8, 8))(x, x, PowerSpectrum((8, 8)).norm(x))


def test_quantiles():
    x = 3 + 2 * noise(2, 20, 23).exp()
    statistics = PixelDistribution((20, 23), n=7)
    values = statistics(x).numpy()
    pixels = np.sort(x.numpy().reshape(2, -1), 1)
    mean, std = pixels.mean(1), pixels.std(1)
    np.testing.assert_allclose(values[:, 0], mean, rtol=1e-12)
    np.testing.assert_allclose(values[:, 1], std, rtol=1e-12)
    edges = np.round(np.linspace(0, 460, 8)).astype(int)
    for i in range(7):
        expected = (pixels[:, edges[i] : edges[i + 1]].mean(1) - mean) / std
        np.testing.assert_allclose(values[:, 2 + i], expected, rtol=1e-10)
    # of the pixels' shape alone
    torch.testing.assert_close(statistics(5 * x - 1)[:, 2:], statistics(x)[:, 2:])


def test_moments():
    from scipy.stats import kurtosis, skew

    x = noise(3, 16, 16).exp()
    values = PixelDistribution((16, 16), kind="moments")(x)
    pixels = x.reshape(3, -1).numpy()
    np.testing.assert_allclose(values[:, 2], skew(pixels, 1), rtol=1e-10)
    np.testing.assert_allclose(values[:, 3], kurtosis(pixels, 1, fisher=False), rtol=1e-10)


@pytest.mark.parametrize("kind", ["quantiles", "moments"])
def test_distribution_with_a_reference(kind):
    x = noise(2, 12, 12)
    statistics = PixelDistribution((12, 12), kind=kind)
    reference = statistics.norm(x[:1])
    values = statistics(x[:1], reference=reference)
    torch.testing.assert_close(values[0, :2], torch.tensor([0.0, 1.0]).double())
    torch.testing.assert_close(values[:, 2:], statistics(x[:1])[:, 2:])
    assert len(statistics.names) == len(statistics.labels["order"]) == values.shape[1]
    assert torch.isfinite(statistics(torch.ones(1, 12, 12))).all()


@pytest.mark.parametrize("kind", ["quantiles", "moments"])
@pytest.mark.parametrize("with_reference", [False, True])
def test_gradient_of_the_distribution(kind, with_reference):
    statistics = PixelDistribution((6, 5), kind=kind, n=5)
    reference = statistics.norm(noise(1, 6, 5, seed=3)) if with_reference else None
    x = noise(2, 6, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: statistics(x, reference=reference), (x,))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(kind="modes"), "kind='modes'; expected 'quantiles' or 'moments'"),
        (dict(n=0), "n=0 with kind='quantiles'; expected an integer from 1 to 64"),
        (dict(kind="moments", n=2), "n=2 with kind='moments'; expected an integer from 3"),
    ],
)
def test_bad_options_of_the_distribution(options, message):
    with pytest.raises(ValueError, match=message):
        PixelDistribution((8, 8), **options)


def test_distribution_of_two_maps():
    x = noise(1, 8, 8)
    for call in (PixelDistribution((8, 8)), PixelDistribution((8, 8)).norm):
        with pytest.raises(ValueError, match="y was given; expected None"):
            call(x, x)
