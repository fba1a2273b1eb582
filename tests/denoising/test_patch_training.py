"""Batches that a patch network learns from, and the weights it starts from."""

import numpy as np
import pytest
import torch

from skastro.denoising.noise import NoiseCorrelation
from skastro.denoising.patch_network import PatchNetwork
from skastro.denoising.patch_training import PatchTraining
from skastro.denoising.patches import Patches
from skastro.denoising.pretrained import HIDDEN, SHAPE, has_pretrained, load_pretrained

SMALL = Patches((2, 2, 4), (1, 1, 2))
WHITE = NoiseCorrelation(np.eye(4)[0], np.eye(7)[[3]].T @ np.eye(7)[[3]])


def training(
    signal=(slice(10, 20), slice(10, 20), slice(20, 30)), shape=(1, 48, 40, 60), **options
):
    rng = np.random.default_rng(0)
    snr = rng.normal(size=shape).astype(np.float32)
    mask, gate, blank = (np.zeros(shape, bool) for _ in range(3))
    mask[(0, *signal)] = True
    gate[(0, *(slice(max(0, (s.start or 0) - 2), (s.stop or 10**6) + 2) for s in signal))] = True
    blank[0, 0] = True
    snr[blank] = 0.0
    given = {"patches": SMALL, "prior_weight": 0.5, "correlation": WHITE} | options
    made = PatchTraining(
        torch.from_numpy(snr),
        blank,
        mask,
        gate,
        conditions=torch.tensor([0.1, 0.2]),
        rng=rng,
        **given,
    )
    return made, snr, blank, mask, gate


def test_most_tiles_hold_signal_and_none_begins_in_a_blank():
    made, _, blank, mask, _ = training()
    origin = made.draw(2000, np.random.default_rng(1))
    assert origin.shape == (2000, 4)
    field = SMALL.field(torch.from_numpy(mask[0].astype(np.float32)))[0]
    share = SMALL.tiles(field, origin).amax(1).mean()
    assert 0.7 <= float(share) < 0.95
    seen = SMALL.tiles(SMALL.field(torch.from_numpy(~blank[0]).float())[0], origin)
    assert (seen.amax(1) > 0).all()


def test_a_batch_has_windows_targets_and_weights():
    made, snr, blank, _, gate = training()
    origin = made.draw(300, np.random.default_rng(1))
    inputs, (target, weight) = made.batch(
        {"origin": origin}, None, torch.Generator().manual_seed(0)
    )
    assert inputs["windows"].shape == inputs["noise"].shape == (300, SMALL.n_inputs)
    assert inputs["conditions"].shape == (300, 2)
    field = SMALL.field(torch.from_numpy(snr))[0]
    assert torch.equal(target[:, 0], SMALL.tiles(field, origin))
    known = SMALL.tiles(SMALL.field(torch.from_numpy(~blank).float())[0], origin)
    outside = SMALL.tiles(SMALL.field(torch.from_numpy(~(gate | blank)).float())[0], origin)
    assert torch.equal(weight[:, 0], known) and torch.equal(weight[:, 1], 0.5 * outside)


def test_noise_comes_from_windows_free_of_signal_with_either_sign():
    made, snr, _, _, gate = training()
    spoilt = np.where(gate, 1e6, snr)
    made.noise_field = SMALL.field(torch.from_numpy(spoilt.astype(np.float32)))
    rows = made.noise(3000, torch.Generator().manual_seed(0))
    assert rows.abs().max() < 10
    assert abs(float(rows.mean())) < 0.02 and float(rows.std()) == pytest.approx(1.0, abs=0.02)


def test_where_signal_is_everywhere_noise_is_drawn_with_the_measured_correlation():
    half = NoiseCorrelation(np.array([1.0, 0.5, 0.0, 0.0]), WHITE.spatial)
    made, *_ = training(signal=(slice(0, 48), slice(0, 40), slice(0, 60)), correlation=half)
    rows = made.noise(4000, torch.Generator().manual_seed(0)).view(-1, *SMALL.window).double()
    inner = rows[:, 1:-1, 1:-1]
    lag = (inner[..., 1:] * inner[..., :-1]).mean() / (inner**2).mean()
    assert float(lag) == pytest.approx(0.5, abs=0.05)


def test_validation_lies_in_other_regions_of_the_sky():
    made, *_ = training()
    origin = made.draw(3000, np.random.default_rng(1))
    train, valid = made.split(origin, 0.25, np.random.default_rng(2))
    assert sorted([*train, *valid]) == list(range(3000))
    places = [set(map(tuple, (origin[rows][:, 1:3] // 16).tolist())) for rows in (train, valid)]
    assert places[0] and places[1] and not places[0] & places[1]


def test_without_validation_or_regions_all_is_for_training():
    made, *_ = training()
    origin = made.draw(50, np.random.default_rng(1))
    assert made.split(origin, None, np.random.default_rng(2))[1] is None
    here = origin[:1].repeat(20, 1)
    assert made.split(here, 0.2, np.random.default_rng(2))[1] is None


def test_the_bundled_weights_fit_their_shape_and_see_a_source():
    assert has_pretrained(SHAPE, "auto") and has_pretrained(SHAPE, HIDDEN)
    assert not has_pretrained(SMALL, "auto") and not has_pretrained(SHAPE, (64, 64))
    module = torch.nn.Module()
    module.network = PatchNetwork(SHAPE.n_inputs, SHAPE.n_outputs, HIDDEN, n_conditions=2)
    load_pretrained(module)
    flat = torch.full((1, SHAPE.n_inputs), 5.0)
    with torch.no_grad():
        answer = module.network(flat, torch.zeros(2))
        nothing = module.network(torch.zeros(1, SHAPE.n_inputs), torch.zeros(2))
    assert answer.mean() == pytest.approx(5.0, rel=0.1)
    assert nothing.abs().max() < 0.2
