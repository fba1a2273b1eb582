"""``skastro synthesize``: a FITS map in, new maps with its statistics out."""

from pathlib import Path

from skastro.arguments import add_map_options, check_output, fail, positive_integer

__all__ = ["add_synthesize", "synthesize"]

FAMILIES = ("covariance", "power_spectrum", "pdf")


def add_synthesize(commands):
    """Add the command to a parser.

    Parameters
    ----------
    commands : object
        What ``ArgumentParser.add_subparsers`` returned.
    """
    parser = commands.add_parser(
        "synthesize",
        help="draw new maps with the statistics of a FITS map",
        description="Draw maps that have the scattering covariances, the power spectrum and the histogram "
        "of a FITS map. One map is written with its header, several as a cube whose first axis counts.",
    )
    parser.add_argument("map", metavar="MAP.fits", type=Path, help="the map to imitate")
    parser.add_argument(
        "-o", "--output", metavar="OUT.fits", type=Path, required=True,
        help="the new maps, written when all of them are there",
    )  # fmt: skip
    parser.add_argument(
        "-n", "--n-samples", metavar="N", type=positive_integer, default=1,
        help="number of maps (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--log", action="store_true",
        help="imitate the logarithm: for maps that are positive and span decades",
    )  # fmt: skip
    parser.add_argument(
        "--reflect", action="store_true",
        help="the map is not periodic: continue it by its mirror image (four times slower)",
    )  # fmt: skip
    parser.add_argument(
        "--max-iter", metavar="N", type=positive_integer, default=200,
        help="length of the search (default: 200)",
    )  # fmt: skip
    add_map_options(parser, "the map")
    parser.set_defaults(run=synthesize)


def synthesize(arguments):
    """Run the command.

    Returns
    -------
    code : int
        0; 1 for a map that cannot be imitated; 2 for a wrong argument.

    Raises
    ------
    OSError
        A file that cannot be read or written.
    """
    from skastro.fits_maps import read_map, write_map

    try:
        check_output(arguments.output, arguments.overwrite)
    except ValueError as error:
        return fail(error, 2)
    try:
        image, header = read_map(arguments.map, arguments.hdu)
        new = _draw(image, arguments)
    except ValueError as error:
        return fail(error, 1)
    history = (
        f"synthesized from {arguments.map.name}, max_iter={arguments.max_iter}, "
        f"random_state={arguments.random_state}, log={arguments.log}"
    )
    write_map(arguments.output, new[0] if len(new) == 1 else new, header, history)
    if not arguments.quiet:
        print(f"wrote {arguments.output}")
    return 0


def _draw(image, arguments):
    import numpy as np

    from skastro.scattering import ScatteringTransform

    if arguments.log:
        if not (image > 0).all():
            raise ValueError(
                f"{arguments.map} goes down to {np.nanmin(image):.4g}; expected values above 0 with --log."
            )
        image = np.log(image)
    boundary = "reflect" if arguments.reflect else "periodic"
    transform = ScatteringTransform(list(FAMILIES), boundary=boundary).fit(image[None])
    new = transform.synthesize(
        arguments.n_samples,
        max_iter=arguments.max_iter,
        random_state=arguments.random_state,
        verbose=0 if arguments.quiet else 1,
    )
    return np.exp(new) if arguments.log else new
