"""A mixture beside the parts it was taken into, and the truth where it is known."""

import numpy as np

from skastro.displays.style import COLORS, require_matplotlib
from skastro.field_metrics import histogram_distance, power_spectrum
from skastro.maps import check_maps
from skastro.separation_metrics import power_error, relative_rmse, scale_correlation

__all__ = ["SeparationDisplay"]

N_BINS = 60  # of the histogram
# colour, dash, order: what is compared lies above
STYLES = {
    "truth": ("black", "-", 4),
    "signal": (COLORS[1], "--", 5),
    "mixture": (COLORS[6], "-", 2),
    "contamination": (COLORS[0], "--", 4),
    "samples": (COLORS[5], "-", 3),
}


class SeparationDisplay:
    """A mixture, the parts it was taken into, the truth and the error; spectra, histograms, correlation.

    Maps are the first of each set, in the same colours. Lines are means over the maps of a set, bands go from
    the lowest to the highest. Make it by `from_maps`.

    Parameters
    ----------
    maps : dict of str to ndarray of shape (n, h, w)
        "mixture", "signal" and "contamination", what was taken off; with a truth also "truth" and "residual",
        signal less truth.
    measures : dict of str to tuple (x, curves)
        Abscissa of shape (n_x,) and a dict of name to curves of shape (n, n_x), for "spectrum", "histogram"
        and, with a truth, "correlation": that with the truth in octaves of wave number.
    summary : dict of str to float
        With a truth, means over maps: "spectrum", the largest relative error of the power in an octave;
        "correlation", its mean over octaves; "histogram", the Wasserstein-1 distance, and "rmse", both in
        standard deviations of the truth. With samples: "contamination", the largest relative difference of
        the mean power of what was taken off from theirs, in an octave.
    unit : str or None
        Of the maps.
    pixel_unit : str or None
        Of the pixel size.
    quantity : str, default="value"
        What the maps are of.

    Attributes
    ----------
    axes_ : dict of str to Axes
        Those of `maps` and of `measures`.
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.displays import SeparationDisplay
    >>> from skastro.separation.baselines import WienerFilter
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> found = WienerFilter().fit(mix.samples).transform(mix.mixture)
    >>> display = SeparationDisplay.from_maps(mix.mixture, found, mix.signal, mix.samples)
    >>> sorted(display.summary)
    ['contamination', 'correlation', 'histogram', 'rmse', 'spectrum']
    """

    def __init__(self, *, maps, measures, summary, unit=None, pixel_unit=None, quantity="value"):
        self.maps = maps
        self.measures = measures
        self.summary = summary
        self.unit = unit
        self.pixel_unit = pixel_unit
        self.quantity = quantity

    @classmethod
    def from_maps(
        cls, mixture, signal, truth=None, contamination=None, *, periodic=True, pixel_size=1.0,
        pixel_unit=None, unit=None, quantity="value", figure=None,
    ):  # fmt: skip
        """Measure the maps and draw them.

        Parameters
        ----------
        mixture, signal : array-like of shape (h, w) or (n, h, w)
            What was separated, and the signal found in it; of several channels, one at a time.
        truth : array-like of the shape of `signal`, or a single map (h, w), optional
            The true signal.
        contamination : array-like of shape (m, h, w) or (h, w), optional
            Samples of the contamination, or the true one: beside what was taken off.
        periodic : bool, default=True
            If not, spectra and correlations are taken with a window.
        pixel_size : float, default=1.0
        pixel_unit : str, optional
            Unit of the pixel size, for the axes; pixels by default.
        unit : str, optional
            Unit of the maps, for the axes; that of a Quantity by default.
        quantity : str, default="value"
            What the maps are of, for the axes: "brightness temperature", "Stokes Q".
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        display : SeparationDisplay

        Raises
        ------
        ValueError
            Maps that are not finite, of different sizes or numbers, or a constant truth.
        """
        given = getattr(mixture, "unit", None)
        unit = str(given) if unit is None and given is not None else unit
        mixture, own = check_maps(mixture, "mixture", ndims=(2, 3))
        size = mixture.shape[-2:]

        def checked(values, name):
            found, _ = check_maps(values, name, ndims=(2, 3), shape=size, unit=own)
            return found.reshape(-1, *size)

        mixture = mixture.reshape(-1, *size)
        maps = {"mixture": mixture, "signal": checked(signal, "signal")}
        if len(maps["signal"]) != len(mixture):
            raise ValueError(
                f"signal has {len(maps['signal'])} maps; expected {len(mixture)}, one a mixture."
            )
        maps["contamination"] = mixture - maps["signal"]
        if truth is not None:
            true = checked(truth, "truth")
            if len(true) not in (1, len(mixture)):
                raise ValueError(
                    f"truth has {len(true)} maps; expected {len(mixture)}, one a mixture, or one of all."
                )
            maps["truth"] = np.broadcast_to(true, mixture.shape)
            maps["residual"] = maps["signal"] - maps["truth"]
        samples = None if contamination is None else checked(contamination, "contamination")
        window = None if periodic else "hann"
        summary = _summarise(maps, samples, window)
        display = cls(
            maps=maps, measures=_measure(maps, samples, window, pixel_size), summary=summary,
            unit=unit, pixel_unit=pixel_unit, quantity=quantity,
        )  # fmt: skip
        return display.plot(figure)

    def plot(self, figure=None):
        """Draw the maps above, the curves below.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        self : SeparationDisplay
        """
        pyplot = require_matplotlib()
        if figure is None:
            figure = pyplot.figure(figsize=(2.7 * len(self.maps) + 0.8, 6.2), layout="constrained")
        self.figure_, self.axes_ = figure, {}
        above, below = figure.subfigures(2, 1, height_ratios=[3.0, 3.2])
        shown = {name: values[0] for name, values in self.maps.items()}
        # both parts: the signal may be positive where the contamination has both signs
        parts = [shown["truth" if "truth" in shown else "signal"], shown["contamination"]]
        label = self.quantity if self.unit is None else f"{self.quantity} [{self.unit}]"
        self.axes_ |= draw_maps(above, shown, np.stack(parts), label)
        panels = below.subplots(1, len(self.measures))
        length = "pixel" if self.pixel_unit is None else self.pixel_unit
        for ax, (key, (x, curves)) in zip(panels, self.measures.items(), strict=True):
            self.axes_[key] = ax
            for name, values in curves.items():
                draw_curve(ax, x, values, name, STYLES[name], positive=key != "correlation")
            dress(ax, key, label, length)
            ax.set_title(self._title(key), fontsize="medium")
        # the curves cross the whole panels
        below.legend(
            *panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False,
            fontsize="small", handlelength=2.2,
        )  # fmt: skip
        return self

    def _title(self, key):
        found = self.summary
        if "rmse" not in found:
            return {"spectrum": "power spectrum", "histogram": "histogram"}[key]
        return {
            "spectrum": f"power spectrum\noctaves within {100 * found['spectrum']:.2g} %",
            "histogram": f"histogram\n{found['histogram']:.2g} σ apart",
            "correlation": f"correlation with the truth\n{found['correlation']:.2f} in the mean",
        }[key]


