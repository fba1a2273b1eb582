"""Quality on held-out models, side by side in one run: baselines, nnbma and ModelEmulator.

Run ``python benchmarks/emulation_accuracy.py``; writes benchmarks/results/emulation_accuracy.csv.

nebular     the bundled Cloudy grid, split as `skastro compare emulation` splits it;
pdr masked  make_pdr_like with 5 % of anomalies, everyone is told which entries they are;
pdr raw     the same, nobody is told. ModelEmulator looks for them (``anomalies="remove"``), the others
            take the data as they are; nnbma with RAW_LOSS.

The synthetic test models are clean. nnbma trains on the same rows for the wall time of ModelEmulator's
fit in this run, in the two schedules of nnbma_worker.py.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from peers import Worker
from records import RESULTS, verdict, write_csv
from threadpoolctl import threadpool_limits

from skastro.compare import Comparison, compare
from skastro.datasets import load_nebular_grid, make_pdr_like
from skastro.emulation import ModelEmulator
from skastro.emulation.baselines import RBFInterpolationRegressor
from skastro.emulation.comparison import TASK
from skastro.metrics import error_factor_summary, format_error_factor

OURS = "ModelEmulator"
SCHEDULES = {"nnbma, as in its notebooks": "notebook", "nnbma, best schedule": "best"}
RATIO = 2 / 3
NEIGHBORS = 64
# the better of its losses: on 100 outputs of the raw data, 120 s on one thread, Cauchy 8.1 %, MSE 9.7 %
RAW_LOSS = "cauchy"


def available_memory():
    """Bytes that a new process may take, infinity where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("inf")
    return next(1024.0 * int(x.split()[1]) for x in lines if x.startswith("MemAvailable"))


def methods_for(n_models, anomalies, quick, seed, exact_gp=False):
    """The methods of the comparison, as far as the size of the grid allows."""
    methods = TASK.estimators(random_state=seed, quick=quick)
    if n_models > 3000:
        for name in ("RBF linear", "RBF cubic"):
            kernel = name.split()[1]
            methods[name] = RBFInterpolationRegressor(kernel=kernel, neighbors=NEIGHBORS)
        # a leaf holds all outputs: 100 trees of 1,000 outputs would take 20 GB
        methods["random forest"].set_params(regressor__n_estimators=10)
        # with neighbours on a grid the quintic is not determined
        del methods["RBF quintic"]
        # measured: five matrices at the peak
        if not exact_gp or 6 * 8 * n_models**2 > available_memory():
            del methods["Gaussian process"]
            print(f"no Gaussian process of {n_models:,} models (--exact-gp, and 18 GB of memory)")
    methods[OURS] = ModelEmulator(
        anomalies=anomalies, max_epochs=3 if quick else "auto", random_state=seed
    )
    return methods


def run_nnbma(comparison, schedule, loss, threads, seed):
    """A row as those of the comparison, and a note on the training."""
    split = comparison.split
    seconds = next(row["fit_s"] for row in comparison.rows if row["method"] == OURS)
    train = {
        "X": np.asarray(split.X_train),
        "log_Y": np.log10(np.asarray(split.Y_train, np.float64)),
    }
    X_test = np.asarray(split.X_test)
    with Worker("nnbma_worker.py", "nnbma", threads) as worker:
        trained = worker.ask(
            "train", train, schedule=schedule, seed=seed, seconds=seconds, loss=loss
        )
        log_Y = worker.ask("predict", {"X": X_test})["arrays"]["log_Y"]
        X = X_test[np.arange(1000) % len(X_test)]
        worker.ask("prepare", {"X": X, "outputs": np.array([0])})
        took = worker.ask("time", action="all, linear", calls=10)["seconds"]
    row = error_factor_summary(np.asarray(split.Y_test), 10.0**log_Y)
    row |= {"fit_s": trained["fit_s"], "predict_ms_per_1000": 1e3 * min(took)}
    row |= {"size_mb": trained["size_mb"], "error": ""}
    note = f"{trained['epochs']} epochs in {trained['fit_s']:.1f} s ({OURS}: {seconds:.1f} s)"
    return row, f"{note}, {loss} loss"


def run(title, data, anomalies, loss, options):
    """Every method on one data set; prints the table and returns its rows."""
    print(f"\n== {title}")
    n_models = len(data["data"])
    methods = methods_for(
        n_models, anomalies, options.quick, options.random_state, options.exact_gp
    )
    comparison = compare(
        methods, data, random_state=options.random_state, progress=sys.stderr.isatty()
    )
    rows, notes = list(comparison.rows), dict(comparison.notes)
    for name, schedule in SCHEDULES.items():
        row, note = run_nnbma(comparison, schedule, loss, options.threads, options.random_state)
        rows.insert(-1, {"method": name, **row})
        notes[name] = [note]
    print(Comparison(rows, {}, comparison.split, comparison.task, notes))
    mean = {row["method"]: row["mean"] for row in rows if not row["error"]}
    ours = mean.pop(OURS)
    peer = min(mean.pop(name) for name in SCHEDULES)
    nearest = min(mean, key=mean.get)
    ratio = ours / peer
    print(f"{OURS} / the better nnbma: {ratio:.3f} (target {RATIO:.3f}): {verdict(ratio <= RATIO)}")
    print(
        f"{OURS} below every baseline: {ours < mean[nearest]} (best: {nearest}, "
        f"{format_error_factor(mean[nearest])}): {verdict(ours < mean[nearest])}"
    )
    return [
        {
            "data": title,
            **row,
            "ours_over_this": ours / row["mean"],
            "note": "; ".join(notes.get(row["method"], [])),
        }
        for row in rows
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=["nebular", "pdr", "both"], default="both")
    parser.add_argument("--quick", action="store_true", help="to see that all runs")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument(
        "--exact-gp",
        action="store_true",
        help="the Gaussian process on the 19,208 models too: four minutes and 15 GB each time",
    )
    parser.add_argument("--random-state", type=int, default=0, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    with threadpool_limits(options.threads):
        if options.data != "pdr":
            rows += run("nebular", load_nebular_grid(), None, "mse", options)
        if options.data != "nebular":
            size = (3645, 64) if options.quick else (19208, 1000)
            pdr = make_pdr_like(*size, anomaly_fraction=0.05, random_state=options.random_state)
            masked = {**pdr, "mask": ~pdr.anomaly_mask}
            rows += run("pdr masked", masked, None, "mse", options)
            rows += run("pdr raw", pdr, "remove", RAW_LOSS, options)
    write_csv(
        options.output / "emulation_accuracy.csv",
        rows,
        threads=options.threads,
        random_state=options.random_state,
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
