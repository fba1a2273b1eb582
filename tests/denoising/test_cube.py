"""`CubeDenoiser` on cubes and tables: what it gains, what goes in and comes out, what it refuses."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from skorch.callbacks import Callback

from skastro import io
from skastro.cube_metrics import residual_rms, snr_gain
from skastro.datasets import make_line_cube
from skastro.denoising import CubeDenoiser, find_signal
from skastro.denoising.baselines import GaussianSmoother, PCADenoiser

QUICK = {"max_epochs": 1, "n_samples": 1024, "random_state": 0}


@pytest.fixture(scope="module")
def line():
    return make_line_cube("A", n_pixels=(32, 30), n_channels=80, random_state=3)


@pytest.fixture(scope="module")
def quick(line):
    return CubeDenoiser(**QUICK).fit(line.cube)


def gain(line, estimate, **options):
    return snr_gain(line.truth, line.cube, estimate, line.sigma, **options)


# -- quality


def test_it_beats_a_gaussian_and_leaves_line_free_voxels_empty(line):
    denoised = CubeDenoiser(max_epochs=4, random_state=0).fit_transform(line.cube)
    smoothed = GaussianSmoother(fwhm=1.5).fit_transform(line.cube)
    assert gain(line, denoised) > gain(line, smoothed) + 1.5
    assert residual_rms(line.truth, denoised, line.sigma) < 0.1
    assert denoised.sum() == pytest.approx(line.truth.sum(), rel=0.04)


def test_it_learns_from_noise_alone():
    line = make_line_cube("B", n_pixels=40, n_channels=80, random_state=1)
    scratch = CubeDenoiser(
        pretrained=False, gate=False, hidden=(32,), max_epochs=8, n_samples=8192, random_state=0
    ).fit(line.cube)
    assert scratch.history_[-1]["train_loss"] < scratch.history_[0]["train_loss"]
    assert gain(line, scratch.transform(line.cube)) > 4.0


def test_going_on_with_the_cube_itself_helps(line):
    untouched = CubeDenoiser(max_epochs=1, n_samples=1, lr=1e-12, random_state=0)
    longer = CubeDenoiser(max_epochs=6, random_state=0)
    assert gain(line, longer.fit_transform(line.cube)) > gain(
        line, untouched.fit_transform(line.cube)
    )


def test_error_bars_are_those_of_the_truth(line):
    denoiser = CubeDenoiser(max_epochs=2, random_state=0).fit(line.cube)
    error = denoiser.transform(line.cube) - line.truth
    std = denoiser.predict_std(line.cube)
    signal = line.truth > 0.5 * line.sigma
    rms = [np.sqrt(np.mean(values[signal] ** 2)) for values in (error, std)]
    assert rms[1] == pytest.approx(rms[0], rel=0.25)
    assert 0.5 < np.mean(np.abs(error[signal]) < std[signal]) < 0.8


def test_the_autoencoder_removes_noise_and_encodes(line):
    denoiser = CubeDenoiser(
        "autoencoder", architecture="dense", max_epochs=60, n_components=8, random_state=0
    )
    denoised = denoiser.fit_transform(line.cube)
    assert gain(line, denoised, zone="low") > 1.0
    assert residual_rms(line.truth, denoised, line.sigma) < 0.5
    latent = denoiser.encode(line.cube)
    assert latent.shape == (32, 30, 8) and np.isfinite(latent).all()


def test_the_local_autoencoder_keeps_distant_channels_apart(line):
    denoiser = CubeDenoiser("autoencoder", gate=False, max_epochs=1, random_state=0).fit(line.cube)
    network = denoiser.net_.module_.network
    spectra = torch.randn(3, 80)
    moved = spectra.clone()
    moved[:, 10] += 5.0
    with torch.no_grad():
        change = (network(moved) - network(spectra)).abs().amax(0)
    assert change[10] > 0 and not change[10 + network.reach + 1 :].any()


def test_encode_belongs_to_the_autoencoder(quick):
    with pytest.raises(AttributeError):
        quick.encode(None)


def test_score_ranks_without_truth(line):
    good = CubeDenoiser(max_epochs=2, random_state=0).fit(line.cube)
    bad = PCADenoiser(n_components=40).fit(line.cube)
    assert good.score(line.cube) > bad.score(line.cube) + 1.0
    assert good.score(line.cube, line.truth) == pytest.approx(
        gain(line, good.transform(line.cube)), abs=0.5
    )


# -- the interface of scikit-learn


@pytest.mark.parametrize("method", ["patch", "autoencoder"])
def test_every_check_passes_on_tables(method):
    denoiser = CubeDenoiser(method, max_epochs=2, n_samples=256, dtype="float64", random_state=0)
    results = check_estimator(denoiser, on_skip=None, on_fail=None)
    assert len(results) > 40
    assert {row["check_name"] for row in results if row["status"] == "failed"} == set()


def test_grid_search_over_strips_of_sky(line):
    search = GridSearchCV(
        make_pipeline(CubeDenoiser(**QUICK)),
        {"cubedenoiser__pretrained": [True, False]},
        cv=KFold(2),
    ).fit(line.cube)
    assert search.best_params_ == {"cubedenoiser__pretrained": True}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.transform(line.cube).shape == line.cube.shape


def test_clone_pickle_and_file_give_the_same(quick, line, tmp_path):
    want = quick.transform(line.cube)
    io.save(quick, tmp_path / "a.skops")
    for copy in (pickle.loads(pickle.dumps(quick)), io.load(tmp_path / "a.skops")):
        np.testing.assert_array_equal(copy.transform(line.cube), want)
        np.testing.assert_array_equal(copy.predict_std(line.cube), quick.predict_std(line.cube))
    again = clone(quick).fit(line.cube).transform(line.cube)
    np.testing.assert_array_equal(again, want)


def test_the_global_random_state_is_left_alone(line):
    torch.manual_seed(1), np.random.seed(1)  # noqa: NPY002
    want = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(1), np.random.seed(1)  # noqa: NPY002
    CubeDenoiser(**QUICK).fit(line.cube)
    assert (torch.rand(1), np.random.rand()) == want  # noqa: NPY002


def test_another_seed_is_another_fit(quick, line):
    # without validation the pretrained weights are always left
    one, other = (
        CubeDenoiser(**QUICK | {"random_state": seed}, validation_fraction=None).fit(line.cube)
        for seed in (0, 1)
    )
    assert not np.array_equal(other.transform(line.cube), one.transform(line.cube))


def test_an_interrupted_fit_is_usable(line):
    class Stop(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    denoiser = CubeDenoiser(**QUICK, callbacks=[Stop()])
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        denoiser.fit(line.cube)
    assert gain(line, denoiser.transform(line.cube)) > 2


def test_not_fitted(line):
    with pytest.raises(NotFittedError):
        CubeDenoiser().transform(line.cube)


# -- blanks


def test_blanks_stay_blank_and_do_not_spread(line):
    cube = line.cube.copy()
    cube[3, 4] = np.nan
    cube[..., 7] = np.nan
    cube[10, 11, 40] = np.nan
    denoised = CubeDenoiser(**QUICK).fit_transform(cube)
    np.testing.assert_array_equal(np.isnan(denoised), np.isnan(cube))
    assert gain_where(line, denoised, ~np.isnan(cube)) > 3


def gain_where(line, estimate, where):
    noise = ((line.cube - line.truth) / line.sigma)[where & (line.truth > 0.5 * line.sigma)]
    error = ((estimate - line.truth) / line.sigma)[where & (line.truth > 0.5 * line.sigma)]
    return 10 * np.log10(np.mean(noise**2) / np.mean(error**2))


def test_a_cube_without_signal_is_zero():
    noise = np.random.default_rng(0).normal(size=(20, 20, 60))
    denoised = CubeDenoiser(**QUICK).fit_transform(noise)
    # the mask of signal is wrong in a fraction of a percent of the voxels, and the network knows better
    assert np.mean(denoised != 0) < 0.05 and np.abs(denoised).max() < 0.5


def test_a_cube_smaller_than_a_window():
    cube = np.random.default_rng(0).normal(size=(2, 3, 5))
    assert CubeDenoiser(**QUICK).fit_transform(cube).shape == cube.shape


# -- sigma and mask of the user


def test_sigma_and_mask_of_the_user_are_used(line):
    mask = np.zeros(line.cube.shape, dtype=bool)
    mask[10:20, 10:20, 20:60] = True
    denoiser = CubeDenoiser(**QUICK, n_dilate=0)
    denoised = denoiser.fit(line.cube, sigma=line.sigma, signal_mask=mask).transform(line.cube)
    assert not denoised[~mask].any() and denoised[mask].any()
    # they belong to that cube alone
    other = denoiser.transform(line.cube + 0.01)
    assert other[~mask].any()
    given = denoiser.transform(line.cube + 0.01, sigma=line.sigma, signal_mask=mask)
    assert not given[~mask].any()


def test_a_scalar_sigma_is_kept_for_other_cubes(line):
    one = CubeDenoiser(**QUICK).fit(line.cube, sigma=0.3)
    assert float(one.sigma_) == pytest.approx(0.3)
    np.testing.assert_array_equal(
        one.transform(line.second), one.transform(line.second, sigma=np.full((32, 30), 0.3))
    )


def test_units_of_sigma_are_converted(line):
    kelvin = CubeDenoiser(**QUICK).fit(line.cube * u.K, sigma=300 * u.mK)
    bare = CubeDenoiser(**QUICK).fit(line.cube, sigma=0.3)
    np.testing.assert_allclose(
        kelvin.transform(line.cube * u.K).value, bare.transform(line.cube), rtol=1e-5, atol=1e-6
    )
    milli = kelvin.transform((line.cube * u.K).to(u.mK))
    assert milli.unit == u.mK
    np.testing.assert_allclose(milli.value / 1e3, bare.transform(line.cube), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="X has unit 'Jy'; expected one convertible to 'K'"):
        kelvin.transform(line.cube * u.Jy)


# -- kinds of cubes


@pytest.fixture(scope="module")
def hdu(line):
    hdu = fits.PrimaryHDU(np.moveaxis(line.cube, 2, 0)[None].astype(">f4"))
    hdu.header.update(
        CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CTYPE3="VRAD", CTYPE4="STOKES", CUNIT3="km/s",
        CDELT1=-0.001, CDELT2=0.001, CDELT3=0.5, CRPIX3=1.0, CRVAL3=-10.0, BUNIT="K",
        CRVAL1=83.0, CRVAL2=-5.0, CUNIT1="deg", CUNIT2="deg", OBJECT="Orion",
    )  # fmt: skip
    return hdu


def test_fits_in_fits_out(line, hdu, quick, tmp_path):
    want = quick.transform(line.cube)
    denoised = quick.transform(hdu)
    assert isinstance(denoised, fits.PrimaryHDU) and denoised.data.shape == (1, 80, 32, 30)
    np.testing.assert_array_equal(np.moveaxis(denoised.data[0], 0, 2), want)
    assert denoised.header["OBJECT"] == "Orion" and denoised.header["CTYPE3"] == "VRAD"
    assert "CubeDenoiser" in str(denoised.header["HISTORY"])
    path = tmp_path / "cube.fits"
    hdu.writeto(path)
    np.testing.assert_array_equal(quick.transform(path).data, denoised.data)
    fitted = clone(quick).fit(path)
    np.testing.assert_array_equal(fitted.transform(str(path)).data, denoised.data)


def test_nddata_and_quantity(line, quick):
    want = quick.transform(line.cube)
    data = NDData(np.moveaxis(line.cube, 2, 0), unit="K", mask=np.moveaxis(line.cube > 1e9, 2, 0))
    out = quick.transform(data)
    assert out.unit == u.K
    np.testing.assert_array_equal(np.moveaxis(out.data, 0, 2), want)
    assert quick.transform(line.cube * u.K).unit == u.K


def test_spectral_cube(line, hdu, quick):
    spectral_cube = pytest.importorskip("spectral_cube")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cube = spectral_cube.SpectralCube.read(fits.PrimaryHDU(hdu.data[0], hdu.header))
        out = quick.transform(cube)
        assert isinstance(out, spectral_cube.SpectralCube) and out.unit == u.K
        values = out.unmasked_data[:].value
    np.testing.assert_allclose(np.moveaxis(values, 0, 2), quick.transform(line.cube), atol=1e-6)


def test_integers_and_doubles(line, quick):
    assert quick.transform((line.cube * 100).astype(np.int16)).dtype == np.float32
    assert quick.transform(line.cube.astype(np.float64)).dtype == np.float64


def test_blocks_give_what_the_whole_gives(line, quick):
    mask = find_signal(line.cube, line.sigma)
    want = quick.transform(line.cube, sigma=line.sigma, signal_mask=mask)
    small = pickle.loads(pickle.dumps(quick)).set_params(max_memory=4 * 4 * 24 * 30 * 80)
    got = small.transform(line.cube, sigma=line.sigma, signal_mask=mask)
    np.testing.assert_allclose(got, want, atol=1e-5)
    # with the noise and the mask of the whole, whatever the blocks
    cube = line.cube.copy()
    cube[10:14, 3:9] = np.nan
    cube[:, 20, 5:9] = np.nan
    want = quick.transform(cube)
    assert len(small._tiles(io.read_cube(cube))[0]) > 2
    np.testing.assert_allclose(small.transform(cube), want, atol=1e-5)
    np.testing.assert_allclose(small.predict_std(cube), quick.predict_std(cube), atol=1e-5)


def test_dask_arrays_stay_lazy(line, quick):
    da = pytest.importorskip("dask.array", reason="needs dask")
    small = pickle.loads(pickle.dumps(quick)).set_params(max_memory=4 * 4 * 24 * 30 * 80)
    reads = []

    def read(block):
        reads.append(block.shape)
        return block

    lazy = small.transform(
        da.from_array(line.cube, chunks=(8, 30, 80)).map_blocks(read, meta=line.cube)
    )
    assert isinstance(lazy, da.Array) and not reads
    small.set_params(gate=False)
    np.testing.assert_allclose(lazy.compute(), quick.transform(line.cube), atol=1e-5)


def test_a_large_cube_goes_from_file_to_file(line, hdu, quick, tmp_path):
    path, out = tmp_path / "cube.fits", tmp_path / "denoised.fits"
    hdu.writeto(path)
    small = pickle.loads(pickle.dumps(quick)).set_params(max_memory=4 * 4 * 24 * 30 * 80)
    small.transform_file(path, out)
    written = fits.getdata(out)
    assert written.shape == (1, 80, 32, 30)
    np.testing.assert_allclose(written, small.transform(path).data)
    with pytest.raises(FileExistsError):
        small.transform_file(path, out)
    small.transform_file(path, out, overwrite=True, std=True)
    np.testing.assert_allclose(fits.getdata(out), small.predict_std(path).data)


def test_a_failure_leaves_the_old_file(line, hdu, quick, tmp_path):
    path, out = tmp_path / "cube.fits", tmp_path / "denoised.fits"
    broken = hdu.copy()
    broken.data = broken.data.copy()
    broken.data[0, 0, 31, 0] = np.inf
    broken.writeto(path)
    out.write_text("old")
    small = pickle.loads(pickle.dumps(quick)).set_params(max_memory=4 * 4 * 24 * 30 * 80)
    with pytest.raises(ValueError, match="infinity"):
        small.transform_file(path, out, sigma=0.3, overwrite=True)
    assert out.read_text() == "old" and len(list(tmp_path.iterdir())) == 2


# -- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[..., :1], "1 channel"),
        (lambda c: np.full_like(c, np.nan), "blank everywhere"),
        (lambda c: np.ones_like(c), "constant"),
        (lambda c: np.where(c == c.max(), np.inf, c), "infinity"),
        (lambda c: c[None], "has shape"),
        (lambda c: c[:0], "shape"),
        (lambda c: c.astype(complex), "omplex"),
    ],
)
def test_bad_cubes_are_refused_in_one_line(line, change, message):
    with pytest.raises(ValueError, match=message) as error:
        CubeDenoiser(**QUICK).fit(change(line.cube))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.0}, "sigma is 0"),
        ({"sigma": -np.ones((32, 30))}, "sigma is -1"),
        ({"sigma": np.ones((3, 4))}, r"sigma has shape \(3, 4, 1\)|sigma has shape \(3, 4\)"),
        ({"signal_mask": np.ones((3, 4), dtype=bool)}, r"signal_mask has shape \(3, 4\)"),
        ({"signal_mask": np.ones((32, 30, 80))}, "signal_mask has dtype float64"),
    ],
)
def test_bad_sigma_and_mask_are_refused(line, options, message):
    with pytest.raises(ValueError, match=message):
        CubeDenoiser(**QUICK).fit(line.cube, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "wavelet"}, "method"),
        ({"tile": (2, 2)}, r"tile=\(2, 2\); expected three integers from 1"),
        ({"halo": (2, 2, -1)}, r"halo=\(2, 2, -1\); expected three integers from 0"),
        ({"pretrained": True, "halo": (1, 1, 1)}, "pretrained=True with tile"),
        ({"sparsity": 0.0}, "sparsity"),
        ({"n_dilate": -1}, "n_dilate"),
        ({"mask_options": {"low": 9.0}}, "low=9.0 is above high"),
    ],
)
def test_bad_parameters_are_refused(line, options, message):
    with pytest.raises(ValueError, match=message):
        CubeDenoiser(**{**QUICK, **options}).fit(line.cube)


def test_other_shapes_at_transform(line, quick):
    with pytest.raises(ValueError, match="X has 79 channels, but CubeDenoiser is expecting 80"):
        quick.transform(line.cube[..., 1:])
    with pytest.raises(ValueError, match="expected a cube"):
        quick.transform(line.cube[0])


def test_truncated_file(hdu, quick, tmp_path):
    path = tmp_path / "cube.fits"
    hdu.writeto(path)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(ValueError, match="truncated"):
        quick.transform(path)
