"""Error bars of the statistics of a signal in a mixture: are they as wide as they should be?

    SKASTRO_DATA=... python benchmarks/separation_posterior.py --n-mixtures 6 --random-state 100

Mixtures of dust-like maps, cut-outs of 64 x 64 pixels at random places of the intensity and of the two
polarization maps in turn, of standard deviation 1, and white Gaussian noise as strong, with 40 samples of
it. The cut-outs are not periodic, the synthesised maps are.

For each mixture: ranks of `simulation_ranks` (the smallest p-value of its components
times their number, and the p-value of the ranks of all components together); share of the true
coefficients of the signal inside the 68 % intervals; error of the posterior mean and of the mixture's own
statistics; seconds of the processor for the inference and for the ranks. All mixtures together: coverage,
with its standard error over mixtures, and root mean square of (truth - mean) / standard deviation, which
should be 1. One thread.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from scipy.stats import chisquare  # noqa: E402

from skastro.separation import StatisticPosterior  # noqa: E402

SIDE, N_SAMPLES = 64, 40
MAPS = ("I_1", "Q_1", "U_1")
GOAL = (0.60, 0.76)  # coverage of 68 % intervals


def make(folder, i, random_state):
    """Signal, mixture, and samples of the contamination."""
    rng = np.random.default_rng([random_state, i])
    whole = np.load(folder / "maps" / f"{MAPS[i % len(MAPS)]}.npy").astype(float)
    y, x = rng.integers(0, np.array(whole.shape) - SIDE)
    signal = whole[y : y + SIDE, x : x + SIDE]
    signal = (signal - signal.mean()) / signal.std()
    noise = rng.normal(size=(N_SAMPLES + 1, SIDE, SIDE))
    return signal, signal + noise[0], noise[1:]


def judge(model, n_ranks, signal, mixture, samples):
    start = time.process_time()
    model.fit(samples).infer(mixture)
    seconds = time.process_time() - start
    truth, drawn = model.describe(signal[None])[0], model.sample(4000)
    low, high = np.quantile(drawn, [0.16, 0.84], axis=0)
    mean, std = drawn.mean(0), drawn.std(0)
    positions, true = model.space_.reduce(drawn), model.space_.reduce(truth[None])[0]
    left, right = np.quantile(positions, [0.16, 0.84], axis=0)
    start = time.process_time()
    with warnings.catch_warnings():
        # told by the p-values
        warnings.simplefilter("ignore")
        ranks = model.simulation_ranks(n_ranks)
    counts = np.bincount(ranks.ranks.ravel() * 10 // (ranks.n_draws + 1), minlength=10)
    return {
        "coverage": np.mean((truth > low) & (truth < high)),
        "coverage_components": np.mean((true > left) & (true < right)),
        "scaled_error": np.sqrt(np.mean(((truth - mean) / std) ** 2)),
        "error": np.sqrt(np.mean((truth - mean) ** 2)),
        "error_of_mixture": np.sqrt(np.mean((truth - model.observed_) ** 2)),
        "posterior_std": np.sqrt(np.mean(std**2)),
        "rank_p_smallest": ranks.p_value,
        "rank_p_together": chisquare(counts).pvalue,
        "rank_chi2_together": chisquare(counts).statistic,
        "seconds": seconds,
        "seconds_ranks": time.process_time() - start,
    }


def summary(rows):
    """Means over mixtures; of scaled errors, of their squares."""
    numbers = [key for key, value in rows[0].items() if isinstance(value, float)]
    mean = {key: float(np.mean([row[key] for row in rows])) for key in numbers}
    mean["scaled_error"] = float(np.sqrt(np.mean([row["scaled_error"] ** 2 for row in rows])))
    return {"mixture": "mean", "map": "all"} | mean


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-mixtures", type=int, default=6)
    parser.add_argument("--random-state", type=int, default=100)
    parser.add_argument("--n-ranks", type=int, default=200)
    parser.add_argument("--n-simulations", type=int, default=None)
    arguments = parser.parse_args()
    folder = Path(os.environ["SKASTRO_DATA"])
    options = {"device": "cpu"}
    if arguments.n_simulations:
        options["n_simulations"] = arguments.n_simulations
    rows = []
    for i in range(arguments.n_mixtures):
        model = StatisticPosterior(random_state=arguments.random_state + i, **options)
        found = judge(model, arguments.n_ranks, *make(folder, i, arguments.random_state))
        found = {key: float(value) for key, value in found.items()}
        rows.append({"mixture": str(i), "map": MAPS[i % len(MAPS)]} | found)
        print(
            f"{i} {MAPS[i % len(MAPS)]}: coverage {found['coverage']:.2f}, of components "
            f"{found['coverage_components']:.2f}; error {found['error']:.3f} (mixture "
            f"{found['error_of_mixture']:.3f}), in error bars {found['scaled_error']:.2f}; ranks p "
            f"{found['rank_p_smallest']:.3f}, together {found['rank_p_together']:.3f}; "
            f"{found['seconds']:.0f} + {found['seconds_ranks']:.0f} s",
            flush=True,
        )
        # after each: a run that is stopped has its rows
        mean = summary(rows)
        write_csv(
            RESULTS / "separation_posterior.csv",
            [*rows, mean],
            threads=1,
            samples=N_SAMPLES,
            ranks=arguments.n_ranks,
            n_simulations=model.n_simulations,
            random_state=arguments.random_state,
        )
    error = np.std([row["coverage"] for row in rows], ddof=min(1, len(rows) - 1)) / len(rows) ** 0.5
    uniform = np.mean([row["rank_p_smallest"] > 0.01 for row in rows])
    print(
        f"coverage of 68 % intervals {mean['coverage']:.3f} +- {error:.3f}, goal {GOAL[0]} to {GOAL[1]}: "
        f"{verdict(GOAL[0] <= mean['coverage'] <= GOAL[1])}\n"
        f"ranks uniform (p > 0.01) in {uniform:.0%} of the mixtures: {verdict(uniform >= 0.9)}\n"
        f"error of the mean {mean['error']:.3f}, of the mixture's statistics "
        f"{mean['error_of_mixture']:.3f}; in error bars {mean['scaled_error']:.2f}\n"
        f"{mean['seconds']:.0f} s a mixture"
    )


if __name__ == "__main__":
    main()
