"""Grids, cubes and images to learn from: bundled, simulated, or read from a local checkout."""

from skastro.datasets.contaminant_classes import CONTAMINANTS, unpack_bits
from skastro.datasets.contaminants import make_contaminants
from skastro.datasets.fields import make_fields
from skastro.datasets.galactic_center import galactic_center_templates, make_galactic_center
from skastro.datasets.galaxies import make_galaxies
from skastro.datasets.hi_phases import make_hi_phases
from skastro.datasets.line_cube import make_line_cube
from skastro.datasets.mixtures import make_mixture
from skastro.datasets.nebular import load_nebular_grid
from skastro.datasets.ngc4047 import load_ngc4047
from skastro.datasets.pdr_like import make_pdr_like
from skastro.datasets.pdrtpy_maps import load_pdrtpy_maps
from skastro.datasets.sdss_photometry import load_sdss_photometry
from skastro.datasets.sky_maps import load_cib_map, load_dust_map
from skastro.datasets.sphere_fields import make_sphere_fields
from skastro.datasets.survey_images import make_survey_images

__all__ = [
    "CONTAMINANTS",
    "galactic_center_templates",
    "load_cib_map",
    "load_dust_map",
    "load_nebular_grid",
    "load_ngc4047",
    "load_pdrtpy_maps",
    "load_sdss_photometry",
    "make_contaminants",
    "make_fields",
    "make_galactic_center",
    "make_galaxies",
    "make_hi_phases",
    "make_line_cube",
    "make_mixture",
    "make_pdr_like",
    "make_sphere_fields",
    "make_survey_images",
    "unpack_bits",
]
