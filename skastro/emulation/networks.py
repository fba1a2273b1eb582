"""Networks of the emulator: plain modules, usable without skastro.

A *group* is one of several networks trained side by side: the clusters of outputs, the members of an
ensemble, or both. All groups advance in one batched product per layer.
"""

import math
from itertools import combinations_with_replacement
from numbers import Integral

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from skastro.emulation.kernels import train_linear

__all__ = [
    "DenseNetwork",
    "EmulatorNetwork",
    "GroupedLinear",
    "OutputHead",
    "PlainNetwork",
    "PolynomialExpansion",
    "Stacked",
    "n_monomials",
]

ACTIVATIONS = {
    "elu": nn.functional.elu,
    "gelu": nn.functional.gelu,
    "relu": torch.relu,
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
}


def activation_function(name):
    """The function behind the name of an activation, or `name` itself when it is callable."""
    if callable(name):
        return name
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation={name!r}; expected one of {sorted(ACTIVATIONS)} or a callable."
        )
    return ACTIVATIONS[name]


def n_monomials(n_features, degree):
    """Number of monomials of degree 1 to `degree` in `n_features` variables.

    Examples
    --------
    >>> from skastro.emulation.networks import n_monomials
    >>> n_monomials(4, 3)
    34
    """
    return math.comb(n_features + degree, degree) - 1


class PolynomialExpansion(nn.Module):
    """All monomials of the inputs from degree 1 to `degree`, shifted and scaled.

    Parameters
    ----------
    n_features : int
    degree : int
    shift, scale : array-like of shape (n_terms,), optional
        The monomials come out as ``(monomial - shift) / scale``.

    Examples
    --------
    >>> import torch
    >>> from skastro.emulation.networks import PolynomialExpansion
    >>> PolynomialExpansion(2, 2)(torch.tensor([[2.0, 3.0]]))
    tensor([[2., 3., 4., 6., 9.]])
    """

    def __init__(self, n_features, degree, shift=None, scale=None):
        super().__init__()
        self.n_features, self.degree = n_features, degree
        self.n_terms = n_monomials(n_features, degree)
        position = {(i,): i for i in range(n_features)}
        parents, factors = [], []
        # each monomial is an earlier one times one input: one product a term
        for d in range(2, degree + 1):
            for term in combinations_with_replacement(range(n_features), d):
                position[term] = len(position)
                parents.append((d, position[term[:-1]]))
                factors.append(term[-1])
        for d in range(2, degree + 1):
            chosen = [i for i, (degree_, _) in enumerate(parents) if degree_ == d]
            self.register_buffer(
                f"parent_{d}", torch.tensor([parents[i][1] for i in chosen]), False
            )
            self.register_buffer(f"factor_{d}", torch.tensor([factors[i] for i in chosen]), False)
        self.register_buffer("shift", _vector(shift, self.n_terms, 0.0))
        self.register_buffer("scale", _vector(scale, self.n_terms, 1.0))

    def monomials(self, x):
        """The monomials before shift and scale, of shape (n_samples, n_terms)."""
        terms = x
        for d in range(2, self.degree + 1):
            parent, factor = getattr(self, f"parent_{d}"), getattr(self, f"factor_{d}")
            terms = torch.cat([terms, terms[:, parent] * x[:, factor]], dim=1)
        return terms

    def forward(self, x):
        return (self.monomials(x) - self.shift) / self.scale


def _vector(values, size, default):
    if values is None:
        return torch.full((size,), default)
    return torch.as_tensor(np.asarray(values), dtype=torch.get_default_dtype()).clone()


class GroupedLinear(nn.Module):
    """One linear layer a group, as one batched product.

    Parameters
    ----------
    n_groups, n_in, n_out : int
    gain : float, default=1.0
        Initial weights have the standard deviation ``gain / sqrt(n_in)``.
    bias_std : float, default=0.0
        Standard deviation of the initial biases.

    Notes
    -----
    Maps (n_samples, n_in), shared by the groups, or (n_groups, n_samples, n_in) to
    (n_groups, n_samples, n_out); without the first axis when there is one group.
    """

    def __init__(self, n_groups, n_in, n_out, gain=1.0, bias_std=0.0):
        super().__init__()
        self.n_groups = n_groups
        # torch's own order (out, in) for one group: its linear kernels want it
        shape = (n_out, n_in) if n_groups == 1 else (n_groups, n_in, n_out)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty((n_out,) if n_groups == 1 else (n_groups, 1, n_out)))
        nn.init.normal_(self.weight, std=gain / math.sqrt(n_in))
        nn.init.normal_(self.bias, std=bias_std)

    def forward(self, x):
        if self.n_groups == 1:
            product = train_linear if self.training else nn.functional.linear
            return product(x, self.weight, self.bias)
        if x.ndim == 2:
            x = x.expand(self.n_groups, -1, -1)
        return torch.baddbmm(self.bias, x, self.weight)


