from pathlib import Path

import numpy as np
import pytest
import torch

from skastro.scattering.wst_1d import WST1D, centers, morlet_1d

DATA = Path(__file__).parents[1] / "data" / "scattering" / "wst_1d.npz"


def lines(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-5), (torch.float32, 1e-5)])
def test_coefficients_are_kymatio_s(dtype, tolerance):
    with np.load(DATA) as data:
        x, expected = torch.from_numpy(data["x"]).to(dtype), data["Sx"]
    wst = WST1D(512, 6, 16, output="local")
    S = wst(x).numpy()
    assert S.shape == expected.shape == (2, 222, 8)
    np.testing.assert_allclose(S, expected, rtol=tolerance)
    first = WST1D(512, 6, 16, max_order=1, output="local")(x).numpy()
    np.testing.assert_array_equal(first, S[:, wst.labels["order"] < 2])
    mean = WST1D(512, 6, 16)(x).numpy()
    np.testing.assert_allclose(mean, S.mean(2), rtol=1e-4)


def test_centers_are_geometric_then_at_equal_steps():
    bank = centers(6, 8)
    xi, sigma = np.array(bank).T
    assert (np.diff(xi) < 0).all()
    n_equal = 7
    np.testing.assert_allclose(xi[1:-n_equal] / xi[: -n_equal - 1], 2 ** (-1 / 8))
    np.testing.assert_allclose(np.diff(xi[-n_equal - 1 :]), -xi[-n_equal - 1] / 8)
    np.testing.assert_allclose(sigma[-n_equal:], 0.1 / 64)


def test_wavelets_have_unit_sum_of_modulus_and_no_mean():
    psi, phi = morlet_1d(256, 4, 4)
    np.testing.assert_allclose(abs(np.fft.ifft(psi)).sum(1), 1.0)
    assert abs(psi[:, 0]).max() < 1e-15
    assert phi[0] == pytest.approx(1.0)


def test_a_wave_is_seen_at_its_frequency():
    wst = WST1D(512, 5, 4)
    n = 9
    xi = wst.centers[0][n][0]
    x = torch.cos(2.0 * np.pi * xi * torch.arange(512.0))[None]
    first = wst(x)[0, wst.labels["order"] == 1]
    assert int(first.argmax()) == n


@pytest.mark.parametrize("length", [37, 100, 128])
def test_any_length_and_any_order_of_octaves(length):
    for keywords in ({}, {"max_order": 1}, {"output": "local"}):
        wst = WST1D((length,), 4, 3, **keywords)
        S = wst(lines((2, length)))
        assert S.shape[1] == len(wst.names) == len(set(wst.names))
        if "output" in keywords:
            assert S.shape[2:] == wst.size
        for i, name in enumerate(wst.names):
            n1, n2 = (int(wst.labels[key][i]) for key in ("n1", "n2"))
            inside = ",".join(f"{k}={v}" for k, v in (("n1", n1), ("n2", n2)) if v >= 0)
            assert name == f"S{wst.labels['order'][i]}" + (f"[{inside}]" if inside else "")


def test_gradient_is_that_of_finite_differences():
    x = lines((1, 24)).requires_grad_()
    assert torch.autograd.gradcheck(WST1D(24, 2, 2), x)
    zero = torch.zeros(1, 24, requires_grad=True)
    (gradient,) = torch.autograd.grad(WST1D(24, 2, 2)(zero)[:, 1:].sum(), zero)
    assert not gradient.any()


def test_bad_arguments_and_input():
    for keywords, message in (
        ({"quality": 0}, "quality=0; expected an integer of at least 1"),
        ({"quality": 1.5}, "quality=1.5; expected an integer"),
        ({"max_order": 0}, "max_order=0; expected 1 or 2"),
        ({"output": "both"}, "output='both'; expected 'global' or 'local'"),
    ):
        with pytest.raises(ValueError, match=message):
            WST1D(64, 3, **keywords)
    with pytest.raises(ValueError, match="expected 1 to 6, the largest"):
        WST1D(64, 7)
    wst, x = WST1D(64, 3, 1), lines((1, 64))
    for bad, message in (
        (x[:, 1:], r"shape \(1, 63\); expected \(n, 64\)"),
        (x[0], r"shape \(64,\); expected \(n, 64\)"),
        (x.to(torch.complex64), "complex64; expected a real"),
    ):
        with pytest.raises(ValueError, match=message):
            wst(bad)
    with pytest.raises(ValueError, match="y is given"):
        wst(x, x)
