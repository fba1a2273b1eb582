"""
Dust and the cosmic infrared background
=======================================

One map is the sum of two: dust, of which there is no model, and the infrared background of distant
galaxies, of which there are samples. They are taken apart by their statistics.
"""

# %%
# A mixture
# ---------
# A simulation of dust and a patch that Planck saw, as strong as the dust. The samples are Gaussian
# fields with the spectrum of such a patch; none of them is in the mixture. The truth is kept for the
# end.

import time

import matplotlib.pyplot as plt

from skastro.datasets import make_mixture
from skastro.displays import SeparationDisplay
from skastro.separation import StatisticalSeparator
from skastro.separation.baselines import WienerFilter
from skastro.separation_metrics import relative_rmse, scale_correlation

mix = make_mixture("cib", random_state=0)
print(mix.mixture.shape, mix.samples.shape)

# %%
# Taken apart
# -----------
# A map is sought that, with a sample of the background added to it, has the scattering statistics of
# the mixture.

separator = StatisticalSeparator(random_state=0).fit(mix.samples)
start = time.perf_counter()
dust = separator.transform(mix.mixture)
print(f"one map in {time.perf_counter() - start:.0f} s")

# %%
# Without the truth
# -----------------
# This is what there is to look at in an observation. What was taken off should look like the
# background, and have its spectrum and its histogram.

display = SeparationDisplay.from_maps(
    mix.mixture, dust, contamination=mix.samples, periodic=False, quantity="intensity", unit="σ"
)
plt.show()

# %%
# Beside the truth
# ----------------
# The residual is what was found less what is there.

display = SeparationDisplay.from_maps(
    mix.mixture, dust, mix.signal, mix.samples, periodic=False, quantity="intensity", unit="σ"
)
plt.show()
print({key: round(value, 3) for key, value in display.summary.items()})

# %%
# A linear filter
# ---------------
# A Wiener filter lowers the power of every scale on which there is background: the filaments are
# faint, and part of the dust is in what it takes off.

filtered = WienerFilter().fit(mix.samples).transform(mix.mixture)
display = SeparationDisplay.from_maps(
    mix.mixture, filtered, mix.signal, mix.samples, periodic=False, quantity="intensity", unit="σ"
)
plt.show()
print({key: round(value, 3) for key, value in display.summary.items()})

# %%
# Scale by scale
# --------------
# Correlation with the truth, in octaves of wave number (cycles per map), and the root mean square error
# in standard deviations of the dust. The filter, which leaves out what it cannot know, may have the
# smaller error; the separator has a map of the right statistics, in which faint structure of the scales
# that the background dominates is likely and not sure.

for name, found in (("StatisticalSeparator", dust), ("Wiener", filtered)):
    k, correlation = scale_correlation(found, mix.signal, window="hann")
    error = relative_rmse(found, mix.signal)[0]
    print(f"{name}: error {error:.3f}")
    print({round(float(a)): round(float(b), 2) for a, b in zip(k, correlation[0], strict=True)})
