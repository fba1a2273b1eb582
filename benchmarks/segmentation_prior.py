"""Probabilities of rare pixels: trained at 1:1, used where one pixel in a hundred thousand is positive.

    python benchmarks/segmentation_prior.py

Gaussians: pixels of white noise, of which the positive ones are four standard deviations higher; half of the
training pixels are. The posterior is known, and the distance from it is shown: of a logistic regression,
whose form is right, which tells whether the prior is changed rightly; and of a small network that sees a
pixel at a time, which tells how well the log loss at 1:1 fixes the tail where decisions at 1e-5 are made.
Hot pixels: planted in white noise, one in a hundred of the training pixels, with a uniform distribution of
the logarithm of their signal to noise, from 5 to 50; weights of the classes make that 1:1.

Stars: the same with a profile, the positive pixel being the one a star's centre is in. Shown and not judged:
a change of prior takes for granted that negatives look as before, and here the neighbours of a star, which
are negatives, become rare with it. What the sum is off by is what that costs.

Each network is shown as it is trained, and calibrated: by a line of the logits, found on 134 million fresh
pixels, of which one in 10,000 is positive, for the prior of 1e-5 (`calibrate(X, Y, prior=1e-5)`).

Then the prior is set to 1e-5. One positive in 1e5 pixels would leave a Poisson error of 2.4 % on 1.7e8
pixels, so the images to test on are of two kinds: empty ones, every pixel of which counts once, since false
positives are what decides; and planted ones, of which only the positives and what is around them count, with
weights that make their share 1e-5. Shown is the sum of the probabilities over the number of the positives,
with its standard error, and the slope of calibration; negatives below a probability of 1e-7 are thinned for
the latter, and weigh more.
"""

import argparse
import os
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from scipy.ndimage import maximum_filter  # noqa: E402
from scipy.special import expit  # noqa: E402
from torch import nn  # noqa: E402

from skastro.prior_shift import shift_logits  # noqa: E402
from skastro.reliability_metrics import calibration_line  # noqa: E402
from skastro.segmentation import SourceSegmenter, UNet  # noqa: E402

PRIOR = 1e-5
SEPARATION = 4.0  # of the two Gaussians
SNR = (5.0, 50.0)
SIGMA = 1.2  # of a star, in pixels
REACH = 8  # pixels around a positive that it may change
SIDE = 2048
CALIBRATION_SHARE = 1e-4
WITHIN = 0.1
FLOOR, THIN = 1e-7, 200


class Pixelwise:
    """Recipe of a network that sees a pixel at a time: what is around is no part of that problem.

    Parameters
    ----------
    n_hidden : int
        0: logistic regression, which has the form of the posterior.
    """

    def __init__(self, n_hidden):
        self.n_hidden = n_hidden

    def __call__(self, n_channels, n_outputs, image_shape):
        n = self.n_hidden
        if n == 0:
            return nn.Conv2d(n_channels, n_outputs, 1)
        return nn.Sequential(nn.Conv2d(n_channels, n, 1), nn.Softplus(), nn.Conv2d(n, n_outputs, 1))


def gaussians(rng, shape, share):
    truth = rng.random(shape) < share
    return rng.normal(size=shape).astype(np.float32) + np.float32(SEPARATION) * truth, truth


def hot_pixels(rng, shape, share):
    truth = rng.random(shape) < share
    image = rng.standard_normal(shape, dtype=np.float32)
    image[truth] += np.exp(rng.uniform(*np.log(SNR), truth.sum())).astype(np.float32)
    return image, truth


