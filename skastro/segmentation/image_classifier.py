"""`ImageClassifier`: the probability that a whole image is of a kind, such as a lost track."""

from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import logit
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, column_or_1d

from skastro.base import NetEstimator, draw_seed, row_blocks
from skastro.images import check_images
from skastro.prior_shift import subsampling_prior
from skastro.recipes import copy_recipe
from skastro.segmentation.held_out import HeldOut
from skastro.segmentation.image_posterior import ImagePosterior
from skastro.segmentation.networks_image import PooledNet
from skastro.segmentation.scaling import SCALINGS, ImageScaler
from skastro.segmentation.training import choose_batch, start_at
from skastro.symmetries import symmetries, turn_at_random
from skastro.thresholds import POLICIES

__all__ = ["ImageClassifier"]

NETWORKS = {"pooled": PooledNet}
# Pixels of a batch where its size is not given.
BATCH_PIXELS = 2**20
# Numbers that a network holds for each pixel at inference, about.
NUMBERS_PER_PIXEL = 24


class ImageClassifier(ImagePosterior, ClassifierMixin, NetEstimator):
    """Tell two kinds of whole images apart, such as exposures that the telescope tracked and others [1]_.

    Probabilities are posterior ones: class weights change the prior of training, which is recorded, and never
    what `predict_proba` means. The prior of the images that it is used on can be set, or estimated from them.

    Parameters
    ----------
    network : {"pooled"} or callable, default="pooled"
        "pooled": convolutions, pooled over the image, beside those of its autocorrelation; of any size
        (`PooledNet`). A recipe: called with `n_channels` and `image_shape` it returns a module that takes
        images to logits of shape (n, 1).
    scaling : {"auto", "asinh", "sqrt", "max"} or None, default="auto"
        Of the pixels of each image. "asinh": the inverse hyperbolic sine of the pixel minus the median, over
        the noise, both of the image. "sqrt": for counts. "max": over the largest absolute value. "auto":
        "sqrt" for counts below a hundred or so, else "asinh".
    class_weight : "balanced", dict of label to float, or None, default=None
        Weights of the classes in the loss. "balanced": each as much as the other.
    augment : {"flips", "rotations", "dihedral"} or None, default="dihedral"
        Turn images at random in training.
    prior : float, array-like of shape (2,), dict of label to float, "training" or None, default=None
        Share of the second class in the images to come; see `set_prior`. None: as in the labels of `fit`.
    threshold : str or tuple (policy, level), default="fixed"
        Of `predict`; see `set_threshold`.
    lr : float, default=3e-3
        Highest learning rate.
    weight_decay : float, default=0.02
    max_epochs : int, default=20
    batch_size : int or "auto", default="auto"
        Images. "auto": of about a million pixels, but at least sixteen batches an epoch.
    batch_growth : float, default=1.0
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
    validation_fraction : float or None, default=0.1
        Part of the images of each class held out to choose the best epoch and to find the threshold.
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
    classes_ : ndarray of shape (2,)
        The labels, sorted.
    prevalence_ : float
        Share of the second class in the training images, by their weights.
    training_prior_ : float
        The same as the loss sees it: after class weights and images held out.
    prior_ : float
        Under which `predict_proba` and `predict` work.
    threshold_ : float
        Least probability of the second class where `predict` finds it.
    threshold_policy_ : tuple (policy, level)
    held_out_ : HeldOut or None
        Images on which the threshold is found.
    scaler_ : ImageScaler
    n_channels_in_ : int
    image_shape_ : tuple (h, w)

    References
    ----------
    .. [1] Paillassa, Bertin & Bouy, "MAXIMASK and MAXITRACK: two new tools for identifying contaminants in
       astronomical images using convolutional neural networks", A&A 634, A48 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.segmentation import ImageClassifier, PooledNet
    >>> rng = np.random.default_rng(0)
    >>> images = rng.normal(size=(80, 24, 24)).astype("float32")
    >>> trailed = np.arange(80) % 2 == 0
    >>> images[:, 12, 10:13] += 12.0
    >>> images[trailed, 12, 10:18] += 12.0
    >>> model = ImageClassifier(PooledNet(widths=(4, 8, 8)), max_epochs=8, random_state=0)
    >>> model = model.fit(images[:60], trailed[:60])
    >>> bool(model.score(images[60:], trailed[60:]) > 0.9)
    True
    >>> rare = model.predict_proba(images[60:], prior=1e-3)
    >>> bool(rare[:, 1].mean() < model.predict_proba(images[60:])[:, 1].mean())
    True
    """

    _parameter_constraints = {
        "network": [StrOptions(set(NETWORKS)), callable],
        "scaling": [StrOptions(set(SCALINGS)), None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "augment": [StrOptions({"flips", "rotations", "dihedral"}), None],
        "prior": "no_validation",
        "threshold": [StrOptions(set(POLICIES)), tuple],
        **NetEstimator._parameter_constraints,
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }
    _max_norm = 1.0

    def __init__(
        self,
        network="pooled",
        *,
        scaling="auto",
        class_weight=None,
        augment="dihedral",
        prior=None,
        threshold="fixed",
        lr=3e-3,
        weight_decay=0.02,
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
        self.scaling = scaling
        self.class_weight = class_weight
        self.augment = augment
        self.prior = prior
        self.threshold = threshold
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
    def fit(self, X, y, sample_weight=None):
        """Train on images and their labels.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            NaN where blank.
        y : array-like of shape (n,)
            Labels of two classes.
        sample_weight : array-like of shape (n,), optional
            Of images. 0 leaves one out.

        Returns
        -------
        self : ImageClassifier

        Raises
        ------
        ValueError
            Wrong shapes, infinite values, images without any pixel, images that are all constant, labels of
            fewer or more than two classes, a prior that is 0 or 1.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        images = self._read_images(X, anew)
        y, weight = self._read_labels(y, sample_weight, len(images), anew)
        kept = np.flatnonzero(weight > 0)
        if len(kept) < len(images):
            images, y, weight = images[kept], y[kept], weight[kept]
        self._check_pixels(images)
        each = weight * self._find_weights(y, weight)[y]
        rows = self._split_classes(y, int(rng.integers(2**31 - 1)))
        self.prevalence_ = subsampling_prior(y, weight)
        self.training_prior_ = subsampling_prior(y[rows[0]], each[rows[0]])
        # a prior that cannot be is told before the training
        self.prior_ = self._read_prior(self.prior)
        if anew:
            self.image_shape_ = images.shape[2:]
            self.scaler_ = ImageScaler(self.scaling).fit(images[rows[0]])
            recipe = NETWORKS[self.network]() if isinstance(self.network, str) else self.network
            self.recipe_ = copy_recipe(recipe)
        z = torch.from_numpy(self._scaled(images))
        self.turns_ = symmetries(self.augment, *images.shape[2:])
        self.n_batch_ = choose_batch(
            self.batch_size, len(rows[0]), images.shape[2] * images.shape[3], BATCH_PIXELS
        )
        self._train(
            z,
            torch.from_numpy(y.astype(self.dtype))[:, None],
            torch.from_numpy((each / each.mean()).astype(self.dtype))[:, None],
            rows=rows,
            seed=seed,
            reset=anew,
            start=self._start,
            batch_transform=self._turn_batch if len(self.turns_) > 1 else None,
        )
        self.held_out_ = None
        if rows[1] is not None:
            held = rows[1]
            self.held_out_ = HeldOut(
                self._run(z[held]), y[held] == 1, weight[held].astype(np.float32)
            )
        given = self.threshold
        self.threshold_policy_ = given if isinstance(given, tuple) else (given, None)
        self._find_threshold()
        return self

    def _read_images(self, X, anew):
        n_channels, unit = (None, None) if anew else (self.n_channels_in_, self.input_unit_)
        images, info = check_images(X, n_channels=n_channels, unit=unit)
        if anew:
            self.input_unit_ = None if info.unit is None else info.unit.to_string()
            self.n_channels_in_ = images.shape[1]
        return images

    def _read_labels(self, y, sample_weight, n, anew):
        """Numbers 0 and 1, and weights of mean 1."""
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        y = column_or_1d(y, warn=True)
        if len(y) != n:
            raise ValueError(f"y has {len(y)} label(s); expected {n}, one for each image.")
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError("y has NaN or infinity; expected labels.")
        check_classification_targets(y)
        weight = _check_sample_weight(
            sample_weight, np.zeros((n, 1)), dtype=float, ensure_non_negative=True
        )
        classes, y = np.unique(y, return_inverse=True)
        present = np.unique(y[weight > 0])
        if len(classes) != 2 or len(present) != 2:
            shown = classes[present][:5].tolist()
            raise ValueError(
                f"y has {len(present)} class(es), {shown}, with some weight; expected labels of two classes."
            )
        if not anew and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y has classes {classes.tolist()}; expected {self.classes_.tolist()}, as in the last fit."
            )
        self.classes_ = classes
        return y, weight / weight.mean()

    @staticmethod
    def _check_pixels(images):
        high, low = (
            f(images.reshape(len(images), -1), axis=1) for f in (np.fmax.reduce, np.fmin.reduce)
        )
        if np.isnan(high).any():
            raise ValueError(
                f"X[{np.isnan(high).argmax()}] has no pixel; expected images with some that are not NaN."
            )
        if (high == low).all():
            raise ValueError("X has constant images; expected images that vary.")

    def _find_weights(self, y, weight):
        if self.class_weight is None:
            return np.ones(2)
        if isinstance(self.class_weight, str):
            share = np.bincount(y, weights=weight, minlength=2)
            return share.sum() / (2 * share)
        labels = self.classes_.tolist()
        unknown = [label for label in self.class_weight if label not in labels]
        if unknown:
            raise ValueError(f"class_weight has labels {unknown}; expected some of {labels}.")
        weights = np.array([float(self.class_weight.get(label, 1.0)) for label in labels])
        if not (np.isfinite(weights) & (weights > 0)).all():
            raise ValueError(f"class_weight={self.class_weight!r}; expected positive numbers.")
        return weights

    def _split_classes(self, y, seed):
        """Rows to train on and rows held out, the same part of each class."""
        train, held = [], []
        for k in (0, 1):
            rows = np.flatnonzero(y == k)
            some, others = self._split_rows(len(rows), seed + k)
            train.append(rows[some])
            if others is not None:
                held.append(rows[others])
        return np.sort(np.concatenate(train)), np.sort(np.concatenate(held)) if held else None

    def _scaled(self, images):
        """What the network sees: scaled by the image, blanks at 0."""
        z = np.empty(images.shape, self.dtype)
        for image, place in zip(images, z, strict=True):
            place[:] = self.scaler_.transform(image, self.scaler_.statistics(image))
        return np.nan_to_num(z, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    def _logits(self, X):
        images = self._read_images(X, anew=False)
        found = np.empty(len(images), np.float32)
        n_pixels = images.shape[2] * images.shape[3]
        for rows in row_blocks(len(images), 4 * NUMBERS_PER_PIXEL * n_pixels):
            found[rows] = self._run(torch.from_numpy(self._scaled(images[rows])))
        blank = np.isnan(np.fmax.reduce(images.reshape(len(images), -1), axis=1))
        # nothing is known of them but the prior
        found[blank] = logit(self.training_prior_)
        return found

    def _run(self, z):
        """Logits (n,) of scaled images."""
        module, device = self.net_.module_, self.net_.device
        n_numbers = NUMBERS_PER_PIXEL * z.shape[2] * z.shape[3]
        with torch.inference_mode():
            parts = [
                module(z[rows].to(device))[:, 0].cpu() for rows in row_blocks(len(z), 4 * n_numbers)
            ]
        return torch.cat(parts).numpy().astype(np.float32)

    def _turn_batch(self, inputs, targets, generator):
        return turn_at_random([inputs], self.turns_, generator)[0], targets

    def _make_module(self):
        return self.recipe_(n_channels=self.n_channels_in_, image_shape=self.image_shape_)

    def _start(self, module):
        """Begin at the prior of training."""
        start_at(module, torch.nn.Linear, [logit(self.training_prior_)])

    def _n_batch(self):
        return self.n_batch_

    def _weight_decay(self):
        return self.weight_decay

    def _make_criterion(self):
        return torch.nn.BCEWithLogitsLoss(reduction="none")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
