"""`ParamRegressor`: parameters from images or tables, each with its distribution."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.base import NetEstimator, draw_seed
from skastro.regression.calibration import fit_maps
from skastro.regression.heads import Head
from skastro.regression.inputs import NETWORKS, RegressionInputs
from skastro.regression.members import Members, MembersLoss
from skastro.regression.outputs import RegressionOutputs

__all__ = ["ParamRegressor"]


class ParamRegressor(RegressionInputs, RegressionOutputs, NetEstimator):
    """Infer parameters from images or tables, with error bars, by a neural network.

    What is predicted is a distribution over the targets for each row, of the kind of `head`; means,
    quantiles, intervals, samples and densities are read from it.

    Parameters
    ----------
    network : {"auto", "resnet", "cnn", "inception", "mlp"} or callable, default="auto"
        "resnet": a small residual network that averages over the cells of a coarse grid, images of any size
        (`ResNet`). "cnn": convolutions and dense layers (`PlainCNN`). "inception": as published for
        photometric redshifts [1]_ (`Inception`). "mlp": dense layers, for tables (`MLP`). "auto": "resnet"
        or "mlp", by the dimension of `X`. A recipe: called with `n_channels`, `image_shape` and `n_extra`
        it returns a module with an attribute `n_features`.
    head : str or Head, default="quantile"
        "point", "gaussian", "quantile", "histogram", "mixture", "flow", or one of `PointHead`,
        `GaussianHead`, `QuantileHead`, `HistogramHead`, `MixtureHead`, `FlowHead` with parameters of its own.
        With "point" the distribution is that of the errors on held-out rows.
    scaling : {"auto", "asinh", "sqrt", "max"} or None, default="auto"
        Of pixels. "asinh": of the flux over the robust noise of its channel. "sqrt": for counts, whose noise
        it makes the same everywhere. "max": each image over its maximum. "auto": "sqrt" for counts (integers
        that are not negative), else "asinh"; None for tables.
    target_bounds : tuple (low, high), array-like of shape (n_targets, 2), dict or None, default=None
        Within which the targets must be, in their unit; no prediction is outside for heads that are
        bounded. A dictionary has the names of the columns of `y`. None: learnt from the training rows, a
        little wider.
    augment : {"flips", "rotations", "dihedral"} or None, default=None
        Turn images at random in training: 4 reflections, 4 rotations by right angles, or the 8 symmetries of
        a square. Only where the targets don't change.
    test_time_augmentation : bool, default=True
        Predict from all the turned images: slower by their number.
    n_members : int, default=1
        Networks trained side by side, a deep ensemble [2]_.
    recalibrate : {"isotonic", "conformal"} or None, default=None
        Correct the probabilities on the held-out rows: by a monotone map [3]_, as far as chance does not
        explain it, or such that central intervals hold at least what they should [4]_.
    missing : {"error", "mask"}, default="error"
        NaN in images: an error, or unknown pixels, of which the network is told.
    lr : float, default=3e-3
        Highest learning rate.
    weight_decay : float, default=0.02
        Decoupled, of all weights, in each step times the learning rate.
    max_epochs : int, default=24
    batch_size : int, default=64
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=0.1
        Part of the rows held out to choose the best epoch, to recalibrate and, for "point", to measure the
        errors.
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
        Epoch, losses, learning rate, batch size and duration of each epoch.
    n_iter_ : int
    head_ : Head
    bounds_ : ndarray of shape (n_targets, 2)
        Of the targets.
    target_names_ : list of str or None
        Columns of `y`, when it was a DataFrame.
    n_targets_ : int
    n_extra_ : int
        Side columns.
    n_channels_in_ : int
        Of images.
    n_features_in_ : int
        Of tables.
    image_shape_ : tuple (h, w)
        Empty for tables.
    training_density_ : PiecewiseDistribution
        Distribution of each target in the training rows: the prior that is hidden in the predictions.
    calibration_ : list or None
        Maps of probabilities, one a target.

    References
    ----------
    .. [1] Pasquet, Bertin, Treyer, Arnouts & Fouchez, "Photometric redshifts from SDSS images using a
       convolutional neural network", A&A 621, A26 (2019).
    .. [2] Lakshminarayanan, Pritzel & Blundell, "Simple and scalable predictive uncertainty estimation using
       deep ensembles", NeurIPS (2017).
    .. [3] Kuleshov, Fenner & Ermon, "Accurate uncertainties for deep learning using calibrated regression",
       ICML (2018).
    .. [4] Chernozhukov, Wuthrich & Zhu, "Distributional conformal prediction", PNAS 118, e2107794118 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression import ParamRegressor
    >>> rng = np.random.default_rng(0)
    >>> rate = rng.uniform(1, 10, 1000)
    >>> images = rng.poisson(rate[:, None, None], (1000, 8, 8))
    >>> model = ParamRegressor(target_bounds=(1, 10), random_state=0).fit(images[:800], rate[:800])
    >>> low, high = model.predict_interval(images[800:], level=0.9)
    >>> bool(np.mean((low < rate[800:]) & (rate[800:] < high)) > 0.8)
    True
    """

    _parameter_constraints = {
        "network": [StrOptions({"auto", *NETWORKS}), callable],
        "head": [str, Head],
        "scaling": [StrOptions({"auto", "asinh", "sqrt", "max"}), None],
        "target_bounds": "no_validation",
        "augment": [StrOptions({"flips", "rotations", "dihedral"}), None],
        "test_time_augmentation": ["boolean"],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "recalibrate": [StrOptions({"isotonic", "conformal"}), None],
        "missing": [StrOptions({"error", "mask"})],
        **NetEstimator._parameter_constraints,
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }
    # methods take what they don't know as context of `predict_distribution`
    __metadata_request__predict = {"extra": None, "prior": None}
    _max_norm = 1.0

    def __init__(
        self,
        network="auto",
        *,
        head="quantile",
        scaling="auto",
        target_bounds=None,
        augment=None,
        test_time_augmentation=True,
        n_members=1,
        recalibrate=None,
        missing="error",
        lr=3e-3,
        weight_decay=0.02,
        max_epochs=24,
        batch_size=64,
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
        self.head = head
        self.scaling = scaling
        self.target_bounds = target_bounds
        self.augment = augment
        self.test_time_augmentation = test_time_augmentation
        self.n_members = n_members
        self.recalibrate = recalibrate
        self.missing = missing
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
    def fit(self, X, y, extra=None, sample_weight=None):
        """Train on images or a table, and their parameters.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        y : array-like of shape (n,) or (n, n_targets)
            A DataFrame names the targets, a Quantity gives their unit.
        extra : array-like of shape (n, n_extra), optional
            Side columns, such as extinction and seeing.
        sample_weight : array-like of shape (n,), optional
            Of the loss.

        Returns
        -------
        self : ParamRegressor

        Raises
        ------
        ValueError
            Wrong shapes, NaN or infinity (but for pixels with `missing="mask"`), targets outside their
            bounds, images that are all the same number, fewer than two rows; `recalibrate` without
            `validation_fraction`.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        X = self._read(X, anew)
        y, weight = self._read_targets(y, X, sample_weight, anew)
        if self.recalibrate is not None and self.validation_fraction is None:
            raise ValueError(
                f"validation_fraction=None with recalibrate={self.recalibrate!r}; expected a fraction of "
                "held-out rows to recalibrate on."
            )
        extra = self._read_extra(extra, len(X), anew)
        if weight is not None and not weight.all():
            # a row without weight is a row that is not there: nor in scales, nor held out
            kept = weight[:, 0] > 0
            X, y, weight = X[kept], y[kept], weight[kept]
            extra = None if extra is None else extra[kept]
        rows = self._split_rows(len(X), int(rng.integers(2**31 - 1)))
        if anew:
            # the training rows alone: held-out ones must not tell
            self._learn_scales(X[rows[0]], y[rows[0]], None if extra is None else extra[rows[0]])
        inputs = self._inputs(X, extra)
        low, high = self.bounds_.T
        scaled = ((y - low) / (high - low)).astype(self.dtype)
        self._train(
            inputs,
            torch.from_numpy(scaled),
            None if weight is None else torch.from_numpy(weight.astype(self.dtype)),
            rows=rows,
            seed=seed,
            reset=anew,
            start=lambda module: self._start(module, scaled[rows[0]]),
            batch_transform=self._turn_batch if self._n_turns > 1 else None,
        )
        self._measure_errors(inputs, y, rows[1])
        return self

    def _make_module(self):
        if self.image_shape_:
            n_channels = self.n_channels_in_ * (2 if self.scaler_.blank_ else 1)
        else:
            n_channels = self.n_features_in_
        bodies = [
            self.recipe_(
                n_channels=n_channels, image_shape=self.image_shape_, n_extra=self.n_extra_
            )
            for _ in range(self.n_members)
        ]
        heads = [self.head_.make_module(body.n_features, self.n_targets_) for body in bodies]
        return Members(bodies, heads)

    def _start(self, module, targets):
        """Begin at the distribution of the training targets."""
        for k, body in enumerate(module.bodies):
            head = self.head_.make_module(body.n_features, self.n_targets_, targets)
            module.heads[k] = head.to(self._torch_dtype)

    def _weight_decay(self):
        return self.weight_decay

    def _make_criterion(self):
        return MembersLoss(self.head_.make_loss())

    def _measure_errors(self, inputs, y, rows):
        """What held-out rows tell: the errors of a point, the map of probabilities."""
        self.residuals_ = self.calibration_ = None
        if rows is None:
            return
        held = (
            {key: value[rows] for key, value in inputs.items()}
            if isinstance(inputs, dict)
            else inputs[rows]
        )
        outputs = self._outputs(held)
        if self.head_.distribution(outputs[0]) is None:
            low, high = self.bounds_.T
            self.residuals_ = (y[rows] - low) / (high - low) - self._points(outputs)
        if self.recalibrate is not None:
            pit = self._distribution(outputs).cdf(y[rows])
            self.calibration_ = fit_maps(pit, self.recalibrate)

    def score(self, X, y, sample_weight=None, extra=None):
        """Coefficient of determination of the means, averaged over targets.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        y : array-like of shape (n,) or (n, n_targets)
        sample_weight : array-like of shape (n,), optional
        extra : array-like of shape (n, n_extra), optional

        Returns
        -------
        score : float
        """
        return r2_score(y, self.predict(X, extra=extra), sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self._may_take_tables()
        tags.input_tags.three_d_array = True
        return tags
