"""What all pictures share: matplotlib when it is there, colours that everybody can tell apart."""

import numpy as np

__all__ = [
    "COLORS",
    "DASHES",
    "END",
    "draw_legend",
    "draw_perfect",
    "new_axes",
    "require_matplotlib",
    "stretch",
]

# Okabe & Ito (2008), the set of eight that the colour-blind distinguish, without its yellow
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777")
# percentile where the colours of an image end
END = 99.5
MAD_TO_SIGMA = 1.4826
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))


def require_matplotlib():
    """Import matplotlib, an extra.

    Returns
    -------
    pyplot : module

    Raises
    ------
    ImportError
        It is not installed; the message says how to.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib, which is not installed: pip install 'skastro[plot]'"
        ) from error
    return pyplot


def new_axes(ax=None):
    """Axes to draw on: `ax`, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None

    Returns
    -------
    ax : matplotlib.axes.Axes
    """
    pyplot = require_matplotlib()
    return pyplot.subplots(layout="constrained")[1] if ax is None else ax


def draw_perfect(ax, level=None):
    """The line of perfect predictions, once an axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    level : float or None
        Height of a level line; None: the diagonal.
    """
    if any(line.get_gid() == "perfect" for line in ax.lines):
        return
    style = {"color": "0.3", "linewidth": 0.8, "zorder": 1, "gid": "perfect"}
    # above 0, for logarithmic axes
    ax.axline((1, 1), (10, 10), **style) if level is None else ax.axhline(level, **style)


def draw_legend(axes, handles, ncols=1, title=None, loc="best"):
    """A legend below the axes, where no curve can be, or inside one.

    Below it is if the axes are alone in a figure with a layout that makes room for it.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        Those that it is for; inside, it is in the first.
    handles : list of Artist
    ncols : int, default=1
        Of the legend below.
    title : str, optional
    loc : str, default="best"
        Of the legend inside.
    """
    figure, style = axes[0].figure, {"handles": handles, "fontsize": "small"}
    style |= {"title": title, "title_fontsize": "small"}
    others = [ax for ax in figure.axes if ax.axison and not any(ax is one for one in axes)]
    if figure.get_layout_engine() is None or others:
        axes[0].legend(**style, loc=loc, facecolor="white", framealpha=0.8, edgecolor="none")
        return
    for old in list(figure.legends):
        if old.get_gid() == "legend":
            old.remove()
    legend = figure.legend(**style, loc="outside lower center", ncols=ncols, frameon=False)
    legend.set_gid("legend")


def stretch(images):
    """Grey levels of images: linear in the noise, logarithmic above.

    Parameters
    ----------
    images : ndarray
        NaN where blank.

    Returns
    -------
    norm : matplotlib.colors.Normalize
    """
    from matplotlib.colors import FuncNorm, Normalize

    known = images[np.isfinite(images)]
    if known.size == 0:
        return Normalize(0.0, 1.0)
    low, middle, high = np.percentile(known, [0.5, 50.0, END])
    width = MAD_TO_SIGMA * np.median(np.abs(known - middle))
    if not high > low:
        return Normalize(low - 0.5, low + 0.5)
    if not width > 0 or high - low < 20 * width:
        return Normalize(low, high)
    scale = 3 * width
    functions = (
        lambda v: np.arcsinh((v - middle) / scale),
        lambda v: middle + scale * np.sinh(v),
    )
    return FuncNorm(functions, vmin=low, vmax=high)
