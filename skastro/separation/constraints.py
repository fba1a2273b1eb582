"""What a signal in a mixture must agree with: each a statistic, its target, and what it is divided by."""

from numbers import Real

import numpy as np
import torch

__all__ = [
    "Constraint",
    "ContaminationConstraint",
    "IndependenceConstraint",
    "MixtureConstraint",
    "PixelConstraint",
    "SpectrumConstraint",
    "WienerConstraint",
]

LOOSEST = 0.1  # relative uncertainty of a power


class Constraint:
    r"""Base of the constraints: the mean of :math:`((\Phi - target) / scale)^2` is to become small.

    A child class gives a `name` and two methods of the signal (n, n_channels, h, w) and the `problem`, which
    has the mixtures (`problem.mixtures`), samples of the contamination (`problem.samples`) and statistics
    (`problem.statistics(maps)`). Everything is without its mean, in standard deviations of the contamination.

    Parameters
    ----------
    weight : float, default=1.0
        Of the mean of squares among those of other constraints.

    Attributes
    ----------
    name : str

    Examples
    --------
    A new one: the variance of the signal is what that of the contamination leaves.

    >>> from skastro.separation import Constraint
    >>> class VarianceConstraint(Constraint):
    ...     name = "variance"
    ...
    ...     def statistic(self, signal, problem):
    ...         return signal.var(dim=(2, 3))
    ...
    ...     def goal(self, signal, problem):
    ...         of_samples = problem.samples.var(dim=(2, 3))
    ...         return problem.mixtures.var(dim=(2, 3)) - of_samples.mean(0), of_samples.std(0)
    >>> VarianceConstraint(weight=0.5)
    VarianceConstraint(weight=0.5)
    """

    name = "constraint"

    def __init__(self, weight=1.0):
        if not isinstance(weight, Real) or not 0 <= weight < float("inf"):
            raise ValueError(f"weight={weight!r}; expected a number of at least 0.")
        self.weight = weight

    def __repr__(self):
        given = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({given})"

    def statistic(self, signal, problem):
        """Statistics (n, n_coefficients) of a signal (n, n_channels, h, w): differentiable."""
        raise NotImplementedError(f"{type(self).__name__} has no statistic.")

    def goal(self, signal, problem):
        """Target and scale, (n, n_coefficients) or (n_coefficients,), as an era begins with a signal.

        What has a scale of 0 does not vary over the samples, and is left out.
        """
        raise NotImplementedError(f"{type(self).__name__} has no goal.")

    def prepare(self, signal, problem):
        """The loss of an era that begins with a signal.

        Parameters
        ----------
        signal : Tensor of shape (n, n_channels, h, w)
        problem : Problem

        Returns
        -------
        loss : callable
            Of signals and a `Problem` of the same mixtures or fewer: Tensor (n,), without the weight.

        Raises
        ------
        ValueError
            Nothing varies over the samples.
        """
        with torch.no_grad():
            target, scale = self.goal(signal, problem)
        scale = torch.as_tensor(scale).to(signal)
        if not (torch.isfinite(target).all() and torch.isfinite(scale).all()):
            raise ValueError(
                f"constraint {self.name!r} has a goal that is not finite; expected numbers."
            )
        used = scale > 0
        if not used.any():
            raise ValueError(
                f"constraint {self.name!r} has zero variance over the {len(problem.samples)} samples of the "
                "contamination; expected some to differ."
            )
        inverse = torch.where(used, 1.0 / scale, 0.0)
        share = 1.0 / used.float().mean(-1, keepdim=True).clamp_min(1e-9)
        inverse = inverse * share.to(inverse).sqrt()

        def loss(signal, problem):
            rows = problem.which
            found = self.statistic(signal, problem)
            want = target[rows] if target.ndim > 1 else target
            by = inverse[rows] if inverse.ndim > 1 else inverse
            return ((found - want) * by).square().mean(1)

        return loss


def over_samples(function, problem):
    """Mean and standard deviation of a function's tensors over samples, one at a time.

    Parameters
    ----------
    function : callable
        Of a sample (n_channels, h, w): Tensor (n, n_coefficients).
    problem : Problem

    Returns
    -------
    mean : Tensor of shape (n, n_coefficients)
        Or what the sample has that a mixture's contamination is taken to be.
    std : Tensor of that shape
    """
    values = torch.stack([function(one) for one in problem.samples])
    if problem.chosen is None:
        mean = values.mean(0)
    else:
        rows = torch.arange(len(problem.chosen), device=values.device)
        mean = values[problem.chosen, rows]
    return mean, values.std(0)


