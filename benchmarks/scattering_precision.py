"""Gradients of every family beside finite differences in float64, and float32 beside float64.

    python benchmarks/scattering_precision.py

Log-normal fields. Gradient: of the sum of all coefficients at random weights, along random directions,
beside central differences; the largest relative difference. Precision: the largest difference of the
coefficients over the largest coefficient of a kind (S1, C01, ...); gradients in float32 likewise, over
their largest value.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro import scattering  # noqa: E402

SIDE, STEP, DIRECTIONS = 64, 1e-6, 3
GOALS = {"gradient": 1e-5, "single": 1e-4, "single_gradient": 1e-4}


def families():
    """Modules from fields of their `shape` to coefficients, by name."""
    shape = (SIDE, SIDE)
    return {
        "WST, global": scattering.WST(shape, 4, 4),
        "WST, local": scattering.WST(shape, 3, 8, output="local"),
        "WST of lines": scattering.WST1D(512, 5, 4),
        "WST of volumes": scattering.WST3D((16, 16, 16), 2),
        "RWST": scattering.RWST(shape, 4, 8),
        "covariance": scattering.Covariance(shape, 4, 4),
        "covariance, P11": scattering.Covariance(shape, 4, 4, normalization="P11"),
        "phase harmonics": scattering.PhaseHarmonics(shape, 4, 4, dn=1),
        "power spectrum": scattering.PowerSpectrum(shape, log=True),
        "pdf": scattering.PixelDistribution(shape),
        "topology": scattering.Topology(shape),
        "covariance of the sphere": scattering.SphericalCovariance(16, 2, 4),
    }


def field(shape, seed):
    """A log-normal field, smooth on some pixels, (1, *shape)."""
    rng = np.random.default_rng(seed)
    k = sum(f**2 for f in np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")) ** 0.5
    k[(0,) * len(shape)] = np.inf
    smooth = np.fft.ifftn(np.fft.fftn(rng.standard_normal(shape)) * k**-1.2).real
    return torch.from_numpy(np.exp(smooth / smooth.std()))[None]


def real(found):
    return torch.view_as_real(found) if found.is_complex() else found


def judge(module, seed):
    """The three differences of a family."""
    x = field(getattr(module, "shape", (SIDE, SIDE)), seed)
    generator = torch.Generator().manual_seed(seed)
    values = real(module(x))
    weights = torch.rand(values.shape, generator=generator, dtype=torch.float64)

    def value(x):
        return float((real(module(x)) * weights).sum())

    def slope(x):
        x = x.clone().requires_grad_()
        (real(module(x)) * weights.to(x.dtype)).sum().backward()
        return x.grad.double()

    exact, worst = slope(x), 0.0
    for _ in range(DIRECTIONS):
        step = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        there = (value(x + STEP * step) - value(x - STEP * step)) / (2 * STEP)
        worst = max(worst, abs(float((exact * step).sum()) / there - 1))
    single = real(module(x.float())).double()
    kinds = np.array([name.split("[")[0] for name in module.names])
    apart = 0.0
    for kind in np.unique(kinds):
        some = torch.from_numpy(np.flatnonzero(kinds == kind))
        one, other = (v.index_select(1, some) for v in (single, values))
        apart = max(apart, float((one - other).abs().max() / other.abs().max().clamp_min(1e-12)))
    error = (slope(x.float()) - exact).abs().max() / exact.abs().max()
    return {"gradient": worst, "single": apart, "single_gradient": float(error)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random-state", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    for name, module in families().items():
        found = judge(module, arguments.random_state)
        rows.append({"family": name, **found})
        ok = {key: found[key] <= goal for key, goal in GOALS.items()}
        print(
            f"{name:26s} "
            + " ".join(f"{key} {found[key]:.1e} ({verdict(ok[key])})" for key in GOALS),
            flush=True,
        )
    write_csv(RESULTS / "scattering_precision.csv", rows, threads=1)


if __name__ == "__main__":
    main()
