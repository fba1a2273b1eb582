"""Simulated galaxies: spectra by brute force, light by closed forms and astropy, noise, and redshifts."""

import time

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

import skastro.datasets.galaxies
from skastro.datasets import load_sdss_photometry, make_galaxies
from skastro.datasets.galaxy_templates import PIVOT, spectra, throughput

LAW = [4.239, 3.303, 2.285, 1.698, 1.263]  # Schlafly & Finkbeiner (2011), table 6, R_V = 3.1


@pytest.fixture(scope="module")
def sky():
    return make_galaxies(96, return_truth=True, random_state=3)


@pytest.fixture(scope="module")
def catalogue():
    """Many galaxies, hardly an image."""
    return make_galaxies(4000, n_pixels=8, neighbours=False, random_state=0)


def scatter(error):
    return 1.4826 * np.median(np.abs(error - np.median(error)))


def test_structure(sky):
    assert sky.images.shape == sky.noiseless.shape == sky.galaxy.shape == (96, 5, 64, 64)
    assert sky.images.dtype == sky.noiseless.dtype == np.float32
    for name in ("magnitudes", "seeing", "sky_sigma"):
        assert sky[name].shape == (96, 5) and np.isfinite(sky[name]).all()
    for name in ("redshift", "ebv", "galaxy_type", "radius", "n_neighbours"):
        assert sky[name].shape == (96,)
    assert np.isfinite(sky.images).all()
    assert sky.bands == list("ugriz") and "SDSS" in sky.DESCR
    np.testing.assert_allclose(sky.template_weights.sum(1), 1, rtol=1e-12)
    assert (sky.template_weights >= 0).all()


def brute_force(weights, redshift, band):
    """AB magnitude of a spectrum that is 1 at 5500 A at rest, in float64, up to a constant."""
    wavelength = np.linspace(2500.0, 12000.0, 38001)
    flux = weights @ spectra(wavelength / (1 + redshift))
    seen = throughput(wavelength, band)
    photons = np.trapezoid(flux * seen * wavelength, wavelength)
    of_flat = np.trapezoid(seen / wavelength, wavelength)
    return -2.5 * np.log10(photons / of_flat)


def test_colours_are_those_of_the_spectra(catalogue):
    for k in range(12):
        one = catalogue.template_weights[k], catalogue.redshift[k]
        expected = np.array([brute_force(*one, band) for band in "ugriz"])
        difference = catalogue.magnitudes[k] - expected
        np.testing.assert_allclose(difference, difference[2], atol=2e-3)


def test_spectra_have_their_features():
    np.testing.assert_allclose(spectra(PIVOT), 1, rtol=1e-12)
    old, _, young, dusty = spectra(np.array([3850.0, 4100.0]))
    assert old[1] / old[0] > 1.4 and young[1] / young[0] < 1.05
    # H alpha, [O III] and [O II] stand out of the young one
    for line in (6564.6, 5008.2, 3728.5):
        assert spectra(line)[2] > 1.5 * spectra(line + 60)[2]
    # dust reddens by the law of its optical depth
    blue, red = np.array(4000.0), np.array(7000.0)
    reddening = np.log10(spectra(red)[3] / spectra(red)[2] / (spectra(blue)[3] / spectra(blue)[2]))
    expected = 0.4 * ((4000 / PIVOT) ** -0.7 - (7000 / PIVOT) ** -0.7)
    np.testing.assert_allclose(reddening, expected, rtol=1e-10)


def test_bands_are_those_of_sdss():
    """Fukugita et al. (1996): effective wavelengths and widths; ours are rounded boxes."""
    wavelength = np.linspace(2500.0, 12000.0, 9501)
    published = {"u": 3551, "g": 4686, "r": 6165, "i": 7481, "z": 8931}
    for band, centre in published.items():
        seen = throughput(wavelength, band)
        assert abs((seen * wavelength).sum() / seen.sum() - centre) < 0.01 * centre


def test_distances():
    from astropy.cosmology import FlatLambdaCDM

    from skastro.datasets.galaxy_population import distances

    z = np.array([0.003, 0.05, 0.31, 0.99])
    cosmology = FlatLambdaCDM(H0=70, Om0=0.3, Tcmb0=0)
    comoving, modulus, kpc_per_arcsec = distances(z)
    np.testing.assert_allclose(comoving, cosmology.comoving_distance(z).value, rtol=1e-5)
    np.testing.assert_allclose(modulus, cosmology.distmod(z).value, atol=1e-4)
    kpc = cosmology.kpc_proper_per_arcmin(z).value / 60
    np.testing.assert_allclose(kpc_per_arcsec, kpc, rtol=1e-5)


