import pickle

import numpy as np
import torch

from skastro.constants import Constants


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


def test_tensors_do_not_travel():
    constants = Constants()
    constants.keep("weights", np.arange(3) / 3)
    first = constants.get("weights", torch.zeros(1))
    other = pickle.loads(pickle.dumps(constants))
    assert constants._tensors and not other._tensors
    assert torch.equal(other.get("weights", torch.zeros(1)), first)


def test_a_tensor_made_without_gradients_serves_those_with():
    constants = Constants()
    constants.keep("weights", np.ones(3))
    x = torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        constants.get("weights", torch.zeros(1))
    (x * constants.get("weights", x)).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]
