"""Writing files so that a failure leaves the old one."""

import contextlib
import os
import tempfile
from pathlib import Path

__all__ = ["replacing"]


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
