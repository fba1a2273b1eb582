"""
Textures on the sphere
======================

Two kinds of maps of the whole sky with nearly the same power on every scale, told apart by how the scales
depend on one another; then from a part of the sky alone.
"""

# %%
# Gaussian and log-normal skies
# -----------------------------
# A Gaussian map, and one whose logarithm is: both of mean 0 and deviation 1.

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy_healpix import HEALPix

from skastro.datasets import make_sphere_fields
from skastro.scattering import SphericalScatteringTransform

nside = 64
index = {"gaussian": 2.0, "lognormal": 2.2}
skies = {}
for kind, slope in index.items():
    maps = make_sphere_fields(8, nside, kind, index=slope, random_state=0).maps
    skies[kind] = (maps - maps.mean(1, keepdims=True)) / maps.std(1, keepdims=True)


def mollweide(axis, sky):
    """A map in ring order, as a picture of the whole sphere."""
    lon = np.linspace(-np.pi, np.pi, 500)
    lat = np.linspace(-np.pi / 2, np.pi / 2, 250)
    pixels = HEALPix(nside, order="ring").lonlat_to_healpix(
        lon[None] * u.rad + 0 * lat[:, None] * u.rad, lat[:, None] * u.rad + 0 * lon * u.rad
    )
    picture = axis.pcolormesh(
        lon, lat, sky[pixels], vmin=-2, vmax=4, cmap="viridis", rasterized=True
    )
    axis.set(xticks=[], yticks=[])
    return picture


figure, axes = plt.subplots(
    1, 2, figsize=(9, 3), subplot_kw={"projection": "mollweide"}, layout="constrained"
)
for axis, (kind, maps) in zip(axes, skies.items(), strict=True):
    picture = mollweide(axis, maps[0])
    axis.set_title(kind)
figure.colorbar(picture, ax=axes, shrink=0.8, label="standard deviations")
plt.show()

# %%
# What the wavelets see
# ---------------------
# On the left the power in each scale; on the right, one kind of coefficient that a Gaussian map has none
# of: how a scale follows the strength of finer ones.

transform = SphericalScatteringTransform(n_scales=4)
table = {kind: transform.fit_transform(maps) for kind, maps in skies.items()}
names = list(transform.get_feature_names_out())
degree = 1.535 * nside / 2.0 ** np.arange(4)
power = [names.index(f"P00[j1={j}]") for j in range(4)]
follows = [names.index(f"C01[j2=0,j3={j},dl3=0]") for j in range(1, 4)]


def curves(axes, table, **style):
    """Means over maps, with their scatter."""
    for axis, title in zip(axes, ("log P00", "C01 of the finest scale"), strict=True):
        axis.set(xscale="log", xlabel="degree at the centre of the band", title=title)
        axis.set_xticks(degree, [f"{one:.0f}" for one in degree])
        axis.set_xticks([], minor=True)
    for (kind, rows), color in zip(table.items(), ("C0", "C1"), strict=True):
        options = {"color": color, "marker": "o", "capsize": 3} | style
        for axis, columns, at in zip(axes, (power, follows), (degree, degree[1:]), strict=True):
            found = rows[:, columns]
            label = kind if "label" not in style else f"{kind}, {style['label']}"
            axis.errorbar(at, found.mean(0), found.std(0), **(options | {"label": label}))


figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
curves(axes, table)
axes[0].legend()
plt.show()

# %%
# A part of the sky
# -----------------
# Without the third that lies within 20 degrees of the equator. Its pixels may hold anything, NaN too: what
# is left says the same within the scatter of the maps.

latitude = HEALPix(nside, order="ring").healpix_to_lonlat(np.arange(12 * nside**2))[1]
seen = np.abs(latitude) > 20 * u.deg
partial = {}
for kind, maps in skies.items():
    hidden = np.where(seen, maps, np.nan)
    partial[kind] = transform.fit(hidden, mask=seen).transform(hidden)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
curves(axes, table, label="whole sky")
curves(axes, partial, label="two thirds", linestyle="--", marker="s", alpha=0.7)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()
