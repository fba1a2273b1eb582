"""Exact Gaussian-process regression on what the network has learnt.

A network learns which combinations of the inputs matter; on a few thousand models, kriging in the space
of its last hidden layer then uses each model exactly, where the network's own linear output layer only
fits them in the mean.
"""

import copy
import math

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from torch import nn

__all__ = ["FeatureKriging", "Kriging", "fit_length_scales", "matern", "solve_coefficients"]

# Smallest squared distance: keeps the kernel smooth enough for second derivatives at a training row.
SOFTENING = 1e-6
NOISE_RANGE = (1e-9, 0.1)
TUNING_ROWS = 600
# Measured: at most 1.1 on real grids, smooth or with noise that the kernel knows; 1.8 with noise that it
# missed, 18 with 3 % of wrong entries.
MOST_LEFT_OUT = 1.25
BLOCK_ROWS = 64
# Step from the network's answer to kriging's, in standard deviations of an output, that is taken whole.
TRUST = 0.1


def matern(squared_distance):
    """Matérn kernel of smoothness 5/2, unit variance and length, of a squared distance."""
    r = math.sqrt(5.0) * torch.sqrt(squared_distance + SOFTENING)
    return (1.0 + r + r.square() / 3.0) * torch.exp(-r)


def squared_distances(a, b):
    """Squared Euclidean distances between the rows of `a` and those of `b`."""
    cross = a @ b.transpose(-1, -2)
    norms = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :]
    return (norms - 2.0 * cross).clamp_min(0.0)


def fit_length_scales(inputs, features, targets, rng):
    """Length scales and noise of the kernel, by maximum likelihood.

    All outputs share the kernel; the variance of each is profiled out.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, n_features)
        Standardised inputs.
    features : ndarray of shape (n_samples, n_hidden)
        The last hidden layer.
    targets : ndarray of shape (n_samples, n_outputs)
        Standardised, NaN where unknown. Outputs known everywhere decide, where there are some.
    rng : numpy.random.Generator

    Returns
    -------
    scales : tuple of float
        Length in input space, length in feature space, noise variance relative to the signal's.
    """
    rows, outputs = _complete_part(targets)
    if len(rows) > TUNING_ROWS:
        rows = np.sort(rng.choice(rows, TUNING_ROWS, replace=False))
    z = targets[np.ix_(rows, outputs)]
    z = torch.from_numpy(z - z.mean(axis=0))
    parts = [torch.from_numpy(np.ascontiguousarray(part[rows])) for part in (inputs, features)]
    squares = [squared_distances(part, part) for part in parts]
    n = len(rows)
    eye = torch.eye(n, dtype=torch.float64)

    def negative_log_likelihood(parameters):
        theta = torch.tensor(parameters, requires_grad=True)
        distance = sum(s * torch.exp(-2.0 * t) for s, t in zip(squares, theta, strict=False))
        kernel = matern(distance) + theta[2].exp() * eye
        factor, failed = torch.linalg.cholesky_ex(kernel)
        if failed:
            return 1e10, np.zeros(3)
        white = torch.linalg.solve_triangular(factor, z, upper=False)
        variance = white.square().sum(0).clamp_min(1e-300) / n
        value = 0.5 * torch.log(variance).mean() + factor.diagonal().log().mean()
        value.backward()
        return value.item(), theta.grad.numpy()

    start = [0.5 * math.log(float(s.median()) + 1e-12) for s in squares]
    start[0] += 1.0
    bounds = [(s - 5.0, s + 6.0) for s in start] + [tuple(np.log(NOISE_RANGE))]
    # noise has several optima: the descent starts from the likeliest of these
    starts = [[*start, math.log(noise)] for noise in (1e-7, 1e-5, 1e-3, 1e-2)]
    result = minimize(
        negative_log_likelihood,
        min(starts, key=lambda parameters: negative_log_likelihood(parameters)[0]),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 30},
    )
    return tuple(float(value) for value in np.exp(result.x))


def _complete_part(targets):
    """Rows and outputs without a hole: many outputs, yet 9 rows in 10 of the best known output."""
    known = ~np.isnan(targets)
    order = np.argsort(-known.sum(axis=0), kind="stable")
    complete = np.logical_and.accumulate(known[:, order], axis=1)
    counts = complete.sum(axis=0)
    n_outputs = int(np.flatnonzero(counts >= 0.9 * counts[0])[-1]) + 1
    return np.flatnonzero(complete[:, n_outputs - 1]), order[:n_outputs]


