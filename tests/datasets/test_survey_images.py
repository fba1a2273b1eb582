"""Stars and galaxies on a noisy sky: noise, units, point spread and truth as they are said to be."""

import numpy as np
import pytest
from scipy.stats import kstest

from skastro.datasets import make_survey_images

# nothing but the noise of an even sky
EVEN = {"gradient": 0.0, "flat_residual": 0.0, "subtracted": 0.0, "correlated": 0.0}
EMPTY = EVEN | {"density": 0.0}


@pytest.fixture(scope="module")
def survey():
    return make_survey_images(6, shape=(96, 128), random_state=0)


def test_shapes_and_units(survey):
    assert survey.images.shape == survey.source_mask.shape == (6, 96, 128)
    assert survey.images.dtype == survey.noiseless.dtype == np.float32
    assert survey.source_mask.dtype == bool and survey.psf.shape == (6, 65, 65)
    sigma = np.sqrt(survey.sky + survey.read_noise**2)
    np.testing.assert_allclose(survey.sigma, sigma / survey.gain, rtol=1e-12)
    expected = survey.noiseless > sigma[:, None, None]
    np.testing.assert_array_equal(survey.source_mask, expected)
    for name, low, high in (
        ("sky", 5, 3e4),
        ("gain", 0.3, 8),
        ("read_noise", 2, 20),
        ("seeing", 1.5, 8),
    ):
        assert ((survey[name] >= low) & (survey[name] <= high)).all()
    np.testing.assert_allclose(survey.psf.sum((1, 2)), 1, atol=1e-5)
    for table in survey.sources:
        assert table.colnames == ["x", "y", "flux", "kind"] and set(table["kind"]) <= {
            "star",
            "galaxy",
        }
        assert (np.diff(table["flux"]) <= 0).all()
        assert (
            (table["x"] >= -0.5).all() and (table["x"] < 127.5).all() and (table["y"] < 95.5).all()
        )


@pytest.mark.parametrize("sky", [6.0, 400.0, 2e4])
def test_noise_of_the_empty_sky(sky):
    """(sky + read_noise^2) / gain^2, and 1/12 for whole ADU."""
    empty = make_survey_images(
        2, shape=(256, 256), sky=sky, gain=1.7, read_noise=5.0, random_state=1, **EMPTY
    )
    # an image with two amplifiers has a step
    for image, bias in zip(empty.images[:, :, :128].astype(float), empty.bias, strict=True):
        expected = (sky + 25.0) / 1.7**2 + 1 / 12
        # 32,768 pixels: the error of a variance is 0.8 %
        assert image.var() == pytest.approx(expected, rel=0.03)
        assert image.mean() == pytest.approx(bias + sky / 1.7, abs=5 * np.sqrt(expected) / 181)
        assert (image == np.rint(image)).all()
        assert abs((image[1:] - image.mean()).ravel() @ (image[:-1] - image.mean()).ravel()) < (
            0.03 * image.size * image.var()
        )


def test_subtracted_and_correlated_noise():
    other = EMPTY | {"subtracted": 1.0, "correlated": 1.0}
    empty = make_survey_images(
        3, shape=(256, 256), sky=500.0, gain=2.0, read_noise=4.0, random_state=1, **other
    )
    assert empty.correlated.all() and empty.subtracted.all()
    np.testing.assert_allclose(empty.bias, -250.0)
    for image in empty.images.astype(float):
        assert image.var() == pytest.approx(516 / 4, rel=0.05)
        assert abs(image.mean()) < 0.3
        assert np.mean(image[:, 1:] * image[:, :-1]) > 0.2 * image.var()


def test_normal_noise():
    empty = make_survey_images(1, shape=(128, 128), sky=900.0, gain=0.3, random_state=5, **EMPTY)
    noise = (empty.images[0, :, :60] - empty.bias[0] - 3000) / empty.sigma[0]
    assert kstest(noise.ravel() - noise.mean(), "norm").pvalue > 0.01


@pytest.mark.parametrize("seeing", [1.5, 3.0, 8.0])
def test_width_of_the_point_spread_function(seeing):
    """The area above half of the maximum is that of a circle of this diameter."""
    from skastro.datasets.survey_psf import PointSpread

    for seed in range(6):
        psf = PointSpread(seeing, (200, 200), np.random.default_rng(seed))
        fine = np.arange(-10, 10, 0.02, dtype=np.float32)
        profile = psf.profile(fine, fine[:, None], *(float(p) for p in psf.at(100.0, 100.0)))
        area = (profile > profile.max() / 2).sum() * 0.02**2
        assert 2 * np.sqrt(area / np.pi) == pytest.approx(seeing, rel=0.01)
        assert profile.max() == pytest.approx(psf.peak(seeing), rel=1e-3)
        ring = psf.radius(10.0, seeing)
        assert (profile > profile.max() / 10).sum() * 0.02**2 == pytest.approx(
            np.pi * ring**2, rel=0.02
        )


def test_stars_are_where_and_as_bright_as_the_table_says():
    """The brightest star: where its light is, and how much; most of the light of all is on the image."""
    stars = make_survey_images(
        4, shape=(128, 128), density=3e-4, galaxy_fraction=0.0, seeing=3.0, random_state=3, **EVEN
    )
    y, x = np.mgrid[:128, :128].astype(float)
    for i, table in enumerate(stars.sources):
        total = stars.noiseless[i].sum(dtype=float)
        inner = (np.abs(table["x"] - 63.5) < 50) & (np.abs(table["y"] - 63.5) < 50)
        assert table["flux"][inner].sum() < 1.02 * total
        star = table[inner][0]
        r = np.hypot(x - star["x"], y - star["y"])
        light = stars.noiseless[i].astype(float)
        near = r < 4
        assert (
            light[near].max()
            == light[np.rint(star["y"]).astype(int), np.rint(star["x"]).astype(int)]
        )
        centre = (light * x)[near].sum() / light[near].sum()
        assert centre == pytest.approx(star["x"], abs=0.15)
        # what lies within four times the width is nearly all
        others = table[np.hypot(table["x"] - star["x"], table["y"] - star["y"]) < 14]["flux"].sum()
        assert 0.85 * star["flux"] < light[r < 12].sum() < 1.01 * others + 0.02 * total


