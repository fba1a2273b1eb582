"""Fixtures of all tests."""

import os
import sys

# The workers of pytest-xdist share the cores: one thread each, said before NumPy and torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


def smooth(X):
    """Three outputs over twenty decades, in linear units."""
    a, b, c = X.T
    return 10.0 ** np.stack([3 * a + b * c, 10 * np.sin(a) - 5 * b, -8 + np.exp(b / 2) * c], axis=1)


@pytest.fixture(scope="session")
def smooth_grid():
    """Nodes, their outputs, points between the nodes, and the outputs there."""
    axes = np.linspace(0, 1, 7), np.array([0.0, 0.1, 0.3, 0.6, 0.8, 1.0]), np.array([0.0, 1.0])
    X = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    inside = rng.random((50, 3)) * 0.9 + 0.05
    # an axis of two nodes is a category: nothing lies between
    inside[:, 2] = inside[:, 2].round()
    return X, smooth(X), inside, smooth(inside)


@pytest.fixture(autouse=True)
def close_figures():
    """No test leaves a figure open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