def solve_coefficients(kernel, targets, weights, noise):
    """Kriging coefficients of every output, zero where a target is unknown.

    Parameters
    ----------
    kernel : ndarray of shape (n_samples, n_samples)
    targets : ndarray of shape (n_samples, n_outputs)
        NaN where unknown.
    weights : ndarray of shape (n_samples, n_outputs) or (n_samples, 1)
        The noise of an entry is ``noise / weight``; an entry of weight zero is left out.
    noise : float

    Returns
    -------
    coefficients : ndarray of shape (n_samples, n_outputs)
    means : ndarray of shape (n_outputs,)
        Mean of each output over its known entries, to be added back.
    left_out : ndarray of shape (n_samples, n_outputs)
        Target minus what the other rows predict (closed form), NaN where unknown.
    """
    weights = np.broadcast_to(weights, targets.shape) * ~np.isnan(targets)
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    means = np.nansum(np.where(weights > 0, targets * weights, 0.0), axis=0) / total
    residual = np.where(weights > 0, targets - means, 0.0)
    coefficients, left_out = np.zeros(targets.shape), np.full(targets.shape, np.nan)
    # outputs with the same pattern of weights share one factorisation
    patterns, owner = np.unique(weights.T, axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        rows, columns = np.flatnonzero(pattern > 0), np.flatnonzero(owner.ravel() == i)
        block = kernel[np.ix_(rows, rows)]
        block[np.diag_indices(len(rows))] += noise / pattern[rows]
        factor, lower = cho_factor(block, lower=True, overwrite_a=True)
        solved = cho_solve((factor, lower), residual[np.ix_(rows, columns)])
        coefficients[np.ix_(rows, columns)] = solved
        left_out[np.ix_(rows, columns)] = solved / dpotri(factor, lower=1)[0].diagonal()[:, None]
    return coefficients, means, left_out


def last_hidden(network, x, n_members):
    """Features of each member, (n_members, n_samples, n_hidden); clusters stand side by side."""
    features = network.body.features(network.expansion(x))
    if features.ndim == 2:
        return features[None]
    return features.unflatten(0, (n_members, -1)).transpose(1, 2).flatten(2)


class FeatureKriging(nn.Module):
    """A trained network whose output layer is replaced by kriging on its last hidden layer.

    Parameters
    ----------
    network : EmulatorNetwork
        Trained; `network.body.features` gives the last hidden layer.
    inputs : Tensor of shape (n_samples, n_features)
        The standardised training inputs.
    scales : array-like of shape (n_members, 3)
        As `fit_length_scales` gives them.
    coefficients : Tensor of shape (n_members, n_samples, n_outputs)
    means : Tensor of shape (n_outputs,)

    Notes
    -----
    A step d from the network's mean answer to kriging's is shortened to ``d - d**3 / 2 / (d**2 + c**2)``
    with c = 0.1 standard deviations: whole when small, half when large. Works in float64: the
    coefficients of neighbouring models nearly cancel.
    """

    def __init__(self, network, inputs, scales, coefficients, means):
        super().__init__()
        self.network = network
        self.register_buffer("inputs", inputs)
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("means", means)
        lengths = torch.as_tensor(np.asarray(scales)[:, :2], dtype=inputs.dtype)
        self.register_buffer("lengths", lengths)
        with torch.no_grad():
            self.register_buffer("joint", self.coordinates(inputs))

    def coordinates(self, x):
        """Inputs and features over their length scales, (n_members, n_samples, n_coordinates)."""
        n_members = len(self.lengths)
        features = last_hidden(self.network, x, n_members)
        x = x.expand(n_members, -1, -1)
        return torch.cat(
            [x / self.lengths[:, 0, None, None], features / self.lengths[:, 1, None, None]], dim=-1
        )

    def kernel(self):
        """Covariance of the training rows, (n_members, n_samples, n_samples)."""
        return matern(squared_distances(self.joint, self.joint))

    def _kriged(self, coordinates):
        covariance = matern(squared_distances(coordinates, self.joint))
        return torch.baddbmm(self.means, covariance, self.coefficients)

    def _kriged_in_blocks(self, coordinates):
        """The same without derivatives: few rows at a time and in place, within the caches."""
        norms = self.joint.square().sum(-1)[:, None]
        turned = -2.0 * self.joint.transpose(-1, -2)
        parts = []
        for rows in coordinates.split(BLOCK_ROWS, dim=1):
            square = torch.baddbmm(norms, rows, turned).add_(rows.square().sum(-1)[..., None])
            r = square.clamp_min_(0.0).add_(SOFTENING).mul_(5.0).sqrt_()
            decay = torch.neg(r).exp_()
            covariance = r.div(3.0).add_(1.0).mul_(r).add_(1.0).mul_(decay)
            parts.append(torch.baddbmm(self.means, covariance, self.coefficients))
        return torch.cat(parts, dim=1)

    def forward(self, x):
        members = len(self.lengths)
        coordinates = self.coordinates(x)
        if torch.is_inference_mode_enabled():
            kriged = self._kriged_in_blocks(coordinates)
        else:
            kriged = self._kriged(coordinates)
        network = self.network(x)
        network = network if members > 1 else network[None]
        # far from the network's own answer, kriging is as likely to be wrong: half of the way is taken
        step = kriged.mean(0) - network.mean(0)
        excess = 0.5 * step * step.square() / (step.square() + TRUST**2)
        z = kriged - excess
        return z if members > 1 else z[0]


class Kriging:
    """The fitted kriging of an emulator, as plain arrays.

    Attributes
    ----------
    inputs_ : ndarray of shape (n_samples, n_features)
    scales_ : ndarray of shape (n_members, 3)
        Length of the inputs, length of the features, relative noise variance.
    coefficients_ : ndarray of shape (n_members, n_samples, n_outputs)
    means_ : ndarray of shape (n_outputs,)
    ratio_ : float
        Median error at a row left out, over the median residual of the networks trained on it.
    helps_ : bool
        Whether the ratio is that of a smooth grid. On noise or wrong models kriging, which passes
        through each of them, is far worse than a network, which does not.
    """

    def fit(self, module, x, z, weight, rng):
        """Fit on the features of a trained `EmulatorNetwork`.

        Parameters
        ----------
        module : EmulatorNetwork
        x : ndarray of shape (n_samples, n_features)
            Standardised inputs.
        z : ndarray of shape (n_samples, n_outputs)
            Standardised outputs, NaN where unknown.
        weight : ndarray of shape (n_samples, 1) or (n_samples, n_outputs) or None
        rng : numpy.random.Generator
        """
        n_members = module.head.n_members
        self.inputs_ = x.astype(np.float64)
        z = z.astype(np.float64)
        weight = np.ones((len(x), 1)) if weight is None else weight
        sure = np.where(weight > 0, z, np.nan)
        with torch.no_grad():
            copy_ = _double(module)
            inputs = torch.from_numpy(self.inputs_)
            features = last_hidden(copy_, inputs, n_members).numpy()
        self.scales_ = np.array(
            [fit_length_scales(self.inputs_, one, sure, rng) for one in features]
        )
        with torch.no_grad():
            empty = torch.zeros(n_members, len(x), z.shape[1], dtype=torch.float64)
            kernels = self._module(copy_, inputs, empty, torch.zeros(z.shape[1])).kernel().numpy()
        solved = [
            solve_coefficients(kernel, z, weight, scales[2])
            for kernel, scales in zip(kernels, self.scales_, strict=True)
        ]
        self.coefficients_ = np.stack([one[0] for one in solved])
        self.means_ = solved[0][1]
        with torch.no_grad():
            network = copy_(inputs)
        network = network.numpy() if n_members == 1 else network.mean(0).numpy()
        left_out = np.mean([one[2] for one in solved], axis=0)
        ratio = np.nanmedian(np.abs(left_out)) / max(np.nanmedian(np.abs(sure - network)), 1e-12)
        self.ratio_, self.helps_ = float(ratio), bool(ratio < MOST_LEFT_OUT)
        return self

    def _module(self, module, inputs, coefficients, means):
        return FeatureKriging(module, inputs, self.scales_, coefficients, means.double())

    def network(self, module):
        """The module that predicts standardised outputs, in float64, beside the trained `module`."""
        device = next(module.parameters()).device
        arrays = (self.inputs_, self.coefficients_, self.means_)
        inputs, coefficients, means = (torch.from_numpy(a).to(device) for a in arrays)
        return self._module(_double(module), inputs, coefficients, means).eval()


def _double(module):
    return copy.deepcopy(module).double().eval()
