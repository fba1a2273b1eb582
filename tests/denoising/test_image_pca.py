"""The linear code against a full decomposition and the normal equations."""

import numpy as np
import pytest

from skastro.denoising import PCAImageDenoiser, corrupt_images


def blobs(n=40, size=20, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    place = rng.uniform(0.2 * size, 0.8 * size, (2, n, 1, 1))
    return np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 18).astype("f4")


def make(**parameters):
    return PCAImageDenoiser(**{"n_components": 10, "random_state": 0} | parameters)


def test_components_are_those_of_a_full_decomposition():
    clean = blobs(60) + 0.3 * blobs(60, seed=3)
    model = make(n_components=5, noise=None, normalization=None).fit(clean)
    flat = clean.reshape(60, -1).astype(float)
    mean = flat.mean(axis=0)
    _, _, basis = np.linalg.svd(flat - mean, full_matrices=False)
    expected = (flat - mean) @ basis[:5].T @ basis[:5] + mean
    np.testing.assert_allclose(model.transform(clean).reshape(60, -1), expected, atol=2e-3)


def test_linear_code_is_the_best_linear_guess():
    clean = blobs(200)
    noisy = corrupt_images(clean, "mask", random_state=1)
    model = make(n_components=3, normalization=None).fit(noisy, clean)
    z = (noisy.reshape(200, -1) - noisy.reshape(200, -1).mean(axis=0)) @ model.components_.T
    target = (clean.reshape(200, -1) - clean.reshape(200, -1).mean(axis=0)) @ model.components_.T
    residual = target - z @ model.code_
    # nothing is left that is linear in what was seen
    assert np.abs(z.T @ residual).max() < 1e-3 * np.abs(z.T @ target).max()


def test_bad_input_of_the_linear_code():
    with pytest.raises(
        ValueError, match="n_components=50 for 40 images of 400 pixels; expected at most 40"
    ):
        make(n_components=50).fit(blobs())
    model = make().fit(blobs())
    with pytest.raises(ValueError, match=r"X has images of \(8, 9\) pixels; expected \(20, 20\)"):
        model.transform(np.ones((2, 8, 9)))
