"""A cube before and after denoising."""

import numpy as np

from skastro.denoising.baselines.spectra import fill_sigma
from skastro.denoising.checks import check_sigma
from skastro.denoising.noise import estimate_sigma
from skastro.displays.reading import see_cube
from skastro.displays.style import COLORS, require_matplotlib

__all__ = ["CubeDisplay"]

N_MAPS = 4
ABOVE = 3.0  # sigma: voxels that count for moment 1
SHARES = (0.1, 0.35, 0.65, 0.9)  # of the flux, up to the channels that are shown
PEAKS = (None, 6.0, 3.0)  # S/N of the spectra that are shown; None: the brightest


def _moment1(values, sigma, velocity):
    """Mean velocity of the voxels above the noise, NaN where there are none."""
    weight = np.where(values > ABOVE * sigma, values, 0.0)
    total = weight.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return weight @ velocity / total


def _channels_of_flux(denoised, sigma):
    """Channels below which the shares of the flux lie."""
    # only what stands out: residuals in thousands of line-free voxels add up
    flux = np.where(denoised > ABOVE * sigma, denoised, 0.0).sum(axis=(0, 1))
    if not flux.sum() > 0:
        return np.unique(np.linspace(0, len(flux) - 1, N_MAPS).astype(int))
    below = np.cumsum(flux) / flux.sum()
    return np.unique(np.minimum(np.searchsorted(below, SHARES), len(flux) - 1))


def _positions_of_peaks(denoised, sigma):
    """A bright, a fainter and a weak position, as (y, x)."""
    blank = np.isnan(denoised).all(axis=-1)
    # a pixel whose noise was underestimated is not a bright one
    sigma = np.maximum(sigma, 0.5 * np.nanmedian(sigma))
    snr = np.where(np.isnan(denoised), -np.inf, denoised / sigma).max(axis=-1)
    chosen = []
    for peak in PEAKS:
        gap = -snr if peak is None else np.abs(snr - peak)
        gap = np.where(blank, np.inf, gap)
        place = np.unravel_index(int(np.argmin(gap)), snr.shape)
        if place not in chosen and not blank[place]:
            chosen.append(place)
    return [(int(y), int(x)) for y, x in chosen]


