"""Stacks of images in and out, and their normalisation."""

import numpy as np
import pytest
import torch
from astropy import units as u
from scipy.sparse import csr_array
from scipy.stats import median_abs_deviation

from skastro.images import Normalization, check_images


def test_shapes_and_types_of_what_comes_back():
    for shape in ((3, 4, 5), (3, 2, 4, 5)):
        X = np.arange(np.prod(shape)).reshape(shape)
        images, info = check_images(X)
        assert images.shape == (3, 1 if len(shape) == 3 else 2, 4, 5)
        assert images.dtype == np.float32 and info.dtype == np.float32
        np.testing.assert_array_equal(info.restore(images), X)
    assert check_images(X.astype("f8"))[1].dtype == np.float64
    assert check_images(X.astype(">f4"))[0].dtype.isnative


def test_nothing_is_copied_without_need():
    X = np.ones((3, 4, 5), np.float32)
    assert np.shares_memory(check_images(X)[0], X)


def test_units_and_masks_come_back():
    X = np.ones((2, 4, 5)) * u.Jy
    images, info = check_images(X, unit="mJy")
    assert images.max() == 1000.0
    assert info.restore(images).unit == u.mJy
    assert check_images(X)[1].restore(images).unit == u.Jy
    hidden = np.zeros((2, 4, 5), bool)
    hidden[0, 1] = True
    images, info = check_images(np.ma.MaskedArray(np.ones((2, 4, 5)), hidden))
    np.testing.assert_array_equal(np.isnan(images[:, 0]), hidden)
    np.testing.assert_array_equal(info.restore(images).mask, hidden)


@pytest.mark.parametrize(
    "X, kwargs, message",
    [
        (
            np.ones((4, 5)),
            {},
            r"X has shape \(4, 5\); expected .* for a single image give X\[None\]",
        ),
        (np.ones(4), {}, r"X has shape \(4,\); expected \(n, h, w\)"),
        (np.ones((0, 4, 5)), {}, r"X has shape \(0, 4, 5\)"),
        (np.ones((2, 4, 5), complex), {}, "Complex data not supported: X is complex128"),
        (np.full((2, 4, 5), "a"), {}, "X has dtype <U1; expected numbers"),
        ([[[1.0]], [[1.0, 2.0]]], {}, "X has images of different shapes"),
        (np.ones((2, 3, 4, 5)), {"n_channels": 1}, r"X has 3 channel\(s\); expected 1, as in fit"),
        (np.full((2, 4, 5), np.inf), {}, r"X contains infinity .* at \(0, 0, 0, 0\)"),
        (np.full((2, 4, 5), -1e300), {}, "or a number beyond float32"),
        (np.ones((2, 4, 5)), {"unit": "K"}, "X has no unit; it was fitted in 'K'"),
        (
            np.ones((2, 4, 5)) * u.s,
            {"unit": "K"},
            "X has unit 's'; expected one convertible to 'K'",
        ),
    ],
)
def test_bad_images(X, kwargs, message):
    with pytest.raises(ValueError, match=message) as caught, np.errstate(over="ignore"):
        check_images(X, **kwargs)
    assert "\n" not in str(caught.value)


def test_sparse_matrices_are_refused():
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        check_images(csr_array(np.eye(3)))


def images(seed=0):
    X = np.random.default_rng(seed).gamma(2.0, 1.0, (4, 2, 9, 9)) - 1.0
    X[1, 0, :4] = np.nan
    return torch.from_numpy(X)


def test_max_and_sigma_are_what_numpy_says():
    X = images()
    flat = X.numpy().reshape(4, -1)
    center, scale = Normalization("max").scale(X)
    assert not center.any()
    np.testing.assert_allclose(scale.ravel(), np.nanmax(np.abs(flat), axis=1))
    # an even number of pixels: torch's median is the lower of the two in the middle
    center, scale = Normalization("sigma").scale(X)
    np.testing.assert_allclose(center.ravel(), np.nanmedian(flat, axis=1), atol=0.05)
    spread = median_abs_deviation(flat, axis=1, scale="normal", nan_policy="omit")
    np.testing.assert_allclose(scale.ravel(), spread, rtol=0.05)


@pytest.mark.parametrize("kind", ["max", "asinh", "sigma", None])
def test_normalisation_is_undone(kind):
    X = images()
    norm = Normalization(kind)
    scale = norm.scale(X)
    z = norm.forward(X, scale)
    torch.testing.assert_close(norm.inverse(z, scale), X, equal_nan=True)
    if kind is not None:
        # the same image in other units looks the same
        again = 1000.0 * X
        torch.testing.assert_close(norm.forward(again, norm.scale(again)), z, equal_nan=True)


def test_asinh_of_the_linear_scale():
    X = images()
    norm = Normalization("asinh")
    scale = norm.scale(X)
    torch.testing.assert_close(
        norm.forward(X, scale), torch.asinh(norm.linear(X, scale)), equal_nan=True
    )
    assert torch.isfinite(norm.inverse(torch.full((4, 1, 1, 1), 1e6), scale)).all()


@pytest.mark.parametrize("kind", ["max", "asinh", "sigma", None])
def test_constant_and_blank_images_have_a_scale(kind):
    X = torch.zeros(3, 1, 4, 4)
    X[1], X[2] = 7.0, torch.nan
    norm = Normalization(kind)
    center, scale = norm.scale(X)
    assert torch.isfinite(center).all() and (scale > 0).all()
    assert torch.isfinite(norm.forward(X, (center, scale))[:2]).all()


def test_sparse_signal_falls_back_on_the_standard_deviation():
    X = torch.zeros(1, 1, 10, 10)
    X[0, 0, 2, 3] = 5.0
    _, scale = Normalization("sigma").scale(X)
    assert scale.item() == pytest.approx(0.5)
