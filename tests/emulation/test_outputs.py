"""Structure of the outputs: planted groups are found; the basis is NumPy's."""

import numpy as np
import pytest
import torch

from skastro.emulation import outputs
from skastro.emulation.outputs import cluster_outputs, principal_basis, resolve_rank


def planted(sizes, seed=0, n_samples=300, noise=0.2):
    """Standardised outputs that follow one hidden variable a group, in shuffled order."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    z = rng.normal(size=(n_samples, len(sizes)))[:, label]
    z = z + noise * rng.normal(size=z.shape)
    return (z - z.mean(axis=0)) / z.std(axis=0), label


def as_sets(clusters):
    return {frozenset(map(int, cluster)) for cluster in clusters}


@pytest.mark.parametrize("n_clusters", [3, "auto"])
@pytest.mark.parametrize("holes", [0.0, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_planted_groups_are_found(n_clusters, holes, dtype):
    z, label = planted([7, 3, 10])
    z[np.random.default_rng(1).random(z.shape) < holes] = np.nan
    found = cluster_outputs(z.astype(dtype), n_clusters, np.random.default_rng(0))
    assert as_sets(found) == as_sets(np.flatnonzero(label == i) for i in range(3))
    assert all((np.diff(cluster) > 0).all() for cluster in found)


def test_amplitudes_do_not_matter():
    # an output known for few models alone has a small sum of squares
    z, label = planted([7, 3, 10])
    z *= 10.0 ** np.random.default_rng(1).uniform(-1, 1, 20)
    found = cluster_outputs(z, 3, np.random.default_rng(0))
    assert as_sets(found) == as_sets(np.flatnonzero(label == i) for i in range(3))


def test_auto_leaves_one_family_whole():
    z, _ = planted([12])
    (cluster,) = cluster_outputs(z, "auto", np.random.default_rng(0))
    assert cluster.tolist() == list(range(12))


@pytest.mark.parametrize("n_clusters", [1, "auto"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_few_outputs(n_clusters, n_outputs):
    z = np.random.default_rng(0).normal(size=(20, n_outputs))
    (cluster,) = cluster_outputs(z, n_clusters, np.random.default_rng(0))
    assert cluster.tolist() == list(range(n_outputs))


def test_as_many_clusters_as_outputs():
    z, _ = planted([1, 1, 1, 1])
    found = cluster_outputs(z, 4, np.random.default_rng(0))
    assert as_sets(found) == {frozenset([i]) for i in range(4)}


def test_a_subset_of_the_rows_is_enough(monkeypatch):
    monkeypatch.setattr(outputs, "MAX_ROWS", 100)
    z, label = planted([7, 3, 10])
    assert len(outputs._some_rows(300, np.random.default_rng(0))) == 100
    found = cluster_outputs(z, 3, np.random.default_rng(0))
    assert as_sets(found) == as_sets(np.flatnonzero(label == i) for i in range(3))


def test_the_same_seed_gives_the_same_clusters():
    z = np.random.default_rng(0).normal(size=(50, 12))
    one, two = (cluster_outputs(z, 4, np.random.default_rng(3)) for _ in range(2))
    assert [c.tolist() for c in one] == [c.tolist() for c in two]


def test_an_output_without_variance_joins_some_cluster():
    z, _ = planted([5, 5])
    z[:, 3] = 0.0
    found = cluster_outputs(z, 2, np.random.default_rng(0))
    assert sorted(np.concatenate(found)) == list(range(10))


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_basis_is_that_of_the_singular_values(rank):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 6)) + 0.1 * rng.normal(size=(200, 6))
    basis = principal_basis(z, rank)
    assert basis.shape == (rank, 6) and basis.dtype == torch.float64
    _, values, vectors = np.linalg.svd(z / np.sqrt(200), full_matrices=False)
    truncated = (vectors[:rank].T * values[:rank] ** 2) @ vectors[:rank]
    # the sign of a direction is free: compare what the basis spans, with its variance
    np.testing.assert_allclose(basis.numpy().T @ basis.numpy(), truncated, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(basis, axis=1), values[:rank], rtol=1e-10)
    components = z @ np.linalg.pinv(basis.numpy())
    np.testing.assert_allclose(np.square(components).mean(axis=0), 1.0, rtol=1e-8)


def test_unknown_targets_count_as_the_mean():
    z = np.random.default_rng(0).normal(size=(50, 4))
    z[3, 1] = np.nan
    expected = principal_basis(np.nan_to_num(z), 2)
    assert torch.equal(principal_basis(z, 2), expected)
    assert torch.isfinite(expected).all()


def test_a_basis_larger_than_the_outputs_ends_in_zeros():
    z = np.random.default_rng(0).normal(size=(50, 3))
    basis = principal_basis(z.astype("f4"), 5)
    assert basis.shape == (5, 3) and (basis[3:] == 0).all()
    # float32 data
    np.testing.assert_allclose(basis.T @ basis, z.T @ z / 50, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "output_rank, sizes, rank",
    [
        ("auto", [384], 128), ("auto", [383], None), ("auto", [10, 384], 128), ("auto", [200, 200], None),
        (None, [1000], None), (5, [10], 5), (5, [6, 2], 5), (5, [5, 5], None), (9, [3], None),
    ],
)  # fmt: skip
def test_rank(output_rank, sizes, rank):
    assert resolve_rank(output_rank, [np.arange(size) for size in sizes]) == rank
