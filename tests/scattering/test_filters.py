import math

import numpy as np
import pytest
import torch

from skastro.scattering.filters import (
    Band,
    bands,
    check_n_orientations,
    check_n_scales,
    largest_n_scales,
    morlet_2d,
)


def morlet_in_space(shape, j, l, n_orientations, periods):  # noqa: E741
    """A wavelet summed over periods in space, as the public packages do."""
    theta = (math.floor(n_orientations - n_orientations / 2 - 1) - l) * np.pi / n_orientations
    sigma, xi, slant = 0.8 * 2**j, 0.75 * np.pi / 2**j, 4.0 / n_orientations
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    C = turn @ np.diag([1.0, slant**2]) @ turn.T / (2.0 * sigma**2)
    wave = envelope = 0.0
    for a in periods:
        for b in periods:
            m, n = np.mgrid[: shape[0], : shape[1]].astype(float)
            m, n = m + a * shape[0], n + b * shape[1]
            g = np.exp(-(C[0, 0] * m * m + 2.0 * C[0, 1] * m * n + C[1, 1] * n * n))
            g /= 2.0 * np.pi * sigma**2 / slant
            envelope = envelope + g
            wave = wave + g * np.exp(1j * xi * (m * np.cos(theta) + n * np.sin(theta)))
    return np.fft.fft2(wave - wave.sum() / envelope.sum() * envelope)


@pytest.mark.parametrize(
    "shape, n_scales, n_orientations",
    [((32, 32), 3, 4), ((33, 50), 3, 8), ((37, 40), 2, 1), ((31, 24), 2, 3)],
)
def test_morlet_is_the_sum_over_periods_in_space(shape, n_scales, n_orientations):
    psi, _ = morlet_2d(shape, n_scales, n_orientations)
    for j in range(n_scales):
        for l in range(n_orientations):  # noqa: E741
            expected = morlet_in_space(shape, j, l, n_orientations, range(-5, 6))
            assert abs(expected.imag).max() < 1e-12
            np.testing.assert_allclose(psi[j, l], expected.real, atol=1e-14)


def test_morlet_has_no_mean_and_the_low_pass_unit_sum():
    psi, phi = morlet_2d((48, 64), 4, 8)
    assert abs(psi[..., 0, 0]).max() < 1e-15
    assert phi[0, 0] == pytest.approx(1.0, abs=1e-15)
    x = np.fft.ifft2(phi).real
    m, n = np.meshgrid(np.fft.fftfreq(48, 1 / 48), np.fft.fftfreq(64, 1 / 64), indexing="ij")
    assert (x * m**2).sum() == pytest.approx(6.4**2, rel=5e-3)
    assert (x * n**2).sum() == pytest.approx(6.4**2, rel=1e-4)


def test_bank_is_cached_and_read_only():
    psi, _ = morlet_2d((16, 16), 2)
    assert morlet_2d([16, 16], np.int64(2))[0] is psi
    with pytest.raises(ValueError, match="read-only"):
        psi[0] = 0.0


def test_largest_n_scales():
    assert [largest_n_scales((n, 300)) for n in (1, 2, 31, 32, 257)] == [0, 1, 4, 5, 8]


@pytest.mark.parametrize("n_scales", [0, 6, -1])
def test_n_scales_that_does_not_fit_names_the_largest(n_scales):
    with pytest.raises(ValueError, match=r"shape \(33, 64\); expected 1 to 5, the largest"):
        check_n_scales(n_scales, (33, 64))


@pytest.mark.parametrize("n_scales", [2.0, True, "2", None])
def test_n_scales_is_an_integer(n_scales):
    with pytest.raises(ValueError, match="expected an integer from 1 to 5"):
        check_n_scales(n_scales, (33, 64))


@pytest.mark.parametrize("shape", [(1, 1), (0, 4), (4.0, 4.0), ()])
def test_single_pixel_has_no_scale(shape):
    with pytest.raises(ValueError, match="expected sides of at least 2"):
        check_n_scales(1, shape)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match=r"expected \(h, w\)"):
        morlet_2d((16, 16, 16), 2)
    for bad in (0, 1.5, True):
        with pytest.raises(ValueError, match="expected an integer of at least 1"):
            check_n_orientations(bad)


@pytest.mark.parametrize("shape", [(64, 48), (33, 50), (50, 33)])
def test_band_gives_the_convolved_field_on_the_coarse_grid(shape):
    psi, _ = morlet_2d(shape, 4)
    x = np.random.default_rng(0).normal(size=(2, *shape))
    X = torch.from_numpy(np.fft.fft2(x))
    for j, band in enumerate(bands(psi, tolerance=1e-12)):
        z = torch.fft.ifft2(band.cut(X)[:, None] * torch.from_numpy(band.values)) * band.factor
        # Same mean power (Parseval), and the same field at the origin, on both grids.
        whole = np.fft.ifft2(np.fft.fft2(x)[:, None] * psi[j])
        power = (abs(whole) ** 2).mean((2, 3))
        np.testing.assert_allclose((z.abs() ** 2).mean((2, 3)).numpy(), power, rtol=1e-9)
        scale = abs(whole).max()
        np.testing.assert_allclose(z[..., 0, 0].numpy(), whole[..., 0, 0], atol=2e-5 * scale)


def test_band_is_smaller_at_coarse_scales_and_for_a_loose_tolerance():
    psi, _ = morlet_2d((128, 96), 5)
    tight, loose = bands(psi), bands(psi, tolerance=1e-3)
    assert tight[0].size == (128, 96)
    assert np.prod(tight[4].size) < 0.03 * 128 * 96
    assert np.prod(loose[4].size) < np.prod(tight[4].size)
    assert np.prod(Band(psi[4], oversampling=2.0).size) >= 4 * np.prod(tight[4].size)
    lost = 1.0 - np.square(loose[2].values).sum((1, 2)) / np.square(psi[2]).sum((1, 2))
    assert 0.0 < lost.max() <= 1e-3


@pytest.mark.parametrize("shape", [(64, 48), (33, 50), (50, 33), (37, 31)])
def test_band_cuts_half_planes_of_real_fields(shape):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, *shape)))
    for band in bands(morlet_2d(shape, 4)[0], tolerance=1e-5):
        whole = band.cut(torch.fft.fft2(x))
        half = band.cut(torch.fft.rfft2(x), real=True)
        assert whole.shape[-2:] == band.size
        torch.testing.assert_close(half, whole, rtol=0, atol=1e-12)


def test_band_refuses_another_plane():
    band = Band(morlet_2d((16, 16), 2)[0][1])
    with pytest.raises(ValueError, match=r"shape \(2, 16, 9\); expected \(..., 16, 16\)"):
        band.cut(torch.zeros(2, 16, 9, dtype=torch.complex64))
