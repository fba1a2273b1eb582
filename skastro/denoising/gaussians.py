"""Decomposition of a cube into Gaussian components whose parameters are smooth over the sky."""

import hashlib
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from skastro.base import resolve_device, row_blocks
from skastro.denoising.baselines.spectra import SpectraDenoiser
from skastro.denoising.gaussian_clouds import group_components
from skastro.denoising.gaussian_fit import MIN_SHARE, Prior, fit_maps
from skastro.denoising.gaussian_grids import pyramid
from skastro.denoising.gaussian_model import share_within, sum_of_gaussians, total
from skastro.denoising.gaussian_spectra import fit_spectra, initial_components
from skastro.denoising.signal_mask import find_signal
from skastro.denoising.velocity_axis import VelocityAxis, with_unit

__all__ = ["GaussianDecomposer"]

NARROWEST = 0.5  # [channel]: a narrower Gaussian falls between the channels


class GaussianDecomposer(SpectraDenoiser):
    r"""Decompose spectra into Gaussians whose parameters vary smoothly over the sky.

    The method of ROHSA [1]_: all spectra of a cube are fitted at once by minimising

    .. math::
        \frac12 \sum \frac{(m - d)^2}{\sigma^2} + \frac12 \sum_n \left(
        \lambda_a \|L a_n\|^2 + \lambda_\mu \|L \mu_n\|^2 + \lambda_s \|L s_n\|^2
        + \lambda_{var} \|s_n - \bar s_n\|^2 \right)

    over maps of amplitude a, velocity :math:`\mu` and width s of each component n, where L takes from a
    pixel the mean of its four neighbours. The mean spectrum of the signal is decomposed first, component
    by component, then the cube on ever finer grids. A component that the noise would feed, outside the
    signal, is left without amplitude (`gate`).

    The spectra of a table have no neighbours: each is fitted by itself, from the solution of the mean
    spectrum.

    Parameters
    ----------
    n_components : int, default=12
        Gaussians in each spectrum. Those that are not needed get no amplitude.
    velocity : array-like or Quantity of shape (n_channels,), default=None
        Velocities of the channels, rising or falling, in whose unit `parameters_` come. None: channel
        numbers, from 0.
    smooth_amplitude : float, default=20.0
        :math:`\lambda_a`, for amplitudes in units of the median noise.
    smooth_velocity : float, default=400.0
        :math:`\lambda_\mu`, for velocities in channels.
    smooth_width : float, default=1600.0
        :math:`\lambda_s`, for widths (standard deviations) in channels.
    width_variance : float, default=0.0
        :math:`\lambda_{var}`. Above 0 a component keeps to one width all over the sky, as is wanted of
        the phases of H I; in a table, to the width that it has in the mean spectrum.
    gate : bool, default=True
        Whether a component has an amplitude only where most of its profile lies in the signal: the
        `signal_mask` given to `fit`, or else what `find_signal` finds.
    max_iter : int, default=60
        Iterations of L-BFGS on each grid (of Levenberg-Marquardt for tables).
    tol : float, default=1e-5
        Smallest relative decrease of the objective an iteration.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "auto" is cuda, then mps, then cpu.
    verbose : int, default=0
        1 shows a bar with the objective.

    Attributes
    ----------
    parameters_ : dict of ndarray or Quantity of shape (n_components, n_y, n_x)
        "amplitude", in the unit of the cube, "velocity" and "width" (standard deviation), in the unit of
        `velocity`; (n_components, n_spectra) for a table. NaN where a spectrum is blank. Velocity and
        width go on smoothly where the amplitude is 0.
    mean_parameters_ : dict of ndarray or Quantity of shape (n_components,)
        The same of the mean spectrum.
    n_iter_ : int
        Iterations on the finest grid; for a table, of the spectrum that took most.
    labels_ : ndarray of shape (n_components,), int
        Cloud or phase that each component belongs to, -1 for components without flux; see `labels`.
    history_ : list of dict
        One row a grid: n_y, n_x, n_iter, objective; one row, n_iter and objective, for a table.
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have; None: estimated from each cube.
    unit_ : str or None
        Unit of what was fitted.

    Notes
    -----
    Nothing is random. The time goes with voxels times components: 1.6 seconds a million voxels on one
    core, with 12 components. Memory: about nine times that of the cube.

    References
    ----------
    .. [1] A. Marchal, M.-A. Miville-Deschênes, F. Orieux et al. (2019), "ROHSA: Regularized Optimization
       for Hyper-Spectral Analysis", A&A 626, A101.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import GaussianDecomposer
    >>> channel, slope = np.arange(40), np.linspace(0, 3, 16)[:, None, None]
    >>> line = 6 * np.exp(-0.5 * ((channel - 18 - slope) / 2.0) ** 2) + np.zeros((16, 16, 1))
    >>> cube = line + np.random.default_rng(0).normal(size=line.shape)
    >>> decomposer = GaussianDecomposer(n_components=2).fit(cube, sigma=1.0)
    >>> decomposer.parameters_["velocity"].shape
    (2, 16, 16)
    >>> bool(np.std(decomposer.transform(cube) - line) < 0.15)
    True
    """

    _in_sigma = False
    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "velocity": ["array-like", None],
        "smooth_amplitude": [Interval(Real, 0, None, closed="left")],
        "smooth_velocity": [Interval(Real, 0, None, closed="left")],
        "smooth_width": [Interval(Real, 0, None, closed="left")],
        "width_variance": [Interval(Real, 0, None, closed="left")],
        "gate": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=12,
        velocity=None,
        *,
        smooth_amplitude=20.0,
        smooth_velocity=400.0,
        smooth_width=1600.0,
        width_variance=0.0,
        gate=True,
        max_iter=60,
        tol=1e-5,
        dtype="float32",
        device="auto",
        verbose=0,
    ):
        self.n_components = n_components
        self.velocity = velocity
        self.smooth_amplitude = smooth_amplitude
        self.smooth_velocity = smooth_velocity
        self.smooth_width = smooth_width
        self.width_variance = width_variance
        self.gate = gate
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype
        self.device = device
        self.verbose = verbose

    @property
    def parameters_(self):
        return self._with_units(self._maps, self.unit_)

    @property
    def mean_parameters_(self):
        amplitude, *rest = self._mean
        return self._with_units((self._unit * amplitude, *rest), self.unit_)

    def labels(self, *, distance=1.0, n_groups=None):
        """Group the components into clouds and phases by their velocity and width.

        Parameters
        ----------
        distance : float, default=1.0
            Groups farther apart are not joined: in units of their widths along velocity, in factors of
            two along width. See `skastro.denoising.gaussian_clouds.group_components`.
        n_groups : int, optional
            Number of groups instead.

        Returns
        -------
        labels : ndarray of shape (n_components,), int
            From 0, in order of mean velocity; -1 for components without flux.
        """
        check_is_fitted(self, "history_")
        return group_components(*self._maps, distance=distance, n_groups=n_groups)

    def decompose(self, X, sigma=None, signal_mask=None):
        """Parameters of the components of any cube or table.

        Parameters
        ----------
        X, sigma, signal_mask
            As in `transform`.

        Returns
        -------
        parameters : dict of ndarray or Quantity
            As `parameters_`, in the unit of `X`; fitted anew from the components of the mean spectrum
            of `fit`, but for the cube of `fit` itself.

        Raises
        ------
        ValueError
            As `transform`.
        """
        check_is_fitted(self, "history_")
        values, cube = self._read(X, reset=False)
        unit = None if cube is None else cube.unit
        noise = self._noise(values, unit, sigma, signal_mask)
        return self._with_units(self._solve(values, *noise), unit)

    def _learn(self, values, blank):
        self._axis = VelocityAxis(self.velocity, values.shape[-1])
        if blank is not None:
            values = np.where(blank, values.dtype.type(np.nan), values)
        sigma, signal_mask = self._noise(values, self.unit_)
        self._mean, self._unit = None, float(np.nanmedian(sigma))
        self._maps, self._mean, self.history_ = self._fit(values, sigma, signal_mask)
        self._known = _fingerprint(values, sigma, signal_mask)
        self.n_iter_ = self.history_[-1]["n_iter"]
        self.labels_ = self.labels()

    def _apply(self, values, sigma, signal_mask=None):
        parameters = torch.from_numpy(self._solve(values, sigma, signal_mask))
        model = sum_of_gaussians(parameters, values.shape[-1]).numpy()
        model[np.isnan(values)] = np.nan
        return model.astype(values.dtype, copy=False)

    def _solve(self, values, sigma, signal_mask):
        """Parameters of some values: those of fit when they are the same."""
        if self._known == _fingerprint(values, sigma, signal_mask):
            return self._maps
        return self._fit(values, sigma, signal_mask)[0]

    def _fit(self, values, sigma, signal_mask):
        """Parameters, those of the mean spectrum, and the history.

        Amplitudes in the unit of `values`, those of the mean spectrum in units of the median noise, in
        which everything is done; the rest in channels.
        """
        n_channels = values.shape[-1]
        unit = float(np.nanmedian(sigma))
        prior = Prior(
            smooth=(self.smooth_amplitude, self.smooth_velocity, self.smooth_width),
            width_variance=self.width_variance,
            lower=(0.0, 0.0, NARROWEST),
            upper=(math.inf, n_channels - 1.0, max(NARROWEST, 0.5 * n_channels)),
        )
        blank = np.isnan(values)
        data, weight = (
            torch.from_numpy(np.where(blank, 0.0, one)).to(self._device, getattr(torch, self.dtype))
            for one in (values / unit, (unit / sigma) ** 2)
        )
        mask = None
        if self.gate:
            mask = find_signal(values, sigma) if signal_mask is None else signal_mask
            mask = torch.from_numpy(mask).to(self._device)
        if self._mean is None:
            mean = initial_components(*_mean_spectrum(data, weight, mask), self.n_components, prior)
        else:
            mean = torch.from_numpy(self._mean)
        method = self._fit_cube if values.ndim == 3 else self._fit_table
        parameters, history = method(data, weight, mean, prior, mask)
        parameters = parameters.cpu().numpy()
        parameters[0] *= unit
        parameters[:, :, blank.all(axis=-1)] = np.nan
        return parameters, mean.numpy(), history

    def _fit_cube(self, data, weight, mean, prior, mask):
        with tqdm(desc="fit", unit="iteration", disable=not self.verbose) as bar:

            def report(shape, value):
                bar.set_postfix(
                    grid=f"{shape[0]} x {shape[1]}", objective=f"{value:.6g}", refresh=False
                )
                bar.update()

            options = {"max_iter": self.max_iter, "tol": self.tol, "mask": mask, "callback": report}
            return fit_maps(pyramid(data, weight), mean, prior, **options)

    def _fit_table(self, data, weight, mean, prior, mask):
        options = {"max_iter": self.max_iter, "tol": self.tol}
        start = mean.to(data)[..., None].repeat(1, 1, len(data))
        parameters, value, n_iter = fit_spectra(data, weight, start, prior, **options)
        if mask is not None:
            support = share_within(parameters, mask) >= MIN_SHARE
            parameters, value, n_iter = fit_spectra(
                data, weight, parameters, prior, support=support, widths=start[2], **options
            )
        return parameters, [{"n_iter": n_iter, "objective": total(value)}]

    @property
    def _device(self):
        return resolve_device(self.device, self.dtype)

    def _with_units(self, parameters, unit):
        """Dictionary of parameters, in the units of the cube and of the velocity axis."""
        amplitude, *rest = parameters
        velocity, width = (one.astype(amplitude.dtype) for one in self._axis.convert(*rest))
        return {
            "amplitude": with_unit(amplitude.copy(), unit),
            "velocity": with_unit(velocity, self._axis.unit),
            "width": with_unit(width, self._axis.unit),
        }


def _mean_spectrum(data, weight, mask):
    """Weighted mean over the sky, of the signal alone if there is a mask; and its weight."""
    norm = weight.flatten(0, -2).sum(0)
    signal = weight * data
    if mask is not None:
        # otherwise components are spent on the noise, and missing where a line is small
        signal *= mask
    return signal.flatten(0, -2).sum(0) / torch.where(norm > 0, norm, 1.0), norm


def _fingerprint(values, sigma, signal_mask):
    """By which the cube of fit is known again, with its noise and mask."""
    digest = hashlib.blake2b(repr((values.shape, values.dtype, signal_mask is None)).encode())
    for array in (values, sigma, signal_mask):
        if array is not None:
            for rows in row_blocks(len(array), array[0].nbytes):
                digest.update(np.ascontiguousarray(array[rows]))
    return digest.hexdigest()
