"""What `CubeDenoiser` does with a cube once it is fitted: denoise, encode, error bars, score."""

from copy import copy

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from skastro.base import resolve_device, row_blocks
from skastro.cube_metrics import snr_gain
from skastro.denoising.cube_blocks import CubeBlocks
from skastro.denoising.cube_survey import survey_noise
from skastro.denoising.patch_inference import denoise_block
from skastro.denoising.recorruption import estimate_gain
from skastro.io import CubeWriter, read_cube

__all__ = ["CubeTransform"]


def _has_latent(estimator):
    if estimator.method != "autoencoder":
        raise AttributeError(f"method={estimator.method!r} has no latent components to encode to.")
    return True


class CubeTransform(CubeBlocks):
    """The methods of `CubeDenoiser` after `fit`."""

    def _estimate(self, snr, gate=None):
        """Denoise signal to noise: a CPU tensor or array of a cube or a table, and its gate."""
        device = resolve_device(self.device, self.dtype)
        module = self.net_.module_
        snr = torch.as_tensor(snr).to(device, self._torch_dtype)
        gate = None if gate is None else torch.as_tensor(gate).to(device)
        with torch.inference_mode():
            if self.method == "patch":
                shape = snr.shape
                if snr.ndim == 2:
                    snr, gate = snr[:, None], None if gate is None else gate[:, None]
                estimate = denoise_block(
                    module.network, self.patches_, snr, gate,
                    conditions=self._conditions(), n_shifts=self.n_shifts,
                ).reshape(shape)  # fmt: skip
            else:
                spectra = snr.reshape(-1, snr.shape[-1])
                estimate = torch.empty_like(spectra)
                for rows in row_blocks(len(spectra), 100 * 4 * spectra.shape[1]):
                    estimate[rows] = module.network(spectra[rows])
                estimate = estimate.view(snr.shape)
                if gate is not None:
                    estimate *= gate
        return estimate.cpu()

    def _denoised_block(self, cube, survey, tile, std=False):
        """The rows of a tile of the denoised cube, or of its error."""
        snr, level, blank, gate = self._block(cube, survey, tile)
        values = self.risk_.correct(self._estimate(snr, gate).numpy(), gate)
        if std:
            values = self.risk_(values, gate)
        for factor in level:
            values *= factor
        values[blank] = np.nan
        return values[tile.within]

    def _denoised(self, cube, sigma, signal_mask, std=False):
        """Yield (rows, values) of the denoised cube, or of its error, block by block."""
        survey = self._survey(cube, sigma, signal_mask)
        tiles = self._tiles(cube)[0]
        rows = tqdm(total=cube.shape[0], desc="denoise", unit="row", disable=not self.verbose)
        with rows:
            for tile in tiles:
                yield tile.inner, self._denoised_block(cube, survey, tile, std)
                rows.update(tile.inner.stop - tile.inner.start)

    def _lazily(self, cube, sigma, signal_mask, dtype, std):
        """The same as a dask array, of which nothing is computed yet."""
        import dask.array as da
        from dask import delayed

        # what is set or fitted later has no part in it
        own = copy(self)
        survey = delayed(own._survey, pure=False)(cube, sigma, signal_mask)

        @delayed(pure=False)
        def rows_of(survey, tile):
            return own._denoised_block(cube, survey, tile, std).astype(dtype, copy=False)

        parts = []
        for tile in self._tiles(cube)[0]:
            shape = (tile.inner.stop - tile.inner.start, *cube.shape[1:])
            parts.append(da.from_delayed(rows_of(survey, tile), shape, dtype=dtype))
        return da.concatenate(parts)

    def _history(self, std):
        return f"standard error of {type(self).__name__}(method={self.method!r})" if std else self

    def _collect(self, X, sigma, signal_mask, std=False):
        check_is_fitted(self, "risk_")
        cube = self._read(X, reset=False)
        dtype = np.float64 if _is_double(cube) else np.float32
        if cube.is_lazy:
            out = self._lazily(cube, sigma, signal_mask, dtype, std)
            return cube.wrap(out, history=self._history(std))
        out = np.empty(cube.shape, dtype)
        for rows, values in self._denoised(cube, sigma, signal_mask, std):
            out[rows] = values
        return cube.wrap(out, history=self._history(std))

    def transform(self, X, sigma=None, signal_mask=None):
        """Denoise.

        Parameters
        ----------
        X : path, HDU, SpectralCube, NDData, Quantity or array
            A cube of as many channels as in `fit`, or a table of spectra. NaN: blank.
        sigma : float, array-like or Quantity, optional
            Noise of `X`, in its unit. By default what was given to `fit`, for the same cube or as a
            number or a spectrum; else it is estimated.
        signal_mask : array-like of bool of the shape of `X`, optional
            True where there is signal; by default looked for.

        Returns
        -------
        denoised : object of the kind of `X`
            HDU for a path. In the unit of `X`; NaN where `X` is.

        Raises
        ------
        ValueError
            Another number of channels or of axes than in `fit`, a unit that does not convert, infinite
            values, a `sigma` or mask that does not fit.

        Notes
        -----
        Cubes that take more than `max_memory` are read in blocks of rows, three times: for the noise,
        the mask and the estimate. The result is that of the whole. A dask array gives a lazy one.
        """
        return self._collect(X, sigma, signal_mask)

    def predict_std(self, X, sigma=None, signal_mask=None):
        """Standard error of the denoised cube, from the measured risk.

        Parameters
        ----------
        X, sigma, signal_mask
            As in `transform`.

        Returns
        -------
        std : object of the kind of `X`
            The root mean square error of estimates of that size on the cube that was fitted, times the
            noise; in the unit of `X`.
        """
        return self._collect(X, sigma, signal_mask, std=True)

    def transform_file(
        self, path, output, sigma=None, signal_mask=None, *, overwrite=False, std=False
    ):
        """Denoise a FITS cube of any size into another file, a block at a time.

        Parameters
        ----------
        path : path, HDU or other source of `read_cube`
        output : path
            Replaced only when complete.
        sigma, signal_mask
            As in `transform`.
        overwrite : bool, default=False
        std : bool, default=False
            Write the standard error instead.

        Raises
        ------
        OSError
            The output exists and `overwrite` is False, or the disk is full: the old file stays.
        ValueError
            As `transform`.
        """
        check_is_fitted(self, "risk_")
        cube = self._read(path, reset=False)
        history = self._history(std)
        with CubeWriter(output, cube, overwrite=overwrite, history=history) as writer:
            for rows, values in self._denoised(cube, sigma, signal_mask, std):
                writer.write(values, rows)

    @available_if(_has_latent)
    def encode(self, X, sigma=None):
        """Latent components of spectra.

        Parameters
        ----------
        X, sigma
            As in `transform`.

        Returns
        -------
        components : ndarray of shape (n_y, n_x, n_components) or (n_spectra, n_components)
            Of spectra in units of their noise; NaN where a whole spectrum is blank.
        """
        check_is_fitted(self, "risk_")
        cube = self._read(X, reset=False)
        device = resolve_device(self.device, self.dtype)
        parts = []
        survey = self._survey(cube, sigma, gated=False)
        for tile in self._tiles(cube)[0]:
            snr, _, blank, _ = self._block(cube, survey, tile, gated=False)
            spectra = torch.from_numpy(snr[tile.within]).to(device, self._torch_dtype)
            with torch.inference_mode():
                part = self.net_.module_.network.encode(spectra.reshape(-1, spectra.shape[-1]))
            part = part.cpu().numpy().reshape(*spectra.shape[:-1], -1)
            part[blank[tile.within].all(axis=-1)] = np.nan
            parts.append(part)
        return np.concatenate(parts)

    def score(self, X, y=None, sigma=None):
        """Gain in signal-to-noise ratio over the voxels with signal.

        Parameters
        ----------
        X : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
            Noisy spectra.
        y : array-like of the shape of `X`, optional
            The truth. Without it (or with one value a spectrum, as pipelines hand on classes) the gain
            is estimated by adding known noise to `X`, see
            `skastro.denoising.recorruption.estimate_gain`.
        sigma : optional
            As in `transform`.

        Returns
        -------
        gain : float
            In dB; the larger, the better.
        """
        check_is_fitted(self, "risk_")
        cube = self._read(X, reset=False)
        values = cube.block()
        sigma = self._given(cube, sigma, None)[0]
        if sigma is None:
            sigma = np.multiply(*survey_noise(cube))

        def denoise(noisy):
            found = np.empty(cube.shape, np.float32)
            for rows, part in self._denoised(read_cube(noisy), sigma, None):
                found[rows] = part
            return found

        if y is None or np.ndim(y) == 1:
            return estimate_gain(denoise, values, sigma)
        return snr_gain(getattr(y, "value", y), values, denoise(values), sigma)


def _is_double(cube):
    return cube.path is None and np.dtype(cube.values.dtype) == np.float64
