"""PCADenoiser against scikit-learn's PCA, and least squares where channels are blank."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skastro.denoising.baselines import PCADenoiser

rng = np.random.default_rng(0)
SHAPES = rng.normal(size=(4, 24))
CUBE = rng.normal(size=(9, 8, 4)) * [9.0, 5.0, 3.0, 2.0] @ SHAPES + 0.3 * rng.normal(
    size=(9, 8, 24)
)
SIGMA = rng.uniform(0.5, 2.0, CUBE.shape)


@pytest.mark.parametrize("n_components", [1, 4, 24])
@pytest.mark.parametrize("n_rows", [9, 2])  # more spectra than channels, and fewer
def test_it_is_the_pca_of_the_spectra_in_units_of_their_noise(n_components, n_rows):
    cube, sigma = CUBE[:n_rows], SIGMA[:n_rows]
    n_components = min(n_components, 8 * n_rows)
    denoiser = PCADenoiser(n_components).fit(cube, sigma=sigma)
    snr = (cube / sigma.astype(np.float32)).reshape(-1, 24)
    pca = PCA(n_components, svd_solver="full").fit(snr)
    expected = pca.inverse_transform(pca.transform(snr)).reshape(cube.shape) * sigma
    np.testing.assert_allclose(denoiser.transform(cube), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        denoiser.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-8
    )
    assert denoiser.components_.shape == (n_components, 24)


def test_other_spectra_are_projected_on_what_was_learnt():
    denoiser = PCADenoiser(3).fit(CUBE, sigma=1.0)
    pca = PCA(3, svd_solver="full").fit(CUBE.reshape(-1, 24))
    other = rng.normal(size=(5, 24))
    expected = pca.inverse_transform(pca.transform(other))
    np.testing.assert_allclose(denoiser.transform(other), expected, rtol=1e-9, atol=1e-12)


def test_spectra_with_blanks_take_no_part_in_the_fit():
    table = CUBE.reshape(-1, 24).copy()
    table[::3, 5:9] = np.nan
    denoiser = PCADenoiser(3).fit(table, sigma=1.0)
    complete = ~np.isnan(table).any(axis=1)
    pca = PCA(3, svd_solver="full").fit(table[complete])
    np.testing.assert_allclose(denoiser.mean_, pca.mean_, rtol=1e-10)
    np.testing.assert_allclose(
        denoiser.components_.T @ denoiser.components_,
        pca.components_.T @ pca.components_,
        atol=1e-9,
    )


def test_blank_channels_are_left_out_of_the_projection():
    denoiser = PCADenoiser(4).fit(CUBE, sigma=1.0)
    table = CUBE.reshape(-1, 24)[:20].copy()
    blank = rng.random(table.shape) < 0.2
    table[blank] = np.nan
    found = denoiser.transform(table)
    assert np.array_equal(np.isnan(found), blank)
    for row, smooth, gone in zip(table, found, blank, strict=True):
        basis = denoiser.components_[:, ~gone].T
        weight = np.linalg.lstsq(basis, (row - denoiser.mean_)[~gone], rcond=None)[0]
        np.testing.assert_allclose(smooth[~gone], denoiser.mean_[~gone] + basis @ weight, rtol=1e-6)


def test_a_spectrum_with_fewer_channels_than_components():
    denoiser = PCADenoiser(4).fit(CUBE, sigma=1.0)
    table = np.full((1, 24), np.nan)
    table[0, 3] = 2.0
    assert denoiser.transform(table)[0, 3] == pytest.approx(2.0, rel=1e-6)


def test_where_every_spectrum_has_blanks_the_mean_stands_in():
    table = CUBE.reshape(-1, 24).copy()
    table[np.arange(72), rng.integers(0, 24, 72)] = np.nan
    denoiser = PCADenoiser(2).fit(table, sigma=1.0)
    mean = np.nanmean(table, axis=0)
    filled = np.where(np.isnan(table), mean, table)
    pca = PCA(2, svd_solver="full").fit(filled)
    np.testing.assert_allclose(denoiser.mean_, mean, rtol=1e-10)
    np.testing.assert_allclose(
        denoiser.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-8
    )


def test_blank_channels_and_blank_spectra():
    cube = CUBE.copy()
    cube[..., 7] = np.nan
    cube[2, 3] = np.nan
    found = PCADenoiser(4).fit_transform(cube, sigma=1.0)
    assert np.array_equal(np.isnan(found), np.isnan(cube))
    kept = [i for i in range(24) if i != 7]
    alone = cube[..., kept]
    expected = PCADenoiser(4).fit_transform(alone, sigma=1.0)
    np.testing.assert_allclose(found[..., kept], expected, rtol=1e-6, atol=1e-8)


def test_no_more_components_than_spectra_or_channels():
    assert PCADenoiser(10).fit(CUBE[0, :5], sigma=1.0).n_components_ == 5
    assert PCADenoiser(50).fit(CUBE, sigma=1.0).n_components_ == 24
    single = CUBE[0, :1]
    denoiser = PCADenoiser().fit(single, sigma=1.0)
    assert denoiser.n_components_ == 0
    np.testing.assert_allclose(denoiser.transform(single), single, rtol=1e-12)


def test_bad_number():
    with pytest.raises(ValueError, match="'n_components' parameter of PCADenoiser must be"):
        PCADenoiser(0).fit(CUBE)
