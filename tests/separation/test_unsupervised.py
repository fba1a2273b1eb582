"""Kinds of maps that nobody labelled: found, told apart in new maps, taken off mixtures."""

import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data
from skorch.callbacks import Callback

from skastro.datasets import make_fields, make_hi_phases
from skastro.io import load, save
from skastro.scattering import ScatteringTransform
from skastro.separation import MixtureAutoencoder, ScatteringMixtureModel, StatisticalSeparator
from skastro.separation.mixture import MixtureNet

QUICK = {"n_init": 1, "n_statistics": 8, "max_epochs": 24, "random_state": 0, "device": "cpu"}
SIDE = 16


def kinds(n=30, random_state=0):
    """White noise, a steep spectrum and filaments, n of each."""
    maps = [
        make_fields(n, kind, n_pixels=SIDE, index=index, random_state=random_state).maps
        for kind, index in (("gaussian", 0.0), ("gaussian", 4.0), ("filaments", 2.0))
    ]
    return np.concatenate(maps), np.repeat([0, 1, 2], n)


MAPS, KIND = kinds()


@pytest.fixture(scope="module")
def model():
    return ScatteringMixtureModel(random_state=0, device="cpu").fit(MAPS)


class Features(MixtureNet):
    """The training alone, on a table."""

    def __init__(self, n_init=1):
        self.n_init = n_init
        self.lr, self.max_epochs, self.batch_size, self.batch_growth = 5e-3, 60, 128, 1.0
        self.schedule, self.validation_fraction, self.patience = "one_cycle", 0.2, None
        self.dtype, self.device, self.callbacks, self.verbose = "float64", "cpu", None, 0
        self.n_components, self.n_latent = 3, 2

    def fit(self, X):
        self.sizes_ = {"n_features": X.shape[1], "n_latent": 2, "n_components": 3}
        self.recipe_ = MixtureAutoencoder()
        self._fit_mixture(torch.from_numpy(X), np.random.default_rng(0), True)
        return self


def test_gaussian_clusters_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    share, noise = np.array([0.5, 0.3, 0.2]), 0.3
    centre = np.array([[0.0, 4.0], [3.0, -2.0], [-4.0, -2.0]])
    # two numbers behind six, each with some noise
    W = np.linalg.qr(rng.normal(size=(6, 2)))[0] * [0.6, 0.9]
    covariance = W @ W.T + noise**2 * np.eye(6)
    parts = [multivariate_normal(W / [0.6, 0.9] @ one, covariance) for one in centre]
    label = rng.choice(3, 1200, p=share)
    X = np.stack([part.rvs(1200, random_state=rng) for part in parts])[label, np.arange(1200)]
    centred = X - X[:600].mean(0)
    _, s, V = np.linalg.svd(centred[:600], full_matrices=False)
    whiten = V.T / s * np.sqrt(600)
    scores, fresh = np.split(centred @ whiten, 2)
    theirs = GaussianMixture(3, n_init=5, random_state=0).fit(scores)
    model = Features().fit(scores)
    found = model._log_probabilities(torch.from_numpy(fresh)).argmax(1)
    assert adjusted_rand_score(theirs.predict(fresh), found) > 0.97
    assert adjusted_rand_score(label[600:], found) > 0.97
    np.testing.assert_allclose(model.weights_, np.sort(theirs.weights_)[::-1], atol=0.02)
    # the evidence of fresh data is below the likelihood of the process that made them, and not far
    each = [np.log(w) + part.logpdf(X[600:]) for w, part in zip(share, parts, strict=True)]
    truth = np.logaddexp.reduce(each).mean() - np.linalg.slogdet(whiten)[1]
    gap = truth - model._evidence(torch.from_numpy(fresh)).mean()
    assert -0.02 < gap < 0.8


