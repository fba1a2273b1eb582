"""Transforms of the outputs and their scales, against NumPy in float64."""

import numpy as np
import pytest

from skastro.emulation.targets import Scales, TargetTransform

rng = np.random.default_rng(0)
X = rng.uniform(1.0, 3.0, (80, 2))
POSITIVE = 10.0 ** rng.uniform(-9, 3, (80, 3))
SIGNED = rng.normal(size=(80, 3)) * [1.0, 100.0, 1e-4]
HOLES = np.where(rng.random((80, 3)) < 0.2, np.nan, 1.0)


@pytest.mark.parametrize(
    "log_targets, Y, kind",
    [
        ("auto", POSITIVE, "log10"), ("auto", SIGNED, None), ("auto", np.abs(SIGNED) * 0, None),
        ("log10", POSITIVE, "log10"), ("asinh", SIGNED, "asinh"), ("asinh", POSITIVE, "asinh"),
        (None, POSITIVE, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("holes", [1.0, HOLES], ids=["whole", "holes"])
def test_there_and_back(log_targets, Y, kind, holes):
    Y = Y * holes
    transform = TargetTransform(log_targets).fit(Y)
    assert transform.kind_ == kind
    # sinh of a large argument loses a few digits
    np.testing.assert_allclose(transform.inverse(transform.forward(Y)), Y, rtol=1e-12)


def test_auto_looks_past_what_is_unknown():
    Y = np.array([[1.0, np.nan], [np.nan, 5.0]])
    assert TargetTransform().fit(Y).kind_ == "log10"
    assert TargetTransform().fit(np.array([[1.0, 0.0], [1.0, 5.0]])).kind_ is None


def test_forward_values():
    logarithm = TargetTransform("log10").fit(POSITIVE)
    np.testing.assert_array_equal(logarithm.forward(POSITIVE), np.log10(POSITIVE))
    softening = np.median(np.abs(SIGNED), axis=0)
    padded = np.vstack([SIGNED, np.zeros((30, 3)), np.full((5, 3), np.nan)])
    transform = TargetTransform("asinh").fit(padded)
    # neither zeros nor holes count in the median
    np.testing.assert_allclose(transform.softening_, softening, rtol=1e-15)
    np.testing.assert_allclose(transform.forward(SIGNED), np.arcsinh(SIGNED / softening))
    assert (padded[80:110] == 0).all()


def test_an_output_of_zeros_has_a_softening():
    transform = TargetTransform("asinh").fit(np.array([[0.0, 2.0], [0.0, -2.0]]))
    np.testing.assert_array_equal(transform.softening_, [1.0, 2.0])


@pytest.mark.parametrize("log_targets", ["log10", "asinh", None])
def test_inverse_of_some_outputs(log_targets):
    transform = TargetTransform(log_targets).fit(POSITIVE)
    Z = transform.forward(POSITIVE)
    part = transform.inverse(Z[:, [2, 0]], outputs=np.array([2, 0]))
    np.testing.assert_allclose(part, POSITIVE[:, [2, 0]], rtol=1e-12)


@pytest.mark.parametrize(
    "log_targets, Y, match",
    [
        ("ln", POSITIVE, "log_targets='ln'; expected 'auto', 'log10', 'asinh' or None"),
        ("log10", POSITIVE - [0, 2000, 0], r"y has targets down to -2e\+03 \(output 1\); expected"),
        ("log10", POSITIVE * [1, 1, 0], r"y has targets down to 0 \(output 2\); expected positive"),
    ],
)
def test_bad_targets(log_targets, Y, match):
    with pytest.raises(ValueError, match=match) as error:
        TargetTransform(log_targets).fit(Y)
    assert "\n" not in str(error.value)


def reference(values, weight):
    """Weighted mean and standard deviation of each column, one known entry at a time."""
    means, spreads = [], []
    for column in values.T:
        known = ~np.isnan(column)
        w, v = weight[known], column[known]
        means.append((w * v).sum() / w.sum())
        spreads.append(np.sqrt((w * (v - means[-1]) ** 2).sum() / w.sum()))
    return np.array(means), np.array(spreads)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("log_targets", ["log10", "asinh", None])
def test_scales(weighted, log_targets):
    weight = rng.integers(1, 4, 80).astype(float) if weighted else np.ones(80)
    Y = POSITIVE * HOLES
    scales = Scales(log_targets, "float64").fit(X, Y, weight[:, None] if weighted else None)
    Z = TargetTransform(log_targets).fit(Y).forward(Y)
    mean, spread = reference(Z, weight)
    np.testing.assert_allclose(scales.center_, mean, rtol=1e-10)
    np.testing.assert_allclose(scales.scale_, spread, rtol=1e-10)
    np.testing.assert_allclose(scales.targets(Y), (Z - mean) / spread, rtol=1e-9, atol=1e-12)
    mean, spread = reference(X, weight)
    np.testing.assert_allclose(scales.inputs(X), (X - mean) / spread, rtol=1e-10, atol=1e-12)


def test_a_weight_is_a_repetition():
    weight = rng.integers(1, 4, 80)
    weighted = Scales().fit(X, POSITIVE * HOLES, weight[:, None].astype(float))
    repeated = Scales().fit(*(np.repeat(a, weight, axis=0) for a in (X, POSITIVE * HOLES)))
    for name in ("input_mean_", "input_scale_", "center_", "scale_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-10)


def test_constant_columns_are_not_divided_by_rounding():
    inputs = np.column_stack([X[:, 0], np.full(80, 0.1), np.zeros(80)])
    Y = np.column_stack([POSITIVE[:, 0], np.full(80, 1e-7)])
    scales = Scales(dtype="float64").fit(inputs, Y)
    assert scales.input_scale_[1] == scales.input_scale_[2] == scales.scale_[1] == 1.0
    assert np.abs(scales.inputs(inputs)[:, 1:]).max() < 1e-12
    assert np.abs(scales.targets(Y)[:, 1]).max() < 1e-12


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1.0, 1e15])
@pytest.mark.parametrize("log_targets", ["asinh", None])
def test_scales_do_not_depend_on_the_unit(unit, log_targets):
    expected = Scales(log_targets, "float64").fit(X, SIGNED).targets(SIGNED)
    found = Scales(log_targets, "float64").fit(X, unit * SIGNED).targets(unit * SIGNED)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_inputs_do_not_depend_on_the_unit(unit):
    expected = Scales(dtype="float64").fit(X, POSITIVE).inputs(X)
    found = Scales(dtype="float64").fit(unit * X, POSITIVE).inputs(unit * X)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types(dtype):
    scales = Scales(dtype=dtype).fit(X, POSITIVE.astype("f4"))
    assert scales.inputs(X).dtype == scales.targets(POSITIVE).dtype == np.dtype(dtype)
    assert scales.output_dtype_ == "float32" and not scales.wide_
    assert Scales(dtype=dtype).fit(X, POSITIVE).output_dtype_ == "float64"


@pytest.mark.parametrize("factor, wide", [(1e-20, False), (1e-29, True), (1e31, True)])
def test_wide_outputs_come_out_in_float64(factor, wide):
    scales = Scales().fit(X, factor * POSITIVE)
    assert scales.wide_ is wide
    if np.abs(np.log10(factor)) < 30:
        scales = Scales().fit(X, (factor * POSITIVE).astype("f4"))
        assert scales.output_dtype_ == ("float64" if wide else "float32")
