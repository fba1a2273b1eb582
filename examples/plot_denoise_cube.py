"""
Denoising the CO cube of a galaxy
=================================

A real cube, CO (1-0) in the galaxy NGC 4047 as the CARMA interferometer saw it, is denoised from
itself alone: FITS in, FITS out. Then one looks at what came out, at what was taken out, and at the
error bars.
"""

# %%
# The cube
# --------
# 128 x 128 pixels of one arcsecond, 44 channels of 20 km/s, in Jy/beam. The noise grows towards the
# edge of the mosaic, beyond which the cube is blank. The beam covers some 55 pixels, so that the
# noise of neighbours is almost the same: on the sky it cannot be told from structure, but along the
# channels it can.

import matplotlib.pyplot as plt
import numpy as np

from skastro.datasets import load_ngc4047
from skastro.denoising import CubeDenoiser, estimate_noise, noise_correlation
from skastro.displays import CubeDisplay, DenoiserDisplay
from skastro.io import read_cube

galaxy = load_ngc4047()
cube = read_cube(galaxy.path)
print(cube)
level = estimate_noise(cube.block())
correlation = noise_correlation(cube.block(), level.sigma)
print(f"noise: median {np.nanmedian(level.map):.4f} {cube.unit}")
print(f"correlation with the next channel {correlation.spectral[1]:.2f}")
print(f"correlation with the next pixel {correlation.spatial[3, 4]:.2f}")

# %%
# Fit and denoise
# ---------------
# No truth is needed. The path of a file gives back an HDU with the WCS, the unit and the history of
# the original; ``transform_file`` writes a file at once, and so does ``skastro denoise`` on the
# command line.

denoiser = CubeDenoiser(random_state=0).fit(galaxy.path)
hdu = denoiser.transform(galaxy.path)
print(hdu.header["BUNIT"], hdu.header["CTYPE3"], hdu.data.shape)

# %%
# Before and after
# ----------------
# Channel maps, the residual in units of the noise, the integrated map and the velocity field, and
# three spectra.

CubeDisplay.from_predictions(cube, hdu, sigma=level.sigma, name="denoised")

# %%
# What was taken out
# ------------------
# The residual, where there is signal, beside the line-free channels. If the noise and nothing else
# had been removed, the two would be the same. Here the residual is narrower and less smooth over the
# sky than the noise: what of the noise is as smooth as the galaxy cannot be told from it, and stays.

DenoiserDisplay.from_predictions(cube, hdu, sigma=level.sigma, name="CubeDenoiser")

# %%
# Error bars
# ----------
# One standard error for each voxel, measured on this cube without truth. The band is twice that.

std = read_cube(denoiser.predict_std(galaxy.path)).block()
noisy, denoised = cube.block(), read_cube(hdu).block()
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
for ax, (y, x) in zip(axes, [(62, 66), (65, 88)], strict=True):
    line, error = denoised[y, x], 2 * std[y, x]
    ax.step(galaxy.velocity, noisy[y, x], where="mid", color="0.6", linewidth=0.9, label="noisy")
    ax.fill_between(
        galaxy.velocity, line - error, line + error, step="mid", color="#D55E00", alpha=0.3,
        linewidth=0, label="two standard errors",
    )  # fmt: skip
    ax.step(galaxy.velocity, line, where="mid", color="#D55E00", label="denoised")
    ax.set(title=f"y = {y}, x = {x}", xlabel="velocity [km/s]", xlim=(2980, 3840))
axes[0].set_ylabel("intensity [Jy/beam]")
axes[0].legend(frameon=False)
plt.show()
