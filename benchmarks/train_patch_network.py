"""Train the patch network that `CubeDenoiser` starts from, on simulated cubes with truth.

    python benchmarks/train_patch_network.py --output patch_network.npz

Two stages: cubes of line emission without noise are simulated once (clouds and discs, with line widths
and beams drawn widely, some 0.3 s each), then tiles of them are drawn with fresh noise of a random
correlation, at a random peak S/N, and the network learns the truth by squared error. No cube of the
other benchmarks is among them: those have seeds, layers and noise of `make_line_cube`'s own kinds.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from patch_network_pool import blur, make_pool
from scipy.ndimage import correlate1d
from torch.nn import functional as F

from skastro.denoising.patch_network import PatchNetwork
from skastro.denoising.pretrained import HIDDEN, SHAPE
from skastro.files import replacing

PEAK = (4.0, 100.0)  # S/N of the brightest voxel, uniform in its logarithm
LIVE, USES = 6, 24  # cubes in memory at once, batches taken of each
SHARES = (0.65, 0.15)  # of the tiles with a signal above 0.15 sigma, and near such
STEPS_OF_WEAK = ((0.3, 1.0), (1.0, 2.0), (2.0, 4.0))  # S/N ranges whose mean error is penalised
WEAK_WEIGHT = 0.3  # of those penalties
AVERAGE_FROM, AVERAGE = 0.6, 0.003  # running mean of the weights over the last part
WHITE, WIDE = 0.3, 0.15  # shares of noise without a beam, and with one above 2.6 pixels
OVERSAMPLED = 0.1  # of the remaining cubes: the signal has a wide beam, the noise has not


def draw_beams(rng):
    """FWHM of the beam of the noise, and of one more that the signal went through (0: none)."""
    kind = rng.random()
    if kind < WIDE:
        return (beam := rng.uniform(2.6, 8.0)), beam
    noise = 0.0 if kind < WIDE + WHITE else rng.uniform(0.8, 2.6)
    return noise, rng.uniform(2.6, 8.0) if rng.random() < OVERSAMPLED else 0.0


def draw_noise(shape, fwhm, rng):
    """Noise of unit variance and its lag-1 correlations on the sky and along channels."""
    noise, lags = rng.standard_normal(shape, dtype=np.float32), [0.0, 0.0]
    kernels = [None, None]
    if fwhm > 0.0:
        reach = int(2.0 * fwhm) + 1
        kernels[0] = np.exp(-4.0 * np.log(2.0) * (np.arange(-reach, reach + 1) / fwhm) ** 2)
    if rng.random() < 0.7:
        side = rng.uniform(0.05, 0.9)
        kernels[1] = np.array([side, 1.0, side])
    for i, (kernel, axes) in enumerate(zip(kernels, ((0, 1), (2,)), strict=True)):
        if kernel is not None:
            kernel /= np.sqrt((kernel**2).sum())
            lags[i] = float((kernel[1:] * kernel[:-1]).sum())
            for axis in axes:
                noise = correlate1d(noise, kernel, axis=axis, mode="wrap")
    return noise, lags


class Cube:
    """A simulated cube with fresh noise, from which tiles are drawn."""

    def __init__(self, truth, rng):
        truth = truth.astype(np.float32)
        if rng.random() < 0.5:
            truth = truth.swapaxes(0, 1)
        truth = np.flip(truth, [axis for axis in range(3) if rng.random() < 0.5])
        beam, extra = draw_beams(rng)
        if extra > 0.0:
            truth = blur(truth, extra)
            truth /= truth.max()
        truth = np.ascontiguousarray(truth * np.float32(np.exp(rng.uniform(*np.log(PEAK)))))
        noise, lags = draw_noise(truth.shape, beam, rng)
        self.conditions = torch.tensor([lags])
        self.truth = SHAPE.field(torch.from_numpy(truth))[0]
        self.noisy = SHAPE.field(torch.from_numpy(truth + noise))
        signal = torch.from_numpy(truth) > 0.15
        near = F.max_pool3d(signal[None, None].float(), 5, 1, 2)[0, 0] > 0
        self.places = signal.nonzero(), (near & ~signal).nonzero()
        self.shape, self.uses = truth.shape, 0

    def draw(self, n):
        parts = []
        for places, share in zip(self.places, SHARES, strict=True):
            if len(places):
                parts.append(places[torch.randint(len(places), (round(share * n),))])
        missing = n - sum(map(len, parts))
        parts.append(torch.stack([torch.randint(size, (missing,)) for size in self.shape], 1))
        first = torch.cat(parts) - torch.stack([torch.randint(t, (n,)) for t in SHAPE.tile], 1)
        origin = torch.cat([torch.zeros(n, 1, dtype=torch.long), first], 1)
        self.uses += 1
        windows = SHAPE.gather(self.noisy, origin)
        return windows, SHAPE.tiles(self.truth, origin), self.conditions.expand(n, -1)


def estimate(network, windows, conditions):
    """The network, its hidden layers in bfloat16: several times faster where processors have it."""
    with torch.autocast("cpu", torch.bfloat16):
        state = network.state(windows, conditions)
    return network.last(state.float()) + network.linear(windows)


def train(pool, n_steps, batch_size, lr, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network = PatchNetwork(SHAPE.n_inputs, SHAPE.n_outputs, HIDDEN, n_conditions=2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4)
    average = None

    def new():
        return Cube(np.load(pool[rng.integers(len(pool))]), rng)

    live = [new() for _ in range(LIVE)]
    start, running = time.time(), 0.0
    for step in range(n_steps):
        done = step / n_steps
        rate = lr * (min(1.0, done / 0.04) * 0.5 * (1.0 + math.cos(math.pi * done)) + 1e-3)
        for group in optimizer.param_groups:
            group["lr"] = rate
        oldest = step % LIVE
        if live[oldest].uses > USES:
            live[oldest] = new()
        parts = [live[(oldest + j) % LIVE].draw(batch_size // 3) for j in range(3)]
        windows, truth, conditions = (torch.cat(part) for part in zip(*parts, strict=True))
        error = estimate(network, windows, conditions) - truth
        loss = squared = error.square().mean()
        for low, high in STEPS_OF_WEAK:
            # weak emission keeps its flux
            within = (truth > low) & (truth <= high)
            loss = loss + WEAK_WEIGHT * error[within].mean().nan_to_num() ** 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        running = 0.99 * running + 0.01 * float(squared.detach())
        if done > AVERAGE_FROM:
            weights = [p.detach() for p in network.parameters()]
            if average is None:
                average = [w.clone() for w in weights]
            torch._foreach_lerp_(average, weights, AVERAGE)
        if step % 500 == 499:
            print(f"step {step + 1} {time.time() - start:.0f} s loss {running:.4f}", flush=True)
    with torch.no_grad():
        torch._foreach_copy_(list(network.parameters()), average)
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("patch_network.npz"))
    parser.add_argument(
        "--pool", type=Path, default=Path("patch_network_pool"), help="folder of the cubes"
    )
    parser.add_argument("--cubes", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=65000)
    parser.add_argument("--jobs", type=int, default=2, help="processes that simulate")
    parser.add_argument("--batch-size", type=int, default=1536)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--random-state", type=int, default=0)
    arguments = parser.parse_args()
    pool = make_pool(arguments.pool, arguments.cubes, arguments.jobs)
    network = train(
        pool, arguments.steps, arguments.batch_size, arguments.lr, arguments.random_state
    )
    weights = {k: v.numpy().astype(np.float16) for k, v in network.state_dict().items()}
    with replacing(arguments.output) as temporary:
        np.savez_compressed(temporary, **weights)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
