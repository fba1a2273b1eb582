"""Point-source pixels of a toy gamma-ray sky: `SourceSegmenter` beside every baseline, on the same images.

    python benchmarks/segmentation_galactic_center.py --random-state 100

6,592 images to train on and 800 to choose the epoch with (for the methods that hold none out, those are more
to train on), 800 to test on, all fresh. ALL: truth is every pixel with a source; area under the ROC curve and
average precision, means over images. BRIGHTEST: truth is the 200 brightest pixels of each image by the flux
of their sources; the area, and the share of them among the 200 highest scores. Each method learns both: the
pixels with a source, and the 200 brightest, as two labels. Beside them what a method
scores that knows the position only: the plane is so crowded that it does most of the work. Then whether the
probabilities hold: their sum over the number of sources, and the slope of calibration. The figures of the
reference are of its own images and settings; its matched filter had a median background taken off.

sep and photutils where they can be imported. ``--no-baselines`` leaves all but the position out,
``--only-baselines`` leaves the network out, ``--n-train`` takes fewer images, ``--epochs`` trains longer.
``--published`` trains, alone and into another file, the students' kind of network: Ronneberger's U-net on
images divided by their maximum, an eighth as wide, to train in minutes (their layers are not public).
``--oracle`` prints what one would score who sees exactly every pixel whose sources are above a flux, and
knows of the others the position only: how faint sources must be seen to reach a goal.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

from skastro.reliability_metrics import calibration_line, count_ratio  # noqa: E402
from skastro.segmentation import PublishedUNet, SourceSegmenter  # noqa: E402
from skastro.segmentation.baselines import MeanMask, default_baselines  # noqa: E402
from skastro.segmentation.comparison import (  # noqa: E402
    FWHM,
    N_BRIGHTEST,
    NETWORK,
    SETTINGS,
    load_default,
)
from skastro.segmentation_metrics import pixel_scores  # noqa: E402

OURS, PUBLISHED = "SourceSegmenter", "published U-net"
LABELS = ("source", "bright")
GOALS = {"auc": 0.930, "average_precision": 0.875, "precision_200": 0.74}
# AUC, average precision, precision of the 200 brightest
REFERENCE = {
    "position only": (0.897, 0.821, 0.449),
    "raw counts": (0.917, 0.851, 0.631),
    "matched filter": (0.663, 0.551, 0.510),
    "sep": (0.772, 0.686, 0.657),
    "DAOStarFinder": (0.518, 0.324, 0.136),
    "gradient boosting": (0.924, 0.865, 0.688),
    "published U-net": (0.903, 0.843, 0.711),
}
FPR_LEVELS = (1e-2, 1e-3, 1e-4)


def network(random_state, n_held, n_images, quick, epochs=None):
    """The default, with the images that it chooses the epoch by."""
    model = SourceSegmenter(
        NETWORK, labels=LABELS, test_time_augmentation=True, validation_fraction=n_held / n_images,
        random_state=random_state, **SETTINGS,
    )  # fmt: skip
    if epochs is not None:
        model.set_params(max_epochs=epochs)
    return model.set_params(max_epochs=1) if quick else model


def published(random_state, n_held, n_images, quick):
    """As the students had it: no coordinates, no reflections, the scale of each image lost."""
    return SourceSegmenter(
        PublishedUNet(width=8), labels=LABELS, scaling="max", lr=1e-3,
        max_epochs=1 if quick else 12, validation_fraction=n_held / n_images,
        random_state=random_state,
    )  # fmt: skip


def masks(flux):
    """Pixels with a source, and the 200 brightest of each image: (n, 2, h, w)."""
    flat = flux.reshape(len(flux), -1)
    least = np.partition(flat, -N_BRIGHTEST, axis=1)[:, -N_BRIGHTEST]
    return np.stack([flux > 0, (flux > 0) & (flux >= least[:, None, None])], axis=1)


def figures(flux, score, proba):
    """One row of the table."""
    every = pixel_scores(flux > 0, score[:, 0], fpr_levels=FPR_LEVELS)
    bright, alone = (
        pixel_scores(flux > 0, one, selection="brightest", flux=flux, fpr_levels=())
        for one in (score[:, 1], score[:, 0])
    )
    proba = proba[:, 0]
    # what float32 rounds to 0 or 1 has no logit
    inside = np.clip(proba.astype(np.float64), 1e-7, 1 - 1e-7)
    return {
        "auc": every.auc,
        "auc_sd": every.auc_std,
        "average_precision": every.average_precision,
        "auc_200": bright.auc,
        "precision_200": bright.precision,
        "precision_200_by_any_source": alone.precision,
        **{
            f"tpr_at_{level:g}": float(rate)
            for level, rate in zip(FPR_LEVELS, every.tpr, strict=True)
        },
        "sum_p_over_sum_y": count_ratio(flux > 0, proba).ratio,
        "calibration_slope": calibration_line(flux > 0, inside).slope,
    }


def oracle(X, flux, test):
    """Scores of one who sees all above a flux, beside the noise that the counts of a pixel have."""
    position = MeanMask().fit(X, masks(flux)).predict_proba(test.data)[:, 0]
    seen = test.target[test.target > 0]
    noise = np.sqrt(np.median(test.data))
    alone = noise * np.sqrt(4 * np.pi) * FWHM / 2.355  # of a Gaussian profile that is known
    print(
        f"noise of the counts of a pixel {noise:.1f}, of the counts of a source at a known place {alone:.1f}"
    )
    for share in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0):
        least = np.quantile(seen, 1 - share)
        one = pixel_scores(
            test.target > 0, np.where(test.target > least, 1.0, position), fpr_levels=()
        )
        print(
            f"all above {least:7.2f} counts ({share:.0%} of them) seen: AUC {one.auc:.4f}, "
            f"AP {one.average_precision:.4f}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--n-train", type=int, default=6592)
    parser.add_argument("--epochs", type=int, help="of the network, other than the default")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--only-baselines", action="store_true")
    parser.add_argument("--published", action="store_true", help="only that, in another file")
    parser.add_argument("--oracle", action="store_true", help="only that, and nothing is trained")
    parser.add_argument("--quick", action="store_true", help="few images, one epoch")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    sizes = (256, 64, 64) if args.quick else (args.n_train, 800, 800)
    train, held, test = (load_default(n, args.random_state + i) for i, n in enumerate(sizes))
    X, flux = (np.concatenate([train[part], held[part]]) for part in ("data", "target"))
    del train, held
    if args.oracle:
        return oracle(X, flux, test)
    if args.no_baselines or args.published:
        methods = [("position only", MeanMask())]
    else:
        methods = default_baselines(fwhm=FWHM, quick=args.quick, random_state=args.random_state)
    if args.published:
        methods.append((PUBLISHED, published(args.random_state, sizes[1], len(X), args.quick)))
    elif not args.only_baselines:
        methods.append(
            (OURS, network(args.random_state, sizes[1], len(X), args.quick, args.epochs))
        )
    print(
        f"{'':20s} AUC    sd    AP     | 200 brightest: AUC, precision | TPR at {FPR_LEVELS} | "
        "sum p / sum y, slope | fit s, Mpx/s | reference: AUC, AP, precision"
    )
    rows, truth = [], masks(flux)
    for name, method in methods:
        start = time.perf_counter()
        method.fit(X, truth)
        fit_s = time.perf_counter() - start
        start = time.perf_counter()
        score = method.decision_function(test.data)
        speed = test.data.size / 1e6 / (time.perf_counter() - start)
        proba = method.predict_proba(test.data)
        row = {
            "method": name,
            **figures(test.target, score, proba),
            "fit_s": fit_s,
            "mpx_per_s": speed,
        }
        rows.append(row)
        known = " ".join(f"{one:.3f}" for one in REFERENCE.get(name, ()))
        rates = " ".join(f"{row[f'tpr_at_{level:g}']:.3f}" for level in FPR_LEVELS)
        print(
            f"{name:20s} {row['auc']:.4f} {row['auc_sd']:.3f} {row['average_precision']:.4f} | "
            f"{row['auc_200']:.4f} {row['precision_200']:.4f} | {rates} | {row['sum_p_over_sum_y']:.3f} "
            f"{row['calibration_slope']:.3f} | {fit_s:.1f} {speed:.2f} | {known}",
            flush=True,
        )
    judge(rows)
    if not args.quick:
        name = "segmentation_galactic_center" + ("_published" if args.published else "")
        write_csv(
            args.output or RESULTS / f"{name}.csv", rows, threads=torch.get_num_threads(),
            random_state=args.random_state, n_train=sizes[0],
        )  # fmt: skip


def judge(rows):
    found = {row["method"]: row for row in rows}
    if OURS not in found:
        return
    ours = found[OURS]
    others = [row for row in rows if row["method"] != OURS]
    position = found["position only"]
    print(f"\n{OURS} beside the goal, the best baseline and the position only")
    for key, goal in GOALS.items():
        best = max(others, key=lambda row: row[key])
        print(
            f"{key:18s} {ours[key]:.4f}  goal {goal:.3f} {verdict(ours[key] >= goal)}  "
            f"{best['method']} {best[key]:.4f} {verdict(ours[key] > best[key])}  "
            f"position only {position[key]:.4f}"
        )
    for key in ("sum_p_over_sum_y", "calibration_slope"):
        print(f"{key:18s} {ours[key]:.4f}  0.9 to 1.1 {verdict(abs(ours[key] - 1) <= 0.1)}")


if __name__ == "__main__":
    main()
