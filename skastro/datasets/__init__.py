"""Grids of models to learn from: bundled, simulated, or read from a local checkout."""

from skastro.datasets.nebular import load_nebular_grid
from skastro.datasets.pdr_like import make_pdr_like
from skastro.datasets.pdrtpy_maps import load_pdrtpy_maps

__all__ = ["load_nebular_grid", "load_pdrtpy_maps", "make_pdr_like"]
