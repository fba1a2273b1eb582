"""How different the maps of each sampler are, beside those of the process that they imitate.

    python benchmarks/scattering_samplers.py

Of 64 x 64 maps of a known process (turbulence; log-normal) half give the target, the mean of their
statistics, and the other half say how much the statistics of one map scatter by chance. "descent" gives every
map the target's statistics, "mean_field" gives them to the maps on average. Printed, for each family of
coefficients: the scatter over new maps over that of true ones (1: as diverse), and how far the mean of the
new maps is from the target, in units of the true scatter of one map. One thread; seconds of the processor.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time  # noqa: E402

import numpy as np  # noqa: E402
from records import RESULTS, write_csv  # noqa: E402

from skastro.datasets import make_fields  # noqa: E402
from skastro.scattering import ScatteringTransform  # noqa: E402

PROCESSES = {
    "turbulence": {"index": 2.5, "scatter": 0.6},
    "lognormal": {"index": 2.5, "scatter": 1.0},
}
N_TRUE = 200


def judge(new, target, true, family):
    """Scatter and offset of each family's coefficients, root mean squares of those that vary."""
    scatter = true.std(axis=0)
    found = {}
    for name in dict.fromkeys(family):
        some = (family == name) & (scatter > 1e-6)
        if not some.any():
            continue
        ratio = new[:, some].std(axis=0, ddof=1) / true[:, some].std(axis=0, ddof=1)
        offset = (new[:, some].mean(axis=0) - target[some]) / scatter[some]
        found[f"scatter_{name}"] = float(np.sqrt(np.mean(ratio**2)))
        found[f"offset_{name}"] = float(np.sqrt(np.mean(offset**2)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--n-samples", type=int, default=20)
    parser.add_argument("--max-iter", type=int, default=100)
    arguments = parser.parse_args()
    rows = []
    for process, options in PROCESSES.items():
        maps = make_fields(
            N_TRUE, process, n_pixels=64, random_state=arguments.random_state, **options
        ).maps
        half = N_TRUE // 2
        transform = ScatteringTransform(
            ["covariance", "power_spectrum"], n_scales=5, normalization="reference"
        ).fit(maps[:half])
        family = np.array([name.split("[")[0] for name in transform.get_feature_names_out()])
        target, true = (
            transform.transform(maps[:half]).mean(axis=0),
            transform.transform(maps[half:]),
        )
        for sampler in ("descent", "mean_field"):
            start = time.process_time()
            new = transform.synthesize(
                arguments.n_samples, target, sampler=sampler, max_iter=arguments.max_iter,
                random_state=arguments.random_state,
            )  # fmt: skip
            seconds = time.process_time() - start
            found = judge(transform.transform(new), target, true, family)
            rows.append({"process": process, "sampler": sampler, "seconds": seconds, **found})
            print(
                f"{process:11s} {sampler:11s} {seconds:5.1f} s "
                + " ".join(f"{key} {value:.3f}" for key, value in found.items()),
                flush=True,
            )
    keys = dict.fromkeys(key for row in rows for key in row)
    rows = [{key: row.get(key, float("nan")) for key in keys} for row in rows]
    write_csv(RESULTS / "scattering_samplers.csv", rows, threads=1)


if __name__ == "__main__":
    main()
