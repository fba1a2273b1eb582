import numpy as np
import pytest
import torch

from skastro.separation.frame import Frame
from skastro.separation.problem import draw, pose

SIDE = 64


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    power = 1e4 / k**3
    modes = np.fft.rfft2(rng.normal(size=(20, 1, SIDE, SIDE))) * np.sqrt(power)
    signal = np.fft.irfft2(modes, s=(SIDE, SIDE))
    noise = rng.normal(size=(60, 1, SIDE, SIDE))
    problem, scaled = pose(
        *(torch.from_numpy(x) for x in (signal + noise[:20], noise[20:])),
        None, torch.ones(1, 1, 1), torch.zeros(20, 1, 1, 1),
    )  # fmt: skip
    return torch.from_numpy(signal), power, problem, scaled


def test_filter_is_near_that_of_the_true_spectra(made):
    signal, power, problem, _ = made
    modes = torch.fft.rfft2(problem.mixtures) * torch.from_numpy(power / (power + 1))
    best = torch.fft.irfft2(modes, s=(SIDE, SIDE))
    error, least = ((x - signal).square().mean() for x in (problem.wiener, best))
    assert least < error < 1.1 * least


def test_steps_are_what_the_filter_leaves(made):
    signal, power, problem, _ = made
    expected = np.sqrt(power / (power + 1))
    ratio = (problem.step.mean(0)[0] / torch.from_numpy(expected))[2:20, 2:20]
    assert (ratio - 1).abs().max() < 0.2
    assert (problem.step[..., 0, 0] == 0).all()


def test_uncertainty_is_that_of_the_power(made):
    signal, _, problem, _ = made
    off = (problem.power / problem.rings.power(signal) - 1) / problem.uncertainty
    square = off.square().mean(0)[0]
    assert square[:18].max() < 3 and 0.2 < square[:18].mean() < 1.5
    assert (problem.shared.sqrt() <= problem.uncertainty * (1 + 1e-9)).all()


def test_a_step_in_the_spectrum_is_followed_where_the_signal_is_strong():
    rng = np.random.default_rng(1)
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    # a law that no smooth curve has
    power = 100 / k * np.where(k < 20, 1.0, 0.1)
    modes = np.fft.rfft2(rng.normal(size=(10, 1, SIDE, SIDE))) * np.sqrt(power)
    signal = torch.from_numpy(np.fft.irfft2(modes, s=(SIDE, SIDE)))
    noise = torch.from_numpy(0.3 * rng.normal(size=(40, 1, SIDE, SIDE)))
    unit, offset = torch.ones(1, 1, 1), torch.zeros(10, 1, 1, 1)
    problem, _ = pose(signal + noise[:10], noise[10:], None, unit, offset)
    off = problem.power / problem.rings.power(signal) - 1
    near = np.abs(problem.rings.wavenumbers - 20) < 3
    assert off[..., near].abs().mean() < 0.06
    square = (off / problem.uncertainty).square()[..., near].mean()
    assert 0.2 < square < 2


def test_scaled_mixtures_have_the_power(made):
    _, _, problem, scaled = made
    ratio = problem.rings.power(scaled) / problem.power
    assert (ratio - 1).abs()[..., :20].max() < 0.1


def test_rows(made):
    _, _, problem, _ = made
    some = problem.rows(torch.tensor([4, 2]))
    assert torch.equal(some.mixtures, problem.mixtures[[4, 2]])
    assert torch.equal(some.power, problem.power[[4, 2]]) and some.which.tolist() == [4, 2]
    assert problem.rows(torch.arange(20)) is problem


def test_what_is_hidden_is_continued(made):
    signal, _, problem, _ = made
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[0, :10] = False
    frame = Frame((SIDE, SIDE), mask)
    hidden, _ = pose(
        problem.mixtures, problem.samples, None, problem.unit, problem.offset, False, frame
    )
    assert torch.equal(hidden.filled(signal), frame.extended(signal))
    assert not torch.equal(hidden.filled(signal), signal)
    assert torch.equal(problem.filled(signal), signal)
    assert problem.visible(signal) is signal


@pytest.mark.parametrize("periodic", [True, False])
def test_a_draw_has_the_power_of_what_was_given(periodic):
    rng = np.random.default_rng(2)
    frame = Frame((SIDE, SIDE), periodic=periodic)
    noise = rng.normal(size=(200, 1, SIDE, SIDE))
    signal = 100 * np.cos(2 * np.pi * np.arange(SIDE) / SIDE) * np.ones((1, 1, SIDE, 1))
    maps, samples = (frame.extended(torch.from_numpy(x)) for x in (signal + noise[:1], noise[1:]))
    unit, offset = torch.ones(1, 1, 1), torch.zeros(1, 1, 1, 1)
    problem, _ = pose(maps, samples, None, unit, offset, frame=None if frame.whole else frame)
    # a signal that is far stronger at all scales that are drawn
    problem.step = problem.fine.spread(problem.noise).sqrt()[None]
    drawn, modes = draw(problem, 1, torch.Generator().manual_seed(0))

    def power(x):
        h, w = x.shape[-2:]
        k = min(h, w) * np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w))
        inside = (k >= 1) & (k < 2)
        return (np.abs(np.fft.rfft2(x))[..., inside] ** 2).mean() / (h * w), inside

    found, inside = power(drawn.numpy())
    assert (modes.numpy() == inside).all()
    # that of white noise, of which the mirror image beside it has much more
    assert found == pytest.approx(power(noise)[0], rel=0.05) == pytest.approx(1.0, rel=0.1)
    if not periodic:
        assert power(samples.numpy())[0] > 1.4
