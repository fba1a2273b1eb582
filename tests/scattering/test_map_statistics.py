"""Tensors made once from arrays, statistics that travel, and divisions and roots that are safe."""

import copy
import pickle

import numpy as np
import pytest
import torch

from skastro.scattering.covariance import Covariance
from skastro.scattering.map_statistics import Constants, divide, root
from skastro.scattering.phase_harmonics import PhaseHarmonics
from skastro.scattering.spectrum import PixelDistribution, PowerSpectrum


def test_constants_are_made_once_for_each_dtype():
    constants = Constants()
    constants.keep("weights", np.arange(3) / 3)
    constants.keep("index", np.arange(3))
    constants.keep("nothing", None)
    single, double = torch.zeros(1), torch.zeros(1, dtype=torch.complex128)
    assert constants.get("weights", single).dtype == torch.float32
    assert constants.get("weights", double).dtype == torch.float64
    assert constants.get("weights", single) is constants.get("weights", single)
    np.testing.assert_array_equal(constants.get("weights", double), np.arange(3) / 3)
    assert constants.get("index", single).dtype == torch.int64
    assert constants.get("nothing", single) is None


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
