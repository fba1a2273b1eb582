import numpy as np
import pytest
import torch

from skastro.partial_maps import check_valid_pixels, fill_from, mirrored


def test_mirrored():
    x = torch.arange(12.0).reshape(1, 3, 4)
    y = mirrored(x)
    assert y.shape == (1, 6, 8)
    assert torch.equal(y[:, :3, :4], x) and torch.equal(y[:, 3:], y[:, :3].flip(1))
    assert torch.equal(y, y.flip(1)) and torch.equal(y, y.flip(2))


@pytest.mark.parametrize("periodic", [True, False])
def test_every_hidden_pixel_gets_a_valid_one(periodic):
    rng = np.random.default_rng(0)
    mask = rng.random((30, 41)) > 0.3
    mask[5:20, 8:30] = False
    index = fill_from(mask, periodic)
    assert mask.ravel()[index].all()
    valid = mask.ravel()
    np.testing.assert_array_equal(index[valid], np.arange(mask.size)[valid])


def test_across_the_border_where_it_is_none():
    mask = np.ones((1, 10), dtype=bool)
    mask[0, 0] = False
    assert fill_from(mask, periodic=True)[0] in (2, 8)
    assert fill_from(mask, periodic=False)[0] == 2


def test_a_hole_as_large_as_what_is_left():
    mask = np.zeros((16, 16), dtype=bool)
    mask[3, 4] = True
    assert (fill_from(mask) == 3 * 16 + 4).all()


def test_the_texture_goes_on():
    rows, columns = np.mgrid[:64, :64]
    waves = np.cos(2 * np.pi * rows / 8)
    mask = np.ones((64, 64), dtype=bool)
    mask[20:36] = False
    filled = waves.ravel()[fill_from(mask)].reshape(64, 64)
    assert abs(filled[20:36].std() / waves.std() - 1) < 0.15


def test_masks_that_cannot_be_used():
    with pytest.raises(ValueError, match=r"mask has shape \(2, 2\); expected \(3, 3\)"):
        check_valid_pixels(np.ones((2, 2), dtype=bool), (3, 3))
    with pytest.raises(ValueError, match="expected bool"):
        check_valid_pixels(np.ones((3, 3)), (3, 3))
    with pytest.raises(ValueError, match="no valid pixel"):
        check_valid_pixels(np.zeros((3, 3), dtype=bool), (3, 3))
