"""The registry of tasks."""

import subprocess
import sys

import pytest

from skastro.tasks import TASKS, Task, get_task


def test_the_registry_imports_no_task_before_it_is_asked():
    code = (
        "import sys, skastro.compare;"
        "print([m for m in sys.modules if 'skastro.emul' in m or 'skastro.denoising' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_complete(name):
    task = get_task(name)
    assert isinstance(task, Task) and task.name == name and get_task(task) is task
    split = task.split(task.load(), 0.2, 0)
    for one in split.values() if isinstance(split, dict) else [split]:
        assert len(one.X_test) == len(one.Y_test) and one.summary
    for quick in (False, True):
        methods = task.estimators(random_state=3, quick=quick)
        assert len(methods) > 1
        assert all(hasattr(method, "fit") for method in methods.values())
    assert task.summarise is not None or task.score is not None
    for heading, show in task.columns.values():
        assert isinstance(heading, str) and isinstance(show(0.5), str)


def test_unknown_task():
    with pytest.raises(
        ValueError,
        match=r"task='cooking'; expected one of \['denoising', 'emulation', 'regression', 'scattering', "
        r"'segmentation', 'separation'\]",
    ):
        get_task("cooking")
