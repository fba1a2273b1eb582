import numpy as np
import pytest
import torch

from skastro.scattering.covariance_sums import (
    ModulusBank,
    SpectralSums,
    cut_sizes,
    half_plane,
    half_weights,
    narrow,
)
from skastro.scattering.filters import morlet_2d


def fields(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def cut(plane, shape, scale):
    """A plane with 0 beyond the cut, which takes in its upper end on odd sides alone."""
    kept = []
    for n, d in zip(shape, cut_sizes(shape, scale), strict=True):
        k = np.fft.fftfreq(n, 1 / n)
        kept.append((k >= -d) & (k < d + n % 2))
    return plane * kept[0][:, None] * kept[1]


@pytest.mark.parametrize("shape", [(32, 32), (32, 40), (33, 45), (40, 31)])
@pytest.mark.parametrize("scale", [0, 1, 2])
def test_sums_are_those_over_the_whole_plane(shape, scale):
    psi = morlet_2d(shape, 3, 4)[0][scale]
    sums = SpectralSums(psi, scale)
    x, u = fields(2, *shape), fields(2, 3, *shape, seed=1)
    X, U = (np.fft.fft2(a) for a in (x.numpy(), u.numpy()))
    half = [half_plane(torch.fft.rfft2(a)) for a in (x[:, None], u)]
    planes = [sums.narrow(a) for a in half]
    re, im = sums.with_map(*planes)
    expected = np.einsum("nhw,nfhw,lhw->nlf", X, U.conj(), cut(psi, shape, scale))
    np.testing.assert_allclose(re + 1j * im, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())
    expected = np.einsum("nfhw,nghw,lhw->nlfg", U, U.conj(), cut(psi**2, shape, scale))
    for other in (None, planes[1]):  # the sums of a field with itself have a way of their own
        re, im = sums.of_moduli(planes[1], other)
        np.testing.assert_allclose(re + 1j * im, expected, atol=1e-9 * abs(expected).max())


def test_gradients_of_the_sums():
    psi = morlet_2d((8, 10), 2, 2)[0][1]
    sums = SpectralSums(psi, 0)
    size = narrow(half_plane(torch.fft.rfft2(fields(1, 1, 8, 10))), sums.cut).shape[-2:]
    A, B = fields(1, 2, 2, *size).requires_grad_(), fields(1, 3, 2, *size, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: torch.stack(tuple(sums.of_moduli(a))), A)
    assert torch.autograd.gradcheck(lambda a, b: torch.stack(tuple(sums.of_moduli(a, b))), (A, B))
    assert torch.autograd.gradcheck(
        lambda a, b: torch.stack(tuple(sums.with_map(a, b))), (A[:, :1], B)
    )


def test_weights_of_a_half_plane():
    values = np.random.default_rng(0).normal(size=(1, 6, 8))
    even, odd = (w.reshape(7, 5) for w in half_weights(values, (3, 4)))
    # rows 0 to 3 and -3 to -1, columns 0 to 4: (1, 2) and its mirror image (-1, -2)
    assert even[1, 2] == pytest.approx(values[0, 1, 2] + values[0, -1, -2])
    assert odd[1, 2] == pytest.approx(values[0, 1, 2] - values[0, -1, -2])
    np.testing.assert_allclose(even.sum(), values.sum())


@pytest.mark.parametrize("oversampling, tolerance", [(None, 1e-12), (1.0, 2e-3)])
def test_moduli(oversampling, tolerance):
    shape = 96, 128
    psi = morlet_2d(shape, 4, 3)[0]
    bank = ModulusBank(psi, oversampling=oversampling)
    assert (np.prod(bank.sizes[-1]) < np.prod(shape)) == (oversampling is not None)
    x = fields(2, *shape)
    mean, square, spectra = bank(torch.fft.fft2(x, norm="forward"))
    U = np.abs(np.fft.ifft2(np.fft.fft2(x.numpy())[:, None, None] * psi))
    np.testing.assert_allclose(mean, U.mean((3, 4)), rtol=tolerance)
    np.testing.assert_allclose(square, (U**2).mean((3, 4)), rtol=max(1e-6, tolerance / 100))
    for j, one in enumerate(spectra):
        h, w = bank.sizes[j]
        expected = np.fft.fft2(U[:, j]) / np.prod(shape)
        low = slice(0, 8)
        np.testing.assert_allclose(
            one[..., low, low], expected[..., low, low], atol=tolerance * abs(expected).max()
        )
        assert one.shape == (2, 3, h, w // 2 + 1)