class PlainBody(nn.Module):
    """Hidden layers one after another, then a linear layer, for `n_groups` networks at once."""

    def __init__(self, n_features, n_outputs, hidden, activation, n_groups=1):
        super().__init__()
        self.activation = activation_function(activation)
        sizes = [n_features, *hidden]
        self.layers = _hidden_layers(n_groups, sizes[:-1], sizes[1:])
        self.last = GroupedLinear(n_groups, sizes[-1], n_outputs)

    def features(self, x):
        """The last hidden layer."""
        for layer in self.layers:
            x = self.activation(layer(x))
        return x

    def forward(self, x):
        return self.last(self.features(x))


class DenseBody(nn.Module):
    """Each layer sees the inputs and all layers before it, and adds new units."""

    def __init__(self, n_features, n_outputs, widths, activation, n_groups=1):
        super().__init__()
        self.activation = activation_function(activation)
        sizes = list(np.cumsum([n_features, *widths]))
        self.layers = _hidden_layers(n_groups, sizes[:-1], widths)
        self.last = GroupedLinear(n_groups, int(sizes[-1]), n_outputs)

    def _grow(self, x):
        if self.last.n_groups > 1:
            x = x.expand(self.last.n_groups, -1, -1)
        new = x
        for layer in self.layers:
            new = self.activation(layer(x))
            x = torch.cat([x, new], dim=-1)
        return x, new

    def features(self, x):
        """The new units of the last layer."""
        return self._grow(x)[1]

    def forward(self, x):
        return self.last(self._grow(x)[0])


def _hidden_layers(n_groups, sizes, widths):
    # gain of a rectifier; spread biases place the bends of the first layer all over the inputs
    return nn.ModuleList(
        GroupedLinear(n_groups, int(size), int(width), math.sqrt(2.0), 0.0 if i else 0.5)
        for i, (size, width) in enumerate(zip(sizes, widths, strict=True))
    )


def check_sizes(hidden, least=1):
    sizes = tuple(hidden) if isinstance(hidden, tuple | list) else (None,)
    if not all(isinstance(size, Integral) and size >= least for size in sizes):
        raise ValueError(f"hidden={hidden!r}; expected a tuple of positive integers.")
    return sizes


