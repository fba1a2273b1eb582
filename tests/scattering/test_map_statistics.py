"""Statistics that travel, and divisions and roots that are safe."""

import copy
import pickle

import pytest
import torch

from skastro.scattering.covariance import Covariance
from skastro.scattering.map_statistics import divide, root
from skastro.scattering.phase_harmonics import PhaseHarmonics
from skastro.scattering.spectrum import PixelDistribution, PowerSpectrum


@pytest.mark.parametrize("make", [Covariance, PhaseHarmonics])
def test_statistics_are_pickled_and_copied_without_their_tensors(make):
    statistics = make((16, 20), 2, 2)
    x = torch.randn(1, 16, 20, generator=torch.Generator().manual_seed(0))
    values = statistics(x)
    for other in (pickle.loads(pickle.dumps(statistics)), copy.deepcopy(statistics)):
        assert not any(module._tensors for module in other.modules() if hasattr(module, "_tensors"))
        torch.testing.assert_close(other(x), values, rtol=0, atol=0)


@pytest.mark.parametrize("make", [PowerSpectrum, PixelDistribution])
def test_others_too(make):
    statistics = make((16, 20))
    x = torch.randn(1, 16, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pickle.loads(pickle.dumps(statistics))(x), statistics(x))


def test_divide_and_root_have_no_slope_at_zero():
    a = torch.tensor([1.0, 2.0, 0.0], requires_grad=True)
    b = torch.tensor([0.0, 4.0, 0.0], requires_grad=True)
    quotient = divide(a, b)
    assert quotient.tolist() == [0.0, 0.5, 0.0]
    (quotient.sum() + root(b).sum()).backward()
    assert a.grad.tolist() == [0.0, 0.25, 0.0]
    assert b.grad.tolist() == [0.0, -0.125 + 0.25, 0.0]
    assert root(b).tolist() == [0.0, 2.0, 0.0]