def test_many_wide_stars_keep_their_light():
    """What a convolution adds is what single stamps add."""
    from skastro.datasets import survey_sources
    from skastro.datasets.survey_frames import check_ranges, draw_frame

    ranges = {"sky": 100.0, "gain": 1.0, "read_noise": 5.0, "seeing": 6.0, "density": 0.02}
    ranges |= {"galaxy_fraction": 0.0, "gradient": 0.0, "flat_residual": 0.0}
    frame = draw_frame((128, 128), check_ranges(ranges), 0, 0, np.random.default_rng(2))
    frame.psf._slopes, frame.psf._shears = np.zeros(3), np.zeros((2, 2))
    sources = survey_sources.draw_sources(frame, 24, np.random.default_rng(0))
    sources["flux"] = np.minimum(sources["flux"], 9 * frame.sigma / frame.psf.peak(6.0))
    together = survey_sources.source_light(frame, sources, 24, None)
    alone = sum(
        f * frame.psf.image(x, y, together.shape, (-24, -24)).astype(float)
        for x, y, f in zip(sources["x"], sources["y"], sources["flux"], strict=True)
    )
    inner = slice(40, -40), slice(40, -40)
    # far wings, cut where a star is below a tenth of the noise, add up to less than half of it
    np.testing.assert_allclose(together[inner], alone[inner], rtol=0.03, atol=0.5 * frame.sigma)
    assert alone[inner].mean() > 2 * frame.sigma


def test_galaxies_are_wider_than_stars():
    only = {"shape": (128, 128), "density": 1e-3, "seeing": 2.0, "random_state": 0}
    stars = make_survey_images(2, galaxy_fraction=0.0, **only)
    galaxies = make_survey_images(2, galaxy_fraction=1.0, **only)
    assert all((table["kind"] == "galaxy").all() for table in galaxies.sources)
    assert galaxies.source_mask.mean() > 1.2 * stars.source_mask.mean()
    for i in range(2):
        fluxes = galaxies.sources[i]["flux"].sum()
        assert 0.6 < galaxies.noiseless[i].sum(dtype=float) / fluxes < 1.6


def test_density_and_ranges():
    many = make_survey_images(30, shape=(32, 32), sky=(10.0, 1000.0), density=0.05, random_state=0)
    counts = [len(table) for table in many.sources]
    assert np.mean(counts) == pytest.approx(0.05 * 1024, rel=0.1)
    logs = (np.log(many.sky) - np.log(10)) / np.log(100)
    assert kstest(logs, "uniform").pvalue > 0.01
    fixed = make_survey_images(2, shape=(16, 16), seeing=2, random_state=0)
    np.testing.assert_array_equal(fixed.seeing, 2.0)


def test_same_seed_same_images(survey):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    again = make_survey_images(3, shape=(96, 128), random_state=np.random.RandomState(0))
    for name in ("images", "noiseless", "source_mask", "sky", "psf", "bias"):
        np.testing.assert_array_equal(again[name], survey[name][:3])
    other = make_survey_images(1, shape=(96, 128), random_state=1)
    assert not np.array_equal(other.images[0], survey.images[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


BAD = [
    ({"n_images": 0}, "n_images=0: expected an integer of at least 1"),
    ({"n_images": 1.5}, "n_images=1.5"),
    ({"n_images": True}, "n_images=True"),
    ({"shape": 64}, "shape=64: expected a pair"),
    ({"shape": (64, 15)}, r"shape=\(64, 15\): .* of at least 16"),
    ({"shape": (64.0, 64)}, "shape="),
    ({"shape": (64, 64, 3)}, "shape="),
    ({"sky": 0.0}, "sky=0.0: expected a number or a pair .*, 0 < low <= high"),
    ({"sky": (100.0, 10.0)}, r"sky=\(100.0, 10.0\): expected"),
    ({"sky": (1.0, np.nan)}, "sky="),
    ({"gain": (1.0, np.inf)}, "gain="),
    ({"gain": -1.0}, "gain=-1.0"),
    ({"read_noise": "5"}, "read_noise='5'"),
    ({"read_noise": None}, "read_noise=None"),
    ({"seeing": 0.5}, "seeing=0.5: .*, 1 <= low <= high <= 16"),
    ({"seeing": (1.5, 20.0)}, "seeing="),
    ({"density": (0.1, 0.2, 0.3)}, "density="),
    ({"density": 2.0}, "density=2.0"),
    ({"galaxy_fraction": 1.1}, "galaxy_fraction=1.1"),
    ({"gradient": -0.1}, "gradient=-0.1"),
    ({"flat_residual": True}, "flat_residual=True"),
    ({"subtracted": 1.5}, "subtracted=1.5: expected a number from 0 to 1"),
    ({"correlated": np.nan}, "correlated=nan"),
]


@pytest.mark.parametrize("arguments, message", BAD)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_survey_images(**({"n_images": 1, "shape": (16, 16)} | arguments))
    assert "\n" not in str(caught.value)
