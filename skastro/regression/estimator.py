"""`ParamRegressor`: parameters from images or tables, each with its distribution."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skastro.base import NetEstimator, draw_seed, row_blocks
from skastro.distributions import RecalibratedDistribution, pool, reweighted
from skastro.regression.calibration import fit_maps
from skastro.regression.heads import Head, PointHead
from skastro.regression.inputs import NETWORKS, RegressionInputs
from skastro.regression.members import Members, MembersLoss
from skastro.regression.posterior_predictions import DistributionRegressorMixin
from skastro.regression.priors import prior_ratio
from skastro.regression.residuals import residual_distribution
from skastro.regression.saliency import integrated_gradients
from skastro.symmetries import turn
from skastro.validation import split_unit

__all__ = ["ParamRegressor"]

# Numbers of a network at work for each number of an image.
OVERHEAD = 64


class ParamRegressor(RegressionInputs, DistributionRegressorMixin, NetEstimator):
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
    >>> rate = rng.uniform(1, 10, 400)
    >>> images = rng.poisson(rate[:, None, None], (400, 8, 8))
    >>> model = ParamRegressor(target_bounds=(1, 10), random_state=0).fit(images[:300], rate[:300])
    >>> low, high = model.predict_interval(images[300:], level=0.9)
    >>> bool(np.mean((low < rate[300:]) & (rate[300:] < high)) > 0.8)
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

    def _outputs(self, inputs):
        """What the heads give, one for each member and turn, all rows together."""
        module, device = self.net_.module_.fused(), self.net_.device
        x, extra = (inputs["x"], inputs["extra"]) if isinstance(inputs, dict) else (inputs, None)
        turns = self.turns_ if self.test_time_augmentation else self.turns_[:1]
        blocks = []
        for rows in row_blocks(len(x), x[0].numel() * x.element_size() * OVERHEAD):
            block = x[rows].to(device)
            side = None if extra is None else extra[rows].to(device)
            with torch.inference_mode():
                blocks.append([one for k in turns for one in module(turn(block, k), side)])
        return [self.head_.concatenate(parts) for parts in zip(*blocks, strict=True)]

    def _points(self, outputs):
        return np.mean([self.head_.point(one).double().cpu().numpy() for one in outputs], axis=0)

    def _distribution(self, outputs):
        """In the unit of the targets, before any map or prior."""
        merged = self.head_.average(outputs)
        found = [self.head_.distribution(one) for one in (outputs if merged is None else [merged])]
        if found[0] is None:
            if self.residuals_ is None:
                raise ValueError(
                    "validation_fraction=None with head='point'; expected a fraction of held-out rows, whose "
                    "errors are the error bars."
                )
            found = [residual_distribution(self._points(outputs), self.residuals_)]
        pooled = found[0] if len(found) == 1 else pool(found)
        low, high = self.bounds_.T
        return pooled.rescaled(low, high - low)

    def predict_distribution(self, X, extra=None, prior=None):
        """The predicted distributions.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
            Images of another size than in `fit` where the network allows it.
        extra : array-like of shape (n, n_extra), optional
            Side columns, where `fit` had some.
        prior : callable or array-like of shape (m,) or (m, n_targets), optional
            Another distribution of the targets than that of the training rows, which is hidden in every
            prediction: a density, called with targets (..., n_targets), or targets drawn from it. The
            predictions are weighted by the ratio of both.

        Returns
        -------
        distribution : Distribution
            In the unit of the targets.

        Raises
        ------
        ValueError
            Another number of channels or columns than in `fit`, another unit, side columns missing, a prior
            that is nowhere positive.
        """
        check_is_fitted(self)
        X = self._read(X, anew=False)
        distribution = self._distribution(
            self._outputs(self._inputs(X, self._read_extra(extra, len(X), anew=False)))
        )
        if self.calibration_ is not None:
            distribution = RecalibratedDistribution(distribution, self.calibration_)
        if prior is not None:
            ratio = prior_ratio(prior, self.training_density_, self.bounds_)
            distribution = reweighted(distribution, ratio, random_state=0)
        return distribution

    def predict(self, X, *, point="mean", extra=None, prior=None):
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        point : {"mean", "median", "mode"}, default="mean"
            Of the distribution of each target alone. With the head "point", "mean" is its number.
        extra, prior
            As in `predict_distribution`.

        Returns
        -------
        y : ndarray or Quantity of shape (n,) or (n, n_targets)

        Raises
        ------
        ValueError
            Another `point`; else as `predict_distribution`.
        """
        check_is_fitted(self)
        plain = point == "mean" and prior is None and self.calibration_ is None
        if plain and isinstance(self.head_, PointHead):
            X = self._read(X, anew=False)
            outputs = self._outputs(self._inputs(X, self._read_extra(extra, len(X), anew=False)))
            low, high = self.bounds_.T
            return self._as_targets(low + (high - low) * self._points(outputs))
        return super().predict(X, point=point, extra=extra, prior=prior)

    def log_prob(self, X, y, *, extra=None, prior=None):
        """Logarithm of the predicted density at given targets, all targets together.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        y : array-like or Quantity of shape (n,) or (n, n_targets)
        extra, prior
            As in `predict_distribution`.

        Returns
        -------
        log_prob : ndarray of shape (n,)
            Of the density in the unit of the targets of `fit`.
        """
        return super().log_prob(X, self._in_unit(y, "y"), extra=extra, prior=prior)

    def _on_grid(self, method, X, grid, context):
        return super()._on_grid(method, X, self._in_unit(grid, "grid"), context)

    def _in_unit(self, values, name):
        check_is_fitted(self)
        return split_unit(values, name, self.target_unit_)[0]

    def _as_targets(self, values):
        values = super()._as_targets(values)
        if self.target_unit_ is None:
            return values
        from astropy.units import Unit

        return values * Unit(self.target_unit_)

    def saliency(self, X, extra=None, target=0, n_steps=32):
        """Which pixels, or columns, a prediction comes from: integrated gradients.

        Parameters
        ----------
        X : array-like of shape (n, h, w), (n, n_channels, h, w) or (n, n_features)
        extra : array-like of shape (n, n_extra), optional
        target : int, default=0
            Whose prediction.
        n_steps : int, default=32
            Steps from the mean of the training rows to each image.

        Returns
        -------
        saliency : ndarray of the shape of `X`
            In the unit of the target. Sums, for each image, to its mean prediction less that for the mean of
            the training rows, to within the error of the steps; without turned images, recalibration or
            another prior.

        Raises
        ------
        ValueError
            A target that isn't there; else as `predict_distribution`.

        References
        ----------
        .. [1] Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML (2017).
        """
        check_is_fitted(self)
        if not 0 <= target < self.n_targets_:
            raise ValueError(f"target={target!r}; expected 0 to {self.n_targets_ - 1}.")
        images = self._read(X, anew=False)
        inputs = self._inputs(images, self._read_extra(extra, len(images), anew=False))

        def point(x, side):
            outputs = self.net_.module_(x, side)
            return sum(self.head_.point(one)[:, target] for one in outputs) / len(outputs)

        found = integrated_gradients(point, inputs, self.net_.device, n_steps)
        found = found[:, : images.shape[1]] * np.diff(self.bounds_[target])
        return found.reshape(np.shape(X)) if images.ndim == 4 else found

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
        from sklearn.metrics import r2_score

        return r2_score(y, self.predict(X, extra=extra), sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.two_d_array = self._may_take_tables()
        tags.input_tags.three_d_array = True
        return tags