def test_stars_are_blackbodies():
    from astropy import units as u
    from astropy.modeling.models import BlackBody

    from skastro.datasets.galaxy_templates import star_fluxes

    wavelength = np.linspace(2700.0, 11500.0, 8801)
    temperature = 4321.0
    flux = BlackBody(temperature * u.K)(wavelength * u.AA).value / wavelength**2
    photons = [(flux * throughput(wavelength, b) * wavelength).sum() for b in "ugriz"]
    of_flat = [(throughput(wavelength, b) / wavelength).sum() for b in "ugriz"]
    expected = np.divide(photons, of_flat)
    found = star_fluxes(np.array([temperature]))[0]
    np.testing.assert_allclose(found / found[2], expected / expected[2], rtol=3e-3)


def test_population_is_like_the_real_one(catalogue):
    """Redshifts and colours beside those of the main galaxy sample."""
    real = load_sdss_photometry(None)
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    found, expected = (np.quantile(z, quantiles) for z in (catalogue.redshift, real.target))
    np.testing.assert_allclose(found, expected, rtol=0.15)
    colours = -np.diff(catalogue.magnitudes, axis=1)
    for low, high in ((0.03, 0.06), (0.06, 0.1), (0.1, 0.14), (0.14, 0.18)):
        rows, real_rows = (
            (z > low) & (z < high) for z in (catalogue.redshift, real.target)
        )  # fmt: skip
        medians = np.median(colours[rows], axis=0)
        real_medians = np.median(real.data[real_rows, 5:9], axis=0)
        np.testing.assert_allclose(medians, real_medians, atol=0.25)
        np.testing.assert_allclose(medians[1:], real_medians[1:], atol=0.12)


def test_limits_of_magnitude_and_redshift():
    galaxies = make_galaxies(
        500, n_pixels=8, magnitude_limit=20.0, redshift_range=(0.2, 0.3), random_state=1
    )
    r = galaxies.magnitudes[:, 2]
    assert r.max() < 20.0 and (r > 19.5).mean() > 0.3
    assert galaxies.redshift.min() >= 0.2 and galaxies.redshift.max() <= 0.3
    assert np.ptp(galaxies.redshift) > 0.09


def test_redshifts_can_be_learnt(catalogue):
    """From true magnitudes; not once redshifts are shuffled."""
    colours = -np.diff(catalogue.magnitudes, axis=1)
    X = np.column_stack([catalogue.magnitudes[:, 2] / 3, colours])
    z = catalogue.redshift
    knn = KNeighborsRegressor(15).fit(X[:3000], z[:3000])
    spread = scatter(z[3000:] / (1 + z[3000:]))
    error = scatter((knn.predict(X[3000:]) - z[3000:]) / (1 + z[3000:]))
    assert error < 0.45 * spread
    shuffled = np.random.default_rng(0).permutation(z[:3000])
    knn.fit(X[:3000], shuffled)
    assert scatter((knn.predict(X[3000:]) - z[3000:]) / (1 + z[3000:])) > 0.9 * spread


def test_redshifts_can_be_learnt_from_the_images():
    sky = make_galaxies(1200, n_pixels=32, random_state=2)
    flux = sky.images[:, :, 8:24, 8:24].sum((2, 3))
    magnitudes = -np.arcsinh(flux) - LAW * sky.ebv[:, None] * 0.4 * np.log(10)
    X, z = np.column_stack([magnitudes[:, 2] / 3, -np.diff(magnitudes, axis=1)]), sky.redshift
    knn = KNeighborsRegressor(12).fit(X[:900], z[:900])
    spread = scatter(z[900:])
    assert scatter(knn.predict(X[900:]) - z[900:]) < 0.75 * spread


def test_flux_is_the_true_one():
    """In an aperture of the whole image, of galaxies that it holds."""
    wide = make_galaxies(24, n_pixels=256, neighbours=False, return_truth=True, random_state=3)
    np.testing.assert_array_equal(wide.noiseless, wide.galaxy)
    flux = 10 ** (0.4 * (22.5 - wide.magnitudes - np.multiply(LAW, wide.ebv[:, None])))
    small = wide.radius < 5
    found = wide.galaxy[small].sum((2, 3), dtype=np.float64)
    assert small.sum() > 15
    np.testing.assert_allclose(found, flux[small], rtol=0.01)


