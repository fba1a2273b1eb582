"""ImageDenoiser as its users drive it, and scikit-learn's checks through an adapter."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data
from skorch.callbacks import Callback

from skastro import io
from skastro.denoising import ImageDenoiser, PublishedAutoencoder, UNet, corrupt_images

NOISES = ["gaussian", "poisson", "mask", "salt_and_pepper"]


def blobs(n=96, size=12, seed=0):
    """Images of one or two smooth sources, with the highest pixel at 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    place = rng.uniform(0.2 * size, 0.8 * size, (2, 2, n, 1, 1))
    one, two = (np.exp(-((y - p[0]) ** 2 + (x - p[1]) ** 2) / 6) for p in place)
    images = one + rng.uniform(0, 1, (n, 1, 1)) * two
    return (images / images.max(axis=(1, 2), keepdims=True)).astype(np.float32)


def denoiser(**parameters):
    settings = dict(width=8, n_levels=2, max_epochs=6, batch_size=16, lr=1e-2, random_state=0)
    return ImageDenoiser(**settings | parameters)


def gain(model, noise, seed=7):
    """Mean squared error of the estimate over that of the noisy images; fresh images."""
    clean = blobs(32, seed=seed)
    noisy = corrupt_images(clean, noise, clip=(0, 1), random_state=seed)
    return -model.score(noisy, clean) / np.mean((noisy - clean) ** 2)


class TableDenoiser(ImageDenoiser):
    """Tables (n, p) seen as n images of 1 x p: so that scikit-learn's checks can be run."""

    def __init__(self, noise="gaussian", width=4, max_epochs=2, dtype="float64", random_state=None):
        super().__init__(
            noise=noise, width=width, n_levels=1, max_epochs=max_epochs, dtype=dtype,
            random_state=random_state,
        )  # fmt: skip

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        return super().fit(X[:, None, :])

    def transform(self, X):
        if hasattr(self, "n_features_in_"):
            X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))[:, None, :]
        return super().transform(X)[:, 0, :]

    def score(self, X, y=None):
        return super().score(validate_data(self, X, reset=False)[:, None, :])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        tags.input_tags.allow_nan = False
        return tags


def test_every_check_of_scikit_learn_passes_on_tables():
    results = check_estimator(TableDenoiser(), on_skip=None, on_fail=None)
    assert len(results) > 40
    assert [row["check_name"] for row in results if row["status"] == "failed"] == []


def test_tags_of_images():
    tags = ImageDenoiser().__sklearn_tags__()
    assert tags.input_tags.three_d_array and not tags.input_tags.two_d_array
    assert tags.input_tags.allow_nan


@pytest.mark.parametrize(
    "noise, parameters, most",
    [
        ("gaussian", {}, 0.25),
        ("poisson", {}, 0.15),
        ("mask", {}, 0.25),
        ("salt_and_pepper", {}, 0.1),
        ("gaussian", {"augmentation": "dihedral", "average_turns": True}, 0.25),
        ("gaussian", {"noise_strength": (0.1, 0.4)}, 0.35),
    ],
    ids=str,
)
def test_every_noise_is_taken_out(noise, parameters, most):
    model = denoiser(noise=noise, **parameters).fit(blobs(160))
    assert gain(model, noise) < most


def test_the_autoencoder_finds_what_few_numbers_describe():
    amplitude = np.random.default_rng(0).uniform(0.0, 1.0, (200, 1, 1)).astype("f4")
    clean = amplitude * blobs(1) + (1 - amplitude) * blobs(1, seed=1)
    model = denoiser(
        architecture="autoencoder", max_epochs=12, lr=3e-3, normalization=None, augmentation=None
    ).fit(clean[:160])
    unknown = np.mean((clean[160:] - clean[:160].mean(axis=0)) ** 2)
    assert -model.score(clean[160:]) < 0.4 * unknown


def test_one_network_for_all_noises():
    model = denoiser(noise=NOISES, max_epochs=10).fit(blobs(160))
    assert max(gain(model, noise) for noise in NOISES) < 0.5


def test_a_function_as_noise():
    def stripes(images, generator):
        return images + 0.5 * torch.randn(len(images), 1, 1, images.shape[3], generator=generator)

    model = denoiser(noise=stripes, max_epochs=10).fit(blobs(160))
    clean = blobs(32, seed=5)
    noisy = corrupt_images(clean, stripes, random_state=5)
    assert -model.score(noisy, clean) < 0.1 * np.mean((noisy - clean) ** 2)


