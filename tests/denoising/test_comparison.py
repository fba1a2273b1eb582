"""The comparison of denoisers: its cubes, its scores, its methods."""

import astropy.units as u
import numpy as np
import pytest
from sklearn.utils import Bunch

from skastro.compare import compare
from skastro.cube_metrics import snr_gain
from skastro.datasets import load_ngc4047, make_line_cube
from skastro.denoising import comparison
from skastro.denoising.baselines import GaussianSmoother, MaskDenoiser
from skastro.denoising.comparison import (
    TASK,
    default_estimators,
    load_cubes,
    noisier_galaxy,
    split_cubes,
)

LINE = make_line_cube(n_pixels=16, n_channels=48, random_state=0)
METHODS = {"kernel": GaussianSmoother(), "mask": MaskDenoiser()}


def test_default_methods():
    methods = default_estimators(random_state=3)
    assert list(methods) == [
        "median", "total variation", "PCA", "Gaussian kernel", "mask x Gaussian", "wavelet",
        "Gaussian components", "autoencoder", "CubeDenoiser",
    ]  # fmt: skip
    assert methods["CubeDenoiser"].random_state == methods["autoencoder"].random_state == 3
    assert methods["CubeDenoiser"].max_epochs == "auto"
    assert default_estimators(quick=True)["CubeDenoiser"].max_epochs == 1


def test_without_pywavelets_there_are_no_wavelets(monkeypatch):
    monkeypatch.setattr(comparison, "find_spec", lambda name: None)
    assert "wavelet" not in default_estimators()


def test_figures_are_those_of_a_fit_by_hand():
    found = compare(METHODS, LINE, task="denoising", progress=False)
    assert [row["error"] for row in found.rows] == ["", ""] and found.notes == {}
    kernel = GaussianSmoother().fit_transform(LINE.cube)
    np.testing.assert_array_equal(found.predictions["kernel"], kernel)
    row = found.rows[0]
    assert row["gain"] == pytest.approx(snr_gain(LINE.truth, LINE.cube, kernel, LINE.sigma))
    assert row["flux"] == pytest.approx(kernel.sum() / LINE.truth.sum(), rel=1e-4)
    weak = (LINE.truth / LINE.sigma).max(axis=-1) < 3
    assert 5 < weak.sum() < 250
    assert row["flux_weak"] == pytest.approx(kernel[weak].sum() / LINE.truth[weak].sum(), rel=1e-4)
    assert 0 < row["s_per_mvox"] < 10
    # no method saw the truth or the noise level
    expected = MaskDenoiser().fit_transform(LINE.cube)
    np.testing.assert_array_equal(found.predictions["mask"], expected)
    text = str(found).splitlines()
    assert text[0].startswith("denoising: cube, 16 x 16 x 48, fitted without its truth")
    assert text[1].split()[:3] == ["method", "gain", "dB"] and "s / Mvox" in text[1]


def test_every_default_method_runs():
    methods = default_estimators(random_state=0, quick=True)
    found = compare(methods, LINE, task="denoising", progress=False)
    assert [row["error"] for row in found.rows] == [""] * len(methods)
    assert all(np.isfinite([row[key] for key in TASK.columns]).all() for row in found.rows)


def test_several_cubes_and_blanks():
    blank = LINE.cube.copy()
    blank[:3] = np.nan
    cubes = {"whole": LINE, "blank": (blank, LINE.truth, LINE.sigma)}
    found = compare(METHODS, cubes, task="denoising", progress=False)
    assert [row["cube"] for row in found.rows] == ["whole", "whole", "blank", "blank"]
    kernel = found.predictions["blank"]["kernel"]
    assert np.isnan(kernel[:3]).all()
    row = found.rows[2]
    assert row["flux"] == pytest.approx(kernel[3:].sum() / LINE.truth[3:].sum(), rel=1e-4)
    assert np.isfinite([row[key] for key in TASK.columns]).all()


def test_flux_mask_restricts_the_fluxes_alone():
    mask = LINE.truth > 0.5 * LINE.sigma
    with_mask = compare(METHODS, LINE | {"flux_mask": mask}, task=TASK, progress=False)
    without = compare(METHODS, LINE, task=TASK, progress=False)
    kernel = with_mask.predictions["kernel"]
    ratio = kernel[mask].sum() / LINE.truth[mask].sum()
    assert with_mask.rows[0]["flux"] == pytest.approx(ratio, rel=1e-4)
    assert with_mask.rows[0]["gain"] == without.rows[0]["gain"]


def test_forms_of_data():
    split = split_cubes((LINE.cube * u.K, LINE.truth * u.K * 1.0))
    assert split.unit == "K" and split.X_test is split.X_train
    np.testing.assert_array_equal(split.Y_test, LINE.truth)
    assert 0.9 < np.median(split.sigma / LINE.sigma) < 1.1
    assert split_cubes(LINE).unit == "K" and len(split_cubes(LINE).velocity) == 48
    assert list(split_cubes({"one": LINE, "two": LINE})) == ["one", "two"]


@pytest.mark.parametrize(
    "data, match",
    [
        (LINE.cube, "data is a ndarray; expected a Bunch with 'cube' and 'truth'"),
        (Bunch(cube=LINE.cube), "data is a Bunch; expected"),
        ((LINE.cube, LINE.truth[:5]), r"truth \(5, 16, 48\); expected the same shape"),
        ((LINE.cube[0], LINE.truth[0]), r"cube has shape \(16, 48\)"),
        ((LINE.cube, LINE.truth, 0.0), "sigma is 0"),
        ((LINE.cube * u.K, LINE.truth * u.s), "truth has unit 's'|truth.* 's'"),
        ({"one": LINE.cube}, "data is a ndarray; expected"),
        ({}, "data is a dict"),
    ],
)
def test_bad_data_is_one_line(data, match):
    with pytest.raises(ValueError, match=match) as error:
        split_cubes(data)
    assert "\n" not in str(error.value)


def test_cubes_of_the_task():
    cubes = load_cubes()
    assert list(cubes) == ["A", "B", "NGC 4047"]
    for cube in cubes.values():
        assert cube.cube.dtype == np.float32 and cube.title
        assert len(cube.velocity) == cube.cube.shape[-1]


def test_noise_added_to_the_galaxy_is_that_of_the_galaxy():
    galaxy = noisier_galaxy(factor=3.0, random_state=2)
    observed = load_ngc4047().cube[32:96, 32:96]
    inside = galaxy.flux_mask
    np.testing.assert_array_equal(galaxy.truth[inside], observed[inside])
    assert np.all(galaxy.truth[~inside] == 0)
    own = galaxy.sigma / np.sqrt(10.0)
    added = (galaxy.cube - observed) / own
    assert added.std() == pytest.approx(3.0, rel=0.05)

    def neighbours(noise):
        return np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]

    # a beam of seven pixels: neighbours are almost the same, in both
    free = (observed / own)[..., :9]
    assert neighbours(added) == pytest.approx(neighbours(free), abs=0.02)
    assert neighbours(added) > 0.9
    # independent of the noise that was there
    assert abs(np.corrcoef(added[..., :9].ravel(), free.ravel())[0, 1]) < 0.1
    assert not np.array_equal(galaxy.cube, noisier_galaxy(random_state=3).cube)
    np.testing.assert_array_equal(galaxy.cube, noisier_galaxy(random_state=2).cube)