def test_kinds_of_maps_are_told_apart(model):
    fresh, kind = kinds(random_state=1)
    assert adjusted_rand_score(KIND, model.labels_) > 0.95
    assert adjusted_rand_score(kind, model.predict(fresh)) > 0.95
    probabilities = model.predict_proba(fresh)
    assert probabilities.shape == (90, 3) and probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-12)
    assert (probabilities.argmax(1) == model.predict(fresh)).all()
    assert (model.predict(MAPS) == model.labels_).all()
    quick = ScatteringMixtureModel(**QUICK)
    assert (quick.fit_predict(MAPS) == quick.predict(MAPS)).all()
    assert (np.diff(model.weights_) <= 0).all() and model.weights_.sum() == pytest.approx(1.0)


def test_latent_space(model):
    latent = model.transform(MAPS)
    assert latent.shape == (90, 4) and latent.dtype == np.float32
    assert model.get_feature_names_out()[0] == "scatteringmixturemodel0"
    assert model.means_.shape == (3, 4) and model.covariances_.shape == (3, 4, 4)
    assert np.linalg.eigvalsh(model.covariances_).min() > 0
    # each patch is nearest, in its component's own measure, to the component that it is put in
    off = latent[:, None] - model.means_
    squares = np.einsum("nci,cij,ncj->nc", off, np.linalg.inv(model.covariances_), off)
    log_volume = np.linalg.slogdet(model.covariances_)[1]
    nearest = (np.log(model.weights_) - 0.5 * (squares + log_volume)).argmax(1)
    assert (nearest == model.labels_).mean() > 0.95


def test_phases_of_hydrogen():
    n = 40
    fraction = np.repeat([0.1, 0.9], n)
    gas = make_hi_phases(
        2 * n, n_pixels=32, n_channels=1, channel_width=3.0, cold_fraction=fraction, random_state=0
    )
    noise = np.random.default_rng(0).normal(scale=gas.sigma, size=(n, 32, 32))
    patches, phase = np.concatenate([gas.cube[..., 0], noise]), np.repeat([0, 1, 2], n)
    found = ScatteringMixtureModel(**QUICK | {"n_init": 2}).fit_predict(patches)
    assert adjusted_rand_score(phase, found) > 0.95


def test_score_is_the_evidence_of_like_maps(model):
    fresh, _ = kinds(random_state=1)
    score = model.score(fresh)
    assert score > model.score(fresh[::-1, ::-1].transpose(0, 2, 1) * 3) + 1
    assert model.score(MAPS) == pytest.approx(model.score(MAPS))
    assert len(model.evidences_) == 3 and max(model.evidences_) > -25


def test_score_grows_up_to_the_number_of_kinds():
    fresh, _ = kinds(random_state=1)
    options = QUICK | {"max_epochs": 60}
    two, three, five = (
        ScatteringMixtureModel(n, **options).fit(MAPS).score(fresh) for n in (2, 3, 5)
    )
    assert three > two + 0.2 and three > five


def test_random_state_fixes_all_and_leaves_the_global_state():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    options = QUICK | {"max_epochs": 6}
    first, again, other = (
        ScatteringMixtureModel(**options | {"random_state": seed}).fit(MAPS).transform(MAPS)
        for seed in (0, 0, 1)
    )
    assert (first == again).all() and not (first == other).all()
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_of_several_trainings_the_best_stays():
    model = ScatteringMixtureModel(**QUICK | {"n_init": 3, "max_epochs": 9}).fit(MAPS)
    assert len(model.evidences_) == 3 and model.n_iter_ == len(model.history_) == 12
    rng = np.random.default_rng(np.random.RandomState(0).randint(2**31 - 1))  # noqa: NPY002
    _, held_out = model._split_rows(90, int(rng.integers(2**31 - 1)))
    assert model.score(MAPS[held_out]) == pytest.approx(max(model.evidences_), abs=1e-3)


def test_saved_and_cloned(model, tmp_path):
    save(model, tmp_path / "model.skops")
    for copy in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skops")):
        assert (copy.predict_proba(MAPS) == model.predict_proba(MAPS)).all()
        assert (copy.weights_ == model.weights_).all()
    assert not hasattr(clone(model), "net_") and not hasattr(clone(model), "weights_")
    recipe = ScatteringMixtureModel(network=MixtureAutoencoder(), statistics=ScatteringTransform())
    recipe.set_params(network__hidden=(4,), statistics__family="wst")
    assert recipe.get_params()["statistics__family"] == "wst"


