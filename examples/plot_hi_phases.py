"""
Phases of atomic hydrogen that nobody labelled
==============================================

Patches of the 21-cm line show warm gas, cold gas or noise, and mostly more than one of them. None is
labelled: their kinds are found from strength and texture.
"""

# %%
# Patches of the sky
# ------------------
# One velocity channel, 3 km/s wide. Fifty patches of mostly warm gas, fifty of mostly cold gas and fifty
# without gas, all with the noise of the receiver, in one heap. The truth is kept for the end.

import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.patches import Ellipse

from skastro.datasets import make_hi_phases
from skastro.displays import SeparationDisplay
from skastro.separation import ScatteringMixtureModel
from skastro.separation_metrics import relative_rmse

rng = np.random.default_rng(0)
n, side, sigma = 50, 64, 1.0
channel = {"n_pixels": side, "n_channels": 1, "channel_width": 3.0, "sigma": sigma}
fraction = np.concatenate([rng.uniform(0, 0.3, n), rng.uniform(0.7, 1, n)])
gas = make_hi_phases(2 * n, cold_fraction=fraction, random_state=0, **channel)
noise = sigma * rng.normal(size=(n, side, side))
patches = np.concatenate([gas.cube[..., 0], noise])
phase = np.repeat(["warm", "cold", "noise"], n)
order = rng.permutation(3 * n)
patches, phase = patches[order], phase[order]
fraction = np.concatenate([fraction, np.full(n, np.nan)])[order]

# %%
# Three kinds, without a label
# ----------------------------
# Scattering statistics of each patch go through a small variational auto-encoder, whose latent space holds
# a mixture of three Gaussians.

start = time.perf_counter()
model = ScatteringMixtureModel(3, n_init=2, max_epochs=90, random_state=0, device="cpu")
label = model.fit_predict(patches)
print(f"fitted in {time.perf_counter() - start:.0f} s; weights {np.round(model.weights_, 2)}")

figure, axes = plt.subplots(3, 6, figsize=(10, 5.3), layout="constrained")
norm = AsinhNorm(linear_width=3 * sigma, vmin=-3 * sigma, vmax=40)
for component, row in enumerate(axes):
    chosen = np.flatnonzero(label == component)[: len(row)]
    for axis, patch in zip(row, patches[chosen], strict=True):
        image = axis.imshow(patch, norm=norm, cmap="inferno", origin="lower")
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"component {component}\n{np.sum(label == component)} patches")
figure.suptitle("Patches of each component that was found (64 × 64 pixels)")
bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-3, 0, 3, 10, 40], format="%g")
bar.set_label("brightness temperature [K]")
plt.show()

# %%
# Beside the truth
# ----------------
# Now the labels are looked at: which phase most patches of a component are of, and how many are not.

names = ["warm", "cold", "noise"]
table = np.array([[np.sum((label == k) & (phase == one)) for one in names] for k in range(3)])
print("component: " + ", ".join(names))
for component, counts in enumerate(table):
    print(f"        {component}: {counts.tolist()}")
of = {one: int(table[:, j].argmax()) for j, one in enumerate(names)}

# %%
# The latent space, in the plane of its two largest variances: on the left with the Gaussians that were
# found (one and two standard deviations; the uncertainty of each patch is part of them), on the right with
# the true mass fraction of the cold gas.

latent = model.transform(patches)
_, _, axes_of = np.linalg.svd(latent - latent.mean(0), full_matrices=False)
plane = axes_of[:2].T
shown = (latent - latent.mean(0)) @ plane
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.2), sharex=True, sharey=True, layout="constrained"
)
for component, color in enumerate(("#0072B2", "#D55E00", "#009E73")):
    own = label == component
    left.plot(*shown[own].T, ".", color=color, label=f"component {component}")
    centre = (model.means_[component] - latent.mean(0)) @ plane
    variance, turn = np.linalg.eigh(plane.T @ model.covariances_[component] @ plane)
    angle = np.degrees(np.arctan2(turn[1, 1], turn[0, 1]))
    for k in (1, 2):
        width, height = 2 * k * np.sqrt(variance[::-1])
        left.add_patch(
            Ellipse(centre, width, height, angle=angle, fill=False, edgecolor=color, linewidth=1)
        )
left.legend(frameon=False)
gasless = np.isnan(fraction)
right.plot(*shown[gasless].T, "x", color="0.5", label="no gas")
points = right.scatter(
    *shown[~gasless].T, c=fraction[~gasless], s=14, cmap="coolwarm_r", vmin=0, vmax=1
)
right.legend(frameon=False)
figure.colorbar(points, ax=right).set_label("true mass fraction of cold gas")
left.set(xlabel="first latent axis", ylabel="second latent axis", title="found")
right.set(xlabel="first latent axis", title="true")
plt.show()

# %%
# Between the phases
# ------------------
# Fresh patches with any mass fraction of cold gas: most of them are put in one component or the other with
# certainty, though the gas is a mixture.

between = np.linspace(0.02, 0.98, 49)
fresh = make_hi_phases(49, cold_fraction=between, random_state=1, **channel)
probability = model.predict_proba(fresh.cube[..., 0])[:, of["cold"]]
figure, axis = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
axis.plot(between, probability, "o", markersize=4)
axis.set(xlabel="true mass fraction of cold gas", ylabel="probability of the cold component")
plt.show()

# %%
# Noise that nobody measured
# --------------------------
# The patches of one component can be the samples of the contamination that a separator needs: here those of
# the noise, for a patch with little gas. The truth is the gas of both phases.

faint = make_hi_phases(1, cold_fraction=0.4, column=0.2, random_state=5, **channel)
mixture, truth = faint.cube[..., 0], (faint.warm + faint.cold)[..., 0]
found, rest = model.separate(mixture, of["noise"])
error = [relative_rmse(one, truth)[0] for one in (mixture, rest)]
print(f"error in standard deviations of the gas: before {error[0]:.2f}, after {error[1]:.2f}")
display = SeparationDisplay.from_maps(
    mixture,
    rest,
    truth,
    model.samples_[of["noise"]][:, 0],
    quantity="brightness temperature",
    unit="K",
)
plt.show()
