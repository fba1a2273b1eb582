"""What a separation knows: the mixtures, samples of what contaminates them, and their spectra."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import convolve1d

from skastro.separation.spectra import Rings, signal_spectrum

PARTS = (
    "mixtures", "power", "uncertainty", "shared", "spectrum", "wiener", "step", "offset", "which",
    "numbers",
)  # fmt: skip

__all__ = ["Problem", "draw", "pose", "wiener_filter", "wiener_gain"]

NEIGHBOURS = 2  # rings on each side that tell how far a smooth spectrum is from the true one
LEAST_TOLD = 0.5  # of a power that is not seen at all, in modes
MISFIT = 0.15  # of a smooth spectrum in a ring, relative, where nothing tells it
LEVEL = (
    0.3  # the same of all rings around together: seen in intervals of the power that hold the truth
)
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
    shared : Tensor of that shape
        The part of the uncertainty's square that neighbouring rings have together.
    contamination_power : Tensor of shape (n_channels, n_rings)
        Mean over samples, in the wide rings.
    spectrum : Tensor of shape (n, n_channels, n_fine)
        Of the signal in the narrow rings.
    noise : Tensor of shape (n_channels, n_fine)
        Mean over samples, likewise.
    wiener : Tensor of shape (n, n_channels, h, w)
        The mixtures through the Wiener filter of the estimated spectra, or through one that changes from
        place to place.
    step : Tensor of shape (n, n_channels, h, w // 2 + 1)
        Of each mode, the standard deviation that the Wiener filter leaves.
    unit : Tensor of shape (n_channels, 1, 1)
        Standard deviation of the contamination, in the unit of the maps.
    offset : Tensor of shape (n, n_channels, 1, 1)
        Mean of each signal, likewise.
    exact : bool
        Whether averages over samples are taken at each gradient.
    frame : Frame or None
        Of maps that are not whole.
    which : Tensor of shape (n,)
        Numbers of the mixtures among those that the search began with.
    numbers : Tensor of shape (n,)
        Among all that were given.
    chosen : Tensor of shape (n,) or None
        For each mixture the sample that its contamination is taken to be; None: the mean of all.
    """

    mixtures: torch.Tensor
    samples: torch.Tensor
    describe: object
    rings: object
    fine: object
    power: torch.Tensor
    uncertainty: torch.Tensor
    shared: torch.Tensor
    contamination_power: torch.Tensor
    spectrum: torch.Tensor
    noise: torch.Tensor
    wiener: torch.Tensor
    step: torch.Tensor
    unit: torch.Tensor
    offset: torch.Tensor
    exact: bool
    frame: object
    which: torch.Tensor
    numbers: torch.Tensor
    chosen: torch.Tensor = None

    def rows(self, which):
        """The same for some of the mixtures."""
        if len(which) == len(self.mixtures):
            return self
        parts = {name: getattr(self, name)[which] for name in PARTS}
        if self.chosen is not None:
            parts["chosen"] = self.chosen[which]
        return replace(self, **parts)

    def filled(self, maps):
        """Maps continued where pixels are hidden and beyond borders, as those of the mixtures are."""
        return maps if self.frame is None else self.frame.filled(maps)

    def extended(self, maps):
        """Maps as they are given on the grid of the search."""
        return maps if self.frame is None else self.frame.extended(maps)

    def visible(self, maps):
        """Maps without the margin beyond their borders."""
        return maps if self.frame is None else self.frame.cut(maps)

    def statistics(self, maps):
        """Statistics (n, n_coefficients) of maps that belong to the mixtures, one each."""
        return self.describe(maps, self.which)


