"""Few pixels stand for many: rates at every threshold are those of all of them."""

import numpy as np
import pytest

from skastro.segmentation.held_out import N_EDGE, N_GROUPS, N_KEPT, HeldOut, condensed, hold_out

THRESHOLDS = np.linspace(-3.0, 3.0, 25)


def rates(held, kind):
    """Share of a kind of pixels at or above each threshold."""
    z, weight = held.logit[held.truth == kind], held.weight[held.truth == kind].astype(float)
    return np.array([weight[z >= cut].sum() for cut in THRESHOLDS]) / weight.sum()


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(0)
    truth = rng.random(3_000_000) < 0.05
    logit = rng.normal(np.where(truth, 2.0, -2.0)).astype(np.float32)
    return HeldOut(logit, truth, np.ones(len(truth), np.float32))


def test_few_pixels_keep_the_rates(pixels):
    held = hold_out(pixels.logit, pixels.truth, np.random.default_rng(1))
    few = condensed(held)
    assert len(held.logit) <= 2 * N_KEPT
    assert len(few.logit) <= 2 * (N_EDGE + N_GROUPS)
    for one in (held, few):
        assert one.weight.sum() == pytest.approx(len(pixels.logit), rel=1e-5)
        found, exact = ({kind: rates(h, kind) for kind in (False, True)} for h in (one, pixels))
        # false positives and misses by their ratio, however rare; the others where they are a hundredth
        for share, expected, least in (
            (found[False], exact[False], 1e-6),
            (1 - found[True], 1 - exact[True], 1e-6),
            (found[True], exact[True], 1e-2),
            (1 - found[False], 1 - exact[False], 1e-2),
        ):
            seen = expected > least
            np.testing.assert_allclose(share[seen], expected[seen], rtol=0.08)


def test_a_few_pixels_are_all_kept():
    rng = np.random.default_rng(2)
    truth = np.arange(40) % 4 == 0
    logit = rng.normal(size=40).astype(np.float32)
    held = hold_out(logit, truth, rng)
    few = condensed(held)
    for one in (held, few):
        assert sorted(one.logit) == sorted(logit)
        assert (one.weight == 1).all() and one.truth.sum() == truth.sum()


def test_those_that_decide_are_kept_as_they_are(pixels):
    few = condensed(hold_out(pixels.logit, pixels.truth, np.random.default_rng(1)))
    highest = np.sort(pixels.logit[~pixels.truth])[-N_EDGE:]
    lowest = np.sort(pixels.logit[pixels.truth])[:N_EDGE]
    alone = few.weight == 1
    assert set(highest) <= set(few.logit[alone & ~few.truth])
    assert set(lowest) <= set(few.logit[alone & few.truth])
