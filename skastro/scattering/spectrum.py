"""Power spectrum and distribution of the pixels, as statistics to append to scattering ones."""

import numpy as np
import torch

from skastro.fourier_shells import FourierShells
from skastro.scattering.map_statistics import MapStatistics, divide, root

__all__ = ["PixelDistribution", "PowerSpectrum"]


class PowerSpectrum(MapStatistics):
    r"""Isotropic power spectrum of maps in bins of wavenumber, and cross-spectrum of two maps.

    .. math::
        P_b = \left\langle \frac{|\hat x(\mathbf k)|^2}{h w} \right\rangle_{|\mathbf k| \in b}

    White noise of unit variance has P = 1. The frequency zero is left out. The corners of the Fourier
    plane, beyond the Nyquist frequency, are hardly seen by wavelets: they have bins here.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    n_bins : int, optional
        Bins from the lowest frequency to the corners. Default: as many as the shorter side has
        frequencies along the diagonal, one a fundamental mode. Bins without a frequency are dropped.
    spacing : {"linear", "log"}, default="linear"
        Of the edges of the bins.
    log : bool, default=False
        Give log P; not for two maps, of which the cross-spectrum has a sign.

    Attributes
    ----------
    wavenumbers : ndarray of shape (n_bins,)
        Mean of the bins, cycles per pixel.
    counts : ndarray of shape (n_bins,)
        Frequencies in each bin.
    names : list of str
        As "P[k=0.0312]", cycles per pixel.
    labels : dict of ndarray of int
        "bin".
    cross_names, cross_labels
        The same for two maps.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.spectrum import PowerSpectrum
    >>> spectrum = PowerSpectrum((64, 64), n_bins=4)
    >>> x = torch.randn(50, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> bool((spectrum(x).mean(0) - 1).abs().max() < 0.02)
    True
    >>> spectrum.names[0]
    'P[k=0.1231]'
    """

    def __init__(self, shape, n_bins=None, spacing="linear", log=False):
        super().__init__()
        self.shape = (h, w) = tuple(int(n) for n in shape)
        if min(h, w) < 2:
            raise ValueError(f"shape={shape!r}; expected two sides of at least 2 pixels.")
        if spacing not in ("linear", "log"):
            raise ValueError(f"spacing={spacing!r}; expected 'linear' or 'log'.")
        lowest = 1 / max(h, w)
        k = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w))
        if n_bins is None:
            n_bins = int(np.ceil(min(h, w) * k.max()))
        if not (isinstance(n_bins, int | np.integer) and n_bins >= 1):
            raise ValueError(f"n_bins={n_bins!r}; expected a positive integer.")
        make = np.linspace if spacing == "linear" else np.geomspace
        # half a mode around: no frequency lies on an edge by rounding
        edges = make(0.75 * lowest, k.max() * (1 + 1e-9), n_bins + 1)
        shells = FourierShells(self.shape, bounds=edges)
        self.counts, self.wavenumbers = shells.n_modes.astype(float), shells.k
        self.log = log
        self.keep("index", shells.labels.clip(0).ravel())
        self.keep("weight", shells.shares().ravel() * (h * w))
        self.names = [f"P[k={k:.4f}]" for k in self.wavenumbers]
        self.cross_names = [f"P_xy[k={k:.4f}]" for k in self.wavenumbers]
        self.labels = self.cross_labels = {"bin": np.arange(len(self.counts))}

    def norm(self, x, y=None):
        """Spectra of reference maps, to pass as `reference`: "P" (n, n_bins), "P_y" with `y`."""
        self._check_two(x, y)
        reference = {"P": self._power(x, x)}
        if y is not None:
            reference["P_y"] = self._power(y, y)
        return reference

    def forward(self, x, y=None, reference=None):
        """Spectra (n, n_bins) of maps x, or cross-spectra of x and y, each (n, h, w).

        With a `reference`, over its spectra; without one, the cross-spectrum is over the geometric
        mean of the spectra of the two maps: a correlation coefficient.
        """
        self._check_two(x, y)
        if y is not None and self.log:
            raise ValueError("y was given with log=True; expected log=False.")
        if reference is not None:
            self._check_reference(reference, ["P"] if y is None else ["P", "P_y"], len(x))
        power = self._power(x, x if y is None else y)
        if y is not None:
            own = self.norm(x, y) if reference is None else reference
            return divide(power, root(own["P"] * own["P_y"]))
        if reference is not None:
            power = divide(power, reference["P"])
        return power.clamp_min(torch.finfo(x.dtype).tiny).log() if self.log else power

    def _power(self, x, y):
        index, weight = self.get("index", x), self.get("weight", x)
        out = []
        for rows in self._chunks(x):
            X = torch.view_as_real(torch.fft.rfft2(x[rows], norm="forward"))
            Y = X if y is x else torch.view_as_real(torch.fft.rfft2(y[rows], norm="forward"))
            power = (X[..., 0] * Y[..., 0] + X[..., 1] * Y[..., 1]).flatten(1) * weight
            empty = power.new_zeros(len(power), len(self.counts))
            out.append(empty.index_add(1, index, power))
        return torch.cat(out)


