"""From the pixels of an image to numbers of order one, by what that image tells of itself."""

import numpy as np

__all__ = ["SCALINGS", "ImageScaler", "noise_level"]

SCALINGS = ("auto", "asinh", "sqrt", "max")
# Pixels of an image of which medians are taken.
N_PIXELS = 2**20
# of a second difference with weights -1/2, 1, -1/2, over that of a pixel
DIFFERENCE = np.sqrt(1.5)
MAD = 1.4826


def _sample(image):
    """About `N_PIXELS` pixels of an image (h, w): whole lines spread over it."""
    h, w = image.shape
    step = max(1, (h * w) // N_PIXELS)
    return np.asarray(image[::step] if step < h else image[:1], dtype=np.float32)


def noise_level(lines):
    """Robust standard deviation of the noise, from second differences along the lines.

    Structure that is wider than some pixels, which would swell the median absolute deviation of the pixels,
    hardly counts.

    Parameters
    ----------
    lines : ndarray of shape (n, w)
        NaN is left out.

    Returns
    -------
    sigma : float
        0 where there is none.
    """
    sigma = 0.0
    if lines.shape[1] > 2:
        bend = lines[:, 1:-1] - 0.5 * (lines[:, :-2] + lines[:, 2:])
        bend = bend[np.isfinite(bend)]
        if bend.size:
            sigma = MAD * float(np.median(np.abs(bend))) / DIFFERENCE
    known = lines[np.isfinite(lines)]
    if not sigma > 0 and known.size:
        # images of a few pixels, or equal neighbours
        sigma = MAD * float(np.median(np.abs(known - np.median(known)))) or float(known.std())
    return sigma if np.isfinite(sigma) else 0.0


class ImageScaler:
    """Scale of images, each channel of each image by itself.

    Parameters
    ----------
    kind : {"auto", "asinh", "sqrt", "max"} or None
        "asinh": the inverse hyperbolic sine of the pixel minus the median, over the noise, both of the image.
        "sqrt": the square root, with its sign, for counts. "max": over the largest absolute value. "auto":
        "sqrt" for images that hold counts of at most some thousands, else "asinh".

    Attributes
    ----------
    kind_ : str or None
        In force.
    center_, scale_ : ndarray of shape (n_channels,)
        For "sqrt", "max" and None: mean and standard deviation over the training images, after that.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation.scaling import ImageScaler
    >>> images = [np.random.default_rng(0).normal(1000.0, 5.0, (1, 64, 64))]
    >>> scaler = ImageScaler("asinh").fit(images)
    >>> z = scaler.transform(images[0], scaler.statistics(images[0]))
    >>> bool(abs(np.median(z)) < 0.01), bool(abs(np.median(abs(z)) - np.arcsinh(0.674)) < 0.02)
    (True, True)
    """

    def __init__(self, kind):
        self.kind = kind

    def fit(self, images):
        """Choose the kind, and learn the scales that all images share.

        Parameters
        ----------
        images : sequence of ndarray of shape (n_channels, h, w)
            The training images.

        Returns
        -------
        self : ImageScaler
        """
        step = max(1, len(images) // 256)
        some = [np.asarray(image) for image in images[::step]]
        self.kind_ = self._choose(some) if self.kind == "auto" else self.kind
        n_channels = some[0].shape[0]
        self.center_, self.scale_ = np.zeros(n_channels), np.ones(n_channels)
        if self.kind_ == "asinh":
            return self
        n, total, square = 0, np.zeros(n_channels), np.zeros(n_channels)
        for image in some:
            z = self.transform(image, self.statistics(image)).reshape(n_channels, -1).astype(float)
            n += np.isfinite(z).sum(axis=1)
            total += np.nansum(z, axis=1)
            square += np.nansum(z**2, axis=1)
        self.center_ = total / np.maximum(n, 1)
        variance = square / np.maximum(n, 1) - self.center_**2
        self.scale_ = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
        return self

    @staticmethod
    def _choose(some):
        for image in some:
            known = image[np.isfinite(image)]
            if known.size and (known.min() < 0 or (known != np.round(known)).any()):
                return "asinh"
        known = [image[np.isfinite(image)] for image in some]
        middle = max((np.median(one) for one in known if one.size), default=0.0)
        # counts of large numbers, with a bias and a gain, are the units of a detector
        return "sqrt" if middle < 100.0 else "asinh"

    def statistics(self, image):
        """Centre and scale of each channel of an image.

        Parameters
        ----------
        image : ndarray of shape (n_channels, h, w)
            An array or what is read like one, such as a memory map.

        Returns
        -------
        statistics : ndarray of shape (n_channels, 2), float32
        """
        found = np.zeros((len(image), 2), np.float32)
        found[:, 1] = 1.0
        if self.kind_ in ("sqrt", None):
            return found
        for channel, row in zip(image, found, strict=True):
            lines = _sample(channel)
            known = lines[np.isfinite(lines)]
            if known.size == 0:
                continue
            if self.kind_ == "max":
                # of all pixels: one may be brighter than all the others
                top = np.fmax.reduce(np.abs(channel), axis=None)
                row[1] = top if top > 0 else 1.0
            else:
                sigma = noise_level(lines)
                row[:] = np.median(known), sigma if sigma > 0 else 1.0
        return found

    def transform(self, part, statistics):
        """Scale a part of an image.

        Parameters
        ----------
        part : ndarray of shape (n_channels, h, w)
        statistics : ndarray of shape (n_channels, 2)
            Of the whole image.

        Returns
        -------
        z : ndarray of shape (n_channels, h, w), float32
            NaN where `part` is.
        """
        z = np.asarray(part, dtype=np.float32)
        if self.kind_ == "sqrt":
            z = np.copysign(np.sqrt(np.abs(z)), z)
        elif self.kind_ is not None:
            center, width = statistics.T[:, :, None, None]
            z = (z - center) / width
            if self.kind_ == "asinh":
                return np.arcsinh(z, out=z)
        center = self.center_.astype(np.float32)[:, None, None]
        return (z - center) / self.scale_.astype(np.float32)[:, None, None]
