"""`SphericalScatteringTransform` as scikit-learn sees it: shapes, names, masks, pickles, bad input."""

import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skastro.datasets import make_sphere_fields
from skastro.healpix import nested_of_ring, ring_of_nested
from skastro.io import load, save
from skastro.scattering import SphericalCovariance, SphericalScatteringTransform
from skastro.scattering.sphere_grid import pixel_vectors

NSIDE = 8
N_PIXELS = 12 * NSIDE**2


@pytest.fixture(scope="module")
def maps():
    return make_sphere_fields(4, NSIDE, "lognormal", index=2.0, random_state=0).maps


@pytest.fixture(scope="module")
def channels(maps):
    other = make_sphere_fields(4, NSIDE, index=2.0, random_state=1).maps
    return np.stack([maps, other + maps], 1)


@pytest.mark.parametrize("reduction", ["isotropic", "angular", "scale", None])
@pytest.mark.parametrize("normalization", ["own", "reference"])
def test_names_shapes_pickles_and_clones(maps, reduction, normalization):
    transform = SphericalScatteringTransform(
        2, n_orientations=3, reduction=reduction, normalization=normalization
    )
    found = transform.fit_transform(maps)
    names = transform.get_feature_names_out()
    assert found.shape == (4, len(names)) and len(set(names)) == len(names)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    again = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(again.transform(maps), found)
    np.testing.assert_array_equal(clone(transform).fit(maps).transform(maps), found)
    double = clone(transform).set_params(dtype="float64").fit(maps).transform(maps)
    assert double.dtype == np.float64
    assert np.abs(double - found).max() < 1e-4 * np.abs(double).max()
    few = clone(transform).set_params(max_memory=1).fit(maps).transform(maps)
    np.testing.assert_allclose(few, found, rtol=1e-4, atol=1e-5)


def test_the_values_are_those_of_the_statistics(maps):
    transform = SphericalScatteringTransform(2, reduction=None, dtype="float64").fit(maps)
    statistics = SphericalCovariance(NSIDE, 2)
    nested = torch.from_numpy(maps[:, ring_of_nested(NSIDE)]).double()
    np.testing.assert_allclose(transform.transform(maps), statistics(nested), rtol=1e-12)
    assert list(transform.get_feature_names_out()) == statistics.names
    reference = SphericalScatteringTransform(
        2, reduction=None, dtype="float64", normalization="reference"
    ).fit(maps)
    powers = {key: v.mean(0, keepdim=True) for key, v in statistics.norm(nested).items()}
    expected = statistics(nested[:1], reference=powers)
    np.testing.assert_allclose(reference.transform(maps[:1]), expected, rtol=1e-12)


def test_orders(maps):
    valid = pixel_vectors(NSIDE)[:, 2] > -0.5
    nested = maps[:, ring_of_nested(NSIDE)]
    for mask in (None, valid):
        ring_mask = None if mask is None else mask[nested_of_ring(NSIDE)]
        ring = SphericalScatteringTransform(1).fit(maps, mask=ring_mask)
        same = SphericalScatteringTransform(1, order="nested").fit(nested, mask=mask)
        np.testing.assert_array_equal(ring.transform(maps), same.transform(nested))


def test_the_default_number_of_scales(maps):
    assert SphericalScatteringTransform().fit(maps).n_scales_ == 1
    fine = make_sphere_fields(1, 16, random_state=0).maps
    assert SphericalScatteringTransform(n_orientations=2).fit(fine).n_scales_ == 2
    coarse = make_sphere_fields(1, 4, random_state=0).maps
    assert SphericalScatteringTransform(n_orientations=2).fit(coarse).n_scales_ == 1


