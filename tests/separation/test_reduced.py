import numpy as np
import pytest

from skastro.datasets import make_fields
from skastro.scattering import ScatteringTransform
from skastro.separation.reduced import ReducedStatistics

INDEX = np.random.default_rng(0).uniform(1, 4, 40)
MAPS = make_fields(40, n_pixels=16, index=INDEX, random_state=0).maps


def test_numbers_are_principal_components_of_unit_variance():
    model = ReducedStatistics(n_features=5).fit(MAPS)
    found = model.transform(MAPS)
    recipe = ScatteringTransform("wst", reduction="isotropic", logarithm=True)
    table = recipe.fit_transform(MAPS).astype(float)
    table = (table - table.mean(0)) / table.std(0)
    U, _, _ = np.linalg.svd(table, full_matrices=False)
    expected = U[:, :5] * np.sqrt(len(MAPS) - 1)
    # up to the sign of each axis
    expected *= np.sign((expected * found).sum(0))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(np.cov(found.T), np.eye(5), atol=1e-6)
    # the first of them knows how steep the spectrum is
    assert abs(np.corrcoef(found[:, 0], INDEX)[0, 1]) > 0.9


def test_there_are_no_more_than_the_maps_span():
    model = ReducedStatistics(n_features=30).fit(MAPS[:5])
    assert model.n_features_ == 4 and model.transform(MAPS).shape == (40, 4)


def test_a_recipe_is_used_and_left_as_it_was():
    recipe = ScatteringTransform("power_spectrum")
    model = ReducedStatistics(recipe, 3).fit(MAPS)
    assert model.statistics_.family == "power_spectrum" and not hasattr(recipe, "statistics_")


def test_the_same_maps_are_refused():
    with pytest.raises(ValueError, match="the same statistics"):
        ReducedStatistics().fit(np.repeat(MAPS[:1], 9, axis=0))
