"""Memory and time of `StatisticalSeparator` on a large mixture.

    SKASTRO_DATA=... python benchmarks/separation_memory.py

Dust intensity, standardised, and white noise as strong (512 x 512 pixels), with 100 samples of the noise;
default parameters, on the processor. The work is done in a process of its own, whose peak memory is shown
in all and beyond what it holds once everything is imported. `OMP_NUM_THREADS` says how many threads, by
default one. The goals are for a machine with two cores: wall time and seconds of the processor are both
shown, and wall time, which is judged, counts whatever else the machine does. With another `--side` or
`--n-samples` nothing is judged or written.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import multiprocessing  # noqa: E402
import resource  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

SIDE, N_SAMPLES = 512, 100
GOAL_MB, GOAL_MINUTES = 4000, 20  # of the whole process, 4 GB; of `transform`


def peak():
    """Megabytes that this process has held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(path, side, n_samples, random_state, queue):
    """Peak memory, time and error of one separation, into a queue."""
    import torch

    from skastro.separation import StatisticalSeparator

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rng = np.random.default_rng(random_state)
    # the first call imports what is imported late, and starts the threads
    small = rng.normal(size=(3, 16, 16))
    StatisticalSeparator(max_iter=1, random_state=0, device="cpu").fit(small[1:]).transform(
        2 * small[:1]
    )
    imported = peak()
    signal = np.load(path).astype(float)[:side, :side]
    signal = (signal - signal.mean()) / signal.std()
    noise = rng.normal(size=(n_samples + 1, *signal.shape)).astype("f4")
    separator = StatisticalSeparator(random_state=random_state, device="cpu")
    data = peak()
    wall, processor = time.perf_counter(), time.process_time()
    separator.fit(noise[1:])
    found = separator.transform(signal[None] + noise[:1])
    queue.put(
        {
            "side": side,
            "n_samples": n_samples,
            "imported_mb": imported,
            "with_data_mb": data,
            "peak_mb": peak(),
            "beyond_import_mb": peak() - imported,
            "wall_s": time.perf_counter() - wall,
            "processor_s": time.process_time() - processor,
            "rmse": float(np.sqrt(np.mean((found[0] - signal) ** 2))),
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--n-samples", type=int, default=N_SAMPLES)
    parser.add_argument("--random-state", type=int, default=0)
    arguments = parser.parse_args()
    path = Path(os.environ["SKASTRO_DATA"]) / "maps" / "I_1.npy"
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    work = path, arguments.side, arguments.n_samples, arguments.random_state, queue
    process = context.Process(target=measure, args=work)
    process.start()
    row = queue.get()
    process.join()
    threads = int(os.environ["OMP_NUM_THREADS"])
    print(
        f"{row['side']} x {row['side']} pixels, {row['n_samples']} samples, {threads} thread(s): error "
        f"{row['rmse']:.3f} standard deviations of the signal"
    )
    print(
        f"  memory {row['peak_mb']:.0f} MB in all; {row['imported_mb']:.0f} MB once imported, "
        f"{row['with_data_mb']:.0f} MB with the maps"
    )
    print(f"  time {row['wall_s']:.0f} s, of the processor {row['processor_s']:.0f} s")
    if (arguments.side, arguments.n_samples) == (SIDE, N_SAMPLES):
        print(f"    memory, goal {GOAL_MB} MB: {verdict(row['peak_mb'] <= GOAL_MB)}")
        in_time = row["wall_s"] <= 60 * GOAL_MINUTES
        print(f"    time, goal {GOAL_MINUTES} minutes: {verdict(in_time)}")
        write_csv(RESULTS / "separation_memory.csv", [row], threads=threads)


if __name__ == "__main__":
    main()
