"""scikit-learn's own checks: over tables, and over images through an adapter."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from skastro.regression import MLP, ParamRegressor, ResNet

# A weight of two is not a row seen twice: scales are learnt from rows, and batches are drawn from them.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data"}
SMALL = ResNet(stem=(8,), widths=(8,), n_cells=10, n_summary=32, n_features=32)


def failures(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 50
    return {row["check_name"]: row["exception"] for row in results if row["status"] == "failed"}


@pytest.mark.parametrize("head", ["quantile", "gaussian"])
def test_every_check_passes_on_tables(head):
    model = ParamRegressor(
        MLP(hidden=(16,)), head=head, dtype="float64", max_epochs=60, lr=0.01, random_state=0
    )
    assert set(failures(model)) <= EXPECTED


class TableOfImages(ParamRegressor):
    """Rows of p numbers as images of 1 x p pixels."""

    def __init__(self, random_state=0):
        super().__init__(
            SMALL,
            dtype="float64",
            scaling="asinh",
            max_epochs=8,
            lr=0.01,
            random_state=random_state,
        )

    def fit(self, X, y, extra=None, sample_weight=None):
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        return super().fit(X[:, None, :], y, extra, sample_weight)

    def predict_distribution(self, X, extra=None, prior=None):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return super().predict_distribution(X[:, None, :], extra, prior)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def test_every_check_passes_on_images_through_an_adapter():
    assert set(failures(TableOfImages())) <= EXPECTED
