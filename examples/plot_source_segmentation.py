"""
Point sources in a crowded sky
==============================

Photon counts around the Galactic Centre, where thousands of sources lie on bright diffuse emission: which
pixels hold a source? Position alone answers much of it; a network has to know more.
"""

# %%
# Images of the simulator, and the pixels that hold a source.

import matplotlib.pyplot as plt

from skastro.datasets import make_galactic_center
from skastro.displays import MaskDisplay, ReliabilityDisplay
from skastro.segmentation import SourceSegmenter, UNet
from skastro.segmentation.baselines import MeanMask, RawCounts
from skastro.segmentation_metrics import pixel_scores

sky = make_galactic_center(500, return_maps=True, random_state=0)
flux = sky.flux_ps_gc + sky.flux_ps_disk
images, source = sky.images, flux > 0
train, test = slice(0, 400), slice(400, 500)

# %%
# Two methods without a network, the position only and the counts of the pixel, and a network that is trained
# for seconds on few images: about as good as the counts. It takes ten times as many, as
# ``benchmarks/segmentation_galactic_center.py`` has, to know more.

model = SourceSegmenter(
    UNet(widths=(16, 24, 32)), labels=("source",), scaling="sqrt", coordinates=True, augment="flips",
    lr=1e-2, max_epochs=5, random_state=0,
)  # fmt: skip
for method in (MeanMask(), RawCounts(), model):
    method.fit(images[train], source[train])
    scores = pixel_scores(source[test], method.decision_function(images[test]))
    name = type(method).__name__
    print(f"{name:16s} AUC {scores.auc:.3f}  average precision {scores.average_precision:.3f}")

# %%
# Image, truth, probability and decision.

model.set_threshold("fbeta", 1.0)
MaskDisplay.from_estimator(model, images[test], source[test])
plt.show()

# %%
# Do the probabilities hold?

ReliabilityDisplay.from_estimator(model, images[test], source[test])
plt.show()
