"""Autoencoders of spectra: plain modules, usable without skastro.

A *banded* layer has outputs at positions along the velocity axis, and each position sees only the
inputs around it, with weights of its own: no product of distant channels exists, so none can be
learnt. All positions advance in one batched product.
"""

import math
from numbers import Integral

import torch
from torch import nn

__all__ = ["BandedLinear", "DenseAutoencoder", "LocalAutoencoder"]

# std that a unit normal keeps through ELU, inverted: weights after an ELU start that much larger
ELU_GAIN = 1.245


def _check_positive(**sizes):
    for name, size in sizes.items():
        if not (isinstance(size, Integral) and size >= 1):
            raise ValueError(f"{name}={size!r}; expected a positive integer.")


def _activate(x):
    # in place: the product before it does not need its result to go backwards
    return nn.functional.elu(x, inplace=True)


class BandedLinear(nn.Module):
    """A linear layer whose outputs see a few consecutive positions each.

    Parameters
    ----------
    first : sequence of int of length n_positions_out
        The first input position that each output position sees.
    n_positions_in : int
    span : int
        Number of consecutive input positions seen.
    n_in, n_out : int
        Values at each position, in and out.
    gain : float, default=1.0
        Initial weights have the standard deviation ``gain / sqrt(span * n_in)``; biases are 0.

    Notes
    -----
    Maps (n_positions_in, n_spectra, n_in) to (n_positions_out, n_spectra, n_out): positions come
    first, so that all of them are one batched product.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.networks import BandedLinear
    >>> layer = BandedLinear(first=[0, 2, 4], n_positions_in=8, span=4, n_in=1, n_out=2)
    >>> layer(torch.zeros(8, 10, 1)).shape
    torch.Size([3, 10, 2])
    """

    def __init__(self, first, n_positions_in, span, n_in, n_out, gain=1.0):
        super().__init__()
        first = torch.as_tensor(first, dtype=torch.long)
        _check_positive(n_positions_in=n_positions_in, span=span, n_in=n_in, n_out=n_out)
        if first.ndim != 1 or not len(first):
            raise ValueError(f"first has shape {tuple(first.shape)}; expected (n_positions_out,).")
        if first.min() < 0 or first.max() + span > n_positions_in:
            raise ValueError(
                f"first goes from {int(first.min())} to {int(first.max())} with span={span}; expected "
                f"positions within the {n_positions_in} of the input."
            )
        self.n_positions_in, self.span, self.n_in, self.n_out = n_positions_in, span, n_in, n_out
        # a constant step is read as a view, anything else is gathered
        steps = first.diff().unique().tolist() or [1]
        self.step = steps[0] if len(steps) == 1 and steps[0] > 0 else None
        self.start = int(first[0])
        self.register_buffer("first", first, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(first), span * n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(len(first), 1, n_out))
        nn.init.normal_(self.weight, std=gain / math.sqrt(span * n_in))

    def forward(self, x):
        n_out, n_spectra = len(self.first), x.shape[1]
        if self.span > 1:
            if self.step is not None:
                end = self.start + (n_out - 1) * self.step + self.span
                x = x[self.start : end].unfold(0, self.span, self.step).transpose(2, 3)
            else:
                x = x[self.first[:, None] + torch.arange(self.span, device=x.device)]
                x = x.transpose(1, 2)
            # (n_out, n_spectra, span, n_in): with n_in = 1 still a view of the spectra
            x = x.reshape(n_out, n_spectra, self.span * self.n_in)
        elif self.step != 1 or n_out != self.n_positions_in:
            x = x[self.first]
        return torch.baddbmm(self.bias, x, self.weight)

    def extra_repr(self):
        return (
            f"n_positions={self.n_positions_in} -> {len(self.first)}, span={self.span}, "
            f"n_in={self.n_in}, n_out={self.n_out}"
        )


