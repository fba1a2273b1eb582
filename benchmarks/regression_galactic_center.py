"""Parameters of a toy gamma-ray sky: `ParamRegressor` beside every baseline, on the same images.

    python benchmarks/regression_galactic_center.py --random-state 100

8,192 images to train on and 1,024 to choose the epoch and to calibrate with (for the methods that hold none
out, those are more to train on), 4,096 to test on, all fresh. One network for the six parameters and the
total number of sources. Printed for the factor of dark matter and the numbers of all sources, of the disk's
and of the bulge's: the mean absolute error of the median over the upper bound, R2, the CRPS in the same unit,
the coverage of central intervals, and how flat the PIT is (the p-value is that of 1,024 images). Then the
seconds of training on two threads, and the images a second predicted on one. ``--members 3`` adds an
ensemble, ``--plain`` plain convolutional networks as the students had them, for all parameters and for dark
matter alone, with the epochs of the reference (their layers are not public: these cost as much an epoch);
with ``--alone`` nothing else is trained, and the table goes to a file of its own.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from sklearn.metrics import r2_score  # noqa: E402

from skastro.calibration_metrics import interval_coverage, pit_summary  # noqa: E402
from skastro.datasets import galactic_center_templates, make_galactic_center  # noqa: E402
from skastro.distribution_metrics import crps  # noqa: E402
from skastro.regression import ParamRegressor, PlainCNN, PointHead  # noqa: E402
from skastro.regression.baselines import default_baselines  # noqa: E402

NAMES = ("A_dm", "n_total", "n_disk", "n_gc")
UPPER = np.array([1.0, 4800.0, 4000.0, 800.0])
BOUNDS = np.array([(0, 1), (1200, 4799), (1000, 3999), (200, 799), (0, 1), (0, 1), (0, 1)], float)
GOAL = np.array([0.080, 0.030, 0.035, 0.108])
STUDENTS = np.array([0.0807, 0.0354, 0.0453, 0.1364])
PLAIN, PLAIN_ALONE = "plain CNN", "plain CNN, dark matter alone"
# as the reference trained the published networks
PLAIN_EPOCHS = {PLAIN: 7, PLAIN_ALONE: 9}
LEVELS = (0.5, 0.68, 0.9, 0.95)


def load(n_images, seed):
    """Images, and the four targets of the table before the other three parameters."""
    sky = make_galactic_center(n_images, random_state=seed)
    inverse_compton, gas, bubbles, dark, bulge, disk = sky.params.T
    return sky.images, np.stack([dark, bulge + disk, disk, bulge, inverse_compton, gas, bubbles], 1)


def figures(y, distribution):
    """One row a target of the table."""
    names = NAMES[: y.shape[1]]
    upper = UPPER[: len(names)]
    error = np.abs(distribution.median() - y)[:, : len(names)].mean(0) / upper
    r2 = r2_score(y, distribution.median(), multioutput="raw_values")
    score = crps(y, distribution, multioutput="raw_values")[: len(names)] / upper
    inside = interval_coverage(y, distribution, LEVELS, multioutput="raw_values")
    # a p-value belongs to a number of images: with more, it finds smaller distances
    distance = pit_summary(y, distribution).ks
    flat = pit_summary(y[:1024], distribution[:1024]).ks_p_value
    return [
        {
            "target": name, "mae": float(error[i]), "r2": float(r2[i]), "crps": float(score[i]),
            "pit_ks": float(distance[i]), "ks_p_value": float(flat[i]),
            **{f"coverage_{int(100 * level)}": float(inside[j, i]) for j, level in enumerate(LEVELS)},
        }
        for i, name in enumerate(names)
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=None, help="of the default network")
    parser.add_argument("--members", type=int, default=0, help="of an ensemble beside it")
    parser.add_argument("--plain", action="store_true", help="also plain CNNs, max-normalised")
    parser.add_argument("--alone", action="store_true", help="only those two, in another file")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    n_train, n_held, n_test = (512, 128, 128) if args.quick else (8192, 1024, 4096)
    train, held, test = (
        load(n, args.random_state + i) for i, n in enumerate((n_train, n_held, n_test))
    )
    X, y = (np.concatenate(parts) for parts in zip(train, held, strict=True))
    epochs = {"max_epochs": 2} if args.quick else {}
    if args.epochs:
        epochs = {"max_epochs": args.epochs}
    common = {
        "target_bounds": BOUNDS, "augment": "flips", "validation_fraction": n_held / len(X),
        "recalibrate": "isotonic", "random_state": args.random_state, **epochs,
    }  # fmt: skip
    methods = [] if args.alone else [("ParamRegressor", ParamRegressor(**common))]
    if args.members:
        name = f"ParamRegressor, {args.members} members"
        methods.append((name, ParamRegressor(n_members=args.members, **common)))
    if args.plain:
        # no normalisation inside: higher rates can end at the mean
        old = common | {"recalibrate": None, "scaling": "max", "augment": None, "lr": 1e-3}
        for name, epochs in PLAIN_EPOCHS.items():
            bounds = BOUNDS[:1] if name == PLAIN_ALONE else BOUNDS
            own = {"target_bounds": bounds, "max_epochs": 2 if args.quick else epochs}
            network = PlainCNN(widths=(16, 32, 64))
            methods.append((name, ParamRegressor(network, head=PointHead(), **old | own)))
    if not (args.no_baselines or args.alone):
        methods += default_baselines(
            templates=galactic_center_templates(), quick=args.quick, random_state=args.random_state
        )
    rows = []
    for name, method in methods:
        n_targets = 1 if name == PLAIN_ALONE else y.shape[1]
        start = time.perf_counter()
        method.fit(X, y[:, :n_targets])
        fit_s = time.perf_counter() - start
        distribution = method.predict_distribution(test[0])
        found = figures(test[1][:, :n_targets], distribution)
        speed, plain_speed = np.nan, np.nan
        if isinstance(method, ParamRegressor):
            speed, plain_speed = (
                images_per_second(method, test[0], turned) for turned in (True, False)
            )
        print(f"{name}: fit {fit_s:.0f} s, {plain_speed:.0f} images/s ({speed:.0f} with all turns)")
        for row in found:
            shown = "  ".join(
                f"{key} {value:.4f}" for key, value in row.items() if not isinstance(value, str)
            )
            print(f"  {row['target']:8s} {shown}", flush=True)
        rows += [
            {
                "method": name,
                **row,
                "fit_s": fit_s,
                "images_per_s": plain_speed,
                "images_per_s_turned": speed,
            }
            for row in found
        ]
    if not args.alone:
        judge(rows)
    if not args.quick:
        name = "regression_galactic_center" + ("_networks" if args.alone else "")
        write_csv(
            RESULTS / f"{name}.csv", rows, threads=torch.get_num_threads(),
            random_state=args.random_state, n_train=n_train,
        )  # fmt: skip


def images_per_second(method, images, turned):
    """Of point predictions on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    method.set_params(test_time_augmentation=turned)
    images, best = images[:1024], np.inf
    for _ in range(3):
        start = time.perf_counter()
        method.predict(images, point="median")
        best = min(best, time.perf_counter() - start)
    torch.set_num_threads(threads)
    method.set_params(test_time_augmentation=True)
    return len(images) / best


