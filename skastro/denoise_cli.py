"""``skastro denoise``: a FITS cube in, a FITS cube out."""

from pathlib import Path

from skastro.arguments import (
    check_output,
    fail,
    noise_level,
    positive_integer,
    positive_number,
    seed,
)

__all__ = ["add_denoise", "denoise"]

NETWORKS = ("patch", "autoencoder")
METHODS = (*NETWORKS, "gaussian", "pca", "wavelet")
KERNEL = 1.5  # full width at half maximum of the method gaussian, in voxels


def add_denoise(commands):
    """Add the command to a parser.

    Parameters
    ----------
    commands : object
        What ``ArgumentParser.add_subparsers`` returned.
    """
    parser = commands.add_parser(
        "denoise",
        help="take the noise out of a FITS cube",
        description="Take the noise out of a spectral cube. The method learns from the cube itself; "
        "WCS, unit, header, blanks and axes of length one are kept.",
    )
    parser.add_argument("cube", metavar="CUBE.fits", type=Path, help="the noisy cube")
    parser.add_argument(
        "-o", "--output", metavar="OUT.fits", type=Path, required=True,
        help="the denoised cube, written when all of it is there",
    )  # fmt: skip
    parser.add_argument(
        "--sigma", metavar="FILE_OR_NUMBER", type=noise_level,
        help="noise level: a number in the unit of the cube, or a FITS map or cube of it "
        "(default: estimated)",
    )  # fmt: skip
    parser.add_argument(
        "--mask", metavar="FILE", type=Path,
        help="FITS cube, not zero where there is signal (default: looked for)",
    )  # fmt: skip
    parser.add_argument(
        "--method", choices=METHODS, default="patch", metavar="NAME",
        help=f"{', '.join(METHODS)} (default: patch); the last three read the cube whole",
    )  # fmt: skip
    parser.add_argument(
        "--save-std", metavar="FILE", type=Path,
        help="write the standard error of the denoised cube too (patch and autoencoder)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument(
        "--no-gate", action="store_true",
        help="keep the estimate where no signal was found (pca and wavelet always do)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", metavar="N", type=positive_integer,
        help="length of the training (default: that of the method)",
    )  # fmt: skip
    parser.add_argument(
        "--random-state", metavar="N", type=seed, default=0, help="seed (default: 0)"
    )
    parser.add_argument(
        "--block-mb", metavar="MB", type=positive_number, default=256.0,
        help="memory for a block of the cube (default: 256)",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress bars, no report")
    parser.set_defaults(run=denoise)


def denoise(arguments):
    """Run the command.

    Parameters
    ----------
    arguments : Namespace
        As `add_denoise` declares them.

    Returns
    -------
    code : int
        0; 1 when a file cannot be read or written or the method fails; 2 for a wrong argument.

    Raises
    ------
    OSError
        A file that is missing, that exists already, or that cannot be written.
    """
    # all that can be refused is refused before the minutes of work
    code = _check_outputs(arguments)
    if code:
        return code
    from skastro.io import read_cube

    try:
        cube = read_cube(arguments.cube, name="CUBE.fits")
    except ValueError as error:
        return fail(error, 1)
    try:
        sigma = _read_sigma(arguments.sigma, cube)
        signal_mask = _read_mask(arguments.mask, cube)
    except ValueError as error:
        return fail(error, 2)
    method = _make(arguments)
    try:
        method.fit(cube, sigma=sigma, signal_mask=signal_mask)
        if arguments.method in NETWORKS:
            method.transform_file(cube, arguments.output, overwrite=arguments.overwrite)
            if arguments.save_std is not None:
                method.transform_file(
                    cube, arguments.save_std, overwrite=arguments.overwrite, std=True
                )
        else:
            _write(method, cube, arguments)
    except ValueError as error:
        return fail(error, 1)
    if not arguments.quiet:
        for path in _outputs(arguments):
            print(f"wrote {path}")
    return 0


def _outputs(arguments):
    return [path for path in (arguments.output, arguments.save_std) if path is not None]


def _check_outputs(arguments):
    """A code where an output is wrong; errors of the system are raised."""
    outputs = _outputs(arguments)
    if arguments.save_std is not None and arguments.method not in NETWORKS:
        return fail(
            f"--save-std with --method {arguments.method}, which estimates no error; expected "
            f"--method {' or '.join(NETWORKS)}.",
            2,
        )
    if len(outputs) == 2 and outputs[0].resolve() == outputs[1].resolve():
        return fail(f"--save-std {outputs[1]} is the file of --output; expected another.", 2)
    for path in outputs:
        try:
            check_output(path, arguments.overwrite)
        except ValueError as error:
            return fail(error, 2)
    return 0


def _make(arguments):
    """The estimator of a method."""
    if arguments.method in NETWORKS:
        from skastro.denoising import CubeDenoiser

        epochs = {} if arguments.epochs is None else {"max_epochs": arguments.epochs}
        return CubeDenoiser(
            arguments.method,
            gate=not arguments.no_gate,
            max_memory=max(1, round(arguments.block_mb * 1e6)),
            verbose=0 if arguments.quiet else 1,
            random_state=arguments.random_state,
            **epochs,
        )
    from skastro.denoising import baselines

    if arguments.method == "gaussian":
        kind = baselines.GaussianSmoother if arguments.no_gate else baselines.MaskDenoiser
        return kind(fwhm=KERNEL)
    return {"pca": baselines.PCADenoiser, "wavelet": baselines.WaveletDenoiser}[arguments.method]()


def _write(method, cube, arguments):
    """Denoise the cube as a whole, and write it."""
    from skastro.io import CubeWriter

    denoised = method.transform(cube.block())
    output = CubeWriter(arguments.output, cube, overwrite=arguments.overwrite, history=method)
    with output as writer:
        writer.write(denoised)


def _read_sigma(given, cube):
    """Noise level in the unit of the cube: a number, a map, or an array of its shape."""
    if given is None or isinstance(given, float):
        return given
    from skastro.denoising.checks import check_sigma
    from skastro.io import read_cube
    from skastro.io.headers import parse_unit

    values, unit = _read_map(given)
    if values is None:
        level = read_cube(given, name="--sigma")
        values, unit = level.block(), level.unit
    else:
        unit = parse_unit(unit)
    values = _in_unit_of(cube, values, unit)
    try:
        check_sigma(values, cube.shape)
    except ValueError as error:
        raise ValueError(f"--sigma {given}: {error}") from error
    return values


def _read_map(path):
    """Values and BUNIT of a FITS image of two axes, None and None for another file."""
    import numpy as np
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            image = next((one for one in hdus if len(one.shape) > 1), None)
            if image is None or sum(n > 1 for n in image.shape) != 2:
                return None, None
            return np.squeeze(image.data).astype(np.float32), image.header.get("BUNIT")
    except (TypeError, ValueError) as error:
        raise ValueError(f"--sigma {path} cannot be read: {error}") from error


def _in_unit_of(cube, values, unit):
    from astropy.units import Quantity

    from skastro.io.cubes import check_unit

    if unit is None or unit == cube.unit:
        return values
    if isinstance(unit, str):
        raise ValueError(f"--sigma has unit {unit!r}; expected {str(cube.unit)!r}, as the cube.")
    return check_unit(Quantity(values, unit, copy=False), cube.unit, "--sigma")


def _read_mask(path, cube):
    """True where a cube is not zero."""
    if path is None:
        return None
    import numpy as np

    from skastro.blocks import map_tiles
    from skastro.io import read_cube

    mask = read_cube(path, name="--mask")
    if mask.shape != cube.shape:
        raise ValueError(
            f"--mask {path} has shape {mask.shape}; expected {cube.shape}, (n_y, n_x, n_channels) "
            "of the cube."
        )
    return map_tiles(lambda tile: np.nan_to_num(tile) != 0, mask)
