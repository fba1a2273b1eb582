"""The measured error of a denoiser against the true one."""

import numpy as np
import pytest
import torch

from skastro.denoising.noise import NoiseCorrelation
from skastro.denoising.risk import Risk, fit_risk


class Shrink:
    """Half of what it is given; gated or not."""

    gate = False
    correlation_ = NoiseCorrelation(np.array([1.0, 0.0]), np.eye(3)[[1]].repeat(3, 0) * np.eye(3))

    def _estimate(self, snr, gate=None):
        return 0.5 * snr if gate is None else 0.5 * snr * gate


@pytest.fixture(scope="module")
def cube():
    rng = np.random.default_rng(0)
    truth = np.zeros((1, 40, 40, 100), np.float32)
    truth[0, :20] = 8.0
    return truth, truth + rng.normal(size=truth.shape).astype(np.float32)


def test_it_is_the_error_against_the_truth_bin_by_bin(cube):
    truth, noisy = cube
    snr = torch.from_numpy(noisy)
    empty = np.zeros(truth.shape, bool)
    risk = fit_risk(Shrink(), snr, empty, empty, np.random.default_rng(1))
    estimate = 0.5 * noisy
    signal, free = truth > 0, truth == 0
    for where, want in ((signal, np.sqrt(16 + 0.25)), (free, 0.5)):
        true = np.sqrt(np.mean((estimate - truth)[where] ** 2))
        assert true == pytest.approx(want, rel=0.02)
        assert np.sqrt(np.mean(risk(estimate)[where] ** 2)) == pytest.approx(true, rel=0.1)


def test_outside_the_gate_it_is_what_is_lost(cube):
    truth, noisy = cube
    gated = Shrink()
    gated.gate = True
    gate = np.zeros(truth.shape, bool)
    gate[0, :10] = True
    blank = np.zeros(truth.shape, bool)
    risk = fit_risk(gated, torch.from_numpy(noisy), blank, gate, np.random.default_rng(1))
    # a third of what lies outside is signal that is put to zero
    assert risk.outside == pytest.approx(np.sqrt(np.mean(truth[~gate] ** 2)), rel=0.02)
    error = risk(0.5 * noisy[0], gate[0])
    assert (error[~gate[0]] == np.float32(risk.outside)).all()


def test_errors_do_not_decrease_with_size(cube):
    _, noisy = cube
    empty = np.zeros(noisy.shape, bool)
    risk = fit_risk(Shrink(), torch.from_numpy(noisy), empty, empty, np.random.default_rng(1))
    assert (np.diff(risk.error) >= 0).all() and (np.diff(risk.size) > 0).all()


def test_an_empty_gate_leaves_no_bins(cube):
    _, noisy = cube
    gated = Shrink()
    gated.gate = True
    empty = np.zeros(noisy.shape, bool)
    risk = fit_risk(gated, torch.from_numpy(noisy), empty, empty, np.random.default_rng(1))
    assert len(risk.size) == 1


def test_the_offset_gives_weak_voxels_their_flux():
    rng = np.random.default_rng(0)
    truth = np.full((1, 40, 40, 200), 0.4, np.float32)
    noisy = truth + rng.normal(size=truth.shape).astype(np.float32)
    empty = np.zeros(truth.shape, bool)
    risk = fit_risk(Shrink(), torch.from_numpy(noisy), empty, empty, rng)
    estimate = 0.5 * noisy
    before = estimate.mean() / 0.4
    after = risk.correct(estimate.copy()).mean() / 0.4
    assert before == pytest.approx(0.5, abs=0.02) and after == pytest.approx(1.0, abs=0.05)


def test_the_offset_leaves_strong_voxels_and_the_closed_gate_alone():
    risk = Risk(np.zeros(1), np.ones(1), 0.1, offset=0.3)
    estimate = np.array([0.5, 0.5, 1.5, 2.0, 7.0])
    gate = np.array([True, False, True, True, True])
    np.testing.assert_allclose(risk.correct(estimate.copy(), gate), [0.8, 0.5, 1.65, 2.0, 7.0])


def test_risk_interpolates():
    risk = Risk(np.array([0.0, 2.0]), np.array([0.1, 0.3]), 0.05)
    np.testing.assert_allclose(risk(np.array([-1.0, 9.0])), [0.2, 0.3])
