"""
Denoising images of a gamma-ray sky
===================================

Photons are few, and pixels are lost. A network learns from clean images of a kind of sky what such
skies look like, and then takes the noise out of others. One network is trained for four kinds of
noise and compared with the classical filters, which are told which noise it is.
"""

# %%
# Clean images
# ------------
# Simulated skies around the Galactic Centre, each turned by a random angle: smooth components and
# point sources. Here ``blurred`` is what a telescope would see without noise.

import time

import matplotlib.pyplot as plt
import numpy as np

from skastro.datasets import make_galactic_center
from skastro.denoising import (
    GaussianImageFilter,
    ImageDenoiser,
    MedianImageFilter,
    NormalizedConvolution,
    corrupt_images,
)

sky = make_galactic_center(600, rotated=True, n_pixels=32, random_state=0)
images = sky.blurred / sky.blurred.max(axis=(1, 2), keepdims=True)
train, test = images[:500], images[500:]

# %%
# Four kinds of noise
# -------------------
# Gaussian noise of a fifth of the maximum, photon noise, half of the pixels lost, and half of the
# pixels at the lowest or highest value.

noises = ["gaussian", "poisson", "mask", "salt_and_pepper"]
noisy = {
    noise: corrupt_images(test, noise, clip=(0, 1), random_state=i)
    for i, noise in enumerate(noises)
}

# %%
# One network for all
# -------------------
# Given a list of noises, ``fit`` corrupts each image by one of them, anew in each epoch. The images
# have their maximum at 1 already: nothing is normalised. A real training takes more images and more
# epochs.

same = {"normalization": None, "clip": (0, 1), "random_state": 0}
start = time.perf_counter()
denoiser = ImageDenoiser(noise=noises, width=16, augmentation="dihedral", max_epochs=20, **same)
denoiser.fit(train)
print(f"trained in {time.perf_counter() - start:.0f} s")

filters = {
    "Gaussian filter": GaussianImageFilter,
    "median filter": MedianImageFilter,
    "normalised convolution": NormalizedConvolution,
}
results = {name: {} for name in ["noisy", *filters, "ImageDenoiser"]}
for noise in noises:
    results["noisy"][noise] = noisy[noise]
    for name, kind in filters.items():
        # a filter for each noise: its strength is chosen on the training images
        results[name][noise] = kind(noise=noise, **same).fit(train).transform(noisy[noise])
    results["ImageDenoiser"][noise] = denoiser.transform(noisy[noise])

print(f"{'mean squared error':24s}" + "".join(f"{noise:>17s}" for noise in noises))
errors = {
    name: [np.mean((one[noise] - test) ** 2) for noise in noises] for name, one in results.items()
}
for name, values in errors.items():
    print(f"{name:24s}" + "".join(f"{value:17.5f}" for value in values))

# %%
# One sky
# -------
# The same held-out sky in each noise, by the best filter for that noise and by the network.

best = [min(filters, key=lambda name, i=i: errors[name][i]) for i in range(len(noises))]
figure, axes = plt.subplots(4, 4, figsize=(9, 9.4), layout="constrained")
for row, noise in enumerate(noises):
    shown = {
        noise.replace("_", " "): noisy[noise][0],
        best[row]: results[best[row]][noise][0],
        "ImageDenoiser": results["ImageDenoiser"][noise][0],
        "truth": test[0],
    }
    for ax, (title, image) in zip(axes[row], shown.items(), strict=True):
        mapped = ax.imshow(image, origin="lower", cmap="inferno", vmin=0, vmax=0.8)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize="medium")
figure.colorbar(mapped, ax=axes, shrink=0.4, label="intensity, over the maximum")
plt.show()
