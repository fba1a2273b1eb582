"""The published autoencoder of line cubes (Einig, Pety et al. 2023), as its released code has it.

Windows of 5 channels at every channel, a perceptron 5-25-25-25 each, a dense projection to 0.75
n_channels components, the mirror image back; the prior loss with q = 1; Adam 1e-3 with a decay of
0.95 an epoch, batches of 500 spectra, 20 % of them for validation (which decides nothing), spectra in
kelvin, the initial weights of torch. Two things differ in its favour: the weights of the windows are
initialised, too, and stay block-diagonal, as the paper says.
"""

import math

import numpy as np
import torch

from skastro.denoising.losses import PriorLoss
from skastro.denoising.networks import BandedLinear, DenseAutoencoder, LocalAutoencoder

__all__ = ["fit_published"]

EPOCHS = 50
BATCH = 500
COMPONENTS = 0.75  # of the channels
VALIDATION = 0.2
DECAY = 0.95


def fit_published(
    cube, sigma, mask, *, architecture="local", prior=True, components=COMPONENTS, epochs=EPOCHS,
    random_state=0, verbose=False,
):  # fmt: skip
    """Train on a cube and denoise it.

    Parameters
    ----------
    cube : ndarray of shape (n_y, n_x, n_channels)
        Spectra with blanks are left out of training, and come back blank.
    sigma : ndarray broadcastable to `cube`
        Noise level, in its unit.
    mask : ndarray of bool of the shape of `cube`
        True where a signal is probable.
    architecture : {"local", "dense"}
    prior : bool
        False: the squared residual everywhere.
    components : float
        Size of the bottleneck, as a fraction of the channels.
    epochs : int
        Its notebooks take 50 and 200; later ones change nothing, so small has the step become.
    random_state : int
    verbose : bool
        Print the loss of each tenth epoch.

    Returns
    -------
    estimate : ndarray of the shape of `cube`
    """
    n_channels = cube.shape[-1]
    spectra, level, signal = (
        np.broadcast_to(a, cube.shape).reshape(-1, n_channels) for a in (cube, sigma, mask)
    )
    whole = np.flatnonzero(np.isfinite(spectra).all(axis=1))
    x = torch.from_numpy(spectra[whole].astype(np.float32))
    level = torch.from_numpy(level[whole].astype(np.float32))
    signal = torch.from_numpy(signal[whole] if prior else np.ones((len(whole), n_channels), bool))
    n_components = round(components * n_channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        if architecture == "dense":
            network = DenseAutoencoder(n_channels, n_components)
        else:
            network = LocalAutoencoder(n_channels, n_components, bottleneck="dense")
        _initialize(network)
        rows = torch.randperm(len(x))[round(VALIDATION * len(x)) :]
        _train(network, x[rows], level[rows], signal[rows], epochs, verbose)
    estimate = np.full_like(spectra, np.nan, dtype=np.float32)
    network.eval()
    with torch.inference_mode():
        estimate[whole] = torch.cat([network(block) for block in x.split(256)]).numpy()
    return estimate.reshape(cube.shape)


def _initialize(network):
    """Draw all weights and biases as `torch.nn.Linear` does."""
    for layer in network.modules():
        if isinstance(layer, BandedLinear | torch.nn.Linear):
            banded = isinstance(layer, BandedLinear)
            bound = 1.0 / math.sqrt(layer.weight.shape[1] if banded else layer.in_features)
            torch.nn.init.uniform_(layer.weight, -bound, bound)
            torch.nn.init.uniform_(layer.bias, -bound, bound)


def _train(network, x, level, signal, epochs, verbose):
    loss_of = PriorLoss()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, DECAY)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(x))
        # the last, smaller batch is dropped, unless it is the only one
        n_batches = max(1, len(x) // BATCH)
        for batch in order[: n_batches * BATCH].split(BATCH):
            mask = signal[batch]
            losses = loss_of(network(x[batch]), x[batch], mask, level[batch])
            n_signal = mask.sum()
            loss = (losses * mask).sum() / (n_signal + 1)
            loss = loss + (losses * ~mask).sum() / (mask.numel() - n_signal + 1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) / n_batches
        schedule.step()
        if verbose and epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total:.4f}")