def test_pairs():
    clean = blobs(160)
    noisy = corrupt_images(clean, random_state=3)
    model = denoiser(max_epochs=10, augmentation=None).fit(noisy, clean)
    assert model.mode_ == "pairs" and model.corruption_ is None
    fresh = corrupt_images(blobs(32, seed=7), random_state=7)
    assert -model.score(fresh, blobs(32, seed=7)) < 0.3 * np.mean((fresh - blobs(32, seed=7)) ** 2)
    with pytest.raises(ValueError, match="score needs y, the clean images"):
        model.score(noisy)


def test_noisy_images_alone():
    clean = blobs(200)
    noisy = clean + np.random.default_rng(1).normal(0, 0.3, clean.shape).astype("f4")
    model = denoiser(max_epochs=8, normalization=None, noise=None).fit(noisy)
    assert model.mode_ == "self_supervised" == denoiser(self_supervised=True).fit(noisy[:16]).mode_
    assert -model.score(noisy[:64], clean[:64]) < 0.3 * 0.3**2
    # without truth: the error plus the variance of the noise
    assert -model.score(noisy) == pytest.approx(-model.score(noisy, clean) + 0.09, rel=0.03)


def test_self_supervised_estimates_never_see_their_own_pixel():
    noisy = corrupt_images(blobs(64), random_state=1)
    model = denoiser(noise=None, normalization="sigma", max_epochs=2).fit(noisy)
    changed = noisy[:1].copy()
    changed[0, 5, 6] += 30.0
    before, after = model.transform(noisy[:1]), model.transform(changed)
    assert after[0, 5, 6] == pytest.approx(before[0, 5, 6], abs=1e-6)
    assert np.abs(after - before).max() > 1e-3


@pytest.mark.parametrize("normalization", ["max", "asinh", "sigma"])
def test_the_users_units_come_back_whatever_the_scale_of_each_image(normalization):
    clean = blobs(128) + 0.05 * np.random.default_rng(0).random((128, 12, 12), dtype="f4")
    factors = 10.0 ** np.random.default_rng(1).uniform(-3, 3, (128, 1, 1)).astype("f4")
    strength = 0.2 if normalization == "max" else 2.0
    model = denoiser(normalization=normalization, noise_strength=strength, max_epochs=10)
    model.fit(factors * clean)
    noisy = corrupt_images(clean[:8], strength=0.1, random_state=0)
    plain, scaled = model.transform(noisy), model.transform(factors[:8] * noisy)
    np.testing.assert_allclose(scaled / factors[:8], plain, atol=2e-3)
    assert np.mean((plain - clean[:8]) ** 2) < 0.01


def test_noise_strength_is_relative_to_the_normalised_image_and_clipped_with_it():
    clean = 500.0 * blobs(64)
    model = denoiser(noise_strength=0.1, max_epochs=1).fit(clean)
    assert model.corruption_.clip == (0.0, 1.0)
    noisy = model._corrupt(clean[:, None])[:, 0]
    assert noisy.min() == 0.0 and noisy.max() <= 500.0
    middle = np.abs(clean - 250.0) < 50.0
    assert np.std((noisy - clean)[middle]) == pytest.approx(50.0, rel=0.1)
    assert denoiser(max_epochs=1).fit(clean - 100.0).corruption_.clip is None
    assert denoiser(max_epochs=1, clip=None).fit(clean).corruption_.clip is None
    assert denoiser(max_epochs=1, normalization=None).fit(clean).corruption_.clip is None


def test_channels():
    clean = np.stack([blobs(64, seed=1), 3.0 * blobs(64, seed=2)], axis=1)
    model = denoiser(max_epochs=10).fit(clean)
    assert model.n_channels_in_ == 2 and model.transform(clean).shape == clean.shape
    noisy = model._corrupt(clean)
    assert -model.score(noisy, clean) < 0.4 * np.mean((noisy - clean) ** 2)
    with pytest.raises(ValueError, match=r"X has 1 channel\(s\); expected 2, as in fit"):
        model.transform(clean[:, 0])


