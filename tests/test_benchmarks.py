"""The benchmarks start, and what they share works; their figures are not judged here."""

import csv
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(p.name for p in BENCHMARKS.glob("*.py") if "ArgumentParser" in p.read_text())

ECHO = """
import json, sys
import numpy as np
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "double":
        x = np.load(request["folder"] + "/in.npz")["x"]
        np.savez(request["folder"] + "/out.npz", y=2 * x)
    print(json.dumps({"wrote": request["do"] == "double", "seen": request["do"]}), flush=True)
"""


@pytest.fixture
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield
    for name in ("peers", "records", "emulation_speed"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_explain_themselves(script, on_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    assert end.value.code == 0
    assert "usage" in capsys.readouterr().out
    assert f"benchmarks/{script}" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_peers_are_pinned(on_path):
    import peers

    assert peers._pinned("torch").startswith("torch==")
    assert peers._pinned("nnbma==1.0.2") == "nnbma==1.0.2"


def test_an_environment_is_installed_once_its_versions_are_written(on_path, monkeypatch, tmp_path):
    import peers

    monkeypatch.setenv("SKASTRO_PEERS", str(tmp_path))
    assert not peers.installed("nnbma")
    (tmp_path / "nnbma").mkdir()
    (tmp_path / "nnbma" / "installed.txt").write_text("nnbma==0.1\n")
    assert not peers.installed("nnbma")
    (tmp_path / "nnbma" / "installed.txt").write_text(peers._wanted("nnbma"))
    assert peers.installed("nnbma")
    assert str(peers.environment("nnbma")).startswith(str(tmp_path / "nnbma"))


def test_worker_answers_with_arrays_and_its_end_is_seen(on_path, monkeypatch, tmp_path):
    import peers

    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    monkeypatch.setattr(peers, "environment", lambda name: sys.executable)
    with peers.Worker(script, "nnbma", threads=1) as worker:
        found = worker.ask("double", {"x": np.arange(3)})
        assert found["arrays"]["y"].tolist() == [0, 2, 4]
        assert worker.ask("nothing") == {"seen": "nothing"}
    script.write_text("raise SystemExit(3)")
    with peers.Worker(script, "nnbma", threads=1) as worker:
        with pytest.raises(RuntimeError, match="ended with code 3"):
            worker.ask("double", {"x": np.arange(3)})


def test_csv_says_on_which_machine(on_path, tmp_path):
    import records

    records.write_csv(tmp_path / "a.csv", [{"x": 1 / 3, "y": "b"}], threads=1)
    with open(tmp_path / "a.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["x"], row["y"], row["threads"]) == ("0.33333", "b", "1")
    assert "torch " in row["versions"] and "cores" in row["machine"]


def test_jacobian_check_tells_right_from_wrong(on_path):
    from emulation_speed import jacobian_error

    X = np.random.default_rng(0).uniform(1.0, 2.0, (20, 2))

    def emulator(factor):
        return SimpleNamespace(
            predict=lambda X: np.exp(X[:, :1] * X[:, 1:]),
            jacobian=lambda X: factor * (np.exp(X[:, :1] * X[:, 1:]) * X[:, ::-1])[:, None],
        )

    assert jacobian_error(emulator(1.0), X) < 1e-9
    assert jacobian_error(emulator(1.001), X) == pytest.approx(1e-3, rel=0.01)


def test_public_separations_are_those_of_pywph_and_descend(on_path):
    from peers import Worker, installed

    if not installed("scattering"):
        pytest.skip("the environment of the peers is not installed")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] / 32 * 2 * np.pi
    signal = np.cos(x + np.sin(y)) * 2**0.5
    noise = rng.normal(size=(5, 32, 32))
    given = {"mixture": signal + noise[0], "samples": noise[1:]}
    size = {"shape": [32, 32], "n_scales": 3, "n_orientations": 4}
    with Worker("separation_worker.py", "scattering", threads=1) as worker:
        maps = []
        for products in (False, True):
            worker.ask("build", products=products, **size)
            assert worker.ask("check", {"mixture": given["mixture"]})["difference"] < 1e-5
            answer = worker.ask("direct", given, max_iter=10)
            maps.append(answer["arrays"]["signal"])
            assert answer["losses"][-1] < 0.1 * answer["losses"][0]
        schedule = [[True, 10], [False, 10]]
        answer = worker.ask("eras", given, schedule=schedule, n_rings=6)
        assert all(one[-1] < one[0] for one in answer["losses"])
        maps.append(answer["arrays"]["signal"])
    assert maps[0] == pytest.approx(maps[1], abs=1e-2)
    for found in maps:
        assert np.std(found - signal) < 0.9 * np.std(noise[0])
