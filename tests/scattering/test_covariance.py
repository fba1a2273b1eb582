"""Scattering spectra against numpy's sums over pixels, and gradients; test_peers.py has public codes'."""

import numpy as np
import pytest
import torch
from scattering_peers import noise

from skastro.scattering.covariance import Covariance
from skastro.scattering.filters import morlet_2d

KEYS = {3: ("j2", "j3", "l2", "l3"), 4: ("j1", "j2", "j3", "l1", "l2", "l3")}


def complex_family(values, labels, family):
    """The complex coefficients of a family and their indices."""
    keep = labels["family"] == family
    re, im = np.asarray(values)[keep].reshape(2, -1)
    return re + 1j * im, tuple(labels[key][keep][: len(re)] for key in KEYS[family])


def by_hand(x, n_scales, n_orientations, power=1):
    """C01 and C11 without normalisation, as means over pixels."""
    psi, _ = morlet_2d(x.shape, n_scales, n_orientations)
    fold = np.fft.ifft2
    U = np.abs(fold(np.fft.fft2(x) * psi))

    def through(field, a, times=1):
        return fold(np.fft.fft2(field) * psi[a] ** times)

    def c01(j2, j3, l2, l3):
        return np.mean(x * np.conj(through(U[j2, l2], (j3, l3), power)))

    def c11(j1, j2, j3, l1, l2, l3):
        second = through(U[j2, l2], (j3, l3))
        return np.mean(through(U[j1, l1], (j3, l3)) * np.conj(second))

    return c01, c11, U


def test_cross_of_a_map_with_itself_is_its_own():
    statistics = Covariance((16, 16), 2, 2)
    x = noise(2, 16, 16)
    own, cross = statistics(x), statistics(x, x)
    n = (statistics.labels["family"] >= 3).sum()
    torch.testing.assert_close(cross[:, 8 : 8 + n], own[:, -n:])
    torch.testing.assert_close(cross[:, 8 + n :], own[:, -n:])
    np.testing.assert_allclose(cross[:, :4], 1, rtol=1e-10)


@pytest.mark.parametrize("c01, power", [("single", 1), ("double", 2)])
@pytest.mark.parametrize("shape", [(16, 16), (17, 13), (16, 11)])
def test_means_over_pixels(shape, c01, power):
    """On two scales the sums are those of the whole plane, on any size."""
    x = noise(1, *shape)
    statistics = Covariance(shape, 2, 3, c01=c01, oversampling=None)
    mean01, mean11, U = by_hand(x[0].numpy(), 2, 3, power)
    values = statistics(x)[0]
    P00 = (U**2).mean((2, 3))
    np.testing.assert_allclose(values[1:7], np.log(P00).ravel(), rtol=1e-10)
    np.testing.assert_allclose(values[7:13], np.log(U.mean((2, 3))).ravel(), rtol=1e-10)
    np.testing.assert_allclose(values[0], x.mean() / x.std(), rtol=1e-10)
    found, index = complex_family(values, statistics.labels, 3)
    for value, (j2, j3, l2, l3) in zip(found, zip(*index, strict=True), strict=True):
        expected = mean01(j2, j3, l2, l3) / np.sqrt(P00[j2, l2] * P00[j3, l3])
        np.testing.assert_allclose(value, expected, atol=1e-10)
    found, index = complex_family(values, statistics.labels, 4)
    for i in range(0, len(found), 7):
        j1, j2, j3, l1, l2, l3 = (column[i] for column in index)
        expected = mean11(j1, j2, j3, l1, l2, l3) / np.sqrt(P00[j1, l1] * P00[j2, l2])
        np.testing.assert_allclose(found[i], expected, atol=1e-10)


def test_grids_of_their_own_lose_nothing():
    """Each scale on its own grid: within 1e-4 of everything on the grid of the map."""
    k = torch.fft.fftfreq(128)[:, None].hypot(torch.fft.rfftfreq(128)).clamp_min(1 / 128)
    x = torch.fft.irfft2(torch.fft.rfft2(noise(2, 128, 128, dtype=torch.float32)) * k**-1.5)
    x = ((x - x.mean()) / x.std()).exp()
    own, full = Covariance((128, 128), 5), Covariance((128, 128), 5, oversampling=None)
    assert own.bank.sizes[0] == (128, 128) and max(own.bank.sizes[3]) < 128
    assert (own(x) - full(x.double())).abs().max() < 2e-4


