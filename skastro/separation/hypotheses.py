"""What the parts of a mixture might be: draws of the signal's powers and modes, and of the contamination."""

from dataclasses import replace

import torch

from skastro.separation.problem import wiener_filter

__all__ = ["suppose"]

REACH = 0.5  # octaves over which the errors of a smooth spectrum are alike


def suppose(problem, n_choices, generator):
    """Replace what is estimated of each mixture by a draw from what it might be.

    The powers of the signal in the rings are drawn with their uncertainty, its modes from the Gaussian
    posterior around the Wiener filter with these powers, and of the contamination one sample is taken. Each
    draw is what the search then holds to, in place of the mean: exact for Gaussian fields [1]_.

    Parameters
    ----------
    problem : Problem
    n_choices : int
        Samples of the contamination to choose from.
    generator : torch.Generator

    Returns
    -------
    problem : Problem
        Its `wiener` is a signal that might be, of the power `power`.

    References
    ----------
    .. [1] Bardsley, Solonen, Haario & Laine, "Randomize-then-optimize: a method for sampling from posterior
       distributions in nonlinear inverse problems", SIAM Journal on Scientific Computing 36, A1895 (2014).

    Examples
    --------
    See `StatisticalSeparator.sample_posterior`.
    """
    maps, rings, fine = problem.mixtures, problem.rings, problem.fine

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(maps)

    octave = torch.from_numpy(rings.wavenumbers).log2()
    alike = torch.exp(-0.5 * ((octave[:, None] - octave) / REACH) ** 2)
    root = torch.linalg.cholesky(alike + 1e-6 * torch.eye(len(octave), dtype=alike.dtype))
    # the powers themselves have the mean that was estimated, those of the smooth spectrum the median
    own, shared = (
        one.clamp_min(0).log1p()
        for one in (problem.uncertainty.square() - problem.shared, problem.shared)
    )
    shift = normal(*own.shape) * own.sqrt() - 0.5 * own
    shift = shift + (normal(*own.shape) @ root.T.to(maps)) * shared.sqrt()
    power = problem.power * shift.exp()
    ring = rings.of(fine).to(maps.device)
    spectrum = problem.spectrum * shift.exp()[..., ring]
    weight, step = wiener_filter(fine, spectrum, problem.noise)
    found = fine.filter(maps, weight) + fine.filter(normal(*maps.shape), step)
    # the power of the signal itself is drawn, not that of its law
    gain = (power / rings.power(found).clamp_min(torch.finfo(power.dtype).tiny)).sqrt()
    chosen = torch.randint(n_choices, (len(maps),), generator=generator).to(maps.device)
    return replace(
        problem, power=power, spectrum=spectrum, step=step, chosen=chosen,
        wiener=rings.filter(found, rings.spread(gain)),
    )  # fmt: skip
