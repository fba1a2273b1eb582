"""The wavelet scattering transform of a line: spectra, light curves, time series."""

import functools
import math
from numbers import Integral

import numpy as np
import torch
from torch import nn

from skastro.scattering.filters import check_n_scales
from skastro.scattering.map_statistics import check_fields
from skastro.scattering.modulus import norm

__all__ = ["WST1D", "morlet_1d"]

SIGMA = 0.1  # [cycle / sample] of the low-pass of scale 0; it halves from one to the next
ALPHA = 5.0  # in standard deviations: a wavelet's band, as to its sampling


def _bandwidth(xi, quality):
    """Standard deviation of a wavelet whose neighbour, at xi 2^(-1/Q), crosses it at sqrt(1/2)."""
    q = 2.0 ** (-1.0 / quality)
    return xi * (1.0 - q) / (1.0 + q) / math.sqrt(math.log(2.0))


def centers(n_scales, quality):
    """Centre and width of each wavelet of a bank, from high to low frequencies.

    Geometric down to the wavelet as wide as the low-pass, then at equal steps.

    Parameters
    ----------
    n_scales : int
        The number J of octaves.
    quality : int
        The number Q of wavelets an octave.

    Returns
    -------
    centers : list of tuple (xi, sigma)
        In cycles per sample.

    Examples
    --------
    >>> from skastro.scattering.wst_1d import centers
    >>> [round(xi, 3) for xi, _ in centers(n_scales=3, quality=1)]
    [0.35, 0.175, 0.087, 0.044]
    """
    xi = max(1.0 / (1.0 + 2.0 ** (3.0 / quality)), 0.35)
    sigma, least, step = _bandwidth(xi, quality), SIGMA / 2**n_scales, 2.0 ** (1.0 / quality)
    out = []
    if sigma <= least:
        elbow = sigma
    else:
        out.append((xi, sigma))
        while sigma > least * step:
            xi, sigma = xi / step, sigma / step
            out.append((xi, sigma))
        elbow = xi
    out += [(elbow * (1.0 - k / quality), least) for k in range(1, quality)]
    return out


def _gaussian(n, xi, sigma):
    """A Gaussian of frequency, summed over periods, in the order of the FFT."""
    n_periods = min(math.ceil(math.sqrt(2.0 * sigma**2 * math.log(1e7)) + 1), 5)
    shifts = np.arange(1 - n_periods, n_periods)[:, None]
    frequency = np.arange(n) / n + shifts
    return np.exp(-((frequency - xi) ** 2) / (2.0 * sigma**2)).sum(0)


def _unit_sum(spectrum):
    """A filter divided by the sum of its modulus in time."""
    return spectrum / np.abs(np.fft.ifft(spectrum)).sum()


@functools.lru_cache(maxsize=16)
def _bank(n, n_scales, quality):
    psi = []
    for xi, sigma in centers(n_scales, quality):
        wave, low = _gaussian(n, xi, sigma), _gaussian(n, 0.0, sigma)
        psi.append(_unit_sum(wave - wave[0] / low[0] * low))
    psi = np.stack(psi)
    phi = _unit_sum(_gaussian(n, 0.0, SIGMA / 2**n_scales))
    psi.flags.writeable = phi.flags.writeable = False
    return psi, phi


def morlet_1d(length, n_scales, quality=1):
    """Bank of Morlet wavelets of a line, in Fourier space: that of kymatio [1]_.

    Parameters
    ----------
    length : int
        Samples of the line.
    n_scales : int
        The number J of octaves.
    quality : int, default=1
        The number Q of wavelets an octave.

    Returns
    -------
    psi : ndarray of shape (n_wavelets, length), float64, read-only
        Real transforms, in the order of the FFT, from high to low frequencies; 0 at frequency 0.
    phi : ndarray of shape (length,), float64, read-only
        That of the low-pass Gaussian.

    References
    ----------
    .. [1] M. Andreux, T. Angles, G. Exarchakis et al. (2020), "Kymatio: Scattering Transforms in
       Python", JMLR 21, 1.

    Examples
    --------
    >>> from skastro.scattering.wst_1d import morlet_1d
    >>> morlet_1d(64, n_scales=3)[0].shape
    (4, 64)
    """
    return _bank(int(length), check_n_scales(n_scales, (length,)), int(quality))


