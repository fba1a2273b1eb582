"""The base class through its one child so far, and its parts alone."""

import _thread
import pickle
import signal
import threading
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch.utils.data import DataLoader

from skastro.base import Arrays, Batches, NetEstimator, draw_seed, resolve_device, row_blocks
from skastro.emulation import ModelEmulator


def small_problem(n=120, seed=0):
    X = np.random.default_rng(seed).uniform(1.0, 2.0, (n, 2))
    return X, np.column_stack([np.exp(X[:, 0]), X[:, 0] * X[:, 1]])


def emulator(**parameters):
    settings = dict(kriging=False, n_members=1, hidden=(16, 16), max_epochs=8, random_state=0)
    return ModelEmulator(**settings | parameters)


class Spy(Callback):
    """Calls a function at the end of each epoch."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, net, **kwargs):
        self.function(net)


def test_arrays_reads_a_batch_at_once():
    data = Arrays({"a": torch.arange(6.0)}, torch.arange(6.0)[:, None], torch.ones(6, 1))
    x, (target, weight) = data.__getitems__([4, 1])
    assert x["a"].tolist() == [4.0, 1.0]
    assert target.ravel().tolist() == [4.0, 1.0]
    assert weight.shape == (2, 1)


def test_arrays_works_in_a_stock_loader_with_workers():
    data = Arrays(torch.arange(10.0)[:, None], torch.arange(10.0)[:, None])
    loader = DataLoader(
        data, batch_sampler=Batches(10, 4), collate_fn=lambda batch: batch, num_workers=2
    )
    seen = torch.cat([x for x, _ in loader]).ravel()
    assert seen.tolist() == list(range(10))


def test_batches_cover_every_row_once_in_nearly_equal_parts():
    batches = list(Batches(103, 25, torch.Generator().manual_seed(0)))
    sizes = [len(batch) for batch in batches]
    assert sorted(torch.cat(batches).tolist()) == list(range(103))
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= 25
    assert torch.cat(batches).tolist() != list(range(103))


@pytest.mark.parametrize("n_rows, bytes_per_row", [(10, 1), (1000, 2**20), (7, 2**40)])
def test_row_blocks_cover_all_rows_within_the_budget(n_rows, bytes_per_row):
    blocks = list(row_blocks(n_rows, bytes_per_row))
    assert np.concatenate([np.arange(n_rows)[block] for block in blocks]).tolist() == list(
        range(n_rows)
    )
    longest = max(block.stop - block.start for block in blocks)
    assert longest == 1 or longest * bytes_per_row <= 64 * 2**20


def test_device_auto_is_the_cpu_without_accelerator():
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has an accelerator")
    assert resolve_device("auto").type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_fit_on_a_gpu_is_predicted_on_the_cpu():
    X, Y = small_problem()
    fitted = emulator(device="cuda").fit(X, Y)
    state = fitted.__getstate__() | {"device": "cpu"}
    loaded = ModelEmulator.__new__(ModelEmulator)
    loaded.__setstate__(state)
    np.testing.assert_allclose(loaded.predict(X), fitted.predict(X), rtol=1e-4)


def test_global_random_states_are_left_alone():
    X, Y = small_problem()
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    emulator(random_state=None, validation_fraction=0.2).fit(X, Y).predict(X)
    draw_seed(None)
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_same_seed_same_weights_and_other_seed_others():
    X, Y = small_problem()
    first, second = (emulator(random_state=5).fit(X, Y).predict(X) for _ in range(2))
    other = emulator(random_state=6).fit(X, Y).predict(X)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-6


def test_history_has_one_plain_row_an_epoch():
    X, Y = small_problem()
    fitted = emulator(validation_fraction=0.25, batch_size=20, batch_growth=4.0).fit(X, Y)
    assert fitted.n_iter_ == len(fitted.history_) == 8
    assert [row["epoch"] for row in fitted.history_] == list(range(1, 9))
    assert set(fitted.history_[0]) == {
        "epoch", "train_loss", "valid_loss", "lr", "batch_size", "dur",
    }  # fmt: skip
    sizes = [row["batch_size"] for row in fitted.history_]
    assert sizes[0] == 20 and sizes[-1] == 80 and sizes == sorted(sizes)
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"]


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "constant"])
def test_schedules(schedule):
    X, Y = small_problem()
    fitted = emulator(schedule=schedule, lr=1e-2, batch_size=20, max_epochs=20).fit(X, Y)
    rates = [row["lr"] for row in fitted.history_]
    assert max(rates) <= 1.002e-2
    if schedule in ("one_cycle", "cosine"):
        assert rates[-1] < 0.02 * max(rates)
    if schedule == "constant":
        assert set(rates) == {1e-2}


def test_best_weights_of_the_validation_loss_are_kept():
    X, Y = small_problem()
    losses, weights = [], []

    def remember(net):
        losses.append(net.history[-1]["valid_loss"])
        weights.append(net.module_.state_dict()["body.last.weight"].clone())

    # a rate so high that the loss goes up and down
    fitted = emulator(
        validation_fraction=0.3,
        lr=0.3,
        schedule="constant",
        max_epochs=30,
        callbacks=[Spy(remember)],
    )
    fitted.fit(X, Y)
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert torch.equal(fitted.net_.module_.state_dict()["body.last.weight"], weights[best])


def test_patience_stops_early():
    X, Y = small_problem()
    fitted = emulator(
        validation_fraction=0.3, lr=0.3, schedule="constant", max_epochs=500, patience=4
    ).fit(X, Y)
    valid = [row["valid_loss"] for row in fitted.history_]
    assert fitted.n_iter_ < 500
    assert len(valid) - 1 - int(np.argmin(valid)) == 4


def test_interruption_keeps_the_best_weights_and_warns(request):
    # what a shell starts in the background ignores the signal: this would go on without end
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    X, Y = small_problem()
    fitted = emulator(max_epochs=100_000)

    def interrupt():
        while not hasattr(fitted, "net_") or len(fitted.net_.history) < 5:
            time.sleep(0.01)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.warns(ConvergenceWarning, match="interrupted after .* epoch"):
        fitted.fit(X, Y)
    thread.join()
    assert 4 <= fitted.n_iter_ < 100_000
    assert np.isfinite(fitted.predict(X)).all()
    assert np.isfinite(pickle.loads(pickle.dumps(fitted)).predict(X)).all()


def test_divergence_stops_and_warns():
    X, Y = small_problem()

    def poison(net):
        if len(net.history) == 3:
            with torch.no_grad():
                net.module_.body.last.weight.fill_(float("nan"))

    fitted = emulator(max_epochs=50, callbacks=[Spy(poison)])
    with pytest.warns(ConvergenceWarning, match="loss became nan"):
        fitted.fit(X, Y)
    assert fitted.n_iter_ == 4
    assert np.isfinite(fitted.predict(X)).all()


def test_callbacks_are_copied_not_used():
    X, Y = small_problem()
    seen = []
    callback = Spy(lambda net: seen.append(len(net.history)))
    original = emulator(callbacks=[callback])
    original.fit(X, Y)
    assert seen == list(range(1, 9))
    assert original.callbacks[0] is callback
    assert clone(original).get_params()["callbacks"] is not None


def test_warm_start_and_partial_fit_go_on():
    X, Y = small_problem()
    fitted = emulator(warm_start=True, schedule="constant").fit(X, Y)
    first = fitted.history_[-1]["train_loss"]
    fitted.fit(X, Y)
    assert fitted.n_iter_ == 16
    assert fitted.history_[8]["train_loss"] < 2.0 * first
    again = emulator(schedule="constant")
    for i in range(3):
        again.partial_fit(X, Y)
        assert again.n_iter_ == i + 1
    with pytest.raises(ValueError, match=r"y has 1 output\(s\); expected 2"):
        again.partial_fit(X, Y[:, :1])


def test_pickle_holds_arrays_and_survives_fit_after_loading():
    X, Y = small_problem()
    fitted = emulator(warm_start=True).fit(X, Y)
    data = pickle.dumps(fitted)
    assert b"skorch" not in data and b"torch" not in data
    loaded = pickle.loads(data)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    loaded.fit(X, Y)
    assert loaded.n_iter_ == 16


def test_weights_enter_the_loss():
    X, Y = small_problem()
    Y = Y.copy()
    Y[60:, 0] *= 10.0
    weight = np.where(np.arange(120) < 60, 1.0, 1e-6)
    fitted = emulator(max_epochs=150, on_extrapolation="ignore").fit(X, Y, sample_weight=weight)
    error = np.abs(np.log10(fitted.predict(X)[:, 0] / Y[:, 0]))
    assert error[:60].mean() < 0.05 and error[60:].mean() > 0.5


def test_verbose_shows_a_bar_and_silence_is_silent(capsys):
    X, Y = small_problem()
    emulator().fit(X, Y)
    seen = capsys.readouterr()
    assert seen.out == "" and seen.err == ""
    emulator(verbose=1).fit(X, Y)
    assert "loss=" in capsys.readouterr().err


class Line(NetEstimator):
    """The least child: a line through (x, y), with noise added to each batch if asked."""

    def __init__(self, batch_transform=None, validation_fraction=None, device="cpu"):
        self.batch_transform = batch_transform
        self.validation_fraction = validation_fraction
        self.device = device
        self.lr, self.max_epochs, self.batch_size, self.batch_growth = 0.1, 3, 5, 1.0
        self.schedule, self.patience, self.callbacks, self.dtype = "constant", None, None, "float32"
        self.verbose = 0

    def _make_module(self):
        return torch.nn.Linear(1, 1)

    def _make_criterion(self):
        return torch.nn.MSELoss(reduction="none")

    def fit(self, x, seed=0):
        rows = self._split_rows(len(x), seed)
        self._train(x, 2 * x, rows=rows, seed=seed, batch_transform=self.batch_transform)
        return self


def test_batch_transform_is_drawn_anew_each_step_but_once_for_validation():
    calls = []

    def transform(x, targets, generator):
        noise = torch.randn(x.shape, generator=generator)
        calls.append((len(x), noise.sum().item(), targets[0].tolist()))
        return x + noise, targets

    x = torch.arange(10.0)[:, None]
    first = Line(transform, validation_fraction=0.5).fit(x)
    # the five validation rows once, then one batch of five in each of three epochs
    assert [n for n, *_ in calls] == [5, 5, 5, 5]
    assert len({total for _, total, _ in calls}) == 4
    valid, *train = ({y for (y,) in targets} for *_, targets in calls)
    assert train == [set((2 * x)[:, 0].tolist()) - valid] * 3
    second = Line(transform, validation_fraction=0.5).fit(x)
    assert first.history_[-1]["valid_loss"] == second.history_[-1]["valid_loss"]
    assert calls[:4] == calls[4:]


def test_long_gradients_are_cut(monkeypatch):
    lengths = {}
    for limit in (None, 1e-3):
        seen = lengths[limit] = []

        def step(self, closure=None, seen=seen):
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            seen.append(float(torch.cat([g.flatten() for g in gradients]).norm()))

        monkeypatch.setattr(torch.optim.AdamW, "step", step)
        monkeypatch.setattr(Line, "_max_norm", limit)
        Line().fit(torch.randn(60, 1, generator=torch.Generator().manual_seed(0)))
    assert max(lengths[None]) > 0.1
    np.testing.assert_allclose(lengths[1e-3], 1e-3, rtol=1e-2)


def test_batch_transform_may_weigh_and_replace_targets():
    def transform(x, targets, generator):
        # the line through the origin with slope 3, and one row without weight
        weight = torch.ones_like(x)
        weight[0], x[0] = 0.0, 1e3
        return x, (3 * x.clamp_max(2.0), weight)

    fitted = Line(transform)
    fitted.max_epochs, fitted.lr = 300, 0.05
    fitted.fit(torch.linspace(-1, 1, 5)[:, None])
    weight, bias = (value.item() for value in fitted.net_.module_.state_dict().values())
    assert abs(weight - 3) < 0.05 and abs(bias) < 0.05


def test_validation_batches_of_large_rows_are_smaller():
    net = Line().fit(torch.zeros(4, 1)).net_
    table = Arrays(torch.zeros(5000, 3), torch.zeros(5000, 2))
    images = Arrays({"x": torch.zeros(600, 1, 64, 64)}, torch.zeros(600, 1, 64, 64))
    assert [len(batch) for batch in net.get_iterator(table).batch_sampler] == [2500, 2500]
    assert max(len(batch) for batch in net.get_iterator(images).batch_sampler) == 120
