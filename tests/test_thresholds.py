"""Thresholds of every policy against brute force over all of them, counted at the prior."""

import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import matthews_corrcoef

from skastro.prior_shift import shift_logits
from skastro.thresholds import POLICIES, find_threshold

PRIOR = 0.01


def case(n=600, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    y = rng.uniform(size=n) < 0.4
    p = expit(1.5 * rng.normal(size=n) + 3 * y - 2)
    # ties, as float16 or boxes would give
    p = np.round(p, 2) if ties else p
    return y, p, rng.uniform(0.5, 2, size=n)


def brute(y, p, weight, prior):
    """Threshold, TPR, FPR of every cut from the highest, and the share of each outcome at the prior."""
    cuts = np.append(np.inf, np.unique(p)[::-1])
    tpr = np.array([np.average(p[y] >= t, weights=weight[y]) for t in cuts])
    fpr = np.array([np.average(p[~y] >= t, weights=weight[~y]) for t in cuts])
    outcomes = prior * tpr, (1 - prior) * fpr, prior * (1 - tpr), (1 - prior) * (1 - fpr)
    return cuts, tpr, fpr, outcomes


def expected(policy, level, cuts, tpr, fpr, outcomes):
    tp, fp, fn, tn = outcomes
    with np.errstate(invalid="ignore", divide="ignore"):
        if policy == "mcc":
            value = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
            return cuts[np.nanargmax(value)]
        if policy == "fbeta":
            b = level**2
            return cuts[np.argmax((1 + b) * tp / ((1 + b) * tp + b * fn + fp))]
        if policy == "fdr":
            return min(t for t, f in zip(cuts, fp / (tp + fp), strict=True) if not f > level)
    if policy == "completeness":
        return max(t for t, r in zip(cuts, tpr, strict=True) if r >= level)
    return min(t for t, r in zip(cuts, fpr, strict=True) if r <= level)


@pytest.mark.filterwarnings("ignore:no false positive is seen")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prior", [None, PRIOR])
@pytest.mark.parametrize(
    ("policy", "level"),
    [("mcc", None), ("fbeta", 1.0), ("fbeta", 2.0), ("fdr", 0.1), ("fdr", 0.01), ("fdr", 0.0),
     ("completeness", 0.9), ("completeness", 1.0), ("fpr", 0.1), ("fpr", 0.011), ("fpr", 1.0)],
)  # fmt: skip
def test_policies_are_brute_force_over_all_thresholds(policy, level, prior, weighted):
    y, p, weight = case()
    weight = weight if weighted else np.ones(len(y))
    at = np.average(y, weights=weight) if prior is None else prior
    cuts, tpr, fpr, outcomes = brute(y, p, weight, at)
    found = find_threshold(
        y, p, policy, level=level, prior=prior, sample_weight=weight if weighted else None
    )
    assert found.threshold == expected(policy, level, cuts, tpr, fpr, outcomes)
    i = np.flatnonzero(cuts == found.threshold)[0]
    assert found.tpr == pytest.approx(tpr[i]) and found.fpr == pytest.approx(fpr[i])
    accepted = outcomes[0][i] + outcomes[1][i]
    if accepted > 0:
        assert found.precision == pytest.approx(outcomes[0][i] / accepted)
    else:
        assert np.isnan(found.precision)


def test_mcc_at_the_prior_of_the_rows_is_scikit_learns():
    y, p, _ = case(n=100, ties=False)
    found = find_threshold(y, p)
    best = max(matthews_corrcoef(y, p >= t) for t in p)
    assert matthews_corrcoef(y, p >= found.threshold) == pytest.approx(best)


def test_fixed_and_cost_are_as_given():
    y, p, _ = case()
    assert find_threshold(y, p, "fixed").threshold == 0.5
    found = find_threshold(y, p, "fixed", level=0.123, prior=PRIOR)
    assert found.threshold == 0.123
    assert found.tpr == pytest.approx((p[y] >= 0.123).mean())
    assert found.fpr == pytest.approx((p[~y] >= 0.123).mean())
    assert find_threshold(y, p, "cost").threshold == 0.5
    assert find_threshold(y, p, "cost", level=1 / 9).threshold == pytest.approx(0.1)
    above = find_threshold(y, 0.5 * p, "fixed", level=0.9)
    assert above.tpr == above.fpr == 0 and np.isnan(above.precision)


def test_cost_is_least_at_its_threshold_for_calibrated_probabilities():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=400_000) ** 2
    y = rng.uniform(size=len(p)) < p
    cost = 0.25
    cuts = np.linspace(0.05, 0.9, 86)
    spent = [cost * ((p >= t) & ~y).sum() + ((p < t) & y).sum() for t in cuts]
    assert cuts[np.argmin(spent)] == pytest.approx(
        find_threshold(y, p, "cost", level=cost).threshold, abs=0.03
    )


