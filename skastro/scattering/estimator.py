"""`ScatteringTransform`: maps to their scattering statistics, and new maps with the same."""

from numbers import Integral

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import resolve_device, row_blocks
from skastro.map_features import MapFeatures
from skastro.maps import check_maps, refuse_constant
from skastro.partial_maps import check_valid_pixels, fill_from
from skastro.scattering.filters import check_n_scales, largest_n_scales
from skastro.scattering.recipes import (
    FAMILIES,
    Several,
    make_statistics,
    mean_reference,
    reference_tensors,
)
from skastro.scattering.targets import KEPT, Synthesizer

__all__ = ["ScatteringTransform"]

# Bytes of work for a byte of a map: wavelet fields of a scale, their moduli and spectra.
OVERHEAD = 64


class ScatteringTransform(Synthesizer, MapFeatures):
    """Scattering statistics of maps, as features, and new maps that share them.

    A map is seen through wavelets of several scales and orientations; the means of their moduli and how
    those of different scales vary together describe its texture with some hundred numbers, without any
    training. See :ref:`scattering` for the formulas.

    Parameters
    ----------
    family : str or list of str, default="covariance"
        "wst": wavelet scattering transform [1]_, means of moduli of one and of two orders. "rwst": the
        same, reduced to its dependence on angles [2]_. "covariance": scattering spectra [3]_.
        "phase_harmonics": moments of wavelet phase harmonics [4]_. "power_spectrum": binned. "pdf":
        distribution of the pixels. "topology": Minkowski functionals. A list: one after the other.
    n_scales : int or None, default=None
        Number J of dyadic scales; None: the largest that fits, less one.
    n_orientations : int, default=4
        Number L of orientations over pi, of maps.
    max_order : {1, 2}, default=2
        Of the "wst".
    output : {"global", "local"}, default="global"
        Of the "wst": means over the map, or maps of local means in the convention of kymatio.
    boundary : {"periodic", "reflect"}, default="periodic"
        What lies beyond the border of a map: the opposite side, or its mirror image. Lines are always
        mirrored, and volumes always periodic.
    pairs : {"all", "auto"} or list of tuple (a, b), default="all"
        Channels of which cross statistics are taken besides those of each ("auto": none).
    normalization : {"own", "reference"}, default="own"
        What "covariance" and "phase_harmonics" are divided by: the power of each map, or that of the maps
        in `fit`, on average.
    reduction : {"isotropic", "angular", "scale"} or None, default=None
        Averages over orientations, or harmonics over angles, or over angles and scales [3]_; see
        `ScatteringReduction`.
    logarithm : bool, default=False
        Take the logarithm of the "wst" and of the power spectrum.
    n_dims : {1, 2, 3}, default=2
        Of the grid: lines (spectra, light curves), maps, or volumes. Of the first and the last there is
        "wst" alone: of Morlet wavelets, and of solid harmonics.
    options : dict or None, default=None
        Further options of a family's class, such as ``{"phase_harmonics": {"dn": 2}}``
        or, of lines, ``{"wst": {"quality": 1}}``.
    max_memory : int, default=2**28
        Memory for the work on a block of maps, in bytes.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.

    Attributes
    ----------
    statistics_ : nn.Module
        From a Tensor (n, n_channels, h, w) to (n, n_coefficients): differentiable, before `reduction`.
    reference_ : list or None
        The normalisation.
    shape_ : tuple (h, w)
    n_channels_in_ : int
    n_scales_ : int
    n_features_in_ : int
        Pixels of a map, all channels together.

    References
    ----------
    .. [1] Bruna & Mallat, "Invariant scattering convolution networks", IEEE TPAMI 35, 1872 (2013).
    .. [2] Allys, Levrier, Zhang et al., "The RWST, a comprehensive statistical description of the
       non-Gaussian structures in the ISM", A&A 629, A115 (2019).
    .. [3] Cheng, Morel, Allys, Ménard & Mallat, "Scattering spectra models for physics", PNAS Nexus 3,
       pgae103 (2024).
    .. [4] Allys, Marchand, Cardoso et al., "New interpretable statistics for large-scale structure
       analysis and generation", PRD 102, 103506 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.scattering import ScatteringTransform
    >>> maps = np.random.default_rng(0).normal(size=(10, 32, 32))
    >>> transform = ScatteringTransform("wst", n_scales=3).fit(maps)
    >>> transform.transform(maps).shape
    (10, 61)
    >>> transform.get_feature_names_out()[1]
    'S1[j1=0,l1=0]'
    """

    _parameter_constraints = {
        "family": [StrOptions(set(FAMILIES)), list, tuple],
        "n_scales": [Interval(Integral, 1, None, closed="left"), None],
        "n_orientations": [Interval(Integral, 1, None, closed="left")],
        "max_order": [Interval(Integral, 1, 2, closed="both")],
        "output": [StrOptions({"global", "local"})],
        "boundary": [StrOptions({"periodic", "reflect"})],
        "pairs": [StrOptions({"all", "auto"}), list, tuple],
        "normalization": [StrOptions({"own", "reference"})],
        "reduction": [StrOptions({"isotropic", "angular", "scale"}), None],
        "logarithm": ["boolean"],
        "n_dims": [Interval(Integral, 1, 3, closed="both")],
        "options": [dict, None],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str, torch.device],
    }

    def __init__(
        self,
        family="covariance",
        *,
        n_scales=None,
        n_orientations=4,
        max_order=2,
        output="global",
        boundary="periodic",
        pairs="all",
        normalization="own",
        reduction=None,
        logarithm=False,
        n_dims=2,
        options=None,
        max_memory=2**28,
        dtype="float32",
        device="auto",
    ):
        self.family = family
        self.n_scales = n_scales
        self.n_orientations = n_orientations
        self.max_order = max_order
        self.output = output
        self.boundary = boundary
        self.pairs = pairs
        self.normalization = normalization
        self.reduction = reduction
        self.logarithm = logarithm
        self.n_dims = n_dims
        self.options = options
        self.max_memory = max_memory
        self.dtype = dtype
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, mask=None):
        """Fix the size, the filters and the normalisation.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Maps. One is enough. With `n_dims`, (n, length) or (n, d, h, w), or with channels.
        y : ignored
        mask : array-like of bool of shape (h, w), optional
            True where a pixel counts, in these maps and in those to come. NaN is allowed elsewhere.

        Returns
        -------
        self : ScatteringTransform

        Raises
        ------
        ValueError
            Maps that are not real, finite and of at least 2 x 2 pixels; more scales than fit; a mask of
            another shape or without a valid pixel; a constant map.

        Notes
        -----
        Hidden pixels get the values of their mirror images at the nearest valid ones: the texture goes on,
        and what is measured is that of the valid part.
        """
        self._check_dims(mask)
        valid = None if mask is None else check_valid_pixels(mask, np.shape(X)[-2:])
        maps, self.unit_ = check_maps(_filled(X, valid), **self._forms)
        self.n_channels_in_ = maps.shape[1] if maps.ndim == self.n_dims + 2 else 1
        self.map_shape_ = tuple(maps.shape[-self.n_dims :])
        self.n_features_in_ = int(np.prod(self.map_shape_)) * self.n_channels_in_
        self.fill_ = None
        if valid is not None and not valid.all():
            self.fill_ = fill_from(valid, self.boundary == "periodic")
        maps = maps.reshape(-1, self.n_channels_in_, *self.map_shape_)
        self.n_dim_ = len(np.shape(X))
        self.statistics_ = self._make(self.map_shape_)
        maps = self._whole(maps)
        refuse_constant(maps)
        self.maps_ = maps[:KEPT].astype(self.dtype)
        self.reference_ = None
        if self.normalization == "reference":
            self.reference_ = self._reference(maps)
        self.feature_names_ = self._names()
        return self

    def transform(self, X):
        """Compute the statistics.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels seen in `fit`, and in a unit that converts to its.

        Returns
        -------
        features : ndarray of shape (n, n_coefficients), of `dtype`

        Raises
        ------
        ValueError
            Maps of another size, number of channels or unit than in `fit`, that are not finite, or constant.
        """
        check_is_fitted(self)
        maps = self._read(X)
        statistics = self.statistics_.to(self._device)
        reference, parts = reference_tensors(self.reference_, self._device), []
        for rows in self._rows(maps):
            block = self._tensor(maps[rows])
            with torch.inference_mode():
                found = self._coefficients(statistics, block, reference)
            parts.append(found.cpu().numpy())
        return np.concatenate(parts)

    # -- from parameters to statistics

    @property
    def _forms(self):
        return {"ndims": (self.n_dims + 1, self.n_dims + 2), "n_dims": self.n_dims}

    def _check_dims(self, mask):
        """Refuse what only maps have."""
        if self.n_dims == 2:
            return
        given = {
            "mask": (mask is not None, None),
            "reduction": (self.reduction is not None, None),
            "boundary": (self.n_dims == 3 and self.boundary != "periodic", "periodic"),
        }
        for name, (wrong, plain) in given.items():
            if wrong:
                raise ValueError(
                    f"{name} is given with n_dims={self.n_dims}; expected {plain!r}, or n_dims=2."
                )

    @property
    def _device(self):
        return resolve_device(self.device, self.dtype)

    def _families(self):
        families = [self.family] if isinstance(self.family, str) else list(self.family)
        for i, family in enumerate(families):
            if family not in FAMILIES or family in families[:i]:
                raise ValueError(
                    f"family={self.family!r}; expected different ones of {', '.join(FAMILIES)}."
                )
        if not families:
            raise ValueError(f"family={self.family!r}; expected at least one.")
        return families

    def _pairs(self):
        n = self.n_channels_in_
        own = [(c, c) for c in range(n)]
        if isinstance(self.pairs, str):
            every = [(a, b) for a in range(n) for b in range(a + 1, n)]
            return own + (every if self.pairs == "all" else [])
        for pair in self.pairs:
            numbers = isinstance(pair, tuple | list) and len(pair) == 2
            if not numbers or not all(isinstance(c, Integral) and 0 <= c < n for c in pair):
                raise ValueError(f"pairs has {pair!r}; expected two channels of 0 to {n - 1}.")
        return own + [(int(a), int(b)) for a, b in self.pairs if a != b]

    def _make(self, shape, n_scales=None):
        """The statistics for maps of a shape."""
        if n_scales is None:
            n_scales = self.n_scales
            n_scales = max(1, largest_n_scales(shape) - 1) if n_scales is None else n_scales
            self.n_scales_ = check_n_scales(n_scales, shape)
        families = self._families()
        mirror = self.boundary == "reflect" and self.n_dims == 2
        if mirror:
            shape = tuple(2 * n for n in shape)
        given = self.options or {}
        if not set(given) <= set(families):
            raise ValueError(f"options has {sorted(given)}; expected families of {families}.")
        parts = {}
        for family in families:
            options = dict(given.get(family, {}))
            if family == "power_spectrum":
                options = {"log": len(self._pairs()) == 1} | options
            if family == "wst":
                options = {"max_order": self.max_order, "output": self.output} | options
                if self.output == "local" and self.n_dims == 2:
                    # it has its own way to mirror
                    options = {"boundary": self.boundary} | options
            own = shape
            if family == "wst" and self.output == "local":
                own = self.map_shape_ if mirror else shape
            parts[family] = make_statistics(family, own, n_scales, self.n_orientations, **options)
        return Several(parts, self._pairs(), mirror)

    # -- from maps to coefficients

    def _read(self, X):
        valid = None
        if self.fill_ is not None:
            valid = (self.fill_ == np.arange(len(self.fill_))).reshape(self.map_shape_)
        maps, _ = check_maps(
            _filled(X, valid),
            **self._forms,
            n_channels=self.n_channels_in_,
            shape=self.map_shape_,
            unit=self.unit_,
        )
        maps = self._whole(maps.reshape(-1, self.n_channels_in_, *self.map_shape_))
        refuse_constant(maps)
        return maps

    def _whole(self, maps):
        """Maps (n, n_channels, h, w) or (n, n_channels, ...) with their hidden pixels filled."""
        if self.fill_ is None:
            return maps
        return maps.reshape(*maps.shape[:2], -1)[..., self.fill_].reshape(maps.shape)

    def _rows(self, maps):
        size = maps[0].size * np.dtype(self.dtype).itemsize * OVERHEAD
        return row_blocks(len(maps), size, self.max_memory)

    def _tensor(self, maps):
        maps = np.ascontiguousarray(maps, dtype=self.dtype)
        return torch.from_numpy(maps).to(self._device)

    def _reference(self, maps):
        """Normalisation by the mean over maps."""
        found = []
        for rows in self._rows(maps):
            with torch.inference_mode():
                found.append(self.statistics_.to(self._device).norm(self._tensor(maps[rows])))
        return mean_reference(found)

    def _coefficients(self, statistics, maps, reference=None):
        """Coefficients (n, n_coefficients) of maps (n, n_channels, h, w), tensors, differentiable."""
        found = statistics(maps, reference)
        if self.logarithm:
            found = statistics.logarithm(found)
        return statistics.reduce(found, self.reduction) if self.reduction else found

    def _names(self):
        names = self.statistics_.names
        if self.reduction:
            names = self.statistics_.reduced_names(self.reduction)
        return np.array(names, dtype=object)

    def __getstate__(self):
        state = super().__getstate__().copy()
        # filters are made again from the parameters
        state.pop("statistics_", None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "map_shape_" in state:
            self.statistics_ = self._make(self.map_shape_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _filled(X, valid):
    """Maps with 0 where they are not valid; whatever they are where all is."""
    if valid is None or valid.all():
        return X
    unit = getattr(X, "unit", None)
    values = np.where(valid, np.asarray(getattr(X, "value", X)), 0.0)
    return values if unit is None else values * unit