@pytest.mark.parametrize("normalization", ["P00", "P11"])
@pytest.mark.parametrize(
    "shape, oversampling", [((12, 10), None), ((11, 9), None), ((120, 101), 1.5)]
)
def test_gradients(shape, oversampling, normalization):
    n_scales = 2 if oversampling is None else 5
    statistics = Covariance(
        shape, n_scales, 2, normalization, c01="double", oversampling=oversampling
    )
    if oversampling is not None:
        assert statistics.bank.sizes[4] != shape
    x, y = noise(2, *shape).requires_grad_(), noise(2, *shape, seed=1).requires_grad_()
    weight = noise(len(statistics.names), seed=2)
    cross = noise(len(statistics.cross_names), seed=3)
    check = torch.autograd.gradcheck
    assert check(lambda x: statistics(x) @ weight, (x,), fast_mode=True)
    assert check(lambda x, y: statistics(x, y) @ cross, (x, y), fast_mode=True)


def test_reference():
    statistics = Covariance((32, 32), 3)
    x = noise(3, 32, 32)
    own, reference = statistics(x), statistics.norm(x)
    torch.testing.assert_close(statistics(x, reference=reference), own)
    one = statistics.norm(x[:1])
    twice = statistics(2 * x[:1], reference=one)
    n = (statistics.labels["family"] >= 3).sum()
    torch.testing.assert_close(twice[:, -n:], 4 * own[:1, -n:])
    assert statistics(x, x, statistics.norm(x, x)).shape == (3, len(statistics.cross_names))


def test_batches_are_maps_one_by_one():
    statistics = Covariance((20, 24), 3)
    x = noise(150, 20, 24)
    torch.testing.assert_close(statistics(x)[[0, 149]], statistics(x[[0, 149]]))


def test_names_and_labels():
    statistics = Covariance((64, 64), 4, 3)
    x = noise(1, 64, 64)
    for names, labels, values in (
        (statistics.names, statistics.labels, statistics(x)),
        (statistics.cross_names, statistics.cross_labels, statistics(x, x)),
    ):
        assert len(names) == len(set(names)) == values.shape[1]
        assert all(len(column) == len(names) for column in labels.values())
    i = statistics.names.index("C11[j1=0,j2=1,j3=3,l1=2,l2=0,l3=1].im")
    row = {key: int(column[i]) for key, column in statistics.labels.items()}
    assert row == dict(family=4, part=1, j1=0, j2=1, j3=3, l1=2, l2=0, l3=1)


def test_constant_map_and_zeros_are_finite():
    statistics = Covariance((32, 32), 3)
    x = torch.full((1, 32, 32), 2.0, requires_grad=True)
    values = statistics(x)
    assert torch.isfinite(values).all()
    (slope,) = torch.autograd.grad(values.sum(), x)
    assert torch.isfinite(slope).all()
    half = torch.zeros(1, 32, 32)
    half[:, :, :3] = noise(1, 32, 3, dtype=torch.float32)
    half.requires_grad_()
    (slope,) = torch.autograd.grad(statistics(half).sum(), half)
    assert torch.isfinite(slope).all()


def test_after_inference_mode_gradients_work():
    statistics = Covariance((16, 16), 2)
    x = noise(1, 16, 16)
    with torch.inference_mode():
        statistics(x)
    statistics(x.requires_grad_()).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(n_scales=9), "n_scales=9"),
        (dict(n_scales=2, normalization="P01"), "normalization='P01'; expected 'P00' or 'P11'"),
        (dict(n_scales=2, c01="triple"), "c01='triple'; expected 'single' or 'double'"),
        (dict(n_scales=2, oversampling=0.5), "oversampling=0.5; expected None or at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        Covariance((32, 32), **options)


def test_bad_input():
    statistics = Covariance((16, 16), 2)
    x = noise(2, 16, 16)
    for bad, message in (
        (x[:, :15], r"x has shape \(2, 15, 16\); expected \(n, 16, 16\)"),
        (x[0], r"x has shape \(16, 16\)"),
        (x.to(torch.complex64), "x is torch.complex64; expected a Tensor of real floats"),
        (x.numpy(), "x is float64; expected a Tensor of real floats"),
    ):
        with pytest.raises(ValueError, match=message):
            statistics(bad)
    with pytest.raises(ValueError, match=r"y has shape \(1, 16, 16\); expected that of x"):
        statistics(x, x[:1])
    with pytest.raises(ValueError, match="reference has .*; expected .*P00_y"):
        statistics(x, x, statistics.norm(x))
    with pytest.raises(ValueError, match="has 3 maps; expected 1 or 2"):
        statistics(x, reference=statistics.norm(torch.cat([x, x[:1]])))
