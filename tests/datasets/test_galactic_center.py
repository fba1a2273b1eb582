"""The toy gamma-ray sky against published numbers, formulas by hand, and its own promises."""

import math
import time

import numpy as np
import pytest
from scipy.signal import convolve2d

from skastro.datasets import galactic_center_templates, make_galactic_center
from skastro.datasets.galactic_center import _geometry, _psf_matrix, _templates

N = 768
CENTRES = (np.arange(64) - 31.5) * 0.46875


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "rotated"])
def sky(request):
    return make_galactic_center(N, rotated=request.param, return_maps=True, random_state=1)


def templates(n_pixels=64):
    centres, pixel = _geometry(n_pixels)
    return _templates(centres, centres[:, None], pixel)


def by_hand(x, y):
    """The four components at one position, with scalar arithmetic."""
    north = 10.5 * (math.cosh((x + 1) / 10.5) - 1) + 1
    south = -8.7 * (math.cosh((x - 1.7) / 8.7) - 1) - 1
    depth = (y - north) / 0.6 if y > 0 else (south - y) / 0.6
    r = math.hypot(x, y)
    return (
        25 * math.exp(-abs(y) / 5),
        50 * math.exp(-((x / 20) ** 2) - (y / 5) ** 2),
        3 / (1 + math.exp(-depth)),
        100 * r**-0.5 * math.exp(-r / 5) / (math.gamma(0.5) * math.sqrt(5)),
    )


def test_templates_have_the_published_means_and_maxima():
    found = templates()
    means = [template.mean() for template in found]
    np.testing.assert_allclose(means, [7.9155, 12.412, 1.9019, 1.5946], atol=1e-3)
    maxima = [found[i].max() for i in (0, 1, 3)]
    np.testing.assert_allclose(maxima, [23.855, 49.883, 41.014], atol=1e-3)


@pytest.mark.parametrize("row, column", [(0, 0), (10, 50), (31, 32), (40, 3), (63, 20)])
def test_templates_by_hand(row, column):
    x, y = ((k - 31.5) * 0.46875 for k in (column, row))
    found = [np.broadcast_to(t, (64, 64))[row, column] for t in templates()]
    np.testing.assert_allclose(found, by_hand(x, y), rtol=1e-12)


def test_published_numbers(sky):
    """4,096 images give these figures; tolerances are four standard errors of N images."""
    widen = 4 * np.sqrt(4096 / N)
    for name, mean, error in (
        ("flux_ps_gc", 0.681, 0.004),
        ("flux_ps_disk", 3.406, 0.019),
        ("mu", 16.09, 0.07),
        ("blurred", 32.8, 0.15),
        ("images", 32.8, 0.15),
    ):
        assert abs(sky[name].mean() - mean) < widen * error, name


def test_published_crowding():
    sky = make_galactic_center(N, return_maps=True, random_state=2)
    bulge, disk = sky.flux_ps_gc > 0, sky.flux_ps_disk > 0
    both = bulge | disk
    assert abs(bulge.mean() - 0.098) < 0.004
    assert abs(disk.mean() - 0.265) < 0.008
    assert abs(both.mean() - 0.310) < 0.008
    assert abs(both.mean(axis=(1, 2)).std() - 0.045) < 0.007
    plane = np.abs(CENTRES) < 2.8
    assert abs(both[:, plane].mean() - 0.83) < 0.02
    assert abs(both[:, ~plane].mean() - 0.19) < 0.015


def test_sources_lie_where_they_should(sky):
    """Mean distance to the plane and along it, against sources drawn one by one."""
    rng = np.random.default_rng(0)
    drawn = {"flux_ps_gc": [], "flux_ps_disk": []}
    for name, places in drawn.items():
        while len(places) < 10_000:
            if name == "flux_ps_gc":
                r, phi = rng.gamma(1.5, 5.0), rng.uniform(0, 2 * math.pi)
                x, y = r * math.cos(phi), r * math.sin(phi)
            else:
                x = rng.exponential(34.516) * math.cos(rng.uniform(0, 2 * math.pi))
                y = rng.exponential(2.071) * rng.choice([-1, 1])
            turn = rng.uniform(0, 2 * math.pi) if sky.angles.any() else 0.0
            right = math.cos(turn) * x - math.sin(turn) * y
            up = math.sin(turn) * x + math.cos(turn) * y
            if max(abs(right), abs(up)) < 15:
                places.append((abs(x), abs(y)))
    cos, sin = (f(sky.angles)[:, None, None] for f in (np.cos, np.sin))
    along = np.abs(cos * CENTRES + sin * CENTRES[:, None])
    away = np.abs(cos * CENTRES[:, None] - sin * CENTRES)
    for name, places in drawn.items():
        weights = sky[name].astype(float)
        for distance, wanted in zip((along, away), np.transpose(places), strict=True):
            mean = (weights * distance).sum() / weights.sum()
            assert abs(mean - wanted.mean()) < 4 * wanted.std() / 100, name


