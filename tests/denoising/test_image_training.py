"""What batches become before a network sees them."""

import pytest
import torch

from skastro.denoising.corruption import Corruption
from skastro.denoising.image_training import (
    TrainingBatches,
    blind_spots,
)
from skastro.images import Normalization
from skastro.symmetries import turn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=16, size=6, seed=1):
    return torch.rand(n, 1, size, size, generator=generator(seed))


def test_blind_spots_of_all_phases_cover_each_pixel_once():
    images = torch.zeros(2, 1, 7, 8)
    total = sum(blind_spots(images, phase).int() for phase in range(9))
    assert (total == 1).all()
    each = blind_spots(images, torch.tensor([0, 4]))
    assert each[0, 0, 0, 0] and each[1, 0, 1, 1] and not each[1, 0, 0, 0]


def test_corruption_is_drawn_anew_and_targets_are_the_turned_images():
    clean = batch()
    batches = TrainingBatches("corrupt", Normalization(None), Corruption("mask"), 8)
    stream = generator()
    (a, (target,)), (b, _) = (batches(torch.empty(16, 0), (clean,), stream) for _ in range(2))
    assert not torch.equal(a, b)
    kept = a != 0
    assert torch.equal(a[kept], target[kept])
    turns = 0
    for image, found in zip(clean, target, strict=True):
        same = [k for k in range(8) if torch.equal(turn(image, k), found)]
        assert same
        turns += same[0] != 0
    assert turns >= 12


def test_pairs_are_turned_together():
    clean = batch()
    batches = TrainingBatches("pairs", Normalization(None), None, 8)
    noisy, (target,) = batches(clean + 5.0, (clean,), generator())
    torch.testing.assert_close(noisy, target + 5.0)
    assert not torch.equal(target, clean)


def test_standard_units_with_the_scale_of_the_noisy_image():
    clean = batch(4)
    double = Corruption(lambda images, generator: 2.0 * images)
    center, scale = torch.full((1, 1, 1, 1), 0.3), torch.full((1, 1, 1, 1), 0.1)
    batches = TrainingBatches("corrupt", Normalization("max"), double, 1, center, scale)
    noisy, (target,) = batches(torch.empty(4, 0), (clean,), generator())
    torch.testing.assert_close(noisy.amax((1, 2, 3)), torch.full((4,), 7.0))
    torch.testing.assert_close(target * 0.1 + 0.3, clean / (2 * clean.amax((1, 2, 3), True)))


def test_blind_spots_tell_nothing_of_what_they_hide():
    noisy = batch(8, size=9)
    batches = TrainingBatches("self_supervised", Normalization("max"), None, 1)
    seen, (target, weight) = batches(torch.empty(8, 0), (noisy,), generator())
    spots = weight.bool()
    assert torch.equal(torch.isnan(seen), spots)
    assert weight.mean() == pytest.approx(1 / 9)
    # the target keeps the noise; both have the scale of what is seen
    changed = torch.where(spots, 100.0, noisy)
    again, _ = batches(torch.empty(8, 0), (changed,), generator())
    torch.testing.assert_close(again, seen, equal_nan=True)
    torch.testing.assert_close(target[~spots], seen[~spots])


def test_small_batches_and_order():
    clean = torch.arange(3.0)[:, None, None, None].expand(3, 1, 4, 4)
    batches = TrainingBatches("corrupt", Normalization(None), Corruption("mask", 0.01), 8)
    _, (target,) = batches(torch.empty(3, 0), (clean,), generator())
    assert target[:, 0, 0, 0].tolist() == [0.0, 1.0, 2.0]