def stars(rng, shape, share):
    truth = rng.random(shape) < share
    image = rng.standard_normal(shape, dtype=np.float32)
    places = np.argwhere(truth)
    centre = rng.uniform(-0.5, 0.5, (len(places), 2))
    offsets = np.mgrid[-6:7, -6:7].reshape(2, -1).T
    for (k, y, x), middle in zip(places, centre, strict=True):
        profile = np.exp(-0.5 * ((offsets - middle) ** 2).sum(axis=1) / SIGMA**2)
        profile *= np.exp(rng.uniform(*np.log(SNR))) / np.sqrt((profile**2).sum())
        rows, columns = offsets[:, 0] + y, offsets[:, 1] + x
        inside = (rows >= 0) & (rows < shape[1]) & (columns >= 0) & (columns < shape[2])
        image[k, rows[inside], columns[inside]] += profile[inside].astype(np.float32)
    return image, truth


# How they are drawn, training images, share in them, pixels around a positive that count with it, settings.
CASES = {
    "Gaussians, logistic": (
        gaussians, 500, 0.5, 0,
        {"network": Pixelwise(0), "lr": 1.0, "weight_decay": 0.0, "max_epochs": 20},
    ),
    "Gaussians, network": (
        gaussians, 500, 0.5, 0,
        {"network": Pixelwise(8), "lr": 3e-2, "weight_decay": 0.0, "max_epochs": 25},
    ),
    "hot pixels": (
        hot_pixels, 500, 1e-2, REACH,
        {"network": UNet(widths=(8, 8)), "batch_size": 2, "weight_decay": 0.0, "class_weight": "balanced"},
    ),
    "stars": (
        stars, 200, 1e-3, REACH, {"network": UNet(widths=(8, 16)), "class_weight": "balanced"}
    ),
}  # fmt: skip
SHOWN = ("stars",)


def train(case, n_images, epochs, random_state):
    draw, usual, share, _, settings = CASES[case]
    n_images = n_images or usual
    images, truth = draw(np.random.default_rng(random_state), (n_images, 128, 128), share)
    # the noise is 1 everywhere: an image full of positives must not change the scale
    model = SourceSegmenter(
        scaling=None, labels=("positive",), max_epochs=epochs, batch_size=4, lr=1e-2,
        random_state=random_state,
    ).set_params(**settings)  # fmt: skip
    start = time.perf_counter()
    if epochs == 1:
        model.set_params(max_epochs=1)
    model.fit(images, truth)
    seconds = time.perf_counter() - start
    return model.set_prior(PRIOR), seconds


def calibrate(model, case, n_images, rng):
    draw = CASES[case][0]
    images, truth = draw(rng, (n_images, SIDE, SIDE), CALIBRATION_SHARE)
    return model.calibrate(images, truth, prior=PRIOR)


def collect(model, case, n_empty, n_planted, rng, planted_share=1e-3):
    """Probabilities, logits under the prior, truth and weights of the pixels that count, and the images."""
    draw, _, _, reach, _ = CASES[case]
    parts, n_positive = [], 0
    for k in range(n_empty + n_planted):
        image, truth = draw(rng, (1, SIDE, SIDE), 0.0 if k < n_empty else planted_share)
        ((_, _, z, p),) = model.predict_tiles(image[0], what=("logits", "proba"))
        x, truth = image[0], truth[0]
        if k < n_empty:
            likely = p > FLOOR
            weight = np.where(likely, 1.0, THIN)
            kept = likely | (rng.random(p.shape) < 1.0 / THIN)
        else:
            kept = maximum_filter(truth, 2 * reach + 1) if reach else truth
            weight = np.full(p.shape, -1.0)  # known when all positives are counted
            n_positive += truth.sum()
        parts.append([a[kept] for a in (p, z, truth, weight, x)])
        if k < n_empty:
            parts[-1].append(p.sum(dtype=float))
    total = sum(part.pop() for part in parts[:n_empty])
    p, z, truth, weight, x = (np.concatenate(one) for one in zip(*parts, strict=True))
    share = PRIOR / (1 - PRIOR) * n_empty * SIDE**2 / n_positive
    weight[weight < 0] = share
    return p.astype(float), z.astype(float), truth, weight, x, total