def draw_maps(figure, shown, reference, label="value"):
    """Maps in a row, in one colour scale.

    Parameters
    ----------
    figure : Figure or SubFigure
    shown : dict of str to ndarray of shape (h, w)
        By their titles.
    reference : ndarray
        The colours span 99 % of its values.
    label : str, default="value"
        Of the colours.

    Returns
    -------
    axes : dict of str to Axes
    """
    low, high = (float(v) for v in np.percentile(reference, [0.5, 99.5]))
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for ax, (name, values) in zip(axes, shown.items(), strict=True):
        picture = ax.imshow(
            values, origin="lower", cmap="inferno", vmin=low, vmax=high, interpolation="nearest"
        )
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize="medium")
    figure.colorbar(picture, ax=list(axes), label=label, pad=0.01, aspect=22, extend="both")
    return dict(zip(shown, axes, strict=True))


def draw_curve(ax, x, values, name, style, positive=False):
    """The mean of curves (n, n_x), and the band that they fill; of positive ones a zero is a gap."""
    color, dash, order = style
    curves = [values.mean(axis=0), values.min(axis=0), values.max(axis=0)]
    if positive:
        curves = [np.where(one > 0, one, np.nan) for one in curves]
    mean, low, high = curves
    if len(values) > 1:
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0, zorder=order - 2)
    ax.plot(x, mean, linestyle=dash, color=color, linewidth=1.5, label=name, zorder=order)


