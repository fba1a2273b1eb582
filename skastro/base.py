"""The estimator that trains networks: the only file that knows skorch.

Three pieces: `Arrays` hands out whole batches, `Net` is a skorch net that trains on them, and
`NetEstimator` is the scikit-learn estimator that holds one. A child class writes only its mathematics.
"""

import copy
import math
import time
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from skorch import NeuralNet
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm.auto import tqdm

__all__ = ["Arrays", "Batches", "Net", "NetEstimator", "draw_seed", "resolve_device", "row_blocks"]

# Working memory of one block at inference: large enough to amortise calls, small enough for caches.
BLOCK_BYTES = 64 * 2**20
# Rows of a validation batch, fewer where a row is large (images): numbers of its inputs and targets.
VALID_BATCH = 4096
VALID_NUMBERS = 2**20


class Arrays(Dataset):
    """Tensors made once and read one batch at a time.

    Parameters
    ----------
    inputs : Tensor or dict of Tensor
        First axis: samples. A dictionary becomes keyword arguments of the network.
    target : Tensor
        NaN where unknown.
    weight : Tensor, optional
        Weight of each entry of the loss, broadcastable to `target`.

    Examples
    --------
    >>> import torch
    >>> from skastro.base import Arrays
    >>> data = Arrays(torch.zeros(5, 2), torch.ones(5, 1))
    >>> x, (y,) = data.__getitems__([0, 3])
    >>> x.shape, y.shape
    (torch.Size([2, 2]), torch.Size([2, 1]))
    """

    def __init__(self, inputs, target, weight=None):
        self.inputs = inputs
        self.targets = (target,) if weight is None else (target, weight)

    @property
    def masked(self):
        """Whether some target is unknown."""
        return bool(torch.isnan(self.targets[0]).any())

    @property
    def numbers_per_row(self):
        """Numbers in the inputs and the target of one row."""
        inputs = self.inputs.values() if isinstance(self.inputs, dict) else [self.inputs]
        return max(1, sum(math.prod(one.shape[1:]) for one in [*inputs, self.targets[0]]))

    def __len__(self):
        return len(self.targets[0])

    def __getitem__(self, index):
        if isinstance(self.inputs, dict):
            inputs = {key: value[index] for key, value in self.inputs.items()}
        else:
            inputs = self.inputs[index]
        return inputs, tuple(target[index] for target in self.targets)

    def __getitems__(self, indices):
        # torch's fetcher calls this with a whole batch: no per-sample Python, no stacking
        return self[indices]


class Batches(Sampler):
    """Batches of row indices of nearly equal size, shuffled anew each epoch.

    Parameters
    ----------
    n_samples : int
    batch_size : int
        May be changed between epochs.
    generator : torch.Generator, optional
        None keeps the order of the rows.
    """

    def __init__(self, n_samples, batch_size, generator=None):
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self):
        return math.ceil(self.n_samples / self.batch_size)

    def __iter__(self):
        if self.generator is None:
            order = torch.arange(self.n_samples)
        else:
            order = torch.randperm(self.n_samples, generator=self.generator)
        # equal parts: a last batch of one row would step on noise
        yield from order.tensor_split(len(self))


def _identity(batch):
    return batch


class _Stop(Exception):
    """Training has reached its end before the last epoch."""