def test_families_are_searched():
    model = ScatteringMixtureModel(
        statistics=ScatteringTransform(reduction="isotropic"), **QUICK | {"max_epochs": 6}
    )
    grid = {"statistics__family": ["wst", "covariance"], "n_components": [3]}
    search = GridSearchCV(
        model, grid, cv=KFold(2, shuffle=True, random_state=0), scoring="adjusted_rand_score"
    ).fit(MAPS, KIND)
    assert search.cv_results_["mean_test_score"].min() > 0.3
    assert search.best_estimator_.reduced_.statistics_.family in ("wst", "covariance")


def test_units_channels_and_types():
    options = QUICK | {"max_epochs": 6}
    plain = ScatteringMixtureModel(**options).fit(MAPS)
    model = ScatteringMixtureModel(**options).fit(MAPS * u.K)
    # the same maps in another unit, to the rounding of float32
    other = model.predict_proba(1e3 * MAPS * u.mK)
    np.testing.assert_allclose(other, plain.predict_proba(MAPS), atol=2e-3)
    with pytest.raises(ValueError, match="unit"):
        model.predict(MAPS * u.m)
    both = np.stack([MAPS, MAPS[:, ::-1]], axis=1)
    model = ScatteringMixtureModel(**options | {"dtype": "float64"}).fit(both)
    assert model.transform(both).dtype == np.float64 and model.n_channels_in_ == 2
    assert model.samples_[0].shape[1:] == (2, SIDE, SIDE)
    with pytest.raises(ValueError, match="1 channel"):
        model.predict(MAPS)


def test_warm_start_goes_on():
    model = ScatteringMixtureModel(**QUICK | {"warm_start": True, "max_epochs": 6}).fit(MAPS)
    n_iter, before = model.n_iter_, model.score(MAPS)
    again = model.fit(MAPS)
    assert again.n_iter_ == n_iter + 6 and again.score(MAPS) > before
    with pytest.raises(ValueError, match="n_components=2 with warm_start=True; expected 3"):
        model.set_params(n_components=2).fit(MAPS)


def straight(n_features, n_latent, n_components):
    """A network without hidden layers."""
    return MixtureAutoencoder(hidden=())(n_features, n_latent, n_components)


def test_other_networks_and_no_patches_held_out():
    options = QUICK | {"network": straight, "validation_fraction": None, "patience": 5}
    model = ScatteringMixtureModel(**options).fit(MAPS)
    assert "valid_loss" not in model.history_[0]
    assert model.n_iter_ <= 8 + 24
    assert model.evidences_[0] == pytest.approx(model.score(MAPS), abs=1e-3)
    assert adjusted_rand_score(KIND, model.labels_) > 0.9


class Impatient(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 2:
            raise KeyboardInterrupt


def test_an_interrupted_fit_can_be_used():
    model = ScatteringMixtureModel(**QUICK | {"n_init": 3, "callbacks": [Impatient()]})
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(MAPS)
    assert len(model.evidences_) == 1 and model.n_iter_ == 3
    assert model.predict(MAPS).shape == (90,)


def test_noise_that_nobody_labelled_is_taken_off():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] * 2 * np.pi / 32
    phases = rng.uniform(0, 2 * np.pi, (2, 60, 1, 1))
    signal = 2 * np.cos(y + phases[0]) + 2 * np.cos(2 * x + phases[1])
    noise = rng.normal(size=(120, 32, 32))
    maps = np.concatenate([signal + noise[:60], noise[60:]])
    separator = StatisticalSeparator(n_eras=1, max_iter=5, n_samples=8, device="cpu")
    model = ScatteringMixtureModel(2, separator=separator, n_samples=12, **QUICK).fit(maps)
    quiet = model.predict(maps[60:])[0]
    assert (model.predict(maps[60:]) == quiet).all()
    assert len(model.samples_[quiet]) == 12 and model.samples_[quiet].dtype == np.float32
    part, rest = model.separate(maps[:2], quiet)
    np.testing.assert_allclose(part + rest, maps[:2], atol=1e-5)
    assert np.std(rest - signal[:2]) < 0.5 * np.std(noise[:2])
    # weaker samples take less off
    less, _ = model.separate(maps[:2], quiet, scale=0.3)
    assert less.std() < 0.6 * part.std()
    for wrong, message in (
        (2, "component=2; expected 0 to 1"),
        (0.0, "component=0.0; expected an"),
    ):
        with pytest.raises(ValueError, match=message):
            model.separate(maps[:2], wrong)
    for scale in (0, -1.0, np.nan, "2"):
        with pytest.raises(ValueError, match="scale=.*; expected a positive"):
            model.separate(maps[:2], quiet, scale=scale)
    model.samples_[quiet] = model.samples_[quiet][:1]
    with pytest.raises(
        ValueError, match="has 1 patches of a probability above 0.9; expected at least 2"
    ):
        model.separate(maps[:2], quiet)


