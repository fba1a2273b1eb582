import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from skastro.scattering.filters import morlet_2d
from skastro.scattering.modulus import direction, modulus, norm
from skastro.scattering.wst import WST

DATA = Path(__file__).parents[1] / "data" / "scattering" / "wst_2d.npz"


@pytest.fixture(scope="module")
def reference():
    with np.load(DATA) as data:
        return dict(data)


def fields(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def brute_force(x, n_scales, n_orientations):
    """Global coefficients with full FFTs, one field."""
    psi, _ = morlet_2d(x.shape, n_scales, n_orientations)
    X, S1, S2 = np.fft.fft2(x), [], []
    for j1 in range(n_scales):
        for l1 in range(n_orientations):
            U = abs(np.fft.ifft2(X * psi[j1, l1]))
            S1.append(U.mean())
            U2 = abs(np.fft.ifft2(np.fft.fft2(U) * psi[j1 + 1 :]))
            S2 += list(U2.mean((2, 3)).ravel())
    return np.array([x.mean(), *S1, *S2])


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 2e-6)])
def test_local_coefficients_are_kymatio_s(reference, dtype, tolerance):
    x, expected = reference["kymatio_x"], reference["kymatio_Sx"]
    S = WST((32, 32), 4, 8, output="local")(torch.from_numpy(x).to(dtype)).numpy()
    assert S.shape == expected.shape == (1, 417, 2, 2)
    np.testing.assert_allclose(S, expected, rtol=1e-5)
    assert abs(S - expected).max() < tolerance * abs(expected).max()


@pytest.mark.parametrize(
    "shape, n_orientations", [((24, 40), 3), ((31, 37), 4), ((16, 16), 1), ((20, 33), 8)]
)
@pytest.mark.parametrize("same_scale", [False, True])
def test_any_size_and_number_of_orientations(shape, n_orientations, same_scale):
    x = fields((2, *shape))
    wst = WST(shape, 3, n_orientations, oversampling=np.inf, same_scale=same_scale)
    S = wst(x)
    for one, found in zip(x.numpy(), S.numpy(), strict=True):
        expected = brute_force(one, 3, n_orientations)
        if same_scale:
            psi, _ = morlet_2d(shape, 3, n_orientations)
            U = abs(np.fft.ifft2(np.fft.fft2(one) * psi[2, 0]))
            same = abs(np.fft.ifft2(np.fft.fft2(U) * psi[2, 0])).mean()
            assert found[wst.names.index("S2[j1=2,j2=2,l1=0,l2=0]")] == pytest.approx(same)
            found = found[(wst.labels["order"] < 2) | (wst.labels["j2"] > wst.labels["j1"])]
        # Brute force runs over l1, j2, l2 in this order too.
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_coarse_grids_lose_one_part_in_ten_thousand():
    rng = np.random.default_rng(0)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    k[0, 0] = 1.0
    red = np.fft.ifft2(np.fft.fft2(rng.normal(size=(128, 128))) * k**-1.5).real
    x = torch.from_numpy(np.stack([red, np.exp(1.5 * red / red.std())])).float()
    exact = WST((128, 128), 5, oversampling=np.inf)
    found, exact, order = WST((128, 128), 5)(x), exact(x), exact.labels["order"]
    relative = (found / exact - 1)[:, order > 0]
    assert relative.square().mean().sqrt() < 2e-4
    closer = WST((128, 128), 5, oversampling=1.6)(x)
    assert (closer / exact - 1)[:, order > 0].square().mean().sqrt() < 1e-4


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"same_scale": True},
        {"max_order": 1},
        {"output": "local"},
        {"output": "local", "boundary": "periodic"},
    ],
)
def test_gradient_is_that_of_finite_differences(keywords):
    wst = WST((8, 16), 2, 3, **keywords)
    assert torch.autograd.gradcheck(wst, fields((2, 8, 16)).requires_grad_())


def test_gradient_is_autograd_s_of_the_plain_formula():
    x = fields((1, 40, 48)).requires_grad_()
    psi = torch.tensor(morlet_2d((40, 48), 3, 4)[0])
    U = torch.fft.ifft2(torch.fft.fft2(x)[:, None, None] * psi).abs()
    U2 = torch.fft.ifft2(torch.fft.fft2(U)[:, 0, :, None] * psi[2]).abs()
    (expected,) = torch.autograd.grad(U[:, 0].mean((-2, -1)).sum() + U2.mean(), x)
    wst = WST((40, 48), 3, 4, oversampling=np.inf)
    S = wst(x)
    at = [i for i, name in enumerate(wst.names) if name.startswith("S2[j1=0,j2=2")]
    (found,) = torch.autograd.grad(S[:, 1:5].sum() + S[:, at].mean(), x)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)


