"""What the headers of line cubes say: axes, units, spectral axis; and what is written into them."""

import contextlib
import re
import warnings
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

import skastro

__all__ = [
    "CubeAxes",
    "add_history",
    "axis_types",
    "clean_header",
    "find_axes",
    "history_lines",
    "mend_header",
    "parse_unit",
    "quiet_wcs",
    "read_wcs",
    "spectral_values",
    "unit_text",
]

# First letters of CTYPE; the older names of AIPS and CLASS are among them.
SPECTRAL = {
    "AWAV", "BETA", "ENER", "FELO", "FREQ", "LAMB", "VELO", "VOPT", "VRAD", "WAVE", "WAVN", "ZOPT",
}  # fmt: skip
# Cards that describe the stored numbers, wrong as soon as they are others.
STALE = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "ZBLANK")
LONGEST_PARAMETER = 200


class CubeAxes(NamedTuple):
    """Where the axes of a cube lie in an array as it is stored, counted as numpy does.

    Attributes
    ----------
    y, x, spectral : int
    rest : tuple of int
        Axes of length 1, such as Stokes.
    """

    y: int
    x: int
    spectral: int
    rest: tuple = ()

    @property
    def order(self):
        """The stored axes in the order (y, x, spectral, others)."""
        return (self.y, self.x, self.spectral, *self.rest)

    def to_cube(self, stored):
        """View a stored array as (n_y, n_x, n_channels)."""
        return stored.transpose(self.order)[(...,) + (0,) * len(self.rest)]

    def to_stored(self, cube):
        """View an array (n_y, n_x, n_channels) with its axes as they are stored."""
        order = [int(i) for i in np.argsort(self.order)]
        return cube[(...,) + (None,) * len(self.rest)].transpose(order)


def _axis_kind(name):
    """Kind of an axis from its CTYPE or, for a WCS that is not of FITS, its physical type."""
    code = str(name or "").strip().upper()
    if code[:4] in SPECTRAL or code.startswith(("SPECT.", "EM.")):
        return "spectral"
    if code.startswith(("STOKES", "PHYS.POLARIZATION")):
        return "stokes"
    first = code.split("-")[0]
    if first in ("RA", "DEC") or first[1:] in ("LON", "LAT") or code.startswith("POS."):
        return "sky"
    return ""


def axis_types(header=None, wcs=None):
    """Names of the axes of a file, first axis of FITS first.

    Parameters
    ----------
    header : Header or None
    wcs : WCS or None
        Read when there is no header.

    Returns
    -------
    names : list of str
        CTYPE of each axis, or its physical type for a WCS that is not of FITS; "" where unknown.
    """
    if header is not None:
        count = max(header.get("NAXIS", 0), header.get("WCSAXES", 0))
        return [str(header.get(f"CTYPE{i + 1}", "")) for i in range(count)]
    if isinstance(wcs, WCS):
        return [str(name) for name in wcs.wcs.ctype]
    if wcs is None:
        return []
    low = getattr(wcs, "low_level_wcs", wcs)
    matrix, physical = low.axis_correlation_matrix, low.world_axis_physical_types
    # a pixel axis is named by the first world axis that moves with it alone, else with it at all
    names = []
    for pixel in range(low.pixel_n_dim):
        moved = np.flatnonzero(matrix[:, pixel])
        alone = [i for i in moved if matrix[i].sum() == 1]
        chosen = alone[:1] or list(moved[:1])
        names.append(physical[chosen[0]] or "" if chosen else "")
    return names


def find_axes(names, shape, source="source"):
    """Find y, x and the spectral axis in an array as it is stored.

    The spectral axis is the one whose name says so; else one that is neither on the sky nor of
    polarization; else the first of numpy, the last of FITS. Axes of length 1 beyond three are left out.

    Parameters
    ----------
    names : list of str
        As `axis_types` returns them.
    shape : tuple of int
        As numpy counts.
    source : str
        Name for the errors.

    Returns
    -------
    axes : CubeAxes

    Raises
    ------
    ValueError
        Too few or too many axes, an empty one, several Stokes planes, a single channel.

    Examples
    --------
    >>> from skastro.io.headers import find_axes
    >>> find_axes(["RA---SIN", "DEC--SIN", "VRAD", "STOKES"], (1, 44, 128, 128))
    CubeAxes(y=2, x=3, spectral=1, rest=(0,))
    >>> find_axes(["VRAD", "RA---SIN", "DEC--SIN"], (128, 128, 44)).spectral
    2
    """
    n = len(shape)
    if n < 3:
        raise ValueError(f"{source} has shape {shape}; expected a cube of 3 axes.")
    if 0 in shape:
        raise ValueError(f"{source} has shape {shape}, with an empty axis; expected a cube.")
    names = (list(names) + [""] * n)[:n]
    kinds = [_axis_kind(name) for name in names][::-1]
    rest = [i for i in range(n) if kinds[i] == "stokes"]
    if rest and shape[rest[0]] > 1:
        raise ValueError(
            f"{source} has a Stokes axis of length {shape[rest[0]]}; expected one plane: cut it out first."
        )
    left_out = [i for i in range(n) if kinds[i] == "" and shape[i] == 1][: n - 3 - len(rest)]
    rest = sorted(rest + left_out) if n > 3 else rest
    axes = [i for i in range(n) if i not in rest]
    if len(axes) > 3:
        raise ValueError(
            f"{source} has shape {shape}; expected 3 axes, the others of length 1 (such as Stokes)."
        )
    candidates = [i for i in axes if kinds[i] == "spectral"] or [
        i for i in axes if kinds[i] == "" and i not in rest
    ]
    if len(axes) < 3 or not candidates:
        raise ValueError(f"{source} has axes {names}; expected a spectral axis among them.")
    spectral = candidates[0]
    if shape[spectral] == 1:
        raise ValueError(f"{source} has 1 channel; expected at least 2.")
    y, x = (i for i in axes if i != spectral)
    return CubeAxes(y, x, spectral, tuple(rest))


