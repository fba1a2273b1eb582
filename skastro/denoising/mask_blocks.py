"""The mask of probable signal of a cube that comes in blocks of rows: the same as of the whole."""

import tempfile

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["BlockComponents"]

FACES = ndimage.generate_binary_structure(3, 1)


class BlockComponents:
    """Connected voxels above a level with a peak above another, over blocks of rows.

    Components are followed from block to block: what is kept is what `find_signal` keeps of the whole
    cube, before it dilates. One bit a voxel lies in a temporary file, and a block at a time in memory.

    Parameters
    ----------
    shape : tuple (n_y, n_x, n_channels)
    low, high : float
        Levels of the smoothed S/N.
    least : int
        Fewest voxels of a component.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.mask_blocks import BlockComponents
    >>> snr = np.zeros((6, 4, 5))
    >>> snr[1:5, 2, 3] = [2.5, 2.5, 2.5, 6.0]
    >>> found = BlockComponents(snr.shape, low=2.0, high=5.0, least=4)
    >>> for rows in (slice(0, 3), slice(3, 6)):
    ...     found.add(rows, snr[rows])
    >>> found.close()
    >>> found[0:3].sum(axis=(1, 2))
    array([0, 1, 1])
    """

    def __init__(self, shape, low, high, least):
        self.shape, self.low, self.high, self.least = tuple(shape), low, high, least
        width = -(-int(np.prod(shape[1:])) // 8)
        with tempfile.TemporaryFile() as file:
            # the mapping outlives the name and the handle
            self._bits = np.memmap(file, np.uint8, "w+", shape=(shape[0], width))
        self._blocks, self._counts, self._peaked, self._touching = [], [], [], []
        self._n_labels, self._last = 0, None

    def add(self, rows, snr):
        """Take in the smoothed S/N, (n_rows, n_x, n_channels), of the next block of rows."""
        above = snr > self.low
        labels, n_labels = ndimage.label(above, FACES)
        counts = np.bincount(labels.ravel(), minlength=n_labels + 1)[1:]
        peaked = np.zeros(n_labels + 1, dtype=bool)
        peaked[labels[snr > self.high]] = True
        if self._last is not None:
            both = (self._last > 0) & (labels[0] > 0)
            offset = self._n_labels - 1
            pairs = np.stack([self._last[both], labels[0][both] + offset], axis=1)
            self._touching.append(np.unique(pairs - [1, 0], axis=0))
        last = labels[-1].astype(np.int64)
        self._last = np.where(last > 0, last + self._n_labels, 0)
        self._blocks.append((rows, self._n_labels, n_labels))
        self._counts.append(counts)
        self._peaked.append(peaked[1:])
        self._n_labels += n_labels
        self._write(rows, above)

    def close(self):
        """Judge the components, once all blocks were added; what does not count is taken out."""
        if self._n_labels:
            pairs = np.concatenate([np.empty((0, 2), np.int64), *self._touching])
            graph = coo_array(
                (np.ones(len(pairs), dtype=bool), pairs.T), shape=(self._n_labels,) * 2
            )
            n_whole, whole = connected_components(graph, directed=False)
            counts = np.bincount(whole, np.concatenate(self._counts), n_whole)
            peaks = np.bincount(whole, np.concatenate(self._peaked), n_whole)
            keep = ((counts >= self.least) & (peaks > 0))[whole]
            for rows, first, n_labels in self._blocks:
                own = keep[first : first + n_labels]
                if not own.all():
                    labels, _ = ndimage.label(self[rows], FACES)
                    self._write(rows, np.concatenate([[False], own])[labels])
        self._last = self._counts = self._peaked = self._touching = None

    def _write(self, rows, mask):
        self._bits[rows] = np.packbits(mask.reshape(len(mask), -1), axis=1)

    def __getitem__(self, rows):
        """Rows of the mask, as an array of bool."""
        size = int(np.prod(self.shape[1:]))
        mask = np.unpackbits(self._bits[rows], axis=1, count=size)
        return mask.view(bool).reshape(-1, *self.shape[1:])
