"""Maps of FITS files for the command line: read with their header, written with it."""

__all__ = ["read_map", "write_map"]

# what describes the old pixels
STALE = (
    "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "NAXIS4", "BITPIX", "BSCALE", "BZERO", "BLANK", "DATAMIN",
    "DATAMAX", "CHECKSUM", "DATASUM",
)  # fmt: skip


def read_map(path, hdu=None, ndims=(2,)):
    """Read an image, without its axes of length one, and its header.

    Parameters
    ----------
    path : Path
    hdu : int or None, default=None
        Number of the HDU. None: the first with an image.
    ndims : tuple of int, default=(2,)
        Numbers of axes that are allowed: 2 for a map, 3 for a cube of them.

    Returns
    -------
    image : ndarray of shape (h, w) or (n, h, w), float64
    header : astropy.io.fits.Header

    Raises
    ------
    ValueError
        No such HDU, no image in it, or one with other axes.
    OSError
        A file that cannot be read.

    Examples
    --------
    >>> from skastro.fits_maps import read_map
    >>> image, header = read_map("dust.fits")  # doctest: +SKIP
    """
    import numpy as np
    from astropy.io import fits

    with fits.open(path) as hdus:
        numbers = range(len(hdus)) if hdu is None else [hdu]
        for number in numbers:
            if not -len(hdus) <= number < len(hdus):
                raise ValueError(f"{path} has {len(hdus)} HDUs; expected one of them.")
            if hdus[number].is_image and hdus[number].data is not None:
                values, header = hdus[number].data, hdus[number].header.copy()
                break
        else:
            raise ValueError(f"{path} has no image there; expected one.")
        image = np.squeeze(np.asarray(values, dtype=np.float64))
    if image.ndim not in ndims:
        forms = " or ".join({2: "a map (h, w)", 3: "a cube (n, h, w)"}[ndim] for ndim in ndims)
        raise ValueError(f"{path} has an image of shape {np.shape(values)}; expected {forms}.")
    return image, header


def write_map(path, image, header, history, more=None):
    """Write an image with the header of another; the file is there only when all is written.

    Parameters
    ----------
    path : Path
    image : ndarray of shape (h, w) or (n, h, w)
    header : astropy.io.fits.Header
        What it says of the pixels of the old image is left out.
    history : str
        What was done; the version is put before it.
    more : dict of str to ndarray, optional
        Other images on the same grid, each in an extension of that name with the same header.

    Raises
    ------
    OSError
        A file that cannot be written.

    Examples
    --------
    >>> from skastro.fits_maps import read_map, write_map
    >>> image, header = read_map("dust.fits")  # doctest: +SKIP
    >>> write_map("half.fits", image / 2, header, "half of dust.fits")  # doctest: +SKIP
    """
    from importlib.metadata import version

    from astropy.io import fits

    from skastro.files import replacing

    header = header.copy()
    for key in STALE:
        header.remove(key, ignore_missing=True)
    header["HISTORY"] = f"skastro {version('skastro')}: {history}"
    hdus = fits.HDUList([fits.PrimaryHDU(image, header)])
    for name, extra in (more or {}).items():
        hdus.append(fits.ImageHDU(extra, header, name=name))
    with replacing(path) as temporary:
        hdus.writeto(temporary, overwrite=True)
