"""Synthetic maps beside the map that they imitate."""

import numpy as np

from skastro.displays.style import COLORS, require_matplotlib
from skastro.field_metrics import (
    histogram_distance,
    minkowski_functionals,
    peak_correlation,
    power_spectrum,
)
from skastro.maps import check_maps

__all__ = ["SynthesisDisplay"]

N_SHOWN = 3  # synthetic maps
N_LEVELS = 41  # thresholds of the Minkowski functionals
N_BINS = 60  # of the histogram
STYLES = {"target": ("black", "-", 3), "synthesized": (COLORS[1], "--", 4)}


class SynthesisDisplay:
    """A map, synthetic ones, and their spectra, histograms and Minkowski functionals.

    Lines are means over the maps of a set, bands go from the lowest to the highest. Make it by `from_maps`.

    Parameters
    ----------
    target, synthesized : ndarray of shape (n, h, w)
    measures : dict of str to tuple (x, target, synthesized)
        Abscissa of shape (n_x,) and curves of shape (n, n_x), for "spectrum", "histogram", "area",
        "perimeter", "euler" and, where there are any, "coefficients" (x is None).
    summary : dict of str to float
        What separates the means of the two sets: "spectrum", the largest relative difference; "histogram",
        the Wasserstein-1 distance in standard deviations of the target; "area", "perimeter" and "euler", the
        largest difference over the largest modulus; "copy", the largest whitened correlation of a synthetic
        map with a target over all shifts, and "copy_noise", what is expected of independent maps.
    unit : str or None
        Of the maps.
    pixel_unit : str or None
        Of the pixel size.

    Attributes
    ----------
    axes_ : dict of str to Axes
        "target", "synthesized 1", ..., and those of `measures`.
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from skastro.datasets import make_fields
    >>> from skastro.displays import SynthesisDisplay
    >>> maps = make_fields(3, n_pixels=64, random_state=0).maps
    >>> display = SynthesisDisplay.from_maps(maps[0], maps[1:])
    >>> display.summary["histogram"] < 0.5
    True
    """

    def __init__(self, *, target, synthesized, measures, summary, unit=None, pixel_unit=None):
        self.target = target
        self.synthesized = synthesized
        self.measures = measures
        self.summary = summary
        self.unit = unit
        self.pixel_unit = pixel_unit

    @classmethod
    def from_maps(
        cls, target, synthesized, *, periodic=True, pixel_size=1.0, pixel_unit=None, unit=None,
        statistics=None, log="auto", figure=None,
    ):  # fmt: skip
        """Measure the maps and draw them.

        Parameters
        ----------
        target, synthesized : array-like of shape (h, w) or (n, h, w)
            Of the same size; of several channels, one at a time.
        periodic : bool, default=True
            If not, spectra are taken with a window, and the border of a map is no contour.
        pixel_size : float, default=1.0
        pixel_unit : str, optional
            Unit of the pixel size, for the axes; pixels by default.
        unit : str, optional
            Unit of the maps, for the axes; that of a Quantity by default.
        statistics : fitted transformer, optional
            With `transform`, such as `ScatteringTransform`: a panel compares its coefficients.
        log : bool or "auto", default="auto"
            Show the maps in logarithmic colours; "auto": if the target is positive and skewed.
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        display : SynthesisDisplay

        Raises
        ------
        ValueError
            Maps that are not finite or of different sizes, or a constant target.
        """
        given = getattr(target, "unit", None)
        unit = str(given) if unit is None and given is not None else unit
        target, own = check_maps(target, "target", ndims=(2, 3))
        synthesized, _ = check_maps(
            synthesized, "synthesized", ndims=(2, 3), shape=target.shape[-2:], unit=own
        )
        sets = [one.reshape(-1, *one.shape[-2:]) for one in (target, synthesized)]
        distance = float(np.mean(histogram_distance(sets[1], sets[0])))
        measures = _measure(sets, periodic, pixel_size)
        if statistics is not None:
            measures["coefficients"] = (None, *(np.asarray(statistics.transform(x)) for x in sets))
        summary = {"spectrum": _worst(*measures["spectrum"][1:], relative=True)}
        summary["histogram"] = distance
        for key in ("area", "perimeter", "euler"):
            summary[key] = _worst(*measures[key][1:])
        peaks = [peak_correlation(sets[1], one) for one in sets[0]]
        cells = sets[0][0].size
        summary["copy"] = float(np.max(peaks))
        summary["copy_noise"] = float(np.sqrt(2 * np.log(cells * np.size(peaks)) / cells))
        display = cls(
            target=sets[0], synthesized=sets[1], measures=measures, summary=summary, unit=unit,
            pixel_unit=pixel_unit,
        )  # fmt: skip
        return display.plot(figure, log=log)

    def plot(self, figure=None, *, log="auto"):
        """Draw the maps above, the curves below.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            A new one by default.
        log : bool or "auto", default="auto"
            As in `from_maps`.

        Returns
        -------
        self : SynthesisDisplay
        """
        pyplot = require_matplotlib()
        if figure is None:
            figure = pyplot.figure(
                figsize=(13, 6.6 if len(self.measures) < 6 else 7.0), layout="constrained"
            )
        self.figure_, self.axes_ = figure, {}
        above, below = figure.subfigures(2, 1, height_ratios=[3.3, 2.5])
        self._draw_maps(above, log)
        panels = below.subplots(1, len(self.measures))
        for ax, key in zip(panels, self.measures, strict=True):
            self.axes_[key] = ax
            self._draw_coefficients(ax) if key == "coefficients" else self._draw_curves(ax, key)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize="small")
        panels[0].legend(frameon=False, fontsize="small", loc="lower left", handlelength=1.6)
        return self

    def _draw_maps(self, figure, log):
        from matplotlib.colors import LogNorm, Normalize

        shown = {"target": self.target[0]}
        count = min(N_SHOWN, len(self.synthesized))
        for i, one in enumerate(self.synthesized[:count]):
            shown["synthesized" if count == 1 else f"synthesized {i + 1}"] = one
        first = self.target[0]
        if log == "auto":
            skewed = np.mean(((first - first.mean()) / first.std()) ** 3) > 1.0
            log = bool(first.min() > 0 and skewed)
        low, high = (float(v) for v in np.percentile(first, [0.5, 99.5]))
        norm = (LogNorm if log and low > 0 else Normalize)(low, high)
        axes = figure.subplots(1, len(shown), squeeze=False)[0]
        for ax, (name, values) in zip(axes, shown.items(), strict=True):
            if log:
                # what a logarithm cannot show is at the lower end
                values = np.maximum(values, low)
            picture = ax.imshow(
                values, origin="lower", cmap="inferno", norm=norm, interpolation="nearest"
            )
            ax.set(xticks=[], yticks=[])
            ax.set_title(name, fontsize="medium")
            self.axes_[name] = ax
        label = "" if self.unit is None else f"[{self.unit}]"
        figure.colorbar(picture, ax=list(axes), label=label, pad=0.01, aspect=22)

    def _draw_curves(self, ax, key):
        from matplotlib.ticker import NullFormatter

        x, *curves = self.measures[key]
        for (name, (color, dash, order)), values in zip(STYLES.items(), curves, strict=True):
            # an empty bin is a gap
            values = (
                np.where(values > 0, values, np.nan) if key in ("spectrum", "histogram") else values
            )
            if len(values) > 1:
                ax.fill_between(
                    x, _over_maps(np.nanmin, values), _over_maps(np.nanmax, values), color=color,
                    alpha=0.2, linewidth=0, zorder=order - 2,
                )  # fmt: skip
            mean = _over_maps(np.nanmean, values)
            ax.plot(x, mean, dash, color=color, linewidth=1.4, label=name, zorder=order)
        unit = "" if self.unit is None else f" [{self.unit}]"
        length = "pixel" if self.pixel_unit is None else self.pixel_unit
        found = self.summary[key]
        if key == "spectrum":
            ax.set(xscale="log", yscale="log", xlabel=f"k [cycles / {length}]")
            # labels between the powers of ten would run into each other
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_minor_formatter(NullFormatter())
            ends = x[0], x[-1]
            if not any(ends[0] <= 10.0**p <= ends[1] for p in range(-9, 9)):
                ax.set_xticks(ends, [f"{one:.2g}" for one in ends])
            title = f"power spectrum\nwithin {100 * found:.2g} %"
        elif key == "histogram":
            ax.set(yscale="log", xlabel=f"value{unit}")
            title = f"histogram\n{found:.2g} σ apart"
        else:
            names = {"area": "area", "perimeter": "perimeter", "euler": "Euler characteristic"}
            ax.set(xlabel=f"threshold{unit}")
            title = f"{names[key]}\nwithin {100 * found:.2g} %"
            if key == "euler":
                ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        ax.set_title(title, fontsize="medium")

    def _draw_coefficients(self, ax):
        _, target, synthesized = self.measures["coefficients"]
        target, synthesized = target.mean(axis=0), synthesized.mean(axis=0)
        ends = np.concatenate([target, synthesized])
        low, high = ends.min(), ends.max()
        ax.plot([low, high], [low, high], color="0.6", linewidth=0.8, zorder=1)
        ax.plot(
            target, synthesized, "o", color=COLORS[1], markersize=3, alpha=0.5, markeredgewidth=0
        )
        # both signs over decades: linear within the smallest tenth of the moduli
        moduli = np.abs(ends[ends != 0])
        if moduli.size and moduli.max() > 100 * np.median(moduli):
            scale = {"value": "symlog", "linthresh": float(np.quantile(moduli, 0.1))}
            ax.set_xscale(**scale)
            ax.set_yscale(**scale)
            ax.locator_params(axis="both", numticks=4)
        ax.set(xlabel="target", ylabel="synthesized")
        ax.set_title(f"{len(target)}\ncoefficients", fontsize="medium")


