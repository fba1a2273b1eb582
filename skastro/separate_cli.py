"""``skastro separate``: a FITS mixture and samples of its contamination in, the signal out."""

import sys
from pathlib import Path

from skastro.arguments import add_map_options, check_output, fail, positive_integer

__all__ = ["add_separate", "separate"]


def add_separate(commands):
    """Add the command to a parser.

    Parameters
    ----------
    commands : object
        What ``ArgumentParser.add_subparsers`` returned.
    """
    parser = commands.add_parser(
        "separate",
        help="take the contamination out of a FITS map, from samples of it",
        description="Find the signal in a FITS map of signal and contamination, from the map and samples of "
        "the contamination alone. The signal is written with the header of the map; blank pixels stay blank.",
    )
    parser.add_argument("mixture", metavar="MIX.fits", type=Path, help="the map to take apart")
    parser.add_argument(
        "-c", "--contamination", metavar="C.fits", type=Path, nargs="+", required=True,
        help="samples of the contamination, two or more, better 20: a cube whose first axis counts, or "
        "several files",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="OUT.fits", type=Path, required=True,
        help="the signal, written when it is there",
    )  # fmt: skip
    parser.add_argument(
        "--max-iter", metavar="N", type=positive_integer, default=30,
        help="iterations in each of the three eras of the search (default: 30)",
    )  # fmt: skip
    parser.add_argument(
        "--n-posterior", metavar="N", type=positive_integer,
        help="also draw N signals that might be, 2 or more: their standard deviation and they themselves "
        "become the extensions STD and POSTERIOR of the file",
    )  # fmt: skip
    parser.add_argument("--periodic", action="store_true", help="opposite sides of the map touch")
    add_map_options(parser, "the map")
    parser.set_defaults(run=separate)


def separate(arguments):
    """Run the command.

    Returns
    -------
    code : int
        0; 1 for maps that cannot be taken apart; 2 for a wrong argument.

    Raises
    ------
    OSError
        A file that cannot be read or written.
    """
    from skastro.fits_maps import read_map, write_map

    try:
        if arguments.n_posterior == 1:
            raise ValueError("--n-posterior is 1; expected at least 2: one has no scatter.")
        check_output(arguments.output, arguments.overwrite)
    except ValueError as error:
        return fail(error, 2)
    try:
        mixture, header = read_map(arguments.mixture, arguments.hdu)
        samples = _samples(arguments, mixture.shape, header.get("BUNIT"))
        signal, more = _separated(mixture, samples, arguments)
    except ValueError as error:
        return fail(error, 1)
    history = (
        f"signal in {arguments.mixture.name}, contamination from {len(samples)} samples of "
        f"{', '.join(path.name for path in arguments.contamination)}, max_iter={arguments.max_iter}, "
        f"random_state={arguments.random_state}"
    )
    history += ", periodic" * arguments.periodic
    if more:
        history += f", STD and POSTERIOR from {arguments.n_posterior} draws"
    write_map(arguments.output, signal, header, history, more)
    if not arguments.quiet:
        print(f"wrote {arguments.output}")
    return 0


def _samples(arguments, shape, unit):
    """All samples (n, h, w), in the unit of the mixture."""
    import numpy as np

    from skastro.fits_maps import read_map

    found = []
    for path in arguments.contamination:
        samples, header = read_map(path, ndims=(2, 3))
        samples = samples.reshape(-1, *samples.shape[-2:])
        if samples.shape[1:] != shape:
            raise ValueError(
                f"{path} has maps of {samples.shape[1]} x {samples.shape[2]} pixels; expected {shape[0]} x "
                f"{shape[1]}, those of {arguments.mixture}."
            )
        if not np.isfinite(samples).all():
            blank = int((~np.isfinite(samples)).sum())
            raise ValueError(f"{path} has {blank} pixels that are not finite; expected none.")
        found.append(samples * _factor(header.get("BUNIT"), unit, path))
    samples = np.concatenate(found)
    if len(samples) < 2:
        raise ValueError(
            f"{arguments.contamination[0]} has {len(samples)} sample of the contamination; expected at least "
            "2, which the normalisation by their variance needs."
        )
    return samples


def _factor(given, unit, path):
    """From one BUNIT to another; 1 where a header has none."""
    if given is None or unit is None or given.strip() == unit.strip():
        return 1.0
    from astropy.units import Unit, UnitConversionError

    try:
        return Unit(given).to(Unit(unit))
    except (UnitConversionError, ValueError) as error:
        raise ValueError(
            f"{path} has the unit {given!r}; expected one that converts to {unit!r}."
        ) from error


def _separated(mixture, samples, arguments):
    import warnings

    import numpy as np

    from skastro.separation import StatisticalSeparator

    separator = StatisticalSeparator(
        max_iter=arguments.max_iter,
        periodic=arguments.periodic,
        random_state=arguments.random_state,
        verbose=0 if arguments.quiet else 1,
    ).fit(samples)
    seen = np.isfinite(mixture)
    if not seen.any():
        raise ValueError(f"{arguments.mixture} is blank everywhere; expected pixels that are not.")
    if np.ptp(mixture[seen]) == 0:
        raise ValueError(f"{arguments.mixture} has a constant map; expected one that varies.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        signal = separator.transform(mixture[None], mask=seen)[0]
        draws = None
        if arguments.n_posterior:
            draws = separator.sample_posterior(mixture, arguments.n_posterior, seen)
    # the draws warn again of what the signal was warned of
    said = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
    for message in dict.fromkeys(said):
        print(f"skastro: {message.splitlines()[0]}", file=sys.stderr)
    blank, more = np.float32(np.nan), {}
    if draws is not None:
        more = {"STD": draws.std(axis=0, ddof=1), "POSTERIOR": draws}
    more = {name: np.where(seen, maps, blank) for name, maps in more.items()}
    return np.where(seen, signal, blank), more
