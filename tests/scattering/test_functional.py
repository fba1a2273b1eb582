import pytest
import torch

from skastro.scattering import Covariance, functional


@pytest.fixture
def maps():
    return torch.randn(2, 16, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_functions_are_the_modules(maps):
    module = Covariance((16, 20), 2, 3)
    assert torch.equal(functional.covariance(maps, 2, 3), module(maps))
    reference = module.norm(maps[:1])
    assert torch.equal(
        functional.covariance(maps, 2, 3, reference=reference), module(maps, reference=reference)
    )
    assert torch.equal(
        functional.covariance(maps, 2, 3, y=maps.flip(1)), module(maps, maps.flip(1))
    )


def test_banks_are_made_once():
    options = {"n_scales": 2, "n_orientations": 3, "max_order": 1}
    assert functional.statistics("wst", (16, 16), **options) is functional.statistics(
        "wst", (16, 16), **options
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.wst(x, 2, 2),
        lambda x: functional.rwst(x, 3, 4),
        lambda x: functional.covariance(x, 2, 2),
        lambda x: functional.phase_harmonics(x, 2, 2),
        functional.power_spectrum,
        functional.pixel_distribution,
        functional.topology,
    ],
)
def test_gradients_by_finite_differences(maps, function):
    """Along a random direction, in float64."""
    generator = torch.Generator().manual_seed(1)
    step = torch.randn(maps.shape, dtype=maps.dtype, generator=generator)
    weight = torch.rand(function(maps).shape[1], dtype=maps.dtype, generator=generator)

    def value(x):
        return (function(x) * weight).sum()

    x = maps.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(x), x)
    h = 1e-6
    want = (value(maps + h * step) - value(maps - h * step)) / (2 * h)
    assert abs(float((gradient * step).sum() / want) - 1) < 1e-4


@pytest.mark.parametrize("family", ["wst", "covariance", "phase_harmonics"])
def test_single_precision(maps, family):
    function = getattr(functional, family)
    double, single = function(maps, 2, 2), function(maps.float(), 2, 2)
    assert single.dtype == torch.float32
    assert (single - double).abs().max() < 1e-4 * double.abs().max()