def pose(
    mixtures, samples, describe, unit, offset, exact=False, frame=None, numbers=None, bands=None
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
    frame : Frame, optional
        The maps are on its grid.
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
    of_mixture = fine.power(mixtures).double().cpu().numpy()
    of_samples = fine.power(samples).double().mean(0).cpu().numpy()
    smooth = np.empty_like(of_mixture)
    for place in np.ndindex(*of_mixture.shape[:2]):
        smooth[place] = signal_spectrum(
            of_mixture[place], of_samples[place[1]], fine.wavenumbers, fine.counts
        )
    # in wide rings: the smooth spectrum as a prior, with the scatter of so many modes, and the
    # difference of the powers as the measurement
    ring = rings.of(fine).numpy()
    gather = np.zeros((len(rings.counts), len(fine.counts)))
    gather[ring, np.arange(len(ring))] = fine.counts
    gather /= gather.sum(1, keepdims=True)
    prior, noise, whole = (p @ gather.T for p in (smooth, of_samples, of_mixture))
    # what is continued is no more independent than what it is continued from
    independent = fine.counts * (1.0 if frame is None else frame.share)
    scatter = 2.0 / np.bincount(ring, independent)
    of_difference = scatter * (noise**2 + 2 * noise * prior)
    # what the rings of an octave around tell of the smooth spectrum, by Fisher's information
    told = 0.5 * independent * (smooth / np.maximum(smooth + of_samples, 1e-300)) ** 2
    octave = np.abs(np.log2(fine.wavenumbers[:, None] / fine.wavenumbers)) <= 0.5
    unsure = 1.0 / np.maximum((told @ octave.T) @ gather.T, LEAST_TOLD) + LEVEL**2
    of_prior = (scatter + _misfit(whole - noise - prior, scatter, prior, noise)) * prior**2
    both = np.maximum(of_difference + of_prior, np.finfo(float).tiny)
    power = (prior * of_difference + (whole - noise) * of_prior) / both
    power = np.maximum(power, 0.05 * prior)
    # with the power that was found: few modes can have another than the smooth one
    of_difference = scatter * (noise**2 + 2 * noise * power)
    both = np.maximum(of_difference + of_prior, np.finfo(float).tiny)
    # that of the smooth one counts as far as it is believed; the rings had their part in it already
    variance = of_difference * of_prior / both + (of_difference / both * prior) ** 2 * unsure
    shared = of_difference / both * prior / np.maximum(power, 1e-300)
    shared = shared**2 * unsure
    uncertainty = np.sqrt(variance) / np.maximum(power, 1e-300)
    spectrum = smooth * (power / np.maximum(prior, 1e-300))[..., ring]

    def tensor(values):
        return torch.from_numpy(values).to(mixtures)

    spectrum, of_samples = tensor(spectrum), tensor(of_samples)
    weight, step = wiener_filter(fine, spectrum, of_samples)
    have = fine.spread(tensor(of_mixture)).clamp_min(torch.finfo(mixtures.dtype).tiny)
    which = torch.arange(len(mixtures), device=mixtures.device)
    problem = Problem(
        mixtures, samples, describe, rings, fine, tensor(power), tensor(uncertainty), tensor(shared),
        rings.power(samples).mean(0), spectrum, of_samples, fine.filter(mixtures, weight), step, unit, offset,
        exact, frame, which, which if numbers is None else numbers,
    )  # fmt: skip
    return problem, fine.filter(mixtures, (fine.spread(spectrum) / have).sqrt())


def wiener_filter(fine, spectrum, noise):
    """Wiener filter of power spectra in narrow rings, and what it leaves unknown of each mode.

    Parameters
    ----------
    fine : Rings
    spectrum : Tensor of shape (n, n_channels, n_fine)
    noise : Tensor of shape (n_channels, n_fine)

    Returns
    -------
    weight : Tensor of shape (n, n_channels, h, w // 2 + 1)
    step : Tensor of that shape
        Standard deviation.
    """
    signal, noise = fine.spread(spectrum), fine.spread(noise)
    weight = wiener_gain(signal, noise)
    step = (weight * noise).clamp_min(0).sqrt()
    step = torch.maximum(step, LEAST * step.amax(tuple(range(2, step.ndim)), keepdim=True))
    return weight, step * fine.get("inside", step)


def wiener_gain(signal, noise):
    """What a Wiener filter multiplies modes by, of powers of signal and noise; 0 where there is neither."""
    return signal / (signal + noise).clamp_min(torch.finfo(signal.dtype).tiny)


def draw(problem, n_octaves, generator):
    """Contamination of the largest scales that the Wiener filter leaves in the signal: of the right power.

    Of known modulus and random phase: of so few modes, a Gaussian draw could have any power.

    Parameters
    ----------
    problem : Problem
    n_octaves : int
        From one cycle a side on.
    generator : torch.Generator

    Returns
    -------
    contamination : Tensor of shape (n, n_channels, h, w)
    drawn : Tensor of bool of shape (h, w // 2 + 1)
        Which modes it has.
    """
    white = torch.randn(*problem.mixtures.shape[1:], generator=generator, dtype=torch.float64)
    phases = problem.fine.phases(white)
    like = torch.promote_types(problem.step.dtype, torch.cfloat)
    phases = phases.to(problem.mixtures.device, like if phases.is_complex() else problem.step.dtype)
    radius = problem.fine.get("radius", problem.step)
    found = torch.zeros_like(problem.mixtures)
    for octave in range(n_octaves):
        inside = (radius >= 2**octave) & (radius < 2 ** (octave + 1))
        one = problem.fine.synthesis(phases * problem.step * inside)
        found = found + one * _seen_share(problem, octave) ** 0.5
    return found, (radius >= 1) & (radius < 2**n_octaves)


def _seen_share(problem, octave):
    """Power of samples in the part of the grid that was given, over that on all of it.

    Maps with a mirror image beside them have more at large scales; a draw has none.
    """
    grid, shape = problem.mixtures.shape[-2:], problem.visible(problem.mixtures).shape[-2:]
    if problem.frame is None or grid == shape:
        return 1.0

    def power(maps, rings):
        radius = rings.get("radius", maps)
        inside = (radius >= 2**octave) & (radius < 2 ** (octave + 1))
        modes = torch.fft.rfft2(maps, norm="ortho").abs().square()
        return (modes * inside).sum((-2, -1)).mean(0) / inside.sum()

    seen = power(problem.visible(problem.samples), Rings(shape))
    return (seen / power(problem.samples, problem.fine))[..., None, None]


def _misfit(excess, scatter, prior, noise):
    """Relative variance (n, n_channels, n_rings) by which powers leave a smooth spectrum more than by chance.

    From the ring and its neighbours, each with the weight of what it tells.
    """
    expected = scatter * ((noise + prior) / np.maximum(prior, 1e-300)) ** 2
    found = (excess / np.maximum(prior, 1e-300)) ** 2 - expected
    weight = 1.0 / np.maximum(expected, 1e-300) ** 2
    window = np.ones(2 * NEIGHBOURS + 1)
    sums = [convolve1d(one, window, axis=-1, mode="constant") for one in (found * weight, weight)]
    believed = 10
    return np.maximum(sums[0] + believed * MISFIT**2, 0.0) / (sums[1] + believed)
