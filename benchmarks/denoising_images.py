"""Denoisers of images side by side on four noises: errors against the image and against its noiseless mean.

    python benchmarks/denoising_images.py

Rotated images of `make_galactic_center`, divided by their own maximum: 8,192 to train on, 1,024 to test, of
seeds that nothing was chosen on. The target keeps its own Poisson noise; the noiseless image is the blurred
model divided by the same maximum, which no method was trained on. Mean squared errors; seconds of one thread.
"""

import argparse
import csv
import os
import time

import numpy as np

THREADS = "OMP_NUM_THREADS"
os.environ.setdefault(THREADS, "1")

from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro.datasets import make_galactic_center  # noqa: E402
from skastro.denoising import (  # noqa: E402
    GaussianImageFilter,
    ImageDenoiser,
    MedianImageFilter,
    NormalizedConvolution,
    PCAImageDenoiser,
    TotalVariationFilter,
    corrupt_images,
)

NOISES = ["gaussian", "poisson", "mask", "salt_and_pepper"]
GOALS = {"gaussian": 1.25e-3, "poisson": 1.40e-3, "mask": 6.0e-4, "salt_and_pepper": 6.5e-4}
TRAIN_SEED, TEST_SEED = 3101, 3102
MIXED = "ImageDenoiser, all four noises"
COLUMNS = ("error", "error_noiseless", "fit_seconds", "transform_ms")
FILTERS = {
    "Gaussian filter": GaussianImageFilter,
    "median filter": MedianImageFilter,
    "total variation": TotalVariationFilter,
    "normalised convolution": NormalizedConvolution,
}
# The images come normalised, and with them the definitions of the noises.
SAME = {"normalization": None, "clip": (0.0, 1.0), "random_state": 0}


def make_images(n, seed):
    """Images over their maximum, and the noiseless ones over the same."""
    sky = make_galactic_center(n, rotated=True, random_state=seed)
    highest = sky.images.max(axis=(1, 2), keepdims=True)
    return sky.images / highest, sky.blurred / highest


def networks(quick, epochs):
    """Estimators by name, without their noise."""
    short = {"max_epochs": 1} if quick else {"max_epochs": epochs}
    network = {"augmentation": "dihedral", **short, **SAME}
    return {
        "published autoencoder": ImageDenoiser(
            architecture="autoencoder", **{**network, "max_epochs": 1 if quick else 20, "lr": 1e-3}
        ),
        "ImageDenoiser": ImageDenoiser(**network),
    }


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


class Table:
    """Rows of the benchmark, printed as they come."""

    def __init__(self, images, noiseless):
        self.images, self.noiseless, self.rows = images, noiseless, []
        self.noisy = {
            noise: corrupt_images(images, noise, clip=(0.0, 1.0), random_state=TEST_SEED + i)
            for i, noise in enumerate(NOISES)
        }
        print(
            f"{'method':34s} {'noise':16s} {'image':>9s} {'noiseless':>9s} {'fit s':>8s} {'ms/image':>8s}"
        )

    def add(self, method, noise, model=None, fit_seconds=0.0):
        noisy = self.noisy[noise]
        estimate, seconds = (noisy, 0.0) if model is None else timed(model.transform, noisy)
        row = {
            "method": method,
            "noise": noise,
            "error": float(np.mean((estimate - self.images) ** 2)),
            "error_noiseless": float(np.mean((estimate - self.noiseless) ** 2)),
            "fit_seconds": float(fit_seconds),
            "transform_ms": 1e3 * seconds / len(noisy),
        }
        self.rows.append(row)
        print(
            f"{method:34s} {noise:16s} {row['error']:9.6f} {row['error_noiseless']:9.6f} "
            f"{row['fit_seconds']:8.1f} {row['transform_ms']:8.2f}",
            flush=True,
        )

    def recall(self, path):
        """Rows of an earlier run of the methods that are not run again."""
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["method"] != MIXED:
                    kept = {key: row[key] for key in ("method", "noise")}
                    kept |= {key: float(row[key]) for key in COLUMNS}
                    self.rows.append(kept)

    def get(self, method, noise, column="error"):
        return next(
            row[column] for row in self.rows if (row["method"], row["noise"]) == (method, noise)
        )


def fill(table, clean, quick, epochs):
    """Everything but the network for all noises."""
    for noise in NOISES:
        table.add("input", noise)
    for noise in NOISES:
        for n_components in (6, 100):
            model = PCAImageDenoiser(n_components, noise=noise, **SAME)
            _, seconds = timed(model.fit, clean)
            table.add(f"PCA, {n_components} components", noise, model, seconds)
        for name, kind in FILTERS.items():
            _, seconds = timed((model := kind(noise=noise, **SAME)).fit, clean)
            table.add(name, noise, model, seconds)
        for name, model in networks(quick, epochs).items():
            _, seconds = timed(model.set_params(noise=noise).fit, clean)
            table.add(name, noise, model, seconds)
            if name == "ImageDenoiser":
                model.set_params(average_turns=True)
                table.add("ImageDenoiser, average of turns", noise, model, seconds)


def fill_mixed(table, clean, quick, epochs):
    """The network for all noises."""
    # each noise gets a quarter of the images: as many passes as the others together
    model = networks(quick, len(NOISES) * epochs)["ImageDenoiser"].set_params(noise=NOISES)
    _, seconds = timed(model.fit, clean)
    for noise in NOISES:
        table.add(MIXED, noise, model, seconds)


def judge(table):
    print("\nImageDenoiser against its goals")
    passed = []
    classical = ("input", "PCA, 6 components", "PCA, 100 components", *FILTERS)
    for noise in NOISES:
        own, goal = table.get("ImageDenoiser", noise), GOALS[noise]
        best = min(table.get(name, noise) for name in classical)
        published = table.get("published autoencoder", noise)
        mixed = table.get(MIXED, noise) / own - 1
        ratio = table.get("ImageDenoiser", noise, "error_noiseless") / table.get(
            "published autoencoder", noise, "error_noiseless"
        )
        checks = {
            f"{own:.6f} <= {goal:.6f}": own <= goal,
            f"below every classical method ({best:.6f})": own < best,
            f"below the autoencoder ({published:.6f})": own < published,
            f"one network for all within 5 %: {100 * mixed:+.1f} %": mixed <= 0.05,
            f"noiseless, half of the autoencoder's: {ratio:.2f}": ratio <= 0.5,
        }
        for text, ok in checks.items():
            print(f"  {noise:16s} {text:50s} {verdict(ok)}")
        passed += checks.values()
    print(f"{sum(passed)} of {len(passed)}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few images, one epoch")
    parser.add_argument(
        "--only-mixed", action="store_true", help="the other rows stay as they were in the output"
    )
    parser.add_argument("--epochs", type=int, default=8, help="of each ImageDenoiser")
    parser.add_argument("--output", default=RESULTS / "denoising_images.csv")
    options = parser.parse_args()
    n_train, n_test = (256, 64) if options.quick else (8192, 1024)
    clean, _ = make_images(n_train, TRAIN_SEED)
    table = Table(*make_images(n_test, TEST_SEED))
    if options.only_mixed:
        table.recall(options.output)
    else:
        fill(table, clean, options.quick, options.epochs)
    fill_mixed(table, clean, options.quick, options.epochs)
    judge(table)
    if not options.quick:
        write_csv(options.output, table.rows, threads=os.environ[THREADS])


if __name__ == "__main__":
    main()
