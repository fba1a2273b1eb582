"""Logits of images of any size: small ones in batches, large ones in tiles that give what the whole would."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skastro.blocks import tiles
from skastro.segmentation.catalog import make_catalog
from skastro.symmetries import symmetries, turn, turn_back

__all__ = ["Place", "TiledInference"]

# Sides of a tile where none is asked for; pixels of the largest image that goes through the network whole,
# for which it takes about a gigabyte; and of images that go through it together.
TILE = 1152
WHOLE_PIXELS = 4.8e6
BATCH_PIXELS = 2**20


class Place(NamedTuple):
    """Where a part of an image lies.

    Attributes
    ----------
    image : int
        Its number.
    rows, columns : slice
    """

    image: int
    rows: slice
    columns: slice


WHOLE = (slice(None), slice(None))


class TiledInference:
    """The part of `SourceSegmenter` that runs its network."""

    def _network(self):
        """The network, faster where it can be and quiet about gradients."""
        module = self.net_.module_
        if getattr(self, "_fused", None) is None or self._fused[0] is not module:
            fused = module.fused() if hasattr(module, "fused") else module
            self._fused = module, fused.eval()
        return self._fused[1]

    def _run(self, z, inner=None):
        """Raw logits (n, n_labels, h, w) of scaled images (n, n_inputs, h, w), or of their inner part."""
        network, device = self._network(), next(self.net_.module_.parameters()).device
        x = torch.from_numpy(z).to(device, self._torch_dtype)
        turns = (0,)
        if self.test_time_augmentation:
            turns = symmetries(self.augment, *x.shape[-2:])
        with torch.inference_mode():
            if inner is not None and len(turns) == 1 and hasattr(network, "part"):
                return network.part(x, *inner).to("cpu", torch.float32).numpy()
            total = turn_back(network(turn(x, turns[0]).contiguous()), turns[0])
            for k in turns[1:]:
                total = total + turn_back(network(turn(x, k).contiguous()), k)
            total = total if inner is None else total[..., *inner]
            return (total / len(turns)).to("cpu", torch.float32).numpy()

    def _tile_size(self, tile_size):
        """A multiple of the network's, and its reach rounded up to one; None: whole images only."""
        network = self.net_.module_
        multiple, halo = (getattr(network, name, None) for name in ("multiple", "halo"))
        if multiple is None or halo is None:
            return None, 0
        size = TILE if tile_size is None else tile_size
        if size < 1:
            raise ValueError(f"tile_size={tile_size}; expected at least 1 pixel.")
        return -(-size // multiple) * multiple, -(-halo // multiple) * multiple

    def _visit(self, X, function, priors=None, tile_size=None):
        """Call ``function(z, blank, place, prior)`` on each image, or on each tile of it.

        z : raw logits (n_labels, h, w); blank : ndarray of bool (h, w).
        """
        images, _ = self._read_images(X, anew=False)
        size, halo = self._tile_size(tile_size)
        i = 0
        while i < len(images):
            shape = images[i].shape
            large = shape[1] * shape[2] > WHOLE_PIXELS or tile_size is not None
            if size is not None and large:
                for place, z, blank in self._tiles(images[i], size, halo, i):
                    function(z, blank, place, _part(priors, i, place))
                    del z, blank
                i += 1
                continue
            stop = i + 1
            while (
                stop < len(images)
                and images[stop].shape == shape
                and (stop + 1 - i) * shape[1] * shape[2] <= BATCH_PIXELS
            ):
                stop += 1
            scaled = np.stack([self._whole(image) for image in images[i:stop]])
            logits = self._run(scaled)
            for k in range(i, stop):
                blank = ~np.isfinite(images[k]).all(axis=0)
                place = Place(k, *WHOLE)
                function(logits[k - i], blank, place, _part(priors, k, place))
            i = stop

    def _whole(self, image):
        return self._scaled(image, self.scaler_.statistics(image), image.shape[1:])

    def _tiles(self, image, size, halo, index=0):
        """Place, raw logits and blanks of each tile of an image (n_channels, h, w)."""
        statistics, shape = self.scaler_.statistics(image), image.shape[1:]
        for tile in tiles(shape, size, halo):
            part = np.asarray(image[(slice(None), *tile.outer)], dtype=np.float32)
            corner = tuple(one.start for one in tile.outer)
            z = self._run(self._scaled(part, statistics, shape, corner)[None], tile.within)[0]
            blank = ~np.isfinite(part[:, *tile.within]).all(axis=0)
            yield Place(index, *tile.inner), z, blank
            # or they would be there while the network works on the next ones
            del z, blank, part

    def _per_image(self, X, function, priors=None):
        """The results of a function of `_visit`, put together: an array, or a list for a list of shapes."""
        check_is_fitted(self)
        out, shapes = [], [np.shape(one)[-2:] for one in X]

        def keep(z, blank, place, prior):
            found = function(z, blank, place, prior)
            if self.mode_ == "binary" and found.ndim == 3:
                found = found[0]
            if place.image == len(out):
                whole = (*found.shape[:-2], *shapes[place.image])
                out.append(found if found.shape == whole else np.empty(whole, found.dtype))
            if out[place.image] is not found:
                out[place.image][..., place.rows, place.columns] = found

        self._visit(X, keep, priors)
        several = isinstance(X, list | tuple) and len(set(shapes)) > 1
        return out if several else np.stack(out) if len(out) > 1 else out[0][None]

    def predict_tiles(self, image, what="bits", *, tile_size=None):
        """Results for one image of any size, tile by tile: what the whole image would give.

        Memory holds a tile, not the image.

        Parameters
        ----------
        image : array-like of shape (h, w) or (n_channels, h, w)
            An array, memory map, dask array, or whatever gives arrays when sliced; NaN where blank.
        what : {"bits", "proba", "masks", "logits"} or sequence of them, default="bits"
            As `predict_bits`, `predict_proba`, `predict` and `decision_function` give them. Of a sequence,
            all are found at once.
        tile_size : int, default=None
            Sides of a tile, rounded up to what the network needs. None: as memory of about a gigabyte allows.

        Yields
        ------
        rows, columns : slice
            Where the tile lies.
        *results : ndarray of shape (h, w) or (n_labels, h, w)
            One for each of `what`.

        Raises
        ------
        ValueError
            An image of another dimension or number of channels, infinite values, `prior_` that is "em".
        """
        check_is_fitted(self)
        functions = {
            "bits": self._bit_plane,
            "proba": self._probabilities,
            "masks": self._decisions,
            "logits": lambda z, *_: self._calibrated(z),
        }
        names = (what,) if isinstance(what, str) else tuple(what)
        if not names or not set(names) <= set(functions):
            raise ValueError(f"what={what!r}; expected some of {', '.join(functions)}.")
        if isinstance(self.prior_, str):
            raise ValueError("prior is 'em'; expected numbers: estimate_prior gives them.")
        shape = tuple(np.shape(image))
        if len(shape) not in (2, 3) or 0 in shape:
            raise ValueError(f"image has shape {shape}; expected (h, w) or (n_channels, h, w).")
        planes = _Channels(image) if len(shape) == 2 else image
        if planes.shape[0] != self.n_channels_in_:
            raise ValueError(
                f"image has {planes.shape[0]} channel(s); expected {self.n_channels_in_}, as in fit."
            )
        size, halo = self._tile_size(tile_size)
        small = tile_size is None and planes.shape[1] * planes.shape[2] <= WHOLE_PIXELS
        if size is None or small:
            size, halo = max(planes.shape[1:]), 0
        return self._yield_tiles(planes, size, halo, [functions[name] for name in names])

    def _yield_tiles(self, planes, size, halo, functions):
        for place, z, blank in self._tiles(planes, size, halo):
            found = [function(z, blank, place, None) for function in functions]
            del z, blank
            if self.mode_ == "binary":
                found = [one[0] if one.ndim == 3 else one for one in found]
            yield place.rows, place.columns, *found
            del found

    def catalog(
        self, image, *, wcs=None, label=None, matched_filter=None, min_pixels=1, sigma=None
    ):
        """Sources of an image: connected pixels that `predict` finds, as a table.

        Parameters
        ----------
        image : array-like of shape (h, w)
            NaN where blank.
        wcs : astropy.wcs.WCS, optional
            Of the image: adds positions on the sky.
        label : str, optional
            Of the labels: one of them. None: all but a background, one after the other.
        matched_filter : MatchedFilter, optional
            Fitted; takes blended sources apart.
        min_pixels : int, default=1
        sigma : float or array-like of shape (h, w), optional
            Noise of a pixel, in the unit of the image. None: measured.

        Returns
        -------
        catalog : astropy.table.Table
            Columns as of :func:`make_catalog`.

        Raises
        ------
        ValueError
            An image of several channels, an unknown label, a WCS of another shape.
        """
        from astropy.table import vstack

        check_is_fitted(self)
        if np.ndim(image) != 2 or self.n_channels_in_ != 1:
            raise ValueError(
                f"image has shape {np.shape(image)}, for {self.n_channels_in_} channel(s); expected (h, w)."
            )
        exclusive = self.mode_ == "multiclass"
        names = self.labels_[1:] if exclusive else self.labels_
        if label is not None and label not in names:
            raise ValueError(f"label={label!r}; expected one of {', '.join(names)}.")
        values = getattr(image, "value", image)
        proba = np.reshape(self.predict_proba(values[None])[0], (-1, *values.shape))
        tables = []
        for name in [label] if label else names:
            i = self.labels_.index(name)
            # of exclusive classes the most probable is found, whatever its probability
            if exclusive:
                found = np.where(proba.argmax(axis=0) == i, proba[i], 0.0)
                cut = 1.0 / len(proba)
            else:
                found, cut = proba[i], float(np.reshape(self.thresholds_, -1)[i])
            tables.append(
                make_catalog(
                    image, found, cut, wcs=wcs, matched_filter=matched_filter,
                    min_pixels=min_pixels, sigma=sigma, label=name,
                )
            )  # fmt: skip
        return tables[0] if len(tables) == 1 else vstack(tables, metadata_conflicts="silent")


class _Channels:
    """A view of a two-dimensional image as one of one channel, read as it is sliced."""

    def __init__(self, image):
        self.image = image
        self.shape = (1, *image.shape)

    def __len__(self):
        return 1

    def __iter__(self):
        yield self.image

    def __getitem__(self, index):
        _, rows, columns = index
        part = self.image[rows, columns]
        part = part.compute() if hasattr(part, "compute") else part
        part = part.filled(np.nan) if isinstance(part, np.ma.MaskedArray) else part
        return np.asarray(part)[None]


def _part(priors, i, place):
    """The prior of an image, or of the part of it."""
    if priors is None:
        return None
    prior = priors[i]
    return prior[:, place.rows, place.columns] if np.ndim(prior) == 3 else prior
