"""Error bars of separated maps: how often the intervals of the power spectrum hold the truth.

    SKASTRO_DATA=... python benchmarks/separation_coverage.py --random-state 0

Cut-outs of dust intensity and polarization (I, Q, U), from places drawn anew, not periodic, and noise as
strong: white, and with a spectrum like k^-2.4. From each mixture and 30 samples of the noise,
`StatisticalSeparator.sample_posterior` draws signals. In each ring of wave number of the estimator (1 to 8
cycles wide) and in each octave, the truth should lie in the central 68 % of the draws in 68 % of the cases.
Rings in which the power of the signal is above 0.01 of the noise's count. Beside it: the error of the mean
of the draws, and their scatter, in standard deviations of the signal. One thread; seconds of the processor.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro.fourier_shells import FourierShells  # noqa: E402
from skastro.map_spectra import shell_spectra  # noqa: E402
from skastro.separation import StatisticalSeparator  # noqa: E402

MAPS, NOISES = "IQU", ("white", "red")
N_SAMPLES = 30


def make(name, kind, side, rng, folder):
    """Signal, mixture and samples of the noise."""
    whole = np.load(folder / "maps" / f"{name}_1.npy").astype(float)
    y, x = rng.integers(0, len(whole), 2)
    signal = np.roll(whole, (-y, -x), (0, 1))[:side, :side]
    signal = (signal - signal.mean()) / signal.std()
    noise = rng.normal(size=(N_SAMPLES + 1, side, side))
    if kind == "red":
        k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
        k[0, 0] = np.inf
        noise = np.fft.irfft2(np.fft.rfft2(noise) * k**-1.2, s=(side, side))
        noise /= noise.std()
    return signal, signal + noise[0], noise[1:]


def bins(side):
    """Rings as the estimator has them, and octaves."""
    edges = [*range(1, 16), *range(16, 32, 2), *range(32, 64, 4), *range(64, side + 8, 8)]
    top = side / np.sqrt(2)
    rings = np.array([edge for edge in edges if edge < top + 8]) - 0.5
    octaves = 2.0 ** np.arange(np.log2(side)) - 0.5
    return {
        name: FourierShells((side, side), pixel_size=1.0 / side, bounds=bounds)
        for name, bounds in (("ring", rings), ("octave", octaves))
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--n-draws", type=int, default=20)
    parser.add_argument("--n-mixtures", type=int, default=4, help="of each map and noise")
    arguments = parser.parse_args()
    folder, side = Path(os.environ["SKASTRO_DATA"]), arguments.side
    rng = np.random.default_rng(arguments.random_state)
    shells = bins(side)
    found = {(name, kind): [] for name in shells for kind in NOISES}
    errors = {kind: [] for kind in NOISES}
    for name in MAPS * arguments.n_mixtures:
        for kind in NOISES:
            signal, mixture, samples = make(name, kind, side, rng, folder)
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as strong as the noise: it says so
                model = StatisticalSeparator(random_state=int(rng.integers(2**31)), device="cpu")
                draws = (
                    model.fit(samples).sample_posterior(mixture, arguments.n_draws).astype(float)
                )
            seconds = time.process_time() - start
            error = np.sqrt(np.mean((draws.mean(0) - signal) ** 2))
            errors[kind].append((error, np.sqrt(draws.var(0, ddof=1).mean()), seconds))
            for bin_name, one in shells.items():
                true, have, noise = (
                    shell_spectra(maps, None, one)[0] for maps in (signal[None], draws, samples)
                )
                low, high = np.quantile(have, (0.16, 0.84), axis=0, method="weibull")
                ratio = true[0] / noise.mean(0)
                found[bin_name, kind].append(
                    np.stack([ratio, (low < true[0]) & (true[0] < high)], 1)[ratio > 0.01]
                )
    rows = []
    for bin_name in shells:
        for kind in (*NOISES, "all"):
            kinds = NOISES if kind == "all" else (kind,)
            values = np.concatenate([np.concatenate(found[bin_name, one]) for one in kinds])
            error, scatter, seconds = np.mean(np.concatenate([errors[one] for one in kinds]), 0)
            share = values[:, 1].mean()
            row = {"bins": bin_name, "noise": kind, "coverage": float(share), "n": len(values)}
            for low, high in ((10, np.inf), (1, 10), (0.1, 1), (0.01, 0.1)):
                inside = (values[:, 0] > low) & (values[:, 0] <= high)
                row[f"above_{low}"] = float(values[inside, 1].mean()) if inside.any() else np.nan
            row |= {"error": float(error), "scatter": float(scatter), "seconds": float(seconds)}
            rows.append(row)
            parts = " ".join(f"{v:.2f}" for k, v in row.items() if k.startswith("above"))
            print(
                f"{bin_name}s, {kind}: {share:.3f} of {len(values)} (by ratio of signal to noise, above 10, "
                f"1, 0.1, 0.01: {parts}): {verdict(0.6 <= share <= 0.76)}\n"
                f"    error of the mean {error:.3f}, scatter {scatter:.3f}, {seconds:.0f} s"
            )
    write_csv(
        RESULTS / "separation_coverage.csv", rows, side=side, draws=arguments.n_draws,
        random_state=arguments.random_state, threads=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
