"""Priors by EM against known ones, a maximum found by scipy, and the scatter of fresh draws."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from skastro.prior_estimate import estimate_prior

APART = 4.0


def frames(prior, n_frames=20, side=60, seed=0, scatter=0.0):
    """Logits at equal priors of frames of pixels, N(APART, 1) among N(0, 1)."""
    rng = np.random.default_rng(seed)
    by_frame = prior * np.exp(scatter * rng.normal(size=(n_frames, 1, 1)))
    y = rng.uniform(size=(n_frames, side, side)) < by_frame
    return APART * (rng.normal(size=y.shape) + APART * y) - APART**2 / 2, y


def test_em_finds_the_largest_likelihood():
    z, _ = frames(0.004)
    found = estimate_prior(z, 0.5, from_logits=True, n_bootstrap=0)
    q = expit(z.ravel())
    peak = minimize_scalar(
        lambda t: -np.log(expit(t) * 2 * q + expit(-t) * 2 * (1 - q)).sum(),
        bounds=(-12, 0), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    assert found.converged and found.prior == pytest.approx(expit(peak.x), rel=1e-4)
    assert np.isnan(found.error)
    # from another prior of training, and from probabilities
    again = estimate_prior(expit(z + np.log(0.1 / 0.9)), 0.1, n_bootstrap=0)
    assert again.prior == pytest.approx(found.prior, rel=1e-4)


def test_the_error_is_the_scatter_of_fresh_draws():
    truth = 0.01
    found = [
        estimate_prior(frames(truth, side=40, seed=i)[0], 0.5, from_logits=True, random_state=0)
        for i in range(12)
    ]
    priors, errors = (np.array(one) for one in list(zip(*found, strict=True))[:2])
    pull = (priors - truth) / errors
    assert abs(pull.mean()) < 3 / np.sqrt(12) and 0.5 < pull.std() < 1.6
    # frames that differ are seen by the bootstrap of frames
    z, _ = frames(truth, scatter=1.0)
    by_frame = estimate_prior(z, 0.5, from_logits=True, random_state=0)
    by_pixel = estimate_prior(z.reshape(-1), 0.5, from_logits=True, random_state=0)
    assert by_frame.prior == pytest.approx(by_pixel.prior)
    assert by_frame.error > 2 * by_pixel.error
    pairs = estimate_prior(z, 0.5, from_logits=True, groups=np.arange(20) // 2, random_state=0)
    assert pairs.prior == by_frame.prior and pairs.error != by_frame.error


def test_exclusive_classes_and_labels():
    rng = np.random.default_rng(0)
    truth = np.array([0.9, 0.08, 0.02])
    c = rng.choice(3, p=truth, size=(10, 40, 40))
    means = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    x = means[c] + rng.normal(size=c.shape + (2,))
    logits = -0.5 * np.square(x[..., None, :] - means).sum(-1)
    tau = np.array([0.2, 0.3, 0.5])
    images = np.moveaxis(logits + np.log(tau), -1, 1)
    found = estimate_prior(images, tau, kind="multiclass", axis=1, from_logits=True, random_state=0)
    assert found.prior.sum() == pytest.approx(1)
    assert (np.abs(found.prior - truth) < 4 * found.error).all() and (found.error < 0.01).all()
    np.testing.assert_allclose(found.expected, found.prior * c.size)
    z = np.stack([frames(p, side=40, seed=i)[0] for i, p in enumerate((0.01, 0.1))], axis=1)
    labels = estimate_prior(z, 0.5, kind="multilabel", axis=1, from_logits=True, n_bootstrap=0)
    for i in range(2):
        alone = estimate_prior(z[:, i], 0.5, from_logits=True, n_bootstrap=0)
        assert labels.prior[i] == pytest.approx(alone.prior)


def test_certain_rows_are_counted():
    certain = np.repeat([1.0, 0.0], [40, 160])
    found = estimate_prior(certain, 0.5, random_state=0, n_bootstrap=400)
    assert found.prior == pytest.approx(0.2) and found.converged
    # of a binomial
    assert found.error == pytest.approx(np.sqrt(0.2 * 0.8 / 200), rel=0.15)
    three = np.eye(3)[np.repeat([0, 1, 2], [40, 60, 100])]
    found = estimate_prior(three, [0.2, 0.5, 0.3], kind="multiclass", random_state=0)
    np.testing.assert_allclose(found.prior, [0.2, 0.3, 0.5])
    # a single frame has no scatter
    z, _ = frames(0.01, n_frames=1, side=100)
    assert np.isnan(estimate_prior(z, 0.5, from_logits=True, random_state=0).error)


def test_few_positives_warn_and_draws_are_fixed():
    z, _ = frames(1e-4)
    with pytest.warns(UserWarning, match="rows are expected in a class: below 30"):
        found = estimate_prior(z, 0.5, from_logits=True, random_state=0)
    assert 0 < found.prior < 5e-4
    z, y = frames(0.01)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (estimate_prior(z, 0.5, from_logits=True, random_state=1) for _ in range(2))
    assert first == second
    estimate_prior(z, 0.5, from_logits=True, n_bootstrap=2)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    with pytest.warns(UserWarning, match="no convergence in max_iter=1"):
        estimate_prior(z, 0.5, from_logits=True, n_bootstrap=0, max_iter=1)
    # nothing of the class is there
    with pytest.warns(UserWarning, match="rows are expected"):
        none = estimate_prior(z[~y], 0.5, from_logits=True, n_bootstrap=0)
    assert none.prior < 1e-4 and none.converged


@pytest.mark.parametrize(
    ("proba", "prior", "options", "match"),
    [
        ([0.5, np.nan], 0.5, {}, "proba has 1 NaN"),
        ([], 0.5, {}, r"proba has shape \(0,\)"),
        ([0.5, 2.0], 0.5, {}, "proba has values from 0.5 to 2"),
        ([0.5, 0.6], 0.0, {}, "training_prior has values from 0 to 0; expected between 0 and 1"),
        ([0.5, 0.6], 1.0, {}, "training_prior has values from 1 to 1"),
        ([0.5, 0.6], [0.5, 0.5], {}, r"training_prior has shape \(2,\); expected \(1,\)"),
        ([0.5, 0.6], 0.5, {"groups": [1]}, r"groups has shape \(1,\); expected \(2,\)"),
        ([0.5, 0.6], 0.5, {"kind": "both"}, "kind='both'"),
        ([0.5, 0.6], 0.5, {"tol": 0}, "tol=0"),
        ([[0.4, 0.6]], [0.5, 0.6], {"kind": "multiclass"}, "training_prior sums to 1.1"),
        ([[0.4, 0.6]], [0.5, 0.5], {"kind": "multiclass", "axis": 3}, "an axis 3 of classes"),
    ],
)
def test_bad_input(proba, prior, options, match):
    with pytest.raises(ValueError, match=match):
        estimate_prior(proba, prior, **options)
