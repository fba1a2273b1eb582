"""A fitted emulator, laid out for prediction: only what the asked outputs need, scales folded in."""

import math

import numpy as np
import torch

from skastro.base import row_blocks
from skastro.emulation.kernels import PackedLinear
from skastro.emulation.networks import DenseBody, EmulatorNetwork, PlainBody

__all__ = ["Plan", "PlanModule"]

LN10 = math.log(10.0)
ROWS_AT_ONCE, ROWS_IN_CACHE = 1024, 128
# Up to so many rows the members run side by side: fewer calls count for more than faster ones.
FEW_ROWS = 16
# Rows of a Jacobian at once: beyond, the work arrays are fetched page by page from the system.
JACOBIAN_ROWS = 512
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


class Plan:
    """The operations from scaled inputs to outputs in the user's units.

    Parameters
    ----------
    module : nn.Module
        Maps standardised inputs to standardised outputs, (n_samples, n_outputs) or
        (n_members, n_samples, n_outputs).
    center, scale : Tensor of shape (n_outputs,)
        ``transformed = standardised * scale + center``.
    kind : {"log10", "asinh"} or None
        The transform of the targets.
    softening : Tensor of shape (n_outputs,)
        Scale of "asinh".
    outputs : Tensor of int or None
        Which outputs to compute; None for all.
    n_members : int
    wide : bool
        Whether float32 cannot hold the range of the outputs: the last step is taken in float64.

    Notes
    -----
    Networks of this package are unrolled to packed products, a group at a time, with the scales of the
    outputs folded into the last one. Any other module is called as it is.
    """

    def __init__(
        self, module, center, scale, kind, softening, outputs=None, n_members=1, wide=False
    ):
        self.module, self.kind, self.outputs, self.n_members = module, kind, outputs, n_members
        self.wide = wide
        # the logarithm's base is folded in too: the inverse is a bare exponential
        base = LN10 if kind == "log10" else 1.0
        self.center, self.scale = center * base, scale * base
        self.softening = softening if outputs is None else softening[outputs]
        self.n_columns = len(center) if outputs is None else len(outputs)
        self.known = isinstance(module, EmulatorNetwork) and isinstance(
            module.body, (PlainBody, DenseBody)
        )
        if self.known:
            with torch.no_grad():
                self._unroll(module)
        elif outputs is not None:
            self.center, self.scale = self.center[outputs], self.scale[outputs]

    def _unroll(self, module):
        body, head = module.body, module.head
        self.dense = isinstance(body, DenseBody)
        self.activation = body.activation
        hidden, last = list(body.layers), body.last
        n_outputs = head.n_outputs
        wanted = torch.arange(n_outputs) if self.outputs is None else self.outputs.cpu()
        place = head.place.cpu()[wanted]
        self.n_wanted = len(wanted)
        # (columns of the result, members, common last product) of each cluster in use; a member is a
        # list of hidden layers and its own last product
        self.programs, self.common = [], None
        for cluster in range(head.n_clusters):
            columns = torch.nonzero(place // head.size == cluster).flatten()
            if not len(columns):
                continue
            local = (place[columns] % head.size).to(self.center.device)
            chosen = wanted[columns].to(self.center.device)
            finish, weights = self._tail(last, head, cluster, local, chosen)
            members = []
            for member, tail in enumerate(weights):
                group = member * head.n_clusters + cluster
                layers = [PackedLinear(*_group_weights(layer, group)) for layer in hidden]
                members.append((layers, PackedLinear(*tail)))
            whole = len(columns) == self.n_wanted
            self.programs.append((None if whole else columns, members, finish))
        if head.n_clusters > 1:
            self.common = None

    def _tail(self, last, head, cluster, local, chosen):
        """The common last product, if any, and the weights of each member's own."""
        groups = range(cluster, head.n_members * head.n_clusters, head.n_clusters)
        own = [_group_weights(last, group) for group in groups]
        scale, center = self.scale[chosen], self.center[chosen]
        if head.rank is None:
            return None, [(w[local] * scale[:, None], b[local] * scale + center) for w, b in own]
        basis, offset = _group_weights(head.expand, cluster)
        basis, offset = basis[local] * scale[:, None], offset[local] * scale + center
        (rank, n_hidden), n_columns = own[0][0].shape, len(local)
        self.common = PackedLinear(basis, offset)
        if n_columns * n_hidden * len(own) <= rank * (n_hidden * len(own) + n_columns):
            # few outputs: the two products cost less as one
            return None, [(basis @ w, basis @ b + offset) for w, b in own]
        return self.common, own

    def transformed(self, x, mean=False):
        """Transformed outputs (times ln 10 for "log10").

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
        mean : bool
            The mean of several members instead of each along a first axis.
        """
        if not self.known:
            h = self.module(x)
            h = h if self.outputs is None else h[..., self.outputs]
            h = h * self.scale + self.center
            return h.mean(dim=0) if mean and self.n_members > 1 else h
        h0 = self.module.expansion(x)
        shape = (len(x), self.n_wanted)
        if self.n_members > 1 and not mean:
            shape = (self.n_members, *shape)
        result = None
        for columns, members, finish in self.programs:
            h = self._run(h0, members, mean)
            h = h if finish is None else self._apply(finish, h)
            if columns is None:
                return h
            result = h.new_empty(shape) if result is None else result
            result[..., columns] = h
        return result

    def _run(self, h0, members, mean):
        """What the members of a cluster compute before the common product, or the mean of it."""
        own = [self._apply(last, self._hidden(h0, layers)) for layers, last in members]
        if len(own) == 1:
            return own[0]
        if not mean:
            return torch.stack(own)
        total = own[0]
        for one in own[1:]:
            total += one
        return total.div_(len(own))

    def _hidden(self, h, layers):
        for layer in layers:
            new = self.activation(layer(h))
            h = torch.cat([h, new], dim=-1) if self.dense else new
        return h

    @staticmethod
    def _apply(layer, h):
        return layer(h) if h.ndim == 2 else layer(h.flatten(0, 1)).unflatten(0, h.shape[:2])

    def to_user(self, z):
        """From transformed outputs to the user's units; overwrites `z`."""
        if self.kind == "log10":
            return z.exp_()
        if self.kind == "asinh":
            return z.sinh_().mul_(self.softening.to(z.dtype))
        return z

    def __call__(self, x, dtype, return_std=False):
        """Predict rows of standardised inputs.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
        dtype : torch.dtype
            Of the result.
        return_std : bool
            Also the standard deviation of the members, in transformed units (times ln 10 for "log10").

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs), in the user's units
        std : Tensor of the same shape, only with `return_std`
        """
        # numpy asks for huge pages, torch does not: writing into fresh memory costs half as much
        y = torch.from_numpy(np.empty((len(x), self.n_columns), _NUMPY[dtype]))
        std = torch.empty_like(y) if return_std else None
        with torch.inference_mode():
            for block in row_blocks(len(x), self._bytes_per_row()):
                if self._is_direct(dtype) and not return_std:
                    self._write_exponentials(x[block], y[block])
                    continue
                z = self.transformed(x[block], mean=not return_std)
                if return_std:
                    std[block] = z.std(dim=0)
                    z = z.mean(dim=0)
                y[block] = self.to_user(z.double() if self.wide else z)
        return (y, std) if return_std else y

    def _is_direct(self, dtype):
        one = self.known and len(self.programs) == 1 and self.kind == "log10" and not self.wide
        return one and self.center.dtype == dtype and self.center.device.type == "cpu"

    def _write_exponentials(self, x, y):
        """The common case: the last product and its exponential, few rows at a time in the caches."""
        _, members, finish = self.programs[0]
        if len(x) <= FEW_ROWS and len(members) > 1 and self.common is not None:
            h = self.module.body(self.module.expansion(x)).mean(dim=0)
            torch.exp(self.common(h), out=y)
            return
        for rows in row_blocks(len(x), 1, ROWS_AT_ONCE):
            h = self._run(self.module.expansion(x[rows]), members, mean=True)
            part = y[rows]
            if finish is None:
                torch.exp(h, out=part)
                continue
            for few in row_blocks(len(h), 1, ROWS_IN_CACHE):
                torch.exp(finish(h[few]), out=part[few])

    def jacobian(self, x):
        """Outputs in the user's units and their derivatives by the standardised inputs.

        Forward mode: the tangents of all inputs ride along in the same products.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs)
        dy : Tensor of shape (n_features, n_samples, n_outputs)
        """
        with torch.no_grad():
            parts = [self._jacobian(part) for part in x.split(JACOBIAN_ROWS)]
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts], dim=1)

    def _jacobian(self, x):
        if not self.known:
            return _jacobian(self.differentiable, x)
        h0, d0 = _jacobian(self.module.expansion, x)
        first = torch.cat([h0[None], d0])
        result = None
        for columns, members, finish in self.programs:
            h = sum(self._push_through(first, *member) for member in members) / len(members)
            h = h if finish is None else _push(finish, h)
            if columns is None:
                result = h
                break
            result = h.new_zeros(*h.shape[:2], self.n_wanted) if result is None else result
            result[..., columns] = h
        return self._chain(result[0], result[1:])

    def _push_through(self, h, layers, last):
        """A value and its tangents, stacked on the first axis, through one member."""
        for layer in layers:
            new = _push(layer, h)
            value, slope = torch.func.jvp(self.activation, (new[0],), (torch.ones_like(new[0]),))
            new[0] = value
            new[1:] *= slope
            h = torch.cat([h, new], dim=-1) if self.dense else new
        return _push(last, h)

    def _chain(self, z, dz):
        if self.wide:
            z, dz = z.double(), dz.double()
        if self.kind == "log10":
            y = torch.exp(z)
            return y, dz.mul_(y)
        if self.kind == "asinh":
            return torch.sinh(z) * self.softening, dz.mul_(torch.cosh(z) * self.softening)
        return z, dz

    def differentiable(self, x):
        """Differentiable prediction in the user's units, from standardised inputs."""
        h = self.module(x)
        if self.n_members > 1:
            h = h.mean(dim=0)
        center, scale = self.center, self.scale
        if self.outputs is not None:
            h = h[..., self.outputs]
            if self.known:
                center, scale = center[self.outputs], scale[self.outputs]
        z = h * scale + center
        z = z.double() if self.wide else z
        if self.kind == "log10":
            return torch.exp(z)
        return torch.sinh(z) * self.softening if self.kind == "asinh" else z

    def hessian(self, x):
        """Second derivatives by the standardised inputs, (n_features, n_features, n_samples, n_outputs)."""
        n_features = x.shape[1]
        eye = torch.eye(n_features, dtype=x.dtype, device=x.device)

        def second(i, j):
            def slope(x):
                tangent = eye[j].expand_as(x)
                return torch.func.jvp(self.differentiable, (x,), (tangent,))[1]

            return torch.func.jvp(slope, (x,), (eye[i].expand_as(x),))[1]

        with torch.no_grad():
            rows = {(i, j): second(i, j) for i in range(n_features) for j in range(i + 1)}
            return torch.stack(
                [
                    torch.stack([rows[max(i, j), min(i, j)] for j in range(n_features)])
                    for i in range(n_features)
                ]
            )

    def _bytes_per_row(self):
        if not self.known:
            return 8 * (self.module_width() + len(self.center) * self.n_members)
        widths = [
            sum(layer.weight.shape[0] for layer in layers)
            for _, members, _ in self.programs
            for layers, _ in members
        ]
        return 4 * (3 * max(widths, default=1) + 2 * self.n_wanted * self.n_members)

    def module_width(self):
        """Widest matrix of the module, a measure of its activations."""
        return max((p.shape[0] for p in self.module.parameters() if p.ndim), default=1)


