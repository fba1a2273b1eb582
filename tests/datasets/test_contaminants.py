"""Contaminants: each in the image, and flagged where its contribution exceeds so many times the noise."""

import time

import numpy as np
import pytest
from joblib import parallel_config
from scipy.ndimage import label

from skastro.datasets import CONTAMINANTS, make_contaminants, make_survey_images, unpack_bits

BITS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]
ADDITIVE = {"CR": 1, "HP": 6, "P": 0.5, "TRL": 0.5, "FR": 0.5, "NEB": 1, "SP": 0.5, "BBG": 1}
PLAIN = {"gradient": 0.0, "flat_residual": 0.0, "subtracted": 0.0, "correlated": 0.0}


@pytest.fixture(scope="module")
def frames():
    return make_contaminants(
        20, shape=(96, 128), classes=list(CONTAMINANTS), probability=0.6, tracking=0.3,
        return_contributions=True, random_state=0,
    )  # fmt: skip


def test_shapes_and_names(frames):
    assert frames.images.shape == frames.bits.shape == frames.source_mask.shape == (20, 96, 128)
    assert frames.images.dtype == np.float32 and frames.bits.dtype == np.uint16
    assert frames.labels == tuple(CONTAMINANTS) and list(frames.bit_values.values()) == BITS
    assert [c.bit for c in CONTAMINANTS.values()] == BITS
    assert np.isfinite(frames.images).all()
    assert all(part.dtype == np.float32 for part in frames.contributions.values())
    np.testing.assert_allclose(
        frames.sigma, np.sqrt(frames.sky + frames.read_noise**2) / frames.gain, rtol=1e-12
    )
    assert 0 < frames.tracking.sum() < 20
    assert set(frames.contributions) == set(CONTAMINANTS) - {"SAT", "OV", "BR"}


@pytest.mark.parametrize("name, times", ADDITIVE.items())
def test_truth_of_what_adds_light(frames, name, times):
    """Recomputed: the noiseless contribution over sqrt(sky + read_noise^2), outside the overscan."""
    sigma = np.sqrt(frames.sky + frames.read_noise**2)[:, None, None]
    found = (frames.bits & CONTAMINANTS[name].bit) != 0
    expected = frames.contributions[name] > times * sigma
    expected &= (frames.bits & 2048) == 0
    assert expected.any()
    np.testing.assert_array_equal(found, expected)
    assert (frames.contributions[name] >= 0).all()


def test_truth_of_the_detector(frames):
    free = (frames.bits & 2048) == 0
    for name, truth in (
        ("HCL", frames.contributions["HCL"] > 0),
        ("DCL", frames.contributions["DCL"] < 1),
        ("DP", frames.contributions["DP"] < 1),
    ):
        found = (frames.bits & CONTAMINANTS[name].bit) != 0
        assert found.any()
        np.testing.assert_array_equal(found, truth & free)
    assert frames.contributions["DP"].min() >= 0 and frames.contributions["DCL"].max() <= 1
    overscan = frames.bits[~free]
    assert overscan.size and (overscan == 2048).all()


def pair(name, **options):
    """The same frames with and without one class."""
    options = {"shape": (128, 128), "classes": [name], "random_state": 4, "n_images": 12} | options
    with_it = make_contaminants(probability=1.0, return_contributions=True, **PLAIN, **options)
    without = make_contaminants(probability=0.0, **PLAIN, **options)
    assert not without.bits.any()
    gain = with_it.gain[:, None, None]
    # a frame has an offset between amplifiers, the same in both
    return with_it, (with_it.images.astype(float) - without.images) * gain, gain


def test_cosmic_rays_are_in_the_image():
    """Charge is added to what is read, without the point spread function: within the rounding to ADU."""
    frames, difference, gain = pair("CR")
    unclipped = frames.images > 0
    error = np.abs(difference - frames.contributions["CR"])[unclipped]
    assert (error <= (1.01 * gain * np.ones_like(difference))[unclipped] + 0.05).all()
    # single pixels and long tracks
    counts = unpack_bits(frames.bits, ["CR"]).sum((1, 2, 3))
    assert (counts > 0).all() and counts.max() > 10 * counts.min()