def test_brightest_pixel_of_an_image():
    images = make_galactic_center(N, random_state=3).images
    low, middle, high = np.percentile(images.max(axis=(1, 2)), [1, 50, 99])
    assert 170 < low < 215 and 325 < middle < 370 and 600 < high < 1000


def test_numbers_in_an_image_and_fluxes(sky):
    """Every source is in the field: the mean of the summed fluxes is the law's, 5.58."""
    n_bulge, n_disk = sky.params[:, 4], sky.params[:, 5]
    assert n_bulge.min() >= 200 and n_bulge.max() <= 799
    assert n_disk.min() >= 1000 and n_disk.max() <= 3999
    assert n_bulge.min() < 215 and n_bulge.max() > 785  # the whole range
    np.testing.assert_array_equal(sky.params[:, 4:], np.round(sky.params[:, 4:]))
    assert 0 < sky.params[:, :4].min() < 0.01 and 0.99 < sky.params[:, :4].max() < 1
    for total, count in ((sky.flux_ps_gc, n_bulge), (sky.flux_ps_disk, n_disk)):
        mean = total.sum(dtype=float) / count.sum()
        assert abs(mean / math.exp(1.0 + 0.5 * 1.2**2) - 1) < 0.015


def test_the_maps_add_up(sky):
    """Each component, at the coordinates of its image, by hand in one pixel."""
    for i in (0, 7, 100):
        for row, column in ((5, 60), (33, 30)):
            x0, y0 = ((k - 31.5) * 0.46875 for k in (column, row))
            cos, sin = math.cos(sky.angles[i]), math.sin(sky.angles[i])
            ic, gas, bubbles, dm = by_hand(cos * x0 + sin * y0, cos * y0 - sin * x0)
            pi0 = sky.template_pi0[i, row, column]
            assert 0.4 < pi0 / gas < 2.5  # exp(G / 8), G of deviation 1.06
            a = sky.params[i]
            wanted = a[0] * ic + a[1] * pi0 + a[2] * bubbles + a[3] * dm
            wanted += sky.flux_ps_gc[i, row, column] + sky.flux_ps_disk[i, row, column]
            assert abs(sky.mu[i, row, column] / wanted - 1) < 2e-5


def test_scatter_of_the_gas():
    sky = make_galactic_center(300, return_maps=True, random_state=4)
    gas = np.broadcast_to(templates()[1], (64, 64))
    field = 8 * np.log(sky.template_pi0 / gas)[:, 4:-4, 4:-4]
    assert abs(field.std() - 1.059) < 0.01
    neighbours = (field[:, :, 1:] * field[:, :, :-1]).mean() / field.var()
    assert abs(neighbours - 0.326) < 0.01
    assert abs((field[:, 3:] * field[:, :-3]).mean() / field.var()) < 0.01


@pytest.mark.parametrize("normalized", [False, True])
def test_point_spread_function(normalized):
    """A convolution with the 5 x 5 kernel, zero outside the image."""
    sky = make_galactic_center(2, psf_normalized=normalized, return_maps=True, random_state=5)
    weights = np.exp(-0.5 * (np.arange(-2, 3) * 0.46875 / (0.8 / 3)) ** 2)
    np.testing.assert_allclose(weights[2:], [1, 0.21332, 0.00207], atol=1e-5)
    kernel = np.outer(weights, weights)
    assert abs(kernel.sum() - 2.04715) < 1e-5
    if normalized:
        kernel /= kernel.sum()
    wanted = [convolve2d(mu.astype(float), kernel, mode="same") for mu in sky.mu]
    np.testing.assert_allclose(sky.blurred, wanted, rtol=2e-5)


def test_counts_are_poisson(sky):
    assert np.array_equal(sky.images, np.round(sky.images)) and sky.images.min() >= 0
    noise = (sky.images - sky.blurred) / np.sqrt(sky.blurred)
    assert abs(noise.mean()) < 0.005 and abs(noise.var() - 1) < 0.01
    # the third cumulant of Poisson counts is their mean
    skewness = ((sky.images - sky.blurred) ** 3 / sky.blurred).mean()
    assert abs(skewness - 1) < 0.2


