"""Scattering coefficients by scale."""

import re
from collections.abc import Mapping

import numpy as np

from skastro.displays.style import COLORS, DASHES, require_matplotlib

__all__ = ["StatisticsDisplay"]

NAME = re.compile(r"([^\[\].]+)(?:\[(.*)\])?(?:\.(\w+))?")
# Indices that tell the scale, and those that tell what is compared; the rest, such as orientations, is
# averaged over.
SCALES = re.compile(r"(j|k|sigma)\d*")
KINDS = re.compile(r"(c|p|x|y|pair|channel)\d*")
N_COLUMNS = 4


def read_name(name):
    """Family, scales and the rest of a coefficient's name.

    Parameters
    ----------
    name : str
        Such as "C01[j2=0,j3=2,l2=1,l3=3].re" or "P[k=0.05]".

    Returns
    -------
    kind : str
        Family, channels and part: "C01.re".
    scales : tuple of float
        Values of the indices j, k or sigma, numbered or not, in their order.

    Examples
    --------
    >>> from skastro.displays.statistics import read_name
    >>> read_name("C01[c=1,j2=0,j3=2,l2=1,l3=3].re")
    ('C01[c=1].re', (0.0, 2.0))
    """
    match = NAME.fullmatch(name)
    if match is None:
        return name, ()
    family, inside, part = match.groups()
    scales, kinds = [], []
    for item in (inside or "").split(","):
        key, _, value = item.partition("=")
        if SCALES.fullmatch(key):
            try:
                scales.append(float(value))
            except ValueError:
                kinds.append(item)
        elif KINDS.fullmatch(key):
            kinds.append(item)
    kind = family + (f"[{','.join(kinds)}]" if kinds else "") + (f".{part}" if part else "")
    return kind, tuple(scales)


