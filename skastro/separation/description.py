"""What a recipe of scattering statistics says of maps, next to a mixture that they belong to."""

import numpy as np
import torch
from sklearn.base import clone

__all__ = ["Description"]


class Description:
    """Statistics of maps that are normalised by the power of fixed mixtures, never by their own.

    Logarithms of powers are undone: what contaminates a map adds to its power.

    Parameters
    ----------
    recipe : ScatteringTransform or SphericalScatteringTransform
        Fitted, of the size of the mixtures.
    mixtures : Tensor of shape (n, n_channels, h, w)
    pairs : list of tuple (a, b), optional
        Of channels, whose coefficients are wanted alone. None: what the recipe says.
    pixels : Tensor of int of shape (n_pixels,), optional
        Of maps of the sphere, where the pixels are that the statistics take in nested order.
    linear : bool, default=True
        False leaves logarithms as they are: of maps that have statistics asked for, no power is negative.

    Attributes
    ----------
    names : list of str
        Of the coefficients.
    kind_scale : Tensor of shape (n_coefficients,)
        What to divide a coefficient by, for kinds (S1, C01, ...) to count alike in a mean of squares,
        however many coefficients they have.

    Examples
    --------
    >>> import torch
    >>> from skastro.scattering import ScatteringTransform
    >>> from skastro.separation.description import Description
    >>> x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> recipe = ScatteringTransform(n_scales=2, device="cpu").fit(x.numpy())
    >>> describe = Description(recipe, x)
    >>> values = describe(x)
    >>> values.shape == (2, len(describe.names)), describe.names[0], round(float(values[0, 0]), 6)
    (True, 'P00[j1=0,l1=0]', 1.0)
    """

    def __init__(self, recipe, mixtures, pairs=None, pixels=None, linear=True):
        if getattr(recipe, "output", "global") == "local":
            raise ValueError("statistics has output='local'; expected 'global'.")
        self.recipe, self.pixels = recipe, pixels
        self.logarithm = getattr(recipe, "logarithm", False)
        self.module = recipe.statistics_.to(mixtures.device)
        if pairs is not None:
            self.module = self.module.between(pairs)
        logs = np.zeros(len(self.module.names), dtype=bool)
        for family, rows in zip(self.module.families, self.module.sets, strict=True):
            if not linear:
                break
            if family == "covariance":
                plain = _without_channels(self.module.names[rows])
                logs[rows] = [name.startswith(("P00", "S1[")) for name in plain]
            elif family == "power_spectrum":
                logs[rows] = getattr(self.module.parts[family], "log", False)
        self.logs = torch.from_numpy(logs).to(mixtures.device)
        self.reduced = recipe.reduction is not None
        names = self.module.names
        if self.reduced:
            names = self.module.reduced_names(recipe.reduction)
        names, plain = np.array(names), _without_channels(names)
        kept = plain != "mean/std"
        self.kept = torch.from_numpy(np.flatnonzero(kept)).to(mixtures.device)
        self.names = names[kept].tolist()
        kinds = [name.partition("[")[0] for name in plain[kept]]
        _, kind, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
        scale = np.sqrt(sizes[kind] * len(sizes) / len(kind))
        self.kind_scale = torch.from_numpy(scale).to(mixtures)
        mixtures = self._arranged(mixtures)
        with torch.no_grad():
            self.reference = self.module.norm(mixtures)
            self.own = self.module(mixtures, self.reference)

    def __call__(self, maps, which=None):
        """Coefficients (n, n_coefficients) of maps (n, n_channels, h, w) of the mixtures `which`."""
        reference, own = self.reference, self.own
        if which is not None:
            own = own[which]
            reference = [
                None if one is None else {key: v[which] for key, v in one.items()}
                for one in reference
            ]
        found = self.module(self._arranged(maps), reference)
        found = torch.where(self.logs, (found - own).clamp(-60, 60).exp(), found)
        if self.logarithm:
            found = self.module.logarithm(found)
        if self.reduced:
            found = self.module.reduce(found, self.recipe.reduction)
        return found.index_select(1, self.kept)

    def of_others(self, mixtures, recipe=None, pairs=None, mask=None):
        """The description of maps on the same grid.

        Parameters
        ----------
        mixtures : Tensor of shape (n, n_channels, h, w)
        recipe : ScatteringTransform or SphericalScatteringTransform, optional
            None: that of this one.
        pairs : list of tuple (a, b), optional
            As above; the recipe's own have no part.
        mask : ndarray of bool of shape (n_pixels,), optional
            Of maps of the sphere: True where a pixel counts.

        Returns
        -------
        description : Description
        """
        recipe = clone(self.recipe if recipe is None else recipe)
        dtype = str(mixtures.dtype).removeprefix("torch.")
        recipe.set_params(dtype=dtype, device=str(mixtures.device))
        if pairs is not None:
            recipe.set_params(pairs="all")
        if self.pixels is not None:
            recipe.set_params(order="nested")
            mask = None if mask is None else mask[self.pixels.cpu().numpy()]
        recipe.fit(self._arranged(mixtures).cpu().numpy(), mask=mask)
        return Description(recipe, mixtures, pairs, self.pixels)

    def _arranged(self, maps):
        return maps if self.pixels is None else maps[..., self.pixels]


def _without_channels(names):
    return np.array([name.rpartition(":")[2] for name in names])