def _over_maps(reduce, values):
    """Over the first axis, NaN without a warning where all are."""
    known = np.isfinite(values).any(axis=0)
    out = np.full(values.shape[1], np.nan)
    out[known] = reduce(values[:, known], axis=0)
    return out


def _worst(target, synthesized, relative=False):
    """Largest difference of the means, over the mean or over its largest modulus."""
    target, synthesized = target.mean(axis=0), synthesized.mean(axis=0)
    scale = np.abs(target) if relative else np.abs(target).max()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nanmax(np.abs(synthesized - target) / scale))


def _measure(sets, periodic, pixel_size):
    """Spectra, histograms and Minkowski functionals of the two sets."""
    window = None if periodic else "hann"
    spectra = [power_spectrum(x, pixel_size=pixel_size, spacing="log", window=window) for x in sets]
    low, high = sets[0].min(), sets[0].max()
    # a little more than the range of the target, to see what goes beyond
    margin = 0.1 * (high - low)
    edges = np.linspace(low - margin, high + margin, N_BINS + 1)
    histograms = []
    for maps in sets:
        flat = np.clip(maps.reshape(len(maps), -1), edges[0], edges[-1])
        counts = [np.histogram(one, edges)[0] for one in flat]
        histograms.append(np.array(counts) / (flat.shape[1] * np.diff(edges)))
    levels = np.linspace(*np.percentile(sets[0], [0.5, 99.5]), N_LEVELS)
    functionals = [
        minkowski_functionals(x, levels, periodic=periodic, pixel_size=pixel_size) for x in sets
    ]
    measures = {
        "spectrum": (spectra[0][0], spectra[0][1], spectra[1][1]),
        "histogram": (0.5 * (edges[:-1] + edges[1:]), *histograms),
    }
    for i, key in enumerate(("area", "perimeter", "euler")):
        measures[key] = (levels, functionals[0][i], functionals[1][i])
    return measures
