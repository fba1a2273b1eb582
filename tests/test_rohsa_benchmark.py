"""How the benchmark talks to ROHSA, with a stand-in for its binary."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# answers every pixel with one Gaussian: the first channel's value, channel 3 counted from 1, width 2
STAND_IN = """#!{python}
import re, sys
text = open(sys.argv[1]).read()
name = lambda key: re.search(key + r" = '(.*)'", text)[1]
assert "lambda_amp = 5.00000000d+00" in text and "noise = .true." in text and "n_gauss = 1" in text
lines = open(name("filename")).read().split("\\n")
n_v, n_y, n_x = map(int, lines[0].split())
assert open(name("filename_noise")).readline().split() == [str(n_y), str(n_x)]
with open(name("fileout"), "w") as out:
    out.write("# i, j, A, mean, sigma\\n")
    for line in lines[1 : 1 + n_y * n_x]:
        v, y, x, value = line.split()
        out.write(f"{{y}} {{x}} {{value}} 3.0 2.0\\n")
"""


@pytest.fixture
def rohsa(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import rohsa

    yield rohsa
    sys.modules.pop("rohsa")


def test_cube_goes_there_and_model_comes_back(rohsa, monkeypatch, tmp_path):
    program = tmp_path / "ROHSA"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("SKASTRO_ROHSA", str(program))
    assert rohsa.find_rohsa() == (str(program), None)
    cube = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    model, seconds = rohsa.run_rohsa(cube, np.ones((2, 3)), 1, (5.0, 6.0, 7.0))
    expected = cube[..., :1] * np.exp(-0.5 * ((np.arange(6) - 2) / 2.0) ** 2)
    assert model.shape == cube.shape and np.allclose(model, expected, atol=1e-6)
    assert seconds > 0


def test_why_rohsa_is_missing(rohsa, monkeypatch, tmp_path):
    monkeypatch.delenv("SKASTRO_ROHSA", raising=False)
    assert "SKASTRO_ROHSA is not set" in rohsa.find_rohsa()[1]
    monkeypatch.setenv("SKASTRO_ROHSA", str(tmp_path / "none"))
    assert "is no program" in rohsa.find_rohsa()[1]
