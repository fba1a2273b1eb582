"""Noiseless cubes for `train_patch_network.py`: turbulent clouds and rotating discs, drawn widely."""

import numpy as np
from joblib import Parallel, delayed
from scipy.ndimage import gaussian_filter1d

from skastro.datasets import line_cube
from skastro.datasets.fbm import fbm

N_PIXELS, N_CHANNELS = 64, 160
SEED = 77
DISCS = 10  # every such cube is a disc


def blur(cube, fwhm):
    """A Gaussian beam of that width in pixels."""
    for axis in (0, 1):
        cube = gaussian_filter1d(cube, fwhm / np.sqrt(8.0 * np.log(2.0)), axis, mode="wrap")
    return cube


def cloud(rng):
    """Layers and clumps, as `make_line_cube` has them, of any width of lines."""
    velocity = line_cube.CENTRE + line_cube.CHANNEL * (
        np.arange(N_CHANNELS) - 0.5 * (N_CHANNELS - 1)
    )
    stretch = np.exp(rng.uniform(np.log(0.7), np.log(6.0)))
    layers = []
    for _ in range(rng.integers(1, 5)):
        sigma_v = np.exp(rng.uniform(np.log(0.4), np.log(2.5))) * max(1.0, 0.7 * stretch)
        sigma_th = np.exp(rng.uniform(np.log(0.25), np.log(0.6))) * stretch
        layers.append(
            {
                "beta_rho": rng.uniform(2.6, 3.8),
                "beta_v": rng.uniform(3.4, 4.2),
                "s": rng.uniform(0.5, 1.5),
                "v0": rng.uniform(velocity[20], velocity[-20]),
                "sigma_v": sigma_v,
                "sigma_th": sigma_th,
                "covered": rng.uniform(0.1, 0.8),
                "tau_max": np.exp(rng.uniform(np.log(0.1), np.log(5.0))),
                "t_ex": np.exp(rng.uniform(np.log(0.4), np.log(12.0))),
            }
        )
    layers = line_cube._into_band(layers, velocity)
    truth = np.zeros((N_PIXELS, N_PIXELS, N_CHANNELS), np.float32)
    for layer in layers:
        line_cube._add_layer(truth, velocity, layer, rng)
    line_cube._add_clumps(truth, velocity, layers, rng)
    beam = np.exp(rng.uniform(np.log(1.6), np.log(6.0)))
    return blur(truth, rng.uniform(2.2, 3.0) if rng.random() < 0.5 else beam)


def disc(rng):
    """A galaxy: a thin rotating disc of clumpy gas, lines of half a channel to a few."""
    centre = rng.uniform(0.3, 0.7, 2) * N_PIXELS
    angle, cosine = rng.uniform(0.0, 2.0 * np.pi), np.cos(np.radians(rng.uniform(15.0, 78.0)))
    rows, columns = np.mgrid[:N_PIXELS, :N_PIXELS] - centre[:, None, None]
    along = rows * np.cos(angle) + columns * np.sin(angle)
    across = (columns * np.cos(angle) - rows * np.sin(angle)) / cosine
    radius = np.hypot(along, across) + 1e-3
    scale = np.exp(rng.uniform(np.log(5.0), np.log(30.0)))
    turn = scale * rng.uniform(0.1, 0.8)
    speed = np.exp(rng.uniform(np.log(3.0), np.log(60.0)))  # [channel]
    velocity = speed * np.tanh(radius / turn) * along / radius
    velocity += rng.uniform(0.0, 1.5) * fbm((N_PIXELS, N_PIXELS), 3.5, rng)
    clumps = rng.uniform(0.4, 1.5) * fbm((N_PIXELS, N_PIXELS), rng.uniform(2.0, 3.5), rng)
    bright = np.exp(clumps - radius / scale)
    width = np.exp(rng.uniform(np.log(0.5), np.log(5.0)) + 0.2 * clumps)
    channels = np.arange(N_CHANNELS) - rng.uniform(0.4, 0.6) * N_CHANNELS
    shape = (channels - velocity[..., None]) / width[..., None]
    truth = bright[..., None] * np.exp(-0.5 * shape**2)
    return blur(truth.astype(np.float32), np.exp(rng.uniform(np.log(1.6), np.log(6.0))))


def simulate(seed):
    """Line emission, (64, 64, 160) of float16, with a maximum of 1."""
    rng = np.random.default_rng([SEED, seed])
    truth = disc(rng) if seed % DISCS == DISCS - 1 else cloud(rng)
    return (truth / truth.max()).astype(np.float16)


def make_pool(folder, n_cubes, n_jobs):
    """Files of the first `n_cubes` cubes, made where they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed:04d}.npy" for seed in range(n_cubes)]

    def make(seed):
        np.save(paths[seed], simulate(seed))

    missing = [seed for seed, path in enumerate(paths) if not path.exists()]
    Parallel(n_jobs)(delayed(make)(seed) for seed in missing)
    return paths
