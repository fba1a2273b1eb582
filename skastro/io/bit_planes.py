"""Masks as bit planes in FITS: one bit for each class, and a header that names them."""

import warnings
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from skastro.io.fits_images import open_images
from skastro.io.headers import clean_header

__all__ = ["BitPlanes", "bit_cards", "mask_header", "read_bit_planes"]

# cards of an earlier mask, and of numbers with a unit
NUMBERED = ("BIT", "PRIOR", "THRES", "DILAT")
OURS = (
    "MASKTYPE", "MASKDONE", "MASKCLAS", "MASKVERS", "MASKMODL", "MASKSHA", "MASKTILE", "THRPOL", "THRLEV",
    "BUNIT",
)  # fmt: skip


class BitPlanes(NamedTuple):
    """A mask, as `read_bit_planes` returns it.

    Attributes
    ----------
    name : str
        EXTNAME of the image, "" where it has none.
    bits : ndarray of uint16 or uint32
        Of the shape of the image: the sum of the bits of the classes that a pixel belongs to.
    labels : dict of str to int
        Bit of each class, and of NODATA: pixels that are blank or were not examined.
    """

    name: str
    bits: np.ndarray
    labels: dict


def bit_number(bit):
    """Number of the only bit that is set: 0 of 1, 3 of 8."""
    return int(bit).bit_length() - 1


def bits_dtype(bits, nodata):
    """uint16 where the bits fit into it, else uint32."""
    return np.dtype(np.uint16 if max([nodata, *bits.values()]) < 2**16 else np.uint32)


def to_stored(bits):
    """Unsigned numbers as FITS stores them: signed ones, lower by half of their range."""
    half = bits.dtype.type(1 << (8 * bits.dtype.itemsize - 1))
    return (bits ^ half).view(f"i{bits.dtype.itemsize}")


def from_stored(stored):
    """The inverse of `to_stored`, in the byte order of the machine."""
    size = stored.dtype.itemsize
    bits = stored.astype(f"=i{size}").view(f"u{size}")
    return bits ^ bits.dtype.type(1 << (8 * size - 1))


def bit_cards(bits, nodata, *, meanings=None, priors=None, thresholds=None, dilations=None):
    """Cards that say which bit is which class.

    Parameters
    ----------
    bits : dict of str to int
        Bit of each class: 1, 2, 4 and so on.
    nodata : int
        Bit of pixels without data.
    meanings, priors, thresholds, dilations : dict of str to object, optional
        Of each class: comment, prior, threshold of the probability, dilation in pixels.

    Returns
    -------
    cards : list of tuple
        (keyword, value, comment); numbers to their last digit.

    Examples
    --------
    >>> from skastro.io.bit_planes import bit_cards
    >>> for card in bit_cards({"CR": 1}, 32768, priors={"CR": 5e-4}):
    ...     print(*card, sep="; ")
    BIT00; CR; 1
    PRIOR00; 0.0005; prior of CR
    BIT15; NODATA; 32768: blank, or not examined
    """
    cards = []
    for label, bit in sorted(bits.items(), key=lambda item: item[1]):
        number = f"{bit_number(bit):02d}"
        meaning = (meanings or {}).get(label, "")
        cards.append((f"BIT{number}", label, f"{bit}: {meaning}" if meaning else str(bit)))
        for key, values, comment in (
            ("PRIOR", priors, "prior"), ("THRES", thresholds, "threshold"),
            ("DILAT", dilations, "pixels of dilation"),
        ):  # fmt: skip
            value = (values or {}).get(label)
            if value is None or (key == "DILAT" and not value):
                continue
            # FITS has no infinity: a class that nothing can be accepted as
            value = value if np.isfinite(value) else str(value)
            cards.append((f"{key}{number}", value, f"{comment} of {label}"))
    number = f"{bit_number(nodata):02d}"
    return [*cards, (f"BIT{number}", "NODATA", f"{nodata}: blank, or not examined")]


def _card(keyword, value, comment=""):
    """A card; a float has all of its digits, of which astropy keeps those that fit into 20 places."""
    with warnings.catch_warnings():
        # comments that are cut
        warnings.simplefilter("ignore")
        card = fits.Card.fromstring(str(fits.Card(keyword, value, comment)))
        if isinstance(value, float) and card.value != value:
            text = f"{keyword:<8}= {repr(value).upper():>20} / {comment}"
            card = fits.Card.fromstring(text[:80])
    return card


def mask_header(header, cards):
    """Header of an image for its mask: WCS and names are kept, what describes the old numbers is not."""
    header = clean_header(header)
    numbered = [f"{name}{i:02d}" for name in NUMBERED for i in range(32)]
    for name in (*OURS, *numbered):
        header.remove(name, ignore_missing=True, remove_all=True)
    for card in cards:
        header.append(_card(*card), end=True)
    return header


def read_bit_planes(path):
    """Read the masks that ``skastro mask`` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    masks : list of BitPlanes
        (name, bits, labels) of each image of the file. ``bits & labels["CR"]`` is not zero where there is a
        cosmic ray.

    Raises
    ------
    OSError
        The file is missing or cannot be opened.
    ValueError
        Not a FITS file, or one without such masks.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from pathlib import Path
    >>> from skastro.io import read_bit_planes
    >>> path = Path(tempfile.mkdtemp()) / "a.mask.fits"
    >>> cards = [("EXTNAME", "SCI"), ("MASKTYPE", "BITS"), ("BIT00", "CR"), ("BIT03", "HP")]
    >>> bits = np.array([[0, 1, 9]], dtype=np.uint16)
    >>> fits.PrimaryHDU(bits, fits.Header(cards)).writeto(path)
    >>> for name, bits, labels in read_bit_planes(path):
    ...     print(name, bits & labels["HP"] != 0)
    SCI [[False False  True]]
    """
    masks = []
    with open_images(path) as extensions:
        for extension in extensions:
            if extension.kind not in ("image", "line") or not is_mask(extension.hdu.header):
                continue
            header = extension.header
            stored = np.asarray(extension.hdu.data)
            masks.append(BitPlanes(extension.name, from_stored(stored), _labels(header)))
    if not masks:
        raise ValueError(f"{path} has no bit planes; expected what skastro mask wrote.")
    return masks


def is_mask(header):
    """Whether a header says that its numbers are bit planes."""
    return header.get("MASKTYPE") == "BITS"


def _labels(header):
    names = ((header.get(f"BIT{i:02d}"), 1 << i) for i in range(32))
    return {name: bit for name, bit in names if name is not None}
