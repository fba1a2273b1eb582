"""`GaussianDecomposer` beside ROHSA on the same crops of synthetic cubes, one thread.

    SKASTRO_ROHSA=/path/to/ROHSA python benchmarks/denoising_gaussians.py

Crops of 64 x 64 pixels and 90 channels of `make_line_cube`, kinds A and B, of seeds that nothing was
chosen on. Both are given the true noise level, ROHSA the median over channels, which is what it reads.
ROHSA has its own penalties (100, the values of its parameters.txt, without the variance of widths,
which is for H I) and those of `GaussianDecomposer`, with which it minimises the same objective. Times
are of the processor. The last rows are ours alone, on all 240 channels and with the noise unknown.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from rohsa import find_rohsa, run_rohsa  # noqa: E402

from skastro.cube_metrics import cube_summary  # noqa: E402
from skastro.datasets import make_line_cube  # noqa: E402
from skastro.denoising import GaussianDecomposer  # noqa: E402

SEEDS = {"A": 2101, "B": 2102}
OWN = (100.0, 100.0, 100.0)
COLUMNS = ("gain", "gain_low", "gain_high", "free", "flux")
SPEED = 10.0  # times faster than ROHSA, at its gain or better


def crop(line, n_pixels, n_channels):
    """The channels with most of the line."""
    spectrum = np.cumsum(np.r_[0.0, line.truth.mean((0, 1), dtype=float)])
    first = int(np.argmax(spectrum[n_channels:] - spectrum[:-n_channels]))
    part = np.s_[:n_pixels, :n_pixels, first : first + n_channels]
    return {name: line[name][part] for name in ("cube", "truth", "sigma")}


def ours(cube, sigma, **options):
    decomposer = GaussianDecomposer(**options)
    start = time.process_time()
    model = decomposer.fit(cube, sigma=sigma).transform(cube)
    return model, time.process_time() - start


def equivalent(sigma):
    """ROHSA's penalties that make its objective that of our defaults: amplitudes in the cube's unit."""
    default = GaussianDecomposer()
    amplitude = default.smooth_amplitude / float(np.median(sigma)) ** 2
    return amplitude, default.smooth_velocity, default.smooth_width


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="16 x 16 pixels and 3 Gaussians")
    options = parser.parse_args()
    torch.set_num_threads(1)
    program, missing = find_rohsa()
    if missing:
        print(f"no rows of ROHSA: {missing}")
    numbers = (3,) if options.quick else (6, 8, 10)
    n_pixels = 16 if options.quick else 64
    rows, failed = [], []
    head = f"{'kind':4s} {'method':44s}" + "".join(f"{name:>10s}" for name in COLUMNS)
    print(f"{head} {'seconds':>9s} {'ratio':>7s}")

    def add(kind, name, data, model, seconds, ratio=None):
        figures = cube_summary(data["truth"], data["cube"], model, data["sigma"])
        row = {"kind": kind, "method": name} | {key: figures[key] for key in COLUMNS}
        row |= {"seconds": seconds, "rohsa_seconds_over_ours": "" if ratio is None else ratio}
        rows.append(row)
        shown = "".join(f"{row[key]:10.3f}" for key in COLUMNS)
        print(
            f"{kind:4s} {name:44s}{shown} {seconds:9.2f} {'' if ratio is None else f'{ratio:7.1f}'}"
        )
        return row

    # what happens once in a process is no time of a method
    warm = np.random.default_rng(0).normal(size=(8, 8, 30)).astype(np.float32)
    ours(warm, 1.0, n_components=2)
    for kind, seed in SEEDS.items():
        line = make_line_cube(kind, random_state=seed)
        data = crop(line, n_pixels, 90)
        for n in numbers:
            # what ROHSA does, then with the components that only the noise would feed left out
            same = ours(data["cube"], data["sigma"], n_components=n, gate=False)
            gated = ours(data["cube"], data["sigma"], n_components=n)
            ratios = None, None
            if program:
                level = np.median(data["sigma"], axis=-1)
                theirs = run_rohsa(data["cube"], level, n, equivalent(data["sigma"]))
                peer = add(kind, f"ROHSA, {n} Gaussians, our penalties", data, *theirs)
                ratios = theirs[1] / same[1], theirs[1] / gated[1]
                if n == numbers[-1]:
                    add(
                        kind,
                        f"ROHSA, {n}, its penalties",
                        data,
                        *run_rohsa(data["cube"], level, n, OWN),
                    )
            add(kind, f"GaussianDecomposer, {n}, not gated", data, *same, ratios[0])
            row = add(kind, f"GaussianDecomposer, {n}", data, *gated, ratios[1])
            if program:
                failed.append(row["gain"] < peer["gain"] or ratios[1] < SPEED)
        name = f"GaussianDecomposer, {GaussianDecomposer().n_components} (default)"
        add(kind, name, data, *ours(data["cube"], data["sigma"]))
        whole = {key: line[key][:n_pixels, :n_pixels] for key in data}
        add(kind, "  all 240 channels", whole, *ours(whole["cube"], whole["sigma"]))
        add(kind, "  all 240 channels, noise unknown", whole, *ours(whole["cube"], None))
    if program:
        passed = verdict(not any(failed))
        print(
            f"ROHSA's gain or better, {SPEED:g} times faster, in all {len(failed)} crops: {passed}"
        )
    if not options.quick:
        write_csv(RESULTS / "denoising_gaussians.csv", rows, threads=1)


if __name__ == "__main__":
    main()
