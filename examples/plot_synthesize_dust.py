"""
New maps of dust from one
=========================

One map, no model and no training set: its scattering statistics are measured, and new maps are
drawn that share them.
"""

# %%
# One map of dust
# ---------------
# The map spans decades: its logarithm is what is worked with. Every second pixel is enough here.

import time

import matplotlib.pyplot as plt
import numpy as np

from skastro.datasets import load_dust_map
from skastro.displays import StatisticsDisplay, SynthesisDisplay
from skastro.scattering import ScatteringTransform

dust = np.log(load_dust_map(periodic=True).map)[None, ::2, ::2]
print(dust.shape)

# %%
# Its statistics
# --------------
# Covariances between the scales of the map, seen through wavelets of several scales and orientations, and
# averaged over orientations.

transform = ScatteringTransform("covariance", reduction="isotropic").fit(dust)
print(transform.transform(dust).shape)
StatisticsDisplay.from_values(transform.transform(dust)[0], transform.get_feature_names_out())
plt.show()

# %%
# New maps
# --------
# All orientations this time, and the power spectrum, the distribution of the pixels and the topology
# of what lies above a level beside them. Gaussian fields are changed until their statistics are those
# of the dust.

synthesizer = ScatteringTransform(["covariance", "power_spectrum", "pdf", "topology"]).fit(dust)
start = time.perf_counter()
new = synthesizer.synthesize(2, random_state=0, max_iter=200)
print(f"two maps in {time.perf_counter() - start:.0f} s")

# %%
# Beside the one they imitate
# ---------------------------
# They are new: no shift of one is like the target. Spectrum, histogram and the functionals of what
# lies above a level agree.

display = SynthesisDisplay.from_maps(dust, new, periodic=True)
plt.show()
print({key: round(float(value), 3) for key, value in display.summary.items()})
