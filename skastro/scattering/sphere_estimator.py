"""`SphericalScatteringTransform`: HEALPix maps to their scattering statistics."""

from numbers import Integral

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import resolve_device, row_blocks
from skastro.healpix import check_sphere_maps, ring_of_nested
from skastro.map_features import MapFeatures
from skastro.scattering.recipes import Several, mean_reference, reference_tensors
from skastro.scattering.sphere import SphericalCovariance, check_sphere_scales
from skastro.scattering.sphere_masks import check_sky_mask

__all__ = ["SphericalScatteringTransform"]


class SphericalScatteringTransform(MapFeatures):
    """Scattering statistics of HEALPix maps of the sphere, as features.

    What `ScatteringTransform` is to maps of the plane, with the covariances of `SphericalCovariance`: means
    of the moduli of wavelet fields and how those of different scales vary together. Needs astropy-healpix:
    ``pip install 'skastro[sphere]'``.

    Parameters
    ----------
    n_scales : int or None, default=None
        Number J of dyadic scales; None: the largest that fits, log2(nside) - 1, less one.
    n_orientations : int, default=4
        Number L of orientations over pi, from the local north.
    order : {"ring", "nested"}, default="ring"
        Of the pixels of the maps and of the mask.
    pairs : {"all", "auto"}, default="all"
        Whether cross statistics of the channels are taken besides those of each.
    normalization : {"own", "reference"}, default="own"
        What covariances are divided by: the power of each map, or that of the maps in `fit`, on average.
    reduction : {"isotropic", "angular", "scale"} or None, default="isotropic"
        Averages over orientations, or harmonics over angles, or over angles and scales; see
        `ScatteringReduction`. None: every orientation, with respect to the north.
    max_memory : int, default=2**28
        Memory for the work on a block of maps, in bytes; of one map at least.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.

    Attributes
    ----------
    statistics_ : nn.Module
        From a Tensor (n, n_channels, n_pixels), nested, to (n, n_coefficients): differentiable, before
        `reduction`.
    reference_ : list of dict of ndarray, or None
        The normalisation.
    mask_ : ndarray of bool of shape (n_pixels,) or None
        In `order`.
    nside_ : int
    n_scales_ : int
    n_channels_in_ : int
    n_features_in_ : int
        Pixels of a map, all channels together.

    See Also
    --------
    ScatteringTransform : Maps of the plane, with other statistics and syntheses.

    Examples
    --------
    >>> from skastro.datasets import make_sphere_fields
    >>> from skastro.scattering import SphericalScatteringTransform
    >>> maps = make_sphere_fields(4, 16, "lognormal", random_state=0).maps
    >>> transform = SphericalScatteringTransform(n_scales=2).fit(maps)
    >>> transform.transform(maps).shape
    (4, 81)
    >>> transform.get_feature_names_out()[[1, -1]]
    array(['P00[j1=0]', 'C11[j1=1,j2=1,j3=1,dl2=3,dl3=3]'], dtype=object)
    """

    _parameter_constraints = {
        "n_scales": [Interval(Integral, 1, None, closed="left"), None],
        "n_orientations": [Interval(Integral, 1, None, closed="left")],
        "order": [StrOptions({"ring", "nested"})],
        "pairs": [StrOptions({"all", "auto"})],
        "normalization": [StrOptions({"own", "reference"})],
        "reduction": [StrOptions({"isotropic", "angular", "scale"}), None],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str, torch.device],
    }

    def __init__(
        self,
        n_scales=None,
        *,
        n_orientations=4,
        order="ring",
        pairs="all",
        normalization="own",
        reduction="isotropic",
        max_memory=2**28,
        dtype="float32",
        device="auto",
    ):
        self.n_scales = n_scales
        self.n_orientations = n_orientations
        self.order = order
        self.pairs = pairs
        self.normalization = normalization
        self.reduction = reduction
        self.max_memory = max_memory
        self.dtype = dtype
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, mask=None):
        """Fix the size, the wavelets and the normalisation.

        Parameters
        ----------
        X : array-like of shape (n, n_pixels) or (n, n_channels, n_pixels)
            Maps of 12 nside^2 pixels. One is enough.
        y : ignored
        mask : array-like of bool of shape (n_pixels,), optional
            True where a pixel counts, in these maps and in those to come. NaN is allowed elsewhere.

        Returns
        -------
        self : SphericalScatteringTransform

        Raises
        ------
        ValueError
            A number of pixels that is not 12 nside^2 for a power of 2 of at least 4; maps that are not
            real, or not finite or constant where they count; more scales than fit; a mask of another
            shape, or that leaves no pixel for some scale.
        """
        n_pixels = np.shape(X)[-1] if np.ndim(X) else 0
        valid = None if mask is None else check_sky_mask(mask, n_pixels)
        maps, self.unit_ = check_sphere_maps(X, valid=valid)
        self.n_channels_in_ = maps.shape[1]
        self.nside_ = int(round((n_pixels / 12) ** 0.5))
        self.n_features_in_ = n_pixels * self.n_channels_in_
        largest = check_sphere_scales(None, self.nside_)
        n_scales = max(1, largest - 1) if self.n_scales is None else self.n_scales
        self.n_scales_ = check_sphere_scales(n_scales, self.nside_)
        self.mask_ = valid
        self.statistics_ = self._make()
        self.reference_ = None
        if self.normalization == "reference":
            self.reference_ = self._reference(maps)
        names = self.statistics_.names
        if self.reduction:
            names = self.statistics_.reduced_names(self.reduction)
        self.feature_names_ = np.array(names, dtype=object)
        return self

    def transform(self, X):
        """Compute the statistics.

        Parameters
        ----------
        X : array-like of shape (n, n_pixels) or (n, n_channels, n_pixels)
            Of the size and channels seen in `fit`, and in a unit that converts to its.

        Returns
        -------
        features : ndarray of shape (n, n_coefficients), of `dtype`

        Raises
        ------
        ValueError
            Maps of another size, number of channels or unit than in `fit`, or that are not finite or
            constant where they count.
        """
        check_is_fitted(self)
        maps, _ = check_sphere_maps(
            X,
            valid=self.mask_,
            n_channels=self.n_channels_in_,
            n_pixels=12 * self.nside_**2,
            unit=self.unit_,
        )
        parts = []
        for block in self._blocks(maps):
            with torch.inference_mode():
                found = self.statistics_(block, reference_tensors(self.reference_, block.device))
                if self.reduction:
                    found = self.statistics_.reduce(found, self.reduction)
            parts.append(found.cpu().numpy())
        return np.concatenate(parts)

    def _make(self):
        mask = self.mask_
        if mask is not None and self.order == "ring":
            mask = mask[ring_of_nested(self.nside_)]
        n = self.n_channels_in_
        pairs = [(c, c) for c in range(n)]
        if self.pairs == "all":
            pairs += [(a, b) for a in range(n) for b in range(a + 1, n)]
        covariance = SphericalCovariance(
            self.nside_, self.n_scales_, self.n_orientations, mask=mask
        )
        return Several({"covariance": covariance}, pairs)

    def _blocks(self, maps):
        """Blocks of maps as Tensors (n, n_channels, n_pixels), nested."""
        device = resolve_device(self.device, self.dtype)
        self.statistics_.to(device)
        nested = ring_of_nested(self.nside_) if self.order == "ring" else slice(None)
        # on the finest grid each field is seen through all wavelets, and copied a few times
        numbers = 8 * self.n_orientations * (self.n_orientations + 1)
        size = maps[0].size * np.dtype(self.dtype).itemsize * numbers
        for rows in row_blocks(len(maps), size, self.max_memory):
            block = np.ascontiguousarray(maps[rows][..., nested], dtype=self.dtype)
            yield torch.from_numpy(block).to(device)

    def _reference(self, maps):
        """Normalisation by the mean over maps."""
        found = []
        for block in self._blocks(maps):
            with torch.inference_mode():
                found.append(self.statistics_.norm(block))
        return mean_reference(found)

    def __getstate__(self):
        state = super().__getstate__().copy()
        # wavelets are made again from the parameters
        state.pop("statistics_", None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "nside_" in state:
            self.statistics_ = self._make()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
