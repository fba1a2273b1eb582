"""Wrong models planted in a grid with sharp but true features: which are found, what else is flagged.

Run ``python benchmarks/emulation_anomalies.py``; writes benchmarks/results/emulation_anomalies.csv.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from skastro.datasets import make_pdr_like
from skastro.emulation import ModelEmulator

RESULTS = Path(__file__).parent / "results"
FACTOR_2 = np.log10(2.0)
KINDS = {1: "neighbouring branch", 2: "failed model", 3: "single line"}


def measure(n_outputs, fraction, seed, n_models):
    data = make_pdr_like(n_models, n_outputs, fraction, n_test=0, random_state=seed)
    start = time.perf_counter()
    report = ModelEmulator(random_state=seed).find_anomalies(data.data, data.target)
    seconds = time.perf_counter() - start
    planted, found = data.anomaly_mask, report.mask
    large = np.abs(data.anomaly_dex) > FACTOR_2
    large_found = found & (np.abs(report.residual) > FACTOR_2)
    sharp = data.sharp_mask & ~planted
    row = {
        "n_outputs": n_outputs,
        "anomaly_fraction": fraction,
        "random_state": seed,
        "seconds": seconds,
        "flagged": found.mean(),
        "precision": (found & planted).sum() / max(1, found.sum()),
        "precision_factor_2": (large_found & planted).sum() / max(1, large_found.sum()),
        "recall_factor_2": (found & large).sum() / large.sum(),
        "recall_all": (found & planted).sum() / planted.sum(),
        "sharp_flagged": (found & sharp).sum() / sharp.sum(),
    }
    for number, name in KINDS.items():
        kind = large & (data.anomaly_kind == number)
        row[f"recall_{name.replace(' ', '_')}"] = (found & kind).sum() / max(1, kind.sum())
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the models")
    options = parser.parse_args()
    n_models = 2000 if options.quick else 19208
    rows = [
        measure(n_outputs, fraction, seed, n_models)
        for n_outputs, fraction, seed in ((1000, 0.05, 0), (200, 0.05, 1), (200, 0.009, 2))
    ]
    targets = {
        "precision_factor_2": (0.95, np.greater_equal),
        "recall_factor_2": (0.95, np.greater_equal),
        "sharp_flagged": (0.01, np.less_equal),
    }
    for key in rows[0]:
        line = f"{key:30s}" + "".join(f"{row[key]:>12.4g}" for row in rows)
        if key in targets:
            bound, holds = targets[key]
            good = all(holds(row[key], bound) for row in rows)
            line += f"   target {bound:g}  {'ok' if good else 'MISSED'}"
        print(line)
    RESULTS.mkdir(exist_ok=True)
    name = "emulation_anomalies_quick.csv" if options.quick else "emulation_anomalies.csv"
    with open(RESULTS / name, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in rows)


if __name__ == "__main__":
    main()
