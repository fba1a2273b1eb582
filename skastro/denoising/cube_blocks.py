"""How `CubeDenoiser` takes a cube in: its kind, noise level, masks, and blocks of it."""

from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter
from sklearn.utils.validation import validate_data

from skastro.blocks import row_tiles, rows_within
from skastro.denoising.checks import check_sigma, check_signal_mask
from skastro.denoising.noise import estimate_noise
from skastro.denoising.sampling import Sample, read_sample
from skastro.denoising.signal_mask import dilate, find_signal, smoothed_noise
from skastro.io import LineCube, read_cube
from skastro.io.cubes import check_unit

__all__ = ["CubeBlocks", "known_noise"]

HALO = 8  # rows beside a block in which components of the mask are followed
STEADY = 500, 100  # channels below which it takes 3 x 3 spectra to tell the noise, and 5 x 5
PEAK = 4.0  # S/N of the peak of a component: more of the weak flux, and the network knows noise
TABLE_SAMPLE = 2**22  # voxels of a table that is learnt from


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

    def _masks(self, snr, signal_mask, scale=None):
        """Where signal is probable, and the gate."""
        if signal_mask is None:
            options = {"high": PEAK, "n_dilate": min(1, self.n_dilate)}
            options |= self.mask_options or {}
            if np.isfinite(snr).any():
                signal_mask = find_signal(snr, 1.0, scale=scale, **options)
            else:
                signal_mask = np.zeros(snr.shape, dtype=bool)
        return signal_mask, dilate(signal_mask, max(0, self.n_dilate - 1))

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

    def _blocks(self, cube, sigma=None, signal_mask=None):
        """Yield (tile, signal to noise, level, blanks, gate or None) of each block with its halo.

        `tile` is a `Tile`: what was read, what is wanted, and where that lies in it. The product of
        the factors in `level` is the noise.
        """
        sigma, signal_mask = self._given(cube, sigma, signal_mask)
        table = len(cube.shape) == 2
        # masks and windows take several times what is read: a sixth of the memory, with the halo
        rows = rows_within(self.block_bytes // 6, 4 * int(np.prod(cube.shape[1:])))
        whole = table or rows >= cube.shape[0]
        # the grid of tiles of a block falls in line with that of the cube
        unit = 1 if self.patches_ is None else self.patches_.tile[0]
        halo = 0 if whole else -(-HALO // unit) * unit
        rows = rows if whole else max(unit, (rows - 2 * halo) // unit * unit)
        options, scale = {}, None
        if table and sigma is None:
            sigma = check_sigma(self.sigma_, cube.shape)
        elif not whole:
            options, scale = self._common(cube, sigma, signal_mask)
        for tile in row_tiles(cube.shape[0], rows, halo):
            snr = cube.block(tile.outer)
            refuse_infinite(snr)
            if sigma is not None:
                level = [sigma[tile.outer]]
            elif np.isfinite(snr).any():
                found = estimate_noise(snr, **options)
                level = known_noise(found)
            elif whole:
                raise ValueError(
                    f"X of shape {cube.shape} is blank everywhere (NaN); expected some numbers."
                )
            else:
                level = []
            for factor in level:
                snr /= factor
            gate = None
            if self.gate:
                given = None if signal_mask is None else signal_mask[tile.outer]
                gate = self._masks(snr, given, scale)[1]
            yield tile, snr, level, fill_blanks(snr), gate

    def _common(self, cube, sigma, signal_mask):
        """What the blocks of a cube share: spectrum and correlation of its noise, scale of its mask."""
        sample = read_sample(cube, most=max(2**18, self.block_bytes // 32))
        flat = sample.values.reshape(-1, *sample.values.shape[2:])
        options, scale = {}, None
        if sigma is None:
            level = estimate_noise(flat)
            options = {"spectrum": level.spectrum, "correlation": level.correlation}
            there = np.multiply(*known_noise(level))
        else:
            there = sample.part(sigma).reshape(flat.shape)
        if signal_mask is None and self.gate:
            scale = smoothed_noise(flat, there)
        return options, scale


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


def known_noise(level):
    """Map of the noise that a cube is divided by: steady between neighbours, known everywhere.

    Short spectra tell their noise badly: a map that jumps from pixel to pixel would make the signal
    jump. They get the median of their neighbours, which keeps the steps between tiles; spectra whose
    noise is unknown (blank, or constant) get the median of all others.

    Parameters
    ----------
    level : NoiseLevel

    Returns
    -------
    factors : list of ndarray
        Map (n_y, n_x, 1) and spectrum (n_channels,), the product of which is the noise.
    """
    values = level.map
    known = values > 0
    if not known.all():
        values = np.where(known, values, np.median(values[known]))
    radius = sum(len(level.spectrum) < least for least in STEADY)
    if values.ndim == 2 and radius:
        values = median_filter(values, size=2 * radius + 1, mode="nearest")
    return [values[..., None], level.spectrum]


def fill_blanks(snr):
    """Put blanks to 0, in place, and tell where they were."""
    blank = np.isnan(snr)
    if blank.any():
        snr[blank] = 0.0
    return blank
