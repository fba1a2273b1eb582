"""`ImageDenoiser`: images without their noise, by a network trained on examples."""

from numbers import Integral

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.base import NetEstimator, draw_seed, resolve_device
from skastro.denoising.image_autoencoder import PublishedAutoencoder
from skastro.denoising.image_base import NOISE_CONSTRAINTS, ImageTransformer
from skastro.denoising.image_features import Filled
from skastro.denoising.image_networks import UNet
from skastro.denoising.image_training import (
    BLIND_STEP,
    TrainingBatches,
    blind_spots,
)
from skastro.images import Normalization, as_tensor
from skastro.recipes import copy_recipe
from skastro.symmetries import n_symmetries, turn, turn_back

__all__ = ["ImageDenoiser"]

# Images of which the mean and the spread are taken.
N_STATISTICS = 1024


class ImageDenoiser(ImageTransformer, NetEstimator):
    """Take the noise out of images, by a network trained on clean, paired or noisy ones.

    - ``fit(clean)``: clean images, corrupted anew at each step of the training.
    - ``fit(noisy, clean)``: pairs.
    - ``fit(noisy)`` with `noise=None` or `self_supervised=True`: noisy images alone. Each pixel is
      predicted from the others [2]_; the noise of different pixels must be independent.

    Parameters
    ----------
    network : callable or None, default=None
        A recipe: called with `n_channels` and `image_shape` (h, w) it returns a module from
        (n, n_channels, h, w) to the same. None follows `architecture`. Recipes of this package (`UNet`,
        `PublishedAutoencoder`) are clonable, so that ``network__width`` can be searched.
    architecture : {"unet", "autoencoder"}, default="unet"
        "unet": images of any size, also other ones than in `fit`. "autoencoder": the published
        convolutional autoencoder, images of one size.
    width : int, default=32
        Channels of the first level of the U-net.
    n_levels : int, default=3
        Halvings of the image in the U-net.
    latent_size : int, default=6
        Numbers to which the autoencoder reduces an image.
    noise : str, callable, list of them or None, default="gaussian"
        "gaussian", "poisson", "mask" (pixels set to 0), "salt_and_pepper" (pixels set to the lowest or
        highest value of the batch), or a function of (images, generator), tensors in, tensors out. A list:
        each image gets one of them. None: the images to fit on are noisy already.
    noise_strength : float, tuple (low, high), list of them or None, default=None
        Standard deviation, brightness of a photon, or fraction of spoilt pixels, where normalised images
        have it. A tuple: drawn for each image. None: 0.2, 1, 0.5, 0.5. See `Corruption`.
    clip : "auto", tuple (low, high) or None, default="auto"
        Range that corrupted images are cut to; "auto": (0, 1) if all normalised clean images are within.
    self_supervised : bool, default=False
        Train on `X` as noisy images without clean ones.
    normalization : {"max", "asinh", "sigma"} or None, default="max"
        Scale of each image, undone at the end: its largest absolute value; its median and robust standard
        deviation; the same, and the inverse hyperbolic sine of that; None: the same scale for all images.
    augmentation : {"flip", "dihedral"} or None, default="flip"
        Turn images at random in training: 4 reflections, or also the transposition (square images).
    average_turns : bool, default=False
        In `transform`, average over the same turns: slower by their number.
    lr : float, default=2e-3
        Highest learning rate.
    max_epochs : int, default=20
    batch_size : int, default=32
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=None
        Part of the images held out (and corrupted once) to choose the best epoch.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    warm_start : bool, default=False
        Go on from the weights of the previous fit.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        1 shows a progress bar with the loss.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    net_ : skastro.base.Net
        The trained net; ``net_.module_`` is the network.
    history_ : list of dict
        Epoch, losses (mean squared error over the variance of the clean images), learning rate, batch size
        and duration of each epoch.
    n_iter_ : int
    n_channels_in_ : int
    image_shape_ : tuple (h, w)
    mode_ : {"corrupt", "pairs", "self_supervised"}
        What `fit` was given.
    corruption_ : Corruption or None
        The noise model in force, with its clipping.
    n_turns_ : int
        Symmetries of the augmentation.
    center_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation of the normalised targets.

    References
    ----------
    .. [1] Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image
       segmentation", MICCAI (2015).
    .. [2] Batson & Royer, "Noise2Self: blind denoising by self-supervision", ICML (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import ImageDenoiser, corrupt_images
    >>> y, x = np.mgrid[:16, :16]
    >>> position = np.random.default_rng(0).uniform(4, 12, (64, 2, 1, 1))
    >>> clean = np.exp(-((y - position[:, 0]) ** 2 + (x - position[:, 1]) ** 2) / 8)
    >>> denoiser = ImageDenoiser(noise="mask", width=8, max_epochs=10, random_state=0).fit(clean)
    >>> noisy = corrupt_images(clean, "mask", random_state=1)
    >>> bool(denoiser.score(noisy, clean) > -0.2 * np.mean((noisy - clean) ** 2))
    True
    """

    _parameter_constraints = {
        "network": [callable, None],
        "architecture": [StrOptions({"unet", "autoencoder"})],
        "width": [Interval(Integral, 1, None, closed="left")],
        "n_levels": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "self_supervised": ["boolean"],
        "augmentation": [StrOptions({"flip", "dihedral"}), None],
        "average_turns": ["boolean"],
        **NOISE_CONSTRAINTS,
        **NetEstimator._parameter_constraints,
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }
    # activations of the network, all levels together
    _overhead = 128
    # one bad batch of several noises must not undo what was learnt
    _max_norm = 0.5

    def __init__(
        self,
        network=None,
        *,
        architecture="unet",
        width=32,
        n_levels=3,
        latent_size=6,
        noise="gaussian",
        noise_strength=None,
        clip="auto",
        self_supervised=False,
        normalization="max",
        augmentation="flip",
        average_turns=False,
        lr=2e-3,
        max_epochs=20,
        batch_size=32,
        batch_growth=1.0,
        schedule="one_cycle",
        validation_fraction=None,
        patience=None,
        warm_start=False,
        dtype="float32",
        device="auto",
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.network = network
        self.architecture = architecture
        self.width = width
        self.n_levels = n_levels
        self.latent_size = latent_size
        self.noise = noise
        self.noise_strength = noise_strength
        self.clip = clip
        self.self_supervised = self_supervised
        self.normalization = normalization
        self.augmentation = augmentation
        self.average_turns = average_turns
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

    @property
    def _array_dtype(self):
        return np.dtype(self.dtype)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train on images.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Clean images to be corrupted; noisy ones when `y` is given, or with `noise=None` or
            `self_supervised=True`. NaN: blank, neither seen nor asked for.
        y : array-like of the shape of `X`, optional
            Clean images. A vector or table is taken for the target of a later step of a pipeline, and
            ignored.

        Returns
        -------
        self : ImageDenoiser

        Raises
        ------
        ValueError
            Wrong shapes, infinite or only blank pixels, an unknown noise or a strength out of its range.
        """
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        anew = not (self.warm_start and hasattr(self, "net_"))
        mode, noisy, clean = self._check_fit(X, y, self._array_dtype, anew)
        norm = Normalization(self.normalization_)
        corruption = self._make_corruption(clean) if mode == "corrupt" else None
        images = as_tensor(clean if mode == "corrupt" else noisy)
        inputs = torch.empty(len(images), 0, dtype=images.dtype)
        center, scale = norm.scale(images)
        target = norm.linear(images, (center, scale))
        if mode == "pairs":
            inputs, target = target, norm.linear(as_tensor(clean), (center, scale))
        self.n_turns_ = n_symmetries(self.augmentation, *images.shape[2:])
        batches = TrainingBatches(mode, norm, corruption, self.n_turns_)
        if anew:
            self.recipe_ = self._recipe() if self.network is None else copy_recipe(self.network)
            rows = np.sort(rng.permutation(len(images))[:N_STATISTICS])
            self._fit_statistics(batches, inputs[rows], target[rows], seed)
        self.mode_, self.corruption_ = mode, corruption
        batches.center, batches.scale = self._statistics()
        self._train(
            inputs,
            target,
            rows=self._split_rows(len(images), int(rng.integers(2**31 - 1))),
            seed=seed,
            reset=anew,
            batch_transform=batches,
        )
        return self

    def _fit_statistics(self, batches, inputs, target, seed):
        """Mean and standard deviation of each channel of the targets as the network will see them."""
        generator = torch.Generator().manual_seed(seed)
        targets = batches(inputs, (target,), generator)[1][0].double().numpy()
        axes = (0, 2, 3)
        center, scale = np.nanmean(targets, axis=axes), np.nanstd(targets, axis=axes)
        self.center_ = np.nan_to_num(center).astype(self.dtype)
        self.scale_ = np.where(scale > 0, scale, 1.0).astype(self.dtype)

    def _statistics(self, device="cpu"):
        values = np.stack([self.center_, self.scale_])[:, None, :, None, None]
        return tuple(torch.from_numpy(values).to(resolve_device(device, self.dtype)))

    def _recipe(self):
        if self.architecture == "unet":
            return UNet(self.width, self.n_levels)
        return PublishedAutoencoder(self.latent_size)

    def _make_module(self):
        module = self.recipe_(n_channels=self.n_channels_in_, image_shape=self.image_shape_)
        return module if getattr(module, "takes_blanks", False) else Filled(module)

    def _make_criterion(self):
        return torch.nn.MSELoss(reduction="none")

    def _denoise(self, noisy):
        module = self.net_.module_
        noisy = noisy.to(self.net_.device)
        center, scale = self._statistics(self.net_.device)
        norm = Normalization(self.normalization_)

        def estimate(images):
            own = norm.scale(images)
            z = (norm.forward(images, own) - center) / scale
            turns = range(self.n_turns_ if self.average_turns else 1)
            z = sum(turn_back(module(turn(z, k)), k) for k in turns) / len(turns)
            return norm.inverse(z * scale + center, own)

        if self.mode_ != "self_supervised":
            return estimate(noisy)
        clean = torch.empty_like(noisy)
        for phase in range(BLIND_STEP**2):
            spots = blind_spots(noisy, phase)
            clean = torch.where(spots, estimate(torch.where(spots, torch.nan, noisy)), clean)
        return clean
