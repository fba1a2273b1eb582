"""Ours beside kymatio, scattering_transform and pywph: tables made once, and live where they are installed.

The tables are made by benchmarks/scattering_reference.py, which says of what. Tolerances are those of the
largest difference of a family over its largest value.
"""

import os

import numpy as np
import pytest
import torch
from scattering_peers import noise, read_case, reference

from skastro.scattering.covariance import Covariance
from skastro.scattering.phase_harmonics import PhaseHarmonics
from skastro.scattering.phase_harmonics_indices import shift_table
from skastro.scattering.reduction import angular_harmonics, isotropic_average, scale_harmonics
from skastro.scattering.wst import WST
from skastro.scattering.wst_1d import WST1D
from skastro.scattering.wst_3d import WST3D

CASES, FIELDS = reference().CASES, reference().fields()
EVERY = [(peer, case) for peer, cases in CASES.items() for case in cases]


def kymatio_2d(given, found, n_scales, n_orientations, reflect):
    boundary = "reflect" if reflect else "periodic"
    x = given["x"]
    wst = WST(x.shape[1:], n_scales, n_orientations, output="local", boundary=boundary)
    ours = wst(x)[0].numpy()
    if not reflect:  # it crops a pixel at each side of periodic maps too
        ours = ours[:, 1:-1, 1:-1]
    for order in range(3):
        some = wst.labels["order"] == order
        yield f"S{order}", ours[some], found["values"][some]


def kymatio_1d(given, found, n_scales, quality):
    wst = WST1D(given["x"].shape[1], n_scales, quality, output="local")
    ours = wst(given["x"])[0].numpy()
    # Version 0.3.0 folds the filters of coarse grids by a mean, that of development and ours by a sum: its
    # coefficients are smaller by the steps of those grids.
    steps = 2.0 ** sum(np.clip(wst.labels[key], 0, n_scales) for key in ("j1", "j2"))
    theirs = found["values"] * steps[:, None]
    for order in range(3):
        some = wst.labels["order"] == order
        yield f"S{order}", ours[some], theirs[some]


def kymatio_3d(given, found, n_scales, max_degree, powers):
    wst = WST3D(given["x"].shape[1:], n_scales, max_degree, powers=powers)
    ours = wst(given["x"])[0].numpy()
    # it leaves the sums of powers of the field itself to the user
    labels = {key: values[len(powers) :] for key, values in wst.labels.items()}
    ours, theirs = ours[len(powers) :], found["values"].ravel()
    for i in range(len(powers)):
        some = labels["power"] == i
        yield f"power {powers[i]}", ours[some], theirs[some]


def wst(given, found, n_scales, n_orientations):
    x = given["x"]
    wst = WST(x.shape[1:], n_scales, n_orientations, oversampling=np.inf, same_scale=True)
    ours, labels = wst(x)[0].numpy(), wst.labels
    for order, keys in ((1, ("j1", "l1")), (2, ("j1", "j2", "l1", "l2"))):
        some = labels["order"] == order
        index = tuple(labels[key][some] for key in keys)
        assert np.isfinite(found[f"S{order}"]).sum() == some.sum()
        yield f"S{order}", ours[some], found[f"S{order}"][index]


def _rows(labels, keys):
    return {tuple(row): i for i, row in enumerate(np.stack([labels[k] for k in keys], 1).tolist())}


def covariance(given, found, n_scales, n_orientations, normalization="P00"):
    x = given["x"]
    statistics = Covariance(x.shape[1:], n_scales, n_orientations, normalization, oversampling=None)
    norm = statistics.norm(given["reference"]) if "reference" in given else None
    values = statistics(x, reference=norm)
    labels = dict(statistics.labels)
    # its types: 0 mean, 1 P00, 2 S1, 3 and 4 C01, 5 and 6 C11; its first scale is the first that there is
    labels["type"] = np.array([0, 1, 2, 3, 5])[labels["family"]] + labels["part"]
    places = _rows(labels, ("type", "j1", "j2", "j3", "l1", "l2", "l3"))
    P11 = statistics.norm(x)["P11"][0].log().numpy() if normalization == "P11" else None
    types, seen = found["index"][0], values[0].numpy()
    for kind in range(8 if normalization == "P11" else 7):
        theirs, index = found["values"][types == kind], found["index"][:, types == kind].T
        if kind == 7:
            yield "P11", P11, theirs
            continue
        if kind in (3, 4):
            index = index[:, [0, 3, 1, 2, 6, 4, 5]]
        at = [places[tuple(row)] for row in index.tolist()]
        if normalization == "P00" or kind < 5:
            assert len(at) == (labels["type"] == kind).sum()
        yield statistics.names[at[0]], seen[at], theirs
    yield from _isotropic(statistics, values, found, normalization)


