"""The command, as it is typed; with small methods, since the real ones take a minute."""

import csv
import subprocess
import sys
from dataclasses import replace

import matplotlib.image
import pytest

from skastro import cli
from skastro.emulation import comparison
from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor


@pytest.fixture
def small(monkeypatch):
    calls = []

    def estimators(random_state=0, quick=False):
        calls.append((random_state, quick))
        return {"nearest": NearestModelRegressor(), "cubic": RBFInterpolationRegressor()}

    monkeypatch.setattr(comparison, "TASK", replace(comparison.TASK, estimators=estimators))
    return calls


def test_compare_writes_a_table_and_a_picture(small, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    code = cli.main(
        ["compare", "emulation", "--output", str(folder), "--random-state", "5", "--quick"]
    )
    out, err = capsys.readouterr()
    assert code == 0 and small == [(5, True)]
    assert "nearest" in out and f"wrote {folder / 'emulation.csv'}" in out
    with (folder / "emulation.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["method"] for row in rows] == ["nearest", "cubic"]
    assert 0.005 < float(rows[1]["median"]) < 0.02 < float(rows[0]["median"])
    picture = matplotlib.image.imread(folder / "emulation.png")
    assert picture.shape[1] > 1000 and picture[..., :3].std() > 0.05
    assert sorted(p.name for p in folder.iterdir()) == ["emulation.csv", "emulation.png"]


def test_compare_of_several_data_sets(tmp_path, monkeypatch, capsys):
    from skastro.scattering import comparison as maps

    methods = {"moments": maps.default_estimators()["moments"]}
    task = replace(
        maps.TASK,
        load=lambda: maps.load_maps(sizes=(10, 20), n_test=30),
        estimators=lambda random_state=0, quick=False: methods,
    )
    monkeypatch.setattr(maps, "TASK", task)
    assert cli.main(["compare", "scattering", "--output", str(tmp_path), "--quick"]) == 0
    out = capsys.readouterr().out
    assert "scattering: kind of field, 20 maps to fit, 30 others to score: fraction wrong" in out
    with (tmp_path / "scattering.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["maps"] for row in rows] == [
        "intermittency, 10 maps", "intermittency, 20 maps", "kind of field, 10 maps",
        "kind of field, 20 maps",
    ]  # fmt: skip
    assert all(0 < float(row["test_error"]) < 5 for row in rows)
    assert matplotlib.image.imread(tmp_path / "scattering.png").shape[1] > 1000


def test_without_picture_matplotlib_is_not_needed(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["compare", "emulation", "--output", str(tmp_path), "--no-plot"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["emulation.csv"]


def test_without_matplotlib_it_says_so_before_the_work(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["compare", "emulation", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "skastro: Pictures need matplotlib, which is not installed: pip install 'skastro[plot]'\n"
    )
    assert small == []


def test_a_failed_method_is_reported(tmp_path, monkeypatch, capsys):
    broken = {
        "broken": RBFInterpolationRegressor(kernel="sinc"),
        "nearest": NearestModelRegressor(),
    }
    task = replace(comparison.TASK, estimators=lambda **_: broken)
    monkeypatch.setattr(comparison, "TASK", task)
    assert cli.main(["compare", "emulation", "--output", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "broken failed: ValueError: kernel='sinc'" in out
    assert err.splitlines()[-1] == "skastro: 1 method(s) failed: broken"
    assert (tmp_path / "emulation.png").exists()


def test_interrupt(small, tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skastro.compare.compare", interrupted)
    assert cli.main(["compare", "emulation", "--output", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "skastro: interrupted\n"


def test_user_mistakes_are_one_line_and_no_traceback(tmp_path, capsys):
    assert cli.main(["compare", "cooking"]) == 2
    assert capsys.readouterr().err == (
        "skastro: task='cooking'; expected one of ['denoising', 'emulation', 'regression', 'scattering', "
        "'segmentation', 'separation'].\n"
    )
    (tmp_path / "file").write_text("")
    assert cli.main(["compare", "emulation", "--output", str(tmp_path / "file")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("skastro: ") and err.count("\n") == 1 and "file" in err
    for arguments in (["compare", "emulation", "--random-state", "-1"], ["compare"], ["cook"], []):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("skastro") and err.count("\n") == 1


def test_module_runs_and_help_is_fast_to_import():
    code = (
        "import sys; from skastro.cli import _parser; _parser().format_help();"
        "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    done = subprocess.run(
        [sys.executable, "-m", "skastro", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("skastro ")
