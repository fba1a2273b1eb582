"""`SourceSegmenter`: the probability that each pixel belongs to a source, or to a defect."""

from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import logit
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.base import NetEstimator, draw_seed
from skastro.segmentation.decisions import SegmentationDecisions
from skastro.segmentation.inference import TiledInference
from skastro.segmentation.inputs import NETWORKS, SegmentationInputs
from skastro.segmentation.losses import resolve_loss
from skastro.segmentation.posterior import SegmentationPosterior
from skastro.segmentation.pretrained import read_pretrained
from skastro.segmentation.priors import SegmentationPriors
from skastro.segmentation.scaling import SCALINGS, ImageScaler
from skastro.segmentation.targets import MODES, CodedLoss
from skastro.segmentation.training import choose_batch, start_at
from skastro.symmetries import symmetries, turn_at_random
from skastro.thresholds import POLICIES

__all__ = ["SourceSegmenter"]

# Pixels of a batch where its size is not given.
BATCH_PIXELS = 2**18


class SourceSegmenter(
    SegmentationInputs,
    TiledInference,
    SegmentationPosterior,
    SegmentationPriors,
    SegmentationDecisions,
    ClassifierMixin,
    NetEstimator,
):
    """Find sources and defects in images: the probability of each label at each pixel, by a network.

    Probabilities are posterior ones: weights of classes and patches that were left out change the prior of
    training, which is recorded, and never what `predict_proba` means. The prior of the images that it is used
    on can be set, or estimated from them.

    Parameters
    ----------
    network : {"unet", "unet_published", "fused"} or callable, default="unet"
        "unet": narrow and fast (`UNet`). "unet_published": a plain U-net (`PublishedUNet`). "fused": maps of
        several scales joined, as in MaxiMask [1]_ (`FusedNet`). A recipe: called with `n_channels`,
        `n_outputs` and `image_shape` it returns a module of logits.
    mode : {"auto", "binary", "multiclass", "multilabel"}, default="auto"
        One class and its absence; exclusive classes, the first of which is the background; labels that
        may overlap. "auto": by the masks.
    labels : sequence of str, dict of str to int, or None, default=None
        Names of the labels (of the classes, for "multiclass"); a dictionary gives their bits, and makes masks
        bit planes.
    loss : str or Module, default="log"
        "log", "dice", "focal", "count", or several with a plus, such as "log+dice"; or a loss of logits and
        planes. Those whose optimum is no posterior probability need a `calibration`.
    class_weight : "balanced", dict of str to float, or None, default=None
        Weights of positive pixels in the loss, of each label. "balanced": as much as the others together.
    scaling : {"auto", "asinh", "sqrt", "max"} or None, default="auto"
        Of the pixels of each image. "asinh": the inverse hyperbolic sine of the pixel minus the median, over
        the noise, both of the image. "sqrt": for counts. "max": over the largest absolute value. "auto":
        "sqrt" for counts below a hundred or so, else "asinh".
    coordinates : bool, default=False
        Tell the network where in the image a pixel is: for images of one field.
    augment : {"flips", "rotations", "dihedral"} or None, default="dihedral"
        Turn patches and their masks at random in training.
    test_time_augmentation : bool, default=False
        Mean of the logits of all turned images: slower by their number.
    patch_size : int, "auto" or None, default="auto"
        Sides of the patches that images are cut to for training. None: whole images, of one shape. "auto":
        whole ones up to 512 pixels, else 256.
    negative_fraction : float, default=1.0
        Fraction kept of the patches without any positive pixel.
    prior : float, array-like, dict of str to float, "training", "em" or None, default=None
        Share of pixels of each label in the images to come; see `set_prior`. None: as in the masks of `fit`.
    calibration : {"temperature", "platt", "beta", "isotonic"} or None, default=None
        Map of the logits that is fitted on held-out pixels.
    threshold : str or tuple (policy, level), default="fixed"
        Of `predict`; see `set_threshold`.
    ignore_index : int, default=255
        Value of pixels of masks that are not scored.
    lr : float, default=3e-3
        Highest learning rate.
    weight_decay : float, default=0.01
    max_epochs : int, default=20
    batch_size : int or "auto", default="auto"
        Patches. "auto": of about a quarter of a million pixels, but at least sixteen batches an epoch.
    batch_growth : float, default=1.0
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
    validation_fraction : float or None, default=0.1
        Part of the images (of the patches, of fewer than ten images) held out to choose the best epoch, to
        calibrate and to find thresholds.
    patience : int or None, default=None
    warm_start : bool, default=False
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    net_ : skastro.base.Net
        ``net_.module_`` is the network.
    history_ : list of dict
    n_iter_ : int
    mode_ : str
    labels_ : list of str
    classes_ : ndarray
        Values of `predict`: False and True, or the numbers of the classes.
    bits_ : dict of str to int
        Values of `predict_bits`.
    nodata_bit_ : int
        Of blank pixels.
    prevalence_ : float or ndarray of shape (n_labels,)
        Share of pixels of each label in the training images.
    training_prior_ : float or ndarray of shape (n_labels,)
        The same as the loss sees it: after weights and patches that were left out.
    prior_ : float, ndarray of shape (n_labels,) or "em"
        Under which `predict_proba` and `predict` work.
    thresholds_ : float or ndarray of shape (n_labels,)
        Least probability of what `predict` finds.
    threshold_policy_ : tuple (policy, level)
    held_out_ : list of HeldOut or None
        Pixels on which thresholds are found, of each label.
    maps_ : list or None
        Calibration maps, of each label.
    scaler_ : ImageScaler
    n_channels_in_ : int
    image_shape_ : tuple (h, w)
        Of the first image.

    References
    ----------
    .. [1] Paillassa, Bertin & Bouy, "MAXIMASK and MAXITRACK: two new tools for identifying contaminants in
       astronomical images using convolutional neural networks", A&A 634, A48 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation import SourceSegmenter, UNet
    >>> rng = np.random.default_rng(0)
    >>> images = rng.normal(size=(40, 32, 32)).astype("float32")
    >>> hot = rng.random(images.shape) < 0.01
    >>> images[hot] += 8.0
    >>> model = SourceSegmenter(UNet(widths=(8, 8)), labels=("hot",), max_epochs=10, random_state=0)
    >>> model = model.fit(images[:30], hot[:30])
    >>> proba = model.predict_proba(images[30:])
    >>> bool(abs(proba.sum() / hot[30:].sum() - 1) < 0.2), bool(model.score(images[30:], hot[30:]) > 0.9)
    (True, True)
    """

    _parameter_constraints = {
        "network": [StrOptions(set(NETWORKS)), callable],
        "mode": [StrOptions({"auto", *MODES})],
        "labels": ["array-like", dict, None],
        "loss": [str, torch.nn.Module],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "scaling": [StrOptions(set(SCALINGS)), None],
        "coordinates": ["boolean"],
        "augment": [StrOptions({"flips", "rotations", "dihedral"}), None],
        "test_time_augmentation": ["boolean"],
        "patch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "negative_fraction": [Interval(Real, 0, 1, closed="right")],
        "prior": "no_validation",
        "calibration": [StrOptions({"temperature", "platt", "beta", "isotonic"}), None],
        "threshold": [StrOptions(set(POLICIES)), tuple],
        "ignore_index": [Integral],
        **NetEstimator._parameter_constraints,
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }
    _max_norm = 1.0

    def __init__(
        self,
        network="unet",
        *,
        mode="auto",
        labels=None,
        loss="log",
        class_weight=None,
        scaling="auto",
        coordinates=False,
        augment="dihedral",
        test_time_augmentation=False,
        patch_size="auto",
        negative_fraction=1.0,
        prior=None,
        calibration=None,
        threshold="fixed",
        ignore_index=255,
        lr=3e-3,
        weight_decay=0.01,
        max_epochs=20,
        batch_size="auto",
        batch_growth=1.0,
        schedule="one_cycle",
        validation_fraction=0.1,
        patience=None,
        warm_start=False,
        dtype="float32",
        device="auto",
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.network = network
        self.mode = mode
        self.labels = labels
        self.loss = loss
        self.class_weight = class_weight
        self.scaling = scaling
        self.coordinates = coordinates
        self.augment = augment
        self.test_time_augmentation = test_time_augmentation
        self.patch_size = patch_size
        self.negative_fraction = negative_fraction
        self.prior = prior
        self.calibration = calibration
        self.threshold = threshold
        self.ignore_index = ignore_index
        self.lr = lr
        self.weight_decay = weight_decay
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, Y, sample_weight=None):
        """Train on images and their masks.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or a list of images
            NaN where blank; images of a list may differ in shape.
        Y : array-like
            Masks. "binary": 0 and 1, of shape (n, h, w). "multiclass": numbers of the classes. "multilabel":
            0 and 1, of shape (n, n_labels, h, w), or unsigned integers of shape (n, h, w) with the bits of
            the labels. `ignore_index`, or the bit `nodata_bit_`, where not scored.
        sample_weight : array-like of shape (n,), optional
            Of images.

        Returns
        -------
        self : SourceSegmenter

        Raises
        ------
        ValueError
            Wrong shapes, infinite values, unknown labels, a label that no training pixel or every one has,
            a loss that needs a calibration, a prior that is 0 or 1.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        images, _ = self._read_images(X, anew)
        codes = self._read_masks(Y, images)
        weight = self._read_weight(sample_weight, images)
        if weight is not None:
            kept = np.flatnonzero(weight > 0)
            images, codes = ([one[i] for i in kept] for one in (images, codes))
            weight = weight[kept]
        self._check_loss()
        if anew:
            if all(np.fmax.reduce(i, axis=None) == np.fmin.reduce(i, axis=None) for i in images):
                raise ValueError("X has constant images; expected images that vary.")
            self.image_shape_ = images[0].shape[1:]
            self.scaler_ = ImageScaler(self.scaling).fit(images)
            self.recipe_ = self._find_recipe()
        self._statistics = [self.scaler_.statistics(image) for image in images]
        z, code, each, origin = self._cut(images, codes, weight, rng)
        del self._statistics, codes
        rows = self._split_patches(origin, int(rng.integers(2**31 - 1)))
        prevalence, prior = self._learn_priors(code, each, rows[0])
        single = self.mode_ == "binary"
        self.prevalence_, self.training_prior_ = (
            float(one[0]) if single else one for one in (prevalence, prior)
        )
        self.classes_ = (
            np.arange(len(self.labels_)) if self.mode_ == "multiclass" else np.array([False, True])
        )
        self._before_training()
        self.n_batch_ = choose_batch(
            self.batch_size, len(rows[0]), z.shape[-1] * z.shape[-2], BATCH_PIXELS
        )
        self.turns_ = symmetries(self.augment, *z.shape[-2:])
        self._train(
            z,
            code,
            None
            if each is None
            else torch.from_numpy(each.astype(self.dtype))[:, None, None, None],
            rows=rows,
            seed=seed,
            reset=anew,
            start=self._start,
            batch_transform=self._turn_batch if len(self.turns_) > 1 else None,
        )
        self._after_training(z, code, rows[1], rng)
        return self

    def _check_loss(self):
        """Find the loss; one whose optimum is no posterior needs a calibration."""
        self.loss_ = resolve_loss(self.loss, self.mode_)
        # a penalty of the count knows nothing of weights: with them, its optimum is another
        as_is = self.class_weight is None and self.negative_fraction == 1.0
        proper = getattr(self.loss_, "proper", False)
        proper = proper and (as_is or getattr(self.loss_, "pixelwise", False))
        if not proper and self.calibration is None:
            raise ValueError(
                f"loss={self.loss!r} with calibration=None: its outputs are no posterior probabilities; "
                "expected calibration='platt', or loss='log'."
            )
        if self.calibration is not None and self.validation_fraction is None:
            raise ValueError(
                f"validation_fraction=None with calibration={self.calibration!r}; expected a fraction to "
                "calibrate on."
            )

    @classmethod
    def from_pretrained(cls, name="contaminants"):
        """A segmenter that comes trained.

        Parameters
        ----------
        name : str or Path, default="contaminants"
            "contaminants": what is wrong in survey images, in the classes of MaxiMask; its `card_` says
            what it was trained on. Or a file of a segmenter, ending with ``.safetensors``.

        Returns
        -------
        model : SourceSegmenter
            Fitted. Set the prior of your images: that of training has more of everything.

        Raises
        ------
        ValueError
            Another name, or a file of something else.
        """
        return read_pretrained(cls, name)

    def _turn_batch(self, inputs, targets, generator):
        code = targets[0][:, None]
        z, code = turn_at_random([inputs, code], self.turns_, generator)
        return z, (code[:, 0], *targets[1:])

    def _make_module(self):
        return self.recipe_(
            n_channels=self._n_inputs(), n_outputs=len(self.labels_), image_shape=self.image_shape_
        )

    def _start(self, module):
        """Begin at the prior of training: rare classes need not be unlearnt first."""
        tau = np.reshape(self.training_prior_, -1)
        bias = np.log(tau) if self.mode_ == "multiclass" else logit(tau)
        start_at(module, torch.nn.Conv2d, bias)

    def _n_batch(self):
        return self.n_batch_

    def _weight_decay(self):
        return self.weight_decay

    def _make_criterion(self):
        return CodedLoss(
            self.loss_, self.mode_, len(self.labels_), self.class_weight_, self.training_prior_
        )

    def __getstate__(self):
        return {name: one for name, one in super().__getstate__().items() if name != "_fused"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
