"""The three goals of `CubeDenoiser` on several fresh cubes of every kind, beside the best peers only.

    python benchmarks/denoising_seeds.py

As `denoising_accuracy.py`, of other seeds, kind C (96 x 96 pixels) too. BM4D is given the true noise
level, and its true spectrum where the noise is correlated; the others estimate it.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from cube_peers import bm4d_estimate, noise_kernels  # noqa: E402
from denoising_accuracy import COLUMNS, summary  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro.datasets import make_line_cube  # noqa: E402
from skastro.denoising import CubeDenoiser, GaussianDecomposer  # noqa: E402

FIRST_SEED = 2201


def estimates(line):
    """Name, estimate and seconds of each method."""
    estimate, seconds = bm4d_estimate(line.cube, line.sigma, noise_kernels(line.kind))
    yield "BM4D", estimate, seconds
    for method in (GaussianDecomposer(), CubeDenoiser(random_state=0)):
        start = time.perf_counter()
        estimate = method.fit_transform(line.cube)
        yield type(method).__name__, estimate, time.perf_counter() - start


def goals(mine, peers):
    """Verdict on each of the goals."""
    return {
        "gain above BM4D": mine["gain"] > peers["BM4D"]["gain"],
        "free below 0.1": mine["free"] < 0.1,
        "flux within 2 %": abs(mine["flux"] - 1.0) < 0.02,
        "weak flux within 4 %": abs(mine["flux_weak"] - 1.0) < 0.04,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="cubes of each kind")
    parser.add_argument("--kinds", nargs="+", default=["A", "B", "C"])
    arguments = parser.parse_args()
    print(f"{'':28s} " + " ".join(f"{key:>9s}" for key in COLUMNS) + f" {'seconds':>8s}")
    rows, seed = [], FIRST_SEED
    for kind in arguments.kinds:
        for _ in range(arguments.seeds):
            line = make_line_cube(kind, random_state=seed)
            found = {}
            for name, estimate, seconds in estimates(line):
                found[name] = row = {"cube": kind, "seed": seed, "method": name}
                row |= summary(line, estimate) | {"seconds": seconds}
                figures = " ".join(f"{row[key]:9.3f}" for key in COLUMNS)
                print(f"{kind} {seed} {name:20s} {figures} {seconds:8.1f}", flush=True)
            reached = goals(found["CubeDenoiser"], found)
            print("  " + ", ".join(f"{goal}: {verdict(ok)}" for goal, ok in reached.items()))
            rows += found.values()
            seed += 1
    for kind in arguments.kinds:
        for name in ("BM4D", "GaussianDecomposer", "CubeDenoiser"):
            mean = {
                key: np.mean([r[key] for r in rows if (r["cube"], r["method"]) == (kind, name)])
                for key in COLUMNS
            }
            print(f"{kind} mean {name:20s} " + " ".join(f"{mean[key]:9.3f}" for key in COLUMNS))
    write_csv(RESULTS / "denoising_seeds.csv", rows, threads=int(os.environ["OMP_NUM_THREADS"]))


if __name__ == "__main__":
    np.seterr(invalid="ignore")
    main()