def test_channels_and_their_pairs(channels):
    every = SphericalScatteringTransform(2, n_orientations=2).fit(channels)
    own = clone(every).set_params(pairs="auto").fit(channels)
    names = every.get_feature_names_out()
    assert names[0] == "c0:mean/std" and names[-1].startswith("c0xc1:")
    n = len(own.get_feature_names_out())
    assert n < len(names)
    np.testing.assert_allclose(every.transform(channels)[:, :n], own.transform(channels), rtol=1e-6)
    single = SphericalScatteringTransform(2, n_orientations=2).fit(channels[:, 1])
    np.testing.assert_allclose(
        own.transform(channels)[:, n // 2 :], single.transform(channels[:, 1]), rtol=1e-5, atol=1e-6
    )
    # what the second has of the first
    correlation = every.transform(channels)[:, list(names).index("c0xc1:Corr00[j1=0]")]
    assert (correlation > 0.3).all() and (correlation < 1).all()


def test_masks_hide_blank_pixels(maps):
    valid = (pixel_vectors(NSIDE)[:, 0] > -0.3)[nested_of_ring(NSIDE)]
    blank = np.where(valid, maps, np.nan)
    transform = SphericalScatteringTransform(1).fit(blank, mask=valid)
    found = transform.transform(blank)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(transform.transform(maps), found)
    hidden = np.ma.MaskedArray(maps, ~np.broadcast_to(valid, maps.shape))
    np.testing.assert_array_equal(transform.transform(hidden), found)
    again = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(again.transform(blank), found)
    with pytest.raises(ValueError, match="X has nan in map 0, .*that the mask hides them"):
        transform.transform(np.full_like(maps, np.nan))


def test_saved_for_strangers(maps, tmp_path):
    pytest.importorskip("skops", reason="skastro.io.save needs skops")
    valid = np.arange(N_PIXELS) < 700
    transform = SphericalScatteringTransform(1, normalization="reference").fit(maps, mask=valid)
    save(transform, tmp_path / "sphere.skops")
    found = load(tmp_path / "sphere.skops").transform(maps)
    np.testing.assert_array_equal(found, transform.transform(maps))


def test_gradients_of_the_fitted_statistics(maps):
    """Also where the weights were made without."""
    transform = SphericalScatteringTransform(1).fit(maps)
    transform.transform(maps)
    x = torch.from_numpy(maps[:1, None].copy()).requires_grad_()
    transform.statistics_(x).sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0


def test_pandas_out(maps):
    pytest.importorskip("pandas", reason="set_output('pandas') needs pandas")
    transform = SphericalScatteringTransform(2).set_output(transform="pandas")
    frame = transform.fit_transform(maps)
    assert list(frame.columns[:2]) == ["mean/std", "P00[j1=0]"] and frame.shape == (4, 81)


def test_units(maps):
    transform = SphericalScatteringTransform(1, normalization="reference").fit(maps * u.K)
    found = transform.transform(maps * u.K)
    np.testing.assert_allclose(transform.transform(maps * 1e3 * u.mK), found, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="X has no unit"):
        transform.transform(maps)


def test_two_kinds_of_maps_are_told_apart():
    """Log-normal maps and Gaussian ones, of the same mean and variance."""
    X = np.concatenate(
        [
            make_sphere_fields(24, NSIDE, kind, index=2.0, random_state=2).maps
            for kind in ("gaussian", "lognormal")
        ]
    )
    X = (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)
    y = np.repeat([0, 1], 24)
    steps = make_pipeline(SphericalScatteringTransform(2), StandardScaler(), LogisticRegression())
    assert cross_val_score(steps, X, y, cv=4).mean() > 0.95


def test_global_random_states_are_left_alone(maps):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    SphericalScatteringTransform(1).fit_transform(maps)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "parameters, X, message",
    [
        ({}, np.eye(2, 700), "X has maps of 700 pixels; expected 12 nside"),
        ({}, np.eye(2, 12 * 6**2), "X has maps of 432 pixels"),
        ({}, np.eye(2, 48), "nside=2; expected at least 4"),
        (
            {"n_scales": 3},
            np.eye(2, 768),
            "n_scales=3; expected an integer from 1 to 2 for nside 8",
        ),
        ({}, np.eye(2, 768) * np.nan, "X has nan in map 0, channel 0, pixel 0; .*a mask of the bl"),
        ({}, np.ones((2, 768)), "X has a constant map, number 0"),
        ({}, 1j * np.eye(2, 768), "Complex data not supported"),
        ({}, np.eye(1, 768)[0], r"X has shape \(768,\).*for a single map give X\[None\]"),
        ({}, np.ones((0, 768)), r"X has shape \(0, 768\)"),
        ({"order": "up"}, np.eye(2, 768), "order"),
        ({"n_scales": 0}, np.eye(2, 768), "n_scales"),
        ({"reduction": "all"}, np.eye(2, 768), "reduction"),
        ({"pairs": [(0, 1)]}, np.eye(2, 768), "pairs"),
    ],
)
def test_bad_fits(parameters, X, message):
    with pytest.raises(ValueError, match=message):
        SphericalScatteringTransform(**parameters).fit(X)


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.zeros(N_PIXELS, bool), "mask has no valid pixel"),
        (np.ones(N_PIXELS), "mask has dtype float64"),
        (np.ones(48, bool), r"mask has shape \(48,\); expected \(768,\)"),
        (np.arange(N_PIXELS) < 20, "mask leaves no pixel for wavelets of scale 0"),
    ],
)
def test_bad_masks(maps, mask, message):
    with pytest.raises(ValueError, match=message):
        SphericalScatteringTransform(1).fit(maps, mask=mask)


def test_maps_that_differ_from_those_in_fit(maps, channels):
    transform = SphericalScatteringTransform(1).fit(maps)
    with pytest.raises(ValueError, match="X has maps of 192 pixels; expected 768, as in fit"):
        transform.transform(np.eye(2, 192))
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\); expected 1, as in fit"):
        transform.transform(channels)
    np.testing.assert_array_equal(transform.transform(maps[:, None]), transform.transform(maps))
