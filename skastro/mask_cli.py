"""``skastro mask``: FITS images in, bit planes of what is wrong in them out."""

import contextlib
import json
import sys
import time
import warnings
from pathlib import Path

from skastro.arguments import fail, positive_integer

__all__ = ["add_mask", "mask"]

SUFFIX = ".mask.fits"


def add_mask(commands):
    """Add the command to a parser.

    Parameters
    ----------
    commands : object
        What ``ArgumentParser.add_subparsers`` returned.
    """
    parser = commands.add_parser(
        "mask",
        help="find cosmic rays, bad pixels, trails and other defects in FITS images",
        description="Find defects in FITS images. Each image of a file becomes one of bits, one bit for each "
        "class, named in its header (BIT00, ...) with prior and threshold; headers, WCS and tables are kept. "
        "Of a cube, each plane is examined. The bit NODATA is of pixels that are blank or not examined.",
    )
    add = parser.add_argument
    add(
        "files", metavar="FILE", nargs="*",
        help="FITS files, also .fz or .gz; folders; patterns in quotes; - for a list on standard input",
    )  # fmt: skip
    add("--list", metavar="FILE", action="append", default=[], help="a file with a path a line")
    add("-o", "--output", metavar="OUT", type=Path, help="the mask of the only file")
    add(
        "--output-dir",
        metavar="DIR",
        type=Path,
        help="folder for masks (default: beside the files)",
    )
    add("--suffix", help=f"takes the place of .fits in the names of masks (default: {SUFFIX})")
    add(
        "--model", metavar="FILE", type=Path, help="a segmenter of yours (default: that of skastro)"
    )
    add("--classes", metavar="CR,HP", help="classes to look for (default: all)")
    add(
        "--prior", metavar="CLASS=P", action="append", default=[],
        help="share of pixels of a class, such as cr=1e-4; estimate: that of the others, from each image",
    )  # fmt: skip
    add(
        "--threshold", metavar="CLASS=P", action="append", default=[],
        help="threshold of a class, such as cr=0.4, or a policy for all, such as fdr:0.01",
    )  # fmt: skip
    add(
        "--dilate", metavar="N", action="append", default=[],
        help="grow what is found by N pixels; a class alone: cr=2",
    )  # fmt: skip
    add(
        "--hdu", metavar="NAME", action="append", default=[],
        help="name or number of an extension to examine (default: all images)",
    )  # fmt: skip
    add("--proba", action="store_true", help="append an extension of probabilities for each class")
    add(
        "--compress",
        action="store_true",
        help="compress, as where the name of the mask ends with .fz",
    )
    add(
        "--tile",
        metavar="N",
        type=positive_integer,
        help="pixels of the side of a tile; changes memory only",
    )
    add(
        "--jobs", metavar="N", type=positive_integer, default=1, help="files at a time (default: 1)"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--overwrite", action="store_true", help="replace existing masks")
    again.add_argument("--resume", action="store_true", help="leave out files that have a mask")
    add("--summary", metavar="FILE.json", type=Path, help="write what was found, and what failed")
    add("--list-classes", action="store_true", help="print the classes of the model and end")
    add("--quiet", action="store_true", help="no progress bar, no report")
    parser.set_defaults(run=mask)


def mask(arguments):
    """Run the command.

    Parameters
    ----------
    arguments : Namespace
        As `add_mask` declares them.

    Returns
    -------
    code : int
        0; 1 when a file cannot be read or written; 2 for a wrong argument.

    Raises
    ------
    OSError
        A mask that exists already, or a model or list that cannot be read.
    """
    # all that can be refused is refused before any work
    try:
        jobs, skipped = ([], []) if arguments.list_classes else _plan(arguments)
        model, settings = _model(arguments)
    except ValueError as error:
        return fail(error, 2)
    if arguments.list_classes:
        from skastro.mask_settings import describe_classes

        print(describe_classes(model))
        return 0
    records = [_record(job, "skipped") for job in skipped]
    with _Bar(len(jobs), arguments) as bar:
        for record in _run(jobs, model, settings, arguments, bar):
            records.append(record)
            bar.done(record)
    if arguments.summary is not None:
        _write_summary(arguments.summary, records, model, settings)
    return int(any(record["status"] == "failed" for record in records))


def _plan(arguments):
    from skastro.mask_inputs import find_inputs, plan_jobs

    if arguments.output is not None and arguments.output_dir is not None:
        raise ValueError("--output and --output-dir are both given; expected one.")
    suffix = arguments.suffix or (SUFFIX + ".fz" if arguments.compress else SUFFIX)
    if "/" in suffix:
        raise ValueError(f"--suffix {suffix!r} has a folder; expected the ending of a name.")
    paths = find_inputs(arguments.files, arguments.list, suffix=suffix)
    if arguments.summary is not None and not arguments.summary.parent.is_dir():
        raise ValueError(f"--summary {arguments.summary}: {arguments.summary.parent} is no folder.")
    return plan_jobs(
        paths, output=arguments.output, folder=arguments.output_dir, suffix=suffix,
        replace=arguments.overwrite, resume=arguments.resume,
    )  # fmt: skip


def _model(arguments):
    """The model, its priors and thresholds set, and what is done to each file."""
    from skastro import mask_settings

    model = mask_settings.load_model(arguments.model)
    settings = mask_settings.configure(
        model, classes=arguments.classes, priors=arguments.prior, thresholds=arguments.threshold,
        dilate=arguments.dilate,
    )  # fmt: skip
    name = mask_settings.DEFAULT_MODEL if arguments.model is None else arguments.model.name
    return model, settings._replace(
        model_name=name, digest=mask_settings.weights_digest(model), tile=arguments.tile,
        hdus=tuple(arguments.hdu), proba=arguments.proba, compress=arguments.compress,
    )  # fmt: skip


def _record(job, status, **more):
    record = {"input": str(job.source), "output": str(job.output), "status": status, "reason": None}
    return record | {"images": []} | more


def _one(model, job, settings, progress=None):
    """The mask of a file; whatever is wrong with it is said and leaves the others alone."""
    from skastro.mask_files import mask_file

    settings = settings._replace(compress=settings.compress or job.output.name.endswith(".fz"))
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        # as one list, whichever process they are in
        warnings.simplefilter("always", UserWarning)
        try:
            images = mask_file(model, job.source, job.output, settings, progress)
            record = _record(job, "done", images=images)
        except (OSError, ValueError) as error:
            reason = str(error) if str(job.source) in str(error) else f"{job.source}: {error}"
            record = _record(job, "failed", reason=reason.splitlines()[0])
        except Exception as error:
            # one strange file must not end a night's run
            reason = f"{job.source}: {type(error).__name__}: {error}"
            record = _record(job, "failed", reason=reason.splitlines()[0])
    said = [str(one.message).splitlines()[0] for one in caught if one.category is UserWarning]
    return record | {
        "warnings": list(dict.fromkeys(said)),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _run(jobs, model, settings, arguments, bar):
    """Records of the files, in their order."""
    n_jobs = min(arguments.jobs, len(jobs))
    if n_jobs < 2:
        for job in jobs:
            yield _one(model, job, settings, bar.pixels)
        return
    from joblib import Parallel, delayed

    # workers that share the cores: joblib gives each its part of them
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    yield from parallel(delayed(_one)(model, job, settings) for job in jobs)


class _Bar(contextlib.ExitStack):
    """Files that are done and, of one file at a time, its pixels."""

    def __init__(self, n_files, arguments):
        super().__init__()
        from tqdm import tqdm

        self.quiet, self.tqdm = arguments.quiet, tqdm
        off = arguments.quiet or n_files == 0
        self.files = tqdm(total=n_files, unit="file", desc="mask", disable=off or n_files == 1)
        self.inner = tqdm(
            unit="pixel",
            unit_scale=True,
            desc="pixels",
            leave=False,
            disable=off or min(arguments.jobs, n_files) > 1,
        )
        self.callback(self.files.close)
        self.callback(self.inner.close)

    def pixels(self, n_pixels):
        self.inner.update(n_pixels)

    def done(self, record):
        """Report a file."""
        self.files.update()
        for message in record.get("warnings", ()):
            self.tqdm.write(f"skastro: {record['input']}: {message}", file=sys.stderr)
        if record["status"] == "failed":
            self.tqdm.write(f"skastro: {record['reason']}", file=sys.stderr)
        elif not self.quiet:
            self.tqdm.write(f"wrote {record['output']}", file=sys.stdout)


def _write_summary(path, records, model, settings):
    import skastro
    from skastro.files import replacing
    from skastro.mask_settings import numbers_of, plain

    policy, level = model.threshold_policy_
    thresholds = numbers_of(model, "thresholds_")
    states = [record["status"] for record in records]
    summary = {
        "version": skastro.__version__,
        "model": settings.model_name,
        "weights_sha256": settings.digest,
        "classes": {label: int(model.bits_[label]) for label in settings.labels},
        # of the model: each image has those that were used
        "thresholds": {label: plain(thresholds[label]) for label in settings.labels},
        "policy": [str(policy), plain(level)],
        "dilate": settings.dilations,
        "n_done": states.count("done"),
        "n_failed": states.count("failed"),
        "n_skipped": states.count("skipped"),
        "files": records,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
