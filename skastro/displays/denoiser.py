"""Whether what a denoiser took away is noise."""

import numpy as np

from skastro.denoising.baselines.spectra import fill_sigma
from skastro.denoising.checks import check_sigma, check_signal_mask
from skastro.denoising.noise import estimate_sigma
from skastro.denoising.signal_mask import dilate, find_signal
from skastro.displays.reading import see_cube
from skastro.displays.style import COLORS, require_matplotlib

__all__ = ["DenoiserDisplay", "masked_autocorrelation"]

LINE_FREE_DILATION = 4  # voxels around the mask that are not taken for line-free
FEWEST = 50  # voxels
EDGE = 6.0  # of the histogram, in sigma


def masked_autocorrelation(values, mask, max_lag, axes):
    """Autocorrelation of the voxels in a mask, averaged over some axes.

    Parameters
    ----------
    values : ndarray
        Of zero mean, such as noise; finite in the mask.
    mask : ndarray of bool of the shape of `values`
    max_lag : int
    axes : sequence of int

    Returns
    -------
    correlation : ndarray of shape (max_lag + 1,)
        1 at lag 0; NaN where no pair of voxels lies so far apart.
    n_pairs : ndarray of int of shape (max_lag + 1,)

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays.denoiser import masked_autocorrelation
    >>> values = np.array([1.0, -1.0, 1.0, -1.0, 9.0])
    >>> masked_autocorrelation(values, values < 5, 2, axes=[0])
    (array([ 1., -1.,  1.]), array([4, 3, 2]))
    """
    values = np.where(mask, values, 0.0)
    products, n_pairs = np.zeros(max_lag + 1), np.zeros(max_lag + 1, dtype=int)
    for axis in axes:
        n = values.shape[axis]
        for lag in range(min(max_lag, n - 1) + 1):
            here = (slice(None),) * axis + (slice(lag, None),)
            there = (slice(None),) * axis + (slice(0, n - lag),)
            products[lag] += np.vdot(values[here], values[there])
            n_pairs[lag] += np.count_nonzero(mask[here] & mask[there])
    # lag 0 is counted once an axis, as every lag is
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = products / n_pairs
        return covariance / covariance[0], n_pairs