def test_false_count_is_a_rate():
    y, p, _ = case()
    rate = find_threshold(y, p, "fpr", level=0.05)
    assert find_threshold(y, p, "false_count", level=5, frame_size=100) == rate
    frames = y.reshape(6, 10, 10), p.reshape(6, 10, 10)
    assert find_threshold(*frames, "false_count", level=5, frame_size=100) == rate


def test_limit_where_no_false_positive_is_seen():
    y, p = np.repeat([0, 1], [300, 20]), np.repeat([0.1, 0.9], [300, 20])
    with pytest.warns(
        UserWarning, match="rate is below 0.01 .95 %., which does not show that it is below 1e-05"
    ):
        found = find_threshold(y, p, "fpr", level=1e-5)
    assert found.threshold == 0.9 and found.fpr == 0 and found.fpr_limit == pytest.approx(0.01)
    # at a prevalence of 1e-3 that rate would be ten false ones for a true one
    with pytest.warns(UserWarning, match="share is below 0.909 .95 %., which does not show"):
        found = find_threshold(y, p, "fdr", level=0.1, prior=1e-3)
    assert found.precision == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_threshold(y, p, "fdr", level=0.1, prior=0.5)
        find_threshold(y, p, "fpr", level=0.02)
    # 3 over the effective number: half of the negatives weigh next to nothing
    weight = np.where(np.arange(320) < 150, 1e-9, 1)
    found = find_threshold(y, p, "mcc", sample_weight=weight)
    assert found.fpr_limit == pytest.approx(3 / 150, rel=1e-3)
    seen = find_threshold(y, np.where(np.arange(320) == 0, 0.95, p), "mcc")
    assert seen.fpr == pytest.approx(1 / 300) and np.isnan(seen.fpr_limit)
    # 95 % of Poisson draws with that mean have at least one
    assert 1 - stats.poisson.pmf(0, 3) == pytest.approx(0.95, abs=1e-3)


def test_precision_of_two_gaussians_at_a_prevalence_of_1e_5():
    # equal numbers measured, used at 1e-5: precision as the closed form has it
    rng = np.random.default_rng(0)
    y = np.arange(400_000) % 2
    x = rng.normal(size=len(y)) + 6 * y
    p = expit(shift_logits(6 * x - 18, 1e-5, 0.5))
    found = find_threshold(y, p, "completeness", level=0.9, prior=1e-5)
    cut = 6 + stats.norm.ppf(0.1)
    assert found.threshold == pytest.approx(
        expit(6 * cut - 18 + np.log(1e-5 / (1 - 1e-5))), rel=0.1
    )
    found = find_threshold(y, p, "fpr", level=1e-3, prior=1e-5)
    tpr = stats.norm.sf(stats.norm.isf(1e-3) - 6)
    assert found.precision == pytest.approx(1e-5 * tpr / (1e-5 * tpr + 1e-3), rel=0.1)


def test_fdr_without_labels_holds_on_fresh_rows():
    rng = np.random.default_rng(0)
    y = rng.uniform(size=400_000) < 0.02
    z = 4 * (rng.normal(size=len(y)) + 4 * y) - 8
    p = expit(shift_logits(z, 0.02, 0.5))
    for level in (0.01, 0.1):
        found = find_threshold(None, p[:200_000], "fdr", level=level)
        with_labels = find_threshold(y[:200_000], p[:200_000], "fdr", level=level)
        fresh = p[200_000:] >= found.threshold
        false, accepted = (fresh & ~y[200_000:]).sum(), fresh.sum()
        assert abs(false - level * accepted) < 4 * np.sqrt(level * accepted)
        assert found.precision == pytest.approx(1 - level, abs=1e-3)
        assert found.tpr == pytest.approx(with_labels.tpr, abs=0.03)
        assert (1 - p[:200_000][p[:200_000] >= found.threshold]).mean() <= level


