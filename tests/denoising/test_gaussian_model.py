import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from skastro.denoising import gaussian_model
from skastro.denoising.gaussian_model import (
    laplacian,
    misfit,
    roughness,
    share_within,
    sum_of_gaussians,
    total,
)

N, K, P = 3, 30, 14


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    parameters = torch.rand(3, N, P, dtype=torch.float64, generator=generator)
    parameters[0] *= 5.0
    parameters[1] *= K
    parameters[2] = 0.5 + 4.0 * parameters[2]
    data = torch.randn(P, K, dtype=torch.float64, generator=generator)
    weight = torch.rand(P, K, dtype=torch.float64, generator=generator)
    weight[2] = 0.0
    weight[:, 5] = 0.0
    return parameters, data, weight


@pytest.fixture(params=[2**16, 200], ids=["one chunk", "several"])
def chunk(request, monkeypatch):
    monkeypatch.setitem(gaussian_model.CHUNK, "cpu", request.param)


def plain(parameters):
    channels = torch.arange(K, dtype=torch.float64)
    z = (channels - parameters[1][..., None]) / parameters[2][..., None]
    return (parameters[0][..., None] * torch.exp(-0.5 * z**2)).sum(0)


def test_spectra_are_sums_of_gaussians(problem, chunk):
    parameters = problem[0]
    found = sum_of_gaussians(parameters.reshape(3, N, 2, 7), K)
    assert found.shape == (2, 7, K)
    assert torch.allclose(found.reshape(P, K), plain(parameters), atol=1e-10)


def test_no_component_gives_zero():
    assert sum_of_gaussians(torch.empty(3, 0), 4).tolist() == [0.0] * 4


def test_single_precision_is_as_good_as_it_can_be(problem):
    parameters = problem[0]
    found = sum_of_gaussians(parameters.float(), K)
    assert torch.allclose(found.double(), plain(parameters), atol=2e-5)


def test_blank_parameters_stay_blank(problem):
    parameters = problem[0].clone()
    parameters[:, :, 3] = torch.nan
    found = sum_of_gaussians(parameters, K)
    assert torch.isnan(found[3]).all() and torch.isfinite(found[4]).all()


def test_misfit_and_gradient_match_autograd(problem, chunk):
    parameters, data, weight = problem
    leaf = parameters.clone().requires_grad_()
    value = 0.5 * (weight * (plain(leaf) - data) ** 2).sum(-1)
    value.sum().backward()
    found = misfit(parameters, data, weight)
    assert torch.allclose(found.value, value.detach())
    assert torch.allclose(found.gradient, leaf.grad, atol=1e-9)
    assert found.value[2] == 0 and (found.gradient[..., 2] == 0).all()
    assert misfit(parameters, data, weight, gradient=False).gradient is None


def test_curvature_is_that_of_gauss_and_newton(problem, chunk):
    parameters, data, weight = problem
    blocks = misfit(parameters, data, weight, curvature="blocks").curvature
    diagonal = misfit(parameters, data, weight, gradient=False, curvature="diagonal").curvature
    for i in range(P):
        one = parameters[..., i : i + 1]
        jacobian = torch.autograd.functional.jacobian(plain, one).reshape(K, 3 * N)
        expected = jacobian.T @ (weight[i, :, None] * jacobian)
        assert torch.allclose(blocks[i], expected, atol=1e-9)
        assert torch.allclose(diagonal[..., i].flatten(), expected.diagonal(), atol=1e-9)


def test_data_are_left_alone(problem):
    copies = [one.clone() for one in problem]
    misfit(*problem, curvature="blocks")
    assert all(torch.equal(a, b) for a, b in zip(problem, copies, strict=True))


def test_share_within_a_mask(problem, chunk):
    parameters = problem[0]
    mask = torch.rand(2, 7, K, generator=torch.Generator().manual_seed(1)) < 0.3
    found = share_within(parameters.reshape(3, N, 2, 7), mask)
    for n in range(N):
        one = parameters[:, n : n + 1].clone()
        one[0] = 1.0
        profile = plain(one)
        expected = (profile * mask.reshape(P, K)).sum(-1) / profile.sum(-1)
        assert torch.allclose(found[n].flatten(), expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 6), (1, 6), (4, 1), (1, 1), (2, 2)])
def test_laplacian(shape):
    maps = np.random.default_rng(0).normal(size=shape)
    kernel = np.array([[0, -0.25, 0], [-0.25, 1, -0.25], [0, -0.25, 0]])
    expected = correlate(maps, kernel, mode="nearest")
    assert np.allclose(laplacian(torch.from_numpy(maps)), expected)


def test_roughness_and_its_gradient():
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, 2, 5, 4, dtype=torch.float64, generator=generator).requires_grad_()
    smooth, variance = (1.0, 20.0, 300.0), 7.0
    value = 0.5 * sum(
        s * laplacian(one).square().sum() for s, one in zip(smooth, maps, strict=True)
    )
    value = value + 0.5 * variance * 20 * maps[2].var((-2, -1), correction=0).sum()
    value.backward()
    found, gradient = roughness(maps.detach(), smooth, variance)
    assert found == pytest.approx(value.item(), rel=1e-12)
    assert torch.allclose(gradient, maps.grad, atol=1e-9)
    assert roughness(torch.ones(3, 2, 5, 4), smooth, variance)[0] == 0.0


def test_sums_are_in_double_precision():
    values = torch.full((2**20,), 0.1)
    values[0] = 1e7
    assert total(values) == pytest.approx(1e7 + (2**20 - 1) * float(values[1]), rel=1e-12)
