"""Train the network of contaminants that the package ships.

    python training/train_contaminants.py 1.skops
    python training/train_contaminants.py 2.skops --start 1.skops --random-state 3 --n-small 1400 ...

What ships was trained in these rounds, each but the first from the file of the one before; the seventh also
had ``--n-coarse 4``, which makes the network deeper:

round  --random-state  --n-small  --n-large  --epochs    --lr  minutes
    1               0        700        110         7    3e-3       48
    2               3       1400        100         2    2e-3       35
    3               4       1400        100         2    1e-3       24
    4               5       1400        100         2    8e-4       37
    5               6       2200        160         1    1e-3       20
    6               7       2200        160         1    1e-3       18
    7               8       2200        160         1  1.5e-3       10
    8               9       2200        160         1  1.5e-3       12
    9              10       2200        160         2  1.5e-3       18
   10              11       2200        160         2  1.2e-3       20
   11              12       2200        160         2  1.2e-3       20
   12              13       2200        160         2  1.5e-3       18
   13              14       2200        160         2  1.5e-3       17
   14              15       2200        160         2  1.2e-3       16
   15              16       2200        160         2    1e-3       16

On two cores; the second beside other work, the fourth on one core, the last four with bfloat16 products.
Frames come from `make_contaminants`, each with its own sky, gain, noise, seeing and crowding: most of them
512 x 512 pixels, some 1024 x 1024. A tenth of them is held out, to choose the epoch. Writes the fitted
estimator; `training/pack_contaminants.py` makes of it what the package ships.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.base import clone  # noqa: E402

from skastro import io  # noqa: E402
from skastro.datasets import CONTAMINANTS, make_contaminants  # noqa: E402
from skastro.segmentation import SourceSegmenter, UNet  # noqa: E402

# Of a frame to have a class, the others being 0.5: not all of the wide ones at once, or no clean sky is left.
PROBABILITY = {"FR": 0.25, "NEB": 0.3, "BBG": 0.35, "SP": 0.6, "P": 0.6}

# Scale of the normalised output of a convolution that is added to a network that works.
FAINT = 0.1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", help="file of the fitted estimator, .skops")
    parser.add_argument("--n-small", type=int, default=700, help="frames of 512 x 512")
    parser.add_argument("--n-large", type=int, default=110, help="frames of 1024 x 1024")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--start", help="file of an earlier training, to go on with")
    parser.add_argument("--n-coarse", type=int, default=2, help="more than at the start: deepened")
    parser.add_argument("--random-state", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    images, bits = [], []
    for n, side, seed in ((args.n_small, 512, 0), (args.n_large, 1024, 1)):
        seen = frames(n, side, 2 * args.random_state + seed)
        images += list(seen.images)
        bits += list(seen.bits)
    print(
        f"{sum(i.size for i in images) / 1e6:.0f} Mpx in {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    model = (
        io.load(args.start)
        if args.start
        else SourceSegmenter(
            UNet(widths=(16, 24, 32, 48, 64, 96), n_coarse=args.n_coarse),
            labels=labels(),
            scaling="asinh",
        )
    )
    if args.start and args.n_coarse > model.recipe_.n_coarse:
        deepen(model, args.n_coarse, args.random_state)
    seen = [getattr(model, name, 0) for name in ("n_frames_", "n_pixels_", "n_epochs_")]
    model.set_params(
        patch_size=512, batch_size=2, max_epochs=args.epochs, lr=args.lr, verbose=1,
        random_state=args.random_state, warm_start=args.start is not None,
    )  # fmt: skip
    # in any order: neighbours in a list are of one size
    order = np.random.default_rng(args.random_state).permutation(len(images))
    model.fit([images[i] for i in order], [bits[i] for i in order])
    # for the card of the model
    model.n_frames_ = seen[0] + len(images)
    model.n_pixels_ = seen[1] + sum(image.size for image in images)
    model.n_epochs_ = seen[2] + args.epochs
    io.save(model, args.output)
    for row in model.history_:
        print({key: round(value, 4) for key, value in row.items()})
    print(f"trained in {time.perf_counter() - start:.0f} s; wrote {args.output}")


def deepen(model, n_coarse, seed):
    """Give the coarse levels more convolutions, which at first add little to what goes through."""
    old = model.net_.module_.state_dict()
    model.network = model.recipe_ = clone(model.recipe_).set_params(n_coarse=n_coarse)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = model.recipe_(n_channels=model.n_channels_in_, n_outputs=len(model.labels_))
    new = module.state_dict()
    for name, value in new.items():
        if name not in old and ".norms." in name and name.endswith("weight"):
            value.fill_(FAINT)
    module.load_state_dict(new | old)
    model.net_.module_ = module


def frames(n_images, side, seed):
    """Frames with contaminants, as they are trained on."""
    return make_contaminants(
        n_images,
        shape=(side, side),
        probability=PROBABILITY,
        n_jobs=os.cpu_count(),
        random_state=seed,
    )


def labels():
    """Names and bits of the classes of MaxiMask: all but lines that were read badly."""
    return {name: one.bit for name, one in CONTAMINANTS.items() if name != "BR"}


if __name__ == "__main__":
    main()
