import numpy as np
import pytest
from astropy import units as u

from skastro.denoising.velocity_axis import VelocityAxis, with_unit


def test_channels_without_an_axis():
    velocity, width = VelocityAxis(None, 5).convert(np.array([0.25, 3.0]), np.array([1.0, 2.0]))
    assert velocity.tolist() == [0.25, 3.0] and width.tolist() == [1.0, 2.0]


def test_falling_axis_with_a_unit():
    axis = VelocityAxis(np.array([10.0, 8.0, 6.0]) * u.km / u.s, 3)
    velocity, width = axis.convert(np.array([[0.5]]), np.array([[1.5]]))
    assert axis.unit == "km / s" and velocity == [[9.0]] and width == [[3.0]]


def test_uneven_axis():
    axis = VelocityAxis([0.0, 1.0, 3.0, 5.0], 4)
    velocity, width = axis.convert([1.5, 3.0], [1.0, 1.0])
    assert velocity.tolist() == [2.0, 5.0] and width.tolist() == [1.75, 2.0]


def test_blanks_go_through():
    velocity, width = VelocityAxis([3.0, 4.0], 2).convert(np.array([np.nan]), np.array([np.nan]))
    assert np.isnan(velocity).all() and np.isnan(width).all()


def test_single_channel():
    velocity, width = VelocityAxis([7.0], 1).convert([0.0], [0.5])
    assert velocity.tolist() == [7.0] and width.tolist() == [0.5]


@pytest.mark.parametrize(
    "velocity, message",
    [
        (np.arange(4), r"velocity has shape \(4,\); expected \(3,\)"),
        ([1.0, 1.0, 2.0], "neither rises nor falls"),
        ([1.0, 3.0, 2.0], "neither rises nor falls"),
        ([1.0, np.nan, 2.0], "neither rises nor falls"),
    ],
)
def test_wrong_axes(velocity, message):
    with pytest.raises(ValueError, match=message):
        VelocityAxis(velocity, 3)


def test_units_that_astropy_does_not_know_are_kept():
    assert with_unit(np.ones(1), None).tolist() == [1.0]
    assert with_unit(np.ones(1), "Jy/beam").unit == u.Jy / u.beam
    assert str(with_unit(np.ones(1), "counts per nothing").unit) == "counts per nothing"
