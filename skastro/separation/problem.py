"""What a separation knows: the mixtures, samples of what contaminates them, and their spectra."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skastro.separation.spectra import Rings, signal_spectrum

__all__ = ["Problem", "draw", "pose"]

LEAST = 1e-3  # of the largest step of a mode: the least


@dataclass
class Problem:
    """Mixtures of zero mean, and all that constraints may need beside the signal that is sought.

    On the sphere, maps have one axis of pixels, modes one of harmonics, and rings are bands of degrees.

    Attributes
    ----------
    mixtures : Tensor of shape (n, n_channels, h, w)
        In standard deviations of the contamination.
    samples : Tensor of shape (n_samples, n_channels, h, w)
        Of the contamination, those of the present era.
    describe : Description
        The statistics: ``describe(maps, which)``.
    rings, fine : Rings or Degrees
        Wide ones, of which constraints are made, and narrow ones.
    power, uncertainty : Tensor of shape (n, n_channels, n_rings)
        Of the signal in the wide rings, and its relative standard deviation.
    contamination_power : Tensor of shape (n_channels, n_rings)
        Mean over samples, in the wide rings.
    wiener : Tensor of shape (n, n_channels, h, w)
        The mixtures through the Wiener filter of the estimated spectra.
    step : Tensor of shape (n, n_channels, h, w // 2 + 1)
        Of each mode, the standard deviation that the Wiener filter leaves.
    unit : Tensor of shape (n_channels, 1, 1)
        Standard deviation of the contamination, in the unit of the maps.
    offset : Tensor of shape (n, n_channels, 1, 1)
        Mean of each signal, likewise.
    exact : bool
        Whether averages over samples are taken at each gradient.
    source : Tensor of shape (h * w,) or None
        For each pixel the one whose value of the mixture it gets, where some are hidden.
    which : Tensor of shape (n,)
        Numbers of the mixtures among those that the search began with.
    numbers : Tensor of shape (n,)
        Among all that were given.
    """

    mixtures: torch.Tensor
    samples: torch.Tensor
    describe: object
    rings: object
    fine: object
    power: torch.Tensor
    uncertainty: torch.Tensor
    contamination_power: torch.Tensor
    wiener: torch.Tensor
    step: torch.Tensor
    unit: torch.Tensor
    offset: torch.Tensor
    exact: bool
    source: torch.Tensor
    which: torch.Tensor
    numbers: torch.Tensor

    def rows(self, which):
        """The same for some of the mixtures."""
        if len(which) == len(self.mixtures):
            return self
        parts = (
            "mixtures", "power", "uncertainty", "wiener", "step", "offset", "which", "numbers",
        )  # fmt: skip
        return replace(self, **{name: getattr(self, name)[which] for name in parts})

    def filled(self, maps):
        """Maps with their hidden pixels filled, as those of the mixtures are."""
        if self.source is None:
            return maps
        return maps.flatten(-2)[..., self.source].view(maps.shape)

    def statistics(self, maps):
        """Statistics (n, n_coefficients) of maps that belong to the mixtures, one each."""
        return self.describe(maps, self.which)


def pose(
    mixtures, samples, describe, unit, offset, exact=False, source=None, numbers=None, bands=None
):
    """Make a `Problem`: estimate the spectra, and what a Wiener filter says with them.

    Parameters
    ----------
    mixtures, samples : Tensor of shape (n, n_channels, h, w)
        All samples that there are.
    describe : Description
    unit, offset : Tensor
        As of `Problem`.
    exact : bool
    source : Tensor of shape (h * w,), optional
    numbers : Tensor of shape (n,), optional
        None: all that were given are here.
    bands : tuple of two Degrees, optional
        Narrow ones and wide ones. None: `Rings` of the plane.

    Returns
    -------
    problem : Problem
    scaled : Tensor of shape (n, n_channels, h, w)
        The mixtures filtered to the spectrum of the signal.
    """
    if bands is None:
        shape = mixtures.shape[-2:]
        bands = Rings(shape), Rings(shape, growing=True)
    fine, rings = bands
    if source is not None:
        samples = samples.flatten(-2)[..., source].view(samples.shape)
    of_mixture = fine.power(mixtures).double().cpu().numpy()
    of_samples = fine.power(samples).double().mean(0).cpu().numpy()
    smooth = np.empty_like(of_mixture)
    for place in np.ndindex(*of_mixture.shape[:2]):
        smooth[place] = signal_spectrum(
            of_mixture[place], of_samples[place[1]], fine.wavenumbers, fine.counts
        )
    # in wide rings: the smooth spectrum as a prior, with the scatter of so many modes, and the
    # difference of the powers as the measurement
    ring = np.searchsorted(_starts(fine, rings), np.arange(len(fine.counts)), side="right") - 1
    gather = np.zeros((len(rings.counts), len(fine.counts)))
    gather[ring, np.arange(len(ring))] = fine.counts
    gather /= gather.sum(1, keepdims=True)
    prior, noise, whole = (p @ gather.T for p in (smooth, of_samples, of_mixture))
    scatter = 2.0 / np.bincount(ring, fine.counts)
    of_difference = scatter * (noise**2 + 2 * noise * prior)
    # what the rings of an octave around tell of the smooth spectrum, by Fisher's information
    told = 0.5 * fine.counts * (smooth / np.maximum(smooth + of_samples, 1e-300)) ** 2
    octave = np.abs(np.log2(fine.wavenumbers[:, None] / fine.wavenumbers)) <= 0.5
    unsure = 1.0 / np.maximum((told @ octave.T) @ gather.T, 1.0)
    of_prior = scatter * prior**2
    both = np.maximum(of_difference + of_prior, np.finfo(float).tiny)
    power = (prior * of_difference + (whole - noise) * of_prior) / both
    power = np.maximum(power, 0.05 * prior)
    # that of the smooth one counts as far as it is believed; the rings had their part in it already
    variance = of_difference * of_prior / both + (of_difference / both * prior) ** 2 * unsure
    uncertainty = np.sqrt(variance) / np.maximum(power, 1e-300)
    spectrum = smooth * (power / np.maximum(prior, 1e-300))[..., ring]

    def tensor(values):
        return torch.from_numpy(values).to(mixtures)

    signal, noise = fine.spread(tensor(spectrum)), fine.spread(tensor(of_samples))
    total = (signal + noise).clamp_min(torch.finfo(mixtures.dtype).tiny)
    step = (signal * noise / total).clamp_min(0).sqrt()
    axes = tuple(range(2, step.ndim))
    step = torch.maximum(step, LEAST * step.amax(axes, keepdim=True)) * fine.get("inside", step)
    have = fine.spread(tensor(of_mixture)).clamp_min(torch.finfo(mixtures.dtype).tiny)
    which = torch.arange(len(mixtures), device=mixtures.device)
    problem = Problem(
        mixtures, samples, describe, rings, fine, tensor(power), tensor(uncertainty),
        rings.power(samples).mean(0), fine.filter(mixtures, signal / total), step, unit,
        offset, exact, source, which, which if numbers is None else numbers,
    )  # fmt: skip
    return problem, fine.filter(mixtures, (signal / have).sqrt())


def draw(problem, drawn, generator):
    """Contamination of some modes that the Wiener filter leaves in the signal: a draw of the right power.

    Of known modulus and random phase: of so few modes, a Gaussian draw could have any power.

    Parameters
    ----------
    problem : Problem
    drawn : Tensor of bool of shape (h, w // 2 + 1)
    generator : torch.Generator

    Returns
    -------
    contamination : Tensor of shape (n, n_channels, h, w)
    """
    white = torch.randn(*problem.mixtures.shape[1:], generator=generator, dtype=torch.float64)
    phases = problem.fine.phases(white)
    like = torch.promote_types(problem.step.dtype, torch.cfloat)
    phases = phases.to(problem.mixtures.device, like if phases.is_complex() else problem.step.dtype)
    return problem.fine.synthesis(phases * problem.step * drawn)


def _starts(fine, rings):
    """Number of the first narrow ring in each wide one."""
    narrow = np.where(fine.labels >= 0, fine.labels, len(fine.counts))
    return np.array([narrow[rings.labels == i].min() for i in range(len(rings.counts))])
