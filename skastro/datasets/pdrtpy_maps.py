"""Maps of the Wolfire-Kaufman 2020 PDR models, from a local checkout of pdrtpy."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from sklearn.utils import Bunch

__all__ = ["load_pdrtpy_maps"]

METALLICITIES = ("z=1", "lmc", "smc")
ANGLES = (0, 30, 45, 60, 75)
_MODELS = Path("models") / "wolfirekaufman" / "version2020" / "constant_density"

_DESCR = """\
Wolfire-Kaufman 2020 models of photodissociation regions
--------------------------------------------------------
Read from {folder}
{n_nodes} nodes ({grid}), {n_outputs} maps{kind}.

Inputs: log_n, log10 of the hydrogen density [cm-3]; log_FUV, log10 of the far-ultraviolet field
[erg s-1 cm-2] (subtract log10(1.6e-3) for the field in Habing units).
Outputs: intensities [erg cm-2 s-1 sr-1], linear{ratio_text}; FIR is the far-infrared continuum.
Mask: True where finite and between {low:g} and {high:g}. Such grids hold sentinels (1e-40) and
blow-ups (1e+6 and beyond, in ratios with a line that is nearly zero) that count as finite.

The maps come with pdrtpy (github.com/mpound/pdrtpy, GPL-3) and are not part of skastro.
References: Kaufman et al. (2006), ApJ 644, 283; Wolfire et al. (2010), ApJ 716, 1191; Neufeld &
Wolfire (2016), ApJ 826, 183; Pound & Wolfire (2023), AJ 165, 25.
"""


def _folder(path, metallicity, angle):
    """Folder of the maps inside a checkout, or inside the installed package."""
    root = Path(path).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"path={str(path)!r}: no such folder; expected a pdrtpy checkout")
    found = [top / _MODELS for top in (root / "pdrtpy", root) if (top / _MODELS).is_dir()]
    if not found:
        raise FileNotFoundError(
            f"path={str(path)!r}: expected a pdrtpy checkout, with pdrtpy/{_MODELS.as_posix()}"
        )
    folder = found[0] / metallicity
    with_angle = folder / f"losangle={angle:02d}"
    if with_angle.is_dir():
        return with_angle
    if angle == 0 and any(folder.glob("*.fits")):  # the LMC has no angles
        return folder
    raise FileNotFoundError(
        f"metallicity={metallicity!r}, angle={angle!r}: no maps in {with_angle}"
    )


def _read(file):
    """Axes (log n, log FUV) and map of a file; None where it has other axes or units."""
    with fits.open(file, memmap=False) as hdus:
        header, values = hdus[0].header, hdus[0].data
    kinds = [str(header.get(f"CTYPE{i}", "")).lower() for i in (1, 2)]
    unit = str(header.get("BUNIT", "")).lower()
    # Labels of the second axis vary in the release (FUV, G_0); its values don't.
    if kinds[0] != "log(n)" or not kinds[1].startswith(("log(fuv", "log(g")) or unit == "k":
        return None
    values = np.asarray(values, dtype=np.float64)  # native byte order
    values = values.reshape(values.shape[-2:])
    axes = tuple(
        header[f"CRVAL{i}"] + header[f"CDELT{i}"] * (np.arange(n) + 1.0 - header[f"CRPIX{i}"])
        for i, n in ((1, values.shape[1]), (2, values.shape[0]))
    )
    return axes, values.T  # first index log n, as in the rows of `data`


def _coarse_step(values, tolerance=1e-4):
    """Step k if the map is a piecewise linear interpolation of every k-th node, else 1.

    Tried along each axis, on the values and on their logarithms. A random split of such a
    map tests nothing: held-out nodes are exact means of others. `tolerance` is in dex, the
    accuracy of data printed with four digits.
    """
    if not (np.isfinite(values).all() and (values > 0).all()):
        return 1
    log_values = np.log10(values)
    for k in (5, 4, 3, 2):
        for axis, n in enumerate(values.shape):
            if (n - 1) % k or n < 2 * k + 1:
                continue
            nodes, fine = np.arange(0, n, k), np.arange(n)
            left = np.minimum(fine // k, len(nodes) - 2)
            part = np.expand_dims(fine / k - left, 1 - axis)
            # A plain power law is straight everywhere, and no interpolation.
            bend = np.diff(log_values.take(nodes, axis), n=2, axis=axis)
            if np.abs(bend).max() < 100 * tolerance:
                continue
            for shown, log_of in ((log_values, np.asarray), (values, np.log10)):
                coarse = shown.take(nodes, axis)
                line = (1 - part) * coarse.take(left, axis) + part * coarse.take(left + 1, axis)
                if np.abs(log_of(line) - log_values).max() < tolerance:
                    return k
    return 1


def load_pdrtpy_maps(
    path,
    *,
    metallicity="z=1",
    angle=0,
    smoothed=True,
    ratios=False,
    valid_range=(1e-30, 1e5),
):
    """Load maps of the Wolfire-Kaufman 2020 PDR models from a checkout of pdrtpy.

    pdrtpy is under the GPL, and is neither bundled nor downloaded: get it with
    ``git clone https://github.com/mpound/pdrtpy`` or ``pip install --target``.

    Parameters
    ----------
    path : str or path-like
        The checkout, or a folder where the package was installed.
    metallicity : {"z=1", "lmc", "smc"}, default="z=1"
        Solar, Large or Small Magellanic Cloud.
    angle : {0, 30, 45, 60, 75}, default=0
        Angle of the line of sight to the face of the region [deg]. "lmc" has only 0.
    smoothed : bool, default=True
        The smoothed maps that pdrtpy itself uses; otherwise the maps as computed, with
        the noise of the solver.
    ratios : bool, default=False
        Also the maps of line ratios, after the lines.
    valid_range : tuple of two floats, default=(1e-30, 1e5)
        Values outside are sentinels or blow-ups, and are masked.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_nodes, 2)
            log10 density [cm-3], log10 far-ultraviolet field [erg s-1 cm-2]; rows in C
            order over `grid_axes`.
        target : ndarray of shape (n_nodes, n_outputs), float64
            Linear intensities [erg cm-2 s-1 sr-1], or ratios.
        mask : ndarray of shape (n_nodes, n_outputs), bool
            True where the target is valid.
        feature_names, target_names : list of str
            A map is named as its file: "CII158", "CO10", "H200S1", "OI145_OI63".
        coarse_step : ndarray of shape (n_outputs,), int
            1, or k for a map that is an exact piecewise linear interpolation of
            every k-th node along an axis: don't split the nodes of such a map at random.
        grid_shape, grid_axes : tuple, list of str
            Shape of the grid, and the features in that order.
        DESCR : str
            Description, units and references.

    Raises
    ------
    FileNotFoundError
        If there is no such checkout, or it lacks these maps.
    ValueError
        If an argument isn't among its choices, or maps lie on different grids.

    Warns
    -----
    UserWarning
        If maps are interpolations of a coarser grid.

    References
    ----------
    .. [1] M. W. Pound, M. G. Wolfire (2023), "The PhotoDissociation Region Toolbox", AJ
       165, 25.
    .. [2] M. J. Kaufman, M. G. Wolfire, D. J. Hollenbach (2006), ApJ 644, 283.

    Examples
    --------
    >>> from skastro.datasets import load_pdrtpy_maps
    >>> load_pdrtpy_maps("no/such/folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: path='no/such/folder': no such folder; expected a pdrtpy checkout
    """
    if metallicity not in METALLICITIES:
        raise ValueError(f"metallicity={metallicity!r}: expected one of {METALLICITIES}")
    if angle not in ANGLES:
        raise ValueError(f"angle={angle!r}: expected one of {ANGLES} degrees")
    low, high = valid_range
    if not 0 <= low < high:
        raise ValueError(f"valid_range={valid_range!r}: expected 0 <= lowest < highest")

    folder = _folder(path, metallicity, angle)
    maps, axes = {}, None
    for file in sorted(folder.glob("*.fits"), key=lambda f: ("_" in f.stem, f.stem)):
        name = file.stem.removesuffix("sm")
        if (name != file.stem) != smoothed or ("_" in name and not ratios):
            continue
        if name.endswith("G0"):  # the same map again, with its field in Habing units
            continue
        content = _read(file)
        if content is None:
            continue
        if axes is None:
            axes = content[0]
        elif any(
            a.shape != b.shape or not np.allclose(a, b)
            for a, b in zip(axes, content[0], strict=True)
        ):
            raise ValueError(f"{file}: a map on another grid than the others of its folder")
        maps[name] = content[1]
    if not maps:
        raise FileNotFoundError(f"path={str(path)!r}: no maps of lines in {folder}")

    target = np.stack([values.ravel() for values in maps.values()], axis=1)
    mask = np.isfinite(target) & (target > low) & (target < high)
    coarse_step = np.array([_coarse_step(values) for values in maps.values()])
    if (coarse_step > 1).any():
        names = [name for name, k in zip(maps, coarse_step, strict=True) if k > 1]
        warnings.warn(
            f"{len(names)} of {len(maps)} maps are exact interpolations of a coarser grid "
            f"({names[0]}, ...): a random split of their nodes tests nothing",
            UserWarning,
            stacklevel=2,
        )
    shape = tuple(len(axis) for axis in axes)
    return Bunch(
        data=np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2),
        target=target,
        mask=mask,
        feature_names=["log_n", "log_FUV"],
        target_names=list(maps),
        coarse_step=coarse_step,
        grid_shape=shape,
        grid_axes=["log_n", "log_FUV"],
        DESCR=_DESCR.format(
            folder=folder,
            n_nodes=len(target),
            grid=" x ".join(map(str, shape)),
            n_outputs=len(maps),
            kind=", smoothed" if smoothed else ", as computed",
            ratio_text=" (names with _: ratios)" if ratios else "",
            low=low,
            high=high,
        ),
    )
