"""Fitted estimators to files and back, without pickle."""

import importlib
import inspect

from skastro.files import replacing

__all__ = ["load", "save"]


def _skops():
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("Saving needs skops: pip install 'skastro[save]'.") from error
    return skops.io


def _is_own_class(name):
    """Whether `name` is a class that skastro defines: a function could be called by the file."""
    module, _, attribute = name.rpartition(".")
    if not module.startswith("skastro."):
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return inspect.isclass(found) and found.__module__ == module


def _can_be_found(name):
    """Whether `name` leads to something when the file is read, as nothing within a function does."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError):
        return False


def save(estimator, path):
    """Write a fitted estimator, or a whole pipeline, to a file.

    The file holds arrays and parameters, no code: it can be shared, and loaded from strangers.

    Parameters
    ----------
    estimator : estimator
        Of skastro or scikit-learn.
    path : str or Path
        By custom with the suffix ``.skops``. An existing file is replaced only when the new one is
        complete.

    Raises
    ------
    ImportError
        skops is not installed.
    ValueError
        The estimator holds something without an importable name, such as a lambda, or a function
        defined within another, as `network`.
    OSError
        The folder does not exist or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from skastro import io
    >>> from skastro.emulation import ModelEmulator
    >>> X = np.linspace(0, 1, 30)[:, None]
    >>> emulator = ModelEmulator(max_epochs=2, random_state=0).fit(X, 1 + X**2)
    >>> path = Path(tempfile.mkdtemp()) / "emulator.skops"
    >>> io.save(emulator, path)
    >>> bool(np.array_equal(io.load(path).predict(X), emulator.predict(X)))
    True
    """
    skops_io = _skops()
    with replacing(path) as temporary:
        skops_io.dump(estimator, temporary)
        lost = [
            name for name in skops_io.get_untrusted_types(file=temporary) if not _can_be_found(name)
        ]
        if lost:
            raise ValueError(
                f"estimator holds {lost[0]}, which no file can bring back; expected classes and functions "
                "that can be imported by their name."
            )


def load(path, trusted=()):
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or Path
    trusted : sequence of str, default=()
        Full names of types of yours that the file may contain, such as a network of your own. Classes of
        skastro, scikit-learn and numpy are known.

    Returns
    -------
    estimator : estimator

    Raises
    ------
    ValueError
        The file contains a type that is not trusted, or is no such file.
    OSError
        The file cannot be read.

    Examples
    --------
    See `save`.
    """
    skops_io = _skops()
    try:
        unknown = skops_io.get_untrusted_types(file=path)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a file written by skastro.io.save: {error}") from error
    strangers = [name for name in unknown if not _is_own_class(name) and name not in trusted]
    if strangers:
        raise ValueError(
            f"{path} contains {strangers[:3]}; expected types of skastro, or names listed in `trusted`."
        )
    return skops_io.load(path, trusted=unknown)
