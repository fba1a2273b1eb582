"""What all baselines share: scikit-learn's checks, blanks, units, the noise level, scores."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skastro.cube_metrics import snr_gain
from skastro.datasets import make_line_cube
from skastro.denoising import baselines, estimate_sigma
from skastro.denoising.baselines import (
    GaussianSmoother,
    MedianDenoiser,
    PCADenoiser,
    TotalVariationDenoiser,
    WaveletDenoiser,
)
from skastro.denoising.noise import estimate_noise

ALL = [getattr(baselines, name)() for name in baselines.__all__]
SCALED = [PCADenoiser(), TotalVariationDenoiser(), WaveletDenoiser()]
each = pytest.mark.parametrize("denoiser", ALL, ids=lambda d: type(d).__name__)
each_scaled = pytest.mark.parametrize("denoiser", SCALED, ids=lambda d: type(d).__name__)
LINE = make_line_cube(n_pixels=20, n_channels=48, random_state=0)


@each
def test_every_check_passes_in_float64(denoiser):
    results = check_estimator(denoiser, on_skip=None, on_fail=None)
    assert len(results) > 40
    assert [row["check_name"] for row in results if row["status"] == "failed"] == []


@each
def test_blanks_are_carried_through(denoiser):
    cube = LINE.cube.copy()
    cube[4] = np.nan
    cube[:, :, 10] = np.nan
    cube[np.random.default_rng(0).random(cube.shape) < 0.02] = np.nan
    found = clone(denoiser).fit(cube).transform(cube)
    assert found.shape == cube.shape and found.dtype == np.float32
    assert np.array_equal(np.isnan(found), np.isnan(cube))
    # nor do they spoil what is around them
    kept = ~np.isnan(cube)
    whole = clone(denoiser).fit(LINE.cube, sigma=LINE.sigma).transform(LINE.cube)
    assert np.abs(found - whole)[kept].max() < 8 * np.abs(whole).std()


@each
def test_it_denoises(denoiser):
    fitted = clone(denoiser).fit(LINE.cube, sigma=LINE.sigma)
    found = fitted.transform(LINE.cube)
    free = LINE.truth < 0.01 * LINE.sigma
    assert (found / LINE.sigma)[free].std() < 0.65
    gain = fitted.score(LINE.cube, LINE.truth)
    assert gain == snr_gain(LINE.truth, LINE.cube, found, LINE.sigma)
    # narrow bright lines of a small cube: a median of 27 voxels bends them
    assert gain > {"MaskDenoiser": -0.1, "MedianDenoiser": -2.0}.get(type(denoiser).__name__, 1.0)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", ">f8", "int16"])
def test_floating_types(denoiser, dtype):
    cube = (1000 * LINE.cube).astype(dtype)
    found = clone(denoiser).fit(cube, sigma=1000 * LINE.sigma).transform(cube)
    assert found.dtype == (np.float32 if dtype in ("float32", ">f4") else np.float64)
    exact = (
        clone(denoiser)
        .fit(cube.astype(float), sigma=1000 * LINE.sigma)
        .transform(cube.astype(float))
    )
    # a threshold may fall between two roundings
    close = np.isclose(found, exact, rtol=1e-3, atol=0.5)
    assert close.mean() > 0.999


@each
def test_rows_of_a_table_are_apart(denoiser):
    table = LINE.cube.reshape(-1, 48)
    fitted = clone(denoiser).fit(table)
    together = fitted.transform(table)
    some = fitted.transform(table[100:103])
    np.testing.assert_allclose(together[100:103], some, rtol=1e-5, atol=1e-6)
    assert fitted.n_channels_in_ == fitted.n_features_in_ == 48


@each_scaled
def test_noise_of_a_table_is_kept_for_others(denoiser):
    table = LINE.cube.reshape(-1, 48)
    fitted = clone(denoiser).fit(table)
    level = estimate_noise(table)
    np.testing.assert_allclose(fitted.sigma_, np.nanmedian(level.map) * level.spectrum)
    given = clone(denoiser).fit(table, sigma=fitted.sigma_)
    np.testing.assert_array_equal(given.transform(3 * table), fitted.transform(3 * table))


@each_scaled
def test_noise_of_a_cube_is_its_own(denoiser):
    fitted = clone(denoiser).fit(LINE.cube, sigma=LINE.sigma)
    assert fitted.sigma_ is None
    as_fitted = fitted.transform(LINE.cube)
    np.testing.assert_array_equal(fitted.transform(LINE.cube, sigma=LINE.sigma), as_fitted)
    # another cube of the same shape, three times noisier all over
    other = 3 * LINE.second
    found = fitted.transform(other)
    np.testing.assert_array_equal(found, fitted.transform(other, sigma=estimate_sigma(other)))
    assert not np.allclose(found, fitted.transform(other, sigma=LINE.sigma), atol=0.1)
    # a number or a spectrum holds for all
    spectrum = LINE.sigma.mean(axis=(0, 1))
    kept = clone(denoiser).fit(LINE.cube, sigma=spectrum)
    np.testing.assert_array_equal(kept.transform(other), kept.transform(other, sigma=spectrum))
    np.testing.assert_array_equal(kept.sigma_, spectrum)


@each_scaled
def test_without_a_noise_level_it_is_estimated(denoiser):
    fitted = clone(denoiser).fit(LINE.cube)
    given = clone(denoiser).fit(LINE.cube, sigma=estimate_sigma(LINE.cube))
    np.testing.assert_array_equal(fitted.transform(LINE.cube), given.transform(LINE.cube))


def test_a_map_of_the_noise_is_that_map_in_every_channel():
    level = LINE.sigma.mean(axis=-1)
    full = np.broadcast_to(level[..., None], LINE.cube.shape)
    expected = WaveletDenoiser().fit(LINE.cube, sigma=full).transform(LINE.cube)
    found = WaveletDenoiser().fit(LINE.cube, sigma=level).transform(LINE.cube)
    np.testing.assert_array_equal(found, expected)


def test_a_signal_mask_keeps_signal_out_of_the_noise():
    cube = LINE.cube.copy()
    mask = np.zeros(cube.shape, bool)
    mask[..., 8:40] = True
    cube[mask] += 30.0 * np.random.default_rng(0).normal(size=mask.sum())
    fitted = TotalVariationDenoiser().fit(cube, signal_mask=mask)
    expected = estimate_sigma(cube, signal_mask=mask)
    np.testing.assert_array_equal(
        fitted.transform(cube), TotalVariationDenoiser().fit(cube, sigma=expected).transform(cube)
    )
    assert expected.mean() < 1.0


@each
def test_a_quantity_comes_back_as_one(denoiser):
    plain = clone(denoiser).fit(LINE.cube, sigma=LINE.sigma).transform(LINE.cube)
    fitted = clone(denoiser).fit(LINE.cube * u.K, sigma=1000 * LINE.sigma * u.mK)
    found = fitted.transform(LINE.cube * u.K)
    assert found.unit == u.K and fitted.unit_ == "K"
    np.testing.assert_allclose(found.value, plain, rtol=1e-3, atol=1e-3)
    gain = fitted.score(LINE.cube * u.K, LINE.truth * u.K)
    assert gain == pytest.approx(snr_gain(LINE.truth, LINE.cube, plain, LINE.sigma), abs=1e-3)


def test_a_noise_level_that_is_kept_is_converted():
    fitted = WaveletDenoiser().fit(LINE.cube * u.K, sigma=0.3 * u.K)
    found = fitted.transform((1000 * LINE.second) * u.mK)
    expected = fitted.transform(LINE.second * u.K)
    np.testing.assert_allclose(found.to_value(u.K), expected.value, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="X has unit None; expected one convertible to 'K'"):
        fitted.transform(LINE.second)
    with pytest.raises(ValueError, match="X has unit 'Jy'; expected one convertible to 'K'"):
        fitted.transform(LINE.second * u.Jy)
    with pytest.raises(ValueError, match="sigma has unit 'Jy'; expected"):
        WaveletDenoiser().fit(LINE.cube * u.K, sigma=0.3 * u.Jy)


def test_a_file_comes_back_as_an_hdu(tmp_path):
    path = tmp_path / "cube.fits"
    header = fits.Header({"BUNIT": "K", "CTYPE3": "VRAD", "CRVAL3": 5.0})
    fits.PrimaryHDU(np.moveaxis(LINE.cube, -1, 0), header).writeto(path)
    found = GaussianSmoother().fit(path).transform(path)
    expected = GaussianSmoother().fit_transform(LINE.cube)
    np.testing.assert_allclose(np.moveaxis(found.data, 0, -1), expected, rtol=1e-6, atol=1e-7)
    assert found.header["BUNIT"] == "K" and found.header["CRVAL3"] == 5.0
    assert "GaussianSmoother" in str(found.header["HISTORY"])


def test_a_masked_array_is_blank_where_masked():
    hidden = np.random.default_rng(0).random(LINE.cube.shape) < 0.1
    found = MedianDenoiser().fit_transform(np.ma.array(LINE.cube, mask=hidden))
    expected = MedianDenoiser().fit_transform(np.where(hidden, np.nan, LINE.cube))
    np.testing.assert_array_equal(np.ma.getmaskarray(found), hidden)
    np.testing.assert_array_equal(found.data[~hidden], expected[~hidden])


@each
def test_a_cube_that_is_blank_at_transform_stays_so(denoiser):
    fitted = clone(denoiser).fit(LINE.cube)
    assert np.isnan(fitted.transform(np.full((2, 3, 48), np.nan))).all()


def test_spectra_that_are_constant_do_no_harm():
    cube = LINE.cube.copy()
    cube[:3] = 0.0
    found = WaveletDenoiser().fit_transform(cube)
    assert np.isfinite(found).all() and np.abs(found[0]).max() < 0.5


@pytest.mark.parametrize("denoiser", [GaussianSmoother(), MedianDenoiser()])
def test_one_channel(denoiser):
    found = clone(denoiser).fit_transform(LINE.cube[..., :1])
    assert found.shape == (20, 20, 1)


@each
def test_clone_pickle_and_fit_again(denoiser):
    fitted = clone(denoiser).fit(LINE.cube, sigma=LINE.sigma)
    found = fitted.transform(LINE.cube)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(LINE.cube), found)
    table = LINE.cube.reshape(-1, 48)[:, :30]
    fitted.fit(table, sigma=0.3)
    np.testing.assert_array_equal(
        fitted.transform(table), clone(denoiser).fit(table, sigma=0.3).transform(table)
    )


def test_score_without_truth_ranks_as_with_it():
    line = make_line_cube("B", n_pixels=32, n_channels=64, random_state=1)
    methods = [
        GaussianSmoother(0.8), GaussianSmoother(1.6), GaussianSmoother(6.0), WaveletDenoiser(),
        TotalVariationDenoiser(0.2), TotalVariationDenoiser(3.0),
    ]  # fmt: skip
    fitted = [m.fit(line.cube, sigma=line.sigma) for m in methods]
    true = np.array([m.score(line.cube, line.truth) for m in fitted])
    blind = np.array([m.score(line.cube) for m in fitted])
    # classes, as a pipeline hands on, are no truth
    assert fitted[0].score(line.cube, np.zeros(32)) == blind[0]
    assert np.corrcoef(true, blind)[0, 1] > 0.95
    assert np.argmax(true[:3]) == np.argmax(blind[:3]) == 1


def test_a_search_over_strips_of_the_sky():
    line = make_line_cube("B", n_pixels=(40, 16), n_channels=48, random_state=2)
    search = GridSearchCV(
        GaussianSmoother(), {"fwhm": [0.0, 1.6, 9.0]}, cv=KFold(4), error_score="raise"
    ).fit(line.cube)
    assert search.best_params_ == {"fwhm": 1.6}
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(0.0, abs=0.6)
    assert search.transform(line.cube).shape == line.cube.shape


def test_in_a_pipeline():
    steps = make_pipeline(MedianDenoiser((1, 1, 3)), PCADenoiser(3))
    found = steps.fit_transform(LINE.cube)
    once = MedianDenoiser((1, 1, 3)).fit_transform(LINE.cube)
    np.testing.assert_array_equal(found, PCADenoiser(3).fit_transform(once))


def test_names_of_the_channels():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(LINE.cube.reshape(-1, 48), columns=[f"v{i}" for i in range(48)])
    fitted = GaussianSmoother().set_output(transform="pandas").fit(frame)
    assert list(fitted.get_feature_names_out()) == list(frame.columns)
    assert list(fitted.transform(frame).columns) == list(frame.columns)
    assert not hasattr(fitted.fit(LINE.cube), "feature_names_in_")


@pytest.mark.parametrize(
    "X, options, match",
    [
        (LINE.cube[0, 0], {}, "Expected 2D array, got 1D array"),
        (LINE.cube[None], {}, "expected <= 2|Found array with dim 4"),
        (np.where(LINE.cube > 2, np.inf, LINE.cube), {}, "Input X contains infinity"),
        (LINE.cube + 1j, {}, "Complex data not supported"),
        (np.zeros((0, 4, 5)), {}, "Found array with 0 sample"),
        (np.zeros((4, 0, 5)), {}, r"Found array with 0 feature|X has shape \(4, 0, 5\)"),
        (LINE.cube, {"sigma": 0.0}, "sigma is 0 at 1 of 1 places; expected positive"),
        (LINE.cube, {"sigma": np.ones(7)}, r"sigma has shape \(7,\); expected a scalar"),
        (LINE.cube, {"signal_mask": np.zeros((20, 20), bool)}, r"signal_mask has shape \(20, 20\)"),
        (LINE.cube, {"signal_mask": np.zeros(LINE.cube.shape)}, "signal_mask has dtype float64"),
        (np.full((3, 4, 9), np.nan), {}, "blank everywhere"),
        (np.full((3, 4, 9), 2.0), {}, "constant along every spectrum"),
        (np.zeros((6, 1)), {}, r"1 feature\(s\), from which its noise cannot be estimated"),
    ],
)
def test_bad_input(X, options, match):
    with pytest.raises(ValueError, match=match):
        WaveletDenoiser().fit(X, **options)


@each
def test_another_number_of_channels(denoiser):
    fitted = clone(denoiser).fit(LINE.cube)
    name = type(denoiser).__name__
    with pytest.raises(ValueError, match=f"X has 47 channels, but {name} is expecting 48 channels"):
        fitted.transform(LINE.cube[..., 1:])
    with pytest.raises(ValueError, match=f"X has 47 features, but {name} is expecting 48 features"):
        fitted.transform(LINE.cube[0, :, 1:])