class Net(NeuralNet):
    """A skorch net over ready datasets: `partial_fit((train, valid))`.

    Beside skorch's parameters: `schedule` of the learning rate, `batch_growth`, `patience`,
    `progress`, `max_norm` (longer gradients are cut to it), and `batch_transform`, called on each
    training batch with its inputs, its tuple of targets and a `torch.Generator` on their device;
    what it returns takes their place. The weights of the best epoch (validation loss, or training
    loss without validation rows) are put back at the end, after an interruption too.
    """

    def __init__(
        self, *args, schedule="one_cycle", batch_growth=1.0, patience=None, progress=False,
        generator=None, batch_transform=None, max_norm=None, **kwargs,
    ):  # fmt: skip
        super().__init__(*args, **kwargs)
        self.schedule = schedule
        self.batch_growth = batch_growth
        self.patience = patience
        self.progress = progress
        self.generator = generator
        self.batch_transform = batch_transform
        self.max_norm = max_norm

    @property
    def _default_callbacks(self):
        # timing, scores and printing are done here, once an epoch
        return []

    def initialize_optimizer(self, *args, **kwargs):
        # the first one loads torch's compiler, in more than a second: made where a network is trained
        self._register_attribute("optimizer_", None)
        self.optimizer_ = None
        return self

    def get_split_datasets(self, X, y=None, **fit_params):
        return X

    def get_iterator(self, dataset, training=False):
        size = self.batch_size
        if not training:
            size = max(size, min(VALID_BATCH, VALID_NUMBERS // dataset.numbers_per_row))
        batches = Batches(len(dataset), size, self.generator if training else None)
        if training:
            self.batches_ = batches
        kwargs = self.get_params_for("iterator_train" if training else "iterator_valid")
        return DataLoader(
            dataset, batch_sampler=batches, collate_fn=_identity, generator=self.generator, **kwargs
        )

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Mean of the weighted loss over the entries whose target is known."""
        target, *weight = y_true
        if not (weight or self.masked_):
            return self.criterion_(y_pred, target).mean()
        known = weight[0] if weight else 1.0
        if self.masked_:
            unknown = torch.isnan(target)
            # an entry predicted by itself has no residual: neither loss nor gradient
            target = torch.where(unknown, y_pred.detach(), target)
            known = torch.where(unknown, 0.0, known)
        loss = self.criterion_(y_pred, target)
        known = known.to(loss.dtype)
        if weight:
            loss = loss * known
        members = loss.numel() // known.numel()
        return loss.sum() / (known.sum() * members).clamp_min(1e-12)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        super().initialize_optimizer()
        self.interrupted_ = False
        self.masked_ = any(part.masked for part in X if part is not None)
        self.best_, self.best_epoch_, self.best_weights_ = math.inf, 0, None
        self.epochs_ = self.max_epochs if epochs is None else epochs
        self.total_ = max(1, self.epochs_ * len(X[0]))
        self.seen_, self.factor_, self.start_epoch_ = 0, 1.0, len(self.history)
        self.bar_ = tqdm(total=self.epochs_, desc="fit", unit="epoch", disable=not self.progress)
        if self.batch_transform is not None:
            # random numbers are drawn where the batch is
            self.transform_generator_ = torch.Generator(self.device)
            self.transform_generator_.manual_seed(self.generator.initial_seed() + 1)
        try:
            super().fit_loop(X, y, epochs=epochs, **fit_params)
        except _Stop:
            pass
        except KeyboardInterrupt:
            self.interrupted_ = True
        finally:
            self.bar_.close()
            if self.best_weights_ is not None:
                with torch.no_grad():
                    torch._foreach_copy_(list(self._weights()), self.best_weights_)
                self.best_weights_ = None
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        # summed as tensors: reading each loss would wait for the device at every step
        total, n_rows = 0.0, 0
        self._set_training(training)
        for batch in iterator:
            n_batch = len(batch[1][0])
            if training:
                self._set_lr(n_batch)
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            total = total + step["loss"].detach() * n_batch
            n_rows += n_batch
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(prefix + "_loss", float(total) / n_rows)

    def train_step(self, batch, **fit_params):
        # skorch's own wraps each batch in closures, for optimisers that ask for the loss again
        x, y = batch
        if self.batch_transform is not None:
            x, y = self.batch_transform(x, y, self.transform_generator_)
        self.optimizer_.zero_grad(set_to_none=True)
        y_pred = self.infer(x)
        loss = self.get_loss(y_pred, y, X=x, training=True)
        loss.backward()
        if self.callbacks_:
            parameters = self.module_.named_parameters()
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        if self.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.module_.parameters(), self.max_norm)
        self.optimizer_.step()
        return {"loss": loss, "y_pred": y_pred}

    def on_epoch_begin(self, net, **kwargs):
        super().on_epoch_begin(net, **kwargs)
        self.started_ = time.perf_counter()
        done = (len(self.history) - 1 - self.start_epoch_) / max(1, self.epochs_ - 1)
        self.batches_.batch_size = max(1, round(self.batch_size * self.batch_growth**done))

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        row = self.history[-1]
        loss = row.get("valid_loss", row["train_loss"])
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        self.history.record("batch_size", self.batches_.batch_size)
        self.history.record("dur", time.perf_counter() - self.started_)
        self.bar_.set_postfix(loss=f"{loss:.4g}", refresh=False)
        self.bar_.update()
        if not (math.isfinite(row["train_loss"]) and math.isfinite(loss)):
            warnings.warn(
                f"The loss became {loss} at epoch {len(self.history)}: training stopped and the best "
                "weights so far are kept; a smaller lr may help.",
                ConvergenceWarning,
                stacklevel=2,
            )
            raise _Stop
        if loss < self.best_:
            self.best_, self.best_epoch_ = loss, len(self.history)
            weights = [weight.detach() for weight in self._weights()]
            if self.best_weights_ is None:
                self.best_weights_ = [weight.clone() for weight in weights]
            else:
                torch._foreach_copy_(self.best_weights_, weights)
            return
        waited = len(self.history) - self.best_epoch_
        if self.schedule == "plateau" and waited % 10 == 0:
            self.factor_ *= 0.5
        if self.patience is not None and waited >= self.patience:
            raise _Stop

    def _weights(self):
        return self.module_.state_dict(keep_vars=True).values()

    def _set_lr(self, n_batch):
        done = (self.seen_ + 0.5 * n_batch) / self.total_
        self.seen_ += n_batch
        if self.schedule == "one_cycle" and done < 0.05:
            lr = done / 0.05
        elif self.schedule in ("one_cycle", "cosine"):
            lr = 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))) + 1e-3
        else:
            lr = self.factor_
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * lr


def resolve_device(device, dtype="float32"):
    """Return the `torch.device` of a `device` parameter; "auto" is cuda, then mps, then cpu."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available() and dtype != "float64":
        return torch.device("mps")
    return torch.device("cpu")


def draw_seed(random_state):
    """Draw an integer seed from `random_state`, leaving numpy's global state as it is."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def row_blocks(n_rows, bytes_per_row, budget=BLOCK_BYTES):
    """Yield slices of rows whose working memory stays within `budget` bytes."""
    step = max(1, min(n_rows, int(budget // max(1, bytes_per_row))))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


class NetEstimator(BaseEstimator):
    """Base of every estimator with a network; it holds a skorch net in `net_`.

    A child class validates and scales its data, then calls `_train`. It provides `_make_module()`, which
    builds the network from parameters and fitted attributes alone (it runs again when a saved
    estimator is loaded), and `_make_criterion()`, a loss with ``reduction="none"``.

    Parameters shared by all children: `network`, `lr`, `max_epochs`, `batch_size`, `batch_growth`,
    `schedule`, `validation_fraction`, `patience`, `warm_start`, `dtype`, `device`, `callbacks`, `verbose`,
    `random_state`.

    Attributes
    ----------
    net_ : Net
        The skorch net; ``net_.module_`` is the network.
    history_ : list of dict
        One row an epoch: epoch, train_loss, valid_loss, lr, batch_size, dur (seconds).
    n_iter_ : int
        Epochs run.
    """

    _parameter_constraints = {
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_growth": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions({"one_cycle", "cosine", "plateau", "constant"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str],
        "callbacks": [list, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # gradients of a batch longer than that are cut to it; None: as they come
    _max_norm = None

    def _make_module(self):
        raise TypeError(f"{type(self).__name__} must define _make_module.")

    def _make_criterion(self):
        raise TypeError(f"{type(self).__name__} must define _make_criterion.")

    def _lr(self):
        return self.lr

    def _weight_decay(self):
        return 0.0

    def _n_epochs(self):
        return self.max_epochs

    def _n_batch(self):
        return self.batch_size

    @property
    def _torch_dtype(self):
        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]

    def _make_net(self, module, generator=None):
        device = resolve_device(self.device, self.dtype)
        return Net(
            module,
            criterion=self._make_criterion(),
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self._weight_decay(),
            optimizer__fused=device.type in ("cpu", "cuda"),
            lr=self._lr(),
            max_epochs=self._n_epochs(),
            batch_size=self._n_batch(),
            batch_growth=self.batch_growth,
            schedule=self.schedule,
            patience=self.patience,
            progress=self.verbose > 0,
            generator=generator,
            max_norm=self._max_norm,
            train_split=None,
            callbacks=copy.deepcopy(self.callbacks) or [],
            device=str(device),
            verbose=0,
        ).initialize()

    def _split_rows(self, n_samples, seed):
        """Rows to train on and rows to validate on (None without a validation fraction)."""
        if self.validation_fraction is None or n_samples < 2:
            return np.arange(n_samples), None
        n_valid = min(n_samples - 1, max(1, round(self.validation_fraction * n_samples)))
        order = np.random.default_rng(seed).permutation(n_samples)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])

    def _train(
        self,
        inputs,
        target,
        weight=None,
        *,
        rows,
        seed,
        reset=True,
        epochs=None,
        start=None,
        batch_transform=None,
    ):
        """Train the net on ready arrays.

        Parameters
        ----------
        inputs : Tensor or dict of Tensor
        target : Tensor
            NaN where unknown.
        weight : Tensor, optional
            Broadcastable to `target`.
        rows : tuple (train, valid) of ndarray of int
            As `_split_rows` gives them; valid may be None.
        seed : int
        reset : bool
            Start from new weights, else go on from those of `net_`.
        epochs : int, optional
            `max_epochs` by default.
        start : callable, optional
            Called with a new network before it is trained.
        batch_transform : callable, optional
            Applied to each training batch, anew each epoch, and to the validation rows, once: noise
            added on the fly, augmentation. Called with the inputs, the tuple (target,) or (target,
            weight) and a `torch.Generator` on their device; returns new inputs and a new tuple.
        """
        device = resolve_device(self.device, self.dtype)
        devices = [device] if device.type == "cuda" else []
        data = Arrays(inputs, target, weight)

        def part(index):
            if index is None:
                return None
            whole = len(index) == len(data)
            chosen, targets = (data.inputs, data.targets) if whole else data[torch.as_tensor(index)]
            return Arrays(_to(chosen, device), *_to(targets, device))

        datasets = part(rows[0]), part(rows[1])
        if batch_transform is not None and datasets[1] is not None:
            fixed = torch.Generator(device).manual_seed(seed)
            x, y = batch_transform(datasets[1].inputs, datasets[1].targets, fixed)
            datasets = datasets[0], Arrays(x, *y)
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            generator = torch.Generator().manual_seed(seed)
            if reset or not hasattr(self, "net_"):
                module = self._make_module().to(self._torch_dtype)
                if start is not None:
                    start(module)
                self.net_ = self._make_net(module, generator)
                self.history_ = []
            else:
                # parameters may have changed since (set_params): a new net around the same weights
                self.net_ = self._make_net(self.net_.module_, generator)
            self.net_.batch_transform = batch_transform
            self.net_.partial_fit(datasets, epochs=epochs)
        self.net_.module_.eval()
        start = len(self.history_)
        for row in self.net_.history.to_list():
            row = {key: value for key, value in row.items() if key != "batches"}
            self.history_.append(row | {"epoch": start + row["epoch"]})
        self.n_iter_ = len(self.history_)
        if self.net_.interrupted_:
            warnings.warn(
                f"fit was interrupted after {self.n_iter_} epoch(s): the best weights so far are kept.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def __getstate__(self):
        state = super().__getstate__().copy()
        net = state.pop("net_", None)
        if net is not None:
            weights = net.module_.state_dict()
            state["weights_"] = {key: value.cpu().numpy() for key, value in weights.items()}
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is None:
            return
        with torch.random.fork_rng(devices=[]):
            module = self._make_module().to(self._torch_dtype)
        module.load_state_dict({key: torch.tensor(value) for key, value in weights.items()})
        if self.device != "auto" and torch.device(self.device).type == "cuda":
            if not torch.cuda.is_available():
                warnings.warn(
                    f"device={self.device!r} is absent here: the estimator was loaded on the CPU.",
                    stacklevel=2,
                )
                self.device = "cpu"
        self.net_ = self._make_net(module)
        self.net_.module_.eval()


def _to(tensors, device):
    if isinstance(tensors, dict):
        return {key: value.to(device) for key, value in tensors.items()}
    if isinstance(tensors, tuple):
        return tuple(value.to(device) for value in tensors)
    return tensors.to(device)
