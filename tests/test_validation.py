"""What users hand over: byte order, units, masks, names, and errors that name the argument."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn
from astropy.utils.masked import Masked

from skastro.validation import (
    check_targets,
    native,
    select_outputs,
    split_unit,
)

NAMES = ["CO", "C+", "H2"]


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "c16"])
def test_native_keeps_precision_and_values(kind):
    values = np.array([1.5, -2.0, 3e4]).astype(kind)
    swapped = values.astype(values.dtype.newbyteorder())
    result = native(swapped)
    assert result.dtype == values.dtype and result.dtype.isnative
    np.testing.assert_array_equal(result, values)
    assert native(values) is values


def test_big_endian_does_not_pass_through_float64(monkeypatch):
    seen = []

    class Spy(np.ndarray):
        def astype(self, dtype, *args, **kwargs):
            seen.append(np.dtype(dtype))
            return super().astype(dtype, *args, **kwargs)

    swapped = np.linspace(0, 1, 12).astype(">f4").reshape(4, 3)
    with monkeypatch.context() as patch:
        patch.setattr(np, "asarray", lambda array: np.array(array, copy=None).view(Spy))
        Y, _ = check_targets(swapped, dtype=None)
    assert Y.dtype == np.float32 and Y.dtype.isnative
    np.testing.assert_array_equal(Y, swapped)
    assert seen == [np.dtype("f4")]


@pytest.mark.parametrize(
    "given, expected",
    [("f4", "f4"), ("f8", "f8"), (">f4", "f4"), ("f2", "f8"), ("i4", "f8"), ("?", "f8")],
)
def test_dtype_none_keeps_floats(given, expected):
    Y, _ = check_targets(np.array([[1, 0], [0, 1]], dtype=given), dtype=None)
    assert Y.dtype == np.dtype(expected)
    assert check_targets(np.ones(2, dtype=given))[0].dtype == np.float64


def test_a_valid_array_is_not_copied():
    Y = np.ones((4, 2))
    assert check_targets(Y)[0] is Y or np.shares_memory(check_targets(Y)[0], Y)
    checked, _ = check_targets(Y, mask=np.eye(4, 2, dtype=bool) | (np.arange(4) > 1)[:, None])
    assert np.isfinite(Y).all() and np.isnan(checked).sum() == 2


def test_every_way_to_say_unknown_is_the_same():
    values, valid = np.arange(6.0).reshape(3, 2), np.array([[1, 0], [0, 1], [1, 1]], dtype=bool)
    expected = np.array([[0, np.nan], [np.nan, 3], [4, 5]])
    wrong = np.where(valid, values, np.inf)
    part = valid.copy()
    part[1, 0] = True
    ways = {
        "NaN": (expected, None),
        "mask": (wrong, valid),
        "list": (values.tolist(), valid.tolist()),
        "MaskedArray": (np.ma.MaskedArray(wrong, ~valid), None),
        "both": (np.ma.MaskedArray(wrong, ~part), valid | ~part),
        "frame": (pd.DataFrame(expected), None),
    }
    for name, (Y, mask) in ways.items():
        np.testing.assert_array_equal(check_targets(Y, mask)[0], expected, err_msg=name)


def test_a_masked_array_without_mask():
    np.testing.assert_array_equal(check_targets(np.ma.ones((3, 2)))[0], np.ones((3, 2)))


@pytest.mark.parametrize("mask", [[True, False, True], np.ones((3, 2), bool), np.full((3, 3), 0.5)])
def test_mask_of_another_shape_beside_a_masked_array(mask):
    Y = np.ma.MaskedArray(np.ones((3, 3)), np.eye(3, dtype=bool))
    with pytest.raises(ValueError, match="mask has (shape|dtype) .*; expected"):
        check_targets(Y, mask)


def test_masked_column_of_a_table():
    Y, info = check_targets(MaskedColumn([1.0, 2.0, 3.0], mask=[0, 1, 0], unit="K"))
    np.testing.assert_array_equal(Y[:, 0], [1, np.nan, 3])
    assert info == (None, 1, "K", False)


@pytest.mark.parametrize("unit", [1, u.K])
def test_masked_quantity(unit):
    # never silently stripped of its mask
    Y, _ = check_targets(Masked(np.array([1.0, 1e6, 3.0]), mask=[False, True, False]) * unit)
    np.testing.assert_array_equal(Y[:, 0], [1, np.nan, 3])


def test_info():
    assert check_targets(np.ones(3))[1] == (None, 1, None, False)
    assert check_targets(pd.Series([1.0, 2.0]))[1] == (None, 1, None, False)
    assert check_targets(np.ones((3, 2)) * u.erg / u.s)[1] == (None, 2, "erg / s", False)
    frame = pd.DataFrame(np.ones((2, 2)), columns=["unit", 7])
    assert check_targets(frame)[1] == (["unit", "7"], 2, None, True)
    assert check_targets(np.ones(3))[0].shape == (3, 1)


def test_split_unit():
    values, unit = split_unit([1.0, 2.0] * u.km)
    assert type(values) is np.ndarray and unit == "km"
    converted, unit = split_unit([1.0, 2.0] * u.km, unit="m")
    np.testing.assert_allclose(converted, [1000, 2000], rtol=1e-14)
    assert unit == "m"
    plain = [[1.0]]
    assert split_unit(plain) == (plain, None) and split_unit(plain)[0] is plain
    frame = pd.DataFrame({"unit": [1.0]})
    assert split_unit(frame)[0] is frame
    assert split_unit(Column([1.0], unit="km"))[1] == "km"
    # no unit is not the same as a unit of one
    assert split_unit(np.ones(2) * u.one, unit="")[1] == ""


RAGGED = [[1.0], [2.0, 3.0]]
BAD_TARGETS = {
    "none": ((None,), {}, "requires y to be passed, but the target y is None"),
    "3-D": ((np.ones((2, 2, 2)),), {}, r"y has shape \(2, 2, 2\); expected \(n_samples,\) or"),
    "scalar": ((5.0,), {}, r"y has shape \(\); expected \(n_samples,\)"),
    "no rows": ((np.ones((0, 2)),), {}, r"y has shape \(0, 2\); expected"),
    "no outputs": ((np.ones((2, 0)),), {}, r"y has shape \(2, 0\); expected"),
    "ragged": ((RAGGED,), {}, "^y has .*; expected"),
    "words": ((["a", "b"],), {}, "y has dtype <U1; expected numbers"),
    "complex": ((np.ones(2) * 1j,), {}, "y is complex128; expected floats"),
    "rows": ((np.ones(3), None, 4), {}, "y has 3 rows; expected 4, as X has"),
    "mask shape": (
        (np.ones((2, 2)), [True, True]),
        {},
        r"mask has shape \(2,\); expected \(2, 2\), the shape of y",
    ),
    "mask dtype": ((np.ones(2), [1, 0]), {}, r"mask has dtype int64; expected bool \(True where"),
    "infinity": (
        ([[1, 2], [3, -np.inf]],),
        {},
        "y contains infinity at row 1, output 1; expected finite",
    ),
    "empty": (
        ([[1, np.nan], [2, np.nan]],),
        {},
        r"y has 1 output\(s\) with no valid entry \(1\); expected at least one",
    ),
    "empty, named": (
        (pd.DataFrame({"CO": [1.0], "H2": [np.nan]}),),
        {},
        r"y has 1 output\(s\) with no valid entry \(H2\)",
    ),
    "twice": (
        (pd.DataFrame(np.ones((2, 3)), columns=["CO", "H2", "CO"]),),
        {},
        "y has two columns named 'CO'; expected different names",
    ),
    "empty by mask": (([1.0, 2.0], [False, False]), {}, "no valid entry"),
    "another name": ((np.ones(3), None, 4), {"name": "Y_test"}, "Y_test has 3 rows; expected 4"),
}


@pytest.mark.parametrize("args, kwargs, match", BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_bad_targets(args, kwargs, match):
    with pytest.raises(ValueError, match=match) as error:
        check_targets(*args, **kwargs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "array, unit, match",
    [
        (np.ones(2), "km", "X has no unit; it was fitted in 'km': give a Quantity"),
        (np.ones(2) * u.s, "km", "X has unit 's'; expected one convertible to 'km'"),
    ],
)
def test_bad_units(array, unit, match):
    with pytest.raises(ValueError, match=match):
        split_unit(array, "X", unit)


@pytest.mark.parametrize(
    "outputs, expected",
    [
        (1, [1]), (-1, [2]), ([2, 0, 2], [2, 0, 2]), (np.array([1], "u1"), [1]), (slice(1, None), [1, 2]),
        ("H2", [2]), (["H2", "CO"], [2, 0]), (pd.Index(["C+"]), [1]), ([True, False, True], [0, 2]),
    ],
    ids=str,
)  # fmt: skip
def test_select_outputs(outputs, expected):
    chosen = select_outputs(outputs, 3, NAMES)
    assert chosen.dtype == np.int64 and chosen.tolist() == expected


def test_select_all_outputs():
    assert select_outputs(None, 3) is None


@pytest.mark.parametrize(
    "outputs, names, match",
    [
        (
            ["CO"],
            None,
            r"outputs=\['CO'\] are names, but y had none in fit; expected indices below 3",
        ),
        (
            ["CO", "H3"],
            NAMES,
            r"unknown name\(s\) \['H3'\]; expected some of the 3 output names, such",
        ),
        ([0, 3], None, "outputs has index 3; expected indices below 3"),
        ([-4], None, "outputs has index -4; expected indices below 3"),
        ([], None, "outputs is empty; expected some of the 3"),
        (slice(5, 9), None, "outputs is empty"),
        ([False] * 3, None, "outputs is empty"),
        ([True, False], None, r"outputs is a mask of shape \(2,\); expected \(3,\)"),
        (1.5, None, r"outputs has dtype float64 and shape \(1,\); expected a list"),
        ([[0, 1]], None, r"outputs has dtype int64 and shape \(1, 2\); expected a list"),
    ],
    ids=["names without names", "unknown", "3", "-4", "[]", "slice", "none", "mask", "1.5", "2-D"],
)
def test_bad_outputs(outputs, names, match):
    with pytest.raises(ValueError, match=match):
        select_outputs(outputs, 3, names)
