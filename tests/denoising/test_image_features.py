"""What networks are told of each pixel, and averages over sound pixels."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from skastro.denoising.image_features import (
    SIGMAS,
    Filled,
    KernelAverage,
    PixelFeatures,
    fill_blanks,
    gaussian_kernel,
    local_average,
)


def images(n=2, c=1, h=16, w=16, seed=0):
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", SIGMAS)
def test_local_average_is_a_normalised_convolution(sigma):
    x, weight = images(c=2, h=20).double(), (images(c=2, h=20, seed=1) > 0).double()
    found = local_average(x, weight, gaussian_kernel(sigma).double())
    kwargs = dict(
        sigma=(0, 0, sigma, sigma), mode="constant", radius=max(2, int(np.ceil(2.5 * sigma)))
    )
    kwargs["radius"] = (0, 0, kwargs["radius"], kwargs["radius"])
    above = gaussian_filter((x * weight).numpy(), **kwargs)
    below = gaussian_filter(weight.numpy(), **kwargs)
    np.testing.assert_allclose(found, above / (below + 1e-3), atol=1e-6)


def test_blank_pixels_are_filled_by_their_neighbours():
    x = torch.ones(1, 1, 20, 20)
    x[0, 0, 4:6, 4:6] = torch.nan
    x[0, 0, 10:, 10:] = torch.nan
    filled = fill_blanks(x)
    torch.testing.assert_close(filled[0, 0, 4:6, 4:6], torch.ones(2, 2), atol=0.02, rtol=0)
    assert filled[0, 0, -1, -1] == 0.0
    seen = ~torch.isnan(x)
    assert torch.equal(filled[seen], x[seen])
    assert fill_blanks(filled) is filled


def test_features_mark_lowest_highest_and_blank_pixels():
    x = images(3, 2)
    x[0, 0, :3] = torch.nan
    features, sound, averages = PixelFeatures(2)(x)
    assert features.shape == (3, PixelFeatures(2).n_features, 16, 16)
    value, low, high, marked = (features[:, i : i + 2] for i in range(0, 8, 2))
    for marks, extreme in ((low, x[1:].amin((2, 3))), (high, x[1:].amax((2, 3)))):
        assert torch.equal(marks.sum((2, 3)), torch.ones(3, 2))
        assert torch.equal(x[1:][marks[1:].bool()], extreme.flatten())
    blank = torch.isnan(x)
    assert torch.equal(sound.bool(), ~blank & ~low.bool() & ~high.bool())
    assert torch.equal(marked, sound)
    assert torch.equal(value[sound.bool()], x[sound.bool()]) and not value[~sound.bool()].any()
    for i, sigma in enumerate(SIGMAS):
        expected = local_average(value, sound, gaussian_kernel(sigma))
        torch.testing.assert_close(averages[i], expected)
        torch.testing.assert_close(features[:, 8 + 2 * i : 10 + 2 * i], expected)
    row, column, radius = features[0, -3:]
    assert row[0, 5] == -1 and column[5, -1] == 1 and abs(radius.mean()) < 0.2


def test_kernel_average_picks_the_pixels_with_weight():
    average = KernelAverage()
    x, sound = images(2, 2), torch.ones(2, 2, 16, 16)
    logits = torch.full((2, 2, average.n_kernels, 16, 16), -10.0)
    logits[:, :, 1] = 10.0
    # the second of the nine is the pixel above
    torch.testing.assert_close(average(x, sound, logits)[:, :, 1:], x[:, :, :-1], atol=1e-3, rtol=0)
    logits[:, :, 1], logits[:, :, 9] = -10.0, 10.0
    expected = gaussian_filter(x.numpy(), (0, 0, 1, 1), mode="constant", radius=(0, 0, 5, 5))
    expected /= gaussian_filter(sound.numpy(), (0, 0, 1, 1), mode="constant", radius=(0, 0, 5, 5))
    np.testing.assert_allclose(average(x, sound, logits), expected, atol=1e-4)


def test_kernel_average_never_reads_pixels_that_are_not_sound():
    average = KernelAverage()
    x, sound = images(), (images(seed=1) > 0).float()
    logits = torch.randn(2, 1, average.n_kernels, 16, 16)
    found = average(x, sound, logits)
    torch.testing.assert_close(average(torch.where(sound > 0, x, 1e3), sound, logits), found)
    assert found.min() >= x[sound > 0].min() - 1e-3 and found.max() <= x[sound > 0].max() + 1e-3
    assert not average(x, torch.zeros_like(sound), logits).any()


def test_filled_hides_blanks_from_networks_that_do_not_know_them():
    x = images()
    x[0, 0, 3, 3] = torch.nan
    assert torch.equal(Filled(torch.nn.Identity())(x), fill_blanks(x))


def test_what_is_told_of_all_pixels():
    rng = np.random.default_rng(0)
    images = np.full((3, 1, 64, 64), 0.5)
    images[0] += 0.1 * rng.standard_normal((1, 64, 64))
    images[1][rng.random((1, 64, 64)) < 0.25] = 0.0
    images[1, 0, 0, 0] = images[2, 0, 0, 0] = 1.0
    images[2, 0, 5, 5] = np.nan
    features, sound, averages = PixelFeatures(1)(torch.from_numpy(images).float())
    low, high, rough = features[:, 6:9, 0, 0].T
    assert (features[:, 6:9].std(dim=(2, 3)) < 1e-6).all()
    np.testing.assert_allclose(low, [1 / 64**2, 0.25, 4094 / 4095], atol=0.02)
    np.testing.assert_allclose(high, [1 / 64**2, 1 / 64**2, 1 / 4095], rtol=1e-5)
    # an average over a Gaussian of 1.5 pixels takes part of the noise of a pixel with it
    assert abs(rough[0] - 0.1) < 0.01 and rough[1] < 1e-3 and rough[2] == 0
