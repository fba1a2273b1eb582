"""Minkowski functionals of maps that can be differentiated: a constraint beside scattering statistics."""

from numbers import Integral, Real

import numpy as np
import torch

from skastro.scattering.map_statistics import MapStatistics, divide, root

__all__ = ["Topology"]

EULER = float(
    (2 * np.pi) ** 1.5 * np.exp(0.5)
)  # one over the largest of a Gaussian field of slope 1


class Topology(MapStatistics):
    r"""Area, contour length and Euler characteristic of what lies above thresholds.

    The maps are standardised; with :math:`\lambda` the mean square of their slope along an axis, from
    neighbouring pixels, the coefficients are

    .. math:: a(\nu), \qquad \ell(\nu) / \sqrt\lambda, \qquad \chi(\nu) / \lambda

    per unit area, which for a Gaussian random field are functions of :math:`\nu` alone,
    :func:`~skastro.field_metrics.gaussian_minkowski`.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels; opposite sides are neighbours.
    n_thresholds : int, default=33
    range : float, default=2.0
        Thresholds are equidistant from minus to plus this, in standard deviations from the mean.

    Attributes
    ----------
    names : list of str
        "area[nu=-2.00]", ..., "perimeter[nu=-2.00]", ..., "euler[nu=-2.00]", ...
    labels : dict of ndarray of int
        "functional" (0, 1, 2) and "threshold", from 0.
    thresholds : ndarray of shape (n_thresholds,)

    Notes
    -----
    The functionals of :func:`~skastro.field_metrics.minkowski_functionals`, each averaged over thresholds
    within half a step of :math:`\nu`: so they have a slope.

    References
    ----------
    .. [1] Schmalzing & Buchert, "Beyond genus statistics: a unifying approach to the morphology of cosmic
       structure", ApJ 482, L1 (1997).

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering.topology import Topology
    >>> x = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> topology = Topology((64, 64), n_thresholds=3)
    >>> topology.names[:3], topology(x).shape
    (['area[nu=-2.00]', 'area[nu=0.00]', 'area[nu=2.00]'], torch.Size([2, 9]))
    >>> bool((topology(x)[:, 1] - 0.5).abs().max() < 0.02)
    True
    """

    def __init__(self, shape, n_thresholds=33, range=2.0):  # noqa: A002
        super().__init__()
        self.shape = tuple(int(side) for side in shape)
        if not isinstance(n_thresholds, Integral) or n_thresholds < 2:
            raise ValueError(f"n_thresholds={n_thresholds!r}; expected an integer of at least 2.")
        if not isinstance(range, Real) or not 0 < range < np.inf:
            raise ValueError(f"range={range!r}; expected a number above 0.")
        self.n_thresholds, self.range = int(n_thresholds), float(range)
        self.thresholds = np.linspace(-self.range, self.range, self.n_thresholds)
        self.names = [
            f"{name}[nu={nu:.2f}]"
            for name in ("area", "perimeter", "euler")
            for nu in self.thresholds
        ]
        functional, threshold = np.divmod(np.arange(len(self.names)), self.n_thresholds)
        self.labels = {"functional": functional, "threshold": threshold}
        # of pixels, then the lower and the upper of pairs: down, right, two diagonals; squares
        straight, diagonal = np.pi / 8, np.pi / 8 / np.sqrt(2.0)
        self.keep(
            "shares",
            np.array(
                [
                    [1.0] + [0.0] * 10,
                    [0.0] + [-straight, straight] * 2 + [-diagonal, diagonal] * 2 + [0.0] * 2,
                    [1.0] + [-0.5] * 4 + [0.0] * 4 + [0.5] * 2,
                ]
            ),
        )

    def norm(self, x, y=None):
        """Mean, standard deviation and mean square slope of reference maps, to pass as `reference`."""
        if y is not None:
            raise ValueError("y was given; expected None: topology is that of one map.")
        variance, mean = torch.var_mean(self._check(x), dim=(1, 2), correction=0)
        steps = [(x.roll(-1, axis) - x).square().mean((1, 2)) for axis in (1, 2)]
        return {"mean": mean, "std": root(variance), "slope": divide(sum(steps) / 2, variance)}

    def forward(self, x, y=None, reference=None):
        """Statistics (n, n_coefficients) of maps (n, h, w).

        With a `reference`, mean, standard deviation and slope are its.
        """
        own = self.norm(x, y) if reference is None else reference
        self._check_reference(own, ["mean", "std", "slope"], len(self._check(x)))
        parts = [self._functionals(x[rows], self._rows_of(own, rows)) for rows in self._chunks(x)]
        return torch.cat(parts)

    def _functionals(self, x, norm):
        mean, std = (norm[key][:, None, None] for key in ("mean", "std"))
        z = divide(x - mean, std.expand_as(x))
        down, right = z.roll(-1, 1), z.roll(-1, 2)
        across = down.roll(-1, 2)
        fields = [z]
        for one, other in ((z, down), (z, right), (z, across), (down, right)):
            fields += [torch.minimum(one, other), torch.maximum(one, other)]
        for extreme in (torch.minimum, torch.maximum):
            fields.append(extreme(extreme(z, across), extreme(down, right)))
        found = self.get("shares", x) @ self._above(torch.stack(fields, 1).flatten(2))
        area, perimeter, euler = found.unbind(1)
        slope = norm["slope"][:, None].expand_as(area)
        return torch.cat(
            [area, divide(2 * perimeter, root(slope)), divide(EULER * euler, slope)], 1
        )

    def _above(self, values):
        """Share of the values (n, n_fields, n_pixels) above each threshold, (n, n_fields, K)."""
        K = self.n_thresholds
        step = 2 * self.range / (K - 1)
        # a value counts for all thresholds below it, and in part for that which it is near
        place = ((values + self.range) / step + 0.5).clamp(0.0, float(K))
        with torch.no_grad():
            index = place.long()
        part = place - index
        counts = values.new_zeros(*values.shape[:2], K + 2)
        counts = counts.scatter_add(2, index, 1 - part).scatter_add(2, index + 1, part)
        return counts.flip(2).cumsum(2).flip(2)[..., 1 : K + 1] / values.shape[2]
