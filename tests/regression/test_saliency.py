import numpy as np
import pytest
import torch

from skastro.regression.saliency import integrated_gradients


def test_a_linear_function_is_taken_apart():
    x, weights = torch.randn(4, 3), torch.tensor([1.0, -2.0, 0.5])
    found = integrated_gradients(lambda x, side: x @ weights, x, n_steps=1)
    np.testing.assert_allclose(found, (x * weights).numpy(), rtol=1e-6)


def test_the_sum_is_the_difference_from_zero():
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def function(x, side):
        return torch.tanh(x.flatten(1).sum(1)) + x[:, 0, 0] ** 3

    found = integrated_gradients(function, x, n_steps=200).sum((1, 2))
    expected = function(x, None) - function(torch.zeros_like(x), None)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_side_columns_stay_as_they_are():
    x, side = torch.ones(2, 1), torch.tensor([[2.0], [3.0]])
    found = integrated_gradients(
        lambda x, side: (x * side)[:, 0], {"x": x, "extra": side}, n_steps=4
    )
    np.testing.assert_allclose(found, [[2.0], [3.0]])


def test_no_steps():
    with pytest.raises(ValueError, match="n_steps=0; expected at least 1"):
        integrated_gradients(lambda x, side: x[:, 0], torch.ones(1, 1), n_steps=0)