class WST1D(nn.Module):
    r"""Wavelet scattering transform of real lines, up to order 2, in kymatio's convention [1]_.

    As :class:`~skastro.scattering.wst.WST` in one dimension: `quality` wavelets an octave in the first
    layer, one in the second, reflected at the ends.

    Parameters
    ----------
    length : int or tuple (length,)
        Samples of the lines.
    n_scales : int
        The number J of octaves.
    quality : int, default=8
        The number Q of wavelets an octave in the first layer.
    max_order : {1, 2}, default=2
    output : {"global", "local"}, default="global"
        "global": means of the local averages over the line.

    Attributes
    ----------
    names : list of str
        "S0", "S1[n1=0]", ..., "S2[n1=0,n2=1]", ..., with the places of the wavelets in their banks.
    labels : dict of ndarray of shape (n_coefficients,), int
        "order", "n1", "n2", "j1", "j2" (octaves), "j3", "l1", "l2", "l3", "part"; -1 where absent.
    size : tuple (length_out,)
        Of local averages, one for 2^J samples.
    centers : tuple of two lists of (xi, sigma)
        Of each layer's wavelets, in cycles per sample.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    .. [1] M. Andreux, T. Angles, G. Exarchakis et al. (2020), "Kymatio: Scattering Transforms in
       Python", JMLR 21, 1.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.wst_1d import WST1D
    >>> wst = WST1D(256, n_scales=4, quality=1)
    >>> wst(torch.ones(3, 256)).shape
    torch.Size([3, 13])
    """

    def __init__(self, length, n_scales, quality=8, max_order=2, output="global"):
        super().__init__()
        length = length[0] if isinstance(length, tuple) and len(length) == 1 else length
        self.shape = (length,)
        self.n_scales = J = check_n_scales(n_scales, self.shape)
        integer = isinstance(quality, Integral) and not isinstance(quality, bool)
        if not integer or quality < 1:
            raise ValueError(f"quality={quality!r}; expected an integer of at least 1.")
        for name, value, allowed in (
            ("max_order", max_order, (1, 2)),
            ("output", output, ("global", "local")),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r}; expected {allowed[0]!r} or {allowed[1]!r}.")
        self.quality, self.max_order, self.output = quality, max_order, output
        self.padded = self._padded_length()
        before = (self.padded - length) // 2
        after = self.padded - length - before
        self._pad = np.pad(np.arange(length), (before, after), mode="reflect")
        self.centers = (centers(J, quality), centers(J, 1))
        self._octaves = [[_octave(*one) for one in bank] for bank in self.centers]
        self._paths = [
            (n1, n2)
            for n1, j1 in enumerate(self._octaves[0])
            for n2, j2 in enumerate(self._octaves[1])
            if max_order == 2 and j2 > j1
        ]
        psi1, phi = morlet_1d(self.padded, J, quality)
        psi2, _ = morlet_1d(self.padded, J, 1)
        first, last = math.ceil(before / 2**J), math.ceil((before + length) / 2**J)
        self.size = (last - first if output == "local" else 1,)
        for name, bank in (("_psi1", psi1), ("_psi2", psi2)):
            self.register_buffer(name, torch.tensor(bank), persistent=False)
        for j in range(J + 1):
            windows = torch.from_numpy(_windows(phi, j, J)[first:last])
            if output == "global":
                windows = windows.mean(0, keepdim=True)
            self.register_buffer(f"_windows{j}", windows, persistent=False)
        self._name()

    def _padded_length(self):
        """A power of two with room for three low-pass filters at each end, as far as one reflects."""
        length, n = self.shape[0], 2 ** math.ceil(math.log2(self.shape[0]))
        reach = 3 * _support(_bank(n, self.n_scales, 1)[1])
        wanted = math.ceil(math.log2(length + 2 * reach))
        most = max(math.floor(math.log2(3 * length - 2)), math.ceil(math.log2(length)))
        return 2 ** max(min(wanted, most), self.n_scales)

    def _name(self):
        rows = [(0, -1, -1, -1, -1)]
        rows += [(1, n, -1, j, -1) for n, j in enumerate(self._octaves[0])]
        octaves = self._octaves
        rows += [(2, a, b, octaves[0][a], octaves[1][b]) for a, b in self._paths]
        keys = ("order", "n1", "n2", "j1", "j2")
        self.labels = dict(zip(keys, np.array(rows).T, strict=True))
        self.labels |= {key: np.full(len(rows), -1) for key in ("j3", "l1", "l2", "l3")}
        self.labels["part"] = np.zeros(len(rows), int)
        self.names = ["S0", *(f"S1[n1={n}]" for n in range(len(octaves[0])))]
        self.names += [f"S2[n1={a},n2={b}]" for a, b in self._paths]

    def forward(self, x, y=None, reference=None):
        """Coefficients of lines.

        Parameters
        ----------
        x : Tensor of shape (n, length), real
        y, reference : None
            The transform has neither cross-coefficients nor a normalisation.

        Returns
        -------
        coefficients : Tensor of shape (n, n_coefficients), or (n, n_coefficients, length_out)
            In the unit of `x`; the latter with ``output="local"``.

        Raises
        ------
        ValueError
            If `x` is complex or not of the shape of the transform, or `y` or `reference` is given.
        """
        check_fields(x, y, reference, self.shape)
        x = x.index_select(1, torch.from_numpy(self._pad).to(x.device))
        psi1, psi2 = self._psi1.to(x), self._psi2.to(x)
        X = torch.fft.fft(x)
        first, second = [], {}
        for j in sorted(set(self._octaves[0])):
            # All wavelets of an octave at once, on each 2^j-th sample.
            members = [n for n, octave in enumerate(self._octaves[0]) if octave == j]
            k = min(j, self.n_scales)
            U = norm(_filtered(X[:, None], psi1[members], 2**k)[None])
            first.append(self._average(U, k))
            after = [n2 for n2, octave in enumerate(self._octaves[1]) if octave > j]
            if self.max_order == 1 or not after:
                continue
            F = torch.fft.fft(U)
            for n2 in after:
                k2 = min(self._octaves[1][n2], self.n_scales)
                kept = psi2[n2].view(2**k, -1).sum(0)
                U2 = norm(_filtered(F, kept, 2 ** (k2 - k))[None])
                for i, S in enumerate(self._average(U2, k2).unbind(1)):
                    second[members[i], n2] = S
        order = np.argsort(self._octaves[0], kind="stable")
        first = torch.cat(first, 1)[:, torch.from_numpy(np.argsort(order)).to(x.device)]
        S = torch.cat([self._average(x[:, None], 0), first], 1)
        if self._paths:
            S = torch.cat([S, torch.stack([second[path] for path in self._paths], 1)], 1)
        return S[..., 0] if self.output == "global" else S

    def _average(self, U, j):
        return U @ getattr(self, f"_windows{j}").to(U).mT


