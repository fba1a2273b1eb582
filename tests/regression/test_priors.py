import numpy as np
import pytest

from skastro.regression.priors import prior_ratio, training_density

BOUNDS = np.array([[0.0, 1.0], [10.0, 20.0]])


def targets(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.beta(2, 1, n), rng.uniform(10, 20, n)], axis=1)


def test_the_density_of_training_targets():
    density = training_density(targets(), BOUNDS)
    y = np.array([[0.28, 12.0], [0.78, 18.0]])[:, None]
    np.testing.assert_allclose(density.pdf(y)[:, 0], [[0.56, 0.1], [1.56, 0.1]], rtol=0.2)


def test_the_ratio_of_a_prior_to_it():
    density = training_density(targets(), BOUNDS)
    y = np.array([[0.28, 12.0], [0.78, 18.0]])
    # uniform in the first
    ratio = prior_ratio(lambda y: 0.1 * np.ones(y.shape[:-1]), density, BOUNDS)
    np.testing.assert_allclose(ratio(y), [1 / 0.56, 1 / 1.56], rtol=0.2)
    drawn = prior_ratio(
        np.random.default_rng(1).uniform([0, 10], [1, 20], (4000, 2)), density, BOUNDS
    )
    np.testing.assert_allclose(drawn(y), [1 / 0.56, 1 / 1.56], rtol=0.3)
    assert (ratio(np.array([[1.5, 12.0]])) == 0).all()


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            np.zeros((3, 3)),
            r"prior has shape \(3, 3\); expected a callable, or finite draws \(m, 2\)",
        ),
        ([[np.nan, 1]], "expected a callable, or finite draws"),
        ([[5.0, 5.0]], "prior has no draw within the bounds"),
    ],
)
def test_wrong_draws(prior, message):
    with pytest.raises(ValueError, match=message):
        prior_ratio(prior, training_density(targets(), BOUNDS), BOUNDS)


def test_wrong_densities():
    density = training_density(targets(), BOUNDS)
    for wrong in (
        lambda y: -np.ones(y.shape[:-1]),
        lambda y: np.ones(3),
        lambda y: np.nan * y[..., 0],
    ):
        with pytest.raises(ValueError, match="prior gives values"):
            prior_ratio(wrong, density, BOUNDS)(targets(5))
