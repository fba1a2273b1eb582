"""Stencils on the sphere: brute force in float64, their band in degrees, their orientation, gradients."""

import pickle

import numpy as np
import pytest
import torch
from scattering_peers import noise
from sphere_by_hand import coarser, dense_degrading, dense_wavelets, healpy_vectors

from skastro.datasets import make_sphere_fields
from skastro.scattering.sphere_grid import Neighbours, from_quadrants, pixel_vectors, to_quadrants
from skastro.scattering.sphere_wavelets import Level, apply_stencil, wavelet_weights


def complex_fields(level, maps, n_degraded=0):
    """Wavelet fields (n, L, n_pixels) of nested maps."""
    W = level.wavelets(to_quadrants(maps), n_degraded).unflatten(1, (-1, 2))
    re, im = (
        torch.stack([from_quadrants(W[:, k, part]) for k in range(W.shape[1])], 1)
        for part in (0, 1)
    )
    return torch.complex(re, im)


@pytest.mark.parametrize("n_degraded", [0, 1, 3])
def test_wavelets_by_brute_force(n_degraded):
    x = noise(2, 768)
    found = complex_fields(Level(8, 3), x, n_degraded).numpy()
    matrices = dense_wavelets(healpy_vectors(), 3, n_degraded)
    expected = np.einsum("lpq,nq->nlp", matrices, x.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_degrading_by_brute_force():
    vectors = healpy_vectors()
    for nside in (8, 4):
        x = noise(2, len(vectors))
        found = from_quadrants(Level(nside, 4).degrade(to_quadrants(x)))
        np.testing.assert_allclose(found, x.numpy() @ dense_degrading(vectors).T, atol=1e-6)
        vectors = coarser(vectors)


def test_single_precision():
    x = noise(1, 12 * 16**2)
    level = Level(16, 4)
    exact, single = complex_fields(level, x), complex_fields(level, x.float())
    assert (single - exact).abs().max() < 1e-6 * exact.abs().max()


@pytest.mark.parametrize("nside", [4, 8, 16])
@pytest.mark.parametrize("n_degraded", [0, 1, 2])
def test_sums_are_zero(nside, n_degraded):
    level = Level(nside, 5)
    constant = torch.full((1, 12 * nside**2), 3.0, dtype=torch.float64)
    assert complex_fields(level, constant, n_degraded).abs().max() < 1e-13


def nominal(degree, nside):
    """Mean square of a wave of unit variance through the Gaussian band of the finest scale."""
    k = degree * np.sqrt(np.pi / 3) / nside
    turn = 2 * np.pi * np.arange(360) / 360
    along, across = k * np.cos(turn), k * np.sin(turn)
    band = np.exp(-0.72 * ((along - np.pi / 2) ** 2 + across**2))
    return np.mean((band - np.exp(-0.72 * ((np.pi / 2) ** 2 + k**2))) ** 2)


def test_the_band_in_degrees():
    """Scale j sees degrees around 1.535 nside / 2^j: the response of all is one function of l 2^j / nside."""
    nside, n_scales = 32, 3
    degrees = np.array([3, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80])
    response = np.empty((len(degrees), n_scales))
    levels = [Level(nside >> j, 4) for j in range(n_scales)]
    for i, degree in enumerate(degrees):
        spectrum = np.zeros(degree + 1)
        spectrum[degree] = 1.0
        maps = make_sphere_fields(3, nside, spectrum=spectrum, order="nested", random_state=i).maps
        maps = torch.from_numpy(maps / maps.std(1, keepdims=True))
        x = to_quadrants(maps)
        for j, level in enumerate(levels):
            # squares of both parts, averaged over pixels, orientations and maps
            response[i, j] = 2 * level.wavelets(x, j).square().mean()
            x = level.degrade(x)
    expected = np.array([[nominal(n, nside >> j) for j in range(n_scales)] for n in degrees])
    peak = expected.max()
    # of pixels, curvature and what is cut off at 3.5 pixels, of the largest response
    assert np.abs(response - expected).max() < 0.1 * peak
    strong = expected > 0.5 * peak
    np.testing.assert_allclose(response[strong], expected[strong], rtol=0.15)
    # the response at a degree of a scale is that of the next scale at half of it
    for j in (0, 1):
        pairs = [
            (np.flatnonzero(degrees == n), np.flatnonzero(degrees == n // 2))
            for n in (16, 20, 24, 48)
        ]
        for at, half in pairs:
            assert abs(response[at, j] - response[half, j + 1])[0] < 0.08 * peak
    # the largest response where it is said to be, between the neighbours on the list
    for j in range(n_scales):
        best = np.argmax(response[:, j])
        centre = 1.535 * nside / 2**j
        assert degrees[best - 1] < centre < degrees[min(best + 1, len(degrees) - 1)]


def test_orientations_count_from_the_north_to_the_east():
    nside = 32
    vectors = pixel_vectors(nside)
    lat, lon = np.arcsin(vectors[:, 2]), np.arctan2(vectors[:, 1], vectors[:, 0])
    near_equator = np.abs(lat) < 0.3
    k = 40.0
    # waves along a bearing, where the sphere is nearly a cylinder
    for expected, (north, east) in enumerate([(1, 0), (1, 1), (0, 1), (1, -1)]):
        phase = k * (north * lat + east * lon) / np.hypot(north, east)
        wave = torch.from_numpy(np.cos(phase))[None]
        power = complex_fields(Level(nside, 4), wave)[0].abs().square()[:, near_equator].mean(1)
        assert power.argmax() == expected
        assert power[expected] > 3 * power[(expected + 2) % 4]


def test_the_backward_pass_is_the_transpose():
    near = Neighbours.of(4, 3.5)
    distance, bearing = near.polar(slice(None))
    weights = torch.from_numpy(wavelet_weights(distance, bearing, near.missing, 2))
    index = torch.from_numpy(near.index)
    x = noise(48, 3, 4).requires_grad_()
    y = noise(48, 4, 3, 4, seed=1)
    out = apply_stencil(x, weights, index)
    (gradient,) = torch.autograd.grad((out * y).sum(), x)
    # linear: <A x', y> = <x', A^T y> for any x'
    other = noise(48, 3, 4, seed=2)
    torch.testing.assert_close(
        (apply_stencil(other, weights, index) * y).sum(), (other * gradient).sum()
    )


def test_blocks_change_nothing(monkeypatch):
    x = to_quadrants(noise(2, 768)).requires_grad_()

    def both():
        out = Level(8, 2).wavelets(x)
        (gradient,) = torch.autograd.grad(out.square().sum(), x)
        return out, gradient

    whole = both()
    monkeypatch.setattr("skastro.scattering.sphere_wavelets.BLOCK", 2**16)
    monkeypatch.setattr("skastro.scattering.sphere_wavelets.WEIGHTS_BLOCK", 50)
    for one, other in zip(both(), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_weights_do_not_travel_in_pickles():
    level = Level(16, 4)
    x = to_quadrants(noise(1, 12 * 16**2))
    expected = level.wavelets(x)
    packed = pickle.dumps(level)
    assert len(packed) < 5000
    assert torch.equal(pickle.loads(packed).wavelets(x), expected)