def test_galaxies_sit_in_the_middle(sky):
    """Their centroids, within half a pixel and what noise-free light leaves outside."""
    light = sky.galaxy[:, 2]
    k = np.arange(64) - 31.5
    for weights in (light.sum(1), light.sum(2)):
        centroid = (weights * k).sum(1) / weights.sum(1)
        assert np.abs(centroid).max() < 0.55 and centroid.std() > 0.2


def test_point_spread_function():
    """A star against two Gaussians integrated over pixels, by error functions; and its width."""
    from scipy.special import erf

    from skastro.datasets.galaxy_profiles import PSF_WING, Canvas, psf_sigma

    canvas = Canvas(64, 0.396)
    star = {name: np.zeros(1) for name in ("r_bulge", "r_disk", "angle")}
    star |= {name: np.ones(1) for name in ("q_bulge", "q_disk")}
    star |= {"bulge": np.zeros((1, 1)), "disk": np.full((1, 1), 7.0)}
    star |= {"x": np.array([0.61]), "y": np.array([-2.2])}
    spectrum = canvas.spectrum(1, 1)
    canvas.add(spectrum, np.arange(1), star, np.arange(1))
    canvas.blur(spectrum, np.array([[1.4]]))
    found = canvas.images(spectrum)[0, 0]

    def along(position, sigma):
        edges = (np.arange(65) - 32) * 0.396 - position
        return 0.5 * np.diff(erf(edges / (np.sqrt(2) * sigma)))

    share, ratio = PSF_WING
    sigma = 1.4 * psf_sigma()
    expected = 0.0
    for part, width in ((1 - share, sigma), (share, ratio * sigma)):
        expected = expected + 7 * part * np.outer(along(-2.2, width), along(0.61, width))
    np.testing.assert_allclose(found, expected, atol=2e-4 * expected.max())

    def profile(r):
        wing = share / ratio**2 * np.exp(-0.5 * (r / ratio / sigma) ** 2)
        return (1 - share) * np.exp(-0.5 * (r / sigma) ** 2) + wing

    assert profile(0.7) == pytest.approx(0.5 * profile(0.0), rel=1e-9)


def test_seeing(sky):
    """Wider in u than in i, of the median asked for, another one in each image."""
    many = make_galaxies(2000, n_pixels=8, neighbours=False, seeing=1.5, random_state=0).seeing
    assert np.median(many[:, 2]) == pytest.approx(1.5, rel=0.01)
    assert np.median(many[:, 0] / many[:, 3]) == pytest.approx(1.16 / 0.96, rel=0.01)
    assert 0.1 < np.log(many[:, 2]).std() < 0.15
    assert sky.seeing.min() >= 2 * 0.396


@pytest.mark.parametrize("angle, axis_ratio", [(0.0, 1.0), (0.7, 0.4), (2.5, 0.6)])
def test_disks_are_those_of_astropy(angle, axis_ratio):
    """An inclined exponential disk on fine pixels, blurred there, then binned."""
    from astropy.modeling.models import Sersic2D
    from scipy.signal import fftconvolve

    from skastro.datasets.galaxy_profiles import PSF_WING, Canvas, psf_sigma

    canvas = Canvas(48, 0.4)
    disk = {"r_bulge": np.ones(1), "q_bulge": np.ones(1), "angle": np.array([angle])}
    disk |= {"r_disk": np.array([1.6]), "q_disk": np.array([axis_ratio])}
    disk |= {"bulge": np.zeros((1, 1)), "disk": np.full((1, 1), 10.0)}
    disk |= {"x": np.array([0.3]), "y": np.array([0.1])}
    spectrum = canvas.spectrum(1, 1)
    canvas.add(spectrum, np.arange(1), disk, np.arange(1))
    canvas.blur(spectrum, np.array([[1.2]]))
    found = canvas.images(spectrum)[0, 0]

    fine = 9
    c = (np.arange(48 * fine) - (48 * fine - 1) / 2) * 0.4 / fine
    x, y = np.meshgrid(c, c)
    model = Sersic2D(1, 1.6, 1, 0.3, 0.1, 1 - axis_ratio, angle)(x, y)
    sigma, (share, ratio) = 1.2 * psf_sigma(), PSF_WING
    r2 = c[: 20 * fine + 1] - c[10 * fine]
    r2 = r2[:, None] ** 2 + r2**2
    psf = sum(
        part / width**2 * np.exp(-0.5 * r2 / width**2)
        for part, width in ((1 - share, sigma), (share, ratio * sigma))
    )
    blurred = fftconvolve(model, psf, mode="same").reshape(48, fine, 48, fine).sum((1, 3))
    expected = 10 * blurred / blurred.sum()
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.max())


