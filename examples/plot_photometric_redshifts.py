"""
Photometric redshifts as distributions
======================================

Two ways to a redshift without a spectrum: from the magnitudes of real galaxies of the Sloan survey, and from
images in five bands. Both are a `ParamRegressor`; both answer with a probability density over redshift.
"""

# %%
# From magnitudes and colours
# ---------------------------
# Galaxies of the main sample with spectroscopic redshifts. An ensemble of dense networks with the head
# "mixture" gives a smooth density; some of the columns are spread over decades, hence ``scaling="asinh"``.

import matplotlib.pyplot as plt
import numpy as np

from skastro.datasets import load_sdss_photometry, make_galaxies
from skastro.displays import PITDisplay, PredictionDisplay
from skastro.distribution_metrics import cde_loss, crps
from skastro.photoz_metrics import redshift_summary
from skastro.regression import MLP, ParamRegressor, ResNet
from skastro.regression.baselines import NeighborsDensityRegressor

X_train, z_train = load_sdss_photometry("train", return_X_y=True)
X_test, z_test = load_sdss_photometry("test", return_X_y=True)
print(X_train.shape, X_test.shape)

table = ParamRegressor(
    network=MLP(dropout=0.1),
    head="mixture",
    scaling="asinh",
    n_members=2,
    max_epochs=25,
    random_state=0,
    device="cpu",
).fit(X_train, z_train)
neighbours = NeighborsDensityRegressor(25).fit(X_train, z_train)

for name, model in (("network", table), ("25 neighbours", neighbours)):
    distribution = model.predict_distribution(X_test)
    summary = redshift_summary(z_test, distribution.median()[:, 0])
    print(
        f"{name}: sigma_MAD {summary.sigma_mad:.4f}, outliers {summary.outlier_fraction:.2%}, "
        f"CRPS {crps(z_test, distribution):.5f}, CDE loss {cde_loss(z_test, distribution):.1f}"
    )

# %%
PredictionDisplay.from_estimator(table, X_test, z_test, kind="redshift", target_names=["redshift"])

# %%
# A flat histogram of the probability integral transform is needed, and not enough: giving everyone the
# redshifts of the training galaxies would be flat too.

PITDisplay.from_estimator(table, X_test, z_test)

# %%
# From images
# -----------
# Simulated galaxies in ugriz; the reddening by our Galaxy is a side column. Pixels are scaled by the inverse
# hyperbolic sine of flux over noise, since fluxes span decades.

train, test = (make_galaxies(n, n_pixels=32, random_state=n) for n in (1200, 300))
images = ParamRegressor(
    network=ResNet(stem=(16,), widths=(32, 48), n_cells=4),
    head="mixture",
    augment="dihedral",
    test_time_augmentation=False,
    max_epochs=8,
    lr=4e-3,
    random_state=0,
    device="cpu",
).fit(train.images, train.redshift, extra=train.ebv)
found = images.predict_distribution(test.images, extra=test.ebv)
summary = redshift_summary(test.redshift, found.median()[:, 0])
print(f"images: sigma_MAD {summary.sigma_mad:.4f}, outliers {summary.outlier_fraction:.2%}")

# %%
# Three galaxies with the densities of their redshifts
# -----------------------------------------------------

grid = np.linspace(0, 0.35, 300)
density = images.pdf(test.images[:3], grid, extra=test.ebv[:3])
fig, axes = plt.subplots(2, 3, figsize=(9, 5.2), layout="constrained")
for k, (above, below) in enumerate(axes.T):
    # i, r and g as red, green and blue
    color = np.moveaxis(test.images[k, [3, 2, 1]], 0, -1)
    color = np.arcsinh(np.clip(color, 0, None) / np.percentile(color, 90))
    above.imshow(color / color.max(), origin="lower")
    above.set_axis_off()
    below.plot(grid, density[k])
    below.axvline(test.redshift[k], color="black", linestyle="--", label="true")
    below.set_xlabel("redshift")
axes[1, 0].set_ylabel("probability density")
axes[1, 0].legend(frameon=False)
plt.show()
