"""The oriented bands add up to the map; the filter against the Gaussian one and a signal in one place."""

import numpy as np
import pytest
import torch

from skastro.separation import scale_mixture
from skastro.separation.problem import pose
from skastro.separation.scale_mixture import OrientedBands, scale_mixture_filter

SIDE = 64


@pytest.mark.parametrize("shape", [(64, 64), (48, 80), (33, 21), (6, 40), (2, 2)])
def test_bands_and_rest_add_up_to_the_map(shape):
    bands = OrientedBands(shape)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    modes = torch.fft.fft2(x)
    whole = torch.fft.ifft2(modes * bands.get("rest", x)).real
    for band in bands.get("bands", x):
        whole = (
            whole + 2 * torch.fft.ifft2(torch.fft.fft2(torch.fft.ifft2(modes * band)) * band).real
        )
    torch.testing.assert_close(whole, x, rtol=0, atol=1e-12)


def test_bands_are_octaves_of_one_orientation():
    bands = OrientedBands((SIDE, SIDE))
    filters = bands.get("bands", torch.zeros(1, dtype=torch.float64)).numpy()
    ky, kx = SIDE * np.fft.fftfreq(SIDE)[:, None], SIDE * np.fft.fftfreq(SIDE)
    k = np.hypot(ky, kx)
    for scale, one in zip(bands.scales, filters, strict=True):
        power = one**2
        if scale:
            assert power[(k < 32 / 2.0**scale / 3) | (k > 32 / 2.0**scale * 1.5)].max() < 1e-12
        # a half plane: of opposite modes one alone
        opposite = np.roll(power[::-1, ::-1], (1, 1), (0, 1))
        assert (power * opposite)[1:32, 1:32].max() < 1e-12
    # the first of each scale lies along x
    assert filters[4][0, 10] > 0 and abs(filters[4][10, 0]) < 1e-12


def posed(signal, noise, dtype=torch.float64):
    maps, samples = (torch.from_numpy(x).to(dtype) for x in (signal + noise[:1], noise[1:]))
    return pose(maps, samples, None, torch.ones(1, 1, 1), torch.zeros(1, 1, 1, 1))[0]


def field(rng, slope, n=1):
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    modes = np.fft.rfft2(rng.normal(size=(n, 1, SIDE, SIDE))) * 30 * k ** (0.5 * slope)
    return np.fft.irfft2(modes, s=(SIDE, SIDE))


def error(found, signal):
    return float(np.sqrt(np.mean((found.numpy() - signal) ** 2)))


def test_as_good_as_the_linear_filter_on_a_gaussian_field():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(5):
        signal, noise = field(rng, -3), rng.normal(size=(31, 1, SIDE, SIDE))
        problem = posed(signal, noise)
        ratios.append(error(scale_mixture_filter(problem), signal) / error(problem.wiener, signal))
    assert np.mean(ratios) < 1.05


def test_better_than_the_linear_filter_where_the_signal_is_in_one_place():
    rng = np.random.default_rng(1)
    y, x = np.indices((SIDE, SIDE))
    signal = 4 * field(rng, -3) * np.exp(-((y - 20.0) ** 2 + (x - 30.0) ** 2) / 100)
    problem = posed(signal - signal.mean(), rng.normal(size=(31, 1, SIDE, SIDE)))
    found = scale_mixture_filter(problem)
    assert error(found, signal) < 0.85 * error(problem.wiener, signal)
    # nearly nothing passes far from it
    far = np.hypot(y - 20, x - 30) > 35
    noise_left = [float(one[0, 0].numpy()[far].std()) for one in (found, problem.wiener)]
    assert noise_left[0] < 0.6 * noise_left[1]


def test_contamination_that_is_stronger_in_places_is_known_from_its_samples():
    rng = np.random.default_rng(2)
    level = np.where(np.arange(SIDE) < SIDE // 2, 0.3, 3.0)[:, None] * np.ones(SIDE)
    signal, noise = field(rng, -3), level * rng.normal(size=(61, 1, SIDE, SIDE))
    problem = posed(signal, noise)
    found = scale_mixture_filter(problem).numpy()
    quiet = slice(4, SIDE // 2 - 4)
    off = [(one - signal)[..., quiet, :].std() for one in (found, problem.wiener.numpy())]
    assert off[0] < 0.8 * off[1]


def test_float32_channels_and_batches_are_what_they_are_alone(monkeypatch):
    # fewer than the pixels of a map
    monkeypatch.setattr(scale_mixture, "N_PIXELS", 1500)
    rng = np.random.default_rng(3)
    signal, noise = (
        field(rng, -2, 4).reshape(2, 2, SIDE, SIDE),
        rng.normal(size=(22, 2, SIDE, SIDE)),
    )

    def found(rows, channels, dtype=torch.float64):
        maps = torch.from_numpy((signal + noise[:2])[rows][:, channels]).to(dtype)
        samples = torch.from_numpy(noise[2:][:, channels]).to(dtype)
        n = maps.shape[1]
        problem, _ = pose(maps, samples, None, torch.ones(n, 1, 1), torch.zeros(len(maps), n, 1, 1))
        return scale_mixture_filter(problem)

    both = slice(None)
    whole = found(both, both)
    torch.testing.assert_close(whole[1:, 1:], found(slice(1, 2), slice(1, 2)), rtol=0, atol=1e-9)
    single = found(both, both, torch.float32).double()
    # pixels between two classes may change sides
    assert (single - whole).square().mean().sqrt() < 1e-2 * whole.std()
