"""Noises against their definitions, and what they do to blanks, batches and generators."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, poisson
from sklearn.base import clone

from skastro.denoising import Corruption, corrupt_images
from skastro.denoising.corruption import (
    add_gaussian_noise,
    add_poisson_noise,
    add_salt_and_pepper,
    mask_pixels,
)

NOISES = ["gaussian", "poisson", "mask", "salt_and_pepper"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gaussian_noise_has_the_moments_of_its_definition():
    residual = add_gaussian_noise(torch.full((50, 1, 64, 64), 3.0), 0.2, generator()) - 3.0
    assert abs(residual.mean()) < 0.2 / np.sqrt(residual.numel()) * 5
    assert residual.std() == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_poisson_noise_follows_its_law(strength):
    counts = add_poisson_noise(torch.full((20, 1, 64, 64), 0.7), strength, generator()) / strength
    for k in range(4):
        expected = poisson.pmf(k, 0.7 / strength)
        assert (counts == k).float().mean() == pytest.approx(expected, abs=0.006)


def test_negative_brightness_counts_no_photon():
    assert (add_poisson_noise(torch.full((1, 1, 8, 8), -2.0), 1.0, generator()) == 0).all()


def test_masked_pixels_are_zero_in_all_channels_and_others_untouched():
    images = torch.rand(40, 3, 32, 32, generator=generator(1)) + 0.5
    noisy = mask_pixels(images, 0.3, generator())
    hit = noisy == 0
    assert hit.float().mean() == pytest.approx(0.3, abs=0.01)
    assert (hit.all(dim=1) == hit.any(dim=1)).all()
    assert torch.equal(noisy[~hit], images[~hit])


def test_salt_and_pepper_takes_the_extremes_of_the_batch_equally_often():
    images = torch.rand(40, 2, 32, 32, generator=generator(1))
    noisy = add_salt_and_pepper(images, 0.5, generator())
    low, high = noisy == images.min(), noisy == images.max()
    assert low.float().mean() == pytest.approx(0.25, abs=0.01)
    assert high.float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(noisy[~low & ~high], images[~low & ~high])
    assert ((low | high).all(dim=1) == (low | high)[:, 0]).float().mean() > 0.999


@pytest.mark.parametrize("noise, expected", [("gaussian", 0.2), ("mask", None)])
def test_clipping(noise, expected):
    images = torch.full((20, 1, 64, 64), 0.1)
    noisy = Corruption(noise, clip=(0.0, 1.0))(images, generator())
    assert noisy.min() == 0.0 and noisy.max() <= 1.0
    if expected:
        # the mean of a normal law whose negative part is moved to 0
        mean = 0.1 * norm.cdf(0.5) + 0.2 * norm.pdf(0.5)
        assert noisy.mean() == pytest.approx(mean, rel=0.01)
        assert Corruption(noise)(images, generator()).min() < -0.5


@pytest.mark.parametrize("noise", NOISES)
def test_blank_pixels_stay_blank_and_no_others(noise):
    images = torch.rand(5, 2, 16, 16, generator=generator(1))
    images[1, :, 3:5] = torch.nan
    images[2] = torch.nan
    noisy = Corruption(noise)(images, generator())
    assert torch.equal(torch.isnan(noisy), torch.isnan(images))
    blank = torch.full((2, 1, 4, 4), torch.nan)
    assert torch.isnan(Corruption(noise)(blank, generator())).all()


@pytest.mark.parametrize("noise", [*NOISES, NOISES])
def test_same_generator_same_noise_and_the_global_one_is_left_alone(noise):
    images = torch.rand(6, 1, 16, 16, generator=generator(1))
    before = torch.get_rng_state()
    first, second = (Corruption(noise)(images, generator(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Corruption(noise)(images, generator(5)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_list_gives_each_image_one_of_the_noises():
    images = torch.rand(3000, 1, 4, 4, generator=generator(1)) + 2.0
    shift = torch.tensor(100.0)
    model = Corruption(["mask", lambda images, generator: images + shift], [1.0, None])
    noisy = model(images, generator())
    masked, shifted = (noisy == 0).all((1, 2, 3)), (noisy > 50).all((1, 2, 3))
    assert (masked | shifted).all()
    assert masked.float().mean() == pytest.approx(0.5, abs=0.04)


def test_a_range_of_strengths_is_drawn_for_each_image():
    noisy = Corruption("gaussian", (0.1, 0.5))(torch.zeros(400, 1, 32, 32), generator())
    spread = noisy.std(dim=(1, 2, 3))
    assert 0.09 < spread.min() < 0.13 and 0.47 < spread.max() < 0.53
    assert spread.mean() == pytest.approx(0.3, abs=0.02)


def test_float64_stays():
    images = torch.rand(2, 1, 8, 8, dtype=torch.float64, generator=generator())
    for noise in NOISES:
        assert Corruption(noise)(images, generator()).dtype == torch.float64


def test_clone_and_parameters():
    model = clone(Corruption("mask", 0.2, (0, 1)))
    assert model.get_params() == {"noise": "mask", "strength": 0.2, "clip": (0, 1)}


def test_corrupt_images_keeps_shape_and_input():
    images = np.random.default_rng(0).random((3, 8, 9), dtype=np.float32)
    before = images.copy()
    noisy = corrupt_images(images.astype(">f4"), "mask", 0.4, random_state=2)
    assert noisy.shape == images.shape and noisy.dtype == np.float32
    np.testing.assert_array_equal(noisy, corrupt_images(images, "mask", 0.4, random_state=2))
    doubled = torch.from_numpy(images)[:, None]
    Corruption(lambda images, generator: images.mul_(2.0))(doubled, generator())
    np.testing.assert_array_equal(images, before)
    assert corrupt_images(np.ones((2, 3, 8, 8)), random_state=0).dtype == np.float64


@pytest.mark.parametrize(
    "noise, strength, message",
    [
        ("gausian", None, "noise='gausian'; expected one of .*'gaussian'"),
        (3, None, "noise=3; expected one of"),
        ([], None, "noise is empty; expected some of"),
        ("gaussian", -1.0, "noise_strength=-1.0 for 'gaussian'; expected a number above 0"),
        ("gaussian", 0.0, "noise_strength=0.0 for 'gaussian'"),
        ("mask", 1.5, "noise_strength=1.5 for 'mask'; expected a number above 0 and at most 1"),
        ("mask", (0.5, 0.2), r"noise_strength=\(0.5, 0.2\) for 'mask'"),
        ("mask", (0.5,), r"noise_strength=\(0.5,\) for 'mask'"),
        ("mask", "much", "noise_strength='much' for 'mask'"),
        (["mask", "poisson"], [0.5], r"noise_strength has 1 value\(s\) for 2 noise\(s\)"),
        (torch.add, 0.5, "noise_strength=0.5 with a callable noise; expected None"),
    ],
    # a function's own text holds its address, which differs between the workers of pytest-xdist
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_bad_noises(noise, strength, message):
    with pytest.raises(ValueError, match=message) as caught:
        Corruption(noise, strength)(torch.zeros(2, 1, 4, 4), generator())
    assert "\n" not in str(caught.value)


def test_bad_clip_shape_and_callable():
    images = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"clip=\(1, 0\); expected \(low, high\)"):
        Corruption(clip=(1, 0))(images, generator())
    with pytest.raises(ValueError, match="noise returned .* expected a tensor of shape"):
        Corruption(lambda images, generator: images[0])(images, generator())
    with pytest.raises(ValueError, match=r"images has shape \(4, 4\); expected \(n, h, w\)"):
        corrupt_images(np.zeros((4, 4)))