class MixtureConstraint(Constraint):
    r"""The signal and a sample of the contamination have together the statistics of the mixture [1]_, [2]_.

    :math:`\langle \Phi(s + c_i) \rangle_i = \Phi(d)`, over the scatter with i. With the schedule "eras" the
    average is not taken at each step: :math:`\Phi(s)` is to become :math:`\Phi(d) - b`, with the bias
    :math:`b = \langle \Phi(s_k + c_i) - \Phi(s_k) \rangle_i` of the signal that the era began with.

    Parameters
    ----------
    weight : float, default=1.0

    References
    ----------
    .. [1] Regaldo-Saint Blancard, Allys, Boulanger, Levrier & Jeffrey, "A new approach for the statistical
       denoising of Planck interstellar dust polarization data", A&A 649, L18 (2021).
    .. [2] Auclair, Allys, Boulanger et al., "Separation of dust emission from the cosmic infrared background
       in Herschel observations with wavelet phase harmonics", A&A 681, A1 (2024).

    Examples
    --------
    >>> from skastro.separation import MixtureConstraint
    >>> MixtureConstraint().name
    'mixture'
    """

    name = "mixture"

    def statistic(self, signal, problem):
        if not problem.exact:
            return problem.statistics(signal)
        if problem.chosen is not None:
            return problem.statistics(problem.filled(signal + problem.samples[problem.chosen]))
        whole = (problem.filled(signal + c) for c in problem.samples)
        return sum(map(problem.statistics, whole)) / len(problem.samples)

    def goal(self, signal, problem):
        mean, std = over_samples(lambda c: problem.statistics(problem.filled(signal + c)), problem)
        target = problem.statistics(problem.mixtures)
        if not problem.exact:
            target = target - mean + problem.statistics(signal)
        return target, std * problem.describe.kind_scale


class ContaminationConstraint(Constraint):
    r"""What is left of the mixture has the statistics of the contamination [1]_.

    :math:`\Phi(d - s) = \langle \Phi(c_i) \rangle_i`, over the scatter with i.

    Parameters
    ----------
    weight : float, default=1.0

    References
    ----------
    .. [1] Delouis, Allys, Gauvrit & Boulanger, "Non-Gaussian modelling and statistical denoising of Planck
       dust polarisation full-sky maps using scattering transforms", A&A 668, A122 (2022).

    Examples
    --------
    >>> from skastro.separation import ContaminationConstraint
    >>> ContaminationConstraint(weight=0.1)
    ContaminationConstraint(weight=0.1)
    """

    name = "contamination"

    def statistic(self, signal, problem):
        return problem.statistics(problem.filled(problem.mixtures - signal))

    def goal(self, signal, problem):
        mean, std = over_samples(lambda c: problem.statistics(c.expand_as(signal)), problem)
        return mean, std * problem.describe.kind_scale


class SpectrumConstraint(Constraint):
    r"""The signal has the power spectrum of the mixture less that of the contamination, ring by ring.

    The rings are one cycle wide at large scales and at most eight: wavelets see the average of an octave,
    and hardly the corners of the Fourier plane. The scale is the uncertainty of the estimate, which blends
    the difference of the spectra with a smooth one where the difference is lost in noise, up to 0.1.

    Parameters
    ----------
    weight : float, default=1.0
    tolerance : float, default=0.05
        Relative, added in squares to the uncertainty.

    Examples
    --------
    >>> from skastro.separation import SpectrumConstraint
    >>> SpectrumConstraint()
    SpectrumConstraint(weight=1.0, tolerance=0.05)
    """

    name = "spectrum"

    def __init__(self, weight=1.0, tolerance=0.05):
        super().__init__(weight)
        if not isinstance(tolerance, Real) or not 0 < tolerance < float("inf"):
            raise ValueError(f"tolerance={tolerance!r}; expected a number above 0.")
        self.tolerance = tolerance

    def statistic(self, signal, problem):
        tiny = torch.finfo(signal.dtype).tiny
        return (problem.rings.power(signal).clamp_min(tiny) / problem.power).log().flatten(1)

    def goal(self, signal, problem):
        # not looser: other constraints, above all that of the Wiener filter, would take power away
        unsure = problem.uncertainty.clamp_max(LOOSEST)
        if problem.chosen is not None:
            unsure = torch.zeros_like(unsure)  # a power that is drawn is known
        scale = (unsure.square() + self.tolerance**2).sqrt().flatten(1)
        return torch.zeros_like(scale), scale