@pytest.mark.parametrize("name", ["HP", "P", "TRL", "NEB", "BBG"])
def test_light_is_in_the_image(name):
    """But for the noise of the added light itself."""
    kwargs = {"sky": (60.0, 1e4), "n_images": 8}
    frames, difference, gain = pair(name, **kwargs)
    part = frames.contributions[name].astype(float)
    sky, read = (frames[key][:, None, None] for key in ("sky", "read_noise"))
    scatter = np.sqrt(part + sky + read**2) + gain
    residual = (difference - part) / scatter
    if name != "BBG":  # whose stars have cores, too
        assert np.abs(residual).max() < 7
        assert abs(residual.mean()) < 0.05
    else:
        assert np.median(np.abs(residual)) < 1
        wide = (part > 3 * np.sqrt(sky + read**2)) & (np.abs(residual) < 50)
        assert wide.any() and abs(np.median(residual[wide])) < 1
    assert part.max() > 10 * np.sqrt(sky + read**2).min()


def test_hot_pixels_are_hot_and_single():
    frames, difference, _ = pair("HP")
    hot = unpack_bits(frames.bits, ["HP"])[:, 0]
    sigma = (frames.sigma * frames.gain)[:, None, None]
    assert hot.any((1, 2)).all() and (difference[hot] > 0).all()
    assert (frames.contributions["HP"] / sigma)[hot].min() > 6
    neighbours = hot[:, 1:] & hot[:, :-1]
    assert neighbours.sum() < 0.15 * hot.sum()


def test_dead_pixels_and_lines_take_light_away():
    for name in ("DP", "DCL"):
        frames, difference, _ = pair(name, sky=(2e3, 3e4), density=0.0, n_images=16)
        dead = unpack_bits(frames.bits, [name])[:, 0]
        sigma = np.broadcast_to((frames.sigma * frames.gain)[:, None, None], dead.shape)
        assert (difference[dead] < -sigma[dead]).mean() > 0.97
        assert np.abs(difference[~dead]).max() == 0
        single = dead[:, 1:] & dead[:, :-1]
        assert (single.sum() < 0.2 * dead.sum()) == (name == "DP")


def test_hot_lines_are_lines():
    frames, difference, _ = pair("HCL", density=0.0, n_images=16, sky=(60.0, 3e4))
    hot = unpack_bits(frames.bits, ["HCL"])[:, 0]
    assert hot.any((1, 2)).all()
    sigma = np.broadcast_to((frames.sigma * frames.gain)[:, None, None], hot.shape)
    assert np.mean(difference[hot] / sigma[hot] > 0) > 0.9
    assert np.abs(difference[~hot]).max() == 0
    for mask in hot:
        longest = max(mask.sum(0).max(), mask.sum(1).max())
        assert longest >= 8


def test_trails_are_straight():
    """The light of most frames, turned by the right angle, falls into few columns."""
    frames, _, _ = pair("TRL", n_images=12, seeing=2.0)
    assert unpack_bits(frames.bits, ["TRL"]).any((1, 2, 3)).sum() >= 10
    y, x = np.mgrid[:128, :128]
    shares = []
    for light in frames.contributions["TRL"]:
        best = 0.0
        for angle in np.arange(0, np.pi, 0.01):
            across = np.rint(np.cos(angle) * y - np.sin(angle) * x).astype(int)
            columns = np.bincount((across - across.min()).ravel(), light.ravel())
            best = max(best, np.convolve(columns, np.ones(9)).max() / max(light.sum(), 1e-9))
        shares.append(best)
    assert np.median(shares) > 0.7


