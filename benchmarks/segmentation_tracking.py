"""Exposures that the telescope did not track, told from others by `ImageClassifier`.

    python benchmarks/segmentation_tracking.py --random-state 1 --n-train 4000 --epochs 24

Simulated frames of 256 x 256 pixels to train on, half of them not tracked, and 1,600 fresh ones to test on;
all that varies between instruments varies between frames, many of which have a few stars only, and cosmic
rays, hot pixels, bad columns and saturated stars in half of them. Area under the ROC curve, with its error by
bootstrap; for all frames, and by thirds of the pixels with light of sources. Beside it what the ellipticity
of each frame's autocorrelation says, without training, and the figure that the reference has for MaxiTrack,
of twelve frames of its own: another generator, other sizes, not these frames. ``--maxitrack PYTHON`` (see
maximask_peer.py) runs MaxiTrack: all three on the same 240 fresh frames of 800 x 800 pixels, which are of two
of its blocks a side.

Then whether the probabilities hold: their sum over the number of lost frames, and the slope of calibration,
as trained and with the prior of 1 in 100, for which tracked frames weigh as much more. Last the seconds that
a frame takes, also one of 2048 x 2048 pixels. ``--quick``: few frames, two epochs, no file.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from maximask_peer import run_maxitrack  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from scipy.special import expit  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from skastro.datasets import make_contaminants  # noqa: E402
from skastro.prior_shift import shift_logits  # noqa: E402
from skastro.reliability_metrics import calibration_line, count_ratio  # noqa: E402
from skastro.segmentation import ImageClassifier  # noqa: E402

MAXITRACK = 0.917
CLASSES = ("CR", "HP", "HCL", "DCL", "SAT", "SP")
SHAPE = (256, 256)
LARGE = (800, 800)
RARE = 0.01
OURS = "ImageClassifier"
LEVEL = 1e-2  # false positives
N_BOOTSTRAP = 200
HALF = 16  # pixels on each side of the peak of the autocorrelation


def load(n_images, seed, shape=SHAPE):
    """Frames, which of them were not tracked, and the share of pixels with light of sources."""
    frames = make_contaminants(
        n_images, shape=shape, classes=CLASSES, probability=0.5, tracking=0.5, random_state=seed
    )
    return frames.images, frames.tracking, frames.source_mask.mean(axis=(1, 2))


def ellipticity(images):
    """Of the autocorrelation of each frame, from its second moments."""
    found = []
    offset = np.arange(-HALF, HALF + 1)
    for image in images:
        z = image - np.median(image)
        sigma = 1.4826 * np.median(np.abs(z)) or 1.0
        # light above the noise, the brightest stars no more than others
        z = np.arcsinh(np.clip(z / sigma - 3.0, 0.0, None))
        power = np.abs(np.fft.fft2(z - z.mean())) ** 2
        middle = np.fft.ifft2(power).real[np.ix_(offset, offset)]
        # what is far is other stars; the noise of each pixel is in the peak
        middle[HALF, HALF] = middle[HALF, HALF + 1]
        middle = np.clip(middle / middle.max() - 0.1, 0.0, None) if middle.max() > 0 else middle + 1
        xx, yy, xy = (
            (middle * weight).sum()
            for weight in (
                offset[None] ** 2,
                offset[:, None] ** 2,
                offset[None] * offset[:, None],
            )
        )
        found.append(np.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-9))
    return np.array(found)


def area(y, score, rng):
    """Area under the ROC curve, and its error by bootstrap."""
    again = []
    while len(again) < N_BOOTSTRAP:
        rows = rng.integers(len(y), size=len(y))
        if 0 < y[rows].sum() < len(y):
            again.append(roc_auc_score(y[rows], score[rows]))
    return float(roc_auc_score(y, score)), float(np.std(again))


def row_of(name, y, score, light, rng):
    """Areas, over all frames and by thirds of the light, and completeness at few false positives."""
    auc, error = area(y, score, rng)
    edges = np.quantile(light, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, light)
    row = {"method": name, "auc": auc, "auc_error": error}
    for k, label in enumerate(("few", "some", "many")):
        some = third == k
        row[f"auc_{label}_sources"] = float(roc_auc_score(y[some], score[some]))
    cut = np.quantile(score[~y], 1 - LEVEL)
    row[f"tpr_at_{LEVEL:g}"] = float((score[y] > cut).mean())
    return row


def calibration(model, images, y):
    """Expected over found, and the slope, as trained and where lost frames are rare."""
    z = model.decision_function(images).astype(float)
    found = {"calibration_slope": calibration_line(y, z, from_logits=True).slope}
    share = y.mean()
    odds = RARE / (1 - RARE) * (1 - share) / share
    for name, prior, weight in (("", share, None), ("_rare", RARE, np.where(y, odds, 1.0))):
        p = model.predict_proba(images, prior=prior)[:, 1]
        ratio = count_ratio(y, p, sample_weight=weight)
        found |= {f"sum_p_over_sum_y{name}": ratio.ratio, f"ratio_error{name}": ratio.error}
    return found


def seconds(model, images):
    """For each frame, of those that were tested and of a large one."""
    start = time.perf_counter()
    model.predict_proba(images)
    small = (time.perf_counter() - start) / len(images)
    tiles = np.resize(images, (64, *SHAPE)).reshape(8, 8, *SHAPE)
    large = tiles.swapaxes(1, 2).reshape(1, 2048, 2048)
    start = time.perf_counter()
    model.predict_proba(large)
    return {"s_per_frame": small, "s_per_2048_frame": time.perf_counter() - start}


def beside_maxitrack(model, python, n_images, seed):
    """Rows of all methods on larger frames, of as many lost ones as others."""
    images, y, light = load(n_images, seed, LARGE)
    start = time.perf_counter()
    logits = model.decision_function(images)
    speed = {OURS: images.size / 1e6 / (time.perf_counter() - start)}
    proba = {OURS: expit(shift_logits(logits, 0.5, model.training_prior_))}
    scores = {OURS: logits, "ellipticity": ellipticity(images)}
    proba["MaxiTrack"], speed["MaxiTrack"] = run_maxitrack(python, images, 0.5)
    # where it gives none, its prior
    proba["MaxiTrack"] = np.nan_to_num(proba["MaxiTrack"], nan=0.5)
    scores["MaxiTrack"] = proba["MaxiTrack"]
    rng, rows = np.random.default_rng(seed), []
    for name, score in scores.items():
        row = row_of(f"{name}, {n_images} frames of {LARGE[0]} x {LARGE[1]}", y, score, light, rng)
        if name in proba:
            ratio = count_ratio(y, proba[name].astype(float))
            row |= {"sum_p_over_sum_y": ratio.ratio, "ratio_error": ratio.error}
            row["mpx_per_s"] = speed[name]
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--n-train", type=int, default=2400)
    parser.add_argument("--n-test", type=int, default=1600)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--maxitrack", help="Python of an environment with maximask")
    parser.add_argument("--n-large", type=int, default=240, help="frames beside MaxiTrack")
    parser.add_argument("--quick", action="store_true", help="few frames, two epochs")
    parser.add_argument("--output", type=Path, default=RESULTS / "segmentation_tracking.csv")
    args = parser.parse_args()
    if args.quick:
        args.n_train, args.n_test, args.epochs = 96, 96, 2
    start = time.perf_counter()
    images, lost, _ = load(args.n_train, 2 * args.random_state)
    fresh, y, light = load(args.n_test, 2 * args.random_state + 1)
    print(
        f"{len(images)} frames to train on, {len(fresh)} to test on: {time.perf_counter() - start:.0f} s"
    )
    model = ImageClassifier(max_epochs=args.epochs, random_state=args.random_state)
    start = time.perf_counter()
    model.fit(images, lost)
    fit_s = time.perf_counter() - start
    losses = ", ".join(f"{row['valid_loss']:.3f}" for row in model.history_)
    print(f"trained in {fit_s:.0f} s; held-out loss by epoch: {losses}")
    rng = np.random.default_rng(args.random_state)
    extra = {**calibration(model, fresh, y), "fit_s": fit_s, **seconds(model, fresh)}
    ours = row_of(OURS, y, model.decision_function(fresh), light, rng) | extra
    plain = row_of("ellipticity", y, ellipticity(fresh), light, rng)
    rows = [ours, plain, {"method": "MaxiTrack (reference, 12 other frames)", "auc": MAXITRACK}]
    large = []
    if args.maxitrack:
        n_large = 12 if args.quick else args.n_large
        large = beside_maxitrack(model, args.maxitrack, n_large, 900_000 + args.random_state)
        rows += large
    keys = dict.fromkeys(key for row in rows for key in row)
    rows = [dict.fromkeys(keys, "") | row for row in rows]
    for row in rows:
        print(row["method"])
        for key, value in row.items():
            if isinstance(value, float):
                print(f"    {key:22s} {value:.4g}")
    print(f"above MaxiTrack's figure: {verdict(ours['auc'] > MAXITRACK)}")
    if large:
        # rates at few false positives say little of it: its four decimals put many frames at 1
        won = large[0]["auc"] > large[-1]["auc"]
        print(f"AUC above MaxiTrack's on the same frames: {verdict(won)}")
    for key in ("sum_p_over_sum_y", "sum_p_over_sum_y_rare", "calibration_slope"):
        print(f"{key} within 10 % of 1: {verdict(abs(ours[key] - 1) <= 0.1)}")
    if not args.quick:
        write_csv(
            args.output, rows, threads=torch.get_num_threads(), random_state=args.random_state,
            n_train=args.n_train, n_test=args.n_test, epochs=args.epochs,
        )  # fmt: skip


if __name__ == "__main__":
    main()
