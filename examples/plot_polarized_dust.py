"""
Polarized dust and noise, with error bars
=========================================

Stokes Q and U of dust are taken apart from noise as strong, together, as two channels. Draws of the dust that
might be give an error bar of every pixel, and of whatever is computed from them.
"""

# %%
# A mixture
# ---------
# A simulation of dust, its opposite sides touching, and white noise. The unit σ is the standard deviation of
# the dust, Q and U together. The samples are other noise; the truth is kept for the end.

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t

from skastro.datasets import load_dust_map
from skastro.field_metrics import power_spectrum
from skastro.separation import StatisticalSeparator
from skastro.separation_metrics import relative_rmse

n, n_draws = 128, 8
truth = load_dust_map("QU", periodic=True).map.reshape(2, n, 2, n, 2).mean(axis=(2, 4))
truth /= np.sqrt(truth.var(axis=(1, 2)).sum())
noise = np.random.default_rng(0).normal(scale=0.5**0.5, size=(21, 2, n, n)).astype(np.float32)
mixture, samples = truth + noise[0], noise[1:]
print(mixture.shape, samples.shape)

# %%
# Taken apart
# -----------
# ``transform`` finds the dust that agrees best with the mixture, ``sample_posterior`` draws dust that might
# be. A draw begins with likely powers, and needs fewer iterations. Both are short, for this page to be fast.

separator = StatisticalSeparator(
    periodic=True, n_samples=8, n_eras=1, max_iter=16, random_state=0, device="cpu"
).fit(samples)
start = time.perf_counter()
found = separator.transform(mixture[None])[0]
draws = separator.set_params(max_iter=5).sample_posterior(mixture, n_draws)
print(f"the dust and {n_draws} draws in {time.perf_counter() - start:.0f} s")

# %%
# Stokes Q and U
# --------------
# The standard deviation of the draws is the error bar, of so few draws itself not smooth.


def show(axes, maps, error, label, error_label, limits=None, cmap="inferno"):
    """A row: the mixture, what was found, the truth and the error bar."""
    low, high = np.percentile(maps[2], [0.5, 99.5]) if limits is None else limits
    for axis, values in zip(axes, maps, strict=False):
        image = axis.imshow(values, origin="lower", cmap=cmap, vmin=low, vmax=high)
    extend = "both" if limits is None else "neither"
    ticks = None if limits is None else np.linspace(*limits, 5)
    axes[0].figure.colorbar(image, ax=axes[:3], label=label, extend=extend, ticks=ticks, pad=0.01)
    high = np.percentile(error, 99.5)
    image = axes[3].imshow(error, origin="lower", cmap="viridis", vmin=0, vmax=high)
    axes[0].figure.colorbar(image, ax=axes[3], label=error_label, extend="max", pad=0.03)
    for axis in axes:
        axis.set(xticks=[], yticks=[])


titles = ["mixture", "found", "truth", "error bar"]
figure, axes = plt.subplots(2, 4, figsize=(11, 5.2), layout="constrained")
for i, name in enumerate("QU"):
    error = draws[:, i].std(axis=0, ddof=1)
    maps = [mixture[i], found[i], truth[i]]
    show(axes[i], maps, error, f"Stokes {name} [σ]", "standard deviation [σ]")
for axis, title in zip(axes[0], titles, strict=True):
    axis.set_title(title)
plt.show()

# %%
# Polarized intensity and angle
# -----------------------------
# Both follow draw by draw, and so do their errors. Noise makes the polarized intensity of a mixture too high;
# that of the draws is not. Segments on the maps of intensity have the angle, counted from the horizontal.


def polarized(maps):
    """Intensity and angle (in degrees) of maps (..., 2, h, w) of Q and U."""
    q, u = maps[..., 0, :, :], maps[..., 1, :, :]
    return np.hypot(q, u), 0.5 * np.degrees(np.arctan2(u, q))


intensity, angle = zip(*(polarized(maps) for maps in (mixture, found, truth, draws)), strict=True)
for name, values in zip(["mixture", "found", "truth", "draws"], intensity, strict=True):
    print(f"{name}: mean polarized intensity {values.mean():.2f} σ")

