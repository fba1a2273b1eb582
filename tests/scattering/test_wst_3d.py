from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from skastro.scattering.wst_3d import WST3D, solid_harmonics

DATA = Path(__file__).parents[1] / "data" / "scattering" / "wst_3d.npz"


def volumes(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_coefficients_are_kymatio_s(dtype):
    with np.load(DATA) as data:
        x, expected = torch.from_numpy(data["x"]).to(dtype), data["Sx"]
    S = WST3D((16, 16, 16), 2, 2, powers=(1.0, 2.0))(x)
    assert S.dtype == dtype
    np.testing.assert_allclose(S.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_power_of_the_filters_is_that_of_complex_harmonics(degree):
    shape = (8, 9, 10)
    filters = solid_harmonics(shape, 1, 3, sigma=0.7)[degree]
    w = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij")
    polar = np.arctan2(w[0], np.hypot(w[1], w[2])) + 0.5 * np.pi
    azimuth = np.arctan2(w[1], w[2])
    harmonics = [sph_harm_y(degree, m, polar, azimuth) for m in range(-degree, degree + 1)]
    # The sum over m does not depend on the direction (the addition theorem).
    total = sum(abs(one) ** 2 for one in harmonics)
    np.testing.assert_allclose(total, (2 * degree + 1) / (4 * np.pi))
    r = 1.4 * np.sqrt(sum(one**2 for one in w))
    radial = np.square(filters[1]).sum(0) / total
    ratio = radial[r > 0] / (r ** (2 * degree) * np.exp(-(r**2)))[r > 0]
    np.testing.assert_allclose(ratio, ratio[0])
    assert filters.shape == (2, 2 * degree + 1, *shape)


def test_turns_of_the_volume_leave_the_coefficients():
    # Odd sides: the highest frequency of an even one has no opposite.
    x = volumes((1, 9, 9, 9))
    wst = WST3D((9, 9, 9), 1, 3)
    for axes in ((1, 2), (2, 3), (1, 3)):
        torch.testing.assert_close(wst(torch.rot90(x, 1, axes)), wst(x), rtol=1e-9, atol=1e-9)


def test_sums_of_powers_of_the_field():
    x = volumes((2, 8, 8, 8))
    S = WST3D((8, 8, 8), 1, 0, powers=(0.5, 1.0, 2.0))(x)
    expected = [x.abs().sqrt().sum((1, 2, 3)), x.sum((1, 2, 3)), x.square().sum((1, 2, 3))]
    torch.testing.assert_close(S[:, :3], torch.stack(expected, 1))


def test_names_and_labels():
    for keywords in ({}, {"max_order": 1, "powers": (2,)}):
        wst = WST3D((8, 12, 10), 2, 1, **keywords)
        assert wst(volumes((1, 8, 12, 10))).shape == (1, len(wst.names))
        assert len(set(wst.names)) == len(wst.names)
        for i, name in enumerate(wst.names):
            keys = ("j1", "j2", "degree")
            inside = [f"{key}={wst.labels[key][i]}," for key in keys if wst.labels[key][i] >= 0]
            power = wst.powers[wst.labels["power"][i]]
            assert name == f"S{wst.labels['order'][i]}[{''.join(inside)}q={power:g}]"


def test_gradient_is_that_of_finite_differences():
    wst = WST3D((4, 4, 5), 1, 1)
    x = volumes((1, 4, 4, 5)).requires_grad_()
    assert torch.autograd.gradcheck(wst, x)
    zero = torch.zeros(1, 4, 4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(wst(zero).sum(), zero)
    assert gradient.isfinite().all()


def test_bad_arguments_and_input():
    for keywords, message in (
        ({"n_scales": 4}, "n_scales=4; expected an integer from 0 to 3"),
        ({"max_degree": -1}, "max_degree=-1; expected an integer from 0 to 20"),
        ({"max_order": 3}, "max_order=3; expected an integer from 1 to 2"),
        ({"sigma": 0.0}, "sigma=0.0; expected a positive number"),
        ({"powers": ()}, r"powers=\(\); expected positive"),
    ):
        with pytest.raises(ValueError, match=message):
            WST3D((8, 8, 8), **{"n_scales": 1, **keywords})
    with pytest.raises(ValueError, match=r"shape=\(8, 8\); expected \(d, h, w\)"):
        WST3D((8, 8), 1)
    wst, x = WST3D((4, 4, 4), 1, 0), volumes((1, 4, 4, 4))
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4, 3\); expected \(n, 4, 4, 4\)"):
        wst(x[..., 1:])
    with pytest.raises(ValueError, match="complex128; expected a real"):
        wst(x.to(torch.complex128))
    with pytest.raises(ValueError, match="reference is given"):
        wst(x, reference=x)