def measure(model, case, n_empty, n_planted, rng):
    p, z, truth, weight, x, total = collect(model, case, n_empty, n_planted, rng)
    planted = weight == weight[truth][0]
    share, empty = weight[truth][0], ~planted
    positives = share * truth.sum()
    expected = total + share * p[planted].sum()
    spread = (weight[empty] * p[empty] ** 2).sum() + share**2 * (p[planted] ** 2).sum()
    logit = shift_logits(z, PRIOR, model.training_prior_)
    np.testing.assert_allclose(expit(logit), p, rtol=1e-3, atol=1e-6)
    line = calibration_line(truth, logit, sample_weight=weight, from_logits=True)
    row = {
        "case": case,
        "training_prior": float(np.ravel(model.training_prior_)[0]),
        "prior": PRIOR,
        "positives_weighted": positives,
        "positives_planted": int(truth.sum()),
        "pixels": n_empty * SIDE**2,
        "sum_p_over_sum_y": expected / positives,
        "sum_error": np.sqrt(spread) / positives,
        "slope": line.slope,
        "slope_error": line.slope_error,
        "log_ratio_to_exact": np.nan,
        "exact_sum_p_over_sum_y": np.nan,
        "exact_slope": np.nan,
    }
    if case.startswith("Gaussians"):
        exact = SEPARATION * x - 0.5 * SEPARATION**2 + np.log(PRIOR) - np.log1p(-PRIOR)
        best = expit(exact)
        likely = best > 1e-2
        row["log_ratio_to_exact"] = float(
            np.average(np.abs(np.log(p[likely] / best[likely])), weights=(weight * best)[likely])
        )
        row["exact_sum_p_over_sum_y"] = float((weight * best).sum() / positives)
        row["exact_slope"] = calibration_line(
            truth, exact, sample_weight=weight, from_logits=True
        ).slope
    return row


def judge(row):
    case = row["case"]
    for name, key in (("sum", "sum_p_over_sum_y"), ("slope", "slope")):
        passed = verdict(abs(row[key] - 1) <= WITHIN)
        row[f"verdict_{name}"] = "not judged" if case in SHOWN else passed
    print(
        f"{case}, {row['kind']}: trained at {row['training_prior']:.3f} in {row['fit_s']:.0f} s, used at "
        f"{PRIOR:g} on {row['pixels'] / 1e6:.0f} Mpx, {row['positives_planted']} positives that weigh "
        f"{row['positives_weighted']:.0f}\n"
        f"  sum p / sum y {row['sum_p_over_sum_y']:.3f} +- {row['sum_error']:.3f}, goal 0.9 to 1.1: "
        f"{row['verdict_sum']}\n"
        f"  slope of calibration {row['slope']:.3f} +- {row['slope_error']:.3f}, goal 0.9 to 1.1: "
        f"{row['verdict_slope']}",
        flush=True,
    )
    if case.startswith("Gaussians"):
        print(
            f"  mean |log(p / posterior)| {row['log_ratio_to_exact']:.3f}; the posterior itself: sum "
            f"{row['exact_sum_p_over_sum_y']:.3f}, slope {row['exact_slope']:.3f}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="one epoch, two images")
    parser.add_argument("--output", type=Path, default=RESULTS / "segmentation_prior.csv")
    args = parser.parse_args()
    torch.set_num_threads(1)
    n_train, epochs, n_empty, n_planted = (12, 1, 1, 1) if args.quick else (None, 15, 40, 2)
    n_calibration = 1 if args.quick else 32
    rows = []
    for case in args.cases:
        model, fit_s = train(case, n_train, epochs, args.random_state)
        for kind in ("as trained", "calibrated"):
            if kind == "calibrated":
                rng = np.random.default_rng(args.random_state + 2)
                calibrate(model, case, n_calibration, rng)
            rng = np.random.default_rng(args.random_state + 1)
            row = measure(model, case, n_empty, n_planted, rng) | {"fit_s": fit_s}
            rows.append({"case": case, "kind": kind} | row)
            judge(rows[-1])
    if not args.quick:
        write_csv(args.output, rows, threads=1, random_state=args.random_state)


if __name__ == "__main__":
    main()
