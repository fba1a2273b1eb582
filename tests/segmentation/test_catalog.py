"""Tables of sources: sums by hand, simulated stars, blends, the sky, and what cannot be measured."""

import time

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS
from scipy import ndimage
from scipy.special import ndtr

from skastro.segmentation import MatchedFilter, make_catalog

SIGMA = 1.3  # of the PSF, pixels
COLUMNS = ["label", "x", "y", "flux", "flux_err", "area", "peak_proba", "snr", "class"]


def render(shape, x, y, flux):
    """Gaussian stars integrated over pixels."""
    edges = [np.arange(n + 1) - 0.5 for n in shape]
    rows, columns = (
        np.diff(ndtr((e[None] - np.asarray(at)[:, None]) / SIGMA), axis=1)
        for e, at in zip(edges, (y, x), strict=True)
    )
    return (rows * np.asarray(flux)[:, None]).T @ columns


def sky(shape, frame="RA---TAN"):
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = 20.0, 30.0
    wcs.wcs.crval = 150.0, 2.2
    angle, scale = np.deg2rad(30.0), 1e-4
    wcs.wcs.cd = scale * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.ctype = frame, {"RA---TAN": "DEC--TAN", "GLON-TAN": "GLAT-TAN"}[frame]
    wcs.array_shape = shape
    return wcs


def by_hand(image, proba, threshold, sigma):
    """One source at a time, in a loop."""
    found = np.isfinite(image) & (proba >= threshold)
    background = np.median(image[np.isfinite(image) & ~found])
    labels, n = ndimage.label(found, np.ones((3, 3)))
    rows = []
    for i in range(1, n + 1):
        y, x = np.nonzero(labels == i)
        flux = image[y, x] - background
        w = np.maximum(flux, 0) if (flux > 0).any() else proba[y, x]
        err = np.sqrt(len(x)) * sigma
        rows.append((
            (w * x).sum() / w.sum(), (w * y).sum() / w.sum(), flux.sum(), err, len(x), proba[y, x].max(),
            flux.sum() / err,
        ))  # fmt: skip
    return np.array(sorted(rows, key=lambda row: -row[-1]))


def test_columns_are_sums_by_hand():
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(size=(40, 60)), 1.5) + 7.0
    proba = ndtr(4 * (image - 7.0))
    image[10:14, 20:30] = np.nan
    table = make_catalog(image, proba, 0.8, sigma=0.3)
    expected = by_hand(image, proba, 0.8, 0.3)
    assert len(table) == len(expected) > 20
    found = np.array([table[key] for key in COLUMNS[1:8]]).T
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert table.colnames == COLUMNS
    assert table["label"].tolist() == list(range(1, len(table) + 1))
    assert set(table["class"]) == {"source"}
    assert (
        table["x"].unit == u.pix and table["area"].unit == u.pix**2 and table["flux"].unit is None
    )


def test_positions_and_fluxes_of_simulated_stars():
    rng = np.random.default_rng(1)
    y, x = (
        one.ravel() for one in np.mgrid[10:200:15, 10:200:15] + rng.uniform(-0.5, 0.5, (2, 13, 13))
    )
    flux = rng.uniform(100.0, 1000.0, len(x))
    image = render((200, 200), x, y, flux) + 50.0 + rng.normal(size=(200, 200))
    proba = (render((200, 200), x, y, np.ones(len(x))) > 1e-3).astype(float)
    table = make_catalog(image * u.adu, proba, 0.5, label="star")
    assert len(table) == len(x)
    nearest = np.hypot(table["x"].value[:, None] - x, table["y"].value[:, None] - y).argmin(1)
    np.testing.assert_array_equal(np.sort(nearest), np.arange(len(x)))
    pull = (table["flux"].value - flux[nearest]) / table["flux_err"].value
    # the few per cent beyond the detections, and the noise
    assert np.median(table["flux"].value / flux[nearest]) == pytest.approx(0.98, abs=0.02)
    assert pull.std() < 2.0
    assert np.hypot(table["x"].value - x[nearest], table["y"].value - y[nearest]).max() < 0.4
    assert table.meta["background"] == pytest.approx(50.0, abs=0.05)
    assert table.meta["sigma"] == pytest.approx(1.0, abs=0.02)
    assert table["flux"].unit == table["flux_err"].unit == u.adu
    assert set(table["class"]) == {"star"}


def blend(ratio=1.0, distance=4.5):
    rng = np.random.default_rng(2)
    x, y, flux = (
        np.array([30.0, 30.0 + distance]),
        np.array([20.3, 21.1]),
        np.array([600, 600 * ratio]),
    )
    stars = render((48, 64), x, y, flux)
    return x, y, flux, stars + rng.normal(size=stars.shape), (stars > 1.0).astype(float)


