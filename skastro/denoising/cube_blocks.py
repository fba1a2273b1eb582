"""How `CubeDenoiser` takes a cube in: its kind, noise level, masks, and blocks of it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from skastro.blocks import row_tiles, rows_within
from skastro.denoising.checks import check_sigma, check_signal_mask
from skastro.denoising.cube_survey import (
    SCALE_VOXELS,
    known_noise,
    mask_scale,
    survey_mask,
    survey_noise,
)
from skastro.denoising.mask_blocks import BlockComponents
from skastro.denoising.noise import estimate_noise
from skastro.denoising.sampling import Sample, read_sample
from skastro.denoising.signal_mask import dilate, find_signal, smoothed_noise
from skastro.io import LineCube, read_cube
from skastro.io.cubes import check_unit

__all__ = ["CubeBlocks", "Survey"]

PEAK = 4.0  # S/N of the peak of a component: more of the weak flux, and the network knows noise
TABLE_SAMPLE = 2**22  # voxels of a table that is learnt from


class Survey(NamedTuple):
    """What the blocks of a cube have in common.

    Attributes
    ----------
    level : list of ndarray
        Factors of the noise, of the shape of the cube or broadcast to it.
    mask : ndarray of bool, BlockComponents or None
        Where signal is probable: given, found before the blocks are read, or still to be found.
    scale : float or None
        Noise of the smoothed S/N.
    """

    level: list
    mask: np.ndarray | BlockComponents | None
    scale: float | None


class CubeBlocks:
    """Reading, noise, masks and blocks of `CubeDenoiser`."""

    def _read(self, X, reset):
        """X as a `LineCube`, its number of channels and unit checked."""
        if not _is_typed(X) and np.asarray(X).ndim < 3:
            # scikit-learn's own checks and words for tables
            X = validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
            )
            if X.shape[1] < 2:
                raise ValueError(
                    f"X has shape {X.shape}: 1 feature(s), a spectrum of one channel; expected at least 2."
                )
            cube = read_cube(X)
        else:
            cube = read_cube(X if _is_typed(X) or hasattr(X, "mask") else np.asarray(X))
            if reset:
                self.n_features_in_ = cube.n_channels
                if hasattr(self, "feature_names_in_"):
                    del self.feature_names_in_
            elif cube.n_channels != self.n_features_in_:
                raise ValueError(
                    f"X has {cube.n_channels} channels, but {type(self).__name__} is expecting "
                    f"{self.n_features_in_} channels as input."
                )
        if reset:
            self.n_channels_in_, self.n_dim_in_ = self.n_features_in_, len(cube.shape)
            self.unit_ = None if cube.unit is None else str(cube.unit)
        elif len(cube.shape) != self.n_dim_in_:
            kinds = {2: "a table (n_spectra, n_channels)", 3: "a cube (n_y, n_x, n_channels)"}
            raise ValueError(
                f"X has shape {cube.shape}; expected {kinds[self.n_dim_in_]}, as in fit."
            )
        return cube

    def _keep(self, cube, sigma, signal_mask):
        """Remember the noise level and mask given to `fit`, and what cube they belong to."""
        self.sigma_, self._own = None, None
        if sigma is None and signal_mask is None:
            return
        if sigma is not None:
            sigma = check_unit(sigma, cube.unit)
            full = check_sigma(sigma, cube.shape)
            sigma = np.asarray(sigma, dtype=np.float32)
            if sigma.shape in ((), cube.shape[-1:]):
                self.sigma_, sigma = sigma, None
            elif len(cube.shape) == 2:
                self.sigma_ = np.nanmedian(full, axis=0)
        if signal_mask is not None:
            signal_mask = check_signal_mask(signal_mask, cube.shape)
        self._own = _fingerprint(cube), sigma, signal_mask

    def _given(self, cube, sigma, signal_mask):
        """Noise level (a view of the shape of the cube, or None) and mask that hold for this cube."""
        if sigma is not None:
            sigma = check_unit(sigma, cube.unit)
        if signal_mask is not None:
            signal_mask = check_signal_mask(signal_mask, cube.shape)
        if self._own is not None and (sigma is None or signal_mask is None):
            mark, own_sigma, own_mask = self._own
            if np.array_equal(mark, _fingerprint(cube), equal_nan=True):
                sigma = own_sigma if sigma is None else sigma
                signal_mask = own_mask if signal_mask is None else signal_mask
        if sigma is None and self.sigma_ is not None:
            sigma = self._in_unit_of(cube, self.sigma_)
        return None if sigma is None else check_sigma(sigma, cube.shape), signal_mask

    def _in_unit_of(self, cube, sigma):
        """The noise level of `fit` in the unit of another cube."""
        found = None if cube.unit is None else str(cube.unit)
        if found == self.unit_:
            return sigma
        from astropy import units as u

        try:
            factor = u.Unit(self.unit_).to(cube.unit)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"X has unit {found!r}; expected one convertible to {self.unit_!r}, in which sigma was given."
            ) from error
        return sigma * np.float32(factor)

    def _mask_options(self):
        return {"high": PEAK, "n_dilate": min(1, self.n_dilate)} | (self.mask_options or {})

    def _grown(self, mask):
        """The gate: what the mask, dilated once, becomes by the other dilations."""
        return dilate(mask, max(0, self.n_dilate - 1))

    def _masks(self, snr, signal_mask, scale=None):
        """Where signal is probable, and the gate."""
        if signal_mask is None:
            if np.isfinite(snr).any():
                signal_mask = find_signal(snr, 1.0, **{"scale": scale} | self._mask_options())
            else:
                signal_mask = np.zeros(snr.shape, dtype=bool)
        return signal_mask, self._grown(signal_mask)

    def _read_sample(self, cube):
        """What is learnt from: pieces (n_pieces, n_y, n_x, n_channels), each spectrum one for a table."""
        if self.n_dim_in_ == 3:
            return read_sample(cube)
        values = cube.block()
        step = -(-len(values) // max(1, TABLE_SAMPLE // values.shape[-1]))
        return Sample(values[::step, None, None], slice(None, None, step))

    def _prepare_sample(self, cube, sample):
        """Signal to noise, blanks, mask and gate of the sample, each of its shape."""
        sigma, signal_mask = self._given(cube, None, None)
        values = sample.values
        table = self.n_dim_in_ == 2
        flat = values[:, 0, 0] if table else values.reshape(-1, *values.shape[2:])
        refuse_infinite(flat)
        if sigma is not None:
            sigma = sigma[sample.where] if table else sample.part(sigma).reshape(flat.shape)
        else:
            level = estimate_noise(flat)
            if table:
                # one for all rows: no row must depend on the others
                self.sigma_ = np.nanmedian(level.map) * level.spectrum
                sigma = check_sigma(self.sigma_, flat.shape)
            else:
                sigma = np.multiply(*known_noise(level))
        snr = flat / sigma
        if table:
            given = None if signal_mask is None else signal_mask[sample.where]
            mask, gate = self._masks(snr, given)
        else:
            given = [None] * len(values) if signal_mask is None else sample.part(signal_mask)
            scale = None if len(values) == 1 else smoothed_noise(snr, 1.0)
            pieces = zip(snr.reshape(values.shape), given, strict=True)
            both = [self._masks(piece, one, scale) for piece, one in pieces]
            mask, gate = (np.stack(part) for part in zip(*both, strict=True))
        blank = fill_blanks(snr)
        return tuple(part.reshape(values.shape) for part in (snr, blank, mask, gate))

    def _tiles(self, cube):
        """The blocks of rows of a cube, and the rows of a block without its halo."""
        n_rows = cube.shape[0]
        # masks and windows take several times what is read: a seventh of the memory, with the halo
        rows = rows_within(self.max_memory // 7, 4 * int(np.prod(cube.shape[1:])))
        if len(cube.shape) == 2 or rows >= n_rows:
            return list(row_tiles(n_rows, n_rows)), n_rows
        # the grid of tiles of a block falls in line with that of the cube
        unit = 1 if self.patches_ is None else self.patches_.tile[0]
        reach = 0 if self.patches_ is None else self.patches_.margin[0] - 1
        grown = self._mask_options()["n_dilate"] + self.n_dilate
        halo = -(-max(reach, grown) // unit) * unit
        rows = max(unit, (rows - 2 * halo) // unit * unit)
        return list(row_tiles(n_rows, rows, halo)), rows

    def _survey(self, cube, sigma=None, signal_mask=None, gated=True):
        """What has to be known of the cube before a block of it is denoised."""
        sigma, mask = self._given(cube, sigma, signal_mask)
        table, scale = len(cube.shape) == 2, None
        if sigma is not None:
            level = [sigma]
        elif table:
            level = [check_sigma(self.sigma_, cube.shape)]
        else:
            level = survey_noise(cube)
        if self.gate and gated and mask is None and not table:
            tiles, rows = self._tiles(cube)
            options = self._mask_options()
            large = np.prod(cube.shape, dtype=np.int64) > SCALE_VOXELS
            if large or len(tiles) > 1:
                scale = mask_scale(cube, level, options.get("smooth", 1.0))
            if len(tiles) > 1:
                mask = survey_mask(cube, level, options, scale, rows)
        return Survey(level, mask, scale)

    def _block(self, cube, survey, tile, gated=True):
        """Signal to noise, level, blanks and gate (or None) of a block with its halo."""
        snr = cube.block(tile.outer)
        refuse_infinite(snr)
        level = [np.broadcast_to(factor, cube.shape)[tile.outer] for factor in survey.level]
        for factor in level:
            snr /= factor
        gate, gated = None, gated and self.gate
        if gated and isinstance(survey.mask, BlockComponents):
            mask = dilate(survey.mask[tile.outer], self._mask_options()["n_dilate"])
            gate = self._grown(mask & ~np.isnan(snr))
        elif gated:
            given = None if survey.mask is None else survey.mask[tile.outer]
            gate = self._masks(snr, given, survey.scale)[1]
        return snr, level, fill_blanks(snr), gate


def _is_typed(X):
    """Whether X knows its own axes or unit: no bare array, list or table."""
    if isinstance(X, list):  # an HDUList is one
        return any(hasattr(one, "header") for one in X)
    knows = ("header", "wcs", "unit", "__dask_graph__")
    return isinstance(X, str | Path | LineCube) or (
        not hasattr(X, "columns") and any(hasattr(X, name) for name in knows)
    )


def _fingerprint(cube):
    """A few thousand values by which a cube is known again."""
    rows = range(0, cube.shape[0], max(1, cube.shape[0] // 16))
    others = tuple(slice(None, None, max(1, n // 16)) for n in cube.shape[1:])
    return np.stack([cube.block(slice(row, row + 1))[0][others] for row in rows])


def refuse_infinite(values):
    # a sum is finite where all is well: one cheap pass
    if not np.isfinite(values.sum(dtype=np.float64)) and np.isinf(values).any():
        raise ValueError("Input X contains infinity; expected finite numbers, NaN where blank.")


def fill_blanks(snr):
    """Put blanks to 0, in place, and tell where they were."""
    blank = np.isnan(snr)
    if blank.any():
        snr[blank] = 0.0
    return blank