def parse_unit(text):
    """Unit of a BUNIT card.

    Parameters
    ----------
    text : str or None

    Returns
    -------
    unit : Unit, str or None
        The text itself where astropy does not know such a unit; None where it is blank.

    Examples
    --------
    >>> from skastro.io.headers import parse_unit
    >>> parse_unit("JY/BEAM "), parse_unit("K (Tmb)"), parse_unit("counts per dump")
    (Unit("Jy / beam"), Unit("K"), 'counts per dump')
    """
    text = str(text or "").strip()
    if not text:
        return None
    # the scale of temperatures as CLASS writes it, and capitals as Miriad does: never MJY, mega or milli
    spellings = [text, re.sub(r"\s+\(.*\)$", "", text)]
    if text[:2].lower() == "jy":
        spellings.append("Jy" + text[2:].lower())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        for spelling in spellings:
            try:
                return u.Unit(spelling)
            except ValueError:
                continue
    return text


def unit_text(unit):
    """Text of a unit for BUNIT, in the spelling of FITS where it has one."""
    if isinstance(unit, str):
        return unit
    try:
        return unit.to_string("fits")
    except ValueError:
        return unit.to_string()


@contextlib.contextmanager
def quiet_wcs():
    """Keep astropy from reporting, at each reading, which old spellings it mended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        yield


def read_wcs(header):
    """WCS of a header, or None where it holds none that can be read."""
    if header is None:
        return None
    with quiet_wcs():
        try:
            return WCS(header)
        except Exception:
            return None


def spectral_values(wcs, axis, n_channels, unit=None):
    """World coordinate of each channel, at the reference position.

    Parameters
    ----------
    wcs : WCS or None
    axis : int
        The spectral axis as FITS counts, from 0.
    n_channels : int
    unit : str or None
        Unit to convert to, such as CUNIT of the header: astropy reads km/s as m/s.

    Returns
    -------
    values : Quantity of shape (n_channels,) or None
        None where the WCS does not say.
    """
    low = getattr(wcs, "low_level_wcs", wcs)
    if low is None or low.pixel_n_dim <= axis:
        return None
    names = wcs.wcs.ctype if isinstance(wcs, WCS) else low.world_axis_physical_types
    moved = np.flatnonzero(low.axis_correlation_matrix[:, axis])
    worlds = [i for i in moved if _axis_kind(names[i]) == "spectral"]
    if not worlds:
        return None
    at = np.zeros(low.pixel_n_dim) if not isinstance(wcs, WCS) else wcs.wcs.crpix - 1.0
    pixels = [np.full(n_channels, float(one)) for one in at]
    pixels[axis] = np.arange(n_channels, dtype=float)
    try:
        values = low.pixel_to_world_values(*pixels)
        values = u.Quantity(values[worlds[0]], low.world_axis_units[worlds[0]])
        return values if not unit else values.to(u.Unit(unit))
    except Exception:
        return None


def history_lines(history):
    """Lines for the header: what was done, by which version, with which parameters.

    Parameters
    ----------
    history : None, str, sequence of str or estimator
        An estimator stands for its name and parameters.

    Returns
    -------
    lines : list of str
        In ASCII, as FITS wants; empty for None.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skastro.io.headers import history_lines
    >>> history_lines(["cut at 3 sigma"])
    ['skastro ...: cut at 3 sigma']
    >>> history_lines(PCA(3))[0].split(": ")[1][:20]
    'PCA(copy=True, itera'
    """
    if history is None:
        return []
    if hasattr(history, "get_params"):
        shown = []
        for name, value in sorted(history.get_params(deep=False).items()):
            text = repr(value)
            if len(text) > LONGEST_PARAMETER:
                text = text[: LONGEST_PARAMETER - 3] + "..."
            shown.append(f"{name}={text}")
        history = f"{type(history).__name__}({', '.join(shown)})"
    if isinstance(history, str):
        history = [history]
    lines = [" ".join(str(line).split()) for line in history]
    lines = [line.encode("ascii", "backslashreplace").decode() for line in lines]
    return [f"skastro {skastro.__version__}: {line}" for line in lines]


def add_history(header, history):
    """Append `history_lines` to a header, in place."""
    for line in history_lines(history):
        header.add_history(line)


def mend_header(header):
    """Copy a header so that every card of it can be read and written.

    Parameters
    ----------
    header : Header

    Returns
    -------
    header : Header
        Cards that break the standard, such as ``BUNIT = K`` without quotes, hold their text.
    """
    header = header.copy()
    for i, card in reversed(list(enumerate(header.cards))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                card.verify("silentfix")
                str(card), card.value
        except Exception:
            text = card.image.partition("=")[2].split(" / ")[0].strip(" '")
            del header[i]
            with contextlib.suppress(ValueError):
                header.insert(i, (card.keyword.upper()[:8], text))
    return header


def clean_header(header):
    """Copy a header without what only holds for the numbers that it came with.

    Parameters
    ----------
    header : Header or None

    Returns
    -------
    header : Header
        Without BSCALE, BZERO, BLANK, DATAMIN, DATAMAX, CHECKSUM and DATASUM.
    """
    header = fits.Header() if header is None else header.copy()
    for name in STALE:
        header.remove(name, ignore_missing=True, remove_all=True)
    return header
