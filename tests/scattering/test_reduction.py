# ruff: noqa: E741
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skastro.scattering.reduction import (
    ScatteringReduction,
    angular_harmonics,
    isotropic_average,
    parse_names,
    scale_harmonics,
)
from skastro.scattering.wst import WST


def covariance_names(J, L):
    """Names as the covariance family has them."""
    names = [f"P00[j1={j},l1={l}]" for j, l in product(range(J), range(L))]
    names += [f"S1[j1={j},l1={l}]" for j, l in product(range(J), range(L))]
    for part in ("re", "im"):
        names += [
            f"C01[j2={a},j3={b},l2={l},l3={m}].{part}"
            for a, b, l, m in product(range(J), range(J), range(L), range(L))
            if a <= b
        ]
    for part in ("re", "im"):
        names += [
            f"C11[j1={a},j2={b},j3={c},l1={l},l2={m},l3={n}].{part}"
            for a, b, c, l, m, n in product(*3 * [range(J)], *3 * [range(L)])
            if a <= b <= c
        ]
    return names


def table(n, p, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def test_names_are_parsed():
    wst = WST((16, 16), 3, 4)
    labels = parse_names(wst.names)
    for key in ("j1", "j2", "j3", "l1", "l2", "l3", "part"):
        np.testing.assert_array_equal(labels[key], wst.labels[key])
    assert parse_names(["L[j1=2,p=1].im", "L[j1=2]"])["p"].tolist() == [1, -1]


@pytest.mark.parametrize("name", ["", "S1[j1]", "S1[j1=a]", "S1[j1=0", "S1[j1=0]]"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="not the name of a coefficient; expected"):
        parse_names(["S0", name])


def test_isotropic_average_of_the_wst():
    J, L = 3, 4
    wst = WST((16, 16), J, L)
    S = table(2, len(wst.names))
    reduced, labels, names = isotropic_average(S, wst.labels, wst.names)
    where = {name: i for i, name in enumerate(wst.names)}
    expected = {"S0": S[:, 0]}
    for j in range(J):
        expected[f"S1[j1={j}]"] = S[:, [where[f"S1[j1={j},l1={l}]"] for l in range(L)]].mean(1)
    for (a, b), d in product(wst.pairs, range(L)):
        at = [where[f"S2[j1={a},j2={b},l1={l},l2={(l + d) % L}]"] for l in range(L)]
        expected[f"S2[j1={a},j2={b},dl2={d}]"] = S[:, at].mean(1)
    assert sorted(names) == sorted(expected)
    for i, name in enumerate(names):
        np.testing.assert_allclose(reduced[:, i], expected[name])
    assert (labels["l1"] == -1).all()
    np.testing.assert_array_equal(labels["l2"][-L:], range(L))


def test_isotropic_average_of_covariances_is_cheng_s():
    J, L = 2, 3
    names = covariance_names(J, L)
    C = table(2, len(names))
    reduced, _, new = isotropic_average(C, parse_names(names), names)
    # 2 J, then L J (J + 1) / 2 of C01 and L^2 J (J + 1) (J + 2) / 6 of C11: real parts.
    assert len(new) == 2 * J + L * 3 + L**2 * 4
    where = {name: i for i, name in enumerate(names)}
    at = [where[f"C01[j2=0,j3=1,l2={l},l3={(l + 2) % L}].re"] for l in range(L)]
    np.testing.assert_allclose(reduced[:, new.index("C01[j2=0,j3=1,dl3=2]")], C[:, at].mean(1))
    at = [
        where[f"C11[j1=0,j2=1,j3=1,l1={l},l2={(l + 1) % L},l3={(l + 2) % L}].re"] for l in range(L)
    ]
    found = reduced[:, new.index("C11[j1=0,j2=1,j3=1,dl2=1,dl3=2]")]
    np.testing.assert_allclose(found, C[:, at].mean(1))
    at = [where[f"P00[j1=1,l1={l}]"] for l in range(L)]
    np.testing.assert_allclose(reduced[:, new.index("P00[j1=1]")], C[:, at].mean(1))


def test_quarter_turn_leaves_isotropic_coefficients():
    x = torch.randn(2, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wst = WST((32, 32), 3, 4, oversampling=np.inf)
    S, turned = (
        isotropic_average(wst(one), wst.labels, wst.names)[0]
        for one in (x, torch.rot90(x, 1, (1, 2)))
    )
    torch.testing.assert_close(turned, S, rtol=1e-6, atol=0)


@pytest.mark.parametrize("L", [3, 4, 8])
def test_angular_harmonics_are_orthonormal(L):
    names = covariance_names(2, L)
    C = np.eye(len(names)) if L < 8 else table(3, len(names))
    found, labels, new = angular_harmonics(C, parse_names(names), names)
    assert len(set(new)) == len(new) == found.shape[1]
    np.testing.assert_allclose(found @ found.T, C @ C.T, atol=1e-10)
    np.testing.assert_array_equal(labels["j3"], parse_names(names)["j3"])


def test_angular_harmonics_are_the_fourier_transform():
    L = 8
    names = [f"S2[j1=0,j2=1,l1={l},l2={m}]" for l, m in product(range(L), range(L))]
    C = table(1, L * L)
    found, _, new = angular_harmonics(C, parse_names(names), names)
    transform = np.fft.fft2(C.reshape(L, L), norm="ortho")
    found = dict(zip(new, found[0], strict=True))
    assert found["S2[j1=0,j2=1,m1=0,m2=0]"] == pytest.approx(transform[0, 0].real)
    assert found["S2[j1=0,j2=1,m1=3,m2=0]"] == pytest.approx(np.sqrt(2) * transform[2, 0].real)
    assert found["S2[j1=0,j2=1,m1=0,m2=4]"] == pytest.approx(-np.sqrt(2) * transform[0, 2].imag)


def test_half_integer_harmonics_are_those_of_the_extension_to_2_pi():
    L = 4
    names = [f"C01[j2=0,j3=1,l2=0,l3={m}].{part}" for part in ("re", "im") for m in range(L)]
    names = [name.replace("l2=0", f"l2={l}") for l in range(L) for name in names]
    C = table(1, len(names))
    found, _, new = angular_harmonics(C, parse_names(names), names)
    values = dict(zip(names, C[0], strict=True))
    z = np.array(
        [
            [values[f"C01[j2=0,j3=1,l2={l},l3={m}].re"] for m in range(L)]
            + 1j * np.array([values[f"C01[j2=0,j3=1,l2={l},l3={m}].im"] for m in range(L)])
            for l in range(L)
        ]
    )
    z = np.concatenate([z, z.conj()], 1)
    mean = np.fft.fft(z.mean(0), norm="ortho") / np.sqrt(2)
    found = dict(zip(new, found[0] / np.sqrt(L), strict=True))
    assert found["C01[j2=0,j3=1,m2=0,m3=0].re"] == pytest.approx(mean[0].real)
    # Odd orders of the extended transform are made of the imaginary part alone.
    cos, sin = (found[f"C01[j2=0,j3=1,m2=0,m3={m}].im"] for m in (0, 1))
    assert cos == pytest.approx(np.sqrt(2) * mean[1].imag)
    assert sin == pytest.approx(np.sqrt(2) * mean[1].real)


def test_scale_harmonics_are_the_cosine_transform_at_fixed_ratio():
    from scipy.fft import dct

    J, L = 4, 2
    wst = WST((32, 32), J, L)
    S = table(2, len(wst.names))
    found, labels, new = scale_harmonics(S, wst.labels, wst.names)
    where = {name: i for i, name in enumerate(wst.names)}
    for gap in (1, 2, 3):
        at = [where[f"S2[j1={j},j2={j + gap},l1=1,l2=0]"] for j in range(J - gap)]
        expected = dct(S[:, at], norm="ortho")
        names = [f"S2[k1={k},dj2={gap},l1=1,l2=0]" for k in range(J - gap)]
        np.testing.assert_allclose(found[:, [new.index(one) for one in names]], expected)
    np.testing.assert_array_equal(found[:, 0], S[:, 0])
    assert len(set(new)) == len(new)
    assert labels["j2"].max() == 3


def test_tensors_stay_tensors_with_their_gradient():
    wst = WST((8, 8), 2, 3)
    x = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for reduce in (isotropic_average, angular_harmonics, scale_harmonics):
        reduced = reduce(wst(x), wst.labels, wst.names)[0]
        same = reduce(wst(x).numpy(), wst.labels, wst.names)[0]
        np.testing.assert_allclose(reduced.numpy(), same)
        assert torch.autograd.gradcheck(
            lambda z, reduce=reduce: reduce(wst(z), wst.labels)[0], x.clone().requires_grad_()
        )


def test_labels_must_fit():
    wst = WST((8, 8), 2, 3)
    S = table(1, len(wst.names))
    with pytest.raises(ValueError, match=r"labels\['order'\] has 16 entries; expected 15"):
        isotropic_average(S[:, 1:], wst.labels)
    with pytest.raises(ValueError, match="names has 15 entries; expected 16"):
        isotropic_average(S, wst.labels, wst.names[1:])
    with pytest.raises(ValueError, match=r"shape \(16,\); expected \(n, p\)"):
        isotropic_average(S[0], wst.labels)
    less = {key: values[:-1] for key, values in wst.labels.items()}
    with pytest.raises(ValueError, match="orientations a coefficient; expected all 3"):
        angular_harmonics(S[:, :-1], less)


@pytest.mark.parametrize("orientations", ["isotropic", "harmonics", None])
@pytest.mark.parametrize("scales", ["harmonics", None])
def test_transformer_is_the_functions(orientations, scales):
    names = covariance_names(3, 2)
    X = table(4, len(names))
    expected, labels, new = X, parse_names(names), names
    for function, wanted in (
        (isotropic_average, orientations == "isotropic"),
        (angular_harmonics, orientations == "harmonics"),
        (scale_harmonics, scales == "harmonics"),
    ):
        if wanted:
            expected, labels, new = function(expected, labels, new)
    reduction = ScatteringReduction(orientations, scales, names=names)
    np.testing.assert_allclose(reduction.fit_transform(X), expected, atol=1e-12)
    assert reduction.get_feature_names_out().tolist() == new
    for key in labels:
        np.testing.assert_array_equal(reduction.labels_[key], labels[key])


def test_transformer_in_a_pipeline_of_data_frames():
    names = covariance_names(2, 2)
    X = pd.DataFrame(table(20, len(names)), columns=names)
    reduction = clone(ScatteringReduction()).set_output(transform="pandas")
    reduced = reduction.fit_transform(X)
    assert reduced.columns[0] == "P00[j1=0]"
    assert make_pipeline(reduction, Ridge()).fit(X, np.arange(20)).predict(X).shape == (20,)


def test_transformer_keeps_float32_and_takes_labels_alone():
    wst = WST((16, 16), 2, 3)
    X = table(3, len(wst.names)).astype(np.float32)
    reduction = ScatteringReduction(labels=wst.labels).fit(X)
    assert reduction.transform(X).dtype == np.float32
    assert len(reduction.get_feature_names_out()) == reduction.transform(X).shape[1]


def test_transformer_refuses_columns_it_cannot_tell():
    X = table(3, 5)
    with pytest.raises(ValueError, match="the columns have no names"):
        ScatteringReduction().fit(X)
    with pytest.raises(ValueError, match="names has 2 entries; expected 5"):
        ScatteringReduction(names=["S0", "S1[j1=0]"]).fit(X)
    with pytest.raises(ValueError, match="orientations"):
        ScatteringReduction("mean", names=["S0"] * 5).fit(X)
    reduction = ScatteringReduction(names=["S0", *(f"S1[j1=0,l1={i}]" for i in range(4))]).fit(X)
    with pytest.raises(ValueError, match="4 features"):
        reduction.transform(X[:, 1:])
