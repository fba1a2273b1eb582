"""Scattering spectra of HEALPix maps: time and memory at several resolutions, forward and with the gradient.

    python benchmarks/scattering_sphere.py

One map of float32, four orientations, as many scales as leave a coarsest grid of nside 8. Each case runs in a
process of its own; its peak memory is what it adds to that of the process once everything is imported, the
map included. The first call makes the wavelets. Seconds are those of the processor.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import multiprocessing  # noqa: E402
import resource  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

GOAL = 4096  # MiB, of nside 256 with the gradient


def peak():
    """MiB that this process has held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(nside, gradient, repeats, queue):
    """Time and memory of one case, into a queue."""
    import torch

    from skastro.healpix import require_healpix
    from skastro.scattering import SphericalCovariance

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    require_healpix()
    small = SphericalCovariance(4, 1)
    small(torch.randn(1, 192, requires_grad=True)).sum().backward()
    before = peak()
    n_scales = nside.bit_length() - 3
    x = torch.randn(1, 12 * nside**2, generator=torch.Generator().manual_seed(0))
    x.requires_grad_(gradient)

    def run():
        with torch.set_grad_enabled(gradient):
            found = statistics(x)
            if gradient:
                found.square().sum().backward()
        return found

    start = time.process_time()
    statistics = SphericalCovariance(nside, n_scales)
    run()
    first = time.process_time() - start
    times = []
    for _ in range(repeats):
        start = time.process_time()
        found = run()
        times.append(time.process_time() - start)
    queue.put(
        {
            "nside": nside,
            "n_scales": n_scales,
            "n_coefficients": found.shape[1],
            "gradient": gradient,
            "first_s": first,
            "median_s": float(np.median(times)),
            "least_s": min(times),
            "peak_mb": peak() - before,
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--nside", type=int, nargs="+", default=[64, 128, 256])
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    rows = []
    for nside in arguments.nside:
        for gradient in (False, True):
            queue = context.Queue()
            process = context.Process(
                target=measure, args=(nside, gradient, arguments.repeats, queue)
            )
            process.start()
            row = queue.get()
            process.join()
            rows.append(row)
            print(
                f"nside {nside:4d}, J = {row['n_scales']}, {row['n_coefficients']} coefficients, "
                f"{'with gradient' if gradient else 'forward':13s}: first {row['first_s']:6.2f} s, "
                f"then {row['median_s']:6.2f} s, {row['peak_mb']:6.0f} MiB",
                flush=True,
            )
            if nside == 256 and gradient:
                held = row["peak_mb"] <= GOAL
                print(f"    goal: at most {GOAL} MiB: {verdict(held)}")
    if arguments.nside == [64, 128, 256]:
        threads = int(os.environ["OMP_NUM_THREADS"])
        write_csv(RESULTS / "scattering_sphere.csv", rows, threads=threads)


if __name__ == "__main__":
    main()