def test_bulges_follow_de_vaucouleurs():
    from astropy.modeling.models import Sersic1D
    from scipy.special import gamma

    from skastro.datasets.galaxy_profiles import bulge_mixture

    scales, shares = bulge_mixture()
    assert shares.sum() == pytest.approx(1.0) and (shares > 0).all()
    r = np.geomspace(0.05, 5, 60)
    found = (np.exp(-r[:, None] / scales) / (2 * np.pi * scales**2)) @ shares
    b = 7.669249442500804
    total = 8 * np.pi * np.exp(b) * b**-8 * gamma(8)
    expected = Sersic1D(1, 1, 4)(r) / total
    # what lies beyond 8 half-light radii, 1.5 % of the light, is shared among the rest
    np.testing.assert_allclose(found, expected, rtol=0.04)
    ratio = found / expected
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=0.025)


def test_noise(sky):
    variance = sky.sky_sigma[:, :, None, None] ** 2
    variance = variance + sky.noiseless / sky.electrons_per_nanomaggy[:, None, None]
    noise = (sky.images - sky.noiseless) / np.sqrt(variance)
    # 393,216 pixels a band: the error of a deviation is 0.0011
    np.testing.assert_allclose(noise.std((0, 2, 3)), 1, atol=0.005)
    np.testing.assert_allclose(noise.mean((0, 2, 3)), 0, atol=0.007)
    assert abs((noise[..., 1:] * noise[..., :-1]).mean()) < 0.005
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.005
    # bright pixels by themselves
    bright = sky.noiseless[:, 2] > 0.5
    assert bright.sum() > 2000
    assert noise[:, 2][bright].std() == pytest.approx(1, abs=0.05)


def test_sky_is_what_corners_show():
    sky = make_galaxies(64, neighbours=False, random_state=4)
    corners = np.concatenate(
        [sky.images[:, :, rows, columns].reshape(64, 5, -1)
         for rows in (slice(8), slice(-8, None)) for columns in (slice(8), slice(-8, None))], axis=2
    )  # fmt: skip
    middle = np.median(corners, axis=2, keepdims=True)
    measured = 1.4826 * np.median(np.abs(corners - middle), axis=2)
    np.testing.assert_allclose(np.median(measured / sky.sky_sigma, axis=0), 1, atol=0.04)


def test_extinction(sky):
    clear = make_galaxies(96, extinction=False, return_truth=True, random_state=3)
    assert (clear.ebv == 0).all() and (sky.ebv > 0).all() and sky.ebv.max() <= 0.4
    assert 0.02 < np.median(sky.ebv) < 0.06
    np.testing.assert_array_equal(clear.magnitudes, sky.magnitudes)
    np.testing.assert_array_equal(clear.extinction_law, LAW)
    dimming = 10 ** (-0.4 * np.multiply(LAW, sky.ebv[:, None]))
    expected = clear.noiseless * dimming[:, :, None, None]
    np.testing.assert_allclose(sky.noiseless, expected, atol=2e-6 * expected.max())


def test_neighbours(sky):
    from skastro.datasets.galaxy_population import draw_neighbours

    alone = make_galaxies(96, neighbours=False, return_truth=True, random_state=3)
    assert (alone.n_neighbours == 0).all()
    np.testing.assert_array_equal(alone.galaxy, sky.galaxy)
    extra = (sky.noiseless - sky.galaxy).sum((1, 2, 3))
    assert np.abs(extra[sky.n_neighbours == 0]).max() < 1e-3
    assert (extra[sky.n_neighbours > 3] > 0).all()
    count, sources = draw_neighbours(5000, 25.344, np.random.default_rng(0))
    expected = 6.0 * ((25.344 + 8) / 60) ** 2  # stars and galaxies in an arcmin^2
    assert count.mean() == pytest.approx(expected, rel=0.04)
    assert len(sources["x"]) == count.sum()
    distance = np.hypot(sources["x"], sources["y"])
    assert distance.min() > 2 and np.abs(sources["x"]).max() < 25.344 / 2 + 4
    r = 22.5 - 2.5 * np.log10((sources["bulge"] + sources["disk"])[:, 2])
    assert r.max() < 22.001 and r.min() > 14


