"""BM4D at work, in its own environment: denoises the cubes that `peers.Worker` sends.

The whole cube is denoised at once, in units of its noise, by the package's default profile (hard
thresholding, then Wiener filtering). Two ways to tell it the noise:

white        sigma 1, what one does who knows no more;
spectrum     the power spectrum of the noise, given by the kernels along the three axes with which
             white noise was convolved.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from bm4d import BM4DProfile, bm4d


def power_spectrum(shape, kernels):
    """Of unit white noise convolved along each axis, in the convention of the package.

    White noise of sigma 1 has the number of voxels everywhere.
    """
    spectrum = np.full(shape, float(np.prod(shape)))
    for axis, kernel in enumerate(kernels):
        # a kernel longer than the axis wraps around, as the noise does
        wrapped = np.zeros(shape[axis])
        np.add.at(
            wrapped, np.arange(len(kernel)) % shape[axis], kernel / np.sqrt(np.sum(kernel**2))
        )
        line = np.abs(np.fft.fft(wrapped)) ** 2
        spectrum *= line.reshape([-1 if i == axis else 1 for i in range(3)])
    return spectrum


def denoise(cube, kernels=None):
    """Denoise a cube in units of its noise; returns it and the seconds of the call alone."""
    profile = BM4DProfile()
    profile.num_threads = int(os.environ["OMP_NUM_THREADS"])
    noise = 1.0 if kernels is None else power_spectrum(cube.shape, kernels)
    start = time.perf_counter()
    denoised = bm4d(cube, noise, profile)
    return denoised, time.perf_counter() - start


def main():
    # the library may print: the channel of the answers is kept apart
    channel, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        with np.load(folder / "in.npz") as file:
            stored = dict(file)
        kernels = [stored[f"kernel_{i}"] for i in range(3)] if "kernel_0" in stored else None
        denoised, seconds = denoise(stored["cube"], kernels)
        np.savez(folder / "out.npz", denoised=denoised.astype(np.float32))
        print(json.dumps({"wrote": True, "seconds": seconds}), file=channel)
        channel.flush()


if __name__ == "__main__":
    main()
