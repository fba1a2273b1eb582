"""Line cubes, masks and fitted estimators: in and out of files."""

from skastro.io.bit_planes import BitPlanes, read_bit_planes
from skastro.io.cubes import LineCube, read_cube
from skastro.io.estimators import load, save
from skastro.io.writer import CubeWriter, write_cube

__all__ = [
    "BitPlanes",
    "CubeWriter",
    "LineCube",
    "load",
    "read_bit_planes",
    "read_cube",
    "save",
    "write_cube",
]
