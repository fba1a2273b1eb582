"""Denoisers of line cubes side by side: gain, what is left in line-free voxels, flux, time.

    python benchmarks/denoising_accuracy.py

Synthetic cubes with truth, `make_line_cube` of kinds A (correlated noise, peak S/N about 50) and B
(white noise, weaker lines), of seeds that nothing was chosen on. BM4D, the autoencoder and the
classical filters are given the true noise level, and in one row BM4D the true spectrum of the noise;
`CubeDenoiser` estimates all that, but for the row that says so.
"""

import argparse
import os
import time

import numpy as np

THREADS = "OMP_NUM_THREADS"
os.environ.setdefault(THREADS, "1")

from cube_peers import bm4d_estimate, noise_kernels  # noqa: E402
from published_autoencoder import fit_published  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro.cube_metrics import cube_summary, flux_ratio  # noqa: E402
from skastro.datasets import make_line_cube  # noqa: E402
from skastro.denoising import CubeDenoiser, GaussianDecomposer, find_signal  # noqa: E402
from skastro.denoising.baselines import (  # noqa: E402
    GaussianSmoother,
    MaskDenoiser,
    MedianDenoiser,
    PCADenoiser,
    TotalVariationDenoiser,
    WaveletDenoiser,
)

SEEDS = {"A": 2101, "B": 2102}
COLUMNS = ("gain", "gain_low", "gain_high", "free", "flux", "flux_weak", "moment0_gain")
SPECTRA = {"tile": (1, 1, 4), "halo": (0, 0, 4)}


def classical():
    return {
        "Gaussian, FWHM 1.5": GaussianSmoother(fwhm=1.5),
        "mask x Gaussian": MaskDenoiser(fwhm=1.5),
        "PCA, 10": PCADenoiser(n_components=10),
        "wavelet sym4, 3 sigma": WaveletDenoiser(),
        "median, 3": MedianDenoiser(),
        "total variation": TotalVariationDenoiser(),
    }


def ours(quick, random_state):
    epochs = {"max_epochs": 1, "n_samples": 1024} if quick else {}
    few = {} if quick else {"max_epochs": 15}

    def make(**options):
        return CubeDenoiser(random_state=random_state, **{**epochs, **options})

    return {
        "GaussianDecomposer": GaussianDecomposer(),
        "CubeDenoiser": make(),
        "CubeDenoiser, 4 shifts": make(n_shifts=4),
        "  not gated": make(gate=False),
        "  without the prior loss": make(prior_weight=0.0),
        "  pretrained only": make(max_epochs=1, n_samples=1, lr=1e-12),
        "  from random weights": make(pretrained=False),
        "  ..., not gated, no prior": make(pretrained=False, gate=False, prior_weight=0.0),
        "  ..., two scales": make(pretrained=False, coarse_halo=(2, 2, 2)),
        "  ..., spectra only": make(pretrained=False, **SPECTRA),
        "autoencoder, local, gated": make(method="autoencoder", **few),
        "autoencoder, dense, gated": make(method="autoencoder", architecture="dense", **few),
    }


def summary(line, estimate):
    peak = (line.truth / line.sigma).max(axis=-1)
    weak = (peak < 3.0) & (peak > 0.5)
    found = cube_summary(line.truth, line.cube, estimate, line.sigma)
    return found | {"flux_weak": flux_ratio(line.truth[weak], estimate[weak])}


def run(line, arguments):
    """Rows of one cube: name, figures, seconds to fit and to denoise."""

    def record(name, estimate, fit, transform):
        row = {"cube": line.kind, "method": name, **summary(line, estimate)}
        row |= {"fit_s": fit, "s_per_mvox": transform / line.cube.size * 1e6}
        figures = " ".join(f"{row[key]:8.3f}" for key in COLUMNS)
        print(f"{line.kind} {name:28s} {figures} {fit:8.1f} {row['s_per_mvox']:8.2f}", flush=True)
        return row

    for name, method in classical().items():
        start = time.perf_counter()
        method.fit(line.cube, sigma=line.sigma)
        fitted = time.perf_counter()
        estimate = method.transform(line.cube)
        yield record(name, estimate, fitted - start, time.perf_counter() - fitted)
    mask = find_signal(line.cube, line.sigma)
    for name, options in {
        "published autoencoder": {},
        "  without the prior loss": {"prior": False},
        "  dense": {"architecture": "dense"},
    }.items():
        if arguments.quick and options:
            continue
        start = time.perf_counter()
        estimate = fit_published(
            line.cube,
            line.sigma,
            mask,
            epochs=2 if arguments.quick else arguments.epochs,
            **options,
        )
        yield record(name, estimate, time.perf_counter() - start, float("nan"))
    for name, kernels in {
        "BM4D": None,
        "BM4D, true noise spectrum": noise_kernels(line.kind),
    }.items():
        if name == "BM4D" or kernels is not None:
            estimate, seconds = bm4d_estimate(line.cube, line.sigma, kernels)
            yield record(name, estimate, 0.0, seconds)
    for name, method in ours(arguments.quick, arguments.random_state).items():
        start = time.perf_counter()
        method.fit(line.cube)
        fitted = time.perf_counter()
        estimate = method.transform(line.cube)
        yield record(name, estimate, fitted - start, time.perf_counter() - fitted)
        if name == "CubeDenoiser":
            start = time.perf_counter()
            estimate = method.fit(line.cube, sigma=line.sigma).transform(line.cube)
            yield record(
                "CubeDenoiser, sigma given", estimate, time.perf_counter() - start, float("nan")
            )


def verdicts(rows):
    """The three goals at once, for each cube."""
    for kind in dict.fromkeys(row["cube"] for row in rows):
        named = {row["method"]: row for row in rows if row["cube"] == kind}
        mine = named["CubeDenoiser"]
        peers = [row for name, row in named.items() if name.startswith("BM4D")]
        best = max(row["gain"] for row in peers)
        goals = {
            f"gain {mine['gain']:.2f} dB above BM4D's {best:.2f}": mine["gain"] > best,
            f"free {mine['free']:.3f} below 0.1": mine["free"] < 0.1,
            f"flux {mine['flux']:.3f} within 2 %": abs(mine["flux"] - 1.0) < 0.02,
            f"flux of weak spectra {mine['flux_weak']:.3f} within 4 %": abs(mine["flux_weak"] - 1.0)
            < 0.04,
        }
        for goal, reached in goals.items():
            print(f"{kind}: {goal}: {verdict(reached)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trainings, small cubes")
    parser.add_argument("--kinds", nargs="+", default=list(SEEDS), choices=list(SEEDS))
    parser.add_argument("--epochs", type=int, default=50, help="of the published autoencoder")
    parser.add_argument("--random-state", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{'':30s} " + " ".join(f"{key:>8s}" for key in COLUMNS) + f" {'fit s':>8s} {'s/Mvox':>8s}"
    )
    rows = []
    for kind in arguments.kinds:
        size = {"n_pixels": 32, "n_channels": 80} if arguments.quick else {}
        line = make_line_cube(kind, random_state=SEEDS[kind] + 10 * arguments.random_state, **size)
        rows.extend(run(line, arguments))
    verdicts(rows)
    if not arguments.quick:
        name = "denoising_accuracy.csv"
        write_csv(
            RESULTS / name,
            rows,
            threads=int(os.environ[THREADS]),
            random_state=arguments.random_state,
        )


if __name__ == "__main__":
    np.seterr(invalid="ignore")
    main()
