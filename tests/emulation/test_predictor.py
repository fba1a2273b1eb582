"""What a fitted emulator answers, against float64 differences and brute force."""

import warnings

import numpy as np
import pytest
import torch

from skastro.emulation import ModelEmulator
from skastro.metrics import coverage


def smooth(n=160, n_outputs=4, seed=0):
    X = np.random.default_rng(seed).uniform(1.0, 3.0, (n, 3))
    slopes = np.random.default_rng(99).normal(size=(3, n_outputs))
    return X, 10.0 ** (X @ slopes / 2 + np.sin(X @ slopes[::-1]) / 4)


def emulator(**parameters):
    settings = dict(
        kriging=False, n_members=1, hidden=(24, 24), max_epochs=30, random_state=0, dtype="float64"
    )
    return ModelEmulator(**settings | parameters)


VARIANTS = [
    {},
    {"architecture": "plain", "polynomial_degree": 3},
    {"n_clusters": 2, "n_members": 2},
    {"output_rank": 2, "n_clusters": 2, "n_members": 2},
    {"log_targets": None},
    {"log_targets": "asinh", "activation": "tanh"},
    {"kriging": True, "n_members": 2},
]


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def fitted(request):
    return emulator(**request.param).fit(*smooth())


def test_jacobian_against_central_differences(fitted):
    X = smooth(20, seed=5)[0] * 0.9 + 0.2
    # coefficients of kriging nearly cancel: a longer step drowns their rounding
    step = 1e-4 if fitted.kriging_ else 1e-5
    differences = np.stack(
        [
            (fitted.predict(X + step * axis) - fitted.predict(X - step * axis)) / (2 * step)
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    jacobian = fitted.jacobian(X)
    assert jacobian.shape == (20, 4, 3)
    size = np.abs(jacobian).max(axis=(0, 2), keepdims=True)
    np.testing.assert_allclose(jacobian / size, differences / size, rtol=1e-5, atol=1e-6)


def test_hessian_against_differences_of_the_jacobian(fitted):
    X = smooth(6, seed=5)[0] * 0.9 + 0.2
    step = 1e-4
    differences = np.stack(
        [
            (fitted.jacobian(X + step * axis) - fitted.jacobian(X - step * axis)) / (2 * step)
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    hessian = fitted.hessian(X)
    assert hessian.shape == (6, 4, 3, 3)
    np.testing.assert_array_equal(hessian, hessian.transpose(0, 1, 3, 2))
    size = np.abs(hessian).max(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(hessian / size, differences / size, rtol=1e-4, atol=1e-5)


def test_derivatives_are_finite_at_training_rows(fitted):
    X = smooth()[0][:5]
    assert np.isfinite(fitted.jacobian(X)).all() and np.isfinite(fitted.hessian(X)).all()


def test_restricted_outputs_are_the_same_columns(fitted):
    X = smooth(50, seed=3)[0]
    chosen = [3, 0]
    np.testing.assert_allclose(fitted.predict(X, chosen), fitted.predict(X)[:, chosen], rtol=1e-12)
    np.testing.assert_allclose(
        fitted.jacobian(X[:4], chosen), fitted.jacobian(X[:4])[:, chosen], rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        fitted.hessian(X[:4], [-1]), fitted.hessian(X[:4])[:, [3]], rtol=1e-9, atol=1e-10
    )


def test_torch_module_agrees_and_is_differentiable(fitted):
    X = smooth(7, seed=3)[0]
    module = fitted.as_torch(outputs=[1])
    x = torch.tensor(X, requires_grad=True)
    y = module(x)
    # coefficients of kriging nearly cancel, and predict sums them in another order
    rtol = 1e-8 if fitted.kriging_ else 1e-10
    np.testing.assert_allclose(y.detach().numpy(), fitted.predict(X, [1]), rtol=rtol)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    np.testing.assert_allclose(
        gradient.numpy(), fitted.jacobian(X, [1])[:, 0], rtol=1e-8, atol=1e-10
    )


def test_float32_predictions_agree_with_the_same_weights_in_float64():
    X, Y = smooth()
    single = emulator(dtype="float32", output_rank=2, polynomial_degree=3).fit(X, Y)
    with torch.no_grad():
        module = single.net_.module_.double()
        z = module(torch.from_numpy((X - X.mean(0)) / X.std(0))).numpy()
    expected = 10.0 ** (z * single.scales_.scale_ + single.scales_.center_)
    single.net_.module_.float()
    np.testing.assert_allclose(single.predict(X), expected, rtol=2e-5)


def test_blocks_of_rows_change_nothing(monkeypatch):
    X, Y = smooth()
    model = emulator().fit(X, Y)
    whole = model.predict(X)
    monkeypatch.setattr(
        "skastro.emulation.inference.row_blocks", lambda n, *_: [slice(0, 7), slice(7, n)]
    )
    np.testing.assert_allclose(model.predict(X), whole, rtol=1e-12)


def test_error_bars_hold_on_models_kept_apart():
    X, Y = smooth(900)
    Y = Y * 10 ** np.random.default_rng(1).normal(0, 0.02, Y.shape)
    model = emulator(n_members=4, validation_fraction=0.3, max_epochs=60, dtype="float32")
    model.fit(X[:600], Y[:600])
    y, std = model.predict(X[600:], return_std=True)
    assert (std > 0).all()
    # 300 x 4 held-out values: the binomial scatter alone is 0.013, the scale has its own
    assert abs(coverage(Y[600:], y, std) - 0.6827) < 0.08
    assert abs(model.coverage_ - 0.6827) < 0.1


@pytest.mark.parametrize("kind, spread", [("log10", 0.1), (None, 0.1), ("asinh", 0.1)])
def test_error_bars_are_in_the_users_units(kind, spread):
    X, Y = smooth()
    model = emulator(n_members=3, log_targets=kind).fit(X, Y)
    y, std = model.predict(X, return_std=True)
    with torch.no_grad():
        members = model.net_.module_(torch.from_numpy(model.scales_.inputs(X))).numpy()
    members = model.scales_.transform_.inverse(
        members * model.scales_.scale_ + model.scales_.center_
    )
    # to first order: where members differ little, their spread after the transform is the same
    close = members.std(axis=0, ddof=1) < spread * np.abs(members.mean(axis=0))
    assert close.mean() > 0.3
    ratio = std[close] / members.std(axis=0, ddof=1)[close]
    assert abs(np.median(ratio) - 1.0) < 0.05


def test_suggestions_are_inside_and_spread():
    X, Y = smooth()
    model = emulator(n_members=3).fit(X, Y)
    new = model.suggest(5)
    assert new.shape == (5, 3) and not model.extrapolating(new).any()
    distances = np.linalg.norm(new[:, None] - new, axis=-1)[np.triu_indices(5, 1)]
    assert distances.min() > 0.05
    _, std = model.predict(new[:1], return_std=True)
    assert std.mean() > 0


@pytest.mark.parametrize("kind", ["box", "hull"])
def test_extrapolation(kind):
    X, Y = smooth()
    model = emulator(extrapolation=kind, max_epochs=1).fit(X, Y)
    corner = X.max(axis=0)[None] - 1e-3
    outside = np.array([[2.0, 2.0, 9.0], [2.0, 2.0, 2.0]])
    assert model.extrapolating(outside).tolist() == [True, False]
    assert model.extrapolating(corner).tolist() == [kind == "hull"]
    assert not model.extrapolating(X).any()
    assert model.extrapolating(outside, "box").tolist() == [True, False]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X)
        with pytest.raises(UserWarning, match=r"1 of 2 row\(s\) of X lie outside the " + kind):
            model.predict(outside)
        model.set_params(on_extrapolation="ignore").predict(outside)
    blank = model.set_params(on_extrapolation="nan").predict(outside)
    assert np.isnan(blank[0]).all() and np.isfinite(blank[1]).all()
    with pytest.raises(ValueError, match="expected none"):
        model.set_params(on_extrapolation="raise").predict(outside)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, X: m.predict(X[:, :2]), "X has 2 features, but ModelEmulator is expecting 3"),
        (lambda m, X: m.predict(np.full((1, 3), np.nan)), "Input X contains NaN"),
        (lambda m, X: m.predict(X, outputs=["CO"]), "are names, but y had none in fit"),
        (lambda m, X: m.predict(X, outputs=[4]), "outputs has index 4; expected indices below 4"),
        (lambda m, X: m.predict(X, outputs=[]), "outputs is empty"),
        (lambda m, X: m.predict(X, outputs=[0.5]), "outputs has dtype float64"),
        (lambda m, X: m.predict(X, return_std=True), "return_std=True with one network"),
        (lambda m, X: m.suggest(), "suggest with one network"),
        (lambda m, X: m.extrapolating(X, "hull"), "support='hull' but fitted with"),
    ],
)
def test_bad_calls(call, message):
    X, Y = smooth()
    model = emulator(max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        call(model, X)


def test_unknown_names_of_outputs():
    pd = pytest.importorskip("pandas")
    X, Y = smooth()
    model = emulator(max_epochs=1).fit(X, pd.DataFrame(Y, columns=["a", "b", "c", "d"]))
    with pytest.raises(
        ValueError, match=r"outputs has unknown name\(s\) \['e'\]; expected some of the 4"
    ):
        model.predict(X, outputs=["a", "e"])
