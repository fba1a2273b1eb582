"""Machine learning for astronomy under the scikit-learn interface."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("skastro")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