class IndependenceConstraint(Constraint):
    r"""Signal and contamination have nothing in common but by chance: their cross spectra are small.

    In each ring the correlation of s and d - s is compared with that of s and samples of the contamination.

    Parameters
    ----------
    weight : float, default=0.1

    References
    ----------
    .. [1] Siahkoohi, Morel, Balestriero et al., "Martian time-series unraveled: a multi-scale nested approach
       with factorial variational autoencoders", arXiv:2305.16189 (2023).

    Examples
    --------
    >>> from skastro.separation import IndependenceConstraint
    >>> IndependenceConstraint().weight
    0.1
    """

    name = "independence"

    def __init__(self, weight=0.1):
        super().__init__(weight)

    def _cross(self, signal, other, problem):
        scale = (problem.power * problem.contamination_power).clamp_min(1e-30).sqrt()
        return (problem.rings.power(signal, other) / scale).flatten(1)

    def statistic(self, signal, problem):
        return self._cross(signal, problem.mixtures - signal, problem)

    def goal(self, signal, problem):
        mean, std = over_samples(
            lambda c: self._cross(signal, c.expand_as(signal), problem), problem
        )
        return torch.zeros_like(std) if problem.chosen is None else mean, std


class WienerConstraint(Constraint):
    r"""What a filter says of each mode, with the standard deviation that power spectra alone leave.

    The mean square distance of the modes from those of the filtered mixture, in these units: around the
    Wiener filter it is the Gaussian posterior. It holds down what statistics of a few hundred numbers would
    change without need. `StatisticalSeparator.transform` filters by `ScaleMixtureFilter`, nearer to most
    signals.

    Parameters
    ----------
    weight : float, default=1.0

    Examples
    --------
    >>> from skastro.separation import WienerConstraint
    >>> WienerConstraint(0.3)
    WienerConstraint(weight=0.3)
    """

    name = "wiener"

    def statistic(self, signal, problem):
        step = problem.step
        some = step > 0
        inverse = torch.where(some, 1.0 / torch.where(some, step, 1.0), 0.0)
        whitened = problem.fine.filter(signal - problem.wiener, inverse)
        return whitened.flatten(1) * problem.fine.share**-0.5

    def goal(self, signal, problem):
        return torch.zeros_like(signal).flatten(1), signal.new_ones(1)


class PixelConstraint(Constraint):
    """Pixels of the signal that are known.

    Parameters
    ----------
    values : array-like of shape (h, w) or (n_channels, h, w)
        In the unit of the mixtures, the same of all; NaN where unknown.
    sigma : float, default=0.1
        Standard deviation of the values, in those of the contamination.
    weight : float, default=1.0

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation import PixelConstraint
    >>> values = np.full((32, 32), np.nan)
    >>> values[:4] = 0.0
    >>> PixelConstraint(values).name
    'pixels'
    """

    name = "pixels"

    def __init__(self, values, sigma=0.1, weight=1.0):
        super().__init__(weight)
        self.values = np.asarray(values, dtype=float)
        if not np.isfinite(self.values).any():
            raise ValueError("values has no known pixel; expected some that are not NaN.")
        if not isinstance(sigma, Real) or not 0 < sigma < float("inf"):
            raise ValueError(f"sigma={sigma!r}; expected a number above 0.")
        self.sigma = sigma

    def statistic(self, signal, problem):
        return problem.visible(signal).flatten(1)

    def goal(self, signal, problem):
        shape = tuple(problem.visible(signal).shape[1:])
        if self.values.shape not in (shape, shape[1:]):
            raise ValueError(
                f"values has shape {self.values.shape}; expected {shape} or {shape[1:]}."
            )
        # to the unit and mean of the search
        values = (torch.from_numpy(self.values).to(signal) - problem.offset) / problem.unit
        values = values.flatten(1)
        known = torch.isfinite(values)
        return values.nan_to_num(0.0), torch.where(known, self.sigma, 0.0)
