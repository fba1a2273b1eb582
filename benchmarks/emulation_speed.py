"""Predictions and derivatives of 5,000 outputs on one thread: ModelEmulator, nnbma, bare torch.

Run ``python benchmarks/emulation_speed.py``; writes benchmarks/results/emulation_speed.csv.

Both sides are trained on the same synthetic grid, nnbma (published size, best schedule) for the wall
time of ModelEmulator's fit, so that the last table can say at what error each speed is had. Timings
are taken in turns; a figure is the median of them, its minimum beside it. Ours returns linear
intensities, nnbma log10 of them: it is timed with and without the power of ten.

The Jacobian is compared with three forward passes, the strictest first: our own prediction of the same
outputs, the bare network of the same outputs, the bare network of all outputs. Its correctness is
checked in float64 against central differences of fourth order.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from peers import Worker
from records import RESULTS, verdict, write_csv
from threadpoolctl import threadpool_limits

from skastro.datasets import load_nebular_grid, make_pdr_like
from skastro.emulation import ModelEmulator
from skastro.metrics import error_factor_summary, format_error_factor

N_ROWS, N_CHOSEN = 1000, 20
# one row at a time is what a sampler asks for, again and again: the first calls of a turn, which find
# the caches full of the others' data, do not count
ROW_CALLS, ROW_WARM_UP = 80, 30


def fit_both(data, options, worker):
    """Our emulator, and nnbma trained for as long; the errors of both on the clean test models."""
    start = time.perf_counter()
    emulator = ModelEmulator(max_epochs=2 if options.quick else "auto", random_state=0)
    emulator.fit(data.data, data.target)
    seconds = time.perf_counter() - start
    train = {"X": data.data, "log_Y": np.log10(data.target)}
    trained = worker.ask("train", train, schedule="best", seed=0, seconds=seconds)
    log_Y = worker.ask("predict", {"X": data.data_test})["arrays"]["log_Y"]
    ours = error_factor_summary(data.target_test, emulator.predict(data.data_test))
    peer = error_factor_summary(data.target_test, 10.0**log_Y)
    print(f"fit: ours {seconds:.1f} s, {emulator.n_iter_} epochs ({emulator.design_})")
    print(f"     nnbma {trained['fit_s']:.1f} s, {trained['epochs']} epochs")
    return emulator, ours, peer


def bare_passes(emulator, X, chosen):
    """Forward passes of the network alone, as torch runs them, to linear intensities."""
    module = emulator.net_.module_
    x = torch.from_numpy(emulator.scales_.inputs(X))
    weight, bias = module.head.expand.weight, module.head.expand.bias
    some_weight, some_bias = weight[chosen].detach(), bias[chosen].detach()

    def all_outputs(x=x):
        with torch.inference_mode():
            return torch.exp(module(x))

    def some_outputs():
        with torch.inference_mode():
            h = module.body(module.expansion(x))
            return torch.exp(torch.nn.functional.linear(h, some_weight, some_bias))

    one = x[:1].clone()
    return {
        "bare, all": all_outputs,
        "bare, some": some_outputs,
        "bare, row": lambda: all_outputs(one),
    }


def time_in_turns(ours, worker, peer_actions, repeats):
    """Seconds of each action, (repeats,) or more; all actions once a turn."""
    calls = {name: ROW_CALLS if "row" in name else 1 for name in (*ours, *peer_actions)}
    seconds = {name: [] for name in calls}
    for turn in range(repeats + 2):
        for name in calls:
            if name in ours:
                found = [_seconds(ours[name]) for _ in range(calls[name])]
            else:
                action = name.removeprefix("nnbma, ")
                found = worker.ask("time", action=action, calls=calls[name])["seconds"]
            if turn >= 2:  # the first turns fill caches
                seconds[name] += found[ROW_WARM_UP:] if "row" in name else found
    return seconds


def _seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def jacobian_error(emulator, X, step=5e-4):
    """Largest relative difference between the Jacobian and central differences.

    Relative to the entry, or to 1e-3 of the typical entry of its output and input where it is
    smaller than that: a derivative crosses zero.
    """
    exact = emulator.jacobian(X)
    scale = np.sqrt(np.square(exact).mean(axis=0))
    worst = 0.0
    for j, width in enumerate(step * X.std(axis=0)):

        def at(times, j=j, width=width):
            moved = X.copy()
            moved[:, j] += times * width
            return emulator.predict(moved)

        slope = (8.0 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12.0 * width)
        size = np.maximum(np.abs(exact[:, :, j]), 1e-3 * scale[:, j])
        worst = max(worst, float((np.abs(exact[:, :, j] - slope) / size).max()))
    return worst


def jacobian_errors(quick):
    """The check on both kinds of emulators: a network, and networks with kriging."""
    rng = np.random.default_rng(0)
    common = {"dtype": "float64", "on_extrapolation": "ignore", "random_state": 0}
    pdr = make_pdr_like(3645, N_CHOSEN, anomaly_fraction=0.0, n_test=200)
    network = ModelEmulator(max_epochs=2 if quick else 20, **common)
    # the predictions of float32 targets are float32
    network.fit(pdr.data, pdr.target.astype(np.float64))
    grid = load_nebular_grid()
    few = rng.permutation(len(grid.data))[:400]
    Y, mask = grid.target[few, :N_CHOSEN], grid.mask[few, :N_CHOSEN]
    kriging = ModelEmulator(max_epochs=2 if quick else 100, n_members=2, **common)
    kriging.fit(grid.data[few], Y, mask=mask)
    low, high = grid.data.min(axis=0), grid.data.max(axis=0)
    return {
        "network": jacobian_error(network, pdr.data_test),
        "kriging": jacobian_error(kriging, rng.uniform(low, high, (200, len(low)))),
    }


class Table:
    """Quantities with their targets, printed as they come and kept for the CSV."""

    def __init__(self):
        self.rows = []

    def add(self, quantity, value, unit="", target=None, least=False, minimum=""):
        passed = None if target is None else (value >= target if least else value <= target)
        wanted = "" if target is None else f"{'>=' if least else '<='} {target:g}"
        result = "" if passed is None else verdict(passed)
        shown = f"{minimum:10.4g}" if minimum != "" else " " * 10
        print(f"{quantity:66s} {value:10.4g} {shown} {unit:5s} {wanted:>8s} {result}")
        self.rows.append(
            {"quantity": quantity, "value": float(value), "minimum": minimum, "unit": unit,
             "target": wanted, "result": result}
        )  # fmt: skip

    def ratio(self, quantity, seconds, above, below, target, least=False):
        a, b = (np.array(seconds[name]) for name in (above, below))
        self.add(quantity, np.median(a) / np.median(b), "x", target, least, a.min() / b.min())


def report(seconds, ours, peer, n_outputs):
    table = Table()
    print(f"\n{'':66s} {'median':>10s} {'minimum':>10s}")
    for name, found in seconds.items():
        unit, factor = ("us", 1e6) if "row" in name else ("ms", 1e3)
        table.add(name, factor * np.median(found), unit, minimum=factor * min(found))
    size = f"1,000 rows x {n_outputs:,}"
    table.ratio(f"{size}: nnbma / ours", seconds, "nnbma, all, linear", "ours, all", 8, True)
    table.ratio(
        f"{size}: nnbma without power of ten / ours", seconds, "nnbma, all", "ours, all", 8, True
    )
    error = ours["mean"] / peer["mean"]
    texts = [format_error_factor(found["mean"]) for found in (ours, peer)]
    table.add(f"mean error: ours / nnbma ({texts[0]} / {texts[1]})", error, "x", 1.0)
    texts = [format_error_factor(found["median"]) for found in (ours, peer)]
    table.add(
        f"median error: ours / nnbma ({texts[0]} / {texts[1]})",
        ours["median"] / peer["median"],
        "x",
    )
    table.ratio("20 outputs: all / 20, ours", seconds, "ours, all", "ours, some", 1, True)
    table.ratio("20 outputs: nnbma / ours", seconds, "nnbma, some, linear", "ours, some", 1, True)
    over = [1e6 * (f(seconds["ours, row"]) - f(seconds["bare, row"])) for f in (np.median, min)]
    table.add("one row: over a bare forward pass", over[0], "us", 200, minimum=over[1])
    for name, what in (
        ("ours, some", "our prediction of the same 20"),
        ("bare, some", "a bare forward pass of the same 20"),
        ("bare, all", "a bare forward pass of all"),
    ):
        quantity = f"Jacobian of 20 outputs / {what}"
        table.ratio(quantity, seconds, "ours, jacobian", name, 10)
    table.ratio(
        "Jacobian of 20 outputs: nnbma / ours", seconds, "nnbma, jacobian", "ours, jacobian", None
    )
    return table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--outputs", type=int, default=5000, metavar="N")
    parser.add_argument("--models", type=int, default=19208, metavar="N")
    parser.add_argument("--repeats", type=int, default=30, metavar="N", help="turns of the timings")
    parser.add_argument(
        "--quick", action="store_true", help="two epochs on 3,645 models: errors mean nothing"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n_models = 3645 if options.quick else options.models
    with threadpool_limits(1), Worker("nnbma_worker.py", "nnbma", threads=1) as worker:
        data = make_pdr_like(n_models, options.outputs, anomaly_fraction=0.0)
        emulator, ours, peer = fit_both(data, options, worker)
        X = np.ascontiguousarray(data.data_test[:N_ROWS])
        chosen = np.linspace(0, options.outputs - 1, N_CHOSEN).astype(int)
        worker.ask("prepare", {"X": X, "outputs": chosen})
        one, outputs = X[:1], chosen.tolist()
        actions = {
            "ours, all": lambda: emulator.predict(X),
            "ours, some": lambda: emulator.predict(X, outputs),
            "ours, row": lambda: emulator.predict(one),
            "ours, jacobian": lambda: emulator.jacobian(X, outputs),
            **bare_passes(emulator, X, chosen),
        }
        peer_actions = ("all", "all, linear", "some, linear", "row, linear", "jacobian")
        peer_actions = [f"nnbma, {action}" for action in peer_actions]
        seconds = time_in_turns(actions, worker, peer_actions, options.repeats)
        table = report(seconds, ours, peer, options.outputs)
        for kind, error in jacobian_errors(options.quick).items():
            table.add(f"Jacobian, {kind}, float64: relative error", error, "", 1e-5)
    write_csv(options.output / "emulation_speed.csv", table.rows, threads=1, quick=options.quick)


if __name__ == "__main__":
    main()
