"""What the denoising benchmarks hand to other methods, and the published autoencoder."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from skastro.datasets import make_line_cube
from skastro.datasets.line_cube_noise import unit_noise
from skastro.denoising import find_signal

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    # bm4d is in an environment of its own
    fake = ModuleType("bm4d")
    fake.BM4DProfile = type("BM4DProfile", (), {})
    fake.bm4d = lambda cube, noise, profile: cube * 0.5 + np.mean(noise) / cube.size - 1.0
    monkeypatch.setitem(sys.modules, "bm4d", fake)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    for name in ("bm4d_worker", "cube_peers", "published_autoencoder", "peers"):
        sys.modules.pop(name, None)


def test_power_spectrum_of_the_noise(on_path):
    from bm4d_worker import power_spectrum
    from cube_peers import noise_kernels

    assert noise_kernels("B") is None
    shape = (12, 10, 16)
    assert (power_spectrum(shape, [np.ones(1)] * 3) == np.prod(shape)).all()
    spectrum = power_spectrum(shape, noise_kernels("A"))
    # its inverse transform is the autocovariance, 1 at no lag, as the package counts
    covariance = np.fft.ifftn(spectrum).real / np.prod(shape)
    drawn = np.zeros(shape)
    rng = np.random.default_rng(0)
    for _ in range(400):
        power = np.abs(np.fft.fftn(unit_noise(shape, rng, correlated=True))) ** 2
        drawn += np.fft.ifftn(power).real / np.prod(shape) / 400
    assert covariance[0, 0, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(covariance, drawn, atol=0.015)


def test_bm4d_gets_units_of_sigma(on_path, monkeypatch):
    import bm4d_worker
    import cube_peers

    seen = {}

    class Worker:
        def __init__(self, *arguments):
            seen["arguments"] = arguments

        def ask(self, do, arrays):
            seen.update(arrays)
            kernels = [arrays[f"kernel_{i}"] for i in range(3)] if "kernel_0" in arrays else None
            denoised, seconds = bm4d_worker.denoise(arrays["cube"], kernels)
            return {"arrays": {"denoised": denoised}, "seconds": seconds}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(cube_peers, "Worker", Worker)
    cube = np.random.default_rng(0).normal(size=(8, 9, 6))
    cube[1, 2] = np.nan
    sigma = np.full((8, 9, 1), 2.0)
    for kernels in (None, cube_peers.noise_kernels("A")):
        estimate, seconds = cube_peers.bm4d_estimate(cube, sigma, kernels)
        blank = np.isnan(cube)
        np.testing.assert_allclose(seen["cube"][~blank], (cube / sigma)[~blank], rtol=1e-6)
        assert (seen["cube"][blank] == 0).all() and np.array_equal(np.isnan(estimate), blank)
        # the stand-in halves, and adds what the mean of the spectrum differs from 1 by
        mean = 1.0 / cube.size if kernels is None else 1.0
        expected = (0.5 * cube / sigma + mean - 1.0) * sigma
        np.testing.assert_allclose(estimate[~blank], expected[~blank], rtol=1e-5, atol=1e-5)
        assert seconds >= 0 and seen["arguments"] == ("bm4d_worker.py", "bm4d", 1)


@pytest.mark.parametrize("architecture, prior", [("local", True), ("dense", False)])
def test_published_autoencoder(on_path, architecture, prior):
    from published_autoencoder import fit_published

    line = make_line_cube(n_pixels=16, n_channels=30, random_state=0)
    cube = line.cube.copy()
    cube[3, 4, 5] = np.nan
    mask = find_signal(cube, line.sigma)
    options = {"architecture": architecture, "prior": prior, "epochs": 8}
    found = fit_published(cube, line.sigma, mask, **options)
    # a spectrum with a blank is left out
    assert np.isnan(found[3, 4]).all() and np.isnan(found).sum() == 30
    again = fit_published(cube, line.sigma, mask, **options)
    np.testing.assert_array_equal(found, again)
    kept = ~np.isnan(found)
    before = np.mean((cube - line.truth)[kept & mask] ** 2)
    assert np.mean((found - line.truth)[kept & mask] ** 2) < 30 * before
    assert np.corrcoef(found[kept & mask], line.truth[kept & mask])[0, 1] > 0.3
