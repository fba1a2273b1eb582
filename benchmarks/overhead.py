"""What the estimator costs over bare torch: training, prediction, a single row. One thread.

Run ``python benchmarks/overhead.py``; writes benchmarks/results/overhead.csv.
"""

import argparse
import csv
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from skastro.emulation import ModelEmulator

RESULTS = Path(__file__).parent / "results"
N_ROWS, N_FEATURES, N_OUTPUTS, HIDDEN, BATCH = 20_000, 4, 100, (64, 64), 512


def plain_network():
    sizes = (N_FEATURES, *HIDDEN)
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [torch.nn.Linear(a, b), torch.nn.GELU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN[-1], N_OUTPUTS))


def plain_loop(x, y, epochs):
    """The least that a training can be: preloaded tensors, shuffled batches, one optimiser."""
    torch.manual_seed(0)
    network = plain_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = (network(x[rows]) - y[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def best_of(function, n):
    return min(timed(function) for _ in range(n))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    Y = np.tanh(X @ rng.normal(size=(N_FEATURES, N_OUTPUTS))).astype(np.float32)
    x, y = torch.from_numpy(X.astype(np.float32)), torch.from_numpy(Y)
    emulator = ModelEmulator(
        architecture="plain",
        hidden=HIDDEN,
        polynomial_degree=1,
        output_rank=None,
        log_targets=None,
        kriging=False,
        n_members=1,
        loss="squared",
        schedule="constant",
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=options.epochs,
        random_state=0,
    ).fit(X, Y)

    def epochs_of_emulator():
        # the time of the epochs alone: scaling the data and building the net come once a fit
        emulator.fit(X, Y)
        return sum(row["dur"] for row in emulator.history_)

    plain, whole, ours = [], [], []
    for _ in range(options.repeats):  # in turns, so that a drifting machine slows both
        plain.append(timed(lambda: plain_loop(x, y, options.epochs)))
        start = time.perf_counter()
        ours.append(epochs_of_emulator())
        whole.append(time.perf_counter() - start)
    train_ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    fit_ratio = statistics.median(a / b for a, b in zip(whole, plain, strict=True))

    module = emulator.net_.module_
    with torch.inference_mode():
        forward = best_of(lambda: module(x), 3 * options.repeats)
    predict = best_of(lambda: emulator.predict(X), 3 * options.repeats)
    one = X[:1]
    one_tensor = x[:1]
    with torch.inference_mode():
        bare = best_of(lambda: module(one_tensor), 500)
    row = best_of(lambda: emulator.predict(one), 500)
    rows = [
        ("train: epochs / plain loop", train_ratio, 1.3),
        ("train: whole fit / plain loop", fit_ratio, 1.3),
        ("predict 20,000 rows / bare forward pass", predict / forward, 1.5),
        ("one row: microseconds over a bare forward pass", 1e6 * (row - bare), 200.0),
    ]
    print(f"{'':50s} {'measured':>9s} {'target':>7s}")
    for name, value, target in rows:
        print(f"{name:50s} {value:9.2f} {target:7.1f}  {'ok' if value <= target else 'MISSED'}")
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / "overhead.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["quantity", "measured", "target"])
        writer.writerows((name, f"{value:.3f}", target) for name, value, target in rows)


if __name__ == "__main__":
    main()
