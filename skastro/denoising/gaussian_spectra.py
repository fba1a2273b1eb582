"""Gaussian components of spectra that do not know of each other: Levenberg-Marquardt, all at once."""

import torch

from skastro.denoising.gaussian_model import misfit, sum_of_gaussians

__all__ = ["fit_spectra", "initial_components"]

DAMPING = (1e-6, 1e-2, 1e8)  # smallest, first and last
BLOCK_VALUES = 2**22  # of the matrices of a block of spectra
WIDTHS = (1.0, 2.0, 4.0, 8.0)  # of new components, in channels


def fit_spectra(data, weight, start, prior, *, support=None, widths=None, max_iter=100, tol=1e-6):
    """Fit sums of Gaussians to spectra, each by itself.

    Levenberg-Marquardt within bounds, with a damping for each spectrum: what comes out for one does
    not depend on the others.

    Parameters
    ----------
    data, weight : Tensor of shape (n_spectra, n_channels)
        See `misfit`.
    start : Tensor of shape (3, n_components, n_spectra)
    prior : Prior
        Its bounds; its `width_variance` weighs the squared distance from `widths`. A table has no
        neighbours to be smooth with.
    support : Tensor of bool of shape (n_components, n_spectra), optional
        Where a component may have an amplitude. By default everywhere.
    widths : Tensor broadcastable to (n_components, n_spectra), optional
        By default those of `start`.
    max_iter : int
    tol : float
        A spectrum is done when a step lowers its misfit by less than this fraction.

    Returns
    -------
    parameters : Tensor of shape (3, n_components, n_spectra)
    value : Tensor of shape (n_spectra,)
        The misfit there.
    n_iter : int
        Of the spectrum that took most.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_fit import Prior
    >>> from skastro.denoising.gaussian_model import sum_of_gaussians
    >>> from skastro.denoising.gaussian_spectra import fit_spectra
    >>> prior = Prior((0, 0, 0), 0.0, lower=(0.0, 0.0, 0.5), upper=(10.0, 29.0, 15.0))
    >>> start = torch.tensor([[[3.0]], [[11.0]], [[3.0]]], dtype=torch.float64)
    >>> true = torch.tensor([[[5.0]], [[12.3]], [[2.0]]], dtype=torch.float64)
    >>> line = sum_of_gaussians(true, 30)
    >>> found, value, n_iter = fit_spectra(line, torch.ones_like(line), start, prior)
    >>> found.flatten()
    tensor([ 5.0000, 12.3000,  2.0000], dtype=torch.float64)
    """
    lower, upper = (
        data.new_tensor(one).view(3, 1, 1).expand(start.shape) for one in (prior.lower, prior.upper)
    )
    if support is not None:
        upper = upper.clone()
        upper[0].mul_(support).nan_to_num_(nan=0.0)  # infinity times 0
    widths = (start[2] if widths is None else widths).expand(start.shape[1:])
    start = torch.minimum(torch.maximum(start, lower), upper)
    found, value, n_iter = torch.empty_like(start), data.new_empty(len(data)), 0
    step = max(1, BLOCK_VALUES // (3 * start.shape[1]) ** 2)
    for first in range(0, len(data), step):
        rows = slice(first, first + step)
        block = _Block(
            data[rows], weight[rows], lower[..., rows], upper[..., rows], widths[:, rows],
            prior.width_variance,
        )  # fmt: skip
        found[..., rows], value[rows], n_block = block.minimize(start[..., rows], max_iter, tol)
        n_iter = max(n_iter, n_block)
    return found, value, n_iter


class _Block:
    """Spectra that are fitted together; those that are done are left out of the work."""

    def __init__(self, data, weight, lower, upper, widths, width_variance):
        self.data, self.weight = data, weight
        self.lower, self.upper = lower, upper
        self.widths, self.width_variance = widths, width_variance

    def evaluate(self, parameters, rows):
        found = misfit(parameters, self.data[rows], self.weight[rows], curvature="blocks")
        if self.width_variance:
            off = parameters[2] - self.widths[:, rows]
            found.value += 0.5 * self.width_variance * off.square().sum(0)
            found.gradient[2] += self.width_variance * off
            found.curvature.diagonal(dim1=1, dim2=2)[:, -len(off) :] += self.width_variance
        return found

    def step(self, parameters, found, damping, rows):
        """Damped Gauss-Newton step of the parameters that are not held at a bound."""
        held = (parameters <= self.lower[..., rows]) & (found.gradient > 0)
        held |= (parameters >= self.upper[..., rows]) & (found.gradient < 0)
        free = (~held).flatten(0, 1).T.to(damping.dtype)
        matrix = found.curvature * free[:, :, None] * free[:, None]
        diagonal = matrix.diagonal(dim1=1, dim2=2)
        # what is held gets a one; the floor keeps a parameter without influence where it is
        floor = 1e-6 * diagonal.amax(dim=1, keepdim=True).clamp_min(1.0)
        diagonal += damping[:, None] * diagonal + floor + (1.0 - free)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        right = (found.gradient.flatten(0, 1).T * free)[..., None]
        step = torch.cholesky_solve(right, factor)[..., 0].neg_().mul_(free)
        step[failed > 0] = 0.0
        step = step.T.reshape(parameters.shape)
        width = parameters[2]
        step[1].clamp_(-width, width)
        step[2].clamp_(-0.4 * width, 0.5 * width)
        return step

    def minimize(self, start, max_iter, tol):
        smallest, first, last = DAMPING
        rows = torch.arange(len(self.data), device=self.data.device)
        parameters = start.clone()
        found = self.evaluate(parameters, rows)
        result, values = parameters.clone(), found.value.clone()
        damping = torch.full_like(values, first)
        n_iter = 0
        while n_iter < max_iter:
            n_iter += 1
            trial = parameters + self.step(parameters, found, damping, rows)
            trial = torch.maximum(trial, self.lower[..., rows])
            trial = torch.minimum(trial, self.upper[..., rows])
            new = self.evaluate(trial, rows)
            better = new.value < found.value
            done = better & (found.value - new.value <= tol * found.value)
            parameters = torch.where(better, trial, parameters)
            found.gradient = torch.where(better, new.gradient, found.gradient)
            found.curvature[better] = new.curvature[better]
            found.value = torch.where(better, new.value, found.value)
            damping = torch.where(better, (damping / 5.0).clamp_min(smallest), damping * 5.0)
            result[..., rows], values[rows] = parameters, found.value
            going = ~(done | (damping > last))
            if not going.any():
                break
            if not going.all():
                rows, damping, parameters = rows[going], damping[going], parameters[..., going]
                found.value, found.curvature = found.value[going], found.curvature[going]
                found.gradient = found.gradient[..., going]
        return result, values, n_iter


def initial_components(line, weight, n_components, prior):
    """Components of one spectrum, added one by one where most is missing.

    Each new one is tried in several widths, where the residual filtered with it is highest above its
    noise, and refitted together with those before; the best fit stays.

    Parameters
    ----------
    line, weight : Tensor of shape (n_channels,)
        A mean spectrum and its inverse variance.
    n_components : int
    prior : Prior
        Its bounds.

    Returns
    -------
    components : Tensor of shape (3, n_components), float64, on the CPU

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_fit import Prior
    >>> from skastro.denoising.gaussian_model import sum_of_gaussians
    >>> from skastro.denoising.gaussian_spectra import initial_components
    >>> prior = Prior((0, 0, 0), 0.0, lower=(0.0, 0.0, 0.5), upper=(10.0, 29.0, 15.0))
    >>> true = torch.tensor([[2.0, 5.0], [22.0, 8.0], [3.0, 1.5]], dtype=torch.float64)
    >>> line = sum_of_gaussians(true, 30)
    >>> initial_components(line, torch.ones(30), 2, prior)
    tensor([[ 5.0000,  2.0000],
            [ 8.0000, 22.0000],
            [ 1.5000,  3.0000]], dtype=torch.float64)
    """
    line, weight = line.cpu().double(), weight.cpu().double()
    n_channels = len(line)
    channels = torch.arange(n_channels, dtype=torch.float64)
    widths = [w for w in WIDTHS if prior.lower[2] <= w <= prior.upper[2]] or [prior.lower[2]]
    filters = [torch.exp(-0.5 * ((channels[:, None] - channels) / w) ** 2) for w in widths]
    norms = [(one.square() @ weight).sqrt().clamp_min(1e-30) for one in filters]
    lines, weights = line.expand(len(widths), -1), weight.expand(len(widths), -1)
    components = line.new_empty(3, 0)
    for _ in range(n_components):
        residual = weight * (line - sum_of_gaussians(components, n_channels))
        starts = []
        for width, kernel, norm in zip(widths, filters, norms, strict=True):
            signal = kernel @ residual / norm
            where = int(signal.argmax())
            amplitude = max(0.0, float(signal[where] / norm[where]))
            new = line.new_tensor([[amplitude], [where], [width]])
            starts.append(torch.cat([components, new], dim=1))
        tried, value, _ = fit_spectra(lines, weights, torch.stack(starts, dim=-1), prior)
        components = tried[..., int(value.argmin())]
    return components