@pytest.mark.parametrize("ratio, distance", [(1.0, 4.5), (0.3, 6.0)])
def test_two_stars_that_touch_are_split(ratio, distance):
    x, y, flux, image, proba = blend(ratio, distance)
    model = MatchedFilter(fwhm=2.355 * SIGMA, noise=1.0).fit(image[None])
    assert len(make_catalog(image, proba, 0.5)) == 1
    table = make_catalog(image, proba, 0.5, matched_filter=model)
    assert len(table) == 2
    table.sort("x")
    np.testing.assert_allclose(table["x"], x, atol=0.25)
    np.testing.assert_allclose(table["y"], y, atol=0.25)
    np.testing.assert_allclose(table["flux"], flux, rtol=0.08)
    whole = make_catalog(image, proba, 0.5)
    assert table["area"].sum() == whole["area"][0]
    assert table["flux"].sum() == pytest.approx(whole["flux"][0])
    # a peak that would keep fewer pixels is none
    assert len(make_catalog(image, proba, 0.5, matched_filter=model, min_pixels=40)) == 1


def test_peaks_split_only_their_own_detection():
    x, y = np.array([10.0, 14.5, 40.0]), np.array([10.0, 10.0, 10.0])
    image = render((30, 60), x, y, [500.0, 500.0, 500.0])
    image += np.random.default_rng(3).normal(size=image.shape)
    proba = np.where(render((30, 60), x, y, [500.0, 500.0, 500.0]) > 1.0, 0.9, 0.1)
    model = MatchedFilter(fwhm=2.355 * SIGMA, noise=1.0).fit(image[None])
    table = make_catalog(image, proba, 0.5, matched_filter=model)
    np.testing.assert_allclose(np.sort(table["x"]), x, atol=0.25)
    single = make_catalog(image, proba, 0.5)
    alone = single[np.argmax(single["x"])]
    same = table[np.argmax(table["x"])]
    assert [same[key] for key in COLUMNS[1:8]] == [alone[key] for key in COLUMNS[1:8]]
    # where nothing is found to split, the detections are the sources
    model.set_params(threshold=1e9)
    again = make_catalog(image, proba, 0.5, matched_filter=model)
    assert again.as_array().tolist() == single.as_array().tolist()


@pytest.mark.parametrize("frame", ["RA---TAN", "GLON-TAN"])
def test_sky_and_back(frame):
    image = np.zeros((50, 70))
    image[10:13, 20:23], image[40, 60] = 5.0, 1.0
    wcs = sky(image.shape, frame)
    table = make_catalog(image, image > 0, 0.5, wcs=wcs, sigma=0.1)
    assert table.colnames[3:5] == ["ra", "dec"] and table["ra"].unit == u.deg
    place = SkyCoord.guess_from_table(table)
    back = wcs.world_to_pixel(place.galactic if frame == "GLON-TAN" else place)
    np.testing.assert_allclose(back, [table["x"], table["y"]], atol=1e-6)
    np.testing.assert_allclose(back, [[21.0, 60.0], [11.0, 40.0]], atol=1e-6)


def test_empty():
    image = np.random.default_rng(0).normal(size=(20, 30))
    for proba, extra in ((0.1, {}), (0.9, {"min_pixels": 601}), (np.nan, {})):
        table = make_catalog(
            image, np.full((20, 30), proba), 0.5, wcs=sky((20, 30)), unit="Jy", label="cr", **extra
        )
        assert isinstance(table, Table) and len(table) == 0
        assert table.colnames == [*COLUMNS[:3], "ra", "dec", *COLUMNS[3:]]
        assert table["flux"].unit == u.Jy and table["ra"].unit == u.deg
        assert len(SkyCoord(table["ra"], table["dec"])) == 0
    assert len(make_catalog(np.full((4, 5), np.nan), np.ones((4, 5)), 0.5)) == 0
    model = MatchedFilter().fit(image[None])
    assert len(make_catalog(image, np.zeros((20, 30)), 0.5, matched_filter=model)) == 0


def test_all_detected_or_constant_or_negative():
    image = np.full((4, 5), 3.0)
    table = make_catalog(image, np.ones((4, 5)), 0.5)
    assert table["flux"][0] == 0 and np.isnan(table["snr"][0]) and table["area"][0] == 20
    assert (table["x"][0], table["y"][0]) == (2.0, 1.5)
    hole = np.zeros((9, 9))
    hole[4, 5:7] = -2.0
    table = make_catalog(hole, hole < 0, 0.5, sigma=0.5)
    assert (table["x"][0], table["y"][0], table["flux"][0]) == (5.5, 4.0, -4.0)