def _spread(n_positions, n_others, span):
    """First of `span` consecutive ones of `n_others`, as close to each of `n_positions` as it goes."""
    place = (torch.arange(n_positions, dtype=torch.float64) + 0.5) * n_others / n_positions
    return (place - 0.5 * span).round().long().clamp(0, n_others - span)


class LocalAutoencoder(nn.Module):
    """The locally connected autoencoder of spectra [1]_.

    Each window of consecutive channels (one starts at every channel) goes through a small perceptron
    of its own; a bottleneck follows; the mirror image leads back, and the overlapping windows are
    added up. ELU everywhere but after the last layer.

    Parameters
    ----------
    n_channels : int
    n_components : int
        Size of the bottleneck.
    window : int, default=5
        Channels in a window.
    width : int, default=25
        Units of the hidden layers of each window.
    n_layers : int, default=3
        Layers of each window before the bottleneck, and after it.
    bottleneck : {"local", "dense"}, default="local"
        "local": each component has a place along velocity. It sees the windows within one spacing of
        the components, and each window is rebuilt from the two components nearest to it (more, when
        there are more components than windows), so that distant channels cannot be combined.
        "dense": all windows are projected to all components and back, as published.

    Attributes
    ----------
    reach : int
        The largest distance in channels over which an input can change an output.

    Notes
    -----
    The published weights of the windows are block-diagonal matrices that gradients fill; here the
    blocks are all there is. Spectra come in units of their noise, or in any in which they are of
    order one.

    References
    ----------
    .. [1] L. Einig, J. Pety, A. Roueff, et al. (2023), "Deep learning denoising by dimension
       reduction: Application to the ORION-B line cubes", A&A 677, A158.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.networks import LocalAutoencoder
    >>> network = LocalAutoencoder(n_channels=240, n_components=24)
    >>> network.encode(torch.zeros(7, 240)).shape, network(torch.zeros(7, 240)).shape
    (torch.Size([7, 24]), torch.Size([7, 240]))
    >>> network.reach
    28
    """

    def __init__(
        self, n_channels, n_components, window=5, width=25, n_layers=3, bottleneck="local"
    ):
        super().__init__()
        _check_positive(
            n_channels=n_channels, n_components=n_components, window=window, width=width,
            n_layers=n_layers,
        )  # fmt: skip
        if window > n_channels:
            raise ValueError(
                f"window={window}; expected at most the {n_channels} channels of a spectrum."
            )
        if bottleneck not in ("local", "dense"):
            raise ValueError(f"bottleneck={bottleneck!r}; expected 'local' or 'dense'.")
        self.n_channels, self.n_components, self.window = n_channels, n_components, window
        self.bottleneck = bottleneck
        self.n_windows = n_windows = n_channels - window + 1
        each = range(n_windows)

        def blocks(sizes, gains):
            return nn.ModuleList(
                BandedLinear(each, n_windows, 1, n_in, n_out, gain)
                for n_in, n_out, gain in zip(sizes[:-1], sizes[1:], gains, strict=True)
            )

        hidden = [ELU_GAIN] * (n_layers - 1)
        self.windows = BandedLinear(each, n_channels, window, 1, width)
        self.encoder = blocks([width] * n_layers, hidden)
        # `window` windows are added up in each channel: each of them starts that much smaller
        last = ELU_GAIN / math.sqrt(window)
        self.decoder = blocks([width] * n_layers + [window], [*hidden, last])
        if bottleneck == "dense":
            n_units = n_windows * width
            self.project = nn.Linear(n_units, n_components)
            self.expand = nn.Linear(n_components, n_units)
            for layer in (self.project, self.expand):
                nn.init.normal_(layer.weight, std=ELU_GAIN / math.sqrt(layer.in_features))
                nn.init.zeros_(layer.bias)
        else:
            seen = min(n_windows, math.ceil(2 * n_windows / n_components))
            used = min(n_components, max(2, math.ceil(n_components / n_windows)))
            self.project = BandedLinear(
                _spread(n_components, n_windows, seen), n_windows, seen, width, 1, ELU_GAIN
            )
            self.expand = BandedLinear(
                _spread(n_windows, n_components, used), n_components, used, 1, width, ELU_GAIN
            )

    @property
    def reach(self):
        if self.bottleneck == "dense":
            return self.n_channels - 1
        first, n_seen = self.project.first, self.project.span
        low = first[self.expand.first]
        high = first[self.expand.first + self.expand.span - 1] + n_seen - 1
        own = torch.arange(self.n_windows, device=first.device)
        # from the first channel of one window to the last of the other
        return int(torch.maximum(own - low, high - own).max()) + self.window - 1

    def encode(self, x):
        """Components of spectra: (n_spectra, n_channels) to (n_spectra, n_components)."""
        x = _activate(self.windows(x.t().unsqueeze(-1)))
        for layer in self.encoder:
            x = _activate(layer(x))
        if self.bottleneck == "dense":
            return _activate(self.project(x.transpose(0, 1).flatten(1)))
        return _activate(self.project(x)).squeeze(-1).t()

    def decode(self, z):
        """Spectra of components: (n_spectra, n_components) to (n_spectra, n_channels)."""
        if self.bottleneck == "dense":
            x = _activate(self.expand(z)).unflatten(1, (self.n_windows, -1)).transpose(0, 1)
        else:
            x = _activate(self.expand(z.t().unsqueeze(-1)))
        for i, layer in enumerate(self.decoder):
            x = layer(x)
            if i + 1 < len(self.decoder):
                x = _activate(x)
        # overlap-add: column j of window w belongs to channel w + j
        spectra = x.new_zeros(self.n_channels, x.shape[1])
        for j in range(self.window):
            spectra[j : j + self.n_windows] += x[:, :, j]
        return spectra.t()

    def forward(self, x):
        return self.decode(self.encode(x))


