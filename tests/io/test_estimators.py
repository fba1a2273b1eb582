"""Saving and loading: the same predictions, nothing half written, nothing of strangers run."""

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skastro import io
from skastro.emulation import DenseNetwork, ModelEmulator, PlainNetwork

X = np.random.default_rng(0).uniform(1.0, 2.0, (60, 2))
Y = np.column_stack([np.exp(X[:, 0]), X[:, 0] * X[:, 1], 1 + X[:, 1]])


def emulator(**parameters):
    settings = dict(kriging=False, n_members=1, hidden=(8, 8), max_epochs=2, random_state=0)
    return ModelEmulator(**settings | parameters)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fitted.skops"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"kriging": True, "n_members": 2},
        {"n_clusters": 2, "output_rank": 1},
        {"network": PlainNetwork((8,), activation="tanh"), "log_targets": "asinh"},
        {"network": DenseNetwork((8,)), "polynomial_degree": 2, "dtype": "float64"},
        {"anomalies": "downweight", "extrapolation": "hull", "validation_fraction": 0.2},
    ],
    ids=str,
)
def test_an_emulator_comes_back(path, parameters):
    fitted = emulator(**parameters).fit(X, Y)
    io.save(fitted, path)
    loaded = io.load(path)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(loaded.jacobian(X[:3]), fitted.jacobian(X[:3]))
    assert repr(loaded) == repr(fitted) and loaded.history_ == fitted.history_
    np.testing.assert_array_equal(loaded.extrapolating(X + 0.3), fitted.extrapolating(X + 0.3))


def test_a_pipeline_comes_back(path):
    fitted = make_pipeline(StandardScaler(), emulator()).fit(X, Y)
    io.save(fitted, str(path))
    loaded = io.load(str(path))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert list(loaded.named_steps) == ["standardscaler", "modelemulator"]


def test_an_unfitted_estimator_comes_back(path):
    io.save(emulator(lr=0.5), path)
    loaded = io.load(path)
    assert loaded.lr == 0.5 and not hasattr(loaded, "net_")


def test_a_loaded_emulator_trains_on(path):
    io.save(emulator(warm_start=True).fit(X, Y), path)
    loaded = io.load(path)
    assert loaded.fit(X, Y).n_iter_ == 4


def test_a_failing_dump_leaves_the_old_file(path, monkeypatch):
    io.save(LinearRegression(), path)
    before = path.read_bytes()

    def broken(estimator, file):
        Path(file).write_bytes(b"half of it")
        raise RuntimeError("disk full")

    monkeypatch.setattr(skops.io, "dump", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        io.save(LinearRegression(), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_network_that_cannot_be_written_leaves_nothing(path):
    with pytest.raises(TypeError, match="generator"):
        io.save(emulator(network=(x for x in ())), path)
    assert os.listdir(path.parent) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.save(LinearRegression(), tmp_path / "none" / "a.skops")
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "none.skops")


def test_strange_types_are_refused_unless_trusted(path):
    io.save(FunctionTransformer(os.path.basename), path)
    name = f"{os.path.__name__}.basename"
    with pytest.raises(
        ValueError, match=f"contains .*{name}.*; expected types of skastro, or names"
    ):
        io.load(path)
    with pytest.raises(ValueError, match=name):
        io.load(path, trusted=["another.type"])
    assert io.load(path, trusted=[name]).func is os.path.basename


def rewrite(path, change):
    """Replace the description of the types in a file."""
    with zipfile.ZipFile(path) as stream:
        parts = {name: stream.read(name) for name in stream.namelist()}
    parts["schema.json"] = json.dumps(change(json.loads(parts["schema.json"])))
    with zipfile.ZipFile(path, "w") as stream:
        for name, content in parts.items():
            stream.writestr(name, content)


def test_a_file_cannot_call_a_function_of_skastro(path, tmp_path):
    victim = tmp_path / "precious"
    victim.write_text("old")
    skops.io.dump((LinearRegression(), str(victim)), path)

    def call(schema):
        versions = {key: schema[key] for key in ("protocol", "_skops_version")}
        return versions | {
            "__class__": "save", "__module__": "skastro.io", "__id__": 999,
            "__loader__": "ConstructorFromReduceNode", "content": schema,
        }  # fmt: skip

    rewrite(path, call)
    with pytest.raises(ValueError, match=r"contains .*skastro\.io\.save.*; expected"):
        io.load(path)
    assert victim.read_text() == "old"


def test_a_name_that_only_begins_like_ours_is_refused(path, tmp_path, monkeypatch):
    (tmp_path / "skastro_of_strangers.py").write_text("class LinearRegression: pass")
    monkeypatch.syspath_prepend(tmp_path)
    io.save(LinearRegression(), path)
    rewrite(path, lambda schema: schema | {"__module__": "skastro_of_strangers"})
    with pytest.raises(ValueError, match="contains .*skastro_of_strangers"):
        io.load(path)
    # not even imported
    assert "skastro_of_strangers" not in sys.modules


class Creates:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["pickle", "text", "empty", "zip"])
def test_other_files_are_refused(path, tmp_path, kind):
    trace = tmp_path / "trace"
    if kind == "zip":
        np.savez(path.open("wb"), a=np.ones(2))
    else:
        content = {"pickle": pickle.dumps(Creates(trace)), "text": b"hello", "empty": b""}
        path.write_bytes(content[kind])
    with pytest.raises(ValueError, match="fitted.skops is not a file written by skastro.io.save"):
        io.load(path)
    assert not trace.exists()


def test_a_cut_file_is_refused(path):
    io.save(LinearRegression().fit(X, Y), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a file written by"):
        io.load(path)


def test_without_skops_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for action in (lambda: io.save(LinearRegression(), path), lambda: io.load(path)):
        with pytest.raises(ImportError, match=r"needs skops: pip install 'skastro\[save\]'"):
            action()
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("kind", ["local function", "lambda"])
def test_what_has_no_name_is_refused_when_saving(tmp_path, kind):
    X = np.linspace(1.0, 2.0, 40)[:, None]

    def local(n_features, n_outputs):
        return torch.nn.Linear(n_features, n_outputs)

    network = (
        local
        if kind == "local function"
        else lambda n_features, n_outputs: torch.nn.Linear(n_features, n_outputs)
    )
    model = ModelEmulator(network=network, max_epochs=1, random_state=0).fit(X, X)
    with pytest.raises(ValueError, match="which no file can bring back"):
        io.save(model, tmp_path / "a.skops")
    assert not list(tmp_path.iterdir())
