import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from skastro.datasets.sphere_fields import synthesize_harmonics
from skastro.healpix import nested_of_ring, ring_layout, ring_of_nested
from skastro.separation.harmonics import Degrees, SphericalHarmonics, legendre


def base(nside, harmonics):
    """Real orthonormal harmonics at the pixels, by scipy."""
    z, _, sizes, first = ring_layout(nside)
    theta = np.repeat(np.arccos(z), sizes)
    phi = np.concatenate(
        [f + 2 * np.pi * np.arange(n) / n for f, n in zip(first, sizes, strict=True)]
    )
    rows = []
    for degree, m in zip(harmonics.degree, harmonics.order_of_mode, strict=True):
        y = sph_harm_y(degree, abs(m), theta, phi)
        rows.append(y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag))
    return np.array(rows)


@pytest.mark.parametrize("order", ["ring", "nested"])
def test_synthesis_and_adjoint_are_those_of_scipys_harmonics(order):
    nside, max_degree = 8, 16
    harmonics = SphericalHarmonics(nside, max_degree, order)
    B = base(nside, harmonics) * np.sqrt(4 * np.pi / (12 * nside**2))
    if order == "nested":
        B = B[:, ring_of_nested(nside)]
    assert len(B) == (max_degree + 1) ** 2
    one = torch.eye(len(B), dtype=torch.float64)
    np.testing.assert_allclose(harmonics.synthesis(one), B, atol=1e-12)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 12 * nside**2)))
    np.testing.assert_allclose(harmonics.adjoint(x), x.numpy() @ B.T, atol=1e-12)


def test_synthesis_is_that_of_the_data_sets():
    rng = np.random.default_rng(0)
    nside, max_degree = 16, 20
    harmonics = SphericalHarmonics(nside, max_degree)
    modes = rng.normal(size=(1, (max_degree + 1) ** 2))
    a = np.zeros((1, max_degree + 1, max_degree + 1), complex)
    for value, degree, m in zip(modes[0], harmonics.degree, harmonics.order_of_mode, strict=True):
        a[0, degree, abs(m)] += value if m == 0 else value * (1 if m > 0 else -1j) / np.sqrt(2)
    expected = synthesize_harmonics(a, nside) * np.sqrt(4 * np.pi / (12 * nside**2))
    np.testing.assert_allclose(harmonics.synthesis(torch.from_numpy(modes)), expected, atol=1e-12)


def test_legendre_at_high_degree():
    z = np.array([-0.99, -0.3, 0.0, 0.7])
    values = legendre(128, z)
    for degree, m in ((0, 0), (1, 1), (64, 3), (128, 0), (128, 64), (128, 128)):
        expected = sph_harm_y(degree, m, np.arccos(z), 0.0).real
        np.testing.assert_allclose(values[m, degree], expected, atol=1e-11)


@pytest.mark.parametrize(("max_degree", "tolerance"), [(16, 1e-4), (24, 5e-4), (32, 3e-3)])
def test_round_trip(max_degree, tolerance):
    harmonics = SphericalHarmonics(16, max_degree)
    modes = torch.from_numpy(np.random.default_rng(0).normal(size=(3, (max_degree + 1) ** 2)))
    found = harmonics.analysis(harmonics.synthesis(modes))
    assert (found - modes).abs().max() < tolerance


def test_the_transforms_are_differentiable_and_adjoint():
    harmonics = SphericalHarmonics(4, 8)
    rng = np.random.default_rng(0)
    x, a = (torch.from_numpy(rng.normal(size=(1, n))) for n in (192, 81))
    inner = (harmonics.synthesis(a) * x).sum(), (harmonics.adjoint(x) * a).sum()
    assert float(inner[0]) == pytest.approx(float(inner[1]), rel=1e-12)
    assert torch.autograd.gradcheck(harmonics.analysis, x.requires_grad_())
    assert torch.autograd.gradcheck(harmonics.synthesis, a.requires_grad_())


@pytest.mark.parametrize("degree", [1, 5, 20, 32])
def test_power_of_one_harmonic(degree):
    harmonics = SphericalHarmonics(16, 32)
    degrees = Degrees(harmonics)
    Y = base(16, harmonics)
    rng = np.random.default_rng(degree)
    own = np.flatnonzero(harmonics.degree == degree)
    x = 3.0 * Y[rng.choice(own)]
    power = degrees.power(torch.from_numpy(x)[None])[0].numpy()
    # white noise of variance 1 has C_l = 4 pi / N
    expected = np.zeros(32)
    expected[degree - 1] = 9.0 / (2 * degree + 1) * 3072 / (4 * np.pi)
    np.testing.assert_allclose(power, expected, atol=2e-3 * expected.max())
    wide = Degrees(harmonics, growing=True)
    assert (wide.counts[:15] == 2 * np.arange(1, 16) + 1).all() and wide.counts.sum() == 33**2 - 1
    band = int(np.flatnonzero(wide.wavenumbers <= degree + 1)[-1])
    total = (wide.power(torch.from_numpy(x)[None])[0].numpy() * wide.counts)[
        band - 1 : band + 1
    ].sum()
    assert total == pytest.approx(expected.max() * (2 * degree + 1), rel=5e-3)


def test_bands_filter_and_cross_spectra():
    harmonics = SphericalHarmonics(8, 16, "nested")
    degrees = Degrees(harmonics)
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.normal(size=(2, 1, 768))) for _ in range(2))
    one, two = harmonics.analysis(x), harmonics.analysis(y)
    cross = degrees.power(x, y)
    np.testing.assert_allclose(
        cross[..., 6], (one * two)[..., harmonics.degree == 7].mean(-1), rtol=1e-10
    )
    gain = degrees.spread(torch.arange(1.0, 17.0, dtype=torch.float64)[None])
    found = harmonics.analysis(degrees.filter(x, gain))
    np.testing.assert_allclose(found, one * torch.from_numpy(harmonics.degree), atol=0.05)
    assert gain[0, 0] == 0 and degrees.share == 289 / 768
    phases = degrees.phases(x)
    square = phases.square()
    for degree in (1, 8, 16):
        np.testing.assert_allclose(
            square[..., harmonics.degree == degree].mean(-1), 1.0, rtol=1e-10
        )


def test_nested_is_ring_in_another_order():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(1, 768)))
    ring, nested = SphericalHarmonics(8, 12), SphericalHarmonics(8, 12, "nested")
    found = nested.analysis(x[:, ring_of_nested(8)])
    np.testing.assert_allclose(found, ring.analysis(x), atol=1e-12)
    back = nested.synthesis(found)[:, nested_of_ring(8)]
    np.testing.assert_allclose(back, ring.synthesis(found), atol=1e-12)