class DenoiserDisplay:
    """What was removed where there is signal, beside the noise of line-free channels.

    Three panels: the histogram of the residual in units of sigma with the unit normal, its
    autocorrelation along the channels, and that over the sky. Where a denoiser bends lines, the
    residual is wider than the noise or correlated in another way; where it leaves noise in, it is
    narrower.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    residual, line_free : ndarray of shape (n_voxels,)
        In units of sigma: data less estimate where there is signal, and data where there is none.
    spectral, spatial : dict of str to tuple (correlation, n_pairs)
        For "residual" and "line_free", as `masked_autocorrelation` gives them.
    name : str, optional
        Of the method.

    Attributes
    ----------
    axes_ : ndarray of 3 Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from skastro.datasets import make_line_cube
    >>> from skastro.denoising.baselines import WaveletDenoiser
    >>> from skastro.displays import DenoiserDisplay
    >>> line = make_line_cube("B", n_pixels=24, n_channels=64, random_state=0)
    >>> denoiser = WaveletDenoiser().fit(line.cube, sigma=line.sigma)
    >>> display = DenoiserDisplay.from_estimator(denoiser, line.cube, sigma=line.sigma)
    >>> bool(0.8 < display.residual.std() < 1.1)
    True
    """

    def __init__(self, *, residual, line_free, spectral, spatial, name=None):
        self.residual = residual
        self.line_free = line_free
        self.spectral = spectral
        self.spatial = spatial
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, cube, *, sigma=None, signal_mask=None, max_lag=5, name=None, axes=None
    ):
        """Denoise a cube and draw what was removed.

        Parameters
        ----------
        estimator : fitted denoiser
        cube : path, HDU, SpectralCube, NDData, Quantity or array
            (n_y, n_x, n_channels) for arrays.
        sigma : float or array-like, optional
            Noise in the unit of the cube; estimated by default.
        signal_mask : array-like of bool of the shape of the cube, optional
            True where there is signal; found by default.
        max_lag : int, default=5
            In channels and in pixels.
        name : str, optional
            Of the method; the class of the estimator by default.
        axes : sequence of 3 Axes, optional
            New ones by default.

        Returns
        -------
        display : DenoiserDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(
            cube, estimator.transform(cube), sigma=sigma, signal_mask=signal_mask,
            max_lag=max_lag, name=name, axes=axes,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, cube, denoised, *, sigma=None, signal_mask=None, max_lag=5, name=None, axes=None
    ):
        """Draw what was removed.

        Parameters
        ----------
        cube, denoised : path, HDU, SpectralCube, NDData, Quantity or array
            Of the same shape, in the same unit.
        sigma, signal_mask, max_lag, name, axes
            As in `from_estimator`.

        Returns
        -------
        display : DenoiserDisplay

        Raises
        ------
        ValueError
            Cubes of different shapes, or too few voxels with signal or without.
        """
        data, estimate = see_cube(cube, "cube").values, see_cube(denoised, "denoised").values
        if estimate.shape != data.shape:
            raise ValueError(f"denoised has shape {estimate.shape}; expected {data.shape}.")
        if sigma is None:
            sigma = fill_sigma(estimate_sigma(data))
        sigma = check_sigma(sigma, data.shape)
        if signal_mask is None:
            signal_mask = find_signal(data, sigma)
        signal_mask = check_signal_mask(signal_mask, data.shape)
        snr = data / sigma
        residual = snr - estimate / sigma
        where = {
            "residual": signal_mask & np.isfinite(residual),
            "line_free": ~dilate(signal_mask, LINE_FREE_DILATION) & np.isfinite(snr),
        }
        for key, mask in where.items():
            if mask.sum() < FEWEST:
                kind = {"residual": "with signal", "line_free": "free of it"}[key]
                raise ValueError(
                    f"signal_mask leaves {mask.sum()} voxels {kind}; expected at least {FEWEST}."
                )
        values = {"residual": residual, "line_free": snr}

        def correlations(over):
            return {
                key: masked_autocorrelation(values[key], mask, max_lag, over)
                for key, mask in where.items()
            }

        display = cls(
            residual=residual[where["residual"]], line_free=snr[where["line_free"]],
            spectral=correlations([2]), spatial=correlations([0, 1]), name=name,
        )  # fmt: skip
        return display.plot(axes)

    def plot(self, axes=None):
        """Draw the three panels.

        Parameters
        ----------
        axes : sequence of 3 Axes, optional
            New ones by default.

        Returns
        -------
        self : DenoiserDisplay
        """
        pyplot = require_matplotlib()
        if axes is None:
            self.figure_, axes = pyplot.subplots(1, 3, figsize=(12.5, 3.8), layout="constrained")
        self.axes_ = axes = np.ravel(axes)
        if len(axes) != 3:
            raise ValueError(f"axes has {len(axes)} Axes; expected 3.")
        self.figure_ = axes[0].figure
        self._draw_histogram(axes[0])
        for ax, kind, label in (
            (axes[1], self.spectral, "lag [channels]"), (axes[2], self.spatial, "lag [pixels]"),
        ):  # fmt: skip
            self._draw_correlation(ax, kind, label)
        axes[1].set_ylabel("autocorrelation")
        axes[1].set_title("along the channels", fontsize="medium")
        axes[2].set_title("over the sky", fontsize="medium")
        return self

    def _draw_histogram(self, ax):
        edges = np.arange(-EDGE, EDGE + 0.1, 0.2)
        centre = 0.5 * (edges[:-1] + edges[1:])
        fewest = min(len(self.residual), len(self.line_free))
        removed = "removed" if self.name is None else f"removed by {self.name}"
        for values, color, label in (
            (self.line_free, "0.5", "line-free channels"), (self.residual, COLORS[1], removed),
        ):  # fmt: skip
            counts = np.histogram(np.clip(values, -EDGE, EDGE), edges)[0]
            density = counts / (len(values) * np.diff(edges))
            # an empty bin is a gap, not a line down to nothing
            density[counts == 0] = np.nan
            ax.step(
                centre, density, where="mid", color=color, linewidth=1.6,
                label=f"{label}: {values.std():.2f} σ",
            )  # fmt: skip
        x = np.linspace(-EDGE, EDGE, 241)
        normal = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
        ax.plot(x, normal, color="black", linewidth=1.0, linestyle="--", label="unit normal")
        # the legend has the room above the curves
        ax.set(yscale="log", ylim=(0.3 / (0.2 * fewest), 30.0), xlim=(-EDGE, EDGE))
        ax.set(xlabel="residual / sigma", ylabel="density")
        ax.set_title("where there is signal", fontsize="medium")
        ax.legend(frameon=False, fontsize="small", loc="upper center")

    def _draw_correlation(self, ax, correlations, label):
        ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        shift = {"line_free": -0.06, "residual": 0.06}
        for key, color, marker in (("line_free", "0.5", "s"), ("residual", COLORS[1], "o")):
            values, n_pairs = correlations[key]
            lag = np.arange(len(values))
            error = np.where(lag > 0, 1.0 / np.sqrt(np.maximum(n_pairs, 1)), 0.0)
            ax.errorbar(
                lag + shift[key], values, error, color=color, marker=marker, markersize=5,
                linewidth=1.2, capsize=2, label={"line_free": "line-free", "residual": "removed"}[key],
            )  # fmt: skip
        ax.set(xlabel=label, xticks=lag)
        ax.set_ylim(min(-0.25, ax.get_ylim()[0]), 1.1)
        ax.legend(frameon=False, fontsize="small", loc="upper right")
