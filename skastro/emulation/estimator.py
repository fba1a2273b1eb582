"""`ModelEmulator`: thousands of outputs of a slow code, and their derivatives, in milliseconds."""

import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import RegressorMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data

from skastro.base import NetEstimator, draw_seed, row_blocks
from skastro.emulation.anomalies import flag_anomalies
from skastro.emulation.design import Design, build_network, start_network
from skastro.emulation.kriging import Kriging
from skastro.emulation.losses import make_loss
from skastro.emulation.outputs import cluster_outputs, resolve_rank
from skastro.emulation.predictor import Predictor
from skastro.emulation.support import Support, check_duplicates
from skastro.emulation.targets import Scales
from skastro.metrics import masked_r2_score
from skastro.validation import check_targets, split_unit

__all__ = ["ModelEmulator"]

ROBUST = ("cauchy", "geman_mcclure", "huber")


class ModelEmulator(Predictor, RegressorMixin, NetEstimator):
    """Emulate a slow code from a table of its runs: a regressor of one or many outputs.

    Inputs and outputs are standardised (outputs after a logarithm where they are positive); a network of
    their polynomials predicts all outputs at once, or an ensemble of such networks trained side by side.
    On small grids, exact kriging on the last hidden layer replaces the linear output layer.

    Parameters
    ----------
    network : callable or None, default=None
        A recipe: called with `n_features` and `n_outputs` it returns a module from (n_samples,
        n_features) to (n_samples, n_outputs). None follows `architecture`, `hidden`, `growth` and
        `activation`. Recipes of this package (`DenseNetwork`, `PlainNetwork`) are clonable, so that
        ``network__hidden`` can be searched.
    architecture : {"dense", "plain"}, default="dense"
        "dense": each layer sees all earlier ones [1]_.
    hidden : tuple of int or "auto", default="auto"
        Units of each hidden layer. "auto": four layers of 128 up to 3,000 models, above that
        five of 80, or of 192 for a single network.
    growth : float or None, default=None
        For "dense": each layer adds this fraction of all units before it; `hidden` then only counts the
        layers. The published network is ``growth=0.5, hidden=(0,) * 10``.
    activation : {"gelu", "silu", "elu", "relu", "tanh"} or callable, default="gelu"
    polynomial_degree : int or "auto", default="auto"
        All monomials of the inputs up to this degree are the features of the network. "auto": 1 up to
        3,000 models, above that 3, or the highest degree that makes at most 100 of them.
    n_clusters : int or "auto", default=1
        Outputs are grouped by the similarity of their correlations, a dedicated network for each group.
    output_rank : int, "auto" or None, default="auto"
        Components through which the outputs are predicted. None: no low-rank layer. "auto": 128 for
        384 outputs or more, none with kriging.
    n_members : int or "auto", default="auto"
        Networks of the ensemble, whose answers are averaged before the inverse transform. "auto": 4 up to
        3,000 models, 3 above, 1 with fewer than 100.
    kriging : bool or "auto", default="auto"
        Gaussian-process regression on the learnt features, the networks giving the kernel. "auto": with
        100 to 3,000 models and the networks of this package, where leaving rows out shows that it helps
        (not on noisy grids).
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the outputs; "auto" is "log10" where all targets are positive, else None.
    loss : {"log_cosh", "squared", "huber", "cauchy", "geman_mcclure"} or callable, default="log_cosh"
        The last two are robust to wrong models. A callable is called with `scale` and
        ``reduction="none"``, and returns a function of (prediction, target).
    loss_scale : float, default=0.1
        Residual, in standard deviations of each output, where the loss leaves the parabola.
    anomalies : {"remove", "downweight"} or None, default=None
        Fit robustly, look for wrong entries (`find_anomalies`), then fit again without them or with
        little weight on them.
    extrapolation : {"box", "hull"}, default="box"
        What counts as outside the training inputs: their bounding box or their convex hull.
    on_extrapolation : {"warn", "raise", "nan", "ignore"}, default="warn"
        What `predict` does with such rows.
    on_duplicates : {"raise", "keep"}, default="raise"
        What `fit` does when equal inputs have different targets.
    lr : float, default=3e-3
        Highest learning rate.
    max_epochs : int or "auto", default="auto"
        "auto": 12,000 steps, within 20 to 300 epochs.
    batch_size : int or "auto", default="auto"
        "auto": all rows up to 64, then 32 up to 3,000 models and 64 above.
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=None
        Part of the models held out to choose the best epoch, stop early, and scale error bars. None
        trains on all of them.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    warm_start : bool, default=False
        Go on from the weights of the previous fit, where shapes allow.
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
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only when `X` was a DataFrame.
    n_outputs_ : int
    output_names_ : list of str or None
    design_ : Design
        What the "auto" settings became: n_members, hidden, degree, batch_size, max_epochs, kriging.
    scales_ : Scales
        Transform, centre and scale of inputs and outputs.
    clusters_ : list of ndarray of int
        The outputs of each cluster.
    rank_ : int or None
    support_ : Support
        The region of the training inputs.
    kriging_ : Kriging or None
        Length scales and coefficients, with `kriging`.
    anomaly_report_ : AnomalyReport
        Only with `anomalies`.
    std_scale_ : ndarray of shape (n_outputs,)
        Factor between the spread of the members and the error bars.
    coverage_ : float or None
        Fraction of held-out values inside the 68.27 % error bars, measured on the half of the
        validation rows that did not scale them.

    References
    ----------
    .. [1] Palud, Einig et al., "Neural network-based emulation of interstellar medium models",
       A&A 678, A198 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation import ModelEmulator
    >>> X = np.random.default_rng(0).uniform(0, 1, (200, 2))
    >>> Y = np.column_stack([np.exp(X.sum(axis=1)), 1 + X[:, 0] ** 2])
    >>> emulator = ModelEmulator(max_epochs=60, random_state=0).fit(X, Y)
    >>> bool(np.abs(emulator.predict(X) / Y - 1).mean() < 0.01)
    True
    >>> emulator.jacobian(X[:3], outputs=[1]).shape
    (3, 1, 2)
    """

    _parameter_constraints = {
        "network": [callable, None],
        "architecture": [StrOptions({"dense", "plain"})],
        "hidden": [tuple, list, StrOptions({"auto"})],
        "growth": [Interval(Real, 0, None, closed="neither"), None],
        "activation": [str, callable],
        "polynomial_degree": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "output_rank": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "n_members": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "kriging": ["boolean", StrOptions({"auto"})],
        "log_targets": [StrOptions({"auto", "log10", "asinh"}), None],
        "loss": [str, callable],
        "loss_scale": [Interval(Real, 0, None, closed="neither")],
        "anomalies": [StrOptions({"remove", "downweight"}), None],
        "extrapolation": [StrOptions({"box", "hull"})],
        "on_extrapolation": [StrOptions({"warn", "raise", "nan", "ignore"})],
        "on_duplicates": [StrOptions({"raise", "keep"})],
        **NetEstimator._parameter_constraints,
    }

    def __init__(
        self,
        network=None,
        *,
        architecture="dense",
        hidden="auto",
        growth=None,
        activation="gelu",
        polynomial_degree="auto",
        n_clusters=1,
        output_rank="auto",
        n_members="auto",
        kriging="auto",
        log_targets="auto",
        loss="log_cosh",
        loss_scale=0.1,
        anomalies=None,
        extrapolation="box",
        on_extrapolation="warn",
        on_duplicates="raise",
        lr=3e-3,
        max_epochs="auto",
        batch_size="auto",
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
        self.hidden = hidden
        self.growth = growth
        self.activation = activation
        self.polynomial_degree = polynomial_degree
        self.n_clusters = n_clusters
        self.output_rank = output_rank
        self.n_members = n_members
        self.kriging = kriging
        self.log_targets = log_targets
        self.loss = loss
        self.loss_scale = loss_scale
        self.anomalies = anomalies
        self.extrapolation = extrapolation
        self.on_extrapolation = on_extrapolation
        self.on_duplicates = on_duplicates
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, mask=None):
        """Train on a table of models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs of the code, such as log pressure. NaN is an error.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Outputs in the user's units. NaN: unknown or wrong. A DataFrame names the outputs, a Quantity
            gives their unit; predictions come back alike.
        sample_weight : array-like of shape (n_samples,), optional
        mask : array-like of bool of the shape of `y`, optional
            True where valid; the same as NaN in `y` where False.

        Returns
        -------
        self : ModelEmulator

        Raises
        ------
        ValueError
            Wrong shapes, NaN in `X`, an output without a valid entry, targets that the transform cannot
            take, rows that contradict each other, fewer than two rows.
        """
        return self._fit(
            X, y, sample_weight, mask, anew=not (self.warm_start and self._is_fitted())
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, mask=None):
        """Train one more epoch from the present weights, with the scales of the first call.

        Parameters
        ----------
        X, y, sample_weight, mask
            As in `fit`.

        Returns
        -------
        self : ModelEmulator
        """
        return self._fit(X, y, sample_weight, mask, anew=not self._is_fitted(), epochs=1)

    def _is_fitted(self):
        return hasattr(self, "net_")

    def _fit(self, X, Y, sample_weight, mask, anew, epochs=None):
        seed = draw_seed(self.random_state)
        rng = np.random.default_rng(seed)
        X, Y, weight = self._check_fit(X, Y, sample_weight, mask, anew)
        if anew:
            self.design_ = Design(self, *X.shape)
            self.support_ = Support(self.extrapolation).fit(X)
            self.scales_ = Scales(self.log_targets, self.dtype).fit(X, Y, weight)
        if self.anomalies is not None:
            self.anomaly_report_ = self._look_for_anomalies(X, Y, weight, seed)
            doubt = self.anomaly_report_.weights(self.anomalies)
            weight = doubt if weight is None else weight * doubt
        x, z = self.scales_.inputs(X), self.scales_.targets(Y)
        if anew:
            sure = z if self.anomalies is None else np.where(doubt > 0.1, z, np.nan)
            self.clusters_ = cluster_outputs(sure, self.n_clusters, rng)
            self.rank_ = resolve_rank(self.design_.output_rank, self.clusters_)
        rows = self._split_rows(len(x), int(rng.integers(2**31 - 1)))
        x_tensor = torch.from_numpy(x)
        self._train(
            x_tensor,
            torch.from_numpy(z),
            None if weight is None else torch.from_numpy(weight.astype(self.dtype)),
            rows=rows,
            seed=seed,
            reset=anew,
            epochs=epochs,
            start=lambda module: start_network(module, x_tensor, z, weight, self.clusters_),
        )
        self.kriging_ = None
        if self.design_.kriging:
            train = rows[0]
            # kriging passes through what it is given: doubtful entries are left out
            sure = weight if self.anomalies is None else weight * (doubt >= 0.5)
            part = None if weight is None else sure[train]
            kriging = Kriging().fit(self.net_.module_, x[train], z[train], part, rng)
            if kriging.helps_ or self.kriging is True:
                self.kriging_ = kriging
        self._plans = {}
        self._fit_error_bars(x, z, rows[1])
        return self

    def _check_fit(self, X, Y, sample_weight, mask, anew):
        X, unit = split_unit(X, "X", None if anew else self.input_unit_)
        X = validate_data(self, X, reset=anew, dtype=np.float64, order="C", ensure_min_samples=2)
        Y, info = check_targets(Y, mask, len(X), dtype=None)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            kept = weight > 0
            if kept.sum() < 2:
                raise ValueError(
                    f"sample_weight has {kept.sum()} positive value(s); expected at least 2."
                )
            if not kept.all():
                # a row without weight is a row that is not there: not in scales, nor in the box
                X, weight = X[kept], weight[kept]
                Y, _ = check_targets(Y[kept], dtype=None)
            weight = (weight / weight.mean())[:, None]
        if self.on_duplicates == "raise":
            check_duplicates(X, Y)
        if not anew:
            if Y.shape[1] != self.n_outputs_:
                raise ValueError(
                    f"y has {Y.shape[1]} output(s); expected {self.n_outputs_}, as in the first fit."
                )
            return X, Y, weight
        if self.n_clusters != "auto" and self.n_clusters > Y.shape[1] > 1:
            raise ValueError(
                f"n_clusters={self.n_clusters} for {Y.shape[1]} outputs in y; expected at most as many "
                "clusters as outputs."
            )
        self.input_unit_, self.output_info_, self.n_outputs_ = unit, tuple(info), Y.shape[1]
        self.output_names_ = info.names
        return X, Y, weight

    def _n_epochs(self):
        return self.design_.max_epochs

    def _n_batch(self):
        return self.design_.batch_size

    def _make_module(self):
        return build_network(self)

    def _make_criterion(self):
        return make_loss(self.loss, self.loss_scale)

    def _fit_error_bars(self, x, z, rows):
        """Scale the spread of the members on half of the held-out rows; measure it on the others."""
        self.std_scale_, self.coverage_ = np.ones(self.n_outputs_), None
        if rows is None or self.design_.n_members == 1 or len(rows) < 4:
            return
        mean, std = self._standardised(x[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.abs(z[rows] - mean) / std
        one_sigma = math.erf(math.sqrt(0.5))
        fitting, testing = ratio[::2], ratio[1::2]
        pooled = np.nanquantile(fitting, one_sigma)
        enough = np.isfinite(fitting).sum(axis=0) >= 50
        self.std_scale_ = np.full(self.n_outputs_, pooled)
        self.std_scale_[enough] = np.nanquantile(fitting[:, enough], one_sigma, axis=0)
        inside = (
            testing[np.isfinite(testing)]
            <= np.broadcast_to(self.std_scale_, testing.shape)[np.isfinite(testing)]
        )
        self.coverage_ = float(inside.mean()) if inside.size else None

    @_fit_context(prefer_skip_nested_validation=True)
    def find_anomalies(
        self, X, y, sample_weight=None, mask=None, *, threshold=8.0, smallest=0.1, n_neighbors=8
    ):
        """Look for wrong entries in a table of models: a robust fit, then a test of isolation.

        Needs no earlier `fit`, and leaves the estimator as it is.

        Parameters
        ----------
        X, y, sample_weight, mask
            As in `fit`.
        threshold : float, default=8.0
            Residual over the robust scatter of its output, above which an entry is badly fitted.
        smallest : float, default=0.1
            Least residual of an anomaly: dex where the targets are logarithmic.
        n_neighbors : int, default=8
            Models around an entry that must not be badly fitted themselves.

        Returns
        -------
        report : AnomalyReport
        """
        searcher = clone(self)
        X, Y, weight = searcher._check_fit(X, y, sample_weight, mask, anew=True)
        searcher.scales_ = Scales(self.log_targets, self.dtype).fit(X, Y, weight)
        seed = draw_seed(self.random_state)
        return searcher._look_for_anomalies(X, Y, weight, seed, threshold, smallest, n_neighbors)

    def _look_for_anomalies(self, X, Y, weight, seed, threshold=8.0, smallest=0.1, n_neighbors=8):
        robust = clone(self).set_params(
            anomalies=None,
            loss=self.loss if self.loss in ROBUST else "cauchy",
            n_members=1,
            kriging=False,
            validation_fraction=None,
            on_extrapolation="ignore",
            on_duplicates="keep",
            warm_start=False,
            random_state=seed,
        )
        robust.fit(X, Y, sample_weight=None if weight is None else weight[:, 0])
        with torch.inference_mode():
            plan = robust._plan(None)
            x = robust.scales_.inputs(X)
            z = torch.cat(
                [plan.transformed(robust._tensor(x[b])) for b in row_blocks(len(x), 4096)]
            )
            z = ((z - plan.center) / plan.scale).cpu().numpy()
        residual = (robust.scales_.targets(Y) - z) * robust.scales_.scale_.astype(z.dtype)
        return flag_anomalies(
            x,
            residual,
            threshold=threshold,
            smallest=smallest,
            n_neighbors=n_neighbors,
            names=self.output_names_,
        )

    def score(self, X, y, sample_weight=None, mask=None):
        """Coefficient of determination in the user's units, masked entries left out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        mask : array-like of bool of the shape of `y`, optional

        Returns
        -------
        score : float
        """
        return masked_r2_score(y, self.predict(X), mask=mask, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