def test_images_of_other_sizes():
    model = denoiser(max_epochs=4).fit(blobs(64))
    assert model.transform(np.ones((2, 23, 9))).shape == (2, 23, 9)
    odd = denoiser(max_epochs=1, augmentation="dihedral").fit(blobs(16)[:, :11, :])
    assert odd.transform(blobs(2)[:, :11]).shape == (2, 11, 12)
    fixed = denoiser(architecture="autoencoder", max_epochs=1).fit(blobs(16))
    with pytest.raises(ValueError, match=r"X has images of \(23, 9\) pixels; expected \(12, 12\)"):
        fixed.transform(np.ones((2, 23, 9)))


@pytest.mark.parametrize("architecture", ["unet", "autoencoder"])
def test_blank_pixels_are_carried_through_and_teach_nothing(architecture):
    clean = blobs(64)
    blank = np.random.default_rng(0).random(clean.shape) < 0.1
    clean[blank] = np.nan
    clean[3] = np.nan
    model = denoiser(architecture=architecture, validation_fraction=0.2).fit(clean)
    assert all(np.isfinite([row["train_loss"], row["valid_loss"]]).all() for row in model.history_)
    noisy = corrupt_images(clean, random_state=0)
    found = model.transform(noisy)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(clean))
    # what is hidden under a mask of numpy is blank too
    hidden = np.ma.MaskedArray(np.where(blank, 1e3, np.nan_to_num(noisy)), np.isnan(noisy))
    masked = model.transform(hidden)
    np.testing.assert_array_equal(masked.mask, np.isnan(noisy))
    np.testing.assert_allclose(masked.compressed(), found[~np.isnan(noisy)], atol=1e-6)


@pytest.mark.parametrize("parameters", [{}, {"noise": None}, {"architecture": "autoencoder"}])
def test_an_image_is_denoised_alike_alone_and_in_company(parameters):
    noisy = corrupt_images(blobs(40), random_state=0)
    model = denoiser(max_epochs=2, dtype="float64", **parameters).fit(noisy)
    found = model.transform(noisy)
    np.testing.assert_allclose(model.transform(noisy[7:9]), found[7:9], atol=1e-6)
    model._overhead = 10**9
    np.testing.assert_allclose(model.transform(noisy), found, atol=1e-6)


def test_types_and_units():
    clean = blobs(32)
    model = denoiser(max_epochs=1).fit(clean.astype(">f4"))
    assert model.transform(clean).dtype == np.float32
    assert model.transform(clean.astype("f8")).dtype == np.float64
    assert model.transform((100 * clean).astype(int)).dtype == np.float32
    np.testing.assert_array_equal(model.transform(clean.astype(">f4")), model.transform(clean))
    typed = denoiser(max_epochs=1).fit(clean * u.Jy)
    found = typed.transform(1000.0 * clean * u.mJy)
    assert found.unit == u.Jy
    np.testing.assert_allclose(found.value, model.transform(clean), atol=1e-6)
    with pytest.raises(ValueError, match="X has no unit; it was fitted in 'Jy'"):
        typed.transform(clean)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"architecture": "autoencoder"}, {"noise": NOISES}, {"network": UNet(4, n_levels=2)}],
    ids=str,
)
def test_clone_pickle_save_and_same_seed(parameters, tmp_path):
    clean = blobs(32)
    model = denoiser(max_epochs=2, **parameters).fit(clean)
    copy = clone(model)
    assert not hasattr(copy, "net_")
    found = model.transform(clean)
    np.testing.assert_array_equal(copy.fit(clean).transform(clean), found)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(clean), found)
    io.save(model, tmp_path / "model.skops")
    np.testing.assert_array_equal(io.load(tmp_path / "model.skops").transform(clean), found)
    other = clone(model).set_params(random_state=1).fit(clean).transform(clean)
    assert np.abs(other - found).max() > 1e-6


def test_global_random_states_are_left_alone():
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    denoiser(random_state=None, max_epochs=1, validation_fraction=0.2).fit(blobs(32)).score(
        blobs(8)
    )
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_parameters_set_after_the_fit_do_not_spoil_it():
    clean = blobs(16)
    model = denoiser(max_epochs=1).fit(clean)
    found = model.transform(clean)
    model.set_params(width=4, normalization="sigma", noise="mask")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(clean), found)


def test_warm_start_goes_on():
    clean = blobs(64)
    model = denoiser(warm_start=True, schedule="constant", max_epochs=3).fit(clean)
    first = model.history_[-1]["train_loss"]
    model.fit(clean)
    assert model.n_iter_ == 6 and model.history_[-1]["train_loss"] < first