def test_constant_field_has_no_structure_and_a_finite_gradient():
    x = torch.full((1, 32, 32), 3.0, requires_grad=True)
    wst = WST((32, 32), 3)
    S = wst(x)
    assert S[0, 0].item() == pytest.approx(3.0, rel=1e-6)
    assert S[0, 1:].abs().max() < 1e-5
    (gradient,) = torch.autograd.grad(S.sum(), x)
    assert gradient.isfinite().all()
    zero = torch.zeros(1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(wst(zero)[:, 1:].sum(), zero)
    assert not gradient.any()


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_any_unit_of_float32(unit):
    x = fields((1, 32, 32), dtype=torch.float32)
    wst = WST((32, 32), 3, 4)
    torch.testing.assert_close(wst(x * unit) / unit, wst(x), rtol=1e-4, atol=0)


def test_float32_agrees_with_float64():
    x = fields((2, 64, 64), dtype=torch.float32)
    for output in ("global", "local"):
        wst = WST((64, 64), 4, 4, output=output)
        S = wst(x)
        assert S.dtype == torch.float32
        torch.testing.assert_close(S.double(), wst(x.double()), rtol=1e-4, atol=1e-5)


def test_fields_are_independent_of_their_batch(monkeypatch):
    x = fields((5, 32, 32))
    wst = WST((32, 32), 3, 4)
    whole = wst(x)
    monkeypatch.setattr("skastro.scattering.wst.CHUNK", 9000)
    monkeypatch.setattr("skastro.scattering.wst.FIELDS", 2500)
    torch.testing.assert_close(wst(x), whole, rtol=1e-12, atol=1e-14)
    assert wst(x[:0]).shape == (0, len(wst.names))
    one, all_ = (x[:2].clone().requires_grad_() for _ in range(2))
    wst(one).square().sum().backward()
    monkeypatch.undo()
    wst(all_).square().sum().backward()
    torch.testing.assert_close(one.grad, all_.grad)


def test_pickle_and_strided_input():
    x = fields((1, 16, 24)).mT
    for output in ("global", "local"):
        wst = WST((24, 16), 2, 3, output=output)
        S = wst(x)
        torch.testing.assert_close(pickle.loads(pickle.dumps(wst))(x.contiguous()), S)
        torch.testing.assert_close(wst(x.expand(3, 24, 16))[2], S[0])


def test_translation_leaves_global_coefficients():
    x = fields((1, 48, 64))
    wst = WST((48, 64), 3, 4, oversampling=np.inf)
    torch.testing.assert_close(wst(x.roll((5, -7), (1, 2))), wst(x), rtol=1e-10, atol=1e-14)


def test_names_and_labels_agree():
    for keywords in ({}, {"max_order": 1}, {"same_scale": True}):
        wst = WST((32, 32), 4, 3, **keywords)
        assert len(wst.names) == len(set(wst.names)) == wst(fields((1, 32, 32))).shape[1]
        for i, name in enumerate(wst.names):
            label = {key: int(values[i]) for key, values in wst.labels.items()}
            inside = "".join(
                f"{key}={label[key]}," for key in ("j1", "j2", "l1", "l2") if label[key] >= 0
            )
            assert name == f"S{label['order']}" + (f"[{inside[:-1]}]" if inside else "")


def test_bad_arguments():
    for keywords, message in (
        ({"max_order": 3}, "max_order=3; expected 1 or 2"),
        ({"output": "map"}, "output='map'; expected 'global' or 'local'"),
        ({"boundary": "zero"}, "boundary='zero'; expected 'reflect' or 'periodic'"),
        ({"oversampling": 0}, "oversampling=0; expected a number above 0"),
        ({"same_scale": True, "output": "local"}, "same_scale=True with output='local'"),
        ({"output": "local", "boundary": "periodic"}, r"shape=\(33, 64\).*multiples of 8"),
        ({"n_orientations": 0}, "n_orientations=0; expected"),
    ):
        with pytest.raises(ValueError, match=message):
            WST((33, 64), 3, **keywords)
    with pytest.raises(ValueError, match="the largest that fits"):
        WST((33, 64), 6)


def test_bad_input():
    wst, x = WST((32, 32), 2, 2), fields((1, 32, 32))
    with pytest.raises(ValueError, match=r"shape \(1, 32, 31\); expected \(n, 32, 32\)"):
        wst(x[..., 1:])
    with pytest.raises(ValueError, match="complex128; expected a real"):
        wst(x.to(torch.complex128))
    with pytest.raises(ValueError, match="int64; expected a real"):
        wst(x.long())
    with pytest.raises(ValueError, match="y is given; expected None"):
        wst(x, x)
    with pytest.raises(ValueError, match="reference is given; expected None"):
        wst(x, reference=x)


def test_modulus_and_its_gradient():
    z = torch.complex(fields((6, 5)), fields((6, 5), 1)).contiguous()
    z[0] = 0
    torch.testing.assert_close(modulus(z), z.abs())
    expected = torch.where(z == 0, 0, 2.0 * z / z.abs())
    torch.testing.assert_close(direction(z.clone(), modulus(z), torch.tensor(2.0)), expected)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(2.0 * norm(z[None]).sum(), z)
    torch.testing.assert_close(gradient, expected)
