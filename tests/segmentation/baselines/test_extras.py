"""Detections of other packages, where these are installed; what is said where they are not."""

import sys

import numpy as np
import pytest
from sklearn.base import clone

from skastro.segmentation.baselines import (
    AstroscrappyClassifier,
    PhotutilsClassifier,
    SepClassifier,
    default_baselines,
)
from skastro.segmentation_metrics import pixel_scores

PACKAGES = {
    "sep": SepClassifier(random_state=0),
    "photutils": PhotutilsClassifier(2.5, random_state=0),
    "astroscrappy": AstroscrappyClassifier(read_noise=3.0, random_state=0),
}
EVERY = pytest.mark.parametrize("package", PACKAGES)


def needs(package):
    return pytest.importorskip(package, reason=f"{package} is not installed: skastro[sources]")


def field(n=4, side=64, seed=0):
    """Stars on a sky, with bright single pixels; the masks of both, and where the stars are."""
    rng = np.random.default_rng(seed)
    images = rng.normal(200, 5, (n, side, side))
    stars, rays = np.zeros((2, n, side, side), bool)
    y, x = np.mgrid[:side, :side]
    centres = np.array([(a, b) for a in range(8, side - 7, 12) for b in range(8, side - 7, 12)])
    for k in range(n):
        for a, b in centres:
            images[k] += 400 * np.exp(-((x - b) ** 2 + (y - a) ** 2) / (2 * 1.06**2))
            stars[k, a - 1 : a + 2, b - 1 : b + 2] = True
        i, j = rng.integers(1, side - 1, (2, 30))
        far = np.hypot(i[:, None] - centres[:, 0], j[:, None] - centres[:, 1]).min(1) > 4
        images[k, i[far], j[far]] += 300
        rays[k, i[far], j[far]] = True
    return images.astype(np.float32), stars, rays, centres


@EVERY
def test_scores_find_what_they_are_for(package):
    needs(package)
    images, stars, rays, centres = field()
    truth = rays if package == "astroscrappy" else stars
    model = clone(PACKAGES[package]).fit(images[:2], truth[:2])
    z = model.decision_function(images[2:])
    assert z.shape == truth[2:].shape and z.dtype == np.float32 and (z >= 0).all()
    if package == "photutils":
        # the pixel of each star, and no other of it
        peaks = z[:, centres[:, 0], centres[:, 1]]
        assert (peaks > 30).all()
        np.testing.assert_allclose(
            peaks, (images[2:, centres[:, 0], centres[:, 1]] - 200) / 5, rtol=0.25
        )
        assert (z > 0).sum() < 2 * peaks.size + rays[2:].sum()
    else:
        assert pixel_scores(truth[2:], z).auc > 0.9
    proba = model.predict_proba(images[2:])
    assert proba[truth[2:] & (z > 0)].mean() > 2 * model.prior_
    assert np.isfinite(proba).all()


def test_heights_of_sep_are_over_the_noise():
    needs("sep")
    images, stars, _, _ = field()
    z = PACKAGES["sep"].fit(images, stars).decision_function(images)
    found = z > 0
    np.testing.assert_allclose(
        z[found], np.maximum((images[found] - 200) / 5, 0), rtol=0.15, atol=1.0
    )
    assert found[stars].mean() > 0.9
    loose = SepClassifier(5.0, min_area=10, random_state=0).fit(images, stars)
    assert (loose.decision_function(images) > 0).sum() < found.sum()


def test_cosmic_rays_are_over_the_noise_of_the_cleaned_image():
    needs("astroscrappy")
    images, _, rays, _ = field()
    model = AstroscrappyClassifier(gain=2.0, read_noise=3.0, random_state=0).fit(images, rays)
    z = model.decision_function(images)[rays]
    # 600 electrons over the noise of a sky of 400
    np.testing.assert_allclose(np.median(z), 600 / np.sqrt(400 + 9), rtol=0.1)


@EVERY
def test_blank_constant_and_empty_images(package):
    needs(package)
    images, stars, _, _ = field()
    model = clone(PACKAGES[package]).fit(images, stars)
    blank = images.copy()
    blank[0, 20:30] = np.nan
    blank[1] = np.nan
    blank[2] = 7.0
    proba = model.predict_proba(blank)
    np.testing.assert_allclose(proba[0, 20:30], model.prior_, rtol=1e-5)
    np.testing.assert_allclose(proba[1], model.prior_, rtol=1e-5)
    assert np.isfinite(proba).all() and not model.predict(blank)[1].any()
    assert (model.decision_function(blank)[2] == 0).all()
    with pytest.raises(ValueError, match=f"X has 2 channels; expected 1 for {package}"):
        clone(model).fit(np.stack([images, images], axis=1), stars)


@EVERY
def test_several_labels(package):
    needs(package)
    images, stars, rays, _ = field()
    masks = np.stack([stars, rays], axis=1)
    model = clone(PACKAGES[package]).set_params(labels=["star", "ray"]).fit(images, masks)
    assert model.predict_proba(images).shape == masks.shape


@EVERY
def test_what_is_missing_is_named(package, monkeypatch):
    images, stars, _, _ = field(1, 32)
    for name in [*sys.modules]:
        if name.split(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'skastro\[sources\]'"):
        clone(PACKAGES[package]).fit(images, stars)


def test_the_defaults_have_what_is_installed(monkeypatch):
    names = {"sep": "sep", "photutils": "DAOStarFinder", "astroscrappy": "astroscrappy"}
    for there in (True, False):
        monkeypatch.setattr(
            "skastro.segmentation.baselines.defaults.find_spec",
            lambda name, there=there: there or None,
        )
        found = dict(default_baselines("sources")) | dict(default_baselines("contaminants"))
        assert [name in found for name in names.values()] == [there] * 3
