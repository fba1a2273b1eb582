import numpy as np
import pytest
import torch

from skastro.separation import Constraint
from skastro.separation.descent import Interrupted, separate
from skastro.separation.problem import pose


class Towards(Constraint):
    """To a given map."""

    name = "towards"

    def __init__(self, maps, stop=None):
        super().__init__()
        self.maps, self.stop = maps, stop

    def statistic(self, signal, problem):
        if self.stop is not None:
            self.stop -= 1
            if self.stop < 0:
                raise KeyboardInterrupt
        return signal.flatten(1)

    def goal(self, signal, problem):
        return self.maps.flatten(1), signal.new_ones(1)


@pytest.fixture
def made():
    rng = np.random.default_rng(0)
    mixtures, samples, goal = (torch.from_numpy(rng.normal(size=(n, 1, 16, 16))) for n in (3, 5, 3))
    goal = goal - goal.mean((-2, -1), keepdim=True)
    problem, _ = pose(2 * mixtures, samples, None, torch.ones(1, 1, 1), torch.zeros(3, 1, 1, 1))
    return problem, goal, torch.zeros_like(mixtures), torch.ones(16, 9, dtype=torch.float64)


def test_reaches_the_minimum_and_keeps_the_losses(made):
    problem, goal, start, free = made
    eras = [(torch.arange(3), 30), (torch.arange(2, 5), 30)]
    found, history = separate(
        problem, [Towards(goal), Towards(goal)], start, eras, tolerance=0.0, free=free
    )
    np.testing.assert_allclose(found, goal, atol=1e-4)
    assert len(history) == 2 and set(history[0]) == {"towards", "towards_2"}
    assert history[0]["towards"].shape == (3,) and (history[1]["towards"] < 1e-6).all()


def test_modes_that_are_not_free_stay(made):
    problem, goal, start, free = made
    free[2, 3] = 0.0
    found, _ = separate(
        problem, [Towards(goal)], start, [(torch.arange(3), 30)], tolerance=0.0, free=free
    )
    modes = torch.fft.rfft2(found)
    assert modes[..., 2, 3].abs().max() < 1e-9 < 1e-2 < modes[..., 3, 2].abs().min()


def test_interruption_has_the_best_so_far(made):
    problem, goal, start, free = made
    with pytest.raises(Interrupted) as caught:
        separate(
            problem,
            [Towards(goal, stop=4)],
            start,
            [(torch.arange(3), 30)],
            tolerance=0.0,
            free=free,
        )
    assert (caught.value.signal - goal).square().mean() < 0.7 * goal.square().mean()


def test_interruption_while_an_era_is_prepared_has_what_the_last_one_found(made):
    class Late(Towards):
        calls = 0

        def prepare(self, signal, problem):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().prepare(signal, problem)

    problem, goal, start, free = made
    eras = [(torch.arange(3), 30), (torch.arange(3), 30)]
    with pytest.raises(Interrupted) as caught:
        separate(problem, [Late(goal)], start, eras, tolerance=0.0, free=free)
    np.testing.assert_allclose(caught.value.signal, goal, atol=1e-4)
