"""From statistics to maps that have them, and to the statistics of these maps when they are contaminated."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from skastro.base import row_blocks
from skastro.lbfgs import BatchLBFGS
from skastro.separation.description import Description
from skastro.separation.spectra import Rings, signal_spectrum

__all__ = ["Simulator"]

# bytes of work for a byte of a map: wavelet fields of all scales, their gradients, the search
OVERHEAD = 400
HISTORY = 10
LEAST = 1e-3  # of the largest amplitude of a mode: the least step
FLOOR = 0.05  # of the median scatter of the coefficients: the least
STRONGEST = 2.0  # standard deviation of the logarithm of the most intermittent maps
MEANS = ("mean/std", "S0")  # no part of a texture


class Simulator:
    """Maps of the signal in a mixture, as far as their statistics are known.

    Parameters
    ----------
    recipe : ScatteringTransform
        Fitted to the mixture.
    mixture : Tensor of shape (1, n_channels, h, w)
        Of mean 0.
    samples : Tensor of shape (n_samples, n_channels, h, w)
        Of the contamination.
    max_memory : int
        Bytes for the work on a block of maps.

    Attributes
    ----------
    names : list of str
        Of the coefficients. Those of the mean of a map are left out.
    observed : Tensor of shape (n_coefficients,)
        Statistics of the mixture.

    Examples
    --------
    See `StatisticPosterior`.
    """

    def __init__(self, recipe, mixture, samples, max_memory):
        self.mixture, self.samples, self.max_memory = mixture, samples, max_memory
        self._describe = Description(recipe, mixture, linear=False)
        kept = [
            i for i, name in enumerate(self._describe.names) if name.rpartition(":")[2] not in MEANS
        ]
        self.names = [self._describe.names[i] for i in kept]
        self.kept = torch.tensor(kept, device=mixture.device)
        self.kind_scale = self._describe.kind_scale[self.kept]
        self.rings = Rings(mixture.shape[-2:])
        of_mixture = self.rings.power(mixture)[0].double().cpu().numpy()
        of_samples = self.rings.power(samples).double().mean(0).cpu().numpy()
        power = [
            signal_spectrum(one, other, self.rings.wavenumbers, self.rings.counts)
            for one, other in zip(of_mixture, of_samples, strict=True)
        ]
        self.amplitude = self.rings.spread(torch.from_numpy(np.stack(power)).to(mixture)).sqrt()
        self.observed = self.statistics(mixture)[0]

    def textures(self, n, generator):
        """Random maps with the spectrum of the signal, from Gaussian to strongly intermittent ones.

        Half of them are exponentials of Gaussian fields, with clumps; half of minus their moduli, with
        ridges.

        Parameters
        ----------
        n : int
        generator : torch.Generator

        Returns
        -------
        maps : Tensor of shape (n, n_channels, h, w)
        """
        shape = self.mixture.shape[-2:]
        white = torch.randn(n, *self.mixture.shape[1:], generator=generator)
        strength = STRONGEST * torch.rand(n, 1, 1, 1, generator=generator)
        ridges = (torch.rand(n, 1, 1, 1, generator=generator) < 0.5).to(self.mixture.device)
        white, strength = white.to(self.mixture), strength.to(self.mixture).clamp_min(1e-2)
        found = []
        for rows in self._blocks(n):
            maps = torch.fft.irfft2(torch.fft.rfft2(white[rows]) * self.amplitude, s=shape)
            tiny = torch.finfo(maps.dtype).tiny
            maps = maps / maps.std((-2, -1), keepdim=True).clamp_min(tiny)
            maps = torch.where(ridges[rows], -maps.abs(), maps)
            maps = (strength[rows] * maps).exp()
            maps = maps - maps.mean((-2, -1), keepdim=True)
            to_spectrum = self.rings.spread(self.rings.power(maps).clamp_min(tiny).rsqrt())
            modes = torch.fft.rfft2(maps) * to_spectrum * self.amplitude
            found.append(torch.fft.irfft2(modes, s=shape))
        return torch.cat(found)

    def statistics(self, maps):
        """Coefficients (n, n_coefficients) of maps."""
        with torch.no_grad():
            parts = [self._own(maps[rows]) for rows in self._blocks(len(maps))]
        return torch.cat(parts)

    def scale(self, values):
        """Scale of each coefficient in the mean of squares that a search makes small.

        Parameters
        ----------
        values : Tensor of shape (n, n_coefficients)
            Statistics of maps, whose scatter it is.
        """
        scatter = values.std(0)
        return scatter.clamp_min(FLOOR * scatter.median()) * self.kind_scale

    def pilots(self, which, max_iter, generator):
        """Maps that have the statistics of the mixture once they are contaminated.

        Parameters
        ----------
        which : ndarray of shape (n,), int
            The sample of the contamination that each gets.
        max_iter : int
        generator : torch.Generator

        Returns
        -------
        maps : Tensor of shape (n, n_channels, h, w)
        """
        start, added = self.textures(len(which), generator), self.samples[which]
        scale = self.scale(self.statistics(start + added))
        return self.search(self.observed, scale, start, max_iter, added)

    def synthesize(self, target, scale, max_iter, generator):
        """Maps that have statistics of their own, each from the random field that is nearest to them.

        Parameters
        ----------
        target : Tensor of shape (n, n_coefficients)
        scale : Tensor of shape (n_coefficients,)
        max_iter : int
        generator : torch.Generator

        Returns
        -------
        maps : Tensor of shape (n, n_channels, h, w)
        """
        start = self.textures(len(target), generator)
        distance = torch.cdist(target / scale, self.statistics(start) / scale)
        _, nearest = linear_sum_assignment(distance.cpu().numpy())
        return self.search(target, scale, start[nearest], max_iter)

    def search(self, target, scale, start, max_iter, added=None):
        """Change maps until they have the statistics asked for.

        Modes move in units of the amplitude that the signal has in them.

        Parameters
        ----------
        target : Tensor of shape (n, n_coefficients) or (n_coefficients,)
        scale : Tensor of shape (n_coefficients,)
            Of 0: left out.
        start : Tensor of shape (n, n_channels, h, w)
        max_iter : int
        added : Tensor of shape (n, n_channels, h, w), optional
            Contamination: the statistics are those of the sums.

        Returns
        -------
        maps : Tensor of shape (n, n_channels, h, w)
        """
        step = self.amplitude
        step = torch.maximum(step, LEAST * step.amax((-2, -1), keepdim=True))
        weight = torch.where(scale > 0, 1.0 / scale, 0.0)
        target = target.expand(len(start), -1)
        shape, found = start.shape[1:], []

        def moved(z, base):
            modes = torch.fft.rfft2(z.view(-1, *shape)) * step
            return base + torch.fft.irfft2(modes, s=shape[-2:])

        for rows in self._blocks(len(start)):
            base, goal = start[rows], target[rows]
            other = None if added is None else added[rows]

            def loss(z, which, base=base, goal=goal, other=other):
                maps = moved(z, base[which])
                values = self._own(maps if other is None else maps + other[which])
                return ((values - goal[which]) * weight).square().mean(1)

            search = BatchLBFGS(
                loss, max_iter=max_iter, relative_tolerance=1e-3, history_size=HISTORY
            )
            z, _ = search.minimize(base.new_zeros(len(base), base[0].numel()))
            found.append(moved(z, base))
        return torch.cat(found)

    def _own(self, maps):
        return self._describe(maps).index_select(1, self.kept)

    def _blocks(self, n):
        one = self.mixture.numel() * self.mixture.element_size() * OVERHEAD
        return row_blocks(n, one, self.max_memory)
