"""The comparison of separators: figures that are right, a truth that only the oracle sees."""

import csv

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from skastro.compare import compare
from skastro.field_metrics import histogram_distance
from skastro.separation import StatisticalSeparator
from skastro.separation.baselines import WienerFilter
from skastro.separation.comparison import (
    TASK,
    OracleWienerFilter,
    default_estimators,
    load_mixtures,
    separation_scores,
    split_mixtures,
)

DATA = load_mixtures(n_pixels=32)
NAMES = [
    "StatisticalSeparator", "Wiener", "Wiener, true spectrum", "Gaussian", "scale mixtures", "wavelet",
]  # fmt: skip


class Blind(BaseEstimator):
    """Gives the mixtures back, and notes what it was fitted to."""

    def fit(self, *given):
        self.n_given_ = len(given)
        return self

    def transform(self, D):
        assert self.n_given_ == 1
        return np.asarray(D)


def test_mixtures_have_contaminations_of_their_own():
    mixtures = load_mixtures()
    assert {name: mix.mixture.shape for name, mix in mixtures.items()} == {
        "white": (2, 128, 128),
        "cib": (2, 128, 128),
    }
    for mix in mixtures.values():
        np.testing.assert_array_equal(mix.signal[0], mix.signal[1])
        noise = mix.mixture - mix.signal
        assert abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 0.3
        # what is separated is not among the samples
        assert np.abs(mix.samples[:, None] - noise).max(axis=(2, 3)).min() > 0.5


def test_scores_by_hand():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 64, 64))
    truth -= truth.mean(axis=(1, 2), keepdims=True)
    factor = np.array([1.1, 0.8])[:, None, None]
    scores = separation_scores(factor * truth, truth)
    assert scores["spectrum"] == pytest.approx((0.21 + 0.36) / 2)
    assert scores["correlation"] == pytest.approx(1.0)
    assert scores["rmse"] == pytest.approx(0.15)
    expected = [histogram_distance(f * one, one) for f, one in zip((1.1, 0.8), truth, strict=True)]
    assert scores["histogram"] == pytest.approx(np.mean(expected))


def test_the_oracle_has_the_true_spectrum_and_beats_the_estimated_one():
    mix = load_mixtures(n_pixels=64)["white"]
    model = OracleWienerFilter().fit(mix.samples, mix.signal)
    found = model.transform(mix.mixture)
    # gain, mode by mode, of the ring-averaged spectra
    h, w = mix.mixture.shape[-2:]
    radius = np.rint(np.hypot(np.fft.fftfreq(h)[:, None] * h, np.fft.rfftfreq(w) * w)).astype(int)
    ratio = np.fft.rfft2(found[0]) / np.fft.rfft2(mix.mixture[0])
    power = np.abs(np.fft.fft2(mix.signal[0])) ** 2 / (h * w)
    full = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(h) * h, np.fft.fftfreq(w) * w))).astype(int)
    ring = np.bincount(full.ravel(), power.ravel()) / np.bincount(full.ravel())
    inner = (radius > 1) & (radius < 30)
    gain = (ring / (ring + 1.0))[radius]
    assert np.abs(ratio.real - gain)[inner].max() < 0.08
    np.testing.assert_array_equal(model.contamination_, model.filter_.contamination_)
    scores = separation_scores(found, mix.signal)
    blind = WienerFilter().fit(mix.samples).transform(mix.mixture)
    assert scores["rmse"] < separation_scores(blind, mix.signal)["rmse"] < 1.0
    with pytest.raises(NotFittedError):
        OracleWienerFilter().transform(mix.mixture)


def test_default_methods():
    methods = default_estimators(random_state=3)
    assert list(methods) == NAMES
    ours = methods["StatisticalSeparator"]
    # as a user gets it: nothing is tuned to these mixtures
    assert ours.get_params() == StatisticalSeparator(random_state=3).get_params()
    assert default_estimators(quick=True)["StatisticalSeparator"].max_iter == 2


def test_figures_are_those_of_a_fit_by_hand(tmp_path):
    methods = default_estimators(quick=True) | {"blind": Blind()}
    found = compare(methods, DATA, task=TASK, progress=False)
    assert [row["error"] for row in found.rows] == [""] * 14 and found.notes == {}
    for row in found.rows:
        mix = DATA[row["mixture"]]
        truth = (mix.signal,) if row["method"] == "Wiener, true spectrum" else ()
        model = clone(methods[row["method"]]).fit(mix.samples, *truth)
        expected = separation_scores(model.transform(mix.mixture), mix.signal)
        assert {key: row[key] for key in expected} == pytest.approx(expected, rel=1e-4)
        assert row["s_per_map"] > 0
    # as strong as the signal
    rmse = found.table["rmse"]
    assert rmse["white", "blind"] == pytest.approx(1.0, abs=0.1)
    assert rmse["white", "Wiener"] < 0.7
    text = str(found).splitlines()
    assert text[0] == (
        "separation: dust and white noise, 2 x 32 x 32, fitted to 40 samples of the contamination; "
        "means over mixtures"
    )
    assert text[1].split()[:5] == "method spectrum correlation histogram rmse".split()
    found.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["mixture"] for row in rows] == ["white"] * 7 + ["cib"] * 7


def test_data_of_the_user():
    mix = DATA["white"]
    split = split_mixtures((mix.mixture, mix.signal, mix.samples))
    assert split.title == "mixture" and split.X_train is mix.samples
    with pytest.raises(ValueError, match="data is a ndarray; expected a Bunch with 'mixture'"):
        split_mixtures(np.zeros((4, 8, 8)))
    with pytest.raises(ValueError, match="signal has 1 maps; expected 2, one a mixture"):
        split_mixtures((mix.mixture, mix.signal[:1], mix.samples))
    with pytest.raises(ValueError, match="samples has maps of 32 x 31 pixels; expected 32 x 32"):
        split_mixtures((mix.mixture, mix.signal, mix.samples[..., 1:]))
    with pytest.raises(ValueError, match="mixture"):
        split_mixtures((mix.mixture * np.nan, mix.signal, mix.samples))
