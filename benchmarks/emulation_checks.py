"""scikit-learn's checks over the emulator, in both precisions, and over every baseline.

Run ``python benchmarks/emulation_checks.py``; writes benchmarks/results/emulation_checks.csv.
"""

import csv
import warnings
from pathlib import Path

from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import check_estimator

from skastro.emulation import (
    GaussianProcessEmulator,
    LinearInterpolationRegressor,
    ModelEmulator,
    NearestModelRegressor,
    PerOutputRegressor,
    RBFInterpolationRegressor,
    SplineInterpolationRegressor,
)

RESULTS = Path(__file__).parent / "results"
# name: estimator, failures allowed
CASES = {
    "ModelEmulator float64": (ModelEmulator(dtype="float64", random_state=0), 0),
    "ModelEmulator float64, no kriging": (
        ModelEmulator(dtype="float64", kriging=False, random_state=0),
        0,
    ),
    "ModelEmulator float32": (ModelEmulator(random_state=0), 2),
    "NearestModelRegressor": (NearestModelRegressor(), 0),
    "LinearInterpolationRegressor": (LinearInterpolationRegressor(), 0),
    "SplineInterpolationRegressor": (SplineInterpolationRegressor(), 0),
    "RBFInterpolationRegressor linear": (RBFInterpolationRegressor(kernel="linear"), 0),
    "RBFInterpolationRegressor cubic": (RBFInterpolationRegressor(kernel="cubic"), 0),
    "RBFInterpolationRegressor quintic": (RBFInterpolationRegressor(kernel="quintic"), 0),
    "GaussianProcessEmulator": (GaussianProcessEmulator(random_state=0), 0),
    "PerOutputRegressor": (PerOutputRegressor(Ridge()), 0),
}


def main():
    rows = []
    for name, (estimator, allowed) in CASES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(estimator, on_skip=None, on_fail=None)
        failed = [row["check_name"] for row in results if row["status"] == "failed"]
        skipped = sum(row["status"] == "skipped" for row in results)
        row = {
            "estimator": name,
            "checks": len(results),
            "passed": len(results) - len(failed) - skipped,
            "skipped": skipped,
            "failed": " ".join(failed),
            "allowed": allowed,
        }
        rows.append(row)
        verdict = "ok" if len(failed) <= allowed else "MISSED"
        print(
            f"{name:36s} {row['passed']:3d} of {len(results)} passed, {skipped} skipped, "
            f"{len(failed)} failed (at most {allowed})  {verdict}  {row['failed']}",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / "emulation_checks.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
