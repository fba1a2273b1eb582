"""
What is wrong in survey images
==============================

Cosmic rays, dead columns, trails, persistence: a `SourceSegmenter` comes trained for thirteen classes, and
gives each pixel the probability of each of them.
"""

# %%
# Frames of the simulator, with other seeds than those of the training, and their true masks.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score

from skastro.datasets import make_contaminants, unpack_bits
from skastro.displays import MaskDisplay, ROCDisplay
from skastro.segmentation import SourceSegmenter

probability = {"FR": 0.1, "NEB": 0.1, "BBG": 0.1, "OV": 0.3}
frames = make_contaminants(6, shape=(384, 384), probability=probability, random_state=112)
truth = unpack_bits(frames.bits, frames.bit_values)
model = SourceSegmenter.from_pretrained("contaminants")

# %%
# A prior for these frames
# ------------------------
# The model comes with the shares of a usual survey. The simulated frames have far more of everything: told
# so, its probabilities and its thresholds follow. A class that happens not to be there keeps a small share.

share = np.clip(truth.mean(axis=(0, 2, 3)), 1e-3, 0.99)
model.set_prior(share).set_threshold("fbeta", 1.0)
for name, prior, threshold in zip(model.labels_, model.prior_, model.thresholds_, strict=True):
    print(f"{name:4s} prior {prior:.1e}  threshold {threshold:.2f}")

# %%
# Image, truth, probabilities and decision.

some = ["CR", "HCL", "DCL", "P", "TRL", "SAT", "SP", "OV"]
places = [model.labels_.index(name) for name in some]
proba, found = model.predict_proba(frames.images), model.predict(frames.images)
MaskDisplay.from_predictions(
    frames.images[0], proba[0, places], truth[0, places], decision=found[0, places], labels=some
)
plt.show()

# %%
# What to trust
# -------------
# The average precision of a class says how clean and complete what is found of it can be; a guess has the
# share of its pixels. What is wide and faint (fringes, nebulae, halos, old trails, persistence) is told from
# the sky far less well than what is sharp, and six small frames have few of each. The card of the model has
# the figures of more frames.

for i, name in enumerate(model.labels_):
    if truth[:, i].any():
        precision = average_precision_score(truth[:, i].ravel(), proba[:, i].ravel())
        print(f"{name:4s} share {truth[:, i].mean():.4f}  average precision {precision:.3f}")
print(model.card_[model.card_.index("**Limits.**") :])

# %%
# Where a class is rare, what counts is the left end of the curve: few of the very many other pixels may be
# taken for it.

sharp = ["CR", "HCL", "DCL", "SAT"]
places = [model.labels_.index(name) for name in sharp]
ROCDisplay.from_predictions(truth[:, places], proba[:, places], labels=sharp)
plt.show()

# %%
# Bits for an archive: one integer a pixel, as ``skastro mask`` writes them to FITS files.

bits = model.predict_bits(frames.images)
print(bits.dtype, {name: int((bits & bit > 0).sum()) for name, bit in model.bits_.items()})
