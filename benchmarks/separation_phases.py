"""Phases of atomic hydrogen that nobody labelled: a mixture in the latent space, and one of the statistics.

    python benchmarks/separation_phases.py --random-state 100

Patches of one channel of 3 km/s of synthetic 21-cm emission, a third each of noise alone, of mostly warm gas
and of mostly cold gas, all with noise. Cases: "dominated", a fifth of the mass at most is of the other phase;
"faint", the same with columns over most of a decade, down to gas that hardly shows; "texture", as the first
with each patch scaled to unit variance, so that its strength tells nothing; "overlap", up to 45 % of the
other phase and columns over a factor of four.

`ScatteringMixtureModel` as it comes, and scikit-learn's `GaussianMixture` (10 starts) on the same 12 reduced
statistics, with full and diagonal covariances, and on the first 8 and 4 of them. Figures: adjusted Rand index
and purity of all patches, means and the lowest of draws, and seconds of the processor beyond the statistics,
on one thread. Defaults were chosen on random states 0 to 3. In parts: `--cases`; figures
of other cases stay in the CSV.
"""

import argparse
import csv
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time  # noqa: E402

import numpy as np  # noqa: E402
from records import RESULTS, write_csv  # noqa: E402
from sklearn.metrics import adjusted_rand_score  # noqa: E402
from sklearn.metrics.cluster import contingency_matrix  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402

from skastro.datasets import make_hi_phases  # noqa: E402
from skastro.separation import ScatteringMixtureModel  # noqa: E402

TABLE = RESULTS / "separation_phases.csv"
N_PATCHES, N_PIXELS, SIGMA = 450, 32, 0.3
# mass fractions of cold gas of either kind, and columns [1e20 cm^-2]
CASES = {
    "dominated": (((0.0, 0.2), (0.8, 1.0)), (1.0, 1.0)),
    "faint": (((0.0, 0.2), (0.8, 1.0)), (0.15, 1.0)),
    "texture": (((0.0, 0.2), (0.8, 1.0)), (1.0, 1.0)),
    "overlap": (((0.05, 0.45), (0.55, 0.95)), (0.5, 2.0)),
}


def make(case, random_state):
    """Patches (n, h, w) in K, and labels: 0 noise, 1 warm, 2 cold."""
    kinds, columns = CASES[case]
    rng = np.random.default_rng([random_state, 77])
    n = N_PATCHES // 3
    fraction = np.concatenate([rng.uniform(*one, n) for one in kinds])
    gas = make_hi_phases(
        2 * n, n_pixels=N_PIXELS, n_channels=1, channel_width=3.0, cold_fraction=fraction, sigma=0.0,
        random_state=int(rng.integers(2**31 - 1)),
    )  # fmt: skip
    # optically thin: as strong as there is gas
    column = np.exp(rng.uniform(*np.log(columns), 2 * n))[:, None, None]
    maps = SIGMA * rng.normal(size=(3 * n, N_PIXELS, N_PIXELS))
    maps[n:] += column * gas.cube[..., 0]
    if case == "texture":
        maps -= maps.mean(axis=(1, 2), keepdims=True)
        maps /= maps.std(axis=(1, 2), keepdims=True)
    order = rng.permutation(3 * n)
    return maps[order], np.repeat([0, 1, 2], n)[order]


def purity(truth, found):
    """Part of the patches that are of the kind that most of their component are of."""
    return contingency_matrix(truth, found).max(axis=0).sum() / len(truth)


def methods(maps, random_state):
    """Name, labels and seconds of each method."""
    model = ScatteringMixtureModel(random_state=random_state, device="cpu")
    start = time.process_time()
    features = model.fit(maps).reduced_.transform(maps)
    middle = time.process_time()
    model.reduced_.fit_transform(maps)
    rest = time.process_time() - middle
    yield "ScatteringMixtureModel", model.labels_, middle - start - rest
    for name, covariance, n in (
        ("GaussianMixture", "full", 12),
        ("GaussianMixture, diagonal", "diag", 12),
        ("GaussianMixture, 8 statistics", "full", 8),
        ("GaussianMixture, 4 statistics", "full", 4),
    ):
        start = time.process_time()
        mixture = GaussianMixture(
            3, covariance_type=covariance, n_init=10, random_state=random_state
        )
        yield name, mixture.fit_predict(features[:, :n]), time.process_time() - start


def merged(rows):
    """The rows, and those of other cases that the CSV has."""
    kept = []
    if TABLE.exists():
        with open(TABLE, newline="", encoding="utf-8") as file:
            others = [row for row in csv.DictReader(file) if row["case"] != rows[0]["case"]]
        kept = [{key: row[key] for key in rows[0]} for row in others]
    return sorted(kept + rows, key=lambda row: list(CASES).index(row["case"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--random-state", type=int, default=100, help="of the first draw")
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    for case in arguments.cases:
        found, rows = {}, []
        for i in range(arguments.random_state, arguments.random_state + arguments.draws):
            maps, truth = make(case, i)
            for name, labels, seconds in methods(maps, i):
                figures = adjusted_rand_score(truth, labels), purity(truth, labels), seconds
                found.setdefault(name, []).append(figures)
        print(f"\n{case}: {N_PATCHES} patches, random_state {arguments.random_state} on")
        for name, figures in found.items():
            rand, pure, seconds = np.transpose(figures)
            print(
                f"  {name:34s} adjusted Rand index {rand.mean():.3f} (lowest {rand.min():.3f}), purity "
                f"{pure.mean():.3f} (lowest {pure.min():.3f}), {seconds.mean():.1f} s; "
                f"{np.round(rand, 2).tolist()}",
                flush=True,
            )
            rows.append(
                {"case": case, "method": name, "rand": float(rand.mean()),
                 "rand_lowest": float(rand.min()), "purity": float(pure.mean()),
                 "purity_lowest": float(pure.min()), "seconds": float(seconds.mean()),
                 "random_state": arguments.random_state, "draws": len(figures)}
            )  # fmt: skip
        write_csv(
            TABLE, merged(rows), patches=N_PATCHES, pixels=N_PIXELS,
            threads=int(os.environ["OMP_NUM_THREADS"]),
        )  # fmt: skip


if __name__ == "__main__":
    main()
