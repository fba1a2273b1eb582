"""What all classical separators share: forms, units, copies and bad input."""

import pickle

import numpy as np
import pytest
from astropy import units
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skastro.io import load, save
from skastro.separation.baselines import (
    ILC,
    GaussianSeparator,
    ScaleMixtureFilter,
    WaveletThresholding,
    WienerFilter,
)
from skastro.separation_metrics import relative_rmse

PLAIN = [WienerFilter(), GaussianSeparator(), WaveletThresholding(2.0), ScaleMixtureFilter()]
ALL = [*PLAIN, ILC([1.0, 2.0])]


def data(n_channels=None, seed=0, side=16):
    """Contamination with a mean, mixtures and truth: a hill and noise."""
    rng = np.random.default_rng(seed)
    lead = () if n_channels is None else (n_channels,)
    y, x = np.mgrid[:side, : side + 4]
    truth = 5 * np.exp(-((y - 8) ** 2 + (x - 9) ** 2) / 20.0)
    truth = np.broadcast_to(truth, (3, *lead, side, side + 4))
    C = 2.0 + rng.normal(size=(6, *lead, side, side + 4))
    return C, truth + 2.0 + rng.normal(size=truth.shape), truth


def of(model):
    """Data for the model: two channels, of which the second has twice the signal, where it needs them."""
    if not isinstance(model, ILC):
        return data()
    C, D, S = data(2)
    D = D + S * np.array([0.0, 1.0])[:, None, None]
    return C, D, S[:, 0]


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_interface(model):
    C, D, S = of(model)
    model = clone(model).fit(C)
    found = model.transform(D)
    assert found.shape == S.shape and found.dtype == np.float64
    mixing = np.array([1.0, 2.0])[:, None, None]
    back = mixing * found[:, None] if isinstance(model, ILC) else found
    np.testing.assert_allclose(back + model.contamination_, D, rtol=1e-12)
    assert model.score(D, S) == pytest.approx(-np.mean(relative_rmse(found, S)))
    mean = np.mean(S) + 0.0 * S
    assert model.score(D, S) > -np.mean(relative_rmse(mean, S))
    # the mean of the contamination, 2, is taken off, and that of the signal stays
    assert np.mean(found - S) == pytest.approx(0.0, abs=0.15)
    single = model.transform(D[1:2])
    np.testing.assert_allclose(single[0], found[1], rtol=1e-12, atol=1e-12)
    assert model.map_shape_ == (16, 20) and model.unit_ is None
    small = model.fit(C.astype(np.float32)).transform(D.astype(">f4"))
    assert small.dtype == np.float32 and model.contamination_.dtype == np.float32
    if not isinstance(model, WaveletThresholding):
        np.testing.assert_allclose(small, found, atol=2e-5)


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_copies(model, tmp_path):
    C, D, _ = of(model)
    model = clone(model).fit(C)
    found = model.transform(D)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.transform(D), found)
    # a file that holds no types but those of skastro
    save(model, tmp_path / "model.skops")
    np.testing.assert_array_equal(load(tmp_path / "model.skops").transform(D), found)
    fresh = clone(model)
    assert not hasattr(fresh, "mean_") and fresh.get_params().keys() == model.get_params().keys()
    np.testing.assert_array_equal(fresh.fit(C).transform(D), found)
    assert repr(model).startswith(type(model).__name__)


@pytest.mark.parametrize("model", PLAIN, ids=lambda m: type(m).__name__)
def test_channels_are_separated_apart(model):
    C, D, _ = data(2)
    both = clone(model).fit(C).transform(D)
    for c in range(2):
        one = clone(model).fit(C[:, c]).transform(D[:, c])
        np.testing.assert_allclose(both[:, c], one, rtol=1e-10, atol=1e-10)
    # one channel is one, whether it has an axis or not
    one = clone(model).fit(C[:, 0]).transform(D[:, :1])
    assert one.shape == (3, 1, 16, 20)


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_units(model):
    C, D, S = of(model)
    plain = clone(model).fit(C).transform(D)
    model = clone(model).fit(C * units.mK)
    found = model.transform(D * 1e3 * units.uK)
    assert found.unit == units.mK and model.contamination_.unit == units.mK
    np.testing.assert_allclose(found.value, plain, rtol=1e-9, atol=1e-9)
    assert model.score(D * units.mK, S * 1e-3 * units.K) == pytest.approx(
        clone(model).fit(C).score(D, S)
    )
    with pytest.raises(ValueError, match="D has no unit; it was fitted in 'mK'"):
        model.transform(D)
    with pytest.raises(ValueError, match="D has unit 'Jy'; expected one convertible to 'mK'"):
        model.transform(D * units.Jy)
    with pytest.raises(ValueError, match="D has unit 'mK'; C has none: expected both"):
        clone(model).fit(C).transform(D * units.mK)


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_bad_contamination(model):
    C = of(model)[0]
    model = clone(model)
    with pytest.raises(ValueError, match="C has 1 sample; expected at least 2"):
        model.fit(C[:1])
    with pytest.raises(ValueError, match=r"C has shape \(16, 20\)"):
        model.fit(C.reshape(-1, 16, 20)[0])
    with pytest.raises(ValueError, match=r"C has shape \(0, .*none of them 0"):
        model.fit(C[:0])
    with pytest.raises(ValueError, match="C has nan at"):
        model.fit(np.where(C > 3, np.nan, C))
    with pytest.raises(ValueError, match="Complex data not supported: C is complex128"):
        model.fit(C + 0j)
    with pytest.raises(ValueError, match="C is constant at 0 in channel 0 of all samples"):
        model.fit(0 * C)
    with pytest.raises(ValueError, match="C has 1 masked pixels|C has [0-9]+ masked"):
        model.fit(np.ma.masked_greater(C, 3))


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_bad_mixtures(model):
    C, D, S = of(model)
    model = clone(model).fit(C)
    with pytest.raises(ValueError, match="D has maps of 16 x 19 pixels; expected 16 x 20"):
        model.transform(D[..., :19])
    three = np.repeat(D.reshape(3, -1, 16, 20)[:, :1], 3, axis=1)
    with pytest.raises(ValueError, match=r"D has 3 channel\(s\); expected [12], as in fit"):
        model.transform(three)
    with pytest.raises(ValueError, match="D has nan at"):
        model.transform(np.where(D > 5, np.nan, D))
    with pytest.raises(ValueError, match="Complex data not supported: D"):
        model.transform(D + 0j)
    flat = D.copy()
    flat[1] = 3.0
    with pytest.raises(ValueError, match="D has a constant map, number 1"):
        model.transform(flat)
    with pytest.raises(ValueError, match="truth has shape"):
        model.score(D, S[:2])
    with pytest.raises(ValueError, match="not fitted"):
        clone(model).transform(D)


def test_search():
    """A grid search chooses among thresholds by the score on mixtures with a truth."""

    class Fitted(WaveletThresholding):
        def fit(self, D, S=None):
            return super().fit(data()[0])

    _, D, S = data(seed=3)
    search = GridSearchCV(Fitted(), {"threshold": [0.0, 3.0, 100.0]}, cv=3).fit(D, S)
    assert search.best_params_ == {"threshold": 3.0}
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0.01