def test_saturation_is_a_ceiling():
    frames = make_contaminants(
        12,
        shape=(128, 128),
        classes=["SAT"],
        probability=1.0,
        density=1e-4,
        random_state=2,
        **PLAIN,
    )
    full = unpack_bits(frames.bits, ["SAT"])[:, 0]
    assert full.any((1, 2)).all()
    ratio = []
    for image, mask in zip(frames.images, full, strict=True):
        ratio.append(image[mask].min() / image[~mask].max())
        assert image[mask].std() < 0.05 * image[mask].mean()
    # but for resets that read nothing, and full wells that vary by 2 %
    assert np.median(ratio) > 0.9


def test_overscan_has_no_light():
    frames = make_contaminants(
        12, shape=(128, 128), classes=["OV"], probability=1.0, sky=5000.0, read_noise=5.0, random_state=3,
        gain=1.0, **PLAIN,
    )  # fmt: skip
    mask = unpack_bits(frames.bits, ["OV"])[:, 0]
    assert mask.any((1, 2)).all() and not mask.all((1, 2)).any()
    for image, strip, bias in zip(frames.images, mask, frames.bias, strict=True):
        # of the sky, at most the 15 % that the last pixels leave behind in a strip
        assert abs(np.median(image[strip]) - bias) < 0.16 * 5000
        # whole lines
        assert strip.all(0).any() or strip.all(1).any()


def test_fringes_are_within_their_envelope():
    frames, difference, gain = pair("FR", sky=3e4, density=0.0)
    envelope = frames.contributions["FR"]
    # both images have the same noise but for its size, which follows the light
    assert (np.abs(difference) <= 1.1 * envelope + 2 * gain + 5).mean() > 0.98
    sizes = np.abs(difference).max((1, 2)) / envelope.max((1, 2))
    assert np.median(sizes) > 0.7


def test_classes_do_not_change_one_another():
    options = {"shape": (64, 64), "n_images": 6, "random_state": 5}
    one = make_contaminants(classes=["TRL"], **options)
    two = make_contaminants(classes=["CR", "TRL", "SP"], **options)
    np.testing.assert_array_equal(one.bits, two.bits & 64)
    np.testing.assert_array_equal(one.sky, two.sky)
    assert one.labels == ("TRL",) and one.bit_values == {"TRL": 64}


def test_probability():
    options = {"shape": (48, 48), "n_images": 60, "density": 1e-4, "random_state": 0}
    frames = make_contaminants(classes=["HP", "DP"], probability={"HP": 0.2, "DP": 0.9}, **options)
    share = unpack_bits(frames.bits, frames.labels).any((2, 3)).mean(0)
    np.testing.assert_allclose(share, [0.2, 0.9], atol=0.16)
    assert not make_contaminants(probability=0.0, **options).bits.any()


def test_tracking_trails_every_source():
    options = {
        "shape": (128, 128),
        "density": 1e-3,
        "galaxy_fraction": 0.0,
        "seeing": 2.0,
        "sky": 50.0,
    }
    options |= {"classes": ["CR"], "probability": 0.0, "n_images": 16, "random_state": 1}
    good, bad = (make_contaminants(tracking=p, **options) for p in (0.0, 1.0))
    assert bad.tracking.all() and not good.tracking.any()
    # pixels about the brightest one above half of it: pi fwhm^2 / 4 of a star
    counts = []
    for frames in (good, bad):
        level = frames.images - np.median(frames.images, (1, 2), keepdims=True)
        cores = [label(image > image.max() / 2) for image in level]
        brightest = [m.ravel()[image.argmax()] for (m, _), image in zip(cores, level, strict=True)]
        counts.append([(m == k).sum() for (m, _), k in zip(cores, brightest, strict=True)])
    # some hold still for a while, or jump
    assert np.max(counts[0]) <= 9 and np.mean(counts[1]) > 2.5 * np.mean(counts[0])