class StatisticsDisplay:
    """Coefficients of one or more maps, a panel for each family, along the scales.

    A point is the mean over orientations (and all other indices but scales and channels), a band goes from
    the lowest to the highest. Pairs and triples of scales follow each other, the last scale fastest; ticks
    tell where the first changes. Families without scales share the last panel.

    Make it by `from_values` or `from_estimator`.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_coefficients,)
        The vectors by their labels.
    names : list of str of length n_coefficients

    Attributes
    ----------
    axes_ : dict of str to Axes
        By family, such as "S1" or "C01.re"; "" for those without scales.
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from skastro.displays import StatisticsDisplay
    >>> names = ["S1[j1=0,l1=0]", "S1[j1=0,l1=1]", "S1[j1=1,l1=0]", "S1[j1=1,l1=1]"]
    >>> display = StatisticsDisplay.from_values([0.1, 0.2, 0.3, 0.4], names)
    >>> display.axes_["S1"].lines[0].get_ydata().round(2).tolist()
    [0.15, 0.35]
    """

    def __init__(self, *, values, names):
        self.values = values
        self.names = names

    @classmethod
    def from_values(cls, values, names, *, labels=None, figure=None):
        """Draw vectors of coefficients.

        Parameters
        ----------
        values : array-like of shape (n_coefficients,) or (n, n_coefficients), or dict of str to such
            Several rows of a dict's entry are averaged.
        names : sequence of str of length n_coefficients
            As `get_feature_names_out` gives them.
        labels : sequence of str, optional
            Of the rows, for the legend; not with a dict.
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        display : StatisticsDisplay

        Raises
        ------
        ValueError
            Numbers of values, names and labels that differ.
        """
        names = [str(name) for name in names]
        if isinstance(values, Mapping):
            found = {str(key): np.atleast_2d(one).mean(axis=0) for key, one in values.items()}
        else:
            rows = np.atleast_2d(np.asarray(values))
            if labels is None:
                labels = [""] if len(rows) == 1 else [f"map {i}" for i in range(len(rows))]
            if len(labels) != len(rows):
                raise ValueError(f"labels has {len(labels)} entries; expected {len(rows)}.")
            found = dict(zip(map(str, labels), rows, strict=True))
        for key, one in found.items():
            if one.shape != (len(names),):
                raise ValueError(
                    f"values {key!r} have shape {one.shape}; expected ({len(names)},), one for each name."
                )
            if np.iscomplexobj(one):
                raise ValueError(f"values {key!r} are {one.dtype}; expected real numbers.")
        return cls(values=found, names=names).plot(figure)

    @classmethod
    def from_estimator(cls, estimator, maps, *, labels=None, figure=None):
        """Transform maps and draw their coefficients.

        Parameters
        ----------
        estimator : fitted transformer
            With `transform` and `get_feature_names_out`, such as `ScatteringTransform`.
        maps : array-like of shape (n, h, w) or (n, n_channels, h, w), or dict of str to such
            The maps of a dict's entry are averaged.
        labels, figure
            As in `from_values`.

        Returns
        -------
        display : StatisticsDisplay
        """
        if isinstance(maps, Mapping):
            values = {key: np.asarray(estimator.transform(one)) for key, one in maps.items()}
        else:
            values = np.asarray(estimator.transform(maps))
        names = estimator.get_feature_names_out()
        return cls.from_values(values, names, labels=labels, figure=figure)

    def plot(self, figure=None):
        """Draw a panel for each family.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        self : StatisticsDisplay
        """
        pyplot = require_matplotlib()
        families = {}
        for i, name in enumerate(self.names):
            kind, scales = read_name(name)
            families.setdefault(kind if scales else "", []).append((scales, i))
        # those without scales come last
        families = {key: families[key] for key in sorted(families, key=lambda key: key == "")}
        columns = min(N_COLUMNS, len(families))
        rows = -(-len(families) // columns)
        if figure is None:
            figure = pyplot.figure(figsize=(3.6 * columns + 0.4, 2.7 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        self.figure_, self.axes_ = figure, dict(zip(families, axes, strict=False))
        for ax in axes[len(families) :]:
            ax.set_axis_off()
        for kind, members in families.items():
            self._draw(self.axes_[kind], kind, members)
        if list(self.values) != [""]:
            axes[0].legend(frameon=False, fontsize="small")
        return self

    def _draw(self, ax, kind, members):
        if kind:
            places = sorted({scales for scales, _ in members})
            groups = [[i for scales, i in members if scales == place] for place in places]
        else:
            places = [(self.names[i],) for _, i in members]
            groups = [[i] for _, i in members]
        # wave numbers have an axis of their own
        continuous = kind and len(places[0]) == 1 and any(place[0] % 1 for place in places)
        x = np.array([place[0] for place in places]) if continuous else np.arange(len(places))
        several = len(self.values) - 1
        for n, (label, values) in enumerate(self.values.items()):
            style = {"color": COLORS[n % len(COLORS)], "linestyle": DASHES[n % len(DASHES)]}
            mean = np.array([values[group].mean() for group in groups])
            low = np.array([values[group].min() for group in groups])
            high = np.array([values[group].max() for group in groups])
            if max(map(len, groups)) > 1:
                ax.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
            if len(places) <= 40:
                style |= {"marker": "o", "markersize": 5 - 2 * n / max(1, several)}
            if not kind:
                style["linestyle"] = "none"
            ax.plot(x, mean, linewidth=1.2, label=label, **style)
        shown = np.concatenate([values[[i for _, i in members]] for values in self.values.values()])
        if (shown > 0).all() and shown.max() > 30 * shown.min():
            ax.set_yscale("log")
        elif (shown < 0).any() and (shown > 0).any():
            ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        self._label(ax, kind, places, continuous)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize="small")

    @staticmethod
    def _label(ax, kind, places, continuous):
        ax.set_title(kind, fontsize="medium")
        if continuous:
            ax.set(xscale="log", xlabel="k")
        elif not kind:
            ax.set_xticks(
                range(len(places)), [place[0] for place in places], rotation=60, ha="right"
            )
        elif len(places[0]) == 1:
            ax.set_xticks(range(len(places)), [f"{place[0]:g}" for place in places])
            ax.set_xlabel("scale")
        else:
            # where the first scale changes
            firsts = [place[0] for place in places]
            starts = [i for i, v in enumerate(firsts) if i == 0 or v != firsts[i - 1]]
            ax.set_xticks(starts, [f"{firsts[i]:g}" for i in starts])
            ax.set_xlabel("first scale")
            for i in starts[1:]:
                ax.axvline(i - 0.5, color="0.9", linewidth=0.8, zorder=0)