class CubeDisplay:
    """Channel maps, moments and spectra of a cube before and after denoising.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    cube, denoised : ndarray of shape (n_y, n_x, n_channels)
    sigma : ndarray of that shape
        Standard deviation of the noise.
    velocity : ndarray of shape (n_channels,)
    velocity_label : str
    unit : str, optional
    name : str, optional
        Of the method, for the titles.

    Attributes
    ----------
    axes_ : dict of str to ndarray of Axes
        "channels" of shape (3, n_maps): before, after, residual; "moments" of shape (2, 2): moment 0
        and 1 in the rows, before and after in the columns; "spectra" of shape (n_positions,).
    figure_ : matplotlib.figure.Figure
    channels_ : list of int
        Shown as maps.
    positions_ : list of (y, x)
        Shown as spectra.

    Examples
    --------
    >>> from skastro.datasets import make_line_cube
    >>> from skastro.denoising.baselines import GaussianSmoother
    >>> from skastro.displays import CubeDisplay
    >>> line = make_line_cube(n_pixels=24, n_channels=64, random_state=0)
    >>> display = CubeDisplay.from_estimator(
    ...     GaussianSmoother().fit(line.cube), line.cube, sigma=line.sigma, unit="K"
    ... )
    >>> display.axes_["channels"].shape
    (3, 4)
    """

    def __init__(
        self, *, cube, denoised, sigma, velocity, velocity_label="channel", unit=None, name=None
    ):
        self.cube = cube
        self.denoised = denoised
        self.sigma = sigma
        self.velocity = velocity
        self.velocity_label = velocity_label
        self.unit = unit
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, cube, *, sigma=None, velocity=None, channels=None, positions=None,
        unit=None, name=None,
    ):  # fmt: skip
        """Denoise a cube and draw it before and after.

        Parameters
        ----------
        estimator : fitted denoiser
        cube : path, HDU, SpectralCube, NDData, Quantity or array
            (n_y, n_x, n_channels) for arrays.
        sigma : float or array-like, optional
            Noise in the unit of the cube; estimated by default.
        velocity : array-like of shape (n_channels,) or Quantity, optional
            In km/s, if it has no unit; by default that of the cube.
        channels : sequence of int, optional
            Shown as maps; by default four that share the flux.
        positions : sequence of (y, x), optional
            Pixels shown as spectra; by default a bright, a fainter and a weak one.
        unit : str, optional
            For the axes; that of the cube by default.
        name : str, optional
            Of the method; the class of the estimator by default.

        Returns
        -------
        display : CubeDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(
            cube, estimator.transform(cube), sigma=sigma, velocity=velocity, channels=channels,
            positions=positions, unit=unit, name=name,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, cube, denoised, *, sigma=None, velocity=None, channels=None, positions=None, unit=None,
        name=None,
    ):  # fmt: skip
        """Draw a cube before and after.

        Parameters
        ----------
        cube, denoised : path, HDU, SpectralCube, NDData, Quantity or array
            Of the same shape, in the same unit.
        sigma, velocity, channels, positions, unit, name
            As in `from_estimator`.

        Returns
        -------
        display : CubeDisplay

        Raises
        ------
        ValueError
            Cubes of different shapes or units, or a channel or position outside.
        """
        seen, after = see_cube(cube, "cube", velocity), see_cube(denoised, "denoised", velocity)
        for what, one, other in (
            ("shape", after.values.shape, seen.values.shape), ("unit", after.unit, seen.unit),
        ):  # fmt: skip
            if one != other:
                raise ValueError(f"denoised has {what} {one!r}; expected {other!r}, as cube has.")
        if sigma is None:
            sigma = fill_sigma(estimate_sigma(seen.values))
        display = cls(
            cube=seen.values, denoised=after.values, sigma=check_sigma(sigma, seen.values.shape),
            velocity=seen.velocity, velocity_label=seen.velocity_label,
            unit=seen.unit if unit is None else unit, name=name,
        )  # fmt: skip
        return display.plot(channels=channels, positions=positions)

    def _choose(self, channels, positions):
        n_y, n_x, n_channels = self.cube.shape
        if channels is None:
            channels = _channels_of_flux(self.denoised, self.sigma)
        if positions is None:
            positions = _positions_of_peaks(self.denoised, self.sigma)
        self.channels_ = [int(channel) for channel in channels]
        self.positions_ = [(int(y), int(x)) for y, x in positions]
        for channel in self.channels_:
            if not 0 <= channel < n_channels:
                raise ValueError(f"channels has {channel}; expected numbers below {n_channels}.")
        for y, x in self.positions_:
            if not (0 <= y < n_y and 0 <= x < n_x):
                raise ValueError(f"positions has {(y, x)}; expected (y, x) below {(n_y, n_x)}.")
        if not self.channels_ or not self.positions_:
            raise ValueError("channels and positions are empty; expected at least one of each.")

    def plot(self, *, channels=None, positions=None):
        """Draw everything in a new figure.

        Parameters
        ----------
        channels, positions
            As in `from_estimator`.

        Returns
        -------
        self : CubeDisplay
        """
        pyplot = require_matplotlib()
        self._choose(channels, positions)
        n_maps, n_spectra = len(self.channels_), len(self.positions_)
        aspect = np.clip(self.cube.shape[0] / self.cube.shape[1], 0.4, 2.5)
        side = 1.9
        width = (n_maps + 4.4) * side
        heights = [3 * side * aspect + 0.9, 2.8]
        self.figure_ = pyplot.figure(figsize=(width, sum(heights)), layout="constrained")
        upper, lower = self.figure_.subfigures(2, 1, height_ratios=heights)
        left, right = upper.subfigures(1, 2, width_ratios=[n_maps + 0.6, 3.8])
        self.axes_ = {
            "channels": left.subplots(3, n_maps, squeeze=False, sharex=True, sharey=True),
            "moments": right.subplots(2, 2, squeeze=False, sharex=True, sharey=True),
            "spectra": lower.subplots(1, n_spectra, squeeze=False, sharex=True)[0],
        }
        self._draw_channels(left)
        self._draw_moments(right)
        self._draw_spectra(lower)
        return self

    @property
    def _after(self):
        return "after" if self.name is None else self.name

    def _in_unit(self, text="{}"):
        return "" if self.unit is None else f" [{text.format(self.unit)}]"

    def _draw_channels(self, figure):
        axes = self.axes_["channels"]
        shown = self.denoised[..., self.channels_]
        noise = np.nanmedian(self.sigma)
        high = max(np.nanpercentile(shown, 99.7) if np.isfinite(shown).any() else 0, 5 * noise)
        labels = ("before", self._after, "residual")
        for column, channel in enumerate(self.channels_):
            before, after = self.cube[..., channel], self.denoised[..., channel]
            residual = (before - after) / self.sigma[..., channel]
            for row, values in enumerate((before, after)):
                image = _show(axes[row, column], values, "viridis", -2 * noise, high)
            difference = _show(axes[2, column], residual, "RdBu_r", -5, 5)
            text = f"{self.velocity[channel]:.4g}"
            if self.velocity_label == "channel":
                text = f"channel {channel}"
            elif column == 0:
                text += " " + self.velocity_label.split("[")[1].rstrip("]")
            axes[0, column].set_title(text, fontsize="medium")
        for row, label in enumerate(labels):
            axes[row, 0].set_ylabel(label)
        bar = {"pad": 0.01, "aspect": 30}
        figure.colorbar(image, ax=axes[:2], label=f"intensity{self._in_unit()}", **bar)
        figure.colorbar(difference, ax=axes[2:], label="[sigma]", **(bar | {"aspect": 15}))

    def _draw_moments(self, figure):
        axes = self.axes_["moments"]
        step = np.median(np.abs(np.diff(self.velocity))) if len(self.velocity) > 1 else 1.0
        blank = np.isnan(self.cube).all(axis=-1)
        cubes = (self.cube, self.denoised)
        # a sum of numbers only where there are some
        moments0 = [np.where(blank, np.nan, np.nansum(cube, axis=-1) * step) for cube in cubes]
        moments1 = [_moment1(cube, self.sigma, self.velocity) for cube in cubes]
        low, high = np.nanpercentile(moments0[1], (1, 99.7))
        # the velocities of the bulk: a few noise peaks must not set the scale
        known = moments1[1][np.isfinite(moments1[1])]
        ends = np.percentile(known, (2, 98)) if known.size else self.velocity[[0, -1]]
        bars = []
        for column in range(2):
            _show(axes[0, column], moments0[column], "magma", low, high)
            _show(axes[1, column], moments1[column], "Spectral_r", *ends)
            bars = [ax.images[0] for ax in axes[:, column]]
        axes[0, 0].set_title("before", fontsize="medium")
        axes[0, 1].set_title(self._after, fontsize="medium")
        axes[0, 0].set_ylabel("moment 0")
        axes[1, 0].set_ylabel("moment 1")
        unit = self.velocity_label.split("[")[1].rstrip("]") if "[" in self.velocity_label else None
        units = [self._in_unit("{} " + unit) if unit else self._in_unit(), self.velocity_label]
        for row, label in enumerate(units):
            label = ("integrated" + label) if row == 0 else label
            figure.colorbar(bars[row], ax=axes[row], label=label, pad=0.01, aspect=20)

    def _draw_spectra(self, figure):
        for ax, (y, x) in zip(self.axes_["spectra"], self.positions_, strict=True):
            sigma = self.sigma[y, x]
            ax.fill_between(
                self.velocity, -sigma, sigma, step="mid", color="0.85", linewidth=0,
                label="±1 sigma",
            )  # fmt: skip
            ax.step(
                self.velocity, self.cube[y, x], where="mid", color="0.45", linewidth=0.7,
                label="before",
            )  # fmt: skip
            ax.step(
                self.velocity, self.denoised[y, x], where="mid", color=COLORS[1], linewidth=1.5,
                label=self._after,
            )  # fmt: skip
            ax.set_xlim(*np.sort(self.velocity[[0, -1]]))
            ax.set_xlabel(self.velocity_label)
            ax.set_title(f"y = {y}, x = {x}", fontsize="medium")
        self.axes_["spectra"][0].set_ylabel(f"intensity{self._in_unit()}")
        handles = self.axes_["spectra"][0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)


def _show(ax, values, cmap, low, high):
    """A map, y upwards, blanks grey."""
    ax.set_facecolor("0.8")
    ax.set(xticks=[], yticks=[])
    if not high > low:
        high = low + 1.0
    return ax.imshow(
        values, origin="lower", cmap=cmap, vmin=low, vmax=high, interpolation="nearest"
    )
