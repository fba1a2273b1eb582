"""Named arrays in one file, in the format of safetensors: nothing in it is code."""

import json
import math
from pathlib import Path

import numpy as np

from skastro.files import replacing

__all__ = ["read_tensors", "write_tensors"]

# names of the format, little-endian on disk
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?",
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}
ALIGNMENT = 8


def write_tensors(path, tensors, metadata=None):
    """Write named arrays to a file of the format safetensors [1]_.

    Parameters
    ----------
    path : str or Path
        By custom with the suffix ``.safetensors``. An existing file is replaced only when the new one is
        complete.
    tensors : dict of str to ndarray
    metadata : dict of str to str, optional

    Raises
    ------
    ValueError
        A type of array or of metadata that the format has not.
    OSError
        The folder does not exist or cannot be written to.

    References
    ----------
    .. [1] https://github.com/huggingface/safetensors

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from skastro.io.tensors import read_tensors, write_tensors
    >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> write_tensors(path, {"x": np.arange(3)}, {"made": "today"})
    >>> read_tensors(path)
    ({'x': array([0, 1, 2])}, {'made': 'today'})
    """
    header, parts, at = {}, [], 0
    if metadata:
        wrong = [key for key, value in metadata.items() if not isinstance(value, str)]
        if wrong:
            raise ValueError(f"metadata has {wrong[0]!r} of another type; expected strings.")
        header["__metadata__"] = dict(metadata)
    # the widest first, so that all are aligned
    for name in sorted(tensors, key=lambda name: -np.asarray(tensors[name]).dtype.itemsize):
        array = np.asarray(tensors[name])
        kind = NAMES.get(array.dtype.newbyteorder("<") if array.dtype.itemsize > 1 else array.dtype)
        if kind is None:
            raise ValueError(f"tensors has {name!r} of type {array.dtype}; expected numbers.")
        raw = np.ascontiguousarray(array, DTYPES[kind]).tobytes()
        header[name] = {
            "dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(raw)],
        }  # fmt: skip
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with replacing(path) as temporary:
        temporary.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))


def read_tensors(path):
    """Read named arrays from a file of the format safetensors.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    tensors : dict of str to ndarray
        By name.
    metadata : dict of str to str

    Raises
    ------
    ValueError
        No such file: a header or an array that does not fit.
    OSError
        The file cannot be read.

    Examples
    --------
    See `write_tensors`.
    """
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    try:
        header = json.loads(raw[8 : 8 + size])
        metadata = header.pop("__metadata__", {})
        data, tensors = raw[8 + size :], {}
        for name in sorted(header):
            one = header[name]
            (start, stop), shape = one["data_offsets"], one["shape"]
            kind = np.dtype(DTYPES[one["dtype"]])
            if stop - start != kind.itemsize * math.prod(shape) or stop > len(data):
                raise ValueError(f"{name} has {stop - start} bytes")
            array = np.frombuffer(data, kind, math.prod(shape), start).reshape(shape)
            tensors[name] = array.astype(kind.newbyteorder("="))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no file of safetensors: {error}") from error
    return tensors, metadata
