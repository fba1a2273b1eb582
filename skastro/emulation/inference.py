"""A fitted emulator, laid out for prediction: only what the asked outputs need, scales folded in."""

import math

import numpy as np
import torch

from skastro.base import row_blocks
from skastro.emulation.kernels import PackedLinear
from skastro.emulation.networks import DenseBody, EmulatorNetwork, PlainBody

__all__ = ["Plan", "PlanModule"]

LN10 = math.log(10.0)
ROWS_IN_CACHE = 128
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
        # (member, columns of the result, hidden layers, last layers) of each group in use
        self.programs = []
        for cluster in range(head.n_clusters):
            columns = torch.nonzero(place // head.size == cluster).flatten()
            if not len(columns):
                continue
            local = place[columns] % head.size
            chosen = wanted[columns].to(self.center.device)
            whole = len(columns) == self.n_wanted
            for member in range(head.n_members):
                group = member * head.n_clusters + cluster
                tail = self._tail(last, head, group, local.to(self.center.device), chosen)
                layers = [PackedLinear(*_group_weights(layer, group)) for layer in hidden]
                self.programs.append((member, None if whole else columns, layers, tail))

    def _tail(self, last, head, group, local, chosen):
        """The last one or two products, with the scales of the outputs inside."""
        weight, bias = _group_weights(last, group)
        scale, center = self.scale[chosen], self.center[chosen]
        if head.rank is None:
            weight, bias = weight[local], bias[local]
            return [PackedLinear(weight * scale[:, None], bias * scale + center)]
        basis, offset = _group_weights(head.expand, group)
        basis, offset = basis[local] * scale[:, None], offset[local] * scale + center
        n_hidden, rank, n_columns = weight.shape[1], weight.shape[0], len(local)
        if n_columns * n_hidden <= rank * (n_hidden + n_columns):
            # few outputs: the two products cost less as one
            return [PackedLinear(basis @ weight, basis @ bias + offset)]
        return [PackedLinear(weight, bias), PackedLinear(basis, offset)]

    def transformed(self, x):
        """Transformed outputs (times ln 10 for "log10"), with a first axis for several members."""
        if not self.known:
            h = self.module(x)
            h = h if self.outputs is None else h[..., self.outputs]
            return h * self.scale + self.center
        h0 = self.module.expansion(x)
        results = [None] * self.n_members
        for member, columns, layers, tail in self.programs:
            h = self._finish(self._hidden(h0, layers), tail)
            if columns is None:
                results[member] = h
                continue
            if results[member] is None:
                results[member] = h.new_empty(len(x), self.n_wanted)
            results[member][:, columns] = h
        return results[0] if self.n_members == 1 else torch.stack(results)

    def _hidden(self, h, layers):
        for layer in layers:
            new = self.activation(layer(h))
            h = torch.cat([h, new], dim=-1) if self.dense else new
        return h

    def _finish(self, h, tail):
        for layer in tail:
            h = layer(h)
        return h

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
                z = self.transformed(x[block])
                if self.n_members > 1:
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
        _, columns, layers, tail = self.programs[0]
        h = self._hidden(self.module.expansion(x), layers)
        for rows in row_blocks(len(x), 1, ROWS_IN_CACHE):
            torch.exp(self._finish(h[rows], tail), out=y[rows])

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
        z = 0.0
        for _, columns, layers, tail in self.programs:
            h = first
            for layer in layers:
                new = _push(layer, h)
                value, slope = torch.func.jvp(
                    self.activation, (new[0],), (torch.ones_like(new[0]),)
                )
                new[0] = value
                new[1:] *= slope
                h = torch.cat([h, new], dim=-1) if self.dense else new
            for layer in tail:
                h = _push(layer, h)
            if columns is not None:
                wide = h.new_zeros(*h.shape[:2], self.n_wanted)
                wide[..., columns] = h
                h = wide
            z = z + h / self.n_members
        return self._chain(z[0], z[1:])

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
        widths = [layer.weight.shape[0] for _, _, layers, _ in self.programs for layer in layers]
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
