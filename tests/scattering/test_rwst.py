import numpy as np
import pytest
import torch

from skastro.scattering.rwst import RWST
from skastro.scattering.wst import WST


def fields(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def stub(rwst, S):
    """Make a transform that returns given coefficients of the WST."""
    rwst.wst.forward = lambda x, y=None, reference=None: S
    return rwst


def model(L, terms):
    """log2 S2 over (l1, l2) by the formula of Allys et al. (2019)."""
    iso1, iso2, aniso1, angle1, aniso2, angle2 = terms
    l1, l2 = np.mgrid[:L, :L]
    turn = 2.0 * np.pi / L
    return (
        iso1
        + iso2 * np.cos(turn * (l1 - l2))
        + aniso1 * np.cos(turn * (l1 - angle1))
        + aniso2 * np.cos(turn * (l2 - angle2))
    )


def synthetic(L, n_scales, seed):
    """Coefficients of the WST that follow the model, with its terms."""
    rng = np.random.default_rng(seed)
    wst = WST((16, 16), n_scales, L)
    S, first, second = np.ones(len(wst.names)), [], []
    labels = wst.labels
    for j in range(n_scales):
        iso, aniso, angle = rng.normal(), rng.uniform(0.1, 1.0), rng.uniform(0.0, L)
        first.append((iso, aniso, angle))
        at = (labels["order"] == 1) & (labels["j1"] == j)
        S[at] = 2.0 ** (iso + aniso * np.cos(2.0 * np.pi * (labels["l1"][at] - angle) / L))
    for j1, j2 in wst.pairs:
        terms = rng.normal(size=6)
        terms[[2, 4]], terms[[3, 5]] = rng.uniform(0.1, 1, 2), rng.uniform(0, L, 2)
        second.append(terms)
        at = (labels["order"] == 2) & (labels["j1"] == j1) & (labels["j2"] == j2)
        S[at] = 2.0 ** model(L, terms)[labels["l1"][at], labels["l2"][at]]
    return S, np.ravel(first), np.ravel(second)


@pytest.mark.parametrize("L", [3, 4, 8])
def test_fit_recovers_the_terms_of_the_model(L):
    S, first, second = synthetic(L, 3, L)
    x = fields((1, 16, 16))
    rwst = stub(RWST((16, 16), 3, L, form="polar"), torch.from_numpy(S)[None])
    np.testing.assert_allclose(rwst(x)[0].numpy(), [*first, *second], rtol=1e-9)
    assert rwst.residual(x).shape == (1, 6)
    assert rwst.residual(x).max() < 1e-12
    # The linear form says the same.
    found = stub(RWST((16, 16), 3, L), torch.from_numpy(S)[None])(x)[0].numpy()
    iso, aniso, angle = first[:3]
    turn = 2.0 * np.pi * angle / L
    np.testing.assert_allclose(found[:3], [iso, aniso * np.cos(turn), aniso * np.sin(turn)])


def test_residual_is_what_the_fit_leaves():
    S, _, _ = synthetic(4, 2, 0)
    rwst = RWST((16, 16), 2, 4)
    # A term of twice the frequency is orthogonal to the model.
    at = rwst.wst.labels["order"] == 1
    S[at] *= 2.0 ** (0.3 * (-1.0) ** rwst.wst.labels["l1"][at])
    residual = stub(rwst, torch.from_numpy(S)[None]).residual(fields((1, 16, 16)))
    np.testing.assert_allclose(residual[0].numpy(), [0.3, 0.3, 0.0], atol=1e-12)


def test_normalized_by_the_first_order():
    S, _, _ = synthetic(4, 2, 1)
    wst = WST((16, 16), 2, 4)
    divided = S.copy()
    for i in np.flatnonzero(wst.labels["order"] == 2):
        divided[i] /= S[wst.names.index(f"S1[j1=0,l1={wst.labels['l1'][i]}]")]
    x = fields((1, 16, 16))
    found = stub(RWST((16, 16), 2, 4, normalize=True), torch.from_numpy(S)[None])(x)
    expected = stub(RWST((16, 16), 2, 4), torch.from_numpy(divided)[None])(x)
    torch.testing.assert_close(found[:, 6:], expected[:, 6:])


def test_quarter_turn_moves_the_angle():
    x = fields((1, 32, 32)).cumsum(2)
    rwst = RWST((32, 32), 3, 4, form="polar", oversampling=np.inf)
    S, turned = (
        dict(zip(rwst.names, rwst(one)[0].tolist(), strict=True))
        for one in (x, torch.rot90(x, 1, (1, 2)))
    )
    for j in range(3):
        assert turned[f"S1iso[j1={j}]"] == pytest.approx(S[f"S1iso[j1={j}]"], abs=1e-6)
        assert turned[f"S1aniso[j1={j}]"] == pytest.approx(S[f"S1aniso[j1={j}]"], abs=1e-6)
        moved = turned[f"S1aniso.angle[j1={j}]"] - S[f"S1aniso.angle[j1={j}]"]
        assert abs(moved) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("form", ["linear", "polar"])
def test_gradient_is_that_of_finite_differences(form):
    rwst = RWST((8, 8), 2, 3, form=form, normalize=True)
    assert torch.autograd.gradcheck(rwst, fields((1, 8, 8)).requires_grad_())


@pytest.mark.parametrize("form, max_order", [("linear", 2), ("polar", 2), ("linear", 1)])
def test_names_and_labels(form, max_order):
    rwst = RWST((16, 16), 3, 4, max_order, form=form)
    S = rwst(fields((2, 16, 16), dtype=torch.float32))
    assert S.dtype == torch.float32
    assert S.shape == (2, 9 + 18 * (max_order - 1)) == (2, len(rwst.names))
    assert len(set(rwst.names)) == len(rwst.names)
    for i, name in enumerate(rwst.names):
        j1, j2 = (int(rwst.labels[key][i]) for key in ("j1", "j2"))
        assert name.endswith(f"[j1={j1},j2={j2}]" if j2 >= 0 else f"[j1={j1}]")
        assert name[1] == str(rwst.labels["order"][i])


def test_constant_field_is_finite():
    assert RWST((16, 16), 2, 4)(torch.zeros(1, 16, 16)).isfinite().all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="form='angles'; expected 'linear' or 'polar'"):
        RWST((16, 16), 2, form="angles")
    with pytest.raises(ValueError, match="n_orientations=2; expected at least 3"):
        RWST((16, 16), 2, 2)
    with pytest.raises(ValueError, match="reference is given"):
        RWST((16, 16), 2)(fields((1, 16, 16)), reference=1)