def spoilt(value, place=(3, 1, 2)):
    maps = MAPS.copy()
    maps[place] = value
    return maps


@pytest.mark.parametrize(
    "X, message",
    [
        (spoilt(np.nan), r"X has nan at \(3, 1, 2\)"),
        (spoilt(np.inf), r"X has inf at \(3, 1, 2\)"),
        (spoilt(1.0, 5), "constant map, number 5"),
        (MAPS[:0], "none of them 0"),
        (MAPS[0], "for a single map give"),
        (MAPS[:, :, :1], "expected at least 2 x 2"),
        (MAPS[:11], r"X has 11 patches \(n_samples=11\); expected at least 12, 4 for each of 3"),
        (np.repeat(MAPS[:1], 20, axis=0), "the same statistics"),
        (MAPS * 1j, "Complex data"),
    ],
)
def test_bad_maps(X, message):
    with pytest.raises(ValueError, match=message):
        ScatteringMixtureModel(**QUICK).fit(X)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_latent": 9}, "n_latent=9; expected at most 8"),
        ({"n_components": 0}, "n_components"),
        ({"n_init": 0}, "n_init"),
        ({"max_epochs": 1}, "max_epochs"),
        ({"n_samples": 1}, "n_samples"),
        ({"statistics": "wst"}, "statistics"),
        ({"separator": 3}, "separator"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        ScatteringMixtureModel(**QUICK | options).fit(MAPS)


def test_other_maps_than_in_fit(model):
    for method in (model.predict, model.transform, model.score, lambda X: model.separate(X, 0)):
        with pytest.raises(ValueError, match="8 x 16 pixels; expected 16 x 16"):
            method(MAPS[:, :8])
    with pytest.raises(NotFittedError):
        ScatteringMixtureModel().predict(MAPS)
    with pytest.raises(NotFittedError):
        ScatteringMixtureModel().separate(MAPS, 0)


PATTERN = np.random.default_rng(0).normal(size=(8, 8))


class Tables(ScatteringMixtureModel):
    """Tables (n, p) seen as maps of 8 x 8 with a pattern: so that scikit-learn's checks can be run."""

    def __init__(self, n_components=2, max_epochs=2, random_state=None):
        super().__init__(
            n_components, ScatteringTransform("power_spectrum"), n_latent=1, n_init=1,
            max_epochs=max_epochs, dtype="float64", random_state=random_state,
        )  # fmt: skip

    def fit(self, X, y=None):
        return super().fit(self._maps(X, True))

    def _features(self, X):
        return super()._features(self._maps(X, False) if hasattr(self, "n_features_in_") else X)

    def _maps(self, X, reset):
        X = validate_data(self, X, reset=reset, dtype=(np.float64, np.float32))
        return PATTERN * (10 + np.stack([np.resize(row, (8, 8)) for row in X]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        return tags


def test_every_check_of_scikit_learn_passes_on_tables():
    results = check_estimator(Tables(), on_skip=None, on_fail=None)
    assert len(results) > 40
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []
