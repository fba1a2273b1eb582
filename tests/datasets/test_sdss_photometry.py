"""The bundled photometry: every digit of the source, disjoint subsets, redshifts that colours tell."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from skastro.datasets import load_sdss_photometry

SOURCES = Path(os.environ.get("SKASTRO_DATA", ""), "photoz")


@pytest.mark.parametrize("subset", ["train", "test"])
def test_every_digit_is_that_of_the_source(subset):
    path = SOURCES / f"SDSS_MGS.{subset}"
    if not path.is_file():
        pytest.skip("SKASTRO_DATA is not the folder of the real data")
    lines = path.read_text().splitlines()
    expected = [line.split() for line in lines if not line.startswith("#")]
    data, target = load_sdss_photometry(subset, return_X_y=True)
    rows = np.column_stack([target, data])
    assert [[f"{value:.6f}" for value in row] for row in rows] == expected


@pytest.mark.parametrize("subset", ["train", "test"])
def test_structure(subset):
    galaxies = load_sdss_photometry(subset)
    assert galaxies.data.shape == (5000, 18) and galaxies.data.dtype == np.float64
    assert galaxies.target.shape == (5000,) and np.isfinite(galaxies.data).all()
    assert galaxies.subset == subset and galaxies.target_names == ["redshift"]
    assert len(galaxies.feature_names) == len(galaxies.feature_units) == 18
    assert 0 < galaxies.target.min() and galaxies.target.max() < 0.3
    r = galaxies.data[:, galaxies.feature_names.index("r")]
    assert 11 < r.min() and r.max() < 17.9
    for word in ("Illinois/NCSA", "Sloan Digital Sky Survey", "mgckind/MLZ"):
        assert word in galaxies.DESCR


def test_first_rows():
    """As printed in the source."""
    data, target = load_sdss_photometry("train", return_X_y=True)
    assert target[:2].tolist() == [0.083125, 0.125281]
    assert data[0, [0, 5, 9, 17]].tolist() == [19.655096, 1.505913, 0.063680, 0.014098]
    assert load_sdss_photometry("test").target[0] == 0.122743


def test_names_fit_the_columns():
    galaxies = load_sdss_photometry(None)
    column = dict(zip(galaxies.feature_names, galaxies.data.T, strict=True))
    for blue, red in ("ug", "gr", "ri", "iz"):
        np.testing.assert_allclose(column[f"{blue}-{red}"], column[blue] - column[red], atol=1e-9)
        error = np.hypot(column[f"err_{blue}"], column[f"err_{red}"])
        np.testing.assert_allclose(column[f"err_{blue}-{red}"], error, atol=6e-7)


def test_both_subsets_are_disjoint_and_in_order():
    both = load_sdss_photometry(None)
    for rows, subset in ((slice(5000), "train"), (slice(5000, None), "test")):
        data, target = load_sdss_photometry(subset, return_X_y=True)
        np.testing.assert_array_equal(both.data[rows], data)
        np.testing.assert_array_equal(both.target[rows], target)
    assert len(np.unique(both.data, axis=0)) == 10_000


def test_colours_tell_the_redshift():
    """25 neighbours in all columns were measured before at 0.01451 (median of the neighbours)."""
    X, z = load_sdss_photometry("train", return_X_y=True)
    X_test, z_test = load_sdss_photometry("test", return_X_y=True)
    knn = KNeighborsRegressor(25).fit(X[:, :9], z)
    scaled = (knn.predict(X_test[:, :9]) - z_test) / (1 + z_test)
    assert 1.4826 * np.median(np.abs(scaled - np.median(scaled))) < 0.017
    shuffled = knn.fit(X[:, :9], np.random.default_rng(0).permutation(z))
    assert shuffled.score(X_test[:, :9], z_test) < 0.01


def test_as_frame():
    pytest.importorskip("pandas")
    galaxies = load_sdss_photometry("test", as_frame=True)
    assert list(galaxies.data.columns) == galaxies.feature_names
    assert galaxies.target.name == "redshift"
    data, target = load_sdss_photometry("test", return_X_y=True, as_frame=True)
    np.testing.assert_array_equal(data.to_numpy(), galaxies.data)
    np.testing.assert_array_equal(target.to_numpy(), galaxies.target)


@pytest.mark.parametrize("bad", ["all", "", "Train", 0, True, ["train"]])
def test_bad_subset(bad):
    with pytest.raises(ValueError, match="subset=.*expected 'train', 'test' or None"):
        load_sdss_photometry(bad)
