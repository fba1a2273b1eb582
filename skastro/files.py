"""Writing files so that a failure leaves the old one."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

__all__ = ["replacing", "reserve", "write_at"]


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`, and move it there when the block ends well.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    temporary : Path
        Of the same suffix. Removed, and `path` left as it was, when the block raises.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skastro.files import replacing
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('all of it', 1)
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp makes files that only their owner can read
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def reserve(file, size):
    """Fill a file with zeros: a disk without room says so now, not hours later at the last block.

    Parameters
    ----------
    file : file
        Open for writing.
    size : int
        In bytes.

    Raises
    ------
    OSError
        The disk is full.

    Examples
    --------
    >>> import tempfile
    >>> from skastro.files import reserve
    >>> with tempfile.TemporaryFile() as file:
    ...     reserve(file, 2880)
    ...     len(file.read())
    2880
    """
    file.truncate(size)
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # others say that this file system cannot reserve
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise


def write_at(file, content, offset):
    """Write all of some bytes at a place of a file.

    Not through a memory map: where the disk is full, that kills the process.

    Parameters
    ----------
    file : file
        Open for writing, without a buffer: it may take a part of the bytes at a time.
    content : bytes or C-contiguous ndarray
    offset : int
        In bytes.

    Raises
    ------
    OSError
        The disk is full.

    Examples
    --------
    >>> import tempfile
    >>> from skastro.files import write_at
    >>> with tempfile.TemporaryFile(buffering=0) as file:
    ...     write_at(file, b"sky", 2)
    ...     _ = file.seek(0)
    ...     file.read()
    b'\\x00\\x00sky'
    """
    file.seek(offset)
    content = memoryview(content)
    # what is empty cannot be cast
    content = content.cast("B") if content.nbytes else b""
    while content:
        content = content[file.write(content) :]