def test_pipeline_with_labels_and_grid_search_on_images():
    clean = blobs(48)
    flux = clean.sum(axis=(1, 2))
    flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    pipeline = make_pipeline(denoiser(max_epochs=2), flatten, Ridge()).fit(clean, flux)
    assert pipeline[0].mode_ == "corrupt" and pipeline.predict(clean).shape == (48,)
    steps = Pipeline([("scale", FunctionTransformer(np.sqrt)), ("denoise", denoiser(max_epochs=1))])
    grid = {"denoise__network": [UNet(4), PublishedAutoencoder()], "denoise__lr": [1e-3, 5e-3]}
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(clean)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scores = cross_val_score(
        denoiser(max_epochs=2), corrupt_images(clean, random_state=0), clean, cv=3
    )
    assert scores.shape == (3,) and (scores < 0).all()


def test_score_of_clean_images_corrupts_them_the_same_each_time():
    model = denoiser(max_epochs=4).fit(blobs(64))
    clean = blobs(32, seed=3)
    assert model.score(clean) == model.score(clean)
    assert model.score(clean) == pytest.approx(
        model.score(model._corrupt(clean[:, None])[:, 0], clean)
    )


def test_own_network_never_sees_a_blank():
    class Own(torch.nn.Module):
        def __init__(self, n_channels, image_shape):
            super().__init__()
            self.conv = torch.nn.Conv2d(n_channels, n_channels, 5, padding=2)

        def forward(self, x):
            assert torch.isfinite(x).all()
            return self.conv(x)

    clean = blobs(64)
    clean[:, 4, 4] = np.nan
    model = denoiser(network=Own, max_epochs=10, lr=2e-2).fit(clean)
    assert gain(model, "gaussian") < 0.6


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


def test_an_interrupted_fit_is_usable():
    model = denoiser(max_epochs=50, callbacks=[Interrupt()])
    with pytest.warns(ConvergenceWarning, match=r"interrupted after 3 epoch\(s\)"):
        model.fit(blobs(64))
    assert gain(pickle.loads(pickle.dumps(model)), "gaussian") < 1.0


@pytest.mark.parametrize(
    "X",
    [np.zeros((6, 8, 8)), np.full((6, 8, 8), 3.0), blobs(1), np.ones((6, 1, 1)), -blobs(6)],
    ids=["zero", "constant", "one image", "one pixel", "negative"],
)
def test_poor_images(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = denoiser(max_epochs=1).fit(X)
        assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize(
    "X, y, parameters, message",
    [
        (np.ones((8, 8)), None, {}, r"X has shape \(8, 8\); expected \(n, h, w\)"),
        (np.full((3, 8, 8), np.nan), None, {}, "X has no finite pixel"),
        (np.full((3, 8, 8), np.inf), None, {}, "X contains infinity"),
        (blobs(4), blobs(3), {}, r"y has shape \(3, 12, 12\); expected \(4, 12, 12\), that of X"),
        (blobs(4), None, {"noise": "gausian"}, "noise='gausian'; expected one of"),
        (blobs(4), None, {"noise_strength": -1.0}, "noise_strength=-1.0 for 'gaussian'"),
        (blobs(4), None, {"normalization": "min"}, "'normalization' parameter of ImageDenoiser"),
        (blobs(4), None, {"architecture": "vit"}, "'architecture' parameter of ImageDenoiser"),
        (blobs(4), None, {"width": 0}, "'width' parameter of ImageDenoiser must be"),
        (blobs(4), None, {"clip": (1, 0)}, r"clip=\(1, 0\); expected \(low, high\)"),
    ],
)
def test_bad_input(X, y, parameters, message):
    with pytest.raises(ValueError, match=message):
        denoiser(**parameters).fit(X, y)


def test_bad_input_after_the_fit():
    model = denoiser(max_epochs=1).fit(blobs(16))
    with pytest.raises(ValueError, match=r"y has shape \(2, 12, 12\); expected \(3, 12, 12\)"):
        model.score(blobs(3), blobs(2))
    with pytest.raises(ValueError, match="X contains infinity"):
        model.transform(np.full((1, 12, 12), -np.inf))
    with pytest.raises(NotFittedError):
        ImageDenoiser().transform(blobs(2))
    assert isinstance(model, BaseEstimator)
