import numpy as np
import pytest

from skastro.regression.pixels import InputScaler


def images(n=40, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, channels, 6, 6)) * [[[[2.0]], [[30.0]]]]


@pytest.mark.parametrize(
    ("kind", "scaled"),
    [
        ("asinh", lambda x: np.arcsinh(x / np.array([2.0, 30.0])[:, None, None])),
        ("sqrt", lambda x: np.sign(x) * np.sqrt(np.abs(x))),
        ("max", lambda x: x / np.abs(x).max(axis=(1, 2, 3), keepdims=True)),
        (None, lambda x: x),
    ],
)
def test_kinds_against_numpy(kind, scaled):
    X = images(400)
    scaler = InputScaler(kind, "error").fit(X)
    expected = scaled(X)
    expected = (expected - expected.mean((0, 2, 3), keepdims=True)) / expected.std(
        (0, 2, 3), keepdims=True
    )
    # the noise is measured, to a few per cent
    np.testing.assert_allclose(
        scaler.transform(X), expected, atol=0.05 if kind == "asinh" else 1e-6
    )
    if kind == "asinh":
        np.testing.assert_allclose(scaler.sigma_, [2.0, 30.0], rtol=0.03)


def test_auto_knows_counts():
    rng = np.random.default_rng(0)
    assert InputScaler("auto", "error").fit(rng.poisson(5, (9, 1, 4, 4)) * 1.0).kind_ == "sqrt"
    assert InputScaler("auto", "error").fit(rng.normal(size=(9, 1, 4, 4))).kind_ == "asinh"
    assert InputScaler("auto", "error").fit(rng.random((9, 1, 4, 4))).kind_ == "asinh"
    assert InputScaler("auto", "error").fit(rng.normal(size=(9, 4))).kind_ is None


def test_the_type_stays_and_the_input_too():
    X = images().astype(np.float32)
    before = X.copy()
    assert InputScaler("asinh", "error").fit(X).transform(X).dtype == np.float32
    np.testing.assert_array_equal(X, before)


def test_blanks_are_the_mean_with_a_channel_that_says_so():
    X = images()
    X[3, 1, 2, 2] = np.nan
    scaler = InputScaler("asinh", "mask").fit(X)
    z = scaler.transform(X)
    assert z.shape == (40, 4, 6, 6)
    assert z[3, 1, 2, 2] == 0 and z[3, 3, 2, 2] == 0
    assert z[:, 2:].sum() == z[:, 2:].size - 1
    # fitted without blanks: no such channel, and blanks are the mean all the same
    plain = InputScaler("asinh", "mask").fit(images())
    assert plain.transform(X).shape == (40, 2, 6, 6)
    assert plain.transform(X)[3, 1, 2, 2] == 0


def test_constant_and_empty_channels():
    X = images()
    X[:, 0] = 7.0
    z = InputScaler("asinh", "error").fit(X).transform(X)
    np.testing.assert_allclose(z[:, 0], 0, atol=1e-7)
    X[:, 0] = np.nan
    with pytest.raises(ValueError, match="X has no finite value in channel 0"):
        InputScaler("asinh", "mask").fit(X)
    assert np.isfinite(
        InputScaler("max", "error").fit(images()).transform(np.zeros((1, 2, 6, 6)))
    ).all()
