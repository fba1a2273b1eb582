"""What healpy says of pixels and of harmonic sums, for tests. In an environment of its own:

pip install healpy==1.20.1
python tests/data/healpy/make_reference.py
"""

from pathlib import Path

import healpy
import numpy as np

NSIDE = 8
rng = np.random.default_rng(0)
pixels = np.arange(12 * NSIDE**2)
arrays = {
    "vectors": np.stack(healpy.pix2vec(NSIDE, pixels, nest=True), 1),
    "nested_of_ring": healpy.ring2nest(NSIDE, pixels),
}
for largest in (16, 24):
    degree, m = np.tril_indices(largest + 1)
    harmonics = np.zeros((largest + 1, largest + 1), complex)
    harmonics[degree, m] = rng.standard_normal(len(degree)) + 1j * rng.standard_normal(len(degree))
    harmonics[:, 0] = harmonics[:, 0].real
    packed = np.zeros(healpy.Alm.getsize(largest), complex)
    packed[healpy.Alm.getidx(largest, degree, m)] = harmonics[degree, m]
    arrays[f"harmonics{largest}"] = harmonics
    arrays[f"map{largest}"] = healpy.alm2map(packed, NSIDE, lmax=largest)
np.savez_compressed(Path(__file__).parent / "reference.npz", **arrays)