def test_rotation_covers_the_circle():
    """And nothing is empty in the corners."""
    sky = make_galactic_center(500, rotated=True, random_state=6)
    counts = np.histogram(sky.angles, 4, (0, 2 * np.pi))[0]
    assert counts.sum() == 500 and counts.min() > 90
    assert sky.blurred[:, [0, 0, -1, -1], [0, -1, 0, -1]].min() > 0
    assert not make_galactic_center(3).angles.any()


def test_same_seed_same_images():
    first, again = (make_galactic_center(5, rotated=True, random_state=7) for _ in range(2))
    for name in ("images", "blurred", "params", "angles"):
        np.testing.assert_array_equal(first[name], again[name])
    other = make_galactic_center(5, rotated=True, random_state=8)
    assert not np.array_equal(first.images, other.images)
    assert not np.array_equal(first.images[0], first.images[1])


def test_images_of_several_chunks(monkeypatch):
    """Rows beyond the first chunk are filled with their own parameters."""
    from skastro.datasets import galactic_center

    monkeypatch.setattr(galactic_center, "CHUNK", 4 * 64**2)
    sky = make_galactic_center(10, return_maps=True, random_state=9)
    assert len(np.unique(sky.params[:, 0])) == 10
    total = sky.flux_ps_disk.sum(axis=(1, 2))
    assert np.all(np.abs(total / sky.params[:, 5] - 5.58) < 1.2)
    assert np.all(np.abs(sky.images.mean(axis=(1, 2)) / sky.blurred.mean(axis=(1, 2)) - 1) < 0.02)


@pytest.mark.parametrize("n_pixels", [33, 128])
def test_another_size_is_the_same_sky(n_pixels):
    sky = make_galactic_center(200, n_pixels=n_pixels, return_maps=True, random_state=10)
    assert sky.images.shape == (200, n_pixels, n_pixels) and np.isfinite(sky.mu).all()
    for template, published in zip(templates(n_pixels), templates(), strict=True):
        total = np.broadcast_to(template, (n_pixels, n_pixels)).sum()
        assert abs(total / np.broadcast_to(published, (64, 64)).sum() - 1) < 0.04
    ratio = sky.blurred.sum(dtype=float) / sky.mu.sum(dtype=float)
    assert abs(ratio / 2.04 - 1) < 0.02


def test_maps_only_on_request():
    bunch = make_galactic_center(2, n_pixels=16, random_state=0)
    assert set(bunch) == {"images", "blurred", "params", "param_names", "angles", "DESCR"}
    assert bunch.images.dtype == bunch.blurred.dtype == np.float32
    assert len(bunch.param_names) == bunch.params.shape[1] == 6


def test_speed():
    """Hundreds of images a second: an implementation that loops over them makes 36."""
    start = time.process_time()
    make_galactic_center(512, rotated=True, random_state=0)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "8", None])
@pytest.mark.parametrize("name", ["n_images", "n_pixels"])
def test_bad_sizes(name, bad):
    with pytest.raises(ValueError, match=f"{name}=.*expected an integer of at least") as caught:
        make_galactic_center(**{"n_images": 1, name: bad})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("normalized", [False, True])
def test_templates_add_up_to_the_mean_image(normalized):
    found = galactic_center_templates(psf_normalized=normalized)
    assert found.shape == (5, 64, 64)
    sky = make_galactic_center(N, psf_normalized=normalized, return_maps=True, random_state=3)
    centres, pixel = _geometry(64)
    psf = _psf_matrix(centres, pixel, normalized)
    # the disk by itself, in rows and in columns
    disk = (psf @ sky.flux_ps_disk.mean(0) @ psf) / (1e-3 * sky.params[:, 5].mean())
    for axis in (0, 1):
        expected = found[4].sum(axis)
        np.testing.assert_allclose(disk.sum(axis), expected, rtol=0.1, atol=0.02 * expected.max())
    bulge = (psf @ sky.flux_ps_gc.mean(0) @ psf).sum(0)
    shape = found[3].sum(0)
    np.testing.assert_allclose(bulge / bulge.sum(), shape / shape.sum(), rtol=0.15)
    factors = np.r_[sky.params[:, :4].mean(0), 1e-3 * sky.params[:, 5].mean()]
    scatter = np.exp(0.5 * (1.059 / 8) ** 2)
    smooth = np.einsum("k,khw->hw", factors * [1, scatter, 1, 1, 1], found)
    total = smooth + psf @ sky.flux_ps_gc.mean(0) @ psf
    assert total.mean() == pytest.approx(sky.blurred.mean(), rel=0.015)


def test_templates_want_pixels():
    with pytest.raises(ValueError, match="n_pixels=3: expected an integer of at least 4"):
        galactic_center_templates(3)
    assert np.isfinite(galactic_center_templates(5)).all()
