"""A Wiener filter that changes from place to place: Gaussian scale mixtures."""

import numpy as np
import torch

from skastro.separation.baselines.separator import Separator
from skastro.separation.frame import Frame
from skastro.separation.problem import pose
from skastro.separation.scale_mixture import scale_mixture_filter

__all__ = ["ScaleMixtureFilter"]


class ScaleMixtureFilter(Separator):
    r"""Wiener filter in oriented bands, with a gain that follows the signal from place to place.

    In each band, an octave wide, the signal is a Gaussian field times a multiplier that varies over the map:
    a Gaussian scale mixture [1]_. What the mixture is like around a pixel, and what the next larger scale
    says there, give the probabilities of the multipliers, and these the mean of the signal. Where the signal
    is strong in few places this has a smaller error than any linear filter. Power is lost as by
    `WienerFilter`, though less of it. The search of `StatisticalSeparator` starts from it.

    Parameters
    ----------
    periodic : bool, default=False
        Whether opposite sides of the maps touch. If not, they are continued by a margin.

    Attributes
    ----------
    samples_ : ndarray of shape (n_samples, n_channels, h, w)
        Of the contamination, without their mean.
    scale_ : ndarray of shape (n_channels,)
        Their standard deviation.
    mean_, contamination_, map_shape_, n_channels_in_, unit_
        As in `WienerFilter`.

    References
    ----------
    .. [1] Portilla, Strela, Wainwright & Simoncelli, "Image denoising using scale mixtures of Gaussians in
       the wavelet domain", IEEE Transactions on Image Processing 12, 1338 (2003).

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.baselines import ScaleMixtureFilter, WienerFilter
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> local, same = (
    ...     model.fit(mix.samples).score(mix.mixture, mix.signal)
    ...     for model in (ScaleMixtureFilter(), WienerFilter())
    ... )
    >>> bool(local > same)
    True
    """

    _overhead = 128
    _parameter_constraints = {"periodic": ["boolean"]}

    def __init__(self, *, periodic=False):
        self.periodic = periodic

    def _learn(self, samples):
        self.samples_ = samples - self.mean_[:, None, None].astype(samples.dtype)
        self.scale_ = self.samples_.std(axis=(0, 2, 3), dtype=np.float64)

    def _separate(self, maps):
        scale = self.scale_[:, None, None]
        frame = Frame(self.map_shape_, periodic=self.periodic)

        def tensor(x):
            return torch.from_numpy(frame.extended((x / scale).astype(maps.dtype)))

        # of the maps as they are continued, for their mean to be in no mode
        offset = frame.extended(np.ascontiguousarray(maps)).mean(axis=(2, 3), keepdims=True)
        with torch.no_grad():
            problem, _ = pose(
                tensor(maps - offset), tensor(self.samples_), None,
                *(torch.from_numpy(one.astype(maps.dtype)) for one in (scale, offset)),
                frame=None if frame.whole else frame,
            )  # fmt: skip
            found = frame.cut(scale_mixture_filter(problem)).numpy()
        return (found * scale + offset).astype(maps.dtype)
