"""The part of `ScatteringTransform` that makes new maps: what is asked for, at which sizes."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed
from skastro.maps import check_maps
from skastro.scattering.recipes import reference_tensors
from skastro.scattering.synthesis import gaussian_like, resample, synthesize

__all__ = ["Synthesizer"]

KEPT = 16  # maps of `fit` that are kept to be imitated
SMALLEST = 32  # side of the coarsest maps
SHARE_BEFORE = 0.3  # of the iterations, for all coarser sizes together
FLOOR = 0.05  # of a coefficient's typical scatter: the least that it is divided by


class Synthesizer:
    """Mixin: `synthesize` for an estimator with `_make`, `_coefficients` and `maps_`."""

    def synthesize(
        self,
        n_samples=1,
        target=None,
        *,
        sampler="descent",
        start="multiscale",
        known=None,
        max_iter=200,
        tolerance=1e-6,
        random_state=None,
        verbose=0,
        return_history=False,
    ):
        """Make new maps that share the statistics of others.

        Maximum-entropy synthesis: random Gaussian fields with the power spectrum of the target are changed
        by gradient descent (L-BFGS) until their statistics are its [1]_. Coarse maps come first: their
        large structures are kept when the next finer ones are added.

        Parameters
        ----------
        n_samples : int, default=1
        target : array-like of shape (n, h, w) or (n, n_channels, h, w), or (n_coefficients,), optional
            Maps whose mean statistics are asked for (of several, in units of their scatter); or the
            coefficients themselves, as of `transform`. None: the maps of `fit`, of which at most 16 are kept.
        sampler : {"descent", "mean_field"}, default="descent"
            "descent": the statistics of each map become those of the target. "mean_field": those of all
            maps on average [2]_; a map then differs from the next as much as its statistics would by
            chance, of at least 2 and better 10 or more maps.
        start : {"multiscale", "gaussian"} or array-like of shape (n_samples, h, w), default="multiscale"
            "gaussian": at the full size at once. Maps: where to begin. A vector of coefficients tells
            no coarser ones: it is always sought at the full size.
        known : array-like of shape (h, w) or (n_channels, h, w), optional
            Pixels that are given, in the unit of the maps; NaN where they are to be found.
        max_iter : int, default=200
            At the full size; coarser ones together have about as much time as 30 % more. Scattering
            statistics that have a power spectrum, "pdf" or "topology" beside them are looked for alone
            first, then all together, in as many iterations again.
        tolerance : float, default=1e-6
            Of the loss, relative to that of a Gaussian field.
        random_state : int, RandomState or None, default=None
        verbose : int, default=0
            1 shows a progress bar with the loss.
        return_history : bool, default=False

        Returns
        -------
        maps : ndarray of shape (n_samples, h, w) or (n_samples, n_channels, h, w)
            In the unit of the maps of `fit`.
        history : ndarray of shape (n_iterations + 1, n_samples), or (n_iterations + 1, 1)
            The loss after each iteration of the last search, at the full size, if `return_history`;
            "mean_field" has one.

        Raises
        ------
        ValueError
            A target of another size, local statistics, lines or volumes.

        References
        ----------
        .. [1] Bruna & Mallat, "Multiscale sparse microcanonical models", Mathematical Statistics and
           Learning 1, 257 (2019).
        .. [2] Häggbom, Karlsmark & Andén, "Mean-field microcanonical gradient descent", arXiv:2403.08362
           (2024).
        """
        check_is_fitted(self)
        if not isinstance(n_samples, int | np.integer) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r}; expected an integer of at least 1.")
        if sampler not in ("descent", "mean_field"):
            raise ValueError(f"sampler={sampler!r}; expected 'descent' or 'mean_field'.")
        together = sampler == "mean_field"
        if together and n_samples < 2:
            raise ValueError(
                f"n_samples={n_samples} with sampler='mean_field'; expected at least 2."
            )
        if self.n_dims != 2:
            raise ValueError(f"n_dims={self.n_dims}; expected 2: only maps are made.")
        if self.output == "local":
            raise ValueError("output='local' describes one map, not a texture; expected 'global'.")
        vector = None
        if target is not None and np.ndim(target) == 1:
            vector = self._check_vector(target)
            target = None
        maps = self._tensor(self.maps_ if target is None else self._read(target))
        # to a mean of 0 and a deviation of 1: what a step of the search is small against
        mean = maps.mean(dim=(0, 2, 3), keepdim=True)
        scale = maps.std(dim=(0, 2, 3), keepdim=True)
        maps = (maps - mean) / scale
        generator = torch.Generator().manual_seed(draw_seed(random_state))
        known = self._check_known(known, mean, scale)
        levels = [maps.shape[2:]]
        first = None
        if not isinstance(start, str):
            first = (self._tensor(self._check_start(start, n_samples)) - mean) / scale
        elif start == "multiscale" and vector is None:
            while min(levels[0]) >= 2 * SMALLEST:
                levels.insert(0, tuple(n // 2 for n in levels[0]))
        elif start not in ("multiscale", "gaussian"):
            raise ValueError(f"start={start!r}; expected 'multiscale', 'gaussian' or maps.")
        for i, shape in enumerate(levels):
            last = i == len(levels) - 1
            level = maps if last else _resampled(maps, shape)
            fresh = _gaussian(level, n_samples, generator)
            if first is None:
                first = fresh
            elif i:
                # the coarse structures found, the fine ones drawn
                drawn = _resampled(_resampled(fresh, levels[i - 1]), shape)
                first = _resampled(first, shape) + fresh - drawn
            n_iter = max_iter
            if not last:
                n_iter = max(
                    10,
                    round(
                        SHARE_BEFORE * max_iter * 4.0 ** (len(levels) - 1 - i) / (len(levels) - 1)
                    ),
                )
                n_iter = min(n_iter, max_iter)
            found = self._search(
                level,
                vector if last else None,
                first,
                fresh,
                (mean, scale),
                known if last else None,
                together,
                last,
                n_iter,
                tolerance,
                verbose if last else 0,
            )
            first = found.maps
        maps = (found.maps * scale + mean).cpu().numpy()
        maps = maps[:, 0] if self.n_channels_in_ == 1 and self.n_dim_ == 3 else maps
        return (maps, found.history) if return_history else maps

    def _search(
        self, level, vector, start, fresh, unit, known, together, last, max_iter, tolerance, verbose
    ):
        """`synthesize` at one size, for maps in units of (mean, scale)."""
        mean, scale = unit
        statistics = self._at_size(tuple(level.shape[2:]))
        with torch.no_grad():
            whole = statistics is self.statistics_
            reference = reference_tensors(self.reference_, self._device) if whole else None
            if reference is None:
                reference = statistics.mean_norm(level * scale + mean)
        stages = [list(statistics.parts)] if self.reduction else statistics.stages()
        for families in stages if last else stages[:1]:
            part, entries, rows = statistics.only(families)
            own = [reference[i] for i in entries]

            def describe(maps, part=part, own=own):
                return self._coefficients(part, maps * scale + mean, own)

            with torch.no_grad():
                of_maps, of_fresh, begin = (describe(maps) for maps in (level, fresh, start))
            target = of_maps.mean(0) if vector is None else vector
            if vector is not None and len(families) < len(statistics.parts):
                target = vector[rows.to(vector.device)]
            # families count alike, however many coefficients they have
            metric = part.family_scale(of_maps) if not self.reduction else None
            if len(of_maps) > 1:
                scatter = of_maps.std(0)
                scatter = scatter.clamp_min(FLOOR * scatter.median())
                metric = scatter if metric is None else metric * scatter
            if together:
                of_fresh, begin = of_fresh.mean(0, keepdim=True), begin.mean(0, keepdim=True)
            goal = float(_loss(of_fresh, target, metric).mean())
            share = goal / float(_loss(begin, target, metric).max().clamp_min(1e-30))
            found = synthesize(
                describe,
                target, start, metric=metric, known=known, together=together, max_iter=max_iter,
                tolerance=tolerance * min(1.0, share), relative_tolerance=1e-3, verbose=verbose,
            )  # fmt: skip
            start = found.maps
        return found

    def _at_size(self, shape):
        """The statistics at a size: those of `fit`, or with fewer scales on a coarser grid."""
        if shape == self.map_shape_:
            return self.statistics_.to(self._device)
        halvings = round(np.log2(min(self.map_shape_) / min(shape)))
        return self._make(shape, max(1, self.n_scales_ - halvings)).to(self._device)

    def _check_vector(self, target):
        values = np.asarray(target, dtype=self.dtype)
        n = len(self.feature_names_)
        if len(values) != n or not np.isfinite(values).all():
            raise ValueError(
                f"target has {len(values)} coefficients, {int((~np.isfinite(values)).sum())} of them not "
                f"finite; expected {n} numbers, as transform gives."
            )
        if self.reference_ is None:
            raise ValueError(
                "target is a vector of coefficients and normalization='own'; expected 'reference', which "
                "keeps the power that they are relative to."
            )
        return torch.from_numpy(values).to(self._device)

    def _check_known(self, known, mean, scale):
        if known is None:
            return None
        values = np.asarray(known, dtype=self.dtype)
        wanted = (self.n_channels_in_, *self.map_shape_)
        if values.shape not in (wanted, self.map_shape_):
            raise ValueError(
                f"known has shape {values.shape}; expected {wanted}, NaN where unknown."
            )
        values = torch.from_numpy(np.broadcast_to(values, wanted).copy()).to(self._device)
        return (values - mean[0]) / scale[0]

    def _check_start(self, start, n_samples):
        maps, _ = check_maps(
            start, "start", ndims=(3, 4), n_channels=self.n_channels_in_, shape=self.map_shape_,
            unit=self.unit_,
        )  # fmt: skip
        if len(maps) != n_samples:
            raise ValueError(f"start has {len(maps)} maps; expected n_samples={n_samples}.")
        return maps.reshape(-1, self.n_channels_in_, *self.map_shape_)


def _resampled(maps, shape):
    flat = resample(maps.flatten(0, 1), shape)
    return flat.view(*maps.shape[:2], *shape)


def _gaussian(maps, n_samples, generator):
    """Gaussian fields of each channel."""
    fields = [gaussian_like(maps[:, c], n_samples, generator) for c in range(maps.shape[1])]
    return torch.stack(fields, 1)


def _loss(found, target, metric):
    difference = found - target
    if metric is not None:
        difference = torch.where(metric > 0, difference / metric, 0.0)
    return difference.square().mean(1)
