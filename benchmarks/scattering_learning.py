"""What few maps teach: scattering features and a linear model beside classical features and a small CNN.

    python benchmarks/scattering_learning.py

The problems and methods of ``skastro compare scattering``, on maps of 64 x 64 pixels. Regression: how
intermittent a turbulent map is, its spectrum known to vary too (error: rms over the scatter of the truth, 1
for the mean). Classification: Gaussian, filaments or turbulence, all of the same histogram (by ranks) and of
varying spectra (error: fraction wrong). Learning curves in the number of training maps, on 400 test maps;
mean and scatter over draws of the training maps. One thread. In parts: `--problem` and `--sizes`; figures of
other parts stay in the CSV.
"""

import argparse
import csv
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from sklearn.base import clone  # noqa: E402

from skastro.scattering.comparison import PROBLEMS, default_estimators, map_error  # noqa: E402

N_PIXELS, N_TEST, N_POOL = 64, 400, 800
SIZES = (20, 50, 100, 200)
TABLE = RESULTS / "scattering_learning.csv"


def learn(problem, arguments):
    """Rows of a problem: an error for each method and number of maps."""
    make = PROBLEMS[problem]
    test, truth = make(N_TEST, N_PIXELS, random_state=9001)
    pool, target = make(N_POOL, N_PIXELS, random_state=9002)
    # features are those of each map alone: computed once for all draws
    tables = {}
    for name, method in default_estimators().items():
        if name == "CNN" and arguments.no_cnn:
            continue
        tables[name] = pool, test
        if name != "CNN":
            start = time.process_time()
            features = method[0].fit(pool)
            tables[name] = features.transform(pool), features.transform(test)
            milliseconds = 1e3 * (time.process_time() - start) / (len(pool) + len(test))
            n_features = tables[name][0].shape[1]
            print(f"{problem}: {name}: {n_features} features, {milliseconds:.1f} ms a map")
    rows = []
    for n in arguments.sizes:
        found, seconds = {}, {}
        for k in range(arguments.draws):
            drawn = np.random.default_rng([7, k]).permutation(len(pool))[:n]
            methods = default_estimators(random_state=k)
            for name in tables:
                method = methods[name]
                model = clone(method if name == "CNN" else method[1:])
                start = time.perf_counter()
                model.fit(tables[name][0][drawn], target[drawn])
                seconds.setdefault(name, []).append(time.perf_counter() - start)
                error = map_error(truth, model.predict(tables[name][1]))
                found.setdefault(name, []).append(error)
        for name, errors in found.items():
            rows.append(
                {"task": problem, "maps": n, "method": name, "error": float(np.mean(errors)),
                 "scatter": float(np.std(errors)), "draws": len(errors)}
            )  # fmt: skip
        shown = ", ".join(f"{k} {np.mean(v):.4f}" for k, v in found.items())
        print(f"{problem}, {n} maps: {shown}", flush=True)
        if "CNN" not in found:
            continue
        print(f"    CNN: {np.round(found['CNN'], 4)}, {np.mean(seconds['CNN']):.0f} s a fit")
        if n == 50:
            best = min(
                (k for k in found if k.startswith("scattering")), key=lambda k: sum(found[k])
            )
            ours, theirs = np.mean(found[best]), np.mean(found["CNN"])
            passed = verdict(ours < theirs)
            print(f"    50 maps: {best} {ours:.4f}, CNN {theirs:.4f}: {passed}", flush=True)
    return rows


def merged(rows):
    """The rows, and those of other parts that the CSV has."""
    new = {(row["task"], row["maps"], row["method"]) for row in rows}
    kept = []
    if TABLE.exists():
        with open(TABLE, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                row["maps"] = int(row["maps"])
                if (row["task"], row["maps"], row["method"]) not in new:
                    kept.append({key: row[key] for key in rows[0]})
    problems, methods = list(PROBLEMS), list(default_estimators())

    def place(row):
        return problems.index(row["task"]), row["maps"], methods.index(row["method"])

    return sorted(kept + rows, key=place)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3, help="of the training maps")
    parser.add_argument("--problem", choices=list(PROBLEMS), help="default: both")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of maps")
    parser.add_argument("--no-cnn", action="store_true", help="the linear models alone")
    arguments = parser.parse_args()
    for problem in PROBLEMS if arguments.problem is None else [arguments.problem]:
        rows = merged(learn(problem, arguments))
        write_csv(TABLE, rows, threads=int(os.environ["OMP_NUM_THREADS"]))


if __name__ == "__main__":
    main()
