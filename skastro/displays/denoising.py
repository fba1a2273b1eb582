"""The picture of a comparison of denoisers."""

from collections.abc import Mapping

import numpy as np

from skastro.displays.style import COLORS, require_matplotlib

__all__ = ["plot_comparison"]

OURS = "CubeDenoiser"
WEAK, STRONG = 1.0, 5.0  # S/N between which a line is hard to see, and there


def _channel(split):
    """The channel with most voxels of a weak line."""
    snr = np.nan_to_num(split.Y_test / split.sigma)
    return int(((snr > WEAK) & (snr < STRONG)).sum(axis=(0, 1)).argmax())


def plot_comparison(comparison):
    """Gain and residual noise of every method, and a channel map before, after and in truth.

    Parameters
    ----------
    comparison : Comparison
        Of `skastro.compare.compare`, for the task "denoising".

    Returns
    -------
    figure : matplotlib.figure.Figure
        One row a cube. Bars: gain over the voxels with signal; triangles: over its weak and its
        strong part. The maps are of the channel with most voxels of a true S/N of 1 to 5.
    """
    pyplot = require_matplotlib()
    several = isinstance(comparison.split, Mapping)
    splits = comparison.split if several else {None: comparison.split}
    found = comparison.predictions if several else {None: comparison.predictions}
    splits = {case: split for case, split in splits.items() if case in found}
    case = comparison.task.case
    n = len(splits)
    figure = pyplot.figure(figsize=(16, 0.5 + 2.75 * n), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[5.9, 10.1])
    bars = left.subplots(n, 2, squeeze=False, sharex="col", width_ratios=[3, 1.3])
    maps = right.subplots(n, 4, squeeze=False)
    for i, (name, split) in enumerate(splits.items()):
        rows = [row for row in comparison.rows if row.get(case) == name and not row["error"]]
        rows.sort(key=lambda row: row["gain"])
        _draw_bars(bars[i], rows, split)
        _draw_maps(maps[i], rows, split, found[name])
    for ax, label in zip(bars[-1], ("gain [dB]", "line-free noise left"), strict=True):
        ax.set_xlabel(label)
    bars[0, 0].legend(frameon=False, fontsize="small", loc="lower right", handletextpad=0.2)
    return figure


def _draw_bars(axes, rows, split):
    """Gains and what is left in line-free voxels, the best method on top."""
    place = np.arange(len(rows))
    names = [row["method"] for row in rows]
    colors = ["black" if name.startswith(OURS) else COLORS[5] for name in names]
    gain, free = axes
    gain.barh(place, [row["gain"] for row in rows], color=colors, height=0.62, zorder=2)
    for key, marker, color, label in (
        ("gain_low", "<", COLORS[4], "weak line, S/N 0.5 to 3"),
        ("gain_high", ">", COLORS[1], "strong line, S/N above 3"),
    ):
        gain.plot(
            [row[key] for row in rows], place, marker, color=color, markersize=6, label=label,
            markeredgecolor="white", markeredgewidth=0.6, zorder=3,
        )  # fmt: skip
    gain.set_yticks(place, names)
    gain.set_title(split.title, fontsize="medium", loc="left")
    free.barh(place, [row["free"] for row in rows], color=colors, height=0.62, zorder=2)
    free.set_yticks(place, [])
    free.set_xlim(0, 1)
    for ax in axes:
        ax.axvline(0.0, color="0.3", linewidth=0.8, zorder=1)
        ax.grid(axis="x", color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "right", "left"]].set_visible(False)


def _draw_maps(axes, rows, split, found):
    """One channel: noisy, by the best other method, by ours, and true."""
    names = [row["method"] for row in rows[::-1]]
    ours = next((name for name in names if name.startswith(OURS)), names[0])
    others = [name for name in names if name != ours] or [ours]
    channel = _channel(split)
    shown = {"noisy": split.X_test} | {name: found[name] for name in (others[0], ours)}
    shown["truth" if split.flux_mask is None else "before noise was added"] = split.Y_test
    truth = split.Y_test[..., channel]
    noise = float(np.nanmedian(split.sigma[..., channel]))
    high = max(float(np.nanpercentile(truth, 99.5)), 4 * noise)
    for ax, (name, cube) in zip(axes, shown.items(), strict=False):
        image = ax.imshow(
            cube[..., channel], origin="lower", cmap="inferno", vmin=-1.5 * noise, vmax=high,
            interpolation="nearest",
        )  # fmt: skip
        ax.set(xticks=[], yticks=[])
        ax.set_facecolor("0.8")
        ax.set_title(name, fontsize="medium")
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    if split.velocity is not None:
        axes[0].set_ylabel(f"{split.velocity[channel]:.4g} km/s")
    unit = "" if split.unit is None else f"[{str(split.unit).replace(' / ', '/')}]"
    axes[0].figure.colorbar(image, ax=list(axes), label=unit, pad=0.01, aspect=18, shrink=0.9)