def test_same_seed_same_images(sky, monkeypatch):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    # chunks of three images: the noise is drawn in the same order
    monkeypatch.setattr(skastro.datasets.galaxies, "CHUNK", 3 * 64**2)
    again = make_galaxies(96, return_truth=True, random_state=np.random.RandomState(3))
    for name in ("images", "noiseless", "redshift", "ebv", "magnitudes", "seeing"):
        np.testing.assert_array_equal(again[name], sky[name])
    assert not np.array_equal(make_galaxies(1, random_state=4).images[0], sky.images[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_bands(sky):
    some = make_galaxies(96, bands=["z", "g"], return_truth=True, random_state=3)
    assert some.images.shape == (96, 2, 64, 64) and some.bands == ["z", "g"]
    np.testing.assert_allclose(some.noiseless, sky.noiseless[:, [4, 1]], atol=1e-5)
    for name in ("magnitudes", "seeing", "sky_sigma"):
        np.testing.assert_array_equal(some[name], sky[name][:, [4, 1]])
    np.testing.assert_array_equal(some.extinction_law, [LAW[4], LAW[1]])


def test_other_pixels():
    """An odd number of them, finer ones: the same galaxies, the same flux."""
    coarse, fine = (
        make_galaxies(8, n_pixels=n, pixel_scale=scale, return_truth=True, random_state=0)
        for n, scale in ((63, 0.4), (126, 0.2))
    )
    assert coarse.images.shape[2:] == (63, 63)
    np.testing.assert_array_equal(coarse.redshift, fine.redshift)
    sums = [s.galaxy.sum((2, 3)) for s in (coarse, fine)]
    np.testing.assert_allclose(*sums, rtol=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_one_small_image(seed):
    one = make_galaxies(1, n_pixels=8, bands="r", random_state=seed)
    assert one.images.shape == (1, 1, 8, 8) and np.isfinite(one.images).all()


def test_speed():
    """Hundreds of images a second."""
    make_galaxies(1, random_state=0)  # makes the tables
    start = time.process_time()
    make_galaxies(256, random_state=0)
    assert time.process_time() - start < 4


def test_light_that_comes_back_is_below_the_noise():
    """All but the largest galaxies in a hundred: fields beside the middle of far larger ones."""
    small, large = (
        make_galaxies(
            100, n_pixels=n, bands="r", neighbours=False, return_truth=True, random_state=6
        )
        for n in (64, 192)
    )
    excess = np.abs(small.galaxy - large.galaxy[:, :, 64:128, 64:128]).max((1, 2, 3))
    assert np.quantile(excess / small.sky_sigma[:, 0], 0.97) < 0.5


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n_galaxies": 0}, "n_galaxies=0: expected an integer of at least 1"),
        ({"n_galaxies": 2.0}, "n_galaxies=2.0"),
        ({"n_galaxies": True}, "n_galaxies=True"),
        ({"n_pixels": 7}, "n_pixels=7: expected an integer of at least 8"),
        ({"bands": "ugx"}, "bands='ugx': expected some of 'ugriz'"),
        ({"bands": "gg"}, "bands='gg'"),
        ({"bands": ""}, "bands=''"),
        ({"bands": None}, "bands=None"),
        ({"bands": ["g", ["r"]]}, "bands="),
        ({"pixel_scale": 0.0}, "pixel_scale=0.0: expected a positive number"),
        ({"pixel_scale": np.nan}, "pixel_scale=nan"),
        ({"seeing": np.inf}, "seeing=inf"),
        ({"seeing": "1"}, "seeing='1'"),
        ({"seeing": 0.7}, "seeing=0.7: expected at least 2 pixels, 0.792 arcsec"),
        ({"magnitude_limit": -1.0}, "magnitude_limit=-1.0"),
        ({"magnitude_limit": 25.0}, "magnitude_limit=25.0: expected at most 22"),
        ({"redshift_range": 0.3}, "redshift_range=0.3: expected two numbers"),
        ({"redshift_range": (0.3, "a")}, "redshift_range="),
        ({"redshift_range": (0.3, 0.1)}, "redshift_range=.*low < high <= 1"),
        ({"redshift_range": (0.1, np.nan)}, "redshift_range="),
        ({"redshift_range": (-0.1, 0.2)}, "redshift_range="),
        ({"redshift_range": (0.1, 1.5)}, "redshift_range="),
        ({"redshift_range": (0.9, 1.0), "magnitude_limit": 8.0}, "galaxies are brighter"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_galaxies(**({"n_galaxies": 2} | arguments))
    assert "\n" not in str(caught.value)
