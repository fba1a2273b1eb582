"""Partial skies: what is hidden does not count, and the rest says what the whole sky does."""

import numpy as np
import pytest
import torch

from skastro.datasets import make_sphere_fields
from skastro.scattering import SphericalCovariance, isotropic_average
from skastro.scattering.sphere_grid import from_quadrants, pixel_vectors
from skastro.scattering.sphere_masks import SkyWeights, check_sky_mask
from skastro.scattering.sphere_wavelets import Level

NSIDE, N_SCALES, N_MAPS = 32, 2, 20


def masks():
    vectors = pixel_vectors(NSIDE)
    rng = np.random.default_rng(0)
    towards = rng.normal(size=(60, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    return {
        "galaxy": np.abs(vectors[:, 2]) > np.sin(np.deg2rad(20)),
        "half": vectors[:, 0] > 0,
        "sources": (vectors @ towards.T).max(1) < np.cos(np.deg2rad(2)),
    }


@pytest.mark.parametrize("name", ["galaxy", "half", "sources"])
def test_what_is_hidden_has_no_say(name):
    mask = masks()[name]
    statistics = SphericalCovariance(NSIDE, N_SCALES, mask=mask)
    x = torch.from_numpy(make_sphere_fields(1, NSIDE, order="nested", random_state=0).maps)
    values = statistics(x)
    for hidden in (0.0, 1e6, float("nan")):
        other = torch.where(torch.from_numpy(mask), x, hidden)
        assert torch.equal(statistics(other), values)


@pytest.fixture(scope="module")
def whole():
    return SphericalCovariance(NSIDE, N_SCALES)


@pytest.fixture(scope="module")
def skies(whole):
    """Maps of two kinds and their statistics."""
    found = {}
    for kind in ("gaussian", "lognormal"):
        maps = make_sphere_fields(
            N_MAPS, NSIDE, kind, index=2.0, order="nested", random_state=1
        ).maps
        maps = torch.from_numpy(maps) + 3.0
        found[kind] = maps, isotropic_average(whole(maps), whole.labels, whole.names)[0]
    return found


@pytest.mark.parametrize("name", ["galaxy", "half", "sources"])
def test_the_rest_says_what_the_whole_sky_does(name, whole, skies):
    """Mean differences over maps within their errors and 1 %, and less than with holes at the mean."""
    mask = torch.from_numpy(masks()[name])
    partial = SphericalCovariance(NSIDE, N_SCALES, mask=mask.numpy())
    for kind, (maps, expected) in skies.items():
        found, labels, _ = isotropic_average(partial(maps), whole.labels, whole.names)
        difference = found - expected
        bias, error = difference.mean(0), difference.std(0) / N_MAPS**0.5
        for family in (1, 2, 3, 4):
            of = labels["family"] == family
            # what the edges of holes and pixels of other latitudes may do: 1 % of a power
            excess = (bias[of].abs() - (0.01 if family < 3 else 0.001)).clamp_min(0)
            # errors of coefficients go together
            assert (excess / error[of]).square().mean().sqrt() < 2.5
        if kind == "gaussian":
            # elsewhere few maps tell too little
            filled = torch.where(mask, maps, maps[:, mask].mean(1, keepdim=True))
            naive = isotropic_average(whole(filled), whole.labels, whole.names)[0] - expected
            logarithms = (labels["family"] == 1) | (labels["family"] == 2)
            wrong = naive[:, logarithms].mean(0).abs().max()
            assert bias[logarithms].abs().max() < 0.2 * wrong


def test_a_whole_sky_counts_everywhere(whole):
    levels = [Level(NSIDE >> j, 4) for j in range(N_SCALES)]
    sky = SkyWeights(levels, np.ones(12 * NSIDE**2, bool))
    assert all(weights.all() for weights in sky.fields + sky.products)
    x = torch.from_numpy(make_sphere_fields(1, NSIDE, order="nested", random_state=0).maps)
    given = SphericalCovariance(NSIDE, N_SCALES, mask=np.ones(12 * NSIDE**2, bool))
    assert torch.equal(given(x), whole(x))
    # through the code of partial skies
    given.mask, given.sky = torch.ones(12 * NSIDE**2, dtype=torch.bool), sky
    torch.testing.assert_close(given(x), whole(x), rtol=1e-4, atol=1e-5)


def test_fields_count_where_their_envelope_is_seen():
    vectors = pixel_vectors(NSIDE)
    levels = [Level(NSIDE >> j, 4) for j in range(N_SCALES)]
    sky = SkyWeights(levels, vectors[:, 2] > 0)
    for j in range(N_SCALES):
        height = np.arcsin(pixel_vectors(NSIDE >> j)[:, 2]) * np.sqrt(3 / np.pi) * (NSIDE >> j)
        counts = from_quadrants(sky.fields[j])[0].bool().numpy()
        assert counts[height > 3.5].all() and not counts[height < 1.0].any()
        products = from_quadrants(sky.products[j])[0].bool().numpy()
        assert not products[~counts].any() and products[height > 10].all()


def test_a_single_cap_too_small_for_a_scale():
    vectors = pixel_vectors(NSIDE)
    with pytest.raises(
        ValueError, match="mask leaves no pixel for wavelets of scale 2; expected n_sc"
    ):
        SphericalCovariance(NSIDE, 3, mask=vectors[:, 2] > np.cos(0.45))
    SphericalCovariance(NSIDE, 2, mask=vectors[:, 2] > np.cos(0.45))


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.ones(47, bool), r"mask has shape \(47,\); expected \(48,\)"),
        (np.ones((1, 48), bool), r"mask has shape \(1, 48\)"),
        (np.ones(48), "mask has dtype float64; expected bool"),
        (np.zeros(48, bool), "mask has no valid pixel"),
    ],
)
def test_bad_masks(mask, message):
    with pytest.raises(ValueError, match=message):
        check_sky_mask(mask, 48)