def test_fdr_at_the_prior_holds_on_fresh_rows():
    # tuned on rows of which half are positive, used at 1 %
    rng = np.random.default_rng(0)
    y = np.arange(400_000) % 2
    x = rng.normal(size=len(y)) + 4 * y
    p = expit(shift_logits(4 * x - 8, 0.01, 0.5))
    found = find_threshold(y, p, "fdr", level=0.1, prior=0.01)
    y = rng.uniform(size=2_000_000) < 0.01
    x = rng.normal(size=len(y)) + 4 * y
    accepted = expit(shift_logits(4 * x - 8, 0.01, 0.5)) >= found.threshold
    # the Poisson error of the false positives that tuned it, some 300 of them
    assert (accepted & ~y).sum() / accepted.sum() == pytest.approx(0.1, rel=0.25)
    assert found.precision == pytest.approx(0.9, abs=1e-3)


def test_fdr_without_labels_by_hand():
    p = [0.9, 0.9, 0.6, 0.3]
    # means of 1 - p over the accepted: 0.1 (both, they tie), 0.2, 0.325
    for level, threshold in ((0.05, np.inf), (0.1, 0.9), (0.2, 0.6), (0.33, 0.3)):
        assert find_threshold(None, p, "fdr", level=level).threshold == threshold
    found = find_threshold(None, p, "fdr", level=0.2)
    assert found.tpr == pytest.approx(2.4 / 2.7) and found.fpr == pytest.approx(0.6 / 1.3)
    assert find_threshold(None, p, "fdr", level=0.2, sample_weight=[1, 0, 1, 1]).threshold == 0.9


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (([0, 1], [0.2, 0.8], "best"), {}, "policy='best'; expected one of fixed, cost"),
        (([0, 1], [0.2, np.nan]), {}, "proba has 1 NaN"),
        (([], []), {}, r"proba has shape \(0,\)"),
        (([0, 1], [0.2, 0.8, 0.9]), {}, r"y_true has shape \(2,\)"),
        (([0, 0], [0.2, 0.8]), {}, "only the class 0"),
        (([0, 1], [0.2, 1.8]), {}, "proba has values from 0.2 to 1.8"),
        (([0, 1], [0.2, 0.8]), {"prior": 0}, "prior=0.0; expected a number between 0 and 1"),
        (([0, 1], [0.2, 0.8]), {"prior": 1}, "prior=1.0; expected"),
        (([0, 1], [0.2, 0.8]), {"prior": np.nan}, "prior has 1 NaN"),
        (([0, 1], [0.2, 0.8]), {"level": 0.1}, "level=0.1; expected None with policy='mcc'"),
        (([0, 1], [0.2, 0.8], "fdr"), {}, "level=None with policy='fdr'"),
        (([0, 1], [0.2, 0.8], "fdr"), {"level": 1.5}, "level=1.5 with policy='fdr'"),
        (([0, 1], [0.2, 0.8], "fbeta"), {"level": 0}, "level=0 with policy='fbeta'"),
        (([0, 1], [0.2, 0.8], "fpr"), {"level": "a"}, "level='a' with policy='fpr'"),
        (([0, 1], [0.2, 0.8], "cost"), {"level": np.inf}, "level=inf"),
        (([0, 1], [0.2, 0.8], "false_count"), {"level": 1}, "frame_size=None"),
        ((None, [0.2, 0.8], "mcc"), {}, "y_true is None with policy='mcc'"),
        ((None, [0.2, 0.8], "fdr"), {"level": 0.1, "prior": 0.1}, "y_true is None"),
    ],
)
def test_bad_input(arguments, options, match):
    with pytest.raises(ValueError, match=match) as caught:
        find_threshold(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:no false positive is seen")
def test_ranks_alone_matter():
    y, p, _ = case(ties=False)
    for policy in sorted(set(POLICIES) - {"fixed", "cost"}):
        level = {"mcc": None, "fbeta": 1.0}.get(policy, 0.3)
        options = {"level": level, "prior": PRIOR, "frame_size": 1}
        first = find_threshold(y, p, policy, **options)
        second = find_threshold(y, p**3, policy, **options)
        assert first[1:4] == second[1:4]
