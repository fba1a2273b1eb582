"""Scattering spectra of the sphere: dense sums, symmetries, rotations, gradients, known fields."""

import copy
import pickle

import numpy as np
import pytest
import torch
from astropy_healpix import xyz_to_healpix
from scattering_peers import noise
from scipy.spatial.transform import Rotation
from sphere_by_hand import (
    carried_sums,
    coarser,
    degraded_moduli,
    dense_degrading,
    dense_wavelets,
    healpy_vectors,
    turns,
)

from skastro.datasets import make_sphere_fields
from skastro.scattering import Covariance, SphericalCovariance, isotropic_average
from skastro.scattering.sphere import check_sphere_scales
from skastro.scattering.sphere_grid import pixel_vectors

KEYS = {3: ("j2", "j3", "l2", "l3"), 4: ("j1", "j2", "j3", "l1", "l2", "l3")}


def isotropic(statistics, maps):
    values, labels, _ = isotropic_average(statistics(maps), statistics.labels, statistics.names)
    return values, labels


def waves(points, seed, lognormal, n_waves=400, highest=15.0):
    """Isotropic random field: plane waves of space, seen on the sphere; can be had at any points."""
    rng = np.random.default_rng(seed)
    towards = rng.normal(size=(n_waves, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    k = highest * np.sqrt(rng.random(n_waves))
    amplitude, phase = 1.0 / (1.0 + k), rng.uniform(0, 2 * np.pi, n_waves)
    field = np.cos(points @ (k[:, None] * towards).T + phase) @ amplitude
    field /= np.sqrt((amplitude**2).sum() / 2)
    return np.exp(field) if lognormal else field


@pytest.fixture(scope="module")
def lognormal():
    maps = make_sphere_fields(2, 16, "lognormal", index=2.0, order="nested", random_state=0).maps
    return torch.from_numpy(maps).double()


@pytest.fixture(scope="module")
def statistics():
    return SphericalCovariance(16, 3)


def by_hand(x, n_orientations):
    """Coefficients of two scales of a map of nside 8, from dense matrices; not normalised."""
    fine, coarse = healpy_vectors(), coarser(healpy_vectors())
    degrade = dense_degrading(fine)
    x = x - x.mean()
    W0 = dense_wavelets(fine, n_orientations, 0) @ x
    W1 = dense_wavelets(coarse, n_orientations, 1) @ (degrade @ x)
    seen = {0: W0, 1: W1}
    U = {0: np.abs(W0), 1: np.abs(W1)}
    centred = {j: one - one.mean(1, keepdims=True) for j, one in U.items()}
    fine_wavelets, coarse_wavelets = (
        dense_wavelets(vectors, n_orientations, 0) for vectors in (fine, coarse)
    )
    through = {
        (0, 0): carried_sums(fine_wavelets, turns(fine, fine), centred[0]),
        (0, 1): carried_sums(
            dense_wavelets(coarse, n_orientations, 1),
            turns(coarse, coarse),
            degraded_moduli(fine, coarse, centred[0]),
        ),
        (1, 1): carried_sums(coarse_wavelets, turns(coarse, coarse), centred[1]),
    }
    C01 = lambda j2, j3, l2, l3: np.mean(seen[j3][l3] * through[j2, j3][l2, l3].conj())  # noqa: E731
    C11 = lambda j1, j2, j3, l1, l2, l3: np.mean(  # noqa: E731
        through[j1, j3][l1, l3] * through[j2, j3][l2, l3].conj()
    )
    return U, C01, C11


@pytest.fixture(scope="module", params=[3, 4])
def hand_made(request):
    x = noise(1, 768) + 2.0
    return request.param, x, *by_hand(x[0].numpy(), request.param)


@pytest.mark.parametrize("normalization", ["P00", "P11"])
def test_means_over_pixels(hand_made, normalization):
    n_orientations, x, U, C01, C11 = hand_made
    statistics = SphericalCovariance(8, 2, n_orientations, normalization=normalization)
    P00 = np.stack([(U[j] ** 2).mean(1) for j in (0, 1)])
    values = statistics(x)[0].numpy()
    family = statistics.labels["family"]
    np.testing.assert_allclose(values[0], x.mean() / x.std(), rtol=1e-12)
    np.testing.assert_allclose(values[family == 1], np.log(P00).ravel(), atol=1e-6)
    S1 = np.stack([U[j].mean(1) for j in (0, 1)])
    np.testing.assert_allclose(values[family == 2], np.log(S1).ravel(), atol=1e-6)

    def power(j2, j3, l2, l3):
        return P00[j2, l2] if normalization == "P00" else C11(j2, j2, j3, l2, l2, l3).real

    for code, by in ((3, C01), (4, C11)):
        re, im = values[family == code].reshape(2, -1)
        index = [statistics.labels[key][family == code][: len(re)] for key in KEYS[code]]
        for value, at in zip(re + 1j * im, zip(*index, strict=True), strict=True):
            if code == 3:
                j2, j3, l2, l3 = at
                squared = P00[j3, l3] * power(j2, j3, l2, l3)
            else:
                j1, j2, j3, l1, l2, l3 = at
                squared = power(j1, j3, l1, l3) * power(j2, j3, l2, l3)
            np.testing.assert_allclose(value, by(*at) / np.sqrt(squared), atol=2e-6)


def test_the_order_is_that_of_the_plane():
    plane, sphere = Covariance((32, 32), 3), SphericalCovariance(16, 3)
    assert sphere.names == plane.names and sphere.cross_names == plane.cross_names
    for key, labels in plane.labels.items():
        np.testing.assert_array_equal(sphere.labels[key], labels)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_symmetries_of_the_pixels(statistics, lognormal, dtype, tolerance):
    """Turns by 90 degrees about z change nothing, by 180 degrees about x signs of imaginary parts."""
    x = lognormal.to(dtype)
    vectors = pixel_vectors(16)
    values = statistics(x)
    signs = torch.from_numpy(1.0 - 2.0 * statistics.labels["part"]).to(dtype)
    symmetries = {
        "z": ([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], torch.ones_like(signs)),
        "x": ([[1, 0, 0], [0, -1, 0], [0, 0, -1]], signs),
    }
    for matrix, sign in symmetries.values():
        pixels = xyz_to_healpix(*(vectors @ np.array(matrix)).T, 16, order="nested")
        assert len(set(pixels)) == len(vectors)
        turned = x[:, pixels]
        assert (turned - x).abs().max() > 1
        assert (statistics(turned) - values * sign).abs().max() < tolerance
        reduced = isotropic(statistics, turned)[0] - isotropic(statistics, x)[0]
        assert reduced.abs().max() < tolerance


def test_other_rotations_change_little():
    """By the pixels: the more the coarser the grid, and less than what tells maps of a kind apart."""
    statistics = SphericalCovariance(16, 3)
    vectors = pixel_vectors(16)
    rotations = Rotation.random(2, rng=0).as_matrix()
    for lognormal in (False, True):
        fields = [
            np.stack([waves(vectors @ turn, seed, lognormal) for seed in range(8)])
            for turn in (np.eye(3), *rotations)
        ]
        values, labels = isotropic(statistics, torch.from_numpy(np.concatenate(fields)))
        values = values.unflatten(0, (3, 8))
        change = (values[1:] - values[0]).square().mean((0, 1)).sqrt().numpy()
        scatter = values[0].std(0).numpy()
        family, scale = labels["family"], np.maximum(labels["j1"], labels["j3"])
        logarithms = (family == 1) | (family == 2)
        # grids of nside 16, 8 and 4
        for j, (of_power, of_covariance) in enumerate(
            [(0.015, 0.003), (0.025, 0.005), (0.05, 0.012)]
        ):
            assert change[logarithms & (scale == j)].max() < of_power
            assert change[(family > 2) & (scale == j)].max() < of_covariance
            # and how many times smaller than what tells maps of one kind apart
            few = change[scale == j] / np.maximum(scatter[scale == j], 1e-3)
            assert np.median(few) < 0.4


def test_gradients_by_finite_differences():
    statistics = SphericalCovariance(8, 2, 2)
    weights = noise(1, len(statistics.names), seed=3)[0]
    mask = pixel_vectors(8)[:, 2] > -0.7
    for module in (statistics, SphericalCovariance(8, 2, 2, mask=mask)):
        x = noise(1, 768, seed=1).requires_grad_()
        (gradient,) = torch.autograd.grad((module(x) * weights).sum(), x)
        if module.mask is not None:
            assert gradient[0, ~mask].abs().max() == 0
        for seed in range(4):
            step = noise(1, 768, seed=10 + seed) * 1e-5
            with torch.no_grad():
                difference = ((module(x + step) - module(x - step)) * weights).sum() / 2
            assert abs(difference / (gradient * step).sum() - 1) < 1e-5


def test_gradient_of_flat_maps_is_finite():
    statistics = SphericalCovariance(8, 2)
    x = torch.zeros(1, 768, requires_grad=True)
    values = statistics(x)
    values.sum().backward()
    assert values.isfinite().all() and x.grad.isfinite().all()


def test_single_precision(statistics, lognormal):
    exact, single = statistics(lognormal), statistics(lognormal.float())
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 1e-4
    # also far from zero
    far = SphericalCovariance(16, 3)
    assert (far(lognormal.float() + 100)[:, 1:] - exact[:, 1:]).abs().max() < 1e-3


def test_moduli_of_gaussian_noise(statistics):
    """|W| of complex Gaussian W has a mean of sqrt(pi) / 2 of its root mean square."""
    values = statistics(noise(40, 12 * 16**2))
    family = statistics.labels["family"]
    ratio = (values[:, family == 2] - values[:, family == 1] / 2).exp().mean(0)
    # 0.8862; over pi the parts of a wavelet differ a little in variance, the more the fewer the pixels
    np.testing.assert_allclose(ratio, np.sqrt(np.pi) / 2, atol=0.015)


def test_gaussian_fields_and_others():
    """C01 is odd in the field and vanishes for a Gaussian one; C11 of moduli far apart in scale as well."""
    statistics = SphericalCovariance(16, 3)
    found = {}
    for kind in ("gaussian", "lognormal"):
        maps = make_sphere_fields(60, 16, kind, index=2.0, order="nested", random_state=3).maps
        values, labels = isotropic(statistics, torch.from_numpy(maps))
        mean, error = values.mean(0), values.std(0) / 60**0.5
        found[kind] = mean.numpy(), (mean / error).numpy()
    C01 = labels["family"] == 3
    assert np.abs(found["gaussian"][1][C01]).max() < 4.5
    assert np.sqrt(np.mean(found["gaussian"][1][C01] ** 2)) < 1.5
    assert np.median(found["lognormal"][1][C01]) > 15
    # moduli of a Gaussian field go together no further than their bands overlap
    C11 = (labels["family"] == 4) & (labels["j1"] == 0) & (labels["j2"] == 2) & (labels["l2"] == 0)
    C11 &= labels["l3"] == 0
    assert np.abs(found["gaussian"][0][C11]).max() < 0.3 * found["lognormal"][0][C11].min()
    assert found["lognormal"][1][C11].min() > 10


def test_sign_of_c01(statistics, lognormal):
    """x to -x turns the sign of C01 and of the mean, and of nothing else."""
    family = statistics.labels["family"]
    sign = torch.from_numpy(np.where((family == 3) | (family == 0), -1.0, 1.0))
    torch.testing.assert_close(statistics(-lognormal), sign * statistics(lognormal))


@pytest.mark.parametrize("masked", [False, True])
def test_cross_of_a_map_with_itself_is_its_own(lognormal, masked):
    mask = pixel_vectors(16)[:, 0] > -0.5 if masked else None
    statistics = SphericalCovariance(16, 2, 2, mask=mask)
    own, cross = statistics(lognormal), statistics(lognormal, lognormal)
    assert cross.shape[1] == len(statistics.cross_names)
    n = int((statistics.labels["family"] >= 3).sum())
    torch.testing.assert_close(cross[:, 8 : 8 + n], own[:, -n:])
    torch.testing.assert_close(cross[:, 8 + n :], own[:, -n:])
    np.testing.assert_allclose(cross[:, :4], 1, rtol=1e-10)
    np.testing.assert_allclose(cross[:, 4:8], 0, atol=1e-12)


@pytest.mark.parametrize("normalization", ["P00", "P11"])
def test_reference(lognormal, normalization):
    statistics = SphericalCovariance(16, 2, 2, normalization=normalization)
    own = statistics(lognormal)
    torch.testing.assert_close(statistics(lognormal, reference=statistics.norm(lognormal)), own)
    # of a map twice as strong: covariances a quarter
    reference = statistics.norm(2 * lognormal)
    less = statistics(lognormal, reference=reference)
    covariances = statistics.labels["family"] >= 3
    torch.testing.assert_close(less[:, covariances], own[:, covariances] / 4)
    torch.testing.assert_close(less[:, ~covariances], own[:, ~covariances])
    both = statistics.norm(lognormal, lognormal)
    torch.testing.assert_close(
        statistics(lognormal, lognormal, both), statistics(lognormal, lognormal)
    )


def test_many_maps_one_by_one(monkeypatch, statistics, lognormal):
    together = statistics(lognormal)
    monkeypatch.setattr("skastro.scattering.map_statistics.PIXELS", 1)
    torch.testing.assert_close(statistics(lognormal), together)


def test_copies_and_pickles(lognormal):
    mask = pixel_vectors(16)[:, 2] > -0.5
    statistics = SphericalCovariance(16, 2, 2, mask=mask)
    expected = statistics(lognormal)
    for other in (copy.deepcopy(statistics), pickle.loads(pickle.dumps(statistics))):
        torch.testing.assert_close(other(lognormal), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"nside": 12}, "nside=12; expected a power of 2"),
        ({"nside": 2}, "nside=2; expected at least 4"),
        ({"n_scales": 4}, "n_scales=4; expected an integer from 1 to 3 for nside 16"),
        ({"n_scales": 0}, "n_scales=0"),
        ({"n_scales": 2.0}, "n_scales=2.0"),
        ({"n_orientations": 0}, "n_orientations=0"),
        ({"normalization": "own"}, "normalization='own'; expected 'P00' or 'P11'"),
        ({"mask": np.ones(12, bool)}, r"mask has shape \(12,\); expected \(3072,\)"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SphericalCovariance(**({"nside": 16, "n_scales": 2} | arguments))


def test_bad_maps(statistics):
    with pytest.raises(ValueError, match=r"x has shape \(1, 768\); expected \(n, 3072\)"):
        statistics(torch.zeros(1, 768))
    with pytest.raises(ValueError, match="x is torch.complex64; expected a Tensor of real floats"):
        statistics(torch.zeros(1, 3072, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"y has shape \(1, 3072\); expected that of x"):
        statistics(torch.zeros(2, 3072), torch.zeros(1, 3072))
    with pytest.raises(ValueError, match="reference has"):
        statistics(torch.zeros(2, 3072), reference={})


def test_scales_that_fit():
    assert [check_sphere_scales(None, nside) for nside in (4, 8, 64, 256)] == [1, 2, 5, 7]