def dress(ax, key, label="value", length="pixel"):
    """Scales and labels of a panel: "spectrum", "error", "histogram" or "correlation"."""
    from matplotlib.ticker import NullFormatter

    if key == "histogram":
        ax.set(yscale="log", xlabel=label)
    else:
        ax.set(xscale="log", xlabel=f"k [cycles / {length}]")
        # labels between the powers of ten would run into each other
        ax.xaxis.set_minor_formatter(NullFormatter())
    if key == "spectrum":
        ax.set(yscale="log")
    if key == "correlation":
        ax.set(ylim=(min(0.0, ax.get_ylim()[0]), 1.03))
        ax.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize="small")


def histograms(sets, edges):
    """Densities of the pixels of each map, those beyond the edges in the last bins."""
    found = {}
    for name, maps in sets.items():
        flat = np.clip(maps.reshape(len(maps), -1), edges[0], edges[-1])
        counts = np.array([np.histogram(one, edges)[0] for one in flat])
        found[name] = counts / (flat.shape[1] * np.diff(edges))
    return found


def _measure(maps, samples, window, pixel_size):
    """Spectra, histograms and, with a truth, correlations."""
    sets = {name: maps[name] for name in STYLES if name in maps}
    if "truth" in sets:
        # the same map beside all mixtures is one line
        same = (sets["truth"] == sets["truth"][:1]).all()
        sets["truth"] = sets["truth"][:1] if same else sets["truth"]
    if samples is not None:
        sets["samples"] = samples
    spectra = {
        name: power_spectrum(one, spacing="log", pixel_size=pixel_size, window=window)
        for name, one in sets.items()
    }
    k = spectra["mixture"][0]
    powers = {name: one for name, (_, one) in spectra.items()}
    low, high = float(maps["mixture"].min()), float(maps["mixture"].max())
    edges = np.linspace(low, high, N_BINS + 1)
    densities = histograms(sets, edges)
    measures = {
        "spectrum": (k, powers),
        "histogram": (0.5 * (edges[:-1] + edges[1:]), densities),
    }
    if "truth" in maps:
        curves = {}
        for name in ("signal", "mixture"):
            octaves, curves[name] = scale_correlation(maps[name], maps["truth"], window=window)
        octaves = octaves / (max(maps["truth"].shape[-2:]) * pixel_size)
        measures["correlation"] = (octaves, curves)
    return measures


def _summarise(maps, samples, window):
    summary = {}
    if "truth" in maps:
        signal, truth = maps["signal"], maps["truth"]
        summary["spectrum"] = np.abs(power_error(signal, truth, window=window)[1]).max(axis=1)
        summary["correlation"] = scale_correlation(signal, truth, window=window)[1]
        summary["histogram"] = [
            histogram_distance(one, true) for one, true in zip(signal, truth, strict=True)
        ]
        summary["rmse"] = relative_rmse(signal, truth)
    if samples is not None:
        # powers in units of that of the first sample, which drops out
        own, theirs = (
            1 + power_error(one, samples[0], window=window)[1]
            for one in (maps["contamination"], samples)
        )
        summary["contamination"] = np.abs(own.mean(axis=0) / theirs.mean(axis=0) - 1).max()
    return {key: float(np.mean(value)) for key, value in summary.items()}
