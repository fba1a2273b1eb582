"""The synthetic line cube: what it promises on signal, noise, seeds and difficulty."""

import time

import numpy as np
import pytest

from skastro.datasets import make_line_cube
from skastro.datasets.fbm import fbm

SMALL = dict(n_pixels=24, n_channels=64)
LAYER = dict(
    beta_rho=3.0,
    beta_v=3.8,
    s=1.0,
    v0=10.0,
    sigma_v=1.0,
    sigma_th=0.4,
    covered=0.6,
    tau_max=2.0,
    t_ex=5.0,
)


@pytest.fixture(scope="module")
def line():
    return make_line_cube("A", random_state=0)


def standard(line, name="cube"):
    return (line[name] - line.truth) / line.sigma


def lag1(noise, axis):
    noise = np.moveaxis(noise, axis, 0)
    return float((noise[1:] * noise[:-1]).mean() / (noise * noise).mean())


def test_structure(line):
    for name in ("cube", "truth", "sigma", "second"):
        assert line[name].shape == (64, 64, 240) and line[name].dtype == np.float32
        assert np.isfinite(line[name]).all() and line[name].flags.c_contiguous
    assert line.truth.min() >= 0 and line.sigma.min() > 0
    np.testing.assert_allclose(line.velocity, -50 + 0.5 * np.arange(240))
    assert make_line_cube("C", n_channels=32, random_state=0).cube.shape == (96, 96, 32)
    assert (line.kind, line.noise, line.unit) == ("A", "correlated", "K")


def test_axes_of_a_map_that_is_not_square():
    line = make_line_cube(n_pixels=(12, 40), n_channels=50, random_state=0)
    assert line.cube.shape == (12, 40, 50) and line.velocity.shape == (50,)


def test_peak_of_each_kind():
    """About 54 (A) and 16 (B) in the reference; seeds scatter around them."""
    for kind, low, high in (("A", 35, 60), ("B", 13, 22)):
        peaks = []
        for seed in range(7):
            line = make_line_cube(kind, random_state=seed)
            peaks.append((line.truth / line.sigma).max())
        assert low < np.median(peaks) < high, peaks


def test_most_voxels_are_free_of_line(line):
    snr = line.truth / line.sigma
    assert (snr < 0.01).mean() > 0.7
    assert 0.002 < (snr > 3).mean() < 0.05 and 0.005 < ((snr > 0.5) & (snr <= 3)).mean() < 0.1
    # part of the map is empty, part of it is not
    assert 0.02 < (snr.max(axis=-1) < 0.5).mean() < 0.5


def test_noise_is_normal_of_the_given_level(line):
    for name in ("cube", "second"):
        noise = standard(line, name)
        assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01
        assert abs((np.abs(noise) > 3).mean() / 0.0027 - 1) < 0.15
        # everywhere: border, noisy tile, ends of the band
        for part in (noise[0], noise[:, -1], noise[:, 50:], noise[..., :10], noise[..., -10:]):
            assert abs(part.std() - 1) < 0.03


def test_noise_correlation(line):
    noise = standard(line)
    assert abs(lag1(noise, 0) - 0.28) < 0.01 and abs(lag1(noise, 1) - 0.28) < 0.01
    assert abs(lag1(noise, 2) - 0.30) < 0.01
    # nothing is left five pixels and channels away
    assert abs((noise[5:] * noise[:-5]).mean()) < 0.01
    assert abs((noise[..., 5:] * noise[..., :-5]).mean()) < 0.01
    white = standard(make_line_cube("B", random_state=0))
    assert max(abs(lag1(white, axis)) for axis in range(3)) < 0.01


def test_the_two_realisations_are_independent(line):
    product = standard(line) * standard(line, "second")
    assert abs(product.mean()) < 0.01


