"""What healpy says of pixels and of harmonic sums, for the tests; in an environment with healpy 1.20.1.

    pip install healpy==1.20.1
    python benchmarks/sphere_reference.py

Writes tests/data/healpy/reference.npz.
"""

import argparse
from pathlib import Path

import numpy as np

NSIDE = 8
OUTPUT = Path(__file__).parents[1] / "tests" / "data" / "healpy" / "reference.npz"


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    import healpy

    rng = np.random.default_rng(0)
    pixels = np.arange(12 * NSIDE**2)
    arrays = {
        "vectors": np.stack(healpy.pix2vec(NSIDE, pixels, nest=True), 1),
        "nested_of_ring": healpy.ring2nest(NSIDE, pixels),
    }
    for largest in (16, 24):
        degree, m = np.tril_indices(largest + 1)
        shape = largest + 1, largest + 1
        harmonics = np.zeros(shape, complex)
        parts = (rng.standard_normal(len(degree)) for _ in range(2))
        harmonics[degree, m] = next(parts) + 1j * next(parts)
        harmonics[:, 0] = harmonics[:, 0].real
        packed = np.zeros(healpy.Alm.getsize(largest), complex)
        packed[healpy.Alm.getidx(largest, degree, m)] = harmonics[degree, m]
        arrays[f"harmonics{largest}"] = harmonics
        arrays[f"map{largest}"] = healpy.alm2map(packed, NSIDE, lmax=largest)
    np.savez_compressed(OUTPUT, **arrays)
    print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
