import numpy as np
import pytest
import torch

from skastro.scattering.covariance import Covariance


@pytest.mark.parametrize("J, L", [(1, 1), (3, 4), (4, 3)])
def test_numbers_and_names(J, L):
    statistics = Covariance((32, 32), J, L)
    n01, n11 = L**2 * J * (J + 1) // 2, L**3 * J * (J + 1) * (J + 2) // 6
    assert len(statistics.names) == 1 + 2 * J * L + 2 * (n01 + n11)
    assert len(statistics.cross_names) == 2 * J * L + 4 * (n01 + n11)
    for names, labels in (
        (statistics.names, statistics.labels),
        (statistics.cross_names, statistics.cross_labels),
    ):
        assert len(set(names)) == len(names) and all(len(v) == len(names) for v in labels.values())
    assert statistics.names[:2] == ["mean/std", "P00[j1=0,l1=0]"]
    assert (
        statistics.names[-1]
        == f"C11[j1={J - 1},j2={J - 1},j3={J - 1},l1={L - 1},l2={L - 1},l3={L - 1}].im"
    )
    labels = statistics.labels
    c11 = labels["family"] == 4
    assert (labels["j1"][c11] <= labels["j2"][c11]).all()
    assert (labels["j2"][c11] <= labels["j3"][c11]).all()


def test_each_coefficient_is_divided_by_the_powers_that_its_name_says():
    """Powers of a reference that are primes: which ones a coefficient was divided by can be told."""
    J, L = 2, 2
    statistics = Covariance((16, 16), J, L)
    x = torch.randn(1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ones = {"P00": torch.ones(1, J * L, dtype=torch.float64)}
    primes = torch.tensor([2.0, 3.0, 5.0, 7.0], dtype=torch.float64)
    plain, divided = (
        statistics(x, reference=ones)[0],
        statistics(x, reference={"P00": primes[None]})[0],
    )
    labels, some = statistics.labels, plain.abs().numpy() > 1e-12
    for family, one, two in ((3, ("j2", "l2"), ("j3", "l3")), (4, ("j1", "l1"), ("j2", "l2"))):
        at = np.flatnonzero((labels["family"] == family) & some)
        assert len(at) > 10
        first, second = (
            primes.numpy()[labels[scale][at] * L + labels[angle][at]] for scale, angle in (one, two)
        )
        ratio = (plain[at] / divided[at]).numpy()
        np.testing.assert_allclose(ratio, np.sqrt(first * second), rtol=1e-9)


def test_maps_are_compared_with_their_own_references():
    statistics = Covariance((16, 16), 2, 2, normalization="P11")
    x, y = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    norm = statistics.norm(x, y)
    assert set(norm) == {"P00", "P11", "P00_y", "P11_y"} and len(norm["P11"]) == 3
    torch.testing.assert_close(statistics(x, y, norm), statistics(x, y))
    with pytest.raises(ValueError, match=r"reference has \['P00'\]; expected"):
        statistics(x, reference={"P00": norm["P00"]})
    with pytest.raises(ValueError, match="has 2 maps; expected 1 or 3"):
        statistics(x, reference={key: v[:2] for key, v in norm.items()})