def judge(rows):
    ours = [row for row in rows if row["method"] == "ParamRegressor"]
    others = [row for row in rows if not row["method"].startswith("ParamRegressor")]
    print("\nDefault network              " + "  ".join(f"{name:>8s}" for name in NAMES))
    for label, key, bars in (
        ("error, goal", "mae", GOAL),
        ("error, students", "mae", STUDENTS),
        (
            "error, best baseline", "mae",
            [min((r["mae"] for r in others if r["target"] == name), default=np.nan) for name in NAMES],
        ),
        # of a Gaussian, the CRPS is 1/sqrt(2) of the mean absolute error
        ("CRPS, error / sqrt(2)", "crps", [row["mae"] / np.sqrt(2) for row in ours]),
    ):  # fmt: skip
        cells = [
            f"{row[key]:.4f}/{bar:.4f} {verdict(row[key] <= bar)}"
            for row, bar in zip(ours, bars, strict=True)
        ]
        print(f"{label:24s} " + "  ".join(cells))
    for level in LEVELS:
        values = [row[f"coverage_{int(100 * level)}"] for row in ours]
        cells = [f"{value:.3f} {verdict(abs(value - level) <= 0.03)}" for value in values]
        print(f"coverage of {level:.2f}        " + "  ".join(cells))
    cells = [f"{row['ks_p_value']:.3f} {verdict(row['ks_p_value'] > 0.01)}" for row in ours]
    print("PIT flat, p of KS        " + "  ".join(cells))
    fit_s, speed = ours[0]["fit_s"], ours[0]["images_per_s"]
    print(f"training within 600 s: {fit_s:.0f} s {verdict(fit_s < 600)}")
    print(f"1,000 images/s on one thread: {speed:.0f} {verdict(speed >= 1000)}")


if __name__ == "__main__":
    main()