def test_corners_touch_and_blank_pixels_separate():
    image = np.zeros((6, 8))
    image[1, 1] = image[2, 2] = 1.0
    assert len(make_catalog(image, image, 0.5, sigma=1.0)) == 1
    image[4] = 1.0
    image[4, 4] = np.nan
    table = make_catalog(image, np.nan_to_num(image, nan=1.0), 0.5, sigma=1.0)
    assert sorted(table["area"]) == [2, 3, 4]
    assert (
        len(make_catalog(image, np.nan_to_num(image, nan=1.0), 0.5, sigma=1.0, min_pixels=3)) == 2
    )
    hidden = np.ma.MaskedArray(np.nan_to_num(image), np.isnan(image))
    same = make_catalog(hidden, np.nan_to_num(image, nan=1.0), 0.5, sigma=1.0)
    assert same.as_array().tolist() == table.as_array().tolist()


def test_maps_of_sigma_and_their_units():
    image = np.zeros((6, 8))
    image[1, 1:3] = 5.0
    noise = np.ones((6, 8))
    noise[1, 1:3] = 3.0, 4.0
    table = make_catalog(image * u.Jy, image > 0, 0.5, sigma=noise * 1e3 * u.mJy)
    assert table["flux_err"][0] == pytest.approx(5.0)
    assert table["snr"][0] == pytest.approx(2.0)


def test_integers_and_big_endian():
    image = np.zeros((6, 8), dtype=">u2")
    image[1, 1:3] = 500
    table = make_catalog(image, (image > 0).astype(">f4"), 0.5, sigma=1.0)
    assert table["flux"][0] == 1000.0


def test_ten_thousand_sources_in_a_second():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1000, 1000)).astype(np.float32)
    proba = np.zeros((1000, 1000), np.float32)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            proba[4 + dy :: 10, 4 + dx :: 10] = 0.9
    start = time.perf_counter()
    table = make_catalog(image, proba, 0.5)
    assert len(table) == 10_000
    # far less on an idle machine
    assert time.perf_counter() - start < 1.0


IMAGE = np.zeros((6, 8))
BAD_WCS = {
    "spectral": WCS({"NAXIS": 2, "CTYPE1": "FREQ", "CTYPE2": "STOKES"}),
    "cube": WCS({"NAXIS": 3, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": "FREQ"}),
}


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((IMAGE[None], IMAGE, 0.5), {}, r"image has shape \(1, 6, 8\); expected \(h, w\)"),
        ((IMAGE + np.inf, IMAGE, 0.5), {}, "image contains infinity"),
        ((np.zeros((0, 4)), np.zeros((0, 4)), 0.5), {}, "image has shape"),
        ((IMAGE, IMAGE.T, 0.5), {}, r"proba has shape \(8, 6\); expected \(6, 8\)"),
        ((IMAGE, IMAGE + 2, 0.5), {}, "proba"),
        ((IMAGE, IMAGE + np.inf, 0.5), {}, "proba"),
        ((IMAGE, IMAGE, np.nan), {}, "threshold=nan; expected a number above 0"),
        ((IMAGE, IMAGE, 0), {}, "threshold=0; expected"),
        ((IMAGE, IMAGE, [0.5]), {}, r"threshold=\[0.5\]; expected"),
        ((IMAGE, IMAGE, 0.5), {"min_pixels": 0}, "min_pixels=0; expected"),
        ((IMAGE, IMAGE, 0.5), {"sigma": -1.0}, "sigma is negative"),
        ((IMAGE, IMAGE, 0.5), {"sigma": np.nan}, "nowhere finite"),
        (
            (IMAGE, IMAGE, 0.5),
            {"sigma": np.ones(8)},
            r"sigma has shape \(8,\); expected a number or",
        ),
        ((IMAGE, IMAGE, 0.5), {"unit": "parrots"}, "unit='parrots'; expected a unit"),
        ((IMAGE * u.Jy, IMAGE, 0.5), {"unit": "K"}, "unit='K', image is in Jy"),
        ((IMAGE, IMAGE, 0.5), {"wcs": BAD_WCS["spectral"]}, "expected two celestial ones"),
        ((IMAGE, IMAGE, 0.5), {"wcs": BAD_WCS["cube"]}, "expected two celestial ones"),
        ((IMAGE, IMAGE, 0.5), {"wcs": "header"}, r"wcs has the axes \[\]"),
        ((IMAGE, IMAGE, 0.5), {"wcs": sky((8, 6))}, r"shape \(8, 6\); expected \(6, 8\)"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=message) as error:
        make_catalog(*arguments, **options)
    assert "\n" not in str(error.value)
