"""Mixtures of dust and what contaminates it: `StatisticalSeparator` and public methods, in one run.

    SKASTRO_DATA=... python benchmarks/separation_peers.py --cases A --random-state 0

Cases A and B of `separation_accuracy.py` and its figures; the same mixture and samples for all, one method
after the other, each side in a process of its own with one thread. Two public methods, on the filters and
moments of pywph at J=7, L=4 (`separation_worker.py`): "direct", of Regaldo-Saint Blancard et al. (2021),
with 8 samples and 20 iterations; "eras", the mixture beside a debiased spectrum in 18 rings, with 30
samples, 3 eras of 30 iterations on powers alone and 5 of 20. Ours has 40 samples to draw from and its
default parameters.

What the peers are given: their filters are not counted, ours are; cross moments come of one product of
matrices. `--products` makes maps of the products instead, as the public script does: slower, with the same
moments. Rings equally wide in logarithms gave "eras" smaller errors than equal widths, with random_state 7.

Seconds are those of the processor. Every figure stands beside the peer's: PASS where ours is at least as
good. Each case writes a file of its own.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from peers import Worker  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from separation_accuracy import judge, make, show  # noqa: E402

# of both sides: freed memory stays with the process, or most of the peer's time goes into page faults
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
SHARE = 1 / 3  # of the peer's seconds, at most
N_SCALES, N_ORIENTATIONS = 7, 4
# samples, then the options of a request
PEERS = {
    "direct": (8, {"max_iter": 20}),
    "eras": (30, {"schedule": [[True, 30]] * 3 + [[False, 20]] * 5, "n_rings": 18}),
}
QUICK = {
    "direct": (2, {"max_iter": 2}),
    "eras": (2, {"schedule": [[True, 2], [False, 2]], "n_rings": 18}),
}


def fallen(name, losses):
    """Whether every search of a peer ended below its beginning."""
    if name == "direct":
        losses = [losses]
    shown = ", ".join(f"{one[0]:.3g} to {one[-1]:.3g} ({len(one)})" for one in losses)
    falls = all(one[-1] < one[0] for one in losses)
    print(f"  its loss, from to (gradients): {shown}: {verdict(falls)}")
    return falls


def compared(ours, peer):
    """Each figure of ours beside the peer's; of errors the absolute values."""
    for key, lower in (("ps", True), ("corr", False), ("w1", True), ("rmse", True)):
        have, goal = (np.abs(np.atleast_1d(found[key])) for found in (ours, peer))
        better = have <= goal if lower else have >= goal
        pairs = "  ".join(
            f"{a:.4f}/{b:.4f} {verdict(good)}"
            for a, b, good in zip(have, goal, better, strict=True)
        )
        print(f"    {key} (ours/peer) {pairs}")
    share = ours["seconds"] / peer["seconds"]
    print(
        f"    seconds {ours['seconds']:.1f}/{peer['seconds']:.1f}, {share:.2f} of the peer's, goal "
        f"{SHARE:.2f}: {verdict(share <= SHARE)}",
        flush=True,
    )


def row(case, name, found, n_samples, **more):
    values = {"case": case, "method": name, "n_samples": n_samples}
    for key in ("ps", "corr"):
        values |= {f"{key}_{j}": float(v) for j, v in enumerate(found[key])}
    keys = ("fine", "first", "first_truth", "w1", "rmse", "seconds")
    blank = {"build_s": np.nan, "n_gradients": "", "first_loss": np.nan, "last_loss": np.nan}
    return values | {key: float(found[key]) for key in keys} | blank | more


def compare(case, arguments):
    signal, noise, samples, _ = make(case, Path(os.environ["SKASTRO_DATA"]), arguments.random_state)
    mixture = signal + noise
    given = {"mixture": mixture[0]}

    def judged(answer):
        found = answer["arrays"]["signal"].astype(float)[None]
        return judge(found, signal, noise, samples) | {"seconds": answer["seconds"]}

    print(f"\ncase {case}, random_state {arguments.random_state}", flush=True)
    with Worker("separation_worker.py", "skastro", 1, MALLOC) as worker:
        worker.ask("prepare")
        ours = judged(
            worker.ask(
                "ours", given | {"samples": samples[:, 0]}, random_state=arguments.random_state
            )
        )
    show("StatisticalSeparator", ours)
    rows = [row(case, "StatisticalSeparator", ours, len(samples))]
    with Worker("separation_worker.py", "scattering", 1, MALLOC) as worker:
        built = worker.ask(
            "build",
            shape=mixture.shape[1:],
            n_scales=N_SCALES,
            n_orientations=N_ORIENTATIONS,
            products=arguments.products,
        )
        off = worker.ask("check", given)["difference"]
        print(
            f"pywph: {built['n_moments']} moments, filters in {built['seconds']:.1f} s, largest difference "
            f"from its own operator {off:.1e}, goal 1e-5: {verdict(off < 1e-5)}"
        )
        for name in arguments.peer:
            n_samples, options = (QUICK if arguments.quick else PEERS)[name]
            answer = worker.ask(name, given | {"samples": samples[:n_samples, 0]}, **options)
            peer = judged(answer)
            show(name, peer)
            losses = answer["losses"]
            fallen(name, losses)
            compared(ours, peer)
            last = losses if name == "direct" else losses[-1]
            count = len(losses) if name == "direct" else sum(map(len, losses))
            # of eras the losses are those of the last
            rows.append(
                row(
                    case,
                    name + ", products" * arguments.products,
                    peer,
                    n_samples,
                    build_s=built["seconds"],
                    n_gradients=count,
                    first_loss=last[0],
                    last_loss=last[-1],
                )
            )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=("A", "B"), default=["A", "B"])
    parser.add_argument("--peer", nargs="+", choices=tuple(PEERS), default=list(PEERS))
    parser.add_argument("--products", action="store_true", help="of the public script: slower")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two iterations of the peers")
    arguments = parser.parse_args()
    for case in arguments.cases:
        rows = compare(case, arguments)
        if not arguments.quick:
            name = f"separation_peers_{case}" + "_products" * arguments.products
            circumstances = {"threads": 1, "random_state": arguments.random_state}
            write_csv(RESULTS / f"{name}.csv", rows, **circumstances)


if __name__ == "__main__":
    main()