def test_tracking_kernels():
    from skastro.datasets.survey_psf import tracking_kernel

    for seed in range(40):
        kernel = tracking_kernel(3.0, np.random.default_rng(seed))
        size = len(kernel)
        assert kernel.shape == (size, size) and size % 2 == 1 and size <= 129
        assert kernel.sum() == pytest.approx(1, abs=1e-5) and kernel.min() >= 0
        y, x = np.nonzero(kernel > 0)
        assert max(np.ptp(x), np.ptp(y)) > 3


def test_same_seed_same_images(frames):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    options = {
        "classes": list(CONTAMINANTS),
        "probability": 0.6,
        "tracking": 0.3,
        "random_state": 0,
    }
    with parallel_config(backend="threading"):
        again = make_contaminants(3, shape=(96, 128), n_jobs=2, **options)
    for name in ("images", "bits", "source_mask", "tracking", "gain", "bias"):
        np.testing.assert_array_equal(again[name], frames[name][:3])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_without_contaminants_as_the_survey():
    """The images of the same seed are those without contaminants."""
    clean = make_survey_images(3, shape=(64, 64), random_state=7)
    frames = make_contaminants(3, shape=(64, 64), probability=0.0, random_state=7)
    for name in ("images", "source_mask", "sky", "gain", "read_noise", "seeing", "psf", "sigma"):
        np.testing.assert_array_equal(clean[name], frames[name])


@pytest.mark.parametrize("shape", [(16, 16), (17, 301), (300, 20)])
@pytest.mark.filterwarnings("error")
def test_odd_shapes(shape):
    frames = make_contaminants(
        4, shape=shape, classes=list(CONTAMINANTS), probability=1.0, tracking=0.5, random_state=0
    )
    assert frames.images.shape == (4, *shape) and np.isfinite(frames.images).all()


def test_speed():
    """A quarter of a megapixel in half a second."""
    make_contaminants(1, shape=(64, 64), random_state=0)
    start = time.process_time()
    make_contaminants(8, random_state=0)
    assert time.process_time() - start < 8 * 0.262 / 0.5


def test_unpack_bits():
    bits = np.array([[0, 1, 2, 3]], np.uint16)
    expected = [[[0, 1, 0, 1]], [[0, 0, 1, 1]]]
    np.testing.assert_array_equal(unpack_bits(bits, ["CR", "HCL"]), expected)
    np.testing.assert_array_equal(unpack_bits(bits[None], {"a": 1, "b": 2}), [expected])
    assert unpack_bits(bits).shape == (13, 1, 4)
    for wrong, message in (
        (bits.astype(float), "type float64: expected integers"),
        (bits[0], r"shape \(4,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            unpack_bits(wrong)
    with pytest.raises(ValueError, match="expected some of CR, HCL"):
        unpack_bits(bits, ["X"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n_images": 0}, "n_images=0: expected an integer of at least 1"),
        ({"shape": (64, 8)}, "shape="),
        ({"sky": (10.0, 1.0)}, "sky="),
        ({"seeing": np.nan}, "seeing=nan"),
        ({"classes": ["CR", "XX"]}, r"classes=\['CR', 'XX'\]: expected some of CR, HCL"),
        ({"classes": "CR"}, "classes='CR'"),
        ({"classes": []}, r"classes=\[\]"),
        ({"classes": ["CR", "CR"]}, "each at most once"),
        ({"classes": [1]}, "classes="),
        ({"probability": 1.5}, "probability=1.5: expected a number from 0 to 1"),
        ({"probability": None}, "probability=None"),
        ({"probability": {"XX": 0.5}}, "probability has 'XX': expected some of"),
        ({"probability": {"CR": -0.5}}, r"probability\['CR'\]=-0.5"),
        (
            {"classes": ["CR"], "probability": {"HP": 0.5}},
            "probability has 'HP': expected some of CR",
        ),
        ({"tracking": 2}, "tracking=2: expected a number from 0 to 1"),
        ({"subtracted": -1}, "subtracted=-1"),
        ({"correlated": np.nan}, "correlated=nan"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_contaminants(**({"n_images": 1, "shape": (16, 16)} | arguments))
    assert "\n" not in str(caught.value)
