"""Sums of Gaussians over maps of parameters: spectra, misfit, smoothness, and their derivatives.

Parameters are tensors of shape (3, n_components, *sky): amplitude in the unit of the data, then velocity
and width (standard deviation) in channels. Spectra have shape (*sky, n_channels).
"""

import math
from dataclasses import dataclass

import torch

__all__ = [
    "Misfit",
    "laplacian",
    "misfit",
    "roughness",
    "share_within",
    "sum_of_gaussians",
    "total",
]

# exp(-z^2 / 2) = 2^-(BASE z)^2, and exp2 is several times faster than exp
BASE = math.sqrt(0.5 * math.log2(math.e))
# Beyond 7.4 widths a Gaussian is taken as constant, 1e-12: denormal numbers cost 20 times as much.
REACH = 6.3
# Exponentials at once: the three work arrays stay in a processor's cache, or fill a device.
CHUNK = {"cpu": 2**16}
DEVICE_CHUNK = 2**25


def total(values):
    """Sum as a Python float, in float64 wherever the device has it."""
    return float(values.sum(dtype=None if values.device.type == "mps" else torch.float64))


def _exponentials(parameters, n_channels):
    """Go through the spectra in chunks.

    Parameters
    ----------
    parameters : Tensor of shape (3, n_components, n_spectra)
    n_channels : int

    Yields
    ------
    rows : slice
    z : Tensor of shape (n_components, n_rows, n_channels)
        BASE times the distance from the centre in widths.
    e : Tensor of that shape
        exp(-z^2 / 2).
    spare : Tensor of that shape
        To be written to; all three are used again for the next chunk.
    """
    _, n_components, n_spectra = parameters.shape
    n_values = max(1, n_components * n_channels)
    step = min(n_spectra, max(1, CHUNK.get(parameters.device.type, DEVICE_CHUNK) // n_values))
    work = [parameters.new_empty(step * n_values) for _ in range(3)]
    channels = torch.arange(n_channels, dtype=parameters.dtype, device=parameters.device)
    for start in range(0, n_spectra, max(1, step)):
        rows = slice(start, min(start + step, n_spectra))
        _, centre, width = parameters[..., rows, None]
        shape = (*width.shape[:2], n_channels)
        z, e, spare = (one[: math.prod(shape)].view(shape) for one in work)
        torch.sub(channels, centre, out=z)
        z.mul_(BASE / width).clamp_(-REACH, REACH)
        torch.mul(z, z, out=e)
        torch.exp2(e.neg_(), out=e)
        yield rows, z, e, spare


def sum_of_gaussians(parameters, n_channels):
    r"""Spectra of given parameters.

    .. math:: m(k) = \sum_n a_n \exp\left(-\frac{(k - \mu_n)^2}{2 s_n^2}\right)

    Parameters
    ----------
    parameters : Tensor of shape (3, n_components, *sky)
        Amplitude, velocity [channel] and width [channel].
    n_channels : int

    Returns
    -------
    spectra : Tensor of shape (*sky, n_channels)

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_model import sum_of_gaussians
    >>> sum_of_gaussians(torch.tensor([[2.0], [1.0], [0.5]]), 3)
    tensor([0.2707, 2.0000, 0.2707])
    """
    sky = parameters.shape[2:]
    flat = parameters.reshape(3, parameters.shape[1], math.prod(sky))
    spectra = flat.new_empty(flat.shape[-1], n_channels)
    for rows, _, e, _ in _exponentials(flat, n_channels):
        torch.sum(e.mul_(flat[0, :, rows, None]), dim=0, out=spectra[rows])
    return spectra.reshape(*sky, n_channels)


@dataclass(slots=True)
class Misfit:
    """What `misfit` finds.

    Attributes
    ----------
    value : Tensor of shape (n_spectra,)
        Half of chi square of each spectrum.
    gradient : Tensor of shape (3, n_components, n_spectra) or None
    curvature : Tensor or None
        Of the shape of `gradient` ("diagonal"), or (n_spectra, 3 n_components, 3 n_components)
        ("blocks", its rows in the order of the gradient's first two axes).
    """

    value: torch.Tensor
    gradient: torch.Tensor | None = None
    curvature: torch.Tensor | None = None


def misfit(parameters, data, weight, *, gradient=True, curvature=None):
    r"""Half of chi square between spectra and sums of Gaussians.

    .. math:: \frac12 \sum_k w_k (m(k) - d_k)^2

    Parameters
    ----------
    parameters : Tensor of shape (3, n_components, n_spectra)
    data : Tensor of shape (n_spectra, n_channels)
        Without NaN.
    weight : Tensor of shape (n_spectra, n_channels)
        Inverse variance; 0 where the data are blank.
    gradient : bool
        Whether derivatives with respect to the parameters are wanted.
    curvature : {None, "diagonal", "blocks"}
        And the Gauss-Newton approximation of the second derivatives.

    Returns
    -------
    found : Misfit

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_model import misfit
    >>> one = torch.tensor([[[1.0]], [[1.0]], [[1.0]]])
    >>> misfit(one, torch.zeros(1, 3), torch.ones(1, 3)).gradient.flatten()
    tensor([1.7358, 0.0000, 0.7358])
    """
    _, n_components, n_spectra = parameters.shape
    value = data.new_empty(n_spectra)
    slope = torch.empty_like(parameters) if gradient else None
    curved = None
    if curvature == "diagonal":
        curved = torch.empty_like(parameters)
    elif curvature == "blocks":
        curved = data.new_empty(n_spectra, 3 * n_components, 3 * n_components)
    for rows, z, e, spare in _exponentials(parameters, data.shape[-1]):
        model = torch.mul(e, parameters[0, :, rows, None], out=spare).sum(0)
        residual = model.sub_(data[rows])
        weighted = residual * weight[rows]
        torch.sum(residual.mul_(weighted), dim=-1, out=value[rows])
        if curvature == "blocks":
            curved[rows] = _blocks(e, z, weight[rows])
        elif curvature:
            _moments(torch.square(e, out=spare).mul_(weight[rows]), z, 2, curved[..., rows])
        if gradient:
            _moments(e.mul_(weighted), z, 1, slope[..., rows])
    value *= 0.5
    # from powers of BASE z to derivatives: dm/dmu = a e z / s, dm/ds = a e z^2 / s
    ratio = parameters[0] / (BASE * parameters[2])
    scale = torch.stack([torch.ones_like(ratio), ratio, ratio / BASE])
    if gradient:
        slope *= scale
    if curvature == "diagonal":
        curved *= scale.square_()
    elif curvature:
        rows_scale = scale.flatten(0, 1).T
        curved *= rows_scale[:, :, None]
        curved *= rows_scale[:, None]
    return Misfit(value, slope, curved)


def _moments(e, z, power, out):
    """Sums over channels of e z^0, e z^power, e z^(2 power); `e` is overwritten."""
    torch.sum(e, dim=-1, out=out[0])
    for moment in out[1:]:
        for _ in range(power):
            e.mul_(z)
        torch.sum(e, dim=-1, out=moment)


def _blocks(e, z, weight):
    n_components, n_spectra, n_channels = e.shape
    columns = e.new_empty(n_spectra, 3, n_components, n_channels)
    zeroth, first, second = columns.permute(1, 2, 0, 3)
    torch.mul(e, weight.sqrt(), out=zeroth)
    torch.mul(zeroth, z, out=first)
    torch.mul(first, z, out=second)
    columns = columns.view(n_spectra, 3 * n_components, n_channels)
    return torch.bmm(columns, columns.transpose(1, 2))


def share_within(parameters, mask):
    """Share of the profile of each component that lies within a mask.

    Parameters
    ----------
    parameters : Tensor of shape (3, n_components, *sky)
    mask : Tensor of bool of shape (*sky, n_channels)

    Returns
    -------
    share : Tensor of shape (n_components, *sky)
        From 0 to 1, whatever the amplitude.

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_model import share_within
    >>> one = torch.tensor([[1.0], [1.0], [0.5]])
    >>> share_within(one, torch.tensor([False, True, True]))
    tensor([0.8935])
    """
    sky, n_channels = mask.shape[:-1], mask.shape[-1]
    flat = parameters.reshape(3, parameters.shape[1], math.prod(sky))
    mask = mask.reshape(-1, n_channels)
    share = torch.empty_like(flat[0])
    for rows, _, e, spare in _exponentials(flat, n_channels):
        inside = torch.mul(e, mask[rows], out=spare).sum(-1)
        torch.div(inside, e.sum(-1), out=share[:, rows])
    return share.reshape(-1, *sky)


def laplacian(maps):
    """Value of each pixel minus the mean of its four neighbours.

    Beyond the border lies the pixel itself, so that a constant has no Laplacian and the operator is
    symmetric.

    Parameters
    ----------
    maps : Tensor of shape (..., n_y, n_x)

    Returns
    -------
    result : Tensor of that shape

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_model import laplacian
    >>> laplacian(torch.tensor([[0.0, 0.0, 4.0, 0.0, 0.0]]))
    tensor([[ 0., -1.,  2., -1.,  0.]])
    """
    result = torch.zeros_like(maps)
    for axis in (-2, -1):
        n = maps.shape[axis]
        if n > 1:
            step = torch.diff(maps, dim=axis).mul_(0.25)
            result.narrow(axis, 1, n - 1).add_(step)
            result.narrow(axis, 0, n - 1).sub_(step)
    return result


def roughness(parameters, smooth, width_variance=0.0):
    r"""Penalty of maps that are not smooth, and its gradient.

    .. math::
        \frac12 \sum_n \left( \lambda_a \|L a_n\|^2 + \lambda_\mu \|L \mu_n\|^2 +
        \lambda_s \|L s_n\|^2 + \lambda_{var} \|s_n - \bar s_n\|^2 \right)

    with L of `laplacian` and the mean over the map.

    Parameters
    ----------
    parameters : Tensor of shape (3, n_components, n_y, n_x)
    smooth : sequence of 3 floats
        Of amplitude, velocity and width.
    width_variance : float

    Returns
    -------
    value : float
    gradient : Tensor of the shape of `parameters`

    Examples
    --------
    >>> import torch
    >>> from skastro.denoising.gaussian_model import roughness
    >>> maps = torch.zeros(3, 1, 1, 5)
    >>> maps[0, 0, 0, 2] = 4.0
    >>> value, gradient = roughness(maps, (1.0, 1.0, 1.0))
    >>> value, gradient[0]
    (3.0, tensor([[[ 0.2500, -1.0000,  1.5000, -1.0000,  0.2500]]]))
    """
    rough = laplacian(parameters)
    gradient = laplacian(rough)
    value = 0.0
    for one, factor, slope in zip(rough, smooth, gradient, strict=True):
        value += 0.5 * factor * total(one.square_())
        slope *= factor
    if width_variance:
        width = parameters[2]
        deviation = width - width.mean((-2, -1), keepdim=True)
        gradient[2].add_(deviation, alpha=width_variance)
        value += 0.5 * width_variance * total(deviation.square_())
    return value, gradient
