"""FITS files written HDU by HDU, images piece by piece, with checksums that depend on the content alone."""

import os
import warnings

import numpy as np
from astropy.io import fits

__all__ = ["FITSAppender", "checksum", "encode_checksum"]

COMMENT = "written by skastro"
BLOCK = 2880
# of ASCII, between digits and letters
PUNCTUATION = {*range(0x3A, 0x41), *range(0x5B, 0x61)}


def checksum(content, total=0):
    """Sum of bytes as FITS sums them: words of 32 bits, carries added at the end [1]_.

    Parameters
    ----------
    content : bytes
        A multiple of four.
    total : int, default=0
        Of what comes before.

    Returns
    -------
    total : int

    References
    ----------
    .. [1] FITS Standard 4.0, appendix J (2018).

    Examples
    --------
    >>> from skastro.io.fits_append import checksum
    >>> checksum(bytes([255, 255, 255, 255, 0, 0, 0, 2]))
    2
    """
    total += int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encode_checksum(total):
    """The 16 characters of CHECKSUM that make the sum of an HDU all ones, where it is `total` without.

    Examples
    --------
    >>> from skastro.io.fits_append import encode_checksum
    >>> encode_checksum(0xFFFFFFFF)
    '0000000000000000'
    """
    complement = 0xFFFFFFFF & ~total
    characters = [0] * 16
    for i in range(4):
        quarter, rest = divmod(complement >> (24 - 8 * i) & 0xFF, 4)
        four = [quarter + 0x30 + rest, *[quarter + 0x30] * 3]
        while PUNCTUATION & set(four):
            for j in (0, 2):
                if PUNCTUATION & set(four[j : j + 2]):
                    four[j], four[j + 1] = four[j] + 1, four[j + 1] - 1
        characters[i::4] = four
    # one place to the right: the value starts after a quote
    return bytes(characters[-1:] + characters[:-1]).decode()


class FITSAppender:
    """Add HDUs to a file, one after the other.

    Parameters
    ----------
    path : str or Path
        Empty, or not there.
    """

    def __init__(self, path):
        self.path, self.n_hdus, self.summed = os.fspath(path), 0, []
        open(self.path, "wb").close()

    def copy(self, hdu):
        """Add an HDU; one of another file that is open is copied byte by byte.

        Parameters
        ----------
        hdu : HDU of astropy
        """
        with warnings.catch_warnings():
            # of headers that break the standard in the file that was given
            warnings.simplefilter("ignore")
            if self.n_hdus == 0:
                fits.HDUList([hdu]).writeto(self.path, overwrite=True, output_verify="ignore")
            else:
                file = fits.open(
                    self.path, mode="append", disable_image_compression=True, checksum=False
                )
                file.append(hdu)
                file.close(output_verify="ignore")
        self.n_hdus += 1

    def planes(self, store, first, shape, header, *, unsigned=False, compress=False):
        """Add an image that lies in a store.

        Parameters
        ----------
        store : PlaneStore
        first : int
            Where in it the image begins.
        shape : tuple of int
            Of the image: leading axes, height and width.
        header : Header
            Without what describes numbers.
        unsigned : bool, default=False
            Whether the integers of the store, as `to_stored` makes them, stand for unsigned ones.
        compress : bool, default=False
            In tiles, without loss.
        """
        n_planes = int(np.prod(shape[:-2], dtype=np.int64))
        stored = store.array()[first : first + n_planes].reshape(shape)
        options = {"do_not_scale_image_data": True}
        if compress and self.n_hdus == 0:
            primary = fits.PrimaryHDU()
            primary.header["EXTEND"] = True
            self.copy(primary)
        kind = fits.ImageHDU if self.n_hdus else fits.PrimaryHDU
        if compress:
            # astropy's PLIO takes no unsigned numbers
            kind, method = fits.CompImageHDU, "RICE_1" if unsigned else "GZIP_2"
            options |= {"compression_type": method, "quantize_level": 0}
        hdu = kind(data=stored, header=header, **options)
        if unsigned:
            hdu.header["BSCALE"] = 1
            hdu.header["BZERO"] = 1 << (8 * stored.dtype.itemsize - 1)
        if compress:
            self.summed.append(self.n_hdus)
            self.copy(hdu)
            return
        if self.n_hdus == 0:
            hdu.header.set("EXTEND", True, after=f"NAXIS{len(shape)}")
        self._write(hdu.header.copy(), store.chunks(first, n_planes))
        self.n_hdus += 1

    def _write(self, header, chunks):
        """Header and numbers to the end of the file; the sums go into the header at last."""
        header["CHECKSUM"] = ("0" * 16, COMMENT)
        header["DATASUM"] = ("0", COMMENT)
        with open(self.path, "r+b") as file:
            start = file.seek(0, os.SEEK_END)
            file.write(header.tostring().encode("ascii"))
            size = total = 0
            for chunk in chunks:
                size += file.write(chunk)
                chunk = bytes(chunk) + b"\0" * (-len(chunk) % 4)
                total = checksum(chunk, total)
            file.write(b"\0" * (-size % BLOCK))
            header["DATASUM"] = (str(total), COMMENT)
            head = header.tostring().encode("ascii")
            header["CHECKSUM"] = (encode_checksum(checksum(head, total)), COMMENT)
            file.seek(start)
            file.write(header.tostring().encode("ascii"))

    def finish(self):
        """Write the sums of what is compressed, which is known only now."""
        if not self.summed:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # checksum=False: as it closes, it would write the time beside them
            file = fits.open(
                self.path, mode="update", disable_image_compression=True, checksum=False
            )
            try:
                for i in self.summed:
                    file[i].add_datasum(when=COMMENT)
                    file[i].add_checksum(when=COMMENT)
            finally:
                file.close(output_verify="ignore")
