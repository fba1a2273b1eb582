"""Make of a trained segmenter of contaminants what the package ships: calibrated, with priors and a card.

    python training/pack_contaminants.py contaminants.skops

The calibration and the thresholds are found on frames that were not trained on, and the figures of the card
on others again. Writes ``skastro/segmentation/data/contaminants.safetensors``, and ``contaminants.md``
beside it.
"""

import argparse
import os
import textwrap
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))

from scipy.special import expit  # noqa: E402
from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: E402
from train_contaminants import frames  # noqa: E402

from skastro import io  # noqa: E402
from skastro.datasets import unpack_bits  # noqa: E402
from skastro.prior_shift import shift_logits  # noqa: E402
from skastro.segmentation.held_out import condensed  # noqa: E402
from skastro.segmentation.pretrained import FOLDER, write_pretrained  # noqa: E402

# Shares of pixels in survey images, as MaxiMask has them by default.
PRIOR = {
    "CR": 5e-4, "HCL": 1e-5, "DCL": 1e-4, "HP": 1e-6, "DP": 1e-6, "P": 1e-3, "TRL": 1e-3, "FR": 1e-3,
    "NEB": 1e-3, "SAT": 1e-3, "SP": 5e-3, "OV": 5e-3, "BBG": 0.1,
}  # fmt: skip
# Average precision below which the card names a class.
WEAK = 0.5
CARD = """# Contaminants of survey images

A `SourceSegmenter` with {recipe}, {n_weights} weights.

**Data.** {n_frames} simulated frames of `make_contaminants`, {megapixels} megapixels: stars and galaxies
with skies, gains, noise and seeing of its ranges, and {n_labels} classes of defects. No real image was
trained on.

**Training.** {epochs} epochs, in rounds with frames of their own, by `training/train_contaminants.py`;
calibrated by lines of the logits on {n_calibration} other frames.

**Figures**, on {n_test} frames of 1024 x 1024 pixels that were neither trained nor calibrated on:

| class | share of pixels | AUC | average precision | sum of probabilities over number |
|---|---|---|---|---|
{rows}

{limits}
"""
LIMITS = """**Limits.** What the simulator has not, the network has not seen: crosstalk, ghosts of
reflections, spiral galaxies, undersampled images from space, spectra, whose lines it takes for fringes
and spikes. Average precision is below {weak:g} here for {classes}; sums of probabilities are from {low:.2f}
to {high:.2f} times the number of pixels, at their true share. The prior that comes with the file is a
guess of a usual survey."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="what train_contaminants.py wrote")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--n-calibration", type=int, default=64)
    parser.add_argument("--n-test", type=int, default=12)
    parser.add_argument("--random-state", type=int, default=1000)
    args = parser.parse_args()
    model = io.load(args.model)
    seen = frames(args.n_calibration, 1024, args.random_state)
    model.calibration = "platt"
    model.calibrate(seen.images, seen.bits)
    table = score(model, frames(args.n_test, 1024, args.random_state + 1))
    # thresholds of what ships, so that they can be found again
    model.held_out_ = [condensed(held) for held in model.held_out_]
    model.set_prior(PRIOR).set_threshold("mcc")
    n_weights = sum(value.numel() for value in model.net_.module_.parameters())
    # files have lists where there were tuples
    recipe = str(model.recipe_).replace("[", "(").replace("]", ")")
    card = CARD.format(
        recipe=recipe, n_weights=n_weights, epochs=model.n_epochs_, rows=shown(table),
        limits=limits(table), n_labels=len(table),
        n_calibration=args.n_calibration, n_test=args.n_test, n_frames=model.n_frames_,
        megapixels=round(model.n_pixels_ / 1e6),
    )  # fmt: skip
    args.output.mkdir(exist_ok=True)
    write_pretrained(model, args.output / "contaminants.safetensors", card)
    (args.output / "contaminants.md").write_text(card)
    print(card)
    for name, prior, cut in zip(model.labels_, model.prior_, model.thresholds_, strict=True):
        print(f"{name:4s} prior {prior:.1e} threshold {cut:.3f}")


def score(model, seen):
    """Share, AUC, average precision and count of each label, at the shares that the frames have."""
    masks = unpack_bits(seen.bits, model.bits_)
    share = masks.mean(axis=(0, 2, 3))
    logits = model.decision_function(seen.images)
    table = {}
    for i, name in enumerate(model.labels_):
        y, z = masks[:, i].ravel(), logits[:, i].ravel()
        z = shift_logits(z, share[i], model.training_prior_[i])
        table[name] = (
            share[i], roc_auc_score(y, z), average_precision_score(y, z), expit(z).sum() / y.sum()
        )  # fmt: skip
    return table


def shown(table):
    """Rows of the table of the card."""
    return "\n".join(
        f"| {name} | {share:.1e} | {auc:.4f} | {precision:.3f} | {ratio:.2f} |"
        for name, (share, auc, precision, ratio) in table.items()
    )


def limits(table):
    """What the table says of the weak sides."""
    weak = [name for name, row in table.items() if row[2] < WEAK]
    ratios = [row[3] for row in table.values()]
    said = LIMITS.format(
        weak=WEAK, classes=", ".join(weak) or "no class", low=min(ratios), high=max(ratios)
    )
    return textwrap.fill(" ".join(said.split()), 110)


if __name__ == "__main__":
    main()
