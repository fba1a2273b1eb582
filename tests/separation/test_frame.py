import numpy as np
import pytest
import torch

from skastro.separation.frame import Frame


def test_a_margin_is_a_mirror_image_at_each_border_and_continuous():
    x = torch.arange(40, dtype=torch.float64)[None, :].square().repeat(8, 1)[None]
    frame = Frame((8, 40), periodic=False)
    grid = frame.extended(x)
    assert frame.grid_shape == tuple(grid.shape[-2:]) == (10, 50)
    row = grid[0, 0].numpy()
    np.testing.assert_array_equal(row[:40], np.arange(40) ** 2)
    # by hand: cosine weights of the mirror images at the two borders
    share = 0.5 + 0.5 * np.cos(np.pi * (np.arange(10) + 0.5) / 10)
    expected = share * (39.0 - np.arange(10)) ** 2 + (1 - share) * (9.0 - np.arange(10)) ** 2
    np.testing.assert_allclose(row[40:], expected, rtol=1e-12)
    steps = np.abs(np.diff(row, append=row[0]))
    assert steps[39:].max() < 400 < np.abs(row[39] - row[0])
    torch.testing.assert_close(frame.cut(grid), x)
    torch.testing.assert_close(frame.filled(grid), grid)


def test_a_periodic_whole_map_is_left_alone():
    frame = Frame((8, 8), np.ones((8, 8), dtype=bool))
    x = torch.randn(2, 8, 8)
    assert frame.whole and frame.filled(x) is x and torch.equal(frame.extended(x), x)


def test_hidden_pixels_and_margins_together():
    mask = np.ones((8, 12), dtype=bool)
    mask[3:5, 4:6] = mask[0, 0] = False
    frame = Frame((8, 12), mask, periodic=False)
    x = torch.rand(3, 8, 12, dtype=torch.float64)
    other = torch.where(torch.from_numpy(mask), x, torch.tensor(1e9, dtype=torch.float64))
    # nothing of what is hidden is used
    torch.testing.assert_close(frame.extended(other), frame.extended(x))
    assert torch.equal(frame.cut(frame.extended(x))[:, mask], x[:, mask])
    assert frame.extended(x.numpy()).shape == (3, 10, 16)
    assert frame.share == pytest.approx((96 - 5) / 160)


def test_gradients_reach_the_map():
    frame = Frame((6, 6), periodic=False)
    x = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frame.filled, (frame.extended(x).detach().requires_grad_(),))
