"""Wavelet phase harmonics against brute-force sums, and gradients; test_peers.py has pywph's."""

import numpy as np
import pytest
import torch
from scattering_peers import noise

from skastro.scattering.filters_steerable import bump_steerable_2d
from skastro.scattering.phase_harmonics import PhaseHarmonics

ALL = ("S11", "S00", "S01", "C00", "C01", "Cphase", "S10", "C10", "Cphase_inv", "L")


def harmonic(z, p):
    return np.abs(z) * np.exp(1j * p * np.angle(z))


def by_hand(x, y, n_scales, n_orientations, row, n_angles, crop=0, reference=None):
    """One moment of fields x and y by sums over pixels, in a loop over what overlaps."""
    psi, _ = bump_steerable_2d(x.shape, n_scales, n_orientations)
    j1, l1, p1, j2, l2, p2, n, a = (int(v) for v in row)
    inside = tuple(slice(crop, side - crop) for side in x.shape)
    factors, centres = [], []
    for i, (field, j, t, p) in enumerate(((x, j1, l1, p1), (y, j2, l2, p2))):
        f = harmonic(np.fft.ifft2(np.fft.fft2(field) * psi[j, t]), p)[inside]
        g = f if reference is None else None
        if g is None:
            other = np.fft.ifft2(np.fft.fft2(reference[i]) * psi[j, t])
            g = harmonic(other, p)[inside]
            f = (f - g.mean()) / g.std()
        factors.append(f)
        centres.append(f.mean() if reference is None else 0.0)
    f, g = (factor - centre for factor, centre in zip(factors, centres, strict=True))
    tx = ty = 0
    if n:
        angle = l2 * np.pi / n_orientations - a * np.pi / n_angles
        ty, tx = int(np.rint(2**n * np.sin(angle))), int(np.rint(2**n * np.cos(angle)))
    h, w = f.shape
    if not crop:
        return np.mean(np.roll(f, (-ty, -tx), (0, 1)) * g.conj())
    total, count = 0.0, 0
    for m in range(h):
        for k in range(w):
            if 0 <= m + ty < h and 0 <= k + tx < w:
                total += f[m + ty, k + tx] * np.conj(g[m, k])
                count += 1
    return total / count


