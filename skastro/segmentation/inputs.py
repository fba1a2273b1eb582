"""What `SourceSegmenter` does before its network: read, check, scale and cut what the user gives."""

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight

from skastro.images import check_images
from skastro.recipes import copy_recipe
from skastro.segmentation.networks import UNet
from skastro.segmentation.networks_fused import FusedNet
from skastro.segmentation.networks_published import PublishedUNet
from skastro.segmentation.targets import code_masks, find_labels, find_mode, weighted_shares

__all__ = ["NETWORKS", "SegmentationInputs", "nodata_bit"]

NETWORKS = {"unet": UNet, "unet_published": PublishedUNet, "fused": FusedNet}
# Sides of patches that images are cut to, where they are larger or of several shapes.
PATCH = 256
WHOLE = 512
# With so many images the held-out ones are whole ones: neighbouring patches know of each other.
MANY_IMAGES = 10


def nodata_bit(n_labels):
    """The bit that marks pixels without data: the highest of 16 or of 32."""
    return 1 << (15 if n_labels <= 15 else 31)


class SegmentationInputs:
    """The part of `SourceSegmenter` that knows images, masks and patches."""

    def _read_images(self, X, anew):
        """A list of images (n_channels, h, w), views where nothing has to change, and the common form."""
        several = isinstance(X, list | tuple) and len({np.shape(one) for one in X}) > 1
        n_channels = None if anew else self.n_channels_in_
        unit = None if anew else self.input_unit_
        if not several:
            images, info = check_images(X, n_channels=n_channels, unit=unit)
            found, infos = list(images), [info]
        else:
            found, infos = [], []
            for i, one in enumerate(X):
                one = np.ma.asarray(one) if isinstance(one, np.ma.MaskedArray) else one
                if np.ndim(one) not in (2, 3):
                    raise ValueError(
                        f"X[{i}] has shape {np.shape(one)}; expected (h, w) or (n_channels, h, w)."
                    )
                wanted = n_channels if n_channels or not found else len(found[0])
                image, info = check_images(one[None], f"X[{i}]", n_channels=wanted, unit=unit)
                found.append(image[0])
                infos.append(info)
        if anew:
            self.input_unit_ = None if infos[0].unit is None else infos[0].unit.to_string()
            self.n_channels_in_ = len(found[0])
        return found, several

    def _read_masks(self, Y, images):
        """A code for each image; fixes the mode and the labels."""
        if isinstance(Y, np.ma.MaskedArray):
            Y = np.where(np.ma.getmaskarray(Y), self.ignore_index, Y.data)
        n = len(Y) if hasattr(Y, "__len__") else 0
        if n != len(images):
            raise ValueError(f"Y has {n} mask(s); expected {len(images)}, one for each image.")
        masks = [np.asarray(one) for one in Y]
        if {one.ndim for one in masks} - {2, 3} or len({one.ndim for one in masks}) > 1:
            raise ValueError(
                f"Y has masks of shape {masks[0].shape}; expected (h, w) or (n_labels, h, w)."
            )
        self.mode_ = "multilabel" if isinstance(self.labels, dict) else find_mode(self.mode, masks)
        self.bits_ = find_labels(self.labels, self.mode_, masks, self.ignore_index)
        self.labels_ = list(self.bits_)
        self.nodata_bit_ = nodata_bit(len(self.bits_))
        return [
            code_masks(
                mask,
                image.shape[1:],
                self.mode_,
                self.bits_,
                self.ignore_index,
                self.nodata_bit_,
                i,
            )
            for i, (mask, image) in enumerate(zip(masks, images, strict=True))
        ]

    def _read_weight(self, sample_weight, images):
        if sample_weight is None:
            return None
        each = np.zeros((len(images), 1))
        weight = _check_sample_weight(sample_weight, each, dtype=float, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("sample_weight is 0 for every image; expected some above 0.")
        return weight / weight.mean()

    def _find_recipe(self):
        if not isinstance(self.network, str):
            return copy_recipe(self.network)
        return NETWORKS[self.network]()

    def _n_inputs(self):
        return self.n_channels_in_ + (2 if self.coordinates else 0)

    def _scaled(self, part, statistics, shape, corner=(0, 0)):
        """What the network sees of a part of an image: scaled, blanks at 0, its place beside.

        Parameters
        ----------
        part : ndarray of shape (n_channels, h, w)
        statistics : ndarray of shape (n_channels, 2)
            Of the whole image.
        shape : tuple (h, w)
            Of the whole image.
        corner : tuple (y, x)
            Where the part begins.

        Returns
        -------
        z : ndarray of shape (n_inputs, h, w), float32
        """
        z = self.scaler_.transform(part, statistics)
        np.nan_to_num(z, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        if not self.coordinates:
            return z
        axes = [
            (2.0 * np.arange(start, start + n, dtype=np.float32) + 1.0) / size - 1.0
            for start, n, size in zip(corner, part.shape[1:], shape, strict=True)
        ]
        rows, columns = np.meshgrid(*axes, indexing="ij")
        return np.concatenate([z, rows[None], columns[None]])

    def _cut(self, images, codes, weight, rng):
        """Patches of one shape: inputs, codes, weights, and the image of each.

        Patches without any positive pixel are kept with the probability `negative_fraction`.
        """
        shapes = {image.shape[1:] for image in images}
        size = self.patch_size
        if size == "auto":
            whole = len(shapes) == 1 and max(next(iter(shapes))) <= WHOLE
            size = None if whole else PATCH
        if size is None and len(shapes) > 1:
            raise ValueError(
                f"patch_size=None with images of {len(shapes)} shapes; expected a number of pixels."
            )
        places = []
        for i, image in enumerate(images):
            h, w = image.shape[1:]
            starts = [(0,), (0,)] if size is None else [_starts(n, size) for n in (h, w)]
            places += [(i, y, x) for y in starts[0] for x in starts[1]]
        height, width = next(iter(shapes)) if size is None else (size, size)

        def window(i, y, x):
            return codes[i][y : y + height, x : x + width]

        if self.negative_fraction < 1.0:
            filled = [bool((window(*place) > 0).any()) for place in places]
            lucky = rng.random(len(places)) < self.negative_fraction
            places = [
                p for p, full, kept in zip(places, filled, lucky, strict=True) if full or kept
            ]
        if len(places) < 2:
            raise ValueError(
                f"X gives {len(places)} patch(es) of {height} x {width} pixels; expected at least 2: more "
                "images, or a smaller patch_size."
            )
        z = np.zeros((len(places), self._n_inputs(), height, width), self.dtype)
        code = np.full((len(places), height, width), -1, np.int32)
        for k, (i, y, x) in enumerate(places):
            part = images[i][:, y : y + height, x : x + width]
            h, w = part.shape[1:]
            z[k, :, :h, :w] = self._scaled(part, self._statistics[i], images[i].shape[1:], (y, x))
            code[k, :h, :w] = window(i, y, x)
            code[k, :h, :w][~np.isfinite(part).all(axis=0)] = -1
        origin = np.array([i for i, _, _ in places])
        each = None if weight is None else weight[origin]
        return torch.from_numpy(z), torch.from_numpy(code), each, origin

    def _split_patches(self, origin, seed):
        """Rows to train on and rows held out: whole images, where there are many."""
        n_images = len(np.unique(origin))
        if self.validation_fraction is None or n_images < MANY_IMAGES:
            return self._split_rows(len(origin), seed)
        names, which = np.unique(origin, return_inverse=True)
        train, held = self._split_rows(len(names), seed)
        return np.flatnonzero(np.isin(which, train)), np.flatnonzero(np.isin(which, held))

    def _learn_priors(self, code, weight, rows):
        """Shares of the labels in the training rows: as they are, and as the loss sees them."""
        n = len(self.labels_)
        codes = [code[i].numpy() for i in rows]
        each = None if weight is None else weight[rows]
        positive, scored = weighted_shares(codes, self.mode_, n, each)
        if scored == 0:
            raise ValueError("Y has no scored pixel; expected some.")
        absent = [name for name, k in zip(self.labels_, positive, strict=True) if k == 0]
        if absent:
            raise ValueError(
                f"Y has no pixel of {', '.join(absent)} in the training rows; expected some of each label."
            )
        full = [name for name, k in zip(self.labels_, positive, strict=True) if k == scored]
        if full:
            raise ValueError(f"Y is {full[0]} in every pixel; expected pixels of two kinds.")
        self.class_weight_ = self._find_weights(positive, scored)
        weighted = positive * self.class_weight_
        if self.mode_ == "multiclass":
            prior = weighted / weighted.sum()
        else:
            prior = weighted / (weighted + scored - positive)
        if self.negative_fraction < 1.0:
            # in the images, each patch without positives stands for those that were left out as well
            times = np.array(
                [1.0 if (one > 0).any() else 1 / self.negative_fraction for one in codes]
            )
            each = times if each is None else times * each
            positive, scored = weighted_shares(codes, self.mode_, n, each)
        return positive / scored, prior

    def _find_weights(self, positive, scored):
        n = len(self.labels_)
        given = self.class_weight
        if given is None:
            return np.ones(n)
        if isinstance(given, str):
            if self.mode_ == "multiclass":
                return scored / (n * positive)
            return (scored - positive) / positive
        unknown = [str(name) for name in given if str(name) not in self.labels_]
        if unknown:
            raise ValueError(
                f"class_weight has {', '.join(unknown)}; expected names among {', '.join(self.labels_)}."
            )
        weights = np.array(
            [float({str(k): v for k, v in given.items()}.get(name, 1.0)) for name in self.labels_]
        )
        if not (np.isfinite(weights) & (weights > 0)).all():
            raise ValueError(f"class_weight={given!r}; expected positive numbers.")
        return weights


def _starts(n, size):
    """Where patches along a side start: they cover it, and overlap where they don't fit."""
    if n <= size:
        return (0,)
    count = -(-n // size)
    return tuple(round(i * (n - size) / (count - 1)) for i in range(count))
