import numpy as np
import pytest
import torch

from skastro.denoising.gaussian_grids import MultilevelDiagonal, prolong, pyramid, restrict
from skastro.denoising.gaussian_model import laplacian

SHAPES = [(6, 7), (5, 4), (1, 3), (2, 1), (1, 1), (8, 8)]


def test_pyramid_has_weighted_means():
    rng = np.random.default_rng(0)
    data, weight = rng.normal(size=(5, 6, 3)), rng.uniform(size=(5, 6, 3))
    weight[:2, :2] = 0.0
    weight[3, 3, 1] = 0.0
    levels = pyramid(torch.from_numpy(data), torch.from_numpy(weight))
    assert [tuple(one.data.shape) for one in levels] == [(1, 1, 3), (2, 2, 3), (3, 3, 3), (5, 6, 3)]
    for level, size in zip(levels[::-1], (1, 2, 4, 8), strict=True):
        for y in range(level.data.shape[0]):
            for x in range(level.data.shape[1]):
                part = np.s_[y * size : (y + 1) * size, x * size : (x + 1) * size]
                sums = weight[part].sum((0, 1))
                expected = (data * weight)[part].sum((0, 1)) / np.where(sums > 0, sums, 1)
                assert np.allclose(level.weight[y, x], sums)
                if size > 1:
                    assert np.allclose(level.data[y, x], expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_restrict_is_the_transpose_of_prolong(shape):
    generator = torch.Generator().manual_seed(0)
    fine = torch.rand(3, 2, *shape, dtype=torch.float64, generator=generator)
    coarse = torch.rand_like(restrict(fine))
    assert coarse.shape[-2:] == (-(-shape[0] // 2), -(-shape[1] // 2))
    up, down = prolong(coarse, shape), restrict(fine)
    assert up.shape == fine.shape
    assert float((up * fine).sum()) == pytest.approx(float((coarse * down).sum()))
    assert torch.allclose(prolong(torch.ones_like(coarse), shape), torch.ones_like(fine))


def test_prolong_keeps_a_slope_inside():
    slope = torch.arange(6.0).expand(4, 6)
    fine = prolong(slope, (8, 12))
    assert torch.allclose(torch.diff(fine)[:, 1:-1], torch.tensor(0.5))


def dense(operator, shape):
    unit = torch.eye(shape[0] * shape[1], dtype=torch.float64).reshape(-1, *shape)
    return torch.stack([operator(one).flatten() for one in unit])


@pytest.mark.parametrize("shape", [(12, 9), (1, 7), (2, 2)])
def test_preconditioner_is_symmetric_and_positive(shape):
    diagonal = torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inverse = dense(MultilevelDiagonal(diagonal, 50.0), shape)
    assert torch.allclose(inverse, inverse.T)
    assert torch.linalg.eigvalsh(inverse).min() > 0


def test_preconditioner_makes_the_problem_well_conditioned():
    shape, smooth = (24, 24), 400.0
    generator = torch.Generator().manual_seed(0)
    diagonal = 0.1 + 5.0 * torch.rand(*shape, dtype=torch.float64, generator=generator)
    matrix = dense(lambda x: diagonal * x + smooth * laplacian(laplacian(x)), shape)
    factor = torch.linalg.cholesky(matrix)

    def condition(inverse):
        values = torch.linalg.eigvalsh(factor.T @ inverse @ factor)
        return float(values[-1] / values[0])

    alone = condition(torch.diag(1.0 / matrix.diagonal()))
    assert condition(dense(MultilevelDiagonal(diagonal, smooth), shape)) < alone / 5


def test_a_parameter_without_data_or_smoothness_is_no_error():
    step = MultilevelDiagonal(torch.zeros(4, 4), 0.0)(torch.ones(4, 4))
    assert torch.isfinite(step).all()
