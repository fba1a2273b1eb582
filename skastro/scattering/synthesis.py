"""New maps with given statistics: gradient descent from Gaussian fields, for many maps at once."""

from typing import NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from skastro.lbfgs import BatchLBFGS

__all__ = ["Synthesis", "gaussian_like", "resample", "synthesize"]


class Synthesis(NamedTuple):
    """What `synthesize` returns.

    Attributes
    ----------
    maps : Tensor of shape (n_samples, h, w)
    loss : Tensor of shape (n_samples,), or (1,) of all maps together
        Mean squared difference of the statistics from their target, over the metric.
    history : ndarray of shape (n_iterations + 1, n_samples), or (n_iterations + 1, 1)
        The losses after each iteration.
    n_evaluations : int
        Of the statistics and their gradient.
    """

    maps: torch.Tensor
    loss: torch.Tensor
    history: np.ndarray
    n_evaluations: int


def gaussian_like(maps, n_samples, generator):
    """Gaussian fields with the isotropic spectrum, mean and variance of maps.

    Parameters
    ----------
    maps : Tensor of shape (n, h, w)
        Their spectra are averaged.
    n_samples : int
    generator : torch.Generator

    Returns
    -------
    fields : Tensor of shape (n_samples, h, w)

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.synthesis import gaussian_like
    >>> generator = torch.Generator().manual_seed(0)
    >>> maps = torch.randn(3, 32, 32, generator=generator)
    >>> gaussian_like(maps, 2, generator).shape
    torch.Size([2, 32, 32])
    """
    h, w = maps.shape[-2:]
    mean = maps.mean(dim=(1, 2), keepdim=True)
    power = torch.fft.rfft2(maps - mean).abs().square().mean(0)
    rows, columns = torch.fft.fftfreq(h), torch.fft.rfftfreq(w)
    radius = torch.hypot(rows[:, None], columns[None]) * min(h, w)
    shell = radius.round().long().flatten().to(maps.device)
    # the half plane holds the other modes but once
    weight = torch.full((w // 2 + 1,), 2.0, dtype=maps.dtype, device=maps.device)
    weight[0] = 1.0
    if w % 2 == 0:
        weight[-1] = 1.0
    weight = weight.expand(h, -1).flatten()
    total = torch.zeros(int(shell.max()) + 1, dtype=maps.dtype, device=maps.device)
    count = total.clone().index_add_(0, shell, weight)
    total.index_add_(0, shell, weight * power.flatten())
    smooth = (total / count)[shell].view(power.shape)
    white = torch.randn(
        n_samples, h, w, generator=generator, dtype=maps.dtype, device=generator.device
    ).to(maps.device)
    amplitude = (smooth / (h * w)).sqrt()
    amplitude[0, 0] = 0.0
    fields = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(h, w))
    # the draw of so few large waves has not their variance to the last digit
    std = maps.std(dim=(1, 2)).square().mean().sqrt()
    fields *= std / fields.std(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    return fields + mean.mean()


def synthesize(
    statistics,
    target,
    start,
    *,
    metric=None,
    known=None,
    together=False,
    max_iter=200,
    tolerance=1e-6,
    relative_tolerance=1e-4,
    history_size=20,
    verbose=0,
    callback=None,
):
    """Change maps until their statistics are those asked for.

    Minimises, for each map u by itself, the mean of ((statistics(u) - target) / metric)^2 by L-BFGS; or,
    with `together`, that of the mean of the statistics over all maps [2]_.

    Parameters
    ----------
    statistics : callable
        From maps (n, h, w) to (n, n_coefficients), differentiable. Complex coefficients count with
        both their parts.
    target : Tensor of shape (n_coefficients,) or (n_samples, n_coefficients)
        The former with `together`.
    start : Tensor of shape (n_samples, h, w)
        Where the search begins, as `gaussian_like` makes it.
    metric : Tensor that broadcasts to `target`, optional
        Scale of each coefficient, such as its standard deviation. Coefficients of scale 0 or NaN are
        left out. None: 1.
    known : Tensor of shape (h, w) or (n_samples, h, w), optional
        Pixels that are given, NaN where they are to be found.
    together : bool, default=False
        Ask for the statistics on average over the maps: each keeps a scatter of its own.
    max_iter : int, default=200
    tolerance : float, default=1e-6
        A map is done when its loss is below this part of what it was at the start.
    relative_tolerance : float, default=1e-4
        It is done also when 10 iterations have lowered its loss by less than this part.
    history_size : int, default=20
        Steps that L-BFGS takes the curvature from.
    verbose : int, default=0
        1 shows a progress bar with the loss.
    callback : callable, optional
        Called after each iteration with its number and the losses; True ends the search.

    Returns
    -------
    synthesis : Synthesis

    Raises
    ------
    ValueError
        Statistics of the start that are not finite, or a target of another length.

    References
    ----------
    .. [1] Bruna & Mallat, "Multiscale sparse microcanonical models", Mathematical Statistics and
       Learning 1, 257 (2019).
    .. [2] Häggbom, Karlsmark & Andén, "Mean-field microcanonical gradient descent", arXiv:2403.08362
       (2024).

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.synthesis import synthesize
    >>> def moments(x):
    ...     return torch.stack([x.pow(k).mean(dim=(1, 2)) for k in (1, 2, 3)], 1)
    >>> start = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> found = synthesize(moments, torch.tensor([0.0, 1.0, 0.8]), start)
    >>> bool((moments(found.maps)[:, 2] - 0.8).abs().max() < 0.02)
    True
    """
    shape, dtype = start.shape[1:], start.dtype
    target = torch.as_tensor(target).to(start.device)
    if together and target.ndim != 1:
        raise ValueError(
            f"target has shape {tuple(target.shape)} with together=True; expected (n_coefficients,)."
        )
    n_problems = 1 if together else len(start)
    target = target.expand(n_problems, -1) if target.ndim == 1 else target
    weight = torch.ones((), dtype=dtype, device=start.device)
    if metric is not None:
        metric = torch.as_tensor(metric).to(start.device)
        # what does not vary at all, or is nowhere known, says nothing
        weight = torch.where(metric > 0, 1.0 / metric, 0.0).to(dtype).expand_as(target)
    free, fixed = None, start
    if known is not None:
        known = torch.as_tensor(known).to(start.device, dtype).expand_as(start)
        free = torch.isnan(known)
        fixed = torch.where(free, start, known)

    def complete(x, which):
        maps = x.view(-1, *shape)
        if free is None:
            return maps
        some = slice(None) if together else which
        return torch.where(free[some], maps, fixed[some])

    def loss(x, which):
        found = statistics(complete(x, which))
        if found.shape[1] != target.shape[1]:
            raise ValueError(
                f"target has {target.shape[1]} coefficients; expected {found.shape[1]}, as the statistics."
            )
        found = found.mean(0, keepdim=True) if together else found
        scale = weight if weight.ndim < 2 else weight[which]
        difference = (found - target[which]) * scale
        if difference.is_complex():
            difference = torch.view_as_real(difference)
        return difference.square().flatten(1).mean(1)

    history = []
    bar = tqdm(total=max_iter, desc="synthesis", unit="iteration", disable=not verbose)

    def record(n_iter, losses):
        history.append(losses.double().cpu().numpy().copy())
        bar.update(1)
        bar.set_postfix(loss=f"{history[-1].max():.3g}", refresh=False)
        return callback is not None and callback(n_iter, losses)

    every = torch.arange(n_problems, device=start.device)
    with bar, torch.no_grad():
        first = loss(fixed.reshape(n_problems, -1), every)
    search = BatchLBFGS(
        # losses relative to the start: the tolerance means the same for all
        lambda x, which: loss(x, which) / first[which].clamp_min(torch.finfo(dtype).tiny),
        max_iter=max_iter,
        tolerance=tolerance,
        relative_tolerance=relative_tolerance,
        history_size=history_size,
        callback=lambda n_iter, losses: record(n_iter, losses * first),
    )
    history.append(first.double().cpu().numpy())
    x, losses = search.minimize(fixed.reshape(n_problems, -1))
    bar.close()
    return Synthesis(complete(x, every), losses * first, np.stack(history), search.n_evaluations)


def resample(maps, size):
    """Maps on another periodic grid: frequencies are cut off, or put to zero."""
    h, w = maps.shape[1:]
    m, n = min(h, size[0]), min(w, size[1])
    spectrum = torch.fft.rfft2(maps, norm="forward")
    out = spectrum.new_zeros(len(maps), size[0], size[1] // 2 + 1)
    low, high = (m + 1) // 2, m // 2
    kept = n // 2 + 1
    out[:, :low, :kept] = spectrum[:, :low, :kept]
    if high:
        out[:, -high:, :kept] = spectrum[:, -high:, :kept]
    return torch.fft.irfft2(out, s=tuple(size), norm="forward")
