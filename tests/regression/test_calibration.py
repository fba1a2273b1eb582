import numpy as np
import pytest
from scipy.stats import kstest

from skastro.distributions import isotonic_map
from skastro.regression.calibration import fit_maps, shrunk_map


@pytest.mark.parametrize("kind", ["isotonic", "conformal"])
def test_a_map_a_target(kind):
    rng = np.random.default_rng(0)
    # the second target's intervals are too narrow: PIT at both ends
    pit = np.stack([rng.random(2000), rng.beta(0.5, 0.5, 2000)], axis=1)
    good, bad = fit_maps(pit, kind)
    np.testing.assert_allclose(good(np.array([0.16, 0.84])), [0.16, 0.84], atol=0.04)
    # half of a beta(1/2, 1/2) law lies within 0.146 of the ends
    np.testing.assert_allclose(bad(np.array([0.146, 0.854])), [0.25, 0.75], atol=0.04)


def test_few_rows():
    with pytest.raises(ValueError, match="leaves 5 held-out row"):
        fit_maps(np.full((5, 1), 0.5), "isotonic")


def test_a_shrunk_map_spoils_less_where_nothing_was_wrong_and_mends_as_much_where_it_was():
    rng = np.random.default_rng(0)
    uniform = rng.random((60, 2, 1000))
    narrow = rng.beta(0.6, 0.6, (60, 2, 1000))

    def distance(pairs, make):
        return np.mean([kstest(make(held)(new), "uniform").statistic for held, new in pairs])

    assert distance(uniform, shrunk_map) < 0.85 * distance(uniform, isotonic_map)
    assert distance(narrow, shrunk_map) < 1.1 * distance(narrow, isotonic_map)
    # no map at all is much worse there
    assert distance(narrow, shrunk_map) < 0.6 * distance(narrow, lambda held: lambda new: new)
