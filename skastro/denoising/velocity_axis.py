"""From channels to velocities, and the units of both."""

import numpy as np

from skastro.validation import split_unit

__all__ = ["VelocityAxis", "with_unit"]


def with_unit(values, unit):
    """Quantity of some values, or the values themselves without a unit.

    Parameters
    ----------
    values : ndarray
    unit : Unit, str or None
        One that astropy does not know is kept by its name.

    Returns
    -------
    values : ndarray or Quantity

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.velocity_axis import with_unit
    >>> with_unit(np.ones(2), "km / s")
    <Quantity [1., 1.] km / s>
    """
    if unit is None:
        return values
    from astropy.units import Quantity, Unit

    return Quantity(values, Unit(str(unit), parse_strict="silent"), copy=False)


class VelocityAxis:
    """Velocities of the channels of a cube.

    Parameters
    ----------
    velocity : array-like or Quantity of shape (n_channels,), or None
        Rising or falling. None: channel numbers.
    n_channels : int

    Attributes
    ----------
    values : ndarray of shape (n_channels,)
    unit : str or None

    Raises
    ------
    ValueError
        Another shape, or neither rising nor falling.

    Examples
    --------
    >>> from skastro.denoising.velocity_axis import VelocityAxis
    >>> VelocityAxis([4.0, 2.0, 0.0], 3).convert([0.5], [2.0])
    (array([3.]), array([4.]))
    """

    def __init__(self, velocity, n_channels):
        if velocity is None:
            velocity = np.arange(n_channels)
        values, self.unit = split_unit(velocity, "velocity")
        self.values = np.asarray(values, dtype=np.float64)
        if self.values.shape != (n_channels,):
            raise ValueError(
                f"velocity has shape {self.values.shape}; expected ({n_channels},), one for each channel."
            )
        steps = np.diff(self.values)
        if not (np.isfinite(self.values).all() and ((steps > 0).all() or (steps < 0).all())):
            raise ValueError(
                "velocity neither rises nor falls all along; expected a velocity axis."
            )

    def convert(self, channel, width):
        """Velocity at a channel, between two as well, and a width there.

        Parameters
        ----------
        channel, width : array-like of the same shape
            In channels.

        Returns
        -------
        velocity, width : ndarray of that shape
            In the unit of the axis; widths are positive.
        """
        channels = np.arange(len(self.values))
        velocity = np.interp(channel, channels, self.values)
        if len(channels) == 1:
            return velocity, np.asarray(width)
        # an uneven axis: the steps where the line is
        steps = np.abs(np.gradient(self.values))
        return velocity, width * np.interp(channel, channels, steps)
