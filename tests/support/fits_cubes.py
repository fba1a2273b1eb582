"""A small line cube, and the same in FITS files of many kinds."""

import numpy as np
from astropy.io import fits

CUBE = np.random.default_rng(0).normal(size=(4, 5, 7)).astype(np.float32)
CUBE[1, 2, 3] = np.nan
CUBE[3, :, :] = np.nan
AXES = {
    "v": ("VRAD", "km/s", 0.5, -3.0),
    "y": ("DEC--SIN", "deg", 1e-3, 48.6),
    "x": ("RA---SIN", "deg", -1e-3, 180.7),
    "s": ("STOKES", "", 1.0, 1.0),
}


def cards(order="vyx", **extra):
    """Header of a file whose axes are `order`, as numpy counts."""
    header = fits.Header()
    for i, axis in enumerate(reversed(order), 1):
        values = zip(("CTYPE", "CUNIT", "CDELT", "CRVAL"), AXES[axis], strict=True)
        header.update({f"{key}{i}": value for key, value in values})
        header[f"CRPIX{i}"] = 1.0
    header.update(
        {"BUNIT": "K", "BMAJ": 2e-3, "BMIN": 1e-3, "BPA": 30.0, "RESTFRQ": 1.15e11} | extra
    )
    header.add_history("observed with care")
    return header


def stored(cube=CUBE, order="vyx"):
    """The cube with its axes in another order, with a Stokes axis where there is an s."""
    return (
        np.einsum(f"yxvs->{order}", cube[..., None])
        if "s" in order
        else np.einsum(f"yxv->{order}", cube)
    )


def make_hdu(order="vyx", dtype=">f4", kind=fits.PrimaryHDU, **extra):
    return kind(stored(order=order).astype(dtype), cards(order, **extra))


def beam_table():
    columns = [
        fits.Column(name, "1E", unit="arcsec", array=np.full(7, 5.0)) for name in ("BMAJ", "BMIN")
    ]
    return fits.BinTableHDU.from_columns(
        [*columns, fits.Column("BPA", "1E", unit="deg", array=np.arange(7.0))], name="BEAMS"
    )


def same(found, expected=CUBE):
    np.testing.assert_array_equal(found, expected)
