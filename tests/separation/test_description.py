import numpy as np
import pytest
import torch

from skastro.scattering import Covariance, ScatteringTransform
from skastro.separation.description import Description


@pytest.fixture(scope="module")
def maps():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 32, 32)))


def describe(maps, *arguments, **options):
    recipe = ScatteringTransform(*arguments, n_scales=3, dtype="float64", device="cpu", **options)
    return Description(recipe.fit(maps.numpy()), maps)


def test_powers_are_relative_to_the_mixture_and_linear(maps):
    found = describe(maps)
    other = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 1, 32, 32)))
    values = dict(zip(found.names, found(other).T, strict=True))
    module = Covariance((32, 32), 3)
    powers = module.norm(other[:, 0])["P00"] / module.norm(maps[:, 0])["P00"]
    np.testing.assert_allclose(values["P00[j1=0,l1=0]"], powers[:, 0], rtol=1e-10)
    assert "mean/std" not in found.names and len(found.names) == found(maps).shape[1]
    # twice the map has four times the power, by whatever it is normalised
    twice = dict(zip(found.names, found(2 * other).T, strict=True))
    for name in ("P00[j1=1,l1=2]", "C11[j1=0,j2=1,j3=2,l1=0,l2=1,l3=2].re"):
        np.testing.assert_allclose(twice[name], 4 * values[name], rtol=1e-6)
    np.testing.assert_allclose(twice["S1[j1=0,l1=0]"], 2 * values["S1[j1=0,l1=0]"])


def test_logarithms_can_stay(maps):
    linear = describe(maps)
    found = Description(linear.recipe, maps, linear=False)
    values = dict(zip(found.names, found(maps).T, strict=True))
    powers = Covariance((32, 32), 3).norm(maps[:, 0])["P00"]
    np.testing.assert_allclose(values["P00[j1=0,l1=0]"], powers[:, 0].log(), rtol=1e-10)


def test_each_map_belongs_to_its_mixture(maps):
    found = describe(maps)
    some = found(maps[[2, 0]], torch.tensor([2, 0]))
    np.testing.assert_allclose(some, found(maps)[[2, 0]], rtol=1e-10)


def test_kinds_count_alike(maps):
    found = describe(maps, ["covariance", "pdf"])
    weight = found.kind_scale**-2 / len(found.names)
    kinds = np.array([name.partition("[")[0] for name in found.names])
    shares = {kind: float(weight[torch.from_numpy(kinds == kind)].sum()) for kind in set(kinds)}
    assert set(shares) == {"P00", "S1", "C01", "C11", "mean", "std", "quantile"}
    np.testing.assert_allclose(list(shares.values()), 1 / 7)


def test_spectra_are_linear_and_reductions_shorter(maps):
    found = describe(maps, ["power_spectrum"])
    np.testing.assert_allclose(found(maps), 1.0)
    np.testing.assert_allclose(found(3 * maps), 9.0)
    reduced = describe(maps, reduction="isotropic")
    assert reduced(maps).shape == (3, len(reduced.names))
    assert len(reduced.names) < 0.5 * len(describe(maps).names)