def _octave(xi, sigma):
    """The coarsest dyadic grid on which a wavelet is not aliased."""
    return max(0, math.floor(-math.log2(min(xi + ALPHA * sigma, 0.5))) - 1)


def _filtered(X, psi, step):
    """Fields of spectra times filters, at each `step`-th sample."""
    Z = X * psi
    return torch.fft.ifft(Z.view(*Z.shape[:-1], step, -1).mean(-2))


def _support(phi):
    """Samples on each side beyond which less than a thousandth of a low-pass filter is left."""
    time = np.abs(np.fft.ifft(phi))[: len(phi) // 2]
    outside = time[::-1].cumsum()[::-1]
    below = np.flatnonzero(outside / outside[0] < 1e-3)
    return int(below[0]) if len(below) else len(phi) // 2


def _windows(phi, j, n_scales):
    """Averages at each 2^J-th sample, from each 2^j-th: (n / 2^J, n / 2^j)."""
    kept = phi.reshape(2**j, -1).sum(0)
    spectrum = np.fft.fft(np.eye(len(kept)), axis=0) * kept[:, None]
    step = 2 ** (n_scales - j)
    spectrum = spectrum.reshape(step, len(kept) // step, -1).mean(0)
    return np.ascontiguousarray(np.fft.ifft(spectrum, axis=0).real)
