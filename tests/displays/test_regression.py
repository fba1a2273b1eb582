"""The picture of a comparison of regressors."""

import numpy as np
import pytest
from known_regressor import Known

from skastro.compare import compare
from skastro.regression.comparison import TASK

pytest.importorskip("matplotlib")


def test_the_picture_shows_every_method():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(200, 4))
    bunch = {"data": y, "target": y, "target_names": ["a", "b", "c", "d"]}
    found = compare({"good": Known(0.2), "bad": Known(0.9)}, bunch, task=TASK, progress=False)
    left, right = found.plot().axes[:2]
    assert [label.get_text() for label in left.get_yticklabels()] == ["bad", "good"]
    assert right.get_title() == "good"
