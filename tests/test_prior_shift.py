"""Prior shift against Bayes' rule, two Gaussians with known posteriors, and its invariants."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from skastro.prior_shift import correct_probabilities, shift_logits, subsampling_prior

APART = 4.0


def posterior(x, prior):
    """Exact, of N(APART, 1) among N(0, 1)."""
    one, zero = prior * stats.norm.pdf(x, APART), (1 - prior) * stats.norm.pdf(x)
    return one / (one + zero)


def test_exact_posterior_of_two_gaussians_at_a_prevalence_of_1e_5():
    x = np.linspace(-4, 12, 1001)
    balanced = APART * x - APART**2 / 2
    found = expit(shift_logits(balanced, 1e-5, 0.5))
    np.testing.assert_allclose(found, posterior(x, 1e-5), rtol=1e-10)
    np.testing.assert_allclose(
        correct_probabilities(expit(balanced), 1e-5, 0.5), found, rtol=1e-5, atol=1e-15
    )


def test_trained_at_equal_numbers_and_corrected_counts_the_positives():
    rng = np.random.default_rng(0)
    y = np.arange(200_000) % 2
    x = rng.normal(size=len(y)) + APART * y
    model = LogisticRegression(C=np.inf).fit(x[:, None], y)
    grid = np.linspace(-8, 14, 20_001)
    found = expit(shift_logits(model.decision_function(grid[:, None]), 1e-5, 0.5))
    # what the probabilities sum to over the population, without noise of draws
    density = 1e-5 * stats.norm.pdf(grid, APART) + (1 - 1e-5) * stats.norm.pdf(grid)
    assert trapezoid(found * density, grid) == pytest.approx(1e-5, rel=0.1)
    far = (grid > 2) & (grid < 7)
    np.testing.assert_allclose(found[far], posterior(grid, 1e-5)[far], rtol=0.2)


def test_down_sampling_is_a_factor_of_the_negatives():
    q, kept = np.linspace(0.01, 0.99, 50), 0.02
    # any prior of the population: training keeps that fraction of its negatives
    prior = 0.003
    training = prior / (prior + (1 - prior) * kept)
    expected = q / (q + (1 - q) / kept)
    np.testing.assert_allclose(correct_probabilities(q, prior, training), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_identity_and_composition(kind):
    rng = np.random.default_rng(0)
    z = 5 * rng.normal(size=(50, 3))
    if kind == "binary":
        a, b, c = 0.5, 1e-3, 0.2
    else:
        a, b, c = rng.dirichlet(np.ones(3), size=3)
    np.testing.assert_array_equal(shift_logits(z, a, a, kind=kind), z)
    once = shift_logits(z, c, a, kind=kind)
    twice = shift_logits(shift_logits(z, b, a, kind=kind), c, b, kind=kind)
    np.testing.assert_allclose(twice, once, atol=1e-12)
    assert once.dtype == np.float64 and once.shape == z.shape
    back = shift_logits(once, a, c, kind=kind)
    np.testing.assert_allclose(back, z, atol=1e-12)


def test_multiclass_is_bayes_rule():
    rng = np.random.default_rng(0)
    q, tau = rng.dirichlet(np.ones(4), size=30), rng.dirichlet(np.ones(4))
    prior = np.array([0.9, 0.1 - 1e-6, 1e-6, 0.0])
    expected = q * prior / tau
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(
        correct_probabilities(q, prior, tau, kind="multiclass"), expected, rtol=1e-10
    )
    images = np.moveaxis(np.log(q).reshape(2, 3, 5, 4), -1, 1) + rng.normal(size=(2, 1, 3, 5))
    found = correct_probabilities(images, prior, tau, kind="multiclass", axis=1, from_logits=True)
    np.testing.assert_allclose(np.moveaxis(found, 1, -1).reshape(30, 4), expected, rtol=1e-9)
    # two exclusive classes are one class and its absence
    pair = np.stack([1 - q[:, 0], q[:, 0]], axis=1)
    found = correct_probabilities(pair, [0.99, 0.01], [0.3, 0.7], kind="multiclass")
    np.testing.assert_allclose(found[:, 1], correct_probabilities(q[:, 0], 0.01, 0.7))


def test_priors_by_image_by_pixel_and_by_label():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 3, 4, 5))
    by_label, tau = np.array([1e-3, 0.2, 0.6]), np.array([0.5, 0.4, 0.3])
    found = shift_logits(z, by_label, tau, kind="multilabel", axis=1)
    for c in range(3):
        one = shift_logits(z[:, c], by_label[c], tau[c])
        np.testing.assert_array_equal(found[:, c], one)
    by_image = rng.uniform(0.01, 0.5, (2, 1, 1))
    found = shift_logits(z[:, 0], by_image, 0.5)
    np.testing.assert_allclose(found - z[:, 0], logit(by_image) + np.zeros((2, 4, 5)))
    by_pixel = rng.uniform(0.01, 0.5, (1, 3, 4, 5))
    found = shift_logits(z, by_pixel, tau, kind="multilabel", axis=1)
    expected = z + logit(by_pixel) - logit(tau)[:, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    shares = np.moveaxis(softmax(rng.normal(size=(4, 5, 3)), axis=-1), -1, 0)[None]
    found = softmax(shift_logits(z, shares, [0.2, 0.3, 0.5], kind="multiclass", axis=1), axis=1)
    expected = softmax(z, axis=1) * shares / np.array([0.2, 0.3, 0.5])[:, None, None]
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True))


def test_ranks_do_not_depend_on_the_prior():
    rng = np.random.default_rng(0)
    y = rng.uniform(size=500) < 0.1
    z = rng.normal(size=500) + y
    before = roc_auc_score(y, z)
    assert before == roc_auc_score(y, correct_probabilities(z, 1e-6, 0.5, from_logits=True))


def test_priors_of_0_and_1():
    z = np.array([-3.0, 0.0, 50.0])
    np.testing.assert_array_equal(correct_probabilities(z, 0, 0.5, from_logits=True), 0)
    np.testing.assert_array_equal(correct_probabilities(z, 1, 0.5, from_logits=True), 1)
    # by pixel: impossible in one place only
    found = correct_probabilities([0.3, 0.3], [0.0, 0.5], 0.5)
    np.testing.assert_allclose(found, [0, 0.3])
    # certain stays certain
    np.testing.assert_array_equal(correct_probabilities([0.0, 1.0], 0.01, 0.5), [0, 1])
    # a class that neither has
    found = correct_probabilities(
        [[0.4, 0.6, 0.0]], [0.4, 0.6, 0], [0.4, 0.6, 0], kind="multiclass"
    )
    np.testing.assert_allclose(found, [[0.4, 0.6, 0]])
    for prior, training, value in ((0.1, 0, 0), (0.9, 1, 1)):
        with pytest.raises(ValueError, match=f"training_prior is {value} where prior is {prior}"):
            shift_logits(z, prior, training)
    with pytest.raises(ValueError, match="prior is 0 for what 1 rows or pixels are certain"):
        correct_probabilities([0.5, 1.0], 0, 0.5)
    with pytest.raises(ValueError, match="prior is 0 for what 1 rows"):
        correct_probabilities([[1.0, 0.0]], [0, 1], [0.5, 0.5], kind="multiclass")


def test_effective_prior_of_weights_and_sampling():
    rng = np.random.default_rng(0)
    y = rng.uniform(size=1000) < 0.1
    duplicated = np.concatenate([y, np.ones(4 * y.sum())])
    weighted = subsampling_prior(y, sample_weight=np.where(y, 5, 1))
    assert weighted == subsampling_prior(duplicated)
    assert subsampling_prior(y, kept=[0.2, 1.0]) == pytest.approx(weighted, rel=1e-12)
    # hard negatives kept with a probability, weighted by its inverse, are as if all were there
    keep = np.where(y, 1.0, rng.uniform(0.1, 1, 1000))
    drawn = rng.uniform(size=1000) < keep
    found = subsampling_prior(y[drawn], sample_weight=1 / keep[drawn])
    assert found == pytest.approx(y.mean(), rel=0.1)
    labels = rng.integers(0, 3, (4, 6, 6))
    found = subsampling_prior(labels, kept=[0.1, 1, 1], kind="multiclass")
    counts = np.bincount(labels.ravel()) * [0.1, 1, 1]
    np.testing.assert_allclose(found, counts / counts.sum())
    padded = subsampling_prior(labels, kind="multiclass", n_classes=5)
    assert padded.shape == (5,) and padded[3:].sum() == 0
    # several labels, one of them without pixels in the first image
    masks = rng.uniform(size=(2, 3, 8, 8)) < 0.3
    use = np.ones((2, 3, 1, 1))
    use[0, 1] = 0
    found = subsampling_prior(masks, use, kind="multilabel", axis=1)
    expected = [masks[:, 0].mean(), masks[1, 1].mean(), masks[:, 2].mean()]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (([0.0], 0.1, 0.5), {"kind": "other"}, "kind='other'; expected one of binary"),
        (([np.nan], 0.1, 0.5), {}, "logits has 1 NaN"),
        (([], 0.1, 0.5), {}, r"logits has shape \(0,\)"),
        (([0.0], 1.1, 0.5), {}, "prior has values from 1.1 to 1.1; expected 0 to 1"),
        (([0.0], np.nan, 0.5), {}, "prior has 1 NaN"),
        (([0.0], 0.1, [0.5, 0.5]), {}, r"training_prior has shape \(2,\); expected one that"),
        (([[0.0, 1.0]], [0.3, 0.6], [0.5, 0.5]), {"kind": "multiclass"}, "prior sums to 0.9"),
        (([[0.0, 1.0]], [0.4, 0.6], [0.5, 0.4]), {"kind": "multiclass"}, "training_prior sums"),
        (([[0.0, 1.0]], 0.4, [0.5, 0.5]), {"kind": "multiclass"}, r"prior has shape \(\)"),
        (([[0.0, np.inf]], [0.4, 0.6], [0.5, 0.5]), {"kind": "multiclass"}, "has infinity"),
        (([[0.0, 1.0]], [0.4, 0.6], 0.5), {"kind": "multilabel", "axis": 2}, "axis 2 of classes"),
    ],
)
def test_bad_input(arguments, options, match):
    with pytest.raises(ValueError, match=match) as caught:
        shift_logits(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_bad_probabilities_and_labels():
    with pytest.raises(ValueError, match="proba has values from -1 to 0.5"):
        correct_probabilities([-1.0, 0.5], 0.1, 0.5)
    with pytest.raises(ValueError, match="proba sums to 0.9 over the classes"):
        correct_probabilities([[0.3, 0.6]], [0.5, 0.5], [0.5, 0.5], kind="multiclass")
    with pytest.raises(ValueError, match="y has values from 0 to 2; expected whole numbers from 0"):
        subsampling_prior([0, 2])
    with pytest.raises(ValueError, match="y has values from 0.5"):
        subsampling_prior([0.5, 1])
    with pytest.raises(ValueError, match=r"kept has shape \(3,\); expected \(2,\)"):
        subsampling_prior([0, 1], kept=[1, 1, 1])
    with pytest.raises(ValueError, match="leave no row"):
        subsampling_prior([0, 0], kept=[0, 1])


def test_logits_keep_what_probabilities_lose():
    z = np.array([30.0, 60.0])
    found = shift_logits(z.astype(np.float32), 1e-6, 0.5)
    np.testing.assert_allclose(found, z + logit(1e-6), rtol=1e-12)
    mixed = log_softmax(np.stack([np.zeros(2), z], 1), axis=1)
    moved = shift_logits(mixed, [1 - 1e-6, 1e-6], [0.5, 0.5], kind="multiclass")
    np.testing.assert_allclose(moved[:, 1] - moved[:, 0], found, rtol=1e-12)
