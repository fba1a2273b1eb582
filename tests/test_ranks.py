import numpy as np
import pytest

from skastro.ranks import simulation_ranks


def gaussian_case(widen, n=1000, n_draws=99):
    """Truth of variance 1, seen with noise of variance 1: the posterior is N(x / 2, 1 / 2)."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(n, 2))
    x = truth + rng.normal(size=(n, 2))
    return truth, x / 2 + widen * 0.5**0.5 * rng.normal(size=(n_draws, n, 2))


def test_ranks_count_the_draws_below():
    truth, draws = gaussian_case(1.0, n=30, n_draws=9)
    found = simulation_ranks(truth, draws)
    assert found.ranks[3, 1] == (draws[:, 3, 1] < truth[3, 1]).sum()
    assert found.n_draws == 9 and found.ranks.shape == (30, 2)


@pytest.mark.parametrize(("widen", "uniform"), [(1.0, True), (0.7, False), (1.4, False)])
def test_p_value_tells_wrong_widths(widen, uniform):
    found = simulation_ranks(*gaussian_case(widen))
    assert (found.p_value > 0.01) == uniform
    # at both ends too often where too narrow
    ends = np.mean((found.ranks < 10) | (found.ranks >= 90))
    if not uniform:
        assert (ends > 0.25) == (widen < 1)


def test_p_values_of_uniform_ranks_are_uniform():
    rng = np.random.default_rng(0)
    truth, draws = rng.normal(size=(200, 400)), rng.normal(size=(19, 200, 400))
    p = simulation_ranks(truth, draws).p_values
    assert 0.42 < p.mean() < 0.58 and (p < 0.1).mean() < 0.16


def test_bad_input():
    truth, draws = gaussian_case(1.0, n=30)
    with pytest.raises(ValueError, match=r"draws has shape \(99, 20, 2\)"):
        simulation_ranks(truth, draws[:, :20])
    with pytest.raises(ValueError, match="n_simulations=10, n_draws=99; expected at least 20"):
        simulation_ranks(truth[:10], draws[:, :10])
    with pytest.raises(ValueError, match="n_draws=98; expected"):
        simulation_ranks(truth, draws[:98])
    truth[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        simulation_ranks(truth, draws)
