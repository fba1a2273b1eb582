"""A Wiener filter that knows where the signal is strong: Gaussian scale mixtures in oriented bands."""

from functools import lru_cache

import numpy as np
import torch

from skastro.constants import Constants
from skastro.separation.problem import wiener_gain

__all__ = ["OrientedBands", "scale_mixture_filter"]

N_ORIENTATIONS = 4
# local power of the signal over that of its spectrum: what may be supposed
MULTIPLIERS = np.geomspace(1e-3, 60.0, 11)
MOST_CLASSES = 16  # of pixels, by what the next larger scale says of them
INDEPENDENT = 16  # pixels of a band that a class needs
N_STEPS = 30  # of expectation and maximisation
N_PIXELS = 12_000  # of a map, that these see
LEAST_COUNT = 1e-3  # of a multiplier in a class: none is ever excluded
LEVEL_WIDTH = 4.0  # pixels over which the level of the contamination is averaged


class OrientedBands(Constants):
    """Filters of the Fourier plane, an octave wide and oriented; each takes half of the plane.

    The bands of a real map are complex, so that their modulus is the local amplitude. The real parts of all,
    filtered once more and doubled, and the rest below them, add up to the map.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    n_orientations : int, default=4

    Attributes
    ----------
    n_scales : int
        Octaves; the largest scales, below 4 cycles per side at least, are left to the rest.
    scales : ndarray of int of shape (n_bands,)
        Octave of each band, the smallest scale being 0.

    Examples
    --------
    >>> import torch
    >>> from skastro.separation.scale_mixture import OrientedBands
    >>> bands = OrientedBands((32, 32))
    >>> x = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    >>> modes = torch.fft.fft2(x)
    >>> whole = torch.fft.ifft2(modes * bands.get("rest", x)).real
    >>> for band in bands.get("bands", x):
    ...     whole = whole + 2 * torch.fft.ifft2(modes * band**2).real
    >>> bool(torch.allclose(whole, x, atol=1e-5)), bands.n_scales
    (True, 3)
    """

    def __init__(self, shape, n_orientations=N_ORIENTATIONS):
        super().__init__()
        h, w = shape
        side = min(h, w)
        ky, kx = np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)
        octave = np.log2(2 * np.maximum(np.hypot(ky, kx), 1e-9))
        angle = np.arctan2(ky, kx)
        self.n_scales = max(int(np.log2(side)) - 2, 0)
        self.scales = np.repeat(np.arange(self.n_scales), n_orientations)

        def below(scale):
            """1 at small wave numbers, going over to 0 in the octave around that of a scale."""
            return np.cos(0.5 * np.pi * np.clip(octave + scale + 0.5, 0, 1))

        edges = [np.ones((h, w)), *(below(j) for j in range(1, self.n_scales + 1))]
        bands = np.zeros((len(self.scales), h, w))
        for i, j in enumerate(self.scales):
            off = angle - np.pi * (i % n_orientations) / n_orientations
            towards = np.maximum(np.cos(off), 0.0) ** (n_orientations - 1)
            ring = np.maximum(edges[j] ** 2 - edges[j + 1] ** 2, 0.0)
            bands[i] = np.sqrt(ring) * towards
        rest = edges[-1] ** 2
        opposite = np.roll(bands[:, ::-1, ::-1], (1, 1), (1, 2))
        total = (bands**2 + opposite**2).sum(0)
        share = np.divide(1.0 - rest, total, out=np.zeros((h, w)), where=total > 1e-12)
        # a few modes at the border of the plane, their own opposites, are in no band
        rest = 1.0 - share * total
        self.keep("bands", bands * np.sqrt(share))
        self.keep("rest", rest)
        self.keep("radius", np.hypot(ky, kx))

    def blur(self, maps, width):
        """Maps averaged by a Gaussian of so many pixels."""
        return torch.fft.ifft2(torch.fft.fft2(maps) * self.gaussian(maps, width)).real

    def gaussian(self, like, width):
        """Its Fourier transform."""
        return torch.exp(-2 * (np.pi * width * self.get("radius", like)) ** 2)


@lru_cache(maxsize=2)
def _bands(shape):
    return OrientedBands(shape)


