"""
Dark matter in the Galactic Centre
==================================

Photon counts of a toy gamma-ray sky: gas, inverse Compton light, the Fermi bubbles, thousands of faint
sources, and dark matter, spread like the sources of the bulge but smooth. How much of it is there, and how
sure can one be? A network answers with a distribution for each parameter.
"""

# %%
# Images and what they are made of
# --------------------------------
# The simulator draws every component's strength, and the numbers of sources of the disk and of the bulge.

import matplotlib.pyplot as plt
import numpy as np

from skastro.datasets import make_galactic_center
from skastro.displays import CoverageDisplay, PITDisplay, PredictionDisplay, SaliencyDisplay
from skastro.distribution_metrics import crps
from skastro.regression import ParamRegressor, ResNet

names = ["dark matter", "sources of the disk", "sources of the bulge"]
bounds = [(0, 1), (1000, 3999), (200, 799)]


def draw(n_images, seed):
    sky = make_galactic_center(n_images, random_state=seed)
    return sky.images, sky.params[:, [3, 5, 4]]


X_train, y_train = draw(1600, seed=0)
X_test, y_test = draw(500, seed=1)
print(X_train.shape, y_train.shape)

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, image, truth in zip(axes, X_test, y_test, strict=False):
    shown = ax.imshow(np.sqrt(image), origin="lower", extent=(-15, 15, -15, 15), cmap="inferno")
    ax.set_title(f"dark matter {truth[0]:.2f}, bulge {truth[2]:.0f}", fontsize=9)
    ax.set_xlabel("x (deg)")
axes[0].set_ylabel("latitude (deg)")
fig.colorbar(shown, ax=axes, label="√counts")

# %%
# A regressor with error bars
# ---------------------------
# The sky is nearly the same when it is reflected, so training images are (``augment="flips"``). The bounds
# are those of the simulator's priors: no prediction will be outside. A fifth of the images is held out to
# choose the best epoch and to calibrate the probabilities. This page has few images and little time: a narrow
# network.

model = ParamRegressor(
    network=ResNet(stem=(8,), widths=(16, 32, 48)),
    target_bounds=bounds,
    augment="flips",
    recalibrate="isotonic",
    validation_fraction=0.2,
    max_epochs=6,
    lr=5e-3,
    random_state=0,
    device="cpu",
)
model.fit(X_train, y_train)
PredictionDisplay.from_estimator(model, X_test, y_test, target_names=names)

# %%
# Are the error bars right?
# -------------------------
# The probability integral transform of the truth should be uniform, and intervals should hold what they
# promise.

distribution = model.predict_distribution(X_test)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
PITDisplay.from_predictions(y_test, distribution, target_names=names, ax=left)
CoverageDisplay.from_predictions(y_test, distribution, target_names=names, ax=right)

scores = crps(y_test, distribution, multioutput="raw_values")
errors = np.abs(model.predict(X_test, point="median") - y_test).mean(axis=0)
for name, score, error in zip(names, scores, errors, strict=True):
    print(f"{name}: CRPS {score:.3g}, mean absolute error {error:.3g}")

# %%
# Another prior
# -------------
# The simulator draws the dark matter uniformly, and that prior is in every prediction. Who believes that
# there is little of it can say so afterwards, without another training.

low, high = (
    model.predict_interval(X_test[:1], prior=prior)
    for prior in (None, lambda y: np.exp(-5 * y[..., 0]))
)
print("uniform prior:    ", np.round([low[0][0, 0], low[1][0, 0]], 2))
print("exponential prior:", np.round([high[0][0, 0], high[1][0, 0]], 2))

# %%
# Where does it look?
# -------------------
# Integrated gradients tell how much each pixel moves the prediction away from that for the mean image.

SaliencyDisplay.from_estimator(model, X_test[:3], y_test[:3], target=0)
plt.show()
