import pickle

import numpy as np
import pytest
import torch

from skastro.scattering import folding
from skastro.scattering.filters import morlet_2d
from skastro.scattering.folding import FoldedFilters


def spectra(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex128, generator=generator)


def aliased(X, psi, size):
    """Products with filters, and sums over what a coarse grid doesn't tell apart, by reshaping."""
    (h, w), (m, n) = psi.shape[1:], size
    whole = X[..., None, :, :] * torch.tensor(psi) / (h * w)
    return whole.unflatten(-1, (w // n, n)).unflatten(-3, (h // m, m)).sum((-4, -2))


@pytest.mark.parametrize("small", [0, 2**20])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_aliases_are_summed_as_by_reshaping(monkeypatch, small, step):
    monkeypatch.setattr(folding, "SMALL", small)
    psi = morlet_2d((32, 48), 3, 6)[0][1]
    size = 32 // step, 48 // step
    filters = FoldedFilters(psi, [size] * 6, tolerance=1e-20)
    assert filters.at_once == bool(small)
    X = spectra(2, 3, 32, 48)
    for which in filters.groups(2 * size[0] * size[1]):
        assert len(which) == 2
        expected = aliased(X, psi[which], size)
        np.testing.assert_allclose(
            filters.fold(X, which), expected, atol=1e-9 * expected.abs().max()
        )


def test_what_is_left_out_is_as_small_as_said():
    psi = morlet_2d((64, 64), 4, 8)[0][2]
    X, every = spectra(64, 64), list(range(8))
    exact = aliased(X, psi, (16, 16))
    for tolerance in (1e-6, 1e-10):
        found = FoldedFilters(psi, [(16, 16)] * 8, tolerance).fold(X, every)
        lost = (found - exact).abs().square().sum() / exact.abs().square().sum()
        # in each row and column of each of the 16 aliases
        assert lost < 16 * 2 * 16 * tolerance


@pytest.mark.parametrize("size", [(12, 20), (16, 9), (31, 37)])
def test_a_band_gives_the_modulus_on_the_coarse_grid(size):
    shape = 31, 37
    psi = morlet_2d(shape, 3, 4)[0][2]
    X = spectra(*shape)
    found = FoldedFilters(psi, [size] * 4).fold(X, list(range(4)))
    # as wide a band around its power, moved to the frequencies of the grid: the modulus is the same
    field = torch.fft.ifft2(found, norm="forward").abs()
    full = torch.fft.ifft2(X * torch.tensor(psi)).abs()
    mean, expected = field.square().mean((1, 2)), full.square().mean((1, 2))
    np.testing.assert_allclose(mean, expected, rtol=0.02 if size != shape else 1e-12)


@pytest.mark.parametrize("small", [0, 2**20])
@pytest.mark.parametrize("tolerance", [None, 1e-10])
def test_adjoint(monkeypatch, small, tolerance):
    monkeypatch.setattr(folding, "SMALL", small)
    psi = morlet_2d((24, 32), 3, 5)[0][1]
    filters, which = FoldedFilters(psi, [(12, 16)] * 5, tolerance), [1, 2, 3]
    X, Z = spectra(2, 24, 32), spectra(2, 3, 12, 16, seed=1)
    back = torch.zeros_like(X)
    filters.add_adjoint(Z, which, back)
    one = torch.vdot(filters.fold(X, which).flatten(), Z.flatten())
    other = torch.vdot(X.flatten(), back.flatten())
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_sizes_of_their_own_and_pickles():
    psi = morlet_2d((32, 32), 3, 4)[0][2]
    sizes = [(8, 8), (10, 8), (8, 8), (12, 12)]
    filters = FoldedFilters(psi, sizes)
    assert filters.groups(10**6) == [[0, 2], [1], [3]] and filters.groups(1) == [[0], [2], [1], [3]]
    X = spectra(3, 32, 32)
    again = pickle.loads(pickle.dumps(filters))
    for which in filters.groups(10**6):
        found = filters.fold(X, which)
        assert found.shape == (3, len(which), *sizes[which[0]])
        assert torch.equal(again.fold(X, which), found)
    assert filters.fold(X.to(torch.complex64), [3]).dtype == torch.complex64