class PixelDistribution(MapStatistics):
    r"""The one-point distribution of maps: mean, standard deviation, and its shape.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    kind : {"quantiles", "moments"}, default="quantiles"
        The shape of the standardised pixels as the means of `n` groups of equal size of the sorted
        pixels, the squared distance of which approximates that of Wasserstein; or as their mean
        powers of order 3 to n.
    n : int, default=32 for quantiles, 4 for moments

    Attributes
    ----------
    names : list of str
        "mean", "std", then "quantile[0.016]" (the middle of the group) or "moment[3]".
    labels : dict of ndarray of int
        "order": of the quantile from 0 or of the moment; -1 for mean and std.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.spectrum import PixelDistribution
    >>> x = torch.randn(2, 128, 128, generator=torch.Generator().manual_seed(0))
    >>> distribution = PixelDistribution((128, 128), kind="moments")
    >>> distribution.names
    ['mean', 'std', 'moment[3]', 'moment[4]']
    >>> bool((distribution(x) - torch.tensor([0.0, 1.0, 0.0, 3.0])).abs().max() < 0.1)
    True
    """

    def __init__(self, shape, kind="quantiles", n=None):
        super().__init__()
        self.shape = tuple(int(side) for side in shape)
        if kind not in ("quantiles", "moments"):
            raise ValueError(f"kind={kind!r}; expected 'quantiles' or 'moments'.")
        n = {"quantiles": 32, "moments": 4}[kind] if n is None else n
        pixels = int(np.prod(self.shape))
        low, high = (1, pixels) if kind == "quantiles" else (3, 12)
        if not (isinstance(n, int | np.integer) and low <= n <= high):
            raise ValueError(
                f"n={n!r} with kind={kind!r}; expected an integer from {low} to {high}."
            )
        self.kind, self.n = kind, int(n)
        if kind == "quantiles":
            order = np.arange(n)
            ends = [f"quantile[{(i + 0.5) / n:.3f}]" for i in order]
            edges = np.round(np.linspace(0, pixels, n + 1)).astype(int)
            self.keep("group", np.repeat(order, np.diff(edges)))
            self.keep("size", np.diff(edges).astype(float))
        else:
            order = np.arange(3, n + 1)
            ends = [f"moment[{i}]" for i in order]
        self.names = ["mean", "std", *ends]
        self.labels = {"order": np.concatenate([[-1, -1], order])}

    def norm(self, x, y=None):
        """Mean and standard deviation of reference maps, to pass as `reference`, (n,) each."""
        if y is not None:
            raise ValueError("y was given; expected None: the distribution of one map at a time.")
        variance, mean = torch.var_mean(self._check(x), dim=(1, 2), correction=0)
        return {"mean": mean, "std": root(variance)}

    def forward(self, x, y=None, reference=None):
        """Statistics (n, n_coefficients) of maps (n, h, w); in the units of the maps, then standardised.

        With a `reference`, everything is standardised by its mean and standard deviation.
        """
        if y is not None:
            raise ValueError("y was given; expected None: the distribution of one map at a time.")
        own = self.norm(x)
        used = own if reference is None else reference
        if reference is not None:
            self._check_reference(reference, ["mean", "std"], len(x))
        mean, std = used["mean"], used["std"]
        z = divide(x - mean[:, None, None], std[:, None, None].expand(len(x), 1, 1)).flatten(1)
        first = [own["mean"], own["std"]]
        if reference is not None:
            first = [divide(own["mean"] - mean, std), divide(own["std"], std)]
        if self.kind == "moments":
            shape = torch.stack([z.pow(k).mean(1) for k in range(3, self.n + 1)], 1)
        else:
            sums = z.new_zeros(len(z), self.n)
            sums = sums.index_add(1, self.get("group", z), z.sort(dim=1).values)
            shape = sums / self.get("size", z)
        return torch.cat([torch.stack(first, 1), shape], 1)
