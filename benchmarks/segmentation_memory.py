"""Memory of `predict_tiles` on an image that is a file, and whether tiles give what the whole image gives.

    python benchmarks/segmentation_memory.py

10,000 x 10,000 pixels of float32 in a file that is mapped into memory, one thread. A process of its own finds
the bit planes tile by tile; its peak counts all, the pages of the file that it has read among them, and
beside it stands what it held with everything imported. Then, in another process, an image of 2,500 x 2,500
pixels: the largest difference of its probabilities between tiles and one pass over the whole. With another
``--side`` nothing is written.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from contaminant_models import add_model, frames, get_model  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402

SIDE, SIDE_EQUAL = 10_000, 2500
GOAL_MB, TOLERANCE = 2000, 1e-5
FRAME = 1024  # side of the frame that is laid side by side, turned


def peak():
    """Megabytes that this process has held at once."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        # the counter of resource starts at what the parent process held
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def write_image(path, side, random_state):
    """A survey frame laid side by side, turned each time, with fresh noise."""
    frame = frames(1, min(FRAME, side), random_state).images[0]
    rng = np.random.default_rng(random_state)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(side, side))
    step = len(frame)
    for y in range(0, side, step):
        for x in range(0, side, step):
            part = np.rot90(frame, (y + x) // step)[: side - y, : side - x]
            noise = rng.standard_normal(part.shape, dtype=np.float32)
            out[y : y + step, x : x + step] = part + noise
    out.flush()


def start(model):
    import torch

    torch.set_num_threads(1)
    model, _ = get_model(*model)
    model.predict_bits(np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32))
    return model


def measure(queue, model, path, tile):
    """Peak memory and time of bit planes of the image, into a queue."""
    model = start(model)
    imported = peak()
    image = np.load(path, mmap_mode="r")
    began, pixels, found = time.perf_counter(), 0, 0
    for _, _, bits in model.predict_tiles(image, tile_size=tile):
        pixels += bits.size
        found += np.count_nonzero(bits)
    seconds = time.perf_counter() - began
    if pixels != image.size:
        raise RuntimeError(f"tiles have {pixels} pixels; expected {image.size}.")
    queue.put(
        {
            "peak_mb": peak(),
            "imported_mb": imported,
            "seconds": seconds,
            "mpx_per_s": pixels / 1e6 / seconds,
            "flagged": found / pixels,
        }
    )


def compare(queue, model, path, tile):
    """Largest difference of probabilities between tiles and the whole, into a queue."""
    model = start(model)
    image = np.load(path, mmap_mode="r")
    # a tile as large as the image is the image
    ((_, _, whole),) = model.predict_tiles(image, "proba", tile_size=max(image.shape))
    largest, n_tiles = 0.0, 0
    for rows, columns, p in model.predict_tiles(image, "proba", tile_size=tile):
        # NaN must not pass: max of Python drops it
        largest = float(np.maximum(largest, np.abs(p - whole[..., rows, columns]).max()))
        n_tiles += 1
    queue.put({"difference": largest, "tiles": n_tiles})


def apart(work, *arguments):
    """What a function puts into a queue, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=(queue, *arguments))
    process.start()
    while process.is_alive() and queue.empty():
        process.join(0.2)
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with code {process.exitcode}.")
    found = queue.get()
    process.join()
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--random-state", type=int, default=0)
    add_model(parser)
    parser.add_argument(
        "--quick", action="store_true", help="small images, a model that knows nothing"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "segmentation_memory.csv")
    args = parser.parse_args()
    side, side_equal = (700, 300) if args.quick else (args.side, SIDE_EQUAL)
    tile, small = (256, 128) if args.quick else (None, 768)
    model = args.model, args.quick
    with tempfile.TemporaryDirectory(prefix="skastro-") as folder:
        path = Path(folder) / "image.npy"
        write_image(path, side_equal, args.random_state)
        equal = apart(compare, model, path, small)
        write_image(path, side, args.random_state)
        row = {"side": side} | apart(measure, model, path, tile)
    row |= {"side_equal": side_equal} | equal
    row["verdict_memory"] = verdict(row["peak_mb"] < GOAL_MB)
    row["verdict_equal"] = verdict(row["difference"] <= TOLERANCE)
    print(
        f"{side} x {side}: peak {row['peak_mb']:.0f} MB, {row['imported_mb']:.0f} MB once imported, "
        f"{4e-6 * side**2:.0f} MB of file; goal {GOAL_MB} MB {row['verdict_memory']}\n"
        f"  {row['seconds']:.0f} s, {row['mpx_per_s']:.2f} Mpx/s, {row['flagged']:.1%} of pixels flagged\n"
        f"{side_equal} x {side_equal}: largest difference of {row['tiles']} tiles and the whole "
        f"{row['difference']:.1e}, goal {TOLERANCE:g} {row['verdict_equal']}"
    )
    if side == SIDE:
        write_csv(
            args.output, [row], threads=1, model=args.model.name if args.model else "contaminants"
        )


if __name__ == "__main__":
    main()