def test_without_a_reference_each_map_is_its_own():
    statistics = PhaseHarmonics((32, 32), 3, dn=1, norm="auto", oversampling=None)
    x = noise(2, 32, 32)
    given = statistics.moments(x, reference=statistics.norm(x))
    torch.testing.assert_close(statistics.moments(x), given, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape, n_orientations", [((16, 20), 4), ((17, 15), 2), ((16, 16), 1)])
@pytest.mark.parametrize("dn", [0, 2])
def test_every_family_on_any_size(shape, n_orientations, dn):
    statistics = PhaseHarmonics(shape, 3, n_orientations, ALL, dn=dn, n_angles=2, oversampling=None)
    x, y = noise(1, *shape), noise(1, *shape, seed=1)
    for values, table, second in (
        (statistics.moments(x), statistics.table, x),
        (statistics.moments(x, y), statistics.cross_table, y),
    ):
        for i in range(0, len(table), max(1, len(table) // 60)):
            expected = by_hand(x[0].numpy(), second[0].numpy(), 3, n_orientations, table[i], 2)
            np.testing.assert_allclose(values[0, i], expected, atol=1e-10)


def test_standardised_by_other_maps():
    x, y, u, v = (noise(1, 16, 16, seed=i) ** 2 for i in range(4))
    statistics = PhaseHarmonics((16, 16), 3, 2, ALL[:-1], norm="auto", oversampling=None)
    values = statistics.moments(x, y, statistics.norm(u, v))
    maps = [m[0].numpy() for m in (x, y, u, v)]
    for i in range(0, len(statistics.cross_table), 3):
        row = statistics.cross_table[i]
        expected = by_hand(*maps[:2], 3, 2, row, 4, reference=maps[2:])
        np.testing.assert_allclose(values[0, i], expected, atol=1e-10)


@pytest.mark.parametrize("norm", [None, "auto"])
def test_not_periodic(norm):
    """Shifts of both signs against a loop over the pixels that overlap."""
    x, y, u, v = (noise(1, 24, 22, seed=i) for i in range(4))
    statistics = PhaseHarmonics((24, 22), 3, 2, ALL[:-1], dn=2, norm=norm, periodic=False)
    assert statistics.crop == 4
    maps = [m[0].numpy() for m in (x, y, u, v)]
    reference = None if norm is None else statistics.norm(u, v)
    values = statistics.moments(x, y, reference)
    table = statistics.cross_table
    signs = set()
    for i in range(0, len(table), 13):
        expected = by_hand(
            *maps[:2], 3, 2, table[i], 4, crop=4, reference=None if norm is None else maps[2:]
        )
        np.testing.assert_allclose(values[0, i], expected, atol=1e-10)
        signs.add(bool(table[i, 6]))
    assert signs == {False, True}
    assert (values.abs() > 0).all()


def test_grids_of_their_own_lose_nothing():
    """Each scale on its own grid: within 3e-4 standard deviations of the factors."""
    k = torch.fft.fftfreq(160)[:, None].hypot(torch.fft.rfftfreq(160)).clamp_min(1 / 160)
    x = torch.fft.irfft2(torch.fft.rfft2(noise(2, 160, 160, dtype=torch.float32)) * k**-1.5)
    own, full = (PhaseHarmonics((160, 160), 5, norm="auto", oversampling=o) for o in (1.5, None))
    assert max(own.pool.bank.sizes[4]) < 160 and own.pool.coupling.groups[-1][2] < (160, 160)
    reference = full.norm(x.double())
    exact = full(x.double(), reference=reference)
    kinds = {torch.float64: torch.float32, torch.complex128: torch.complex64}
    found = own(
        x, reference={key: value.to(kinds[value.dtype]) for key, value in reference.items()}
    )
    assert (found - exact).abs().max() < 4e-4


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("norm", [None, "auto"])
@pytest.mark.parametrize("dn", [0, 1])
def test_gradients(periodic, norm, dn):
    statistics = PhaseHarmonics(
        (14, 13), 2, 2, ALL, dn=dn, norm=norm, periodic=periodic, n_angles=2
    )
    x, y = noise(2, 14, 13).requires_grad_(), noise(2, 14, 13, seed=1).requires_grad_()
    u, v = noise(2, 14, 13, seed=2), noise(2, 14, 13, seed=3)
    weight = noise(len(statistics.names), seed=4)
    cross = noise(len(statistics.cross_names), seed=5)
    check = torch.autograd.gradcheck
    one = statistics.norm(u) or None
    assert check(lambda x: statistics(x, reference=one) @ weight, (x,), fast_mode=True)
    two = statistics.norm(u, v) or None
    assert check(lambda x, y: statistics(x, y, two) @ cross, (x, y), fast_mode=True)


def test_gradient_on_grids_of_their_own():
    statistics = PhaseHarmonics((150, 141), 5, 2)
    assert statistics.pool.bank.sizes[4] < (141, 141) and len(statistics.pool.coupling.groups) > 1
    x, weight = noise(1, 150, 141).requires_grad_(), noise(len(statistics.names), seed=4)
    assert torch.autograd.gradcheck(lambda x: statistics(x) @ weight, (x,), fast_mode=True)


def test_default_set_has_the_counts_of_the_reference():
    statistics = PhaseHarmonics((128, 128), 7)
    assert len(statistics.table) == 504 and statistics.n_lows == 3
    assert len(PhaseHarmonics((256, 256), 7, dn=2).table) == 3096


def test_some_families_only():
    x = noise(1, 32, 32)
    everything = PhaseHarmonics((32, 32), 3)
    for families in (("S11",), ("L",), ("C01", "L"), ("Cphase",), ("S01", "S00")):
        statistics = PhaseHarmonics((32, 32), 3, families=families)
        values = dict(zip(statistics.names, statistics(x)[0].tolist(), strict=True))
        expected = dict(zip(everything.names, everything(x)[0].tolist(), strict=True))
        assert values and all(np.isclose(expected[k], v, rtol=1e-8) for k, v in values.items())
    assert set(PhaseHarmonics((32, 32), 3, dj=1).labels["j2"]) <= {-1, 0, 1, 2}
    near = PhaseHarmonics((32, 32), 3, families=("C01",), dl=1)
    assert len(near.table) == len(PhaseHarmonics((32, 32), 3, families=("C01",)).table) // 2


def test_names_labels_and_batches():
    statistics = PhaseHarmonics((16, 16), 2, 2, dn=1)
    x = noise(300, 16, 16)
    for names, labels, values in (
        (statistics.names, statistics.labels, statistics(x)),
        (statistics.cross_names, statistics.cross_labels, statistics(x, x.flip(0))),
    ):
        assert len(names) == len(set(names)) == values.shape[1]
        assert all(len(column) == len(names) for column in labels.values())
        # nothing that is left out, or kept, is always zero
        assert (values.abs().max(0).values > 0).all()
    torch.testing.assert_close(statistics(x)[[0, 299]], statistics(x[[0, 299]]))


def test_zeros_are_finite():
    statistics = PhaseHarmonics((32, 32), 3, dn=1, norm="auto")
    x = torch.zeros(2, 32, 32)
    x[0, :, :3] = noise(32, 3, dtype=torch.float32)
    x.requires_grad_()
    values = statistics(x)
    (slope,) = torch.autograd.grad(values.sum(), x)
    assert torch.isfinite(values).all() and torch.isfinite(slope).all()


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(n_scales=9), "n_scales=9"),
        (dict(n_scales=3, families=("S12",)), "families=.*; expected some of"),
        (dict(n_scales=3, dn=-1), "dn=-1; expected an integer of at least 0"),
        (dict(n_scales=3, dj=0), "dj=0; expected an integer of at least 1"),
        (dict(n_scales=3, norm="each"), "norm='each'; expected None or 'auto'"),
        (dict(n_scales=5, periodic=False), "leave 0 pixels a side after the crop of 16"),
        (dict(n_scales=3, oversampling=0.1), "oversampling=0.1; expected None or at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        PhaseHarmonics((32, 32), **options)


def test_bad_input():
    statistics = PhaseHarmonics((16, 16), 2)
    x = noise(2, 16, 16)
    with pytest.raises(ValueError, match=r"x has shape \(2, 15, 16\); expected \(n, 16, 16\)"):
        statistics(x[:, 1:])
    with pytest.raises(ValueError, match="x is torch.complex128; expected a Tensor of real floats"):
        statistics(x + 0j)
    with pytest.raises(ValueError, match=r"y has shape \(1, 16, 16\); expected that of x"):
        statistics(x, x[:1])
    auto = PhaseHarmonics((16, 16), 2, norm="auto")
    with pytest.raises(ValueError, match="reference was given with norm=None"):
        statistics(x, reference=auto.norm(x))
    with pytest.raises(ValueError, match="expected .*'std_y'"):
        auto(x, x, auto.norm(x))
    assert statistics.norm(x) == {}
