"""Spectra through a bottleneck: how `CubeDenoiser` builds and trains its autoencoder."""

import numpy as np
import torch

from skastro.denoising.networks import DenseAutoencoder, LocalAutoencoder
from skastro.denoising.sure import SpectraNetwork

__all__ = ["fit_autoencoder", "make_autoencoder"]

WINDOW = 5
SHARES = {"local": 0.25, "dense": 0.1}  # of the channels


def make_autoencoder(estimator):
    """Build the network from the parameters of the estimator and the number of its channels."""
    n_channels, n_components = estimator.n_channels_in_, estimator.n_components
    if n_components == "auto":
        # tight: a wide bottleneck learns to repeat the noise
        share = SHARES[estimator.architecture]
        n_components = max(1, round(share * n_channels))
    if estimator.architecture == "dense":
        return SpectraNetwork(DenseAutoencoder(n_channels, n_components))
    window = min(WINDOW, n_channels)
    return SpectraNetwork(LocalAutoencoder(n_channels, n_components, window=window))


def fit_autoencoder(estimator, spectra, blank, mask, rng, seed):
    """Train on spectra with the prior loss: each of its two terms is a mean over its own voxels.

    Parameters
    ----------
    estimator : CubeDenoiser
    spectra : Tensor of shape (n_spectra, n_channels)
        Signal to noise, 0 where blank.
    blank, mask : ndarray of bool
        Of as many values.
    rng : numpy.random.Generator
    seed : int
    """
    blank, mask = (part.reshape(spectra.shape) for part in (blank, mask))
    seen = np.flatnonzero(~blank.all(axis=1))
    if len(seen) > estimator.n_samples:
        seen = np.sort(rng.choice(seen, size=estimator.n_samples, replace=False))
    known = ~blank[seen]
    terms = np.stack([mask[seen] & known, ~mask[seen] & known], axis=1)
    shares = terms.mean(axis=(0, 2), keepdims=True)
    weights = np.array([1.0, estimator.prior_weight]).reshape(1, 2, 1) / np.maximum(shares, 1e-6)
    chosen = spectra[torch.from_numpy(seen)]
    estimator._train(
        chosen,
        chosen[:, None],
        torch.from_numpy(terms * weights).to(chosen),
        rows=estimator._split_rows(len(seen), seed),
        seed=seed,
        reset=not (estimator.warm_start and estimator._same_network()),
    )
