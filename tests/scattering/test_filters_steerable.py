"""Bump-steerable wavelets against their formula on one frequency at a time; Gaussian low-passes."""

import math

import numpy as np
import pytest

from skastro.scattering.filters_steerable import bump_steerable_2d, gaussian_lows_2d


def by_hand(ky, kx, j, t, n_orientations):
    """The formula, summed over the periods within +-2 pi."""
    L = n_orientations
    xi = 0.85 * math.pi / 2**j
    c = 2 ** (L - 1) / 1.29 * math.factorial(L - 1) / math.sqrt(L * math.factorial(2 * L - 2))
    total = 0.0
    for a in (ky - 2 * math.pi, ky, ky + 2 * math.pi):
        for b in (kx - 2 * math.pi, kx, kx + 2 * math.pi):
            k = math.hypot(a, b)
            cosine = math.cos(math.atan2(a, b) - t * math.pi / L)
            if max(a, b) >= 2 * math.pi or min(a, b) < -2 * math.pi:
                continue
            if 0 < k < 2 * xi and cosine >= 0:
                bump = math.exp(-((k - xi) ** 2) / (xi**2 - (k - xi) ** 2))
                total += c * bump * cosine ** (L - 1)
    return total


@pytest.mark.parametrize("shape", [(16, 16), (15, 12), (13, 17)])
@pytest.mark.parametrize("n_orientations", [2, 3, 4])
def test_values(shape, n_orientations):
    psi, _ = bump_steerable_2d(shape, 3, n_orientations)
    ky, kx = (2 * np.pi * np.fft.fftfreq(n) for n in shape)
    for j in range(3):
        for t in range(n_orientations):
            expected = [[by_hand(a, b, j, t, n_orientations) for b in kx] for a in ky]
            np.testing.assert_allclose(psi[j, t], expected, atol=1e-12)


def test_no_mean_and_one_half_plane():
    psi, _ = bump_steerable_2d((32, 32), 4)
    assert (psi[:, :, 0, 0] == 0).all()
    # from scale 1 on nothing is folded: a wavelet of angle 0 has only positive frequencies
    assert (psi[1:, 0, :, 17:] == 0).all() and psi[1:, 0, :, 1:16].max() > 0.5


def test_a_partition_of_the_angles():
    """The squared cosines of a steerable filter sum to a constant over all directions."""
    psi, _ = bump_steerable_2d((64, 64), 4, 4)
    power = (psi**2).sum(1)
    power = power + np.roll(power[:, ::-1, ::-1], 1, (1, 2))
    ring = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.fftfreq(64, 1 / 64)))
    for k2 in (25, 50, 65):  # radii that several directions share
        values = power[1][np.isclose(ring**2, k2)]
        assert len(values) >= 8
        np.testing.assert_allclose(values, values[0], rtol=1e-10)


def test_gaussians():
    lows = gaussian_lows_2d((40, 27), scales=(-1, 0, 2))
    ky, kx = (2 * np.pi * np.fft.fftfreq(n) for n in (40, 27))
    s0 = 1 / (0.496 * 2**-0.55 * 0.85 * np.pi)
    for low, j in zip(lows, (-1, 0, 2), strict=True):
        u = np.arange(-200, 200)

        def side(k, j=j, u=u):
            s = s0 * 2.0**j
            return np.exp(-(u**2) / (2 * s**2)) @ np.cos(np.outer(u, k)) / (np.sqrt(2 * np.pi) * s)

        np.testing.assert_allclose(low, np.outer(side(ky), side(kx)), atol=1e-12)
    assert len(bump_steerable_2d((16, 16), 3)[1]) == 2


def test_cached_and_read_only():
    psi, lows = bump_steerable_2d((16, 16), 2)
    assert bump_steerable_2d((16, 16), 2)[0] is psi
    assert not psi.flags.writeable and not lows.flags.writeable


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((16,), 2, 4), "shape=.16,.; expected two sides"),
        (((16, 1), 2, 4), "at least 2 pixels"),
        (((16, 16), 0, 4), "n_scales=0; expected a positive integer"),
        (((16, 16), 2, 1.5), "n_orientations=1.5; expected a positive integer"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        bump_steerable_2d(*arguments)
