"""The symmetries of images."""

import pytest
import torch

from skastro.symmetries import n_symmetries, turn, turn_at_random, turn_back


def test_the_eight_turns_are_the_symmetries_of_the_square():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    turned = [turn(image, k) for k in range(8)]
    assert len({tuple(one.flatten().tolist()) for one in turned}) == 8
    expected = [torch.rot90(one, k, (2, 3)) for k in range(4) for one in (image, image.flip(-1))]
    assert {tuple(one.flatten().tolist()) for one in expected} == {
        tuple(one.flatten().tolist()) for one in turned
    }
    for k in range(8):
        assert torch.equal(turn_back(turned[k], k), image)


@pytest.mark.parametrize(
    "augmentation, shape, number",
    [(None, (4, 4), 1), ("flip", (4, 4), 4), ("dihedral", (4, 4), 8), ("dihedral", (4, 5), 4)],
)
def test_number_of_turns(augmentation, shape, number):
    assert n_symmetries(augmentation, *shape) == number


def test_turned_images_keep_their_order_and_are_turned_alike():
    images = torch.rand(20, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    one, two = turn_at_random([images, images + 5.0], 8, generator)
    torch.testing.assert_close(two, one + 5.0)
    found = set()
    for image, turned in zip(images, one, strict=True):
        same = [k for k in range(8) if torch.equal(turn(image, k), turned)]
        assert len(same) == 1
        found |= set(same)
    assert found == set(range(8))
    again = turn_at_random([images], 8, torch.Generator().manual_seed(1))[0]
    assert torch.equal(one, again)
    assert turn_at_random([images], 1, generator)[0] is images
