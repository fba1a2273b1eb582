"""Models and frames that the benchmarks of contaminants share."""

from pathlib import Path

from skastro import io
from skastro.datasets import CONTAMINANTS, make_contaminants
from skastro.segmentation import SourceSegmenter, UNet

__all__ = ["add_model", "bits_of", "frames", "get_model"]

# Of a frame to have a class, as in training/train_contaminants.py: not all of the wide ones at once.
PROBABILITY = {"FR": 0.25, "NEB": 0.3, "BBG": 0.35, "SP": 0.6, "P": 0.6}
OTHERS = 0.5


def bits_of():
    """Bit of each class of MaxiMask."""
    return {name: one.bit for name, one in CONTAMINANTS.items() if name != "BR"}


def frames(n, side, random_state, **options):
    """Fresh frames of the mixture of the training."""
    probability = {name: PROBABILITY.get(name, OTHERS) for name in bits_of()}
    options = {"probability": probability} | options
    return make_contaminants(n, shape=(side, side), random_state=random_state, **options)


def add_model(parser):
    parser.add_argument(
        "--model", type=Path,
        help="a fitted segmenter, .skops or .safetensors (default: that of the package)",
    )  # fmt: skip


def get_model(path=None, quick=False):
    """The segmenter to judge, and what to call it in the results.

    Parameters
    ----------
    path : Path, optional
        A file of `skastro.io.save` or of `write_pretrained`. None: that of the package.
    quick : bool
        Without a path: one that is trained in seconds, and knows nothing.
    """
    if path is not None and path.suffix == ".skops":
        return io.load(path), path.name
    if path is not None:
        return SourceSegmenter.from_pretrained(path), path.name
    if not quick:
        return SourceSegmenter.from_pretrained("contaminants"), "contaminants"
    some = frames(16, 128, 0, probability=1.0)
    model = SourceSegmenter(
        UNet(widths=(6, 8)), labels=bits_of(), scaling="asinh", max_epochs=1, batch_size=4,
        random_state=0,
    )  # fmt: skip
    return model.fit(some.images, some.bits), "quick"