# an angle and the same plus 180 degrees are one: the scatter is that of the doubled angle on the circle
length = np.abs(np.exp(2j * np.radians(angle[3])).mean(axis=0))
angle_error = 0.5 * np.degrees(np.sqrt(-2 * np.log(length)))
figure, axes = plt.subplots(2, 4, figsize=(11, 5.2), layout="constrained")
error = intensity[3].std(axis=0, ddof=1)
show(axes[0], intensity[:3], error, "polarized intensity P [σ]", "standard deviation [σ]")
show(
    axes[1], angle[:3], angle_error, "angle ψ [degrees]", "standard deviation [degrees]",
    (-90, 90), "twilight_shifted",
)  # fmt: skip
every = np.arange(4, n, 8)
for axis, psi in zip(axes[0], angle[:3], strict=False):
    along = np.radians(psi[np.ix_(every, every)])
    axis.quiver(
        every, every, np.cos(along), np.sin(along), color="white", headaxislength=0, headlength=0,
        headwidth=0, pivot="mid", scale=18, width=0.005,
    )  # fmt: skip
for axis, title in zip(axes[0], titles, strict=True):
    axis.set_title(title)
plt.show()

# %%
# Power spectra
# -------------
# The band is the mean of the draws and once their standard deviation to either side, which a normal error
# has for 68 %. Below, all over the power of the truth. On the right, where the noise is far stronger than the
# dust, the draws differ most.

figure, axes = plt.subplots(
    2, 2, figsize=(9, 5.2), height_ratios=[3, 2], sharex=True, sharey="row", layout="constrained"
)
inside = []
for i, name in enumerate("QU"):
    k, true = power_spectrum(truth[i], spacing="log")
    power = power_spectrum(draws[:, i], spacing="log")[1]
    centre, half = power.mean(axis=0), power.std(axis=0, ddof=1)
    inside.append(np.abs(true - centre) < half)
    for axis, unit in zip(axes[:, i], (1.0, true), strict=True):
        axis.fill_between(
            k,
            (centre - half) / unit,
            (centre + half) / unit,
            color="#D55E00",
            alpha=0.3,
            label="draws, 68 %",
        )
        for values, label, color, dash in (
            (mixture[i], "mixture", "#777777", "-"), (noise[0, i], "noise", "#0072B2", ":"),
            (truth[i], "truth", "black", "-"), (found[i], "found", "#D55E00", "--"),
        ):  # fmt: skip
            values = power_spectrum(values, spacing="log")[1] / unit
            axis.plot(k, values, dash, color=color, label=label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, i].set(xscale="log", yscale="log", title=f"Stokes {name}")
    axes[1, i].set(xlabel="k [cycles / pixel]", ylim=(0, 2.5))
axes[0, 0].set_ylabel("power [σ² pixel²]")
axes[1, 0].set_ylabel("over that of the truth")
axes[0, 1].legend(frameon=False, loc="upper right")
plt.show()

# %%
# Do the error bars hold?
# -----------------------
# How often does the mean of the draws lie within one error bar of the truth? The mean of few draws errs a
# little too, and so does their scatter: what is expected of error bars that are right is below 68 %, and
# follows from Student's distribution.

mean, half = draws.mean(axis=0), draws.std(axis=0, ddof=1)
expected = 2 * t.cdf((1 + 1 / n_draws) ** -0.5, n_draws - 1) - 1
pixels = np.mean(np.abs(truth - mean) < half)
print(f"{pixels:.0%} of pixels and {np.mean(inside):.0%} of rings; expected {expected:.0%}")

# %%
# The root mean square error, in standard deviations of the truth. A draw is no best guess: it has structure
# that is likely and not sure.

for name, maps in (("found", found), ("mean of the draws", mean), ("one draw", draws[0])):
    q, u = relative_rmse(maps[None], truth[None])[0]
    print(f"{name}: {q:.2f} in Q, {u:.2f} in U")