def scale_mixture_filter(problem):
    """Mean of the signal given the mixture, by Gaussian scale mixtures.

    In each band of `OrientedBands` the signal is a Gaussian field with the estimated spectrum times a
    multiplier that changes from place to place. The power of the mixture around a pixel says how likely each
    of some multipliers is; how often they occur is found by expectation and maximisation, for pixels apart
    for which the next larger scale has found another power. The estimate is the mean of the Wiener filters
    of all multipliers. Where the signal is faint nearly nothing passes, in filaments nearly all.

    Parameters
    ----------
    problem : Problem
        Of the plane. A contamination that is stronger in places is known from its samples.

    Returns
    -------
    signal : Tensor of shape (n, n_channels, h, w)

    Examples
    --------
    See `skastro.separation.baselines.ScaleMixtureFilter`, which has the reference.
    """
    maps = problem.mixtures
    shape = tuple(maps.shape[-2:])
    bands = _bands(shape)
    modes = torch.fft.fft2(maps)
    signal = _whole(problem.fine.spread(problem.spectrum), shape)
    noise = _whole(problem.fine.spread(problem.noise), shape)
    found = torch.fft.ifft2(modes * wiener_gain(signal, noise) * bands.get("rest", maps)).real
    level = bands.blur(problem.samples.square().mean(0), LEVEL_WIDTH)
    level = (level / level.mean((-2, -1), keepdim=True)).clamp_min(0.01)
    multipliers = torch.from_numpy(MULTIPLIERS).to(maps)
    larger = [None] * N_ORIENTATIONS
    filters = bands.get("bands", maps)
    for i in reversed(range(len(bands.scales))):
        scale, orientation = int(bands.scales[i]), i % N_ORIENTATIONS
        taken = modes * filters[i]
        share = filters[i].square()
        power = torch.fft.ifft2(taken).abs().square() / level
        n_independent = _independent(bands, share, 2.0**scale)
        expected = multipliers[:, None, None] * (signal * share).mean((-2, -1)) + (
            noise * share
        ).mean((-2, -1))
        likelihood = _likelihood(bands.blur(power, 2.0**scale), expected, n_independent)
        groups = None
        if larger[orientation] is not None:
            n_groups = maps[0, 0].numel() // (INDEPENDENT * 4**scale)
            context = bands.blur(larger[orientation], 0.5 * 2.0**scale)
            groups = _classes(context, min(max(n_groups, 1), MOST_CLASSES))
        weights = _posterior(likelihood, groups)
        # a level that is higher by a factor is a multiplier that is lower by it
        mean = sum(
            weight * torch.fft.ifft2(taken * wiener_gain(multiplier * signal, noise))
            for weight, multiplier in zip(weights, multipliers, strict=True)
        )
        found = found + 2 * torch.fft.ifft2(torch.fft.fft2(mean) * filters[i]).real
        larger[orientation] = (weights * multipliers[:, None, None, None, None]).sum(0)
    return found


def _whole(half, shape):
    """A real spectrum (..., h, w // 2 + 1) on the whole plane."""
    mirror = half[..., 1 : shape[1] - half.shape[-1] + 1].flip(-2, -1).roll(1, -2)
    return torch.cat([half, mirror], -1)


def _independent(bands, share, width):
    """How many independent values a local average has, of the power of a band of white noise."""
    alike = torch.fft.ifft2(share).abs().square()
    window = torch.fft.ifft2(bands.gaussian(share, width).square()).real
    return max(float(alike[0, 0] / (alike * window).sum()), 1.0)


def _likelihood(power, expected, n_independent):
    """Of each multiplier (n_multipliers, n, n_channels, h, w), up to a factor: powers are Gamma variables."""
    expected = expected[..., None, None].clamp_min(torch.finfo(power.dtype).tiny)
    logs = -n_independent * (expected.log() + power / expected)
    return (logs - logs.amax(0)).exp()


def _classes(context, n_classes):
    """Number of the class of each pixel (n, n_channels, h, w), of equally many by a value."""
    flat = context.flatten(2)
    levels = torch.arange(1, n_classes, dtype=flat.dtype, device=flat.device) / n_classes
    # quantiles of a part of the pixels are exact enough
    part = flat[..., :: max(1, flat.shape[-1] // 20_000)]
    edges = torch.quantile(part, levels, dim=-1).movedim(0, -1).contiguous()
    inner = torch.searchsorted(edges, flat.contiguous()).view(context.shape)
    first = torch.arange(inner[..., 0, 0].numel(), device=flat.device) * n_classes
    return inner + first.view(*inner.shape[:2], 1, 1)


def _posterior(likelihood, groups):
    """Probability of each multiplier, with the frequencies in each class that make the data most likely."""
    if groups is None:
        first = torch.arange(likelihood[0, ..., 0, 0].numel(), device=likelihood.device)
        groups = first.view(*likelihood.shape[1:3], 1, 1).expand(likelihood.shape[1:])
    flat, labels = likelihood.flatten(1).T.contiguous(), groups.flatten()
    # of each map, whatever it comes with
    n_pixels = groups[0, 0].numel()
    step = max(1, n_pixels // N_PIXELS)
    part = flat.view(-1, n_pixels, flat.shape[1])[:, ::step].flatten(0, 1)
    of_part = labels.view(-1, n_pixels)[:, ::step].flatten()
    prior = flat.new_full((int(labels.max()) + 1, flat.shape[1]), 1.0 / flat.shape[1])
    for _ in range(N_STEPS):
        found = part * prior[of_part]
        found = found / found.sum(1, keepdim=True).clamp_min(1e-30)
        prior = torch.full_like(prior, LEAST_COUNT).index_add_(0, of_part, found)
        prior = prior / prior.sum(1, keepdim=True)
    found = flat * prior[labels]
    found = found / found.sum(1, keepdim=True).clamp_min(1e-30)
    return found.T.reshape(likelihood.shape)