class PlanModule(torch.nn.Module):
    """A plan as a differentiable module, from inputs to outputs in the user's units.

    Parameters
    ----------
    plan : Plan
    mean, scale : Tensor of shape (n_features,)
        Of the inputs.
    """

    def __init__(self, plan, mean, scale):
        super().__init__()
        self.plan = plan
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, X):
        return self.plan.differentiable((X.to(self.mean.dtype) - self.mean) / self.scale)


def _group_weights(layer, group):
    """Weight (n_out, n_in) and bias (n_out,) of one group of a `GroupedLinear`."""
    if layer.n_groups == 1:
        return layer.weight.detach(), layer.bias.detach()
    return layer.weight[group].t().detach(), layer.bias[group, 0].detach()


def _push(layer, h):
    """Apply a linear layer to a value and its tangents, stacked on the first axis."""
    out = layer(h.flatten(0, 1), bias=False).unflatten(0, h.shape[:2])
    out[0] += layer.bias
    return out


def _jacobian(function, x):
    """Value and slopes by each input, all inputs in one pass over repeated rows."""
    n_samples, n_features = x.shape
    eye = torch.eye(n_features, dtype=x.dtype, device=x.device)
    tangents = eye.repeat_interleave(n_samples, dim=0)
    value, slopes = torch.func.jvp(function, (x.repeat(n_features, 1),), (tangents,))
    return value[:n_samples], slopes.unflatten(0, (n_features, n_samples))
