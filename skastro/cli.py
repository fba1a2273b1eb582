"""The command line: ``skastro compare TASK``, ``denoise``, ``separate``, ``synthesize``, ``mask``."""

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from skastro.arguments import seed
from skastro.denoise_cli import add_denoise
from skastro.mask_cli import add_mask
from skastro.separate_cli import add_separate
from skastro.synthesize_cli import add_synthesize

__all__ = ["main"]


def _version():
    try:
        return version("skastro")
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        # one line, without the usage
        self.exit(2, f"{self.prog}: {message}\n")


def _parser():
    # heavy imports wait until a command runs: --help answers at once
    parser = _Parser(
        prog="skastro",
        description="Machine learning for astronomy, with the scikit-learn interface.",
    )
    parser.add_argument("--version", action="version", version=f"skastro {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    compare = commands.add_parser(
        "compare",
        help="every method of a task on the same held-out data: table, CSV, picture",
        description="Fit every method of a task to its bundled data and score it on held-out rows, "
        "or on the truth of the same cubes. Prints the table and writes TASK.csv and TASK.png.",
    )
    compare.add_argument(
        "task",
        metavar="TASK",
        help="what to compare: denoising, emulation, regression, scattering, segmentation or separation",
    )
    compare.add_argument(
        "--output", type=Path, default=Path("."), metavar="DIR",
        help="folder for the files, made if absent (default: the current one)",
    )  # fmt: skip
    compare.add_argument(
        "--quick", action="store_true", help="short training: to see that all runs, not to judge by"
    )
    compare.add_argument(
        "--random-state", type=seed, default=0, metavar="N",
        help="seed of the split and of the methods (default: 0)",
    )  # fmt: skip
    compare.add_argument("--no-plot", action="store_true", help="write no picture")
    compare.set_defaults(run=_compare)
    add_denoise(commands)
    add_separate(commands)
    add_synthesize(commands)
    add_mask(commands)
    return parser


def _compare(arguments):
    from skastro.compare import compare, get_task
    from skastro.files import replacing

    try:
        task = get_task(arguments.task)
    except ValueError as error:
        print(f"skastro: {error}", file=sys.stderr)
        return 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    if not arguments.no_plot:
        # before the minutes of work, not after
        from skastro.displays.style import require_matplotlib

        require_matplotlib().switch_backend("agg")
    comparison = compare(
        task.estimators(random_state=arguments.random_state, quick=arguments.quick),
        task=task,
        random_state=arguments.random_state,
    )
    print(comparison)
    table = arguments.output / f"{task.name}.csv"
    comparison.to_csv(table)
    print(f"wrote {table}")
    if not arguments.no_plot and comparison.predictions:
        picture = arguments.output / f"{task.name}.png"
        figure = comparison.plot()
        with replacing(picture) as temporary:
            figure.savefig(temporary, dpi=150)
        print(f"wrote {picture}")
    failed = list(dict.fromkeys(row["method"] for row in comparison.rows if row["error"]))
    if failed:
        print(f"skastro: {len(failed)} method(s) failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    code : int
        0; 1 when a method failed or a file could not be read or written; 2 for a wrong argument;
        130 when interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ImportError, OSError) as error:
        print(f"skastro: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("skastro: interrupted", file=sys.stderr)
        return 130
