"""The masks of the images of one FITS file."""

import contextlib
import warnings
from functools import partial

import numpy as np

import skastro
from skastro.blocks import row_tiles
from skastro.files import replacing
from skastro.io.bit_planes import (
    bit_cards,
    bits_dtype,
    from_stored,
    is_mask,
    mask_header,
    to_stored,
)
from skastro.io.fits_append import FITSAppender
from skastro.io.fits_images import open_images
from skastro.io.plane_store import PlaneStore
from skastro.mask_settings import MEANINGS, numbers_of, plain

__all__ = ["mask_file"]

# pixels of an image whose probabilities serve to estimate a prior, and positives below which none is
SAMPLE = 2**20
FEW = 30
BAND_PIXELS = 2**18


def mask_file(model, source, output, settings, progress=None):
    """Find the classes of a model in each image of a FITS file, and write them as bit planes.

    The file has the HDUs of the one that is read: images become masks with their header, tables and headers
    without data stay as they are. Of an image of more than two axes, each plane is examined. What is not
    examined (other extensions than `settings.hdus`, an image of one axis) has NODATA everywhere.

    Parameters
    ----------
    model : SourceSegmenter
    source, output : Path
        An existing output is replaced when all is written.
    settings : MaskSettings
    progress : callable, optional
        Of a number of pixels that are done.

    Returns
    -------
    images : list of dict
        Of each image that was examined: extension, shape, pixels of each class and without data, priors and
        thresholds.

    Raises
    ------
    ValueError
        No FITS file, or no image in it.
    OSError
        A file that cannot be read or written.
    """
    with contextlib.ExitStack() as stack:
        extensions = stack.enter_context(open_images(source))
        examined = _choose(extensions, settings, source)
        temporary = stack.enter_context(replacing(output))
        writer = _Masks(model, output.parent, settings, stack, progress)
        file, later = FITSAppender(temporary), []
        for extension in extensions:
            if extension.kind in ("other", "empty"):
                file.copy(extension.hdu)
            else:
                later += writer.write_masks(file, extension, extension in examined)
        for write in later:
            write()
        file.finish()
    return writer.images


def _choose(extensions, settings, source):
    """The extensions that are examined."""
    images = [one for one in extensions if one.kind == "image"]
    if any(is_mask(one.hdu.header) for one in extensions):
        raise ValueError(f"{source} is a mask of skastro already; expected images.")
    if not images:
        raise ValueError(f"{source} has no image of two axes or more; expected one.")
    if not settings.hdus:
        return images
    chosen = []
    for name in settings.hdus:
        found = [one for one in images if name.lower() in (str(one.index), one.name.lower())]
        found += [one for one in images if one.label.lower() == name.lower() and one not in found]
        if not found:
            raise ValueError(
                f"{source} has no image {name!r}; expected one of {[one.label for one in images]}."
            )
        chosen += found
    return chosen


def _dilated(bits, radii):
    """Bits grown by discs, of the radius that each has."""
    from scipy.ndimage import distance_transform_edt

    grown = bits.copy()
    for bit, radius in radii.items():
        has = bits & bits.dtype.type(bit) != 0
        if radius and has.any():
            grown[distance_transform_edt(~has) <= radius] |= bits.dtype.type(bit)
    return grown


def _as_float16(proba):
    """float32 with as many digits as float16 has, which FITS has not: they compress, and 1e-6 is kept."""
    bits = np.ascontiguousarray(proba, np.float32).view(np.uint32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)).view(np.float32)


