"""Scattering statistics as functions of tensors, for those who write their own losses.

Filters are made at the first call for maps of a shape, and kept.
"""

from functools import lru_cache

from skastro.scattering.recipes import make_statistics

__all__ = [
    "covariance",
    "phase_harmonics",
    "pixel_distribution",
    "power_spectrum",
    "rwst",
    "statistics",
    "topology",
    "wst",
]

KEPT = 16  # banks


@lru_cache(maxsize=KEPT)
def _kept(family, shape, n_scales, n_orientations, options):
    return make_statistics(family, shape, n_scales, n_orientations, **dict(options))


def statistics(family, shape, n_scales=None, n_orientations=4, **options):
    """The module of a family, with `names` and `labels` of its coefficients; made once.

    Parameters
    ----------
    family : {"wst", "rwst", "covariance", "phase_harmonics", "power_spectrum", "pdf", "topology"}
    shape : tuple (h, w)
    n_scales : int
        Not for "power_spectrum", "pdf" and "topology".
    n_orientations : int, default=4
    **options
        Of the family's class.

    Returns
    -------
    statistics : nn.Module
        From maps (n, h, w) to coefficients (n, n_coefficients).

    Examples
    --------
    >>> from skastro.scattering import functional
    >>> functional.statistics("wst", (32, 32), n_scales=3).names[1]
    'S1[j1=0,l1=0]'
    """
    shape = tuple(int(n) for n in shape)
    return _kept(family, shape, n_scales, n_orientations, tuple(sorted(options.items())))


def _call(family, x, y, reference, n_scales, n_orientations, options):
    module = statistics(family, x.shape[-2:], n_scales, n_orientations, **options)
    return module(x, y, reference)


def wst(x, n_scales, n_orientations=4, **options):
    """Wavelet scattering transform of maps (n, h, w): coefficients (n, n_coefficients), see `WST`.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering import functional
    >>> x = torch.randn(2, 32, 32, requires_grad=True)
    >>> functional.wst(x, n_scales=3).sum().backward()
    >>> x.grad.shape
    torch.Size([2, 32, 32])
    """
    return _call("wst", x, None, None, n_scales, n_orientations, options)


def rwst(x, n_scales, n_orientations=4, **options):
    """Reduced wavelet scattering transform of maps (n, h, w), see `RWST`."""
    return _call("rwst", x, None, None, n_scales, n_orientations, options)


def covariance(x, n_scales, n_orientations=4, *, y=None, reference=None, **options):
    """Scattering covariances of maps (n, h, w), or of two series of maps, see `Covariance`."""
    return _call("covariance", x, y, reference, n_scales, n_orientations, options)


def phase_harmonics(x, n_scales, n_orientations=4, *, y=None, reference=None, **options):
    """Moments of wavelet phase harmonics of maps (n, h, w), see `PhaseHarmonics`."""
    return _call("phase_harmonics", x, y, reference, n_scales, n_orientations, options)


def power_spectrum(x, *, y=None, reference=None, **options):
    """Binned power spectrum of maps (n, h, w), see `PowerSpectrum`."""
    return _call("power_spectrum", x, y, reference, None, None, options)


def pixel_distribution(x, **options):
    """Quantiles or moments of the pixels of maps (n, h, w), see `PixelDistribution`."""
    module = statistics("pdf", x.shape[-2:], **options)
    return module(x)


def topology(x, *, reference=None, **options):
    """Minkowski functionals of maps (n, h, w), see `Topology`."""
    return _call("topology", x, None, reference, None, None, options)
