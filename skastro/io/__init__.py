"""Line cubes and fitted estimators: in and out of files."""

from skastro.io.cubes import LineCube, read_cube
from skastro.io.estimators import load, save
from skastro.io.writer import CubeWriter, write_cube

__all__ = ["CubeWriter", "LineCube", "load", "read_cube", "save", "write_cube"]