def _isotropic(statistics, values, found, normalization):
    """Its averages over orientations: of P00 and S1 before the logarithm, of the others as they are."""
    values = values.clone()
    logs = torch.from_numpy(np.isin(statistics.labels["family"], (1, 2)))
    values[:, logs] = values[:, logs].exp()
    ours, labels, names = isotropic_average(values, statistics.labels, statistics.names)
    ours, logs = ours[0].numpy(), np.isin(labels["family"], (1, 2))
    ours[logs] = np.log(ours[logs])
    places = _rows(labels, ("family", "j1", "j2", "j3", "l2", "l3"))
    types = found["index_iso"][0]
    for family, kind in enumerate((0, 1, 2, 3, 5)):
        j1, j2, j3, _, l2, l3 = found["index_iso"][1:, types == kind]
        if kind == 3:
            j1, j2, j3, l2, l3 = j3, j1, j2, l3, l2
        index = np.stack([np.full_like(j1, family), j1, j2, j3, l2, l3], 1)
        at = [places[tuple(row)] for row in index.tolist()]
        if normalization == "P00":
            assert len(at) == (labels["family"] == family).sum()
        yield f"isotropic {names[at[0]]}", ours[at], found["values_iso"][types == kind]


def cross_covariance(given, found, n_scales, n_orientations):
    x, y = given["x"], given["y"]
    statistics = Covariance(x.shape[1:], n_scales, n_orientations, oversampling=None)
    values, labels = statistics(x, y)[0].numpy(), statistics.cross_labels
    L = n_orientations
    re, im = values[labels["family"] == 5].reshape(2, -1)
    yield "Corr00", re + 1j * im, found["Corr00"].ravel()
    for pair in (1, 2):
        for family, name in ((3, "C01"), (4, "C11")):
            keys = ("j1", "j2", "j3")[-len(found[f"{name}_index"]) :]
            some = (labels["family"] == family) & (labels["pair"] == pair)
            re, im = values[some].reshape(2, -1)
            scales = np.stack([labels[key][some][: len(re)] for key in keys])
            group = L ** len(keys)
            np.testing.assert_array_equal(scales[:, ::group], found[f"{name}_index"])
            yield f"{name} {pair}", re + 1j * im, found[name][pair - 1].ravel()


def _waves(L, half):
    """Complex exponentials of angles from our cosines and sines: (order, ours); orders from 0, or 1/2."""
    U = np.zeros((L, L), complex)
    for k in range(L):
        order = k + 0.5 * half
        order -= L * (order > L / 2)
        if order == 0 or 2 * abs(order) == L:
            U[k, 0 if order == 0 else L - 1] = 1
            continue
        cosine = 2 * int(abs(order)) - (not half)
        U[k, cosine], U[k, cosine + 1] = np.sqrt(0.5), -1j * np.sign(order) * np.sqrt(0.5)
    return U


