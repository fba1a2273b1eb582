"""What the files around the code say agrees with the code."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import skastro

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PUBLIC = [
    "emulation", "emulation.baselines", "denoising", "denoising.baselines", "metrics", "cube_metrics",
    "datasets", "compare", "displays", "io", "field_metrics", "scattering", "scattering.baselines",
    "separation", "separation_metrics", "separation.baselines", "density", "ranks", "distributions",
    "distribution_metrics", "photoz_metrics", "regression", "regression.baselines", "prior_shift",
    "prior_estimate", "thresholds", "probability_maps", "reliability", "reliability_metrics",
    "proper_scores", "segmentation", "segmentation.baselines", "segmentation_metrics",
]  # fmt: skip


def test_one_version():
    version = PYPROJECT["project"]["version"]
    # "0+unknown": a source tree that was never installed
    assert skastro.__version__ in (version, "0+unknown")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n{version} (" in (ROOT / "CHANGES.md").read_text()


def test_constraints_pin_every_direct_dependency():
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), flags=re.M)
    pinned = {name.lower().replace("_", "-") for name in pins}
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = PYPROJECT["project"]["dependencies"]
    for extra in ("plot", "save", "test", "docs", "dev"):
        wanted = wanted + extras[extra]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in wanted}
    assert names <= pinned


def test_ci_runs_one_command_of_the_readme():
    commands = re.findall(r"^python3\.11 -m venv .*$", (ROOT / "README.md").read_text(), flags=re.M)
    assert [("pytest" in c, "skastro compare emulation" in c) for c in commands] == [
        (False, True),
        (True, False),
    ]
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_in_the_api_page(module):
    page = (ROOT / "docs" / "api.rst").read_text()
    names = importlib.import_module(f"skastro.{module}").__all__
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []
