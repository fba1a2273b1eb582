"""MatchedFilter: against closed forms, brute force, and as an estimator."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.segmentation import MatchedFilter
from skastro.segmentation.image_noise import measured_spectrum, resampled, robust_sigma
from skastro.segmentation.psf import gaussian_psf

SIDE = 64
K = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
SPECTRA = {
    "white": np.full((SIDE, SIDE), 4.0),
    "red": (K + 0.02) ** -1.5,
    "blue": 1.0 + 30.0 * K**2,
    "lines": 1.0 + 5.0 * np.cos(2 * np.pi * np.fft.fftfreq(SIDE)) ** 8 * np.ones((SIDE, 1)),
}


def draw(spectrum, n=500, seed=0):
    """Periodic Gaussian noise of a power spectrum."""
    white = np.random.default_rng(seed).normal(size=(n, *spectrum.shape))
    return np.fft.ifft2(np.fft.fft2(white) * np.sqrt(spectrum)).real


def source(x=SIDE // 2, y=SIDE // 2, fwhm=2.5, side=SIDE):
    """Gaussian source of flux 1."""
    sigma = fwhm / np.sqrt(8 * np.log(2))
    rows, columns = np.mgrid[:side, :side]
    return np.exp(-0.5 * ((rows - y) ** 2 + (columns - x) ** 2) / sigma**2) / (2 * np.pi * sigma**2)


def optimum(spectrum, psf):
    """S/N of a source of flux 1: the closed form."""
    return np.sqrt(np.mean(np.abs(np.fft.fft2(psf)) ** 2 / spectrum))


@pytest.mark.parametrize("kind", SPECTRA)
def test_signal_to_noise_is_the_closed_form_optimum(kind):
    spectrum, centre = SPECTRA[kind], SIDE // 2
    best = optimum(spectrum, source())
    flux = 10.0 / best
    noise = draw(spectrum)
    model = MatchedFilter(noise=spectrum, background=None).fit(noise)
    quiet, loud = model.transform(noise), model.transform(noise + flux * source())
    inside = quiet[:, 8:-8, 8:-8]
    # height of the source over the spread of the map: what the filter attains, whatever it claims
    attained = np.mean(loud - quiet, axis=0)[centre, centre] / inside.std()
    assert attained == pytest.approx(10.0, rel=0.01)
    assert np.mean(loud - quiet, axis=0)[centre, centre] == pytest.approx(10.0, rel=0.01)
    assert inside.std() == pytest.approx(1.0, abs=0.01)
    assert inside.mean() == pytest.approx(0.0, abs=0.01)
    found = model.flux_map(noise + flux * source())[:, centre, centre]
    assert found.mean() == pytest.approx(flux, rel=0.01)
    assert found.std() == pytest.approx(1 / best, rel=0.1)
    assert model.flux_error_ == pytest.approx(1 / best, rel=0.01)


def test_the_right_spectrum_beats_the_white_filter():
    noise = draw(SPECTRA["red"], 50)
    flux = 10.0 / optimum(SPECTRA["red"], source())
    white = MatchedFilter(background=None).fit(noise)
    spread = white.transform(noise)[:, 8:-8, 8:-8].std()
    height = (white.transform(noise + flux * source()) - white.transform(noise))[0, 32, 32]
    assert height / spread < 8.0


@pytest.mark.parametrize("kind", ["white", "red", "blue"])
def test_measured_spectrum_is_as_good_as_the_true_one(kind):
    noise = draw(SPECTRA[kind])
    model = MatchedFilter(noise="measured", background=None).fit(noise[:100])
    inside = model.transform(noise)[:, 8:-8, 8:-8]
    assert inside.std() == pytest.approx(1.0, abs=0.01)
    centre = SIDE // 2
    loud = model.transform(noise + source())
    height = np.mean(loud - model.transform(noise), axis=0)[centre, centre]
    assert height / inside.std() == pytest.approx(optimum(SPECTRA[kind], source()), rel=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (4, 7)])
def test_white_noise_is_correlation_with_the_psf(shape):
    rng = np.random.default_rng(0)
    psf = rng.uniform(size=shape)
    psf /= psf.sum()
    image = 3.0 * rng.normal(size=(14, 11))
    image[4, 5] = image[9, :4] = np.nan
    model = MatchedFilter(psf, noise=3.0, background=None).fit(image[None])
    snr, flux = model.transform(image[None])[0], model.flux_map(image[None])[0]
    np.testing.assert_array_equal(np.isnan(snr), np.isnan(image))
    a, b = shape
    for y, x in np.argwhere(np.isfinite(image)):
        cut = np.full(shape, np.nan)
        for i in range(a):
            for j in range(b):
                row, column = y + i - a // 2, x + j - b // 2
                if 0 <= row < 14 and 0 <= column < 11:
                    cut[i, j] = image[row, column]
        weight = np.nansum(np.where(np.isnan(cut), 0.0, psf**2))
        total = np.nansum(cut * psf)
        assert snr[y, x] == pytest.approx(total / (3.0 * np.sqrt(weight)), abs=1e-9)
        assert flux[y, x] == pytest.approx(total / weight, abs=1e-9)


def test_borders_do_not_wrap_around():
    noise = draw(SPECTRA["white"], 200)
    bright = noise + 1e4 * source(x=0)
    model = MatchedFilter(noise=2.0, background=None).fit(noise)
    np.testing.assert_allclose(
        model.transform(bright)[..., 20:], model.transform(noise)[..., 20:], atol=1e-6
    )
    # half of the source is beyond the border: its flux is right, its error larger
    assert model.flux_map(bright)[:, 32, 0].mean() == pytest.approx(1e4, rel=1e-3)
    assert model.transform(noise)[:, 0].std() == pytest.approx(1.0, abs=0.02)
    corners = model.transform(noise)[:, [1, 1, -2, -2], [1, -2, 1, -2]]
    assert corners.std() == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("kind", ["red", "blue", "lines"])
def test_unit_variance_beside_borders_in_correlated_noise(kind):
    noise = draw(SPECTRA[kind], 800)[:, :50, :41]
    model = MatchedFilter(noise=SPECTRA[kind], background=None).fit(noise)
    snr = model.transform(noise)
    for edge in (snr[:, 0], snr[:, :, 0], snr[:, -1], snr[:, :, -1], snr[:, 2]):
        assert edge.std() == pytest.approx(1.0, abs=0.04)
    corners = snr[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.std() == pytest.approx(1.0, abs=0.08)
    bright = noise + 1e4 * source(y=0)[:50, :41]
    assert model.flux_map(bright)[:, 0, 32].mean() == pytest.approx(1e4, rel=1e-3)


def test_images_of_another_size():
    noise = draw(SPECTRA["blue"], 1)[0]
    model = MatchedFilter(noise=SPECTRA["blue"], background=None).fit(noise[None])
    part = model.transform(noise[None, :50, :41])
    assert part.shape == (1, 50, 41)
    whole = model.transform(noise[None])
    np.testing.assert_allclose(part[0, 12:38, 12:29], whole[0, 12:38, 12:29], atol=0.02)


def test_sources_are_detected_where_they_are():
    rng = np.random.default_rng(0)
    places = [(20.3, 31.8, 60.0), (45.6, 10.1, 80.0), (50.0, 50.4, 100.0)]
    image = 100.0 + rng.normal(size=(SIDE, SIDE))
    for x, y, flux in places:
        image += flux * source(x, y)
    model = MatchedFilter().fit(image[None])
    found = model.detect(image)
    found.sort("x")
    assert found.colnames == ["x", "y", "flux", "flux_err", "snr"]
    off = np.stack([found["x"], found["y"]], axis=1) - [place[:2] for place in places]
    # the smallest error that is possible (Cramer-Rao)
    least = np.sqrt(2.0) * 2.5 / np.sqrt(8 * np.log(2)) / found["snr"]
    assert np.abs(off / np.asarray(least)[:, None]).max() < 3.0
    pull = (found["flux"] - [p[2] for p in places]) / found["flux_err"]
    assert np.abs(pull).max() < 3.0
    np.testing.assert_allclose(found["snr"], found["flux"] / found["flux_err"])
    mask = model.predict(image[None])[0]
    assert mask.dtype == bool and mask[32, 20] and mask.mean() < 0.02
    assert len(MatchedFilter(threshold=1000.0).fit(image[None]).detect(image)) == 0
    assert model.detect(image.tolist())["snr"][0] == pytest.approx(found["snr"].max(), rel=1e-4)


def test_positions_and_fluxes_without_noise():
    rng = np.random.default_rng(0)
    image = 1e-4 * rng.normal(size=(SIDE, SIDE))
    model = MatchedFilter(noise=1e-4, background=None).fit(image[None])
    for x, y in rng.uniform(20, 40, (10, 2)):
        (found,) = model.detect(image + source(x, y))[:1]
        assert np.hypot(found["x"] - x, found["y"] - y) < 0.01
        assert found["flux"] == pytest.approx(1.0, rel=0.01)


def test_level_in_spite_of_sources():
    rng = np.random.default_rng(0)
    values = rng.normal(size=200_000)
    assert robust_sigma(2.0 * values) == pytest.approx(2.0, rel=0.01)
    values[:6000] += 30.0
    assert robust_sigma(2.0 * values) == pytest.approx(2.0, rel=0.06)
    counts = np.zeros(100)
    counts[:10] = 1.0
    assert robust_sigma(counts) == pytest.approx(0.3)
    assert robust_sigma(np.repeat([0.0, 0.1, 9.0], [45, 6, 49])) > 0.0


def test_spectrum_with_sources_clipped():
    noise = draw(SPECTRA["blue"], 40)
    clean = measured_spectrum(noise, noise.std(), None)
    np.testing.assert_allclose(clean[K > 0.05], SPECTRA["blue"][K > 0.05], rtol=0.2)
    assert np.mean(clean / SPECTRA["blue"]) == pytest.approx(1.0, abs=0.02)
    rng = np.random.default_rng(1)
    with_sources = noise + 300.0 * np.stack([source(*rng.uniform(5, 59, 2)) for _ in noise])
    spoilt = measured_spectrum(with_sources, noise.std(), None)
    clipped = measured_spectrum(with_sources, noise.std(), 3.0)
    assert np.mean(clipped / clean - 1) < 0.2 * np.mean(spoilt / clean - 1)
    holes = noise.copy()
    holes[:, 10:20, 30:35] = np.nan
    np.testing.assert_allclose(measured_spectrum(holes, noise.std(), None), clean, rtol=0.2)


def test_a_bright_source_does_not_ring_all_over_the_image():
    image = np.random.default_rng(0).normal(size=(192, 192))
    image += 4000.0 * source(90, 100, side=192)
    model = MatchedFilter(noise="measured").fit(image[None])
    snr = model.transform(image[None])[0]
    assert snr[100, 90] > 900.0
    away = np.hypot(*(np.mgrid[:192, :192] - np.array([100, 90])[:, None, None])) > 15
    assert snr[away].std() < 1.2
    assert MatchedFilter().fit(image[None]).transform(image[None])[0][away].std() < 1.02


def test_spectrum_of_a_small_image():
    image = np.random.default_rng(0).normal(size=(1, 5, 6))
    model = MatchedFilter(np.ones((1, 1)), noise="measured").fit(image)
    assert np.ptp(model.noise_spectrum_) == 0.0 and np.isfinite(model.transform(image)).all()


def test_resampled_spectrum():
    np.testing.assert_allclose(resampled(SPECTRA["blue"], (SIDE, SIDE)), SPECTRA["blue"][:, :33])
    k = np.hypot(np.fft.fftfreq(90)[:, None], np.fft.rfftfreq(75))
    np.testing.assert_allclose(resampled(SPECTRA["blue"], (90, 75)), 1 + 30 * k**2, rtol=0.02)


def test_measured_psf():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 128, 128))
    for image in images:
        for x in range(16, 120, 24):
            for y in range(16, 120, 24):
                image += 400.0 * source(*(x, y) + rng.uniform(-0.5, 0.5, 2), fwhm=3.2, side=128)
    model = MatchedFilter("measured", psf_size=13).fit(images)
    assert model.psf_.shape == (13, 13) and model.psf_.sum() == pytest.approx(1.0)
    true = gaussian_psf(3.2)
    rim = (len(true) - 13) // 2
    true = true[rim : len(true) - rim, rim : len(true) - rim] if rim > 0 else true
    middle = (13 - len(true)) // 2
    found = model.psf_[middle : 13 - middle, middle : 13 - middle]
    np.testing.assert_allclose(found, true, atol=0.05 * true.max())
    with pytest.raises(ValueError, match="psf='measured' found 0 bright isolated source"):
        MatchedFilter("measured").fit(rng.normal(size=(1, SIDE, SIDE)))


def test_as_estimator():
    images = (100.0 + draw(SPECTRA["red"], 3)).astype("f4")
    images[1, 3, 4:7] = np.nan
    images[2] = np.nan
    model = MatchedFilter(noise="measured").fit(images)
    snr = model.transform(images)
    assert snr.dtype == np.float32 and snr.shape == images.shape
    np.testing.assert_array_equal(np.isnan(snr), np.isnan(images))
    assert not model.predict(images)[2].any()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(images), snr)
    np.testing.assert_array_equal(clone(model).fit(images).transform(images), snr)
    np.testing.assert_array_equal(make_pipeline(clone(model)).fit_transform(images), snr)
    double = model.transform(images.astype("f8"))
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, snr, atol=1e-4)
    # the unit of the images does not matter, however small
    tiny = MatchedFilter(noise="measured").fit(images * 1e-18)
    np.testing.assert_allclose(tiny.transform(images * 1e-18), snr, atol=1e-3)
    assert model.__sklearn_tags__().input_tags.three_d_array
    big_endian = images.astype(">f4")
    np.testing.assert_array_equal(model.transform(big_endian), snr)


class TableOfImages(MatchedFilter):
    """Rows of p numbers as an image of 1 x p pixels each."""

    def __init__(self, noise="white"):
        super().__init__(np.ones((1, 1)), noise=noise, background=None)

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        return super().fit(X[:, None, :])

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False, ensure_all_finite="allow-nan")
        return super().transform(X[:, None, :])[:, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def test_every_check_of_scikit_learn_passes_through_an_adapter():
    results = check_estimator(TableOfImages(), on_skip=None, on_fail=None)
    assert len(results) > 40
    failed = {row["check_name"]: row["exception"] for row in results if row["status"] == "failed"}
    assert failed == {}


def test_saved_without_pickle(tmp_path):
    io = pytest.importorskip("skastro.io")
    pytest.importorskip("skops")
    images = draw(SPECTRA["red"], 2)
    model = MatchedFilter(noise="measured").fit(images)
    io.save(model, tmp_path / "filter.skops")
    again = io.load(tmp_path / "filter.skops")
    np.testing.assert_array_equal(again.transform(images), model.transform(images))


def test_units_and_masks():
    images = draw(SPECTRA["white"], 2)
    images[0] += 300.0 * source(20, 30)
    plain = MatchedFilter().fit(images)
    typed = MatchedFilter().fit(images * u.Jy)
    flux = typed.flux_map(images * 1e3 * u.mJy)
    np.testing.assert_allclose(flux.to_value("Jy"), plain.flux_map(images))
    np.testing.assert_allclose(typed.transform(images * u.Jy), plain.transform(images))
    assert typed.detect(images[0] * u.Jy)["flux"].unit == u.Jy
    with pytest.raises(ValueError, match="X has no unit; it was fitted in 'Jy'"):
        typed.transform(images)
    hidden = np.ma.MaskedArray(images, np.zeros(images.shape, bool))
    hidden[0, 5:9, 5] = np.ma.masked
    assert np.isnan(plain.transform(hidden)[0, 5:9, 5]).all()
    assert np.ma.isMaskedArray(plain.flux_map(hidden))


NOISE = np.random.default_rng(0).normal(size=(2, 32, 32))


@pytest.mark.parametrize(
    "parameters, images, message",
    [
        ({}, NOISE[0], r"X has shape \(32, 32\); expected \(n, h, w\).*give X\[None\]"),
        ({}, NOISE[None], r"X has shape \(1, 2, 32, 32\); expected \(n, h, w\)"),
        ({}, NOISE[:0], r"X has shape \(0, 32, 32\)"),
        ({}, np.full((1, 32, 32), np.nan), "X has no finite pixel"),
        ({}, np.where(NOISE > 3, np.inf, NOISE), "X contains infinity"),
        ({}, np.ones((1, 32, 32)), "X is constant; expected images with noise"),
        ({"noise": "measured"}, np.ones((1, 32, 32)), "X is constant"),
        ({"noise": "measured", "psf": [[1.0]]}, NOISE[:, :3, :3], "expected 4 pixels a side"),
        ({}, NOISE[:, :5], r"images of shape \(5, 32\); expected none smaller than the PSF"),
        ({"psf": np.ones((40, 3))}, NOISE, r"smaller than the PSF, \(40, 3\)"),
        ({"psf": np.ones(3)}, NOISE, r"psf has shape \(3,\); expected \(h, w\)"),
        ({"psf": [[np.nan]]}, NOISE, "psf has NaN or infinity"),
        ({"psf": [[0.0]]}, NOISE, "psf has the sum 0; expected a positive one"),
        ({"psf": "moffat"}, NOISE, "'psf' parameter of MatchedFilter must be"),
        ({"psf": [["a"]]}, NOISE, "psf is not an array of numbers"),
        ({"fwhm": 0.0}, NOISE, "'fwhm' parameter of MatchedFilter must be"),
        ({"threshold": 0.0}, NOISE, "'threshold' parameter of MatchedFilter must be"),
        ({"threshold": -5.0}, NOISE, "'threshold' parameter of MatchedFilter must be"),
        ({"noise": -1.0}, NOISE, "'noise' parameter of MatchedFilter must be"),
        ({"noise": "pink"}, NOISE, "'noise' parameter of MatchedFilter must be"),
        ({"noise": np.ones(3)}, NOISE, r"noise has shape \(3,\); expected \(h, w\)"),
        ({"noise": np.zeros((4, 4))}, NOISE, "noise has powers that are not positive"),
        ({"noise": np.arange(1.0, 17.0).reshape(4, 4)}, NOISE, "not the same at k and -k"),
        ({"background": "mean"}, NOISE, "'background' parameter of MatchedFilter must be"),
        ({"psf_size": 4}, NOISE, "psf_size=4; expected an odd number"),
        ({"psf": "measured", "psf_size": 33}, NOISE, "psf_size=33"),
    ],
)
def test_bad_input(parameters, images, message):
    with pytest.raises(ValueError, match=message) as error:
        MatchedFilter(**parameters).fit(images)
    assert "\n" not in str(error.value)


def test_bad_images_after_the_fit():
    model = MatchedFilter().fit(NOISE)
    with pytest.raises(ValueError, match="expected none smaller than the PSF"):
        model.transform(NOISE[:, :4])
    with pytest.raises(ValueError, match=r"image has shape \(2, 32, 32\); expected \(h, w\)"):
        model.detect(NOISE)
    with pytest.raises(ValueError, match="X contains infinity"):
        model.predict(np.full((1, 32, 32), np.inf))


def test_modes_that_are_not_to_be_used():
    spectrum = np.ones((SIDE, SIDE))
    spectrum[0, 0] = np.inf
    noise = draw(np.ones((SIDE, SIDE)), 1)
    model = MatchedFilter(noise=spectrum, background=None).fit(noise)
    assert np.isfinite(model.transform(noise)).all()
    assert model.noise_sigma_ == pytest.approx(1.0)