def _their_harmonics(re, im):
    """Harmonics of scattering_transform from ours, (.., L, .., L) each: re and im in its layout.

    It expands z and its conjugate over 2 L angles of the last wavelet: even harmonics are those of our real
    parts, odd ones those of our imaginary parts times i. Of F(-k) = +-F(k)* it keeps one of each pair.
    """
    L, n_axes = re.shape[-1], re.ndim - 1
    even, odd = re, im
    for axis in range(1, re.ndim):
        last = axis == n_axes
        even = np.moveaxis(np.tensordot(_waves(L, False), even, (1, axis)), 0, axis)
        odd = np.moveaxis(np.tensordot(_waves(L, last), odd, (1, axis)), 0, axis)
    F = np.stack([even, 1j * odd], -1).reshape(*re.shape[:-1], 2 * L)
    out = F[..., :L].copy()
    for k in np.ndindex(*re.shape[1:-1]):
        zero, top = F[:, *k, 0], F[:, *k, L]
        # orders of the other wavelets that are not their own opposites; negative ones are above L / 2
        paired = [order for order in k if order % (L // 2)]
        if not paired:
            out[:, *k, 0] = zero.real + 1j * top.real
        elif paired[0] > L // 2:
            out[:, *k, 0] = top
    return out


def harmonics(given, found, n_scales, n_orientations):
    x, L = given["x"], n_orientations
    statistics = Covariance(x.shape[1:], n_scales, L, oversampling=None)
    values = statistics(x)
    plain = values[0].numpy()
    angles = angular_harmonics(values, statistics.labels, statistics.names)
    scales = scale_harmonics(*angles)
    for name, (ours, labels, _) in (("angles", angles), ("scales", scales)):
        ours, index, theirs = ours[0].numpy(), found[f"{name}_index"], found[name]
        for kind, family in ((0, 0), (1, 1), (2, 2)):
            # these it leaves as they are
            some = statistics.labels["family"] == family
            yield f"{name} {kind}", plain[some], theirs[index[:, 0] == kind]
        for kind, family, keys in ((3, 3, ("j2", "j3")), (5, 4, ("j1", "j2", "j3"))):
            some = labels["family"] == family
            parts = [ours[some & (labels["part"] == part)] for part in (0, 1)]
            re, im = (part.reshape(-1, *[L] * len(keys)) for part in parts)
            first = np.flatnonzero(some & (labels["part"] == 0))[:: L ** len(keys)]
            rows = np.stack([labels[key][first] for key in keys], 1)
            if name == "angles":  # from scales to differences
                rows[:, 1:] -= rows[:, :1]
            # its a is the difference of the first two, b minus that of the last two
            rows = rows if family == 3 else np.c_[rows[:, :2], rows[:, 1] - rows[:, 2]]
            if name == "angles":
                rows[:, 0] += rows[:, 1]  # and it numbers the second
            z = dict(zip(map(tuple, rows.tolist()), _their_harmonics(re, im), strict=True))
            for part in (0, 1):
                mine = index[:, 0] == kind + part
                at = index[mine][:, [1, 2]] if family == 3 else index[mine][:, [1, 2, 3]]
                angle = index[mine][:, 4:6] if family == 3 else index[mine][:, 4:7]
                pairs = zip(at.tolist(), angle.tolist(), strict=True)
                picked = np.array([z[tuple(j)][tuple(k)] for j, k in pairs])
                assert len(picked) == len(parts[0])
                yield f"{name} {kind + part}", (picked.imag if part else picked.real), theirs[mine]


def pywph(given, found, n_scales, n_orientations, dn=0, norm=None, periodic=True):
    x, y = given["x"], given.get("y")
    options = {} if not periodic else {"oversampling": None}
    statistics = PhaseHarmonics(
        x.shape[1:], n_scales, n_orientations, dn=dn, norm=norm, periodic=periodic, **options
    )
    ours = statistics.moments(x, y)[0].numpy()
    table = statistics.table if y is None else statistics.cross_table
    index, theirs = found["index"][:, :8], found["values"]
    places = {tuple(row): i for i, row in enumerate(table.tolist())}
    # With cross moments it shifts Cphase_inv at all scales, and its transpose at those of Cphase only.
    extra = (index[:, 2] > 1) & (index[:, 6] > n_scales - 1 - index[:, 0])
    assert len(index) - extra.sum() == len(places)
    kept = ~extra
    if not periodic:
        # it gives 0, to rounding, for a shift with a negative component
        t = np.where(index[:, 6] == 0, 0, 1 + 8 * (index[:, 6] - 1) + index[:, 7])
        lost = (shift_table(n_orientations, dn, 4)[index[:, 4], t] < 0).any(1)
        assert lost.any() and np.abs(theirs[: len(index)][lost]).max() < 1e-10
        assert (np.abs(ours[[places[tuple(row)] for row in index[lost].tolist()]]) > 1e-10).all()
        kept &= ~lost
    at = [places[tuple(row)] for row in index[kept].tolist()]
    labels = statistics.labels if y is None else statistics.cross_labels
    families = labels["family"][labels["part"] == 0][at]
    for family in np.unique(families):
        some = families == family
        name = statistics.families_known[family]
        yield name, ours[at][some], theirs[: len(index)][kept][some]
    yield "L", ours[len(table) :], theirs[len(index) :]


OURS = {
    one.__name__: one
    for one in (
        *(kymatio_2d, kymatio_1d, kymatio_3d),
        *(wst, covariance, cross_covariance, harmonics, pywph),
    )
}


def check(function, given, found, options, tolerance, dtype=torch.float64):
    given = {key: torch.from_numpy(np.ascontiguousarray(x))[None] for key, x in given.items()}
    given = {key: x.to(dtype) for key, x in given.items()}
    n_families, precision = 0, {torch.float64: np.float64, torch.float32: np.float32}[dtype]
    for name, ours, theirs in OURS[function](given, found, **options):
        assert ours.shape == theirs.shape and theirs.size
        assert ours.real.dtype == precision
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        assert error < tolerance, f"{name}: {error:.1e}"
        n_families += 1
    assert n_families


def tolerance(peer, case):
    """Of kymatio the filters are of single precision; of open borders the peer weighs overlaps in it."""
    if case.startswith("open"):
        return 1e-7
    return {"kymatio": 1e-6, "scattering_transform": 1e-12, "pywph": 1e-11}[peer]


@pytest.mark.parametrize("peer, case", EVERY)
def test_tables(peer, case):
    function, names, options = CASES[peer][case]
    given = {key: FIELDS[name] for key, name in names.items()}
    check(function, given, read_case(peer, case), options, tolerance(peer, case))


@pytest.mark.parametrize("case", ["wst", "wst_odd"])
def test_every_coefficient_of_the_public_wst(case):
    """Small ones too, each by itself."""
    function, names, options = CASES["scattering_transform"][case]
    given = {key: torch.from_numpy(FIELDS[name])[None] for key, name in names.items()}
    for _, ours, theirs in OURS[function](
        given, read_case("scattering_transform", case), **options
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(
    "peer, case, tolerance",
    [
        ("kymatio", "reflect", 1e-6),
        ("kymatio", "line", 1e-6),
        ("kymatio", "volume", 1e-6),
        ("scattering_transform", "wst", 1e-6),
        ("scattering_transform", "P00", 1e-5),
        ("pywph", "plain", 5e-5),  # means are taken from products
    ],
)
def test_tables_in_single_precision(peer, case, tolerance):
    function, names, options = CASES[peer][case]
    given = {key: FIELDS[name] for key, name in names.items()}
    check(function, given, read_case(peer, case), options, tolerance, torch.float32)


@pytest.fixture(scope="module")
def worker():
    script = reference()
    if not script.installed("scattering"):
        pytest.skip("peers not installed: python benchmarks/scattering_reference.py does it, once")
    with script.Worker("scattering_reference_worker.py", "scattering", 1) as worker:
        yield worker


@pytest.mark.parametrize("peer, case", EVERY)
def test_live(peer, case, worker):
    """The peers as they are installed, on noise."""
    if peer == "scattering_transform" and reference().CLONE not in os.environ:
        pytest.skip(
            f"{reference().CLONE} not set: git clone https://github.com/SihaoCheng/{peer} and name it"
        )
    function, names, options = CASES[peer][case]
    given = {
        key: 0.3 + noise(*FIELDS[name].shape, seed=seed).numpy()
        for seed, (key, name) in enumerate(names.items())
    }
    found = worker.ask(function, given, **options)["arrays"]
    check(function, given, found, options, 1e-5)


def test_tables_are_of_pinned_versions():
    for peer in CASES:
        versions = dict(part.split() for part in str(read_case(peer, "versions")).split(", "))
        pins = [one.split("==") for one in reference().PEERS["scattering"] if "==" in one]
        assert peer in versions and versions == versions | {
            name: pin for name, pin in pins if name in versions
        }


def test_numbers_written_down_by_hand():
    """Of the field "x": digits that came to us beside the definitions, not through the tables."""
    x = torch.from_numpy(FIELDS["x"])[None]
    wst = WST((64, 64), 4, 4, oversampling=np.inf)
    at = wst.names.index("S2[j1=0,j2=1,l1=0,l2=2]")
    assert wst(x)[0, at].item() == pytest.approx(0.004013389345, rel=1e-9)
    statistics = Covariance((64, 64), 4, oversampling=None)
    at = statistics.names.index("C01[j2=0,j3=2,l2=1,l3=3].re")
    assert statistics(x)[0, at].item() == pytest.approx(5.936378002e-4, rel=1e-9)
    statistics = PhaseHarmonics((64, 64), 4, dn=2, oversampling=None)
    at = statistics.table.tolist().index([2, 3, 1, 3, 3, 2, 0, 0])
    expected = 2.934512187e-4 - 1.739732646e-4j
    assert statistics.moments(x)[0, at].item() == pytest.approx(expected, rel=1e-8)