class DenseAutoencoder(nn.Module):
    """The densely connected autoencoder of spectra [1]_.

    Parameters
    ----------
    n_channels : int
    n_components : int
        Size of the bottleneck.
    expansion : int, default=5
        Units of the hidden layers, in multiples of `n_channels`.
    n_layers : int, default=3
        Hidden layers before the bottleneck, and after it.

    References
    ----------
    .. [1] L. Einig, J. Pety, A. Roueff, et al. (2023), "Deep learning denoising by dimension
       reduction: Application to the ORION-B line cubes", A&A 677, A158.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.networks import DenseAutoencoder
    >>> network = DenseAutoencoder(n_channels=40, n_components=30)
    >>> network.encode(torch.zeros(7, 40)).shape, network(torch.zeros(7, 40)).shape
    (torch.Size([7, 30]), torch.Size([7, 40]))
    """

    def __init__(self, n_channels, n_components, expansion=5, n_layers=3):
        super().__init__()
        _check_positive(
            n_channels=n_channels, n_components=n_components, expansion=expansion,
            n_layers=n_layers,
        )  # fmt: skip
        self.n_channels, self.n_components = n_channels, n_components
        sizes = [n_channels, *[expansion * n_channels] * n_layers, n_components]
        self.encoder = _dense_layers(sizes, 1.0)
        self.decoder = _dense_layers(sizes[::-1], ELU_GAIN)

    def encode(self, x):
        """Components of spectra: (n_spectra, n_channels) to (n_spectra, n_components)."""
        for layer in self.encoder:
            x = _activate(layer(x))
        return x

    def decode(self, z):
        """Spectra of components: (n_spectra, n_components) to (n_spectra, n_channels)."""
        for i, layer in enumerate(self.decoder):
            z = layer(z)
            if i + 1 < len(self.decoder):
                z = _activate(z)
        return z

    def forward(self, x):
        return self.decode(self.encode(x))


def _dense_layers(sizes, first_gain):
    layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
    for i, layer in enumerate(layers):
        gain = ELU_GAIN if i else first_gain
        nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
        nn.init.zeros_(layer.bias)
    return layers
