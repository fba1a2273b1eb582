import numpy as np
import pytest

from skastro.regression.calibration import fit_maps


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