def test_noise_level_is_a_map_times_a_spectrum(line):
    level, band = line.sigma.mean(axis=2), line.sigma.mean(axis=(0, 1))
    product = level[..., None] * band / band.mean()
    np.testing.assert_allclose(line.sigma, product, rtol=1e-5)
    np.testing.assert_allclose(band[[0, -1]] / band[120], 1.15, rtol=1e-3)
    inside = level[12:-12, 12:-12] / 0.2
    assert 0.75 < inside.min() < inside.max() < 2.0
    assert np.median(level[12:-12, 44:52]) > 1.2 * np.median(level[12:-12, 12:42])
    border = np.median(np.r_[level[0, 2:42], level[-1, 2:42]])
    assert 2.2 < border / np.median(level[12:-12, 2:42]) < 2.9


def test_the_level_of_the_noise_leaves_the_truth():
    quiet, loud = (make_line_cube(sigma0=s, random_state=3, **SMALL) for s in (0.1, 0.4))
    np.testing.assert_array_equal(quiet.truth, loud.truth)
    np.testing.assert_allclose(loud.sigma, 4 * quiet.sigma, rtol=1e-6)
    np.testing.assert_allclose(standard(quiet), standard(loud), atol=1e-3)


def test_kinds_a_and_b_share_their_structure():
    a, b = (make_line_cube(kind, random_state=4, **SMALL) for kind in "AB")
    np.testing.assert_allclose(b.truth, 0.375 * a.truth, rtol=1e-5, atol=1e-6)
    assert [one["t_ex"] for one in b.layers] == [3.0, 0.75, 0.24]


def test_layers_follow_their_parameters():
    """Mean velocity, line width and opacity of one layer, without clumps, against its numbers."""
    from skastro.datasets.line_cube import _add_layer

    velocity = np.arange(-10, 30, 0.5)
    truth = np.zeros((32, 32, len(velocity)), np.float32)
    _add_layer(truth, velocity, LAYER, np.random.default_rng(0))
    spectrum = truth.sum(axis=(0, 1), dtype=float)
    mean = np.average(velocity, weights=spectrum)
    width = np.sqrt(np.average((velocity - mean) ** 2, weights=spectrum))
    assert abs(mean - 10) < 1.0
    assert 0.7 * np.hypot(1.0, 0.4) < width < 1.4 * np.hypot(1.0, 0.4)
    np.testing.assert_allclose(truth.max(), 5.0 * (1 - np.exp(-2.0)), rtol=1e-5)
    assert abs((truth.max(axis=-1) > 0).mean() - 0.6) < 0.02


