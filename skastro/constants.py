"""Arrays that a module keeps, as tensors of whatever dtype and device they are needed in."""

import torch
from torch import nn

__all__ = ["Constants"]


class Constants(nn.Module):
    """Arrays kept in float64, and as tensors of the dtype and on the device they are asked for."""

    def __init__(self):
        super().__init__()
        self._arrays, self._tensors = {}, {}

    def keep(self, name, array):
        """Keep an array under a name."""
        self._arrays[name] = array

    def get(self, name, like):
        """The array as a tensor, made once for each (dtype, device); None where it is None."""
        array = self._arrays[name]
        if array is None:
            return None
        dtype = like.real.dtype if array.dtype.kind == "f" else torch.int64
        key = name, dtype, like.device
        if key not in self._tensors:
            # a copy, as the banks are shared and read-only; of use to autograd whoever asks first
            with torch.inference_mode(False):
                self._tensors[key] = torch.tensor(array, dtype=dtype, device=like.device)
        return self._tensors[key]

    def __getstate__(self):
        return {**super().__getstate__(), "_tensors": {}}
