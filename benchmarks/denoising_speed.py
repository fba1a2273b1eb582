"""Speed and memory of `CubeDenoiser` on one thread: transform, fit, and cubes larger than memory.

    python benchmarks/denoising_speed.py

Throughput of `transform` on a cube in memory, gate open and closed; seconds of `fit` for cubes of
growing size; peak memory of a process that denoises a FITS file much larger than the block it is
given; the time that a cube of ORION-B, 1074 x 758 x 240, would take.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro.datasets import make_line_cube  # noqa: E402
from skastro.denoising import CubeDenoiser  # noqa: E402
from skastro.io import write_cube  # noqa: E402

ORION_B = 1074 * 758 * 240
REPEATS = 3
# run in a process of its own: how far its memory grows above what it has with the model loaded
CHILD = """
import json, pickle, resource, sys, time
import numpy as np

def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))

model, source, output, block = sys.argv[1:]
with open(model, "rb") as file:
    denoiser = pickle.load(file)
denoiser.set_params(max_memory=int(block))
cube = np.random.default_rng(0).normal(size=(8, 8, denoiser.n_channels_in_)).astype(np.float32)
denoiser.transform(cube)
before = status("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
start = time.perf_counter()
denoiser.transform_file(source, output)
print(json.dumps({"seconds": time.perf_counter() - start, "peak": status("VmHWM"), "before": before}))
"""


def mosaic(n, tile):
    """A cube n x n times a synthetic one, which is kind A."""
    return np.tile(tile, (n, n, 1))


def best_of(action, repeats=REPEATS):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), min(times)


def measure_transform(tile, denoiser, rows):
    cube = mosaic(3, tile)
    for name, options in {
        "gated": {},
        "gated, 1 grid of tiles": {"n_shifts": 1},
        "gated, 4 grids of tiles": {"n_shifts": 4},
        "not gated": {"gate": False},
        "not gated, 1 grid of tiles": {"gate": False, "n_shifts": 1},
    }.items():
        one = pickle.loads(pickle.dumps(denoiser)).set_params(**options)
        repeats = REPEATS if one.gate else 1
        median, least = best_of(lambda one=one: one.transform(cube), repeats)
        rate = cube.size / median / 1e6
        goal = f">= 2 {verdict(rate >= 2)}" if name == "gated" else ""
        record(rows, f"transform, {name}", rate, "Mvox/s", goal)
        record(rows, f"  at its fastest, {name}", cube.size / least / 1e6, "Mvox/s")
        if name == "gated":
            record(rows, "ORION-B, 195 Mvox, extrapolated", ORION_B / rate / 1e6, "s")


def measure_fit(tile, rows, quick):
    for n in (1, 3) if quick else (1, 3, 6):
        cube = mosaic(n, tile)
        seconds, _ = best_of(lambda cube=cube: CubeDenoiser(random_state=0).fit(cube), 1)
        record(
            rows,
            f"fit, {cube.size / 1e6:.0f} Mvox",
            seconds,
            "s",
            f"<= 60 {verdict(seconds <= 60)}",
        )


def measure_memory(tile, denoiser, rows, folder, quick):
    n = 4 if quick else 8
    block = 2**26 if quick else 2**27
    cube = mosaic(n, tile)
    source, model = folder / "cube.fits", folder / "model.pkl"
    write_cube(cube, source)
    model.write_bytes(pickle.dumps(denoiser))
    record(rows, "file", cube.nbytes / 2**20, "MiB")
    record(rows, "block", block / 2**20, "MiB")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, model, source, folder / "out.fits", str(block)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    blocks = (found["peak"] - found["before"]) / block
    record(rows, "process with the model", found["before"] / 2**20, "MiB")
    record(rows, "peak above that, in blocks", blocks, "", f"<= 3 {verdict(blocks <= 3)}")
    record(rows, "from file to file", cube.size / found["seconds"] / 1e6, "Mvox/s")


def record(rows, what, value, unit, goal=""):
    rows.append({"what": what.strip(), "value": value, "unit": unit, "goal": goal})
    print(f"{what:40s} {value:10.4g} {unit:8s} {goal}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller cubes")
    arguments = parser.parse_args()
    rows = []
    tile = make_line_cube("A", n_pixels=64 if arguments.quick else 96, random_state=2105).cube
    denoiser = CubeDenoiser(random_state=0).fit(tile)
    measure_transform(tile, denoiser, rows)
    with tempfile.TemporaryDirectory(prefix="skastro-speed-") as folder:
        measure_memory(tile, denoiser, rows, Path(folder), arguments.quick)
    measure_fit(tile, rows, arguments.quick)
    if not arguments.quick:
        write_csv(RESULTS / "denoising_speed.csv", rows, threads=int(os.environ["OMP_NUM_THREADS"]))


if __name__ == "__main__":
    main()