def test_opacity_against_a_sum_over_cells():
    """The deposit of every cell in every channel, in float64."""
    from skastro.datasets.line_cube import DEPTH, _add_layer, _envelope

    velocity = np.arange(0, 20, 0.5)
    truth = np.zeros((8, 9, len(velocity)), np.float32)
    _add_layer(truth, velocity, LAYER, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    density = np.exp(fbm((8, 9, DEPTH), 3.0, rng).astype(float))
    speed = 10.0 + fbm((8, 9, DEPTH), 3.8, rng).astype(float)
    density *= _envelope((8, 9), 0.6, rng)[..., None]
    profile = np.exp(-0.5 * ((velocity - speed[..., None]) / 0.4) ** 2)
    tau = (density[..., None] * profile).sum(axis=2)
    wanted = 5.0 * (1 - np.exp(-2.0 * tau / tau.max()))
    np.testing.assert_allclose(truth, wanted, atol=1e-4)


def test_field_has_the_power_law_asked_for():
    field = fbm((64, 64, 64), 3.0, np.random.default_rng(0))
    assert abs(field.mean()) < 1e-4 and abs(field.std() - 1) < 1e-4
    power = np.abs(np.fft.fftn(field.astype(float))) ** 2
    k = np.sqrt(sum(f**2 for f in np.ix_(*[np.fft.fftfreq(64)] * 3)))
    inside = (k > 0.05) & (k < 0.4)
    slope = np.polyfit(np.log(k[inside]), np.log(power[inside]), 1)[0]
    assert abs(slope + 3.0) < 0.05


def test_beam_smooths_the_truth(line):
    """No structure beyond the beam: power at the highest frequencies is that of a Gaussian."""
    strong = line.truth[..., line.truth.max(axis=(0, 1)) > 1]
    power = (np.abs(np.fft.rfft(strong.astype(float), axis=0)) ** 2).mean(axis=(1, 2))
    beam = np.exp(-((2 * np.pi * 32 / 64 * 2.5 / 2.3548) ** 2))
    assert power[-1] / power[1] < beam


def test_layers_stay_inside_a_short_band():
    line = make_line_cube(random_state=5, **SMALL)
    assert line.velocity[0] < min(one["v0"] for one in line.layers)
    assert line.velocity[-1] > max(one["v0"] for one in line.layers)
    spectrum = (line.truth / line.sigma).max(axis=(0, 1))
    assert spectrum.max() > 10 and spectrum[[0, -1]].max() < 1


def test_own_layers():
    line = make_line_cube(layers=[LAYER], random_state=6, **SMALL)
    assert line.layers == [LAYER]
    peak = line.velocity[line.truth.sum(axis=(0, 1)).argmax()]
    assert abs(peak - 10) < 4
    empty = make_line_cube(layers=[], random_state=6, **SMALL)
    assert not empty.truth.any()
    np.testing.assert_allclose(empty.cube, standard(empty) * empty.sigma, atol=1e-6)


def test_random_layers_vary():
    lines = [make_line_cube(layers="random", random_state=seed, **SMALL) for seed in range(12)]
    assert len({len(line.layers) for line in lines}) > 2
    peaks = [(line.truth / line.sigma).max() for line in lines]
    assert max(peaks) > 4 * min(peaks) and min(peaks) > 0.5
    for line in lines:
        assert np.isfinite(line.cube).all()
        make_line_cube(layers=line.layers, random_state=0, **SMALL)  # valid as own layers


def test_same_seed_same_cube():
    first, again = (make_line_cube(random_state=7, **SMALL) for _ in range(2))
    for name in ("cube", "truth", "sigma", "second"):
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first.truth, make_line_cube(random_state=8, **SMALL).truth)
    state = np.random.RandomState(9)
    one, two = (make_line_cube(random_state=state, **SMALL) for _ in range(2))
    assert not np.array_equal(one.truth, two.truth)


def test_speed():
    start = time.process_time()
    make_line_cube(random_state=0, **SMALL)
    assert time.process_time() - start < 1
    make_line_cube(random_state=0)
    assert time.process_time() - start < 6


@pytest.mark.parametrize(
    "name, value",
    [
        ("kind", "D"),
        ("n_pixels", 3),
        ("n_pixels", 2.5),
        ("n_pixels", (8, 2)),
        ("n_pixels", (8, 8, 8)),
        ("n_pixels", True),
        ("n_channels", 3),
        ("n_channels", "240"),
        ("sigma0", 0),
        ("sigma0", -0.2),
        ("sigma0", np.inf),
        ("sigma0", "loud"),
        ("layers", "wide"),
        ("layers", [3]),
        ("layers", LAYER),
    ],
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=f"{name}=.*expected") as caught:
        make_line_cube(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(tau=1), r"layers\[0\] has keys .*'tau'.*expected .*'tau_max'"),
        (dict(t_ex=0), r"layers\[0\]\['t_ex'\]=0: expected a positive number"),
        (dict(sigma_v=-1), r"layers\[0\]\['sigma_v'\]=-1: expected"),
        (dict(v0="fast"), r"layers\[0\]\['v0'\]='fast': expected"),
        (dict(v0=1e3), r"layers\[0\]\['v0'\]=1000.*inside the band, -50 to 69.5 km/s"),
        (dict(covered=1.5), r"layers\[0\]\['covered'\]=1.5: expected a fraction in \(0, 1\]"),
    ],
)
def test_bad_layers(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_line_cube(layers=[LAYER | change])
    assert "\n" not in str(caught.value)
