"""Rings of wave number against the full plane of a complex FFT."""

import pickle

import numpy as np
import pytest

from skastro.fourier_shells import FourierShells

SHAPES = [(16, 16), (15, 15), (12, 20), (13, 18), (20, 11), (2, 2), (2, 7)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options",
    [{}, {"n_bins": 4}, {"spacing": "log"}, {"k_max": 1.41421 * 0.25, "n_bins": 5}],
)
def test_means_are_those_of_the_full_plane(shape, options):
    rng = np.random.default_rng(0)
    shells = FourierShells(shape, pixel_size=2.0, **options)
    X = np.abs(np.fft.fft2(rng.normal(size=(3, *shape)))) ** 2
    k = np.hypot(np.fft.fftfreq(shape[0], 2.0)[:, None], np.fft.fftfreq(shape[1], 2.0))
    half = X[..., : shape[1] // 2 + 1]
    found = shells.mean(half)
    assert found.shape == (3, len(shells.k))
    n_seen = 0
    for i, (low, high) in enumerate(shells.edges):
        # the outer bounds are widened by 1e-9
        last = i == len(shells.k) - 1
        ring = (k >= low) & ((k <= high) if last else (k < high)) & (k > 0)
        assert ring.sum() == shells.n_modes[i] > 0
        np.testing.assert_allclose(shells.k[i], k[ring].mean(), rtol=1e-12)
        np.testing.assert_allclose(found[:, i], X[:, ring].mean(axis=1), rtol=1e-12)
        n_seen += ring.sum()
    highest = options.get("k_max", 0.25)
    inside = (k > 0) & (k <= highest * (1 + 1e-9))
    assert n_seen == inside.sum()


def test_all_modes_with_the_corners():
    shells = FourierShells((12, 12), k_max=np.sqrt(0.5))
    assert shells.n_modes.sum() == 143


def test_rings_without_modes_are_left_out():
    shells = FourierShells((8, 8), 40)
    assert len(shells.k) < 40 and (shells.n_modes > 0).all()
    assert shells.labels.max() == len(shells.k) - 1 and (np.diff(shells.k) > 0).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_bins": 0}, "n_bins=0; expected an integer of at least 1"),
        ({"n_bins": 2.5}, "n_bins=2.5; expected an integer"),
        ({"pixel_size": 0.0}, "pixel_size=0.0; expected a number above 0"),
        ({"spacing": "sqrt"}, "spacing='sqrt'; expected 'linear' or 'log'"),
        (
            {"k_max": 0.8},
            r"k_max=0.8; expected a wave number from 0.125 to 0.7071 for maps of 8 x 4",
        ),
        ({"k_max": 0.1}, r"k_max=0.1; expected a wave number from 0.125"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        FourierShells((8, 4), **options)


@pytest.mark.parametrize("shape", [(16, 16), (12, 20), (15, 9)])
def test_bounds_that_are_given(shape):
    bounds = [0.1, 0.2, 0.25, 0.26, 0.5]
    shells = FourierShells(shape, bounds=bounds)
    k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"))
    inside = [
        (k >= low) & (k < high) & (k > 0) for low, high in zip(bounds, bounds[1:], strict=False)
    ]
    counts = [ring.sum() for ring in inside]
    assert shells.n_modes.tolist() == [n for n in counts if n]
    values = np.random.default_rng(0).random(shape)
    power = np.abs(np.fft.fft2(values)) ** 2
    expected = [power[ring].mean() for ring in inside if ring.any()]
    np.testing.assert_allclose(shells.mean(power[:, : shape[1] // 2 + 1]), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "bounds", [[0.1], [0.2, 0.1], [0.1, np.nan], [-0.1, 0.2], [[0.1, 0.2]], [0.71, 0.8]]
)
def test_bad_bounds(bounds):
    with pytest.raises(ValueError, match="bounds"):
        FourierShells((8, 8), bounds=bounds)


def test_bounds_stand_alone():
    with pytest.raises(ValueError, match="bounds with n_bins=3"):
        FourierShells((8, 8), 3, bounds=[0.1, 0.2])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_is_the_same(shape):
    shells = FourierShells(shape)
    assert "_average" not in shells.__getstate__()
    values = np.random.default_rng(0).random((2, shape[0], shape[1] // 2 + 1))
    copied = pickle.loads(pickle.dumps(shells))
    np.testing.assert_array_equal(copied.mean(values), shells.mean(values))
