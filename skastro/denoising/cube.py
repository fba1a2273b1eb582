"""`CubeDenoiser`: weak lines out of the noise of a cube, without knowing the truth."""

import copy
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.base import NetEstimator, draw_seed, resolve_device
from skastro.denoising.autoencoding import fit_autoencoder, make_autoencoder
from skastro.denoising.cube_transform import CubeTransform
from skastro.denoising.noise import noise_correlation
from skastro.denoising.patch_network import PatchNetwork
from skastro.denoising.patch_training import PatchTraining
from skastro.denoising.patches import Patches
from skastro.denoising.pretrained import HIDDEN, has_pretrained, load_pretrained
from skastro.denoising.risk import fit_risk
from skastro.denoising.sure import AutoencoderLoss, PerturbedNetwork, SureLoss

__all__ = ["CubeDenoiser"]

MAX_LAG = 3
AUTOENCODER_EPOCHS = 30
VALID_ROWS = 1024


class CubeDenoiser(CubeTransform, OneToOneFeatureMixin, TransformerMixin, NetEstimator):
    r"""Denoise a line cube: no truth is needed, it learns from the cube that it denoises.

    ``method="patch"``: one small network, shared by all voxels, answers a tile of voxels from the
    signal-to-noise ratios of the window around it, local in velocity and on the sky. It starts from
    weights learnt on simulated clouds and goes on learning from the cube itself by generalised SURE,
    an unbiased estimate of the squared error that takes the measured noise of the cube, with its
    correlation, for what it is. Outside the gate, the dilated mask of probable signal, the estimate
    is zero.

    ``method="autoencoder"``: spectra through a bottleneck, faithful where signal is probable and
    sparse elsewhere [1]_.

    Parameters
    ----------
    method : {"patch", "autoencoder"}, default="patch"
    pretrained : bool or "auto", default="auto"
        Start the patch network from weights that were learnt on simulated cubes with truth. "auto":
        wherever its shape (`tile`, `halo`, `coarse_halo`, `hidden`) is the default one, for cubes.
        False: from random weights.
    tile : tuple (n_y, n_x, n_channels) of int, default=(2, 2, 4)
        Voxels that the patch network answers at once. On spectra alone the sky part is 1.
    halo : tuple of int, default=(3, 3, 4)
        Voxels that it sees on either side of a tile. ``(0, 0, 4)`` with a tile of ``(1, 1, 4)``
        looks at spectra alone.
    coarse_halo : tuple of int or None, default=None
        A second scale: cells of 2 x 2 x 2 voxels that it sees on either side of a tile.
    hidden : tuple of int or "auto", default="auto"
        Units of its hidden layers. "auto": those of the pretrained network, else (64, 64).
    architecture : {"local", "dense"}, default="local"
        Of the autoencoder: whether distant channels can be combined.
    n_components : int or "auto", default="auto"
        Size of its bottleneck. "auto": a quarter of the channels, a
        tenth for the dense one.
    prior_weight : float, default=0.1
        Weight of the penalty of the estimate where no signal is probable; 0 for none.
    sparsity : float, default=1.0
        Its exponent q, :math:`|\hat d / \sigma|^q`, 0 < q <= 1.
    gate : bool, default=True
        Put the estimate to zero outside the gate. False: as the network gives it, with small
        residuals everywhere.
    n_dilate : int, default=4
        Voxels by which the mask of probable signal is grown to the gate.
    mask_options : dict or None, default=None
        Options of `find_signal`: low, high (by default 4), smooth, min_voxels, beam.
    n_shifts : int, default=2
        Grids of tiles to average over, 1 to 8: the more, the better and the slower.
    n_samples : int, default=16384
        Tiles (spectra for the autoencoder) of an epoch.
    max_memory : int, default=2**29
        Memory for the block of a cube that is worked on, in bytes; the peak stays below three times as
        much.
    lr : float or "auto", default="auto"
        Highest learning rate. "auto": 2e-4 for pretrained weights, 2e-3 for random ones, 3e-3 for the
        autoencoder.
    max_epochs : int or "auto", default="auto"
        "auto": 6 from pretrained weights, else 50; 30 for the autoencoder.
    batch_size : int or "auto", default="auto"
        "auto": 768 tiles, 100 spectra.
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=0.2
        Part of the sky held out to choose the best epoch, or the pretrained weights as they came where
        a cube has too little signal to learn more from. None: the last word is the training loss.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    warm_start : bool, default=False
        Go on from the weights of the previous fit.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        1 shows progress bars.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    net_ : skastro.base.Net
        The trained net; ``net_.module_.network`` is the network.
    history_ : list of dict
        Epoch, loss, learning rate, batch size and duration of each epoch.
    n_iter_ : int
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    n_dim_in_ : int
        3 when fitted on a cube, 2 on a table of spectra.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have: as given to `fit`, or estimated there
        from a table, in the unit of the cube. None: it is estimated from each cube.
    correlation_ : NoiseCorrelation
        Autocorrelation of the noise along channels and on the sky.
    patches_ : Patches or None
    pretrained_ : bool
        Whether the fit started from the pretrained weights; only of the patch network.
    improved_ : bool
        Whether learning from the cube made them better on the part held out; else they are kept as they
        came. Only with pretrained weights and a validation.
    risk_ : Risk
        Error of the estimate as a function of its size, for `predict_std`.
    unit_ : str or None

    References
    ----------
    .. [1] L. Einig, J. Pety, A. Roueff, et al. (2023), "Deep learning denoising by dimension
       reduction: Application to the ORION-B line cubes", A&A 677, A158.
    .. [2] Y. Eldar (2009), "Generalized SURE for exponential families: applications to
       regularization", IEEE Transactions on Signal Processing 57, 471.

    Examples
    --------
    >>> from skastro.cube_metrics import snr_gain
    >>> from skastro.datasets import make_line_cube
    >>> from skastro.denoising import CubeDenoiser
    >>> line = make_line_cube(n_pixels=32, n_channels=64, random_state=0)
    >>> denoiser = CubeDenoiser(max_epochs=1, n_samples=1024, random_state=0)
    >>> denoised = denoiser.fit_transform(line.cube)
    >>> denoised.shape
    (32, 32, 64)
    >>> bool(snr_gain(line.truth, line.cube, denoised, line.sigma) > 3)
    True
    """

    _parameter_constraints = {
        "method": [StrOptions({"patch", "autoencoder"})],
        "pretrained": ["boolean", StrOptions({"auto"})],
        "tile": [tuple, list],
        "halo": [tuple, list],
        "coarse_halo": [tuple, list, None],
        "hidden": [tuple, list, StrOptions({"auto"})],
        "architecture": [StrOptions({"local", "dense"})],
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "prior_weight": [Interval(Real, 0, None, closed="left")],
        "sparsity": [Interval(Real, 0, 1, closed="right")],
        "gate": ["boolean"],
        "n_dilate": [Interval(Integral, 0, None, closed="left")],
        "mask_options": [dict, None],
        "n_shifts": [Interval(Integral, 1, 8, closed="both")],
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        **NetEstimator._parameter_constraints,
        "lr": [*NetEstimator._parameter_constraints["lr"], StrOptions({"auto"})],
    }

    def __init__(
        self,
        method="patch",
        *,
        pretrained="auto",
        tile=(2, 2, 4),
        halo=(3, 3, 4),
        coarse_halo=None,
        hidden="auto",
        architecture="local",
        n_components="auto",
        prior_weight=0.1,
        sparsity=1.0,
        gate=True,
        n_dilate=4,
        mask_options=None,
        n_shifts=2,
        n_samples=16384,
        max_memory=2**29,
        lr="auto",
        max_epochs="auto",
        batch_size="auto",
        batch_growth=1.0,
        schedule="one_cycle",
        validation_fraction=0.2,
        patience=None,
        warm_start=False,
        dtype="float32",
        device="auto",
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.method = method
        self.pretrained = pretrained
        self.tile = tile
        self.halo = halo
        self.coarse_halo = coarse_halo
        self.hidden = hidden
        self.architecture = architecture
        self.n_components = n_components
        self.prior_weight = prior_weight
        self.sparsity = sparsity
        self.gate = gate
        self.n_dilate = n_dilate
        self.mask_options = mask_options
        self.n_shifts = n_shifts
        self.n_samples = n_samples
        self.max_memory = max_memory
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.batch_growth = batch_growth
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sigma=None, signal_mask=None):
        """Learn to denoise from a noisy cube.

        Parameters
        ----------
        X : path, HDU, SpectralCube, NDData, Quantity or array
            A cube, (n_y, n_x, n_channels) for arrays and Quantities, or a table of spectra
            (n_spectra, n_channels). NaN: blank. Of a large cube, pieces are read.
        y : None
            Ignored.
        sigma : float, array-like or Quantity, optional
            Standard deviation of the noise, in the unit of `X`: a number or a spectrum (n_channels,),
            kept for other cubes, or one that belongs to `X` alone: a map (n_y, n_x) or the shape of
            `X`. By default it is estimated.
        signal_mask : array-like of bool of the shape of `X`, optional
            True where there is signal in `X`. By default `find_signal` looks for it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            An input of another shape or kind, infinite or all blank; a `sigma` that is not positive; a
            `sigma` or `signal_mask` that does not fit `X`.
        """
        cube = self._read(X, reset=True)
        self._keep(cube, sigma, signal_mask)
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        sample = self._read_sample(cube)
        snr, blank, mask, gate = self._prepare_sample(cube, sample)
        flat = snr.reshape(-1, *snr.shape[2:]) if self.n_dim_in_ == 3 else snr[:, 0, 0]
        unknown = blank.reshape(flat.shape)
        lag = min(MAX_LAG, flat.shape[-1] - 1)
        self.correlation_ = noise_correlation(
            np.where(unknown, np.float32(np.nan), flat), 1.0, max_lag=lag
        )
        tensor = torch.from_numpy(snr).to(self._torch_dtype)
        if self.method == "patch":
            self._fit_patches(tensor, blank, mask, gate, rng, seed)
        else:
            self.patches_ = None
            fit_autoencoder(self, tensor.flatten(0, 2), blank, mask, rng, seed)
        self.risk_ = fit_risk(self, tensor, blank, gate, rng)
        return self

    def _fit_patches(self, snr, blank, mask, gate, rng, seed):
        spectra = snr.shape[1] == 1 and snr.shape[2] == 1
        triples = {"tile": self.tile, "halo": self.halo}
        if self.coarse_halo is not None:
            triples["coarse_halo"] = self.coarse_halo
        for name, triple in triples.items():
            least = 1 if name == "tile" else 0
            whole = all(isinstance(n, Integral) and n >= least for n in triple)
            if len(triple) != 3 or not whole:
                raise ValueError(
                    f"{name}={tuple(triple)!r}; expected three integers from {least}, for (y, x, channels)."
                )
        if spectra:
            # nothing to see beside a spectrum
            least = {"tile": 1, "halo": 0, "coarse_halo": 0}
            triples = {name: (least[name],) * 2 + (t[2],) for name, t in triples.items()}
        self.patches_ = Patches(**{name: tuple(map(int, t)) for name, t in triples.items()})
        fits = has_pretrained(self.patches_, self.hidden)
        if self.pretrained is True and not fits:
            raise ValueError(
                f"pretrained=True with tile={self.patches_.tile}, halo={self.patches_.halo}, "
                f"coarse_halo={self.patches_.coarse_halo}, hidden={self.hidden}; expected the default "
                "shape, on a cube, for which there are weights."
            )
        self.pretrained_ = fits and self.pretrained is not False
        device = resolve_device(self.device, self.dtype)
        training = PatchTraining(
            snr.to(device), blank, mask, gate, self.patches_, float(self.prior_weight),
            self.correlation_, self._conditions(), rng,
        )  # fmt: skip
        origin = training.draw(self.n_samples, rng)
        n_values = self.patches_.n_outputs
        target = torch.zeros(len(origin), 1, 1, dtype=self._torch_dtype)
        rows = training.split(origin, self.validation_fraction, rng)
        start = load_pretrained if self.pretrained_ else None
        self._train(
            {"origin": origin},
            target.expand(-1, 1, n_values),
            torch.ones(1, dtype=self._torch_dtype).expand(len(origin), 2, n_values),
            rows=rows,
            seed=seed,
            reset=not (self.warm_start and self._same_network()),
            start=start,
            batch_transform=training.batch,
        )
        if self.pretrained_ and rows[1] is not None:
            self._keep_the_better_start(training, origin[rows[1]].to(device), seed)

    def _keep_the_better_start(self, training, origin, seed):
        """Back to the pretrained weights where the cube had too little to teach."""
        # the draws of noise of the validation during the fit
        generator = torch.Generator(origin.device).manual_seed(seed)
        inputs, (target, weight) = training.batch({"origin": origin}, None, generator)
        learnt = self.net_.module_
        before = copy.deepcopy(learnt)
        load_pretrained(before)
        losses = []
        with torch.inference_mode():
            for module in (before, learnt):
                total = 0.0
                for part in torch.arange(len(origin), device=origin.device).split(VALID_ROWS):
                    one = {key: value[part] for key, value in inputs.items()}
                    loss = self.net_.criterion_(module(**one), target[part])
                    total += float((loss * weight[part]).sum())
                losses.append(total)
        self.improved_ = losses[1] < losses[0]
        if not self.improved_:
            load_pretrained(learnt)

    def _conditions(self):
        """Lag-1 correlation of the noise on the sky and along channels."""
        spectral, spatial = self.correlation_.spectral, self.correlation_.spatial
        middle = len(spatial) // 2
        sky = np.nan_to_num([spatial[middle, middle + 1], spatial[middle + 1, middle]]).mean()
        lag1 = np.nan_to_num(spectral[1])
        device = resolve_device(self.device, self.dtype)
        return torch.tensor([sky, lag1], dtype=self._torch_dtype, device=device)

    def _same_network(self):
        """Whether the weights of the previous fit have the shapes of the network of this one."""
        if not hasattr(self, "net_"):
            return False
        with torch.random.fork_rng(devices=[]):
            new = self._make_module().state_dict()
        old = self.net_.module_.state_dict()
        return {k: v.shape for k, v in new.items()} == {k: v.shape for k, v in old.items()}

    def _make_module(self):
        if self.patches_ is None:
            return make_autoencoder(self)
        hidden = self.hidden
        if hidden == "auto":
            hidden = HIDDEN if self.pretrained_ else (64, 64)
        network = PatchNetwork(
            self.patches_.n_inputs, self.patches_.n_outputs, hidden, n_conditions=2
        )
        return PerturbedNetwork(network, self.patches_)

    def _make_criterion(self):
        loss = SureLoss if self.method == "patch" else AutoencoderLoss
        return loss(self.sparsity)

    def _lr(self):
        if self.lr != "auto":
            return self.lr
        if self.method == "autoencoder":
            return 3e-3
        return 2e-4 if self.pretrained_ else 2e-3

    def _n_epochs(self):
        if self.max_epochs != "auto":
            return self.max_epochs
        if self.method == "patch":
            return 6 if self.pretrained_ else 50
        return AUTOENCODER_EPOCHS

    def _n_batch(self):
        if self.batch_size != "auto":
            return self.batch_size
        return 768 if self.method == "patch" else 100