class _Masks:
    """Masks of the images of one file, in temporary files beside the one that is written."""

    def __init__(self, model, folder, settings, stack, progress):
        self.model, self.settings, self.folder, self.stack = model, settings, folder, stack
        self.progress = progress or (lambda n_pixels: None)
        self.bits = {label: model.bits_[label] for label in settings.labels}
        self.nodata = model.nodata_bit_
        self.dtype = bits_dtype(model.bits_, self.nodata)
        self.stored = np.dtype(f">i{self.dtype.itemsize}")
        self.images = []

    def write_masks(self, file, extension, examine):
        """Add the mask of an image to a file; returns what adds its probabilities."""
        settings = self.settings
        shape = (extension.n_planes if extension.kind == "image" else 1, *extension.shape[-2:])
        shape = shape if len(shape) == 3 else (1, *shape)
        planes = range(shape[0])
        used, proba = [], None
        if examine and settings.proba:
            # at the end of the file: kept until then
            proba = PlaneStore((len(settings.labels) * shape[0], *shape[1:]), ">f4", self.folder)
            self.stack.enter_context(proba)
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(PlaneStore(shape, self.stored, self.folder))
            if examine:
                used = [self._examine(extension, i, store, proba) for i in planes]
                store = self._finish(store, extension, used, stack)
            else:
                self._fill(store)
            cards = self._cards(examine, used)
            kind = ("MASKTYPE", "BITS", "one bit for each class")
            header = mask_header(extension.header, [kind, *cards])
            file.planes(
                store, 0, extension.shape, header, unsigned=True, compress=settings.compress
            )
        if proba is None:
            return []
        return [
            partial(
                file.planes, proba, i * shape[0], extension.shape,
                self._proba_header(extension, label, cards), compress=settings.compress,
            )
            for i, label in enumerate(settings.labels)
        ]  # fmt: skip

    def _proba_header(self, extension, label, cards):
        cards = [
            ("MASKTYPE", "PROBA", "probability of a class"),
            ("MASKCLAS", label, MEANINGS.get(label, "")),
            *cards,
        ]
        header = mask_header(extension.header, cards)
        header["EXTNAME"] = f"{extension.name or f'IMAGE{extension.index}'}_{label}"
        return header

    def _examine(self, extension, number, store, proba):
        """Write the bits of a plane; returns the priors and thresholds that they were found with."""
        settings, model = self.settings, self.model
        plane = extension.plane(number)
        before = numbers_of(model, "prior_")
        what = ("bits", "proba") if proba is not None else ("bits",)
        kept = self.dtype.type(sum(self.bits.values()) | self.nodata)
        order = [list(model.labels_).index(label) for label in settings.labels]
        try:
            if settings.estimate:
                model.set_prior(_estimate(model, plane, settings))
            # a policy may have found other thresholds with the estimated prior
            used = numbers_of(model, "prior_"), numbers_of(model, "thresholds_")
            tiles = model.predict_tiles(plane, tile_size=settings.tile, what=what)
            for rows, columns, bits, *others in tiles:
                stored = to_stored(bits.astype(self.dtype, copy=False) & kept)
                store.write(number, rows, columns, stored)
                # of a single label, an array without an axis for it
                maps = others[0].reshape(-1, *bits.shape)[order] if others else ()
                for i, found in enumerate(maps):
                    at = i * extension.n_planes + number
                    proba.write(at, rows, columns, _as_float16(found))
                self.progress(bits.size)
        finally:
            if settings.estimate:
                model.set_prior(before)
        return used

    def _fill(self, store):
        value = to_stored(np.array([self.nodata], self.dtype))
        n_planes, height, width = store.shape
        for plane in range(n_planes):
            for _, rows, _ in row_tiles(height, max(1, BAND_PIXELS // width)):
                tile = np.broadcast_to(value, (rows.stop - rows.start, width))
                store.write(plane, rows, slice(0, width), tile)

    def _finish(self, store, extension, used, stack):
        """Dilate, and count the pixels of each class."""
        radii = {self.bits[label]: radius for label, radius in self.settings.dilations.items()}
        halo = max(radii.values(), default=0)
        n_planes, height, width = store.shape
        grown = store
        if halo:
            grown = stack.enter_context(PlaneStore(store.shape, self.stored, self.folder))
        counts = dict.fromkeys([*self.settings.labels, "NODATA"], 0)
        n_rows = max(1, 4 * halo, BAND_PIXELS // width)
        for plane in range(n_planes):
            for outer, rows, within in row_tiles(height, n_rows, halo):
                bits = from_stored(store.array()[plane, outer])
                if halo:
                    blank = bits & self.dtype.type(self.nodata)
                    bits = np.where(blank != 0, blank, _dilated(bits, radii))[within]
                    grown.write(plane, rows, slice(0, width), to_stored(bits))
                for label, bit in (*self.bits.items(), ("NODATA", self.nodata)):
                    counts[label] += int(np.count_nonzero(bits & self.dtype.type(bit)))
        record = {"extension": extension.label, "shape": list(extension.shape), "pixels": counts}
        for key, planes in zip(("prior", "threshold"), zip(*used, strict=True), strict=True):
            values = {
                label: [plain(one[label]) for one in planes] for label in self.settings.labels
            }
            record[key] = {label: v if len(v) > 1 else v[0] for label, v in values.items()}
        self.images.append(record)
        return grown

    def _cards(self, examined, used):
        """What is said of the model, and how its bits were found."""
        settings, model = self.settings, self.model
        # of planes that have each their own: the summary has them
        priors, thresholds = (
            {
                label: planes[0][label]
                for label in settings.labels
                if len({one[label] for one in planes}) == 1
            }
            for planes in (zip(*used, strict=True) if used else ((), ()))
        )
        policy, level = model.threshold_policy_
        cards = [("MASKDONE", examined, "whether the image was examined")]
        cards += bit_cards(
            self.bits, self.nodata, meanings=MEANINGS, priors=priors, thresholds=thresholds,
            dilations=settings.dilations,
        )  # fmt: skip
        cards.append(("THRPOL", str(policy), "policy of the thresholds"))
        if level is not None and np.ndim(level) == 0:
            cards.append(("THRLEV", float(level), "its level"))
        cards.append(("MASKMODL", settings.model_name, "model"))
        if settings.digest:
            cards.append(("MASKSHA", settings.digest))
        if settings.tile:
            cards.append(("MASKTILE", settings.tile, "pixels of the side of a tile"))
        return [*cards, ("MASKVERS", f"skastro {skastro.__version__}")]


def _estimate(model, plane, settings):
    """Priors of the classes of a plane, from probabilities under the one that it has."""
    from skastro.prior_estimate import estimate_prior

    step = max(1, int(np.ceil(np.sqrt(plane.shape[0] * plane.shape[1] / SAMPLE))))
    before = numbers_of(model, "prior_")
    found = []
    tiles = model.predict_tiles(plane, tile_size=settings.tile, what=("proba", "bits"))
    for rows, columns, proba, bits in tiles:
        # the same pixels whatever the tiles
        sample = slice(-rows.start % step, None, step), slice(-columns.start % step, None, step)
        known = bits[sample] & bits.dtype.type(model.nodata_bit_) == 0
        # of a single label, an array without an axis for it
        found.append(proba.reshape(-1, *bits.shape)[:, *sample][:, known])
    found = np.concatenate(found, axis=1)
    priors = {}
    for label in settings.estimate if found.shape[1] else ():
        i = list(model.labels_).index(label)
        with warnings.catch_warnings():
            # of few positives, which are looked for below
            warnings.simplefilter("ignore", UserWarning)
            estimate = estimate_prior(found[i], before[label], n_bootstrap=0)
        # fewer hang on the far tail of the probabilities
        if FEW <= estimate.expected <= found.shape[1] - FEW:
            priors[label] = float(estimate.prior)
    return before | priors
