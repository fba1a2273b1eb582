"""Scattering statistics on one thread beside kymatio, scattering_transform and pywph: time, memory, equality.

    python benchmarks/scattering_speed.py

The same 256 x 256 images for all. Each package runs in a process of its own, in turns; seconds are those of
the processor, the median and the least of the repetitions. Beside them, in the process of ours and in turn
with it, the FFTs that can't be avoided (scattering_limit.py): their share of our time says how far it is
from what is possible. The peers live in an environment that is made once; scattering_transform, which has
no package, is a clone of its repository that SKASTRO_SCATTERING_TRANSFORM names.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from peers import Worker  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

SIDE = 256
CLONE = "SKASTRO_SCATTERING_TRANSFORM"
# Where memory is measured, ours and the peers': what is large goes back to the system when it is freed.
# The allocator of glibc keeps some of it otherwise, more or less of it from run to run.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
LIMIT = 0.4  # least share of the FFTs that can't be avoided
# name, ours, its peers, scales, orientations, images, least speed-up forward and with the gradient
TASKS = [
    ("WST J=5, global", "skastro, WST", ["scattering_transform, WST"], 5, 8, 8, 4.0, None),
    ("WST J=6, global", "skastro, WST", ["scattering_transform, WST"], 6, 8, 8, 4.0, None),
    ("WST J=5, reflect", "skastro, WST, local, reflect", ["kymatio, reflect"], 5, 8, 8, 4.0, None),
    ("WST J=6, reflect", "skastro, WST, local, reflect", ["kymatio, reflect"], 6, 8, 8, 4.0, None),
    (
        "WST J=6, periodic", "skastro, WST, local, periodic", ["kymatio, periodic"],
        6, 8, 8, 4.0, None,
    ),
    (
        "covariance J=7", "skastro, covariance", ["scattering_transform, covariance"],
        7, 4, 1, 3.0, 3.0,
    ),
    ("phase harmonics J=7", "skastro, phase harmonics", ["pywph"], 7, 4, 1, 10.0, None),
]  # fmt: skip


def images(n, seed=0):
    """Log-normal maps with a power-law spectrum."""
    rng = np.random.default_rng(seed)
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    k[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((n, SIDE, SIDE))) * k**-1.3)
    field /= field.std()
    return np.exp(0.8 * field).astype(np.float32)


def difference(one, other):
    """Largest difference over the largest value."""
    if one.shape != other.shape:
        return float("nan")
    return float(np.abs(one - other).max() / np.abs(other).max())


def compare(task, arguments):
    """Rows of one task: ours and each peer."""
    name, own, peers, n_scales, n_orientations, n_images, *goals = task
    x = {"images": images(n_images)}
    sides = {own: "skastro"} | dict.fromkeys(peers, "scattering")
    size = {"n_scales": n_scales, "n_orientations": n_orientations}
    rows = {case: {"task": name, "method": case} for case in sides}
    for case, peer in sides.items():
        for key, gradient in (("forward_mb", False), ("gradient_mb", True)):
            with Worker("scattering_worker.py", peer, 1, MALLOC) as worker:
                worker.ask("build", x, case=case, **size)
                rows[case][key] = worker.ask("memory", gradient=gradient)["bytes"] / 2**20
    workers = {case: Worker("scattering_worker.py", peer, 1) for case, peer in sides.items()}
    for case, worker in workers.items():
        rows[case]["build_s"] = worker.ask("build", x, case=case, **size)["seconds"]
    for key, gradient in (("forward", False), ("gradient", True)):
        times, limits = {case: [] for case in sides}, {"own": [], "peer": []}
        for repetition in range(arguments.repeats + 1):
            for case, worker in workers.items():
                seconds = worker.ask("run", gradient=gradient)["seconds"]
                if repetition:
                    times[case].append(1e3 * seconds / n_images)
            if repetition:
                for grids, seconds in (
                    workers[own].ask("limit", gradient=gradient)["limits"].items()
                ):
                    limits[grids].append(1e3 * seconds / n_images)
        for case in sides:
            rows[case][f"{key}_ms"] = float(np.median(times[case]))
            rows[case][f"{key}_least_ms"] = min(times[case])
            # each beside the FFTs on its own grids
            limit = float(np.median(limits["own" if case == own else "peer"]))
            rows[case][f"{key}_limit_ms"] = limit
            rows[case][f"{key}_limit"] = limit / rows[case][f"{key}_ms"]
    values = {case: worker.ask("values")["arrays"]["values"] for case, worker in workers.items()}
    for worker in workers.values():
        worker.__exit__()
    for case, row in rows.items():
        row["difference"] = difference(values[own], values[case])
        for key in ("forward", "gradient"):
            row[f"{key}_ratio"] = row[f"{key}_ms"] / rows[own][f"{key}_ms"]
        print(
            f"{name:20s} {case:34s} build {row['build_s']:6.2f} s, forward {row['forward_ms']:7.1f} ms "
            f"({row['forward_ratio']:5.2f} x), with gradient {row['gradient_ms']:7.1f} ms "
            f"({row['gradient_ratio']:5.2f} x), {row['forward_mb']:6.0f} / {row['gradient_mb']:6.0f} MB, "
            f"difference {row['difference']:.1e}",
            flush=True,
        )
    for key in ("forward", "gradient"):
        share, limit = rows[own][f"{key}_limit"], rows[own][f"{key}_limit_ms"]
        theirs = rows[peers[0]][f"{key}_limit_ms"]
        print(
            f"    {key}: FFTs {limit:.1f} ms, {share:.2f} of the time, goal {LIMIT:g}: "
            f"{verdict(share > LIMIT)}; on the peer's grids {theirs:.1f} ms, "
            f"{theirs / rows[own][f'{key}_ms']:.2f} of ours and {rows[peers[0]][f'{key}_limit']:.2f} of its"
        )
    for peer in peers:
        for key, goal in zip(("forward", "gradient"), goals, strict=True):
            if goal is not None:
                ratio = rows[peer][f"{key}_ratio"]
                print(
                    f"    {key}: {ratio:.1f} times faster, goal {goal:g}: {verdict(ratio >= goal)}"
                )
        for key in ("forward_mb", "gradient_mb"):
            share = rows[own][key] / rows[peer][key]
            print(f"    {key}: {share:.2f} of the peer's, goal 0.5: {verdict(share <= 0.5)}")
    return list(rows.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", help="only those whose name holds one of these words")
    arguments = parser.parse_args()
    rows = []
    for task in TASKS:
        if arguments.tasks and not any(word in task[0] for word in arguments.tasks):
            continue
        if CLONE not in os.environ and any("scattering_transform" in peer for peer in task[2]):
            print(f"{task[0]}: skipped, {CLONE} names no clone of SihaoCheng/scattering_transform")
            continue
        rows += compare(task, arguments)
    if rows and not arguments.tasks:
        write_csv(
            RESULTS / "scattering_speed.csv", rows, threads=int(os.environ["OMP_NUM_THREADS"])
        )


if __name__ == "__main__":
    main()
