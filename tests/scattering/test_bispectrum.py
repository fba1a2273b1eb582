"""The bispectrum by rings against the sum over all triangles."""

import numpy as np
import pytest

from skastro.fourier_shells import FourierShells
from skastro.scattering.bispectrum import Bispectrum

rng = np.random.default_rng(0)


def brute_force(x, n_bins, k_max):
    """Sum and number of triangles of signed wave numbers, whole turns not counted as zero."""
    h, w = x.shape
    X = np.fft.fft2(x)
    rows, columns = (np.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in (h, w))
    edges = FourierShells((h, w), n_bins, k_max=k_max).edges
    modes = [(a, b) for a in rows for b in columns if 0 < np.hypot(a / h, b / w) <= k_max + 1e-12]

    def ring(a, b):
        k = np.hypot(a / h, b / w)
        inside = (k >= edges[:, 0]) & (k < edges[:, 1])
        # the outermost ring has its upper bound
        return int(np.argmax(inside)) if inside.any() else len(edges) - 1

    label = {mode: ring(*mode) for mode in modes}
    n = len(edges)
    total, count = np.zeros((n, n, n)), np.zeros((n, n, n))
    for a in modes:
        for b in modes:
            c = (-a[0] - b[0], -a[1] - b[1])
            if c in label:
                place = label[a], label[b], label[c]
                total[place] += (X[a] * X[b] * X[c]).real
                count[place] += 1
    return total, count


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (7, 10)])
@pytest.mark.parametrize("k_max", [0.5, 0.3])
def test_sum_over_all_triangles(shape, k_max):
    x = rng.gamma(1.0, size=(3, *shape))
    bispectrum = Bispectrum(shape, 3, k_max=k_max)
    found, power = bispectrum(x)
    for i, one in enumerate(x):
        total, count = brute_force(one, 3, k_max)
        places = tuple(bispectrum.triples.T)
        np.testing.assert_array_equal(bispectrum.n_triangles, count[places])
        # all ordered triples with a triangle are there
        kept = np.argwhere(count > 0)
        kept = kept[(np.diff(kept, axis=1) >= 0).all(axis=1)]
        np.testing.assert_array_equal(kept, bispectrum.triples)
        expected = total[places] / count[places] / one.size
        np.testing.assert_allclose(found[i], expected, rtol=1e-10, atol=1e-12)
        # the power of the same modes
        k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))
        edges = FourierShells(shape, 3, k_max=k_max).edges
        for ring, (low, high) in enumerate(edges):
            # the upper bound belongs to the next ring, but for the last
            inside = (k >= low) & (k < high) & (k > 0)
            for axis, n in enumerate(shape):
                if n % 2 == 0:
                    inside[(slice(None),) * axis + (n // 2,)] = False
            expected = np.mean(np.abs(np.fft.fft2(one)[inside]) ** 2) / one.size
            np.testing.assert_allclose(power[i, ring], expected, rtol=1e-10)


def test_white_noise_of_any_skewness():
    """Independent pixels of third cumulant c: B is c for all triangles."""
    x = rng.gamma(2.0, size=(400, 16, 16))
    found, power = Bispectrum((16, 16), 3)(x)
    assert (np.abs(found.mean(axis=0) - 4.0) < 4 * found.std(axis=0) / 20).all()
    np.testing.assert_allclose(found.mean(), 4.0, rtol=0.05)
    np.testing.assert_allclose(power.mean(axis=0), 2.0, rtol=0.03)
    gaussian, _ = Bispectrum((16, 16), 3)(rng.normal(size=(400, 16, 16)))
    assert np.abs(gaussian.mean(axis=0)).max() < 4 * gaussian.std(axis=0).max() / 20


def test_no_triangle():
    with pytest.raises(ValueError, match="n_bins=1 for maps of 2 x 2 pixels leaves no triangle"):
        Bispectrum((2, 2), 1)