class PlainNetwork(BaseEstimator):
    """Recipe of a fully connected network; clonable, so its parameters can be searched.

    Parameters
    ----------
    hidden : tuple of int, default=(256, 256, 256)
        Units of the hidden layers.
    activation : {"gelu", "silu", "elu", "relu", "tanh"} or callable, default="gelu"

    Examples
    --------
    >>> import torch
    >>> from skastro.emulation import PlainNetwork
    >>> PlainNetwork(hidden=(8,))(n_features=3, n_outputs=2)(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, hidden=(256, 256, 256), activation="gelu"):
        self.hidden = hidden
        self.activation = activation

    def __call__(self, n_features, n_outputs, n_groups=1):
        """Build the network: (n_samples, n_features) to (n_samples, n_outputs)."""
        return PlainBody(n_features, n_outputs, check_sizes(self.hidden), self.activation, n_groups)


class DenseNetwork(BaseEstimator):
    """Recipe of a densely connected network [1]_; clonable, so its parameters can be searched.

    Parameters
    ----------
    hidden : tuple of int, default=(128, 128, 128, 128, 128)
        New units of each layer.
    growth : float or None, default=None
        When given, a layer adds this fraction of all units before it, inputs included, and `hidden`
        only counts the layers: 0.5 and ten layers are the published network.
    activation : {"gelu", "silu", "elu", "relu", "tanh"} or callable, default="gelu"

    References
    ----------
    .. [1] Palud, Einig et al., "Neural network-based emulation of interstellar medium models",
       A&A 678, A198 (2023).

    Examples
    --------
    >>> import torch
    >>> from skastro.emulation import DenseNetwork
    >>> DenseNetwork(hidden=(8, 8))(n_features=4, n_outputs=2)(torch.zeros(5, 4)).shape
    torch.Size([5, 2])
    """

    def __init__(self, hidden=(128,) * 5, growth=None, activation="gelu"):
        self.hidden = hidden
        self.growth = growth
        self.activation = activation

    def __call__(self, n_features, n_outputs, n_groups=1):
        """Build the network: (n_samples, n_features) to (n_samples, n_outputs)."""
        widths = check_sizes(self.hidden, 1 if self.growth is None else 0)
        if self.growth is not None:
            if not self.growth > 0:
                raise ValueError(f"growth={self.growth!r}; expected a positive number or None.")
            size, widths = n_features, []
            for _ in self.hidden:
                widths.append(max(1, math.floor(self.growth * size)))
                size += widths[-1]
        return DenseBody(n_features, n_outputs, widths, self.activation, n_groups)


class Stacked(nn.Module):
    """Several networks of one recipe, evaluated in one batched pass.

    For recipes that know nothing of groups. Parameters are stacked along a first axis and the network is
    mapped over it.

    Parameters
    ----------
    build : callable
        Called without argument, once a group.
    n_groups : int
    """

    def __init__(self, build, n_groups):
        super().__init__()
        modules = [build() for _ in range(n_groups)]
        parameters, buffers = torch.func.stack_module_state(modules)
        self.keys = list(parameters)
        frozen = {key: not value.requires_grad for key, value in modules[0].named_parameters()}
        self.stack = nn.ParameterList(
            nn.Parameter(parameters[key].detach(), requires_grad=not frozen[key])
            for key in self.keys
        )
        for key, value in buffers.items():
            self.register_buffer("stacked_" + key.replace(".", "__"), value)
        self.buffer_keys = list(buffers)
        # a template without weights of its own, hidden from the list of submodules
        self.__dict__["template"] = modules[0].to("meta")

    def train(self, mode=True):
        self.template.train(mode)
        return super().train(mode)

    def forward(self, x):
        parameters = dict(zip(self.keys, self.stack, strict=True))
        buffers = {
            key: getattr(self, "stacked_" + key.replace(".", "__")) for key in self.buffer_keys
        }

        def one(parameters, buffers):
            return torch.func.functional_call(self.template, (parameters, buffers), (x,))

        return torch.func.vmap(one, randomness="different")(parameters, buffers)


class OutputHead(nn.Module):
    """From what the groups computed to the outputs, in the user's order.

    Parameters
    ----------
    clusters : list of ndarray of int
        The outputs of each cluster; together, every output once.
    n_members : int
        Members of the ensemble; the groups are (member, cluster), clusters fastest.
    rank : int or None
        Components of each cluster's outputs; None: the groups give the outputs themselves.

    Notes
    -----
    With a rank, the outputs of a cluster are ``components @ basis + bias``: the outputs of a physical
    model live near a subspace, and this product replaces most of the operations of the last layer. The
    members of an ensemble share it, so that their mean can be taken among the components.
    """

    def __init__(self, clusters, n_members=1, rank=None):
        super().__init__()
        self.n_clusters, self.n_members = len(clusters), n_members
        self.n_outputs = sum(len(cluster) for cluster in clusters)
        self.size = max(len(cluster) for cluster in clusters)
        self.rank = rank
        self.n_inputs = self.size if rank is None else rank
        place = np.empty(self.n_outputs, dtype=np.int64)
        for c, cluster in enumerate(clusters):
            place[cluster] = c * self.size + np.arange(len(cluster))
        # where each output stands among the padded outputs of the clusters
        self.register_buffer("place", torch.as_tensor(place), False)
        self.ordered = bool((place == np.arange(self.n_outputs)).all()) and (
            self.n_outputs == self.size
        )
        if rank is not None:
            self.expand = GroupedLinear(self.n_clusters, rank, self.size)

    def _expand(self, h):
        if h.ndim == 2 or self.n_members == 1:
            return self.expand(h)
        # the members of a cluster are rows of one product
        h = h.unflatten(0, (self.n_members, self.n_clusters)).transpose(0, 1)
        rows = h.flatten(1, 2) if self.n_clusters > 1 else h.flatten(0, 2)
        out = self.expand(rows).view(self.n_clusters, self.n_members, -1, self.size)
        return out.transpose(0, 1).flatten(0, 1)

    def forward(self, h):
        if self.rank is not None:
            h = self._expand(h)
        if h.ndim == 2:
            return h if self.ordered else h[:, self.place]
        h = h.view(self.n_members, self.n_clusters, *h.shape[1:])
        h = h.transpose(1, 2).flatten(2)
        if not self.ordered:
            h = h[..., self.place]
        return h if self.n_members > 1 else h[0]


class EmulatorNetwork(nn.Module):
    """Polynomials of the inputs, a body, a head.

    Maps standardised inputs (n_samples, n_features) to standardised outputs (n_samples, n_outputs), or
    (n_members, n_samples, n_outputs) for an ensemble.
    """

    def __init__(self, expansion, body, head):
        super().__init__()
        self.expansion, self.body, self.head = expansion, body, head

    def forward(self, x):
        return self.head(self.body(self.expansion(x)))
