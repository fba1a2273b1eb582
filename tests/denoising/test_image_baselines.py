"""Classical filters: against scipy and closed forms, and as transformers."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from scipy import ndimage, optimize
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skastro.denoising import (
    GaussianImageFilter,
    MedianImageFilter,
    NormalizedConvolution,
    PCAImageDenoiser,
    TotalVariationFilter,
    corrupt_images,
)
from skastro.denoising.image_baselines import fit_line, total_variation

FILTERS = [GaussianImageFilter, MedianImageFilter, TotalVariationFilter, NormalizedConvolution]
ALL = [*FILTERS, PCAImageDenoiser]


def blobs(n=40, size=20, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    place = rng.uniform(0.2 * size, 0.8 * size, (2, n, 1, 1))
    return np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 18).astype("f4")


def make(kind, **parameters):
    if kind is PCAImageDenoiser:
        parameters = {"n_components": 10} | parameters
    return kind(random_state=0, **parameters)


def test_gaussian_and_median_are_those_of_scipy():
    noisy = corrupt_images(blobs(3), random_state=0)
    for kind, strength, function in (
        (GaussianImageFilter, 1.3, lambda x: ndimage.gaussian_filter(x, 1.3, mode="nearest")),
        (MedianImageFilter, 3, lambda x: ndimage.median_filter(x, 3, mode="nearest")),
    ):
        model = make(kind, strength=strength, noise=None).fit(noisy)
        expected = [function(image) for image in noisy]
        np.testing.assert_allclose(model.transform(noisy), expected, atol=1e-6)


def test_total_variation_minimises_its_functional():
    x = np.random.default_rng(0).normal(size=(1, 5, 6))
    weight = 0.4

    def cost(flat, rounding):
        image = flat.reshape(5, 6)
        down, right = np.zeros((5, 6)), np.zeros((5, 6))
        down[:-1], right[:, :-1] = np.diff(image, axis=0), np.diff(image, axis=1)
        slope = np.sqrt(down**2 + right**2 + rounding**2)
        return 0.5 * ((image - x[0]) ** 2).sum() + weight * slope.sum()

    flat = x.ravel()
    for rounding in (1e-1, 1e-2, 1e-3):
        flat = optimize.minimize(cost, flat, (rounding,), options={"maxiter": 500}).x
    found = total_variation(x, weight, n_iter=500)
    assert cost(found.ravel(), 0.0) <= cost(flat, 0.0) * 1.001
    np.testing.assert_allclose(found[0], flat.reshape(5, 6), atol=0.02)


def test_normalised_convolution_by_brute_force():
    rng = np.random.default_rng(0)
    image = rng.uniform(0.2, 0.8, (1, 12, 12)).astype("f4")
    hit = rng.random(image.shape) < 0.4
    noisy = np.where(
        hit, np.where(rng.random(image.shape) < 0.5, np.float32(0), np.float32(1)), image
    )
    model = make(NormalizedConvolution, strength=1.0, noise=None, normalization=None).fit(noisy)
    found = model.transform(noisy)
    np.testing.assert_array_equal(found[~hit], noisy[~hit])
    y, x = np.mgrid[:12, :12]
    for i, j in np.argwhere(hit[0])[::7]:
        weight = np.exp(-0.5 * ((y - i) ** 2 + (x - j) ** 2)) * ~hit[0]
        weight[np.maximum(abs(y - i), abs(x - j)) > 4] = 0.0
        assert found[0, i, j] == pytest.approx((weight * image[0]).sum() / weight.sum(), rel=1e-4)


def test_line_of_least_squares():
    rng = np.random.default_rng(0)
    a = rng.normal(size=100)
    b = 3.0 * a - 1.0 + rng.normal(size=100)
    error, gain, offset = fit_line(np.append(a, np.nan), np.append(b, 2.0))
    np.testing.assert_allclose((gain, offset), np.polyfit(a, b, 1))
    assert error == pytest.approx(np.mean((gain * a + offset - b) ** 2))
    assert fit_line(np.ones(4), np.arange(4.0)) == (1.25, 0.0, 1.5)


@pytest.mark.parametrize(
    "kind, noise, most",
    [
        (GaussianImageFilter, "gaussian", 0.2),
        (MedianImageFilter, "salt_and_pepper", 0.1),
        (TotalVariationFilter, "gaussian", 0.4),
        (NormalizedConvolution, "mask", 0.02),
        (NormalizedConvolution, "salt_and_pepper", 0.02),
        (PCAImageDenoiser, "gaussian", 0.6),
    ],
)
def test_filters_take_noise_out(kind, noise, most):
    model = make(kind, noise=noise).fit(blobs())
    clean = blobs(seed=5)
    noisy = corrupt_images(clean, noise, clip=(0, 1), random_state=5)
    assert -model.score(noisy, clean) < most * np.mean((noisy - clean) ** 2)
    assert -model.score(clean) == pytest.approx(-model.score(noisy, clean), rel=0.2)


@pytest.mark.parametrize("kind", FILTERS)
def test_the_best_strength_is_chosen(kind):
    noise = "mask" if kind is NormalizedConvolution else "gaussian"
    auto = make(kind, noise=noise).fit(blobs())
    noisy = auto._corrupt(blobs()[:, None])[:, 0]
    errors = {
        strength: -make(kind, strength=strength).fit(noisy, blobs()).score(noisy, blobs())
        for strength in kind._candidates
    }
    assert errors[auto.strength_] <= min(errors.values()) * 1.02


def test_line_undoes_a_bias():
    clean = blobs()
    model = make(GaussianImageFilter).fit(0.5 * clean + 3.0, clean)
    assert -model.score(0.5 * clean + 3.0, clean) < 2e-4


@pytest.mark.parametrize("kind", ALL)
def test_as_transformers(kind):
    clean = blobs()
    model = make(kind, noise="mask").fit(clean)
    found = model.transform(clean[:5])
    assert found.shape == (5, 20, 20) and found.dtype == np.float32
    assert model.transform(clean[:5].astype("f8")).dtype == np.float64
    # products of matrices depend in their last digit on where in memory they lie
    rtol, atol = (1e-5, 2e-6) if kind is PCAImageDenoiser else (0, 0)
    for other in (pickle.loads(pickle.dumps(model)), clone(model).fit(clean)):
        np.testing.assert_allclose(other.transform(clean[:5]), found, rtol=rtol, atol=atol)
    np.testing.assert_allclose(model.transform(clean[2:3]), found[2:3], atol=1e-6)
    np.testing.assert_allclose(
        model.transform(1000.0 * clean[:5]), 1000.0 * found, rtol=1e-3, atol=0.1
    )
    assert model.__sklearn_tags__().input_tags.three_d_array
    channels = make(kind).fit(np.stack([clean, clean], axis=1))
    assert channels.transform(np.stack([clean, clean], axis=1)).shape == (40, 2, 20, 20)
    typed = make(kind, noise="mask").fit(clean * u.Jy).transform(clean[:5] * u.Jy)
    np.testing.assert_allclose(typed.to_value("Jy"), found, atol=1e-6)


@pytest.mark.parametrize("kind", ALL)
def test_blank_pixels_are_carried_through(kind):
    clean = blobs()
    clean[:, 3, 4:7] = np.nan
    clean[0] = np.nan
    model = make(kind).fit(clean)
    found = model.transform(clean)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(clean))


def test_grid_search_over_strengths():
    grid = {"strength": [0.3, 1.5]}
    search = GridSearchCV(make(GaussianImageFilter), grid, cv=2).fit(blobs())
    assert search.best_params_ == {"strength": 1.5}


@pytest.mark.parametrize("kind", FILTERS)
def test_nothing_to_choose_a_strength_on(kind):
    with pytest.raises(ValueError, match="strength='auto' with noisy images alone; expected"):
        make(kind, noise=None).fit(blobs())
    with pytest.raises(ValueError, match=f"'strength' parameter of {kind.__name__} must be"):
        make(kind, strength=-1.0).fit(blobs())
    with pytest.raises(ValueError, match="noise='x'; expected one of"):
        make(kind, noise="x").fit(blobs())
