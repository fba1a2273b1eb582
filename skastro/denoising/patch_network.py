"""The network that denoises a tile of voxels from the window around it."""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["PatchNetwork"]


class PatchNetwork(nn.Module):
    """A residual perceptron beside a linear filter, shared by all tiles of a cube.

    Starts from zero: an untrained network answers that there is no signal.

    Parameters
    ----------
    n_inputs : int
        Voxels of the window (and coarse cells).
    n_outputs : int
        Voxels of the tile.
    hidden : tuple of int, default=(64, 64)
        Units of the hidden layers; layers of equal size are residual.
    n_conditions : int, default=0
        Numbers that describe the noise of the cube, the same for all its tiles.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.patch_network import PatchNetwork
    >>> network = PatchNetwork(n_inputs=225, n_outputs=4, n_conditions=2)
    >>> network(torch.ones(3, 225), conditions=torch.zeros(2)).shape
    torch.Size([3, 4])
    """

    def __init__(self, n_inputs, n_outputs, hidden=(64, 64), n_conditions=0):
        super().__init__()
        hidden = tuple(hidden)
        self.linear = nn.Linear(n_inputs, n_outputs, bias=False)
        self.first = nn.Linear(n_inputs, hidden[0])
        self.condition = nn.Linear(n_conditions, hidden[0], bias=False) if n_conditions else None
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(hidden[:-1], hidden[1:], strict=True)
        )
        self.last = nn.Linear(hidden[-1], n_outputs)
        for weight in (self.linear.weight, self.last.weight, self.last.bias):
            nn.init.zeros_(weight)

    def forward(self, windows, conditions=None):
        """Denoise tiles.

        Parameters
        ----------
        windows : Tensor of shape (n, n_inputs)
            Signal to noise.
        conditions : Tensor of shape (n_conditions,) or (n, n_conditions), optional

        Returns
        -------
        tiles : Tensor of shape (n, n_outputs)
        """
        state = self.state(windows, conditions)
        return torch.addmm(self.last(state), windows, self.linear.weight.T)

    def state(self, windows, conditions=None):
        """The last hidden layer, of shape (n, hidden[-1])."""
        state = self.first(windows)
        if self.condition is not None and conditions is not None:
            state = state + self.condition(conditions)
        state = F.gelu(state, approximate="tanh")
        for layer in self.layers:
            new = F.gelu(layer(state), approximate="tanh")
            state = state + new if new.shape == state.shape else new
        return state
